// Contexts for concurrent calls of one model: they keep the temporaries of earlier calls, so each is used again, and
// each running call has one to itself.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "vit/core/context.h"

namespace vit {

/// Thread-safe.
class ContextPool {
 public:
  /// A context on loan: it goes back when the object does.
  class Lease {
   public:
    Lease(ContextPool& pool, std::unique_ptr<Context> context) : pool_(&pool), context_(std::move(context)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (context_) pool_->give_back(std::move(context_));
    }
    Context& operator*() const { return *context_; }
    Context* operator->() const { return context_.get(); }

   private:
    ContextPool* pool_;
    std::unique_ptr<Context> context_;
  };

  Lease take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return {*this, std::make_unique<Context>()};
    std::unique_ptr<Context> context = std::move(idle_.back());
    idle_.pop_back();
    return {*this, std::move(context)};
  }

 private:
  void give_back(std::unique_ptr<Context> context) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(context));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Context>> idle_;
};

}  // namespace vit
