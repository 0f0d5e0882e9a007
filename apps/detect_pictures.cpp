#include "apps/detect_pictures.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "apps/common.h"
#include "datasets/box_dataset.h"
#include "detection/class_pairs.h"
#include "vit/core/context.h"
#include "vit/core/names.h"
#include "vit/core/parallel.h"
#include "vit/image/preprocess.h"

namespace apps {

namespace {

/// Reads pictures [first, first + answers.size()); what fails is told in its answer.
std::vector<vit::Image> read(const datasets::Dataset& data, int64_t first, std::vector<PictureDetections>& answers) {
  std::vector<vit::Image> images(answers.size());
  vit::parallel_for(static_cast<int64_t>(answers.size()), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    answers[at].index = first + i;
    try {
      images[at] = data.load(first + i);
    } catch (const std::exception& error) {
      answers[at].error = error.what();
    }
  });
  return images;
}

/// Runs the model on pictures and fills their answers. Errors: as the detector.
void answer_all(const detection::Detector& detector, vit::Context& context, const std::vector<vit::Image>& images,
                const std::vector<PictureDetections*>& answers, const detection::PostprocessOptions& post) {
  const detection::DetectionLevel level = detector.run(context, detector.prepare(images));
  for (size_t i = 0; i < images.size(); ++i)
    answers[i]->found = detector.finish(level, static_cast<int64_t>(i), {images[i].height(), images[i].width()}, post);
}

/// The same; where a batch fails, each picture alone, with what is wrong with it in its answer.
void answer_each(const detection::Detector& detector, vit::Context& context, const std::vector<vit::Image>& images,
                 const std::vector<PictureDetections*>& answers, const detection::PostprocessOptions& post) {
  try {
    return answer_all(detector, context, images, answers, post);
  } catch (const std::exception& error) {
    if (images.size() == 1) {
      answers[0]->error = error.what();
      return;
    }
  }
  for (size_t i = 0; i < images.size(); ++i) answer_each(detector, context, {images[i]}, {answers[i]}, post);
}

}  // namespace

void detect_pictures(const detection::Detector& detector, const datasets::Dataset& data, int64_t batch_size,
                     const detection::PostprocessOptions& post, const std::function<void(PictureDetections)>& answer) {
  const bool one_size = detector.preprocessor().fixed_size().has_value();
  const int64_t batch = one_size ? std::clamp<int64_t>(batch_size, 1, kMaxDetectorBatch) : 1;
  vit::Context context;
  for (int64_t first = 0; first < data.size(); first += batch) {
    std::vector<PictureDetections> answers(static_cast<size_t>(std::min(batch, data.size() - first)));
    const std::vector<vit::Image> images = read(data, first, answers);
    std::vector<vit::Image> readable;
    std::vector<PictureDetections*> theirs;
    for (size_t i = 0; i < images.size(); ++i) {
      if (!images[i].defined()) continue;
      readable.push_back(images[i]);
      theirs.push_back(&answers[i]);
    }
    if (!readable.empty()) answer_each(detector, context, readable, theirs, post);
    for (PictureDetections& one : answers) answer(std::move(one));
  }
}

void note_unknown_classes(const CommonOptions& common, const detection::ClassPairs& pairs,
                          const datasets::BoxDataset& data) {
  if (!pairs.unknown.empty())
    note(common, "warning: the model does not know {} of the data's {} classes, which are left out of all figures: {}",
         pairs.unknown.size(), data.class_names().size(), vit::joined(pairs.unknown, 10));
}

}  // namespace apps
