#include "vit/io/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "vit/core/file.h"
#include "vit/io/json.h"

namespace vit {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are read in place: little-endian only");

namespace {

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's bound
constexpr int64_t kDataAlignment = 64;            // of what is written here; the format itself asks for 8
constexpr const char* kMetadata = "__metadata__";

/// One row per dtype of the format. Without a Tensor dtype: converted on view, or refused.
struct FileDType {
  const char* name;
  int64_t size;
  std::optional<DType> dtype;
};
const FileDType kFileDTypes[] = {
    {"F32", 4, DType::f32},   {"F16", 2, DType::f16},       {"BF16", 2, DType::bf16},     {"F64", 8, DType::f64},
    {"I64", 8, DType::i64},   {"I32", 4, DType::i32},       {"I16", 2, DType::i16},       {"I8", 1, DType::i8},
    {"U8", 1, DType::u8},     {"BOOL", 1, DType::boolean},  {"U16", 2, std::nullopt},     {"U32", 4, std::nullopt},
    {"U64", 8, std::nullopt}, {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt},
};

const FileDType* find_dtype(const std::string& name) {
  for (const FileDType& entry : kFileDTypes)
    if (name == entry.name) return &entry;
  return nullptr;
}

std::string quoted(const std::string& name) {
  return "'" + (name.size() > 200 ? name.substr(0, 200) + "..." : name) + "'";
}

/// A list of non-negative integers of the header.
std::vector<int64_t> read_extents(const json& entry, const char* key, const std::string& where) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) fail_usage(where, ": '", key, "' is not a list");
  std::vector<int64_t> values;
  for (const json& item : *found) {
    const bool fits = item.is_number_unsigned() && item.get<uint64_t>() <= uint64_t{1} << 62;
    if (!fits) fail_usage(where, ": '", key, "' holds something other than sizes");
    values.push_back(item.get<int64_t>());
  }
  return values;
}

/// One entry of the header against itself; offsets are still relative to the data section.
TensorInfo read_entry(const std::string& name, const json& entry, const std::string& file) {
  const std::string where = file + ": tensor " + quoted(name);
  if (!entry.is_object()) fail_usage(where, ": its entry is not an object");
  for (const auto& [key, value] : entry.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets") fail_usage(where, ": unknown key ", quoted(key));
  const auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string()) fail_usage(where, ": 'dtype' is not a string");
  const FileDType* known = find_dtype(dtype->get<std::string>());
  if (!known) fail_usage(where, ": unknown dtype ", quoted(dtype->get<std::string>()));

  const std::vector<int64_t> extents = read_extents(entry, "shape", where);
  const std::vector<int64_t> offsets = read_extents(entry, "data_offsets", where);
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    fail_usage(where, ": 'data_offsets' must be [begin, end], end not before begin");
  TensorInfo info{name, known->name, {}, offsets[0], offsets[1] - offsets[0]};
  try {
    info.shape = Shape(extents);  // checks rank and overflow
  } catch (const Error& error) {
    fail_usage(where, ": ", error.what());
  }
  // Divided, not multiplied: 2^62 elements of 8 bytes would overflow.
  if (info.nbytes % known->size != 0 || info.nbytes / known->size != info.shape.numel())
    fail_usage(where, ": ", info.shape, " of ", known->name, " does not fill its ", info.nbytes, " bytes");
  return info;
}

/// The tensors must tile the data section: no overlap, no hole, nothing left over.
void check_tiling(const std::vector<TensorInfo>& by_offset, int64_t data_bytes, const std::string& file) {
  int64_t expected = 0;
  for (const TensorInfo& info : by_offset) {
    const std::string where = file + ": tensor " + quoted(info.name);
    if (info.offset < expected) fail_usage(where, ": overlaps another tensor, at byte ", info.offset, " of the data");
    if (info.offset > expected)
      fail_usage(where, ": bytes ", expected, " to ", info.offset, " of the data before it belong to no tensor");
    if (info.nbytes > data_bytes - info.offset)
      fail_usage(where, ": ends at byte ", info.offset + info.nbytes, " of ", data_bytes,
                 " bytes of data (is the file truncated?)");
    expected = info.offset + info.nbytes;
  }
  if (expected != data_bytes)
    fail_usage(file, ": ", data_bytes - expected, " bytes after the last tensor belong to no tensor");
}

std::map<std::string, std::string> read_metadata(const json& header, const std::string& file) {
  std::map<std::string, std::string> metadata;
  const auto found = header.find(kMetadata);
  if (found == header.end()) return metadata;
  if (!found->is_object()) fail_usage(file, ": ", kMetadata, " is not an object");
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) fail_usage(file, ": ", kMetadata, ": ", quoted(key), " is not a string");
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

template <class From>
Tensor widened(const void* data, const TensorInfo& info, const std::string& file) {
  Tensor wide = Tensor::empty(info.shape, DType::i64);
  int64_t* out = wide.data<int64_t>();
  for (int64_t i = 0; i < info.shape.numel(); ++i) {
    From value;
    std::memcpy(&value, static_cast<const std::byte*>(data) + i * int64_t{sizeof(From)}, sizeof(From));
    if constexpr (sizeof(From) == 8)
      if (value > uint64_t{INT64_MAX})
        fail_usage(file, ": tensor ", quoted(info.name), ": ", value, " does not fit I64");
    out[i] = static_cast<int64_t>(value);
  }
  return wide;
}

}  // namespace

struct SafetensorsFile::Mapping {
  fs::path path;
  const std::byte* data = nullptr;
  int64_t bytes = 0;
  std::vector<TensorInfo> tensors;
  std::unordered_map<std::string, size_t> index;
  std::map<std::string, std::string> metadata;

  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (data) munmap(const_cast<std::byte*>(data), static_cast<size_t>(bytes));
  }
  void map();
  void parse();
};

void SafetensorsFile::Mapping::map() {
  const auto refuse = [&](const std::string& why) { fail_usage("cannot read ", path.string(), ": ", why); };
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait for ever. It means nothing to a file.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) refuse(std::strerror(errno));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* d) { close(*d); });
  struct stat status {};
  if (fstat(descriptor, &status) != 0) refuse(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse("it is not a file");
  if (status.st_size < kLengthBytes + 2)
    refuse(str("a safetensors file has at least ", kLengthBytes + 2, " bytes, this one has ", status.st_size));
  void* mapped = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (mapped == MAP_FAILED) refuse(std::strerror(errno));
  data = static_cast<const std::byte*>(mapped);
  bytes = status.st_size;
}

void SafetensorsFile::Mapping::parse() {
  const std::string file = path.string();
  uint64_t length = 0;
  std::memcpy(&length, data, sizeof(length));
  if (length > static_cast<uint64_t>(kMaxHeaderBytes))
    fail_usage(file, ": not a safetensors file: its header would be ", length, " bytes long, at most ", kMaxHeaderBytes,
               " are allowed");
  const int64_t data_begin = kLengthBytes + static_cast<int64_t>(length);
  if (data_begin > bytes)
    fail_usage(file, ": the header of ", length, " bytes does not fit the file of ", bytes,
               " bytes (is it truncated?)");
  const std::string_view text(reinterpret_cast<const char*>(data) + kLengthBytes, length);
  if (!text.starts_with('{')) fail_usage(file, ": not a safetensors file: its header does not start with '{'");

  // Four levels: the header, an entry, a list of the entry, and one to spare for the message of read_entry.
  const json header = parse_json(text, file, {.max_bytes = kMaxHeaderBytes, .max_depth = 4, .unique_keys = true});
  metadata = read_metadata(header, file);
  for (const auto& [name, entry] : header.items())
    if (name != kMetadata) tensors.push_back(read_entry(name, entry, file));
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.offset, a.nbytes, a.name) < std::tie(b.offset, b.nbytes, b.name);
  });
  check_tiling(tensors, bytes - data_begin, file);
  for (size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].offset += data_begin;
    index[tensors[i].name] = i;
  }
}

SafetensorsFile SafetensorsFile::open(const fs::path& path) {
  auto mapping = std::make_shared<Mapping>();
  mapping->path = path;
  mapping->map();
  mapping->parse();
  return SafetensorsFile(std::move(mapping));
}

const std::vector<TensorInfo>& SafetensorsFile::tensors() const { return mapping_->tensors; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return mapping_->metadata; }
const fs::path& SafetensorsFile::path() const { return mapping_->path; }

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
  const auto found = mapping_->index.find(name);
  return found == mapping_->index.end() ? nullptr : &mapping_->tensors[found->second];
}

Tensor SafetensorsFile::view(const std::string& name) const {
  const std::string file = path().string();
  const TensorInfo* info = find(name);
  if (!info) fail_usage(file, ": there is no tensor ", quoted(name));
  const std::byte* data = mapping_->data + info->offset;
  const FileDType& known = *find_dtype(info->dtype);
  if (!known.dtype) {
    if (info->dtype == "U16") return widened<uint16_t>(data, *info, file);
    if (info->dtype == "U32") return widened<uint32_t>(data, *info, file);
    if (info->dtype == "U64") return widened<uint64_t>(data, *info, file);
    fail_usage(file, ": tensor ", quoted(name), ": the dtype ", info->dtype, " is not supported");
  }
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(known.size) == 0)
    return Tensor::wrap(data, info->shape, *known.dtype, mapping_);
  Tensor copy = Tensor::empty(info->shape, *known.dtype);
  std::memcpy(copy.raw(), data, static_cast<size_t>(info->nbytes));
  return copy;
}

void SafetensorsFile::release(const Tensor& tensor) const {
  const auto base = reinterpret_cast<uintptr_t>(mapping_->data);
  const auto begin = reinterpret_cast<uintptr_t>(tensor.raw());
  if (!tensor.defined() || begin < base || begin >= base + static_cast<uintptr_t>(mapping_->bytes)) return;
  // Outwards to whole pages: a neighbour's page is only read again from the page cache, never lost.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = begin / page * page;
  const uintptr_t last = begin + static_cast<uintptr_t>(tensor.nbytes());
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

void write_safetensors(const fs::path& path, const std::vector<SafetensorsEntry>& entries,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const SafetensorsEntry*> ordered;
  for (const SafetensorsEntry& entry : entries) {
    check(entry.tensor.defined(), "write_safetensors: ", path.string(), ": tensor ", quoted(entry.name),
          " is undefined");
    check(entry.name != kMetadata, "write_safetensors: ", path.string(), ": a tensor cannot be called ", kMetadata);
    ordered.push_back(&entry);
  }
  std::sort(ordered.begin(), ordered.end(), [](const SafetensorsEntry* a, const SafetensorsEntry* b) {
    const int64_t a_size = size_of(a->tensor.dtype()), b_size = size_of(b->tensor.dtype());
    return a_size != b_size ? a_size > b_size : a->name < b->name;
  });

  json header = json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  int64_t offset = 0;
  for (const SafetensorsEntry* entry : ordered) {
    const Tensor& tensor = entry->tensor;
    check(!header.contains(entry->name), "write_safetensors: ", path.string(), ": two tensors called ",
          quoted(entry->name));
    const FileDType* dtype = std::find_if(std::begin(kFileDTypes), std::end(kFileDTypes),
                                          [&](const FileDType& known) { return known.dtype == tensor.dtype(); });
    header[entry->name] = {{"dtype", dtype->name},
                           {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())},
                           {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    fail("write_safetensors: ", path.string(), ": a name or the metadata is not UTF-8");
  }
  const int64_t unpadded = kLengthBytes + static_cast<int64_t>(text.size());
  text.append(static_cast<size_t>((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment), ' ');

  write_file_atomically(path, [&](AtomicFile& file) {
    const uint64_t length = text.size();
    file.write(&length, sizeof(length));
    file.write(text);
    for (const SafetensorsEntry* entry : ordered)
      file.write(entry->tensor.raw(), static_cast<size_t>(entry->tensor.nbytes()));
  });
}

float f32_from_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

float f32_from_f16(uint16_t bits) {
  constexpr uint32_t kRebias = (127 - 15) << 23;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent_and_mantissa = static_cast<uint32_t>(bits & 0x7fff) << 13;
  const uint32_t exponent = exponent_and_mantissa & (0x1f << 23);
  uint32_t result = exponent_and_mantissa + kRebias;
  if (exponent == 0x1f << 23) result += kRebias;  // infinity, NaN: the exponent becomes all ones
  if (exponent == 0) {
    // A subnormal, m * 2^-24: as 2^-14 * (1 + m / 1024) - 2^-14, which never has a subnormal operand.
    constexpr uint32_t kSmallestNormal = (127 - 14) << 23;
    result = std::bit_cast<uint32_t>(std::bit_cast<float>(exponent_and_mantissa | kSmallestNormal) -
                                     std::bit_cast<float>(kSmallestNormal));
  }
  return std::bit_cast<float>(result | sign);
}

namespace {

template <class From, class Convert>
Tensor converted(const Tensor& tensor, const Convert& convert) {
  Tensor result = Tensor::empty(tensor.shape());
  const From* in = tensor.data<From>();
  float* out = result.f32();
  for (int64_t i = 0; i < tensor.numel(); ++i) out[i] = convert(in[i]);
  return result;
}

template <class From>
Tensor cast(const Tensor& tensor) {
  return converted<From>(tensor, [](From value) { return static_cast<float>(value); });
}

}  // namespace

Tensor to_f32(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return tensor;
    case DType::f64:
      return cast<double>(tensor);
    case DType::f16:
      return converted<Float16>(tensor, [](Float16 value) { return f32_from_f16(value.bits); });
    case DType::bf16:
      return converted<BFloat16>(tensor, [](BFloat16 value) { return f32_from_bf16(value.bits); });
    case DType::i64:
      return cast<int64_t>(tensor);
    case DType::i32:
      return cast<int32_t>(tensor);
    case DType::i16:
      return cast<int16_t>(tensor);
    case DType::i8:
      return cast<int8_t>(tensor);
    case DType::u8:
      return cast<uint8_t>(tensor);
    case DType::boolean: {
      // As bytes: a file's "true" may be any value but 0, which a bool in memory must not be.
      const Tensor bytes = Tensor::wrap(tensor.raw(), tensor.shape(), DType::u8, nullptr);
      return converted<uint8_t>(bytes, [](uint8_t value) { return value ? 1.0f : 0.0f; });
    }
  }
  fail("to_f32: unknown dtype ", static_cast<int>(tensor.dtype()));
}

}  // namespace vit
