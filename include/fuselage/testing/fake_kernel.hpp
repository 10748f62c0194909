// Module: testing.
//
// The kernel's side of the protocol without a kernel: a test of a file system that needs no mount and no privileges.
//
//   TEST(Hello, HasOneFile) {
//     Hello hello;
//     FakeKernel kernel(hello, {.on_violation = [](const std::string& what) { ADD_FAILURE() << what; }});
//     const auto file = kernel.lookup(root_ino, "hello");
//     ASSERT_TRUE(file);
//     const auto opened = kernel.open(file->ino, O_RDONLY);
//     EXPECT_EQ(*kernel.read(file->ino, {opened->handle}, {0, 100}), "Hello, world!\n");
//     EXPECT_TRUE(kernel.release(file->ino, {opened->handle}));
//     EXPECT_EQ(kernel.lookup(root_ino, "other").code(), ENOENT);
//   }
//
// A handler is called while its request is sent. The answer may be looked at later, so requests can be under way
// together, be interrupted, and be answered in any order.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <fuselage/file_system.hpp>
#include <fuselage/session_options.hpp>
#include <fuselage/statistics.hpp>
#include <fuselage/testing/answer.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fuselage {

/// What kind of kernel it is, and how the session that it talks to shall run.
struct FakeKernelOptions {
  /// Told, in words, of everything that a kernel would not have taken: an answer of the wrong size, a second answer,
  /// a request without one, ... By default it is written to stderr and the program aborts. In socket mode it is called
  /// from a thread of the fake kernel too.
  std::function<void(const std::string&)> on_violation{};
  /// Requests go through a socket to a real `Session` with real worker threads; otherwise everything happens on the
  /// thread that calls, and nothing happens by itself.
  bool socket = false;
  /// Direct mode: messages arrive in three parts, as they do by io_uring, instead of one.
  bool in_parts = false;
  std::uint32_t major = 7;
  std::uint32_t minor = 45;           ///< The newest protocol that the kernel speaks.
  CapabilitySet offered{UINT64_MAX};  ///< What it can do; those newer than `minor` are left out.
  std::uint32_t max_readahead = 128 * 1024;
  SessionOptions session{};
  /// Socket mode: how long to wait for an answer.
  std::chrono::nanoseconds patience = std::chrono::seconds(20);
};

/// Who makes a request.
struct Caller {
  ::uid_t uid = 0;
  ::gid_t gid = 0;
  ::pid_t pid = 1;
  ::mode_t umask = 0;                     ///< Goes along with what creates a node.
  std::vector<::gid_t> groups{};          ///< The same, if `CREATE_SUPP_GROUP` was agreed on.
  std::vector<SecurityContext> labels{};  ///< The same, if `SECURITY_CTX` was.
};

/// What CUSE_INIT ended with, if `SessionOptions::character_device` is set.
struct AgreedDevice {
  std::vector<std::string> information{};
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  bool unrestricted_ioctl = false;
};

/// What INIT ended with.
struct Agreed {
  std::uint32_t minor = 0;
  CapabilitySet capabilities{};
  std::uint32_t max_write = 0;
  std::uint32_t max_readahead = 0;
  std::uint16_t max_background = 0;
  std::uint16_t congestion_threshold = 0;
  std::uint32_t time_granularity = 0;  ///< Nanoseconds.
  std::uint16_t max_pages = 0;
  std::uint32_t max_stack_depth = 0;
  std::uint16_t request_timeout = 0;  ///< Seconds.
  std::optional<AgreedDevice> device{};
};

/// A notification that the file system sent.
struct Notified {
  std::string name;  ///< As in the protocol: "INVAL_ENTRY".
  std::string body;  ///< The bytes behind the header.
  std::string text;  ///< For people: `INVAL_ENTRY parent=1 name="x"`.
};

/// Plays the kernel for one file system, from INIT to the unmount.
///
/// Each operation sends one request and returns an `Answer`, which waits for its answer when it is looked at. Not
/// thread-safe in direct mode, where handlers may use it too; thread-safe in socket mode.
class FakeKernel {
 public:
  /// Shakes hands. `file_system` must outlive the kernel.
  explicit FakeKernel(FileSystemRef file_system, FakeKernelOptions options = {});
  /// Complains about requests that were never answered, and unmounts.
  ~FakeKernel();
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  /// What was agreed on, or why the session did not begin.
  const Result<Agreed>& agreed() const;

  /// Who makes the requests from now on.
  void set_caller(Caller caller);

  Answer<Entry> lookup(Ino parent, std::string_view name);
  Answer<Attributes> getattr(Ino ino, std::optional<Handle> file = {});
  Answer<Attributes> statx(Ino ino, std::optional<Handle> file = {});
  Answer<Attributes> setattr(Ino ino, const SetAttributes& changes, std::optional<Handle> file = {});
  Answer<std::string> readlink(Ino ino);
  Answer<Entry> mknod(Ino parent, std::string_view name, ::mode_t mode, ::dev_t rdev = 0);
  Answer<Entry> mkdir(Ino parent, std::string_view name, ::mode_t mode = 0755);
  Answer<void> unlink(Ino parent, std::string_view name);
  Answer<void> rmdir(Ino parent, std::string_view name);
  Answer<Entry> symlink(Ino parent, std::string_view name, std::string_view target);
  /// RENAME without flags, RENAME2 with them.
  Answer<void> rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                      RenameFlags flags = {});
  Answer<Entry> link(Ino ino, Ino new_parent, std::string_view new_name);
  Answer<Opened> open(Ino ino, int flags);
  Answer<std::string> read(Ino ino, const OpenFile& file, Range range);
  Answer<std::size_t> write(Ino ino, const OpenFile& file, std::uint64_t offset, std::string_view bytes,
                            WriteFlags flags = {});
  Answer<StatFs> statfs(Ino ino = root_ino);
  Answer<void> release(Ino ino, const OpenFile& file, bool flock_unlock = false);
  Answer<void> fsync(Ino ino, const OpenFile& file, bool data_only = false);
  Answer<void> setxattr(Ino ino, std::string_view name, std::string_view value, XattrFlags flags = {});
  Answer<std::string> getxattr(Ino ino, std::string_view name, std::uint32_t size = 65536);
  /// How large the value is: GETXATTR with size 0.
  Answer<std::size_t> getxattr_size(Ino ino, std::string_view name);
  Answer<std::vector<std::string>> listxattr(Ino ino, std::uint32_t size = 65536);
  Answer<std::size_t> listxattr_size(Ino ino);
  Answer<void> removexattr(Ino ino, std::string_view name);
  Answer<void> flush(Ino ino, const OpenFile& file);
  Answer<Opened> opendir(Ino ino, int flags = 0);
  Answer<std::vector<ListedEntry>> readdir(Ino ino, const OpenFile& file, std::uint64_t offset = 0,
                                           std::uint32_t size = 4096);
  Answer<std::vector<ListedEntry>> readdirplus(Ino ino, const OpenFile& file, std::uint64_t offset = 0,
                                               std::uint32_t size = 4096);
  Answer<void> releasedir(Ino ino, const OpenFile& file);
  Answer<void> fsyncdir(Ino ino, const OpenFile& file, bool data_only = false);
  Answer<Lock> getlk(Ino ino, const OpenFile& file, const Lock& lock);
  /// SETLKW if it waits.
  Answer<void> setlk(Ino ino, const OpenFile& file, const Lock& lock, bool wait = false);
  Answer<void> access(Ino ino, int mask);
  Answer<Created> create(Ino parent, std::string_view name, ::mode_t mode, int flags);
  Answer<std::uint64_t> bmap(Ino ino, std::uint32_t block_size, std::uint64_t block);
  Answer<IoctlReply> ioctl(Ino ino, const OpenFile& file, const IoctlCall& call);
  Answer<std::uint32_t> poll(Ino ino, const OpenFile& file, std::uint32_t events, PollHandle wake = {});
  Answer<void> fallocate(Ino ino, const OpenFile& file, int mode, std::uint64_t offset, std::uint64_t length);
  Answer<std::uint64_t> lseek(Ino ino, const OpenFile& file, std::uint64_t offset, int whence);
  /// COPY_FILE_RANGE_64 where the protocol has it.
  Answer<std::uint64_t> copy_file_range(Ino ino, Handle file, std::uint64_t offset, Ino target_ino, Handle target,
                                        std::uint64_t target_offset, std::uint64_t length, std::uint64_t flags = 0);
  Answer<void> setupmapping(Ino ino, Handle file, const Mapping& mapping);
  Answer<void> removemapping(Ino ino, const std::vector<WindowRange>& ranges);
  Answer<void> syncfs(Ino ino = root_ino);
  Answer<Created> tmpfile(Ino parent, ::mode_t mode, int flags);
  /// What the kernel sends last when it unmounts a block device.
  Answer<void> destroy();

  /// Gives lookups back: FORGET. Never answered.
  void forget(Ino ino, std::uint64_t count = 1);
  /// Gives all lookups of all nodes back, in one BATCH_FORGET where the protocol has it.
  void forget_all();
  /// How many lookups of a node the file system owes: entries delivered less forgotten.
  std::uint64_t lookups(Ino ino) const;
  /// All nodes with at least one.
  std::map<Ino, std::uint64_t> lookups() const;

  /// Tells that the caller of `request` was interrupted. In direct mode true if the session found the request; in
  /// socket mode the interrupt is repeated, as the kernel does it, until it is found or the request answered.
  bool interrupt(const PendingRequest& request);

  /// Any operation by its opcode, with any bytes behind the header; the answer is the bytes behind its header.
  Answer<std::string> request(std::uint32_t opcode, Ino ino, Bytes body);
  /// Any message at all. If it has a header that can be trusted its answer is expected, and checked, as any other.
  void send(Bytes message);
  /// The number that the next request will have; `send` may use it.
  std::uint64_t next_unique();

  /// What the file system told unasked, in order; each is given once.
  std::vector<Notified> notifications();
  /// How the kernel takes notifications from now on: 0, or an errno.
  void answer_notifications(int code);
  /// Answers a RETRIEVE notification with what the page cache holds.
  void answer_retrieve(const Notified& retrieve, std::uint64_t offset, std::string_view bytes);

  /// Direct mode: resumes coroutines that can go on, runs blocking calls, sends queued notifications, until nothing is
  /// left to do. False if there was nothing to do.
  bool run_pending();
  /// Direct mode: lets time pass. Timers and deadlines that fall into it happen in their order.
  void advance(std::chrono::nanoseconds duration);
  /// The next answer is refused with this errno. ENOENT and ENODEV: its caller was killed, the mount is gone, and the
  /// request counts as answered. Others hit the next success, and an error is expected instead. 0: none after all.
  void refuse_next_answer(int code);

  /// Stops the session: handlers see that they are interrupted. In socket mode it waits until `run` has returned.
  Ended stop();
  /// After `stop`: goes on.
  void resume();
  /// Ends the connection, as umount(8) does; the file system's `destroy` is called. In socket mode: why `run` returned.
  Ended unmount();

  Statistics statistics() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fuselage
