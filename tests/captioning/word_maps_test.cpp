// Where words looked: the maps against the model's own attention, words out of pieces, sheets.
#include "captioning/word_maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "captioning/word_sheet.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_captioner.h"

namespace captioning {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::usage_error;

class WordMaps : public testing::Test {
 protected:
  WordMaps() {
    vit::test::write_tiny_captioner(dir_ / "captioner");
    captioner_ = Captioner::load((dir_ / "captioner").string());
    picture_ = vit::test::pattern(40, 48);
  }

  /// A caption as if the model had written it.
  Caption said(const std::string& text) const {
    Caption caption{.text = text, .ids = captioner_->prompt_ids(text)};
    caption.ids.push_back(2);
    return caption;
  }

  vit::test::TempDir dir_;
  std::optional<Captioner> captioner_;
  vit::Image picture_;
};

/// What was observed under a name.
class Seen : public vit::Observer {
 public:
  explicit Seen(std::string name) : name_(std::move(name)) {}
  bool wants(const std::string& name) override { return name == name_; }
  void observe(const std::string& name, const vit::Tensor& tensor) override {
    if (name == name_) value = tensor.clone();
  }
  vit::Tensor value;

 private:
  std::string name_;
};

TEST_F(WordMaps, AreTheModelsAttention) {
  const Caption caption = said("a red star .");
  const CaptionModel& model = captioner_->model();
  Seen seen(model.word_attention(0).name);
  vit::Context ctx;
  const vit::Var encoded = model.encode(ctx, captioner_->prepare({picture_}).pixel_values);
  ctx.observer = &seen;
  model.logits(ctx, encoded, vit::Tensor::from(caption.ids, {1, static_cast<int64_t>(caption.ids.size())}), {});
  ASSERT_TRUE(seen.value.defined());
  const int64_t words = seen.value.size(2), regions = seen.value.size(3);
  ASSERT_EQ(regions, 16);
  const std::vector<WordMap> maps = word_maps(*captioner_, picture_, caption, {.layer = 0, .head = 1});
  int64_t position = 1;  // of the first piece; the word's row is the one before
  for (const WordMap& map : maps) {
    for (int64_t cell = 0; cell < regions; ++cell) {
      double mean = 0.0;
      for (size_t piece = 0; piece < map.ids.size(); ++piece)
        mean += seen.value.f32()[(words + position - 1 + static_cast<int64_t>(piece)) * regions + cell];
      EXPECT_NEAR(map.cells.f32()[cell], mean / static_cast<double>(map.ids.size()), 1e-5);
    }
    position += static_cast<int64_t>(map.ids.size());
  }
  EXPECT_EQ(position, static_cast<int64_t>(caption.ids.size()) - 1) << "all but the end";
}

TEST_F(WordMaps, JoinPiecesAndKeepMarksApart) {
  std::vector<std::string> words;
  for (const WordMap& map : word_maps(*captioner_, picture_, said("a starblue cat , a dog.")))
    words.push_back(map.word);
  EXPECT_THAT(words, ElementsAre("a", "starblue", "cat", ",", "a", "dog", "."));
}

TEST_F(WordMaps, RefuseWhatIsNotThere) {
  const Caption caption = said("a star");
  EXPECT_THAT(usage_error([&] { word_maps(*captioner_, picture_, caption, {.layer = 2}); }), HasSubstr("no layer 2"));
  EXPECT_THAT(usage_error([&] { word_maps(*captioner_, picture_, caption, {.layer = {}, .head = 2}); }),
              HasSubstr("no attention head 2"));
  EXPECT_TRUE(word_maps(*captioner_, picture_, {.text = {}, .ids = {1}}).empty()) << "nothing was said";
}

TEST_F(WordMaps, WordsAreBrightWhereTheyLooked) {
  WordMap word{.word = "corner", .ids = {}, .cells = vit::Tensor::zeros({2, 2}), .window = {.rows = 2, .columns = 2}};
  word.cells.f32()[0] = 1.0f;
  vit::Image grey(64, 64);
  std::fill_n(grey.row(0), 3 * 64 * 64, uint8_t{100});
  const vit::Image drawn = draw_word(grey, word);
  EXPECT_GT(drawn.row(4)[3 * 4], 100);
  EXPECT_EQ(drawn.row(60)[3 * 60], 33) << "a third of the light";
}

TEST_F(WordMaps, SheetsHaveAPanelPerWordAndSayWhere) {
  const std::vector<WordMap> words = word_maps(*captioner_, picture_, said("a small red star above"));
  ASSERT_EQ(words.size(), 5u);
  const WordSheet sheet = draw_word_sheet(picture_, words, "a small red star above", {.columns = 3, .side = 96});
  ASSERT_EQ(sheet.boxes.size(), 6u);
  for (const auto& [x0, y0, x1, y1] : sheet.boxes) {
    EXPECT_EQ(x1 - x0, 96);
    EXPECT_EQ(y1 - y0, 80);
    EXPECT_LE(x1, sheet.image.width());
    EXPECT_LE(y1, sheet.image.height());
  }
  EXPECT_EQ(sheet.boxes[3][0], sheet.boxes[0][0]) << "the next row";
  EXPECT_GT(sheet.boxes[3][1], sheet.boxes[0][3]);
  const WordSheet alone = draw_word_sheet(picture_, {}, "");
  EXPECT_EQ(alone.boxes.size(), 1u);
}

}  // namespace
}  // namespace captioning
