// SPDX-License-Identifier: MIT
// The report of a hang that a process writes about itself: private to operate/.
#ifndef HF_OPERATE_REPORT_HERE_H
#define HF_OPERATE_REPORT_HERE_H

#include "operate/hearts.h"

typedef struct hf_report_here hf_report_here;

// Takes $HOLDFAST_REPORT_DIR now: later another thread may change the environment.
int hf__report_here_create(hf_report_here **out, hf_err *err);
void hf__report_here_destroy(hf_report_here *r);
// The sentence, what the cell says of itself, and the stack: to stderr, waiting for its reader 1 s at most, and to a file,
// for the first five of the process. `aborts`: the process ends by it; from then on it has 2 s, also where a write never
// returns.
void hf__report_here(hf_report_here *r, const hf_place *place, uint32_t cell, const hf_failure *verdict, const char *note,
                     bool aborts);
// By SIGABRT, whatever the program does with that signal.
_Noreturn void hf__abort_here(void);

#endif
