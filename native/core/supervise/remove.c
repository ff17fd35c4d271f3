// SPDX-License-Identifier: MIT
// Taking an instance directory away.
#include "supervise/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/kernel.h"
#include "holdfast.h"
#include "supervise/cgroup.h"

enum { TRIES = 100 };

static bool is_ours(const char *name) {
  static const char *const whole[] = {"segment", "requests", "exits", "instance", "ages", "notify"};
  static const char *const begin[] = {"own.", "out.", "bell", ".tmp."};
  for (unsigned i = 0; i < sizeof whole / sizeof *whole; i++)
    if (strcmp(name, whole[i]) == 0) return true;
  for (unsigned i = 0; i < sizeof begin / sizeof *begin; i++)
    if (strncmp(name, begin[i], strlen(begin[i])) == 0) return true;
  return false;
}

// True if all that should go is gone; a stranger's file stays, and the directory with it.
static bool removed(int at, const char *name, int flags) {
  return hf_k_unlinkat(at, name, flags) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST;
}

static bool empty(int at, bool all) {
  int fd = hf_k_openat(at, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL) {
    if (fd >= 0) hf_k_close(fd);
    return false;
  }
  bool done = true;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && (all || is_ours(entry->d_name)))
      done &= removed(at, entry->d_name, 0);
  closedir(entries);
  return done;
}

// A folder of ours with everything in it.
static bool folder_removed(int dir, const char *name) {
  int fd = hf_k_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd < 0) return errno == ENOENT;
  bool done = empty(fd, true);
  hf_k_close(fd);
  return done && removed(dir, name, AT_REMOVEDIR);
}

// False where something failed that may succeed in a moment.
static bool remove_once(int dir, const char *path) {
  bool done = folder_removed(dir, "spec");
  done &= folder_removed(dir, "reports");
  hf_cgroup_remove(dir);
  done &= empty(dir, false);
  return done && removed(dir, "lock", 0) && removed(AT_FDCWD, path, AT_REMOVEDIR);
}

void hf_instance_remove(int dir, const char *path) {
  struct timespec pause = {0, 10000000};
  for (int i = 0; i < TRIES && !remove_once(dir, path); i++) nanosleep(&pause, NULL); // what is left nobody would take away
  char parent[HF_DIR_BYTES_MAX + 1];
  snprintf(parent, sizeof parent, "/dev/shm/holdfast-%u", (unsigned)geteuid());
  if (strncmp(path, parent, strlen(parent)) == 0) (void)hf_k_unlinkat(AT_FDCWD, parent, AT_REMOVEDIR);
}
