#include "vit/explain/html_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/explain/report_data.h"
#include "vit/explain/report_plan.h"

namespace vit {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A layer whose tokens are a class token and a grid, with probabilities that differ everywhere.
ReportLayer layer_of(const std::string& name, int64_t heads, int64_t rows, int64_t columns) {
  const ReportTokens tokens{.before = {"class token"}, .rows = rows, .columns = columns};
  ReportLayer layer{.name = name, .queries = tokens, .keys = tokens};
  layer.probs = Tensor::empty({heads, tokens.count(), tokens.count()});
  for (int64_t i = 0; i < layer.probs.numel(); ++i) layer.probs.f32()[i] = static_cast<float>(i * 37 % 101) / 5000.0f;
  return layer;
}

ReportPicture picture_of(const std::string& name) {
  return {.name = name,
          .picture = Image(Tensor::zeros({32, 48, 3}, DType::u8)),
          .lines = {"cat 0.9"},
          .layers = {layer_of("blocks.0.attn", 4, 4, 6), layer_of("blocks.1.attn", 4, 4, 6)},
          .maps = {{.name = "Grad-CAM",
                    .subject = "cat",
                    .map = Tensor::from<float>({0.0f, 1.0f, 0.5f, 0.25f}, {2, 2}),
                    .figures = {{.name = "deletion AUC", .value = 0.25, .goal = FigureGoal::low, .hint = "a hint"}}}}};
}

Report report_of() { return {.title = "title", .lines = {"model"}, .pictures = {picture_of("a.png")}}; }

/// What the page's script reads.
nlohmann::json data_of(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t from = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

std::string decoded(const std::string& base64) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t group = 0, bits = 0;
  for (const char letter : base64) {
    if (letter == '=') break;
    group = group << 6 | static_cast<uint32_t>(letters.find(letter));
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(group >> bits & 255u);
  }
  return bytes;
}

TEST(Base64, HasTheStandardsExamples) {
  // RFC 4648, section 10.
  const std::vector<std::pair<std::string, std::string>> examples{
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& example : examples) {
    EXPECT_EQ(detail::base64(example.first), example.second);
    EXPECT_EQ(detail::base64_size(static_cast<int64_t>(example.first.size())),
              static_cast<int64_t>(example.second.size()));
  }
  EXPECT_EQ(detail::base64("\xff\xfe\xfd"), "//79");
}

TEST(QuantisedAttention, IsWithinAStepOfItsRow) {
  const ReportLayer layer = layer_of("a", 3, 4, 6);
  const int64_t tokens = layer.queries.count();
  for (const detail::LayerPart part : {detail::LayerPart::heads, detail::LayerPart::mean}) {
    const bool mean = part == detail::LayerPart::mean;
    const detail::QuantisedAttention kept = detail::quantised(layer, part);
    const int64_t rows = (mean ? 1 : 3) * tokens;
    ASSERT_EQ(static_cast<int64_t>(kept.scales.size()), rows);
    ASSERT_EQ(static_cast<int64_t>(kept.shares.size()), rows * tokens);
    for (int64_t i = 0; i < rows * tokens; ++i) {
      double expected = 0.0;
      for (int64_t h = 0; h < (mean ? 3 : 1); ++h)
        expected += layer.probs.f32()[h * tokens * tokens + i] / (mean ? 3.0 : 1.0);
      const double scale = kept.scales[static_cast<size_t>(i / tokens)];
      const double found = scale * static_cast<unsigned char>(kept.shares[static_cast<size_t>(i)]) / 255.0;
      EXPECT_NEAR(found, expected, scale * (0.5 / 255.0 + 1e-6)) << i;
    }
  }
}

TEST(HtmlReport, HoldsItsNumbers) {
  const Report report = report_of();
  const nlohmann::json data = data_of(html_report(report));
  EXPECT_EQ(data["title"], "title");
  const nlohmann::json& layer = data["pictures"][0]["layers"][1];
  EXPECT_EQ(layer["name"], "blocks.1.attn");
  EXPECT_EQ(layer["heads"].size(), 4u);
  EXPECT_EQ(layer["queries"]["before"][0], "class token");
  EXPECT_EQ(layer["queries"]["window"]["columns"], 6.0) << "without a window the picture covers all of the grid";
  const detail::QuantisedAttention kept = detail::quantised(report.pictures[0].layers[1], detail::LayerPart::heads);
  EXPECT_EQ(decoded(layer["values"]), kept.shares);
  EXPECT_EQ(decoded(layer["scales"]).size(), kept.scales.size() * sizeof(float));
  const nlohmann::json& map = data["pictures"][0]["maps"][0];
  EXPECT_EQ(decoded(map["values"]), std::string("\0\xff\x80\x40", 4));
  EXPECT_EQ(map["figures"]["deletion AUC"]["value"], 0.25);
  EXPECT_EQ(data["figures"][0]["goal"], "low");
  EXPECT_EQ(decoded(data["colors"]["diverging"]).size(), 768u);
}

TEST(HtmlReport, NeedsNothingElse) {
  const std::string page = html_report(report_of());
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  for (const char* outside : {"http:", "https:", "src=\"/", "href=", "@import", "url(", "fetch(", "import("})
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, Not(HasSubstr("{{"))) << "everything is filled in";
  EXPECT_EQ(page, html_report(report_of())) << "the same bytes";
}

/// A page without these elements and what is in them. (No expression: the library's recurses for every letter.)
std::string without_elements(std::string page, const std::string& name) {
  const std::string end = "</" + name + ">";
  for (size_t from = page.find("<" + name); from != std::string::npos; from = page.find("<" + name)) {
    const size_t to = page.find(end, from);
    if (to == std::string::npos) break;
    page.erase(from, to + end.size() - from);
  }
  return page;
}

TEST(HtmlReport, ElementsAreClosedAndNamesUnique) {
  const std::string page = without_elements(without_elements(html_report(report_of()), "style"), "script");
  std::vector<std::string> open, ids;
  const std::regex tag("<(/?)([a-z0-9]+)([^>]*)>");
  for (std::sregex_iterator at(page.begin(), page.end(), tag), end; at != end; ++at) {
    const std::string name = (*at)[2], attributes = (*at)[3];
    std::smatch id;
    if (std::regex_search(attributes, id, std::regex(" id=\"([^\"]*)\""))) ids.push_back(id[1]);
    if (name == "meta" || name == "img" || name == "input") continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
      continue;
    }
    ASSERT_FALSE(open.empty());
    EXPECT_EQ(open.back(), name);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty());
  EXPECT_GT(ids.size(), 20u);
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

TEST(HtmlReport, TextsAreEscaped) {
  Report report = report_of();
  report.title = "a<b>&\"{{data}}";
  report.pictures[0].name = "</script><script>alert(1)</script>";
  report.pictures[0].maps[0].note = "broken \xff utf-8";
  const std::string page = html_report(report);
  EXPECT_THAT(page, HasSubstr("<title>a&lt;b&gt;&amp;&quot;{{data}}</title>"));
  EXPECT_THAT(page, Not(HasSubstr("</script><script>alert")));
  const nlohmann::json data = data_of(page);
  EXPECT_EQ(data["pictures"][0]["name"], report.pictures[0].name);
  EXPECT_EQ(data["pictures"][0]["maps"][0]["note"], "broken \xEF\xBF\xBD utf-8");
}

TEST(HtmlReport, LargePicturesAreScaledDown) {
  Report report = report_of();
  report.pictures[0].picture = Image(Tensor::zeros({600, 300, 3}, DType::u8));
  const nlohmann::json picture = data_of(html_report(report, {.picture_side = 128}))["pictures"][0];
  EXPECT_EQ(picture["height"], 128);
  EXPECT_EQ(picture["width"], 64);
  EXPECT_EQ(picture["image"].get<std::string>().substr(0, 22), "data:image/png;base64,");
  EXPECT_EQ(data_of(html_report(report))["pictures"][0]["image"].get<std::string>().substr(0, 16), "data:image/jpeg;");
}

TEST(HtmlReport, KeepsToItsLimit) {
  Report report = report_of();
  report.pictures[0].layers[0] = layer_of("large", 8, 12, 12);
  report.pictures.push_back(picture_of("b.png"));
  const std::string whole = html_report(report, {.max_bytes = 100'000'000});
  EXPECT_THAT(whole, Not(HasSubstr("to keep the file small")));
  // One byte too few: the largest layer has the mean of its heads.
  const auto size = static_cast<int64_t>(whole.size());
  const std::string less = html_report(report, {.max_bytes = size - 1});
  EXPECT_LT(static_cast<int64_t>(less.size()), size);
  EXPECT_THAT(less, HasSubstr("a.png: to keep the file small, these layers have the mean of their heads only: large."));
  EXPECT_EQ(data_of(less)["pictures"][0]["layers"][0]["heads"], nlohmann::json({"mean of 8 heads"}));
  EXPECT_EQ(data_of(less)["pictures"][0]["layers"][1]["heads"].size(), 4u) << "the others stay";
  // Everything has its mean; then the largest is left out.
  const int64_t little = size - detail::layer_size(report.pictures[0].layers[0], detail::LayerPart::heads) -
                         3 * detail::layer_size(report.pictures[0].layers[1], detail::LayerPart::heads) + 3000;
  const std::string least = html_report(report, {.max_bytes = little});
  EXPECT_LE(static_cast<int64_t>(least.size()), little);
  EXPECT_THAT(least, HasSubstr("these layers are left out: large"));
  EXPECT_THAT(test::usage_error([&] { html_report(report, {.max_bytes = 10'000}); }),
              AllOf(HasSubstr("a.png and its maps"), HasSubstr("more than the limit of 10000"), HasSubstr("raise it")));
}

TEST(HtmlReport, LastPicturesGoWhereThereIsNoRoom) {
  Report report = report_of();
  for (int i = 1; i < 8; ++i) report.pictures.push_back(picture_of(std::to_string(i)));
  for (ReportPicture& picture : report.pictures) {
    picture.layers.clear();
    picture.maps[0].map = Tensor::full({150, 100}, 0.5f);
  }
  const std::string page = html_report(report, {.max_bytes = 120'000});
  EXPECT_LE(page.size(), 120'000u);
  const size_t kept = data_of(page)["pictures"].size();
  EXPECT_GE(kept, 2u);
  EXPECT_LT(kept, 8u);
  EXPECT_THAT(page,
              HasSubstr("To keep the file small, " + std::to_string(8 - kept) + " further pictures are not in it"));
}

TEST(AddToReport, HoldsNoMoreThanFits) {
  Report report;
  const ReportOptions options{.max_bytes = 200'000};
  int64_t taken = 0;
  for (int i = 0; i < 40; ++i) {
    ReportPicture picture = picture_of(std::to_string(i) + ".png");
    picture.layers[0] = layer_of("large", 8, 8, 6);
    taken += add_to_report(report, std::move(picture), options) ? 1 : 0;
  }
  EXPECT_EQ(taken + report.left_out, 40);
  EXPECT_EQ(static_cast<int64_t>(report.pictures.size()), taken);
  EXPECT_GE(taken, 4);
  EXPECT_LT(taken, 30);
  EXPECT_EQ(report.pictures[0].layers[0].mean_of, 8) << "heads become their mean before pictures go";
  EXPECT_EQ(report.pictures[0].layers[0].probs.shape(), (Shape{1, 49, 49}));
  const ReportLayer whole = layer_of("large", 8, 8, 6);
  for (int64_t i = 0; i < 49 * 49; i += 97) {
    double mean = 0.0;
    for (int64_t h = 0; h < 8; ++h) mean += whole.probs.f32()[h * 49 * 49 + i] / 8.0;
    EXPECT_NEAR(report.pictures[0].layers[0].probs.f32()[i], mean, 1e-6);
  }
  const std::string page = html_report(report, options);
  EXPECT_LE(static_cast<int64_t>(page.size()), options.max_bytes);
  EXPECT_THAT(page, AllOf(HasSubstr("mean of 8 heads"), HasSubstr("further pictures are not in it")));
  EXPECT_EQ(static_cast<int64_t>(data_of(page)["pictures"].size()), taken) << "what was taken is in the file";
}

TEST(AddToReport, TheFirstIsAlwaysTaken) {
  Report report;
  EXPECT_TRUE(add_to_report(report, picture_of("a.png"), {.max_bytes = 100}));
  EXPECT_FALSE(add_to_report(report, picture_of("b.png"), {.max_bytes = 100}));
  EXPECT_EQ(report.left_out, 1);
  EXPECT_THAT(test::failure([&] { add_to_report(report, {.name = "c.png"}); }),
              HasSubstr("c.png: there are no pixels"));
}

TEST(ReportPlan, EarliestOfEqualLayersGoFirst) {
  Report report = report_of();
  for (int i = 2; i < 6; ++i) report.pictures[0].layers.push_back(layer_of("blocks." + std::to_string(i), 4, 4, 6));
  using detail::LayerPart;
  const int64_t all = detail::layer_size(report.pictures[0].layers[0], LayerPart::heads),
                averaged = detail::layer_size(report.pictures[0].layers[0], LayerPart::mean);
  const auto parts = [&](int64_t budget) { return detail::plan_report(report, budget).layers[0]; };
  std::vector<LayerPart> expected(6, LayerPart::heads);
  EXPECT_EQ(parts(6 * all), expected);
  expected[0] = LayerPart::mean;
  EXPECT_EQ(parts(6 * all - 1), expected);
  expected.assign(6, LayerPart::mean);
  expected[0] = expected[1] = LayerPart::none;
  EXPECT_EQ(parts(4 * averaged), expected);
  EXPECT_EQ(parts(0), std::vector<LayerPart>(6, LayerPart::none));
}

TEST(HtmlReport, IsWrittenWholeOrNotAtAll) {
  const test::TempDir dir;
  write_html_report(dir / "r.html", report_of());
  EXPECT_EQ(test::slurp(dir / "r.html"), html_report(report_of()));
  EXPECT_THAT(test::failure([&] { write_html_report(dir / "no" / "r.html", report_of()); }), HasSubstr("r.html"));
  EXPECT_THAT(test::usage_error([&] { write_html_report(dir / "s.html", report_of(), {.max_bytes = 9}); }),
              HasSubstr("s.html"));
  EXPECT_EQ(dir.entries(), std::vector<std::string>{"r.html"});
}

TEST(HtmlReport, ErrorsNamePictureAndLayer) {
  const auto refusal = [](const std::function<void(Report&)>& spoil) {
    Report report = report_of();
    spoil(report);
    return test::failure([&] { html_report(report); });
  };
  EXPECT_THAT(refusal([](Report& r) { r.pictures.clear(); }), HasSubstr("no picture"));
  EXPECT_THAT(refusal([](Report& r) { r.pictures[0].picture = {}; }), HasSubstr("a.png: there are no pixels"));
  EXPECT_THAT(refusal([](Report& r) { r.pictures[0].layers[1].queries.rows = 9; }),
              AllOf(HasSubstr("a.png: blocks.1.attn"), HasSubstr("expected f32 [heads, 55, 25], got f32 [4, 25, 25]")));
  EXPECT_THAT(refusal([](Report& r) { r.pictures[0].layers[0].probs.f32()[7] = -0.5f; }),
              AllOf(HasSubstr("blocks.0.attn"), HasSubstr("got -0.5")));
  EXPECT_THAT(refusal([](Report& r) { r.pictures[0].layers[0].heads = {1}; }), HasSubstr("1 numbers of heads for 4"));
  EXPECT_THAT(refusal([](Report& r) { r.pictures[0].maps[0].map = Tensor(); }),
              AllOf(HasSubstr("a.png: Grad-CAM"), HasSubstr("nothing")));
  EXPECT_THAT(refusal([](Report& r) { r.pictures[0].maps[0].map.f32()[0] = NAN; }),
              HasSubstr("Grad-CAM: expected fin"));
  EXPECT_THAT(test::failure([&] { html_report(report_of(), {.picture_side = 3}); }), HasSubstr("32 to 8192"));
}

}  // namespace
}  // namespace vit
