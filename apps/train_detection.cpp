#include "apps/train_detection.h"

#include <utility>

#include "datasets/box_loader.h"
#include "detection/detection_task.h"
#include "detection/processor.h"

namespace apps {

TrainPixels detector_pixels(const TrainConfig& config, const TrainStart& start,
                            const detection::DetectionModel& model) {
  detection::ProcessorChanges changes{
      .keep_ratio = config.keep_ratio, .mean = config.mean, .std = config.std, .interpolation = config.interpolation};
  if (config.img_size > 0) changes.size = vit::Extent{config.img_size, config.img_size};
  const nlohmann::ordered_json json =
      detection::processor_config(start.checkpoint ? &*start.checkpoint : nullptr, model, changes);
  return {vit::Preprocessor::from_hugging_face(nlohmann::json(json), "the run's pre-processing"),
          nlohmann::ordered_json::object(),
          {{"preprocessor_config.json", json.dump(2) + "\n"}}};
}

void add_detection(TrainSetup& setup, TrainConfig& config, detection::DetectionModel& model) {
  const auto train = datasets::require_boxes(setup.data.train, setup.data.train_name);
  setup.bad_boxes = train->bad_boxes();
  setup.make_train_loader = [train, preprocessor = setup.preprocessor, augment = config.box_augment,
                             sampler = config.sampler,
                             seed = static_cast<uint64_t>(config.trainer.seed)](const datasets::LoaderConfig& loader) {
    return datasets::make_box_train_loader(*train, preprocessor, augment, sampler, loader, seed);
  };
  detection::DetectionValidation validation;
  if (setup.data.val) {
    const auto val = datasets::require_boxes(setup.data.val, setup.data.val_name);
    setup.val = datasets::make_box_eval_loader(*val, setup.preprocessor, config.loader);
    setup.bad_boxes.insert(setup.bad_boxes.end(), val->bad_boxes().begin(), val->bad_boxes().end());
    validation = {setup.val.get(), val.get()};
  }
  detection::CriterionConfig criterion = detection::default_criterion(model.class_loss());
  vit::read_config(config.criterion, criterion);
  config.criterion = vit::write_config(criterion);
  if (config.trainer.eval_metric == vit::TrainerConfig{}.eval_metric) config.trainer.eval_metric = "map";
  setup.task = std::make_unique<detection::DetectionTask>(model, criterion, validation, setup.files);
}

}  // namespace apps
