// Which CPUs there are, and which of them are ours.
#pragma once

#include <sched.h>

#include <vector>

namespace fuselage::transport {

/// How many CPUs this kernel can ever have: it keeps a queue for each. 0 if it does not say.
unsigned possible_cpus();

/// The CPUs that the calling thread may run on. Grows with the machine, which ::cpu_set_t does not.
class CpuMask {
 public:
  /// That of the calling thread; empty if it cannot be had.
  static CpuMask of_this_thread();
  static CpuMask of(const std::vector<unsigned>& cpus);

  std::vector<unsigned> cpus() const;
  /// Moves the calling thread onto these CPUs; nothing happens if that is not allowed.
  void apply() const noexcept;

 private:
  std::vector<unsigned long> words_;
};

/// For threads that the calling one starts: where it may run itself when it is not tied to a lane. Applying it does
/// nothing where the caller is not tied.
CpuMask home_of_this_thread();

}  // namespace fuselage::transport
