#include "datasets/label_table.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

#include "vit/core/check.h"

namespace datasets {

namespace {

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

LabelTable by_number(const std::vector<int64_t>& numbers, const std::vector<int32_t>& entries) {
  LabelTable table;
  const int64_t classes =
      numbers.empty() ? 0 : std::max<int64_t>(0, 1 + *std::max_element(numbers.begin(), numbers.end()));
  for (int64_t i = 0; i < classes; ++i) table.names.push_back(std::to_string(i));
  for (const int32_t entry : entries) table.labels.push_back(numbers[static_cast<size_t>(entry)]);
  return table;
}

}  // namespace

void LabelTableBuilder::add(const std::string& label, const std::string& where) {
  if (label.empty()) vit::fail_usage(where, ": the label is empty");
  const auto [entry, is_new] = index_.emplace(label, static_cast<int32_t>(distinct_.size()));
  if (is_new) {
    if (const std::optional<int64_t> number = whole_number(label); number && *number >= kMaxClasses)
      vit::fail_usage(where, ": the label is ", label, ", expected a class number below ", kMaxClasses);
    distinct_.push_back(label);
  }
  entries_.push_back(entry->second);
}

LabelTable LabelTableBuilder::finish() const {
  std::vector<int64_t> numbers;
  for (const std::string& label : distinct_) {
    const std::optional<int64_t> number = whole_number(label);
    if (!number) break;
    numbers.push_back(*number);
  }
  if (numbers.size() == distinct_.size()) return by_number(numbers, entries_);

  LabelTable table{.names = distinct_, .labels = {}};
  std::sort(table.names.begin(), table.names.end());
  std::vector<int64_t> ranks;
  for (const std::string& label : distinct_)
    ranks.push_back(std::lower_bound(table.names.begin(), table.names.end(), label) - table.names.begin());
  for (const int32_t entry : entries_) table.labels.push_back(ranks[static_cast<size_t>(entry)]);
  return table;
}

}  // namespace datasets
