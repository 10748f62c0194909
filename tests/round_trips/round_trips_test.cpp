// Requests that the kernel does not send because of what was negotiated: each test counts them with and without.
#include <fcntl.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <fuselage/path_file_system.hpp>
#include <thread>

#include "client_syscalls/memory_mount.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int times = 10;

class RoundTrips : public MountTest {
 protected:
  // How often the file system was asked for each of `operations` while `client` used the mount.
  std::uint64_t asked(FileSystemRef file_system, SessionOptions options, std::initializer_list<const char*> operations,
                      const std::function<void(const Served&)>& client, const MountOptions& mounting = {}) {
    const Served served(file_system, make_directory("mnt" + std::to_string(++mounts_)), mounting, std::move(options));
    client(served);
    std::uint64_t sum = 0;
    for (const char* operation : operations) sum += served.count(operation);
    return sum;
  }

 private:
  int mounts_ = 0;
};

TEST_F(RoundTrips, writes_do_not_ask_for_an_attribute_again_and_again) {
  const auto asked = [this](SessionOptions options) {
    memory::Memory memory;
    return this->asked(memory, std::move(options), {"GETXATTR"}, [](const Served& served) {
      const UniqueFd fd = open_file(served.path("file"), O_WRONLY | O_CREAT);
      for (int i = 0; i < times; ++i) EXPECT_EQ(::pwrite(fd.get(), "x", 1, i), 1);
    });
  };
  EXPECT_LE(asked({}), 1u);
  EXPECT_GE(asked({.disable = Capability::HANDLE_KILLPRIV_V2}), static_cast<unsigned>(times));
}

// Many files; the listing gives their attributes along if it is asked for them.
class Crowd : public Shelf {
 public:
  static constexpr int size = 500;
  Crowd() : Shelf(all_names()) {}
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    for (std::uint64_t i = offset; i < size; ++i) {
      if (!sink.add(name_of(i), entry(Ino{i + 2}), i + 1)) break;
    }
    return {};
  }

 private:
  static std::string name_of(std::uint64_t number) { return "file" + std::to_string(number); }
  static std::vector<std::string> all_names() {
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < size; ++i) names.push_back(name_of(i));
    return names;
  }
};

TEST_F(RoundTrips, a_long_listing_takes_no_lookups) {
  const auto asked = [this](SessionOptions options) {
    Crowd crowd;
    return this->asked(crowd, std::move(options), {"LOOKUP", "GETATTR"}, [](const Served& served) {
      int seen = 0;
      for (const auto& entry : fs::directory_iterator(served.path(""))) {
        seen += S_ISREG(status_of(entry.path()).st_mode) ? 1 : 0;
      }
      EXPECT_EQ(seen, Crowd::size);
    });
  };
  EXPECT_LE(asked({}), 10u);
  EXPECT_GE(asked({.disable = CapabilitySet(Capability::READDIRPLUS) | Capability::READDIRPLUS_AUTO}),
            static_cast<unsigned>(Crowd::size));
}

TEST_F(RoundTrips, a_listing_of_names_does_not_go_on_asking_for_attributes) {
  const auto plain = [this](SessionOptions options) {
    Crowd crowd;
    return this->asked(crowd, std::move(options), {"READDIR"}, [](const Served& served) {
      EXPECT_EQ(std::distance(fs::directory_iterator(served.path("")), {}), Crowd::size);
      EXPECT_GE(served.count("READDIRPLUS"), 1u);
    });
  };
  EXPECT_GE(plain({}), 1u);
  EXPECT_EQ(plain({.disable = Capability::READDIRPLUS_AUTO}), 0u);
}

// Defines what a file system need not define.
class Dutiful : public Shelf {
 public:
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{}; }
  Reply<void> flush(const Context&, Ino, const OpenFile&) override { return {}; }
  Reply<void> release(const Context&, Ino, const OpenFile&, bool) override { return {}; }
  Reply<Opened> opendir(const Context&, Ino, OpenFlags) override { return Opened{}; }
};

TEST_F(RoundTrips, opening_and_closing_asks_once_for_what_is_not_defined) {
  const auto asked = [this](FileSystemRef file_system) {
    return this->asked(file_system, {}, {"OPEN", "FLUSH", "RELEASE"}, [](const Served& served) {
      for (int i = 0; i < times; ++i) open_file(served.path("file"), O_RDONLY);
    });
  };
  Shelf shelf;
  Dutiful dutiful;
  EXPECT_LE(asked(shelf), 2u);            // an OPEN and a FLUSH
  EXPECT_GE(asked(dutiful), 2u * times);  // nobody waits for the last RELEASE
}

// By path; files can be made, and nobody is told when one is opened.
class Drawer final : public PathFileSystem {
 public:
  Reply<Attributes> getattr(const Context&, Path path, const OpenFile*) override {
    if (path.name().empty()) return Attributes::directory();
    if (path.name() != "file" && made_ == 0) return Error{ENOENT};
    return Attributes::file(0);
  }
  Reply<CreatedFile> create(const Context&, Path, mode_t, OpenFlags) override {
    ++made_;
    return CreatedFile{Attributes::file(0), {}};
  }

 private:
  std::atomic<int> made_{0};
};

TEST_F(RoundTrips, opening_by_path_asks_once_where_only_create_is_defined) {
  const auto asked = [this](PathOptions options) {
    Drawer drawer;
    return this->asked(by_path(drawer, options), {}, {"OPEN"}, [](const Served& served) {
      open_file(served.path("new"), O_CREAT | O_EXCL | O_WRONLY);
      for (int i = 0; i < times; ++i) open_file(served.path(i % 2 == 0 ? "file" : "new"), O_RDONLY);
    });
  };
  EXPECT_EQ(asked({}), 1u);
  PathOptions hiding;
  hiding.hide_removed = true;  // has to know which files are open
  EXPECT_EQ(asked(hiding), static_cast<unsigned>(times));
}

TEST_F(RoundTrips, listing_again_asks_once_for_what_is_not_defined) {
  const auto asked = [this](FileSystemRef file_system, std::initializer_list<const char*> operations) {
    return this->asked(file_system, {}, operations, [](const Served& served) {
      for (int i = 0; i < times; ++i) EXPECT_EQ(std::distance(fs::directory_iterator(served.path("")), {}), 1);
    });
  };
  Shelf shelf;
  Dutiful dutiful;
  EXPECT_EQ(asked(shelf, {"OPENDIR"}), 1u);
  EXPECT_EQ(asked(dutiful, {"OPENDIR"}), static_cast<unsigned>(times));
  // The kernel keeps the listing; the first one ends with an empty answer.
  EXPECT_LE(asked(shelf, {"READDIR", "READDIRPLUS"}), 3u);
  EXPECT_GE(asked(dutiful, {"READDIR", "READDIRPLUS"}), static_cast<unsigned>(times));
}

TEST_F(RoundTrips, cached_reads_ask_for_no_attributes_where_these_are_not_cached) {
  const auto asked = [this](SessionOptions options) {
    Shelf shelf;
    options.attr_timeout = 0s;
    return this->asked(shelf, std::move(options), {"GETATTR"}, [](const Served& served) {
      const UniqueFd fd = open_file(served.path("file"), O_RDONLY);
      for (int i = 0; i < times; ++i) EXPECT_EQ(read_at(fd.get(), 0, 5), "Hello");
    });
  };
  EXPECT_LE(asked({}), 1u);
  EXPECT_GE(asked({.enable = Capability::AUTO_INVAL_DATA}), static_cast<unsigned>(times));
}

// One symbolic link.
class Linked : public Shelf {
 public:
  Reply<Entry> lookup(const Context&, Ino, std::string_view) override {
    return Entry{.ino = Ino{2}, .attributes = Attributes::symlink(4)};
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
    return ino == root_ino ? Attributes::directory() : Attributes::symlink(4);
  }
  Reply<std::string> readlink(const Context&, Ino) override { return std::string("file"); }
};

TEST_F(RoundTrips, symbolic_links_are_read_once) {
  const auto asked = [this](SessionOptions options) {
    Linked linked;
    return this->asked(linked, std::move(options), {"READLINK"}, [](const Served& served) {
      for (int i = 0; i < times; ++i) EXPECT_EQ(fs::read_symlink(served.path("link")), "file");
    });
  };
  EXPECT_EQ(asked({}), 1u);
  EXPECT_EQ(asked({.disable = Capability::CACHE_SYMLINKS}), static_cast<unsigned>(times));
}

// Lets a lookup wait for another one to come while it is under way, but not for ever.
class Meeting : public Shelf {
 public:
  explicit Meeting(std::chrono::milliseconds patience) : Shelf({"one", "two"}), patience_(patience) {}
  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override {
    {
      std::unique_lock lock(mutex_);
      most_ = std::max(most_, ++inside_);
      met_.notify_all();
      met_.wait_for(lock, patience_, [this] { return most_ == 2; });
      --inside_;
    }
    return Shelf::lookup(context, parent, name);
  }
  int most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::condition_variable met_;
  int inside_ = 0;
  int most_ = 0;
};

TEST_F(RoundTrips, lookups_in_one_directory_are_under_way_together) {
  const auto together = [this](SessionOptions options, std::chrono::milliseconds patience) {
    Meeting meeting(patience);
    asked(meeting, std::move(options), {}, [](const Served& served) {
      const std::jthread other([&] { status_of(served.path("one")); });
      status_of(served.path("two"));
    });
    return meeting.most();
  };
  EXPECT_EQ(together({}, 30s), 2);
  EXPECT_EQ(together({.disable = Capability::PARALLEL_DIROPS}, 200ms), 1);
}

TEST_F(RoundTrips, names_and_attributes_are_believed_for_their_timeouts) {
  const auto asked = [this](SessionOptions options, const char* operation) {
    Shelf shelf;
    return this->asked(shelf, std::move(options), {operation}, [](const Served& served) {
      const auto path = served.path("file");
      for (int i = 0; i < times; ++i) EXPECT_EQ(status_of(path).st_size, 14);
    });
  };
  EXPECT_EQ(asked({.attr_timeout = 1h, .entry_timeout = 1h}, "LOOKUP"), 1u);
  EXPECT_EQ(asked({.attr_timeout = 1h, .entry_timeout = 1h}, "GETATTR"), 0u);
  EXPECT_EQ(asked({.attr_timeout = 1h, .entry_timeout = 0s}, "LOOKUP"), static_cast<unsigned>(times));
  EXPECT_EQ(asked({.attr_timeout = 0s, .entry_timeout = 1h}, "GETATTR"), static_cast<unsigned>(times));
}

TEST_F(RoundTrips, small_writes_are_gathered_by_the_writeback_cache) {
  const auto asked = [this](SessionOptions options) {
    memory::Memory memory;
    return this->asked(memory, std::move(options), {"WRITE"}, [](const Served& served) {
      const UniqueFd fd = open_file(served.path("file"), O_WRONLY | O_CREAT);
      for (int i = 0; i < 1000; ++i) EXPECT_EQ(::write(fd.get(), "x", 1), 1);
      EXPECT_EQ(failure(::fsync(fd.get())), 0);
    });
  };
  EXPECT_LE(asked({.enable = Capability::WRITEBACK_CACHE}), 100u);
  EXPECT_EQ(asked({}), 1000u);
}

TEST_F(RoundTrips, file_handles_are_not_looked_up_where_none_are_given_out) {
  const auto asked = [this](SessionOptions options, bool gives_handles) {
    memory::Memory memory;
    return this->asked(memory, std::move(options), {"LOOKUP"}, [&](const Served& served) {
      write_file(served.path("file"), "text");
      alignas(::file_handle) std::array<std::byte, sizeof(::file_handle) + MAX_HANDLE_SZ> room{};
      auto* const handle = reinterpret_cast<::file_handle*>(room.data());
      handle->handle_bytes = MAX_HANDLE_SZ;
      int mount_id = 0;
      const int named = ::name_to_handle_at(AT_FDCWD, served.path("file").c_str(), handle, &mount_id, 0);
      ASSERT_EQ(failure(named), gives_handles ? 0 : EOPNOTSUPP);
      if (!gives_handles) return;
      const UniqueFd root = open_file(served.path(""), O_RDONLY | O_DIRECTORY);
      EXPECT_TRUE(eventually([&] {
        std::ofstream("/proc/sys/vm/drop_caches") << 3;  // or the kernel would know the node
        const UniqueFd fd(::open_by_handle_at(root.get(), handle, O_RDONLY | O_CLOEXEC));
        EXPECT_TRUE(fd) << std::strerror(errno);
        EXPECT_EQ(read_at(fd.get(), 0, 4), "text");
        return served.count("LOOKUP") >= 2;
      }));
    });
  };
  EXPECT_GE(asked({.enable = Capability::EXPORT_SUPPORT}, true), 2u);
  EXPECT_EQ(asked({.enable = Capability::NO_EXPORT_SUPPORT}, false), 1u);  // that of the name, before it was made
}

// Opens its file on a backing file if it has one.
class Backed : public Shelf {
 public:
  Result<void> init(Negotiation& negotiation) override {
    notifier = negotiation.notifier;
    return {};
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override {
    Opened opened;
    if (const std::int32_t id = backing_id; id != 0) opened.backing_id = id;
    opened.direct_io = !opened.backing_id;
    return opened;
  }
  Notifier notifier;
  std::atomic<std::int32_t> backing_id{0};
};

TEST_F(RoundTrips, reads_of_a_backing_file_pass_the_file_system_by) {
  const auto place = make_directory("backing");
  ASSERT_EQ(::mount("none", place.c_str(), "tmpfs", 0, nullptr), 0);  // not itself a stacked file system
  write_file(place / "file", "Hello, world!\n");
  std::string obstacle;
  const auto asked = [&](bool passthrough) {
    Backed backed;
    return this->asked(backed, {.enable = Capability::PASSTHROUGH}, {"READ"}, [&](const Served& served) {
      if (passthrough) {
        const auto id = backed.notifier.open_backing(open_file(place / "file", O_RDONLY).get());
        if (!id) {
          obstacle = id.error().message();
          return;
        }
        backed.backing_id = *id;
      }
      {
        const UniqueFd fd = open_file(served.path("file"), O_RDONLY);
        for (int i = 0; i < times; ++i) EXPECT_EQ(read_at(fd.get(), 0, 5), "Hello");
      }
      EXPECT_EQ(backed.backing_id != 0 && backed.notifier.close_backing(backed.backing_id), passthrough);
    });
  };
  EXPECT_EQ(asked(true), 0u);
  EXPECT_EQ(asked(false), static_cast<unsigned>(times));
  ASSERT_EQ(failure(::umount(place.c_str())), 0);
  if (!obstacle.empty()) GTEST_SKIP() << "no kernel passthrough: " << obstacle;
}

}  // namespace
}  // namespace fuselage::test
