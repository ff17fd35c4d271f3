// SPDX-License-Identifier: MIT
// What watching many cells costs the manager. `bench-sweep [CELLS [PERIOD_MS [SECONDS]]]`, by itself 100000 cells, 1000 ms,
// 5 s. Prints one JSON object:
//   ns_per_cell      one look at one cell, for each number of cells: median and best of many sweeps; a half of the cells has
//                    beaten since the sweep before (each beats 4 times a period, and is looked at 6.8 times)
//   paced            the monitor in real time, waiting for an absolute time as the manager does, while another process beats every
//                    cell 4 times a period: share of one core by CLOCK_PROCESS_CPUTIME_ID, wakes and looks a second, who was due
//   paced_with_fast  the same with one cell of 10 ms among them; `slow_looks_per_s` is without its own looks. `fast_condemned`:
//                    under load the beater itself may get no processor for 10 ms
// Cells lie 128 bytes apart in shared memory, as in own.<n>; each change is written into a file of ages, as by the manager.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/kernel.h"
#include "heartbeat/ages.h"
#include "heartbeat/monitor.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
enum { BEATS = 4, ROUNDS = 60 };

typedef struct bench {
  hf_monitor *m;
  hf_ages *ages;
  char *cells;
  int64_t *age; // of each id
  uint32_t count, condemned, fast_condemned, fast_id;
  pid_t beater; // 0: none
  uint64_t seen;
} bench;

static void die(const char *what, const hf_err *err) {
  fprintf(stderr, "bench-sweep: %s: %s\n", what, err != NULL ? err->text : strerror(errno));
  exit(1);
}

static uint64_t cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * S + (uint64_t)now.tv_nsec;
}

static hf_due on_due(void *context, uint32_t id, const hf_silence *silence, uint64_t now_ns, uint64_t *later_ns) {
  (void)silence, (void)now_ns, (void)later_ns;
  bench *b = context;
  if (id == b->fast_id) b->fast_condemned++;
  else b->condemned++;
  return HF_DUE_EXCUSED; // and it goes on
}

// Cells lie as in own.<n>: beat lines side by side, 32 in a page.
static size_t offset_of(uint32_t i) {
  return i / HF_CELLS_IN_PAGE * (size_t)HF_PAGE + i % HF_CELLS_IN_PAGE * (size_t)HF_CACHE_LINE;
}
static hf_cell *cell_at(const bench *b, uint32_t i) { return (hf_cell *)(void *)(b->cells + offset_of(i)); }
static size_t bytes_of(uint32_t count) { return (count + HF_CELLS_IN_PAGE - 1) / HF_CELLS_IN_PAGE * (size_t)HF_PAGE; }

static void on_seen(void *context, uint32_t id, uint32_t beat, uint64_t now_ns) {
  bench *b = context;
  hf_ages_set(b->ages, b->age[id], beat, now_ns);
  b->seen++;
}

static void watch(bench *b, uint32_t i, uint64_t period_ns, uint64_t now_ns) {
  hf_err err;
  hf_cell *c = cell_at(b, i);
  int64_t id = hf_monitor_add(b->m, &c->beat, &c->busy_beat, &c->busy_ns, period_ns, 1, now_ns, &err);
  if (id != i) die("hf_monitor_add", &err);
  b->age[i] = hf_ages_claim(b->ages, HF_AGE_OWNER(1, i / 1000, i % 1000) + (UINT64_C(1) << 40), 1, 0, now_ns);
}

// Beats each cell 4 times a period: in slices of a millisecond, until it is killed. It hangs nowhere, but may be late under
// load.
static pid_t beater(bench *b, uint64_t period_ns) {
  pid_t parent = getpid(), pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  uint64_t began = hf_now_mono_ns(), done = 0;
  while (getppid() == parent) {
    uint64_t now = hf_now_mono_ns(), wanted = (uint64_t)((double)(now - began) * BEATS * b->count / (double)period_ns);
    for (; done < wanted; done++) hf_cell_beat(b->cells, offset_of((uint32_t)(done % b->count)));
    hf_cell_beat(b->cells, offset_of(b->count)); // the fast one
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
  }
  _exit(0);
}

// With `beaten` another process beats the cells. It is forked before there is private memory: else each page of that would
// be copied at the first store after the fork, and the copies be counted as cost of the sweeps.
static void begin(bench *b, uint32_t count, uint64_t period_ns, bool fast, bool beaten) {
  hf_err err;
  char folder[] = "/dev/shm/hf-bench-XXXXXX";
  size_t bytes = bytes_of(count + 1);
  memset(b, 0, sizeof *b);
  b->count = count;
  b->cells = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (b->cells == MAP_FAILED) die("memory", NULL);
  if (beaten) b->beater = beater(b, period_ns);
  if (mkdtemp(folder) == NULL) die("mkdtemp", NULL);
  int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (hf_ages_open(dir, &b->ages, &err) != 0) die("hf_ages_open", &err);
  unlinkat(dir, "ages", 0); // the mapping stays
  close(dir);
  rmdir(folder);
  b->age = calloc(count + 1, sizeof *b->age);
  if (b->age == NULL) die("memory", NULL);
  hf_monitor_calls calls = {.due = on_due, .seen = on_seen, .context = b};
  if (hf_monitor_create(&b->m, &calls, &err) != 0) die("hf_monitor_create", &err);
  b->fast_id = fast ? count : UINT32_MAX;
  uint64_t now_ns = hf_now_mono_ns();
  for (uint32_t i = 0; i < count; i++) watch(b, i, period_ns, now_ns);
  if (fast) watch(b, count, 10 * MS, now_ns);
}

static void end(bench *b) {
  if (b->beater != 0) {
    kill(b->beater, SIGKILL);
    waitpid(b->beater, NULL, 0);
  }
  munmap(b->cells, bytes_of(b->count + 1));
  hf_monitor_destroy(b->m);
  hf_ages_close(b->ages);
  free(b->age);
}

static int by_size(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

// Sweeps with a clock that is moved, one at a time.
static void raw(uint32_t count, bool last) {
  static bench b;
  static double each[ROUNDS];
  begin(&b, count, 1 * S, false, false);
  unsigned sweeps = count < 10000 ? 20 : 1; // a clock read is not to be seen in it
  for (unsigned round = 0; round < ROUNDS; round++) {
    uint64_t took = 0, looked = 0;
    for (unsigned i = 0; i < sweeps; i++) {
      for (uint32_t c = (round + i) & 1; c < count; c += 2) hf_cell_beat(b.cells, offset_of(c));
      uint64_t now_ns = hf_monitor_next(b.m), before = hf_now_mono_ns();
      looked += hf_monitor_sweep(b.m, now_ns);
      took += hf_now_mono_ns() - before;
    }
    each[round] = (double)took / (double)looked;
  }
  qsort(each, ROUNDS, sizeof *each, by_size);
  printf("\"%u\": {\"median\": %.2f, \"best\": %.2f}%s", count, each[ROUNDS / 2], each[0], last ? "" : ", ");
  end(&b);
}

static void paced(const char *name, uint32_t count, uint64_t period_ns, unsigned seconds, bool fast) {
  static bench b;
  uint64_t looked = 0, looks = 0, fast_only = 0, late = 0;
  begin(&b, count, period_ns, fast, true);
  uint64_t began = hf_now_mono_ns(), cpu = cpu_ns(), now_ns = began;
  while (now_ns < began + seconds * S) {
    uint64_t next = hf_monitor_next(b.m);
    struct timespec when = {(time_t)(next / S), (long)(next % S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) continue;
    now_ns = hf_now_mono_ns();
    uint64_t now_looked = hf_monitor_sweep(b.m, now_ns);
    looked += now_looked;
    looks++;
    fast_only += now_looked == 1;
    late += !hf_monitor_on_time(b.m);
  }
  double took = (double)(hf_now_mono_ns() - began), share = (double)(cpu_ns() - cpu) / took;
  printf("\"%s\": {\"cells\": %u, \"period_ms\": %llu, \"seconds\": %u, \"cpu_percent\": %.3f, \"wakes_per_s\": %.1f, "
         "\"looks_per_s\": %.0f, \"slow_looks_per_s\": %.0f, \"changes_per_s\": %.0f, \"late\": %llu, \"condemned\": %u, "
         "\"fast_condemned\": %u}",
         name, count, (unsigned long long)(period_ns / MS), seconds, 100 * share, (double)looks * S / took,
         (double)looked * S / took, (double)(looked - fast_only) * S / took, (double)b.seen * S / took,
         (unsigned long long)late, b.condemned, b.fast_condemned);
  end(&b);
}

int main(int argc, char **argv) {
  long count = argc > 1 ? strtol(argv[1], NULL, 10) : 100000, period_ms = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
  long seconds = argc > 3 ? strtol(argv[3], NULL, 10) : 5;
  if (argc > 4 || count < 1 || count > 500000 || period_ms < 1 || seconds < 1) {
    fprintf(stderr, "usage: bench-sweep [CELLS [PERIOD_MS [SECONDS]]] (at most 500000 cells)\n");
    return 2;
  }
  printf("{\"ns_per_cell\": {");
  raw(1000, false);
  raw(10000, false);
  raw(100000, true);
  printf("}, ");
  fflush(stdout);
  paced("paced", (uint32_t)count, (uint64_t)period_ms * MS, (unsigned)seconds, false);
  printf(", ");
  fflush(stdout);
  paced("paced_with_fast", (uint32_t)count, (uint64_t)period_ms * MS, (unsigned)seconds, true);
  printf("}\n");
  return 0;
}
