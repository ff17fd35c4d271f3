// SPDX-License-Identifier: MIT
// Cells: claimed by many at once, copied while they change, left behind by processes that were killed.
#include "heartbeat/cells.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "check.h"

#define MS UINT64_C(1000000)

// Shared with child processes, and all of it there: the holes are tried where `reserve` is.
static hf_own *memory(void) {
  void *base = mmap(NULL, HF_OWN_CELLS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return base == MAP_FAILED ? NULL : base;
}

static void away(hf_own *own) { CHECK_EQ(munmap(own, HF_OWN_CELLS_SIZE), 0); }

static int claim(hf_own *own, const char *name, hf_err *err) {
  return hf_cells_claim(own, name, getpid(), 77, 5, HF_CELL_HELPER, NULL, NULL, err);
}

static unsigned state_of(hf_own *own, uint32_t cell) { return HF_CLAIM_STATE(atomic_load(&hf_cell_at(own, cell)->claim)); }

TEST(a_cell_goes_through_its_states) {
  hf_own *own = memory();
  hf_cell_copy copy;
  int cell = claim(own, "worker", NULL);
  CHECK_EQ(cell, 0);
  CHECK_EQ(hf_cells_used(own), 1);
  CHECK_EQ(own->cells_changed, 1);
  CHECK(!hf_cells_copy(own, 0, &copy)); // nobody judges it yet
  uint32_t beat = hf_cell_at(own, 0)->beat;
  hf_cells_arm(own, 0, 250 * MS, 3);
  CHECK_EQ(own->cells_changed, 2);
  CHECK(hf_cell_at(own, 0)->beat != beat); // registering is a beat
  CHECK(hf_cells_copy(own, 0, &copy));
  CHECK_EQ(copy.period_ns, 250 * MS);
  CHECK_EQ(copy.grace, 3);
  CHECK_EQ(copy.pid, getpid());
  CHECK_EQ(copy.tid, 77);
  CHECK_EQ(copy.thread_id, 5);
  CHECK_EQ(copy.flags, HF_CELL_HELPER);
  CHECK_STR(copy.name, "worker");
  CHECK_STR(copy.note, "");
  uint64_t first = copy.claim;
  hf_cells_set_thread(own, 0, 78);
  hf_cells_set_note(own, 0, "12 tasks wait");
  CHECK(hf_cells_copy(own, 0, &copy));
  CHECK_EQ(copy.claim, first); // the same claim: who judges need not begin anew
  CHECK_EQ(copy.tid, 78);
  CHECK_STR(copy.note, "12 tasks wait");
  hf_cells_arm(own, 0, 500 * MS, 1);
  CHECK(hf_cells_copy(own, 0, &copy));
  CHECK(copy.claim != first);
  CHECK_EQ(copy.period_ns, 500 * MS);
  CHECK_EQ(copy.tid, 78);
  hf_cells_disarm(own, 0);
  CHECK(!hf_cells_copy(own, 0, &copy));
  CHECK_EQ(state_of(own, 0), HF_CELL_TAKEN);
  hf_cells_release(own, 0);
  CHECK_EQ(state_of(own, 0), HF_CELL_FREE);
  uint32_t changed = own->cells_changed;
  hf_cells_arm(own, 0, 1, 1); // not claimed: nothing
  hf_cells_disarm(own, 0);
  hf_cells_release(own, 0);
  CHECK_EQ(own->cells_changed, changed);
  CHECK_EQ(claim(own, "next", NULL), 0); // used again
  hf_cells_arm(own, 0, 500 * MS, 1);
  CHECK(hf_cells_copy(own, 0, &copy));
  CHECK_STR(copy.note, ""); // of the one before nothing is left
  CHECK_STR(copy.name, "next");
  CHECK_EQ(hf_cells_used(own), 1);
  away(own);
}

TEST(what_a_process_writes_is_brought_into_bounds) {
  hf_own *own = memory();
  hf_cell_copy copy;
  CHECK_EQ(claim(own, "a name of many more than 31 bytes, of which some are cut", NULL), 0);
  hf_cells_arm(own, 0, 500 * MS, 100000);
  CHECK(hf_cells_copy(own, 0, &copy));
  CHECK_STR(copy.name, "a name of many more than 31 byt");
  CHECK_EQ(copy.grace, 1000);
  hf_cell *cell = hf_cell_at(own, 0);
  memset(cell->name, 0x9b, sizeof cell->name); // control characters, and no end
  memset(cell->note, '\n', sizeof cell->note);
  cell->period_ns = 0;
  cell->grace = 0;
  cell->pid = -1; // a kill of it would be one of everything
  cell->tid = INT32_MIN;
  CHECK(hf_cells_copy(own, 0, &copy));
  CHECK_STR(copy.name, "???????????????????????????????");
  CHECK_EQ(strlen(copy.note), HF_CELL_NOTE_SIZE - 1);
  CHECK(strspn(copy.note, "?") == HF_CELL_NOTE_SIZE - 1);
  CHECK_EQ(copy.period_ns, 10 * MS);
  CHECK_EQ(copy.grace, 1);
  CHECK_EQ(copy.pid, 0);
  CHECK_EQ(copy.tid, 0);
  cell->period_ns = UINT64_MAX;
  CHECK(hf_cells_copy(own, 0, &copy));
  CHECK(copy.period_ns <= UINT64_C(366) * 86400 * 1000 * MS);
  CHECK(!hf_cells_copy(own, HF_CELL_MAX, &copy));
  CHECK(!hf_cells_copy(own, UINT32_MAX, &copy));
  own->cells_used = UINT32_MAX;
  CHECK_EQ(hf_cells_used(own), HF_CELL_MAX);
  away(own);
}

TEST(busy_is_a_beat_that_carries_its_reason) {
  hf_own *own = memory();
  claim(own, "worker", NULL);
  hf_cells_arm(own, 0, 500 * MS, 1);
  hf_cell *cell = hf_cell_at(own, 0);
  uint32_t beat = cell->beat;
  hf_cells_busy(own, 0, 7000 * MS, "sorting the world");
  CHECK_EQ(cell->beat, beat + 1);
  CHECK_EQ(cell->busy_beat, cell->beat);
  CHECK_EQ(cell->busy_ns, 7000 * MS);
  CHECK_STR(cell->note, "sorting the world");
  hf_cell_beat(own, HF_CELL_OFFSET(0));
  CHECK(cell->busy_beat != cell->beat);
  away(own);
}

// ---- room: the pages of a table come one by one ----
typedef struct room {
  uint32_t asked[64];
  unsigned count, allowed;
} room;

static int reserve(void *context, uint32_t cell, hf_err *err) {
  room *r = context;
  r->asked[r->count++] = cell;
  return r->count > r->allowed ? hf_fail(err, HF_ENOSPC, "no room") : 0;
}

TEST(a_page_is_reserved_before_it_is_used) {
  hf_own *own = memory();
  room r = {.allowed = 2};
  hf_err err = {0};
  int cell = 0;
  enum { FIRST = HF_CELLS_IN_FIRST_PAGE, SECOND = FIRST + HF_CELLS_IN_PAGE, THIRD = SECOND + HF_CELLS_IN_PAGE };
  for (int i = 0; i < THIRD; i++) {
    cell = hf_cells_claim(own, "x", getpid(), 0, 0, 0, reserve, &r, &err);
    CHECK_EQ(cell, i);
  }
  CHECK_EQ(r.count, 2);
  CHECK_EQ(r.asked[0], FIRST);
  CHECK_EQ(r.asked[1], SECOND);
  CHECK_EQ(HF_CELL_OFFSET(FIRST) % HF_PAGE, 0);
  CHECK_EQ(HF_CELL_OFFSET(SECOND) % HF_PAGE, 0);
  CHECK_EQ(hf_cells_claim(own, "x", getpid(), 0, 0, 0, reserve, &r, &err), HF_ENOSPC);
  CHECK_STR(err.text, "no room");
  CHECK_EQ(hf_cells_used(own), THIRD);
  hf_cells_release(own, 17);
  CHECK_EQ(hf_cells_claim(own, "x", getpid(), 0, 0, 0, reserve, &r, &err), 17); // needs none
  r.allowed = 99;
  CHECK_EQ(hf_cells_claim(own, "x", getpid(), 0, 0, 0, reserve, &r, &err), THIRD);
  away(own);
}

// ---- dead processes ----
static const char *fatal_point;

static void die_here(const char *name) {
  if (strcmp(name, fatal_point) == 0) raise(SIGKILL);
}

static void in_child(hf_own *own, void (*body)(hf_own *), const char *point) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    fatal_point = point;
    if (point != NULL) hf_k_point = die_here;
    body(own);
    _exit(0);
  }
  int status = 0;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK(point != NULL ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void claim_and_arm(hf_own *own) {
  int cell = claim(own, "child", NULL);
  hf_cells_arm(own, (uint32_t)cell, 100 * MS, 1);
  hf_cells_arm(own, (uint32_t)cell, 200 * MS, 1);
}

static void claim_all(hf_own *own) {
  while (claim(own, "child", NULL) >= 0) continue;
}

TEST(who_is_killed_anywhere_leaves_what_others_can_live_with) {
  static const char *const points[] = {"cells-reserved", "cells-used",   "cells-taken",
                                       "cells-filled",   "cells-arming", "cells-armed"};
  for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
    hf_own *own = memory();
    hf_cell_copy copy;
    in_child(own, claim_and_arm, points[i]);
    bool armed = hf_cells_copy(own, 0, &copy);
    CHECK_EQ(armed, i == 5); // what is judged is whole
    if (armed) CHECK(copy.period_ns == 100 * MS && strcmp(copy.name, "child") == 0);
    int mine = claim(own, "survivor", NULL);
    CHECK_EQ(mine, i < 2 ? 0 : 1);
    hf_cells_arm(own, (uint32_t)mine, 50 * MS, 1);
    CHECK(hf_cells_copy(own, (uint32_t)mine, &copy) && strcmp(copy.name, "survivor") == 0);
    // In the end no cell is lost but one that is armed: that one is judged.
    int count = 1;
    while (claim(own, "survivor", NULL) >= 0) count++;
    CHECK_EQ(count, i == 5 ? HF_CELL_MAX - 1 : HF_CELL_MAX);
    away(own);
  }
}

TEST(a_full_table_takes_back_what_dead_processes_took) {
  hf_own *own = memory();
  hf_err err = {0};
  int mine[3];
  for (int i = 0; i < 3; i++) mine[i] = claim(own, "mine", NULL);
  in_child(own, claim_all, NULL);
  CHECK_EQ(hf_cells_used(own), HF_CELL_MAX);
  int count = 0, cell;
  while ((cell = claim(own, "late", &err)) >= 0) {
    CHECK(cell != mine[0] && cell != mine[1] && cell != mine[2]); // we live
    count++;
  }
  CHECK_EQ(cell, HF_EFULL);
  CHECK(strstr(err.text, "1020") != NULL && strstr(err.text, "deregister") != NULL);
  CHECK_EQ(count, HF_CELL_MAX - 3);
  hf_cells_end(own, getpid() + 1);
  CHECK_EQ(claim(own, "late", NULL), HF_EFULL);
  hf_cells_arm(own, 5, MS, 1);
  hf_cells_end(own, getpid());
  for (uint32_t i = 0; i < HF_CELL_MAX; i++) CHECK_EQ(state_of(own, i), HF_CELL_FREE);
  CHECK_EQ(claim(own, "anew", NULL), 0);
  away(own);
}

TEST(a_zombie_is_dead_too) {
  hf_own *own = memory();
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    claim_all(own);
    _exit(0);
  }
  siginfo_t info;
  CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
  CHECK(claim(own, "heir", NULL) >= 0);
  CHECK_EQ(waitpid(pid, NULL, 0), pid);
  away(own);
}

// ---- a copy while the cell changes hands ----
static hf_own *disputed;
static unsigned disputes;

static void change_hands(const char *name) {
  if (strcmp(name, "cells-copying") != 0 || disputes == 0) return;
  disputes--;
  hf_cells_release(disputed, 0);
  CHECK_EQ(claim(disputed, disputes % 2 == 0 ? "even" : "odd", NULL), 0);
  hf_cells_arm(disputed, 0, (disputes % 2 + 1) * 100 * MS, 1);
}

TEST(a_copy_is_of_one_owner_or_none) {
  hf_cell_copy copy;
  disputed = memory();
  claim(disputed, "first", NULL);
  hf_cells_arm(disputed, 0, 700 * MS, 1);
  hf_k_point = change_hands;
  disputes = 5;
  CHECK(hf_cells_copy(disputed, 0, &copy));
  CHECK_EQ(disputes, 0);
  CHECK_STR(copy.name, "even");
  CHECK_EQ(copy.period_ns, 100 * MS);
  CHECK_EQ(copy.claim, atomic_load(&hf_cell_at(disputed, 0)->claim));
  disputes = 1000; // it changes all the time: no copy, and no end without one
  CHECK(!hf_cells_copy(disputed, 0, &copy));
  CHECK(disputes > 900);
  hf_k_point = NULL;
  away(disputed);
}

// ---- many at once ----
enum { THREADS = 8, ROUNDS = 3000 };
static hf_own *shared;
static _Atomic int owners[HF_CELL_MAX];
static _Atomic unsigned doubles, failures;
static _Atomic int running;
static _Atomic bool enough; // the reader has seen what it needs

// What a thread writes belongs together: the reader checks that it sees one owner's values only.
static void *claimer(void *argument) {
  unsigned self = (unsigned)(uintptr_t)argument;
  char name[32];
  snprintf(name, sizeof name, "thread-%u", self);
  for (unsigned i = 0; i < ROUNDS || !atomic_load(&enough); i++) {
    int cell = hf_cells_claim(shared, name, getpid(), (pid_t)(1000 + self), self, (uint16_t)self, NULL, NULL, NULL);
    if (cell < 0) {
      atomic_fetch_add(&failures, 1);
      continue;
    }
    if (atomic_exchange(&owners[cell], (int)self + 1) != 0) atomic_fetch_add(&doubles, 1);
    hf_cells_arm(shared, (uint32_t)cell, (self + 1) * 10 * MS, self + 1);
    hf_cell_beat(shared, HF_CELL_OFFSET((uint32_t)cell));
    if (i % 3 == 0) hf_cells_busy(shared, (uint32_t)cell, self * MS, name);
    if (i % 3 == 1) hf_cells_arm(shared, (uint32_t)cell, (self + 1) * 10 * MS, self + 1);
    if (i % 3 == 2) hf_cells_disarm(shared, (uint32_t)cell);
    atomic_store(&owners[cell], 0);
    hf_cells_release(shared, (uint32_t)cell);
  }
  atomic_fetch_sub(&running, 1);
  return NULL;
}

TEST(eight_threads_claim_while_one_copies) {
  pthread_t thread[THREADS];
  shared = memory();
  running = THREADS;
  for (uintptr_t i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&thread[i], NULL, claimer, (void *)i), 0);
  unsigned copies = 0, mixed = 0;
  uint64_t give_up_ns = hf_now_mono_ns() + 30000 * MS;
  while (atomic_load(&running) > 0) {
    if (copies > 5000 || hf_now_mono_ns() > give_up_ns) atomic_store(&enough, true);
    for (uint32_t i = 0; i < hf_cells_used(shared); i++) {
      hf_cell_copy copy;
      char name[32];
      if (!hf_cells_copy(shared, i, &copy)) continue;
      copies++;
      snprintf(name, sizeof name, "thread-%u", copy.thread_id);
      mixed += strcmp(name, copy.name) != 0 || copy.period_ns != (copy.thread_id + 1) * 10 * MS ||
               copy.grace != copy.thread_id + 1 || copy.tid != (pid_t)(1000 + copy.thread_id) || copy.flags != copy.thread_id;
    }
  }
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  printf("  %u copies of armed cells, %u cells used\n", copies, hf_cells_used(shared));
  CHECK(copies > 5000);
  CHECK_EQ(mixed, 0);
  CHECK_EQ(doubles, 0);
  CHECK_EQ(failures, 0);
  CHECK(hf_cells_used(shared) <= 4 * THREADS); // nothing leaks
  for (uint32_t i = 0; i < hf_cells_used(shared); i++) CHECK_EQ(state_of(shared, i), HF_CELL_FREE);
  away(shared);
}

CHECK_MAIN
