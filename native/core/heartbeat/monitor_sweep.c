// SPDX-License-Identifier: MIT
// Looking: sweeps of a class, looks at its suspects, and what a silence amounts to.
//
// Two ages of a silence, both since the look that saw the last change (so both are at most the true one):
//   judged   by the judge's clock: the real time without the gaps before late looks. Due when it reaches the allowance, and,
//            after a late look, not before the judge's clock has moved by a whole interval: who was held up together with the
//            judge may show first that it lives
//   counted  by the real clock, in which a gap counts for one period at most. Due when it reaches 3 times the allowance, and 3
//            sweeps found no change: for a judge that is always late
// What was granted (busy, or no processor) comes on top of either, once. A look that comes late is always a sweep: so each
// cell of the class is either dated anew, or has the gap taken off.
#include <stdlib.h>
#include <string.h>

#include "heartbeat/monitor_inside.h"

#define LATE_MIN_NS UINT64_C(5000000)
enum { SWEEPS_UNCHANGED = 3, ALLOWANCES = 3, COALESCE = 256 };

// ---- suspects -----------------------------------------------------------------------------------------------------------

// How long after it is due a cell may wait for others: 1/256 of its period, and never so long that it would be found after
// 1.15 periods.
static uint64_t slack_of(const hf__class *c, const hf__silence *s) {
  uint64_t spare = hf__less(s->period_ns / 20 * 3, c->interval_ns), most = s->period_ns / COALESCE;
  return spare < most ? spare : most;
}

static void suspect_add(hf__class *c, const hf__watched *w, uint64_t due_ns, uint64_t slack_ns) {
  uint64_t latest = hf__add(due_ns, slack_ns);
  if (latest >= c->sweep_at_ns) return; // the sweep comes early enough
  if (c->suspect_count == c->suspect_room) {
    uint32_t room = c->suspect_room == 0 ? 16 : c->suspect_room * 2;
    hf__suspect *more = realloc(c->suspect, (size_t)room * sizeof *more);
    if (more == NULL) return; // the next sweep finds it, a little later
    c->suspect = more;
    c->suspect_room = room;
  }
  c->suspect[c->suspect_count++] = (hf__suspect){.due_ns = due_ns, .latest_ns = latest, .seen_ns = w->seen_ns, .id = w->id};
}

static int by_due(const void *a, const void *b) {
  uint64_t left = ((const hf__suspect *)a)->due_ns, right = ((const hf__suspect *)b)->due_ns;
  return (left > right) - (left < right);
}

// Puts them in order, and says when to look: as late as the first allow, so that one look serves many.
static void suspects_settle(hf__class *c) {
  bool in_order = true;
  for (uint32_t i = 1; i < c->suspect_count && in_order; i++) in_order = c->suspect[i - 1].due_ns <= c->suspect[i].due_ns;
  if (!in_order) qsort(c->suspect, c->suspect_count, sizeof *c->suspect, by_due);
  c->look_at_ns = 0;
  for (uint32_t i = 0; i < c->suspect_count; i++) {
    if (i > 0 && c->suspect[i].due_ns >= c->look_at_ns) break;
    if (i == 0 || c->suspect[i].latest_ns < c->look_at_ns) c->look_at_ns = c->suspect[i].latest_ns;
  }
}

// ---- one cell -----------------------------------------------------------------------------------------------------------

static uint64_t busy_of(const hf__silence *s, uint32_t beat) {
  // Acquire: pairs with the release in hf_cells_busy; busy_ns belongs to that beat.
  if (s->busy_beat == NULL || s->busy_ns == NULL || hf_load_acquire(s->busy_beat) != beat) return 0;
  uint64_t busy = hf_load_relaxed(s->busy_ns);
  return busy < HF__YEAR_NS ? busy : HF__YEAR_NS;
}

// How long until it is due, if nothing comes late from now on; 0: it is.
static uint64_t remaining(const hf__class *c, const hf__watched *w, const hf__silence *s, uint64_t now_ns) {
  uint64_t age = hf__less(now_ns, w->seen_ns);
  uint64_t granted = hf__add(s->later_ns, busy_of(s, w->last));
  uint64_t left = hf__less(hf__add(w->allowance_ns, granted), hf__less(age, s->uncounted_ns));
  uint64_t doubt = hf__less(c->interval_ns, c->certain_ns);
  if (left < doubt) left = doubt;
  if (s->sweeps < SWEEPS_UNCHANGED) return left;
  uint64_t regardless = hf__less(hf__add(ALLOWANCES * w->allowance_ns, granted), hf__less(age, s->skipped_ns));
  return left < regardless ? left : regardless;
}

static void note_change(hf_monitor *m, hf__watched *w, uint32_t beat, uint64_t now_ns) {
  w->last = beat;
  w->seen_ns = now_ns;
  if (!w->tell) return;
  w->tell = 0;
  if (m->calls.seen != NULL) m->calls.seen(m->calls.context, w->id, beat, now_ns);
}

// It is due: asks what to do with it. True if it stays, and its silence with it.
static bool judge(hf_monitor *m, hf__class *c, uint32_t position, uint64_t now_ns) {
  hf__watched *w = &c->cell[position];
  hf__silence *s = hf__silence_of(m, w);
  uint32_t id = w->id;
  uint64_t later = 0;
  hf_silence silence = {.silent_ns = hf__less(now_ns, w->seen_ns)};
  silence.lateness_ns = hf__add(s->uncounted_ns, c->lateness_ns);
  if (silence.lateness_ns > silence.silent_ns) silence.lateness_ns = silence.silent_ns;
  hf_due verdict = m->calls.due(m->calls.context, id, &silence, now_ns, &later);
  w = &c->cell[position]; // the call may have added cells, or removed this one
  if (w->id != id) return false;
  if (verdict == HF_DUE_CONDEMNED) hf_monitor_remove(m, id);
  if (verdict == HF_DUE_EXCUSED) {
    w->seen_ns = now_ns;
    w->tell = 1;
  }
  if (verdict != HF_DUE_LATER) return false;
  s = hf__silence_of(m, w);
  s->later_ns = hf__add(s->later_ns, later < HF__YEAR_NS ? later : HF__YEAR_NS);
  return true;
}

// A cell that was found unchanged, and has been silent for half of its allowance.
static void examine(hf_monitor *m, hf__class *c, uint32_t position, uint64_t now_ns) {
  hf__watched *w = &c->cell[position];
  hf__silence *s = hf__silence_of(m, w);
  uint32_t id = w->id;
  uint64_t judged = hf__less(hf__less(now_ns, w->seen_ns), s->uncounted_ns);
  if (!s->half_said && judged >= w->allowance_ns / 2) {
    s->half_said = 1;
    w->tell = 1;
    if (m->calls.half != NULL) m->calls.half(m->calls.context, id, now_ns);
    w = &c->cell[position];
    if (w->id != id) return;
    s = hf__silence_of(m, w);
  }
  uint64_t left = remaining(c, w, s, now_ns);
  if (left == 0) {
    if (!judge(m, c, position, now_ns)) return;
    w = &c->cell[position];
    s = hf__silence_of(m, w);
    left = remaining(c, w, s, now_ns);
    if (left == 0) left = c->interval_ns / 8; // it was put off by nothing: not again at once
  }
  if (hf__add(now_ns, left) < c->sweep_at_ns) suspect_add(c, w, now_ns + left, slack_of(c, s));
}

// ---- looks --------------------------------------------------------------------------------------------------------------

// A gap of which nobody knows what happened in it is taken off the age of a cell that was silent all the while.
static void take_off(hf_monitor *m, const hf__watched *w, uint64_t gap_ns, uint64_t now_ns) {
  hf__silence *s = hf__silence_of(m, w);
  uint64_t age = hf__less(now_ns, w->seen_ns), gap = gap_ns < age ? gap_ns : age;
  s->uncounted_ns = hf__add(s->uncounted_ns, gap);
  if (s->uncounted_ns > age) s->uncounted_ns = age;
  s->skipped_ns = hf__add(s->skipped_ns, hf__less(gap, s->period_ns));
}

static uint64_t sweep(hf_monitor *m, hf__class *c, bool late, uint64_t gap_ns, uint64_t now_ns) {
  uint32_t count = c->count; // what is added meanwhile has just beaten
  uint64_t looked = 0;
  c->suspect_count = 0;
  for (uint32_t i = 0; i < count; i++) {
    hf__watched *w = &c->cell[i];
    __builtin_prefetch((const void *)c->cell[i + HF__AHEAD].beat, 0, 3);
    uint32_t beat = hf_load_relaxed(w->beat);
    if (beat != w->last) {
      note_change(m, w, beat, now_ns);
      continue;
    }
    if (late && w->id != HF__NOBODY) take_off(m, w, gap_ns, now_ns);
    if (now_ns < w->seen_ns + w->allowance_ns / 2) continue;
    hf__silence *s = hf__silence_of(m, w);
    if (s->sweeps < UINT8_MAX) s->sweeps++;
    examine(m, c, i, now_ns);
  }
  looked = count;
  suspects_settle(c);
  return looked;
}

static uint64_t look_at_suspects(hf_monitor *m, hf__class *c, uint64_t now_ns) {
  uint32_t due = 0, count = c->suspect_count;
  uint64_t looked = 0;
  for (; due < count && c->suspect[due].due_ns <= now_ns; due++) {
    hf__suspect suspect = c->suspect[due];
    const hf__silence *s = &m->id[suspect.id];
    if (s->class != c - m->class || c->cell[s->position].seen_ns != suspect.seen_ns) continue; // it is gone, or has spoken
    hf__watched *w = &c->cell[s->position];
    looked++;
    uint32_t beat = hf_load_relaxed(w->beat);
    if (beat != w->last) note_change(m, w, beat, now_ns);
    else examine(m, c, s->position, now_ns); // may put it at the end of the list again
  }
  c->suspect_count -= due;
  if (due > 0) memmove(c->suspect, c->suspect + due, c->suspect_count * sizeof *c->suspect);
  suspects_settle(c);
  return looked;
}

static uint64_t next_of(const hf__class *c) {
  return c->look_at_ns != 0 && c->look_at_ns < c->sweep_at_ns ? c->look_at_ns : c->sweep_at_ns;
}

// One look at a class, whose time has come.
static uint64_t look(hf_monitor *m, hf__class *c, uint64_t now_ns) {
  uint64_t gap = hf__less(now_ns, c->last_ns), lateness = now_ns - next_of(c);
  bool late = lateness > c->interval_ns / 4 && lateness > LATE_MIN_NS;
  c->last_ns = now_ns;
  c->certain_ns = late ? 0 : hf__add(c->certain_ns, gap);
  c->lateness_ns = late ? 0 : lateness; // a late one has its gap taken off instead
  if (late) m->on_time = false;
  if (!late && now_ns < c->sweep_at_ns) return look_at_suspects(m, c, now_ns);
  c->sweep_at_ns += c->interval_ns;
  if (late || c->sweep_at_ns <= now_ns) c->sweep_at_ns = now_ns + c->interval_ns;
  return sweep(m, c, late, gap, now_ns);
}

uint64_t hf_monitor_next(const hf_monitor *m) {
  uint64_t next = 0;
  for (unsigned i = 0; i < HF__CLASS_COUNT; i++) {
    const hf__class *c = &m->class[i];
    if (c->live > 0 && (next == 0 || next_of(c) < next)) next = next_of(c);
  }
  return next;
}

uint64_t hf_monitor_sweep(hf_monitor *m, uint64_t now_ns) {
  uint64_t looked = 0, next = hf_monitor_next(m);
  if (next == 0 || now_ns < next) return 0;
  m->sweeping = true;
  m->on_time = true;
  for (unsigned i = 0; i < HF__CLASS_COUNT; i++) {
    hf__class *c = &m->class[i];
    if (c->live > 0 && next_of(c) <= now_ns) looked += look(m, c, now_ns);
  }
  m->sweeping = false;
  for (unsigned i = 0; i < HF__CLASS_COUNT; i++)
    if (m->class[i].count > m->class[i].live) hf__monitor_compact(m, &m->class[i]);
  return looked;
}
