#include "vit/io/safetensors.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::failure;
using test::slurp;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A file's bytes from its header and data; the length is the header's unless told.
std::string file_bytes(const std::string& header, const std::string& data, uint64_t length = 0) {
  if (length == 0) length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

/// What opening a file with these bytes says.
std::string open_error(const TempDir& dir, const std::string& bytes) {
  const auto file = dir.write("bad.safetensors", bytes);
  return usage_error([&] { SafetensorsFile::open(file); });
}
std::string header_error(const std::string& header, size_t data_bytes) {
  const TempDir dir;
  return open_error(dir, file_bytes(header, std::string(data_bytes, 'x')));
}

Tensor sequence(const Shape& shape) {
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<float>(i) * 0.5f);
  return Tensor::from(values, shape);
}

TEST(Safetensors, WritesAndReads) {
  const TempDir dir;
  const Tensor weight = sequence({2, 3});
  const Tensor ids = Tensor::from<int64_t>({1, -2, 3}, {3});
  const Tensor bytes = Tensor::from<uint8_t>({1, 2, 3, 4, 5}, {5});
  write_safetensors(dir / "m.safetensors", {{"b.bytes", bytes}, {"a.weight", weight}, {"ids", ids}},
                    {{"format", "pt"}});

  const SafetensorsFile file = SafetensorsFile::open(dir / "m.safetensors");
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[0].name, "ids") << "large elements first, so that all are aligned";
  EXPECT_EQ(file.tensors()[0].offset % 64, 0);
  EXPECT_EQ(file.tensors()[2].name, "b.bytes");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.path(), dir / "m.safetensors");
  const Tensor read = file.view("a.weight");
  EXPECT_EQ(read.shape(), Shape({2, 3}));
  EXPECT_TRUE(std::equal(read.f32(), read.f32() + 6, weight.f32()));
  EXPECT_THAT(file.view("ids").span<int64_t>(), ElementsAre(1, -2, 3));
  EXPECT_THAT(file.view("b.bytes").span<uint8_t>(), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(file.find("none"), nullptr);
  EXPECT_THAT(usage_error([&] { file.view("none"); }), AllOf(HasSubstr("m.safetensors"), HasSubstr("'none'")));
}

TEST(Safetensors, ScalarsAndEmptyTensors) {
  const TempDir dir;
  write_safetensors(dir / "m",
                    {{"scalar", Tensor::full({}, 3)}, {"empty", Tensor::empty({0, 4})}, {"last", sequence({1})}});
  const SafetensorsFile file = SafetensorsFile::open(dir / "m");
  EXPECT_EQ(file.view("scalar").shape(), Shape());
  EXPECT_EQ(file.view("scalar").f32()[0], 3.0f);
  EXPECT_EQ(file.view("empty").numel(), 0);
  write_safetensors(dir / "none", {});
  EXPECT_TRUE(SafetensorsFile::open(dir / "none").tensors().empty());
}

TEST(Safetensors, ATensorKeepsTheMappingAlive) {
  const TempDir dir;
  Tensor tensor;
  {
    write_safetensors(dir / "m", {{"x", sequence({1000})}});
    tensor = SafetensorsFile::open(dir / "m").view("x");
  }
  std::filesystem::remove(dir / "m");
  EXPECT_EQ(tensor.f32()[999], 499.5f);
}

TEST(Safetensors, ReplacingAFileLeavesOpenTensorsAlone) {
  const TempDir dir;
  write_safetensors(dir / "m", {{"x", Tensor::full({100}, 1)}});
  const Tensor old = SafetensorsFile::open(dir / "m").view("x");
  write_safetensors(dir / "m", {{"x", Tensor::full({1}, 2)}});
  EXPECT_EQ(old.f32()[99], 1.0f);
  EXPECT_EQ(SafetensorsFile::open(dir / "m").view("x").f32()[0], 2.0f);
}

TEST(Safetensors, ViewsShareAndUnalignedDataIsCopied) {
  const TempDir dir;
  const std::string data = std::string("x") + std::string(8, '\0');
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  const SafetensorsFile odd = SafetensorsFile::open(dir.write("odd", file_bytes(header, data)));
  const Tensor copy = odd.view("b");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(copy.raw()) % alignof(float), 0u);
  EXPECT_THAT(copy.span<float>(), ElementsAre(0.0f, 0.0f));
  odd.release(copy);  // not mapped: nothing to do
  EXPECT_EQ(copy.f32()[0], 0.0f);

  write_safetensors(dir / "even", {{"a", sequence({4})}});
  const SafetensorsFile even = SafetensorsFile::open(dir / "even");
  EXPECT_EQ(even.view("a").raw(), even.view("a").raw()) << "no copy";
}

/// Pages of [begin, begin + bytes) that are resident in this process, by /proc/self/smaps.
int64_t resident_kilobytes(const void* address) {
  std::istringstream maps(slurp("/proc/self/smaps"));
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) inside = begin <= wanted && wanted < end;
    if (inside && line.starts_with("Rss:")) return std::stoll(line.substr(4));
  }
  return -1;
}

TEST(Safetensors, ReleaseGivesPagesBack) {
  const TempDir dir;
  write_safetensors(dir / "m", {{"x", sequence({1 << 20})}});
  const SafetensorsFile file = SafetensorsFile::open(dir / "m");
  const Tensor tensor = file.view("x");
  float sum = 0;
  for (float value : tensor.span<float>()) sum += value;
  EXPECT_GT(sum, 0);
  EXPECT_GE(resident_kilobytes(tensor.raw()), 4096);
  file.release(tensor);
  EXPECT_LT(resident_kilobytes(tensor.raw()), 100);
  EXPECT_EQ(tensor.f32()[1000], 500.0f) << "still valid";
  file.release(Tensor());
  file.release(Tensor::full({4}, 1));
}

TEST(Safetensors, EveryDtype) {
  const TempDir dir;
  std::string header, data;
  const auto add = [&](const std::string& dtype, const std::string& bytes) {
    header += (header.empty() ? "" : ",") +
              ("\"" + dtype + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[1],\"data_offsets\":[") +
              std::to_string(data.size()) + "," + std::to_string(data.size() + bytes.size()) + "]}";
    data += bytes;
  };
  const auto bytes_of = [](auto value) { return std::string(reinterpret_cast<const char*>(&value), sizeof(value)); };
  add("F64", bytes_of(-2.5));
  add("I64", bytes_of(int64_t{-5}));
  add("U64", bytes_of(uint64_t{1} << 40));
  add("F32", bytes_of(1.5f));
  add("I32", bytes_of(int32_t{-70000}));
  add("U32", bytes_of(uint32_t{4000000000u}));
  add("F16", bytes_of(uint16_t{0x3e00}));
  add("BF16", bytes_of(uint16_t{0x3fc0}));
  add("I16", bytes_of(int16_t{-300}));
  add("U16", bytes_of(uint16_t{60000}));
  add("I8", bytes_of(int8_t{-7}));
  add("U8", bytes_of(uint8_t{200}));
  add("BOOL", bytes_of(uint8_t{1}));
  add("F8_E4M3", "x");
  const SafetensorsFile file = SafetensorsFile::open(dir.write("m", file_bytes("{" + header + "}", data)));
  const std::vector<std::pair<std::string, float>> expected = {
      {"F64", -2.5f}, {"I64", -5},   {"U64", 0x1p40f}, {"F32", 1.5f}, {"I32", -70000}, {"U32", 4e9f}, {"F16", 1.5f},
      {"BF16", 1.5f}, {"I16", -300}, {"U16", 60000},   {"I8", -7},    {"U8", 200},     {"BOOL", 1}};
  for (const auto& [dtype, value] : expected) {
    const Tensor converted = to_f32(file.view(dtype));
    ASSERT_EQ(converted.dtype(), DType::f32);
    EXPECT_EQ(converted.f32()[0], value) << dtype;
  }
  EXPECT_EQ(file.view("U32").dtype(), DType::i64);
  EXPECT_THAT(usage_error([&] { file.view("F8_E4M3"); }), HasSubstr("F8_E4M3 is not supported"));
}

TEST(Safetensors, ToF32SharesF32) {
  const Tensor tensor = sequence({3});
  EXPECT_EQ(to_f32(tensor).raw(), tensor.raw());
}

TEST(Safetensors, AnyByteOfABoolIsTrueButZero) {
  const TempDir dir;
  const std::string header = R"({"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})";
  const SafetensorsFile file = SafetensorsFile::open(dir.write("m", file_bytes(header, std::string("\0\x01\x7f", 3))));
  EXPECT_THAT(to_f32(file.view("a")).span<float>(), ElementsAre(0.0f, 1.0f, 1.0f));
}

/// The value of a half by its definition (IEEE 754-2008, binary16).
double half_by_definition(int bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == 31) return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(Safetensors, EveryHalfIsExact) {
  for (int bits = 0; bits < 65536; ++bits) {
    const double expected = half_by_definition(bits);
    const float value = f32_from_f16(static_cast<uint16_t>(bits));
    ASSERT_EQ(std::signbit(value), std::signbit(bits >> 15 ? -1.0 : 1.0)) << bits;
    if (std::isnan(expected))
      ASSERT_TRUE(std::isnan(value)) << bits;
    else
      ASSERT_EQ(static_cast<double>(value), expected) << bits;
  }
  EXPECT_EQ(f32_from_bf16(0x7f80), std::numeric_limits<float>::infinity());
  EXPECT_EQ(f32_from_bf16(0x0001), 0x1p-133f) << "subnormal";
  EXPECT_TRUE(std::isnan(f32_from_bf16(0x7fc0)));
}

TEST(Safetensors, TheHeaderMustFitTheFile) {
  const TempDir dir;
  EXPECT_THAT(open_error(dir, ""), HasSubstr("at least 10 bytes, this one has 0"));
  EXPECT_THAT(open_error(dir, "1234567"), HasSubstr("this one has 7"));
  EXPECT_THAT(open_error(dir, file_bytes("{}", "", 3)), HasSubstr("does not fit the file of 10 bytes"));
  EXPECT_THAT(open_error(dir, file_bytes("{}", "", uint64_t{100'000'001})), HasSubstr("at most 100000000 are allowed"));
  EXPECT_THAT(open_error(dir, file_bytes("{}", "", ~uint64_t{0})), HasSubstr("not a safetensors file"));
  EXPECT_THAT(open_error(dir, file_bytes("[]", "")), HasSubstr("does not start with '{'"));
  EXPECT_THAT(open_error(dir, file_bytes(" {}", "")), HasSubstr("does not start with '{'"));
  EXPECT_THAT(open_error(dir, file_bytes("{\"a\"", "")), HasSubstr("not JSON"));
  EXPECT_THAT(open_error(dir, file_bytes(std::string(10'000, '{'), "")), HasSubstr("nested deeper"));
  EXPECT_THAT(usage_error([&] { SafetensorsFile::open(dir / "none"); }), HasSubstr("No such file"));
  EXPECT_THAT(usage_error([&] { SafetensorsFile::open(dir.path()); }), HasSubstr("it is not a file"));
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(usage_error([&] { SafetensorsFile::open(dir / "pipe"); }), HasSubstr("it is not a file"));
}

TEST(Safetensors, EntriesMustMakeSense) {
  const auto entry = [](const std::string& text, size_t bytes) { return header_error("{\"a\":" + text + "}", bytes); };
  EXPECT_THAT(entry("1", 0), AllOf(HasSubstr("bad.safetensors"), HasSubstr("tensor 'a'"), HasSubstr("not an object")));
  EXPECT_THAT(entry("{}", 0), HasSubstr("'dtype' is not a string"));
  EXPECT_THAT(entry(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})", 4), HasSubstr("unknown dtype 'F31'"));
  EXPECT_THAT(entry(R"({"dtype":"F32","data_offsets":[0,4]})", 4), HasSubstr("'shape' is not a list"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", 4), HasSubstr("'shape' holds something"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})", 4), HasSubstr("'shape' holds something"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1]})", 4), HasSubstr("'data_offsets' is not a list"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", 4), HasSubstr("must be [begin, end]"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", 4), HasSubstr("must be [begin, end]"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4), HasSubstr("does not fill its 4 bytes"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0,5]})", 5), HasSubstr("does not fill its 5 bytes"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":1})", 4),
              HasSubstr("unknown key 'extra'"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1],"data_offsets":[0,4]})", 4),
              HasSubstr("at most 6 dimensions"));
}

TEST(Safetensors, SizesThatOverflowAreRefused) {
  const auto shape = [](const std::string& extents) {
    return header_error("{\"a\":{\"dtype\":\"F64\",\"shape\":[" + extents + "],\"data_offsets\":[0,0]}}", 0);
  };
  EXPECT_THAT(shape("4294967296,4294967296"), HasSubstr("overflows"));
  EXPECT_THAT(shape("4611686018427387904"), HasSubstr("overflows")) << "2^62 x 8 bytes would wrap to 0";
  EXPECT_THAT(shape("18446744073709551615"), HasSubstr("'shape' holds something"));
  EXPECT_THAT(shape("99999999999999999999999"), HasSubstr("'shape' holds something"));
  EXPECT_THAT(header_error(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[18446744073709551608,0]}})", 8),
              HasSubstr("'data_offsets' holds something"));
}

TEST(Safetensors, TensorsMustTileTheData) {
  const auto two = [](const std::string& first, const std::string& second, size_t bytes) {
    return header_error(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[)" + first +
                            R"(]},"b":{"dtype":"U8","shape":[4],"data_offsets":[)" + second + "]}}",
                        bytes);
  };
  EXPECT_THAT(two("0,4", "2,6", 8), AllOf(HasSubstr("tensor 'b'"), HasSubstr("overlaps")));
  EXPECT_THAT(two("0,4", "0,4", 4), HasSubstr("overlaps"));
  EXPECT_THAT(two("0,4", "5,9", 9), HasSubstr("bytes 4 to 5 of the data before it belong to no tensor"));
  EXPECT_THAT(two("1,5", "5,9", 9), HasSubstr("bytes 0 to 1"));
  EXPECT_THAT(two("0,4", "4,8", 7), AllOf(HasSubstr("tensor 'b'"), HasSubstr("truncated?")));
  EXPECT_THAT(two("0,4", "4,8", 9), HasSubstr("1 bytes after the last tensor belong to no tensor"));
  EXPECT_THAT(header_error("{}", 5), HasSubstr("5 bytes after the last tensor"));
}

TEST(Safetensors, DuplicateNamesAreRefused) {
  EXPECT_THAT(header_error(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                           R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                           1),
              HasSubstr("'a' stands twice"));
}

TEST(Safetensors, MetadataMustBeStrings) {
  EXPECT_THAT(header_error(R"({"__metadata__":{"a":1}})", 0), HasSubstr("'a' is not a string"));
  EXPECT_THAT(header_error(R"({"__metadata__":[]})", 0), HasSubstr("not an object"));
}

/// Opens bytes that may be anything; true when they were accepted, and then every tensor must be readable.
bool survives(const TempDir& dir, const std::string& bytes) {
  const auto path = dir.write("fuzzed", bytes);
  try {
    const SafetensorsFile file = SafetensorsFile::open(path);
    for (const TensorInfo& info : file.tensors()) to_f32(file.view(info.name));
    return true;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("fuzzed"));
    return false;
  }
}

TEST(Safetensors, TruncationAtEveryLengthIsRefused) {
  const TempDir dir;
  write_safetensors(dir / "m", {{"a", sequence({2, 2})}, {"b", sequence({3})}}, {{"k", "v"}});
  const std::string bytes = slurp(dir / "m");
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(survives(dir, bytes.substr(0, length))) << length;
  EXPECT_TRUE(survives(dir, bytes));
  EXPECT_FALSE(survives(dir, bytes + "x"));
}

TEST(Safetensors, EveryFlippedBitOfTheHeaderIsSurvived) {
  const TempDir dir;
  write_safetensors(dir / "m", {{"a", sequence({2, 2})}, {"b", Tensor::from<int64_t>({1}, {1})}});
  const std::string bytes = slurp(dir / "m");
  const size_t header_end = bytes.size() - 24;
  int accepted = 0;
  for (size_t position = 0; position < header_end; ++position)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[position] = static_cast<char>(flipped[position] ^ (1 << bit));
      accepted += survives(dir, flipped) ? 1 : 0;
    }
  // A name may have changed, or a blank of the padding become a line break; nothing else can be accepted.
  EXPECT_LT(accepted, static_cast<int>(header_end));
}

TEST(Safetensors, WriterRefusesWhatItCouldNotRead) {
  const TempDir dir;
  const auto path = dir / "m";
  EXPECT_THAT(failure([&] { write_safetensors(path, {{"a", Tensor()}}); }), HasSubstr("'a' is undefined"));
  EXPECT_THAT(failure([&] {
                write_safetensors(path, {{"a", sequence({1})}, {"a", sequence({1})}});
              }),
              HasSubstr("two tensors called 'a'"));
  EXPECT_THAT(failure([&] {
                write_safetensors(path, {{"__metadata__", sequence({1})}});
              }),
              HasSubstr("cannot be called"));
  EXPECT_THAT(failure([&] { write_safetensors(path, {{"\xff", sequence({1})}}); }), HasSubstr("not UTF-8"));
  EXPECT_THAT(failure([&] { write_safetensors("/dev/full", {{"a", sequence({1})}}); }), HasSubstr("No space left"));
  EXPECT_TRUE(dir.entries().empty());
}

TEST(Safetensors, WritingIsDeterministic) {
  const TempDir dir;
  write_safetensors(dir / "1", {{"a", sequence({5})}, {"b", sequence({2})}});
  write_safetensors(dir / "2", {{"b", sequence({2})}, {"a", sequence({5})}});
  EXPECT_EQ(slurp(dir / "1"), slurp(dir / "2"));
}

}  // namespace
}  // namespace vit
