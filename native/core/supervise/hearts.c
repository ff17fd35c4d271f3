// SPDX-License-Identifier: MIT
// The cells of all processes, as the manager watches them: which there are, and since when each is silent. What a silence means is
// decided in verdict.c.
//
// Private to the manager: a watch for each process (the guarded mapping of its own file, and which cell has which id of the monitor),
// and by id what belongs to one silence. Shared: `ages`, for readers and the next manager. The pointers that the monitor reads through
// lie in these mappings and watches: a cell is taken out of the monitor before its mapping goes (hf__hearts_forget).
//
// With no cell there is no file, no mapping and no timer.
#include <stdlib.h>
#include <string.h>

#include "base/kernel.h"
#include "heartbeat/guard.h"
#include "process/status.h"
#include "supervise/hearts.h"

enum { AGAIN_NS = 1000000000, CELLS_MIN = 16 };
#define AGES_WAIT_MAX_NS (UINT64_C(64) * AGAIN_NS)

int hf__hearts_begin(hf_manager *m, hf_err *err) {
  static const hf_monitor_calls calls = {.due = hf__heart_due, .half = hf__heart_half, .seen = hf__heart_seen};
  hf_monitor_calls mine = calls;
  mine.context = m;
  int failed = hf_guard_begin(err);
  if (failed) return failed;
  m->judge = calloc(1, sizeof *m->judge);
  if (m->judge == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
  return hf_monitor_create(&m->judge->monitor, &mine, err);
}

bool hf__hearts_beats(const hf_manager *m, unsigned index) { return hf_status_now(m->segment, index)->has_beaten != 0; }

uint64_t hf__hearts_next(const hf_manager *m) { return hf_monitor_next(m->judge->monitor); }

// ---- one cell -----------------------------------------------------------------------------------------------------------

// Without `ages` nothing is shown and nothing is inherited, and all else goes on. It is tried again with cells that come later, at growing
// intervals.
static hf_ages *ages_of(hf_manager *m, uint64_t now) {
  hf_hearts_judge *j = m->judge;
  hf_err err;
  if (j->ages != NULL || now < j->ages_again_ns) return j->ages;
  if (hf_ages_open(m->dir, &j->ages, &err) == 0) return j->ages;
  j->ages = NULL;
  if (j->ages_wait_ns == 0) hf__trouble(m, UINT32_MAX, &err); // once
  j->ages_wait_ns = j->ages_wait_ns == 0                 ? AGAIN_NS
                    : j->ages_wait_ns < AGES_WAIT_MAX_NS ? j->ages_wait_ns * 2
                                                         : j->ages_wait_ns;
  j->ages_again_ns = now + j->ages_wait_ns;
  return NULL;
}

static bool room_for(hf_hearts_judge *j, uint32_t id) {
  if (id < j->room) return true;
  uint32_t room = j->room == 0 ? CELLS_MIN : j->room * 2;
  while (room <= id) room *= 2;
  hf_heart *more = realloc(j->heart, (size_t)room * sizeof *more);
  if (more == NULL) return false;
  j->heart = more;
  j->room = room;
  return true;
}

typedef struct source {
  const _Atomic uint32_t *beat, *busy_beat;
  const _Atomic uint64_t *busy_ns;
  uint64_t claim, period_ns;
  unsigned grace;
} source;

// Watches a cell: its id, or UINT32_MAX and err. Where the manager before this one had seen it, its silence goes on.
static uint32_t watch(hf_manager *m, unsigned index, uint32_t cell, const source *from, uint64_t now, hf_err *err) {
  hf_hearts_judge *j = m->judge;
  hf_ages *ages = ages_of(m, now);
  uint64_t owner = HF_AGE_OWNER(HF_WORD_INCARNATION(hf_status_word_now(m->segment, index)), index, cell);
  uint32_t beat = hf_load_relaxed(from->beat), seen_beat;
  uint64_t seen = now, before;
  bool inherited = ages != NULL && hf_ages_find(ages, owner, from->claim, &seen_beat, &before);
  int64_t id = inherited ? hf_monitor_inherit(j->monitor, from->beat, from->busy_beat, from->busy_ns, from->period_ns,
                                              from->grace, seen_beat, before, now, err)
                         : hf_monitor_add(j->monitor, from->beat, from->busy_beat, from->busy_ns, from->period_ns,
                                          from->grace, now, err);
  if (id < 0) return UINT32_MAX;
  if (!room_for(j, (uint32_t)id)) {
    hf_monitor_remove(j->monitor, (uint32_t)id);
    hf_fail(err, HF_ENOMEM, "no memory to watch one more thread");
    return UINT32_MAX;
  }
  if (inherited && seen_beat == beat && before < now) seen = before;
  hf_heart *h = &j->heart[id];
  *h = (hf_heart){.claim = from->claim, .index = (uint16_t)index, .cell = (uint16_t)cell, .age = -1};
  if (ages == NULL) return (uint32_t)id;
  h->age = hf_ages_claim(ages, owner, from->claim, beat, seen);
  hf_ages_flags(ages, h->age, 0);
  return (uint32_t)id;
}

static void unwatch(hf_manager *m, uint32_t *id) {
  hf_hearts_judge *j = m->judge;
  if (*id == UINT32_MAX) return;
  if (j->ages != NULL) hf_ages_free(j->ages, j->heart[*id].age);
  hf_monitor_remove(j->monitor, *id);
  *id = UINT32_MAX;
}

// Somebody beats: that is kept for as long as the incarnation lives, also past this manager.
static void has_beaten(hf_manager *m, unsigned index, uint64_t now) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  if (hf_status_now(m->segment, index)->has_beaten) return;
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->has_beaten = 1;
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  m->proc[index].look_at_ns = m->step_at_ns = now; // it may be READY by that
}

// ---- one process --------------------------------------------------------------------------------------------------------

static void again(hf_manager *m, unsigned index, const hf_err *err, uint64_t now) {
  hf_proc *p = &m->proc[index];
  if (!p->hearts_trouble) hf__trouble(m, index, err);
  p->hearts_again = p->hearts_trouble = true;
  if (p->look_at_ns == 0 || now + AGAIN_NS < p->look_at_ns) p->look_at_ns = now + AGAIN_NS;
}

static hf_hearts_watch *watch_of(hf_manager *m, unsigned index, hf_err *err) {
  hf_proc *p = &m->proc[index];
  if (p->hearts != NULL) return p->hearts;
  p->hearts = calloc(1, sizeof *p->hearts);
  if (p->hearts == NULL) {
    hf_fail(err, HF_ENOMEM, "no memory to watch %s", hf_status_now(m->segment, index)->name);
    return NULL;
  }
  p->hearts->slot = -1;
  p->hearts->datagram = UINT32_MAX;
  return p->hearts;
}

// Maps the file at the first cell that was ever used. True if it is mapped; false also where there is no cell.
static bool map_cells(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  uint32_t words[2]; // cells_changed, cells_used
  _Static_assert(offsetof(hf_own, cells_used) == offsetof(hf_own, cells_changed) + 4, "read together");
  if (p->hearts != NULL && p->hearts->own != NULL) return true;
  if (p->own_fd <= 0) return false; // hf__adopt_again comes back here
  hf_err err;
  ssize_t got = hf_k_pread(p->own_fd, words, sizeof words, offsetof(hf_own, cells_changed));
  if (got < 0) {
    hf_fail_sys(&err, "pread", "the own file of %s can't be read", hf_status_now(m->segment, index)->name);
    again(m, index, &err, now);
  }
  if (got != (ssize_t)sizeof words || words[1] == 0) return false;
  hf_hearts_watch *w = watch_of(m, index, &err);
  void *base = NULL;
  if (w != NULL) w->slot = hf_guard_map(p->own_fd, HF_OWN_CELLS_SIZE, &base, &err);
  if (w == NULL || w->slot < 0) {
    again(m, index, &err, now);
    return false;
  }
  w->own = base;
  w->changed = words[0] - 1; // take all of it in now
  return true;
}

static bool ids_for(hf_hearts_watch *w, uint32_t count) {
  if (count <= w->room) return true;
  uint32_t *more = realloc(w->id, (size_t)count * sizeof *more);
  if (more == NULL) return false;
  for (uint32_t i = w->room; i < count; i++) more[i] = UINT32_MAX;
  w->id = more;
  w->room = count;
  return true;
}

static int take_cell(hf_manager *m, unsigned index, uint32_t number, uint64_t now, hf_err *err) {
  hf_hearts_watch *w = m->proc[index].hearts;
  const hf_cell *cell = hf__heart_cell(w, number);
  hf_cell_copy copy;
  uint32_t *id = &w->id[number];
  bool armed = hf_cells_copy(w->own, number, &copy);
  if (!armed && HF_CLAIM_STATE(hf_load_relaxed(&cell->claim)) == HF_CELL_ARMED)
    return 0; // it changes just now, and rings then
  if (armed && *id != UINT32_MAX && m->judge->heart[*id].claim == copy.claim) return 0;
  unwatch(m, id);
  if (!armed) return 0;
  source from = {.beat = &cell->beat,
                 .busy_beat = &cell->busy_beat,
                 .busy_ns = &cell->busy_ns,
                 .claim = copy.claim,
                 .period_ns = copy.period_ns,
                 .grace = copy.grace};
  *id = watch(m, index, number, &from, now, err);
  if (*id == UINT32_MAX) return HF_ENOMEM;
  has_beaten(m, index, now);
  return 0;
}

// What was decided is begun. Never inside a sweep: it takes cells out of the monitor, and unmaps them.
static void carry_out(hf_manager *m, uint64_t now) {
  hf_hearts_judge *j = m->judge;
  for (unsigned i = 0; i < j->condemned_count; i++) {
    hf_hearts_watch *w = m->proc[j->condemned[i]].hearts;
    hf_failure verdict = w->verdict;
    hf__hang_begin(m, j->condemned[i], &verdict, w->verdict_cell, now);
  }
  j->condemned_count = 0;
}

void hf__hearts_take(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  hf_err err;
  now = hf_now_mono_ns(); // not the loop's: a long pass must not date a beat before it came
  p->hearts_again = false;
  if (!map_cells(m, index, now)) return;
  hf_hearts_watch *w = p->hearts;
  uint32_t changed = hf_load_acquire(&w->own->cells_changed); // before the cells: what changes later rings again
  uint32_t used = hf_cells_used(w->own);
  if (hf_guard_faulted(w->slot)) { // all is zero now: nothing that is read of it counts
    hf__heart_cut(m, index, now);
    carry_out(m, now);
    return;
  }
  if (changed == w->changed) return;
  if (used < w->room) used = w->room; // it never shrinks; who made it smaller can't hide cells by that
  int failed = 0;
  if (!ids_for(w, used)) failed = hf_fail(&err, HF_ENOMEM, "no memory to watch the threads of a process");
  for (uint32_t i = 0; !failed && i < used && !hf_guard_faulted(w->slot); i++) failed = take_cell(m, index, i, now, &err);
  if (failed) again(m, index, &err, now);
  else w->changed = changed;
  if (!hf_guard_faulted(w->slot)) return;
  hf__heart_cut(m, index, now);
  carry_out(m, now);
}

void hf__hearts_forget(hf_manager *m, unsigned index) {
  hf_proc *p = &m->proc[index];
  hf_hearts_watch *w = p->hearts;
  p->hearts_again = p->hearts_trouble = false;
  if (w == NULL) return;
  for (uint32_t i = 0; i < w->room; i++) unwatch(m, &w->id[i]);
  unwatch(m, &w->datagram);
  if (w->slot >= 0) hf_guard_unmap(w->slot);
  free(w->id);
  free(w);
  p->hearts = NULL;
}

static uint32_t datagram_noted(hf_manager *m, unsigned index, uint64_t now) {
  hf_ages *ages = ages_of(m, now);
  uint64_t owner = HF_AGE_OWNER(HF_WORD_INCARNATION(hf_status_word_now(m->segment, index)), index, HF_HEART_DATAGRAM), seen;
  uint32_t beat;
  return ages != NULL && hf_ages_find(ages, owner, HF_CLAIM(1, HF_CELL_ARMED), &beat, &seen) ? beat : 0;
}

void hf__hearts_datagram(hf_manager *m, unsigned index, pid_t pid, uint64_t period_ns, uint64_t now) {
  hf_err err;
  hf_hearts_watch *w = period_ns != 0 ? watch_of(m, index, &err) : m->proc[index].hearts;
  if (w == NULL) {
    if (period_ns != 0) hf__trouble(m, index, &err);
    return;
  }
  w->datagram_pid = pid;
  hf_store_relaxed(&w->datagram_beat, hf_load_relaxed(&w->datagram_beat) + 1);
  if (w->datagram != UINT32_MAX && period_ns == w->datagram_period_ns) return;
  unwatch(m, &w->datagram);
  w->datagram_period_ns = period_ns;
  if (period_ns == 0) return;
  // The counter is this manager's: it goes on with the value, and by that with the age, that the one before had noted.
  hf_store_relaxed(&w->datagram_beat, datagram_noted(m, index, now));
  source from = {.beat = &w->datagram_beat, .claim = HF_CLAIM(1, HF_CELL_ARMED), .period_ns = period_ns, .grace = 1};
  w->datagram = watch(m, index, HF_HEART_DATAGRAM, &from, now, &err);
  if (w->datagram == UINT32_MAX) hf__trouble(m, index, &err);
  else has_beaten(m, index, now);
}

// ---- readers ------------------------------------------------------------------------------------------------------------

static void publish(hf_hearts_judge *j, uint32_t id) {
  uint32_t beat;
  if (id == UINT32_MAX) return;
  uint64_t seen = hf_monitor_seen_ns(j->monitor, id, &beat);
  if (j->heart[id].flags != 0) return; // excused: what was noted when its silence began is the truth
  hf_ages_set(j->ages, j->heart[id].age, beat, seen);
}

void hf__hearts_publish(hf_manager *m, uint64_t now) {
  hf_segment_header *header = &m->segment->header;
  uint32_t wanted = hf_load_acquire(&m->requests->header.ages_wanted); // pairs with the release in view.c
  if (wanted == hf_load_relaxed(&header->ages_done)) return;
  for (unsigned i = 0; m->judge->ages != NULL && i < hf__slots(m); i++) {
    const hf_hearts_watch *w = m->proc[i].hearts;
    for (uint32_t cell = 0; w != NULL && cell < w->room; cell++) publish(m->judge, w->id[cell]);
    if (w != NULL) publish(m->judge, w->datagram);
  }
  hf_store_relaxed(&header->ages_mono_ns, now);
  hf_store_release(&header->ages_done, wanted); // pairs with the acquire in view.c
  (void)hf_k_futex_wake((uint32_t *)&header->ages_done);
}

// ---- the sweep ----------------------------------------------------------------------------------------------------------

bool hf__hearts_sweep(hf_manager *m, uint64_t now) {
  hf_hearts_judge *j = m->judge;
  if (j->ages != NULL && !j->swept_out) hf_ages_sweep_out(j->ages); // by now all living cells have been taken in
  j->swept_out |= j->ages != NULL;
  j->probes = 0;
  j->told = false;
  (void)hf_monitor_sweep(j->monitor, now);
  bool changed = j->told || j->condemned_count > 0;
  carry_out(m, now);
  return changed;
}
