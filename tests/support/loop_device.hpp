// A block device of a file, for mounts that want one.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/unique_fd.hpp"

namespace fuselage::test {

class LoopDevice {
 public:
  LoopDevice(const std::filesystem::path& image, off_t size) {
    const base::UniqueFd file(::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const base::UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control) return;
    name_ = "/dev/loop" + std::to_string(::ioctl(control.get(), LOOP_CTL_GET_FREE));
    base::UniqueFd device(::open(name_.c_str(), O_RDWR | O_CLOEXEC));
    if (::ftruncate(file.get(), size) == 0 && device && ::ioctl(device.get(), LOOP_SET_FD, file.get()) == 0) {
      device_ = std::move(device);
    }
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  ~LoopDevice() {
    if (device_) ::ioctl(device_.get(), LOOP_CLR_FD, 0);
  }

  /// Why there is none; empty if there is.
  std::string obstacle() const { return device_ ? "" : "no loop device can be set up here"; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  base::UniqueFd device_;
};

}  // namespace fuselage::test
