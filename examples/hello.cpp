// A file system with one file, at inode level.
#include <fuselage/fuselage.hpp>

using namespace fuselage;

class Hello : public FileSystem {
 public:
  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override {
    if (parent == root_ino && name == "hello") return Entry{hello, 0, Attributes::file(text.size()), {}};
    return Error{ENOENT};
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
    return ino == hello ? Attributes::file(text.size()) : Attributes::directory();
  }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    if (offset == 0) sink.add("hello", hello, FileType::regular, 1);
    return {};
  }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
    return Data::borrow(slice(text, range));
  }

 private:
  static constexpr Ino hello{2};
  static constexpr std::string_view text = "Hello, world!\n";
};

int main(int argc, char** argv) { return fuselage::run<Hello>(argc, argv); }
