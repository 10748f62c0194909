// Locks.
#include "inode/answer.hpp"
#include "inode/dispatch.hpp"
#include "wire/kernel.hpp"

namespace fuselage::inode {
namespace {

void setlk(FileSystem& file_system, Request& request, bool wait) {
  const auto in = Decoder(request.message).arguments<wire::fuse_lk_in>();
  const auto lock = to_lock(in, (in.lk_flags & wire::lk_flag::flock) != 0);
  if (!lock) return refuse_malformed(request);
  complete(request,
           file_system.setlk(request.context(), request.ino(), open_file(request, in.fh, 0, in.owner), *lock, wait));
}

}  // namespace

template <>
void dispatch<Opcode::GETLK>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_lk_in>();
  const auto lock = to_lock(in, (in.lk_flags & wire::lk_flag::flock) != 0);
  if (!lock) return refuse_malformed(request);
  complete(request, file_system.getlk(request.context(), request.ino(), open_file(request, in.fh, 0, in.owner), *lock),
           [&request](const Lock& found) {
             wire::fuse_lk_out out{};
             out.lk = to_file_lock(found);
             request.answer(out);
           });
}

template <>
void dispatch<Opcode::SETLK>(FileSystem& file_system, Request& request) {
  setlk(file_system, request, false);
}

template <>
void dispatch<Opcode::SETLKW>(FileSystem& file_system, Request& request) {
  setlk(file_system, request, true);
}

}  // namespace fuselage::inode
