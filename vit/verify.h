// Compares a model with the reference outputs of its original implementation: a golden file holds the inputs and every
// output by the name the original library gives it, and, beside it, case.json the tolerances.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "vit/core/tensor.h"

namespace vit {

class ImageModel;

/// One compared tensor.
struct Comparison {
  std::string name;
  double max_abs = 0.0;  ///< largest |ours - reference|; NaN, as rel, where there is nothing to subtract
  double rel = 0.0;      ///< |ours - reference|_2 / |reference|_2
  double limit = 0.0;    ///< bound on max_abs, or on rel where `relative`
  bool relative = false;
  bool ok = false;
  std::string detail;  ///< why it is not comparable: "shape [1, 11], reference [1, 10]"
};

struct VerifyReport {
  std::vector<Comparison> compared;
  std::vector<std::string> unknown;  ///< reference outputs that the model has no name for
  bool ok() const;                   ///< something was compared, and all of it is within its tolerance
};

/// Where tolerances come from.
struct VerifyOptions {
  std::filesystem::path golden;  ///< golden.safetensors
  double rtol = 1e-4;            ///< on rel, for tensors without a tolerance in the case.json beside the golden file
};

/// Runs the model on every input of the golden file (`input`, or `input_X` for outputs named `..._X`) and compares all
/// it can name, intermediates included. The model is given the text of case.json as well, u8 under that name. Errors
/// (usage): the file is unreadable or has no input.
VerifyReport verify_model(const ImageModel& model, const VerifyOptions& options);

/// Tolerances by tensor name.
class Tolerances {
 public:
  /// From a case.json: `atol` per tensor; else that of the tensor it derives from ("output_dynamic_sq" from
  /// "output_sq", "post.thr0.5.0.scores" from "logits", "post.thr0.5.0.boxes" from "pred_boxes"); else 20 times its
  /// `fp32_vs_fp64` error; else `rtol` on the relative error. A missing file leaves rtol only.
  Tolerances(const std::filesystem::path& case_json, double rtol);
  /// Fills limit, relative, max_abs, rel and ok. Integers are compared exactly.
  Comparison compare(const std::string& name, const Tensor& ours, const Tensor& reference) const;

 private:
  /// Bound on max_abs, for a reference whose largest magnitude is `largest`; negative: there is none.
  double limit_of(const std::string& name, double largest) const;
  std::map<std::string, double> atol_;
  double rtol_;
};

}  // namespace vit
