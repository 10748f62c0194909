#include <gtest/gtest.h>

#include <atomic>
#include <fuselage/node_table.hpp>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fuselage {
namespace {

/// Counts how many of its kind there are.
struct Counted {
  explicit Counted(std::atomic<int>& alive_count, std::uint64_t node_key = 0) : alive(&alive_count), key(node_key) {
    ++*alive;
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*alive; }

  std::atomic<int>* alive;
  std::uint64_t key;
};

TEST(NodeTable, RootHasItsNumberAndIsNeverForgotten) {
  NodeTable<std::string> nodes(std::string("root"));
  EXPECT_EQ(nodes.size(), 1u);
  EXPECT_EQ(*nodes.find(root_ino), "root");
  EXPECT_EQ(nodes.forget(root_ino, 1000), nullptr);
  EXPECT_EQ(nodes.release(root_ino), nullptr);
  EXPECT_EQ(*nodes.find(root_ino), "root");
}

TEST(NodeTable, NumbersThatWereNeverGivenOutAreNotFound) {
  NodeTable<int> nodes(0);
  for (const std::uint64_t number : {0ull, 2ull, 33ull, 1ull << 32, (1ull << 32) + 1, ~0ull, 0xFFFFFFFFull}) {
    EXPECT_EQ(nodes.find(Ino{number}), nullptr) << number;
    EXPECT_EQ(nodes.reference(Ino{number}), nullptr) << number;
    EXPECT_EQ(nodes.keep(Ino{number}), nullptr) << number;
    EXPECT_EQ(nodes.forget(Ino{number}, 1), nullptr) << number;
  }
  EXPECT_EQ(nodes.size(), 1u);
}

TEST(NodeTable, NumbersAreSmallWhileNothingIsRemoved) {
  NodeTable<int> nodes(0);
  for (std::uint64_t i = 2; i < 1000; ++i) EXPECT_EQ(nodes.add(1), Ino{i});
}

TEST(NodeTable, NodeLeavesWithItsLastLookup) {
  NodeTable<int> nodes(0);
  const Ino ino = nodes.add(7);
  EXPECT_NE(nodes.reference(ino), nullptr);
  EXPECT_EQ(nodes.lookups(ino), 2u);
  EXPECT_EQ(nodes.forget(ino, 1), nullptr);
  EXPECT_EQ(*nodes.find(ino), 7);
  EXPECT_EQ(*nodes.forget(ino, 1), 7);
  EXPECT_EQ(nodes.find(ino), nullptr);
  EXPECT_EQ(nodes.reference(ino), nullptr);
}

TEST(NodeTable, KeptNodeOutlivesItsLookups) {
  NodeTable<int> nodes(0);
  const Ino ino = nodes.add(7);
  EXPECT_NE(nodes.keep(ino), nullptr);
  EXPECT_EQ(nodes.forget(ino, 5), nullptr) << "more than there are must not touch the keep count";
  EXPECT_EQ(*nodes.find(ino), 7);
  EXPECT_EQ(*nodes.release(ino), 7);
  EXPECT_EQ(nodes.find(ino), nullptr);
}

TEST(NodeTable, LookedUpNodeOutlivesItsKeep) {
  NodeTable<int> nodes(0);
  const Ino ino = nodes.add(7);
  nodes.keep(ino);
  EXPECT_EQ(nodes.release(ino), nullptr);
  EXPECT_EQ(*nodes.forget(ino, 1), 7);
}

TEST(NodeTable, StaleNumberIsNotConfusedWithTheNodeInItsPlace) {
  NodeTable<int> nodes(0);
  std::set<Ino> seen;
  for (int i = 0; i < 10000; ++i) {
    const Ino ino = nodes.add(i);
    EXPECT_TRUE(seen.insert(ino).second);
    nodes.forget(ino, 1);
  }
  const Ino living = nodes.add(-1);
  for (const Ino ino : seen) EXPECT_EQ(nodes.find(ino), nullptr);
  EXPECT_EQ(*nodes.find(living), -1);
}

TEST(NodeTable, NodeMayBeMadeKnowingItsNumberAndNothingIsLeftWhenThatFails) {
  NodeTable<Ino> nodes(root_ino);
  const Ino ino = nodes.add_with([](Ino number) { return std::make_shared<Ino>(number); });
  EXPECT_EQ(*nodes.find(ino), ino);
  EXPECT_EQ(nodes.add_with([](Ino) { return std::shared_ptr<Ino>(); }), Ino{});
  EXPECT_THROW(nodes.add_with([](Ino) -> std::shared_ptr<Ino> { throw std::runtime_error("no"); }), std::runtime_error);
  EXPECT_EQ(nodes.size(), 2u);
}

TEST(NodeTable, OneKeyIsOneNodeWhileItLives) {
  NodeTable<std::string, std::string> nodes(std::string("root"));
  const auto make = [](Ino) { return std::make_shared<std::string>("new"); };
  const auto first = nodes.lookup("key", make);
  EXPECT_TRUE(first.added);
  const auto again = nodes.lookup("key", make);
  EXPECT_FALSE(again.added);
  EXPECT_EQ(again.ino, first.ino);
  EXPECT_EQ(again.node, first.node);
  EXPECT_EQ(nodes.lookups(first.ino), 2u);
  EXPECT_EQ(nodes.forget(first.ino, 2), first.node);
  const auto later = nodes.lookup("key", make);
  EXPECT_TRUE(later.added);
  EXPECT_NE(later.ino, first.ino);
}

TEST(NodeTable, KeyIsFreeAgainWhenMakingItsNodeFailed) {
  NodeTable<int, std::uint64_t> nodes(0);
  EXPECT_THROW(nodes.lookup(5u, [](Ino) -> std::shared_ptr<int> { throw std::runtime_error("no"); }),
               std::runtime_error);
  EXPECT_EQ(nodes.lookup(5u, [](Ino) { return std::shared_ptr<int>(); }).ino, Ino{});
  EXPECT_TRUE(nodes.lookup(5u, [](Ino) { return std::make_shared<int>(1); }).added);
  EXPECT_EQ(nodes.size(), 2u);
}

TEST(NodeTable, MemoryGoesBackWhenNodesAreForgotten) {
  std::atomic<int> alive{0};
  constexpr int many = 200'000;
  {
    NodeTable<Counted> nodes(std::make_shared<Counted>(alive));
    std::vector<Ino> inos;
    for (int i = 0; i < many; ++i) inos.push_back(nodes.add(std::make_shared<Counted>(alive)));
    EXPECT_EQ(alive, many + 1);
    EXPECT_GE(nodes.capacity(), static_cast<std::size_t>(many));
    std::shuffle(inos.begin(), inos.end(), std::mt19937(1));
    for (const Ino ino : inos) nodes.forget(ino, 1);
    EXPECT_EQ(alive, 1);
    EXPECT_LE(nodes.capacity(), 2u * 32 * 64) << "at most a chunk with room in each shard, and the root's";
    for (const Ino ino : inos) EXPECT_EQ(nodes.find(ino), nullptr);

    std::set<Ino> old(inos.begin(), inos.end());
    for (int i = 0; i < many; ++i) EXPECT_EQ(old.count(nodes.add(std::make_shared<Counted>(alive))), 0u);
  }
  EXPECT_EQ(alive, 0);
}

TEST(NodeTable, AgreesWithAModelUnderRandomOperations) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  struct Model {
    std::uint64_t key = 0;
    std::uint64_t lookups = 0;
    std::uint64_t keeps = 0;
  };
  std::map<Ino, Model> model;
  std::vector<Ino> known{root_ino};
  std::atomic<int> alive{0};
  NodeTable<Counted, std::uint64_t> nodes(std::make_shared<Counted>(alive));
  const auto gone = [&](std::map<Ino, Model>::iterator at) {
    if (at->second.lookups != 0 || at->second.keeps != 0) return false;
    model.erase(at);
    return true;
  };
  for (int step = 0; step < 100'000; ++step) {
    const Ino ino = known[random() % known.size()];
    const auto at = model.find(ino);
    const bool present = at != model.end();
    switch (random() % 6) {
      case 0: {
        const std::uint64_t key = random() % 500 + 1;
        const auto found = nodes.lookup(key, [&](Ino) { return std::make_shared<Counted>(alive, key); });
        ASSERT_EQ(found.node->key, key);
        const auto same = std::find_if(model.begin(), model.end(), [&](auto& pair) { return pair.second.key == key; });
        ASSERT_EQ(found.added, same == model.end());
        if (found.added) {
          known.push_back(found.ino);
        } else {
          ASSERT_EQ(found.ino, same->first);
        }
        model[found.ino].key = key;
        ++model[found.ino].lookups;
        break;
      }
      case 1: {
        const Ino added = nodes.add(std::make_shared<Counted>(alive));
        ASSERT_EQ(model.count(added), 0u);
        model[added].lookups = 1;
        known.push_back(added);
        break;
      }
      case 2:
        if (ino == root_ino) break;
        ASSERT_EQ(nodes.reference(ino) != nullptr, present);
        if (present) ++at->second.lookups;
        break;
      case 3: {
        if (ino == root_ino) break;
        const std::uint64_t count = random() % 3 + 1;
        const auto removed = nodes.forget(ino, count);
        if (present) at->second.lookups -= std::min(count, at->second.lookups);
        ASSERT_EQ(removed != nullptr, present && gone(at));
        break;
      }
      case 4:
        if (ino == root_ino || random() % 3 != 0) break;
        ASSERT_EQ(nodes.keep(ino) != nullptr, present);
        if (present) ++at->second.keeps;
        break;
      default: {
        const auto removed = nodes.release(ino);
        if (present && at->second.keeps > 0) --at->second.keeps;
        ASSERT_EQ(removed != nullptr, present && gone(at));
        break;
      }
    }
    ASSERT_EQ(static_cast<std::size_t>(alive), model.size() + 1);
    if (step % 1000 == 0) {
      ASSERT_EQ(nodes.size(), model.size() + 1);
    }
  }
  for (const auto& [ino, expected] : model) {
    EXPECT_EQ(nodes.lookups(ino), expected.lookups);
    EXPECT_EQ(nodes.find(ino)->key, expected.key);
  }
}

/// Threads look few keys up and forget them at once, so that lookups keep meeting the last forget.
TEST(NodeTable, LookupNeverAnswersANodeThatAForgetIsRemoving) {
  std::atomic<int> alive{0};
  NodeTable<Counted, std::uint64_t> nodes(std::make_shared<Counted>(alive));
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 30'000; ++i) {
        const std::uint64_t key = random() % 3 + 1;
        const auto found = nodes.lookup(key, [&](Ino) { return std::make_shared<Counted>(alive, key); });
        if (found.node->key != key || nodes.find(found.ino) != found.node) ++failures;
        if (nodes.reference(found.ino) != found.node) ++failures;
        nodes.forget(found.ino, 1);
        if (nodes.find(found.ino) != found.node) ++failures;
        nodes.forget(found.ino, 1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(nodes.size(), 1u);
  EXPECT_EQ(alive, 1);
}

TEST(NodeTable, ThreadsAddAndForgetTheirOwnNodesWithoutDisturbingEachOther) {
  std::atomic<int> alive{0};
  NodeTable<Counted> nodes(std::make_shared<Counted>(alive));
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<Ino> mine;
      for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 500; ++i) mine.push_back(nodes.add(std::make_shared<Counted>(alive, t)));
        for (const Ino ino : mine) {
          const auto node = nodes.find(ino);
          if (node == nullptr || node->key != t) ++failures;
        }
        for (const Ino ino : mine) {
          if (nodes.forget(ino, 1) == nullptr) ++failures;
        }
        mine.clear();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(alive, 1);
}

}  // namespace
}  // namespace fuselage
