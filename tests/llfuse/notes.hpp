// A file system for the tests of llfuse: a directory with one file, which counts what it is asked.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <fuselage/llfuse.hpp>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/served.hpp"

namespace fuselage::test {

constexpr std::uint64_t note = 2;

/// "note", inode 2.
class Notes : public llfuse::Operations {
 public:
  using Ctx = llfuse::RequestContext;
  using Attr = llfuse::EntryAttributes;

  std::atomic<int> inits{0}, destroys{0}, lookups{0}, getattrs{0}, reads{0}, accesses{0};
  std::function<void()> in_getattr = [] {};
  std::function<void()> in_read = [] {};
  double timeout = 300;
  std::atomic<bool> absent{false};

  void set_text(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  /// Those that were in handlers since the last call.
  std::set<std::thread::id> threads() {
    const std::lock_guard lock(mutex_);
    return std::exchange(threads_, {});
  }

  void init() override { seen(), ++inits; }
  void destroy() override { ++destroys; }
  Attr lookup(std::uint64_t parent, std::string_view name, const Ctx&) override {
    seen(), ++lookups;
    if (parent != llfuse::ROOT_INODE || name != "note" || absent) throw llfuse::FUSEError(ENOENT);
    return attributes(note);
  }
  Attr getattr(std::uint64_t inode, const Ctx&) override {
    seen(), ++getattrs;
    in_getattr();
    return attributes(inode);
  }
  bool access(std::uint64_t, int, const Ctx&) override { return seen(), ++accesses, true; }
  std::uint64_t open(std::uint64_t inode, int, const Ctx&) override { return seen(), inode; }
  std::string read(std::uint64_t, std::uint64_t off, std::size_t size) override {
    seen(), ++reads;
    in_read();
    const std::string whole = text();
    return off < whole.size() ? whole.substr(off, size) : std::string();
  }
  std::uint64_t opendir(std::uint64_t inode, const Ctx&) override { return seen(), inode; }
  void readdir(std::uint64_t, std::uint64_t off, const llfuse::Yield& yield) override {
    seen();
    if (off == 0) yield("note", attributes(note), 1);
  }

 private:
  void seen() {
    const std::lock_guard lock(mutex_);
    threads_.insert(std::this_thread::get_id());
  }
  Attr attributes(std::uint64_t inode) const {
    Attr attr;
    attr.st_ino = inode;
    attr.st_mode = inode == note ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr.st_size = inode == note ? text().size() : 0;
    attr.attr_timeout = attr.entry_timeout = timeout;
    return attr;
  }

  mutable std::mutex mutex_;
  std::string text_ = "first text";
  std::set<std::thread::id> threads_;
};

/// Each test mounts with `llfuse::init`; what it leaves is closed.
class Llfuse : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) mountpoint_ = make_directory();
  }
  void TearDown() override {
    if (main_.valid()) {
      llfuse::stop();
      main_.wait();
    }
    if (initialised_) llfuse::close();
    MountTest::TearDown();
  }

  void init(const llfuse::Options& options = llfuse::default_options) {
    llfuse::init(ops_, mountpoint_, options);
    initialised_ = true;
  }
  void close(bool unmount = true) {
    initialised_ = false;
    llfuse::close(unmount);
  }
  template <class Ops>
  void serve(Ops& ops, const llfuse::Options& options = llfuse::default_options) {
    llfuse::init(ops, mountpoint_, options);
    initialised_ = true;
    start();
  }
  /// `main` on a thread of its own, from here on.
  void start(unsigned workers = llfuse::default_workers, bool handle_signals = true) {
    main_ = std::async(std::launch::async, [=] { return llfuse::main(workers, handle_signals); });
  }
  void init_and_start(const llfuse::Options& options = llfuse::default_options) {
    init(options);
    start();
    ::access(mountpoint_.c_str(), F_OK);  // the first answer: it serves
  }
  /// What `main` returns; fails if that takes too long.
  std::optional<int> ended() {
    if (main_.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
      ADD_FAILURE() << "main does not return";
      llfuse::stop();
    }
    return main_.get();
  }
  void unmount() { EXPECT_EQ(::umount2(mountpoint_.c_str(), MNT_DETACH), 0); }

  std::string path(const std::string& name = "note") const { return mountpoint_ / name; }
  static std::string content(const std::string& path) {
    std::string text(8192, '\0');
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? -1 : ::read(fd, text.data(), text.size());
    const std::string error = std::generic_category().message(errno);
    if (fd >= 0) ::close(fd);
    return size < 0 ? error : text.substr(0, static_cast<std::size_t>(size));
  }
  static int stat_error(const std::string& path) {
    struct ::stat status {};
    return failure(::stat(path.c_str(), &status));
  }

  Notes ops_;
  std::filesystem::path mountpoint_;
  bool initialised_ = false;
  std::future<std::optional<int>> main_;
};

}  // namespace fuselage::test
