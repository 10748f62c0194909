// Module: base.
//
// Bytes on their way to the kernel, with their ownership in the name of the function that made them.
#pragma once

#include <fuselage/types.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuselage {

/// What `read` and its kin answer. Cheap to move. The library sends the bytes from where they are: nothing is copied on
/// `/dev/fuse`, and once, into the kernel's own buffer, on io_uring (not at all if they are in
/// `Context::reply_buffer`).
class Data {
 public:
  /// Nothing: the end of the file.
  Data() noexcept = default;

  /// Bytes that stay valid and unchanged until the reply is sent: constants, the file system's own memory while nobody
  /// frees it, or `Context::reply_buffer`.
  static Data borrow(Bytes bytes) noexcept { return Data(bytes, nullptr); }
  static Data borrow(std::string_view text) noexcept { return Data(bytes_of(text), nullptr); }

  /// Bytes that come along.
  static Data own(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    const Bytes bytes = bytes_of(*owner);
    return Data(bytes, std::move(owner));
  }
  static Data own(std::vector<std::byte> content) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(content));
    const Bytes bytes(*owner);
    return Data(bytes, std::move(owner));
  }

  /// Bytes that live as long as `owner` does.
  static Data keep(std::shared_ptr<const void> owner, Bytes bytes) noexcept { return Data(bytes, std::move(owner)); }

  /// Up to `size` bytes at `offset` of a file; `fd` stays open until the reply is sent. Fewer are sent where the file
  /// ends.
  static Data file(int fd, std::uint64_t offset, std::size_t size) noexcept {
    Data data;
    data.fd_ = fd;
    data.offset_ = offset;
    data.file_size_ = size;
    return data;
  }

  /// The bytes in memory; empty for `file`.
  Bytes bytes() const noexcept { return bytes_; }
  /// How many bytes there are; for `file` how many were asked for.
  std::size_t size() const noexcept { return is_file() ? file_size_ : bytes_.size(); }
  bool is_file() const noexcept { return fd_ >= 0; }
  int file_descriptor() const noexcept { return fd_; }
  std::uint64_t file_offset() const noexcept { return offset_; }

 private:
  Data(Bytes bytes, std::shared_ptr<const void> owner) noexcept : bytes_(bytes), owner_(std::move(owner)) {}

  Bytes bytes_;
  std::shared_ptr<const void> owner_;
  int fd_ = -1;
  std::uint64_t offset_ = 0;
  std::size_t file_size_ = 0;
};

}  // namespace fuselage
