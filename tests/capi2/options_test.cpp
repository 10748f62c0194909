// fuse_opt_*, fuse_buf_* and what of the command line needs no mount, called as a C program calls them.
#define FUSE_USE_VERSION 29
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>
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

TEST(FuseOptTest, UnderstandsEveryFormOfAnOption) {
  const fuse_opt forms[] = {
      {"-f", offsetof(Data, flag), 1},
      {"--flag", offsetof(Data, flag), 2},
      {"--number=%u", offsetof(Data, number), 0},
      {"--hex=%x", offsetof(Data, number), 0},
      {"-n %u", offsetof(Data, number), 0},
      {"-t %s", offsetof(Data, text), 0},
      {"text=%s", offsetof(Data, text), 0},
      {"set=", offsetof(Data, flag), 3},
      {"set=%u", offsetof(Data, number), 0},
      FUSE_OPT_END,
  };
  struct Case {
    Words words;
    int flag;
    unsigned number;
    const char* text;
    Words rest;
  };
  const Case cases[] = {
      {{"-f"}, 1, 0, nullptr, {}},
      {{"--flag"}, 2, 0, nullptr, {}},
      {{"-f", "--flag"}, 2, 0, nullptr, {}},  // the last one counts
      {{"--number=7"}, 0, 7, nullptr, {}},
      {{"--hex=1f"}, 0, 31, nullptr, {}},
      {{"-n", "7"}, 0, 7, nullptr, {}},
      {{"-n7"}, 0, 7, nullptr, {}},
      {{"-t", "-f"}, 0, 0, "-f", {}},
      {{"-t", ""}, 0, 0, "", {}},
      {{"-otext="}, 0, 0, "", {}},
      {{"-o", "text=a=b"}, 0, 0, "a=b", {}},
      {{"-otext=a\\054b\\\\c"}, 0, 0, "a,b\\c", {}},
      {{"-oset=5"}, 3, 5, nullptr, {}},  // every row that matches
      {{"-otext"}, 0, 0, nullptr, {"-o", "text"}},
      {{"-of"}, 0, 0, nullptr, {"-o", "f"}},
      {{"text=x"}, 0, 0, nullptr, {"text=x"}},
      {{"-ff", "--number", "-"}, 0, 0, nullptr, {"-ff", "--number", "-"}},
      {{"-oa,,b"}, 0, 0, nullptr, {"-o", "a,,b"}},
      {{"a", "-ob", "-oc", "d"}, 0, 0, nullptr, {"-o", "b,c", "a", "d"}},
      {{"--", "-f"}, 0, 0, nullptr, {"--", "-f"}},
  };
  for (const Case& wanted : cases) {
    Words words{"prog"};
    words.insert(words.end(), wanted.words.begin(), wanted.words.end());
    Words rest{"prog"};
    rest.insert(rest.end(), wanted.rest.begin(), wanted.rest.end());
    Data data;
    Arguments line(words);
    ASSERT_EQ(fuse_opt_parse(&line.args, &data, forms, nullptr), 0) << words.back();
    EXPECT_EQ(data.flag, wanted.flag) << words.back();
    EXPECT_EQ(data.number, wanted.number) << words.back();
    EXPECT_STREQ(data.text, wanted.text) << words.back();
    EXPECT_EQ(line.rest(), rest) << words.back();
  }
}

TEST(FuseOptTest, LetsTheFunctionAddArguments) {
  Arguments line({"prog", "one", "two"});
  const auto add = [](void*, const char* arg, int, fuse_args* out) {
    if (std::string(arg) == "one") return fuse_opt_add_arg(out, "-oadded");
    return 1;
  };
  ASSERT_EQ(fuse_opt_parse(&line.args, nullptr, nullptr, add), 0);
  EXPECT_EQ(line.rest(), (Words{"prog", "-oadded", "two"}));
  ASSERT_EQ(fuse_opt_parse(&line.args, nullptr, nullptr, add), 0);  // once more, on a list of its own making
  EXPECT_EQ(line.rest(), (Words{"prog", "-o", "added", "two"}));
  fuse_args nothing = FUSE_ARGS_INIT(0, nullptr);
  EXPECT_EQ(fuse_opt_parse(&nothing, nullptr, rows, nullptr), 0);
  EXPECT_EQ(fuse_opt_parse(nullptr, nullptr, rows, nullptr), 0);
  fuse_opt_free_args(nullptr);
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

// Two ends of a pipe.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0); }
  ~Pipe() { ::close(ends[0]), ::close(ends[1]); }
  int ends[2];
};

fuse_bufvec file_of(int fd, std::size_t size, int flags = 0) {
  fuse_bufvec vector = FUSE_BUFVEC_INIT(size);
  vector.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | flags);
  vector.buf[0].fd = fd;
  return vector;
}

TEST(FuseBufTest, CopiesThroughPipes) {
  const int file = ::memfd_create("file", MFD_CLOEXEC);
  for (const int how : {0, static_cast<int>(FUSE_BUF_NO_SPLICE), static_cast<int>(FUSE_BUF_FORCE_SPLICE),
                        FUSE_BUF_SPLICE_MOVE | FUSE_BUF_SPLICE_NONBLOCK}) {
    const auto flags = static_cast<fuse_buf_copy_flags>(how);
    Pipe pipe;
    char text[] = "0123456789";
    fuse_bufvec memory = FUSE_BUFVEC_INIT(10);
    memory.buf[0].mem = text;
    fuse_bufvec in = file_of(pipe.ends[1], 10);
    EXPECT_EQ(fuse_buf_copy(&in, &memory, flags), 10);
    fuse_bufvec out = file_of(pipe.ends[0], 6);
    fuse_bufvec target = file_of(file, 100, FUSE_BUF_FD_SEEK);
    EXPECT_EQ(fuse_buf_copy(&target, &out, flags), 6) << how;
    EXPECT_EQ(target.off, 6u);
    char back[7] = {};
    EXPECT_EQ(::pread(file, back, 6, 0), 6);
    EXPECT_STREQ(back, "012345");
    fuse_bufvec rest = file_of(pipe.ends[0], 4);
    fuse_bufvec end = FUSE_BUFVEC_INIT(4);
    end.buf[0].mem = back;
    EXPECT_EQ(fuse_buf_copy(&end, &rest, flags), 4);
    EXPECT_EQ(std::string(back, 4), "6789");
  }
  const int other = ::memfd_create("other", MFD_CLOEXEC);
  fuse_bufvec from = file_of(file, 6, FUSE_BUF_FD_SEEK);
  fuse_bufvec to = file_of(other, 6, FUSE_BUF_FD_SEEK);
  EXPECT_EQ(fuse_buf_copy(&to, &from, FUSE_BUF_FORCE_SPLICE), -EINVAL);  // there is no pipe
  ::close(file);
  ::close(other);
}

TEST(FuseBufTest, GoesOnAfterAShortTransferWhenTold) {
  for (const bool retries : {false, true}) {
    Pipe pipe;
    std::thread writer([&pipe] {
      EXPECT_EQ(::write(pipe.ends[1], "first", 5), 5);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      EXPECT_EQ(::write(pipe.ends[1], "second", 6), 6);
    });
    char text[12] = {};
    fuse_bufvec memory = FUSE_BUFVEC_INIT(11);
    memory.buf[0].mem = text;
    fuse_bufvec source = file_of(pipe.ends[0], 11, retries ? FUSE_BUF_FD_RETRY : 0);
    const ssize_t copied = fuse_buf_copy(&memory, &source, static_cast<fuse_buf_copy_flags>(0));
    EXPECT_GE(copied, 5);
    if (retries) {
      EXPECT_STREQ(text, "firstsecond");
    }
    writer.join();
  }
}

TEST(FuseBufTest, CopiesAcrossTheEdgesOfBuffers) {
  struct Parts {
    fuse_bufvec vector;
    fuse_buf more[3];
  };
  const auto parts = [](char* memory, std::initializer_list<std::size_t> sizes) {
    Parts out{};
    out.vector.count = sizes.size();
    fuse_buf* buffer = out.vector.buf;
    for (const std::size_t size : sizes) {
      buffer->size = size;
      buffer->mem = memory;
      memory += size;
      ++buffer;
    }
    return out;
  };
  char text[] = "abcdefghij";
  char back[11] = {};
  Parts from = parts(text, {3, 0, 5, 2});
  Parts to = parts(back, {1, 6, 0, 3});
  EXPECT_EQ(fuse_buf_size(&from.vector), 10u);
  EXPECT_EQ(fuse_buf_copy(&to.vector, &from.vector, static_cast<fuse_buf_copy_flags>(0)), 10);
  EXPECT_STREQ(back, text);
  EXPECT_EQ(fuse_buf_copy(&to.vector, &from.vector, static_cast<fuse_buf_copy_flags>(0)), 0);  // both are at their end
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

TEST(LowLevelNewTest, TakesTablesOfAnySize) {
  struct {
    fuse_lowlevel_ops known;
    void (*newer[8])();
  } larger{};
  for (const auto& [table, size] : {std::pair<const fuse_lowlevel_ops*, std::size_t>{nullptr, sizeof larger.known},
                                    {nullptr, 0},
                                    {&larger.known, 0},
                                    {&larger.known, 16},
                                    {&larger.known, sizeof larger}}) {
    ::testing::internal::CaptureStderr();
    fuse_session* const session = fuse_lowlevel_new(nullptr, table, size, nullptr);
    const std::string said = ::testing::internal::GetCapturedStderr();
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(said.find("knows more operations than this library") != said.npos, size > sizeof larger.known);
    fuse_session_destroy(session);
  }
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
  Pipe pipe;
  ASSERT_EQ(::write(pipe.ends[1], "message", 7), 7);
  const fuse_bufvec message = file_of(pipe.ends[0], 7);
  fuse_session_process_buf(session, &message.buf[0], channel);
  EXPECT_EQ(seen, (std::vector<std::string>{"x", "message"}));
  fuse_session_destroy(session);
}

}  // namespace
}  // namespace fuselage::test
