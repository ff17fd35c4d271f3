// SPDX-License-Identifier: MIT
// Cgroups, by their files.
#include "supervise/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/machine.h"
#include "segment/segment.h"

enum { PATH_BYTES = 1024 };

static bool instance_path(int instance_dir, char *out, size_t size) {
  struct stat st;
  char own[PATH_BYTES];
  if (hf_k_fstat(instance_dir, &st) != 0 || !hf_cgroup_path("/proc/self/cgroup", own, sizeof own)) return false;
  return snprintf(out, size, "%s/holdfast-%llx-%llx", own, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino) <
         (int)size;
}

int hf_cgroup_base(int instance_dir) {
  char path[PATH_BYTES + 64];
  const char *wish = getenv("HOLDFAST_CGROUP");
  if (wish != NULL && strcmp(wish, "off") == 0) return -1;
  if (!instance_path(instance_dir, path, sizeof path)) return -1;
  (void)hf_k_mkdirat(AT_FDCWD, path, 0755);
  int fd = hf_k_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  struct stat st;
  if (fd >= 0 && hf_k_fstatat(fd, "cgroup.kill", &st, 0) == 0) return fd;
  if (fd >= 0) hf_k_close(fd); // a kernel before 5.14
  return -1;
}

int hf_cgroup_open(int base, unsigned index, uint32_t incarnation, bool create, uint64_t *id) {
  char name[32];
  struct stat st;
  if (base < 0) return -1;
  hf_file_name(name, sizeof name, "p", index, incarnation);
  if (create && hf_k_mkdirat(base, name, 0755) != 0) return -1;
  int fd = hf_k_openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd < 0 || hf_k_fstat(fd, &st) != 0) {
    if (fd >= 0) hf_k_close(fd);
    return -1;
  }
  *id = (uint64_t)st.st_ino;
  return fd;
}

void hf_cgroup_discard(int base, unsigned index, uint32_t incarnation) {
  char name[32];
  hf_file_name(name, sizeof name, "p", index, incarnation);
  if (base >= 0) (void)hf_k_unlinkat(base, name, AT_REMOVEDIR);
}

bool hf_cgroup_empty(int cgroup) {
  char text[256];
  return hf_read_small(cgroup, "cgroup.events", text, sizeof text) > 0 && strstr(text, "populated 0") != NULL;
}

bool hf_cgroup_kill(int cgroup) {
  int fd = hf_k_openat(cgroup, "cgroup.kill", O_WRONLY, 0);
  if (fd < 0) return false;
  bool killed = hf_k_write(fd, "1", 1) == 1;
  hf_k_close(fd);
  return killed;
}

void hf_cgroup_remove(int instance_dir) {
  char path[PATH_BYTES + 64];
  if (!instance_path(instance_dir, path, sizeof path)) return;
  int base = hf_k_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  int again = base < 0 ? -1 : hf_k_openat(base, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *entries = again < 0 ? NULL : fdopendir(again);
  for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
    if (entry->d_name[0] == 'p' && entry->d_type == DT_DIR) (void)hf_k_unlinkat(base, entry->d_name, AT_REMOVEDIR);
  if (entries != NULL) closedir(entries);
  if (base >= 0) hf_k_close(base);
  (void)hf_k_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
