// SPDX-License-Identifier: MIT
// Which machine, boot and pid namespace this is.
#include "base/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/kernel.h"

ssize_t hf_read_small(int dir, const char *path, char *out, size_t size) {
  int fd = hf_k_openat(dir, path, O_RDONLY, 0);
  if (fd < 0) return -1;
  size_t used = 0;
  ssize_t got = 0;
  while (used + 1 < size && (got = hf_k_read(fd, out + used, size - 1 - used)) > 0) used += (size_t)got;
  int error = errno;
  hf_k_close(fd);
  out[used] = 0;
  errno = error;
  return got < 0 ? -1 : (ssize_t)used;
}

int hf_boot_id(char out[40], hf_err *err) {
  char text[64];
  if (hf_read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, sizeof text) < 36)
    return hf_fail_sys(err, "read", "the boot id can't be read: /proc must be mounted");
  memset(out, 0, 40);
  memcpy(out, text, 36);
  return 0;
}

int hf_pid_namespace(uint64_t *out, hf_err *err) {
  struct stat st;
  if (hf_k_fstatat(AT_FDCWD, "/proc/self/ns/pid", &st, 0) != 0)
    return hf_fail_sys(err, "stat", "the pid namespace can't be read: /proc must be mounted");
  *out = (uint64_t)st.st_ino;
  return 0;
}
