// File systems on top of others, and how it is known what a file system implements.
#include <memory>

#include "inode/recorder.hpp"
#include "support/fake.hpp"

namespace fuselage {
namespace {

class Empty : public FileSystem {};

class OneOfThem : public FileSystem {
 public:
  Reply<Attributes> getattr(const Context&, Ino, const OpenFile*) override { return Attributes::directory(); }
};

class Derived : public OneOfThem {
 public:
  Reply<void> unlink(const Context&, Ino, std::string_view) override { return {}; }
};

class ReadOnly : public Layer {
 public:
  using Layer::Layer;
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes, WriteFlags) override {
    return Error{EROFS};
  }
};

class Upper : public Layer {
 public:
  using Layer::Layer;
  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override {
    const Result<Entry> found = co_await inner().lookup(context, parent, "<" + std::string(name) + ">");
    co_return found;
  }
};

constexpr std::uint32_t opcode_of_getattr = 3;
constexpr std::uint32_t opcode_of_unlink = 10;
constexpr std::uint32_t opcode_of_write = 16;
constexpr std::uint32_t opcode_of_statx = 52;

TEST(Operations, AreFoundFromTheClassesThatDeclareThem) {
  static_assert(operations_of<Empty>() == OperationSet());
  constexpr OperationSet one = operations_of<OneOfThem>();
  static_assert(one.contains(opcode_of_getattr) && one.contains(opcode_of_statx) && !one.contains(opcode_of_unlink));
  constexpr OperationSet derived = operations_of<Derived>();
  static_assert(derived.contains(opcode_of_getattr) && derived.contains(opcode_of_unlink));
  static_assert(!derived.contains(opcode_of_write));
  EXPECT_EQ(FileSystemRef(*std::make_unique<Derived>()).operations(), derived);
}

TEST(Layers, ImplementWhatTheyAndTheInnerOneDo) {
  Derived inner;
  ReadOnly layer(inner);
  const OperationSet both = FileSystemRef(layer).operations();
  EXPECT_TRUE(both.contains(opcode_of_getattr) && both.contains(opcode_of_unlink) && both.contains(opcode_of_write));
  FakeKernel kernel(layer, strict());
  EXPECT_TRUE(kernel.getattr(root_ino));
  EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  EXPECT_EQ(kernel.write(Ino{2}, {}, 0, "x").code(), EROFS);
  EXPECT_EQ(kernel.read(Ino{2}, {}, {0, 1}).code(), ENOSYS);
}

TEST(Layers, Stack) {
  Recorder recorder;
  Upper lower(recorder);
  Upper upper{FileSystemRef(lower)};  // by itself, `lower` would be something to copy
  ReadOnly top(upper);
  FakeKernel kernel(top, strict());
  EXPECT_EQ(kernel.lookup(root_ino, "name")->ino, Recorder::entry().ino);
  EXPECT_EQ(recorder.last, "lookup 1 <<name>>");
  EXPECT_EQ(kernel.write(Ino{2}, {}, 0, "x").code(), EROFS);
  EXPECT_TRUE(kernel.mkdir(root_ino, "d"));
  kernel.forget_all();
  EXPECT_NE(recorder.last.find("forget"), std::string::npos);
}

TEST(Layers, PassInitAndDestroyOn) {
  struct Inner : FileSystem {
    int inits = 0;
    int destroys = 0;
    Result<void> init(Negotiation&) override {
      ++inits;
      return {};
    }
    void destroy() override { ++destroys; }
  } inner;
  {
    ReadOnly layer(inner);
    FakeKernel kernel(layer, strict());
  }
  EXPECT_EQ(inner.inits, 1);
  EXPECT_EQ(inner.destroys, 1);
}

}  // namespace
}  // namespace fuselage
