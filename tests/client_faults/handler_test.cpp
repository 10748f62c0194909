// Handlers that throw or answer nonsense: one caller gets an error, the mount goes on.
#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include <atomic>
#include <fstream>
#include <map>

#include "base/unique_fd.hpp"
#include "support/log_lines.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/served.hpp"
#include "support/shared.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;
using base::UniqueFd;

// Opens, reads and closes; the text, or "errno N".
std::string content(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return "errno " + std::to_string(errno);
  std::string text(4096, '\0');
  const ssize_t size = ::read(fd.get(), text.data(), text.size());
  if (size < 0) return "errno " + std::to_string(errno);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// The errno that listing a directory ends with; 0 for success.
int list_failure(const fs::path& path) {
  ::DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return errno;
  errno = 0;
  while (::readdir(directory) != nullptr) {
  }
  const int error = errno;
  ::closedir(directory);
  return error;
}

class HandlerFaults : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) path_ = make_directory();
  }

  // A fault stays with the one who asked for it.
  static void expect_alive(const Served& served) { EXPECT_EQ(content(served.path("file")), "Hello, world!\n"); }

  fs::path path_;
};

class Throwing : public Shelf {
 public:
  Throwing() : Shelf({"file", "system", "memory", "other", "strange", "later", "bad_errno"}) {}

  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    if (ino == ino_of("system")) throw std::system_error(EDQUOT, std::generic_category(), "the quota");
    if (ino == ino_of("memory")) throw std::bad_alloc();
    if (ino == ino_of("other")) throw std::runtime_error("the reason why");
    if (ino == ino_of("strange")) throw 42;
    if (ino == ino_of("later")) return throws_later();
    if (ino == ino_of("bad_errno")) return Error{-5000};
    return Shelf::read(context, ino, file, range);
  }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes, WriteFlags) override {
    throw std::system_error(ENOSPC, std::generic_category());
  }
  Reply<StatFs> statfs(const Context&, Ino) override { throw std::logic_error("statfs"); }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{}; }
  Reply<void> release(const Context&, Ino, const OpenFile&, bool) override { throw std::logic_error("release"); }
  void forget(Ino, std::uint64_t) override { throw std::logic_error("forget"); }

 private:
  static Reply<Data> throws_later() {
    throw std::system_error(EDOM, std::generic_category());
    co_return Data();
  }
};

TEST_F(HandlerFaults, an_exception_becomes_its_errno_and_a_line_in_the_log) {
  LogLines log;
  Throwing file_system;
  const Served served(file_system, path_);
  const std::map<std::string, int> expected = {{"system", EDQUOT}, {"memory", ENOMEM}, {"other", EIO},
                                               {"strange", EIO},   {"later", EDOM},    {"bad_errno", EIO}};
  for (const auto& [name, error] : expected) {
    EXPECT_EQ(content(served.path(name)), "errno " + std::to_string(error)) << name;
    expect_alive(served);
  }
  EXPECT_TRUE(log.has({"READ", "the reason why"})) << ::testing::PrintToString(log.lines());
}

TEST_F(HandlerFaults, an_exception_does_no_harm_in_any_operation) {
  LogLines log;
  Throwing file_system;
  const Served served(file_system, path_);
  UniqueFd fd(::open(served.path("file").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fd);
  EXPECT_EQ(failure(::write(fd.get(), "x", 1)), ENOSPC);
  struct ::statfs status {};
  EXPECT_EQ(failure(::statfs(path_.c_str(), &status)), EIO);
  // Makes the kernel forget.
  std::ofstream("/proc/sys/vm/drop_caches") << 2;
  expect_alive(served);
  // close(2) does not wait for the handler, and an unmount would overtake it (fuse_abort_conn).
  fd.reset();
  EXPECT_TRUE(eventually([&] { return log.has({"RELEASE"}); }));
}

// Answers that no kernel would accept, and some that it would accept to somebody's harm.
class Nonsense : public Shelf {
 public:
  Nonsense() : Shelf({"file", "long", "typeless", "negative_size", "root", "no_ino", "ioctl"}) {}

  Shared<std::string> listed_name{"x"};
  std::atomic<std::size_t> written{0};

  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override {
    if (name == "no_ino") return Entry{};
    Entry entry = must(Shelf::lookup(context, parent, name).take());
    if (name == "typeless") entry.attributes.mode = 0644;
    if (name == "negative_size") entry.attributes.size = 1ull << 63;
    if (name == "root") {
      entry.ino = root_ino;
      entry.attributes = attributes(root_ino);
    }
    return entry;
  }
  void forget(Ino ino, std::uint64_t count) override { forgotten_[ino] += count; }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    if (ino == ino_of("long")) return Data::own(std::string(range.size + 1, 'x'));
    return Shelf::read(context, ino, file, range);
  }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes, WriteFlags) override {
    return written.load();
  }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    if (offset == 0) sink.add(listed_name.get(), Ino{2}, FileType::regular, 1);
    return {};
  }
  Reply<IoctlReply> ioctl(const Context&, Ino, const OpenFile&, const IoctlCall& call) override {
    IoctlReply reply;
    if (call.command == _IOR('x', 1, int)) reply.output = Data::own(std::string(call.output_size + 1, 'x'));
    if (call.command == _IOR('x', 2, int)) reply.retry = true;
    return reply;
  }
  Reply<Created> create(const Context&, Ino, std::string_view, mode_t, OpenFlags) override { return Created{}; }
  Reply<Entry> mkdir(const Context&, Ino, std::string_view, mode_t) override {
    return entry(ino_of("file"));  // a regular file
  }

  std::uint64_t forgotten(std::string_view name) const {
    const auto at = forgotten_.find(ino_of(name));
    return at == forgotten_.end() ? 0 : at->second;
  }

 private:
  std::map<Ino, std::uint64_t> forgotten_;
};

TEST_F(HandlerFaults, a_read_of_more_than_was_asked_for_is_refused) {
  const LogLines log;
  Nonsense file_system;
  const Served served(file_system, path_);
  EXPECT_EQ(content(served.path("long")), "errno " + std::to_string(EIO));
  EXPECT_TRUE(log.has({"READ", "more bytes than were asked for"}));
  expect_alive(served);
}

TEST_F(HandlerFaults, a_write_of_more_than_was_given_is_refused) {
  const LogLines log;
  Nonsense file_system;
  const Served served(file_system, path_);
  const UniqueFd fd(::open(served.path("file").c_str(), O_WRONLY | O_CLOEXEC));
  file_system.written = 5;
  EXPECT_EQ(failure(::write(fd.get(), "four", 4)), EIO);
  file_system.written = 4;
  EXPECT_EQ(::write(fd.get(), "four", 4), 4);
  EXPECT_TRUE(log.has({"WRITE"}));
  expect_alive(served);
}

TEST_F(HandlerFaults, a_listing_with_an_impossible_name_is_refused) {
  const LogLines log;
  Nonsense file_system;
  const Served served(file_system, path_, {}, {.disable = CapabilitySet{Capability::READDIRPLUS}});
  for (const std::string& name : {std::string("a/b"), std::string(), std::string("a\0b", 3), std::string(256, 'x')}) {
    file_system.listed_name.set(name);
    EXPECT_EQ(list_failure(path_), EIO) << name;
  }
  file_system.listed_name.set(std::string(255, 'x'));
  EXPECT_EQ(list_failure(path_), 0);
  expect_alive(served);
}

TEST_F(HandlerFaults, an_entry_that_cannot_be_is_refused_and_given_back) {
  const LogLines log;
  Nonsense file_system;
  {
    const Served served(file_system, path_);
    struct stat status {};
    EXPECT_EQ(failure(::stat(served.path("typeless").c_str(), &status)), EIO);
    EXPECT_EQ(failure(::stat(served.path("negative_size").c_str(), &status)), EIO);
    EXPECT_EQ(failure(::stat(served.path("root").c_str(), &status)), EIO);
    EXPECT_EQ(failure(::stat(served.path("no_ino").c_str(), &status)), ENOENT);
    EXPECT_EQ(failure(::open(served.path("new").c_str(), O_CREAT | O_WRONLY, 0644)), EIO);
    EXPECT_EQ(failure(::mkdir(served.path("new").c_str(), 0755)), EIO);
    expect_alive(served);
  }
  EXPECT_EQ(file_system.forgotten("typeless"), 1u);
  EXPECT_EQ(file_system.forgotten("negative_size"), 1u);
  EXPECT_TRUE(log.has({"LOOKUP", "mode without a file type"}));
}

class LongAttribute : public Shelf {
 public:
  Reply<Data> getxattr(const Context&, Ino, std::string_view) override { return Data::own(std::string(100000, 'x')); }
};

TEST_F(HandlerFaults, an_attribute_that_is_too_long_is_refused) {
  LongAttribute file_system;
  const Served served(file_system, path_);
  std::string value(XATTR_SIZE_MAX, '\0');
  const int error = failure(::getxattr(served.path("file").c_str(), "user.x", value.data(), value.size()));
  EXPECT_TRUE(error == E2BIG || error == ERANGE) << error;
  expect_alive(served);
}

TEST_F(HandlerFaults, an_ioctl_with_too_much_output_or_a_retry_is_refused) {
  const LogLines log;
  Nonsense file_system;
  const Served served(file_system, path_);
  const UniqueFd fd(::open(served.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  int value = 7;
  EXPECT_EQ(failure(::ioctl(fd.get(), _IOR('x', 1, int), &value)), EIO);
  EXPECT_EQ(failure(::ioctl(fd.get(), _IOR('x', 2, int), &value)), EIO);
  EXPECT_EQ(value, 7);
  EXPECT_EQ(::ioctl(fd.get(), _IOR('x', 3, int), &value), 0);
  expect_alive(served);
}

class Links : public Shelf {
 public:
  Links() : Shelf({"file", "link"}) {}
  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override {
    Reply<Entry> found = Shelf::lookup(context, parent, name);
    if (name != "link") return found;
    Entry entry = must(found.take());
    entry.attributes = Attributes::symlink(9000);
    return entry;
  }
  Reply<std::string> readlink(const Context&, Ino) override { return std::string(9000, 'x'); }
};

TEST_F(HandlerFaults, a_link_that_is_too_long_is_cut) {
  Links file_system;
  const Served served(file_system, path_);
  std::string target(8192, '\0');
  EXPECT_EQ(::readlink(served.path("link").c_str(), target.data(), target.size()), 4095);
  expect_alive(served);
}

}  // namespace
}  // namespace fuselage::test
