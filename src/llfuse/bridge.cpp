#include "llfuse/bridge.hpp"

#include "base/log.hpp"

namespace llfuse {
namespace {

using namespace fuselage;

std::uint64_t number(Ino ino) noexcept { return static_cast<std::uint64_t>(ino); }
std::uint64_t number(const OpenFile& file) noexcept { return static_cast<std::uint64_t>(file.handle); }

Opened opened(std::uint64_t fh) {
  Opened result;
  result.handle = Handle{fh};
  result.keep_cache = true;
  return result;
}

}  // namespace

template <class Handler>
auto Bridge::guarded(Handler handler) noexcept -> Result<decltype(handler())> try {
  if constexpr (std::is_void_v<decltype(handler())>) {
    handler();
    return {};
  } else {
    return handler();
  }
} catch (const FUSEError& error) {
  return Error{error.error()};
} catch (...) {
  return failed();
}

Error Bridge::failed() noexcept {
  const Error error = error_of_current_exception();
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = failure_ == nullptr;
    if (first) failure_ = std::current_exception();
  }
  if (!first) base::log(LogLevel::error, "another handler threw: {}", error.message());
  if (on_failure) on_failure();
  return Error{EIO};
}

void Bridge::rethrow() {
  std::exception_ptr failure;
  {
    const std::lock_guard lock(mutex_);
    failure.swap(failure_);
  }
  if (failure) std::rethrow_exception(failure);
}

Result<void> Bridge::init(Negotiation& /*negotiation*/) {
  return guarded([&] { ops_.init(); });
}

void Bridge::destroy() {
  [[maybe_unused]] const auto done = guarded([&] { ops_.destroy(); });
}

Reply<Entry> Bridge::lookup(const Context& context, Ino parent, Name name) {
  return guarded([&] { return ops_.lookup(number(parent), name, context).entry(); });
}

void Bridge::forget(Ino ino, std::uint64_t count) {
  const Forgotten one{number(ino), count};
  [[maybe_unused]] const auto done = guarded([&] { ops_.forget(std::span(&one, 1)); });
}

Reply<Attributes> Bridge::getattr(const Context& context, Ino ino, const OpenFile* /*file*/) {
  return guarded([&] { return ops_.getattr(number(ino), context).attributes(); });
}

Reply<Attributes> Bridge::setattr(const Context& context, Ino ino, const SetAttributes& changes, const OpenFile* file) {
  const auto [attr, fields] = from(changes);
  const auto fh = file != nullptr ? std::optional(number(*file)) : std::nullopt;
  return guarded([&, &attr = attr, &fields = fields] {
    return ops_.setattr(number(ino), attr, fields, fh, context).attributes();
  });
}

Reply<std::string> Bridge::readlink(const Context& context, Ino ino) {
  return guarded([&] { return ops_.readlink(number(ino), context); });
}

Reply<Entry> Bridge::mknod(const Context& context, Ino parent, Name name, mode_t mode, dev_t rdev) {
  return guarded([&] { return ops_.mknod(number(parent), name, mode, rdev, context).entry(); });
}

Reply<Entry> Bridge::mkdir(const Context& context, Ino parent, Name name, mode_t mode) {
  return guarded([&] { return ops_.mkdir(number(parent), name, mode | S_IFDIR, context).entry(); });
}

Reply<void> Bridge::unlink(const Context& context, Ino parent, Name name) {
  return guarded([&] { ops_.unlink(number(parent), name, context); });
}

Reply<void> Bridge::rmdir(const Context& context, Ino parent, Name name) {
  return guarded([&] { ops_.rmdir(number(parent), name, context); });
}

Reply<Entry> Bridge::symlink(const Context& context, Ino parent, Name name, Name target) {
  return guarded([&] { return ops_.symlink(number(parent), name, target, context).entry(); });
}

Reply<void> Bridge::rename(const Context& context, Ino parent, Name name, Ino new_parent, Name new_name,
                           RenameFlags flags) {
  if (flags.no_replace || flags.exchange || flags.whiteout) return Error{EINVAL};
  return guarded([&] { ops_.rename(number(parent), name, number(new_parent), new_name, context); });
}

Reply<Entry> Bridge::link(const Context& context, Ino ino, Ino new_parent, Name new_name) {
  return guarded([&] { return ops_.link(number(ino), number(new_parent), new_name, context).entry(); });
}

Reply<Opened> Bridge::open(const Context& context, Ino ino, OpenFlags flags) {
  return guarded([&] { return opened(ops_.open(number(ino), flags.value, context)); });
}

Reply<Data> Bridge::read(const Context& /*context*/, Ino /*ino*/, const OpenFile& file, Range range) {
  return guarded([&] { return Data::own(ops_.read(number(file), range.offset, range.size)); });
}

Reply<std::size_t> Bridge::write(const Context& /*context*/, Ino /*ino*/, const OpenFile& file, std::uint64_t offset,
                                 Bytes bytes, WriteFlags /*flags*/) {
  return guarded([&] { return ops_.write(number(file), offset, bytes); });
}

Reply<void> Bridge::flush(const Context& /*context*/, Ino /*ino*/, const OpenFile& file) {
  return guarded([&] { ops_.flush(number(file)); });
}

Reply<void> Bridge::release(const Context& /*context*/, Ino /*ino*/, const OpenFile& file, bool /*flock_unlock*/) {
  return guarded([&] { ops_.release(number(file)); });
}

Reply<void> Bridge::fsync(const Context& /*context*/, Ino /*ino*/, const OpenFile& file, bool data_only) {
  return guarded([&] { ops_.fsync(number(file), data_only); });
}

Reply<Opened> Bridge::opendir(const Context& context, Ino ino, OpenFlags /*flags*/) {
  return guarded([&] {
    Opened result;
    result.handle = Handle{ops_.opendir(number(ino), context)};
    return result;
  });
}

Reply<void> Bridge::readdir(const Context& /*context*/, Ino /*ino*/, const OpenFile& file, std::uint64_t offset,
                            DirectorySink& sink) {
  return guarded([&] {
    ops_.readdir(number(file), offset, [&sink](Name name, const EntryAttributes& attr, std::uint64_t next) {
      return sink.add(name, Ino{attr.st_ino}, file_type(attr.st_mode), next);
    });
  });
}

Reply<void> Bridge::releasedir(const Context& /*context*/, Ino /*ino*/, const OpenFile& file) {
  return guarded([&] { ops_.releasedir(number(file)); });
}

Reply<void> Bridge::fsyncdir(const Context& /*context*/, Ino /*ino*/, const OpenFile& file, bool data_only) {
  return guarded([&] { ops_.fsyncdir(number(file), data_only); });
}

Reply<StatFs> Bridge::statfs(const Context& context, Ino /*ino*/) {
  return guarded([&] { return ops_.statfs(context).statfs(); });
}

Reply<void> Bridge::setxattr(const Context& context, Ino ino, Name name, Bytes value, XattrFlags flags) {
  return guarded([&] {
    if (flags.create || flags.replace) {
      bool exists = true;
      try {
        ops_.getxattr(number(ino), name, context);
      } catch (const FUSEError& error) {
        if (error.error() != ENODATA || !flags.create) throw;
        exists = false;
      }
      if (exists && flags.create) throw FUSEError(EEXIST);
    }
    ops_.setxattr(number(ino), name, value, context);
  });
}

Reply<Data> Bridge::getxattr(const Context& context, Ino ino, Name name) {
  return guarded([&] { return Data::own(ops_.getxattr(number(ino), name, context)); });
}

Reply<std::vector<std::string>> Bridge::listxattr(const Context& context, Ino ino) {
  return guarded([&] { return ops_.listxattr(number(ino), context); });
}

Reply<void> Bridge::removexattr(const Context& context, Ino ino, Name name) {
  return guarded([&] { ops_.removexattr(number(ino), name, context); });
}

Reply<void> Bridge::access(const Context& context, Ino ino, int mask) {
  return guarded([&] {
    if (!ops_.access(number(ino), mask, context)) throw FUSEError(EACCES);
  });
}

Reply<Created> Bridge::create(const Context& context, Ino parent, Name name, mode_t mode, OpenFlags flags) {
  return guarded([&] {
    const auto [fh, attr] = ops_.create(number(parent), name, mode, flags.value, context);
    return Created{attr.entry(), opened(fh)};
  });
}

}  // namespace llfuse
