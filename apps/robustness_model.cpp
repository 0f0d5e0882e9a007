#include "apps/robustness_model.h"

#include "apps/model_facts.h"
#include "apps/model_verb.h"
#include "vit/core/check.h"
#include "vit/models/build.h"
#include "vit/predictor.h"

namespace apps {

AttackedModel load_attacked(const RobustnessOptions& options, const CommonOptions& common) {
  const std::string verb = model_verb(options.model);
  if (verb != "classify")
    vit::fail_usage("--model ", options.model, " is for vitkit ", verb,
                    ": robustness is measured of classifiers, whose answer is one class per picture");
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(options.model);
  AttackedModel loaded;
  loaded.model = vit::load_model(checkpoint, {.seed = common.seed, .purpose = vit::Purpose::training});
  const vit::ModelInfo& info = loaded.model->info();
  if (info.num_classes < 2)
    vit::fail_usage("--model ", options.model, ": it has ", info.num_classes,
                    " classes: robustness is measured by answers that can be wrong");
  if (info.input_channels != 3)
    vit::fail_usage("--model ", options.model, ": pictures have 3 channels, the model takes ", info.input_channels);
  loaded.preprocessor = vit::load_preprocessor(checkpoint, *loaded.model, options.img_size);
  if (options.img_size) loaded.model->set_input_size(*options.img_size, *options.img_size);
  loaded.labels = vit::load_labels(checkpoint, *loaded.model);
  note_random_weights(common, options.model, checkpoint.has_weights());
  return loaded;
}

vit::Tensor sample_of(const AttackedModel& loaded) {
  const auto& size = loaded.model->info().input_size;
  const vit::Extent extent = loaded.preprocessor.fixed_size().value_or(vit::Extent{size[0], size[1]});
  return vit::Tensor::full({1, 3, extent.height, extent.width}, 0.5f);
}

}  // namespace apps
