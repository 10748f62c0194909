// A small file system for tests to derive from: files with fixed names and texts in one directory.
#pragma once

#include <algorithm>
#include <fuselage/file_system.hpp>
#include <string>
#include <vector>

namespace fuselage::test {

/// Everything is answered from what the constructor was given; the files are writable for everybody as far as their
/// modes go. Override what the test is about.
class Shelf : public FileSystem {
 public:
  explicit Shelf(std::vector<std::string> names = {"file"}, std::string text = "Hello, world!\n")
      : names_(std::move(names)), text_(std::move(text)) {}

  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override {
    const auto at = std::find(names_.begin(), names_.end(), name);
    if (parent != root_ino || at == names_.end()) return Error{ENOENT};
    return entry(ino_of(name));
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override { return attributes(ino); }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    for (std::uint64_t i = offset; i < names_.size(); ++i) {
      if (!sink.add(names_[i], ino_of(names_[i]), FileType::regular, i + 1)) break;
    }
    return {};
  }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
    return Data::borrow(slice(text_, range));
  }

  /// The number of a file: 2 for the first.
  Ino ino_of(std::string_view name) const {
    return Ino{static_cast<std::uint64_t>(std::find(names_.begin(), names_.end(), name) - names_.begin()) + 2};
  }
  const std::string& text() const { return text_; }

 protected:
  Attributes attributes(Ino ino) const {
    return ino == root_ino ? Attributes::directory(0777) : Attributes::file(text_.size(), 0666);
  }
  Entry entry(Ino ino) const {
    Entry entry;
    entry.ino = ino;
    entry.attributes = attributes(ino);
    return entry;
  }

 private:
  std::vector<std::string> names_;
  std::string text_;
};

}  // namespace fuselage::test
