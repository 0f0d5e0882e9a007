#include "datasets/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <set>
#include <utility>

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

/// What work needs; shared with it, so that a task that comes late finds everything alive.
struct Shared {
  Shared(const Dataset& set, std::shared_ptr<const BatchRecipe> made_by, const PictureStoreOptions& options)
      : dataset(set), store(set, options), recipe(std::move(made_by)) {}

  const Dataset& dataset;
  PictureStore store;
  std::shared_ptr<const BatchRecipe> recipe;
};

/// A batch on its way. Its pictures are split into parts, which workers and the consumer claim one after another.
struct Work {
  std::shared_ptr<Shared> shared;
  BatchOrder order;
  std::unique_ptr<BatchInProgress> making;
  vit::Batch batch;                 // when it is done; without pictures where none could be used
  std::vector<std::string> errors;  // [B]; empty: the picture is there
  int64_t per_part = 1, parts = 0;
  std::atomic<int64_t> claimed{0}, finished{0};
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;           // guarded by mutex, as is:
  std::exception_ptr failure;  // what is no single picture's fault

  void make_picture(int64_t b);
  void make_part(int64_t part);
  void complete();
  bool run_part();
};

void Work::make_picture(int64_t b) {
  std::string& error = errors[static_cast<size_t>(b)];
  try {
    making->make(b);
  } catch (const vit::Error& failed) {
    error = failed.what();
    if (error.empty()) error = "unknown error";
  }
}

void Work::make_part(int64_t part) {
  const auto count = static_cast<int64_t>(order.indices.size());
  const int64_t end = std::min(count, (part + 1) * per_part);
  for (int64_t b = part * per_part; b < end; ++b) make_picture(b);
}

/// The batch of what could be made.
void Work::complete() {
  std::vector<int64_t> made;
  for (size_t b = 0; b < errors.size(); ++b)
    if (errors[b].empty()) made.push_back(static_cast<int64_t>(b));
  if (made.empty()) return;
  making->finish(made, batch);
  for (const int64_t b : made) batch.pictures.push_back(order.indices[static_cast<size_t>(b)]);
  batch.index = order.batch;
}

/// Makes the next part that nobody has; false where there is none. Never throws. Whoever finishes last completes.
bool Work::run_part() {
  const int64_t part = claimed.fetch_add(1);
  if (part >= parts) return false;
  std::exception_ptr thrown;
  try {
    make_part(part);
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown) {
    const std::lock_guard lock(mutex);
    failure = thrown;
  }
  if (finished.fetch_add(1) + 1 < parts) return true;
  try {
    complete();
  } catch (...) {
    thrown = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex);
    if (thrown && !failure) failure = thrown;
    done = true;
  }
  changed.notify_all();
  return true;
}

}  // namespace

struct Loader::Impl {
  Impl(const Sampler& choice, const Dataset& dataset, std::shared_ptr<const BatchRecipe> recipe,
       const PictureStoreOptions& options)
      : sampler(choice), shared(std::make_shared<Shared>(dataset, std::move(recipe), options)) {}

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
  work->shared = shared;
  work->order.epoch = epoch;
  work->order.batch = batch;
  work->order.first_position = batch * config.batch_size;
  const int64_t begin = work->order.first_position;
  const auto end = std::min<int64_t>(begin + config.batch_size, static_cast<int64_t>(order.size()));
  work->order.indices.assign(order.begin() + begin, order.begin() + end);
  work->errors.resize(work->order.indices.size());
  work->making = shared->recipe->begin(work->order, shared->store);
  work->per_part = std::max<int64_t>(1, kPixelsPerTask / shared->recipe->pixels_per_picture());
  work->parts = (end - begin + work->per_part - 1) / work->per_part;
  return work;
}

/// Queues batches until there are config.prefetch, and starts work on them.
void Loader::Impl::fill() {
  while (next_batch < batches && static_cast<int64_t>(queue.size()) < config.prefetch) {
    const std::shared_ptr<Work> work = make_work(next_batch++);
    queue.push_back(work);
    // On one thread nobody would take the tasks, which would pile up; next() does the work.
    if (vit::num_threads() == 1) continue;
    for (int64_t part = 0; part < work->parts; ++part) tasks.run([work] { work->run_part(); });
  }
}

/// Nothing that has not begun is made any more.
void Loader::Impl::drop_queue() {
  for (const auto& work : queue) work->claimed.store(work->parts);
  queue.clear();
}

Loader::Loader(const Dataset& dataset, const Sampler& sampler, std::shared_ptr<const BatchRecipe> recipe,
               const LoaderConfig& config)
    : impl_(std::make_unique<Impl>(
          sampler, dataset, std::move(recipe),
          PictureStoreOptions{.max_bytes = config.cache_mb << 20, .shorter_side = config.cache_size})) {
  vit::check(impl_->shared->recipe != nullptr, "loader: the recipe is null");
  vit::check(config.batch_size >= 1 && config.prefetch >= 1, "loader: expected batch_size and prefetch of at least 1");
  vit::check(dataset.size() == sampler.set_size(), "loader: the data set has ", dataset.size(),
             " pictures, the sampler's ", sampler.set_size());
  impl_->config = config;
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
    while (work->run_part()) {
    }
    std::unique_lock lock(work->mutex);
    work->changed.wait(lock, [&] { return work->done; });
    if (work->failure) std::rethrow_exception(work->failure);
    lock.unlock();
    report_bad(work->order.indices, work->errors);
    if (!work->batch.images.defined()) continue;
    batch = std::move(work->batch);
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

}  // namespace datasets
