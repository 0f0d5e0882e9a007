#include "datasets/box_view.h"

#include <algorithm>
#include <set>
#include <utility>

#include "datasets/concat.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

constexpr int64_t kLeftOut = -1;

/// Everything of another set, for views to change a part.
class BoxView : public BoxDataset {
 public:
  explicit BoxView(BoxDatasetPtr data) : data_(std::move(data)) {}

  int64_t size() const override { return data_->size(); }
  const std::vector<std::string>& class_names() const override { return data_->class_names(); }
  int64_t label(int64_t index) const override { return data_->label(original(index)); }
  std::string source(int64_t index) const override { return data_->source(original(index)); }
  vit::Image load(int64_t index) const override { return data_->load(original(index)); }
  std::string encoded(int64_t index) const override { return data_->encoded(original(index)); }
  std::vector<std::string> skipped() const override { return data_->skipped(); }
  std::vector<BoxAnnotation> boxes(int64_t index) const override { return data_->boxes(original(index)); }
  int64_t image_id(int64_t index) const override { return data_->image_id(original(index)); }
  std::vector<int64_t> category_ids() const override { return data_->category_ids(); }
  const std::vector<BadBox>& bad_boxes() const override { return data_->bad_boxes(); }
  vit::Extent picture_size(int64_t index) const override { return data_->picture_size(original(index)); }
  int64_t clip(int64_t index) const override { return data_->clip(original(index)); }
  bool has_picture_labels() const override { return data_->has_picture_labels(); }
  bool has_sentences() const override { return data_->has_sentences(); }
  std::vector<std::string> sentences(int64_t index) const override { return data_->sentences(original(index)); }

 protected:
  virtual int64_t original(int64_t index) const { return index; }
  const BoxDataset& data() const { return *data_; }

 private:
  BoxDatasetPtr data_;
};

class Subset : public BoxView {
 public:
  Subset(BoxDatasetPtr data, std::vector<int64_t> indices) : BoxView(std::move(data)), indices_(std::move(indices)) {}
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }

 private:
  int64_t original(int64_t index) const override { return indices_.at(static_cast<size_t>(index)); }

  std::vector<int64_t> indices_;
};

class Mapped : public BoxView {
 public:
  Mapped(BoxDatasetPtr data, std::vector<std::string> names, std::vector<int64_t> classes)
      : BoxView(std::move(data)), names_(std::move(names)), classes_(std::move(classes)) {}

  const std::vector<std::string>& class_names() const override { return names_; }
  int64_t label(int64_t index) const override {
    return has_picture_labels() ? mapped(data().label(index)) : label_of_first(boxes(index));
  }
  bool has_picture_labels() const override {
    return data().has_picture_labels() && std::find(classes_.begin(), classes_.end(), kLeftOut) == classes_.end();
  }
  std::vector<BoxAnnotation> boxes(int64_t index) const override {
    std::vector<BoxAnnotation> kept;
    for (BoxAnnotation box : data().boxes(index)) {
      box.label = mapped(box.label);
      if (box.label != kLeftOut) kept.push_back(box);
    }
    return kept;
  }
  /// The first own class's; numbers from 0 where a class has none.
  std::vector<int64_t> category_ids() const override {
    const std::vector<int64_t> own = data().category_ids();
    std::vector<int64_t> ids;
    for (size_t c = 0; c < names_.size(); ++c) {
      const auto first = std::find(classes_.begin(), classes_.end(), static_cast<int64_t>(c));
      if (first == classes_.end()) return counted_ids(names_.size());
      ids.push_back(own[static_cast<size_t>(first - classes_.begin())]);
    }
    return ids;
  }

 private:
  int64_t mapped(int64_t label) const {
    return label >= 0 && label < static_cast<int64_t>(classes_.size()) ? classes_[static_cast<size_t>(label)]
                                                                       : kLeftOut;
  }

  std::vector<std::string> names_;
  std::vector<int64_t> classes_;
};

/// Several sets with the same classes.
class Concatenation : public Concatenated<BoxDataset> {
 public:
  explicit Concatenation(std::vector<BoxDatasetPtr> parts) : Concatenated(std::move(parts)) {
    int64_t clips = 0;
    std::set<int64_t> ids;
    for (size_t p = 0; p < this->parts().size(); ++p) {
      const BoxDataset& part = *this->parts()[p];
      bad_boxes_.insert(bad_boxes_.end(), part.bad_boxes().begin(), part.bad_boxes().end());
      first_clip_.push_back(clips);
      const int64_t last_clip = part.size() > 0 ? part.clip(part.size() - 1) : -1;
      clips += last_clip + 1;
      for (int64_t i = 0; ids_are_unique_ && i < part.size(); ++i)
        ids_are_unique_ = ids.insert(part.image_id(i)).second;
    }
  }

  std::vector<BoxAnnotation> boxes(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts()[part]->boxes(own);
  }
  int64_t image_id(int64_t index) const override {
    const auto [part, own] = place(index);
    return ids_are_unique_ ? parts()[part]->image_id(own) : index;
  }
  std::vector<int64_t> category_ids() const override {
    std::vector<int64_t> ids = parts().front()->category_ids();
    const bool same =
        std::all_of(parts().begin(), parts().end(), [&](const auto& p) { return p->category_ids() == ids; });
    return same ? ids : counted_ids(class_names().size());
  }
  const std::vector<BadBox>& bad_boxes() const override { return bad_boxes_; }
  vit::Extent picture_size(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts()[part]->picture_size(own);
  }
  int64_t clip(int64_t index) const override {
    const auto [part, own] = place(index);
    const int64_t clip = parts()[part]->clip(own);
    return clip < 0 ? clip : first_clip_[part] + clip;
  }
  bool has_picture_labels() const override {
    return std::all_of(parts().begin(), parts().end(), [](const auto& part) { return part->has_picture_labels(); });
  }
  bool has_sentences() const override {
    return std::all_of(parts().begin(), parts().end(), [](const auto& part) { return part->has_sentences(); });
  }
  std::vector<std::string> sentences(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts()[part]->sentences(own);
  }

 private:
  std::vector<BadBox> bad_boxes_;
  std::vector<int64_t> first_clip_;  // of each part
  bool ids_are_unique_ = true;
};

}  // namespace

BoxDatasetPtr subset_of_boxes(BoxDatasetPtr data, std::vector<int64_t> indices) {
  for (const int64_t index : indices)
    vit::check(index >= 0 && index < data->size(), "subset: picture ", index, " of ", data->size());
  return std::make_shared<Subset>(std::move(data), std::move(indices));
}

BoxDatasetPtr map_boxes(BoxDatasetPtr data, std::vector<std::string> names, std::vector<int64_t> classes) {
  vit::check(classes.size() == data->class_names().size(), "map: ", classes.size(),
             " classes are mapped, the data have ", data->class_names().size());
  for (const int64_t mapped : classes)
    vit::check(mapped >= kLeftOut && mapped < static_cast<int64_t>(names.size()), "map: class ", mapped, " of ",
               names.size());
  return std::make_shared<Mapped>(std::move(data), std::move(names), std::move(classes));
}

BoxDatasetPtr concatenate_boxes(const std::vector<BoxDatasetPtr>& parts) {
  const std::vector<std::string> names = all_class_names({parts.begin(), parts.end()});
  std::vector<BoxDatasetPtr> mapped;
  for (const BoxDatasetPtr& part : parts)
    mapped.push_back(part->class_names() == names ? part
                                                  : map_boxes(part, names, positions_of(part->class_names(), names)));
  return std::make_shared<Concatenation>(std::move(mapped));
}

}  // namespace datasets
