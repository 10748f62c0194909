#include "transport/cpus.hpp"

#include <climits>
#include <fstream>
#include <string>

namespace fuselage::transport {
namespace {

constexpr unsigned word_bits = sizeof(unsigned long) * CHAR_BIT;
constexpr unsigned most_cpus = 8192;

}  // namespace

// "0-3" or "0,2-5": the kernel's queues are numbered through, so it is the count that matters (num_possible_cpus).
unsigned possible_cpus() {
  std::ifstream file("/sys/devices/system/cpu/possible");
  unsigned count = 0;
  for (std::string range; std::getline(file, range, ',');) {
    const auto dash = range.find('-');
    const unsigned long first = std::strtoul(range.c_str(), nullptr, 10);
    const unsigned long last = dash == std::string::npos ? first : std::strtoul(range.c_str() + dash + 1, nullptr, 10);
    if (last < first || last >= most_cpus) return 0;
    count += static_cast<unsigned>(last - first + 1);
  }
  return count;
}

CpuMask CpuMask::of_this_thread() {
  CpuMask mask;
  mask.words_.resize(most_cpus / word_bits);
  const std::size_t size = mask.words_.size() * sizeof(unsigned long);
  if (::sched_getaffinity(0, size, reinterpret_cast<::cpu_set_t*>(mask.words_.data())) != 0) mask.words_.clear();
  return mask;
}

CpuMask CpuMask::of(const std::vector<unsigned>& cpus) {
  CpuMask mask;
  mask.words_.resize(most_cpus / word_bits);
  for (const unsigned cpu : cpus) mask.words_[cpu / word_bits] |= 1ul << cpu % word_bits;
  return mask;
}

std::vector<unsigned> CpuMask::cpus() const {
  std::vector<unsigned> cpus;
  for (unsigned cpu = 0; cpu < words_.size() * word_bits; ++cpu) {
    if ((words_[cpu / word_bits] >> cpu % word_bits & 1) != 0) cpus.push_back(cpu);
  }
  return cpus;
}

void CpuMask::apply() const noexcept {
  if (words_.empty()) return;
  ::sched_setaffinity(0, words_.size() * sizeof(unsigned long), reinterpret_cast<const ::cpu_set_t*>(words_.data()));
}

}  // namespace fuselage::transport
