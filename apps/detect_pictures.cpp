#include "apps/detect_pictures.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "vit/core/context.h"
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
    for (const vit::Image& image : images)
      if (image.defined()) readable.push_back(image);
    if (!readable.empty()) {
      const detection::DetectionLevel level = detector.run(context, detector.prepare(readable));
      int64_t row = 0;
      for (size_t i = 0; i < images.size(); ++i)
        if (images[i].defined())
          answers[i].found = detector.finish(level, row++, {images[i].height(), images[i].width()}, post);
    }
    for (PictureDetections& one : answers) answer(std::move(one));
  }
}

}  // namespace apps
