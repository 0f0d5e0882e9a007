#include "vit/io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "tests/support/command.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::slurp;
using test::TempDir;
using test::usage_error;
using testing::AllOf;
using testing::HasSubstr;

Tensor numbers(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.f32()[i] = 0.25f * static_cast<float>(i) - 1.0f;
  return tensor;
}

/// A file with this header and so many bytes of values.
std::string file_with(const std::string& text, size_t values) {
  std::string file("\x93NUMPY\1", 7);
  file += '\0';
  file += static_cast<char>(text.size());
  file += '\0';
  return file + text + std::string(values, '\0');
}

/// Empty: there is none.
std::string python_with_numpy() {
  for (const std::string python : {"python3", "/usr/bin/python3"})
    if (test::run_command({python, "-c", "import numpy"}).status == 0) return python;
  return {};
}

TEST(Npy, HasTheFormatsBytes) {
  const TempDir dir;
  write_npy(dir / "a.npy", Tensor::from<float>({1.0f, -2.0f}, {1, 2}));
  const std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
  const std::string expected = std::string("\x93NUMPY\1\0v\0", 10) + text + std::string(117 - text.size(), ' ') + "\n" +
                               std::string("\0\0\x80\x3f\0\0\0\xc0", 8);
  EXPECT_EQ(slurp(dir / "a.npy"), expected);
  EXPECT_EQ(dir.entries(), std::vector<std::string>{"a.npy"});
}

TEST(Npy, ValuesBeginAtAMultipleOf64) {
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{1, 2, 3, 4, 5, 6}, Shape{100'000, 100'000, 123'456}})
    for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::u8}) {
      const std::string header = npy_header(dtype, shape);
      EXPECT_EQ(header.size() % 64, 0u) << shape;
      EXPECT_EQ(header.back(), '\n');
    }
  EXPECT_THAT(npy_header(DType::u8, {}), HasSubstr("'|u1', 'fortran_order': False, 'shape': (), }"));
  EXPECT_THAT(npy_header(DType::i64, {5}), HasSubstr("'<i8', 'fortran_order': False, 'shape': (5,), }"));
}

TEST(Npy, WhatIsWrittenIsRead) {
  const TempDir dir;
  const std::vector<Tensor> tensors{numbers({3, 4, 5}),
                                    numbers({}),
                                    numbers({0, 7}),
                                    Tensor::from<double>({1e-300, 2.0, 3.5}, {3}),
                                    Tensor::from<int64_t>({std::numeric_limits<int64_t>::min(), 7}, {2, 1}),
                                    Tensor::from<uint8_t>({0, 10, 255}, {1, 3})};
  for (const Tensor& tensor : tensors) {
    write_npy(dir / "a.npy", tensor);
    const Tensor read = read_npy(dir / "a.npy");
    ASSERT_EQ(read.shape(), tensor.shape());
    ASSERT_EQ(read.dtype(), tensor.dtype());
    EXPECT_EQ(std::memcmp(read.raw(), tensor.raw(), static_cast<size_t>(tensor.nbytes())), 0) << tensor.shape();
  }
}

TEST(Npy, LaterVersionsAreRead) {
  const TempDir dir;
  const std::string text = "{'descr':'|u1','fortran_order':False,'shape':(2,)}\n";
  std::string file("\x93NUMPY\2", 7);
  file += std::string("\0", 1) + static_cast<char>(text.size()) + std::string(3, '\0') + text + "ab";
  EXPECT_EQ(read_npy(dir.write("two.npy", file)).data<uint8_t>()[1], 'b');
}

TEST(Npy, WhatIsNotReadIsSaid) {
  const TempDir dir;
  const auto refusal = [&](const std::string& bytes) {
    const auto path = dir.write("bad.npy", bytes);
    const std::string message = usage_error([&] { read_npy(path); });
    EXPECT_THAT(message, HasSubstr("bad.npy"));
    return message;
  };
  const auto header = [](const std::string& descr, const std::string& order, const std::string& shape) {
    return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  };
  EXPECT_THAT(refusal(""), HasSubstr("no .npy file"));
  EXPECT_THAT(refusal("PK\3\4 something else"), HasSubstr("no .npy file"));
  EXPECT_THAT(refusal(std::string("\x93NUMPY\4\0\1\0\0\0\0", 13)), HasSubstr("version: expected 1 to 3, got 4.0"));
  EXPECT_THAT(refusal(std::string("\x93NUMPY\1\0\x76\0{}", 12)), AllOf(HasSubstr("118 bytes"), HasSubstr("2 are")));
  EXPECT_THAT(refusal(file_with("{'shape': (2,)}", 2)), HasSubstr("no 'fortran_order'"));
  EXPECT_THAT(refusal(file_with(header("'>f4'", "False", "(1,)"), 4)), HasSubstr("descr: '>f4'"));
  EXPECT_THAT(refusal(file_with(header("'<f4'", "True", "(1,)"), 4)), HasSubstr("fortran_order"));
  EXPECT_THAT(refusal(file_with(header("'<f4'", "False", "(1,"), 4)), HasSubstr("shape"));
  EXPECT_THAT(refusal(file_with(header("'<f4'", "False", "(-1,)"), 4)), HasSubstr("shape"));
  EXPECT_THAT(refusal(file_with(header("'<f4'", "False", "(1, 1, 1, 1, 1, 1, 1)"), 4)), HasSubstr("at most 6"));
  EXPECT_THAT(refusal(file_with(header("'<f4'", "False", "(99999999999, 99999999999)"), 4)), HasSubstr("shape"));
  EXPECT_THAT(refusal(file_with(header("'<f4'", "False", "(2, 3)"), 20)),
              AllOf(HasSubstr("values: expected 24 bytes"), HasSubstr("got 20")));
  EXPECT_THAT(usage_error([&] { read_npy(dir / "none.npy"); }), HasSubstr("none.npy"));
}

TEST(Npy, WhatIsNotWrittenIsSaid) {
  const TempDir dir;
  EXPECT_THAT(test::failure([&] { write_npy(dir / "a.npy", Tensor::empty({1}, DType::bf16)); }), HasSubstr("bf16"));
  EXPECT_THAT(test::failure([&] { write_npy(dir / "a.npy", Tensor()); }), HasSubstr("a.npy"));
  EXPECT_THAT(test::failure([&] { write_npy(dir / "no" / "a.npy", numbers({1})); }), HasSubstr("a.npy"));
  EXPECT_TRUE(dir.entries().empty());
}

TEST(Npy, NumpyReadsIt) {
  const std::string python = python_with_numpy();
  if (python.empty()) GTEST_SKIP() << "there is no Python with numpy";
  const TempDir dir;
  write_npy(dir / "f.npy", numbers({2, 3}));
  write_npy(dir / "i.npy", Tensor::from<int64_t>({-5}, {1}));
  const std::string script =
      "import numpy,sys\n"
      "f=numpy.load(sys.argv[1]); i=numpy.load(sys.argv[2])\n"
      "print(f.dtype,f.shape,f.tolist(),i.dtype,i.shape,i.tolist())\n"
      "numpy.save(sys.argv[1], f*2)\n";
  const test::CommandResult result =
      test::run_command({python, "-c", script, (dir / "f.npy").string(), (dir / "i.npy").string()});
  EXPECT_EQ(result.out, "float32 (2, 3) [[-1.0, -0.75, -0.5], [-0.25, 0.0, 0.25]] int64 (1,) [-5]\n") << result.err;
  EXPECT_EQ(read_npy(dir / "f.npy").f32()[1], -1.5f);
}

}  // namespace
}  // namespace vit
