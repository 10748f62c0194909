// Child processes for tests: one that answers with a text, one that lives until it is killed.
#pragma once

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <thread>

namespace fuselage::test {

/// An ordinary user that every system has a name for; fusermount3 refuses nameless ones.
constexpr uid_t nobody = 65534;

/// Waits until `condition` holds; false when it does not within `limit`.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// A forked child, optionally of another user, that runs `body`, reports its text, and then waits to be killed. Killed
/// (SIGKILL) and reaped at the end of the scope.
class Process {
 public:
  using Body = std::function<std::string()>;

  explicit Process(const Body& body, uid_t user = 0) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
#ifdef __SANITIZE_ADDRESS__
    // Its allocator does not survive a fork beside a thread that allocates: let those of a server go to sleep.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
#endif
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      run(body, user, ends[1]);
    }
    ::close(ends[1]);
    std::array<char, 4096> piece;
    for (ssize_t size; (size = ::recv(ends[0], piece.data(), piece.size(), 0)) > 0;) {
      text_.append(piece.data(), static_cast<std::size_t>(size));
    }
    ::close(ends[0]);
    // The last byte tells an answer from a crash. What failed in the child comes first.
    if (text_.ends_with('\0')) {
      text_.pop_back();
      const std::size_t end = text_.find('\0');
      if (end != 0) ADD_FAILURE() << "in the child: " << text_.substr(0, end);
      text_.erase(0, end + 1);
    } else {
      text_ += "(the child ended early)";
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { kill(); }

  /// What `body` returned, or what it threw.
  const std::string& text() const { return text_; }
  pid_t pid() const { return pid_; }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  [[noreturn]] static void run(const Body& body, uid_t user, int socket) {
    std::string text;
    const int earlier = test_parts().total_part_count();
    try {
      if (user != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0)) {
        text = "cannot become the user";
      } else {
        // Changing the user takes /proc/self away from him.
        ::prctl(PR_SET_DUMPABLE, 1);
        text = body();
      }
    } catch (const std::exception& error) {
      text = error.what();
    }
    std::string answer;
    for (int i = earlier; i < test_parts().total_part_count(); ++i) {
      if (test_parts().GetTestPartResult(i).failed()) answer += test_parts().GetTestPartResult(i).message();
    }
    answer += '\0';
    answer += text;
    ::send(socket, answer.c_str(), answer.size() + 1, MSG_NOSIGNAL);
    ::shutdown(socket, SHUT_RDWR);
    for (;;) ::pause();
  }

  static const ::testing::TestResult& test_parts() {
    return *::testing::UnitTest::GetInstance()->current_test_info()->result();
  }

  pid_t pid_ = 0;
  std::string text_;
};

/// Runs `body` in a child, and answers its text. Destructors of what `body` leaves behind run before.
inline std::string in_child(const Process::Body& body, uid_t user = 0) { return Process(body, user).text(); }

}  // namespace fuselage::test
