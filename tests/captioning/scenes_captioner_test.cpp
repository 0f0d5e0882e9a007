// The bundled captioner on scenes that it was not trained on: what it says is well worded and names the main object.
#include <gtest/gtest.h>

#include <memory>

#include "captioning/caption_metrics.h"
#include "captioning/generate.h"
#include "captioning/tokenizer.h"
#include "datasets/caption_loader.h"
#include "datasets/scenes.h"
#include "datasets/scenes_caption.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"
#include "vit/predictor.h"

namespace captioning {
namespace {

constexpr uint64_t kSeed = 77;
constexpr int64_t kScenes = 200, kSide = 64;

/// Whether a caption names the class of a scene's main object; one that is not of the scenes' grammar does not.
bool names_main_object(const std::string& caption, const datasets::Scene& scene) {
  try {
    for (const datasets::CaptionItem& item : datasets::parse_scene_caption(caption).items)
      if (item.kind == scene.objects.front().kind) return true;
  } catch (const vit::Error&) {
    return false;
  }
  return false;
}

TEST(ScenesCaptioner, SaysWhatScenesShow) {
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(VITKIT_SOURCE_DIR "/models/scenes_captioner");
  const auto model = vit::load_model(checkpoint);
  const auto& captioner = dynamic_cast<const CaptionModel&>(*model);
  const Tokenizer tokenizer = Tokenizer::load(checkpoint.dir());
  const GenerationConfig generation = read_generation_config(checkpoint);
  const auto scenes =
      datasets::require_captions(std::make_shared<datasets::ScenesDataset>(kSeed, kScenes, kSide), "scenes");
  datasets::LoaderConfig batches;
  batches.batch_size = 50;
  const auto loader = datasets::make_caption_eval_loader(*scenes, vit::load_preprocessor(checkpoint, *model), batches);
  std::vector<std::string> written;
  std::vector<std::vector<std::string>> references;
  int64_t named = 0;
  vit::Context ctx;
  vit::Batch batch;
  loader->start(0, 0);
  while (loader->next(batch)) {
    const vit::Tensor encoded = captioner.encode(ctx, batch.images).value();
    for (const std::vector<Sequence>& best : generate(ctx, captioner, encoded, {}, generation)) {
      const auto picture = static_cast<int64_t>(written.size());
      written.push_back(tokenizer.decode(best.front().ids));
      references.push_back(scenes->captions(picture));
      named += names_main_object(written.back(), datasets::draw_scene(kSeed, picture, kSide)) ? 1 : 0;
    }
  }
  ASSERT_EQ(static_cast<int64_t>(written.size()), kScenes);
  EXPECT_GE(caption_metrics(written, references).corpus.bleu4, 0.60);
  EXPECT_GE(static_cast<double>(named) / static_cast<double>(kScenes), 0.90);
}

}  // namespace
}  // namespace captioning
