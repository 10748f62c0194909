#include <gtest/gtest.h>

#include <atomic>
#include <fuselage/handle_table.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace fuselage {
namespace {

TEST(HandleTable, HandleLeadsToItsValueUntilItIsClosed) {
  HandleTable<std::string> table;
  const Handle handle = table.open("file");
  EXPECT_EQ(*table.find(handle), "file");
  EXPECT_EQ(table.size(), 1u);
  const auto found = table.find(handle);
  EXPECT_EQ(*table.close(handle), "file");
  EXPECT_EQ(*found, "file") << "what was found stays valid";
  EXPECT_EQ(table.find(handle), nullptr);
  EXPECT_EQ(table.close(handle), nullptr);
  EXPECT_EQ(table.size(), 0u);
}

TEST(HandleTable, HandleIsNeverZeroAndNeverGivenOutTwice) {
  HandleTable<int> table;
  EXPECT_EQ(table.find(Handle{}), nullptr);
  std::set<Handle> seen;
  for (int i = 0; i < 5000; ++i) {
    const Handle handle = table.open(i);
    EXPECT_NE(handle, Handle{});
    EXPECT_TRUE(seen.insert(handle).second);
    if (i % 3 != 0) table.close(handle);
  }
}

TEST(HandleTable, ForgedHandlesAreNotFound) {
  HandleTable<int> table;
  const auto handle = static_cast<std::uint64_t>(table.open(1));
  for (const std::uint64_t forged :
       {handle + 1, handle + 32, handle + (std::uint64_t{1} << 32), ~std::uint64_t{0}, ~handle}) {
    EXPECT_EQ(table.find(Handle{forged}), nullptr) << forged;
    EXPECT_EQ(table.close(Handle{forged}), nullptr) << forged;
  }
}

TEST(HandleTable, OfThreadsThatCloseOneHandleExactlyOneGetsIt) {
  HandleTable<int> table;
  std::vector<Handle> handles;
  for (int i = 0; i < 2000; ++i) handles.push_back(table.open(i));
  std::atomic<int> closed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const Handle handle : handles) {
        if (table.close(handle) != nullptr) ++closed;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(closed, 2000);
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace fuselage
