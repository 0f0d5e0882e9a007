#include "vit/io/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "vit/core/check.h"

namespace vit {

namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kAlignment = 64;
/// Magic, version and the header's length: two bytes in version 1.0, four in the later ones.
constexpr size_t kFixedBytes = 10, kFixedBytesLater = 12;
constexpr std::array<std::pair<DType, std::string_view>, 4> kTypes{
    {{DType::f32, "<f4"}, {DType::f64, "<f8"}, {DType::i64, "<i8"}, {DType::u8, "|u1"}}};

std::string_view descr_of(DType dtype) {
  for (const auto& [type, descr] : kTypes)
    if (type == dtype) return descr;
  fail("npy: ", name_of(dtype), " is not written, only f32, f64, i64 and u8");
}

/// Python's tuple: (), (3,), (2, 3).
std::string tuple_of(const Shape& shape) {
  std::string text = "(";
  for (int axis = 0; axis < shape.rank(); ++axis)
    text += std::to_string(shape[axis]) + (axis + 1 < shape.rank() ? ", " : shape.rank() == 1 ? "," : "");
  return text + ")";
}

/// What a header says, as far as it is understood.
class Header {
 public:
  Header(std::string text, std::string file) : text_(std::move(text)), file_(std::move(file)) {}

  DType dtype() const {
    const std::string_view quoted = value_of("descr");
    for (const auto& [type, descr] : kTypes)
      if (quoted.size() > 2 && quoted.substr(1, quoted.size() - 2) == descr) return type;
    fail_usage(file_, ": descr: ", quoted, " is not read, only little-endian '<f4', '<f8', '<i8' and '|u1'");
  }

  void require_c_order() const {
    if (value_of("fortran_order") != "False")
      fail_usage(file_, ": fortran_order: expected False, got ", value_of("fortran_order"),
                 "; save it with numpy.ascontiguousarray");
  }

  Shape shape() const {
    std::string_view rest = value_of("shape");
    std::vector<int64_t> extents;
    if (rest.size() < 2 || rest.front() != '(' || rest.back() != ')') refuse_shape();
    rest = rest.substr(1, rest.size() - 2);
    while (!rest.empty()) {
      int64_t extent = -1;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
      if (error != std::errc() || extent < 0) refuse_shape();
      extents.push_back(extent);
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
      if (!rest.empty() && rest.front() != ',') refuse_shape();
      rest.remove_prefix(std::min(rest.find_first_not_of(", "), rest.size()));
    }
    if (extents.size() > Shape::kMaxRank) refuse_shape();
    return made_shape(extents);
  }

 private:
  [[noreturn]] void refuse_shape() const {
    fail_usage(file_, ": shape: expected at most ", Shape::kMaxRank, " extents, got ", value_of("shape"));
  }
  Shape made_shape(const std::vector<int64_t>& extents) const {
    try {
      return Shape(extents);
    } catch (const Error&) {
      refuse_shape();
    }
  }
  /// The text behind 'KEY': up to the comma, or the brace, that ends it.
  std::string_view value_of(std::string_view key) const {
    const std::string_view all = text_;
    const size_t at = all.find("'" + std::string(key) + "'");
    if (at == std::string_view::npos) fail_usage(file_, ": the header has no '", key, "'");
    size_t from = all.find(':', at);
    from = from == std::string_view::npos ? from : all.find_first_not_of(" :", from);
    if (from == std::string_view::npos) fail_usage(file_, ": ", key, ": the header ends here");
    size_t end = from;
    for (int depth = 0; end < all.size(); ++end) {
      if (all[end] == '(') ++depth;
      if (all[end] == ')') --depth;
      if (depth == 0 && (all[end] == ',' || all[end] == '}')) break;
    }
    while (end > from && all[end - 1] == ' ') --end;
    return all.substr(from, end - from);
  }

  std::string text_, file_;
};

}  // namespace

std::string npy_header(DType dtype, const Shape& shape) {
  std::string text =
      "{'descr': '" + std::string(descr_of(dtype)) + "', 'fortran_order': False, 'shape': " + tuple_of(shape) + ", }";
  const size_t used = kFixedBytes + text.size() + 1;
  text += std::string((kAlignment - used % kAlignment) % kAlignment, ' ') + '\n';
  std::string header(kMagic);
  header += '\1';
  header += '\0';
  header += static_cast<char>(text.size() & 255u);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  check(tensor.defined(), path.string(), ": npy: an undefined tensor");
  const std::string header = npy_header(tensor.dtype(), tensor.shape());
  write_file_atomically(path, [&](AtomicFile& file) {
    file.write(header);
    if (tensor.numel() > 0) file.write(tensor.raw(), static_cast<size_t>(tensor.nbytes()));
  });
}

Tensor read_npy(const std::filesystem::path& path, int64_t max_bytes) {
  const std::string name = path.string(), bytes = read_file(path, max_bytes);
  const auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(bytes[at])); };
  if (bytes.size() < kFixedBytesLater || !bytes.starts_with(kMagic))
    fail_usage(name, ": no .npy file: it does not begin with \"\\x93NUMPY\"");
  if (byte(6) < 1 || byte(6) > 3) fail_usage(name, ": version: expected 1 to 3, got ", byte(6), ".", byte(7));
  const bool later = byte(6) > 1;
  const size_t begin = later ? kFixedBytesLater : kFixedBytes;
  const size_t length = byte(8) + (byte(9) << 8) + (later ? (byte(10) << 16) + (byte(11) << 24) : 0);
  if (bytes.size() - begin < length)
    fail_usage(name, ": header: ", length, " bytes are announced, ", bytes.size() - begin, " are there");
  const Header header(bytes.substr(begin, length), name);
  header.require_c_order();
  const DType dtype = header.dtype();
  const Shape shape = header.shape();
  const auto found = static_cast<int64_t>(bytes.size() - begin - length);
  if (found != shape.numel() * size_of(dtype))
    fail_usage(name, ": values: expected ", shape.numel() * size_of(dtype), " bytes for ", shape, " of ",
               name_of(dtype), ", got ", found);
  Tensor tensor = Tensor::empty(shape, dtype);
  if (found > 0) std::memcpy(tensor.raw(), bytes.data() + begin + length, static_cast<size_t>(found));
  return tensor;
}

}  // namespace vit
