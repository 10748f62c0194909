// Listing directories.
#include "path/with.hpp"

namespace fuselage::path {

// One call of `readdir`: names go straight to the kernel's buffer, or, if they come without offsets, into a listing.
class Adapter::Pass final : public PathDirectorySink {
 public:
  Pass(Adapter& adapter, PinnedNode directory, DirectorySink& out) noexcept
      : adapter_(adapter), directory_(std::move(directory)), out_(out) {}

  bool wants_attributes() const noexcept override { return out_.wants_entries(); }

  /// Hands out what follows `offset` of a listing.
  void hand_out(const Listing& listing, std::uint64_t offset) {
    for (std::uint64_t at = offset; at < listing.items.size(); ++at) {
      const Listing::Item& item = listing.items[at];
      Attributes brief;
      brief.mode = item.type;
      brief.ino = item.ino;
      const bool complete = item.attributes != nullptr;
      if (!add_to_buffer(item.name, complete ? *item.attributes : brief, complete, at + 1)) return;
    }
  }

  /// What was added without offsets; null if nothing was. EIO if both ways were used.
  Result<std::shared_ptr<const Listing>> listing() const {
    if (mixed_) return Error{EIO, "readdir added names with and without an offset"};
    return std::shared_ptr<const Listing>(listing_);
  }

 protected:
  bool put(std::string_view name, const Attributes& attributes, bool complete, std::uint64_t next) override {
    if (next == 0) {
      if (in_pieces_) return mixed_ = true, false;
      if (listing_ == nullptr) listing_ = std::make_shared<Listing>();
      listing_->items.push_back({std::string(name), attributes.mode, attributes.ino,
                                 complete ? std::make_unique<Attributes>(attributes) : nullptr});
      return true;
    }
    if (listing_ != nullptr) return mixed_ = true, false;
    in_pieces_ = true;
    return add_to_buffer(name, attributes, complete, next);
  }

 private:
  bool add_to_buffer(std::string_view name, const Attributes& attributes, bool complete, std::uint64_t next) {
    const bool dots = name == "." || name == "..";
    if (!complete || dots || !out_.wants_entries()) {
      return out_.add(name, number_of(name, attributes), file_type(attributes.mode), next);
    }
    // The name is entered once it is known to fit: a lookup that nobody gets would have to be taken back.
    const Entry entry = adapter_.enter(*directory_, name, attributes);
    if (out_.add(name, entry, next)) return true;
    adapter_.forget(entry.ino, 1);
    return false;
  }

  // What readdir(3) shows as the inode number.
  Ino number_of(std::string_view name, const Attributes& attributes) const {
    constexpr Ino unknown{UINT32_MAX};  // programs take 0 for a deleted entry
    Ino number{};
    if (adapter_.options_.use_ino) {
      number = attributes.ino;
    } else if (name == ".") {
      number = directory_->ino();
    } else if (adapter_.options_.readdir_ino) {
      if (const PinnedNode node = adapter_.tree().child(*directory_, name)) number = node->ino();
    }
    return number == Ino{} ? unknown : number;
  }

  Adapter& adapter_;
  PinnedNode directory_;
  DirectorySink& out_;
  std::shared_ptr<Listing> listing_;
  bool in_pieces_ = false;
  bool mixed_ = false;
};

// The open directory as the file system knows it.
const OpenFile& Adapter::inner_file(const Context& context, const OpenFile& file,
                                    const OpenDirectory& directory) const {
  return *new (memory_of(context, sizeof(OpenFile)).data()) OpenFile{directory.handle, file.flags, file.lock_owner};
}

Reply<Opened> Adapter::opendir(const Context& context, Ino ino, OpenFlags flags) {
  return with(
      context, Want{{ino}}, Nameless::call,
      [this, &context, flags](Hold&, Path path, Path) -> Reply<Opened> {
        if (!has(operations::opendir)) return Opened{};
        if (path.empty()) return Error{ENOENT};
        return file_system_.opendir(context, path, flags);
      },
      [this](Hold&, const Result<Opened>& opened) -> Result<Opened> {
        if (!opened) return opened.error();
        auto directory = std::make_shared<OpenDirectory>();
        directory->handle = opened->handle;
        Opened outer = *opened;
        outer.handle = directories_.open(std::move(directory));
        return outer;
      });
}

Reply<void> Adapter::readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                             DirectorySink& sink) {
  auto directory = directories_.find(file.handle);
  if (directory == nullptr) return Error{EBADF};
  PinnedNode node = tree().pin(ino);
  if (node == nullptr) return Error{ESTALE};
  auto pass = std::make_unique<Pass>(*this, std::move(node), sink);
  if (offset != 0) {
    std::unique_lock lock(directory->mutex);
    if (const auto listing = directory->listing) {
      lock.unlock();
      pass->hand_out(*listing, offset);
      return {};
    }
  }
  const OpenFile& inner = inner_file(context, file, *directory);
  PathDirectorySink& names = *pass;
  return with(
      context, Want{{options_.omit_paths ? root_ino : ino}}, Nameless::call,
      [this, &context, ino, &inner, offset, &names](Hold&, Path path, Path) {
        return file_system_.readdir(context, options_.omit_paths ? Path("", 0, ino) : path, inner, offset, names);
      },
      [offset, directory = std::move(directory), pass = std::move(pass)](Hold&, Result<void> result) -> Result<void> {
        if (!result) return result;
        const auto listing = pass->listing();
        if (!listing) return listing.error();
        {
          const std::lock_guard lock(directory->mutex);
          directory->listing = *listing;
        }
        if (*listing != nullptr) pass->hand_out(**listing, offset);
        return {};
      });
}

Reply<void> Adapter::releasedir(const Context& context, Ino ino, const OpenFile& file) {
  const auto directory = directories_.close(file.handle);
  if (directory == nullptr || !has(operations::releasedir)) return {};
  const OpenFile& inner = inner_file(context, file, *directory);
  return with_file(context, ino,
                   [this, &context, &inner](Path path) { return file_system_.releasedir(context, path, inner); });
}

Reply<void> Adapter::fsyncdir(const Context& context, Ino ino, const OpenFile& file, bool data_only) {
  const auto directory = directories_.find(file.handle);
  if (directory == nullptr) return Error{EBADF};
  const OpenFile& inner = inner_file(context, file, *directory);
  return with_file(context, ino, [this, &context, &inner, data_only](Path path) {
    return file_system_.fsyncdir(context, path, inner, data_only);
  });
}

}  // namespace fuselage::path
