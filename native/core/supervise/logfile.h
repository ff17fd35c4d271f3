// SPDX-License-Identifier: MIT
// One rotated log file: path, path.1 (the newest that was rotated) … path.keep. Used by one thread, which may block in it.
#ifndef HF_SUPERVISE_LOGFILE_H
#define HF_SUPERVISE_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervise/logs.h"

typedef struct hf_logfile {
  hf_log_target target;
  int fd;        // -1: not open, the next write opens it
  bool mid_line; // the last byte in the file is no newline
  dev_t device;  // of fd, to notice that somebody moved the file away
  ino_t inode;
  uint64_t size;
} hf_logfile;

void hf_logfile_init(hf_logfile *file);
// Later writes go there. Another path closes the file; a new limit alone does not.
void hf_logfile_target(hf_logfile *file, const hf_log_target *target);
// Looks once whether the path still names the open file. If not, the next write makes a new one.
void hf_logfile_check(hf_logfile *file);
// Appends, and opens, makes directories and rotates as needed. Returns the bytes taken; errno tells why some were not.
size_t hf_logfile_write(hf_logfile *file, const void *bytes, size_t size);
void hf_logfile_close(hf_logfile *file);

#endif
