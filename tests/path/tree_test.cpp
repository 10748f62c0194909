#include "path/tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <random>
#include <set>
#include <thread>

namespace fuselage::path {
namespace {

TEST(TreeTest, RootHasTheNumberThatTheKernelKnows) {
  Tree tree;
  EXPECT_EQ(tree.root().ino(), root_ino);
  EXPECT_EQ(tree.size(), 1u);
  tree.forget(root_ino, 1000);
  EXPECT_EQ(tree.pin(root_ino).get(), &tree.root());
  EXPECT_EQ(tree.pin(Ino{}), nullptr);
  EXPECT_EQ(tree.pin(Ino{UINT64_MAX}), nullptr);
}

TEST(TreeTest, ANameIsOneNodeUntilItIsForgotten) {
  Tree tree;
  const Ino first = tree.enter(tree.root(), "name");
  EXPECT_EQ(tree.enter(tree.root(), "name"), first);
  EXPECT_NE(tree.enter(tree.root(), "other"), first);
  tree.forget(first, 1);
  EXPECT_NE(tree.pin(first), nullptr);
  tree.forget(first, 1);
  EXPECT_EQ(tree.pin(first), nullptr);
  EXPECT_EQ(tree.child(tree.root(), "name"), nullptr);
  EXPECT_NE(tree.enter(tree.root(), "name"), first) << "numbers are given out once";
}

TEST(TreeTest, AForgottenDirectoryStaysWhileItHasChildren) {
  Tree tree;
  const Ino directory = tree.enter(tree.root(), "directory");
  Ino child{};
  {
    const PinnedNode node = tree.pin(directory);
    child = tree.enter(*node, "child");
  }
  tree.forget(directory, 1);
  EXPECT_NE(tree.pin(directory), nullptr);
  tree.forget(child, UINT64_MAX);
  EXPECT_EQ(tree.size(), 1u);
}

TEST(TreeTest, NamesOfAllLengthsAreKept) {
  Tree tree;
  for (std::size_t size = 1; size <= 300; ++size) {
    const std::string name(size, static_cast<char>('a' + size % 26));
    const Ino ino = tree.enter(tree.root(), name);
    EXPECT_EQ(tree.child(tree.root(), name)->ino(), ino) << size;
    EXPECT_EQ(tree.pin(ino)->text.view(), name);
  }
}

TEST(TreeTest, NamesOfOneFileAreOneNode) {
  Tree tree;
  const Ino ino = tree.enter(tree.root(), "a", 77);
  EXPECT_EQ(tree.enter(tree.root(), "b", 77), ino);
  EXPECT_NE(tree.enter(tree.root(), "c", 78), ino);
  {
    const PinnedNode node = tree.pin(ino);
    tree.remove_name(*node, tree.root(), "a");
    EXPECT_EQ(node->text.view(), "b") << "it goes on under its other name";
    EXPECT_EQ(tree.child(tree.root(), "a"), nullptr);
    EXPECT_EQ(tree.child(tree.root(), "b"), node);
    tree.remove_name(*node, tree.root(), "b");
    EXPECT_EQ(node->parent, nullptr);
    EXPECT_EQ(tree.enter(tree.root(), "d", 77), ino) << "a name that nobody knew of";
    EXPECT_TRUE(tree.has_alias(*node));
    EXPECT_TRUE(tree.adopt_alias(*node));
    EXPECT_EQ(node->text.view(), "d");
  }
  tree.forget(ino, 3);
  EXPECT_EQ(tree.pin(ino), nullptr);
  EXPECT_EQ(tree.child(tree.root(), "d"), nullptr);
}

TEST(TreeTest, AFurtherNameMovesAlone) {
  Tree tree;
  const Ino ino = tree.enter(tree.root(), "a", 5);
  ASSERT_EQ(tree.enter(tree.root(), "b", 5), ino);
  const PinnedNode node = tree.pin(ino);
  tree.move_name(*node, tree.root(), "b", tree.root(), "a name that is longer than fifteen bytes");
  EXPECT_EQ(node->text.view(), "a");
  EXPECT_EQ(tree.child(tree.root(), "b"), nullptr);
  EXPECT_EQ(tree.child(tree.root(), "a name that is longer than fifteen bytes"), node);
}

TEST(TreeTest, ForgottenNodesAreRememberedForAWhile) {
  Tree tree;
  tree.remember(std::chrono::hours(1));
  const Ino kept = tree.enter(tree.root(), "kept");
  tree.forget(kept, 1);
  EXPECT_NE(tree.pin(kept), nullptr);
  EXPECT_EQ(tree.enter(tree.root(), "kept"), kept);
  tree.remember(std::chrono::nanoseconds(1));
  const Ino dropped = tree.enter(tree.root(), "dropped");
  tree.forget(dropped, 1);
  tree.forget(kept, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  tree.remember(std::chrono::nanoseconds::max());
  const Ino forever = tree.enter(tree.root(), "for ever");
  tree.forget(forever, 1);
  EXPECT_NE(tree.pin(forever), nullptr);
}

// Nodes, their names and lookup counts, as simple as it gets.
struct Model {
  struct File {
    std::uint64_t lookups = 0;
    std::string name;  // empty: none
    Ino parent{};
  };
  std::map<Ino, File> files;

  std::map<Ino, File>::iterator find(Ino parent, const std::string& name) {
    for (auto file = files.begin(); file != files.end(); ++file) {
      if (file->second.parent == parent && file->second.name == name) return file;
    }
    return files.end();
  }
  bool has_children(Ino ino) const {
    for (const auto& [number, file] : files) {
      if (file.parent == ino && !file.name.empty()) return true;
    }
    return false;
  }
  void drop_unused() {
    for (bool dropped = true; dropped;) {
      dropped = false;
      for (auto file = files.begin(); file != files.end();) {
        const bool used = file->first == root_ino || file->second.lookups > 0 || has_children(file->first);
        if (!used) dropped = true;
        file = used ? std::next(file) : files.erase(file);
      }
    }
  }
};

TEST(TreeTest, BehavesAsItsModel) {
  std::mt19937 random(1);
  const auto pick = [&random](std::size_t below) { return random() % below; };
  for (int round = 0; round < 20; ++round) {
    Tree tree;
    Model model;
    model.files[root_ino];
    for (int step = 0; step < 400; ++step) {
      auto at = std::next(model.files.begin(), static_cast<std::ptrdiff_t>(pick(model.files.size())));
      const Ino ino = at->first;
      const std::string name = std::string(1 + pick(3) * 12, static_cast<char>('a' + pick(6)));
      const PinnedNode node = tree.pin(ino);
      ASSERT_NE(node, nullptr);
      switch (pick(4)) {
        case 0: {
          const auto known = model.find(ino, name);
          const Ino got = tree.enter(*node, name);
          if (known != model.files.end()) {
            ASSERT_EQ(got, known->first);
          } else {
            ASSERT_FALSE(model.files.contains(got));
            model.files[got] = {0, name, ino};
          }
          ++model.files[got].lookups;
          break;
        }
        case 1: {
          const std::uint64_t count = 1 + pick(3);
          if (ino == root_ino) break;
          tree.forget(ino, count);
          at->second.lookups -= std::min(count, at->second.lookups);
          break;
        }
        case 2:
          if (at->second.name.empty()) break;
          tree.remove_name(*node, *tree.pin(at->second.parent), at->second.name);
          at->second.name.clear();
          at->second.parent = Ino{};
          break;
        default: {
          auto to = std::next(model.files.begin(), static_cast<std::ptrdiff_t>(pick(model.files.size())));
          if (at->second.name.empty() || model.find(to->first, name) != model.files.end()) break;
          bool into_itself = false;
          for (Ino above = to->first; above != Ino{} && above != root_ino; above = model.files[above].parent) {
            into_itself = into_itself || above == ino;
          }
          if (into_itself) break;
          tree.move_name(*node, *tree.pin(at->second.parent), at->second.name, *tree.pin(to->first), name);
          at->second.name = name;
          at->second.parent = to->first;
          break;
        }
      }
      model.drop_unused();
    }
    for (const auto& [ino, file] : model.files) {
      ASSERT_NE(tree.pin(ino), nullptr);
      if (file.name.empty()) continue;
      ASSERT_EQ(tree.child(*tree.pin(file.parent), file.name)->ino(), ino);
    }
    ASSERT_EQ(tree.size(), model.files.size());
    for (const auto& [ino, file] : model.files) tree.forget(ino, file.lookups);
    EXPECT_EQ(tree.size(), 1u) << "all lookups forgotten, but nodes are left";
  }
}

TEST(TreeTest, ThreadsThatLookUpAndForgetLeaveNothing) {
  Tree tree;
  std::vector<std::jthread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&tree, seed] {
      std::mt19937 random(seed);
      std::vector<Ino> mine;
      std::vector<Ino> files;
      for (int step = 0; step < 5000; ++step) {
        if (random() % 2 == 0 || mine.empty()) {
          const std::string name(1 + random() % 20, static_cast<char>('a' + random() % 4));
          if (random() % 4 == 0) {
            files.push_back(tree.enter(tree.root(), "file " + name, 1 + random() % 5));  // a file has no children
          } else {
            const PinnedNode parent = tree.pin(mine.empty() ? root_ino : mine[random() % mine.size()]);
            mine.push_back(tree.enter(*parent, name));
          }
        } else {
          std::swap(mine[random() % mine.size()], mine.back());
          tree.forget(mine.back(), 1);
          mine.pop_back();
        }
      }
      for (const Ino ino : mine) tree.forget(ino, 1);
      for (const Ino ino : files) tree.forget(ino, 1);
    });
  }
  threads.clear();
  EXPECT_EQ(tree.size(), 1u);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
// The allocator does not tell, and everything takes ten times as long.
std::size_t allocated() { return 0; }
constexpr std::size_t many = 100'000;
#else
// Bytes that were allocated and not freed.
std::size_t allocated() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}
constexpr std::size_t many = 1'000'000;
#endif

TEST(TreeTest, AMillionNodesTakeSixtyFourBytesEach) {
  std::vector<Ino> inos;
  inos.reserve(many);
  Tree tree;
  const std::size_t empty = tree.memory();
  const std::size_t before = allocated();
  for (std::size_t i = 0; i < many; ++i) {
    std::string name = std::to_string(i);
    name.insert(0, 15 - name.size(), '0');
    inos.push_back(tree.enter(tree.root(), name));
  }
  EXPECT_LE(tree.memory() - empty, 64 * many);
  if (before != 0) {
    EXPECT_LE(allocated() - before, 64 * many);
  }
  for (const Ino ino : inos) tree.forget(ino, 1);
  EXPECT_EQ(tree.size(), 1u);
  EXPECT_LT(tree.memory(), empty + 4 * many) << "memory goes back when nodes are forgotten";
  if (before != 0) {
    EXPECT_LT(allocated(), before + 4 * many);
  }
}

TEST(TreeTest, IdleNodesAreFoundInTurn) {
  Tree tree;
  std::set<Ino> all;
  for (int i = 0; i < 500; ++i) all.insert(tree.enter(tree.root(), std::to_string(i)));
  std::set<Ino> found;
  for (int turn = 0; turn < 200; ++turn) {
    for (const PinnedNode& node : tree.idle(10)) found.insert(node->ino());
  }
  EXPECT_EQ(found, all);
}

}  // namespace
}  // namespace fuselage::path
