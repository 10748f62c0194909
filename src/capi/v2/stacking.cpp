// fuse_fs_*: calls an operation of a file system, or says what its absence means.
#include <fcntl.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "capi/v2/compat.hpp"
#include "capi/v2/context.hpp"
#include "capi/v2/high_api.hpp"

namespace fuselage::capi2 {
namespace {

// Handlers of interface 2.1 and before took flags in place of a fuse_file_info, or nothing.
using OpenByFlags = int (*)(const char*, int);
using ReadByPath = int (*)(const char*, char*, std::size_t, off_t);
using WriteByPath = int (*)(const char*, const char*, std::size_t, off_t);
using FlushByPath = int (*)(const char*);
using StatfsOfKernel = int (*)(const char*, struct statfs*);
using StatfsOfOne = int (*)(void*);
using InitWithout = void* (*)();
using OpenCompat = int (*)(const char*, fuse_file_info_compat*);

template <class Function, class Member>
Function as_old(Member member) {
  return reinterpret_cast<Function>(reinterpret_cast<void (*)()>(member));
}

bool without_info(const fuse_fs* fs) { return fs->version < 22; }

// The program sees its own data for as long as its operation runs.
void enter(const fuse_fs* fs) { current().context.private_data = fs->user_data; }

template <class Operation, class... Arguments>
int call(const fuse_fs* fs, Operation operation, int missing, Arguments... arguments) {
  enter(fs);
  return operation != nullptr ? operation(arguments...) : missing;
}

int open_compat(const fuse_fs* fs, int (*operation)(const char*, fuse_file_info*), const char* path,
                fuse_file_info* fi) {
  if (without_info(fs)) return as_old<OpenByFlags>(operation)(path, fi->flags);
  if (fs->version >= 25) return operation(path, fi);
  fuse_file_info_compat old{};
  old.flags = fi->flags;
  const int result = as_old<OpenCompat>(operation)(path, &old);
  const fuse_file_info now = old.current();
  fi->fh = now.fh;
  fi->direct_io = now.direct_io;
  fi->keep_cache = now.keep_cache;
  return result;
}

int statfs_compat(const fuse_fs* fs, const char* path, struct statvfs* buf) {
  if (fs->version >= 25) return fs->ops.statfs(path, buf);
  struct statfs old {};
  int result = 0;
  if (fs->version == 11) {
    struct {
      long block_size, blocks, blocks_free, files, files_free, namelen;
    } oldest{};
    result = as_old<StatfsOfOne>(fs->ops.statfs)(&oldest);
    old.f_bsize = oldest.block_size;
    old.f_blocks = static_cast<fsblkcnt_t>(oldest.blocks);
    old.f_bfree = old.f_bavail = static_cast<fsblkcnt_t>(oldest.blocks_free);
    old.f_files = static_cast<fsfilcnt_t>(oldest.files);
    old.f_ffree = static_cast<fsfilcnt_t>(oldest.files_free);
    old.f_namelen = oldest.namelen;
  } else {
    result = as_old<StatfsOfKernel>(fs->ops.statfs)(path, &old);
  }
  *buf = capi2::current(old);
  return result;
}

}  // namespace

fuse_fs* new_fs(const void* op, std::size_t op_size, void* user_data, int version) {
  if (op_size > sizeof(fuse_operations)) {
    complain("the program knows more operations than this library: what is new is not called");
    op_size = sizeof(fuse_operations);
  }
  auto* const fs = new fuse_fs;
  if (op != nullptr) std::memcpy(&fs->ops, op, op_size);
  fs->user_data = user_data;
  fs->version = version;
  return fs;
}

void discard(fuse_fs* fs) {
  fs->ops.destroy = nullptr;
  fuse_fs_destroy(fs);
}

}  // namespace fuselage::capi2

using namespace fuselage::capi2;

// A listing through getdir().
struct fuse_dirhandle {
  fuse_fill_dir_t filler;
  void* buffer;
};

namespace {

int fill_from_getdir(fuse_dirh_t handle, const char* name, int type, ino_t ino) {
  struct stat status {};
  status.st_mode = static_cast<mode_t>((type << 12) & S_IFMT);
  status.st_ino = ino;
  return handle->filler(handle->buffer, name, &status, 0) != 0 ? -ENOMEM : 0;
}

int fill_from_old_getdir(fuse_dirh_t handle, const char* name, int type) {
  return fill_from_getdir(handle, name, type, 0);
}

}  // namespace

extern "C" {

fuse_fs* fuse_fs_new(const fuse_operations* op, size_t op_size, void* user_data) {
  return guarded([&] { return new_fs(op, op_size, user_data, 29); }, static_cast<fuse_fs*>(nullptr));
}

int fuse_fs_getattr(fuse_fs* fs, const char* path, struct stat* buf) {
  return call(fs, fs->ops.getattr, -ENOSYS, path, buf);
}

int fuse_fs_fgetattr(fuse_fs* fs, const char* path, struct stat* buf, fuse_file_info* fi) {
  if (fs->ops.fgetattr == nullptr) return path != nullptr ? fuse_fs_getattr(fs, path, buf) : -ENOENT;
  return call(fs, fs->ops.fgetattr, -ENOSYS, path, buf, fi);
}

int fuse_fs_rename(fuse_fs* fs, const char* oldpath, const char* newpath) {
  return call(fs, fs->ops.rename, -ENOSYS, oldpath, newpath);
}

int fuse_fs_unlink(fuse_fs* fs, const char* path) { return call(fs, fs->ops.unlink, -ENOSYS, path); }

int fuse_fs_rmdir(fuse_fs* fs, const char* path) { return call(fs, fs->ops.rmdir, -ENOSYS, path); }

int fuse_fs_symlink(fuse_fs* fs, const char* linkname, const char* path) {
  return call(fs, fs->ops.symlink, -ENOSYS, linkname, path);
}

int fuse_fs_link(fuse_fs* fs, const char* oldpath, const char* newpath) {
  return call(fs, fs->ops.link, -ENOSYS, oldpath, newpath);
}

int fuse_fs_release(fuse_fs* fs, const char* path, fuse_file_info* fi) {
  enter(fs);
  if (fs->ops.release == nullptr) return 0;
  return without_info(fs) ? as_old<OpenByFlags>(fs->ops.release)(path, fi->flags) : fs->ops.release(path, fi);
}

int fuse_fs_open(fuse_fs* fs, const char* path, fuse_file_info* fi) {
  enter(fs);
  return fs->ops.open != nullptr ? open_compat(fs, fs->ops.open, path, fi) : 0;
}

int fuse_fs_read(fuse_fs* fs, const char* path, char* buf, size_t size, off_t off, fuse_file_info* fi) {
  if (without_info(fs) && fs->ops.read != nullptr) {
    return call(fs, as_old<ReadByPath>(fs->ops.read), -ENOSYS, path, buf, size, off);
  }
  return call(fs, fs->ops.read, -ENOSYS, path, buf, size, off, fi);
}

int fuse_fs_read_buf(fuse_fs* fs, const char* path, fuse_bufvec** bufp, size_t size, off_t off, fuse_file_info* fi) {
  if (fs->ops.read_buf != nullptr) return call(fs, fs->ops.read_buf, -ENOSYS, path, bufp, size, off, fi);
  auto* const vector = static_cast<fuse_bufvec*>(std::malloc(sizeof(fuse_bufvec)));
  void* const memory = std::malloc(size != 0 ? size : 1);
  if (vector == nullptr || memory == nullptr) {
    std::free(vector);
    std::free(memory);
    return -ENOMEM;
  }
  *vector = FUSE_BUFVEC_INIT(size);
  vector->buf[0].mem = memory;
  *bufp = vector;
  const int result = fuse_fs_read(fs, path, static_cast<char*>(memory), size, off, fi);
  if (result >= 0 && static_cast<size_t>(result) > size) {
    complain("read gave {} bytes where {} were asked for", result, size);
    return -EIO;
  }
  if (result >= 0) vector->buf[0].size = static_cast<size_t>(result);
  return result;
}

int fuse_fs_write(fuse_fs* fs, const char* path, const char* buf, size_t size, off_t off, fuse_file_info* fi) {
  if (without_info(fs) && fs->ops.write != nullptr) {
    return call(fs, as_old<WriteByPath>(fs->ops.write), -ENOSYS, path, buf, size, off);
  }
  return call(fs, fs->ops.write, -ENOSYS, path, buf, size, off, fi);
}

int fuse_fs_write_buf(fuse_fs* fs, const char* path, fuse_bufvec* buf, off_t off, fuse_file_info* fi) {
  if (fs->ops.write_buf != nullptr) return call(fs, fs->ops.write_buf, -ENOSYS, path, buf, off, fi);
  const fuse_buf& first = buf->buf[0];
  if (buf->count == 1 && (first.flags & FUSE_BUF_IS_FD) == 0) {
    return fuse_fs_write(fs, path, static_cast<const char*>(first.mem), first.size, off, fi);
  }
  return guarded(
      [&] {
        std::vector<char> memory(fuse_buf_size(buf));
        fuse_bufvec target = FUSE_BUFVEC_INIT(memory.size());
        target.buf[0].mem = memory.data();
        const ssize_t size = fuse_buf_copy(&target, buf, static_cast<fuse_buf_copy_flags>(0));
        if (size < 0) return static_cast<int>(size);
        return fuse_fs_write(fs, path, memory.data(), static_cast<size_t>(size), off, fi);
      },
      -ENOMEM);
}

int fuse_fs_fsync(fuse_fs* fs, const char* path, int datasync, fuse_file_info* fi) {
  if (without_info(fs) && fs->ops.fsync != nullptr) {
    return call(fs, as_old<OpenByFlags>(fs->ops.fsync), -ENOSYS, path, datasync);
  }
  return call(fs, fs->ops.fsync, -ENOSYS, path, datasync, fi);
}

int fuse_fs_flush(fuse_fs* fs, const char* path, fuse_file_info* fi) {
  if (without_info(fs) && fs->ops.flush != nullptr) {
    return call(fs, as_old<FlushByPath>(fs->ops.flush), -ENOSYS, path);
  }
  return call(fs, fs->ops.flush, -ENOSYS, path, fi);
}

int fuse_fs_statfs(fuse_fs* fs, const char* path, struct statvfs* buf) {
  enter(fs);
  if (fs->ops.statfs != nullptr) return statfs_compat(fs, path, buf);
  buf->f_namemax = 255;
  buf->f_bsize = 512;
  return 0;
}

int fuse_fs_opendir(fuse_fs* fs, const char* path, fuse_file_info* fi) {
  enter(fs);
  return fs->ops.opendir != nullptr ? open_compat(fs, fs->ops.opendir, path, fi) : 0;
}

int fuse_fs_readdir(fuse_fs* fs, const char* path, void* buf, fuse_fill_dir_t filler, off_t off, fuse_file_info* fi) {
  if (fs->ops.readdir != nullptr) return call(fs, fs->ops.readdir, -ENOSYS, path, buf, filler, off, fi);
  if (fs->ops.getdir == nullptr) return -ENOSYS;
  fuse_dirhandle handle{filler, buf};
  enter(fs);
  if (without_info(fs)) {
    using OldGetdir = int (*)(const char*, fuse_dirh_t, int (*)(fuse_dirh_t, const char*, int));
    return as_old<OldGetdir>(fs->ops.getdir)(path, &handle, fill_from_old_getdir);
  }
  return fs->ops.getdir(path, &handle, fill_from_getdir);
}

int fuse_fs_fsyncdir(fuse_fs* fs, const char* path, int datasync, fuse_file_info* fi) {
  return call(fs, fs->ops.fsyncdir, -ENOSYS, path, datasync, fi);
}

int fuse_fs_releasedir(fuse_fs* fs, const char* path, fuse_file_info* fi) {
  return call(fs, fs->ops.releasedir, 0, path, fi);
}

int fuse_fs_create(fuse_fs* fs, const char* path, mode_t mode, fuse_file_info* fi) {
  return call(fs, fs->ops.create, -ENOSYS, path, mode, fi);
}

int fuse_fs_lock(fuse_fs* fs, const char* path, fuse_file_info* fi, int cmd, struct flock* lock) {
  return call(fs, fs->ops.lock, -ENOSYS, path, fi, cmd, lock);
}

int fuse_fs_flock(fuse_fs* fs, const char* path, fuse_file_info* fi, int op) {
  return call(fs, fs->ops.flock, -ENOSYS, path, fi, op);
}

int fuse_fs_chmod(fuse_fs* fs, const char* path, mode_t mode) { return call(fs, fs->ops.chmod, -ENOSYS, path, mode); }

int fuse_fs_chown(fuse_fs* fs, const char* path, uid_t uid, gid_t gid) {
  return call(fs, fs->ops.chown, -ENOSYS, path, uid, gid);
}

int fuse_fs_truncate(fuse_fs* fs, const char* path, off_t size) {
  return call(fs, fs->ops.truncate, -ENOSYS, path, size);
}

int fuse_fs_ftruncate(fuse_fs* fs, const char* path, off_t size, fuse_file_info* fi) {
  if (fs->ops.ftruncate == nullptr) return path != nullptr ? fuse_fs_truncate(fs, path, size) : -ENOENT;
  return call(fs, fs->ops.ftruncate, -ENOSYS, path, size, fi);
}

int fuse_fs_utimens(fuse_fs* fs, const char* path, const struct timespec tv[2]) {
  if (fs->ops.utimens != nullptr) return call(fs, fs->ops.utimens, -ENOSYS, path, tv);
  utimbuf times{tv[0].tv_sec, tv[1].tv_sec};
  return call(fs, fs->ops.utime, -ENOSYS, path, &times);
}

int fuse_fs_access(fuse_fs* fs, const char* path, int mask) { return call(fs, fs->ops.access, -ENOSYS, path, mask); }

int fuse_fs_readlink(fuse_fs* fs, const char* path, char* buf, size_t len) {
  return call(fs, fs->ops.readlink, -ENOSYS, path, buf, len);
}

int fuse_fs_mknod(fuse_fs* fs, const char* path, mode_t mode, dev_t rdev) {
  return call(fs, fs->ops.mknod, -ENOSYS, path, mode, rdev);
}

int fuse_fs_mkdir(fuse_fs* fs, const char* path, mode_t mode) { return call(fs, fs->ops.mkdir, -ENOSYS, path, mode); }

int fuse_fs_setxattr(fuse_fs* fs, const char* path, const char* name, const char* value, size_t size, int flags) {
  return call(fs, fs->ops.setxattr, -ENOSYS, path, name, value, size, flags);
}

int fuse_fs_getxattr(fuse_fs* fs, const char* path, const char* name, char* value, size_t size) {
  return call(fs, fs->ops.getxattr, -ENOSYS, path, name, value, size);
}

int fuse_fs_listxattr(fuse_fs* fs, const char* path, char* list, size_t size) {
  return call(fs, fs->ops.listxattr, -ENOSYS, path, list, size);
}

int fuse_fs_removexattr(fuse_fs* fs, const char* path, const char* name) {
  return call(fs, fs->ops.removexattr, -ENOSYS, path, name);
}

int fuse_fs_bmap(fuse_fs* fs, const char* path, size_t blocksize, uint64_t* idx) {
  return call(fs, fs->ops.bmap, -ENOSYS, path, blocksize, idx);
}

int fuse_fs_ioctl(fuse_fs* fs, const char* path, int cmd, void* arg, fuse_file_info* fi, unsigned int flags,
                  void* data) {
  return call(fs, fs->ops.ioctl, -ENOTTY, path, cmd, arg, fi, flags, data);
}

int fuse_fs_poll(fuse_fs* fs, const char* path, fuse_file_info* fi, fuse_pollhandle* ph, unsigned* reventsp) {
  return call(fs, fs->ops.poll, -ENOSYS, path, fi, ph, reventsp);
}

int fuse_fs_fallocate(fuse_fs* fs, const char* path, int mode, off_t offset, off_t length, fuse_file_info* fi) {
  return call(fs, fs->ops.fallocate, -EOPNOTSUPP, path, mode, offset, length, fi);
}

void fuse_fs_init(fuse_fs* fs, fuse_conn_info* conn) {
  enter(fs);
  if (fs->ops.init == nullptr) return;
  fs->user_data = fs->version >= 26 ? fs->ops.init(conn) : as_old<InitWithout>(fs->ops.init)();
}

void fuse_fs_destroy(fuse_fs* fs) {
  enter(fs);
  if (fs->ops.destroy != nullptr) fs->ops.destroy(fs->user_data);
  delete fs;
}

}  // extern "C"
