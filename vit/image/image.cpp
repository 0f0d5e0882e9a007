#include "vit/image/image.h"

#include <utility>

namespace vit {

Image::Image(Tensor tensor) : pixels(std::move(tensor)) {
  check(pixels.defined() && pixels.dtype() == DType::u8 && pixels.rank() == 3 && pixels.size(2) == 3,
        "image: expected u8 [height, width, 3], got ",
        pixels.defined() ? str(name_of(pixels.dtype()), " ", pixels.shape()) : std::string("an undefined tensor"));
}

Image::Image(int64_t height, int64_t width) {
  check(height > 0 && width > 0, "image: expected extents of at least 1, got ", height, " x ", width);
  pixels = Tensor::empty({height, width, 3}, DType::u8);
}

}  // namespace vit
