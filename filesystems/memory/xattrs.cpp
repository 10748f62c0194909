// Extended attributes: kept as they are given.
#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "memory.hpp"

namespace fuselage::memory {
namespace {

constexpr std::size_t max_xattr_name = 255;     // XATTR_NAME_MAX
constexpr std::size_t max_xattr_value = 65536;  // XATTR_SIZE_MAX

/// The namespaces that Linux file systems keep; who may use which is the kernel's to check.
Result<void> check_xattr_name(std::string_view name) {
  if (name.size() > max_xattr_name) return Error{ERANGE};
  for (const std::string_view prefix : {"user.", "trusted.", "security."}) {
    if (name.starts_with(prefix)) return name.size() > prefix.size() ? Result<void>() : Error{EINVAL};
  }
  if (name == "system.posix_acl_access" || name == "system.posix_acl_default") return {};
  return Error{EOPNOTSUPP};
}

}  // namespace

Reply<void> Memory::setxattr(const Context&, Ino ino, std::string_view name, Bytes value, XattrFlags flags) {
  if (auto checked = check_xattr_name(name); !checked) return checked.error();
  if (value.size() > max_xattr_value) return Error{E2BIG};
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  const std::lock_guard lock(node->mutex);
  const bool exists = node->xattrs != nullptr && node->xattrs->contains(name);
  if (flags.create && exists) return Error{EEXIST};
  if (flags.replace && !exists) return Error{ENODATA};
  if (auto set = node->set_xattr(name, value); !set) return set.error();
  if (flags.acl_kill_sgid) node->mode &= ~static_cast<mode_t>(S_ISGID);
  node->changed();
  return {};
}

Reply<Data> Memory::getxattr(const Context&, Ino ino, std::string_view name) {
  if (auto checked = check_xattr_name(name); !checked) return checked.error();
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  const std::shared_lock lock(node->mutex);
  if (node->xattrs == nullptr) return Error{ENODATA};
  const auto found = node->xattrs->find(name);
  if (found == node->xattrs->end()) return Error{ENODATA};
  return Data::own(found->second);
}

Reply<std::vector<std::string>> Memory::listxattr(const Context& context, Ino ino) {
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  std::vector<std::string> names;
  const std::shared_lock lock(node->mutex);
  if (node->xattrs == nullptr) return names;
  for (const auto& [name, ignored] : *node->xattrs) {
    // Who may not read the trusted ones does not see them: xattr(7).
    if (context.uid == 0 || !name.starts_with("trusted.")) names.push_back(name);
  }
  return names;
}

Reply<void> Memory::removexattr(const Context&, Ino ino, std::string_view name) {
  if (auto checked = check_xattr_name(name); !checked) return checked.error();
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  const std::lock_guard lock(node->mutex);
  if (!node->remove_xattr(name)) return Error{ENODATA};
  node->changed();
  return {};
}

}  // namespace fuselage::memory
