#include "vit/kernels/winograd.h"

namespace vit::kernels {

namespace {

/// G applied to three vectors of `count` floats at x, x_step apart; four vectors at y, y_step apart. y may be x.
void expand(float* y, int64_t y_step, const float* x, int64_t x_step, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float first = x[i], middle = x[x_step + i], last = x[2 * x_step + i], sum = first + last;
    y[i] = first;
    y[y_step + i] = 0.5f * (sum + middle);
    y[2 * y_step + i] = 0.5f * (sum - middle);
    y[3 * y_step + i] = last;
  }
}

}  // namespace

void winograd_weights(float* transformed, const float* weight, int64_t n, int64_t channels) {
  for (int64_t f = 0; f < n; ++f) {
    const float* taps = weight + f * 9 * channels;
    float* places = transformed + f * kWinogradPlaces * channels;
    // Columns of the filter first, into three places of each row, which the rows then fill.
    for (int64_t kx = 0; kx < 3; ++kx)
      expand(places + kx * channels, 4 * channels, taps + kx * channels, 3 * channels, channels);
    for (int64_t y = 0; y < 4; ++y) {
      float* row = places + 4 * y * channels;
      expand(row, channels, row, channels, channels);
    }
  }
}

}  // namespace vit::kernels
