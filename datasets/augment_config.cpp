#include "datasets/augment_config.h"

#include "datasets/rand_augment.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

void check_range(const char* name, const std::optional<std::array<double, 2>>& range) {
  if (range && (*range)[0] > (*range)[1])
    vit::fail_usage(name, ": expected smallest, largest; got ", (*range)[0], ", ", (*range)[1]);
}

}  // namespace

void AugmentConfig::validate() const {
  check_range("scale", scale);
  check_range("ratio", ratio);
  check_range("cutmix_minmax", cutmix_minmax);
  if (scale && train_crop_mode == "rrc" && (*scale)[1] > 1.0)
    vit::fail_usage("scale: a crop has at most the whole picture's area, 1; got ", (*scale)[1]);
  if (const std::optional<AugmentPolicy> policy = parse_policy(aa.value_or(""))) {
    const std::string& filter = train_interpolation;
    if (filter != "random" && filter != "bilinear" && filter != "bicubic")
      vit::fail_usage(
          "aa: rotating and shearing know bilinear and bicubic; set train_interpolation to one of them or to ",
          "random, not to ", filter);
  }
}

}  // namespace datasets
