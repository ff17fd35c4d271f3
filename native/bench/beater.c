// SPDX-License-Identifier: MIT
// A supervised program that beats, keeps a log of its own, and may fall silent. `bench-beater PERIOD_MS FRACTION BEATS RECORD`
//
// It beats every PERIOD_MS x FRACTION; after BEATS beats (0: never) it falls silent for good, and lives on. RECORD is a file with one
// beater_record, which it maps: who watches it reads there what really happened, whatever holdfastd believes.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "beater.h"
#include "holdfast.h"

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int fail(const char *what) {
  fprintf(stderr, "bench-beater: %s\n", what);
  return 1;
}

static beater_record *map_record(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(beater_record)) != 0) return NULL;
  void *base = mmap(NULL, sizeof(beater_record), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return base == MAP_FAILED ? NULL : base;
}

// The gap that is logged is from before the beat before to after this one: at least the true one.
static void beat(beater_record *record, void *base, size_t offset) {
  uint64_t before = now_ns();
  hf_cell_beat(base, offset);
  uint64_t after = now_ns();
  uint64_t last = record->last_before_ns;
  if (last != 0 && after - last > record->longest_gap_ns) record->longest_gap_ns = after - last;
  record->last_before_ns = before;
  __atomic_store_n(&record->last_after_ns, after, __ATOMIC_RELAXED);
  __atomic_store_n(&record->beats, record->beats + 1, __ATOMIC_RELEASE);
}

int main(int argc, char **argv) {
  if (argc != 5) return fail("usage: bench-beater PERIOD_MS FRACTION BEATS RECORD");
  double period_ms = atof(argv[1]), fraction = atof(argv[2]);
  uint64_t beats = strtoull(argv[3], NULL, 10), period_ns = (uint64_t)(period_ms * 1e6);
  beater_record *record = map_record(argv[4]);
  if (record == NULL) return fail("its record can't be mapped");
  hf_self *self;
  hf_err err;
  void *base;
  size_t size;
  int cell;
  if (hf_attach(&self, &err) != 0 || hf_hearts(self, &base, &size, &err) != 0) return fail(err.text);
  if ((cell = hf_cell_claim("beater", getpid(), 0, &err)) < 0) return fail(err.text);
  record->longest_gap_ns = 0;
  record->last_before_ns = 0;
  if (hf_cell_register((uint32_t)cell, period_ns, 1, &err) != 0) return fail(err.text);
  if (hf_declare(self, HF_STATE_READY, &err) != 0) return fail(err.text);
  size_t offset = hf_cell_offset((uint32_t)cell);
  uint64_t step_ns = (uint64_t)((double)period_ns * fraction), next = now_ns();
  for (uint64_t i = 0; beats == 0 || i < beats; i++) {
    beat(record, base, offset);
    next += step_ns;
    if (next < now_ns()) next = now_ns() + step_ns; // it was held up itself
    struct timespec until = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
    if (beats == 0 || i + 1 < beats) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
  }
  for (;;) pause();
}
