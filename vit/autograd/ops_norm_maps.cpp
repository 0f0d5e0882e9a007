// Normalisation of maps over positions: batch norm and group norm. Both are one computation: every statistic belongs to
// some neighbouring channels of a run of rows, which is one sample, or the whole batch.
#include <cmath>
#include <vector>

#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

/// x seen as `samples` runs of `rows` rows of `channels`; `width` neighbouring channels of a run share a statistic.
struct MapRows {
  int64_t samples, rows, channels, width;
  int64_t count() const { return rows * width; }  ///< values behind one statistic
  int64_t table() const { return samples * channels; }
};

/// Sums over the rows of each sample: [samples, sums]. `add_row` adds the row that begins at an offset. In double, in
/// fixed parts and their order.
template <class AddRow>
std::vector<double> sum_samples(const MapRows& shape, int64_t sums, const AddRow& add_row) {
  const int64_t parts = gradient_parts(shape.rows);
  std::vector<double> partial(static_cast<size_t>(shape.samples * parts * sums), 0.0);
  parallel_for(shape.samples * parts, [&](int64_t index) {
    const int64_t sample = index / parts;
    const Range range = part_range(shape.rows, parts, index % parts);
    for (int64_t row = range.begin; row < range.end; ++row)
      add_row(partial.data() + index * sums, sample, (sample * shape.rows + row) * shape.channels);
  });
  std::vector<double> total(static_cast<size_t>(shape.samples * sums), 0.0);
  for (int64_t index = 0; index < shape.samples * parts; ++index)
    for (int64_t i = 0; i < sums; ++i)
      total[static_cast<size_t>(index / parts * sums + i)] += partial[static_cast<size_t>(index * sums + i)];
  return total;
}

/// Channel sums [samples, channels] -> the mean over each statistic's values, for each of its channels.
void average_groups(std::vector<double>& sums, const MapRows& shape) {
  for (size_t first = 0; first < sums.size(); first += static_cast<size_t>(shape.width)) {
    double sum = 0.0;
    for (size_t c = first; c < first + static_cast<size_t>(shape.width); ++c) sum += sums[c];
    for (size_t c = first; c < first + static_cast<size_t>(shape.width); ++c)
      sums[c] = sum / static_cast<double>(shape.count());
  }
}

/// body(sample, offset of the row) for every row, in parallel.
template <class Body>
void for_each_row(const MapRows& shape, const Body& body) {
  parallel_for_range(shape.samples * shape.rows, row_grain(shape.channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row / shape.rows, row * shape.channels);
  });
}

float value_or(const Var& var, int64_t c, float otherwise) { return var.defined() ? var.value().f32()[c] : otherwise; }

/// y = (x - mean) * rstd * weight + bias, and its gradient.
struct MapNorm {
  Var x, weight, bias;
  MapRows shape;
  Tensor mean{}, rstd{};          // [samples, channels]
  bool of_running_stats = false;  // statistics that do not depend on x

  /// Computes mean and rstd of x; returns the biased variances.
  std::vector<double> measure(Context& ctx, float eps) {
    const float* in = x.value().f32();
    const int64_t channels = shape.channels;
    std::vector<double> means = sum_samples(shape, channels, [&](double* sums, int64_t, int64_t at) {
      for (int64_t c = 0; c < channels; ++c) sums[c] += in[at + c];
    });
    average_groups(means, shape);
    std::vector<double> variances = sum_samples(shape, channels, [&](double* sums, int64_t sample, int64_t at) {
      const double* mean_s = means.data() + sample * channels;
      for (int64_t c = 0; c < channels; ++c) sums[c] += (in[at + c] - mean_s[c]) * (in[at + c] - mean_s[c]);
    });
    average_groups(variances, shape);
    mean = ctx.arena.empty({shape.samples, channels});
    rstd = ctx.arena.empty({shape.samples, channels});
    for (int64_t i = 0; i < shape.table(); ++i) {
      mean.f32()[i] = static_cast<float>(means[static_cast<size_t>(i)]);
      rstd.f32()[i] = static_cast<float>(1.0 / std::sqrt(variances[static_cast<size_t>(i)] + eps));
    }
    return variances;
  }

  Tensor forward(Context& ctx) const {
    const int64_t channels = shape.channels;
    std::vector<float> gain(static_cast<size_t>(shape.table())), shift(static_cast<size_t>(channels));
    for (int64_t i = 0; i < shape.table(); ++i)
      gain[static_cast<size_t>(i)] = rstd.f32()[i] * value_or(weight, i % channels, 1.0f);
    for (int64_t c = 0; c < channels; ++c) shift[static_cast<size_t>(c)] = value_or(bias, c, 0.0f);
    Tensor y = ctx.arena.empty(x.shape());
    for_each_row(shape, [&](int64_t sample, int64_t at) {
      const float *in = x.value().f32() + at, *mean_s = mean.f32() + sample * channels;
      const float* gain_s = gain.data() + sample * channels;
      float* out = y.f32() + at;
      for (int64_t c = 0; c < channels; ++c) out[c] = (in[c] - mean_s[c]) * gain_s[c] + shift[static_cast<size_t>(c)];
    });
    return y;
  }

  void operator()(Tape& tape, const Tensor& d_y) const {
    StageTimer timer(tape.profile(), "norm.grad");
    const int64_t channels = shape.channels;
    // Per channel: the sum of d_y, and of d_y times the normalised value.
    const std::vector<double> sums = sum_samples(shape, 2 * channels, [&](double* sum, int64_t sample, int64_t at) {
      const float *d_out = d_y.f32() + at, *in = x.value().f32() + at;
      const float *mean_s = mean.f32() + sample * channels, *rstd_s = rstd.f32() + sample * channels;
      for (int64_t c = 0; c < channels; ++c) sum[c] += d_out[c];
      for (int64_t c = 0; c < channels; ++c) sum[channels + c] += d_out[c] * ((in[c] - mean_s[c]) * rstd_s[c]);
    });
    accumulate_parameter(tape, bias, sums, 0);
    accumulate_parameter(tape, weight, sums, channels);
    if (x.requires_grad()) tape.accumulate(x, input_gradient(tape, d_y, sums));
  }

 private:
  void accumulate_parameter(Tape& tape, const Var& parameter, const std::vector<double>& sums, int64_t first) const {
    if (!parameter.requires_grad()) return;
    Tensor gradient = tape.empty({shape.channels});
    for (int64_t c = 0; c < shape.channels; ++c) {
      double sum = 0.0;
      for (int64_t sample = 0; sample < shape.samples; ++sample)
        sum += sums[static_cast<size_t>(sample * 2 * shape.channels + first + c)];
      gradient.f32()[c] = static_cast<float>(sum);
    }
    tape.accumulate(parameter, std::move(gradient));
  }

  /// With g = weight * d_y and n the normalised value: d_x = rstd (g - mean(g) - n mean(g n)), the means over the
  /// values that share the statistic; fixed statistics leave the means out.
  Tensor input_gradient(Tape& tape, const Tensor& d_y, const std::vector<double>& sums) const {
    const int64_t channels = shape.channels;
    const auto size = static_cast<size_t>(shape.table());
    std::vector<double> mean_g(size, 0.0), mean_gn(size, 0.0);
    if (!of_running_stats) {
      for (int64_t i = 0; i < shape.table(); ++i) {
        const int64_t sample = i / channels, c = i % channels;
        const double factor = value_or(weight, c, 1.0f);
        mean_g[static_cast<size_t>(i)] = factor * sums[static_cast<size_t>(sample * 2 * channels + c)];
        mean_gn[static_cast<size_t>(i)] = factor * sums[static_cast<size_t>((sample * 2 + 1) * channels + c)];
      }
      average_groups(mean_g, shape);
      average_groups(mean_gn, shape);
    }
    std::vector<float> gain(size), offset(size), slope(size);
    for (int64_t i = 0; i < shape.table(); ++i) {
      const auto at = static_cast<size_t>(i);
      const double r = rstd.f32()[i];
      gain[at] = static_cast<float>(r * value_or(weight, i % channels, 1.0f));
      offset[at] = static_cast<float>(r * mean_g[at]);
      slope[at] = static_cast<float>(r * r * mean_gn[at]);
    }
    Tensor d_x = tape.empty(x.shape());
    for_each_row(shape, [&](int64_t sample, int64_t at) {
      const float *d_out = d_y.f32() + at, *in = x.value().f32() + at, *mean_s = mean.f32() + sample * channels;
      const float *gain_s = gain.data() + sample * channels, *offset_s = offset.data() + sample * channels;
      const float* slope_s = slope.data() + sample * channels;
      float* d_in = d_x.f32() + at;
      for (int64_t c = 0; c < channels; ++c)
        d_in[c] = gain_s[c] * d_out[c] - offset_s[c] - (in[c] - mean_s[c]) * slope_s[c];
    });
    return d_x;
  }
};

Var finish(Context& ctx, const char* op, MapNorm norm) {
  Tensor y = norm.forward(ctx);
  report_traffic(ctx, op, 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&norm.x, &norm.weight, &norm.bias})) return y;
  const std::vector<Var> inputs = {norm.x, norm.weight, norm.bias};
  return ctx.tape->record(std::move(y), inputs, std::move(norm));
}

/// running = (1 - momentum) * running + momentum * batch, the variance of the batch made unbiased.
void move_running(const RunningStatistics& running, const Tensor& mean, const std::vector<double>& variance,
                  int64_t count, float momentum) {
  const double unbiased = static_cast<double>(count) / static_cast<double>(count - 1);
  const auto moved = [momentum](float old, double batch) {
    return static_cast<float>((1.0 - static_cast<double>(momentum)) * old + static_cast<double>(momentum) * batch);
  };
  for (size_t c = 0; c < variance.size(); ++c) {
    running.mean.f32()[c] = moved(running.mean.f32()[c], mean.f32()[c]);
    running.variance.f32()[c] = moved(running.variance.f32()[c], variance[c] * unbiased);
  }
}

}  // namespace

Var batch_norm(Context& ctx, const Var& x, const Var& weight, const Var& bias, const RunningStatistics& running,
               const BatchNormOptions& options) {
  StageTimer timer(ctx.profile, "batch_norm");
  check(x.value().rank() >= 2, "batch_norm: expected maps [..., C], got ", x.shape());
  const int64_t channels = x.size(-1), rows = x.shape().rows();
  vector_or_null("batch_norm", "weight", weight, channels);
  vector_or_null("batch_norm", "bias", bias, channels);
  for (const Tensor& statistic : {running.mean, running.variance})
    check(statistic.defined() && statistic.shape() == Shape{channels}, "batch_norm: the running statistics must be [",
          channels, "], got ", statistic.shape());
  MapNorm norm{x, weight, bias, {.samples = 1, .rows = rows, .channels = channels, .width = 1}};
  if (ctx.training) {
    check(rows > 1, "batch_norm: training needs more than one value per channel, got ", x.shape());
    const std::vector<double> variance = norm.measure(ctx, options.eps);
    if (ctx.update_statistics) move_running(running, norm.mean, variance, rows, options.momentum);
  } else {
    norm.of_running_stats = true;
    norm.mean = ctx.arena.empty({1, channels});
    norm.rstd = ctx.arena.empty({1, channels});
    for (int64_t c = 0; c < channels; ++c) {
      norm.mean.f32()[c] = running.mean.f32()[c];
      norm.rstd.f32()[c] = 1.0f / std::sqrt(running.variance.f32()[c] + options.eps);
    }
  }
  return finish(ctx, "batch_norm", std::move(norm));
}

Var group_norm(Context& ctx, const Var& x, const Var& weight, const Var& bias, int64_t groups, float eps) {
  StageTimer timer(ctx.profile, "group_norm");
  check(x.value().rank() >= 2, "group_norm: expected maps [B, ..., C], got ", x.shape());
  const int64_t batch = x.size(0), channels = x.size(-1);
  check(groups > 0 && channels % groups == 0, "group_norm: ", channels, " channels cannot be divided into ", groups,
        " groups");
  vector_or_null("group_norm", "weight", weight, channels);
  vector_or_null("group_norm", "bias", bias, channels);
  const int64_t rows = batch == 0 ? 0 : x.shape().rows() / batch;
  MapNorm norm{x, weight, bias, {.samples = batch, .rows = rows, .channels = channels, .width = channels / groups}};
  norm.measure(ctx, eps);
  return finish(ctx, "group_norm", std::move(norm));
}

}  // namespace vit
