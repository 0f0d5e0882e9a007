#include "detection/detector.h"

#include <algorithm>

#include "detection/processor.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/context_pool.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace detection {

using vit::Tensor;

struct Detector::State {
  std::unique_ptr<DetectionModel> model;
  vit::Preprocessor preprocessor;
  vit::ClassLabels labels;
  PostprocessOptions post;
  bool trained = false;
  mutable vit::ContextPool contexts;
};

namespace {

std::unique_ptr<DetectionModel> load_detection_model(const vit::Checkpoint& checkpoint, uint64_t seed) {
  std::unique_ptr<vit::ImageModel> model = vit::load_model(checkpoint, {.input_size = {}, .seed = seed});
  auto* detector = dynamic_cast<DetectionModel*>(model.get());
  if (!detector)
    vit::fail_usage(checkpoint.name(), ": ", model->info().name, " is no detector; it is for `vitkit ", model->verb(),
                    "`");
  static_cast<void>(model.release());  // detector owns it from here
  return std::unique_ptr<DetectionModel>(detector);
}

/// The part of a padded picture that is picture: [1, 3, height, width].
Tensor without_padding(const Tensor& pixels, int64_t b, const vit::Extent& size) {
  const int64_t planes = pixels.size(1), height = pixels.size(2), width = pixels.size(3);
  Tensor cut = Tensor::empty({1, planes, size.height, size.width});
  for (int64_t row = 0; row < planes * size.height; ++row) {
    const int64_t plane = row / size.height, y = row % size.height;
    std::copy_n(pixels.f32() + ((b * planes + plane) * height + y) * width, size.width, cut.f32() + row * size.width);
  }
  return cut;
}

bool is_padded(const vit::PixelBatch& batch) {
  const vit::Extent whole{batch.pixel_values.size(2), batch.pixel_values.size(3)};
  return std::any_of(batch.sizes.begin(), batch.sizes.end(), [&](const vit::Extent& size) { return !(size == whole); });
}

}  // namespace

Detector Detector::load(const std::string& name, const DetectorOptions& options) {
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(name);
  Detector detector;
  detector.state_ = std::make_shared<State>();
  State& state = *detector.state_;
  state.model = load_detection_model(checkpoint, options.seed);
  const vit::ModelInfo& info = state.model->info();
  if (info.input_channels != 3)
    vit::fail_usage(name, ": pictures have 3 channels, the model takes ", info.input_channels);
  state.preprocessor = load_processor(checkpoint, *state.model, options.img_size);
  const std::optional<vit::Extent> size = state.preprocessor.fixed_size();
  if (size && (size->height != info.input_size[0] || size->width != info.input_size[1]))
    state.model->set_input_size(size->height, size->width);
  state.labels = vit::load_labels(checkpoint, *state.model);
  state.trained = checkpoint.has_weights();
  state.post = options.post;
  return detector;
}

vit::PixelBatch Detector::prepare(const std::vector<vit::Image>& images) const {
  return state_->preprocessor.batch(images);
}

DetectionLevel Detector::run(vit::Context& ctx, const vit::PixelBatch& batch) const {
  const DetectionModel& model = *state_->model;
  if (model.reads_mask() || !is_padded(batch))
    return model.detect(ctx, {.images = batch.pixel_values, .pixel_mask = batch.pixel_mask}).levels.back();
  std::vector<vit::Var> logits, boxes;
  for (size_t b = 0; b < batch.sizes.size(); ++b) {
    const Tensor alone = without_padding(batch.pixel_values, static_cast<int64_t>(b), batch.sizes[b]);
    const DetectionLevel level = model.detect(ctx, {.images = alone}).levels.back();
    logits.push_back(level.logits);
    boxes.push_back(level.boxes);
  }
  return {vit::concat(ctx, logits, 0), vit::concat(ctx, boxes, 0)};
}

std::vector<Detection> Detector::finish(const DetectionLevel& level, int64_t b, vit::Extent size,
                                        const PostprocessOptions& options) const {
  const DetectionModel& model = *state_->model;
  std::vector<Detection> found =
      postprocess(level.logits.value(), level.boxes.value(), b, model.scoring(), model.top_k(), size, options);
  sort_by_score(found);
  return found;
}

std::vector<std::vector<Detection>> Detector::operator()(const std::vector<vit::Image>& images) const {
  if (images.empty()) return {};
  const vit::ContextPool::Lease context = state_->contexts.take();
  const DetectionLevel level = run(*context, prepare(images));
  std::vector<std::vector<Detection>> found;
  for (size_t b = 0; b < images.size(); ++b)
    found.push_back(finish(level, static_cast<int64_t>(b), {images[b].height(), images[b].width()}, state_->post));
  return found;
}

std::vector<Detection> Detector::operator()(const vit::Image& image) const {
  return (*this)(std::vector<vit::Image>{image}).front();
}

const DetectionModel& Detector::model() const { return *state_->model; }
const vit::Preprocessor& Detector::preprocessor() const { return state_->preprocessor; }
const vit::ClassLabels& Detector::labels() const { return state_->labels; }
const std::string& Detector::label(int64_t index) const { return state_->labels.name(index); }
const PostprocessOptions& Detector::post() const { return state_->post; }
bool Detector::trained() const { return state_->trained; }

}  // namespace detection
