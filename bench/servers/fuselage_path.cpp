// The trivial file system on fuselage, at path level.
#include <fuselage/fuselage.hpp>

#include "fuselage_attributes.hpp"
#include "paths.hpp"

namespace {

using namespace fuselage;
using bench::attributes_of;
using bench::resolve;
using bench::store;
using bench::Store;

class Trivial final : public PathFileSystem {
 public:
  Reply<PathEntry> lookup(const Context&, Path path) override {
    const std::uint64_t ino = resolve(path.c_str());
    if (ino == 0) return Error{ENOENT};
    const bool cached = path.name() != Store::fleeting;
    return PathEntry{attributes_of(ino), cached ? bench::timeout : std::chrono::seconds(0)};
  }
  Reply<Attributes> getattr(const Context&, Path path, const OpenFile*) override {
    const std::uint64_t ino = resolve(path.c_str());
    if (ino == 0) return Error{ENOENT};
    return attributes_of(ino);
  }
  Reply<Attributes> setattr(const Context& context, Path path, const SetAttributes&, const OpenFile* file) override {
    return getattr(context, path, file);
  }
  Reply<Data> read(const Context&, Path, const OpenFile&, Range range) override {
    return Data::borrow(store().read(range.offset, range.size));
  }
  Reply<std::size_t> write(const Context&, Path, const OpenFile&, std::uint64_t offset, Bytes bytes,
                           WriteFlags) override {
    return store().write(offset, bytes.data(), bytes.size());
  }
  Reply<CreatedFile> create(const Context&, Path path, mode_t, OpenFlags) override {
    return CreatedFile{attributes_of(store().create(path.name())), {}};
  }
  Reply<void> unlink(const Context&, Path path) override {
    if (!store().unlink(path.name())) return Error{ENOENT};
    return {};
  }
  Reply<void> rename(const Context&, Path path, Path new_path, RenameFlags) override {
    if (!store().rename(path.name(), new_path.name())) return Error{ENOENT};
    return {};
  }
  Reply<void> readdir(const Context&, Path path, const OpenFile&, std::uint64_t offset,
                      PathDirectorySink& sink) override {
    Store::list(resolve(path.c_str()), offset, [&](std::string_view name, std::uint64_t ino, std::uint64_t next) {
      return sink.add(name, attributes_of(ino), next);
    });
    return {};
  }
};

}  // namespace

int main(int argc, char** argv) {
  store();
  return run<Trivial>(argc, argv);
}
