// `vitkit explain --data`: methods side by side over a data set.
#include <fmt/format.h>

#include "apps/common.h"
#include "apps/evaluation_data.h"
#include "apps/explain_evaluation.h"
#include "apps/explain_run.h"
#include "apps/progress.h"
#include "datasets/class_mapping.h"
#include "datasets/dataset.h"
#include "vit/core/check.h"
#include "vit/explain/evaluation.h"
#include "vit/models/labels.h"

namespace apps {

int compare_methods(const ExplainOptions& options, const CommonOptions& common) {
  const std::string model = model_or_bundled("explain", options.model, "scenes", common);
  const auto answers = ExplainedAnswers::load(model, options.answers, common);
  if (!answers->of_class(0)) vit::fail_usage("--data compares methods on classifiers; ", model, " is none");
  const std::vector<std::string> methods =
      chosen_methods(options.methods.empty() ? "all" : options.methods, *answers, options.method);
  const EvaluationData data = open_evaluation_data({.data = options.data, .max_pixels = options.max_pixels}, model,
                                                   EvaluatedLabels::classes, common);
  const datasets::ClassMapping mapping = datasets::map_classes(data.data->class_names(), *answers->labels());
  const int64_t count = options.limit > 0 ? std::min(options.limit, data.data->size()) : data.data->size();
  Output output(common);
  Progress progress(common, "pictures", /*prints_results=*/false, count);
  int64_t unreadable = 0;
  // Spread over the data set, which may be sorted by class.
  const auto picture_of = [&](int64_t number) -> std::optional<vit::ExplainedPicture> {
    const int64_t index = number * data.data->size() / count;
    try {
      const vit::Image picture = data.data->load(index);
      const vit::Extent source{picture.height(), picture.width()};
      const int64_t target = mapping.classes[static_cast<size_t>(data.data->label(index))];
      vit::ExplainedPicture explained{.subject = answers->of_class(target), .pixels = answers->pixels(picture)};
      if (const std::optional<vit::Corners> box = main_object(*data.data, index))
        explained.object =
            box_on_input(answers->preprocessor(), source, {explained.pixels.size(2), explained.pixels.size(3)}, *box);
      return explained;
    } catch (const std::exception& error) {
      ++unreadable;
      print_error(fmt::format("{}: {}", data.data->source(index), error.what()));
      return std::nullopt;
    }
  };
  const vit::MethodEvaluationOptions evaluation{.method = options.method,
                                                .faithfulness = {.sanity = !options.no_sanity,
                                                                 .batch_size = options.method.batch_size,
                                                                 .seed = options.method.seed},
                                                .progress = [&](int64_t) { progress.advance(); }};
  const std::vector<vit::MethodFigures> rows = vit::evaluate_methods(count, picture_of, methods, evaluation);
  clear_progress();
  write_methods(output, rows, evaluation.bootstrap.confidence);
  output.finish();
  return unreadable > 0 ? 1 : 0;
}

}  // namespace apps
