// English captions of scenes, from a small grammar that is also read back:
//
//   caption  = [ "there is" | "there are" | "a picture of" | "this shows" ] body
//   body     = list | item relation item [ "and" list ]
//   list     = item { "," item } [ "and" item ]
//   item     = ( "a" | "an" | "two" .. "six" ) [ size ] colour kind        kind in the plural after a number
//   relation = "left of" | "right of" | "above" | "below" | "in front of" | "behind"
//
// A relation holds between the first item and the second: "a small red star left of a large blue ring and a green key".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datasets/scenes.h"
#include "vit/core/rng.h"

namespace datasets {

enum class SceneRelation { left_of, right_of, above, below, in_front_of, behind };
inline constexpr int64_t kSceneRelations = 6;
const char* name_of(SceneRelation relation);

struct CaptionItem {
  int64_t count = 1;
  std::optional<SceneSize> size;  ///< not always said
  SceneColor color{};
  SceneKind kind{};
  bool matches(const SceneObject& object) const;
};

struct SceneCaption {
  std::vector<CaptionItem> items;
  std::optional<SceneRelation> relation;  ///< items[0] is ... items[1]

  std::string text() const;  ///< without the opening words
};

/// `count` captions of a scene, as different people might write them; the first tells about all objects.
/// Errors: no objects.
std::vector<std::string> make_scene_captions(const std::vector<SceneObject>& objects, vit::Rng& rng, int64_t count);

/// Reads a caption. Errors: what is not of the grammar, naming the word.
SceneCaption parse_scene_caption(const std::string& text);

/// Whether the relation holds between two objects: by their boxes' centres, by who hides whom where the boxes overlap.
bool relation_holds(SceneRelation relation, const SceneObject& first, const SceneObject& second);

/// Whether every statement of the caption is true of some of the objects. What is left unsaid does not count.
bool caption_is_true(const SceneCaption& caption, const std::vector<SceneObject>& objects);

}  // namespace datasets
