// What must hold for every row of the tables.
#include <gmock/gmock.h>

#include <bit>
#include <set>

#include "wire/capabilities.hpp"
#include "wire/notification.hpp"
#include "wire/operations.hpp"

namespace fuselage::wire {
namespace {

TEST(OperationTable, is_sorted_with_unique_numbers_and_names) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (i != 0) {
      EXPECT_LT(operations[i - 1].opcode, operations[i].opcode) << operations[i].name;
    }
    EXPECT_TRUE(names.insert(operations[i].name).second) << operations[i].name;
  }
}

TEST(OperationTable, finds_each_row_and_nothing_else) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    EXPECT_EQ(find_operation(static_cast<std::uint32_t>(operations[i].opcode)), &operations[i]);
    EXPECT_EQ(index_of(operations[i].opcode), i);
    EXPECT_EQ(&row_of(operations[i].opcode), &operations[i]);
  }
  for (const std::uint32_t number : {0u, 7u, 19u, 54u, 63u, 64u, 4095u, 4097u, 0xffffffffu}) {
    EXPECT_EQ(find_operation(number), nullptr) << number;
  }
}

TEST(OperationTable, knows_the_protocol_to_its_newest_minor) {
  unsigned newest = 0;
  for (const OperationRow& row : operations) {
    EXPECT_GE(row.since, 1u) << row.name;
    EXPECT_LE(row.since, kernel_minor) << row.name;
    newest = std::max(newest, row.since);
  }
  EXPECT_EQ(newest, kernel_minor);
}

TEST(OperationTable, answers_nothing_exactly_where_nothing_is_expected) {
  for (const OperationRow& row : operations) {
    EXPECT_EQ(row.reply == ReplyKind::none, row.missing == Missing::drop) << row.name;
    EXPECT_EQ(row.missing == Missing::open, row.reply == ReplyKind::open) << row.name;
    if (row.missing == Missing::success) {
      EXPECT_EQ(row.reply, ReplyKind::empty) << row.name;
    }
    if (row.missing == Missing::statfs) {
      EXPECT_EQ(row.reply, ReplyKind::statfs) << row.name;
    }
  }
}

TEST(OperationTable, has_arguments_that_fit_into_an_io_uring_entry) {
  for (const OperationRow& row : operations) {
    EXPECT_LE(row.arguments, uring_op_size) << row.name;
    EXPECT_LE(row.names, 2u) << row.name;
  }
}

TEST(OperationTable, tells_the_two_argument_sizes_that_vary) {
  const OperationRow& init = row_of(Opcode::INIT);
  EXPECT_EQ(init.arguments_size(12, 0), 16u);
  EXPECT_EQ(init.arguments_size(35, 0), 16u);
  EXPECT_EQ(init.arguments_size(36, 0), 64u);
  const OperationRow& setxattr = row_of(Opcode::SETXATTR);
  EXPECT_EQ(setxattr.arguments_size(45, 0), 8u);
  EXPECT_EQ(setxattr.arguments_size(45, bit(Capability::SETXATTR_EXT)), 16u);
  for (const OperationRow& row : operations) {
    if (&row == &init || &row == &setxattr) continue;
    EXPECT_EQ(row.arguments_size(oldest_minor, 0), row.arguments) << row.name;
  }
}

TEST(OperationTable, has_a_structure_type_of_the_row_s_size) {
  static_assert(std::is_same_v<ArgumentsOf<Opcode::READ>, fuse_read_in>);
  static_assert(std::is_same_v<ArgumentsOf<Opcode::LOOKUP>, none>);
  static_assert(row_of(Opcode::READ).arguments == sizeof(ArgumentsOf<Opcode::READ>));
}

TEST(ReplyShapes, never_ask_for_more_than_they_allow) {
  for (const OperationRow& row : operations) {
    for (unsigned minor = oldest_minor; minor <= kernel_minor; ++minor) {
      const ReplyShape shape = reply_shape(row.reply, minor);
      EXPECT_LE(shape.min, shape.max) << row.name;
      EXPECT_EQ(shape.min % 8, 0u) << row.name;
    }
  }
  EXPECT_EQ(reply_shape(ReplyKind::init, 22).max, 24u);
  EXPECT_EQ(reply_shape(ReplyKind::init, 23).max, 64u);
  EXPECT_EQ(reply_shape(ReplyKind::data, 45).max, ReplyShape::unlimited);
}

TEST(NotificationTable, is_the_codes_from_one_on) {
  for (std::size_t i = 0; i < notifications.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(notifications[i].code), i + 1);
    EXPECT_EQ(find_notification(static_cast<std::int32_t>(i + 1)), &notifications[i]);
    if (i != 0) {
      EXPECT_LE(notifications[i - 1].since, notifications[i].since) << notifications[i].name;
    }
  }
  EXPECT_EQ(find_notification(0), nullptr);
  EXPECT_EQ(find_notification(-1), nullptr);
  EXPECT_EQ(find_notification(static_cast<std::int32_t>(notifications.size() + 1)), nullptr);
}

bool is_handler(std::string_view name) {
  for (const OperationRow& row : operations) {
    if (row.handler == name) return true;
  }
  return false;
}

TEST(CapabilityTable, is_sorted_with_one_bit_each) {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < capabilities.size(); ++i) {
    const CapabilityRow& row = capabilities[i];
    EXPECT_TRUE(std::has_single_bit(bit(row.capability))) << row.name;
    EXPECT_FALSE(has(all, row.capability)) << row.name;
    all |= bit(row.capability);
    if (i != 0) {
      EXPECT_LT(bit(capabilities[i - 1].capability), bit(row.capability)) << row.name;
    }
    EXPECT_LE(row.since, kernel_minor) << row.name;
    EXPECT_EQ(find_capability(row.capability), &row);
  }
  // Bits 0 to 42 without 31, which the protocol reserves.
  EXPECT_EQ(all, ((std::uint64_t{1} << 43) - 1) & ~(std::uint64_t{1} << 31));
}

TEST(CapabilityTable, names_an_operation_and_an_option_exactly_where_the_policy_needs_one) {
  for (const CapabilityRow& row : capabilities) {
    const bool asks_operation = row.wanted == Wanted::with_operation || row.wanted == Wanted::without_operation;
    EXPECT_EQ(asks_operation, !row.operation.empty()) << row.name;
    if (asks_operation) {
      EXPECT_TRUE(is_handler(row.operation)) << row.name << " names " << row.operation;
    }
    if (row.wanted == Wanted::option) {
      EXPECT_FALSE(row.option.empty()) << row.name;
    }
    if (row.wanted == Wanted::never) {
      EXPECT_TRUE(row.option.empty()) << row.name;
    }
  }
}

TEST(CapabilityText, lists_names_and_keeps_unknown_bits) {
  EXPECT_EQ(to_text(0), "0");
  EXPECT_EQ(to_text(bit(Capability::ASYNC_READ) | bit(Capability::BIG_WRITES)), "ASYNC_READ|BIG_WRITES");
  EXPECT_EQ(to_text(bit(Capability::REQUEST_TIMEOUT) | std::uint64_t{1} << 63), "REQUEST_TIMEOUT|0x8000000000000000");
  EXPECT_EQ(name(Capability::PASSTHROUGH), "PASSTHROUGH");
  EXPECT_EQ(name(static_cast<Capability>(std::uint64_t{1} << 63)), "unknown");
}

}  // namespace
}  // namespace fuselage::wire
