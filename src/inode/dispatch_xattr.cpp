// Extended attributes.
#include <sys/xattr.h>

#include "inode/answer.hpp"
#include "inode/dispatch.hpp"
#include "wire/kernel.hpp"

namespace fuselage::inode {

template <>
void dispatch<Opcode::SETXATTR>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto in = decoder.arguments<wire::fuse_setxattr_in>();
  const auto name = decoder.text();
  const auto value = decoder.bytes(in.size);
  if (!name || name->empty() || !value) return refuse_malformed(request);
  XattrFlags flags;
  flags.create = (in.flags & XATTR_CREATE) != 0;
  flags.replace = (in.flags & XATTR_REPLACE) != 0;
  flags.acl_kill_sgid = (in.setxattr_flags & wire::setxattr_flag::acl_kill_sgid) != 0;
  complete(request, file_system.setxattr(request.context(), request.ino(), *name, *value, flags));
}

template <>
void dispatch<Opcode::GETXATTR>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto in = decoder.arguments<wire::fuse_getxattr_in>();
  const auto name = decoder.text();
  if (!name || name->empty()) return refuse_malformed(request);
  complete(request, file_system.getxattr(request.context(), request.ino(), *name),
           [&request, wanted = in.size](const Data& value) {
             if (value.is_file()) return refuse_answer(request, "the value of an attribute cannot come from a file");
             answer_sized(request, value.bytes(), wanted);
           });
}

template <>
void dispatch<Opcode::LISTXATTR>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_getxattr_in>();
  complete(request, file_system.listxattr(request.context(), request.ino()),
           [&request, wanted = in.size](const std::vector<std::string>& names) {
             std::string list;
             for (const std::string& name : names) list.append(name).push_back('\0');
             answer_sized(request, bytes_of(list), wanted);
           });
}

template <>
void dispatch<Opcode::REMOVEXATTR>(FileSystem& file_system, Request& request) {
  const auto name = Decoder(request.message).text();
  if (!name || name->empty()) return refuse_malformed(request);
  complete(request, file_system.removexattr(request.context(), request.ino(), *name));
}

}  // namespace fuselage::inode
