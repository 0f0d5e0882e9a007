#include "datasets/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <set>
#include <utility>

#include "datasets/augment_random.h"
#include "datasets/label_check.h"
#include "datasets/loader_store.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"

namespace datasets {

namespace {

/// Output pixels that one task makes at least: a task costs a microsecond or two, and a thread that takes one while it
/// waits for the model's other threads should be back soon.
constexpr int64_t kPixelsPerTask = 8192;
/// Unreadable pictures that the error of too many names.
constexpr size_t kNamedBad = 5;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A batch on its way. Its pictures are split into parts, which workers and the consumer claim one after another.
struct Work {
  int64_t epoch = 0, batch = 0;
  int64_t first_position = 0;    // in the epoch
  std::vector<int64_t> indices;  // of the data set, [B]
  vit::Tensor images;            // f32 [B, 3, height, width]
  vit::Tensor targets;
  std::vector<std::string> errors;  // [B]; empty: the picture is there
  int64_t per_part = 1, parts = 0;
  std::atomic<int64_t> claimed{0}, finished{0};
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;           // guarded by mutex, as is:
  std::exception_ptr failure;  // what is no single picture's fault
};

/// What tasks need; shared with them, so that one that comes late finds everything alive.
struct Shared {
  Shared(const Dataset& set, const PictureStoreOptions& options) : dataset(set), store(set, options) {}

  const Dataset& dataset;
  PictureStore store;
  std::shared_ptr<const Transform> transform;
  std::optional<Mixer> mixer;
  uint64_t seed = 0;

  void make_picture(Work& work, int64_t b);
  void make_part(Work& work, int64_t part);
  void complete(Work& work);
  bool run_part(Work& work);
};

void Shared::make_picture(Work& work, int64_t b) {
  const vit::Extent size = transform->output_size();
  float* output = work.images.f32() + b * 3 * size.height * size.width;
  std::string& error = work.errors[static_cast<size_t>(b)];
  try {
    const vit::Image image = store.get(work.indices[static_cast<size_t>(b)]);
    vit::Rng rng(seed, stream_at(RandomUse::kPicture, work.epoch, work.first_position + b));
    transform->run(image, rng, output);
  } catch (const vit::Error& failure) {
    error = failure.what();
    if (error.empty()) error = "unknown error";
  }
}

void Shared::make_part(Work& work, int64_t part) {
  const auto count = static_cast<int64_t>(work.indices.size());
  const int64_t end = std::min(count, (part + 1) * work.per_part);
  for (int64_t b = part * work.per_part; b < end; ++b) make_picture(work, b);
}

/// Closes the gaps of unreadable pictures, then mixes.
void Shared::complete(Work& work) {
  const vit::Extent size = transform->output_size();
  const int64_t floats = 3 * size.height * size.width;
  std::vector<int64_t> labels;
  for (size_t b = 0; b < work.indices.size(); ++b) {
    if (!work.errors[b].empty()) continue;
    const auto from = static_cast<int64_t>(b), to = static_cast<int64_t>(labels.size());
    if (to < from)
      std::memcpy(work.images.f32() + to * floats, work.images.f32() + from * floats,
                  static_cast<size_t>(floats) * sizeof(float));
    labels.push_back(dataset.label(work.indices[b]));
  }
  const auto count = static_cast<int64_t>(labels.size());
  if (count == 0) return;
  if (count < work.images.size(0)) work.images = work.images.slice(0, count);
  vit::Rng rng(seed, stream_at(RandomUse::kMix, work.epoch, work.batch));
  work.targets = mixer ? mixer->apply(work.images, labels, work.epoch, rng) : vit::Tensor::from(labels, {count});
}

/// Makes the next part that nobody has; false where there is none. Never throws. Whoever finishes last completes.
bool Shared::run_part(Work& work) {
  const int64_t part = work.claimed.fetch_add(1);
  if (part >= work.parts) return false;
  std::exception_ptr failure;
  try {
    make_part(work, part);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    const std::lock_guard lock(work.mutex);
    work.failure = failure;
  }
  if (work.finished.fetch_add(1) + 1 < work.parts) return true;
  try {
    complete(work);
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(work.mutex);
    if (failure && !work.failure) work.failure = failure;
    work.done = true;
  }
  work.changed.notify_all();
  return true;
}

}  // namespace

struct Loader::Impl {
  Impl(const Sampler& choice, const Dataset& dataset, const PictureStoreOptions& options)
      : sampler(choice), shared(std::make_shared<Shared>(dataset, options)) {}

  Sampler sampler;
  LoaderConfig config;
  int64_t batches = 0;  // per epoch
  std::shared_ptr<Shared> shared;
  bool started = false;
  int64_t epoch = 0, next_batch = 0;  // the next one to be queued
  std::vector<int64_t> order;         // of the epoch
  std::deque<std::shared_ptr<Work>> queue;
  std::set<int64_t> bad;  // indices in the quarantine
  vit::TaskGroup tasks;   // last: destroyed, and so waited for, first

  std::shared_ptr<Work> make_work(int64_t batch) const;
  void fill();
  void drop_queue();
};

std::shared_ptr<Work> Loader::Impl::make_work(int64_t batch) const {
  auto work = std::make_shared<Work>();
  work->epoch = epoch;
  work->batch = batch;
  work->first_position = batch * config.batch_size;
  const auto end = std::min<int64_t>(work->first_position + config.batch_size, static_cast<int64_t>(order.size()));
  work->indices.assign(order.begin() + work->first_position, order.begin() + end);
  work->errors.resize(work->indices.size());
  const vit::Extent size = shared->transform->output_size();
  const auto count = static_cast<int64_t>(work->indices.size());
  work->images = vit::Tensor::empty({count, 3, size.height, size.width});
  work->per_part = std::max<int64_t>(1, kPixelsPerTask / (size.height * size.width));
  work->parts = (count + work->per_part - 1) / work->per_part;
  return work;
}

/// Queues batches until there are config.prefetch, and starts work on them.
void Loader::Impl::fill() {
  while (next_batch < batches && static_cast<int64_t>(queue.size()) < config.prefetch) {
    const std::shared_ptr<Work> work = make_work(next_batch++);
    queue.push_back(work);
    // On one thread nobody would take the tasks, which would pile up; next() does the work.
    if (vit::num_threads() == 1) continue;
    for (int64_t part = 0; part < work->parts; ++part) tasks.run([keep = shared, work] { keep->run_part(*work); });
  }
}

/// Nothing that has not begun is made any more.
void Loader::Impl::drop_queue() {
  for (const auto& work : queue) work->claimed.store(work->parts);
  queue.clear();
}

Loader::Loader(const Dataset& dataset, const Sampler& sampler, std::shared_ptr<const Transform> transform,
               std::optional<Mixer> mixer, const LoaderConfig& config, uint64_t seed)
    : impl_(std::make_unique<Impl>(
          sampler, dataset,
          PictureStoreOptions{.max_bytes = config.cache_mb << 20, .shorter_side = config.cache_size})) {
  vit::check(transform != nullptr, "loader: the transform is null");
  vit::check(config.batch_size >= 1 && config.prefetch >= 1, "loader: expected batch_size and prefetch of at least 1");
  vit::check(dataset.size() == sampler.set_size(), "loader: the data set has ", dataset.size(),
             " pictures, the sampler's ", sampler.set_size());
  impl_->config = config;
  impl_->shared->transform = std::move(transform);
  impl_->shared->mixer = std::move(mixer);
  impl_->shared->seed = seed;
  const int64_t pictures = sampler.size(), size = config.batch_size;
  impl_->batches = config.drop_last && pictures >= size ? pictures / size : (pictures + size - 1) / size;
}

Loader::~Loader() { impl_->drop_queue(); }

int64_t Loader::batches_per_epoch() const { return impl_->batches; }

int64_t Loader::bytes_cached() const { return impl_->shared->store.bytes_kept(); }

void Loader::start(int64_t epoch, int64_t first_batch) {
  vit::check(epoch >= 0 && first_batch >= 0 && first_batch <= impl_->batches, "loader: asked for batch ", first_batch,
             " of epoch ", epoch, "; an epoch has ", impl_->batches, " batches");
  impl_->drop_queue();
  impl_->order = impl_->sampler.order(epoch);
  impl_->epoch = epoch;
  impl_->next_batch = first_batch;
  impl_->started = true;
  impl_->fill();
}

bool Loader::next(vit::Batch& batch) {
  const auto begin = std::chrono::steady_clock::now();
  struct Clock {
    std::chrono::steady_clock::time_point begin;
    double& sum;
    ~Clock() { sum += seconds_since(begin); }
  } const clock{begin, seconds_waited_};
  vit::check(impl_->started, "loader: next() before start()");
  for (;;) {
    impl_->fill();
    if (impl_->queue.empty()) return false;
    const std::shared_ptr<Work> work = std::move(impl_->queue.front());
    impl_->queue.pop_front();
    impl_->fill();  // before waiting, so that the workers have the next ones
    while (impl_->shared->run_part(*work)) {
    }
    std::unique_lock lock(work->mutex);
    work->changed.wait(lock, [&] { return work->done; });
    if (work->failure) std::rethrow_exception(work->failure);
    lock.unlock();
    report_bad(work->indices, work->errors);
    if (!work->targets.defined()) continue;
    batch.images = std::move(work->images);
    batch.targets = std::move(work->targets);
    return true;
  }
}

void Loader::report_bad(const std::vector<int64_t>& indices, const std::vector<std::string>& errors) {
  const Dataset& dataset = impl_->shared->dataset;
  for (size_t b = 0; b < indices.size(); ++b) {
    if (errors[b].empty() || !impl_->bad.insert(indices[b]).second) continue;
    quarantine_.push_back({indices[b], dataset.source(indices[b]), errors[b]});
    if (on_bad_picture_) on_bad_picture_(quarantine_.back());
  }
  const double limit = impl_->config.max_bad_fraction * static_cast<double>(dataset.size());
  if (static_cast<double>(quarantine_.size()) <= limit) return;
  std::string named;
  for (size_t i = 0; i < std::min(kNamedBad, quarantine_.size()); ++i)
    named += vit::str("\n  ", quarantine_[i].source, ": ", quarantine_[i].reason);
  vit::fail("data: ", quarantine_.size(), " of ", dataset.size(),
            " pictures cannot be read, more than max_bad_fraction ", impl_->config.max_bad_fraction,
            " allows; repair or remove them, or raise it. They begin with:", named);
}

namespace {

/// The class of each picture. Errors (usage): no pictures; a class outside of class_names().
std::vector<int64_t> checked_labels(const Dataset& dataset) {
  if (dataset.size() < 1) vit::fail_usage("data: there are no pictures");
  require_labels(dataset, "data");
  return labels_of(dataset);
}

}  // namespace

std::unique_ptr<Loader> make_train_loader(const Dataset& dataset, const vit::Preprocessor& preprocessor,
                                          const AugmentConfig& augment, const SamplerConfig& sampler,
                                          const LoaderConfig& loader, uint64_t seed) {
  const auto classes = static_cast<int64_t>(dataset.class_names().size());
  return std::make_unique<Loader>(dataset, Sampler(sampler, checked_labels(dataset), classes, seed),
                                  std::make_shared<TrainTransform>(augment, preprocessor), Mixer(augment, classes),
                                  loader, seed);
}

std::unique_ptr<Loader> make_eval_loader(const Dataset& dataset, const vit::Preprocessor& preprocessor,
                                         const LoaderConfig& loader) {
  LoaderConfig config = loader;
  config.drop_last = false;
  SamplerConfig sequential;
  sequential.sampler = "sequential";
  const Sampler in_order(sequential, checked_labels(dataset), static_cast<int64_t>(dataset.class_names().size()), 0);
  return std::make_unique<Loader>(dataset, in_order, std::make_shared<EvalTransform>(preprocessor), std::nullopt,
                                  config, 0);
}

}  // namespace datasets
