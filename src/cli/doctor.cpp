#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <fuselage/session.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/unique_fd.hpp"
#include "cli/commands.hpp"
#include "cli/fuse_mounts.hpp"

namespace fuselage::cli {
namespace {

enum class Verdict { ok, warn, fail };

// One line of the diagnosis.
struct Finding {
  std::string what;
  Verdict verdict = Verdict::ok;
  std::string found;
  std::string fix = {};  ///< What to do; empty if nothing needs to be done.
};

const char* to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warn:
      return "warn";
    case Verdict::fail:
      break;
  }
  return "FAIL";
}

std::string first_word(const char* path) {
  std::string word;
  std::ifstream(path) >> word;
  return word;
}

Finding module() {
  std::ifstream file("/proc/filesystems");
  for (std::string word; file >> word;) {
    if (word == "fuse") return {"kernel module", Verdict::ok, "loaded"};
  }
  return {"kernel module", Verdict::fail, "the kernel does not know FUSE", "modprobe fuse"};
}

Finding device() {
  const base::UniqueFd fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  struct stat status {};
  if (fd && ::fstat(fd.get(), &status) == 0 && S_ISCHR(status.st_mode)) {
    return {"/dev/fuse", Verdict::ok, "may be opened"};
  }
  if (fd) return {"/dev/fuse", Verdict::fail, "is no device", "rm /dev/fuse; modprobe fuse"};
  if (errno == EACCES || errno == EPERM) {
    return {"/dev/fuse", Verdict::fail, "may not be opened by this user", "chmod 666 /dev/fuse, or run as root"};
  }
  return {"/dev/fuse", Verdict::fail, Error::last().message(),
          "modprobe fuse; for a container: pass the device (--device /dev/fuse)"};
}

// What the kernel says at INIT on a mount that only this process sees.
struct Trial {
  bool mounted = false;
  std::uint32_t minor = 0;
  CapabilitySet offered;
  bool ring = false;                // FUSE over io_uring was really set up
  std::array<char, 256> no_ring{};  // or why not
};

struct Asking : FileSystem {
  explicit Asking(Trial& result) : trial(result) {}
  Result<void> init(Negotiation& negotiation) override {
    trial.minor = negotiation.minor;
    trial.offered = negotiation.offered;
    return {};
  }
  Trial& trial;
};

void write_id_map(const char* path, unsigned id) { std::ofstream(path) << fmt::format("{} {} 1", id, id); }

Trial try_to_mount_here(bool user_namespace) {
  Trial trial;
  const auto uid = ::geteuid();
  const auto gid = ::getegid();
  if (::unshare(CLONE_NEWNS | (user_namespace ? CLONE_NEWUSER : 0)) != 0) return trial;
  if (user_namespace) {
    std::ofstream("/proc/self/setgroups") << "deny";
    write_id_map("/proc/self/uid_map", uid);
    write_id_map("/proc/self/gid_map", gid);
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return trial;
  auto mount = Mount::create(std::filesystem::temp_directory_path(), {.fsname = "fuselage-doctor"});
  if (!mount) return trial;
  Asking asking(trial);
  ::unsetenv("FUSELAGE_TRANSPORT");  // this is a process of its own
  const auto session = Session::create(asking, *mount);
  trial.mounted = session.has_value();
  if (session) {
    const Statistics statistics = session->statistics();
    trial.ring = statistics.transport_reason.empty();
    statistics.transport_reason.copy(trial.no_ring.data(), trial.no_ring.size() - 1);
  }
  return trial;
}

// In a child, whose name spaces end with it.
Trial try_to_mount(bool user_namespace) {
  Trial trial;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return trial;
  const base::UniqueFd answer(ends[0]);
  base::UniqueFd question(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const Trial found = try_to_mount_here(user_namespace);
    [[maybe_unused]] const auto written = ::write(question.get(), &found, sizeof found);
    ::_exit(0);
  }
  question.reset();
  Trial found;
  if (::read(answer.get(), &found, sizeof found) == sizeof found) trial = found;
  if (child > 0) ::waitpid(child, nullptr, 0);
  return trial;
}

// Where fusermount3 is, if it is the setuid program it must be.
std::string helper(std::string& problem) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(std::string(path != nullptr ? path : "") + ":/usr/bin:/bin:/usr/local/bin");
  problem = "is not there";
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = folder + "/fusermount3";
    struct stat status {};
    if (::stat(program.c_str(), &status) != 0) continue;
    if (status.st_uid == 0 && (status.st_mode & S_ISUID) != 0) return program;
    problem = fmt::format("is {}, but not set-user-ID root", program);
  }
  return {};
}

// The ways to mount: by oneself, in a user namespace, by the helper.
std::vector<Finding> ways(Trial& trial, bool& possible) {
  std::vector<Finding> findings;
  std::string problem;
  const std::string program = helper(problem);
  trial = try_to_mount(false);
  const bool direct = trial.mounted;
  findings.push_back(direct ? Finding{"mounting directly", Verdict::ok, "works"}
                            : Finding{"mounting directly", Verdict::warn, "not permitted to this user"});
  const bool unmounts = ::access("/etc/mtab", F_OK) == 0;
  const Verdict without = direct ? Verdict::warn : Verdict::fail;
  if (program.empty()) {
    findings.push_back(
        {"mounting by fusermount3", without, problem, "apt-get install fuse3; ordinary users cannot mount without it"});
  } else if (!unmounts) {
    findings.push_back({"mounting by fusermount3", without, "it could not unmount, for want of an /etc/mtab",
                        "ln -s /proc/self/mounts /etc/mtab"});
  } else {
    findings.push_back({"mounting by fusermount3", Verdict::ok, program});
  }
  if (!direct) {
    trial = try_to_mount(true);
    findings.push_back({"mounting in a user namespace", trial.mounted ? Verdict::ok : Verdict::warn,
                        trial.mounted ? "works (unshare --user --map-current-user --mount)" : "not permitted"});
  }
  possible = direct || (!program.empty() && unmounts) || trial.mounted;
  return findings;
}

Finding user_allow_other() {
  std::ifstream file("/etc/fuse.conf");
  for (std::string line; std::getline(file, line);) {
    if (line == "user_allow_other") return {"allow_other for ordinary users", Verdict::ok, "allowed by /etc/fuse.conf"};
  }
  return {"allow_other for ordinary users", Verdict::warn, "not allowed",
          "put the line user_allow_other into /etc/fuse.conf if you want it"};
}

Finding protocol(const Trial& trial) {
  if (!trial.mounted) return {"protocol", Verdict::warn, "unknown: the kernel tells it when something is mounted"};
  return {"protocol", Verdict::ok, fmt::format("7.{}", trial.minor)};
}

Finding io_uring(const Trial& trial) {
  const std::string name = "FUSE over io_uring";
  const std::string parameter = first_word("/sys/module/fuse/parameters/enable_uring");
  const std::string disabled = first_word("/proc/sys/kernel/io_uring_disabled");
  if (parameter.empty()) return {name, Verdict::warn, "not in this kernel (since Linux 6.14)", "use a newer kernel"};
  if (parameter != "Y" && parameter != "1") {
    return {name, Verdict::warn, "switched off", "echo 1 > /sys/module/fuse/parameters/enable_uring"};
  }
  if (disabled == "2" || (disabled == "1" && ::geteuid() != 0)) {
    return {name, Verdict::warn, "on, but io_uring itself is disabled", "sysctl kernel.io_uring_disabled=0"};
  }
  if (!trial.mounted) return {name, Verdict::ok, "on"};
  if (!trial.ring) return {name, Verdict::warn, fmt::format("on, but impossible: {}", trial.no_ring.data())};
  return {name, Verdict::ok, "works"};
}

Finding passthrough(const Trial& trial) {
  const std::string name = "kernel passthrough";
  if (!trial.mounted) return {name, Verdict::warn, "unknown"};
  if (!trial.offered.contains(Capability::PASSTHROUGH)) {
    return {name, Verdict::warn, "not in this kernel (since Linux 6.9)", "use a newer kernel"};
  }
  if (::geteuid() != 0) return {name, Verdict::warn, "offered, but needs CAP_SYS_ADMIN"};
  return {name, Verdict::ok, "offered"};
}

Finding request_size() {
  const std::string pages = first_word("/proc/sys/fs/fuse/max_pages_limit");
  if (pages.empty()) return {"largest request", Verdict::ok, "256 pages (fixed in this kernel)"};
  constexpr unsigned long usual = 256;
  const bool small = std::strtoul(pages.c_str(), nullptr, 10) < usual;
  return {"largest request", small ? Verdict::warn : Verdict::ok, pages + " pages",
          small ? "sysctl fs.fuse.max_pages_limit=256" : ""};
}

Finding background() {
  const std::string limit = first_word("/sys/module/fuse/parameters/max_user_bgreq");
  return {"background requests of ordinary users", Verdict::ok, limit.empty() ? "unknown" : "up to " + limit};
}

std::vector<Finding> leftovers() {
  std::vector<Finding> findings;
  const auto mounts = look_at_fuse_mounts();
  if (!mounts) return {{"mounts", Verdict::warn, mounts.error().message()}};
  for (const FuseMount& mount : *mounts) {
    if (mount.state != FuseMount::State::dead && mount.state != FuseMount::State::silent) continue;
    findings.push_back({"mount " + mount.entry.mountpoint.string(), Verdict::warn, to_text(mount.state),
                        fmt::format("fuselage unmount --lazy {}", mount.entry.mountpoint.string())});
  }
  if (findings.empty()) findings.push_back({"leftover mounts", Verdict::ok, "none"});
  return findings;
}

std::vector<Finding> examine(bool& possible) {
  Trial trial;
  std::vector<Finding> findings{module(), device()};
  const auto append = [&findings](std::vector<Finding> more) {
    findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  // fusermount3 opens the device with the rights of its user, so that no way leads around it.
  const bool device_opens = findings.back().verdict == Verdict::ok;
  append(ways(trial, possible));
  possible = possible && device_opens;
  append({user_allow_other(), protocol(trial), io_uring(trial), passthrough(trial), request_size(), background()});
  append(leftovers());
  return findings;
}

}  // namespace

int doctor(bool json) {
  bool possible = false;
  const std::vector<Finding> findings = examine(possible);
  using nlohmann::ordered_json;
  if (json) {
    ordered_json lines = ordered_json::array();
    for (const Finding& finding : findings) {
      lines.push_back({{"what", finding.what},
                       {"verdict", to_text(finding.verdict)},
                       {"found", finding.found},
                       {"fix", finding.fix}});
    }
    const ordered_json all = {{"can_mount", possible}, {"findings", std::move(lines)}};
    fmt::print("{}\n", all.dump(2, ' ', false, ordered_json::error_handler_t::replace));
    return possible ? 0 : 1;
  }
  for (const Finding& finding : findings) {
    fmt::print("{:<5} {}: {}\n", to_text(finding.verdict), finding.what, finding.found);
    if (!finding.fix.empty()) fmt::print("      -> {}\n", finding.fix);
  }
  fmt::print("\n{}\n", possible ? "Mounting is possible." : "Mounting is impossible here.");
  return possible ? 0 : 1;
}

}  // namespace fuselage::cli
