// Labels as other people's files hold them, names or numbers, turned into class numbers.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace datasets {

struct LabelTable {
  std::vector<std::string> names;  ///< by class number
  std::vector<int64_t> labels;     ///< of every example, in order; a negative number in the file stays negative
};

/// Collects labels, then decides: if every one is a whole number, these are the class numbers (names "0", "1", ... up
/// to the largest); otherwise they are names, and classes are numbered in the byte order of the names, as ImageFolder
/// does.
class LabelTableBuilder {
 public:
  /// Numbers above it are refused: a class number is an index, and tables are as long as the largest.
  static constexpr int64_t kMaxClasses = 1'000'000;

  /// `where` is the label's place, for messages ("labels.csv:12"). Errors (usage): empty, or a number above the limit.
  void add(const std::string& label, const std::string& where);
  LabelTable finish() const;

 private:
  std::unordered_map<std::string, int32_t> index_;
  std::vector<std::string> distinct_;
  std::vector<int32_t> entries_;  // index into distinct_ of every example
};

}  // namespace datasets
