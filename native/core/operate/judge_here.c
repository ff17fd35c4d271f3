// SPDX-License-Identifier: MIT
// A judge inside the process, for programs that no manager started: a thread of its own watches the chosen cells, and
// reports, or aborts.
//
// Who writes: whoever calls hf_judge_here marks a cell in `chosen`, with the pid, so that marks that a forked child inherits
// count for nothing; everything else belongs to the judge thread. It waits on cells_changed (futex, in the private memory)
// until the monitor wants to look. A thread, not a signal or a timer: a hung program runs neither.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "operate/hearts.h"

#include "base/kernel.h"
#include "heartbeat/monitor.h"
#include "heartbeat/probe.h"
#include "operate/report_here.h"

enum { ALLOWANCES_MAX = 3 };

typedef struct watch {
  uint64_t claim; // as it is watched
  int64_t id;     // of the monitor; -1: not watched
  bool half;      // `sample` was taken in this silence
  hf_thread_facts sample;
  bool told;     // this silence was reported:
  uint32_t beat; // no beat since this one
} watch;

typedef struct judge {
  const hf_place *place;
  hf_monitor *monitor;
  hf_report_here *reports;
  watch watch[HF_CELL_MAX];
  uint16_t cell_of[HF_CELL_MAX]; // by id of the monitor
} judge;

#define CHOICE(pid, on_hang) (((uint64_t)(uint32_t)(pid) << 8) | (uint64_t)(on_hang))
static _Atomic uint64_t chosen[HF_CELL_MAX];
static _Atomic int32_t judge_of; // pid of the process that has a judge: a forked child has none

static int choice(uint32_t cell) {
  uint64_t word = hf_load_acquire(&chosen[cell]);
  return word >> 8 == (uint32_t)getpid() ? (int)(word & 0xff) : 0;
}

void hf__judge_forget(uint32_t cell) {
  if (cell < HF_CELL_MAX) hf_store_release(&chosen[cell], 0);
}

void hf__judge_wake(const hf_place *place) {
  if (hf_load_acquire(&judge_of) == (int32_t)getpid()) (void)hf_k_futex_wake((uint32_t *)&place->own->cells_changed);
}

// Ready to run and without a processor, in this silence so far. The judge of a manager looks at the same things.
static bool facts_of(const hf_cell_copy *copy, hf_thread_facts *facts) {
  return hf_thread_facts_read(getpid(), copy->tid, facts) == 0;
}

static void half(void *context, uint32_t id, uint64_t now_ns) {
  (void)now_ns;
  judge *j = context;
  watch *w = &j->watch[j->cell_of[id]];
  hf_cell_copy copy;
  hf_thread_facts facts;
  w->half = hf_cells_copy(j->place->own, j->cell_of[id], &copy) && copy.tid > 0 && facts_of(&copy, &facts);
  if (w->half) w->sample = facts;
}

// What excuses it, as a manager would: a debugger, a signal that stopped it, its cgroup. Or how much later it is due, until it has been
// silent for 3 times its allowance.
static hf_due excuse(watch *w, const hf_cell_copy *copy, const hf_silence *silence, uint64_t *later_ns) {
  uint64_t allowance_ns = copy->period_ns * copy->grace, most_ns = ALLOWANCES_MAX * allowance_ns;
  hf_thread_facts facts;
  if (!facts_of(copy, &facts)) return HF_DUE_CONDEMNED;
  if (facts.traced || facts.frozen || facts.state == 'T' || facts.state == 't') return HF_DUE_EXCUSED;
  uint64_t waited_ns = w->half ? hf_thread_waited_ns(&w->sample, &facts) : 0;
  if (waited_ns <= copy->period_ns / 64 || silence->silent_ns >= most_ns) return HF_DUE_CONDEMNED;
  w->sample = facts;
  *later_ns = waited_ns < most_ns - silence->silent_ns ? waited_ns : most_ns - silence->silent_ns;
  return HF_DUE_LATER;
}

static void verdict_of(const hf_cell_copy *copy, const hf_silence *silence, hf_failure *out) {
  *out = (hf_failure){.cause = HF_CAUSE_hang,
                      .exit_code = -1,
                      .at_real_ns = hf_now_real_ns(),
                      .pid = copy->pid,
                      .tid = copy->tid,
                      .grace = copy->grace,
                      .period_ns = copy->period_ns,
                      .silent_ns = silence->silent_ns,
                      .lateness_ns = silence->lateness_ns};
  memcpy(out->thread, copy->name, sizeof out->thread);
}

static hf_due due(void *context, uint32_t id, const hf_silence *silence, uint64_t now_ns, uint64_t *later_ns) {
  (void)now_ns;
  judge *j = context;
  uint32_t cell = j->cell_of[id];
  watch *w = &j->watch[cell];
  hf_cell *it = hf_cell_at(j->place->own, cell);
  uint32_t beat = hf_load_relaxed(&it->beat);
  int on_hang = choice(cell);
  hf_cell_copy copy;
  // Once for each silence. And what is being changed right now is looked at again.
  if ((w->told && w->beat == beat) || on_hang == 0 || !hf_cells_copy(j->place->own, cell, &copy) || copy.claim != w->claim)
    return HF_DUE_EXCUSED;
  hf_due answer = excuse(w, &copy, silence, later_ns);
  if (answer != HF_DUE_CONDEMNED) return answer;
  if (hf_load_relaxed(&it->beat) != beat) return HF_DUE_EXCUSED; // it came in this very moment
  w->told = true;
  w->beat = beat;
  hf_failure verdict;
  verdict_of(&copy, silence, &verdict);
  hf__report_here(j->reports, j->place, cell, &verdict, copy.note, on_hang == HF_HANG_ABORT);
  if (on_hang == HF_HANG_ABORT) hf__abort_here();
  return HF_DUE_EXCUSED;
}

static void watch_cell(judge *j, uint32_t cell, const hf_cell_copy *copy, uint64_t now_ns) {
  hf_cell *it = hf_cell_at(j->place->own, cell);
  watch *w = &j->watch[cell];
  int64_t id =
      hf_monitor_add(j->monitor, &it->beat, &it->busy_beat, &it->busy_ns, copy->period_ns, copy->grace, now_ns, NULL);
  if (id < 0 || id >= HF_CELL_MAX) return; // no memory: at the next change it is tried again
  *w = (watch){.claim = copy->claim, .id = id};
  j->cell_of[id] = (uint16_t)cell;
}

// Takes in which cells are chosen and armed.
static void take(judge *j, uint64_t now_ns) {
  uint32_t used = hf_cells_used(j->place->own);
  for (uint32_t cell = 0; cell < HF_CELL_MAX; cell++) {
    watch *w = &j->watch[cell];
    hf_cell_copy copy;
    bool armed = cell < used && choice(cell) != 0 && hf_cells_copy(j->place->own, cell, &copy);
    if (w->id >= 0 && (!armed || copy.claim != w->claim)) {
      hf_monitor_remove(j->monitor, (uint32_t)w->id);
      w->id = -1;
    }
    if (armed && w->id < 0) watch_cell(j, cell, &copy, now_ns);
  }
}

static void *judge_thread(void *argument) {
  judge *j = argument;
  _Atomic uint32_t *changed = &j->place->own->cells_changed;
  uint32_t taken = hf_load_acquire(changed) - 1;
  for (;;) {
    uint32_t seen = hf_load_acquire(changed); // before the look: a change behind it ends the wait
    uint64_t now_ns = hf_now_mono_ns();
    if (seen != taken) take(j, now_ns);
    taken = seen;
    (void)hf_monitor_sweep(j->monitor, now_ns);
    uint64_t next_ns = hf_monitor_next(j->monitor);
    while (hf_load_acquire(changed) == seen && (next_ns == 0 || hf_now_mono_ns() < next_ns))
      if (hf_k_futex_wait((const uint32_t *)changed, seen, next_ns) != 0 && errno != EAGAIN && errno != EINTR &&
          errno != ETIMEDOUT)
        return NULL; // no futex here: better no judge than one that spins
  }
}

static int judge_create(const hf_place *place, judge **out, hf_err *err) {
  judge *j = calloc(1, sizeof *j);
  if (j == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
  j->place = place;
  for (uint32_t cell = 0; cell < HF_CELL_MAX; cell++) j->watch[cell].id = -1;
  hf_monitor_calls monitor_calls = {.due = due, .half = half, .context = j};
  int failed = hf_monitor_create(&j->monitor, &monitor_calls, err);
  if (!failed && (failed = hf__report_here_create(&j->reports, err)) != 0) hf_monitor_destroy(j->monitor);
  if (failed) free(j);
  else *out = j;
  return failed;
}

static int judge_start(const hf_place *place, hf_err *err) {
  int32_t us = (int32_t)getpid(), of = hf_load_acquire(&judge_of);
  if (of == us || !atomic_compare_exchange_strong_explicit(&judge_of, &of, us, memory_order_acq_rel, memory_order_acquire))
    return 0; // there is one, or another thread is about to start it
  judge *j = NULL;
  int failed = judge_create(place, &j, err);
  if (!failed && hf__thread_start(judge_thread, j) != 0) {
    failed = hf_fail_sys(err, "pthread_create", "the thread that judges this process can't be started");
    hf_monitor_destroy(j->monitor);
    hf__report_here_destroy(j->reports);
    free(j);
  }
  if (failed) hf_store_release(&judge_of, 0);
  return failed;
}

int hf_judge_here(uint32_t cell, int on_hang, hf_err *err) {
  const hf_place *place = hf__place();
  if (place == NULL) return hf_fail(err, HF_EINVAL, "the memory of the heartbeats is not there yet: call hf_hearts first");
  if (on_hang != HF_HANG_REPORT && on_hang != HF_HANG_ABORT)
    return hf_fail(err, HF_EINVAL, "on a hang a process can report or abort, not %d", on_hang);
  if (place->self != NULL)
    return hf_fail(err, HF_EMOVE, "a manager judges this process: what it does on a hang is in its configuration");
  if (!hf__cell_is_ours(place, cell)) return hf__not_ours(cell, err);
  hf_store_release(&chosen[cell], CHOICE(getpid(), on_hang));
  int failed = judge_start(place, err);
  if (failed) {
    hf__judge_forget(cell);
    return failed;
  }
  (void)atomic_fetch_add_explicit(&place->own->cells_changed, 1, memory_order_acq_rel); // the judge takes the choice in
  hf__judge_wake(place);
  return 0;
}
