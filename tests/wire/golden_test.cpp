// Messages as they are on the wire, byte for byte, against what the decoder, the encoder and the descriptions make of
// them.
#include "wire/golden.hpp"

#include <dirent.h>
#include <gmock/gmock.h>

#include <cstring>
#include <set>

#include "wire/decoder.hpp"
#include "wire/describe.hpp"
#include "wire/encoder.hpp"
#include "wire/notification.hpp"

namespace fuselage::wire {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using Bytes = std::span<const std::byte>;

class GoldenRequest : public testing::TestWithParam<Golden> {};
class GoldenReply : public testing::TestWithParam<Golden> {};
class GoldenNotification : public testing::TestWithParam<Golden> {};

const auto by_name = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Files, GoldenRequest, testing::ValuesIn(all_golden("request")), by_name);
INSTANTIATE_TEST_SUITE_P(Files, GoldenReply, testing::ValuesIn(all_golden("reply")), by_name);
INSTANTIATE_TEST_SUITE_P(Files, GoldenNotification, testing::ValuesIn(all_golden("notification")), by_name);

TEST_P(GoldenRequest, is_described_field_by_field_at_each_minor) {
  const Result<Message> message = split(GetParam().bytes);
  ASSERT_TRUE(message) << message.error().message();
  for (const unsigned minor : GetParam().minors()) {
    EXPECT_EQ(describe(*message, minor, GetParam().flags()), GetParam().keys.at("text")) << "at minor " << minor;
  }
}

TEST_P(GoldenRequest, is_the_same_message_when_it_comes_in_three_parts) {
  const Result<Message> whole = split(GetParam().bytes);
  ASSERT_TRUE(whole);
  const OperationRow* row = find_operation(whole->header->opcode);
  ASSERT_NE(row, nullptr);
  const unsigned minor = GetParam().minors().back();
  Message arranged = *whole;
  ASSERT_TRUE(arrange(arranged, *row, minor, GetParam().flags()));

  // As in an io_uring entry: the arguments in a larger buffer, everything else behind each other in the payload.
  std::vector<std::byte> arguments(arranged.arguments.begin(), arranged.arguments.end());
  arguments.resize(uring_op_size);
  const Bytes tail = whole->arguments.subspan(arranged.arguments.size());
  const Message parts{whole->header, arguments, tail, {}, false};
  EXPECT_EQ(describe(parts, minor, GetParam().flags()), GetParam().keys.at("text"));
}

TEST_P(GoldenRequest, is_arranged_once_even_when_asked_twice) {
  Message message = split(GetParam().bytes).value();
  const OperationRow* row = find_operation(message.header->opcode);
  const unsigned minor = GetParam().minors().back();
  ASSERT_TRUE(arrange(message, *row, minor, GetParam().flags()));
  EXPECT_EQ(describe(message, minor, GetParam().flags()), GetParam().keys.at("text"));
}

TEST_P(GoldenRequest, survives_every_truncation) {
  for (std::size_t size = sizeof(fuse_in_header); size < GetParam().bytes.size(); ++size) {
    std::vector<std::byte> cut(GetParam().bytes.begin(), GetParam().bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(cut.data(), &length, sizeof(length));
    const Result<Message> message = split(cut);
    ASSERT_TRUE(message);
    EXPECT_NE(describe(*message, GetParam().minors().back(), GetParam().flags()), GetParam().keys.at("text"));
  }
}

TEST(GoldenRequests, cover_every_row_of_the_table) {
  std::set<std::uint32_t> seen;
  for (const Golden& request : all_golden("request")) seen.insert(split(request.bytes)->header->opcode);
  for (const OperationRow& row : operations) {
    EXPECT_TRUE(seen.contains(static_cast<std::uint32_t>(row.opcode))) << "no golden request for " << row.name;
  }
}

TEST(GoldenRequests, bring_extensions_of_both_kinds) {
  const Golden request = golden("request_create_extensions");
  Message message = split(request.bytes).value();
  ASSERT_TRUE(arrange(message, row_of(Opcode::CREATE), 45, request.flags()));
  const Result<Extensions> extensions = Extensions::parse(message.extensions);
  ASSERT_TRUE(extensions);
  EXPECT_THAT(extensions->groups, ElementsAre(100u, 27u, 1001u));
  ASSERT_THAT(extensions->security_contexts, SizeIs(1));
  EXPECT_EQ(extensions->security_contexts[0].name, "security.selinux");
  EXPECT_THAT(extensions->security_contexts[0].value, SizeIs(16));
  Decoder decoder(message);
  EXPECT_EQ(decoder.name(), "new");
  EXPECT_THAT(decoder.rest(), SizeIs(0));
}

TEST_P(GoldenReply, is_described_and_has_the_shape_of_its_operation) {
  const Bytes bytes = GetParam().bytes;
  const auto header = copy_out<fuse_out_header>(bytes);
  const Bytes body = bytes.subspan(sizeof(header));
  EXPECT_EQ(header.len, bytes.size());
  for (const OperationRow& row : operations) {
    if (row.name != GetParam().keys.at("opcode")) continue;
    EXPECT_EQ(describe_reply(row.opcode, header, body), GetParam().keys.at("text"));
    for (const unsigned minor : GetParam().minors()) {
      const ReplyShape shape = header.error != 0 ? ReplyShape{0, 0} : reply_shape(row.reply, minor);
      EXPECT_GE(body.size(), shape.min) << "at minor " << minor;
      EXPECT_LE(body.size(), shape.max) << "at minor " << minor;
    }
    return;
  }
  FAIL() << "unknown opcode " << GetParam().keys.at("opcode");
}

TEST_P(GoldenReply, survives_every_truncation_as_an_answer_to_any_operation) {
  const Bytes bytes = GetParam().bytes;
  const auto header = copy_out<fuse_out_header>(bytes);
  for (std::size_t size = 0; size <= bytes.size() - sizeof(header); ++size) {
    const auto start = bytes.begin() + sizeof(header);
    const std::vector<std::byte> cut(start, start + static_cast<std::ptrdiff_t>(size));
    for (const OperationRow& row : operations) EXPECT_FALSE(describe_reply(row.opcode, header, cut).empty());
  }
}

TEST_P(GoldenNotification, is_described) {
  const Bytes bytes = GetParam().bytes;
  const auto header = copy_out<fuse_out_header>(bytes);
  EXPECT_EQ(header.len, bytes.size());
  EXPECT_EQ(describe_notification(header, bytes.subspan(sizeof(header))), GetParam().keys.at("text"));
  for (std::size_t size = 0; size < bytes.size() - sizeof(header); ++size) {
    const auto start = bytes.begin() + sizeof(header);
    const std::vector<std::byte> cut(start, start + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(describe_notification(header, cut).empty());
  }
}

void expect_golden(const std::string& name, const Notification& notification) {
  const std::vector<std::byte> expected = golden(name).bytes;
  EXPECT_EQ(notification.flatten(), expected) << name;
  EXPECT_EQ(notification.size(), expected.size()) << name;
  // What goes out through writev is the same bytes.
  std::vector<std::byte> gathered;
  for (const iovec& part : notification.iovecs()) {
    const auto* start = static_cast<const std::byte*>(part.iov_base);
    gathered.insert(gathered.end(), start, start + part.iov_len);
  }
  EXPECT_EQ(gathered, expected) << name;
}

TEST(Notifications, are_built_as_the_kernel_reads_them) {
  const std::string_view data = "hello";
  const std::array<std::uint64_t, 2> nodeids = {12, 13};
  expect_golden("notify_poll", Notification::poll(3));
  expect_golden("notify_inval_inode", Notification::inval_inode(12, 0, -1));
  expect_golden("notify_inval_entry", Notification::inval_entry(1, "hello"));
  expect_golden("notify_inval_entry_expire", Notification::inval_entry(1, "hello", true));
  expect_golden("notify_store", Notification::store(12, 4096, std::as_bytes(std::span(data))));
  expect_golden("notify_retrieve", Notification::retrieve(99, 12, 4096, 512));
  expect_golden("notify_delete", Notification::deleted(1, 12, "hello"));
  expect_golden("notify_resend", Notification::resend());
  expect_golden("notify_inc_epoch", Notification::inc_epoch());
  expect_golden("notify_prune", Notification::prune(nodeids));
}

TEST(Notifications, of_a_copy_do_not_point_into_the_original) {
  auto original = std::make_unique<Notification>(Notification::inval_inode(12, 0, -1));
  const Notification copy = *original;
  original.reset();
  EXPECT_EQ(copy.flatten(), golden("notify_inval_inode").bytes);
}

fuse_entry_out golden_entry() { return copy_out<fuse_entry_out>(Bytes(golden("reply_entry").bytes).subspan(16)); }

void expect_listing(const std::string& name, Bytes listing) {
  const std::vector<std::byte> bytes = golden(name).bytes;
  EXPECT_EQ(std::vector(listing.begin(), listing.end()), std::vector(bytes.begin() + 16, bytes.end())) << name;
}

TEST(DirectoryWriter, packs_entries_as_readdir_returns_them) {
  std::vector<std::byte> buffer(4096, std::byte{0xee});
  DirectoryWriter writer(buffer);
  EXPECT_TRUE(writer.add({".", 1, DT_DIR, 1}));
  EXPECT_TRUE(writer.add({"eightchr", 12, DT_REG, 2}));
  EXPECT_TRUE(writer.add({"a link", 13, DT_LNK, 3}));
  expect_listing("reply_readdir", Bytes(buffer).first(writer.size()));
}

TEST(DirectoryWriter, packs_entries_as_readdirplus_returns_them) {
  std::vector<std::byte> buffer(4096, std::byte{0xee});
  DirectoryWriter writer(buffer);
  EXPECT_TRUE(writer.add({"file", 12, DT_REG, 1}, golden_entry()));
  EXPECT_TRUE(writer.add({"..", 1, DT_DIR, 2}, fuse_entry_out{}));
  expect_listing("reply_readdirplus", Bytes(buffer).first(writer.size()));
}

TEST(DirectoryWriter, refuses_what_does_not_fit_and_stays_usable) {
  for (std::size_t size = 0; size < 200; ++size) {
    std::vector<std::byte> buffer(size);
    DirectoryWriter writer(buffer);
    EXPECT_EQ(writer.add({"nine char", 2, DT_REG, 1}, fuse_entry_out{}), size >= direntplus_size(9));
    const std::size_t used = writer.size();
    EXPECT_EQ(writer.add({"x", 3, DT_REG, 2}), size >= used + dirent_size(1));
    EXPECT_LE(writer.size(), size);
    EXPECT_EQ(writer.size() % 8, 0u);
  }
}

TEST(ReplyHeader, carries_a_positive_errno_negated) {
  const fuse_out_header ok = reply_header(7, 128);
  EXPECT_EQ(ok.len, 144u);
  EXPECT_EQ(ok.error, 0);
  const fuse_out_header error = error_header(7, ENOENT);
  EXPECT_EQ(error.len, 16u);
  EXPECT_EQ(error.error, -ENOENT);
  EXPECT_EQ(error.unique, 7u);
}

}  // namespace
}  // namespace fuselage::wire
