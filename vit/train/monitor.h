// Attention monitoring: what every head does on a few fixed pictures, measured at evaluations while a model learns.
// Works for every mechanism that offers "probs" to observers (vit/nn/attention.h). It draws no random numbers and
// changes no weight: a run's bytes are the same with it and without.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "vit/core/config.h"
#include "vit/core/context.h"
#include "vit/train/task.h"

namespace vit {

struct MonitorConfig {
  int64_t every = 1;
  int64_t images = 32;
  double min_entropy = 0.02;
  double max_entropy = 0.999;
  double max_logit = 50.0;

  template <class V>
  void visit_fields(V& v) {
    v("every", every, "Evaluations between two looks at the attention; 0: never.", at_least(0));
    v("images", images, "Pictures it is measured on: the first of the validation set.", between(1, 4096));
    v("min_entropy", min_entropy, "Normalised entropy below which a head has collapsed to single tokens.",
      between(0, 1));
    v("max_entropy", max_entropy, "Normalised entropy above which a head looks everywhere alike.", between(0, 1));
    v("max_logit", max_logit, "Logit above which growth is warned about.", above(0));
  }
};

/// Means over pictures and queries. NaN where it cannot be said: without layout, prefix tokens, scores, other heads.
struct HeadStatistics {
  double entropy = 0.0;             ///< of the attention of a query, in nats
  double normalised_entropy = 0.0;  ///< divided by log(keys): 0 a single token, 1 all tokens alike
  /// Mean distance between a patch and what it attends to, in patches (Dosovitskiy et al. 2021, fig. 7, which has it in
  /// pixels). Prefix tokens count neither as queries nor as keys.
  double distance = 0.0;
  double prefix_share = 0.0;  ///< of the attention that goes to class, distillation and register tokens
  double max_logit = 0.0;     ///< largest score before the softmax, over everything
  double similarity = 0.0;    ///< mean cosine between this head's map and each other head's of the layer
};

struct LayerStatistics {
  std::string layer;  ///< "blocks.3"
  std::vector<HeadStatistics> heads;
  HeadStatistics mean() const;  ///< over the heads; max_logit is the largest
};

/// The observer that measures. Not thread-safe; one object serves any number of forward passes.
class AttentionStatistics : public Observer {
 public:
  bool wants(const std::string& name) override;
  void observe(const std::string& name, const Tensor& value) override;
  /// Layers in the order in which they ran.
  std::vector<LayerStatistics> layers() const;

 private:
  struct Layout {
    int64_t prefix = 0, grid_h = 0, grid_w = 0;
  };
  /// Sums over pictures.
  struct Sums {
    std::string layer;
    int64_t pictures = 0, keys = 0;
    std::vector<HeadStatistics> heads;
  };
  Sums& sums_of(const std::string& layer, int64_t heads);
  void add_probs(Sums& sums, const Tensor& probs, const Layout* layout) const;

  std::map<std::string, Layout> layouts_;
  std::vector<Sums> sums_;
};

/// Measures at evaluations, and warns. Not thread-safe.
class AttentionMonitor {
 public:
  explicit AttentionMonitor(const MonitorConfig& config) : config_(config) {}

  /// `evaluation` counts from 0.
  bool is_due(int64_t evaluation) const { return config_.every > 0 && evaluation % config_.every == 0; }

  /// Measures the task's probe. "attention/blocks.3/head.1/entropy" and so on for every figure of HeadStatistics that
  /// is known, and without "head.1/" the mean of a layer; nothing for a task without pictures or a model without
  /// attention. `warn` gets a line for each layer where heads have collapsed since the last look, or logits grow out of
  /// bounds.
  std::vector<Metric> measure(Task& task, const std::function<void(const std::string&)>& warn);

 private:
  enum class Kind { unknown, fine, single, uniform };
  struct History {
    Kind kind = Kind::unknown;
    double logit = std::numeric_limits<double>::quiet_NaN();  ///< nothing grows at the first look
    double warned_logit = 0.0;
  };
  void judge(const LayerStatistics& layer, const std::function<void(const std::string&)>& warn);
  Kind kind_of(double normalised_entropy) const;

  MonitorConfig config_;
  std::map<std::string, std::vector<History>> history_;
};

}  // namespace vit
