#include <fmt/format.h>
#include <syslog.h>

#include <cstdio>
#include <fuselage/log.hpp>
#include <fuselage/run.hpp>
#include <fuselage/session.hpp>
#include <optional>
#include <sstream>

#include "app/command_line.hpp"
#include "app/ending.hpp"
#include "base/log.hpp"
#include "mount/daemonize.hpp"

namespace fuselage {
namespace {

using app::Order;

void log_to_system(LogLevel level, std::string_view line) {
  int priority = LOG_DEBUG;
  switch (level) {
    case LogLevel::error:
      priority = LOG_ERR;
      break;
    case LogLevel::warning:
      priority = LOG_WARNING;
      break;
    case LogLevel::info:
      priority = LOG_INFO;
      break;
    case LogLevel::debug:
      break;
  }
  ::syslog(LOG_DAEMON | priority, "%.*s", static_cast<int>(line.size()), line.data());
}

// A program on its way from the command line to its exit code.
class Program {
 public:
  Program(const FileSystemRef& file_system, const Order& order) : file_system_(file_system), order_(order) {}

  int run() {
    if (!order_.foreground) {
      auto started = mounting::Daemonizer::start();
      if (!started) return failed(started.error());
      background_.emplace(std::move(started).value());
    }
    // From here on this is the process that stays: threads may begin.
    app::Ending ending;
    auto mount = Mount::create(order_.mountpoint, order_.mount);
    if (!mount) return failed(mount.error());
    ending.mounted(*mount);
    auto session = Session::create(file_system_, *mount, order_.session);
    if (!session) {
      ending.served();
      return failed(session.error());
    }
    ending.serving(*session);
    const int code = serve(*session);
    ending.served();
    return code;
  }

 private:
  int serve(Session& session) {
    if (background_) {
      if (const auto ready = background_->ready(); !ready) return failed(ready.error());
      ::openlog(order_.name.c_str(), LOG_PID, LOG_DAEMON);
      set_log_sink(log_to_system);
      in_background_ = true;
    }
    const Ended ended = session.run();
    if (order_.statistics) {
      std::istringstream lines(session.statistics().to_string());
      for (std::string line; std::getline(lines, line);) base::log(LogLevel::info, line);
    }
    const bool as_asked = ended.reason != Ended::Reason::aborted && ended.reason != Ended::Reason::error;
    return as_asked ? 0 : failed(Error{EIO, ended.to_string()});
  }

  // Says it where it will be seen, and answers the exit code.
  int failed(const Error& why) {
    if (in_background_) {
      base::log(LogLevel::error, why.message());
    } else if (background_) {
      background_->failed(app::exit_failed, fmt::format("{}: {}", order_.name, why.message()));
    } else {
      fmt::print(stderr, "{}: {}\n", order_.name, why.message());
    }
    return app::exit_failed;
  }

  FileSystemRef file_system_;
  const Order& order_;
  std::optional<mounting::Daemonizer> background_;
  bool in_background_ = false;
};

}  // namespace

int run(const std::function<FileSystemRef()>& make, int argc, char** argv, RunDefaults defaults) try {
  auto read = app::read_command_line(argc, argv, defaults);
  if (const int* code = std::get_if<int>(&read)) return *code;
  auto& order = std::get<Order>(read);
  const FileSystemRef file_system = make();
  // With default_permissions the kernel would never ask a file system that has an `access` of its own.
  if (defaults.default_permissions && !order.no_default_permissions && !app::checks_access(file_system)) {
    order.mount.default_permissions = true;
  }
  return Program(file_system, order).run();
} catch (...) {
  return detail::report_no_file_system(argc > 0 ? argv[0] : nullptr, error_of_current_exception());
}

int run(FileSystemRef file_system, int argc, char** argv, RunDefaults defaults) {
  return run([&file_system] { return file_system; }, argc, argv, std::move(defaults));
}

int detail::report_no_file_system(const char* program, const Error& why) noexcept try {
  fmt::print(stderr, "{}: {}\n", app::program_name(program), why.message());
  return app::exit_failed;
} catch (...) {
  return app::exit_failed;
}

}  // namespace fuselage
