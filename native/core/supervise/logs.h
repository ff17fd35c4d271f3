// SPDX-License-Identifier: MIT
// The output of supervised processes: from their FIFOs into rotated files. See logs.c for the map of its two threads.
#ifndef HF_SUPERVISE_LOGS_H
#define HF_SUPERVISE_LOGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct hf_logs hf_logs;

// Where the output of one process goes. `prefix` is put in front of each line that is also copied to stdout.
typedef struct hf_log_target {
  char path[512]; // absolute; "" throws the output away
  char prefix[40];
  uint64_t max_bytes; // rotated when the file would grow past it; 0: never
  uint32_t keep;      // rotated files kept: path.1 (newest) … path.keep
} hf_log_target;

// Starts the drainer and the writer thread. `copy_to_stdout`: every line goes to fd 1 too. Both threads block all signals
// and make no call while there is nothing to do.
int hf_logs_create(hf_logs **out, bool copy_to_stdout, hf_err *err);
// Writes what has been read (and all that finished sources hold), waits at most `wait_ns`, ends the threads and frees all.
// A writer that a disk still holds then is left alone with its memory: it frees that when the disk lets it go. What is in
// the FIFOs of sources that were not finished stays there, for the next manager.
void hf_logs_destroy(hf_logs *logs, uint64_t wait_ns);

// A source is one FIFO. `fd` is non-blocking and belongs to logs from success on; on failure it stays the caller's. `key`
// is a number of the caller's (the process index). Later bytes of `key` go to `target`. Never blocks on a disk.
// Several sources of one key may be alive for a moment (the old incarnation's last words).
int hf_logs_add(hf_logs *logs, uint32_t key, int fd, const hf_log_target *target, hf_err *err);
// The incarnation of that fd is over and its tree dead: the drainer reads until EAGAIN, then closes the fd. Returns at once.
void hf_logs_finish(hf_logs *logs, int fd);
// Later bytes of `key` go to another target (a changed definition). Nothing happens for a key that has had no source.
void hf_logs_retarget(hf_logs *logs, uint32_t key, const hf_log_target *target);
// Appends a line of the manager's own (a newline is added) to the file of `key` opened by hf_logs_open_own (else it is
// ignored). Never blocks; what finds no room is dropped and counted as output is.
int hf_logs_open_own(hf_logs *logs, uint32_t key, const hf_log_target *target, hf_err *err);
void hf_logs_line(hf_logs *logs, uint32_t key, const char *line);
// Bytes of `key` that were dropped since the start, because the disk was slow, full or refused. 0 for an unknown key.
uint64_t hf_logs_dropped(hf_logs *logs, uint32_t key);
// Called (from a thread of logs) when a drop begins and while it lasts, at most once a second and key; set before the first
// add. May be NULL. It must be short, not block, and not call back into logs; never after destroy.
void hf_logs_on_drop(hf_logs *logs, void (*ring)(void *context), void *context);

#endif
