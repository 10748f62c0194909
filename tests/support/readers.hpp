// Callers that wait for handlers.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace fuselage::test {

/// The errno of opening a file and reading one byte of it; 0: none.
inline int read_failure(const std::filesystem::path& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  return fd ? (::read(fd.get(), &byte, 1) < 0 ? errno : 0) : errno;
}

/// Threads that each read the file once, and can be interrupted by a signal.
class Readers {
 public:
  Readers(const std::filesystem::path& path, std::size_t count) : results_(count, -1) {
    struct ::sigaction nothing {};
    nothing.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &nothing, nullptr);  // without SA_RESTART
    for (std::size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, path, i] {
        results_[i] = read_failure(path);
        ++done_;
      });
    }
  }
  ~Readers() { join(); }

  /// Until each has come back: a signal to a thread on its way into the call would be lost. The kernel passes only the
  /// first one on.
  void interrupt() {
    while (done_ < threads_.size()) {
      for (auto& thread : threads_) ::pthread_kill(thread.native_handle(), SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  /// What each got: 0 or an errno.
  const std::vector<int>& join() {
    for (auto& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
    return results_;
  }

 private:
  std::vector<int> results_;
  std::atomic<std::size_t> done_{0};
  std::vector<std::thread> threads_;
};

}  // namespace fuselage::test
