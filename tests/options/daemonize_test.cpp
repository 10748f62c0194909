#include "mount/daemonize.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>

namespace fuselage::mounting {
namespace {

struct Outcome {
  int status = -1;   // wait status of the process in front
  std::string said;  // its stderr, up to its end and that of everybody who still writes there
};

// Starts a program whose child, in the background, does `work`.
Outcome run(const std::function<void(Daemonizer&)>& work) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t front = ::fork();
  if (front == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    auto background = Daemonizer::start();
    if (background) work(*background);
    ::_exit(99);
  }
  ::close(ends[1]);
  Outcome outcome;
  ::waitpid(front, &outcome.status, 0);
  char piece[512];
  for (ssize_t size; (size = ::read(ends[0], piece, sizeof piece)) > 0;) outcome.said.append(piece, size);
  ::close(ends[0]);
  return outcome;
}

int exit_code(const Outcome& outcome) { return WIFEXITED(outcome.status) ? WEXITSTATUS(outcome.status) : -1; }

TEST(daemonize, ready_lets_the_parent_succeed_and_cuts_the_terminal) {
  const std::string report = std::filesystem::temp_directory_path() / ("fuselage-daemon-" + std::to_string(::getpid()));
  const Outcome outcome = run([&](Daemonizer& background) {
    if (!background.ready()) ::_exit(1);
    std::string state = ::getsid(0) == ::getpid() ? "leader" : "follower";
    state += std::filesystem::current_path() == "/" ? " root" : " elsewhere";
    for (const char* stream : {"/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"}) {
      state += " " + std::filesystem::read_symlink(stream).string();
    }
    std::filesystem::create_symlink(state, report);
    ::_exit(0);
  });
  EXPECT_EQ(exit_code(outcome), 0);
  EXPECT_EQ(outcome.said, "");
  std::error_code error;
  for (int i = 0; i < 1000 && !std::filesystem::is_symlink(report, error); ++i) ::usleep(10'000);
  EXPECT_EQ(std::filesystem::read_symlink(report, error), "leader root /dev/null /dev/null /dev/null");
  std::filesystem::remove(report, error);
}

TEST(daemonize, a_failure_reaches_the_parent_with_code_and_message) {
  const Outcome outcome = run([](Daemonizer& background) { background.failed(32, "mount point missing"); });
  EXPECT_EQ(exit_code(outcome), 32);
  EXPECT_EQ(outcome.said, "mount point missing\n");
}

TEST(daemonize, a_long_message_arrives_whole) {
  const Outcome outcome = run([](Daemonizer& background) { background.failed(2, std::string(10'000, 'x')); });
  EXPECT_EQ(exit_code(outcome), 2);
  EXPECT_EQ(outcome.said.size(), 10'001u);
}

TEST(daemonize, only_the_first_report_counts) {
  const Outcome outcome = run([](Daemonizer& background) {
    if (background.ready()) background.failed(3, "too late");
  });
  EXPECT_EQ(exit_code(outcome), 0);
}

TEST(daemonize, a_failure_never_looks_like_success) {
  EXPECT_EQ(exit_code(run([](Daemonizer& background) { background.failed(0, ""); })), 1);
}

TEST(daemonize, a_child_killed_before_it_is_ready_is_reported) {
  const Outcome outcome = run([](Daemonizer&) { ::kill(::getpid(), SIGKILL); });
  EXPECT_EQ(exit_code(outcome), 128 + SIGKILL);
  EXPECT_EQ(outcome.said, "the background process was ended by signal 9 before it was ready\n");
}

TEST(daemonize, a_child_that_exits_before_it_is_ready_is_reported) {
  const Outcome failing = run([](Daemonizer&) { ::_exit(7); });
  EXPECT_EQ(exit_code(failing), 7);
  EXPECT_EQ(failing.said, "the background process ended with status 7 before it was ready\n");
  EXPECT_EQ(exit_code(run([](Daemonizer&) { ::_exit(0); })), 1);
}

TEST(daemonize, giving_up_without_a_word_is_a_failure) {
  const Outcome outcome = run([](Daemonizer& background) { const Daemonizer last = std::move(background); });
  EXPECT_EQ(exit_code(outcome), 1);
  EXPECT_THAT(outcome.said, ::testing::HasSubstr("gave up"));
}

TEST(daemonize, the_daemon_survives_a_parent_that_was_killed) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t front = ::fork();
  if (front == 0) {
    ::close(ends[0]);
    auto background = Daemonizer::start();
    ::kill(::getppid(), SIGKILL);
    const pid_t parent = ::getppid();
    while (::getppid() == parent && parent != 1) ::usleep(1000);
    const char answer = background->ready() ? 'y' : 'n';
    if (::write(ends[1], &answer, 1) != 1) ::_exit(1);
    ::_exit(0);
  }
  ::close(ends[1]);
  int status = 0;
  ::waitpid(front, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  char answer = 0;
  EXPECT_EQ(::read(ends[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  ::close(ends[0]);
}

}  // namespace
}  // namespace fuselage::mounting
