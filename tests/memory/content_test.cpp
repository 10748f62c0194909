#include <linux/falloc.h>

#include <random>

#include "harness.hpp"

namespace fuselage::memory {
namespace {

constexpr std::uint64_t gib = std::uint64_t{1} << 30;

class MemoryContent : public testing::Test, public Harness {
 protected:
  MemoryContent() { ino_ = file(root_ino, "file"); }
  Ino ino_;
};

TEST_F(MemoryContent, WhatIsWrittenIsRead) {
  EXPECT_EQ(read(ino_), "");
  EXPECT_EQ(write(ino_, 0, "hello").value(), 5u);
  EXPECT_EQ(write(ino_, 5, " world").value(), 6u);
  EXPECT_EQ(read(ino_), "hello world");
  EXPECT_EQ(read(ino_, 6, 3), "wor");
  EXPECT_EQ(read(ino_, 11, 3), "");
  EXPECT_EQ(stat(ino_).size, 11u);
  EXPECT_EQ(stat(ino_).blocks, 8u);
}

TEST_F(MemoryContent, HolesReadAsZerosAndCostNothing) {
  EXPECT_EQ(code(set(ino_, {.size = 1000 * gib})), 0);
  EXPECT_EQ(write(ino_, 500 * gib - 1, "ab").value(), 2u);
  EXPECT_EQ(fs.usage().bytes, 2 * page_size);
  EXPECT_EQ(read(ino_, 500 * gib - 3, 6), std::string("\0\0ab\0\0", 6));
  EXPECT_EQ(read(ino_, 1000 * gib - 2, 10), std::string(2, '\0'));
  EXPECT_EQ(read(ino_, 5 * gib, 1 << 20), std::string(1 << 20, '\0'));
  EXPECT_EQ(stat(ino_).blocks, 2 * page_size / 512);
}

TEST_F(MemoryContent, TruncatedBytesDoNotComeBack) {
  put(ino_, 0, std::string(10000, 'x'));
  EXPECT_EQ(set(ino_, {.size = 5}).value().size, 5u);
  EXPECT_EQ(fs.usage().bytes, page_size);
  resize(ino_, 10000);
  EXPECT_EQ(read(ino_), "xxxxx" + std::string(9995, '\0'));
  resize(ino_, 0);
  EXPECT_EQ(fs.usage().bytes, 0u);
}

TEST_F(MemoryContent, OffsetsAtTheEndOfTheWorldAreChecked) {
  EXPECT_EQ(write(ino_, max_file_size - 2, "ab").value(), 2u);
  EXPECT_EQ(stat(ino_).size, max_file_size);
  EXPECT_EQ(read(ino_, max_file_size - 2, 100), "ab");
  EXPECT_EQ(code(write(ino_, max_file_size - 1, "ab")), EFBIG);
  EXPECT_EQ(code(write(ino_, ~std::uint64_t{0}, "ab")), EFBIG);
  EXPECT_EQ(code(set(ino_, {.size = max_file_size + 1})), EFBIG);
  EXPECT_EQ(fallocate(ino_, 0, max_file_size, 1), EFBIG);
  EXPECT_EQ(seek(ino_, 0, SEEK_DATA).value(), max_file_size / page_size * page_size);
  EXPECT_EQ(seek(ino_, max_file_size - 1, SEEK_HOLE).value(), max_file_size);
}

TEST_F(MemoryContent, FallocateReservesAndTheReservationHolds) {
  Harness small({.size = 10 * page_size, .inodes = 10});
  const Ino a = small.file(root_ino, "a");
  const Ino b = small.file(root_ino, "b");
  EXPECT_EQ(small.fallocate(a, FALLOC_FL_KEEP_SIZE, 0, 8 * page_size), 0);
  EXPECT_EQ(small.stat(a).size, 0u);
  EXPECT_EQ(small.stat(a).blocks, 8 * page_size / 512);
  EXPECT_EQ(small.fallocate(b, 0, 0, 3 * page_size), ENOSPC);
  EXPECT_EQ(small.write(b, 0, std::string(5 * page_size, 'b')).value(), 2 * page_size) << "as much as there is room";
  EXPECT_EQ(code(small.write(b, 2 * page_size, "b")), ENOSPC);
  EXPECT_EQ(code(small.write(b, page_size, std::string(2 * page_size, 'b'), {.from_cache = true})), ENOSPC);
  EXPECT_EQ(small.write(a, 0, std::string(8 * page_size, 'a')).value(), 8 * page_size);
  EXPECT_EQ(small.fs.usage().bytes, 10 * page_size);
  EXPECT_EQ(now(small.fs.statfs({}, root_ino)).value().blocks_free, 0u);
  EXPECT_EQ(small.unlink(root_ino, "a"), 0);
  small.fs.forget(a, 1);
  EXPECT_EQ(now(small.fs.statfs({}, root_ino)).value().blocks_free, 8u);
}

TEST_F(MemoryContent, FallocateExtendsTheSizeUnlessToldNotTo) {
  EXPECT_EQ(fallocate(ino_, 0, 100, 50), 0);
  EXPECT_EQ(stat(ino_).size, 150u);
  EXPECT_EQ(fallocate(ino_, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 100, 500), 0);
  EXPECT_EQ(stat(ino_).size, 150u);
  EXPECT_EQ(fallocate(ino_, FALLOC_FL_ZERO_RANGE, 100, 500), 0);
  EXPECT_EQ(stat(ino_).size, 600u);
  EXPECT_EQ(fallocate(ino_, 0, 0, 0), EINVAL);
  EXPECT_EQ(fallocate(ino_, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
  EXPECT_EQ(fallocate(ino_, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
}

TEST_F(MemoryContent, PunchedAndZeroedRangesReadAsZeros) {
  const std::string text(5 * page_size, 'x');
  for (const int mode : {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE}) {
    put(ino_, 0, text);
    EXPECT_EQ(fallocate(ino_, mode, 100, 3 * page_size), 0);
    std::string expected = text;
    expected.replace(100, 3 * page_size, 3 * page_size, '\0');
    EXPECT_EQ(read(ino_), expected);
    const bool punched = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
    EXPECT_EQ(stat(ino_).blocks, (punched ? 3 : 5) * page_size / 512);
    EXPECT_EQ(seek(ino_, 0, SEEK_HOLE).value(), page_size);
    EXPECT_EQ(seek(ino_, page_size + 5, SEEK_DATA).value(), 3 * page_size);
  }
}

TEST_F(MemoryContent, SeekFindsDataAndHolesAcrossSegments) {
  resize(ino_, 10 * gib);
  EXPECT_EQ(code(seek(ino_, 0, SEEK_DATA)), ENXIO);
  EXPECT_EQ(seek(ino_, 77, SEEK_HOLE).value(), 77u);
  const std::uint64_t start = 3 * gib - page_size;
  put(ino_, start, std::string(200 * page_size, 'x'));
  EXPECT_EQ(seek(ino_, 0, SEEK_DATA).value(), start);
  EXPECT_EQ(seek(ino_, start + 5, SEEK_DATA).value(), start + 5);
  EXPECT_EQ(seek(ino_, start, SEEK_HOLE).value(), start + 200 * page_size);
  EXPECT_EQ(code(seek(ino_, start + 200 * page_size, SEEK_DATA)), ENXIO);
  EXPECT_EQ(code(seek(ino_, 10 * gib, SEEK_HOLE)), ENXIO);
  EXPECT_EQ(code(seek(ino_, 0, SEEK_SET)), EINVAL);
}

TEST_F(MemoryContent, CopyKeepsHolesAndClearsWhatTheyCover) {
  const Ino to = file(root_ino, "to");
  resize(ino_, 100 * page_size);
  put(ino_, 50 * page_size + 7, "island");
  put(to, 0, std::string(60 * page_size, 'y'));
  EXPECT_EQ(copy(ino_, 0, to, 0, gib).value(), 100 * page_size);
  EXPECT_EQ(read(to), read(ino_));
  EXPECT_EQ(stat(to).blocks, page_size / 512);
  EXPECT_EQ(copy(ino_, 100 * page_size, to, 0, 10).value(), 0u);
}

TEST_F(MemoryContent, CopyWithinAFileRefusesOverlap) {
  put(ino_, 0, "0123456789");
  EXPECT_EQ(code(copy(ino_, 0, ino_, 5, 6)), EINVAL);
  EXPECT_EQ(copy(ino_, 0, ino_, 10, 5).value(), 5u);
  EXPECT_EQ(read(ino_), "012345678901234");
}

TEST_F(MemoryContent, OnlyRegularFilesHaveContent) {
  const Ino directory = this->directory(root_ino, "d");
  EXPECT_EQ(read(directory), "error " + std::to_string(EISDIR));
  EXPECT_EQ(code(write(directory, 0, "x")), EISDIR);
  EXPECT_EQ(code(set(directory, {.size = 0})), EISDIR);
  const Ino fifo = now(fs.mknod(context, root_ino, "fifo", S_IFIFO | 0600, 0)).value().ino;
  EXPECT_EQ(code(write(fifo, 0, "x")), EINVAL);
  EXPECT_EQ(code(set(fifo, {.size = 0})), EINVAL);
}

/// Random writes, truncations, holes and copies against a plain string.
TEST_F(MemoryContent, AgreesWithAPlainString) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::size_t span = 150 * page_size;
  // Near page borders more often than not.
  const auto place = [&](std::size_t limit) {
    const std::size_t any = random() % limit;
    return random() % 2 != 0 ? any : std::min(limit - 1, any / page_size * page_size + random() % 3);
  };
  std::string model;
  const auto grow = [&](std::size_t end) { model.resize(std::max(model.size(), end)); };
  for (int step = 0; step < 2000; ++step) {
    const std::size_t offset = place(span);
    const std::size_t length = place(12 * page_size) + 1;
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        const std::string text(length, static_cast<char>('a' + random() % 26));
        ASSERT_EQ(write(ino_, offset, text).value(), length);
        grow(offset + length);
        model.replace(offset, length, text);
        break;
      }
      case 3:
        ASSERT_EQ(code(set(ino_, {.size = offset})), 0);
        model.resize(offset);
        break;
      case 4:
        ASSERT_EQ(fallocate(ino_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length), 0);
        if (offset < model.size()) model.replace(offset, length, std::min(length, model.size() - offset), '\0');
        break;
      case 5:
        ASSERT_EQ(fallocate(ino_, FALLOC_FL_ZERO_RANGE, offset, length), 0);
        grow(offset + length);
        model.replace(offset, length, length, '\0');
        break;
      case 6:
        ASSERT_EQ(fallocate(ino_, random() % 2 != 0 ? 0 : FALLOC_FL_KEEP_SIZE, offset, length), 0);
        if (stat(ino_).size > model.size()) grow(offset + length);
        break;
      default: {
        const std::size_t target = place(span);
        if (offset >= model.size()) break;
        const std::size_t count = std::min(length, model.size() - offset);
        if (offset < target + count && target < offset + count) break;
        ASSERT_EQ(copy(ino_, offset, ino_, target, length).value(), count);
        grow(target + count);
        model.replace(target, count, model.substr(offset, count));
        break;
      }
    }
    ASSERT_EQ(stat(ino_).size, model.size());
    const std::size_t at = place(span);
    ASSERT_EQ(read(ino_, at, length), at < model.size() ? model.substr(at, length) : "") << "step " << step;
    if (step % 100 == 0) {
      ASSERT_EQ(read(ino_, 0, span * 2), model) << "step " << step;
    }
    ASSERT_EQ(fs.usage().bytes, stat(ino_).blocks * 512);
    // Between data and hole all is as it was asked for.
    if (const auto data = seek(ino_, at, SEEK_DATA)) {
      ASSERT_EQ(model.find_first_not_of('\0', at) < *data, false);
      ASSERT_GT(seek(ino_, *data, SEEK_HOLE).value(), *data);
    }
  }
  resize(ino_, 0);
  EXPECT_EQ(fs.usage().bytes, 0u);
}

}  // namespace
}  // namespace fuselage::memory
