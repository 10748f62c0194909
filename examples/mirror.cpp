// Another directory, seen through this mount. Its handlers are coroutines that wait for an io_uring, so that a slow
// disk or server below holds up nobody but who asked.
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fuselage/fuselage.hpp>
#include <string>

using namespace fuselage;

// An open file below. Shared, for a read may still be under way when another thread closes the file.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

class Mirror : public PathFileSystem {
 public:
  void options(OptionSet& table) { table.value("from", &from_, "the directory to show"); }

  Result<void> init(PathSetup&) override {
    const int fd = ::open(from_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return Error{errno, "cannot show '" + from_ + "' (-o from=DIRECTORY)"};
    root_ = std::make_unique<File>(fd);
    return {};
  }

  Reply<Attributes> getattr(const Context& context, Path path, const OpenFile*) override {
    struct ::statx found {};
    const Result<void> done = co_await io::statx(context, root_->fd(), below(path), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
                                                 STATX_BASIC_STATS | STATX_BTIME, found);
    if (!done) co_return done.error();
    co_return attributes_of(found);
  }

  Reply<Opened> open(const Context& context, Path path, OpenFlags flags) override {
    const Result<int> fd = co_await io::openat(context, root_->fd(), below(path), flags.value & ~O_CREAT);
    if (!fd) co_return fd.error();
    co_return Opened{.handle = files_.open(std::make_shared<File>(*fd))};
  }

  Reply<Data> read(const Context& context, Path, const OpenFile& open, Range range) override {
    const std::shared_ptr<File> file = files_.find(open.handle);
    const std::span<std::byte> buffer = context.reply_buffer(range.size);
    const Result<std::size_t> size = co_await io::read(context, file->fd(), buffer, range.offset);
    if (!size) co_return size.error();
    co_return Data::borrow(buffer.first(*size));
  }

  Reply<std::size_t> write(const Context& context, Path, const OpenFile& open, std::uint64_t offset, Bytes bytes,
                           WriteFlags) override {
    const std::shared_ptr<File> file = files_.find(open.handle);
    std::size_t written = 0;
    while (written < bytes.size()) {
      const Result<std::size_t> size =
          co_await io::write(context, file->fd(), bytes.subspan(written), offset + written);
      if (!size) co_return size.error();
      written += *size;
    }
    co_return written;
  }

  Reply<void> fsync(const Context& context, Path, const OpenFile& open, bool data_only) override {
    const std::shared_ptr<File> file = files_.find(open.handle);
    const Result<void> done = co_await io::fsync(context, file->fd(), data_only);
    co_return done;
  }

  Reply<void> release(const Context&, Path, const OpenFile& open, bool) override {
    files_.close(open.handle);
    return {};
  }

  // io_uring lists no directories: this goes to a thread that may block.
  Reply<void> readdir(const Context& context, Path path, const OpenFile&, std::uint64_t,
                      PathDirectorySink& sink) override {
    co_return co_await run_blocking(context, [&] {
      for (const auto& entry : std::filesystem::directory_iterator(from_ + path.string())) {
        if (!sink.add(entry.path().filename().native())) break;
      }
    });
  }

 private:
  // Relative to the root, which is the empty path.
  static const char* below(Path path) { return path.c_str() + 1; }

  static Timestamp timestamp(const ::statx_timestamp& time) { return Timestamp{time.tv_sec, time.tv_nsec}; }

  static Attributes attributes_of(const struct ::statx& found) {
    return Attributes{.mode = found.stx_mode,
                      .nlink = found.stx_nlink,
                      .uid = found.stx_uid,
                      .gid = found.stx_gid,
                      .rdev = ::makedev(found.stx_rdev_major, found.stx_rdev_minor),
                      .size = found.stx_size,
                      .blocks = found.stx_blocks,
                      .block_size = found.stx_blksize,
                      .atime = timestamp(found.stx_atime),
                      .mtime = timestamp(found.stx_mtime),
                      .ctime = timestamp(found.stx_ctime),
                      .btime = timestamp(found.stx_btime)};
  }

  std::string from_;
  std::unique_ptr<File> root_;
  HandleTable<File> files_;
};

int main(int argc, char** argv) { return fuselage::run<Mirror>(argc, argv); }
