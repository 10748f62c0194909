#include "memory/harness.hpp"

namespace fuselage::memory {
namespace {

TEST(MemoryLarge, DirectoryHoldsAMillionEntries) {
  constexpr int many = 1'000'000;
  Harness large({.size = 0, .inodes = 0});
  for (int i = 0; i < many; ++i) {
    const auto made = now(large.fs.mknod({}, root_ino, "entry" + std::to_string(i), S_IFREG | 0644, 0));
    large.fs.forget(made.value().ino, 1);
  }
  EXPECT_EQ(large.find(root_ino, "entry999999") != Ino{}, true);
  EXPECT_EQ(large.list(root_ino).size(), static_cast<std::size_t>(many));
  // Listing and removing in turns, as rm -r does.
  for (;;) {
    const auto some = large.list_some(root_ino, Directory::first_cursor, 32768);
    if (some.empty()) break;
    for (const auto& entry : some) ASSERT_EQ(large.unlink(root_ino, entry.name), 0);
  }
  EXPECT_EQ(large.fs.usage().inodes, 1u);
}

}  // namespace
}  // namespace fuselage::memory
