// SPDX-License-Identifier: MIT
// Which machine, boot and pid namespace this is, and the reading of small files that tell such things.
#ifndef HF_BASE_MACHINE_H
#define HF_BASE_MACHINE_H

#include <stdbool.h>

#include "base/error.h"

// Reads a small file (of /proc, or of a cgroup) into `out`, zero-terminated and cut to `size`: bytes, or -1 and errno.
ssize_t hf_read_small(int dir, const char *path, char *out, size_t size);

// The boot id (36 characters) and the inode of this process's pid namespace.
int hf_boot_id(char out[40], hf_err *err);
int hf_pid_namespace(uint64_t *out, hf_err *err);

// The folder of a cgroup of version 2, as /proc/<pid>/cgroup (or a thread's file) names it: false where there is none to be seen.
bool hf_cgroup_path(const char *cgroup_file, char *out, size_t size);

#endif
