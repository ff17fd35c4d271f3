// SPDX-License-Identifier: MIT
// What a beat costs in C, against what can't be had cheaper. `bench-beat [ROUNDS]`. Prints one JSON object:
//   ns      each: median over the rounds of `beat` (hf_cell_beat), `increment` (++ of a volatile counter), `store` (of a number
//           to a volatile one), `datagram` (an sd_notify message sent to a socket; reading it is not counted)
//   ratio   median over the rounds of beat / increment, beat / store, datagram / beat: both sides of the same round
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/kernel.h"
#include "holdfast.h"

enum { ROUNDS_MAX = 1000, MANY = 2000000, FEW = 2000 };

typedef struct samples {
  double beat[ROUNDS_MAX], increment[ROUNDS_MAX], store[ROUNDS_MAX], datagram[ROUNDS_MAX];
} samples;

static void *memory;
static int ends[2];

static double since(uint64_t began_ns, unsigned times) { return (double)(hf_now_mono_ns() - began_ns) / times; }

static double beat(void) {
  size_t offset = hf_cell_offset(3);
  uint64_t began = hf_now_mono_ns();
  for (unsigned i = 0; i < MANY; i++) hf_cell_beat(memory, offset);
  return since(began, MANY);
}

static double increment(void) {
  volatile uint32_t *word = (volatile uint32_t *)(void *)((char *)memory + 4096);
  uint64_t began = hf_now_mono_ns();
  for (unsigned i = 0; i < MANY; i++) *word = *word + 1;
  return since(began, MANY);
}

static double store(void) {
  volatile uint32_t *word = (volatile uint32_t *)(void *)((char *)memory + 4096);
  uint64_t began = hf_now_mono_ns();
  for (unsigned i = 0; i < MANY; i++) *word = i;
  return since(began, MANY);
}

static double datagram(void) {
  static const char message[] = "WATCHDOG=1";
  char taken[32];
  uint64_t took = 0;
  for (unsigned i = 0; i < FEW; i++) {
    uint64_t began = hf_now_mono_ns();
    if (send(ends[0], message, sizeof message - 1, MSG_NOSIGNAL) < 0) return -1;
    took += hf_now_mono_ns() - began;
    if (recv(ends[1], taken, sizeof taken, 0) < 0) return -1;
  }
  return (double)took / FEW;
}

static int by_size(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static double median(const double *values, unsigned count) {
  static double sorted[ROUNDS_MAX];
  memcpy(sorted, values, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, by_size);
  return sorted[count / 2];
}

static double ratio(const double *above, const double *below, unsigned count) {
  static double each[ROUNDS_MAX];
  for (unsigned i = 0; i < count; i++) each[i] = above[i] / below[i];
  return median(each, count);
}

int main(int argc, char **argv) {
  static samples s;
  long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 40;
  if (argc > 2 || rounds < 1 || rounds > ROUNDS_MAX) {
    fprintf(stderr, "usage: bench-beat [ROUNDS] (at most %d)\n", ROUNDS_MAX);
    return 2;
  }
  memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) {
    fprintf(stderr, "bench-beat: %s\n", strerror(errno));
    return 1;
  }
  for (int i = 0; i < 2; i++) (void)beat(), (void)increment(), (void)store(), (void)datagram();
  unsigned count = (unsigned)rounds;
  for (unsigned i = 0; i < count; i++) {
    s.beat[i] = beat();
    s.increment[i] = increment();
    s.store[i] = store();
    s.datagram[i] = datagram();
  }
  printf("{\"rounds\": %u, \"ns\": {\"beat\": %.3f, \"increment\": %.3f, \"store\": %.3f, \"datagram\": %.1f}, "
         "\"ratio\": {\"beat_to_increment\": %.3f, \"beat_to_store\": %.3f, \"datagram_to_beat\": %.0f}}\n",
         count, median(s.beat, count), median(s.increment, count), median(s.store, count), median(s.datagram, count),
         ratio(s.beat, s.increment, count), ratio(s.beat, s.store, count), ratio(s.datagram, s.beat, count));
  return 0;
}
