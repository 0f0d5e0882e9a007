#include "tests/parity/caption_case.h"

#include <nlohmann/json.hpp>
#include <string>

#include "captioning/caption_loss.h"
#include "captioning/encoder_decoder.h"
#include "tests/parity/named_model.h"
#include "vit/autograd/tape.h"
#include "vit/io/checkpoint.h"
#include "vit/io/json.h"

namespace vit {

namespace {

/// What the decoder is given, and what it is to say: BLIP's files have the caption, the others what it is made from.
struct Teaching {
  Tensor ids, mask, labels;
};

Teaching teaching_of(const SafetensorsFile& golden, const captioning::StartAndEnd& tokens) {
  const Tensor labels = golden.view("labels");
  if (!golden.find("input_ids")) return {captioning::shifted_right(labels, tokens.start, tokens.pad), {}, labels};
  return {golden.view("input_ids"), golden.view("attention_mask"), captioning::next_labels(labels)};
}

}  // namespace

std::vector<GradientResult> run_captioner_gradients_golden(const std::filesystem::path& dir) {
  GoldenComparison comparison(dir);
  const SafetensorsFile& golden = comparison.golden();
  const std::string weights = JsonObject(comparison.description(), "case.json").require_string("weights");
  const Checkpoint checkpoint = Checkpoint::open((dir / weights).lexically_normal().string());
  NamedModel named(checkpoint, checkpoint.config());
  const auto& model = dynamic_cast<const captioning::EncoderDecoder&>(named.model());
  const Teaching teaching = teaching_of(golden, model.start_and_end());
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var logits = model.logits(ctx, model.encode(ctx, golden.view("input")), teaching.ids, teaching.mask);
  const Var loss = captioning::caption_loss(ctx, logits, teaching.labels, model.config().label_smoothing);
  tape.backward(loss);
  comparison.compare("loss", loss.value());
  if (golden.find("logits")) comparison.compare("logits", logits.value());
  named.compare_gradients(comparison);
  return comparison.take_results();
}

}  // namespace vit
