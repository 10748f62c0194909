// A file system with one file, at path level.
#include <fuselage/fuselage.hpp>

using namespace fuselage;

class Hello : public PathFileSystem {
 public:
  Reply<Attributes> getattr(const Context&, Path path, const OpenFile*) override {
    if (path == "/") return Attributes::directory();
    if (path == "/hello") return Attributes::file(text.size());
    return Error{ENOENT};
  }
  Reply<void> readdir(const Context&, Path, const OpenFile&, std::uint64_t, PathDirectorySink& sink) override {
    sink.add("hello");
    return {};
  }
  Reply<Data> read(const Context&, Path, const OpenFile&, Range range) override {
    return Data::borrow(slice(text, range));
  }

 private:
  static constexpr std::string_view text = "Hello, world!\n";
};

int main(int argc, char** argv) { return fuselage::run<Hello>(argc, argv); }
