// Matrices for kernel tests that notice every access out of bounds: the last element lies directly before a page that
// may not be touched, the space before the first and between rows is filled with a canary that the test checks
// afterwards.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <random>
#include <vector>

#include "tests/support/tolerance.h"
#include "vit/kernels/kernels.h"

namespace vit::kernels::test {

using vit::test::dot_tolerance;
using vit::test::rounding_tolerance;

inline constexpr float kCanary = -7.7e30f;

/// [rows, cols] with a row stride; data() has the alignment of the page's end, 4 bytes, unless `aligned`.
class Guarded {
 public:
  Guarded(int64_t rows, int64_t cols, int64_t gap = 0, bool aligned = false)
      : rows_(rows), cols_(cols), stride_(cols + gap) {
    const int64_t span = rows > 0 ? (rows - 1) * stride_ + cols : 0;
    const int64_t bytes = aligned ? (span * 4 + 63) / 64 * 64 : span * 4;
    mapped_ = (bytes + 2 * kPage - 1) / kPage * kPage + kPage;  // at least a page's worth of canaries before the data
    base_ = static_cast<char*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + mapped_ - kPage, kPage, PROT_NONE) != 0) throw std::bad_alloc();
    data_ = reinterpret_cast<float*>(base_ + mapped_ - kPage - bytes);
    end_ = data_ + span;
    std::fill(reinterpret_cast<float*>(base_), reinterpret_cast<float*>(base_ + mapped_ - kPage), kCanary);
    for (int64_t i = 0; i < rows_; ++i) std::fill_n(row(i), cols_, 0.0f);
  }
  explicit Guarded(int64_t count) : Guarded(1, count) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, mapped_); }

  float* data() { return data_; }
  const float* data() const { return data_; }
  float* row(int64_t i) { return data_ + i * stride_; }
  const float* row(int64_t i) const { return data_ + i * stride_; }
  float& at(int64_t i, int64_t j) { return row(i)[j]; }
  float at(int64_t i, int64_t j) const { return row(i)[j]; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return stride_; }

  /// Values of a normal distribution, the same for the same seed.
  Guarded& randomize(uint32_t seed, float deviation = 1.0f) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0.0f, deviation);
    for (int64_t i = 0; i < rows_; ++i)
      for (int64_t j = 0; j < cols_; ++j) at(i, j) = normal(engine);
    return *this;
  }
  void copy_from(const Guarded& other) {
    for (int64_t i = 0; i < rows_; ++i) std::copy_n(other.row(i), cols_, row(i));
  }

  /// Whether everything outside the matrix still is as it was.
  bool untouched_outside() const {
    const auto is_canary = [](float value) { return std::memcmp(&value, &kCanary, sizeof value) == 0; };
    if (!std::all_of(reinterpret_cast<const float*>(base_), static_cast<const float*>(data_), is_canary)) return false;
    for (int64_t i = 0; i + 1 < rows_; ++i)
      if (!std::all_of(row(i) + cols_, row(i + 1), is_canary)) return false;
    return std::all_of(static_cast<const float*>(end_), reinterpret_cast<const float*>(base_ + mapped_ - kPage),
                       is_canary);
  }

 private:
  static constexpr int64_t kPage = 4096;
  int64_t rows_, cols_, stride_;
  int64_t mapped_ = 0;
  char* base_ = nullptr;
  float* data_ = nullptr;
  float* end_ = nullptr;
};

inline double norm(const float* x, int64_t count, int64_t step = 1) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i * step]) * x[i * step];
  return std::sqrt(sum);
}

/// Every element of `got` within `tolerance(i, j)` of `expected`, and nothing outside touched. Infinities must be
/// equal.
template <class Tolerance>
void expect_near(const Guarded& got, const Guarded& expected, const Tolerance& tolerance) {
  EXPECT_TRUE(got.untouched_outside());
  for (int64_t i = 0; i < got.rows(); ++i)
    for (int64_t j = 0; j < got.cols(); ++j) {
      const float g = got.at(i, j), e = expected.at(i, j);
      if (std::isinf(e)) {
        ASSERT_EQ(g, e) << "at [" << i << ", " << j << "]";
      } else {
        ASSERT_NEAR(g, e, tolerance(i, j))
            << "at [" << i << ", " << j << "] of [" << got.rows() << ", " << got.cols() << "]";
      }
    }
}

/// The tables that this machine can run, the scalar one included or not.
inline std::vector<const KernelTable*> available_tables(bool with_scalar) {
  std::vector<const KernelTable*> tables;
  for (Isa isa : {Isa::scalar, Isa::sse2, Isa::avx2, Isa::avx512, Isa::neon64})
    if (const KernelTable* table = kernels_for(isa); table && (with_scalar || isa != Isa::scalar))
      tables.push_back(table);
  return tables;
}

inline const KernelTable& oracle() { return *kernels_for(Isa::scalar); }

/// A fixture that runs each test once per vector instruction set of the machine.
class KernelTest : public testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
};

inline std::string table_name(const testing::TestParamInfo<const KernelTable*>& info) { return info.param->name; }

#define VITKIT_TEST_EVERY_ISA(Suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, Suite, testing::ValuesIn(available_tables(false)), table_name)

}  // namespace vit::kernels::test
