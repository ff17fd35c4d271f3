// SPDX-License-Identifier: MIT
// Which machine, boot and pid namespace this is; where a process lies among the cgroups.
#include "base/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/kernel.h"

enum { MOUNT_POINT_BYTES = 1024 };

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

// Where cgroup2 is mounted: the mount point of the first mountinfo line of that type.
static bool find_mount_point(char *out, size_t size) {
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  char *line = NULL;
  size_t room = 0;
  bool found = false;
  while (mounts != NULL && !found && getline(&line, &room, mounts) > 0) {
    char point[MOUNT_POINT_BYTES];
    if (strstr(line, " - cgroup2 ") == NULL || sscanf(line, "%*s %*s %*s %*s %1023s", point) != 1) continue;
    found = snprintf(out, size, "%s", point) < (int)size;
  }
  free(line);
  if (mounts != NULL) fclose(mounts);
  return found;
}

// It is looked for until it is found, and kept: mountinfo may be long, and this is asked for each silent thread. The thread that
// finds it first writes it, and nobody reads before that is done; who comes between, or is forked between, looks for itself.
static bool mount_point(char *out, size_t size) {
  enum { UNKNOWN, WRITING, KNOWN };
  static _Atomic int state;
  static char known[MOUNT_POINT_BYTES];
  int expected = UNKNOWN;
  // Acquire: pairs with the release below.
  if (hf_load_acquire(&state) == KNOWN) return snprintf(out, size, "%s", known) < (int)size;
  if (!find_mount_point(out, size)) return false;
  if (strlen(out) >= sizeof known) return true;
  if (!atomic_compare_exchange_strong_explicit(&state, &expected, WRITING, memory_order_relaxed, memory_order_relaxed))
    return true;
  snprintf(known, sizeof known, "%s", out);
  hf_store_release(&state, KNOWN);
  return true;
}

bool hf_cgroup_path(const char *cgroup_file, char *out, size_t size) {
  char text[4096], point[MOUNT_POINT_BYTES];
  if (!mount_point(point, sizeof point) || hf_read_small(AT_FDCWD, cgroup_file, text, sizeof text) < 0) return false;
  char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::"); // version 2
  if (line == NULL) return false;
  char *path = strchr(line, '/');
  if (path == NULL) return false;
  path[strcspn(path, "\n")] = 0;
  return strstr(path, "/..") == NULL && snprintf(out, size, "%s%s", point, path) < (int)size;
}
