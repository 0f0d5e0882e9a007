#include "datasets/yolo_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include "vit/core/check.h"

namespace datasets {

namespace {

/// Shares are written with six digits or fewer; what is off by less is rounding.
constexpr double kTolerance = 1e-3;
/// Numbers of a row: a class, and a box or a polygon of three points or more.
constexpr size_t kBoxNumbers = 5, kFewestPolygonNumbers = 7;
/// No share is larger, however far it reaches outside.
constexpr double kMaxShare = 2.0;

std::optional<double> number_in(std::string_view text) {
  double value = 0.0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && rest == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// A row's numbers. Empty: one of them is none.
std::vector<double> numbers_of(const std::string& row) {
  std::vector<double> numbers;
  std::istringstream words(row);
  for (std::string word; words >> word;) {
    const std::optional<double> number = number_in(word);
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

/// The box of a row, as shares of the picture.
vit::Corners box_of(const std::vector<double>& numbers) {
  if (numbers.size() == kBoxNumbers) return vit::to_corners({numbers[1], numbers[2], numbers[3], numbers[4]});
  vit::Corners box{numbers[1], numbers[2], numbers[1], numbers[2]};
  for (size_t i = 1; i + 1 < numbers.size(); i += 2)
    box = {std::min(box[0], numbers[i]), std::min(box[1], numbers[i + 1]), std::max(box[2], numbers[i]),
           std::max(box[3], numbers[i + 1])};
  return box;
}

}  // namespace

void read_yolo_rows(const std::string& text, const std::string& file, int64_t classes, ListedPicture& picture,
                    std::vector<BadBox>& bad) {
  BoxChecker checker(bad, kTolerance);
  std::istringstream lines(text);
  int64_t line_number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = vit::str(picture.path, " (", file, ":", line_number, ")");
    const std::vector<double> numbers = numbers_of(line);
    const bool is_polygon = numbers.size() >= kFewestPolygonNumbers && numbers.size() % 2 == 1;
    if (numbers.size() != kBoxNumbers && !is_polygon) {
      checker.refuse(place, "expected a class and four numbers, or a class and the points of a polygon, got '" +
                                line.substr(0, 80) + "'");
      continue;
    }
    const double label = numbers[0];
    if (!(label >= 0.0 && label < static_cast<double>(classes)) || label != std::floor(label)) {
      checker.refuse(place, vit::str("class ", label, ", but data.yaml has ", classes, " (0 to ", classes - 1, ")"));
      continue;
    }
    vit::Corners box = box_of(numbers);
    // Not the hidden kind of wrong: pixels in place of shares would be clipped to the whole picture.
    if (std::any_of(numbers.begin() + 1, numbers.end(), [](double value) { return value > kMaxShare; })) {
      checker.refuse(place, "numbers above 1: coordinates are shares of the picture, not pixels");
      continue;
    }
    if (!checker.check(box, 1.0, 1.0, place)) continue;
    picture.boxes.push_back({.box = box, .label = static_cast<int64_t>(label), .id = line_number});
  }
}

}  // namespace datasets
