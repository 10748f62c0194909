// Module: llfuse.
//
// Any class as `llfuse::Operations`: what it has is called, with the operation's arguments, and what it lacks is left
// to `Operations`. Included by <fuselage/llfuse/operations.hpp>.
#pragma once

#include <fuselage/llfuse/operations.hpp>

namespace llfuse::detail {

/// Stands for `ops`, which must outlive it.
template <class Ops>
class Duck final : public Operations {
 public:
  explicit Duck(Ops& ops) noexcept : ops_(ops) {}

  void init() override {
    if constexpr (requires { ops_.init(); }) {
      return ops_.init();
    } else {
      static_assert(
          !requires { &Ops::init; }, "`init` does not take the arguments of `Operations::init`");
      return Operations::init();
    }
  }

  void destroy() override {
    if constexpr (requires { ops_.destroy(); }) {
      return ops_.destroy();
    } else {
      static_assert(
          !requires { &Ops::destroy; }, "`destroy` does not take the arguments of `Operations::destroy`");
      return Operations::destroy();
    }
  }

  EntryAttributes lookup(std::uint64_t parent_inode, std::string_view name, const RequestContext& ctx) override {
    if constexpr (requires { ops_.lookup(parent_inode, name, ctx); }) {
      return ops_.lookup(parent_inode, name, ctx);
    } else {
      static_assert(
          !requires { &Ops::lookup; }, "`lookup` does not take the arguments of `Operations::lookup`");
      return Operations::lookup(parent_inode, name, ctx);
    }
  }

  void forget(std::span<const Forgotten> inode_list) override {
    if constexpr (requires { ops_.forget(inode_list); }) {
      return ops_.forget(inode_list);
    } else {
      static_assert(
          !requires { &Ops::forget; }, "`forget` does not take the arguments of `Operations::forget`");
      return Operations::forget(inode_list);
    }
  }

  EntryAttributes getattr(std::uint64_t inode, const RequestContext& ctx) override {
    if constexpr (requires { ops_.getattr(inode, ctx); }) {
      return ops_.getattr(inode, ctx);
    } else {
      static_assert(
          !requires { &Ops::getattr; }, "`getattr` does not take the arguments of `Operations::getattr`");
      return Operations::getattr(inode, ctx);
    }
  }

  EntryAttributes setattr(std::uint64_t inode, const EntryAttributes& attr, const SetattrFields& fields,
                          std::optional<std::uint64_t> fh, const RequestContext& ctx) override {
    if constexpr (requires { ops_.setattr(inode, attr, fields, fh, ctx); }) {
      return ops_.setattr(inode, attr, fields, fh, ctx);
    } else {
      static_assert(
          !requires { &Ops::setattr; }, "`setattr` does not take the arguments of `Operations::setattr`");
      return Operations::setattr(inode, attr, fields, fh, ctx);
    }
  }

  std::string readlink(std::uint64_t inode, const RequestContext& ctx) override {
    if constexpr (requires { ops_.readlink(inode, ctx); }) {
      return ops_.readlink(inode, ctx);
    } else {
      static_assert(
          !requires { &Ops::readlink; }, "`readlink` does not take the arguments of `Operations::readlink`");
      return Operations::readlink(inode, ctx);
    }
  }

  EntryAttributes mknod(std::uint64_t parent_inode, std::string_view name, ::mode_t mode, ::dev_t rdev,
                        const RequestContext& ctx) override {
    if constexpr (requires { ops_.mknod(parent_inode, name, mode, rdev, ctx); }) {
      return ops_.mknod(parent_inode, name, mode, rdev, ctx);
    } else {
      static_assert(
          !requires { &Ops::mknod; }, "`mknod` does not take the arguments of `Operations::mknod`");
      return Operations::mknod(parent_inode, name, mode, rdev, ctx);
    }
  }

  EntryAttributes mkdir(std::uint64_t parent_inode, std::string_view name, ::mode_t mode,
                        const RequestContext& ctx) override {
    if constexpr (requires { ops_.mkdir(parent_inode, name, mode, ctx); }) {
      return ops_.mkdir(parent_inode, name, mode, ctx);
    } else {
      static_assert(
          !requires { &Ops::mkdir; }, "`mkdir` does not take the arguments of `Operations::mkdir`");
      return Operations::mkdir(parent_inode, name, mode, ctx);
    }
  }

  void unlink(std::uint64_t parent_inode, std::string_view name, const RequestContext& ctx) override {
    if constexpr (requires { ops_.unlink(parent_inode, name, ctx); }) {
      return ops_.unlink(parent_inode, name, ctx);
    } else {
      static_assert(
          !requires { &Ops::unlink; }, "`unlink` does not take the arguments of `Operations::unlink`");
      return Operations::unlink(parent_inode, name, ctx);
    }
  }

  void rmdir(std::uint64_t parent_inode, std::string_view name, const RequestContext& ctx) override {
    if constexpr (requires { ops_.rmdir(parent_inode, name, ctx); }) {
      return ops_.rmdir(parent_inode, name, ctx);
    } else {
      static_assert(
          !requires { &Ops::rmdir; }, "`rmdir` does not take the arguments of `Operations::rmdir`");
      return Operations::rmdir(parent_inode, name, ctx);
    }
  }

  EntryAttributes symlink(std::uint64_t parent_inode, std::string_view name, std::string_view target,
                          const RequestContext& ctx) override {
    if constexpr (requires { ops_.symlink(parent_inode, name, target, ctx); }) {
      return ops_.symlink(parent_inode, name, target, ctx);
    } else {
      static_assert(
          !requires { &Ops::symlink; }, "`symlink` does not take the arguments of `Operations::symlink`");
      return Operations::symlink(parent_inode, name, target, ctx);
    }
  }

  void rename(std::uint64_t parent_inode_old, std::string_view name_old, std::uint64_t parent_inode_new,
              std::string_view name_new, const RequestContext& ctx) override {
    if constexpr (requires { ops_.rename(parent_inode_old, name_old, parent_inode_new, name_new, ctx); }) {
      return ops_.rename(parent_inode_old, name_old, parent_inode_new, name_new, ctx);
    } else {
      static_assert(
          !requires { &Ops::rename; }, "`rename` does not take the arguments of `Operations::rename`");
      return Operations::rename(parent_inode_old, name_old, parent_inode_new, name_new, ctx);
    }
  }

  EntryAttributes link(std::uint64_t inode, std::uint64_t new_parent_inode, std::string_view new_name,
                       const RequestContext& ctx) override {
    if constexpr (requires { ops_.link(inode, new_parent_inode, new_name, ctx); }) {
      return ops_.link(inode, new_parent_inode, new_name, ctx);
    } else {
      static_assert(
          !requires { &Ops::link; }, "`link` does not take the arguments of `Operations::link`");
      return Operations::link(inode, new_parent_inode, new_name, ctx);
    }
  }

  std::uint64_t open(std::uint64_t inode, int flags, const RequestContext& ctx) override {
    if constexpr (requires { ops_.open(inode, flags, ctx); }) {
      return ops_.open(inode, flags, ctx);
    } else {
      static_assert(
          !requires { &Ops::open; }, "`open` does not take the arguments of `Operations::open`");
      return Operations::open(inode, flags, ctx);
    }
  }

  std::string read(std::uint64_t fh, std::uint64_t off, std::size_t size) override {
    if constexpr (requires { ops_.read(fh, off, size); }) {
      return ops_.read(fh, off, size);
    } else {
      static_assert(
          !requires { &Ops::read; }, "`read` does not take the arguments of `Operations::read`");
      return Operations::read(fh, off, size);
    }
  }

  std::size_t write(std::uint64_t fh, std::uint64_t off, fuselage::Bytes buf) override {
    if constexpr (requires { ops_.write(fh, off, buf); }) {
      return ops_.write(fh, off, buf);
    } else {
      static_assert(
          !requires { &Ops::write; }, "`write` does not take the arguments of `Operations::write`");
      return Operations::write(fh, off, buf);
    }
  }

  void flush(std::uint64_t fh) override {
    if constexpr (requires { ops_.flush(fh); }) {
      return ops_.flush(fh);
    } else {
      static_assert(
          !requires { &Ops::flush; }, "`flush` does not take the arguments of `Operations::flush`");
      return Operations::flush(fh);
    }
  }

  void release(std::uint64_t fh) override {
    if constexpr (requires { ops_.release(fh); }) {
      return ops_.release(fh);
    } else {
      static_assert(
          !requires { &Ops::release; }, "`release` does not take the arguments of `Operations::release`");
      return Operations::release(fh);
    }
  }

  void fsync(std::uint64_t fh, bool datasync) override {
    if constexpr (requires { ops_.fsync(fh, datasync); }) {
      return ops_.fsync(fh, datasync);
    } else {
      static_assert(
          !requires { &Ops::fsync; }, "`fsync` does not take the arguments of `Operations::fsync`");
      return Operations::fsync(fh, datasync);
    }
  }

  std::uint64_t opendir(std::uint64_t inode, const RequestContext& ctx) override {
    if constexpr (requires { ops_.opendir(inode, ctx); }) {
      return ops_.opendir(inode, ctx);
    } else {
      static_assert(
          !requires { &Ops::opendir; }, "`opendir` does not take the arguments of `Operations::opendir`");
      return Operations::opendir(inode, ctx);
    }
  }

  void readdir(std::uint64_t fh, std::uint64_t off, const Yield& yield) override {
    if constexpr (requires { ops_.readdir(fh, off, yield); }) {
      return ops_.readdir(fh, off, yield);
    } else {
      static_assert(
          !requires { &Ops::readdir; }, "`readdir` does not take the arguments of `Operations::readdir`");
      return Operations::readdir(fh, off, yield);
    }
  }

  void releasedir(std::uint64_t fh) override {
    if constexpr (requires { ops_.releasedir(fh); }) {
      return ops_.releasedir(fh);
    } else {
      static_assert(
          !requires { &Ops::releasedir; }, "`releasedir` does not take the arguments of `Operations::releasedir`");
      return Operations::releasedir(fh);
    }
  }

  void fsyncdir(std::uint64_t fh, bool datasync) override {
    if constexpr (requires { ops_.fsyncdir(fh, datasync); }) {
      return ops_.fsyncdir(fh, datasync);
    } else {
      static_assert(
          !requires { &Ops::fsyncdir; }, "`fsyncdir` does not take the arguments of `Operations::fsyncdir`");
      return Operations::fsyncdir(fh, datasync);
    }
  }

  StatvfsData statfs(const RequestContext& ctx) override {
    if constexpr (requires { ops_.statfs(ctx); }) {
      return ops_.statfs(ctx);
    } else {
      static_assert(
          !requires { &Ops::statfs; }, "`statfs` does not take the arguments of `Operations::statfs`");
      return Operations::statfs(ctx);
    }
  }

  void setxattr(std::uint64_t inode, std::string_view name, fuselage::Bytes value, const RequestContext& ctx) override {
    if constexpr (requires { ops_.setxattr(inode, name, value, ctx); }) {
      return ops_.setxattr(inode, name, value, ctx);
    } else {
      static_assert(
          !requires { &Ops::setxattr; }, "`setxattr` does not take the arguments of `Operations::setxattr`");
      return Operations::setxattr(inode, name, value, ctx);
    }
  }

  std::string getxattr(std::uint64_t inode, std::string_view name, const RequestContext& ctx) override {
    if constexpr (requires { ops_.getxattr(inode, name, ctx); }) {
      return ops_.getxattr(inode, name, ctx);
    } else {
      static_assert(
          !requires { &Ops::getxattr; }, "`getxattr` does not take the arguments of `Operations::getxattr`");
      return Operations::getxattr(inode, name, ctx);
    }
  }

  std::vector<std::string> listxattr(std::uint64_t inode, const RequestContext& ctx) override {
    if constexpr (requires { ops_.listxattr(inode, ctx); }) {
      return ops_.listxattr(inode, ctx);
    } else {
      static_assert(
          !requires { &Ops::listxattr; }, "`listxattr` does not take the arguments of `Operations::listxattr`");
      return Operations::listxattr(inode, ctx);
    }
  }

  void removexattr(std::uint64_t inode, std::string_view name, const RequestContext& ctx) override {
    if constexpr (requires { ops_.removexattr(inode, name, ctx); }) {
      return ops_.removexattr(inode, name, ctx);
    } else {
      static_assert(
          !requires { &Ops::removexattr; }, "`removexattr` does not take the arguments of `Operations::removexattr`");
      return Operations::removexattr(inode, name, ctx);
    }
  }

  bool access(std::uint64_t inode, int mode, const RequestContext& ctx) override {
    if constexpr (requires { ops_.access(inode, mode, ctx); }) {
      return ops_.access(inode, mode, ctx);
    } else {
      static_assert(
          !requires { &Ops::access; }, "`access` does not take the arguments of `Operations::access`");
      return Operations::access(inode, mode, ctx);
    }
  }

  std::pair<std::uint64_t, EntryAttributes> create(std::uint64_t parent_inode, std::string_view name, ::mode_t mode,
                                                   int flags, const RequestContext& ctx) override {
    if constexpr (requires { ops_.create(parent_inode, name, mode, flags, ctx); }) {
      return ops_.create(parent_inode, name, mode, flags, ctx);
    } else {
      static_assert(
          !requires { &Ops::create; }, "`create` does not take the arguments of `Operations::create`");
      return Operations::create(parent_inode, name, mode, flags, ctx);
    }
  }

 private:
  Ops& ops_;
};

}  // namespace llfuse::detail
