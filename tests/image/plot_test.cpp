// Plots show the data where they are, and take whatever numbers a run produces.
#include "vit/image/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "vit/image/color_map.h"
#include "vit/image/plot_axes.h"

namespace vit {
namespace {

using test::pixels_of;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

/// The rectangle around all pixels of one colour.
PixelRect rect_of(const Image& image, Color color) {
  PixelRect rect{image.width(), image.height(), 0, 0};
  for (int64_t y = 0; y < image.height(); ++y) {
    const uint8_t* row = image.row(y);
    for (int64_t x = 0; x < image.width(); ++x)
      if (Color{row[3 * x], row[3 * x + 1], row[3 * x + 2]} == color)
        rect = {std::min(rect.x0, x), std::min(rect.y0, y), std::max(rect.x1, x + 1), std::max(rect.y1, y + 1)};
  }
  return rect;
}

std::vector<std::string> texts(const std::vector<detail::PlotTick>& ticks) {
  std::vector<std::string> result;
  for (const detail::PlotTick& tick : ticks) result.push_back(tick.text);
  return result;
}

TEST(PlotAxes, TicksAreRound) {
  EXPECT_EQ(texts(detail::ticks_of({0.0, 1.0}, 5)),
            (std::vector<std::string>{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(texts(detail::ticks_of({-3.0, 7.1}, 4)), (std::vector<std::string>{"0", "5"}));
  EXPECT_EQ(texts(detail::ticks_of({0.0, 59.0}, 6)), (std::vector<std::string>{"0", "10", "20", "30", "40", "50"}));
  EXPECT_EQ(texts(detail::ticks_of({0.09, 2.5, true}, 5)), (std::vector<std::string>{"0.1", "0.2", "0.5", "1", "2"}));
  EXPECT_EQ(texts(detail::ticks_of({1e-6, 1e6, true}, 4)),
            (std::vector<std::string>{"1e-06", "0.001", "1", "1000", "1e+06"}));
  EXPECT_GE(detail::ticks_of({2.1, 2.3, true}, 5).size(), 3u);
  EXPECT_LE(detail::ticks_of({0.0, 5e-324}, 5).size(), 21u);
}

TEST(PlotAxes, RangesHoldTheData) {
  for (const std::vector<double>& values :
       {std::vector<double>{1, 2, 3}, {5}, {0}, {}, {-1e300, 1e300}, {kNan, kInf, 4}, {3, std::nextafter(3.0, 4.0)}})
    for (const bool logarithmic : {false, true}) {
      const detail::PlotAxis axis = detail::axis_of(values, logarithmic, 0.05);
      EXPECT_LT(axis.min, axis.max);
      EXPECT_TRUE(std::isfinite(axis.max - axis.min));
      for (const double value : values)
        EXPECT_TRUE(axis.shows(value) || !std::isfinite(value) || (logarithmic && value <= 0)) << value;
    }
}

TEST(PlotCurves, ValuesLieAtTheirHeight) {
  CurvePlot plot{.title = "t", .x_label = "x", .y_label = "y", .y_min = 0.0, .y_max = 1.0};
  plot.series = {{"", {0, 1, 2, 3}, {0.0, 0.0, 0.0, 0.0}}, {"", {0, 3}, {0.5, 0.5}}, {"", {0, 3}, {1.0, 1.0}}};
  const Image image = plot_curves(plot);
  EXPECT_EQ(image.height(), 500);
  EXPECT_EQ(image.width(), 900);
  // The lower edge: legend's samples lie above the plot.
  const auto y = [&](int64_t series) { return static_cast<double>(rect_of(image, palette_color(series)).y1); };
  EXPECT_NEAR(y(1), 0.5 * (y(0) + y(2)), 1.5);
  EXPECT_GT(y(0), 430);
  EXPECT_LT(y(2), 90);
}

TEST(PlotCurves, AnyNumbersAreDrawn) {
  for (const bool log_y : {false, true}) {
    CurvePlot plot{.title = "odd", .log_y = log_y};
    EXPECT_NO_THROW(plot_curves(plot));
    plot.series = {{"one", {3}, {7}},
                   {"gaps", {0, 1, 2, 3, kNan, 5}, {1, kNan, kInf, -2, 3, 0}},
                   {"empty", {}, {}},
                   {"huge", {0, 1e300}, {-1e308, 1e308}},
                   {"tiny", {1e-320, 2e-320}, {1e-320, 3e-320}}};
    for (size_t count = 1; count <= plot.series.size(); ++count) {
      CurvePlot part = plot;
      part.series.resize(count);
      EXPECT_NO_THROW(plot_curves(part)) << count;
    }
  }
  CurvePlot many{.title = std::string(500, 'w'), .x_label = std::string(300, 'x'), .y_label = std::string(300, 'y')};
  for (int i = 0; i < 40; ++i)
    many.series.push_back({"a series with a long name, number " + std::to_string(i), {0, 1}, {0, 1.0 * i}});
  EXPECT_NO_THROW(plot_curves(many));
}

TEST(PlotCurves, LimitsCutCurvesOff) {
  CurvePlot plot{.y_min = 0.0, .y_max = 1.0};
  plot.series = {{"", {0, 1, 2}, {-50, 0.5, 1e9}}};
  const PixelRect rect = rect_of(plot_curves(plot), palette_color(0));
  EXPECT_LE(rect.y1, 480);
}

TEST(PlotBars, HeightsAreValues) {
  const Image image = plot_bars({.title = "b", .names = {"a", "b"}, .values = {1.0, 2.0}});
  const Image half = plot_bars({.title = "b", .names = {"a", "b"}, .values = {2.0, kNan}});
  const PixelRect both = rect_of(image, palette_color(0)), one = rect_of(half, palette_color(0));
  EXPECT_NEAR(static_cast<double>(one.width()) * 2.39, static_cast<double>(both.width()), 12.0);
  EXPECT_NEAR(static_cast<double>(one.height()), static_cast<double>(both.height()), 1.0);
  EXPECT_NO_THROW(plot_bars({}));
  std::vector<std::string> names(300, "a rather long name");
  EXPECT_NO_THROW(plot_bars({.names = names, .values = std::vector<double>(300, -1.5)}));
  names.resize(30);
  EXPECT_NO_THROW(plot_bars({.names = names, .values = std::vector<double>(30, 1e300), .height = 150, .width = 500}));
}

TEST(PlotConfusion, DrawsFromOneClassToThousands) {
  EXPECT_NO_THROW(plot_confusion({.names = {"only"}, .counts = {5}}));
  EXPECT_NO_THROW(plot_confusion({.names = {"a", "b"}, .counts = {0, 0, 0, 0}}));
  EXPECT_NO_THROW(plot_confusion({.names = {"a", std::string(400, 'b')}, .counts = {1'000'000'000'000, 3, 0, 9}}));
  const Image large =
      plot_confusion({.names = std::vector<std::string>(1000, "x"), .counts = std::vector<int64_t>(1'000'000, 1)});
  EXPECT_GE(large.width(), 1000);
  // All of a class predicted right: the darkest colour on the diagonal alone.
  const Image image = plot_confusion({.names = {"a", "b"}, .counts = {7, 0, 0, 7}});
  EXPECT_FALSE(rect_of(image, {12, 52, 130}).empty());
}

TEST(ColorMap, ViridisGoesFromDarkToBright) {
  double before = -1.0;
  for (int i = 0; i <= 64; ++i) {
    const Color color = viridis(i / 64.0);
    const double brightness = 0.2126 * color.r + 0.7152 * color.g + 0.0722 * color.b;
    EXPECT_GT(brightness, before) << i;
    before = brightness;
  }
  EXPECT_EQ(viridis(-1.0), viridis(0.0));
  EXPECT_EQ(viridis(kInf), viridis(1.0));
  EXPECT_NE(viridis(kNan), viridis(0.0));
  // Matplotlib's table has (68, 1, 84), (33, 145, 140), (253, 231, 37).
  const auto near = [](Color a, Color b) {
    return std::abs(a.r - b.r) <= 5 && std::abs(a.g - b.g) <= 5 && std::abs(a.b - b.b) <= 5;
  };
  EXPECT_TRUE(near(viridis(0.0), {68, 1, 84}));
  EXPECT_TRUE(near(viridis(0.5), {33, 145, 140}));
  EXPECT_TRUE(near(viridis(1.0), {253, 231, 37}));
}

TEST(PlotHeatMap, CellsHaveTheirColours) {
  HeatMap map{.title = "t", .x_label = "x", .y_label = "y", .rows = 2, .columns = 3};
  map.values = {0.0f, 0.5f, 1.0f, 0.25f, static_cast<float>(kNan), 0.75f};
  map.cell = 20;
  const Image image = plot_heat_map(map);
  for (const float value : {0.25f, 0.5f, 0.75f}) {
    const PixelRect rect = rect_of(image, viridis(value));
    EXPECT_GE(rect.width() * rect.height(), 380) << value;
  }
  EXPECT_EQ(rect_of(image, viridis(kNan)).width(), 20);
  // A column apart, and a row.
  EXPECT_EQ(rect_of(image, viridis(kNan)).y0, rect_of(image, viridis(kNan)).y1 - 20);
  map.marked = {{1, 1}};
  EXPECT_FALSE(pixels_of(plot_heat_map(map)) == pixels_of(image));
  EXPECT_NO_THROW(plot_heat_map({.rows = 1, .columns = 1, .values = {0.0f}}));
  EXPECT_NO_THROW(plot_heat_map({.rows = 2000, .columns = 1, .values = std::vector<float>(2000, 3.0f)}));
}

TEST(PlotScatter, PointsAndNamesAreDrawn) {
  ScatterPlot plot{.title = "t", .x_label = "images/s", .y_label = "top1", .log_x = true};
  for (int i = 0; i < 30; ++i) plot.points.push_back({"name" + std::to_string(i), 100.0 + i % 5, 50.0 + 0.1 * i});
  const Image all = plot_scatter(plot);
  const std::vector<uint8_t> before = pixels_of(all);
  plot.points.push_back({"nowhere", kNan, 3.0});
  plot.points.push_back({"left", -1.0, 3.0});
  EXPECT_EQ(pixels_of(plot_scatter(plot)), before) << "what has no place is left out";
  plot.points = {{"one", 5.0, 5.0}};
  const PixelRect point = rect_of(plot_scatter(plot), palette_color(0));
  EXPECT_NEAR(static_cast<double>(point.width()), 8.0, 2.0);
  plot.points.clear();
  EXPECT_NO_THROW(plot_scatter(plot));
}

TEST(PlotSheet, PicturesLieInTheirCells) {
  Canvas red(40, 20, {250, 0, 0}), blue(8, 8, {0, 0, 250});
  ContactSheet sheet{
      .items = {{red.image(), "a picture\nof two lines", SheetMark::right}, {blue.image(), "", SheetMark::wrong}},
      .columns = 2,
      .cell = 64};
  const Image image = contact_sheet(sheet);
  const PixelRect first = rect_of(image, {250, 0, 0}), second = rect_of(image, {0, 0, 250});
  EXPECT_EQ(first.height(), 64);
  EXPECT_EQ(first.width(), 32);
  EXPECT_EQ(second.width(), 64);
  EXPECT_GT(second.x0, first.x1);
  sheet.items.resize(1);
  sheet.columns = 100;
  EXPECT_LT(contact_sheet(sheet).width(), 100);
}

TEST(Plot, NonsenseIsRefused) {
  EXPECT_THAT(test::failure([] {
                plot_curves({.series = {{"loss", {1, 2}, {3}}}});
              }),
              HasSubstr("'loss' has 2 x values and 1 y"));
  EXPECT_THAT(test::failure([] { plot_curves({.y_min = 2.0, .y_max = 1.0}); }), HasSubstr("limits"));
  EXPECT_THAT(test::failure([] { plot_curves({.log_y = true, .y_min = 0.0}); }), HasSubstr("positive"));
  EXPECT_THAT(test::failure([] { plot_curves({.height = 10}); }), HasSubstr("900 x 10"));
  EXPECT_THAT(test::failure([] { plot_bars({.names = {"a"}}); }), HasSubstr("1 names and 0 values"));
  EXPECT_THAT(test::failure([] {
                plot_confusion({.names = {"a"}, .counts = {1, 2}});
              }),
              HasSubstr("1 x 1 counts, got 2"));
  EXPECT_THAT(test::failure([] { plot_confusion({.names = {"a"}, .counts = {-1}}); }), HasSubstr("negative"));
  EXPECT_THAT(test::failure([] { plot_confusion({}); }), HasSubstr("classes"));
  EXPECT_THAT(test::failure([] { plot_heat_map({}); }), HasSubstr("got 0 x 0"));
  EXPECT_THAT(test::failure([] { plot_heat_map({.rows = 1, .columns = 2, .values = {1}}); }), HasSubstr("got 1"));
  EXPECT_THAT(test::failure([] { plot_heat_map({.rows = 1, .columns = 1, .values = {1}, .min = 2.0, .max = 1.0}); }),
              HasSubstr("limits"));
  EXPECT_THAT(test::failure([] { plot_scatter({.width = 10}); }), HasSubstr("10"));
  EXPECT_THAT(test::failure([] { contact_sheet({}); }), HasSubstr("no pictures"));
  EXPECT_THAT(test::failure([] { contact_sheet({.items = {{Image(), "x"}}}); }), HasSubstr("item 0"));
  EXPECT_THAT(test::failure([] {
                contact_sheet({.items = {{test::pattern(2, 2), "x"}}, .cell = 4});
              }),
              HasSubstr("cell"));
}

}  // namespace
}  // namespace vit
