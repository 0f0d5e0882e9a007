#include "datasets/caption_view.h"

#include <set>
#include <string>
#include <utility>

#include "datasets/box_dataset.h"
#include "datasets/concat.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

class Subset : public CaptionDataset {
 public:
  Subset(CaptionDatasetPtr data, std::vector<int64_t> indices) : data_(std::move(data)), indices_(std::move(indices)) {}

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  std::string source(int64_t index) const override { return data_->source(original(index)); }
  vit::Image load(int64_t index) const override { return data_->load(original(index)); }
  std::string encoded(int64_t index) const override { return data_->encoded(original(index)); }
  std::vector<std::string> skipped() const override { return data_->skipped(); }
  std::vector<std::string> captions(int64_t index) const override { return data_->captions(original(index)); }
  int64_t image_id(int64_t index) const override { return data_->image_id(original(index)); }
  const std::vector<BadCaption>& bad_captions() const override { return data_->bad_captions(); }

 private:
  int64_t original(int64_t index) const { return indices_.at(static_cast<size_t>(index)); }

  CaptionDatasetPtr data_;
  std::vector<int64_t> indices_;
};

class Concatenation : public Concatenated<CaptionDataset> {
 public:
  explicit Concatenation(const std::vector<CaptionDatasetPtr>& sets) : Concatenated(sets) {
    std::set<int64_t> ids;
    for (const CaptionDatasetPtr& part : parts()) {
      bad_.insert(bad_.end(), part->bad_captions().begin(), part->bad_captions().end());
      for (int64_t i = 0; ids_are_unique_ && i < part->size(); ++i)
        ids_are_unique_ = ids.insert(part->image_id(i)).second;
    }
  }

  std::vector<std::string> captions(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts()[part]->captions(own);
  }
  int64_t image_id(int64_t index) const override {
    const auto [part, own] = place(index);
    return ids_are_unique_ ? parts()[part]->image_id(own) : index;
  }
  const std::vector<BadCaption>& bad_captions() const override { return bad_; }

 private:
  std::vector<BadCaption> bad_;
  bool ids_are_unique_ = true;
};

class SentencesOfBoxes : public CaptionDataset {
 public:
  explicit SentencesOfBoxes(std::shared_ptr<const BoxDataset> data) : data_(std::move(data)) {}

  int64_t size() const override { return data_->size(); }
  std::string source(int64_t index) const override { return data_->source(index); }
  vit::Image load(int64_t index) const override { return data_->load(index); }
  std::string encoded(int64_t index) const override { return data_->encoded(index); }
  std::vector<std::string> skipped() const override { return data_->skipped(); }
  std::vector<std::string> captions(int64_t index) const override { return data_->sentences(index); }
  int64_t image_id(int64_t index) const override { return data_->image_id(index); }

 private:
  std::shared_ptr<const BoxDataset> data_;
};

}  // namespace

CaptionDatasetPtr subset_of_captions(CaptionDatasetPtr data, std::vector<int64_t> indices) {
  for (const int64_t index : indices)
    vit::check(index >= 0 && index < data->size(), "subset: picture ", index, " of ", data->size());
  return std::make_shared<Subset>(std::move(data), std::move(indices));
}

CaptionDatasetPtr concatenate_captions(const std::vector<CaptionDatasetPtr>& parts) {
  return std::make_shared<Concatenation>(parts);
}

CaptionDatasetPtr captions_of_boxes(std::shared_ptr<const BoxDataset> data) {
  return std::make_shared<SentencesOfBoxes>(std::move(data));
}

}  // namespace datasets
