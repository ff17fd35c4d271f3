// SPDX-License-Identifier: MIT
// Who is watched: ids, rate classes, and the dense arrays of the cells.
#include "heartbeat/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "heartbeat/monitor_inside.h"

enum { ROOM_MIN = 16 };
// About 1 ms, and such that the most common period of all, 1 s, has a class that nearly fits: 148.0 ms, 1.25^22 of this.
#define CLASS_FIRST_NS UINT64_C(1092170)

// Stands in for a cell that was removed while a sweep was under way: its own memory may be gone.
static const _Atomic uint32_t nobody_beats;

int hf_monitor_create(hf_monitor **out, const hf_monitor_calls *calls, hf_err *err) {
  hf_monitor *m = calloc(1, sizeof *m);
  if (m == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
  m->calls = *calls;
  m->id_free = HF__NOBODY;
  m->on_time = true;
  m->class[0].interval_ns = CLASS_FIRST_NS;
  for (unsigned i = 1; i < HF__CLASS_COUNT; i++) m->class[i].interval_ns = m->class[i - 1].interval_ns * 5 / 4;
  *out = m;
  return 0;
}

void hf_monitor_destroy(hf_monitor *m) {
  if (m == NULL) return;
  for (unsigned i = 0; i < HF__CLASS_COUNT; i++) {
    free(m->class[i].cell);
    free(m->class[i].suspect);
  }
  free(m->id);
  free(m);
}

// The slowest class that is fast enough: its interval is at most 0.15 of the period.
static unsigned class_of(const hf_monitor *m, uint64_t period_ns) {
  unsigned class = HF__CLASS_COUNT - 1;
  while (class > 0 && m->class[class].interval_ns > period_ns / 20 * 3) class --;
  return class;
}

static bool class_room(hf__class *c) {
  if (c->count < c->room) return true;
  uint32_t room = c->room == 0 ? ROOM_MIN : c->room * 2;
  // A sweep reads ahead to ask for memory: behind the last cell there are some that are zero.
  hf__watched *more = realloc(c->cell, ((size_t)room + HF__AHEAD) * sizeof *more);
  if (more == NULL) return false;
  memset(more + c->count, 0, ((size_t)room + HF__AHEAD - c->count) * sizeof *more);
  c->cell = more;
  c->room = room;
  return true;
}

// A free id, not yet taken; HF__NOBODY: no memory.
static uint32_t id_room(hf_monitor *m) {
  if (m->id_free != HF__NOBODY) return m->id_free;
  if (m->id_count == m->id_room) {
    uint32_t room = m->id_room == 0 ? ROOM_MIN : m->id_room * 2;
    hf__silence *more = realloc(m->id, (size_t)room * sizeof *more);
    if (more == NULL) return HF__NOBODY;
    m->id = more;
    m->id_room = room;
  }
  return m->id_count;
}

static int64_t watch(hf_monitor *m, hf__watched cell, hf__silence silence, uint64_t period_ns, unsigned grace,
                     uint64_t now_ns, hf_err *err) {
  if (period_ns < HF__PERIOD_MIN_NS) period_ns = HF__PERIOD_MIN_NS;
  if (period_ns > HF__YEAR_NS) period_ns = HF__YEAR_NS;
  if (grace < 1) grace = 1;
  hf__class *c = &m->class[class_of(m, period_ns)];
  uint32_t id = id_room(m);
  if (id == HF__NOBODY || !class_room(c)) return hf_fail(err, HF_ENOMEM, "no memory to watch one more thread");
  if (id == m->id_count) m->id_count++;
  else m->id_free = m->id[id].position;
  cell.id = id;
  uint64_t allowance = grace > HF__ALLOWANCE_MAX_NS / period_ns ? HF__ALLOWANCE_MAX_NS : period_ns * grace;
  cell.allowance_ns = allowance & (UINT64_MAX >> 1);
  silence.period_ns = period_ns;
  silence.position = c->count;
  silence.class = (uint16_t)(c - m->class);
  silence.of_ns = cell.seen_ns;
  if (c->live == 0) { // its grid begins now
    c->sweep_at_ns = now_ns + c->interval_ns;
    c->last_ns = now_ns;
    c->certain_ns = UINT64_MAX;
    c->look_at_ns = 0;
  }
  m->id[id] = silence;
  c->cell[c->count++] = cell;
  c->live++;
  m->count++;
  return id;
}

int64_t hf_monitor_add(hf_monitor *m, const _Atomic uint32_t *beat, const _Atomic uint32_t *busy_beat,
                       const _Atomic uint64_t *busy_ns, uint64_t period_ns, unsigned grace, uint64_t now_ns, hf_err *err) {
  hf__watched cell = {.beat = beat, .last = hf_load_relaxed(beat), .seen_ns = now_ns};
  hf__silence silence = {.busy_beat = busy_beat, .busy_ns = busy_ns};
  return watch(m, cell, silence, period_ns, grace, now_ns, err);
}

int64_t hf_monitor_inherit(hf_monitor *m, const _Atomic uint32_t *beat, const _Atomic uint32_t *busy_beat,
                           const _Atomic uint64_t *busy_ns, uint64_t period_ns, unsigned grace, uint32_t seen_beat,
                           uint64_t seen_ns, uint64_t now_ns, hf_err *err) {
  hf__watched cell = {.beat = beat, .last = hf_load_relaxed(beat), .seen_ns = now_ns};
  hf__silence silence = {.busy_beat = busy_beat, .busy_ns = busy_ns};
  if (cell.last == seen_beat && seen_ns < now_ns) {
    cell.seen_ns = seen_ns;
    silence.uncounted_ns = now_ns - seen_ns;
  }
  return watch(m, cell, silence, period_ns, grace, now_ns, err);
}

// The last cell comes into its place.
static void close_gap(hf_monitor *m, hf__class *c, uint32_t position) {
  uint32_t last = --c->count;
  if (position != last) {
    c->cell[position] = c->cell[last];
    if (c->cell[position].id != HF__NOBODY) m->id[c->cell[position].id].position = position;
  }
  memset(&c->cell[last], 0, sizeof c->cell[last]);
}

void hf_monitor_remove(hf_monitor *m, uint32_t id) {
  if (id >= m->id_count || m->id[id].class == HF__CLASS_COUNT) return;
  hf__silence *s = &m->id[id];
  hf__class *c = &m->class[s->class];
  uint32_t position = s->position;
  s->class = HF__CLASS_COUNT;
  s->position = m->id_free;
  m->id_free = id;
  c->live--;
  m->count--;
  if (!m->sweeping) {
    close_gap(m, c, position);
    return;
  }
  // The sweep goes by positions: nothing moves before its end.
  c->cell[position] = (hf__watched){.beat = &nobody_beats, .id = HF__NOBODY, .seen_ns = UINT64_MAX / 2};
}

void hf__monitor_compact(hf_monitor *m, hf__class *c) {
  for (uint32_t i = 0; i < c->count && c->count > c->live;) {
    if (c->cell[i].id == HF__NOBODY) close_gap(m, c, i);
    else i++;
  }
}

uint32_t hf_monitor_count(const hf_monitor *m) { return m->count; }

bool hf_monitor_on_time(const hf_monitor *m) { return m->on_time; }

uint64_t hf_monitor_seen_ns(const hf_monitor *m, uint32_t id, uint32_t *beat) {
  *beat = 0;
  if (id >= m->id_count || m->id[id].class == HF__CLASS_COUNT) return 0;
  const hf__watched *w = &m->class[m->id[id].class].cell[m->id[id].position];
  *beat = w->last;
  return w->seen_ns;
}
