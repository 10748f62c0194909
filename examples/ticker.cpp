// A file that changes by itself, and tells: its readers see the new content at once although the kernel caches it, and
// poll(2) wakes up.
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <fuselage/fuselage.hpp>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace fuselage;

class Ticker : public FileSystem {
 public:
  void options(OptionSet& table) { table.value("period", &period_, "how often the file changes"); }

  Result<void> init(Negotiation& negotiation) override {
    // Here the program has gone to the background: threads may begin.
    clock_ =
        std::jthread([this, notifier = negotiation.notifier](const std::stop_token& stop) { run(stop, notifier); });
    return {};
  }
  void destroy() override { clock_ = {}; }

  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override {
    if (parent != root_ino || name != "tick") return Error{ENOENT};
    return Entry{tick, 0, attributes(tick), for_ever};
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override { return attributes(ino); }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    if (offset == 0) sink.add("tick", tick, FileType::regular, 1);
    return {};
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.keep_cache = true}; }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
    return Data::own(std::string(text_of(slice(text(), range))));
  }

  // Ready (POLLPRI) means: changed since the last poll.
  Reply<std::uint32_t> poll(const Context&, Ino, const OpenFile&, std::uint32_t, PollHandle wake) override {
    const std::lock_guard lock(mutex_);
    if (wake != PollHandle{}) waiting_.push_back(wake);
    const bool changed = std::exchange(polled_, count_) != count_;
    return std::uint32_t{POLLIN} | (changed ? POLLPRI : 0u);
  }

 private:
  static constexpr Ino tick{2};
  static constexpr std::chrono::hours for_ever{24};  // what changes is told

  std::string text() {
    const std::lock_guard lock(mutex_);
    // Always as many bytes, so that only the content changes.
    std::string digits = std::to_string(count_);
    return std::string(11 - digits.size(), ' ') + digits + "\n";
  }
  static Attributes attributes(Ino ino) {
    Attributes attributes = ino == tick ? Attributes::file(12) : Attributes::directory();
    attributes.timeout = for_ever;
    return attributes;
  }

  void run(const std::stop_token& stop, const Notifier& notifier) {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, stop, period_, [&] { return stop.stop_requested(); })) {
      ++count_;
      const std::vector<PollHandle> woken = std::exchange(waiting_, {});
      lock.unlock();
      // Drops the cached pages; `notifier.store` would put the new ones there instead. Either fails only where nobody
      // could see the difference: before the first request and after the last.
      [[maybe_unused]] const auto told = notifier.inval_inode(tick);
      for (const PollHandle handle : woken) [[maybe_unused]] const auto polled = notifier.poll(handle);
      lock.lock();
    }
  }

  std::chrono::milliseconds period_{1000};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::uint32_t count_ = 0;          // guarded by mutex_
  std::uint32_t polled_ = 0;         // guarded by mutex_
  std::vector<PollHandle> waiting_;  // guarded by mutex_
  std::jthread clock_;
};

int main(int argc, char** argv) { return fuselage::run<Ticker>(argc, argv); }
