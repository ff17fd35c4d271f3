// SPDX-License-Identifier: MIT
// Random numbers for tests. Each test that uses them says its seed, and $HOLDFAST_SEED runs it again with that one.
#ifndef HF_TEST_RANDOM_H
#define HF_TEST_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t random_state;

// splitmix64: good for any seed, 0 included.
static inline uint64_t random_next(void) {
  uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

// 0 to `bound` - 1.
static inline uint64_t random_below(uint64_t bound) { return random_next() % bound; }

static inline void random_begin(const char *test) {
  const char *given = getenv("HOLDFAST_SEED");
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  random_state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  printf("  %s: HOLDFAST_SEED=%" PRIu64 "\n", test, random_state);
}

#endif
