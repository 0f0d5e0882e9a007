// What --model names, resolved: a checkpoint folder (timm or Hugging Face layout, or one that training wrote), a hub id
// in the local Hugging Face cache, a bundled model, or a model configuration without weights. Opened lazily: resolving
// reads no file's content. This says what is there; models say what it means.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "vit/io/json.h"
#include "vit/io/weights.h"

namespace vit {

/// Copies share what was opened. Thread-safe.
class Checkpoint {
 public:
  /// Resolves `model`, in this order: a folder that exists (a training run's stands for its best checkpoint); the .yaml
  /// file of a model configuration; models/NAME, then configs/model/NAME.yaml, of the toolkit's home; "org/name" in the
  /// local hub cache (HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub; the snapshot of refs/main, else
  /// the newest). "./NAME" always means a folder. Errors (kUsage): not found, saying what was tried and the nearest
  /// names; a folder without config.json or without weights; a folder whose only weights are a pickle, with the command
  /// that converts it.
  static Checkpoint open(const std::string& model);

  /// As the caller named it.
  const std::string& name() const;
  /// The checkpoint's folder; empty for a configuration without weights.
  const std::filesystem::path& dir() const;
  /// True for a checkpoint folder, false for a model configuration (random weights).
  bool has_weights() const { return !dir().empty(); }
  /// The model configuration's YAML file; empty for a checkpoint folder.
  const std::filesystem::path& yaml() const;

  /// config.json. Errors (kUsage): as load_json; not an object.
  const nlohmann::json& config() const;
  /// preprocessor_config.json, or null pointer when there is none. Errors as config().
  const nlohmann::json* preprocessor() const;
  /// Any other file of the folder (tokenizer.json, labels): its path, or an empty one when it is not there.
  std::filesystem::path file(const std::string& file_name) const;
  /// Errors: as Weights::open; for a configuration without weights, kUsage.
  const Weights& weights() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vit
