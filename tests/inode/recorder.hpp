// A file system that writes down what it is asked, and answers with values that nobody could mix up.
#pragma once

#include <fmt/format.h>

#include <fuselage/async.hpp>
#include <fuselage/file_system.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fuselage {

class Recorder : public FileSystem {
 public:
  enum class How { value, error, coroutine };
  How how = How::value;
  static constexpr int code = EXDEV;

  std::string last;  ///< The last call, as text.

  static Attributes attributes() {
    Attributes out = Attributes::file(0x123456789a);
    out.mode = S_IFREG | S_ISVTX | 0751;
    out.nlink = 3;
    out.uid = 1001;
    out.gid = 1002;
    out.rdev = 0x801;
    out.blocks = 77;
    out.block_size = 8192;
    out.atime = {-5, 6};
    out.mtime = {7'000'000'000, 999'999'999};
    out.ctime = {8, 9};
    out.ino = Ino{4711};
    out.timeout = std::chrono::milliseconds(2500);
    return out;
  }
  static Entry entry() {
    Entry out;
    out.ino = Ino{0xabcdef01234};
    out.generation = 5;
    out.attributes = attributes();
    out.timeout = std::chrono::nanoseconds(3'000'000'001);
    return out;
  }
  static Opened opened() {
    Opened out;
    out.handle = Handle{0xfeedface12345678};
    out.direct_io = out.nonseekable = out.noflush = out.parallel_direct_writes = true;
    return out;
  }

  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override {
    return give<Entry>(
        context, [=] { return fmt::format("lookup {} {}", n(parent), name); }, entry());
  }
  void forget(Ino ino, std::uint64_t count) override { last += fmt::format("forget {} {};", n(ino), count); }
  Reply<Attributes> getattr(const Context& context, Ino ino, const OpenFile* file) override {
    return give<Attributes>(
        context, [=] { return fmt::format("getattr {} {}", n(ino), text(file)); }, attributes());
  }
  Reply<Attributes> setattr(const Context& context, Ino ino, const SetAttributes& changes,
                            const OpenFile* file) override {
    return give<Attributes>(
        context, [=, &changes] { return fmt::format("setattr {} {} {}", n(ino), text(changes), text(file)); },
        attributes());
  }
  Reply<std::string> readlink(const Context& context, Ino ino) override {
    return give<std::string>(
        context, [=] { return fmt::format("readlink {}", n(ino)); }, "../target of it");
  }
  Reply<Entry> mknod(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev) override {
    return give<Entry>(
        context,
        [=, &context] {
          return fmt::format("mknod {} {} {:o} {} umask {:o}", n(parent), name, mode, rdev, context.umask);
        },
        entry());
  }
  Reply<Entry> mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) override {
    return give<Entry>(
        context,
        [=, this, &context] { return fmt::format("mkdir {} {} {:o} {}", n(parent), name, mode, who(context)); },
        entry());
  }
  Reply<void> unlink(const Context& context, Ino parent, std::string_view name) override {
    return give(context, [=] { return fmt::format("unlink {} {}", n(parent), name); });
  }
  Reply<void> rmdir(const Context& context, Ino parent, std::string_view name) override {
    return give(context, [=] { return fmt::format("rmdir {} {}", n(parent), name); });
  }
  Reply<Entry> symlink(const Context& context, Ino parent, std::string_view name, std::string_view target) override {
    return give<Entry>(
        context, [=] { return fmt::format("symlink {} {} -> {}", n(parent), name, target); }, entry());
  }
  Reply<void> rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                     std::string_view new_name, RenameFlags flags) override {
    return give(context, [=] {
      return fmt::format("rename {} {} {} {} {}{}{}", n(parent), name, n(new_parent), new_name,
                         flags.no_replace ? "n" : "-", flags.exchange ? "x" : "-", flags.whiteout ? "w" : "-");
    });
  }
  Reply<Entry> link(const Context& context, Ino ino, Ino new_parent, std::string_view new_name) override {
    return give<Entry>(
        context, [=] { return fmt::format("link {} {} {}", n(ino), n(new_parent), new_name); }, entry());
  }
  Reply<Opened> open(const Context& context, Ino ino, OpenFlags flags) override {
    return give<Opened>(
        context, [=] { return fmt::format("open {} {:o}", n(ino), flags.value); }, opened());
  }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    return give<Data>(
        context, [=, &file] { return fmt::format("read {} {} {}+{}", n(ino), text(&file), range.offset, range.size); },
        Data::borrow("what was read"));
  }
  Reply<std::size_t> write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset, Bytes bytes,
                           WriteFlags flags) override {
    return give<std::size_t>(
        context,
        [=, &file] {
          return fmt::format("write {} {} {} '{}' {}{}", n(ino), text(&file), offset, text_of(bytes),
                             flags.from_cache ? "c" : "-", flags.kill_suidgid ? "k" : "-");
        },
        bytes.size() - 1);
  }
  Reply<StatFs> statfs(const Context& context, Ino ino) override {
    return give<StatFs>(
        context, [=] { return fmt::format("statfs {}", n(ino)); }, StatFs{1, 2, 3, 4, 5, 4096, 512, 200});
  }
  Reply<void> release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) override {
    return give(context, [=, &file] { return fmt::format("release {} {} {}", n(ino), text(&file), flock_unlock); });
  }
  Reply<void> fsync(const Context& context, Ino ino, const OpenFile& file, bool data_only) override {
    return give(context, [=, &file] { return fmt::format("fsync {} {} {}", n(ino), text(&file), data_only); });
  }
  Reply<void> setxattr(const Context& context, Ino ino, std::string_view name, Bytes value, XattrFlags flags) override {
    return give(context, [=] {
      return fmt::format("setxattr {} {} '{}' {}{}{}", n(ino), name, text_of(value), flags.create ? "c" : "-",
                         flags.replace ? "r" : "-", flags.acl_kill_sgid ? "k" : "-");
    });
  }
  Reply<Data> getxattr(const Context& context, Ino ino, std::string_view name) override {
    return give<Data>(
        context, [=] { return fmt::format("getxattr {} {}", n(ino), name); }, Data::borrow("a value"));
  }
  Reply<std::vector<std::string>> listxattr(const Context& context, Ino ino) override {
    return give<std::vector<std::string>>(context, [=] { return fmt::format("listxattr {}", n(ino)); },
                                          {"user.a", "user.second"});
  }
  Reply<void> removexattr(const Context& context, Ino ino, std::string_view name) override {
    return give(context, [=] { return fmt::format("removexattr {} {}", n(ino), name); });
  }
  Reply<void> flush(const Context& context, Ino ino, const OpenFile& file) override {
    return give(context, [=, &file] { return fmt::format("flush {} {}", n(ino), text(&file)); });
  }
  Reply<Opened> opendir(const Context& context, Ino ino, OpenFlags flags) override {
    Opened out;
    out.handle = Handle{99};
    out.keep_cache = out.cache_dir = true;
    return give<Opened>(
        context, [=] { return fmt::format("opendir {} {:o}", n(ino), flags.value); }, out);
  }
  Reply<void> readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                      DirectorySink& sink) override {
    return give(context, [=, this, &file, &sink] {
      if (how != How::error) {
        sink.add(".", Ino{10}, FileType::directory, 11);
        sink.add("with an entry", entry(), 12);
        sink.add("without", Ino{13}, FileType::symlink, 14);
      }
      return fmt::format("readdir {} {} {} {}", n(ino), text(&file), offset, sink.wants_entries() ? "plus" : "plain");
    });
  }
  Reply<void> releasedir(const Context& context, Ino ino, const OpenFile& file) override {
    return give(context, [=, &file] { return fmt::format("releasedir {} {}", n(ino), text(&file)); });
  }
  Reply<void> fsyncdir(const Context& context, Ino ino, const OpenFile& file, bool data_only) override {
    return give(context, [=, &file] { return fmt::format("fsyncdir {} {} {}", n(ino), text(&file), data_only); });
  }
  Reply<Lock> getlk(const Context& context, Ino ino, const OpenFile& file, Lock lock) override {
    Lock held = lock;
    held.pid = 321;
    held.type = Lock::Type::write;
    return give<Lock>(
        context, [=, &file] { return fmt::format("getlk {} {} {}", n(ino), text(&file), text(lock)); }, held);
  }
  Reply<void> setlk(const Context& context, Ino ino, const OpenFile& file, Lock lock, bool wait) override {
    return give(context,
                [=, &file] { return fmt::format("setlk {} {} {} {}", n(ino), text(&file), text(lock), wait); });
  }
  Reply<void> access(const Context& context, Ino ino, int mask) override {
    return give(context, [=] { return fmt::format("access {} {}", n(ino), mask); });
  }
  Reply<Created> create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                        OpenFlags flags) override {
    return give<Created>(
        context, [=] { return fmt::format("create {} {} {:o} {:o}", n(parent), name, mode, flags.value); },
        Created{entry(), opened()});
  }
  Reply<std::uint64_t> bmap(const Context& context, Ino ino, std::uint32_t block_size, std::uint64_t block) override {
    return give<std::uint64_t>(
        context, [=] { return fmt::format("bmap {} {} {}", n(ino), block_size, block); }, 0x1122334455);
  }
  Reply<IoctlReply> ioctl(const Context& context, Ino ino, const OpenFile& file, const IoctlCall& call) override {
    IoctlReply reply;
    reply.result = 7;
    reply.output = Data::borrow("out");
    return give<IoctlReply>(
        context,
        [=, &file, &call] {
          return fmt::format("ioctl {} {} {:x} {:x} '{}' {} {}{}{}", n(ino), text(&file), call.command, call.argument,
                             text_of(call.input), call.output_size, call.compat ? "c" : "-",
                             call.unrestricted ? "u" : "-", call.directory ? "d" : "-");
        },
        std::move(reply));
  }
  Reply<std::uint32_t> poll(const Context& context, Ino ino, const OpenFile& file, std::uint32_t events,
                            PollHandle wake) override {
    return give<std::uint32_t>(
        context,
        [=, &file] {
          return fmt::format("poll {} {} {:x} {}", n(ino), text(&file), events, static_cast<std::uint64_t>(wake));
        },
        0x41);
  }
  Reply<void> fallocate(const Context& context, Ino ino, const OpenFile& file, int mode, std::uint64_t offset,
                        std::uint64_t length) override {
    return give(context, [=, &file] {
      return fmt::format("fallocate {} {} {} {}+{}", n(ino), text(&file), mode, offset, length);
    });
  }
  Reply<std::uint64_t> lseek(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                             int whence) override {
    return give<std::uint64_t>(
        context, [=, &file] { return fmt::format("lseek {} {} {} {}", n(ino), text(&file), offset, whence); },
        0x5566778899);
  }
  Reply<std::uint64_t> copy_file_range(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                       Ino target_ino, const OpenFile& target, std::uint64_t target_offset,
                                       std::uint64_t length, std::uint64_t flags) override {
    return give<std::uint64_t>(
        context,
        [=, &file, &target] {
          return fmt::format("copy_file_range {} {} {} {} {} {} {} {}", n(ino), text(&file), offset, n(target_ino),
                             text(&target), target_offset, length, flags);
        },
        length - 1);
  }
  Reply<void> setupmapping(const Context& context, Ino ino, const OpenFile& file, Mapping mapping) override {
    return give(context, [=, &file] {
      return fmt::format("setupmapping {} {} {}+{} at {} {}{}", n(ino), text(&file), mapping.file_offset,
                         mapping.length, mapping.window_offset, mapping.readable ? "r" : "-",
                         mapping.writable ? "w" : "-");
    });
  }
  Reply<void> removemapping(const Context& context, Ino ino, std::span<const WindowRange> ranges) override {
    return give(context, [=] {
      std::string line = fmt::format("removemapping {}", n(ino));
      for (const WindowRange& range : ranges) line += fmt::format(" {}+{}", range.offset, range.length);
      return line;
    });
  }
  Reply<void> syncfs(const Context& context, Ino ino) override {
    return give(context, [=] { return fmt::format("syncfs {}", n(ino)); });
  }
  Reply<Created> tmpfile(const Context& context, Ino parent, mode_t mode, OpenFlags flags) override {
    return give<Created>(
        context, [=] { return fmt::format("tmpfile {} {:o} {:o}", n(parent), mode, flags.value); },
        Created{entry(), opened()});
  }

  /// Set to see the words of the notifications' senders, groups and labels in the record of mkdir.
  bool tell_who = false;

 private:
  static std::uint64_t n(Ino ino) { return static_cast<std::uint64_t>(ino); }
  static std::string text(const OpenFile* file) {
    if (file == nullptr) return "(no file)";
    return fmt::format("[{} {:o} {}]", static_cast<std::uint64_t>(file->handle), file->flags.value,
                       static_cast<std::uint64_t>(file->lock_owner));
  }
  static std::string text(const Lock& lock) {
    constexpr std::string_view types[] = {"read", "write", "unlock"};
    return fmt::format("{} {}-{} pid {} {}", types[static_cast<int>(lock.type)], lock.start, lock.end, lock.pid,
                       lock.flock ? "flock" : "posix");
  }
  static std::string text(const SetAttributes& changes) {
    std::string line;
    const auto add = [&line](const char* name, const auto& value) {
      if (value) line += fmt::format("{}={} ", name, *value);
    };
    const auto add_time = [&line](const char* name, const std::optional<Timestamp>& value) {
      if (value) line += fmt::format("{}={}.{} ", name, value->seconds, value->nanoseconds);
    };
    add("mode", changes.mode);
    add("uid", changes.uid);
    add("gid", changes.gid);
    add("size", changes.size);
    add_time("atime", changes.atime);
    add_time("mtime", changes.mtime);
    add_time("ctime", changes.ctime);
    if (changes.kill_suidgid) line += "kill ";
    return line;
  }
  std::string who(const Context& context) const {
    std::string line =
        fmt::format("uid {} gid {} pid {} umask {:o}", context.uid, context.gid, context.pid, context.umask);
    if (!tell_who) return line;
    for (const ::gid_t group : context.supplementary_groups()) line += fmt::format(" group {}", group);
    for (const SecurityContext& label : context.security_contexts()) {
      line += fmt::format(" {}='{}'", label.name, label.value);
    }
    return line;
  }

  template <class T, class Record>
  Reply<T> give(const Context& context, Record record, T value) {
    if (how == How::coroutine) return later<T>(context, std::move(record), std::move(value));
    last = record();
    if (how == How::error) return Error{code};
    return value;
  }
  template <class Record>
  Reply<void> give(const Context& context, Record record) {
    if (how == How::coroutine) return later(context, std::move(record));
    last = record();
    if (how == How::error) return Error{code};
    return {};
  }
  // What the arguments refer to is looked at after the wait.
  template <class T, class Record>
  Reply<T> later(const Context& context, Record record, T value) {
    // g++ 12 does not suspend in `if (!co_await ...)`.
    const Result<void> slept = co_await sleep_for(context, std::chrono::seconds(1));
    if (!slept) co_return slept.error();
    last = record();
    co_return std::move(value);
  }
  template <class Record>
  Reply<void> later(const Context& context, Record record) {
    // g++ 12 does not suspend in `if (!co_await ...)`.
    const Result<void> slept = co_await sleep_for(context, std::chrono::seconds(1));
    if (!slept) co_return slept.error();
    last = record();
    co_return Result<void>();
  }
};

}  // namespace fuselage
