// The report's page in a browser: it is opened from disk, pointed at with real events, and its canvas is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "vit/explain/html_report.h"
#include "vit/image/color_map.h"

namespace vit {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr int64_t kRows = 3, kColumns = 4, kCells = kRows * kColumns;

/// Empty: there is none.
const std::string& browser() {
  static const std::string found = [] {
    for (const std::string name : {"chromium", "chromium-browser", "google-chrome"})
      if (test::run_command({name, "--version"}).status == 0) return name;
    return std::string();
  }();
  return found;
}

/// A share of attention that differs for every head, query and key.
float share_of(int64_t layer, int64_t head, int64_t query, int64_t key) {
  return static_cast<float>((query * 31 + key * 17 + head * 7 + layer * 3) % 43 + 1) / 600.0f;
}

ReportLayer layer_of(int64_t number, int64_t heads, const ReportTokens& queries, const ReportTokens& keys) {
  ReportLayer layer{.name = "blocks." + std::to_string(number) + ".attn", .queries = queries, .keys = keys};
  layer.probs = Tensor::empty({heads, queries.count(), keys.count()});
  int64_t i = 0;
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t q = 0; q < queries.count(); ++q)
      for (int64_t k = 0; k < keys.count(); ++k) layer.probs.f32()[i++] = share_of(number, h, q, k);
  return layer;
}

Image grey(int64_t height, int64_t width) {
  Image image(height, width);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = 120;
  return image;
}

/// Two pictures: one of encoder layers and two maps, one with words as queries, of which the model saw the middle.
Report report_of() {
  const ReportTokens encoder{.before = {"class token"}, .rows = kRows, .columns = kColumns};
  const ReportTokens words{.before = {"a", "dog"}};
  const ReportTokens cut{.rows = kRows,
                         .columns = kColumns,
                         .window = {.top = 0.0, .left = -2.0, .rows = kRows, .columns = 2.0 * kColumns}};
  Tensor values = Tensor::empty({kRows, kColumns});
  for (int64_t i = 0; i < kCells; ++i) values.f32()[i] = static_cast<float>(i) - 4.0f;
  Report report{.title = "</title><script>broken()</script>"};
  report.pictures.push_back(
      {.name = "a<b>.png",
       .picture = grey(60, 80),
       .layers = {layer_of(0, 2, encoder, encoder), layer_of(1, 2, encoder, encoder)},
       .maps = {{.name = "plain", .map = values, .figures = {{"deletion", 0.5, "", FigureGoal::low, "a hint"}}},
                {.name = "signed",
                 .map = values,
                 .is_signed = true,
                 .figures = {{"deletion", 0.25, "", FigureGoal::low, ""}}}}});
  report.pictures.push_back({.name = "words", .picture = grey(60, 160), .layers = {layer_of(2, 1, words, cut)}});
  return report;
}

/// In front of everything: what goes wrong is collected.
constexpr const char* kWatch = R"js(<script>
const problems = [];
addEventListener("error", (event) => problems.push(String(event.message ?? event.target.outerHTML)), true);
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => problems.push(event.violatedDirective + " " + event.blockedURI));
for (const level of ["error", "warn"]) console[level] = (...words) => problems.push(words.join(" "));
</script>)js";

/// Behind the page's script, in a block of its own: events at a place of the picture (0 to 1), and what there is to
/// see.
constexpr const char* kHands = R"js(
const steps = {};
const by = (id) => document.getElementById(id);
const pointer = (type, x, y, more = {}) => {
  const box = by("frame").getBoundingClientRect();
  by("frame").dispatchEvent(new PointerEvent(type, { bubbles: true, cancelable: true, isPrimary: true, pointerType: "mouse",
    clientX: box.left + x * box.width, clientY: box.top + y * box.height, ...more }));
};
const key = (name) => by("frame").dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
const press = (group, place) => by(group).querySelectorAll("button")[place].click();
const pressed = (group) => [...by(group).querySelectorAll("button")].findIndex((b) => b.ariaPressed === "true");
const pixel = (x, y) => {
  const heat = by("heat");
  return [...heat.getContext("2d").getImageData(Math.floor(x * heat.width), Math.floor(y * heat.height), 1, 1).data];
};
const pixels = (rows, columns) => Array.from({ length: rows * columns },
  (_, i) => pixel((i % columns + 0.5) / columns, (Math.floor(i / columns) + 0.5) / rows));
const note = (name, more = {}) => {
  steps[name] = { ...by("frame").dataset, pixels: pixels(3, 4), readout: by("readout").textContent,
    least: by("legend-min").textContent, most: by("legend-max").textContent, cursor: by("cursor").getAttribute("style"),
    hasCursor: !by("cursor").hidden, layers: pressed("layers"), heads: pressed("heads"), ...more };
};
)js";

/// Opens the report in the browser, runs the script behind it, and gives what its steps noted.
json steps_of(const Report& report, const std::string& script, const std::string& window = "1200,900") {
  std::string page = html_report(report);
  const std::string head = "<head>\n", end = "</body>";
  page.insert(page.find(head) + head.size(), kWatch);
  const std::string result =
      "const out = document.createElement('pre'); out.id = 'probe';"
      "const loaded = performance.getEntriesByType('resource').map((r) => r.name).filter((n) => "
      "!n.startsWith('data:'));"
      "out.textContent = JSON.stringify({ steps, problems, loaded }); document.body.append(out);";
  page.insert(page.rfind(end), "<script>{" + std::string(kHands) + script + result + "}</script>");
  const test::TempDir dir;
  const std::string file = dir.write("report.html", page).string();
  const test::CommandResult run = test::run_command(
      {browser(), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=" + window,
       "--virtual-time-budget=5000", "--user-data-dir=" + (dir / "profile").string(), "--dump-dom", "file://" + file});
  const std::string open = "<pre id=\"probe\">";
  const size_t from = run.out.rfind(open);
  if (run.status != 0 || from == std::string::npos) {
    ADD_FAILURE() << "status " << run.status << "\n" << run.err << "\n" << run.out.substr(0, 200);
    return {};
  }
  std::string text = run.out.substr(from + open.size(), run.out.find("</pre>", from) - from - open.size());
  for (const auto& [entity, letter] : {std::pair<std::string, std::string>{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}})
    for (size_t at = 0; (at = text.find(entity, at)) != std::string::npos; at += letter.size())
      text.replace(at, entity.size(), letter);
  return json::parse(text);
}

/// The colours that values have over the largest of them.
void expect_colors(const json& step, const std::vector<double>& values) {
  ASSERT_EQ(values.size(), step["pixels"].size());
  const double largest = *std::max_element(values.begin(), values.end());
  for (size_t i = 0; i < values.size(); ++i) {
    const Color expected = viridis(values[i] / largest);
    const json& found = step["pixels"][i];
    // A step of 1/255 of the quantised attention and one of the colours' table is 4 in a channel at most.
    EXPECT_NEAR(found[0].get<int>(), expected.r, 4) << i;
    EXPECT_NEAR(found[1].get<int>(), expected.g, 4) << i;
    EXPECT_NEAR(found[2].get<int>(), expected.b, 4) << i;
    EXPECT_EQ(found[3], 255) << i;
  }
}

/// What the encoder's query pays to each cell, or each cell to it: one head, or the mean of two (-1) or the larger
/// (-2).
std::vector<double> attention(int64_t layer, int64_t head, int64_t token, bool reverse = false) {
  std::vector<double> values;
  for (int64_t i = 0; i < kCells; ++i) {
    const auto share = [&](int64_t h) {
      return static_cast<double>(reverse ? share_of(layer, h, 1 + i, token) : share_of(layer, h, token, 1 + i));
    };
    values.push_back(head == -1   ? 0.5 * (share(0) + share(1))
                     : head == -2 ? std::max(share(0), share(1))
                                  : share(head));
  }
  return values;
}

int64_t token_at(int64_t row, int64_t column) { return 1 + row * kColumns + column; }

class ReportBrowser : public testing::Test {
 protected:
  void SetUp() override {
    if (browser().empty()) GTEST_SKIP() << "there is no chromium";
  }
};

TEST_F(ReportBrowser, PointingShowsWhatACellAttendsTo) {
  const json result = steps_of(report_of(), R"js(
    note("start");
    pointer("pointermove", 0.6, 0.5); note("moved");
    press("layers", 0); note("layer");
    press("heads", 1); note("max");
    press("heads", 3); note("head");
    press("directions", 1); note("reverse");
    press("directions", 0);
    pointer("pointerdown", 0.1, 0.9, { pointerType: "touch" }); note("touch");
    pointer("pointermove", 0.6, 0.5); note("still");
    pointer("pointerdown", 0.1, 0.9); pointer("pointermove", 0.9, 0.1); note("free");
    pointer("pointermove", 0.9, 0.1, { pointerType: "touch", buttons: 1 });
    pointer("pointermove", 0.4, 0.1, { pointerType: "touch", buttons: 1 }); note("dragged");
  )js");
  ASSERT_TRUE(result.contains("steps"));
  EXPECT_EQ(result["problems"], json::array());
  EXPECT_EQ(result["loaded"], json::array()) << "nothing is fetched";
  const json& steps = result["steps"];
  EXPECT_EQ(steps["start"]["query"], "class token");
  EXPECT_EQ(steps["start"]["layer"], "blocks.1.attn") << "the last layer comes first";
  EXPECT_FALSE(steps["start"]["hasCursor"].get<bool>());
  expect_colors(steps["start"], attention(1, -1, 0));
  EXPECT_EQ(steps["moved"]["query"], "row 1, column 2");
  EXPECT_EQ(steps["moved"]["head"], "mean");
  EXPECT_THAT(steps["moved"]["cursor"].get<std::string>(), HasSubstr("left: 50%; top: 33.33"));
  expect_colors(steps["moved"], attention(1, -1, token_at(1, 2)));
  EXPECT_EQ(steps["layer"]["layer"], "blocks.0.attn");
  EXPECT_EQ(steps["layer"]["layers"], 0);
  expect_colors(steps["layer"], attention(0, -1, token_at(1, 2)));
  EXPECT_EQ(steps["max"]["head"], "max");
  expect_colors(steps["max"], attention(0, -2, token_at(1, 2)));
  EXPECT_EQ(steps["head"]["head"], "1");
  EXPECT_EQ(steps["head"]["heads"], 3);
  expect_colors(steps["head"], attention(0, 1, token_at(1, 2)));
  expect_colors(steps["reverse"], attention(0, 1, token_at(1, 2), true));
  EXPECT_EQ(steps["touch"]["query"], "row 2, column 0");
  expect_colors(steps["touch"], attention(0, 1, token_at(2, 0)));
  EXPECT_EQ(steps["still"]["query"], "row 2, column 0") << "held by the touch";
  EXPECT_EQ(steps["free"]["query"], "row 0, column 3") << "pointed at again, it is let go";
  EXPECT_EQ(steps["dragged"]["query"], "row 0, column 1");
}

TEST_F(ReportBrowser, TheNumbersShownAreTheAttention) {
  const json result = steps_of(report_of(), R"js(
    pointer("pointermove", 0.6, 0.5);
    note("moved", { shares: by("shares").textContent });
  )js");
  ASSERT_TRUE(result.contains("steps"));
  const json& step = result["steps"]["moved"];
  const std::vector<double> values = attention(1, -1, token_at(1, 2));
  const size_t best = static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
  double sum = 0.0;
  for (const double value : values) sum += value;
  EXPECT_NEAR(std::stod(step["largest"].get<std::string>()), values[best], 1e-3 * values[best]);
  EXPECT_NEAR(std::stod(step["most"].get<std::string>()), 100.0 * values[best], 0.01);
  EXPECT_EQ(step["least"], "0.00 %");
  const std::string readout = step["readout"];
  EXPECT_THAT(readout, HasSubstr("row 1, column 2 attends to the picture with"));
  EXPECT_NEAR(std::stod(readout.substr(readout.find("with") + 5)), 100.0 * sum, 0.3);
  EXPECT_THAT(readout, HasSubstr("row " + std::to_string(best / kColumns) + ", column " +
                                 std::to_string(best % kColumns) + " ("));
  const std::string shares = step["shares"];
  ASSERT_THAT(shares, HasSubstr("class token"));
  const double to_class = 0.5 * (share_of(1, 0, token_at(1, 2), 0) + share_of(1, 1, token_at(1, 2), 0));
  EXPECT_NEAR(std::stod(shares.substr(11)), 100.0 * to_class, 0.05);
}

TEST_F(ReportBrowser, KeysMoveThroughCellsLayersAndHeads) {
  const json result = steps_of(report_of(), R"js(
    by("frame").focus();
    pointer("pointermove", 0.6, 0.5);
    key("ArrowRight"); note("right", { focus: document.activeElement.id, name: by("frame").getAttribute("aria-label") });
    key("ArrowRight"); note("edge");
    key("ArrowUp"); note("up");
    key("ArrowDown"); key("ArrowDown"); key("ArrowLeft"); note("around");
    key("PageUp"); note("layer");
    key("+"); note("head");
    key("Home"); note("home");
    key("ArrowLeft"); note("back", { sideways: document.documentElement.scrollWidth - innerWidth, width: innerWidth });
  )js",
                               "520,900");
  ASSERT_TRUE(result.contains("steps"));
  EXPECT_EQ(result["problems"], json::array());
  const json& steps = result["steps"];
  EXPECT_EQ(steps["right"]["focus"], "frame");
  EXPECT_THAT(steps["right"]["name"].get<std::string>(), HasSubstr("a<b>.png"));
  EXPECT_EQ(steps["right"]["query"], "row 1, column 3");
  EXPECT_EQ(steps["edge"]["query"], "row 1, column 3") << "there the picture ends";
  EXPECT_EQ(steps["up"]["query"], "row 0, column 3");
  EXPECT_EQ(steps["around"]["query"], "row 2, column 2");
  EXPECT_EQ(steps["layer"]["layer"], "blocks.0.attn");
  EXPECT_EQ(steps["head"]["head"], "max") << "behind the mean";
  expect_colors(steps["head"], attention(0, -2, token_at(2, 2)));
  EXPECT_EQ(steps["home"]["query"], "class token");
  EXPECT_LE(steps["back"]["width"], 520);
  EXPECT_LE(steps["back"]["sideways"], 0) << "a narrow window shows all of it";
  EXPECT_EQ(steps["back"]["query"], "row 1, column 2") << "from a token the arrows begin in the middle";
}

TEST_F(ReportBrowser, MapsHaveTheirColoursAndFigures) {
  const json result = steps_of(report_of(), R"js(
    press("modes", 1); pointer("pointermove", 0.6, 0.5); note("plain");
    press("figures", 1); note("signed", { best: [...document.querySelectorAll("td.best")].map((cell) => cell.textContent),
      table: by("figures").innerText, hints: by("hints").innerText });
    by("opacity").value = 25; by("opacity").dispatchEvent(new Event("input"));
    note("faint", { opacity: getComputedStyle(by("heat")).opacity });
  )js");
  ASSERT_TRUE(result.contains("steps"));
  EXPECT_EQ(result["problems"], json::array());
  const json &plain = result["steps"]["plain"], &with_sign = result["steps"]["signed"];
  EXPECT_EQ(plain["map"], "plain");
  // Cell 6 of -4 to 7.
  EXPECT_NEAR(std::stod(plain["value"].get<std::string>()), 2.0, 0.03);
  EXPECT_EQ(plain["least"], "-4");
  EXPECT_EQ(plain["most"], "7");
  EXPECT_EQ(with_sign["least"], "-7");
  for (int i = 0; i < kCells; ++i) {
    const Color low = viridis(i / 11.0), high = diverging((i - 4.0) / 7.0);
    const json &found_low = plain["pixels"][static_cast<size_t>(i)],
               &found_high = with_sign["pixels"][static_cast<size_t>(i)];
    EXPECT_NEAR(found_low[0].get<int>(), low.r, 4) << i;
    EXPECT_NEAR(found_low[1].get<int>(), low.g, 4) << i;
    EXPECT_NEAR(found_high[0].get<int>(), high.r, 4) << i;
    EXPECT_NEAR(found_high[2].get<int>(), high.b, 4) << i;
  }
  EXPECT_EQ(with_sign["best"], json({"0.25"}));
  EXPECT_THAT(with_sign["table"].get<std::string>(), HasSubstr("lower is better"));
  EXPECT_THAT(with_sign["hints"].get<std::string>(), HasSubstr("a hint"));
  EXPECT_EQ(result["steps"]["faint"]["opacity"], "0.25");
}

TEST_F(ReportBrowser, WordsAreChosenFromAListAndThePictureCanBeLarger) {
  const json result = steps_of(report_of(), R"js(
    const look = () => ({ outside: pixel(0.1, 0.5), inside: Array.from({ length: 12 }, (_, i) =>
      pixel(0.25 + (i % 4 + 0.5) / 8, (Math.floor(i / 4) + 0.5) / 3)) });
    press("pictures", 1); note("first", { ...look(), words: by("queries").innerText });
    press("queries", 1); note("dog", look());
    pointer("pointermove", 0.5, 0.5); note("pointed");
    press("directions", 1);
    pointer("pointerdown", 0.1, 0.5); note("beside");
    pointer("pointerdown", 0.3, 0.1); note("cell", { shares: by("shares").innerText });
  )js");
  ASSERT_TRUE(result.contains("steps"));
  EXPECT_EQ(result["problems"], json::array());
  const json& steps = result["steps"];
  EXPECT_EQ(steps["first"]["query"], "a");
  EXPECT_THAT(steps["first"]["words"].get<std::string>(), HasSubstr("dog"));
  EXPECT_EQ(steps["first"]["outside"][3], 0) << "what the model did not see has no colour";
  std::vector<double> values;
  for (int64_t i = 0; i < kCells; ++i) values.push_back(static_cast<double>(share_of(2, 0, 1, i)));
  expect_colors({{"pixels", steps["dog"]["inside"]}}, values);
  EXPECT_EQ(steps["pointed"]["query"], "dog") << "words are not on the picture";
  EXPECT_EQ(steps["beside"]["query"], "row 1, column 2") << "the middle: no cell is there, and the words are no keys";
  EXPECT_EQ(steps["cell"]["query"], "row 0, column 0");
  const std::string shares = steps["cell"]["shares"];
  EXPECT_NEAR(std::stod(shares.substr(shares.find("dog") + 4)), 100.0 * share_of(2, 0, 1, 0), 0.02) << shares;
}

}  // namespace
}  // namespace vit
