// fuse_new and what is done with its result, up to whole programs.
#include "capi/v2/high_main.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "capi/v2/compat.hpp"
#include "capi/v2/context.hpp"
#include "capi/v2/high_level.hpp"
#include "capi/v2/low_level.hpp"
#include "capi/v2/mounting.hpp"

namespace fuselage::capi2 {
namespace {

fuse_context* (*context_function)() = nullptr;

void ignore_interrupt(int /*number*/) {}

// Without SA_RESTART: failing with EINTR is what it is for.
bool catch_interrupts(int number) {
  struct sigaction current {};
  if (::sigaction(number, nullptr, &current) != 0) {
    complain("intr_signal={}: {}", number, std::strerror(errno));
    return false;
  }
  if (current.sa_handler != SIG_DFL) return true;
  struct sigaction nothing {};
  nothing.sa_handler = ignore_interrupt;
  return ::sigaction(number, &nothing, nullptr) == 0;
}

// The program's file system and the layers that -o modules= names on top of it.
fuse_fs* stack(fuse_fs* fs, const std::string& modules, fuse_args* args) {
  for (std::string_view rest = modules; fs != nullptr && !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    fs = push_module(std::string(rest.substr(0, end)).c_str(), args, fs);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return fs;
}

}  // namespace

struct fuse* new_fuse(fuse_chan* channel, fuse_args* args, const Table& table) {
  HighLevelOptions options;
  if (!parse_high_level(args, options)) return nullptr;
  fuse_fs* fs = stack(new_fs(table.op, table.size, table.user_data, table.version), options.modules, args);
  if (fs == nullptr) return nullptr;
  if ((args != nullptr && !parse_low_level(args, options.low)) ||
      (options.interrupt_signal != 0 && !catch_interrupts(options.interrupt_signal))) {
    discard(fs);
    return nullptr;
  }
  auto owner = std::make_unique<struct fuse>();
  owner->session = std::make_unique<HighLevel>(owner.get(), options, fs);
  fuse_session_add_chan(owner->session.get(), channel);
  return owner.release();
}

struct fuse* setup(int argc, char* argv[], const Table& table, char** mountpoint, int* multithreaded, int* fd) {
  fuse_args args = FUSE_ARGS_INIT(argc, argv);
  int foreground = 0;
  if (fuse_parse_cmdline(&args, mountpoint, multithreaded, &foreground) == -1) {
    fuse_opt_free_args(&args);
    return nullptr;
  }
  fuse_chan* const channel = fuse_mount(*mountpoint, &args);
  struct fuse* const fuse = channel != nullptr ? new_fuse(channel, &args, table) : nullptr;
  fuse_opt_free_args(&args);
  if (fuse != nullptr && fuse_daemonize(foreground) == 0 && fuse_set_signal_handlers(fuse->session.get()) == 0) {
    if (fd != nullptr) *fd = channel->fd;
    return fuse;
  }
  if (channel != nullptr) fuse_unmount(*mountpoint != nullptr ? *mountpoint : "", channel);
  if (fuse != nullptr) fuse_destroy(fuse);
  std::free(*mountpoint);
  *mountpoint = nullptr;
  return nullptr;
}

int main_of(int argc, char* argv[], const Table& table) {
  char* mountpoint = nullptr;
  int multithreaded = 1;
  struct fuse* const fuse = setup(argc, argv, table, &mountpoint, &multithreaded, nullptr);
  if (fuse == nullptr) return 1;
  const int result = multithreaded != 0 ? fuse_loop_mt(fuse) : fuse_loop(fuse);
  fuse_teardown(fuse, mountpoint);
  return result == -1 ? 1 : 0;
}

}  // namespace fuselage::capi2

using namespace fuselage::capi2;

// A message on its way from fuse_read_cmd to fuse_process_cmd.
struct fuse_cmd {
  std::vector<char> message;
  fuse_chan* from;
};

extern "C" {

struct fuse* fuse_new(fuse_chan* ch, fuse_args* args, const fuse_operations* op, size_t op_size, void* user_data) {
  return guarded([&] { return new_fuse(ch, args, {op, op_size, user_data, 29}); }, static_cast<struct fuse*>(nullptr));
}

void fuse_destroy(struct fuse* f) {
  fuse_chan* const channel = f->session->channel;
  if (channel != nullptr) fuse_session_remove_chan(channel);
  delete f;
  if (channel != nullptr) destroy(channel);
}

int fuse_loop(struct fuse* f) { return f != nullptr ? fuse_session_loop(f->session.get()) : -1; }
int fuse_loop_mt(struct fuse* f) { return f != nullptr ? fuse_session_loop_mt(f->session.get()) : -1; }
void fuse_exit(struct fuse* f) { fuse_session_exit(f->session.get()); }
int fuse_exited(struct fuse* f) { return fuse_session_exited(f->session.get()); }
fuse_session* fuse_get_session(struct fuse* f) { return f->session.get(); }

fuse_context* fuse_get_context(void) { return context_function != nullptr ? context_function() : &current().context; }
void fuse_set_getcontext_func(fuse_context* (*func)()) { context_function = func; }

int fuse_getgroups(int size, gid_t list[]) {
  const fuselage::Context* const request = current().request;
  if (request == nullptr) return -EINVAL;
  return guarded(
      [&] {
        const auto groups = request->supplementary_groups();
        std::copy_n(groups.begin(), std::min(groups.size(), static_cast<std::size_t>(std::max(size, 0))), list);
        return static_cast<int>(groups.size());
      },
      -ENOMEM);
}

int fuse_interrupted(void) {
  const fuselage::Context* const request = current().request;
  return request != nullptr && request->interrupted() ? 1 : 0;
}

int fuse_invalidate(struct fuse* /*f*/, const char* /*path*/) { return -EINVAL; }

// Nodes that are remembered go by themselves when their time has come.
int fuse_start_cleanup_thread(struct fuse* /*fuse*/) { return 0; }
void fuse_stop_cleanup_thread(struct fuse* /*fuse*/) {}
int fuse_clean_cache(struct fuse* /*fuse*/) { return 3600; }

int fuse_notify_poll(fuse_pollhandle* ph) { return fuse_lowlevel_notify_poll(ph); }

struct fuse* fuse_setup(int argc, char* argv[], const fuse_operations* op, size_t op_size, char** mountpoint,
                        int* multithreaded, void* user_data) {
  return guarded(
      [&] {
        return setup(argc, argv, {op, op_size, user_data, 29}, mountpoint, multithreaded, nullptr);
      },
      static_cast<struct fuse*>(nullptr));
}

void fuse_teardown(struct fuse* fuse, char* mountpoint) {
  fuse_session* const session = fuse->session.get();
  fuse_remove_signal_handlers(session);
  fuse_unmount(mountpoint, session->channel);
  fuse_destroy(fuse);
  std::free(mountpoint);
}

int fuse_main_real(int argc, char* argv[], const fuse_operations* op, size_t op_size, void* user_data) {
  return guarded([&] { return main_of(argc, argv, {op, op_size, user_data, 29}); }, 1);
}

// Where there should be a macro: the program was compiled without the header.
#undef fuse_main
int fuse_main(void) {
  complain("fuse_main is a macro of <fuse.h>: compile the program with it");
  return -1;
}

fuse_cmd* fuse_read_cmd(struct fuse* f) {
  return guarded(
      [&]() -> fuse_cmd* {
        fuse_chan* from = f->session->channel;
        if (from == nullptr) return nullptr;
        std::vector<char> message(from->buffer_size);
        const int size = fuse_chan_recv(&from, message.data(), message.size());
        if (size <= 0) {
          if (size < 0 && size != -EINTR && size != -EAGAIN) fuse_exit(f);
          return nullptr;
        }
        message.resize(static_cast<std::size_t>(size));
        return new fuse_cmd{std::move(message), from};
      },
      static_cast<fuse_cmd*>(nullptr));
}

void fuse_process_cmd(struct fuse* f, fuse_cmd* cmd) {
  fuse_session_process(f->session.get(), cmd->message.data(), cmd->message.size(), cmd->from);
  delete cmd;
}

int fuse_loop_mt_proc(struct fuse* f, fuse_processor_t proc, void* data) {
  while (fuse_exited(f) == 0) {
    if (fuse_cmd* const cmd = fuse_read_cmd(f)) proc(f, cmd, data);
  }
  fuse_session_reset(f->session.get());
  return 0;
}

}  // extern "C"

FUSELAGE_OLD_VERSION(fuse_exited, __fuse_exited, "")
FUSELAGE_OLD_VERSION(fuse_loop_mt_proc, __fuse_loop_mt, "")
FUSELAGE_OLD_VERSION(fuse_process_cmd, __fuse_process_cmd, "")
FUSELAGE_OLD_VERSION(fuse_read_cmd, __fuse_read_cmd, "")
FUSELAGE_OLD_VERSION(fuse_set_getcontext_func, __fuse_set_getcontext_func, "")
