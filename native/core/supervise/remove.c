// SPDX-License-Identifier: MIT
// Taking an instance directory away.
#include "supervise/remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "holdfast.h"
#include "supervise/cgroup.h"

static bool is_ours(const char *name) {
  static const char *const whole[] = {"segment", "requests", "exits", "instance"};
  static const char *const begin[] = {"own.", "out.", "bell", ".tmp."};
  for (unsigned i = 0; i < sizeof whole / sizeof *whole; i++)
    if (strcmp(name, whole[i]) == 0) return true;
  for (unsigned i = 0; i < sizeof begin / sizeof *begin; i++)
    if (strncmp(name, begin[i], strlen(begin[i])) == 0) return true;
  return false;
}

static void empty(int at, bool all) {
  int fd = hf_k_openat(at, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL) return;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && (all || is_ours(entry->d_name))) (void)hf_k_unlinkat(at, entry->d_name, 0);
  closedir(entries);
}

static bool remove_once(int dir, const char *path) {
  int spec = hf_k_openat(dir, "spec", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (spec >= 0) {
    empty(spec, true);
    hf_k_close(spec);
    (void)hf_k_unlinkat(dir, "spec", AT_REMOVEDIR);
  }
  hf_cgroup_remove(dir);
  empty(dir, false);
  (void)hf_k_unlinkat(dir, "lock", 0);
  return hf_k_unlinkat(AT_FDCWD, path, AT_REMOVEDIR) == 0;
}

void hf_instance_remove(int dir, const char *path) {
  // Twice: what a fault leaves here nobody would take away. A stranger's file stays, and the directory with it.
  if (!remove_once(dir, path) && !remove_once(dir, path)) return;
  char parent[HF_DIR_BYTES_MAX + 1];
  snprintf(parent, sizeof parent, "/dev/shm/holdfast-%u", (unsigned)geteuid());
  if (strncmp(path, parent, strlen(parent)) == 0) (void)hf_k_unlinkat(AT_FDCWD, parent, AT_REMOVEDIR);
}
