#include "apps/robustness_attacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/core/rng.h"

namespace apps {

namespace {

/// The whole of `text` as a number, if it is one.
std::optional<double> number_of(const std::string& text) {
  if (text.empty()) return {};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() || !std::isfinite(value)) return {};
  return value;
}

/// Which class each picture is to be taken for.
class TargetRule {
 public:
  /// Errors (usage): no rule and no class of the model.
  TargetRule(const std::string& text, uint64_t seed, const vit::ClassLabels& labels)
      : rule_(text), seed_(seed), classes_(labels.size()) {
    if (text.empty() || text == "next" || text == "random" || text == "least") return;
    std::optional<int64_t> found = labels.find(text);
    if (const std::optional<double> number = number_of(text); !found && number) {
      const auto index = static_cast<int64_t>(*number);
      if (index >= 0 && index < classes_ && static_cast<double>(index) == *number) found = index;
    }
    if (!found) {
      std::vector<std::string> names;
      for (int64_t k = 0; k < classes_; ++k) names.push_back(labels.name(k));
      vit::fail_usage("--targeted: the model has no class '", text, "'", vit::did_you_mean(text, names),
                      "; it is next, random, least, or one of its ", classes_,
                      " classes by name or number: ", vit::joined(names, 12));
    }
    fixed_ = *found;
  }

  bool targeted() const { return !rule_.empty(); }
  bool needs_logits() const { return rule_ == "least"; }

  /// `logits`: [classes] of the picture as it is, where needs_logits().
  int64_t target(int64_t label, int64_t number, const float* logits) const {
    if (rule_ == "least") return std::min_element(logits, logits + classes_) - logits;
    int64_t shift = 1;
    if (rule_ == "random") {
      vit::Rng rng(seed_, vit::Rng::stream_of("attack target") + static_cast<uint64_t>(number));
      shift = 1 + static_cast<int64_t>(rng.next_u32() % static_cast<uint32_t>(classes_ - 1));
    }
    if (fixed_ >= 0) return fixed_;
    return (label + shift) % classes_;
  }

 private:
  std::string rule_;
  uint64_t seed_;
  int64_t classes_, fixed_ = -1;
};

/// The batch with targets by the rule. A picture of its target's class is right where a targeted attack succeeds, so it
/// is left out.
vit::AttackBatch aimed_by(const TargetRule& rule, const vit::AttackTarget& target, const vit::AttackBatch& batch) {
  vit::Tensor logits;
  if (rule.needs_logits()) {
    vit::Context ctx;
    logits = target.logits(ctx, batch.pixels).value();
  }
  std::vector<vit::AttackGoal> goals = batch.goals;
  std::vector<int64_t> places;
  for (int64_t b = 0; b < batch.size(); ++b) {
    const auto at = static_cast<size_t>(b);
    const float* row = logits.defined() ? logits.f32() + b * logits.size(1) : nullptr;
    goals[at].target = rule.target(goals[at].label, batch.numbers[at], row);
    if (goals[at].target != goals[at].label) places.push_back(b);
  }
  if (places.empty()) return {};
  vit::AttackBatch aimed = batch.at(places);
  for (size_t i = 0; i < places.size(); ++i) aimed.goals[i] = goals[static_cast<size_t>(places[i])];
  return aimed;
}

/// Errors (usage): an eps that means nothing in this norm, before any picture is read.
double parse_eps(const std::string& text, vit::Norm norm, const std::string& attack) {
  const double eps = parse_fraction("--eps", text);
  const std::string got = "--eps " + text + ": eps must be above 0";
  if (!(eps > 0.0)) vit::fail_usage(got, "; pixels lie between 0 and 1, and 8 of 255 steps is 8/255");
  if (norm == vit::Norm::linf && eps > 1.0)
    vit::fail_usage(got, " and at most 1 for ", attack, ": pixels lie between 0 and 1, and 8 of 255 steps is 8/255");
  return eps;
}

vit::Norm norm_of(const RobustnessOptions& options, const vit::AttackEntry& entry) {
  if (entry.norm) return *entry.norm;
  return options.norm == "l2" ? vit::Norm::l2 : vit::Norm::linf;
}

/// An l2 ball of some 255ths is too small to change any answer: the norms measure different things.
const std::vector<std::string>& default_eps(vit::Norm norm) {
  static const std::vector<std::string> linf = {"2/255", "4/255", "8/255"}, l2 = {"0.25", "0.5", "1.0"};
  return norm == vit::Norm::l2 ? l2 : linf;
}

/// How strong an attack is to be, and how that is said.
struct Strength {
  double value = 0.0;
  std::string text{};
};

/// What --eps or --patch-share give this attack; a model's own patch has one size.
std::vector<Strength> strengths_of(const RobustnessOptions& options, const vit::AttackEntry& entry,
                                   const std::string& name) {
  std::vector<Strength> strengths;
  if (entry.budget == vit::AttackBudget::cell) return {{0.0, "one patch"}};
  if (entry.budget == vit::AttackBudget::ball) {
    const vit::Norm norm = norm_of(options, entry);
    for (const std::string& text : options.eps.empty() ? default_eps(norm) : options.eps)
      strengths.push_back({parse_eps(text, norm, name), text});
    return strengths;
  }
  for (const std::string& text : options.shares) {
    const double share = parse_fraction("--patch-share", text);
    if (!(share > 0.0 && share <= 1.0))
      vit::fail_usage("--patch-share ", text, ": it must be above 0 and at most 1, a share of the picture's pixels");
    strengths.push_back({share, text});
  }
  return strengths;
}

vit::PatchPosition position_of(const std::string& name) {
  for (const auto& [position, text] : enum_names(vit::PatchPosition()))
    if (text == name) return position;
  vit::fail_usage("--patch-position: unknown '", name, "'");
}

Condition condition_of(const std::string& name, const vit::AttackEntry& entry, const vit::AttackOptions& attack,
                       const Strength& strength, const RobustnessOptions& options) {
  Condition condition{.kind = "attack", .name = name};
  condition.strength = strength.value;
  condition.strength_text = strength.text;
  condition.targeted = !options.targeted.empty();
  if (entry.budget == vit::AttackBudget::ball) {
    const std::string norm = attack.norm == vit::Norm::l2 ? "l2" : "linf";
    condition.title = fmt::format("{} {} {}", name, norm, strength.text);
    condition.facts = {{"norm", norm}, {"eps", attack.eps}};
  } else {
    condition.title = fmt::format("{} {}", name, strength.text);
    if (entry.budget == vit::AttackBudget::share) condition.facts["share"] = strength.value;
  }
  const bool one_step = name == "fgsm";
  condition.facts["steps"] = one_step ? 1 : attack.steps;
  condition.facts["restarts"] = one_step ? 1 : attack.restarts;
  if (condition.targeted) condition.facts["target"] = options.targeted;
  return condition;
}

constexpr const char* kGroup = "Attacks";

void add_strength_options(CLI::App& command, RobustnessOptions& options) {
  command
      .add_option("--eps,-e", options.eps,
                  with_example("Strengths: the largest change of a pixel (linf) or the length of all changes (l2), in "
                               "pixels of 0 to 1",
                               "--eps 1/255,2/255,0.5"))
      ->delimiter(',')
      ->type_name("LIST")
      ->group(kGroup)
      ->default_str(vit::joined(default_eps(vit::Norm::linf)) + "; l2: " + vit::joined(default_eps(vit::Norm::l2)));
  command
      .add_option("--norm", options.norm,
                  with_example("What --eps measures, of attacks that know both: linf or l2", "--norm l2 --eps 0.5"))
      ->check(CLI::IsMember({"linf", "l2"}))
      ->group(kGroup)
      ->capture_default_str();
}

void add_search_options(CLI::App& command, RobustnessOptions& options) {
  command.add_option("--steps", options.steps, with_example("Steps of each search", "--steps 100"))
      ->type_name("N")
      ->group(kGroup)
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}))
      ->capture_default_str();
  command.add_option("--alpha", options.alpha, with_example("Length of a step of pgd", "--alpha 2/255"))
      ->type_name("A")
      ->group(kGroup)
      ->default_str("2.5 eps / steps");
  command
      .add_option("--restarts", options.restarts,
                  with_example("Searches from other random points, of the pictures that held", "--restarts 5"))
      ->type_name("N")
      ->group(kGroup)
      ->check(CLI::Range(int64_t{1}, int64_t{10'000}))
      ->capture_default_str();
  command
      .add_flag("--no-random-start", options.no_random_start,
                with_example("Begin the first search at the picture itself (default: off)", "--no-random-start"))
      ->group(kGroup);
  command
      .add_option("--targeted", options.targeted,
                  with_example("Aim at a class: next (number + 1), random, least (the least likely), or one by name or "
                               "number",
                               "--targeted next"))
      ->type_name("RULE")
      ->group(kGroup)
      ->default_str("any wrong class");
}

void add_patch_options(CLI::App& command, RobustnessOptions& options) {
  command
      .add_option(
          "--patch-share", options.shares,
          with_example("Sizes of patch: shares of the picture's pixels", "--attack patch --patch-share 0.02,0.1"))
      ->delimiter(',')
      ->type_name("LIST")
      ->group(kGroup)
      ->default_str("0.05");
  command
      .add_option("--patch-position", options.position,
                  with_example("Where patch lies: random, center, corner", "--patch-position corner"))
      ->check(CLI::IsMember({"random", "center", "corner"}))
      ->group(kGroup)
      ->capture_default_str();
}

}  // namespace

double parse_fraction(const std::string& option, const std::string& text) {
  const size_t slash = text.find('/');
  const std::optional<double> above = number_of(text.substr(0, slash));
  const std::optional<double> below = slash == std::string::npos ? 1.0 : number_of(text.substr(slash + 1));
  if (!above || !below || *below == 0.0)
    vit::fail_usage(option, ": expected a number or a fraction such as 8/255, got '", text, "'");
  return *above / *below;
}

std::vector<Condition> attack_conditions(const RobustnessOptions& options, const CommonOptions& common,
                                         const vit::AttackTarget& target, const vit::ClassLabels& labels,
                                         const vit::Tensor& sample) {
  const TargetRule rule(options.targeted, common.seed, labels);
  vit::AttackOptions shared{.steps = options.steps,
                            .restarts = options.restarts,
                            .random_start = !options.no_random_start,
                            .seed = common.seed,
                            .position = position_of(options.position)};
  if (!options.alpha.empty()) shared.alpha = parse_fraction("--alpha", options.alpha);
  if (shared.alpha && !(*shared.alpha > 0.0)) vit::fail_usage("--alpha ", options.alpha, ": it must be above 0");
  std::vector<Condition> conditions;
  for (const std::string& name : options.attacks) {
    vit::require_attack(name, target, sample);
    const vit::AttackEntry& entry = vit::attack_registry().find(name);
    for (const Strength& strength : strengths_of(options, entry, name)) {
      vit::AttackOptions attack = shared;
      attack.norm = norm_of(options, entry);
      if (entry.budget == vit::AttackBudget::ball) attack.eps = strength.value;
      if (entry.budget == vit::AttackBudget::share) attack.share = strength.value;
      Condition condition = condition_of(name, entry, attack, strength, options);
      vit::require_options(name, attack, sample, labels.size(), rule.targeted());
      if (rule.targeted())
        condition.aim = [rule, &target](const vit::AttackBatch& batch) { return aimed_by(rule, target, batch); };
      condition.attack = [name, attack, &target](const vit::AttackBatch& batch) {
        return vit::attack(name, target, batch, attack);
      };
      conditions.push_back(std::move(condition));
    }
  }
  return conditions;
}

void add_attack_options(CLI::App& command, RobustnessOptions& options) {
  command
      .add_option("--attack,-a", options.attacks,
                  with_example("Attacks, with commas: " + vit::joined(vit::attack_registry().names()),
                               "--attack fgsm,pgd,pgd_l2"))
      ->delimiter(',')
      ->type_name("NAMES")
      ->group(kGroup)
      ->default_str("fgsm,pgd");
  add_strength_options(command, options);
  add_search_options(command, options);
  add_patch_options(command, options);
}

}  // namespace apps
