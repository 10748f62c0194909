// Hello, world! with the functions of llfuse: one file in one directory. Usage: llfuse_hello MOUNTPOINT
#include <fuselage/llfuse.hpp>
#include <iostream>

class Hello : public llfuse::Operations {
 public:
  llfuse::EntryAttributes getattr(std::uint64_t inode, const llfuse::RequestContext&) override {
    llfuse::EntryAttributes attr;
    attr.st_ino = inode;
    attr.st_mode = inode == file ? S_IFREG | 0444 : S_IFDIR | 0755;
    attr.st_size = inode == file ? text.size() : 0;
    return attr;
  }
  llfuse::EntryAttributes lookup(std::uint64_t, std::string_view name, const llfuse::RequestContext& ctx) override {
    if (name != "hello") throw llfuse::FUSEError(ENOENT);
    return getattr(file, ctx);
  }
  std::uint64_t opendir(std::uint64_t inode, const llfuse::RequestContext&) override { return inode; }
  void readdir(std::uint64_t, std::uint64_t off, const llfuse::Yield& yield) override {
    if (off == 0) yield("hello", getattr(file, {}), 1);
  }
  std::uint64_t open(std::uint64_t inode, int flags, const llfuse::RequestContext&) override {
    if ((flags & O_ACCMODE) != O_RDONLY) throw llfuse::FUSEError(EACCES);
    return inode;
  }
  std::string read(std::uint64_t, std::uint64_t off, std::size_t size) override {
    return off < text.size() ? std::string(text.substr(off, size)) : std::string();
  }

 private:
  static constexpr std::uint64_t file = llfuse::ROOT_INODE + 1;
  static constexpr std::string_view text = "Hello, world!\n";
};

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MOUNTPOINT\n";
    return 2;
  }
  Hello hello;
  auto options = llfuse::default_options;
  options.insert("fsname=llfuse_hello");
  llfuse::init(hello, argv[1], options);
  llfuse::main();
  llfuse::close();
  return 0;
} catch (const std::exception& error) {
  std::cerr << argv[0] << ": " << error.what() << '\n';
  return 1;
}
