// Page-aligned memory that costs nothing until it is touched.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <span>
#include <utility>

namespace fuselage::base {

/// A page-aligned block of bytes, mapped so that pages never written to take no memory. Moves, never copies.
class Buffer {
 public:
  Buffer() noexcept = default;
  /// Throws `std::bad_alloc`.
  explicit Buffer(std::size_t size) : size_(size) {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<std::byte*>(memory);
  }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

  /// Gives the memory behind the first `kept` bytes back to the system; it reads as zero afterwards.
  void shrink_resident(std::size_t kept) const noexcept {
    if (kept < size_) ::madvise(data_ + kept, size_ - kept, MADV_DONTNEED);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace fuselage::base
