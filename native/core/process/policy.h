// SPDX-License-Identifier: MIT
// What happens after a process ended: pure functions of the definition, the history and the time. No clock, no kernel.
#ifndef HF_PROCESS_POLICY_H
#define HF_PROCESS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "holdfast.h"
#include "segment/history.h"

typedef struct hf_ending {
  bool asked;        // a stop or restart was under way, or the instance goes down
  bool timed_out;    // we killed it, because it did not become READY in time
  bool hung;         // a thread of it gave no sign of life: that was decided before it ended, in whatever way
  bool lost;         // nobody knows how it ended
  bool spawn_failed; // it never was executed; errnum says why
  int signal;        // 0: none
  int exit_code;     // -1: none
  int errnum;
  uint64_t ran_ns; // since it was started
} hf_ending;

typedef struct hf_verdict {
  hf_state state;         // STOPPED or FAIL
  hf_cause cause;         // none with STOPPED
  bool restart;           // start it again, at restart_at_ns
  bool limited;           // the sliding limit was reached: no restart
  uint64_t restart_at_ns; // CLOCK_MONOTONIC
} hf_verdict;

// Judges an ending by `restart`, `start`, `backoff`, `limit`. Updates the history: a run of at least resetAfter forgets the
// failures before it (back-off begins anew), but not the restarts within `limit.within`; a start that timed out is no good
// run. The pause is capped by `max`, and then made up to `jitter` longer or shorter. `random` is any 64-bit number. asked:
// STOPPED, no restart (the caller starts it again if a restart was asked). A spawn failure counts like an exit with a code
// that is not 0.
hf_verdict hf_policy_judge(const hf_spec *spec, hf_history *history, const hf_ending *ending, uint64_t now_ns,
                           uint64_t random);
// Somebody asked for a start: back-off and limit begin anew.
void hf_policy_forgive(hf_history *history);

#endif
