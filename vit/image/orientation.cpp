#include "vit/image/orientation.h"

namespace vit {

Image apply_orientation(const Image& image, int orientation) {
  check(orientation >= 1 && orientation <= 8, "orientation: expected 1 to 8, got ", orientation);
  if (orientation == 1) return image;
  // The tag says where the stored row 0 and column 0 lie in the upright picture (EXIF 2.3, 4.6.4): 5 to 8 exchange rows
  // with columns; then the source is walked forwards or backwards along each of its axes.
  const bool transpose = orientation >= 5;
  const bool rows_backwards = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool columns_backwards = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const int64_t height = image.height(), width = image.width();
  Image upright(transpose ? width : height, transpose ? height : width);
  const int64_t row_step = width * 3;
  const uint8_t* origin = image.row(rows_backwards ? height - 1 : 0) + (columns_backwards ? (width - 1) * 3 : 0);
  const int64_t step_row = rows_backwards ? -row_step : row_step, step_column = columns_backwards ? -3 : 3;
  const int64_t step_y = transpose ? step_column : step_row, step_x = transpose ? step_row : step_column;
  for (int64_t y = 0; y < upright.height(); ++y) {
    const uint8_t* from = origin + y * step_y;
    uint8_t* to = upright.row(y);
    for (int64_t x = 0; x < upright.width(); ++x, from += step_x, to += 3) {
      to[0] = from[0];
      to[1] = from[1];
      to[2] = from[2];
    }
  }
  return upright;
}

}  // namespace vit
