// SPDX-License-Identifier: MIT
// What holdfastd was asked to do; guardian and manager hand it to each other as arguments when one executes itself as the other.
#ifndef HF_SUPERVISE_DAEMON_H
#define HF_SUPERVISE_DAEMON_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

// Descriptors that are kept across exec have these numbers.
enum { HF_KEEP_LOCK = 3, HF_KEEP_READY = 4, HF_KEEP_NOTIFY = 5 };

typedef struct hf_daemon_options {
  bool manager;          // be the manager, not the guardian
  bool foreground;       // copy output to stdout; end at the terminal's signals
  bool hurry;            // the instance is being ended because its owner died
  bool going_down;       // a signal asked for the end before this manager began
  uint64_t files;        // the soft limit of open files that children get; 0: as it is
  int lock_fd, ready_fd; // -1: none
  int notify_fd;         // the socket of programs that speak sd_notify, -1: none yet
  uint64_t watchdog_ns;  // a systemd above awaits a sign of life in each such time; 0: none does
  char systemd[108];     // its notification socket, @… where it is abstract; "": none
  char dir[HF_DIR_BYTES_MAX + 1];
  char instance[HF_NAME_SIZE];
  char once[HF_NAME_SIZE]; // "": keep running; else end with that process, with its code
  hf_identity owner;       // pid 0: none
} hf_daemon_options;

// The arguments that say the same as `options`, for execve: pointers into `bytes`.
typedef struct hf_daemon_argv {
  char *argv[32];
  char bytes[768];
} hf_daemon_argv;
void hf_daemon_arguments(const hf_daemon_options *options, hf_daemon_argv *out);

// Both never return but with an exit code.
int hf_guardian_run(hf_daemon_options *options);
int hf_manager_run(hf_daemon_options *options);

// Codes with which a manager ends; anything else is a death, and a new one is started. After `down` it is the instance's code.
enum { HF_EXIT_REFUSED = 1 };

#endif
