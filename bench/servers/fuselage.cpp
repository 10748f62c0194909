// The trivial file system on fuselage, at inode level.
#include <fuselage/fuselage.hpp>

#include "fuselage_attributes.hpp"
#include "store.hpp"

namespace {

using namespace fuselage;
using bench::attributes_of;
using bench::Store;

class Trivial final : public FileSystem {
 public:
  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override {
    const Store::Name found = store_.lookup(static_cast<std::uint64_t>(parent), name);
    if (found.ino == 0) return Error{ENOENT};
    return entry(found);
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
    return attributes_of(static_cast<std::uint64_t>(ino));
  }
  Reply<Attributes> setattr(const Context&, Ino ino, const SetAttributes&, const OpenFile*) override {
    return attributes_of(static_cast<std::uint64_t>(ino));
  }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
    return Data::borrow(store_.read(range.offset, range.size));
  }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t offset, Bytes bytes,
                           WriteFlags) override {
    return store_.write(offset, bytes.data(), bytes.size());
  }
  Reply<Created> create(const Context&, Ino, std::string_view name, mode_t, OpenFlags) override {
    return Created{entry({store_.create(name)}), {}};
  }
  Reply<void> unlink(const Context&, Ino, std::string_view name) override {
    if (!store_.unlink(name)) return Error{ENOENT};
    return {};
  }
  Reply<void> rename(const Context&, Ino, std::string_view name, Ino, std::string_view new_name, RenameFlags) override {
    if (!store_.rename(name, new_name)) return Error{ENOENT};
    return {};
  }
  Reply<void> readdir(const Context&, Ino ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    Store::list(static_cast<std::uint64_t>(ino), offset,
                [&](std::string_view name, std::uint64_t found, std::uint64_t next) {
                  return sink.add(name, entry({found}), next);
                });
    return {};
  }

 private:
  static Entry entry(Store::Name name) {
    return {.ino = Ino{name.ino},
            .attributes = attributes_of(name.ino),
            .timeout = name.cached ? bench::timeout : std::chrono::seconds(0)};
  }

  Store store_;
};

}  // namespace

int main(int argc, char** argv) { return run<Trivial>(argc, argv); }
