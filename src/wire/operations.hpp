// The table of operations (operations.def) as C++: one constant row for each opcode, found in constant time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "wire/capabilities.hpp"
#include "wire/kernel.hpp"

namespace fuselage::wire {

/// What a successful answer consists of, behind the reply header.
enum class ReplyKind : std::uint8_t {
  none,                ///< no answer at all, not even a header
  empty,               ///< the header alone
  entry,               ///< fuse_entry_out
  attributes,          ///< fuse_attr_out
  open,                ///< fuse_open_out
  create,              ///< fuse_entry_out and fuse_open_out
  data,                ///< up to as many bytes as were asked for
  write,               ///< fuse_write_out
  statfs,              ///< fuse_statfs_out
  xattr,               ///< fuse_getxattr_out when asked with size 0, else data
  lock,                ///< fuse_lk_out
  bmap,                ///< fuse_bmap_out
  ioctl,               ///< fuse_ioctl_out and data
  poll,                ///< fuse_poll_out
  lseek,               ///< fuse_lseek_out
  statx,               ///< fuse_statx_out
  init,                ///< fuse_init_out, shorter before 7.23
  copy_file_range_64,  ///< fuse_copy_file_range_out
};

/// What is answered for an operation the file system does not have; operations.def explains each.
enum class Missing : std::uint8_t { enosys, eperm, enoent, enotty, open, statfs, success, drop };

/// Stands for "no structure" in the tables.
struct none {};

/// The bytes of a structure on the wire; `none` has 0.
template <class T>
inline constexpr std::uint32_t wire_size = sizeof(T);
template <>
inline constexpr std::uint32_t wire_size<none> = 0;

/// Says when the arguments are shorter than today's structure.
template <class T>
struct ArgumentsVariant {
  static constexpr std::uint32_t shorter = wire_size<T>;  ///< the shorter size
  static constexpr unsigned until_minor = 0;              ///< it is used below this minor,
  static constexpr std::uint64_t without_flags = 0;       ///< or unless all of these INIT flags were negotiated
};
template <>
struct ArgumentsVariant<fuse_init_in> {
  static constexpr std::uint32_t shorter = 16;
  static constexpr unsigned until_minor = 36;
  static constexpr std::uint64_t without_flags = 0;
};
template <>
struct ArgumentsVariant<fuse_setxattr_in> {
  static constexpr std::uint32_t shorter = 8;
  static constexpr unsigned until_minor = 0;
  static constexpr std::uint64_t without_flags = bit(Capability::SETXATTR_EXT);
};

/// One operation. Rows are constants; views in them live for ever.
struct OperationRow {
  Opcode opcode;
  std::string_view name;     ///< as in the protocol: "READ"
  std::string_view handler;  ///< member function of FileSystem, or "session"
  unsigned since;            ///< protocol minor
  std::uint32_t arguments;   ///< bytes of the fixed structure in its newest form
  unsigned names;            ///< NUL-terminated strings that follow it
  ReplyKind reply;
  Missing missing;
  std::uint32_t shorter_arguments;
  unsigned shorter_until_minor;
  std::uint64_t shorter_without_flags;

  /// The bytes of the fixed structure as a kernel sends them that speaks `minor` and was answered `init_flags`.
  constexpr std::uint32_t arguments_size(unsigned minor, std::uint64_t init_flags) const {
    const bool shorter = minor < shorter_until_minor || (init_flags & shorter_without_flags) != shorter_without_flags;
    return shorter ? shorter_arguments : arguments;
  }
  /// Whether it ends what began before, like RELEASE and FORGET: the kernel says so once and does not look at the
  /// answer.
  constexpr bool is_farewell() const { return reply == ReplyKind::none || missing == Missing::success; }
};

/// All rows, sorted by opcode.
inline constexpr std::array operations = {
#define OPERATION(NAME, number, handler, since, arguments, names, reply, missing) \
  OperationRow{Opcode::NAME,                                                      \
               #NAME,                                                             \
               #handler,                                                          \
               since,                                                             \
               wire_size<arguments>,                                              \
               names,                                                             \
               ReplyKind::reply,                                                  \
               Missing::missing,                                                  \
               ArgumentsVariant<arguments>::shorter,                              \
               ArgumentsVariant<arguments>::until_minor,                          \
               ArgumentsVariant<arguments>::without_flags},
#include "wire/operations.def"
#undef OPERATION
};

namespace detail {
/// Opcodes below this are found by an array; the only one above is CUSE_INIT.
inline constexpr std::size_t dense_opcodes = 64;

inline constexpr auto positions = [] {
  std::array<std::uint8_t, dense_opcodes> table{};
  table.fill(std::numeric_limits<std::uint8_t>::max());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto number = static_cast<std::uint32_t>(operations[i].opcode);
    if (number < dense_opcodes) table[number] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

constexpr std::size_t position(std::uint32_t opcode) {
  if (opcode < dense_opcodes) return positions[opcode];
  return opcode == static_cast<std::uint32_t>(Opcode::CUSE_INIT) ? operations.size() - 1 : operations.size();
}
}  // namespace detail

static_assert(operations.size() < detail::dense_opcodes);
static_assert(operations.back().opcode == Opcode::CUSE_INIT);

/// The row of an opcode as it came from the kernel; null when there is none. O(1).
constexpr const OperationRow* find_operation(std::uint32_t opcode) {
  const std::size_t position = detail::position(opcode);
  return position < operations.size() ? &operations[position] : nullptr;
}

/// The place of an operation in `operations`, for arrays with an element for each. O(1).
constexpr std::size_t index_of(Opcode opcode) { return detail::position(static_cast<std::uint32_t>(opcode)); }

/// The row of an operation. O(1).
constexpr const OperationRow& row_of(Opcode opcode) { return operations[index_of(opcode)]; }

namespace detail {
template <Opcode>
struct ArgumentsOf;
#define OPERATION(NAME, number, handler, since, arguments, ...) \
  template <>                                                   \
  struct ArgumentsOf<Opcode::NAME> {                            \
    using type = arguments;                                     \
  };
#include "wire/operations.def"
#undef OPERATION
}  // namespace detail

/// The structure of an operation's arguments; `none` when it has none.
template <Opcode opcode>
using ArgumentsOf = typename detail::ArgumentsOf<opcode>::type;

/// The bytes a successful answer may have behind its header. Errors are always the header alone.
struct ReplyShape {
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  std::size_t min;
  std::size_t max;  ///< `unlimited` when the request says how much it takes
};

/// The shape of an answer at a protocol minor.
constexpr ReplyShape reply_shape(ReplyKind kind, unsigned minor) {
  constexpr auto exactly = [](std::size_t bytes) { return ReplyShape{bytes, bytes}; };
  switch (kind) {
    case ReplyKind::none:
    case ReplyKind::empty:
      return exactly(0);
    case ReplyKind::entry:
      return exactly(sizeof(fuse_entry_out));
    case ReplyKind::attributes:
      return exactly(sizeof(fuse_attr_out));
    case ReplyKind::open:
      return exactly(sizeof(fuse_open_out));
    case ReplyKind::create:
      return exactly(sizeof(fuse_entry_out) + sizeof(fuse_open_out));
    case ReplyKind::write:
      return exactly(sizeof(fuse_write_out));
    case ReplyKind::statfs:
      return exactly(sizeof(fuse_statfs_out));
    case ReplyKind::lock:
      return exactly(sizeof(fuse_lk_out));
    case ReplyKind::bmap:
      return exactly(sizeof(fuse_bmap_out));
    case ReplyKind::poll:
      return exactly(sizeof(fuse_poll_out));
    case ReplyKind::lseek:
      return exactly(sizeof(fuse_lseek_out));
    case ReplyKind::statx:
      return exactly(sizeof(fuse_statx_out));
    case ReplyKind::init:
      return exactly(init_out_size(minor));
    case ReplyKind::copy_file_range_64:
      return exactly(sizeof(fuse_copy_file_range_out));
    case ReplyKind::ioctl:
      return {sizeof(fuse_ioctl_out), ReplyShape::unlimited};
    case ReplyKind::xattr:
    case ReplyKind::data:
      break;
  }
  return {0, ReplyShape::unlimited};
}

}  // namespace fuselage::wire
