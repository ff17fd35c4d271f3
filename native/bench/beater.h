// SPDX-License-Identifier: MIT
// What bench-beater notes of itself, in a file that others map.
#ifndef HF_BENCH_BEATER_H
#define HF_BENCH_BEATER_H

#include <stdint.h>

typedef struct beater_record {
  uint64_t beats;          // stored last
  uint64_t last_before_ns; // CLOCK_MONOTONIC right before and after the last beat
  uint64_t last_after_ns;
  uint64_t longest_gap_ns;
} beater_record;

#endif
