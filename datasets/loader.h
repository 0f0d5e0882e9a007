// Loader: batches for training and evaluation out of a data set. Decodes and augments ahead of the trainer on the
// toolkit's threads, within a bounded queue. What a batch holds depends on (seed, epoch, position) alone. What is made
// of a picture is the recipe's business: class numbers here, boxes in box_loader.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/augment_config.h"
#include "datasets/batch_recipe.h"
#include "datasets/dataset.h"
#include "datasets/sampler.h"
#include "vit/core/config.h"
#include "vit/image/preprocess.h"
#include "vit/train/batch.h"

namespace datasets {

struct LoaderConfig {
  int64_t batch_size = 64;
  bool drop_last = true;
  int64_t prefetch = 2;
  int64_t cache_mb = 1024;
  int64_t cache_size = 0;
  double max_bad_fraction = 0.01;

  template <class V>
  void visit_fields(V& v) {
    v("batch_size", batch_size, "Pictures per batch.", vit::between(1, 65536));
    v("drop_last", drop_last, "Leave out an epoch's last batch if it is smaller (unless it is the only one).");
    v("prefetch", prefetch, "Batches that are made ahead; bounds the memory.", vit::between(1, 64));
    v("cache_mb", cache_mb, "Decoded pictures are kept in memory up to this many megabytes; 0: none.",
      vit::between(0, 1 << 24));
    v("cache_size", cache_size,
      "Above 0: pictures are scaled down to this shorter side when they are decoded, before any augmentation.",
      vit::between(0, 1 << 16));
    v("max_bad_fraction", max_bad_fraction, "The run fails when a larger share of the set's pictures is unreadable.",
      vit::between(0, 1));
  }
};

/// A picture that could not be read and was left out of its batches.
struct BadPicture {
  int64_t index = 0;   ///< in the data set
  std::string source;  ///< what the data set calls it
  std::string reason;
};

/// One thread calls the member functions; work in the background is waited for by the destructor.
class Loader : public vit::BatchSource {
 public:
  /// `dataset` must outlive the loader; nothing is read before start(). Errors: a sampler of another set; no recipe.
  Loader(const Dataset& dataset, const Sampler& sampler, std::shared_ptr<const BatchRecipe> recipe,
         const LoaderConfig& config);
  ~Loader() override;
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches_per_epoch() const override;
  /// Errors: a negative epoch, a batch that the epoch does not have.
  void start(int64_t epoch, int64_t first_batch) override;
  /// Unreadable pictures are missing from their batch; a batch that has none left is skipped. Errors: not started; more
  /// than max_bad_fraction of the set are unreadable (the first are named); out of memory.
  bool next(vit::Batch& batch) override;
  /// All the time spent in next(): also what the caller's thread did there itself.
  double seconds_waited() const override { return seconds_waited_; }

  /// Pictures that were left out so far, in the order in which they would have come.
  const std::vector<BadPicture>& quarantine() const { return quarantine_; }
  /// Called by next() once for each new one, before it fails because of too many.
  void on_bad_picture(std::function<void(const BadPicture&)> callback) { on_bad_picture_ = std::move(callback); }
  /// Bytes of decoded pictures in memory.
  int64_t bytes_cached() const;

 private:
  void report_bad(const std::vector<int64_t>& indices, const std::vector<std::string>& errors);

  struct Impl;
  std::unique_ptr<Impl> impl_;
  double seconds_waited_ = 0.0;
  std::vector<BadPicture> quarantine_;
  std::function<void(const BadPicture&)> on_bad_picture_;
};

/// Shuffled (or as `sampler` says), augmented and mixed batches. `preprocessor` is the model's: its input size and
/// normalisation. Errors (usage): what the parts refuse.
std::unique_ptr<Loader> make_train_loader(const Dataset& dataset, const vit::Preprocessor& preprocessor,
                                          const AugmentConfig& augment, const SamplerConfig& sampler,
                                          const LoaderConfig& loader, uint64_t seed);
/// Every picture once, in order, as the model's pre-processing makes it; targets i64 [B]. drop_last does not count.
std::unique_ptr<Loader> make_eval_loader(const Dataset& dataset, const vit::Preprocessor& preprocessor,
                                         const LoaderConfig& loader);

}  // namespace datasets
