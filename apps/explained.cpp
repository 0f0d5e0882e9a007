#include "apps/explained.h"

#include "apps/detect_run.h"
#include "apps/model_verb.h"
#include "vit/core/check.h"
#include "vit/image/strip.h"
#include "vit/models/clip_model.h"
#include "vit/models/labels.h"

namespace apps {

std::unique_ptr<ExplainedAnswers> ExplainedAnswers::load(const std::string& model, const ExplainedOptions& options,
                                                         const CommonOptions& common) {
  const std::string verb = model_verb(model);
  if (!options.labels.empty() && verb != "classify")
    vit::fail_usage("--labels names the classes of CLIP models; ", model, " is for `vitkit ", verb, "`");
  if (verb == "detect") return load_explained_detector(model, options, common);
  if (verb == "caption") return load_explained_captioner(model, options, common);
  return load_explained_classifier(model, options, common);
}

std::vector<int64_t> target_classes(const std::string& target, const vit::ClassLabels& labels) {
  if (const std::optional<int64_t> whole = labels.find(target)) return {*whole};
  return chosen_classes("--target", target, labels);
}

vit::Tensor ExplainedAnswers::pixels(const vit::Image& picture) const {
  const std::unique_ptr<vit::Subject> subject = sample();
  const auto* const clips = dynamic_cast<const vit::ClipModel*>(&subject->model());
  if (!clips) return preprocessor().batch({picture}).pixel_values;
  const vit::Extent frame{clips->frame_size()[0], clips->frame_size()[1]};
  return preprocessor().batch({vit::fit_strip(picture, clips->frames(), frame)}).pixel_values;
}

}  // namespace apps
