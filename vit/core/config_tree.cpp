#include "vit/core/config_tree.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <sstream>
#include <unordered_map>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/utf8.h"

namespace vit {

namespace fs = std::filesystem;

namespace {

using Kind = ConfigNode::Kind;
using Impl = ConfigNode::Impl;
using ImplPtr = std::shared_ptr<const Impl>;

constexpr const char* kInclude = "__include__";

/// What all files of one load share.
struct LoadState {
  const ConfigLimits& limits;
  int includes = 0;
  std::vector<fs::path> open_files{};  // canonical, outermost first: the chain in which a cycle would close
};

ImplPtr load_file(const fs::path& path, LoadState& state);

/// Builds the tree from yaml-cpp's events. Events rather than YAML::Node, because shared nodes then stay shared: an
/// alias bomb costs nothing to build, and its expanded size is known at every step.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const ConfigSource& source, LoadState& state)
      : source_(source), state_(state), file_(std::make_shared<const std::string>(source.name)) {}

  ImplPtr take() { return root_ ? root_ : std::make_shared<const Impl>(Kind::null, file_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) refuse(mark, "only one document per file is supported");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, std::make_shared<const Impl>(Kind::null, file_, line_of(mark)), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark, "an alias inside its own anchor");
    add(mark, found->second, YAML::NullAnchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    // yaml-cpp makes single bytes of the escapes \N and \_ (U+0085, U+00A0).
    if (!is_utf8(value)) refuse(mark, "an escape in a string does not give UTF-8");
    auto scalar = std::make_shared<Impl>(Kind::scalar, file_, line_of(mark));
    scalar->text = value;
    scalar->is_text = tag == "!";  // yaml-cpp's way to say: it stood in quotes, or in a block
    add(mark, scalar, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::list);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::map);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    std::shared_ptr<Impl> node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    bool has_key = false;
    std::string key{};
    std::unordered_map<std::string, int> lines{};  // of the keys so far
    ImplPtr included{};                            // what __include__ brought
  };

  /// A value's line is its key's: yaml-cpp puts a block map where its first key stands, one line too late for a reader.
  int line_of(const YAML::Mark& mark) const {
    if (!source_.has_lines) return 0;
    const bool has_key = !stack_.empty() && stack_.back().has_key;
    return has_key ? stack_.back().lines.at(stack_.back().key) : mark.line + 1;
  }

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& message) const {
    fail_usage(source_.name, source_.has_lines ? str(":", mark.line + 1) : "", ": ", message);
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tags are not supported: " + tag);
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    check_tag(mark, tag);
    if (stack_.size() >= static_cast<size_t>(state_.limits.max_depth))
      refuse(mark, str("nested deeper than ", state_.limits.max_depth, " levels"));
    stack_.push_back({std::make_shared<Impl>(kind, file_, line_of(mark)), anchor, mark});
  }

  void close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    ImplPtr node = frame.node;
    if (frame.included) node = merge_config_trees(frame.included, node);
    add(frame.mark, node, frame.anchor);
  }

  void add(const YAML::Mark& mark, const ImplPtr& node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    if (stack_.empty()) {
      root_ = node;
      return check_config_limits(*root_, state_.limits);
    }
    Frame& frame = stack_.back();
    if (frame.node->kind == Kind::list)
      frame.node->add(node);
    else if (!frame.has_key)
      take_key(mark, frame, *node);
    else
      take_value(mark, frame, node);
    check_config_limits(*frame.node, state_.limits);
  }

  void take_key(const YAML::Mark& mark, Frame& frame, const Impl& node) {
    if (node.kind != Kind::scalar) refuse(mark, "a key must be a plain name");
    const auto [earlier, is_new] = frame.lines.emplace(node.text, mark.line + 1);
    if (!is_new) refuse(mark, str("the key '", node.text, "' stands twice, first in line ", earlier->second));
    frame.key = node.text;
    frame.has_key = true;
  }

  void take_value(const YAML::Mark& mark, Frame& frame, const ImplPtr& node) {
    frame.has_key = false;
    if (frame.key != kInclude) return frame.node->add(frame.key, node);
    const std::vector<ImplPtr> files = node->kind == Kind::list ? node->items : std::vector<ImplPtr>{node};
    for (const ImplPtr& file : files) {
      if (file->kind != Kind::scalar) refuse(mark, str(kInclude, ": expected a file name or a list of them"));
      frame.included = merge_config_trees(frame.included, include(mark, file->text));
    }
  }

  ImplPtr include(const YAML::Mark& mark, const std::string& name) {
    if (++state_.includes > state_.limits.max_includes)
      refuse(mark, str("more than ", state_.limits.max_includes, " files are included"));
    const fs::path path = source_.folder / name;
    std::error_code error;
    if (!fs::exists(path, error)) refuse(mark, str(kInclude, ": there is no file ", path.string()));
    const fs::path canonical = fs::weakly_canonical(path, error);
    const auto& chain = state_.open_files;
    if (std::find(chain.begin(), chain.end(), canonical) != chain.end())
      refuse(mark, str(kInclude, ": ", name, " includes itself, directly or through others"));
    const ImplPtr tree = load_file(path, state_);
    if (tree->kind != Kind::map && tree->kind != Kind::null)
      refuse(mark, str(kInclude, ": ", name, " must be a map of keys"));
    return tree->kind == Kind::map ? tree : nullptr;
  }

  const ConfigSource& source_;
  LoadState& state_;
  std::shared_ptr<const std::string> file_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, ImplPtr> anchors_;
  ImplPtr root_;
  int documents_ = 0;
};

ImplPtr parse_text(std::string_view text, const ConfigSource& source, LoadState& state) {
  if (static_cast<int64_t>(text.size()) > state.limits.max_bytes)
    fail_usage(source.name, ": longer than the limit of ", state.limits.max_bytes, " bytes");
  // yaml-cpp takes a zero byte for the end of the text: what follows would silently not count.
  if (text.find('\0') != std::string_view::npos) fail_usage(source.name, ": not YAML: it contains a zero byte");
  // yaml-cpp would replace what is not UTF-8, silently.
  if (!is_utf8(text)) fail_usage(source.name, ": not YAML: the text is not UTF-8");
  TreeBuilder builder(source, state);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    const std::string line = source.has_lines && error.mark.line >= 0 ? str(":", error.mark.line + 1) : "";
    fail_usage(source.name, line, ": not YAML: ", error.msg);
  }
  return builder.take();
}

ImplPtr load_file(const fs::path& path, LoadState& state) {
  std::error_code error;
  state.open_files.push_back(fs::weakly_canonical(path, error));
  const std::string text = read_file(path, state.limits.max_bytes);
  ImplPtr tree = parse_text(text, {.name = path.string(), .folder = path.parent_path()}, state);
  state.open_files.pop_back();
  return tree;
}

/// Words of letters, digits and _./+-, with single blanks between them: what every YAML reader takes for a string as it
/// stands. The emitter's own idea of that is wider, and wrong for control characters.
bool is_plain_string(const std::string& text) {
  if (text.empty() || text.back() == ' ' || reads_as_other_than_string(text)) return false;
  if (!std::isalpha(static_cast<unsigned char>(text[0])) && text[0] != '_' && text[0] != '/') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool is_word =
        c < 0x80 && (std::isalnum(c) || std::string_view("_./+-").find(text[i]) != std::string_view::npos);
    if (!is_word && (c != ' ' || text[i - 1] == ' ' || text[i + 1] == '-')) return false;
  }
  return true;
}

/// Characters beyond ASCII that some reader takes for a line break or drops: C1 controls, line and paragraph
/// separators, the byte order mark, non-characters. Letters of all languages stay as they are.
bool has_odd_characters(const std::string& text) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    const auto byte_at = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
    const unsigned first = byte_at(i), second = byte_at(i + 1), third = byte_at(i + 2);
    if (first == 0xc2 && second < 0xa0) return true;
    if (first == 0xe2 && second == 0x80 && (third == 0xa8 || third == 0xa9)) return true;
    if (first == 0xef && (second == 0xbb || second == 0xbf || second == 0xb7)) return true;
  }
  return false;
}

void emit_quoted(YAML::Emitter& out, const std::string& text) {
  if (has_odd_characters(text)) out << YAML::EscapeNonAscii;
  out << YAML::DoubleQuoted << text;
}

void emit(YAML::Emitter& out, const Impl& node);

void emit_map(YAML::Emitter& out, const Impl& node) {
  out << YAML::BeginMap;
  for (const auto& [key, value] : node.entries) {
    out << YAML::Key;
    is_plain_string(key) ? void(out << key) : emit_quoted(out, key);
    out << YAML::Value;
    emit(out, *value);
  }
  out << YAML::EndMap;
}

void emit_list(YAML::Emitter& out, const Impl& node) {
  // Lists of numbers and names read best in one line.
  const bool flat = std::all_of(node.items.begin(), node.items.end(),
                                [](const ImplPtr& item) { return item->items.empty() && item->entries.empty(); });
  out << (flat ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
  for (const ImplPtr& item : node.items) emit(out, *item);
  out << YAML::EndSeq;
}

void emit(YAML::Emitter& out, const Impl& node) {
  switch (node.kind) {
    case Kind::null:
      out << YAML::Null;
      return;
    case Kind::list:
      return emit_list(out, node);
    case Kind::map:
      return emit_map(out, node);
    case Kind::scalar: {
      const bool is_value = !node.is_text && reads_as_other_than_string(node.text);  // a number, a bool
      is_value || is_plain_string(node.text) ? void(out << node.text) : emit_quoted(out, node.text);
    }
  }
}

}  // namespace

ImplPtr parse_config_tree(std::string_view text, const ConfigSource& source, const ConfigLimits& limits) {
  LoadState state{limits};
  return parse_text(text, source, state);
}

ImplPtr load_config_tree(const fs::path& path, const ConfigLimits& limits) {
  LoadState state{limits};
  return load_file(path, state);
}

bool reads_as_other_than_string(const std::string& text) {
  static const std::vector<std::string> words = {"",     "~",    "null",  "Null",  "NULL", "true",
                                                 "True", "TRUE", "false", "False", "FALSE"};
  if (std::find(words.begin(), words.end(), text) != words.end()) return true;
  const char* begin = text.data() + (text[0] == '+' || text[0] == '-' ? 1 : 0);
  double value = 0;
  return std::from_chars(begin, text.data() + text.size(), value).ptr == text.data() + text.size();
}

void check_config_limits(const Impl& tree, const ConfigLimits& limits) {
  const auto name = [&] { return tree.file ? *tree.file : std::string("configuration"); };
  if (tree.size > limits.max_nodes) fail_usage(name(), ": more than ", limits.max_nodes, " nodes, aliases expanded");
  if (tree.depth > limits.max_depth) fail_usage(name(), ": nested deeper than ", limits.max_depth, " levels");
}

std::string emit_config_tree(const Impl& tree) {
  YAML::Emitter out;
  emit(out, tree);
  check(out.good(), "configuration: cannot be written as YAML: ", out.GetLastError());
  return std::string(out.c_str()) + "\n";
}

}  // namespace vit
