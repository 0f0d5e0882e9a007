#include <algorithm>
#include <utility>

#include "apps/common.h"
#include "apps/explained.h"
#include "apps/model_facts.h"
#include "captioning/captioner.h"
#include "captioning/explain_subject.h"
#include "captioning/word_maps.h"
#include "vit/core/check.h"
#include "vit/core/timer.h"
#include "vit/io/checkpoint.h"

namespace apps {

namespace {

class ExplainedCaptioner : public ExplainedAnswers {
 public:
  ExplainedCaptioner(captioning::Captioner captioner, std::shared_ptr<const vit::ExplainedModel> model,
                     const ExplainedOptions& options)
      : captioner_(std::move(captioner)), model_(std::move(model)), target_(options.target), count_(options.answers) {}

  const vit::Preprocessor& preprocessor() const override { return captioner_.preprocessor(); }

  /// With a target: that word, each time it is said. Else the whole caption, and with room for more its words.
  std::vector<ExplainedAnswer> answers(const vit::Image& picture, const vit::Tensor& pixels) const override {
    const captioning::Caption caption = captioner_(picture);
    std::vector<ExplainedAnswer> all;
    std::vector<size_t> said;
    std::vector<captioning::AskedWords> words;
    for (const std::vector<size_t>& pieces : captioning::words_of(captioner_, caption.ids)) {
      if (pieces.front() == 0) continue;
      std::vector<int64_t> ids;
      for (const size_t at : pieces) ids.push_back(caption.ids[at]);
      words.push_back({caption.ids, pieces, captioner_.text_of(ids)});
      said.insert(said.end(), pieces.begin(), pieces.end());
    }
    if (words.empty()) vit::fail("the caption has no words to explain");
    if (target_.empty()) words.insert(words.begin(), {caption.ids, said, caption.text});
    for (captioning::AskedWords& asked : words) {
      if (static_cast<int64_t>(all.size()) == count_) break;
      if (!target_.empty() && asked.text != target_) continue;
      std::string text = asked.text;
      auto subject = std::make_unique<captioning::CaptionSubject>(model_, std::move(asked));
      const double score = subject->scores(pixels).front();
      all.push_back({std::move(subject), std::move(text), {}, score, {}});
    }
    if (all.empty()) vit::fail("the caption '", caption.text, "' has no word '", target_, "'");
    return all;
  }

  /// A query is the token in front of a word, and is called by the word.
  std::vector<std::string> query_names(const std::vector<ExplainedAnswer>& answers) const override {
    std::vector<std::string> names;
    const auto* subject = dynamic_cast<const captioning::CaptionSubject*>(answers.front().subject.get());
    for (size_t at = 1; subject && at < subject->words().ids.size(); ++at) {
      const std::string text = captioner_.text_of({subject->words().ids[at]});
      names.push_back(text.empty() ? "(end)" : text);
    }
    return names;
  }

  std::unique_ptr<vit::Subject> sample() const override {
    const int64_t start = captioner_.model().start_and_end().start;
    return std::make_unique<captioning::CaptionSubject>(model_, captioning::AskedWords{{start, start}, {1}, ""});
  }

 private:
  captioning::Captioner captioner_;
  std::shared_ptr<const vit::ExplainedModel> model_;
  std::string target_;
  int64_t count_;
};

}  // namespace

std::unique_ptr<ExplainedAnswers> load_explained_captioner(const std::string& model, const ExplainedOptions& options,
                                                           const CommonOptions& common) {
  if (options.img_size) vit::fail_usage("--img-size: captioners take the size that they were trained with");
  const vit::Timer loading;
  const auto captioner = captioning::Captioner::load(model);
  note_model(common, model, captioner, loading.milliseconds());
  const auto holder = std::make_shared<captioning::Captioner>(captioner);
  const auto explained = std::make_shared<vit::ExplainedModel>(
      vit::ExplainedModel::from(vit::Checkpoint::open(model), captioner.model().info().input_size, common.seed),
      std::shared_ptr<const vit::ImageModel>(holder, &holder->model()));
  return std::make_unique<ExplainedCaptioner>(captioner, explained, options);
}

}  // namespace apps
