// fuse_opt_*, fuse_buf_* and what of the command line needs no mount, called as a C program calls them.
#define FUSE_USE_VERSION 29
#define _FILE_OFFSET_BITS 64
#include <fuse_lowlevel.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "capi2/arguments.hpp"

namespace fuselage::test {
namespace {

struct Data {
  int flag = 0;
  unsigned number = 0;
  char* text = nullptr;
  ~Data() { std::free(text); }
};

std::vector<std::string> asked;

int remember(void*, const char* arg, int key, fuse_args*) {
  asked.push_back(std::to_string(key) + " " + arg);
  return std::string(arg) == "wrong" ? -1 : std::string(arg) == "gone" ? 0 : 1;
}

const fuse_opt rows[] = {
    {"-f", offsetof(Data, flag), 1},
    {"flag", offsetof(Data, flag), 2},
    {"n=%u", offsetof(Data, number), 0},
    {"-n %u", offsetof(Data, number), 0},
    {"text=%s", offsetof(Data, text), 0},
    FUSE_OPT_KEY("key=", 7),
    FUSE_OPT_KEY("drop", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("keep", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_END,
};

using Words = std::vector<std::string>;

TEST(FuseOptTest, StoresWhatRowsSay) {
  Data data;
  Arguments line({"prog", "-f", "-o", "n=42,text=a\\,b", "rest"});
  ASSERT_EQ(fuse_opt_parse(&line.args, &data, rows, nullptr), 0);
  EXPECT_EQ(data.flag, 1);
  EXPECT_EQ(data.number, 42u);
  EXPECT_STREQ(data.text, "a,b");
  EXPECT_EQ(line.rest(), (Words{"prog", "rest"}));
}

TEST(FuseOptTest, TakesParametersFromTheNextArgument) {
  Data data;
  Arguments line({"prog", "-n", "7", "-n8"});
  ASSERT_EQ(fuse_opt_parse(&line.args, &data, rows, nullptr), 0);
  EXPECT_EQ(data.number, 8u);
  Arguments missing({"prog", "-n"});
  EXPECT_EQ(fuse_opt_parse(&missing.args, &data, rows, nullptr), -1);
  Arguments option({"prog", "-o"});
  EXPECT_EQ(fuse_opt_parse(&option.args, &data, rows, nullptr), -1);
  Arguments malformed({"prog", "-on=many"});
  EXPECT_EQ(fuse_opt_parse(&malformed.args, &data, rows, nullptr), -1);
}

TEST(FuseOptTest, AsksAndKeepsInOrder) {
  Data data;
  asked.clear();
  Arguments line({"prog", "one", "-x", "-okey=1,other,drop,keep,gone,a\\,b", "--", "-f"});
  ASSERT_EQ(fuse_opt_parse(&line.args, &data, rows, remember), 0);
  EXPECT_EQ(asked, (Words{"-2 one", "-1 -x", "7 key=1", "-1 other", "-1 gone", "-1 a,b", "-2 -f"}));
  EXPECT_EQ(line.rest(), (Words{"prog", "-o", "key=1,other,keep,a\\,b", "one", "-x", "--", "-f"}));
  EXPECT_EQ(data.flag, 0);
  Arguments refused({"prog", "wrong"});
  EXPECT_EQ(fuse_opt_parse(&refused.args, &data, rows, remember), -1);
}

TEST(FuseOptTest, DropsASeparatorAtTheEnd) {
  Arguments line({"prog", "a", "--"});
  ASSERT_EQ(fuse_opt_parse(&line.args, nullptr, nullptr, nullptr), 0);
  EXPECT_EQ(line.rest(), (Words{"prog", "a"}));
}

TEST(FuseOptTest, BuildsListsAndStrings) {
  fuse_args args = FUSE_ARGS_INIT(0, nullptr);
  EXPECT_EQ(fuse_opt_add_arg(&args, "prog"), 0);
  EXPECT_EQ(fuse_opt_add_arg(&args, "last"), 0);
  EXPECT_EQ(fuse_opt_insert_arg(&args, 1, "middle"), 0);
  EXPECT_EQ(fuse_opt_insert_arg(&args, 9, "beyond"), -1);
  EXPECT_STREQ(args.argv[1], "middle");
  EXPECT_EQ(args.argv[args.argc], nullptr);
  fuse_opt_free_args(&args);
  EXPECT_EQ(args.argc, 0);
  char* opts = nullptr;
  EXPECT_EQ(fuse_opt_add_opt(&opts, "a,b"), 0);
  EXPECT_EQ(fuse_opt_add_opt_escaped(&opts, "c,d\\e"), 0);
  EXPECT_STREQ(opts, "a,b,c\\,d\\\\e");
  std::free(opts);
  EXPECT_EQ(fuse_opt_match(rows, "n=1"), 1);
  EXPECT_EQ(fuse_opt_match(rows, "m=1"), 0);
}

TEST(FuseBufTest, CopiesBetweenMemoryAndFiles) {
  const int file = ::memfd_create("file", MFD_CLOEXEC);
  char text[] = "0123456789";
  fuse_bufvec from = FUSE_BUFVEC_INIT(10);
  from.buf[0].mem = text;
  fuse_bufvec to = FUSE_BUFVEC_INIT(10);
  to.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  to.buf[0].fd = file;
  to.buf[0].pos = 5;
  EXPECT_EQ(fuse_buf_copy(&to, &from, static_cast<fuse_buf_copy_flags>(0)), 10);
  char back[8] = {};
  fuse_bufvec part = FUSE_BUFVEC_INIT(4);
  part.buf[0].mem = back;
  fuse_bufvec source = FUSE_BUFVEC_INIT(100);
  source.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY);
  source.buf[0].fd = file;
  source.buf[0].pos = 7;
  EXPECT_EQ(fuse_buf_copy(&part, &source, static_cast<fuse_buf_copy_flags>(0)), 4);
  EXPECT_STREQ(back, "2345");
  EXPECT_EQ(source.off, 4u);  // it goes on from there
  const int other = ::memfd_create("other", MFD_CLOEXEC);
  fuse_bufvec all = FUSE_BUFVEC_INIT(100);
  all.buf[0] = source.buf[0];
  fuse_bufvec target = FUSE_BUFVEC_INIT(100);
  target.buf[0].flags = FUSE_BUF_IS_FD;
  target.buf[0].fd = other;
  EXPECT_EQ(fuse_buf_copy(&target, &all, static_cast<fuse_buf_copy_flags>(0)), 8);
  fuse_bufvec bad = FUSE_BUFVEC_INIT(4);
  bad.buf[0].flags = FUSE_BUF_IS_FD;
  bad.buf[0].fd = -1;
  part.idx = part.off = 0;
  EXPECT_EQ(fuse_buf_copy(&part, &bad, static_cast<fuse_buf_copy_flags>(0)), -EBADF);
  ::close(file);
  ::close(other);
}

TEST(FuseBufTest, TellsSizesThatNoBufferHas) {
  fuse_bufvec vector = FUSE_BUFVEC_INIT(SIZE_MAX);
  EXPECT_EQ(fuse_buf_size(&vector), SIZE_MAX);
}

TEST(LowLevelNewTest, RefusesWhatItDoesNotKnow) {
  const fuse_lowlevel_ops none{};
  Arguments unknown({"prog", "-obogus"});
  EXPECT_EQ(fuse_lowlevel_new(&unknown.args, &none, sizeof none, nullptr), nullptr);
  Arguments known({"prog", "-omax_write=65536,async_read,no_remote_lock,big_writes,max_read=4096"});
  fuse_session* const session = fuse_lowlevel_new(&known.args, &none, sizeof none, nullptr);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(fuse_session_loop(session), -1);  // there is no channel
  fuse_session_destroy(session);
  EXPECT_EQ(fuse_lowlevel_is_lib_option("max_write=1"), 1);
  EXPECT_EQ(fuse_lowlevel_is_lib_option("bogus"), 0);
  EXPECT_EQ(fuse_version(), 29);
}

// A session of functions of the program.
TEST(CustomSessionTest, CarriesMessages) {
  static std::vector<std::string> seen;
  seen.clear();
  fuse_session_ops ops{};
  ops.process = [](void* data, const char* message, std::size_t size, fuse_chan*) {
    seen.emplace_back(message, size);
    *static_cast<bool*>(data) = true;
  };
  ops.exited = [](void* data) { return *static_cast<bool*>(data) ? 1 : 0; };
  bool ended = false;
  fuse_session* const session = fuse_session_new(&ops, &ended);
  fuse_chan_ops carry{};
  carry.receive = [](fuse_chan**, char* buffer, std::size_t) { return buffer[0] = 'x', 1; };
  carry.send = [](fuse_chan*, const iovec*, std::size_t) { return 0; };
  fuse_chan* const channel = fuse_chan_new(&carry, -1, 100, &ended);
  EXPECT_EQ(fuse_chan_data(channel), &ended);
  EXPECT_EQ(fuse_chan_bufsize(channel), 100u);
  fuse_session_add_chan(session, channel);
  EXPECT_EQ(fuse_chan_session(channel), session);
  EXPECT_EQ(fuse_session_next_chan(session, nullptr), channel);
  EXPECT_EQ(fuse_session_next_chan(session, channel), nullptr);
  EXPECT_EQ(fuse_session_loop(session), 0);
  EXPECT_EQ(seen, std::vector<std::string>{"x"});
  fuse_session_destroy(session);
}

}  // namespace
}  // namespace fuselage::test
