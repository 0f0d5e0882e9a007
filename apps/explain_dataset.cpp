#include "apps/explain_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "apps/explain_evaluation.h"
#include "apps/progress.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/explain/classifier_subject.h"
#include "vit/explain/explained_model.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

int64_t likeliest_class(const vit::ImageModel& model, const vit::Tensor& pixels) {
  vit::Context ctx;
  const vit::Tensor logits = model.forward(ctx, pixels).value();
  return std::max_element(logits.f32(), logits.f32() + logits.numel()) - logits.f32();
}

/// Loads pictures and asks about them; what fails is said and counted.
class PictureAsker {
 public:
  PictureAsker(const datasets::Dataset& data, const AskAboutPicture& ask) : data_(data), ask_(ask) {}

  std::optional<vit::ExplainedPicture> operator()(int64_t index) {
    try {
      return ask_(index, data_.load(index));
    } catch (const vit::Error& error) {
      if (error.kind() == vit::ErrorKind::kUsage) throw;
      print_error(fmt::format("{}: {}", data_.source(index), error.what()));
      ++failed_;
      return std::nullopt;
    }
  }
  int64_t failed() const { return failed_; }

 private:
  const datasets::Dataset& data_;
  const AskAboutPicture& ask_;
  int64_t failed_ = 0;
};

}  // namespace

std::vector<std::string> chosen_methods(const std::string& list, const vit::Subject& subject) {
  if (list == "all") return vit::methods_for(subject);
  std::vector<std::string> methods;
  std::istringstream stream(list);
  for (std::string name; std::getline(stream, name, ',');) {
    if (name.empty()) vit::fail_usage("'", list, "': a method without a name; separate methods by single commas");
    if (!vit::method_registry().contains(name)) vit::fail_usage(vit::method_registry().unknown(name));
    if (std::find(methods.begin(), methods.end(), name) != methods.end())
      vit::fail_usage("'", list, "': the method '", name, "' is named twice");
    methods.push_back(name);
  }
  if (methods.empty()) vit::fail_usage("no method is named; known: ", vit::joined(vit::method_registry().names()));
  return methods;
}

int64_t explain_dataset(const datasets::Dataset& data, const AskAboutPicture& ask,
                        const DatasetExplanationOptions& options, Output& output, const CommonOptions& common) {
  const int64_t count = options.limit > 0 ? std::min(options.limit, data.size()) : data.size();
  PictureAsker asker(data, ask);
  // The first picture that can be asked about says which methods there are.
  int64_t first = 0;
  std::optional<vit::ExplainedPicture> opened;
  while (first < count && !opened) opened = asker(first++);
  if (!opened) vit::fail_usage("none of ", count, " pictures could be explained");
  const std::vector<std::string> methods = chosen_methods(options.methods, *opened->subject);
  Progress progress(common, "images", /*prints_results=*/false, count);
  progress.advance(first - 1);
  vit::MethodEvaluationOptions wanted = options.evaluation;
  wanted.progress = [&](int64_t) { progress.advance(); };
  const auto source = [&](int64_t index) { return index == 0 ? std::move(opened) : asker(first - 1 + index); };
  write_methods(output, vit::evaluate_methods(count - first + 1, source, methods, wanted), wanted.bootstrap.confidence);
  return asker.failed();
}

AskAboutPicture ask_classifier(std::shared_ptr<const vit::ExplainedModel> model, const vit::Preprocessor& preprocessor,
                               const vit::ClassLabels& labels, const datasets::Dataset& data,
                               std::optional<int64_t> target, uint64_t seed) {
  return [model, randomized = model->randomized(seed), &preprocessor, &labels, &data, target](int64_t index,
                                                                                              const vit::Image& image) {
    const vit::Tensor pixels = preprocessor.batch({image}).pixel_values;
    const int64_t asked = target ? *target : likeliest_class(model->fast(), pixels);
    // A class that does not exist has no name; the subject refuses it.
    const std::string label = asked >= 0 && asked < labels.size() ? labels.name(asked) : std::string();
    vit::ExplainedPicture picture;
    picture.subject = std::make_unique<vit::ClassifierSubject>(model, asked, label);
    picture.randomized = std::make_shared<vit::ClassifierSubject>(randomized, asked, label);
    picture.pixels = pixels;
    const std::optional<vit::Corners> object = main_object(data, index);
    if (object)
      picture.object =
          box_on_input(preprocessor, {image.height(), image.width()}, {pixels.size(2), pixels.size(3)}, *object);
    return picture;
  };
}

}  // namespace apps
