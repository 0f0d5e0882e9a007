#include "vit/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "vit/autograd/tape.h"
#include "vit/core/config.h"
#include "vit/core/names.h"
#include "vit/core/timer.h"
#include "vit/io/safetensors.h"
#include "vit/nn/module.h"
#include "vit/train/checkpoint_store.h"
#include "vit/train/event_file.h"
#include "vit/train/gradients.h"
#include "vit/train/metrics_log.h"
#include "vit/train/optimizer.h"
#include "vit/train/param_group.h"
#include "vit/train/plots.h"
#include "vit/train/run_folder.h"

namespace vit {

namespace {

/// Epochs that are shorter than this share a drawing; a run's end always has one.
constexpr double kSecondsBetweenPlots = 10.0;

/// A parameter or a buffer of the module, with the tensor that the trainer writes to.
struct Weight {
  std::string name;
  Parameter* parameter;
  Tensor value;
};

/// Means since the last line of the log and since the epoch began.
struct RunningLoss {
  double window_loss = 0.0, window_images = 0.0, epoch_loss = 0.0, epoch_images = 0.0;

  void add(double loss, int64_t images) {
    const auto n = static_cast<double>(images);
    window_loss += loss * n;
    window_images += n;
    epoch_loss += loss * n;
    epoch_images += n;
  }
  double window() const { return window_images > 0.0 ? window_loss / window_images : 0.0; }
  double epoch() const { return epoch_images > 0.0 ? epoch_loss / epoch_images : 0.0; }
  Tensor state() const { return Tensor::from<double>({window_loss, window_images, epoch_loss, epoch_images}, {4}); }
  void restore(const Tensor& saved) {
    check(saved.shape() == Shape{4}, "train_state: running_loss is ", saved.shape(), ", expected [4]");
    const double* v = saved.data<double>();
    *this = {v[0], v[1], v[2], v[3]};
  }
};

/// Errors (usage): eval_metric is none of the task's figures.
void require_metric(const TrainerConfig& config, const std::vector<std::string>& names) {
  if (names.empty() || std::find(names.begin(), names.end(), config.eval_metric) != names.end()) return;
  fail_usage("eval_metric: no figure is called '", config.eval_metric, "'", did_you_mean(config.eval_metric, names),
             "; there are ", joined(names));
}

/// Columns of metrics.csv: a table for people. A task that does not name its figures before has a classifier's.
std::vector<std::string> metric_columns(const std::vector<std::string>& names, const std::string& eval_metric) {
  std::vector<std::string> columns = {"loss", "lr", "val_loss"};
  const auto add = [&](const std::string& name) {
    if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
  };
  for (const std::string& name : names.empty() ? std::vector<std::string>{"top1", "top5"} : names)
    add(record_name(name));
  add(eval_metric);
  return columns;
}

class Run {
 public:
  Run(Task& task, BatchSource& source, const TrainerConfig& config, RunFolder& folder, const ConfigNode& resolved,
      const std::map<std::string, std::string>& facts, const TrainerHooks& hooks)
      : task_(task),
        source_(source),
        config_(config),
        folder_(folder),
        resolved_(resolved),
        facts_(facts),
        hooks_(hooks),
        store_(folder.checkpoints(), config.keep_checkpoints),
        stopping_(config.early_stopping, config.metric_decreases()),
        monitor_(config.monitor),
        schedule_(config.schedule, config.optimizer.lr, updates_per_epoch(), config.metric_decreases()) {
    require_metric(config, task.metric_names());
    collect_weights();
    const std::vector<NamedParameter> list = parameters();
    optimizer_ = make_optimizer(config.optimizer, list, plan_param_groups(list, config.optimizer));
    freeze(optimizer_->settings());
    if (config.ema.model_ema) ema_.emplace(config.ema, everything());
    const std::optional<std::filesystem::path> newest = find_newest();
    if (newest) resume(*newest);
    const std::vector<std::string> columns = metric_columns(task.metric_names(), config.eval_metric);
    // Only now: what was refused so far leaves no run behind that would be in the way of the next attempt.
    if (!newest && folder.has_config()) note("no checkpoint in " + folder.path().string() + " yet: begun anew");
    folder.write_config(resolved);
    log_ = std::make_unique<MetricsLog>(folder.path(), columns, step_);
    events_ = std::make_unique<EventFile>(folder.path(), step_);
  }

  TrainResult run() {
    TrainResult result;
    if (config_.schedule.warmup_epochs > 0 && config_.schedule.warmup_epochs >= config_.schedule.epochs)
      note(str("warning: warmup_epochs ", config_.schedule.warmup_epochs, " fills all ", config_.schedule.epochs,
               " epochs: the rate stays below lr"));
    while (epoch_ < schedule_.epochs() && !stopping_.should_stop()) {
      if (!train_epoch()) break;
      finish_epoch();
      if (plot_timer_.seconds() > kSecondsBetweenPlots) draw_plots();
      if (should_pause()) break;  // finish_epoch has saved
    }
    draw_plots();
    result.epoch = epoch_;
    result.step = step_;
    result.finished = epoch_ >= schedule_.epochs() || stopping_.should_stop();
    if (stopping_.should_stop())
      note(
          str("early stop: no better ", config_.eval_metric, " for ", config_.early_stopping.patience, " evaluations"));
    if (std::isfinite(stopping_.best())) result.best = stopping_.best();
    if (const auto best = store_.best()) result.best_checkpoint = best->string();
    if (const auto newest = store_.newest()) result.last_checkpoint = newest->string();
    return result;
  }

 private:
  // ---- parameters ----
  void collect_weights() {
    task_.module().visit_parameters([&](const std::string& name, Parameter& parameter) {
      check(parameter.value.defined(), "train: parameter ", name, " has no value");
      weights_.push_back({name, &parameter, parameter.value.value()});
    });
  }

  /// Only what is trained collects gradients.
  void freeze(const std::vector<ParamSettings>& settings) {
    size_t at = 0;
    for (Weight& weight : weights_) {
      if (weight.parameter->buffer) continue;
      weight.parameter->value = settings[at++].frozen ? Var(weight.value) : Var::leaf(weight.value);
    }
  }

  std::vector<NamedParameter> parameters() const {
    std::vector<NamedParameter> list;
    for (const Weight& weight : weights_) {
      if (weight.parameter->buffer) continue;
      const Var& var = weight.parameter->value;
      list.push_back({weight.name, weight.value, var.requires_grad() ? var.grad() : Tensor()});
    }
    return list;
  }

  std::vector<NamedParameter> everything() const {
    std::vector<NamedParameter> list;
    for (const Weight& weight : weights_) list.push_back({weight.name, weight.value, {}});
    return list;
  }

  // ---- steps ----
  int64_t accumulation() const { return config_.optimizer.grad_accum_steps; }
  int64_t updates_per_epoch() const { return (source_.batches_per_epoch() + accumulation() - 1) / accumulation(); }

  /// False when the run was stopped in the middle, with a checkpoint.
  bool train_epoch() {
    source_.start(epoch_, batch_);
    task_.start_epoch(static_cast<double>(epoch_) / static_cast<double>(std::max<int64_t>(1, schedule_.epochs() - 1)));
    epoch_timer_ = Timer();
    waited_before_ = source_.seconds_waited();
    images_before_ = images_;
    ctx_.training = true;
    Batch batch;
    int64_t accumulated = 0;
    while (source_.next(batch)) {
      if (batch.index >= 0) batch_ = batch.index;  // batches without a readable picture are left out
      backward(batch);
      ++batch_;
      if (++accumulated == accumulation()) update(std::exchange(accumulated, 0));
      if (hooks_.on_batch)
        hooks_.on_batch({epoch_, schedule_.epochs(), batch_, source_.batches_per_epoch(), step_, images_, last_loss_,
                         schedule_.lr()});
      if (accumulated > 0 || batch_ >= source_.batches_per_epoch()) continue;
      const bool stop = should_pause();
      const bool due = config_.checkpoint_interval > 0 && step_ % config_.checkpoint_interval == 0;
      if (stop || due) save({}, false);
      if (stop) return false;
    }
    if (accumulated > 0) update(accumulated);
    train_seconds_ = epoch_timer_.seconds();
    return true;
  }

  void backward(const Batch& batch) {
    ctx_.seed = static_cast<uint64_t>(config_.seed) * 0x9E3779B97F4A7C15ull + static_cast<uint64_t>(epoch_);
    ctx_.random_calls = static_cast<uint64_t>(batch_) << 20;
    Tape tape(ctx_);
    ctx_.tape = &tape;
    const Var loss = loss_of(batch);
    ctx_.tape = nullptr;
    last_loss_ = loss.value().f32()[0];
    if (!std::isfinite(last_loss_))
      fail("the loss is ", last_loss_, " in epoch ", epoch_, ", batch ", batch_, " (after update ", step_, "). ",
           advice());
    tape.backward(loss);
    running_.add(last_loss_, batch.size());
    images_ += batch.size();
  }

  /// What a task refuses is reported with the place: the same batch comes at the same step again.
  Var loss_of(const Batch& batch) {
    try {
      return task_.loss(ctx_, batch);
    } catch (const Error& error) {
      ctx_.tape = nullptr;
      throw Error(
          str("epoch ", epoch_, ", batch ", batch_, " (after update ", step_, "): ", error.what(), ". ", fallback()),
          error.kind());
    }
  }

  std::string advice() const {
    return "A lower lr, a longer warm-up (warmup_epochs) or clip_grad usually helps. " + fallback();
  }
  std::string fallback() const {
    const auto newest = store_.newest();
    return newest ? "The last good checkpoint is " + newest->string()
                  : "No checkpoint was written yet: --overwrite begins anew";
  }

  void update(int64_t accumulated) {
    const std::vector<NamedParameter> list = parameters();
    const GradientReport report = prepare_gradients(list, config_.optimizer, accumulated);
    if (!report.finite)
      fail("a gradient is not finite in epoch ", epoch_, ", batch ", batch_, " (update ", step_ + 1,
           "): ", describe_non_finite(list), ". ", advice());
    last_lr_ = schedule_.lr();
    optimizer_->step(list, last_lr_, report.grad_scale);
    for (const Weight& weight : weights_)
      if (weight.parameter->value.requires_grad()) weight.parameter->value.clear_grad();
    ++step_;
    if (ema_) ema_->update(everything(), step_);
    schedule_.finish_update(step_);
    if (step_ % config_.log_interval == 0) {
      log(epoch_, {{"loss", running_.window()}, {"lr", last_lr_}, {"grad_norm", report.norm}}, "train/");
      running_.window_loss = running_.window_images = 0.0;
    }
  }

  // ---- epochs ----
  void finish_epoch() {
    EpochReport report{.epoch = epoch_, .step = step_, .loss = running_.epoch(), .lr = last_lr_, .metrics = {}};
    report.images_per_s = static_cast<double>(images_ - images_before_) / std::max(1e-9, train_seconds_);
    report.waited_share = (source_.seconds_waited() - waited_before_) / std::max(1e-9, train_seconds_);
    const bool last = epoch_ + 1 >= schedule_.epochs();
    std::vector<Metric> attention;
    if (last || (epoch_ + 1) % config_.eval_interval == 0) report.metrics = evaluate(attention);
    const std::optional<double> metric = find(report.metrics, config_.eval_metric);
    if (metric) report.is_best = stopping_.update(*metric);
    ++epoch_;
    batch_ = 0;
    schedule_.finish_epoch(epoch_, metric);
    running_.epoch_loss = running_.epoch_images = 0.0;
    std::vector<Metric> values = {{"loss", report.loss}, {"lr", report.lr}};
    for (const auto& [name, value] : report.metrics) values.emplace_back(record_name(name), value);
    log(report.epoch, values, "epoch/", attention);
    events_->add(step_, {{"speed/images_per_s", report.images_per_s}, {"speed/waited_share", report.waited_share}});
    save(metric, report.is_best);
    report.seconds = epoch_timer_.seconds();
    if (hooks_.on_epoch) hooks_.on_epoch(report);
  }

  /// With the averaged weights in place of the trained ones where there are any. `attention` gets what its monitor
  /// measured, when it was due.
  std::vector<Metric> evaluate(std::vector<Metric>& attention) {
    ctx_.training = false;
    std::vector<Var> trained;
    if (ema_)
      for (size_t i = 0; i < weights_.size(); ++i)
        trained.push_back(std::exchange(weights_[i].parameter->value, Var(ema_->averages()[i])));
    if (monitor_.is_due(epoch_ / config_.eval_interval))
      attention = monitor_.measure(task_, [this](const std::string& text) { note(text); });
    std::vector<Metric> metrics = task_.evaluate();
    for (size_t i = 0; i < trained.size(); ++i) weights_[i].parameter->value = trained[i];
    std::vector<std::string> names;
    for (const Metric& metric : metrics) names.push_back(metric.first);
    require_metric(config_, names);
    return metrics;
  }

  static std::optional<double> find(const std::vector<Metric>& metrics, const std::string& name) {
    for (const auto& [known, value] : metrics)
      if (known == name) return value;
    return std::nullopt;
  }

  /// `more` has full names already, and no column in metrics.csv.
  void log(int64_t epoch, std::vector<Metric> values, const std::string& prefix, const std::vector<Metric>& more = {}) {
    std::vector<Scalar> scalars = more;
    for (const auto& [name, value] : values) scalars.emplace_back(prefix + name, value);
    values.insert(values.end(), more.begin(), more.end());
    log_->log({epoch, step_, values});
    events_->add(step_, scalars);
  }

  bool out_of_time() const { return config_.max_minutes > 0.0 && run_timer_.seconds() > 60.0 * config_.max_minutes; }
  bool should_pause() const { return out_of_time() || (hooks_.stop_requested && hooks_.stop_requested()); }
  void note(const std::string& text) const {
    if (hooks_.on_note) hooks_.on_note(text);
  }

  /// Pictures of the metrics are a convenience: no run fails because of them.
  void draw_plots() {
    if (!config_.plots) return;
    try {
      write_plots(folder_.path() / "metrics.jsonl", folder_.plots());
    } catch (const std::exception& error) {
      if (!std::exchange(plots_failed_, true)) note(str("warning: plots cannot be drawn: ", error.what()));
    }
    plot_timer_ = Timer();
  }

  // ---- checkpoints ----
  /// A checkpoint is what a run falls back on: it must be good. Losses alone show a bad weight only in the next batch.
  void require_finite_weights() const {
    for (const Weight& weight : weights_) {
      if (weight.value.dtype() != DType::f32) continue;
      const std::span<const float> values = weight.value.span<float>();
      if (std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) continue;
      fail("the weight ", weight.name, " is not finite after update ", step_, " (epoch ", epoch_, "). ", advice());
    }
  }

  void save(std::optional<double> metric, bool is_best) {
    require_finite_weights();
    CheckpointContent content;
    std::vector<std::pair<std::string, Tensor>> model;
    for (size_t i = 0; i < weights_.size(); ++i)
      model.emplace_back(weights_[i].name, ema_ ? ema_->averages()[i] : weights_[i].value);
    for (auto& [name, tensor] : task_.exported(model)) content.model.push_back({name, tensor});
    content.files = task_.checkpoint_files();
    TrainState& state = content.state;
    state.epoch = epoch_;
    state.batch = batch_;
    state.step = step_;
    state.is_best = is_best;
    state.metric = metric;
    state.config = resolved_.to_yaml();
    state.facts = facts_;
    for (const Weight& weight : weights_) state.tensors["weights." + weight.name] = weight.value;
    optimizer_->save(state.tensors);
    if (ema_) ema_->save(state.tensors);
    state.tensors["schedule"] = schedule_.state();
    state.tensors["early_stopping"] = stopping_.state();
    state.tensors["running_loss"] = running_.state();
    state.tensors["last_lr"] = Tensor::from<double>({last_lr_}, {1});
    store_.save(content);
  }

  std::optional<std::filesystem::path> find_newest() const {
    std::vector<std::string> passed_over;
    const auto newest = store_.newest(&passed_over);
    for (const std::string& line : passed_over) note(line);
    return newest;
  }

  void resume(const std::filesystem::path& from) {
    const TrainState state = read_train_state(from);
    require_same_facts(state, from);
    for (const Weight& weight : weights_)
      restore_tensor(state.tensors, "weights." + weight.name, weight.value, "the model's weights");
    optimizer_->restore(state.tensors);
    if (ema_) ema_->restore(state.tensors);
    const auto tensor = [&](const char* name) {
      const auto found = state.tensors.find(name);
      if (found == state.tensors.end()) fail_usage(from.string(), ": train_state.safetensors has no ", name);
      return found->second;
    };
    schedule_.restore(tensor("schedule"));
    stopping_.restore(tensor("early_stopping"));
    running_.restore(tensor("running_loss"));
    if (state.tensors.contains("last_lr")) last_lr_ = tensor("last_lr").data<double>()[0];
    epoch_ = state.epoch;
    batch_ = state.batch;
    step_ = state.step;
    note(str("resumed from ", from.string(), ": epoch ", epoch_, ", batch ", batch_, ", update ", step_));
  }

  void require_same_facts(const TrainState& state, const std::filesystem::path& from) const {
    for (const auto& [name, text] : facts_) {
      const auto saved = state.facts.find(name);
      if (saved != state.facts.end() && saved->second != text)
        fail_usage("--resume: the ", name, " changed since ", from.string(), " was written\n  then: ", saved->second,
                   "\n  now:  ", text, "\nrestore it, or start a new run in another `output` folder");
    }
  }

  Task& task_;
  BatchSource& source_;
  const TrainerConfig& config_;
  RunFolder& folder_;
  const ConfigNode& resolved_;
  const std::map<std::string, std::string>& facts_;
  const TrainerHooks& hooks_;
  CheckpointStore store_;
  EarlyStopping stopping_;
  AttentionMonitor monitor_;
  LrSchedule schedule_;
  std::vector<Weight> weights_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<ModelEma> ema_;
  std::unique_ptr<MetricsLog> log_;
  std::unique_ptr<EventFile> events_;
  Context ctx_;
  RunningLoss running_;
  Timer run_timer_, epoch_timer_, plot_timer_;
  bool plots_failed_ = false;
  int64_t epoch_ = 0, batch_ = 0, step_ = 0, images_ = 0, images_before_ = 0;
  double last_loss_ = 0.0, last_lr_ = 0.0, train_seconds_ = 0.0, waited_before_ = 0.0;
};

/// Bytes held by an arena of its own after a step with the first `count` samples.
int64_t probe(Task& task, const Batch& batch, int64_t count) {
  Context ctx;
  ctx.training = true;
  ctx.update_statistics = false;  // it is only a trial
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var loss = task.loss(ctx, batch.first(count));
  ctx.tape = nullptr;
  if (loss.requires_grad()) tape.backward(loss);
  return ctx.arena.bytes_held();
}

}  // namespace

void TrainerConfig::validate() const {
  optimizer.validate();
  schedule.validate();
}

bool TrainerConfig::metric_decreases() const { return eval_metric.find("loss") != std::string::npos; }

void require_trainable(Task& task, const BatchSource& source, const TrainerConfig& config) {
  require_metric(config, task.metric_names());
  std::vector<NamedParameter> list;
  task.module().visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (!parameter.buffer) list.push_back({name, parameter.value.value(), {}});
  });
  plan_param_groups(list, config.optimizer);
  const LrSchedule schedule(config.schedule, config.optimizer.lr, source.batches_per_epoch(),
                            config.metric_decreases());
}

TrainResult train(Task& task, BatchSource& source, const TrainerConfig& config, RunFolder& folder,
                  const ConfigNode& resolved, const std::map<std::string, std::string>& facts,
                  const TrainerHooks& hooks) {
  return Run(task, source, config, folder, resolved, facts, hooks).run();
}

int64_t estimate_memory(Task& task, const Batch& batch, const TrainerConfig& config, int64_t batch_size) {
  int64_t weights = 0, trained = 0;
  std::vector<std::pair<Parameter*, Var>> kept;
  std::vector<NamedParameter> list;
  task.module().visit_parameters([&](const std::string& name, Parameter& parameter) {
    weights += parameter.value.value().nbytes();
    if (parameter.buffer) return;
    kept.emplace_back(&parameter, parameter.value);
    list.push_back({name, parameter.value.value(), {}});
  });
  const std::vector<ParamSettings> settings = plan_param_groups(list, config.optimizer);
  for (size_t i = 0; i < list.size(); ++i) {
    if (settings[i].frozen) continue;
    kept[i].first->value = Var::leaf(list[i].value);
    trained += list[i].value.nbytes();
  }
  // The first pass leaves the weights' gradients, and the next ones add to them: their arenas then hold what is
  // proportional to the samples. In one arena a few samples' freed activations would make room for gradients.
  probe(task, batch, 1);
  const int64_t one = probe(task, batch, 1);
  const int64_t two = batch.size() > 1 ? probe(task, batch, 2) : 2 * one;
  for (auto& [parameter, value] : kept) parameter->value = value;
  const int64_t per_sample = std::max<int64_t>(0, two - one);
  const int64_t states = make_optimizer(config.optimizer, list, settings)->state_bytes();
  return one + per_sample * (batch_size - 1) + trained + states + (config.ema.model_ema ? weights : 0);
}

}  // namespace vit
