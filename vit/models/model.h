// What every model of images offers to the verbs: a forward pass with named intermediates, and facts about itself.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vit/core/config_node.h"
#include "vit/nn/module.h"

namespace vit {

/// Facts that pre-processing and printing need.
struct ModelInfo {
  std::string name;                     ///< architecture or model type, as the checkpoint calls it
  std::array<int64_t, 2> input_size{};  ///< height and width the model was built for
  int64_t input_channels = 3;
  int64_t num_classes = 0;  ///< 0: the output is features
};

/// What training changes in a forward pass; it takes effect where Context::training is set. Names as timm's.
struct TrainingOptions {
  float drop_rate = 0.0f;           ///< dropout before the classifier
  float pos_drop_rate = 0.0f;       ///< dropout of the tokens after the position table was added
  float patch_drop_rate = 0.0f;     ///< share of the patches that are left out of each image
  float proj_drop_rate = 0.0f;      ///< dropout after the projections of each block
  float drop_path_rate = 0.0f;      ///< stochastic depth of the last block; it grows from zero at the first
  bool grad_checkpointing = false;  ///< recompute each block in the backward pass instead of keeping what it made
};

/// Where a reference output is found among what a model observes.
struct ReferenceOutput {
  ReferenceOutput(const char* observed, bool nchw = false) : name(observed), channels_first(nchw) {}
  std::string name;     ///< may contain {i}
  bool channels_first;  ///< the reference is [B, C, height, width], what is observed [B, height, width, C]
};

/// One pass on a file of reference outputs.
struct ReferenceRun {
  std::map<std::string, Tensor> inputs;  ///< `input`: f32 images; all else the file has, as stored
  std::vector<std::string> wanted;       ///< names that the observer waits for
};

class ImageModel : public Module {
 public:
  /// images [B, channels, height, width], already normalised -> logits [B, K] (or features where the model has no
  /// head). Thread-safe for concurrent calls with contexts of their own.
  virtual Var forward(Context& ctx, const Var& images) const = 0;

  const ModelInfo& info() const { return info_; }

  /// The verb of the command line that models of this kind are for: the others send their users there.
  virtual std::string verb() const { return "classify"; }

  /// The configuration that makes this model again, as a file of configs/model/ has it: `type` and its options.
  virtual ConfigNode describe() const = 0;

  virtual void set_training(const TrainingOptions& options) = 0;

  /// Gives the model a head of its own for another number of classes, without a value yet: its parameters' names.
  /// Errors (usage): the model has no head to replace.
  virtual std::vector<std::string> replace_head(int64_t num_classes) = 0;

  /// Reference outputs by the names that the original library gives them -> the names observed here, e.g. timm's
  /// "hidden.{i}" -> "blocks.{i}". `{i}` stands for a number on both sides; `{i+1}` on the left for the number after
  /// it; `{t}` for any text.
  virtual const std::map<std::string, ReferenceOutput>& reference_names() const = 0;

  /// Runs the model for its observer on the inputs of a file of reference outputs, by their names: `input` (images),
  /// and what else the family takes (`pixel_mask`). A family whose library derives results from the outputs (boxes in
  /// pixels) offers them to the observer under names that reference_names() has. Errors: an input that the family does
  /// not take, or of a wrong shape.
  virtual void run_reference(Context& ctx, const ReferenceRun& run) const;
  /// Which tensors of such a file are inputs beside `input`: "pixel_mask".
  virtual std::vector<std::string> reference_inputs() const { return {}; }

  /// Rebuilds what depends on the image size (position tables) for images of height x width, once, instead of at every
  /// forward. Rows and columns that fill no whole patch are ignored. Errors (usage): the model cannot take that size.
  virtual void set_input_size(int64_t height, int64_t width) = 0;

  /// Makes a tensor of a checkpoint fit a parameter of another shape where the original library does so while loading
  /// (position tables of another image size); returns it unchanged otherwise.
  virtual Tensor adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const;

 protected:
  ModelInfo info_;
};

}  // namespace vit
