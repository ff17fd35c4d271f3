// SPDX-License-Identifier: MIT
// What is remembered of the past restarts of a process.
#ifndef HF_SEGMENT_HISTORY_H
#define HF_SEGMENT_HISTORY_H

#include <stdint.h>

#include "holdfast.h"

// The history that the policy needs; it lives in the shared status of the process, so that it survives the manager.
// Bounded: the last HF_LIMIT_COUNT_MAX restarts, in units of 10 ms of CLOCK_MONOTONIC (wraps after 497 days, compared by difference).
typedef struct hf_history {
  uint32_t failures_in_a_row; // since the last good run: what back-off counts
  uint32_t restart_next;      // where the next restart is noted in `restarts`, modulo HF_LIMIT_COUNT_MAX
  uint32_t restart_count;     // notes in `restarts`, at most HF_LIMIT_COUNT_MAX
  uint32_t restarts[HF_LIMIT_COUNT_MAX];
} hf_history;

#endif
