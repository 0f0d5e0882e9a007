// Captions are of their grammar and true.
#include "datasets/scenes_caption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/errors.h"

namespace datasets {
namespace {

using testing::HasSubstr;

SceneObject object(SceneKind kind, SceneColor color, SceneSize size, std::array<float, 4> box, int64_t depth = 0) {
  return {0, kind, color, size, box, 1.0f, depth};
}

TEST(SceneCaptions, AreOfTheGrammarAndTrue) {
  std::set<std::string> openings;
  int64_t relations = 0, lists = 0, lies = 0, changed = 0;
  for (int64_t index = 0; index < 400; ++index) {
    const Scene scene = draw_scene(31, index, 64);
    ASSERT_EQ(scene.captions.size(), static_cast<size_t>(kSceneCaptions));
    for (size_t i = 0; i < scene.captions.size(); ++i) {
      const std::string& text = scene.captions[i];
      const SceneCaption caption = parse_scene_caption(text);
      EXPECT_TRUE(caption_is_true(caption, scene.objects)) << text;
      EXPECT_THAT(text, testing::EndsWith(caption.text()));
      openings.insert(text.substr(0, text.size() - caption.text().size()));
      (caption.relation ? relations : lists) += 1;
      if (i == 0) {
        int64_t told = 0;
        for (const CaptionItem& item : caption.items) told += item.count;
        EXPECT_EQ(told, static_cast<int64_t>(scene.objects.size())) << text;
      }
      SceneCaption lie = caption;
      lie.items[0].kind = static_cast<SceneKind>((static_cast<int64_t>(lie.items[0].kind) + 1) % kSceneKinds);
      ++changed;
      lies += !caption_is_true(lie, scene.objects);
    }
  }
  EXPECT_EQ(openings, (std::set<std::string>{"", "there is ", "there are ", "a picture of ", "this shows "}));
  EXPECT_GT(relations, 600);
  EXPECT_GT(lists, 300);
  EXPECT_GT(lies, changed * 95 / 100);  // now and then the changed object is there as well
}

TEST(SceneCaptions, WordsAreEnglish) {
  SceneCaption caption;
  caption.items = {{1, SceneSize::small, SceneColor::red, SceneKind::star},
                   {1, SceneSize::large, SceneColor::blue, SceneKind::ring},
                   {1, {}, SceneColor::green, SceneKind::key}};
  caption.relation = SceneRelation::left_of;
  EXPECT_EQ(caption.text(), "a small red star left of a large blue ring and a green key");
  caption.relation.reset();
  caption.items = {{2, {}, SceneColor::orange, SceneKind::leaf},
                   {1, {}, SceneColor::orange, SceneKind::cup},
                   {3, {}, SceneColor::cyan, SceneKind::cross}};
  EXPECT_EQ(caption.text(), "two orange leaves, an orange cup and three cyan crosses");
  caption.items.resize(1);
  EXPECT_EQ(caption.text(), "two orange leaves");
}

TEST(SceneCaptions, ForeignWordsAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"a small red dog", "'dog'"},
                                                                  {"", "the end"},
                                                                  {"a red", "the end"},
                                                                  {"two red star", "in the plural"},
                                                                  {"a red star near a blue key", "'near'"},
                                                                  {"a red star and", "the end"},
                                                                  {"red star", "'red'"}};
  for (const auto& foreign : cases)
    EXPECT_THAT(vit::test::failure([&] { parse_scene_caption(foreign.first); }), HasSubstr(foreign.second));
}

TEST(SceneCaptions, TruthIsJudgedByTheObjects) {
  const std::vector<SceneObject> objects = {
      object(SceneKind::star, SceneColor::red, SceneSize::large, {60, 20, 100, 60}, 1),
      object(SceneKind::key, SceneColor::green, SceneSize::small, {10, 30, 20, 40}),
      object(SceneKind::key, SceneColor::green, SceneSize::small, {65, 90, 75, 99})};
  const auto is_true = [&](const char* text) { return caption_is_true(parse_scene_caption(text), objects); };
  EXPECT_TRUE(is_true("a red star right of a green key"));
  EXPECT_TRUE(is_true("a large red star above a green key"));  // the other one
  EXPECT_TRUE(is_true("there are two green keys and a red star"));
  EXPECT_TRUE(is_true("a green key and a green key"));
  EXPECT_FALSE(is_true("three green keys"));
  EXPECT_FALSE(is_true("a green key, a green key and a green key"));
  EXPECT_FALSE(is_true("a red star left of a green key"));
  EXPECT_FALSE(is_true("a small red star"));
  EXPECT_FALSE(is_true("a red star in front of a green key"));
}

}  // namespace
}  // namespace datasets
