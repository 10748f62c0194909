// A file system that compiles, and with MISTAKE defined one that must not: suite.cmake has the compiler's words.
#include <fuselage/file_system.hpp>
#include <fuselage/llfuse.hpp>

using namespace fuselage;

class Files : public FileSystem {
 public:
#if MISTAKE == 1  // the right name, another signature
  Reply<Attributes> getattr(Ino) { return Attributes::directory(); }
#elif MISTAKE == 2  // a misspelt name
  Reply<Attributes> getatr(const Context&, Ino, const OpenFile*) override { return Attributes::directory(); }
#else
  Reply<Attributes> getattr(const Context&, Ino, const OpenFile*) override { return Attributes::directory(); }
#endif
#if MISTAKE == 3  // an answer of another type
  Reply<Attributes> lookup(const Context&, Ino, std::string_view) override { return Attributes::directory(); }
#elif MISTAKE == 4  // a value where nothing is answered
  Reply<void> unlink(const Context&, Ino, std::string_view) override { return 5; }
#endif
};

// Any class will do for llfuse::init.
struct Duck {
#if MISTAKE == 6  // the right name, other arguments
  std::string read(std::string_view) { return {}; }
#else
  std::string read(std::uint64_t, std::uint64_t, std::size_t) { return {}; }
#endif
};
void mount(Duck& duck) { llfuse::init(duck, "/mnt"); }

int main() {
  Files files;
#if MISTAKE == 5  // its dynamic type says nothing about what it overrides
  FileSystem& any = files;
  const FileSystemRef reference(any);
#else
  const FileSystemRef reference(files);
#endif
  return reference.operations() == OperationSet() ? 1 : 0;
}
