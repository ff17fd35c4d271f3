// SPDX-License-Identifier: MIT
// Opening, appending to and rotating one log file. A crash leaves at worst a gap in the numbers of the rotated files, and no
// file at `path`: the next rotation shifts only up to the first gap, so that a gap is filled before an old file is given up.
#include "supervise/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/kernel.h"

enum { NUMBERED_SIZE = sizeof((hf_log_target *)0)->path + 16 };

void hf_logfile_init(hf_logfile *file) {
  memset(file, 0, sizeof *file);
  file->fd = -1;
}

void hf_logfile_close(hf_logfile *file) {
  if (file->fd >= 0) hf_k_close(file->fd);
  file->fd = -1;
}

void hf_logfile_target(hf_logfile *file, const hf_log_target *target) {
  if (strcmp(file->target.path, target->path) != 0) hf_logfile_close(file);
  file->target = *target;
}

void hf_logfile_check(hf_logfile *file) {
  if (file->fd < 0) return;
  struct stat found;
  if (hf_k_fstatat(AT_FDCWD, file->target.path, &found, AT_SYMLINK_NOFOLLOW) != 0) {
    // Where it can't be known, going on in the open file loses nothing.
    if (errno == ENOENT || errno == ENOTDIR) hf_logfile_close(file);
    return;
  }
  if (found.st_dev != file->device || found.st_ino != file->inode) {
    hf_logfile_close(file);
    return;
  }
  file->size = (uint64_t)found.st_size; // somebody may have truncated it
  if (file->size == 0) file->mid_line = false;
}

static void make_directories(const char *path) {
  char part[sizeof((hf_log_target *)0)->path];
  snprintf(part, sizeof part, "%s", path);
  for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    hf_k_mkdirat(AT_FDCWD, part, 0755); // the open that follows says whether this served
    *slash = '/';
  }
}

static int open_file(hf_logfile *file) {
  // Never through a link that somebody put there. O_NONBLOCK and O_NOCTTY only matter for what is refused below; reading is
  // for the last byte.
  int flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  int fd = hf_k_openat(AT_FDCWD, file->target.path, flags, 0644);
  if (fd < 0 && errno == ENOENT) {
    make_directories(file->target.path);
    fd = hf_k_openat(AT_FDCWD, file->target.path, flags, 0644);
  }
  if (fd < 0) return -1;
  struct stat found;
  int error = hf_k_fstat(fd, &found) != 0 ? errno : S_ISREG(found.st_mode) ? 0 : EINVAL;
  if (error != 0) {
    hf_k_close(fd);
    errno = error;
    return -1;
  }
  char last = '\n';
  if (found.st_size > 0 && hf_k_pread(fd, &last, 1, found.st_size - 1) != 1) last = '\n';
  file->fd = fd;
  file->device = found.st_dev;
  file->inode = found.st_ino;
  file->size = (uint64_t)found.st_size;
  file->mid_line = last != '\n';
  return 0;
}

static void numbered(const hf_logfile *file, uint64_t number, char out[NUMBERED_SIZE]) {
  if (number == 0) snprintf(out, NUMBERED_SIZE, "%s", file->target.path);
  else snprintf(out, NUMBERED_SIZE, "%s.%u", file->target.path, (unsigned)number);
}

// Makes the file empty or moves it to path.1. On failure the open file stays as it was.
static int rotate(hf_logfile *file) {
  if (file->target.keep == 0) {
    if (hf_k_ftruncate(file->fd, 0) != 0) return -1;
    file->size = 0;
    file->mid_line = false;
    return 0;
  }
  char from[NUMBERED_SIZE], to[NUMBERED_SIZE];
  struct stat found;
  uint64_t gap = 1;
  for (; gap < file->target.keep; gap++) {
    numbered(file, gap, to);
    if (hf_k_fstatat(AT_FDCWD, to, &found, AT_SYMLINK_NOFOLLOW) != 0) break;
  }
  for (uint64_t each = gap; each-- > 0;) {
    numbered(file, each, from);
    numbered(file, each + 1, to);
    // Going on after a failure would put the next file over one that has not moved. One that is gone needs no move.
    if (hf_k_renameat(AT_FDCWD, from, AT_FDCWD, to) != 0 && errno != ENOENT) return -1;
  }
  hf_logfile_close(file);
  return 0;
}

// How many of the bytes still belong into this file: all, up to a line end, or (in a line that is longer) what has room.
static size_t fitting(const hf_logfile *file, const char *bytes, size_t size) {
  uint64_t max = file->target.max_bytes;
  if (max == 0 || file->size + size <= max) return size;
  size_t room = file->size < max ? (size_t)(max - file->size) : 0;
  const char *end = room > 0 ? memrchr(bytes, '\n', room) : NULL;
  if (end != NULL) return (size_t)(end - bytes) + 1;
  bool fresh = file->size == 0;
  return fresh || file->mid_line ? room : 0;
}

static size_t append(hf_logfile *file, const char *bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t put = hf_k_write(file->fd, bytes + done, size - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    done += (size_t)put;
  }
  if (done > 0) file->mid_line = bytes[done - 1] != '\n';
  file->size += done;
  return done;
}

size_t hf_logfile_write(hf_logfile *file, const void *bytes, size_t size) {
  if (file->target.path[0] == 0) return size;
  const char *from = bytes;
  size_t done = 0;
  while (done < size) {
    if (file->fd < 0 && open_file(file) != 0) break;
    size_t part = fitting(file, from + done, size - done);
    size_t put = append(file, from + done, part);
    done += put;
    if (put < part) break;
    if (done == size) break;
    // A file that can't be rotated grows: better than losing output. The next bytes try again.
    if (rotate(file) != 0) {
      done += append(file, from + done, size - done);
      break;
    }
  }
  return done;
}
