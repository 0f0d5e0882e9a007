// One caption of one picture, by beams: caption_bench CHECKPOINT [THREADS]. For every line on stdin one caption is
// written and answered with a line of JSON (its ids, its score, its milliseconds); at the end stdout has where the time
// went: the picture, the words, and the rate at which the words' weights were read. torch_caption.py makes the
// checkpoint, and compares.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "captioning/generate.h"
#include "captioning/model.h"
#include "vit/core/file.h"
#include "vit/core/parallel.h"
#include "vit/core/timer.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"

namespace {

constexpr int64_t kWords = 20, kBeams = 4;

struct Times {
  std::vector<double> encode_ms, words_ms;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Bytes of the weights that each step reads: the decoder's, but for what the picture alone is given to, and of the
/// tables the rows that are asked for. A tied table is read whole, by the head.
double step_bytes(captioning::CaptionModel& model) {
  double bytes = 0.0;
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    const bool read = name.starts_with("decoder.") && name.find("cross_attn.kv") == std::string::npos &&
                      name != "decoder.positions.weight";
    if (read) bytes += 4.0 * static_cast<double>(parameter.shape.numel());
  });
  return bytes;
}

void answer(const captioning::CaptionModel& model, vit::Context& ctx, const vit::Tensor& picture, Times& times) {
  const vit::Timer whole;
  const vit::Tensor encoded = model.encode(ctx, picture).value();
  const double encode_ms = whole.milliseconds();
  const auto captions = captioning::generate(ctx, model, encoded, {},
                                             {.num_beams = kBeams, .min_new_tokens = kWords, .max_new_tokens = kWords});
  const double ms = whole.milliseconds();
  times.encode_ms.push_back(encode_ms);
  times.words_ms.push_back(ms - encode_ms);
  const captioning::Sequence& best = captions.front().front();
  fmt::print("{{\"ids\": [{}], \"score\": {}, \"ms\": {}}}\n", fmt::join(best.ids, ", "), best.score, ms);
  std::fflush(stdout);
}

vit::Tensor read_picture(const vit::Checkpoint& checkpoint, const vit::ModelInfo& info) {
  vit::Tensor picture = vit::Tensor::empty({1, info.input_channels, info.input_size[0], info.input_size[1]});
  const std::string bytes = vit::read_file(checkpoint.dir() / "picture.f32");
  vit::check(static_cast<int64_t>(bytes.size()) == picture.nbytes(), "picture.f32 is no picture of the model's size");
  std::memcpy(picture.f32(), bytes.data(), bytes.size());
  return picture;
}

}  // namespace

int main(int argc, char** argv) try {
  vit::check(argc == 2 || argc == 3, "usage: caption_bench CHECKPOINT [THREADS]");
  vit::set_num_threads(argc == 3 ? std::stoi(argv[2]) : 2);
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(argv[1]);
  const std::unique_ptr<vit::ImageModel> loaded = vit::load_model(checkpoint);
  auto& model = dynamic_cast<captioning::CaptionModel&>(*loaded);
  const double bytes = step_bytes(model);
  const vit::Tensor picture = read_picture(checkpoint, model.info());
  vit::Context ctx;
  Times times;
  for (std::string line; std::getline(std::cin, line);) answer(model, ctx, picture, times);
  if (times.encode_ms.empty()) return 0;
  const double words_ms = median(times.words_ms), step_ms = words_ms / kWords;
  fmt::print("vitkit: picture {:.1f} ms, {} words {:.1f} ms: {:.2f} ms each, {:.0f} MB of weights at {:.1f} GB/s\n",
             median(times.encode_ms), kWords, words_ms, step_ms, 1e-6 * bytes, 1e-6 * bytes / step_ms);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "caption_bench: {}\n", error.what());
  return 1;
}
