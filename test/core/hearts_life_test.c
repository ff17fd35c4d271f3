// SPDX-License-Identifier: MIT
// The cells of a process while it lives: who beats for a tree, deaths in the middle, threads that come and go, the beat.
#include <linux/seccomp.h>

#include "hearts_fixture.h"

#define MS UINT64_C(1000000)

// ---- one heart for a tree -----------------------------------------------------------------------------------------------
static int64_t heart(const char *period, hf_err *err) {
  hf_self *self = NULL;
  CHECK_EQ(hf_attach_quietly(&self, NULL), 0);
  if (period != NULL) setenv("HOLDFAST_HEARTBEAT", period, 1);
  else unsetenv("HOLDFAST_HEARTBEAT");
  return hf_heartbeat_claim(self, err);
}

static void reads_periods(void) {
  hf_err err = {0};
  CHECK_EQ(heart(NULL, &err), 0);
  CHECK_EQ(heart("", &err), 0);
  static const char *const bad[] = {"x", "0", "-5", "5s", "1e3", ".5", "9.9", "99999999999999999999999", "5 ", " 5", "1.2.3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_EQ(heart(bad[i], &err), HF_EINVAL);
    CHECK(strstr(err.text, "HOLDFAST_HEARTBEAT") != NULL);
  }
  CHECK_EQ(heart("5000", &err), 5000 * MS);
  CHECK_EQ(heart("12.5", &err), 12500000);
  CHECK_EQ(heart("31536000000", &err), 31536000000 * MS);
  CHECK_EQ(hf_heartbeat_claim(NULL, &err), HF_ENOTATTACHED);
}

TEST(the_period_comes_from_the_environment) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, reads_periods);
  hx_close(&s);
}

static void asks_for_the_heart(void) {
  hx_await();
  hx_say(heart("1000", NULL) == (int64_t)(1000 * MS) ? 'y' : 'n');
  hx_await();
}

static void asks_and_gives_back(void) {
  CHECK_EQ(heart("1000", NULL), 1000 * MS);
  CHECK_EQ(heart("1000", NULL), 1000 * MS); // the same again
  hx_hearts();
  hf_hearts_end();
  hx_say('e');
  hx_await();
}

TEST(one_of_many_gets_it_and_another_after_its_death) {
  stage s;
  enum { MANY = 8 };
  actor all[MANY];
  CHECK(hx_open(&s));
  pid_t last = 0;
  for (int round = 0; round < 3; round++) { // from nobody, then twice from a dead one
    int got = -1;
    for (int i = 0; i < MANY; i++) all[i] = hx_start(&s, asks_for_the_heart);
    for (int i = 0; i < MANY; i++) hx_go(&all[i]);
    for (int i = 0; i < MANY; i++) {
      char said = hx_heard(&all[i]);
      CHECK(said == 'n' || (said == 'y' && got < 0));
      if (said == 'y') got = i;
    }
    CHECK(got >= 0 && HF_HEART_PID(s.own->heart_claim) == all[got < 0 ? 0 : got].pid);
    CHECK(HF_HEART_PID(s.own->heart_claim) != last);
    last = HF_HEART_PID(s.own->heart_claim);
    for (int i = 0; i < MANY; i++) CHECK_EQ(hx_end(&all[i]), 0);
  }
  hx_run(&s, asks_and_gives_back);
  CHECK_EQ(s.own->heart_claim, 0);
  hx_close(&s);
}

static void claims_and_dies(void) {
  hf_k_point = hx_dies_at;
  (void)heart("1000", NULL);
  CHECK(false);
}

static void claims_after(void) { CHECK_EQ(heart("1000", NULL), 1000 * MS); }

TEST(a_death_in_the_middle_leaves_it_to_the_next) {
  static const char *const points[] = {"heart-dead", "heart-claimed"};
  for (int i = 0; i < 2; i++) {
    stage s;
    CHECK(hx_open(&s));
    hx_death = points[i];
    actor a = hx_start(&s, claims_and_dies);
    CHECK_EQ(hx_end(&a), SIGKILL);
    CHECK_EQ(HF_HEART_PID(s.own->heart_claim), i == 0 ? 0 : a.pid);
    hx_run(&s, claims_after);
    hx_run(&s, claims_after); // of one that ended without giving it back
    hx_close(&s);
  }
}

static void takes_from_a_reused_pid(void) {
  hf_own *own = hx_hearts();
  hf_store_release(&own->heart_claim, HF_HEART(getppid(), 1)); // that pid lives, and did not start then
  CHECK_EQ(heart("1000", NULL), 1000 * MS);
}

TEST(a_pid_that_was_used_again_holds_nothing) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, takes_from_a_reused_pid);
  hx_close(&s);
}

// A process that dies between the stores of a claim leaves a cell that the next claimer goes around.
static void registers_and_dies(void) {
  hf_own *own = hx_hearts();
  (void)own;
  hf_k_point = hx_dies_at;
  int cell = hf_cell_claim("dies", 0, 0, NULL);
  CHECK_EQ(hf_cell_register((uint32_t)cell, 10 * MS, 1, NULL), 0);
  CHECK(false);
}

static void registers_after(void) {
  hx_hearts();
  int cell = hf_cell_claim("after", 0, 0, NULL);
  CHECK(cell >= 0 && hf_cell_register((uint32_t)cell, 1000 * MS, 1, NULL) == 0);
}

TEST(a_death_between_the_stores_of_a_claim_hurts_nobody) {
  static const char *const points[] = {"cells-reserved", "cells-used",   "cells-taken",
                                       "cells-filled",   "cells-arming", "cells-armed"};
  for (int i = 0; i < 6; i++) {
    stage s;
    CHECK(hx_open(&s));
    hx_death = points[i];
    actor a = hx_start(&s, registers_and_dies);
    CHECK_EQ(hx_end(&a), SIGKILL);
    CHECK_EQ(hx_armed(s.own), i == 5);
    hx_run(&s, registers_after);
    CHECK_EQ(hx_armed(s.own), i == 5 ? 2 : 1);
    hx_close(&s);
  }
}

// ---- many threads -------------------------------------------------------------------------------------------------------
enum { TOGETHER = 16, THREADS = 10000 };
static hf_own *arena;

static void *lives_and_leaves(void *argument) {
  (void)argument;
  int cell = hf_cell_claim("thread", hx_tid(), 1, NULL);
  if (cell < 0 || hf_cell_register((uint32_t)cell, 1000 * MS, 1, NULL) != 0) return (void *)1;
  for (int i = 0; i < 3; i++) hf_cell_beat(arena, hf_cell_offset((uint32_t)cell));
  hf_cell_busy((uint32_t)cell, MS, "once");
  hf_cell_deregister((uint32_t)cell);
  hf_cell_release((uint32_t)cell);
  return NULL;
}

// Ends with its cell armed: whoever joins it gives the cell back.
static void *lives_and_ends(void *argument) {
  int cell = hf_cell_claim("thread", hx_tid(), 1, NULL);
  if (cell < 0 || hf_cell_register((uint32_t)cell, 1000 * MS, 1, NULL) != 0) return (void *)1;
  *(int *)argument = cell;
  return NULL;
}

static void many_threads(void *(*body)(void *)) {
  for (int done = 0; done < THREADS; done += TOGETHER) {
    pthread_t all[TOGETHER];
    int cells[TOGETHER];
    for (int i = 0; i < TOGETHER; i++) {
      cells[i] = -1;
      CHECK_EQ(pthread_create(&all[i], NULL, body, &cells[i]), 0);
    }
    for (int i = 0; i < TOGETHER; i++) {
      void *result = (void *)1;
      CHECK(pthread_join(all[i], &result) == 0 && result == NULL);
      if (cells[i] >= 0) hf_cell_release((uint32_t)cells[i]);
    }
  }
  CHECK_EQ(hx_claimed(arena), 0);
  CHECK(hf_cells_used(arena) <= TOGETHER);
}

static void threads_shared(void) {
  arena = hx_hearts();
  many_threads(lives_and_leaves);
  many_threads(lives_and_ends);
}

static void threads_private(void) {
  arena = hx_private();
  many_threads(lives_and_leaves);
  many_threads(lives_and_ends);
}

TEST(ten_thousand_threads_leak_no_cell) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, threads_shared);
  hx_run(NULL, threads_private);
  hx_close(&s);
}

// ---- the beat -----------------------------------------------------------------------------------------------------------
// Under strict seccomp any call but read, write and exit kills.
static void beats_a_million_times(void) {
  hf_own *own = hx_hearts();
  int cell = hf_cell_claim("beats", hx_tid(), 0, NULL);
  size_t offset = hf_cell_offset((uint32_t)cell);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) {
    printf("  strict seccomp can't be had here\n");
    hx_say('y');
    return;
  }
  uint32_t before = hf_cell_at(own, (uint32_t)cell)->beat;
  for (int i = 0; i < 1000000; i++) hf_cell_beat(own, offset);
  hx_say(hf_cell_at(own, (uint32_t)cell)->beat - before == 1000000 ? 'y' : 'n');
  syscall(SYS_exit, 0); // of this thread
}

TEST(a_million_beats_make_no_system_call) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, beats_a_million_times);
  CHECK_EQ(hx_heard(&a), 'y');
  (void)kill(a.pid, SIGKILL); // a sanitizer may have a thread that goes on
  (void)hx_end(&a);
  hx_close(&s);
}

CHECK_MAIN
