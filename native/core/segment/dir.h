// SPDX-License-Identifier: MIT
// The instance directory: resolved, created, opened without following links, checked.
#ifndef HF_SEGMENT_DIR_H
#define HF_SEGMENT_DIR_H

#include <stdbool.h>

#include "base/error.h"

// Opens `path` (absolute) component by component, refusing symbolic links, and checks that it is a directory of the effective
// user with mode 0700 in memory (tmpfs; $HOLDFAST_ANY_FILESYSTEM=1 allows others). The descriptor is O_PATH-free and usable
// for openat. HF_ENOENT, HF_ELINK, HF_EOWNER, HF_EMODE, HF_ENOTTMPFS, HF_ESYS. With `create` missing components are made (0700).
int hf_dir_open(const char *path, bool create, hf_err *err);

// Opens a regular file or FIFO of the directory without following a link, and checks owner and mode (not open to others).
int hf_dir_open_file(int dir, const char *name, int flags, hf_err *err);

// Reads a whole small file: the number of bytes, at most `size`; HF_ENOENT where there is none, HF_EFULL where it is larger.
ssize_t hf_dir_read(int dir, const char *name, void *out, size_t size, hf_err *err);

// Writes a file whole: a temporary name, then renamed over. A reader sees the old or the new one.
int hf_dir_write(int dir, const char *name, const void *bytes, size_t size, hf_err *err);

#endif
