// A limit for tests whose server lives in their own process.
#pragma once

#include <sys/mount.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <thread>

namespace fuselage::test {

/// Cuts a mount off from its server when a test takes too long. A caller that waits for a server in its own process
/// could not even be killed: the device stays open for as long as one of its threads lives.
class CutOff {
 public:
  explicit CutOff(const std::filesystem::path& mountpoint)
      : thread_([mountpoint](const std::stop_token& done) {
          std::mutex mutex;
          std::condition_variable_any wake;
          std::unique_lock lock(mutex);
          wake.wait_for(lock, done, std::chrono::minutes(2), [&done] { return done.stop_requested(); });
          if (!done.stop_requested()) ::umount2(mountpoint.c_str(), MNT_FORCE | MNT_DETACH);
        }) {}

 private:
  std::jthread thread_;
};

}  // namespace fuselage::test
