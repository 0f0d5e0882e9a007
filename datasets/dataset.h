// Dataset: labelled pictures by number, whatever the format they are stored in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/image/image.h"

namespace datasets {

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  /// Names of the classes, by class number.
  virtual const std::vector<std::string>& class_names() const = 0;
  /// Class number of a picture, without reading it. As stored: a damaged data set may give a number that is no class
  /// (see require_labels in label_check.h).
  virtual int64_t label(int64_t index) const = 0;
  /// What a picture is called in messages and reports: its path, or file and position inside it.
  virtual std::string source(int64_t index) const = 0;
  /// Reads and decodes a picture, oriented as its EXIF says. Called from many threads at once.
  /// Errors: vit::Error naming the source, when it cannot be read.
  virtual vit::Image load(int64_t index) const = 0;

  /// The bytes of a picture's file as they are stored; empty where the format stores bare pixels. Thread-safe.
  /// Errors: vit::Error naming the source, when it cannot be read.
  virtual std::string encoded(int64_t /*index*/) const { return {}; }
  /// Files that were found among the pictures and are none, or lack what makes them an example.
  virtual std::vector<std::string> skipped() const { return {}; }
};

}  // namespace datasets
