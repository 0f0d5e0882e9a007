// What `vitkit robustness` was asked. docs/robustness.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/common.h"
#include "apps/evaluation_data.h"
#include "apps/robustness_corruptions.h"

namespace apps {

struct RobustnessOptions {
  std::string model{}, save{};
  EvaluationDataOptions data{};
  int64_t limit = 1000;
  int64_t batch_size = 50;
  std::optional<int64_t> img_size{};
  // attacks
  std::vector<std::string> attacks{};  ///< none given: fgsm and pgd, unless other conditions were asked for
  std::vector<std::string> eps{};      ///< none given: as suits the norm
  std::string norm = "linf";
  int64_t steps = 20;
  std::string alpha{};  ///< empty: 2.5 eps / steps
  int64_t restarts = 1;
  bool no_random_start = false;
  std::string targeted{};  ///< empty: not; next, random, least, or a class
  CorruptionOptions corruptions{};
  // patches
  std::vector<std::string> shares = {"0.05"};
  std::string position = "random";
};

}  // namespace apps
