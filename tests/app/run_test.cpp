#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <fuselage/fuselage.hpp>

#include "support/mount_namespace.hpp"
#include "support/program.hpp"

namespace fuselage::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// One file; opening it takes as long as the test wants.
class Shelf : public FileSystem {
 public:
  void options(OptionSet& table) {
    table.flag("stuck", &stuck_, "open never returns")
        .value("start_delay", &start_delay_, "init takes so long")
        .flag("refuse", &refuse_, "init fails");
  }
  Result<void> init(Negotiation&) override {
    std::this_thread::sleep_for(start_delay_);
    return refuse_ ? Result<void>(Error{EIO, "the shelf is locked"}) : Result<void>();
  }
  Reply<Entry> lookup(const Context&, Ino, std::string_view name) override {
    if (name != "book") return Error{ENOENT};
    return Entry{Ino{2}, 0, Attributes::file(5), {}};
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
    return ino == root_ino ? Attributes::directory() : Attributes::file(5);
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override {
    while (stuck_) std::this_thread::sleep_for(std::chrono::hours(1));
    return Opened{.direct_io = true};
  }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
    return Data::borrow(slice(std::string_view("words"), range));
  }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes bytes, WriteFlags) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return bytes.size();
  }

 private:
  bool stuck_ = false;
  bool refuse_ = false;
  std::chrono::milliseconds start_delay_{0};
};

// A file system that checks permissions itself.
class Guarded : public Shelf {
 public:
  Reply<void> access(const Context&, Ino, int) override { return {}; }
};

template <class FileSystem>
std::function<int()> program(std::vector<std::string> arguments) {
  return [arguments = std::move(arguments)]() mutable {
    arguments.insert(arguments.begin(), "/usr/bin/shelf");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    return run<FileSystem>(static_cast<int>(arguments.size()), pointers.data());
  };
}

std::string read_book(const std::filesystem::path& where) {
  std::ifstream file(where / "book");
  std::string text;
  file >> text;
  return text;
}

class RunTest : public MountTest {
 protected:
  // A program in the foreground, once it serves.
  std::unique_ptr<Program> serve(const std::filesystem::path& where, const std::string& options = "stuck=no") {
    std::vector<std::string> arguments{"-f", where.string()};
    if (options != "stuck=no") arguments.insert(arguments.end(), {"-o", options});
    auto program = std::make_unique<Program>(test::program<Shelf>(arguments));
    EXPECT_TRUE(eventually([&] { return is_mounted(where); })) << program->output();
    EXPECT_TRUE(std::filesystem::exists(where / "book"));
    return program;
  }
};

TEST_F(RunTest, WrongUsageExitsWith2AndSaysWhatIsMeant) {
  const auto said = [](std::vector<std::string> arguments) {
    Program wrong(program<Shelf>(std::move(arguments)));
    EXPECT_EQ(wrong.wait(), 2);
    return wrong.output();
  };
  EXPECT_THAT(said({}), AllOf(HasSubstr("shelf: "), HasSubstr("MOUNTPOINT"), HasSubstr("--help")));
  EXPECT_THAT(said({"--foregruond", "/"}), HasSubstr("--foregruond"));
  EXPECT_THAT(said({"/", "/"}), HasSubstr("shelf: "));
  EXPECT_THAT(said({"-o", "stcuk", "/"}), AllOf(HasSubstr("stcuk"), HasSubstr("'stuck'")));
  EXPECT_THAT(said({"-o", "max_threads=many", "/"}), HasSubstr("max_threads"));
}

TEST_F(RunTest, HelpShowsEveryKindOfOption) {
  Program help(program<Shelf>({"--help"}));
  EXPECT_EQ(help.wait(), 0);
  EXPECT_THAT(help.output(), AllOf(HasSubstr("start_delay=SECONDS"), HasSubstr("no_writeback_cache"),
                                   HasSubstr("allow_other"), HasSubstr("Exit codes: 0")));
  Program version(program<Shelf>({"--version"}));
  EXPECT_EQ(version.wait(), 0);
  EXPECT_THAT(version.output(), HasSubstr("fuselage 0."));
}

TEST_F(RunTest, TheCommandReturnsWhenTheFirstAccessSucceeds) {
  const auto where = make_directory();
  Program command(program<Shelf>({where.string(), "-o", "start_delay=0.3"}));
  EXPECT_EQ(command.wait(), 0) << command.output();
  EXPECT_EQ(command.output(), "");
  EXPECT_EQ(read_book(where), "words");
  ASSERT_EQ(::umount2(where.c_str(), 0), 0);
  EXPECT_TRUE(background_ended());
}

TEST_F(RunTest, AFailedStartIsReportedByTheCommand) {
  const auto where = make_directory();
  for (const char* flag : {"-f", "-s"}) {
    Program refused(program<Shelf>({where.string(), flag, "-o", "refuse"}));
    EXPECT_EQ(refused.wait(), 1);
    EXPECT_EQ(refused.output(), "shelf: the shelf is locked\n");
    Program missing(program<Shelf>({(where / "missing").string(), flag}));
    EXPECT_EQ(missing.wait(), 1);
    EXPECT_THAT(missing.output(), HasSubstr("missing' does not exist"));
  }
  EXPECT_TRUE(background_ended());
}

TEST_F(RunTest, SignalsUnmountAndExitWith0WhenIdle) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    const auto where = make_directory("mnt" + std::to_string(number));
    const auto program = serve(where);
    const auto begin = std::chrono::steady_clock::now();
    program->signal(number);
    EXPECT_EQ(program->wait(), 0) << program->output();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
    EXPECT_FALSE(is_mounted(where));
  }
}

TEST_F(RunTest, ASignalUnderLoadUnmountsAndExitsWith0) {
  const auto where = make_directory();
  const auto program = serve(where);
  std::atomic<bool> over{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!over) read_book(where);
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  program->signal(SIGTERM);
  EXPECT_EQ(program->wait(), 0) << program->output();
  over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_FALSE(is_mounted(where));
}

TEST_F(RunTest, ASignalWritesBackWhatTheKernelStillHolds) {
  const auto where = make_directory();
  const auto program = serve(where, "writeback_cache,statistics");
  {
    std::ofstream file(where / "book", std::ios::in | std::ios::out);
    file << std::string(64 << 10, 'x');
  }
  program->signal(SIGTERM);
  EXPECT_EQ(program->wait(), 0);
  EXPECT_THAT(program->output(), HasSubstr("WRITE "));
}

TEST_F(RunTest, AStuckHandlerIsNamedAndCannotKeepTheProgram) {
  const auto where = make_directory();
  for (const bool single : {false, true}) {
    const auto program = serve(where, single ? "stuck,max_threads=1" : "stuck");
    Program reader([where] {
      std::ifstream file(where / "book");
      return file.good() ? 0 : 3;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const auto begin = std::chrono::steady_clock::now();
    program->signal(SIGTERM);
    EXPECT_EQ(program->wait(), 1) << program->output();
    EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
    EXPECT_THAT(program->output(), AllOf(HasSubstr("no answer: OPEN ino=2"), HasSubstr("do not return")));
    EXPECT_EQ(reader.wait(), 3) << "the reader was not let go";
    EXPECT_FALSE(is_mounted(where));
  }
}

TEST_F(RunTest, AHangingStartCanBeEnded) {
  const auto where = make_directory();
  Program program(test::program<Shelf>({"-f", where.string(), "-o", "start_delay=3600"}));
  EXPECT_TRUE(eventually([&] { return is_mounted(where); }));
  program.signal(SIGINT);
  EXPECT_EQ(program.wait(), 1) << program.output();
  EXPECT_FALSE(is_mounted(where));
}

TEST_F(RunTest, AnAbortedConnectionExitsWith1) {
  const auto where = make_directory();
  const auto control = make_directory("control");
  if (::mount("none", control.c_str(), "fusectl", 0, nullptr) != 0) GTEST_SKIP() << "there is no fusectl";
  const auto program = serve(where);
  std::ofstream(control / below().front().connection() / "abort") << "1";
  EXPECT_EQ(program->wait(), 1) << program->output();
  EXPECT_THAT(program->output(), HasSubstr("aborted"));
  ::umount2(control.c_str(), MNT_DETACH);
  EXPECT_FALSE(is_mounted(where));
}

TEST_F(RunTest, TheKernelChecksPermissionsUnlessTheFileSystemDoes) {
  const auto options_of = [this](const std::function<int()>& body, const std::filesystem::path& where) {
    Program program(body);
    EXPECT_TRUE(eventually([&] { return is_mounted(where); })) << program.output();
    const auto entries = below();
    std::string options = entries.empty() ? "" : entries.front().super_options;
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 0) << program.output();
    return options;
  };
  const auto where = make_directory();
  const std::string path = where.string();
  const auto checked = HasSubstr("default_permissions");
  EXPECT_THAT(options_of(program<Shelf>({"-f", path}), where), checked);
  EXPECT_THAT(options_of(program<Guarded>({"-f", path}), where), ::testing::Not(checked));
  EXPECT_THAT(options_of(program<Guarded>({"-f", path, "-o", "default_permissions"}), where), checked);
  EXPECT_THAT(options_of(program<Shelf>({"-f", path, "-o", "no_default_permissions"}), where), ::testing::Not(checked));
}

}  // namespace
}  // namespace fuselage::test
