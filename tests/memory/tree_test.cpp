// Whole trees: against a model, and by many threads.
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "harness.hpp"

namespace fuselage::memory {
namespace {

/// What POSIX says a tree of files and directories is, as plainly as possible: paths lead to numbers.
class Model {
 public:
  struct Node {
    bool directory = false;
    std::string content;
  };

  std::map<std::string, int> paths{{"", 0}};
  std::map<int, Node> nodes{{0, {true, {}}}};

  bool is_directory(const std::string& path) const { return nodes.at(paths.at(path)).directory; }
  bool empty(const std::string& path) const {
    const auto next = paths.upper_bound(path + "/");
    return next == paths.end() || !next->first.starts_with(path + "/");
  }
  int make(const std::string& path, bool directory) {
    if (paths.count(path) != 0) return EEXIST;
    const int number = ++last_;
    paths[path] = number;
    nodes[number] = {directory, {}};
    return 0;
  }
  int remove(const std::string& path, bool directory) {
    if (paths.count(path) == 0) return ENOENT;
    if (directory != is_directory(path)) return directory ? ENOTDIR : EISDIR;
    if (directory && !empty(path)) return ENOTEMPTY;
    paths.erase(path);
    return 0;
  }
  int link(const std::string& from, const std::string& to) {
    if (is_directory(from)) return EPERM;
    if (paths.count(to) != 0) return EEXIST;
    paths[to] = paths.at(from);
    return 0;
  }
  int rename(const std::string& from, const std::string& to, RenameFlags flags) {
    if (paths.count(from) == 0) return ENOENT;
    const bool exists = paths.count(to) != 0;
    if (flags.exchange && !exists) return ENOENT;
    if (flags.no_replace && exists) return EEXIST;
    if (to.starts_with(from + "/")) return EINVAL;
    if (from.starts_with(to + "/")) return flags.exchange ? EINVAL : ENOTEMPTY;
    if (exists && paths.at(from) == paths.at(to)) return 0;
    if (exists && !flags.exchange) {
      if (is_directory(from) && !is_directory(to)) return ENOTDIR;
      if (!is_directory(from) && is_directory(to)) return EISDIR;
      if (is_directory(to) && !empty(to)) return ENOTEMPTY;
      paths.erase(to);
    }
    auto moved = take(from);
    const auto back = flags.exchange ? take(to) : std::map<std::string, int>();
    for (const auto& [rest, number] : moved) paths[to + rest] = number;
    for (const auto& [rest, number] : back) paths[from + rest] = number;
    return 0;
  }

 private:
  /// A subtree, by what follows its path.
  std::map<std::string, int> take(const std::string& path) {
    std::map<std::string, int> taken;
    for (auto at = paths.begin(); at != paths.end();) {
      const bool inside = at->first == path || at->first.starts_with(path + "/");
      if (inside) taken[at->first.substr(path.size())] = at->second;
      at = inside ? paths.erase(at) : std::next(at);
    }
    return taken;
  }

  int last_ = 0;
};

class MemoryTree : public testing::Test, public Harness {
 protected:
  Ino walk(const std::string& path) {
    Ino ino = root_ino;
    for (std::size_t start = 1; start < path.size();) {
      const std::size_t end = std::min(path.find('/', start), path.size());
      ino = find(ino, std::string_view(path).substr(start, end - start));
      if (ino == Ino{}) return ino;
      start = end + 1;
    }
    return ino;
  }

  /// Compares everything below a directory, and counts it.
  void compare(const Model& model, const std::string& path, Ino ino, std::map<int, Ino>& known) {
    const int number = model.paths.at(path);
    const auto [first, inserted] = known.emplace(number, ino);
    ASSERT_EQ(first->second, ino) << path << ": hard links are one node";
    const Attributes attributes = stat(ino);
    ASSERT_EQ(S_ISDIR(attributes.mode), model.nodes.at(number).directory) << path;
    if (!S_ISDIR(attributes.mode)) {
      std::uint32_t names = 0;
      for (const auto& [other, other_number] : model.paths) names += other_number == number ? 1 : 0;
      ASSERT_EQ(attributes.nlink, names) << path;
      ASSERT_EQ(read(ino), model.nodes.at(number).content) << path;
      return;
    }
    std::set<std::string> expected;
    std::uint32_t subdirectories = 0;
    for (auto at = model.paths.upper_bound(path + "/"); at != model.paths.end(); ++at) {
      if (!at->first.starts_with(path + "/")) break;
      const std::string name = at->first.substr(path.size() + 1);
      if (name.find('/') != std::string::npos) continue;
      expected.insert(name);
      subdirectories += model.is_directory(at->first) ? 1 : 0;
    }
    const auto names = list(ino);
    ASSERT_EQ(std::set<std::string>(names.begin(), names.end()), expected) << path;
    ASSERT_EQ(names.size(), expected.size()) << path;
    ASSERT_EQ(attributes.nlink, 2 + subdirectories) << path;
    for (const auto& name : expected) {
      const Ino child = find(ino, name);
      ASSERT_EQ(find(child, "..") == ino, model.is_directory(path + "/" + name) || child == Ino{}) << path;
      compare(model, path + "/" + name, child, known);
      if (HasFatalFailure()) return;
    }
  }
};

TEST_F(MemoryTree, AgreesWithAModelUnderRandomOperations) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Model model;
  const auto some_path = [&] { return std::next(model.paths.begin(), random() % model.paths.size())->first; };
  const auto some_directory = [&] {
    for (;;) {
      if (auto path = some_path(); model.is_directory(path)) return path;
    }
  };
  const auto some_name = [&] { return std::string(1, static_cast<char>('a' + random() % 5)); };
  for (int step = 0; step < 3000; ++step) {
    const std::string parent = some_directory();
    const std::string name = some_name();
    const std::string path = parent + "/" + name;
    const Ino ino = walk(parent);
    ASSERT_NE(ino, Ino{}) << parent;
    switch (random() % 8) {
      case 0: {
        const auto made = now(fs.mkdir(context, ino, name, 0755));
        ASSERT_EQ(code(made), model.make(path, true)) << path;
        if (made) fs.forget(made->ino, 1);
        break;
      }
      case 1: {
        const auto made = now(fs.create(context, ino, name, S_IFREG | 0644, OpenFlags{O_RDWR | O_EXCL}));
        ASSERT_EQ(code(made), model.make(path, false)) << path;
        if (made) fs.forget(made->entry.ino, 1);
        break;
      }
      case 2:
        ASSERT_EQ(unlink(ino, name), model.remove(path, false)) << path;
        break;
      case 3:
        ASSERT_EQ(rmdir(ino, name), model.remove(path, true)) << path;
        break;
      case 4: {
        const std::string from = some_path();
        ASSERT_EQ(link(walk(from), ino, name), model.link(from, path)) << from << " " << path;
        break;
      }
      case 5: {
        if (model.paths.count(path) == 0 || model.is_directory(path)) break;
        std::string& content = model.nodes.at(model.paths.at(path)).content;
        const std::string text = std::to_string(step);
        put(walk(path), content.size(), text);
        content += text;
        break;
      }
      default: {
        const std::string to_parent = some_directory();
        const std::string to_name = some_name();
        const RenameFlags flags{.no_replace = random() % 4 == 0, .exchange = random() % 3 == 0};
        if (flags.no_replace && flags.exchange) break;
        const Ino to = walk(to_parent);
        ASSERT_EQ(rename(ino, name, to, to_name, flags), model.rename(path, to_parent + "/" + to_name, flags))
            << path << " -> " << to_parent << "/" << to_name << " exchange " << flags.exchange;
      }
    }
    if (step % 50 == 0) {
      std::map<int, Ino> known;
      compare(model, "", root_ino, known);
      if (HasFatalFailure()) return;
      ASSERT_EQ(fs.usage().inodes, known.size()) << "nothing is left of what was removed and forgotten";
    }
  }
}

/// Threads do everything to the same few names; afterwards all must add up.
TEST_F(MemoryTree, SurvivesThreadsThatDoEverythingAtOnce) {
  constexpr int directories = 3;
  std::vector<Ino> dirs{root_ino};
  for (int i = 0; i < directories; ++i) dirs.push_back(directory(dirs.back(), "base" + std::to_string(i)));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 4000; ++i) {
        const Ino from = dirs[random() % dirs.size()];
        const Ino to = dirs[random() % dirs.size()];
        const std::string name(1, static_cast<char>('a' + random() % 4));
        const std::string other(1, static_cast<char>('a' + random() % 4));
        const RenameFlags flags{.exchange = random() % 2 == 0};
        switch (random() % 9) {
          case 0:
            if (const auto made = now(fs.create(context, from, name, S_IFREG | 0644, OpenFlags{O_RDWR}))) {
              const Ino ino = made->entry.ino;
              if (!write(ino, random() % 100'000, "text") || read(ino, 0, 1 << 17).empty()) ++wrong;
              fs.forget(ino, 1);
            }
            break;
          case 1:
            if (const auto made = now(fs.mkdir(context, from, name, 0755))) fs.forget(made->ino, 1);
            break;
          case 2:
            unlink(from, name);
            break;
          case 3:
            rmdir(from, name);
            break;
          case 4: {
            const auto entry = now(fs.lookup(context, from, name));
            if (!entry || entry->ino == Ino{}) break;
            link(entry->ino, to, other);
            if (!now(fs.getattr(context, entry->ino, nullptr))) ++wrong;
            fs.forget(entry->ino, 1);
            break;
          }
          case 5: {
            std::vector<std::byte> buffer(4096);
            DirectorySink sink(buffer, true, {}, {});
            if (!now(fs.readdir(context, from, {}, 0, sink))) ++wrong;
            // Each entry: fuse_entry_out of 128 bytes, then what READDIR has.
            Bytes packed = sink.packed();
            while (!packed.empty()) {
              std::uint64_t ino = 0;
              std::uint32_t length = 0;
              std::memcpy(&ino, packed.data(), 8);
              std::memcpy(&length, packed.data() + 128 + 16, 4);
              if (ino != 0) fs.forget(Ino{ino}, 1);
              packed = packed.subspan((128 + 24 + length + 7) / 8 * 8);
            }
            break;
          }
          case 6: {
            const auto a = now(fs.lookup(context, from, name));
            const auto b = now(fs.lookup(context, to, other));
            if (a && b && S_ISREG(a->attributes.mode) && S_ISREG(b->attributes.mode)) {
              if (a->ino != Ino{} && b->ino != Ino{}) (void)copy(a->ino, 0, b->ino, 50'000, 50'000);
            }
            if (a && a->ino != Ino{}) fs.forget(a->ino, 1);
            if (b && b->ino != Ino{}) fs.forget(b->ino, 1);
            break;
          }
          default:
            rename(from, name, to, other, flags);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);

  // Take down what is left; then everything must have been given back.
  const std::function<void(Ino)> clear = [&](Ino ino) {
    for (const auto& name : list(ino)) {
      const Ino child = find(ino, name);
      if (S_ISDIR(stat(child).mode)) {
        clear(child);
        EXPECT_EQ(rmdir(ino, name), 0);
      } else {
        EXPECT_EQ(unlink(ino, name), 0);
      }
    }
  };
  clear(root_ino);
  for (std::size_t i = 1; i < dirs.size(); ++i) fs.forget(dirs[i], 1);
  EXPECT_EQ(stat(root_ino).nlink, 2u);
  EXPECT_EQ(fs.usage().inodes, 1u);
  EXPECT_EQ(fs.usage().bytes, 0u);
}

/// Directories move into each other by many threads: no cycle may come to be, and none may wait for ever.
TEST_F(MemoryTree, DirectoriesThatMoveIntoEachOtherNeverFormACycle) {
  std::vector<Ino> dirs{root_ino};
  for (int i = 0; i < 6; ++i) dirs.push_back(directory(root_ino, std::to_string(i)));
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 5000; ++i) {
        const Ino from = dirs[random() % dirs.size()];
        const Ino to = dirs[random() % dirs.size()];
        const std::string name = std::to_string(random() % 6);
        rename(from, name, to, random() % 4 != 0 ? name : std::to_string(random() % 6),
               {.no_replace = random() % 2 == 0});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::size_t reached = 0;
  const std::function<void(Ino)> count = [&](Ino ino) {
    ++reached;
    for (const auto& name : list(ino)) count(find(ino, name));
  };
  count(root_ino);
  std::size_t living = 0;
  for (const Ino ino : dirs) living += stat(ino).nlink > 0 ? 1 : 0;
  EXPECT_EQ(reached, living) << "every directory that was not removed is below the root, once";
}

TEST_F(MemoryTree, ReadersOfAFileSeeEachWriteWholeOrNotAtAll) {
  const Ino ino = file(root_ino, "file");
  const std::size_t size = 3 * page_size + 100;
  put(ino, 50, std::string(size, 'a'));
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!done) {
      const std::string text = read(ino, 50, size);
      if (text.find_first_not_of(text.front()) != std::string::npos) ++torn;
    }
  });
  for (int i = 0; i < 2000; ++i) put(ino, 50, std::string(size, static_cast<char>('a' + i % 26)));
  done = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace fuselage::memory
