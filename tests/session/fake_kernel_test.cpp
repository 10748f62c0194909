// The fake kernel as an author of a file system uses it, and what it finds wrong.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <fuselage/testing/fake_kernel.hpp>

namespace fuselage {
namespace {

class Hello : public FileSystem {
 public:
  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override {
    if (parent != root_ino || name != "hello") return Error{ENOENT};
    Entry entry;
    entry.ino = Ino{2};
    entry.attributes = Attributes::file(text.size());
    return entry;
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{}; }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
    return Data::borrow(slice(text, range));
  }

 private:
  static constexpr std::string_view text = "Hello, world!\n";
};

TEST(FakeKernel, TestsAFileSystemInTenLines) {
  Hello hello;
  FakeKernel kernel(hello, {.on_violation = [](const std::string& what) { ADD_FAILURE() << what; }});
  const auto file = kernel.lookup(root_ino, "hello");
  ASSERT_TRUE(file);
  const auto opened = kernel.open(file->ino, O_RDONLY);
  ASSERT_TRUE(opened);
  EXPECT_EQ(*kernel.read(file->ino, {opened->handle}, {0, 100}), "Hello, world!\n");
  EXPECT_TRUE(kernel.release(file->ino, {opened->handle}));
  EXPECT_EQ(kernel.lookup(root_ino, "other").code(), ENOENT);
}

TEST(FakeKernel, DoesTheSameThroughASocket) {
  Hello hello;
  FakeKernel kernel(hello, {.on_violation = [](const std::string& what) { ADD_FAILURE() << what; }, .socket = true});
  const auto file = kernel.lookup(root_ino, "hello");
  ASSERT_TRUE(file);
  EXPECT_EQ(*kernel.read(file->ino, {}, {7, 5}), "world");
  kernel.forget_all();
  EXPECT_EQ(kernel.unmount().reason, Ended::Reason::unmounted);
}

}  // namespace
}  // namespace fuselage
