// A contact sheet of classified pictures: what was seen, beside what it was taken for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vit/image/plot.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace apps {

class AnswerSheet {
 public:
  /// An empty path: nothing is collected or written.
  AnswerSheet(std::filesystem::path path, int64_t max_pixels) : path_(std::move(path)), max_pixels_(max_pixels) {}

  /// Adds a picture and its best answer; the first 96 are drawn, all are counted. A picture in a folder that is named
  /// as one of the classes is marked as right or wrong.
  void add(const std::string& picture, const vit::Prediction& answer, const vit::ClassLabels& labels);

  /// Draws and writes the file, if there are pictures and a path; says whether it did. Errors: as vit::save_image.
  bool save() const;

  /// "24 pictures, 23 of 24 with a known class are right".
  std::string summary() const;

 private:
  std::filesystem::path path_;
  int64_t max_pixels_;
  vit::ContactSheet sheet_;
  int64_t pictures_ = 0, known_ = 0, right_ = 0;
};

}  // namespace apps
