// A file system at path level that keeps its files by their paths, for tests of the path level.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <fuselage/handle_table.hpp>
#include <fuselage/path_file_system.hpp>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace fuselage::test {

/// Keeps a tree, and the names of the operations in the order in which they came. What may be set is set before it is
/// served; everything else is safe from any thread.
class PathFiles : public PathFileSystem {
 public:
  struct File {
    Attributes attributes;
    std::string content;  ///< Or the target of a link.
    std::map<std::string, std::string, std::less<>> xattrs;
  };
  using FilePtr = std::shared_ptr<File>;

  PathFiles() { add("/", S_IFDIR | 0755); }

  /// Called in each handler, while its path must stay true.
  std::function<void(std::string_view operation, Path path)> during;

  std::vector<std::string> log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  std::size_t count(std::string_view operation) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::count_if(log_.begin(), log_.end(), [operation](const std::string& line) {
      return line == operation || line.starts_with(std::string(operation) + " ");
    }));
  }
  bool exists(std::string_view path) const {
    const std::lock_guard lock(mutex_);
    return files_.contains(path);
  }
  std::string content(std::string_view path) const {
    const std::lock_guard lock(mutex_);
    const auto file = files_.find(path);
    return file == files_.end() ? "there is no " + std::string(path) : file->second->content;
  }
  void put(const std::string& path, std::string content) {
    const std::lock_guard lock(mutex_);
    const auto file = files_.find(path);
    const FilePtr known = file == files_.end() ? add(path, S_IFREG | 0644) : file->second;
    known->content = std::move(content);
    known->attributes.size = known->content.size();
    known->attributes.mtime = Timestamp::now();
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    files_.erase(path);
  }
  /// Handlers that found that their path led elsewhere.
  std::size_t lies() const { return lies_.load(); }
  PathNotifier notifier() const {
    const std::lock_guard lock(mutex_);
    return notifier_;
  }
  std::size_t open_handles() const { return handles_.size(); }

  Result<void> init(PathSetup& setup) override {
    const std::lock_guard lock(mutex_);
    notifier_ = setup.notifier;
    return {};
  }
  Reply<Attributes> getattr(const Context&, Path path, const OpenFile* file) override {
    const Call call(*this, "getattr", path);
    const FilePtr found = find(path, file);
    if (found == nullptr) return Error{ENOENT};
    return attributes_of(*found);
  }
  Reply<Attributes> setattr(const Context&, Path path, const SetAttributes& changes, const OpenFile* file) override {
    const Call call(*this, "setattr", path);
    const FilePtr found = find(path, file);
    if (found == nullptr) return Error{ENOENT};
    const std::lock_guard lock(mutex_);
    Attributes& now = found->attributes;
    if (changes.mode) now.mode = (now.mode & S_IFMT) | (*changes.mode & 07777);
    if (changes.uid) now.uid = *changes.uid;
    if (changes.gid) now.gid = *changes.gid;
    if (changes.atime) now.atime = *changes.atime;
    if (changes.mtime) now.mtime = *changes.mtime;
    if (changes.size) {
      found->content.resize(static_cast<std::size_t>(*changes.size));
      now.size = *changes.size;
    }
    return now;
  }
  Reply<std::string> readlink(const Context&, Path path) override {
    const Call call(*this, "readlink", path);
    return content(path);
  }
  Reply<Attributes> mknod(const Context&, Path path, mode_t mode, dev_t rdev) override {
    const Call call(*this, "mknod", path);
    return make(path, mode, {}, rdev);
  }
  Reply<Attributes> mkdir(const Context&, Path path, mode_t mode) override {
    const Call call(*this, "mkdir", path);
    return make(path, S_IFDIR | mode);
  }
  Reply<Attributes> symlink(const Context&, Path path, std::string_view target) override {
    const Call call(*this, "symlink", path);
    return make(path, S_IFLNK | 0777, std::string(target));
  }
  Reply<void> unlink(const Context&, Path path) override {
    const Call call(*this, "unlink", path);
    const std::lock_guard lock(mutex_);
    const auto file = files_.find(path.view());
    if (file == files_.end()) return Error{ENOENT};
    --file->second->attributes.nlink;
    files_.erase(file);
    return {};
  }
  Reply<void> rmdir(const Context&, Path path) override {
    const Call call(*this, "rmdir", path);
    const std::lock_guard lock(mutex_);
    const auto next = files_.upper_bound(path.string() + "/");
    if (next != files_.end() && next->first.starts_with(path.string() + "/")) return Error{ENOTEMPTY};
    if (files_.erase(path.string()) == 0) return Error{ENOENT};
    return {};
  }
  Reply<void> rename(const Context&, Path path, Path new_path, RenameFlags flags) override {
    const Call call(*this, "rename", path);
    const std::lock_guard lock(mutex_);
    if (!files_.contains(path.view())) return Error{ENOENT};
    const auto target = files_.find(new_path.view());
    if (flags.no_replace && target != files_.end()) return Error{EEXIST};
    if (flags.exchange && target == files_.end()) return Error{ENOENT};
    if (flags.exchange) {
      move(new_path.string(), "/../exchange");
      move(path.string(), new_path.string());
      move("/../exchange", path.string());
      return {};
    }
    if (target != files_.end()) --target->second->attributes.nlink;
    move(path.string(), new_path.string());
    return {};
  }
  Reply<Attributes> link(const Context&, Path path, const OpenFile* file, Path new_path) override {
    const Call call(*this, "link", path);
    const FilePtr found = find(path, file);
    const std::lock_guard lock(mutex_);
    if (found == nullptr) return Error{ENOENT};
    if (!files_.try_emplace(new_path.string(), found).second) return Error{EEXIST};
    ++found->attributes.nlink;
    return found->attributes;
  }
  Reply<Opened> open(const Context&, Path path, OpenFlags) override {
    const Call call(*this, "open", path);
    const FilePtr found = find(path, nullptr);
    if (found == nullptr) return Error{ENOENT};
    return opened(found);
  }
  Reply<CreatedFile> create(const Context&, Path path, mode_t mode, OpenFlags) override {
    const Call call(*this, "create", path);
    const Result<Attributes> made = make(path, mode);
    if (!made) return made.error();
    return CreatedFile{*made, opened(find(path, nullptr))};
  }
  Reply<CreatedFile> tmpfile(const Context&, Path path, mode_t mode, OpenFlags) override {
    const Call call(*this, "tmpfile", path);
    auto file = std::make_shared<File>();
    file->attributes = fresh(mode);
    file->attributes.nlink = 0;
    return CreatedFile{file->attributes, opened(file)};
  }
  Reply<Data> read(const Context&, Path path, const OpenFile& file, Range range) override {
    const Call call(*this, "read", path);
    const FilePtr found = handles_.find(file.handle);
    if (found == nullptr) return Error{EBADF};
    const std::lock_guard lock(mutex_);
    return Data::own(std::string(text_of(slice(found->content, range))));
  }
  Reply<std::size_t> write(const Context&, Path path, const OpenFile& file, std::uint64_t offset, Bytes bytes,
                           WriteFlags) override {
    const Call call(*this, "write", path);
    const FilePtr found = handles_.find(file.handle);
    if (found == nullptr) return Error{EBADF};
    const std::lock_guard lock(mutex_);
    const auto at = static_cast<std::size_t>(offset);
    if (found->content.size() < at + bytes.size()) found->content.resize(at + bytes.size());
    found->content.replace(at, bytes.size(), text_of(bytes));
    found->attributes.size = found->content.size();
    return bytes.size();
  }
  Reply<void> release(const Context&, Path path, const OpenFile& file, bool) override {
    const Call call(*this, "release", path);
    handles_.close(file.handle);
    return {};
  }
  Reply<void> readdir(const Context&, Path path, const OpenFile&, std::uint64_t, PathDirectorySink& sink) override {
    const Call call(*this, "readdir", path);
    const std::lock_guard lock(mutex_);
    const std::string below = path.is_root() ? "/" : path.string() + "/";
    sink.add(".", FileType::directory);
    sink.add("..", FileType::directory);
    for (auto entry = files_.upper_bound(below); entry != files_.end() && entry->first.starts_with(below); ++entry) {
      const std::string_view name = std::string_view(entry->first).substr(below.size());
      if (name.find('/') == std::string_view::npos) sink.add(name, entry->second->attributes);
    }
    return {};
  }

 protected:
  /// One call of a handler: noted, and its path checked at both ends.
  class Call {
   public:
    Call(PathFiles& files, std::string_view operation, Path path) : files_(files), path_(path.string()) {
      {
        const std::lock_guard lock(files_.mutex_);
        files_.log_.push_back(std::string(operation) + " " + path_);
        before_ = files_.known(path_);
      }
      if (files_.during) files_.during(operation, path);
      const std::lock_guard lock(files_.mutex_);
      if (before_ != files_.known(path_)) ++files_.lies_;
    }

   private:
    PathFiles& files_;
    std::string path_;
    FilePtr before_;
  };

  FilePtr find(Path path, const OpenFile* file) const {
    if (path.empty()) return file != nullptr ? handles_.find(file->handle) : nullptr;
    const std::lock_guard lock(mutex_);
    return known(path.view());
  }
  Opened opened(FilePtr file) {
    Opened opened;
    opened.handle = handles_.open(std::move(file));
    return opened;
  }
  const HandleTable<File>& handles() const { return handles_; }
  mutable std::mutex mutex_;

 private:
  FilePtr known(std::string_view path) const {
    const auto file = files_.find(path);
    return file == files_.end() ? nullptr : file->second;
  }
  Attributes attributes_of(const File& file) const {
    const std::lock_guard lock(mutex_);
    return file.attributes;
  }
  Attributes fresh(mode_t mode) {
    Attributes attributes;
    attributes.mode = mode;
    attributes.ino = Ino{++last_ino_};
    attributes.atime = attributes.mtime = attributes.ctime = Timestamp::now();
    attributes.btime = Timestamp{1234567890, 5};
    return attributes;
  }
  FilePtr add(std::string path, mode_t mode) {
    auto file = std::make_shared<File>();
    file->attributes = fresh(mode);
    return files_[std::move(path)] = file;
  }
  Result<Attributes> make(Path path, mode_t mode, std::string content = {}, dev_t rdev = 0) {
    const std::lock_guard lock(mutex_);
    if (files_.contains(path.view())) return Error{EEXIST};
    const FilePtr file = add(path.string(), mode);
    file->content = std::move(content);
    file->attributes.size = file->content.size();
    file->attributes.rdev = rdev;
    return file->attributes;
  }
  // The path and everything below it.
  void move(const std::string& from, const std::string& to) {
    std::vector<std::pair<std::string, FilePtr>> moved;
    for (auto file = files_.lower_bound(from); file != files_.end() && file->first.starts_with(from);) {
      if (file->first != from && file->first[from.size()] != '/') {
        ++file;
        continue;
      }
      moved.emplace_back(to + file->first.substr(from.size()), file->second);
      file = files_.erase(file);
    }
    for (auto& [path, file] : moved) files_[path] = file;
  }

  std::map<std::string, FilePtr, std::less<>> files_;
  std::vector<std::string> log_;
  std::uint64_t last_ino_ = 1000;
  PathNotifier notifier_;
  HandleTable<File> handles_;
  std::atomic<std::size_t> lies_{0};
};

}  // namespace fuselage::test
