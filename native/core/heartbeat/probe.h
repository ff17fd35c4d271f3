// SPDX-License-Identifier: MIT
// What the kernel knows of one thread: what excuses its silence, and what it is doing.
#ifndef HF_HEARTBEAT_PROBE_H
#define HF_HEARTBEAT_PROBE_H

#include <stdbool.h>

#include "base/error.h"

typedef struct hf_thread_facts {
  char state;            // of /proc/<pid>/task/<tid>/stat: R, S, D, T (stopped), t (traced), Z, X; 0: no such thread
  bool traced;           // a debugger is attached (TracerPid)
  bool frozen;           // by its cgroup
  bool scheduled;        // the kernel tells the two below (schedstat)
  uint64_t on_cpu_ns;    // so far: on a processor
  uint64_t run_delay_ns; // so far: ready to run, without a processor; a wait counts only when it is over
  uint64_t at_ns;        // CLOCK_MONOTONIC, when that was read
} hf_thread_facts;

// tid 0: the main thread. 0, or HF_EUNKNOWN where it is gone, or HF_ESYS.
int hf_thread_facts_read(pid_t pid, pid_t tid, hf_thread_facts *out);
// How long it was ready to run and got no processor, from one look at it to a later one; also in a wait that is not over yet.
uint64_t hf_thread_waited_ns(const hf_thread_facts *before, const hf_thread_facts *after);

#endif
