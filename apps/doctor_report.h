// The doctor's report for people.
#pragma once

#include <string>
#include <vector>

#include "datasets/doctor.h"

namespace apps {

/// What was examined, then the findings by severity and kind, then a summary. Of each kind `limit` findings are spelled
/// out; 0: all.
std::string doctor_report(const datasets::Examination& examination, const std::vector<datasets::Finding>& findings,
                          size_t limit);

/// "2 errors, 1 warning, 0 notes"
std::string doctor_summary(const std::vector<datasets::Finding>& findings);

}  // namespace apps
