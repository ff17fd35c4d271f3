// SPDX-License-Identifier: MIT
// Who a process is: pid, start time, boot, pid namespace; and what /proc tells of it.
#ifndef HF_PROCESS_IDENTITY_H
#define HF_PROCESS_IDENTITY_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

typedef struct hf_process_facts {
  char state; // R, S, D, T, t, Z, X
  pid_t parent, group, session;
  uint64_t start_time; // clock ticks since boot
  uint64_t cpu_ns, memory_bytes;
  int exit_status; // of a zombie, as wait tells it; 0 also where we may not know
} hf_process_facts;

// Reads /proc/<pid>/stat: 0, or HF_EUNKNOWN where there is no such process, or HF_ESYS.
int hf_process_facts_read(pid_t pid, hf_process_facts *out);
// Fills the identity of a living (or zombie) process.
int hf_identity_read(pid_t pid, hf_identity *out);
// True if that very process exists and is not a zombie.
bool hf_identity_alive(const hf_identity *identity);
// Opens a pidfd first, then verifies the start time: the descriptor, or HF_EUNKNOWN where that process is gone (a zombie
// still counts as there), or HF_ESYS.
int hf_identity_open(const hf_identity *identity, hf_err *err);

// Calls `each` for every child of `pid` (all its threads): from /proc/<pid>/task/*/children, or where the kernel has no such file
// by a walk through /proc. `each` returns false to end early. 0, or HF_EUNKNOWN where the process is gone, or HF_ESYS where
// something could not be read, so that children may have been missed.
int hf_children_each(pid_t pid, bool (*each)(pid_t child, void *context), void *context);

// True if the environment of `pid` holds exactly this "KEY=value" entry. False also where it can't be read; *failed is set then,
// if it was not for a process that is gone or another user's (may be NULL).
bool hf_environment_has(pid_t pid, const char *entry, bool *failed);

#endif
