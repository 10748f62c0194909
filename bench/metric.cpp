#include "metric.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "base/unique_fd.hpp"
#include "servers/store.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;
using fuselage::base::UniqueFd;

constexpr std::size_t block = 4096;
constexpr std::size_t large = 1 << 20;
constexpr std::uint64_t file_size = 8 << 20;

// Every result is looked at: a server that fails fast shall not win.
std::uint64_t check(std::int64_t result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return static_cast<std::uint64_t>(result);
}
void expect(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

using File = std::shared_ptr<UniqueFd>;
File open_file(const fs::path& path, int flags) {
  auto file = std::make_shared<UniqueFd>(::open(path.c_str(), flags | O_CLOEXEC));
  if (!*file) throw std::system_error(errno, std::generic_category(), path.string());
  return file;
}

struct Free {
  void operator()(char* memory) const { std::free(memory); }
};
std::shared_ptr<char> aligned(std::size_t size) {
  auto* const memory = static_cast<char*>(std::aligned_alloc(block, size));
  if (memory == nullptr) throw std::bad_alloc();
  std::fill_n(memory, size, 'y');
  return {memory, Free{}};
}

// Offsets in no order, the same in every run.
class Offsets {
 public:
  Offsets(std::size_t size, int client) : size_(size), random_(static_cast<unsigned>(client) + 1) {}
  ::off_t next() { return static_cast<::off_t>(random_() % (file_size / size_) * size_); }

 private:
  std::size_t size_;
  std::minstd_rand random_;
};

Step attributes_of(const fs::path& path) {
  return [file = open_file(path, O_RDONLY)] {
    struct ::statx status {};
    check(::statx(file->get(), "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status), "statx");
    return std::uint64_t{1};
  };
}

Step getattr(const fs::path& root, int) { return attributes_of(root / "file"); }

// The same far from the root: what it costs to make a path.
Step deep(const fs::path& root, int) {
  fs::path path = root / "deep";
  for (std::uint64_t i = 1; i < Store::depth; ++i) path /= "d";
  return attributes_of(path / "file");
}

Step lookup(const fs::path& root, int) {
  return [directory = open_file(root, O_RDONLY | O_DIRECTORY)] {
    struct ::stat status {};
    check(::fstatat(directory->get(), "fleeting", &status, 0), "stat");
    return std::uint64_t{1};
  };
}

template <int flags, std::size_t size>
Step read(const fs::path& root, int client) {
  return [file = open_file(root / "file", O_RDONLY | flags), memory = aligned(size),
          offsets = Offsets(size, client)]() mutable {
    const ::off_t at = offsets.next();
    // Out of the page cache, where the server would not be asked.
    if (flags == 0) ::posix_fadvise(file->get(), at, size, POSIX_FADV_DONTNEED);
    expect(check(::pread(file->get(), memory.get(), size, at), "read") == size, "a read was short");
    return std::uint64_t{1};
  };
}

template <int flags, std::size_t size>
Step write(const fs::path& root, int client) {
  return [file = open_file(root / "file", O_WRONLY | flags), memory = aligned(size),
          offsets = Offsets(size, client)]() mutable {
    expect(check(::pwrite(file->get(), memory.get(), size, offsets.next()), "write") == size, "a write was short");
    return std::uint64_t{1};
  };
}

// Keeps 16 to 32 reads under way with the system calls that libaio wraps: half of them are waited for together, so that
// it is not the scheduler who decides how many a wake-up brings.
class Queue {
 public:
  static constexpr std::size_t depth = 32;

  Queue(const fs::path& path, int client)
      : file_(open_file(path, O_RDONLY | O_DIRECT)), memory_(aligned(depth * block)), offsets_(block, client) {
    check(::syscall(SYS_io_setup, depth, &context_), "io_setup");
    for (std::size_t i = 0; i < depth; ++i) {
      ::iocb& read = reads_[i];
      read.aio_data = i;
      read.aio_lio_opcode = IOCB_CMD_PREAD;
      read.aio_fildes = static_cast<std::uint32_t>(file_->get());
      read.aio_buf = reinterpret_cast<std::uint64_t>(memory_.get() + i * block);
      read.aio_nbytes = block;
      waiting_[i] = &read;
    }
    submit(depth);
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() { ::syscall(SYS_io_destroy, context_); }

  std::uint64_t step() {
    std::array<::io_event, depth> done;
    const auto count =
        check(::syscall(SYS_io_getevents, context_, depth / 2, depth, done.data(), nullptr), "io_getevents");
    for (std::size_t i = 0; i < count; ++i) {
      expect(done[i].res == static_cast<std::int64_t>(block), "an asynchronous read failed");
      waiting_[i] = &reads_[done[i].data];
    }
    submit(count);
    return count;
  }

 private:
  void submit(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) waiting_[i]->aio_offset = offsets_.next();
    for (std::size_t done = 0; done < count;) {
      done += check(::syscall(SYS_io_submit, context_, count - done, waiting_.data() + done), "io_submit");
    }
  }

  File file_;
  std::shared_ptr<char> memory_;
  Offsets offsets_;
  ::aio_context_t context_ = 0;
  std::array<::iocb, depth> reads_{};
  std::array<::iocb*, depth> waiting_{};
};

Step aio(const fs::path& root, int client) {
  return [queue = std::make_shared<Queue>(root / "file", client)] { return queue->step(); };
}

Step create(const fs::path& root, int client) {
  return [path = (root / "made" / std::to_string(client)).string()] {
    ::close(static_cast<int>(check(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "create")));
    check(::unlink(path.c_str()), "unlink");
    return std::uint64_t{1};
  };
}

// Under another name and back.
Step rename(const fs::path& root, int client) {
  const fs::path path = root / "made" / ("moved" + std::to_string(client));
  const int created = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  ::close(static_cast<int>(check(created, "create")));
  return [path = path.string(), other = path.string() + ".new"] {
    check(::rename(path.c_str(), other.c_str()), "rename");
    check(::rename(other.c_str(), path.c_str()), "rename");
    return std::uint64_t{2};
  };
}

Step open(const fs::path& root, int) {
  return [path = (root / "file").string()] {
    ::close(static_cast<int>(check(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open")));
    return std::uint64_t{1};
  };
}

// Lists a directory; what `ls -l` does asks for the attributes of each entry too.
std::uint64_t list(const fs::path& path, bool attributes, std::uint64_t expected) {
  ::DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) throw std::system_error(errno, std::generic_category(), path.string());
  std::uint64_t count = 0;
  while (const ::dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    struct ::stat status {};
    if (attributes) check(::fstatat(::dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW), "stat");
    ++count;
  }
  ::closedir(directory);
  expect(count == expected, "a listing is not complete");
  return count;
}
Step list_long(const fs::path& root, int) {
  return [path = root / "many"] { return list(path, true, 10'000); };
}
Step list_names(const fs::path& root, int) {
  return [path = root / "million"] { return list(path, false, 1'000'000); };
}

// What `find` does: names, and the way down into directories.
std::uint64_t count_below(int parent, const char* name) {
  const int fd = static_cast<int>(check(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), name));
  ::DIR* const directory = ::fdopendir(fd);
  if (directory == nullptr) throw std::system_error(errno, std::generic_category(), name);
  std::uint64_t count = 0;
  while (const ::dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    count += entry->d_type == DT_DIR ? count_below(fd, entry->d_name) : 1;
  }
  ::closedir(directory);
  return count;
}
Step find(const fs::path& root, int) {
  return [path = root / "tree"] {
    const std::uint64_t count = count_below(AT_FDCWD, path.c_str());
    expect(count == 1'000'000, "not everything was found");
    return count;
  };
}

constexpr std::array all = {
    Metric{"getattr", "statx of an open file, attributes not cached", getattr},
    Metric{"deep", "the same, 64 directories deep", deep, false, true},
    Metric{"lookup", "stat of a name that is not cached", lookup},
    Metric{"read-4k", "4 KiB direct read", read<O_DIRECT, block>},
    Metric{"write-4k", "4 KiB direct write", write<O_DIRECT, block>},
    Metric{"aio-read-4k", "4 KiB direct reads, up to 32 under way, half of them waited for together", aio},
    Metric{"read-1m", "1 MiB direct read", read<O_DIRECT, large>},
    Metric{"write-1m", "1 MiB direct write", write<O_DIRECT, large>},
    Metric{"buffered-read-1m", "1 MiB read through the page cache, not cached", read<0, large>},
    Metric{"buffered-write-1m", "1 MiB write through the page cache", write<0, large>},
    Metric{"open", "open and close", open},
    Metric{"create", "create, close and unlink", create},
    Metric{"rename", "rename", rename},
    Metric{"ls-warm", "ls -l of 10,000 files, per file, again", list_long},
    Metric{"ls-cold", "ls -l of 10,000 files, per file, first time", list_long, true},
    Metric{"readdir-million", "names of 1,000,000 files, per file, first time", list_names, true, true},
    Metric{"find-million", "find of 1,000,000 files in 1,000 directories, per file, first time", find, true, true},
};

}  // namespace

std::span<const Metric> metrics() { return all; }

}  // namespace bench
