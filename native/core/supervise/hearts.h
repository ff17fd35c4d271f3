// SPDX-License-Identifier: MIT
// What hearts.c (who is watched) and verdict.c (what a silence means) share. Private to the manager's one deciding thread.
#ifndef HF_SUPERVISE_HEARTS_H
#define HF_SUPERVISE_HEARTS_H

#include "heartbeat/ages.h"
#include "heartbeat/cells.h"
#include "heartbeat/monitor.h"
#include "heartbeat/probe.h"
#include "supervise/manager.h"

#define HF_HEART_DATAGRAM HF_CELL_MAX // stands for the cell of a heartbeat by datagrams, in `ages` and here

// One watched cell; lies at its id of the monitor. All from `since_ns` on belongs to one silence, and is filled half-way through it.
typedef struct hf_heart {
  uint64_t claim;
  int64_t age; // its entry in `ages`, -1: none
  uint16_t index, cell;
  uint32_t beat;       // the value that stands still
  uint64_t since_ns;   // when it was last seen to change
  uint64_t granted_ns; // by how much its verdict was put off
  uint32_t flags;      // HF_THREAD_…: why it is left alone, 0: it is not
  bool sampled;        // `sample` is known
  bool held;           // half-way it was held, by whatever excuses that
  hf_thread_facts sample;
  uint64_t quiet_until_ns; // it was excused just now: not asked for again so soon, whatever its period is
} hf_heart;

typedef struct hf_hearts_judge {
  hf_monitor *monitor;
  hf_ages *ages; // NULL: not opened yet, or it can't be
  bool swept_out;
  uint64_t ages_again_ns, ages_wait_ns; // when to try again to open it, and the interval
  hf_heart *heart;                      // by id
  uint32_t room;
  unsigned probes; // of threads, in this sweep
  bool told;       // this sweep has logged something
  unsigned condemned_count;
  uint16_t condemned[HF_PROCESS_MAX]; // by this sweep
} hf_hearts_judge;

// The cells of one incarnation.
typedef struct hf_hearts_watch {
  const hf_own *own; // NULL: not mapped
  int slot;          // of the guard, negative: not mapped
  uint32_t changed;  // own.cells_changed as last taken in
  uint32_t *id;      // by cell; UINT32_MAX: not watched
  uint32_t room;
  uint32_t datagram; // the id of the heartbeat by datagrams
  _Atomic uint32_t datagram_beat;
  pid_t datagram_pid;
  uint64_t datagram_period_ns;
  uint64_t probes_paid_ns; // each probe of its threads costs some time; ahead of the clock by no more than a burst
  bool condemned;
  int verdict_cell; // whose stack to ask for, negative: none
  hf_failure verdict;
} hf_hearts_watch;

static inline const hf_cell *hf__heart_cell(const hf_hearts_watch *w, uint32_t number) {
  const void *at = (const char *)w->own + HF_CELL_OFFSET(number);
  return at;
}

// Callbacks of the monitor; `context` is the manager.
hf_due hf__heart_due(void *context, uint32_t id, const hf_silence *silence, uint64_t now_ns, uint64_t *later_ns);
void hf__heart_half(void *context, uint32_t id, uint64_t now_ns);
void hf__heart_seen(void *context, uint32_t id, uint32_t beat, uint64_t now_ns);
// Whether the process of that pid is this one, or came of it, as far as that can be seen now: what a cell says is not to be believed.
bool hf__hearts_is_of(const hf_manager *m, unsigned index, pid_t pid);
// The process has cut the file that its cells lie in: condemned at once.
void hf__heart_cut(hf_manager *m, unsigned index, uint64_t now_ns);

#endif
