// A captioner for tests of what is around models: its next word depends on the last one and the picture's first value
// alone, by a table.
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "captioning/model.h"
#include "vit/core/rng.h"

namespace captioning::test {

class MarkovCaptioner : public CaptionModel {
 public:
  /// table [V, V]: row t has the logits behind token t; every picture adds its first value to token `favoured`.
  explicit MarkovCaptioner(vit::Tensor table, StartAndEnd own = {0, {1}, 2}, int64_t positions = 32)
      : table_(std::move(table)), own_(std::move(own)), positions_(positions) {}

  /// Logits that differ widely.
  static vit::Tensor random_table(int64_t vocab, uint64_t seed, float spread = 2.0f) {
    vit::Tensor table = vit::Tensor::empty({vocab, vocab});
    vit::Rng rng(seed);
    vit::fill_normal(table, rng, spread);
    return table;
  }

  static constexpr int64_t favoured = 3;

  vit::Var encode(vit::Context&, const vit::Var& images) const override {
    return images.value().view({images.size(0), 1, images.value().numel() / images.size(0)});
  }

  vit::Var logits(vit::Context&, const vit::Var& encoded, const vit::Tensor& ids, const vit::Tensor&) const override {
    vit::Tensor all = vit::Tensor::empty({ids.size(0), ids.size(1), vocab_size()});
    for (int64_t i = 0; i < ids.numel(); ++i)
      write(all.f32() + i * vocab_size(), ids.data<int64_t>()[i], picture_value(encoded.value(), i / ids.size(1)));
    return all;
  }

  struct State : DecoderState {
    int64_t rows() const override { return static_cast<int64_t>(values.size()); }
    int64_t length() const override { return tokens; }
    void select(const std::vector<int64_t>& parents) override {
      std::vector<float> chosen;
      for (const int64_t parent : parents) chosen.push_back(values.at(static_cast<size_t>(parent)));
      values = chosen;
    }
    std::vector<float> values;
    int64_t tokens = 0;
  };

  std::unique_ptr<DecoderState> begin(vit::Context&, const vit::Tensor& encoded, int64_t rows) const override {
    auto state = std::make_unique<State>();
    for (int64_t i = 0; i < encoded.size(0) * rows; ++i) state->values.push_back(picture_value(encoded, i / rows));
    return state;
  }

  vit::Tensor step(vit::Context&, DecoderState& state, const vit::Tensor& ids) const override {
    auto& own = dynamic_cast<State&>(state);
    vit::check(ids.size(0) == own.rows(), "markov: ", ids.size(0), " rows of ids for ", own.rows());
    own.tokens += ids.size(1);
    ++steps;
    vit::Tensor next = vit::Tensor::empty({ids.size(0), vocab_size()});
    for (int64_t i = 0; i < ids.size(0); ++i)
      write(next.f32() + i * vocab_size(), ids.data<int64_t>()[(i + 1) * ids.size(1) - 1],
            own.values[static_cast<size_t>(i)]);
    return next;
  }

  int64_t vocab_size() const override { return table_.size(0); }
  int64_t max_positions() const override { return positions_; }
  StartAndEnd start_and_end() const override { return own_; }
  int64_t attention_layers() const override { return 1; }
  WordAttention word_attention(int64_t) const override { return {}; }

  vit::ConfigNode describe() const override { return {}; }
  void set_training(const vit::TrainingOptions&) override {}
  std::vector<std::string> replace_head(int64_t) override { return {}; }
  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override {
    static const std::map<std::string, vit::ReferenceOutput> none;
    return none;
  }
  void set_input_size(int64_t, int64_t) override {}

  mutable int64_t steps = 0;

 private:
  static float picture_value(const vit::Tensor& encoded, int64_t picture) {
    return encoded.f32()[picture * encoded.size(1) * encoded.size(2)];
  }
  void write(float* row, int64_t token, float picture) const {
    const float* from = table_.f32() + token * vocab_size();
    std::copy(from, from + vocab_size(), row);
    if (vocab_size() > favoured) row[favoured] += picture;
  }

  vit::Tensor table_;
  StartAndEnd own_;
  int64_t positions_;
};

}  // namespace captioning::test
