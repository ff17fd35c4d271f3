// SPDX-License-Identifier: MIT
// The guardian's private state, shared by its files: guardian.c (start, loop, its manager) and reap.c (children and their output).
#ifndef HF_SUPERVISE_GUARDIAN_H
#define HF_SUPERVISE_GUARDIAN_H

#include <stdbool.h>

#include "segment/layout.h"
#include "supervise/daemon.h"
#include "supervise/systemd.h"

typedef struct hf_guardian {
  hf_daemon_options *options;
  int dir, lock, signals, bell, manager_bell, owner;
  hf_segment *segment;
  hf_exits *exits;
  pid_t manager;
  bool ever_managed; // a manager took over at least once under this guardian
  bool down;         // the end was asked for
  bool again;        // something failed that should not: look at everything again in a moment
  int tell;          // signal that the manager has not been sent yet, 0: none
  unsigned refused;  // managers in a row that ended before they took over
  uint64_t window_start_ns;
  unsigned deaths_in_window;
  struct held {
    uint32_t incarnation;
    int fd; // 0: none (0 is always standard input)
  } held[HF_PROCESS_MAX];
  struct zombie {
    pid_t pid;
    uint64_t sequence; // of its note; 0: not noted yet, the table was full
  } zombies[HF_EXIT_NOTE_MAX];
  int zombie_count;
  hf_systemd systemd;
} hf_guardian;

// ---- reap.c ----
// Looks for ended children, notes them, rings the manager: true if the manager itself is among them (it is not reaped).
bool hf__children_ended(hf_guardian *g);
void hf__reap_acknowledged(hf_guardian *g); // those whose notes the manager has dealt with
void hf__hold_fifos(hf_guardian *g);        // opens the output FIFOs of what lives, closes those of what is over

#endif
