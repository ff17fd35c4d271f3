// SPDX-License-Identifier: MIT
// The instance directory. What it guards against: a directory that another user prepared in a place that all may write
// (/dev/shm, /tmp), a link on the way, and a file system on disk, where a beat would sleep in write-back.
#include "segment/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/kernel.h"

#define TMPFS_MAGIC_NUMBER 0x01021994
#define RAMFS_MAGIC_NUMBER 0x858458f6

int hf_dir_resolve(const char *dir, const char *instance, char *out, size_t size, hf_err *err) {
  if (instance == NULL || *instance == 0) instance = getenv("HOLDFAST_INSTANCE");
  if (instance == NULL || *instance == 0) instance = "default";
  int failed = hf_name_check(instance, NULL);
  if (failed)
    return hf_fail(err, HF_EINVAL,
                   "instance name \"%.40s\" is invalid: begin with a letter, then letters, digits, _ - ., shorter than 32",
                   instance);
  if (dir == NULL || *dir == 0) dir = getenv("HOLDFAST_DIR");
  char path[512];
  const char *runtime = getenv("RUNTIME_DIRECTORY");
  int length;
  if (dir != NULL && *dir != 0) length = snprintf(path, sizeof path, "%s", dir);
  else if (runtime != NULL && *runtime == '/' && strchr(runtime, ':') == NULL)
    length = snprintf(path, sizeof path, "%s/%s", runtime, instance);
  else length = snprintf(path, sizeof path, "/dev/shm/holdfast-%u/%s", (unsigned)geteuid(), instance);
  if (length < 0 || (size_t)length >= sizeof path || (size_t)length > HF_DIR_BYTES_MAX)
    return hf_fail(err, HF_EINVAL,
                   "directory \"%.60s…\" is longer than %d bytes: choose a shorter one (--dir or HOLDFAST_DIR)", path,
                   HF_DIR_BYTES_MAX);
  if (path[0] != '/')
    return hf_fail(err, HF_EINVAL, "directory \"%s\" is not an absolute path: give one that begins with /", path);
  while (length > 1 && path[length - 1] == '/') path[--length] = 0;
  if ((size_t)length >= size) return hf_fail(err, HF_EINVAL, "no room for the directory's path");
  memcpy(out, path, (size_t)length + 1);
  return 0;
}

// The last component belongs to us alone; those above need only be directories and no links.
static int check_own(int fd, const char *path, hf_err *err) {
  struct stat st;
  if (hf_k_fstat(fd, &st) != 0) return hf_fail_sys(err, "fstat", "%s can't be examined", path);
  if (st.st_uid != geteuid())
    return hf_fail(err, HF_EOWNER,
                   "%s belongs to user %u, not to you (user %u): choose another directory with --dir or HOLDFAST_DIR", path,
                   (unsigned)st.st_uid, (unsigned)geteuid());
  if ((st.st_mode & 077) != 0)
    return hf_fail(err, HF_EMODE, "%s has mode %04o and is open to others: run chmod 700 %s", path, st.st_mode & 07777u,
                   path);
  const char *any = getenv("HOLDFAST_ANY_FILESYSTEM");
  if (any != NULL && strcmp(any, "1") == 0) return 0;
  struct statfs fs;
  if (hf_k_fstatfs(fd, &fs) != 0) return hf_fail_sys(err, "fstatfs", "%s can't be examined", path);
  if (fs.f_type != TMPFS_MAGIC_NUMBER && (unsigned long)fs.f_type != RAMFS_MAGIC_NUMBER)
    return hf_fail(err, HF_ENOTTMPFS,
                   "%s is not in memory (tmpfs): choose a directory under /dev/shm or /run, or set HOLDFAST_ANY_FILESYSTEM=1",
                   path);
  return 0;
}

// Opens one component below `at`; makes it where `create`.
static int step(int at, const char *name, const char *path, bool create, hf_err *err) {
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  int fd = hf_k_openat(at, name, flags, 0);
  if (fd < 0 && errno == ENOENT && create) {
    if (hf_k_mkdirat(at, name, 0700) != 0 && errno != EEXIST)
      return hf_fail_sys(err, "mkdir", "%s can't be created (at \"%s\")", path, name);
    fd = hf_k_openat(at, name, flags, 0);
  }
  if (fd >= 0) return fd;
  int error = errno;
  struct stat st;
  if ((error == ELOOP || error == ENOTDIR) && hf_k_fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
    return hf_fail(err, HF_ELINK, "%s: \"%s\" on the way is a symbolic link: give the real path", path, name);
  errno = error;
  if (error == ENOENT) return hf_fail(err, HF_ENOENT, "%s does not exist", path);
  return hf_fail_sys(err, "open", "%s can't be opened (at \"%s\")", path, name);
}

int hf_dir_open(const char *path, bool create, hf_err *err) {
  if (path == NULL || path[0] != '/') return hf_fail(err, HF_EINVAL, "the directory needs an absolute path");
  char copy[512];
  size_t length = strlen(path);
  if (length >= sizeof copy) return hf_fail(err, HF_EINVAL, "the directory's path is too long");
  memcpy(copy, path, length + 1);
  int fd = hf_k_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return hf_fail_sys(err, "open", "/ can't be opened");
  char *rest = NULL;
  for (char *name = strtok_r(copy, "/", &rest); name != NULL; name = strtok_r(NULL, "/", &rest)) {
    if (strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) {
      hf_k_close(fd);
      return hf_fail(err, HF_EINVAL, "%s has \"..\" in it: give the real path", path);
    }
    int next = step(fd, name, path, create, err);
    hf_k_close(fd);
    if (next < 0) return next;
    fd = next;
  }
  int failed = check_own(fd, path, err);
  if (failed) {
    hf_k_close(fd);
    return failed;
  }
  return fd;
}

int hf_dir_create(const char *dir, hf_err *err) {
  int fd = hf_dir_open(dir, true, err);
  if (fd < 0) return fd;
  hf_k_close(fd);
  return 0;
}

int hf_dir_open_file(int dir, const char *name, int flags, hf_err *err) {
  int fd = hf_k_openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (fd < 0) {
    if (errno == ENOENT) return hf_fail(err, HF_ENOENT, "%s does not exist", name);
    if (errno == ELOOP) return hf_fail(err, HF_ELINK, "%s is a symbolic link, and may not be one", name);
    return hf_fail_sys(err, "open", "%s can't be opened", name);
  }
  struct stat st;
  int failed = 0;
  if (hf_k_fstat(fd, &st) != 0) failed = hf_fail_sys(err, "fstat", "%s can't be examined", name);
  else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
    failed = hf_fail(err, HF_ELAYOUT, "%s is neither a file nor a FIFO: remove it", name);
  else if (st.st_uid != geteuid())
    failed = hf_fail(err, HF_EOWNER, "%s belongs to user %u, not to you (user %u)", name, (unsigned)st.st_uid,
                     (unsigned)geteuid());
  else if ((st.st_mode & 077) != 0)
    failed = hf_fail(err, HF_EMODE, "%s has mode %04o and is open to others", name, st.st_mode & 07777u);
  if (failed) {
    hf_k_close(fd);
    return failed;
  }
  return fd;
}

ssize_t hf_dir_read(int dir, const char *name, void *out, size_t size, hf_err *err) {
  int fd = hf_dir_open_file(dir, name, O_RDONLY, err);
  if (fd < 0) return fd;
  size_t used = 0;
  ssize_t result = 0;
  for (;;) {
    char more;
    ssize_t got = used < size ? hf_k_read(fd, (char *)out + used, size - used) : hf_k_read(fd, &more, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) result = hf_fail_sys(err, "read", "%s can't be read", name);
    else if (got > 0 && used == size) result = hf_fail(err, HF_EFULL, "%s is larger than %zu bytes", name, size);
    else used += (size_t)got;
    if (got <= 0 || result < 0) break;
  }
  hf_k_close(fd);
  return result < 0 ? result : (ssize_t)used;
}

int hf_dir_write(int dir, const char *name, const void *bytes, size_t size, hf_err *err) {
  static _Atomic unsigned count; // several threads of one process may write
  char temporary[96];            // begins with a point: no name of a process does
  snprintf(temporary, sizeof temporary, ".tmp.%d.%u.%s", (int)getpid(),
           atomic_fetch_add_explicit(&count, 1, memory_order_relaxed), name);
  (void)hf_k_unlinkat(dir, temporary, 0); // a leftover of a process that had our pid
  int fd = hf_k_openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (fd < 0) return hf_fail_sys(err, "open", "%s can't be created", temporary);
  int failed = 0;
  for (size_t used = 0; used < size && !failed;) {
    ssize_t put = hf_k_write(fd, (const char *)bytes + used, size - used);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) failed = hf_fail_sys(err, "write", "%s can't be written", name);
    else used += (size_t)put;
  }
  hf_k_close(fd);
  if (!failed && hf_k_renameat(dir, temporary, dir, name) != 0)
    failed = hf_fail_sys(err, "rename", "%s can't be put in place", name);
  if (failed) (void)hf_k_unlinkat(dir, temporary, 0);
  return failed;
}
