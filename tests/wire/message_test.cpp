// Messages that are not as they should be: cut short, shifted, random.
#include "wire/message.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <random>
#include <vector>

#include "wire/decoder.hpp"
#include "wire/describe.hpp"

namespace fuselage::wire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Bytes = std::span<const std::byte>;

struct Version {
  unsigned minor;
  std::uint64_t flags;
};
constexpr Version versions[] = {{oldest_minor, 0}, {kernel_minor, 0}, {kernel_minor, bit(Capability::SETXATTR_EXT)}};

void set_u32(std::vector<std::byte>& bytes, std::size_t offset, std::size_t value) {
  const auto narrow = static_cast<std::uint32_t>(value);
  std::memcpy(bytes.data() + offset, &narrow, sizeof(narrow));
}

/// The shortest good message of a row: zeros as arguments, names of one letter.
std::vector<std::byte> smallest(const OperationRow& row, Version version) {
  std::vector<std::byte> bytes(sizeof(fuse_in_header) + row.arguments_size(version.minor, version.flags));
  for (unsigned i = 0; i < row.names; ++i) bytes.insert(bytes.end(), {std::byte{'n'}, std::byte{0}});
  set_u32(bytes, 0, bytes.size());
  set_u32(bytes, 4, static_cast<std::uint32_t>(row.opcode));
  if (row.opcode == Opcode::INIT) set_u32(bytes, sizeof(fuse_in_header) + 4, version.minor);
  return bytes;
}

std::vector<std::byte> truncated(const std::vector<std::byte>& whole, std::size_t size) {
  std::vector<std::byte> bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
  if (size >= sizeof(std::uint32_t)) set_u32(bytes, 0, size);
  return bytes;
}

TEST(Truncation, of_every_row_in_one_buffer_is_rejected) {
  for (const OperationRow& row : operations) {
    for (const Version version : versions) {
      const std::vector<std::byte> whole = smallest(row, version);
      for (std::size_t size = 0; size <= whole.size(); ++size) {
        const std::vector<std::byte> bytes = truncated(whole, size);
        Result<Message> message = split(bytes);
        ASSERT_EQ(message.has_value(), size >= sizeof(fuse_in_header)) << row.name << " cut to " << size;
        if (!message) continue;
        EXPECT_FALSE(describe(*message, version.minor, version.flags).empty());
        const Status status = arrange(*message, row, version.minor, version.flags);
        EXPECT_EQ(status.has_value(), size == whole.size()) << row.name << " cut to " << size;
        if (!status) {
          EXPECT_EQ(status.error().code(), EIO);
        }
      }
    }
  }
}

TEST(Truncation, of_every_row_in_three_parts_is_rejected) {
  for (const OperationRow& row : operations) {
    for (const Version version : versions) {
      const std::vector<std::byte> whole = smallest(row, version);
      const auto* header = reinterpret_cast<const fuse_in_header*>(whole.data());
      const Bytes rest = Bytes(whole).subspan(sizeof(fuse_in_header));
      const std::size_t split_at = row.arguments_size(version.minor, version.flags);
      const auto accepts = [&](std::size_t arguments_size, std::size_t payload_size) {
        // Own buffers, so that a sanitizer sees a read past either.
        const std::vector<std::byte> arguments(rest.begin(),
                                               rest.begin() + static_cast<std::ptrdiff_t>(arguments_size));
        const Bytes tail = rest.subspan(split_at, payload_size);
        const std::vector<std::byte> payload(tail.begin(), tail.end());
        Message message{header, arguments, payload, {}, false};
        EXPECT_FALSE(describe(message, version.minor, version.flags).empty());
        return arrange(message, row, version.minor, version.flags).has_value();
      };
      const std::size_t payload = rest.size() - split_at;
      for (std::size_t size = 0; size < split_at; ++size) EXPECT_FALSE(accepts(size, payload)) << row.name << size;
      for (std::size_t size = 0; size < payload; ++size) EXPECT_FALSE(accepts(split_at, size)) << row.name << size;
      EXPECT_TRUE(accepts(split_at, payload)) << row.name;
    }
  }
}

TEST(Split, refuses_a_length_that_is_not_the_buffer_s) {
  std::vector<std::byte> bytes = smallest(row_of(Opcode::STATFS), versions[1]);
  for (const std::size_t length : {std::size_t{0}, bytes.size() - 1, bytes.size() + 1, std::size_t{0xffffffff}}) {
    set_u32(bytes, 0, length);
    const Result<Message> message = split(bytes);
    ASSERT_FALSE(message);
    EXPECT_EQ(message.error().code(), EINVAL);
  }
}

TEST(Split, refuses_an_unaligned_buffer) {
  const std::vector<std::byte> whole = smallest(row_of(Opcode::STATFS), versions[1]);
  for (std::size_t shift = 0; shift <= 8; ++shift) {
    std::vector<std::byte> bytes(shift + whole.size());
    std::memcpy(bytes.data() + shift, whole.data(), whole.size());
    EXPECT_EQ(split(Bytes(bytes).subspan(shift)).has_value(), shift % 8 == 0) << "shifted by " << shift;
  }
}

TEST(Arrange, leaves_a_message_alone_that_it_rejects) {
  const std::vector<std::byte> bytes = truncated(smallest(row_of(Opcode::RENAME), versions[1]), 49);
  Message message = split(bytes).value();
  EXPECT_FALSE(arrange(message, row_of(Opcode::RENAME), kernel_minor, 0));
  EXPECT_TRUE(message.contiguous);
  EXPECT_THAT(message.arguments, SizeIs(9));
}

TEST(Arrange, refuses_more_extensions_than_there_are_bytes) {
  std::vector<std::byte> bytes = smallest(row_of(Opcode::MKDIR), versions[1]);
  bytes.resize(bytes.size() + 8);
  set_u32(bytes, 0, bytes.size());
  auto& header = *reinterpret_cast<fuse_in_header*>(bytes.data());
  for (const std::uint16_t units : {std::uint16_t{2}, std::uint16_t{0xffff}}) {
    header.total_extlen = units;
    Message message = split(bytes).value();
    EXPECT_FALSE(arrange(message, row_of(Opcode::MKDIR), kernel_minor, 0)) << units;
  }
  header.total_extlen = 1;
  Message message = split(bytes).value();
  ASSERT_TRUE(arrange(message, row_of(Opcode::MKDIR), kernel_minor, 0));
  EXPECT_THAT(message.extensions, SizeIs(8));
  EXPECT_THAT(message.payload, SizeIs(2));
}

TEST(Arrange, fills_up_an_old_init_with_zeros) {
  std::vector<std::byte> bytes = smallest(row_of(Opcode::INIT), {12, 0});
  EXPECT_THAT(bytes, SizeIs(40 + 16));
  Message message = split(bytes).value();
  ASSERT_TRUE(arrange(message, row_of(Opcode::INIT), kernel_minor, 0));
  const auto in = Decoder(message).arguments<fuse_init_in>();
  EXPECT_EQ(in.minor, 12u);
  EXPECT_EQ(in.flags2, 0u);
}

/// A SETXATTR with `structure` bytes of arguments, in a buffer that it fills.
std::vector<std::byte> setxattr(std::size_t structure, std::uint32_t flags, std::string_view name, std::size_t size) {
  const fuse_setxattr_in in{static_cast<std::uint32_t>(size), 0, flags, 0};
  std::vector<std::byte> bytes(sizeof(fuse_in_header) + structure + name.size() + 1);
  std::memcpy(bytes.data() + sizeof(fuse_in_header), &in, structure);
  std::memcpy(bytes.data() + sizeof(fuse_in_header) + structure, name.data(), name.size());
  bytes.resize(bytes.size() + size, std::byte{'v'});
  set_u32(bytes, 0, bytes.size());
  set_u32(bytes, 4, static_cast<std::uint32_t>(Opcode::SETXATTR));
  return bytes;
}

TEST(Arrange, tells_the_two_forms_of_setxattr_apart) {
  const OperationRow& row = row_of(Opcode::SETXATTR);
  for (const auto& [structure, flags] : {std::pair(8u, 0u), std::pair(16u, 0u), std::pair(16u, 1u)}) {
    for (std::size_t length = 1; length <= 255; ++length) {
      for (const std::size_t size :
           {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{300}}) {
        const std::string name(length, 'n');
        const std::vector<std::byte> bytes = setxattr(structure, flags, name, size);
        Message message = split(bytes).value();
        std::vector<std::byte> entry(message.arguments.begin(), message.arguments.begin() + structure);
        entry.resize(uring_op_size, std::byte{'x'});  // what an earlier request left there
        Message parts{message.header, entry, message.arguments.subspan(structure), {}, false};
        for (Message* form : {&message, &parts}) {
          ASSERT_TRUE(arrange(*form, row, kernel_minor, bit(Capability::SETXATTR_EXT)));
          Decoder decoder(*form);
          const auto in = decoder.arguments<fuse_setxattr_in>();
          ASSERT_EQ(in.setxattr_flags, flags) << structure << ' ' << length << ' ' << size;
          ASSERT_EQ(decoder.text(), name) << structure << ' ' << size;
          ASSERT_EQ(decoder.rest().size(), size) << structure << ' ' << length;
        }
      }
    }
  }
}

Message with_payload(std::string_view payload) {
  Message message;
  message.payload = std::as_bytes(std::span(payload));
  return message;
}

TEST(Decoder, takes_names_data_and_items_in_order) {
  using namespace std::string_view_literals;
  Decoder decoder(with_payload("one\0/\0\x01\x02\x03\x04xyz"sv));
  EXPECT_EQ(decoder.name(), "one");
  EXPECT_EQ(decoder.text(), "/");
  EXPECT_EQ(decoder.item<std::uint32_t>(), 0x04030201u);
  EXPECT_EQ(decoder.bytes(4), std::nullopt);
  EXPECT_THAT(decoder.bytes(2).value(), SizeIs(2));
  EXPECT_THAT(decoder.rest(), ElementsAre(std::byte{'z'}));
  EXPECT_EQ(decoder.item<std::uint32_t>(), std::nullopt);
  EXPECT_EQ(decoder.text(), std::nullopt) << "a string without its NUL";
}

TEST(Decoder, rejects_what_can_be_no_name) {
  using namespace std::string_view_literals;
  for (const std::string_view payload : {""sv, "\0"sv, "/\0"sv, "a/b\0"sv, "/a\0"sv, "a/\0"sv, "unended"sv}) {
    EXPECT_EQ(Decoder(with_payload(payload)).name(), std::nullopt) << quoted(payload);
  }
  for (const std::string_view payload : {".\0"sv, "..\0"sv, "\xff\xfe\0"sv, " \0"sv}) {
    EXPECT_NE(Decoder(with_payload(payload)).name(), std::nullopt) << quoted(payload);
  }
}

TEST(Extensions, with_lengths_that_do_not_fit_are_refused) {
  const auto parse = [](std::vector<std::uint32_t> words) {
    const auto copy = std::make_unique<std::uint32_t[]>(words.size());
    std::copy(words.begin(), words.end(), copy.get());
    return Extensions::parse(std::as_bytes(std::span(copy.get(), words.size()))).has_value();
  };
  EXPECT_TRUE(parse({}));
  EXPECT_TRUE(parse({8, 0})) << "no security context at all";
  EXPECT_TRUE(parse({16, 77, 1, 2})) << "an unknown kind is passed over";
  EXPECT_TRUE(parse({16, 32, 1, 100}));
  EXPECT_FALSE(parse({8})) << "half a header";
  EXPECT_FALSE(parse({0, 32})) << "would never end";
  EXPECT_FALSE(parse({7, 32}));
  EXPECT_FALSE(parse({24, 32, 1, 100})) << "longer than the message";
  EXPECT_FALSE(parse({16, 32, 2, 100})) << "more groups than bytes";
  EXPECT_FALSE(parse({16, 32, 0xffffffff, 100}));
  EXPECT_FALSE(parse({8, 32})) << "no group count";
  EXPECT_FALSE(parse({8, 1})) << "no security context where one is stated";
  EXPECT_FALSE(parse({20, 1, 0xffffffff, 0, 0x00616161})) << "a context longer than the message";
  EXPECT_FALSE(parse({20, 1, 0, 0, 0x61616161})) << "a name without its NUL";
  EXPECT_TRUE(parse({20, 1, 0, 0, 0x00616161}));
}

TEST(Description, of_an_unknown_opcode_says_its_number) {
  std::vector<std::byte> bytes = smallest(row_of(Opcode::STATFS), versions[1]);
  set_u32(bytes, 4, 1234);
  EXPECT_THAT(describe(*split(bytes), kernel_minor, 0), HasSubstr("opcode 1234"));
  EXPECT_EQ(describe(Message{}, kernel_minor, 0), "malformed: no header");
  EXPECT_EQ(describe_reply(static_cast<Opcode>(1234), {16, 0, 5}, {}), "opcode 1234 unique=5");
  EXPECT_EQ(describe_notification({16, 77, 0}, {}), "notification 77");
  EXPECT_EQ(describe_notification({16, 0, 0}, {}), "notification 0");
}

TEST(Description, of_a_malformed_request_says_why) {
  const std::vector<std::byte> bytes = truncated(smallest(row_of(Opcode::READ), versions[1]), 50);
  EXPECT_THAT(describe(*split(bytes), kernel_minor, 0),
              HasSubstr("malformed: READ has 10 bytes of arguments instead of 40"));
}

TEST(RandomBytes, never_break_the_decoder_or_the_descriptions) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> bytes(sizeof(fuse_in_header) + random() % 160);
    for (std::byte& byte : bytes) byte = std::byte(random() % 4 == 0 ? random() : random() % 2);
    const OperationRow& row = operations[random() % operations.size()];
    set_u32(bytes, 0, bytes.size());
    set_u32(bytes, 4, static_cast<std::uint32_t>(row.opcode));
    auto& header = *reinterpret_cast<fuse_in_header*>(bytes.data());
    header.total_extlen = static_cast<std::uint16_t>(random() % 8);
    const Version version{static_cast<unsigned>(oldest_minor + random() % 34), random()};
    Message message = split(bytes).value();
    ASSERT_FALSE(describe(message, version.minor, version.flags).empty());
    if (arrange(message, row, version.minor, version.flags)) {
      (void)Extensions::parse(message.extensions);
      Decoder decoder(message);
      while (decoder.text()) {
      }
    }
    const auto body = Bytes(bytes).subspan(sizeof(fuse_out_header) + random() % 8);
    const fuse_out_header out{header.len, static_cast<std::int32_t>(random()), random()};
    ASSERT_FALSE(describe_reply(row.opcode, out, body).empty());
    ASSERT_FALSE(describe_reply(row.opcode, {header.len, 0, 1}, body).empty());
    ASSERT_FALSE(describe_notification({header.len, static_cast<std::int32_t>(random() % 12), 0}, body).empty());
  }
}

}  // namespace
}  // namespace fuselage::wire
