// Module: inode.
//
// Handles for open files: what a file system returns from `open` instead of a pointer.
//
//   struct OpenLog { int fd; };
//   HandleTable<OpenLog> open_logs;
//
//   Reply<Opened> open(const Context&, Ino, OpenFlags) override {
//     return Opened{.handle = open_logs.open(OpenLog{fd})};
//   }
//   Reply<Data> read(const Context&, Ino, const OpenFile& file, Range range) override {
//     const auto log = open_logs.find(file.handle);
//     if (!log) return Error{EBADF};
//     return Data::file(log->fd, range.offset, range.size);
//   }
//   Reply<void> release(const Context&, Ino, const OpenFile& file, bool) override {
//     open_logs.close(file.handle);
//     return {};
//   }
#pragma once

#include <cstddef>
#include <fuselage/detail/slots.hpp>
#include <fuselage/types.hpp>
#include <memory>
#include <mutex>
#include <utility>

namespace fuselage {

/// Values of type `T` under handles. A handle is never 0 and never given out twice, so one that was closed is told from
/// a new one. All functions are thread-safe and take constant time; they lock one of several shards for a moment. `T`
/// itself needs its own lock if handlers change it: two reads of one open file may run at once.
template <class T>
class HandleTable {
 public:
  /// Puts a value under a new handle. Throws std::bad_alloc.
  Handle open(T value) { return open(std::make_shared<T>(std::move(value))); }
  /// The same for a value that cannot be moved or is shared; not null.
  Handle open(std::shared_ptr<T> value) {
    auto& shard = slots_.next_shard();
    const std::lock_guard lock(shard.mutex);
    return Handle{shard.insert(std::move(value)).first};
  }

  /// The value; null if the handle was never given out or is closed. What was found stays valid after `close`.
  std::shared_ptr<T> find(Handle handle) const {
    const auto number = static_cast<std::uint64_t>(handle);
    auto& shard = slots_.shard_of(number);
    const std::lock_guard lock(shard.mutex);
    const auto* value = shard.slots.find(Slots::slot_of(number));
    return value != nullptr ? *value : nullptr;
  }

  /// Takes the value out, once: whoever gets it is the last to close it; null as for `find`.
  std::shared_ptr<T> close(Handle handle) {
    const auto number = static_cast<std::uint64_t>(handle);
    auto& shard = slots_.shard_of(number);
    const std::lock_guard lock(shard.mutex);
    if (shard.slots.find(Slots::slot_of(number)) == nullptr) return nullptr;
    return shard.slots.remove(Slots::slot_of(number));
  }

  /// How many handles are open.
  std::size_t size() const { return slots_.size(); }

 private:
  struct Nothing {};
  using Slots = detail::ShardedSlots<std::shared_ptr<T>, Nothing>;
  mutable Slots slots_;
};

}  // namespace fuselage
