// SPDX-License-Identifier: MIT
// The monitor's private memory, shared by monitor.c (who is watched) and monitor_sweep.c (looking). One thread owns all of
// it.
//
// A cell has two parts. What every look needs lies in the dense array of its rate class, 32 bytes, two in a cache line:
// hf__watched. What only a silence needs lies in the table of ids: hf__silence. The second is touched when a silence has
// lasted for half of its allowance, and after a late look; so a cell that beats costs its own line and half a line here.
#ifndef HF_HEARTBEAT_MONITOR_INSIDE_H
#define HF_HEARTBEAT_MONITOR_INSIDE_H

#include "heartbeat/monitor.h"

#define HF__PERIOD_MIN_NS UINT64_C(1000000)
#define HF__YEAR_NS (UINT64_C(366) * 86400 * 1000000000)
#define HF__ALLOWANCE_MAX_NS (100 * HF__YEAR_NS) // 3 times that, and a clock, fit in 64 bits
#define HF__NOBODY UINT32_MAX
enum { HF__CLASS_COUNT = 49, HF__AHEAD = 96 }; // 1.09 ms x 1.25^48 is 49 s; how many cells ahead memory is asked for

typedef struct hf__watched {
  const _Atomic uint32_t *beat;
  uint32_t last;    // its value when it was last looked at
  uint32_t id;      // HF__NOBODY: removed while a sweep was under way
  uint64_t seen_ns; // the look that saw it change, by the real clock
  uint64_t allowance_ns : 63;
  uint64_t tell : 1; // whether `seen` is to be called when it changes
} hf__watched;
_Static_assert(sizeof(hf__watched) == 32, "two in a cache line");

// All but the first block belongs to the silence that began at `of_ns` (= seen_ns), and means nothing when that is another.
typedef struct hf__silence {
  const _Atomic uint32_t *busy_beat;
  const _Atomic uint64_t *busy_ns;
  uint64_t period_ns;
  uint32_t position; // in its class; in a free id: the next free one
  uint16_t class;    // HF__CLASS_COUNT: this id is free

  uint8_t half_said;
  uint8_t sweeps; // that found it unchanged, once half of the allowance was over; ends at 255
  uint64_t of_ns;
  uint64_t uncounted_ns; // gaps: the judge's clock did not move
  uint64_t skipped_ns;   // what of these gaps does not even count where all lateness is counted: all beyond a period each
  uint64_t later_ns;     // granted by HF_DUE_LATER
} hf__silence;

// A cell that is due before the next sweep of its class.
typedef struct hf__suspect {
  uint64_t due_ns;
  uint64_t latest_ns; // it may wait until then for others
  uint64_t seen_ns;   // whose silence it is
  uint32_t id, pad;
} hf__suspect;

typedef struct hf__class {
  uint64_t interval_ns;
  hf__watched *cell;
  uint32_t count, room, live; // `count` with the removed ones
  uint32_t suspect_count, suspect_room;
  hf__suspect *suspect; // by due_ns, but while a sweep fills it
  uint64_t sweep_at_ns; // the next sweep
  uint64_t look_at_ns;  // at the first suspects; 0: there are none
  uint64_t last_ns;     // the last look
  uint64_t certain_ns;  // the judge's clock since the last late look
  uint64_t lateness_ns; // of the look that is under way, where it counts as on time
} hf__class;

struct hf_monitor {
  hf_monitor_calls calls;
  hf__class class[HF__CLASS_COUNT];
  hf__silence *id;
  uint32_t id_count, id_room, id_free; // id_free: the first free one, HF__NOBODY: none
  uint32_t count;
  bool sweeping, on_time;
};

// Takes the removed cells out of the arrays, after a sweep.
void hf__monitor_compact(hf_monitor *m, hf__class *c);

static inline uint64_t hf__add(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }
static inline uint64_t hf__less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; } // a - b, and not below 0

// The silence of a cell that was just found unchanged.
static inline hf__silence *hf__silence_of(hf_monitor *m, const hf__watched *w) {
  hf__silence *s = &m->id[w->id];
  if (s->of_ns != w->seen_ns) {
    s->of_ns = w->seen_ns;
    s->half_said = s->sweeps = 0;
    s->uncounted_ns = s->skipped_ns = s->later_ns = 0;
  }
  return s;
}

#endif
