// SPDX-License-Identifier: MIT
// The attachment of this process: private to operate/. It is made once and never undone, so any thread may use it at any
// time.
#ifndef HF_OPERATE_SELF_H
#define HF_OPERATE_SELF_H

#include "base/error.h"
#include "segment/layout.h"

// A file that the manager meant, and where it was found. The number may have been closed since, and be another file: it is
// compared with device and inode before each use.
typedef struct hf_self_file {
  int number;
  uint64_t device, inode;
} hf_self_file;

struct hf_self {
  unsigned index;
  uint32_t incarnation;
  int dir; // of the instance, -1 where it may not be opened (another user)
  hf_self_file own_file, bell;
  hf_segment *segment; // read-only
  hf_own *own;         // HF_OWN_CELLS_SIZE bytes
  char name[HF_NAME_SIZE];
  char path[HF_DIR_BYTES_MAX + 1]; // of the instance; "" where it is not known
};

// A descriptor of own.<n>.<incarnation>, until hf__self_own_close: a copy of the one that was passed, or opened by its path;
// the one that was passed where this process may open no more.
int hf__self_own_open(hf_self *self, hf_err *err);
void hf__self_own_close(const hf_self *self, int fd);
// Rings the manager. Nothing is written where the bell is gone.
void hf__self_ring(hf_self *self, char what);

#endif
