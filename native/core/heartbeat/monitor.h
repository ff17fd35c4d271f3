// SPDX-License-Identifier: MIT
// The monitor: sees which of many cells have gone silent. No kernel call and no clock: the time is an argument.
//
// Cells are swept in rate classes: the interval of a class is at most 0.15 of each of its periods, and at least 0.12 (classes lie a
// factor of 1.25 apart), so that cells with long periods are never looked at with the frequency of the short ones. A sweep that finds
// a beat changed dates it to that sweep: never too early. A cell that will be due before the next sweep of its class is a suspect, and
// is looked at exactly when it is due; so a hang is found between 1.00 and 1.15 periods after the last beat.
//
// The judge doubts itself. Each class has a clock of its own (the judge's clock), which moves by the time between two looks where the
// second came on time, and not at all where it came late (by more than a quarter of the interval, and more than 5 ms): what happened in
// such a gap nobody knows, so nobody is a moment older for it. Constant lateness would hide a hang: so a cell that 3 sweeps found
// unchanged, silent for 3 times its allowance by the real clock, in which a gap counts for one period at most, is due regardless.
#ifndef HF_HEARTBEAT_MONITOR_H
#define HF_HEARTBEAT_MONITOR_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

typedef struct hf_monitor hf_monitor;

// What the callback says to a cell that is due.
typedef enum hf_due {
  HF_DUE_CONDEMNED, // it is watched no more (the monitor forgets it)
  HF_DUE_EXCUSED,   // its silence begins anew, now
  HF_DUE_LATER,     // it was ready to run and got no processor for `*later_ns`: its allowance grows by that
} hf_due;

typedef struct hf_silence {
  uint64_t silent_ns;   // by the real clock, since it was last seen to change
  uint64_t lateness_ns; // part of it that the judge did not count
} hf_silence;

typedef hf_due (*hf_due_fn)(void *context, uint32_t id, const hf_silence *silence, uint64_t now_ns, uint64_t *later_ns);
// A cell has been silent for half of its allowance (once for each silence): a moment to note what only counts from then on. May be NULL.
typedef void (*hf_half_fn)(void *context, uint32_t id, uint64_t now_ns);
// A cell that `half` was called for, or that was excused, was seen to change again. Any other change costs no call. May be NULL.
typedef void (*hf_seen_fn)(void *context, uint32_t id, uint32_t beat, uint64_t now_ns);

typedef struct hf_monitor_calls {
  hf_due_fn due;
  hf_half_fn half;
  hf_seen_fn seen;
  void *context;
} hf_monitor_calls;

// Grows by itself; memory is the only limit.
int hf_monitor_create(hf_monitor **out, const hf_monitor_calls *calls, hf_err *err);
void hf_monitor_destroy(hf_monitor *m);

// Watches a cell from now on, as if it had just beaten: an id (from 0, dense, reused), or HF_ENOMEM. `beat`, and `busy_beat` and
// `busy_ns` where they are not NULL, stay mapped until hf_monitor_remove. period_ns is at least 1 ms (raised to it), grace at least 1.
int64_t hf_monitor_add(hf_monitor *m, const _Atomic uint32_t *beat, const _Atomic uint32_t *busy_beat,
                       const _Atomic uint64_t *busy_ns, uint64_t period_ns, unsigned grace, uint64_t now_ns, hf_err *err);
// The same for a cell that another manager had watched: unchanged since then if it still has `beat`, and of that age by the real clock
// (by the judge's clock it is new).
int64_t hf_monitor_inherit(hf_monitor *m, const _Atomic uint32_t *beat, const _Atomic uint32_t *busy_beat,
                           const _Atomic uint64_t *busy_ns, uint64_t period_ns, unsigned grace, uint32_t seen_beat,
                           uint64_t seen_ns, uint64_t now_ns, hf_err *err);
void hf_monitor_remove(hf_monitor *m, uint32_t id);
uint32_t hf_monitor_count(const hf_monitor *m);

// When to call hf_monitor_sweep next: CLOCK_MONOTONIC, 0: nothing is watched.
uint64_t hf_monitor_next(const hf_monitor *m);
// Looks at what is due to be looked at, and only at that. The number of cells looked at. The callbacks may call remove, and add.
uint64_t hf_monitor_sweep(hf_monitor *m, uint64_t now_ns);
// Whether the last sweep came on time (see above); true before the first.
bool hf_monitor_on_time(const hf_monitor *m);
// When a cell was last seen to change (or was excused), and the value that it had then.
uint64_t hf_monitor_seen_ns(const hf_monitor *m, uint32_t id, uint32_t *beat);

#endif
