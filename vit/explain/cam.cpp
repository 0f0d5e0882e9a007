#include "vit/explain/cam.h"

#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/explain/recorder.h"
#include "vit/explain/roles.h"

namespace vit {

namespace {

/// Sums over places, in the order of channels.
using ChannelSums = std::vector<double>;

/// Activations and gradients of one map, by place and channel.
struct CamTerms {
  const Tensor &activations, &gradients;
  int64_t places, channels;

  CamTerms(const Tensor& a, const Tensor& g)
      : activations(a), gradients(g), places(a.size(0) * a.size(1)), channels(a.size(2)) {
    check(a.rank() == 3 && g.shape() == a.shape(), "class activation: activations ", a.shape(), " and gradients ",
          g.shape(), " do not match");
  }

  double activation(int64_t i) const { return activations.f32()[i]; }
  double gradient(int64_t i) const { return gradients.f32()[i]; }

  template <class Term>
  ChannelSums sum(const Term& term) const {
    ChannelSums sums(static_cast<size_t>(channels), 0.0);
    for (int64_t i = 0; i < places * channels; ++i) sums[static_cast<size_t>(i % channels)] += term(i);
    return sums;
  }
};

/// Weights that channels have as a whole; empty for kinds that weigh place by place.
ChannelSums channel_weights(CamKind kind, const CamTerms& terms) {
  const auto channel = [&](int64_t i) { return static_cast<size_t>(i % terms.channels); };
  switch (kind) {
    case CamKind::gradcam: {
      ChannelSums weights = terms.sum([&](int64_t i) { return terms.gradient(i); });
      for (double& weight : weights) weight /= static_cast<double>(terms.places);
      return weights;
    }
    case CamKind::gradcam_plus_plus: {
      const ChannelSums total = terms.sum([&](int64_t i) { return terms.activation(i); });
      return terms.sum([&](int64_t i) {
        const double g = terms.gradient(i), square = g * g;
        const double share = square / (2.0 * square + total[channel(i)] * square * g + 1e-6);
        return g == 0.0 ? 0.0 : std::max(g, 0.0) * share;
      });
    }
    case CamKind::xgradcam: {
      const ChannelSums total = terms.sum([&](int64_t i) { return terms.activation(i); });
      return terms.sum([&](int64_t i) { return terms.gradient(i) * terms.activation(i) / (total[channel(i)] + 1e-7); });
    }
    default:
      return {};
  }
}

/// What one channel adds at one place.
double contribution(CamKind kind, double activation, double gradient) {
  switch (kind) {
    case CamKind::hirescam:
      return gradient * activation;
    case CamKind::gradcam_elementwise:
      return std::max(gradient * activation, 0.0);
    case CamKind::layercam:
      return std::max(gradient, 0.0) * activation;
    default:
      fail("class activation: this kind has one weight per channel");
  }
}

/// X [N, C] with the mean of every channel taken away, in double.
std::vector<double> centred(const Tensor& activations, int64_t places, int64_t channels) {
  std::vector<double> x(activations.f32(), activations.f32() + places * channels);
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0.0;
    for (int64_t n = 0; n < places; ++n) sum += x[static_cast<size_t>(n * channels + c)];
    for (int64_t n = 0; n < places; ++n) x[static_cast<size_t>(n * channels + c)] -= sum / static_cast<double>(places);
  }
  return x;
}

double length(const std::vector<double>& v) {
  double sum = 0.0;
  for (const double value : v) sum += value * value;
  return std::sqrt(sum);
}

/// X X^T u.
std::vector<double> gram_times(const std::vector<double>& x, const std::vector<double>& u, int64_t channels) {
  std::vector<double> projected(static_cast<size_t>(channels), 0.0), result(u.size(), 0.0);
  for (size_t n = 0; n < u.size(); ++n)
    for (size_t c = 0; c < projected.size(); ++c) projected[c] += x[n * projected.size() + c] * u[n];
  for (size_t n = 0; n < u.size(); ++n)
    for (size_t c = 0; c < projected.size(); ++c) result[n] += x[n * projected.size() + c] * projected[c];
  return result;
}

/// The name of a module's parent: "blocks.3.norm1" -> "blocks.3".
std::string parent_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

/// Keeps one map, its layout and its gradient.
class MapRecorder : public Observer {
 public:
  MapRecorder(CamLayer layer, bool gradient) : layer_(std::move(layer)), gradient_wanted_(gradient) {}
  bool wants(const std::string& name) override {
    return name == layer_.name || (!layer_.layout.empty() && name == layer_.layout) ||
           (gradient_wanted_ && name == layer_.name + ".grad");
  }
  void observe(const std::string& name, const Tensor& value) override {
    if (name == layer_.name)
      value_ = value;
    else if (name == layer_.layout)
      layout_ = read_layout(value);
    else
      gradient_ = value;
  }
  Tensor map() const { return cut(value_); }
  Tensor gradient() const { return cut(gradient_); }

 private:
  /// The places of the first sample.
  Tensor cut(const Tensor& value) const {
    check(value.defined(), "class activation: nothing came from ", layer_.name);
    if (layer_.layout.empty()) {
      check(value.rank() == 4, "class activation: ", layer_.name, " is no map but ", value.shape());
      return value.slice(0, 1).view({value.size(1), value.size(2), value.size(3)});
    }
    check(value.rank() == 3 && layout_.cells() > 0 && layout_.prefix + layout_.cells() <= value.size(1),
          "class activation: ", layer_.name, " ", value.shape(), " holds no grid of ", layout_.rows, " x ",
          layout_.columns);
    const Tensor tokens = value.slice(0, 1).view({value.size(1), value.size(2)});
    return tokens.slice(layout_.prefix, layout_.prefix + layout_.cells())
        .view({layout_.rows, layout_.columns, value.size(2)});
  }

  CamLayer layer_;
  bool gradient_wanted_;
  TokenLayout layout_;
  Tensor value_, gradient_;
};

}  // namespace

Tensor class_activation(CamKind kind, const Tensor& activations, const Tensor& gradients) {
  const CamTerms terms(activations, gradients);
  const ChannelSums weights = channel_weights(kind, terms);
  Tensor map = Tensor::zeros({activations.size(0), activations.size(1)});
  for (int64_t n = 0; n < terms.places; ++n) {
    double sum = 0.0;
    for (int64_t c = 0; c < terms.channels; ++c) {
      const int64_t i = n * terms.channels + c;
      sum += weights.empty() ? contribution(kind, terms.activation(i), terms.gradient(i))
                             : weights[static_cast<size_t>(c)] * terms.activation(i);
    }
    map.f32()[n] = static_cast<float>(std::max(sum, 0.0));
  }
  return map;
}

Tensor principal_activation(const Tensor& activations) {
  check(activations.rank() == 3, "class activation: expected [rows, columns, C], got ", activations.shape());
  constexpr int64_t kMostSteps = 2000;
  constexpr double kSettled = 1e-10;
  const int64_t places = activations.size(0) * activations.size(1), channels = activations.size(2);
  const std::vector<double> x = centred(activations, places, channels);
  // Any start that is not orthogonal to the component will do; the activations' lengths are near it.
  std::vector<double> u, lengths;
  for (int64_t n = 0; n < places; ++n) {
    const auto row = x.begin() + n * channels;
    lengths.push_back(length({row, row + channels}));
    u.push_back(lengths.back() + 1e-3 * static_cast<double>(n % 7));
  }
  double largest = 0.0;
  for (int64_t step = 0; step < kMostSteps; ++step) {
    std::vector<double> next = gram_times(x, u, channels);
    largest = length(next);
    if (largest == 0.0) break;  // nothing varies
    double change = 0.0;
    for (size_t n = 0; n < next.size(); ++n) {
      next[n] /= largest;
      change = std::max(change, std::abs(next[n] - u[n]));
    }
    u = std::move(next);
    if (change < kSettled) break;
  }
  // X X^T u = sigma^2 u, and the projection on the component is sigma u.
  const double sigma = std::sqrt(largest);
  double agreement = 0.0;
  for (size_t n = 0; n < u.size(); ++n) agreement += u[n] * lengths[n];
  Tensor map = Tensor::empty({activations.size(0), activations.size(1)});
  for (int64_t n = 0; n < places; ++n)
    map.f32()[n] = static_cast<float>((agreement < 0.0 ? -sigma : sigma) * u[static_cast<size_t>(n)]);
  return map;
}

std::vector<CamLayer> cam_layers(const Subject& subject) {
  const std::vector<std::string>& names = subject.offers();
  const auto offered = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<CamLayer> layers;
  for (const std::string& name : names) {
    const std::string map = without_ending(name, ".grad");
    if (map.empty() || map.ends_with(".probs")) continue;
    CamLayer layer{map};
    for (const std::string& layout : {map + ".layout", parent_of(map) + ".attn.layout"})
      if (layer.layout.empty() && offered(layout)) layer.layout = layout;
    layers.push_back(std::move(layer));
  }
  return layers;
}

Tensor layer_map(const Subject& subject, const Tensor& pixels, const CamLayer& layer, Tensor* gradients) {
  MapRecorder recorder(layer, gradients != nullptr);
  if (gradients) {
    run_back(subject, pixels, recorder);
    *gradients = recorder.gradient();
  } else {
    Context ctx;
    ctx.observer = &recorder;
    static_cast<void>(subject.objective(ctx, pixels));
  }
  return recorder.map();
}

void scale_cam(Tensor& map) {
  const auto [least, most] = std::minmax_element(map.f32(), map.f32() + map.numel());
  const float low = *least, range = 1e-7f + (*most - low);
  for (float& value : map.span<float>()) value = (value - low) / range;
}

}  // namespace vit
