// Threads for jobs of some microseconds.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace {

// Helpers that take items of a job while there are some. The caller works too, and waits for items that
// somebody took, never for helpers that didn't come: on a machine with other work a helper may be off its core
// for milliseconds, and a step makes two hundred jobs of some microseconds. (OpenMP waits for all.) After a fork the
// caller is alone, and right.
class Pool {
 public:
  template <class F>
  void run(int items, int threads, const F& work) {
    if (threads <= 1 || items <= 1) {
      for (int i = 0; i < items; i++) work(i);
      return;
    }
    std::lock_guard<std::mutex> one(callers_);
    while (helpers_ < threads - 1) std::thread(&Pool::help, this, helpers_++).detach();
    wanted_.store(threads - 1);
    call_ = [](const void* f, int i) { (*(const F*)f)(i); };
    work_ = &work;
    items_ = items;
    done_.store(0);
    left_.store((left_.load() >> 32) + 1 << 32 | (uint32_t)items);
    if (asleep_.load() > 0) {
      { std::lock_guard<std::mutex> lock(sleep_); }
      wake_.notify_all();
    }
    while (take()) {}
    for (int spins = 0; done_.load(std::memory_order_acquire) != items; spins++)
      if (spins < 2000) pause();
      else std::this_thread::yield();
  }

 private:
  // Take one item and do it. The upper half of left_ counts jobs, so that nobody takes of a job that is over;
  // and while an item is not done, its job stays.
  bool take() {
    uint64_t seen = left_.load(std::memory_order_acquire);
    while ((uint32_t)seen) {
      if (!left_.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) continue;
      call_(work_, items_ - (int)(uint32_t)seen);
      done_.fetch_add(1, std::memory_order_release);
      return true;
    }
    return false;
  }

  void help(int number) {
    auto since = std::chrono::steady_clock::now();
    for (int spins = 0;; spins++) {
      if (number < wanted_.load(std::memory_order_relaxed) && take()) {
        spins = 0;
        continue;
      }
      pause();
      if (spins == 1) since = std::chrono::steady_clock::now();
      if (spins % 64 || std::chrono::steady_clock::now() - since < std::chrono::microseconds(200)) continue;
      std::unique_lock<std::mutex> lock(sleep_);
      asleep_.fetch_add(1);
      if (!(uint32_t)left_.load() || number >= wanted_.load()) wake_.wait(lock);
      asleep_.fetch_sub(1);
      spins = 0;
    }
  }

  alignas(64) std::atomic<uint64_t> left_{0};
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<int> asleep_{0}, wanted_{0};
  void (*call_)(const void*, int) = nullptr;
  const void* work_ = nullptr;
  int items_ = 0, helpers_ = 0;
  std::mutex callers_, sleep_;
  std::condition_variable wake_;
};

Pool& pool() {
  static Pool* kept = new Pool;  // never destroyed: helpers may wait in it when the process ends
  return *kept;
}

}  // namespace
