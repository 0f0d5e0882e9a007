#include "datasets/scenes_caption.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "datasets/scenes_plan.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

constexpr std::array<const char*, kSceneRelations> kRelationNames = {"left of", "right of",    "above",
                                                                     "below",   "in front of", "behind"};
constexpr std::array<const char*, 7> kNumbers = {"", "a", "two", "three", "four", "five", "six"};

CaptionItem item_of(const SceneObject& object, bool with_size) {
  CaptionItem item{1, {}, object.color, object.kind};
  if (with_size) item.size = object.size;
  return item;
}

bool same_words(const CaptionItem& a, const CaptionItem& b) {
  return a.size == b.size && a.color == b.color && a.kind == b.kind;
}

/// Adds an object to a list: objects that are called the same are counted.
void add_item(std::vector<CaptionItem>& items, size_t first, const CaptionItem& item) {
  const auto begin = items.begin() + static_cast<std::ptrdiff_t>(first);
  const auto found =
      std::find_if(begin, items.end(), [&](const CaptionItem& other) { return same_words(other, item); });
  if (found == items.end())
    items.push_back(item);
  else
    found->count += item.count;
}

std::string text_of(const CaptionItem& item) {
  const std::string words = (item.size ? std::string(name_of(*item.size)) + " " : "") + name_of(item.color) + " " +
                            (item.count == 1 ? name_of(item.kind) : plural_of(item.kind));
  if (item.count > 1) return std::string(kNumbers[static_cast<size_t>(item.count)]) + " " + words;
  return (std::string("aeiou").find(words[0]) == std::string::npos ? "a " : "an ") + words;
}

std::string opening(vit::Rng& rng, const SceneCaption& caption) {
  switch (pick(rng, 6)) {
    case 0:
      return caption.items[0].count == 1 ? "there is " : "there are ";
    case 1:
      return "a picture of ";
    case 2:
      return "this shows ";
    default:
      return "";
  }
}

std::vector<SceneRelation> true_relations(const SceneObject& first, const SceneObject& second) {
  std::vector<SceneRelation> relations;
  for (int64_t i = 0; i < kSceneRelations; ++i)
    if (relation_holds(static_cast<SceneRelation>(i), first, second))
      relations.push_back(static_cast<SceneRelation>(i));
  return relations;
}

/// One description: of all objects, or of the main one and some others; with a relation or as a list.
SceneCaption describe(const std::vector<SceneObject>& objects, vit::Rng& rng, bool all) {
  std::vector<SceneObject> told(objects.begin(), objects.end());
  if (!all && told.size() > 1) told.resize(1 + static_cast<size_t>(pick(rng, static_cast<int64_t>(told.size()))));
  const bool with_size = all || rng.uniform() < 0.6f;
  const bool from_the_other = told.size() > 1 && rng.uniform() < 0.4f;
  if (from_the_other) std::swap(told[0], told[1]);

  SceneCaption caption;
  size_t listed = 0;
  if (told.size() > 1 && rng.uniform() < 0.75f) {
    const std::vector<SceneRelation> relations = true_relations(told[0], told[1]);
    if (!relations.empty()) {
      caption.relation = relations[static_cast<size_t>(pick(rng, static_cast<int64_t>(relations.size())))];
      caption.items = {item_of(told[0], with_size), item_of(told[1], with_size)};
      listed = 2;
    }
  }
  // Objects of the relation are not counted together with others: it speaks of two.
  for (size_t i = listed; i < told.size(); ++i) add_item(caption.items, listed, item_of(told[i], with_size));
  return caption;
}

/// The words of a caption, read one after another.
class Words {
 public:
  explicit Words(const std::string& text) : text_(text) {
    std::string spaced;
    for (const char letter : text) spaced += letter == ',' ? std::string(" ,") : std::string(1, letter);
    std::istringstream in(spaced);
    for (std::string word; in >> word;) words_.push_back(word);
  }
  bool done() const { return at_ == words_.size(); }
  /// Steps over `phrase` if it comes next.
  bool accept(const std::string& phrase) {
    std::istringstream in(phrase);
    size_t at = at_;
    for (std::string word; in >> word; ++at)
      if (at >= words_.size() || words_[at] != word) return false;
    at_ = at;
    return true;
  }
  [[noreturn]] void refuse(const char* expected) const {
    vit::fail("caption '", text_, "': expected ", expected, ", got ", done() ? "the end" : "'" + words_[at_] + "'");
  }

 private:
  std::string text_;
  std::vector<std::string> words_;
  size_t at_ = 0;
};

/// The value in 0..count-1 whose name comes next; -1 if none does.
template <class Name>
int64_t accept_one(Words& words, int64_t count, const Name& name) {
  for (int64_t i = 0; i < count; ++i)
    if (words.accept(name(i))) return i;
  return -1;
}

CaptionItem parse_item(Words& words) {
  CaptionItem item;
  if (!words.accept("an")) {
    item.count =
        accept_one(words, kMaxSceneObjects, [](int64_t i) { return kNumbers[static_cast<size_t>(i + 1)]; }) + 1;
    if (item.count == 0) words.refuse("'a', 'an' or a number");
  }
  const int64_t size = accept_one(words, kSceneSizes, [](int64_t i) { return name_of(static_cast<SceneSize>(i)); });
  if (size >= 0) item.size = static_cast<SceneSize>(size);
  const int64_t color = accept_one(words, kSceneColors, [](int64_t i) { return name_of(static_cast<SceneColor>(i)); });
  if (color < 0) words.refuse("a colour");
  item.color = static_cast<SceneColor>(color);
  const int64_t kind = accept_one(words, kSceneKinds, [&](int64_t i) {
    return item.count == 1 ? name_of(static_cast<SceneKind>(i)) : plural_of(static_cast<SceneKind>(i));
  });
  if (kind < 0) words.refuse(item.count == 1 ? "a kind of object" : "a kind of object in the plural");
  item.kind = static_cast<SceneKind>(kind);
  return item;
}

}  // namespace

const char* name_of(SceneRelation relation) { return kRelationNames[static_cast<size_t>(relation)]; }

bool CaptionItem::matches(const SceneObject& object) const {
  return object.kind == kind && object.color == color && (!size || *size == object.size);
}

std::string SceneCaption::text() const {
  std::string text = text_of(items[0]);
  size_t next = 1;
  if (relation) {
    text += std::string(" ") + name_of(*relation) + " " + text_of(items[1]);
    next = 2;
  }
  for (size_t i = next; i < items.size(); ++i) {
    const bool first_of_list = relation && i == next, last = i + 1 == items.size();
    text += (first_of_list || last ? " and " : ", ") + text_of(items[i]);
  }
  return text;
}

std::vector<std::string> make_scene_captions(const std::vector<SceneObject>& objects, vit::Rng& rng, int64_t count) {
  vit::check(!objects.empty(), "captions: a scene without objects");
  std::vector<std::string> captions;
  for (int64_t i = 0; i < count; ++i) {
    const SceneCaption caption = describe(objects, rng, i == 0);
    captions.push_back(opening(rng, caption) + caption.text());
  }
  return captions;
}

SceneCaption parse_scene_caption(const std::string& text) {
  Words words(text);
  for (const char* start : {"there is", "there are", "a picture of", "this shows"})
    if (words.accept(start)) break;
  SceneCaption caption;
  caption.items.push_back(parse_item(words));
  const int64_t relation =
      accept_one(words, kSceneRelations, [](int64_t i) { return name_of(static_cast<SceneRelation>(i)); });
  if (relation >= 0) {
    caption.relation = static_cast<SceneRelation>(relation);
    caption.items.push_back(parse_item(words));
  }
  while (!words.done()) {
    if (!words.accept(",") && !words.accept("and")) words.refuse("',' or 'and'");
    caption.items.push_back(parse_item(words));
  }
  return caption;
}

bool relation_holds(SceneRelation relation, const SceneObject& first, const SceneObject& second) {
  const float dx = (first.box[0] + first.box[2] - second.box[0] - second.box[2]) * 0.5f;
  const float dy = (first.box[1] + first.box[3] - second.box[1] - second.box[3]) * 0.5f;
  const bool overlap = first.box[0] < second.box[2] && second.box[0] < first.box[2] && first.box[1] < second.box[3] &&
                       second.box[1] < first.box[3];
  // Along the longer way, so that what is said is what one sees.
  const bool sideways = std::abs(dx) > 1.2f * std::abs(dy), upright = std::abs(dy) > 1.2f * std::abs(dx);
  switch (relation) {
    case SceneRelation::left_of:
      return sideways && dx < 0.0f;
    case SceneRelation::right_of:
      return sideways && dx > 0.0f;
    case SceneRelation::above:
      return upright && dy < 0.0f;
    case SceneRelation::below:
      return upright && dy > 0.0f;
    case SceneRelation::in_front_of:
      return overlap && first.depth > second.depth && second.visibility < 0.97f;
    case SceneRelation::behind:
      return overlap && first.depth < second.depth && first.visibility < 0.97f;
  }
  return false;
}

bool caption_is_true(const SceneCaption& caption, const std::vector<SceneObject>& objects) {
  // How many objects are called for that an item's words fit: what several items say of the same kind adds up.
  for (const CaptionItem& item : caption.items) {
    int64_t called_for = 0;
    for (const CaptionItem& other : caption.items)
      if (same_words(item, other)) called_for += other.count;
    const auto there =
        std::count_if(objects.begin(), objects.end(), [&](const SceneObject& o) { return item.matches(o); });
    if (there < called_for) return false;
  }
  if (!caption.relation) return true;
  for (const SceneObject& first : objects)
    for (const SceneObject& second : objects)
      if (&first != &second && caption.items[0].matches(first) && caption.items[1].matches(second) &&
          relation_holds(*caption.relation, first, second))
        return true;
  return false;
}

}  // namespace datasets
