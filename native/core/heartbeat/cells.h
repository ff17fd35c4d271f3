// SPDX-License-Identifier: MIT
// Cells as bytes: claiming, arming and releasing by the process that owns them; taking a consistent copy by who judges. The map and the
// rules are in segment/layout.h. Both sides run at the same time, in different processes, and either may be killed anywhere.
#ifndef HF_HEARTBEAT_CELLS_H
#define HF_HEARTBEAT_CELLS_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

static inline hf_cell *hf_cell_at(hf_own *own, uint32_t cell) {
  void *at = (char *)own + HF_CELL_OFFSET(cell);
  return at;
}

// ---- the owner: any thread of any process of the tree -----------------------------------------------------------------------
// Makes sure that the page of a cell is no hole: 0, or HF_ESYS (a full tmpfs). NULL where the memory is private.
typedef int (*hf_cell_reserve_fn)(void *context, uint32_t cell, hf_err *err);
// FREE -> TAKEN, with the fields filled: the number of the cell, or HF_EFULL, or what `reserve` said. When the table is full, TAKEN cells
// of processes that are dead are taken back.
int hf_cells_claim(hf_own *own, const char *name, pid_t pid, pid_t tid, uint32_t thread_id, uint16_t flags,
                   hf_cell_reserve_fn reserve, void *context, hf_err *err);
// TAKEN or ARMED -> ARMED with a new generation, and a beat.
void hf_cells_arm(hf_own *own, uint32_t cell, uint64_t period_ns, unsigned grace);
void hf_cells_disarm(hf_own *own, uint32_t cell);  // ARMED -> TAKEN
void hf_cells_release(hf_own *own, uint32_t cell); // -> FREE
void hf_cells_set_thread(hf_own *own, uint32_t cell, pid_t tid);
void hf_cells_set_note(hf_own *own, uint32_t cell, const char *note);
void hf_cells_busy(hf_own *own, uint32_t cell, uint64_t extra_ns, const char *why);
// Disarms and releases all cells of a process.
void hf_cells_end(hf_own *own, pid_t pid);
// All of the above move cells_changed where a claim changed; the caller rings.

// ---- who judges: maps it read-only, under a guard -------------------------------------------------------------------------
typedef struct hf_cell_copy {
  uint64_t claim;
  uint64_t period_ns;
  int32_t pid, tid;
  uint16_t grace, flags;
  uint32_t thread_id;
  char name[HF_NAME_SIZE]; // always ends, printable (others become '?')
  char note[HF_CELL_NOTE_SIZE];
} hf_cell_copy;
// A consistent copy of an ARMED cell: true; false where it is not armed, or changes all the time (a bounded number of tries). Values
// out of bounds are brought into them: period 10 ms to 1 year, grace 1 to 1000.
bool hf_cells_copy(const hf_own *own, uint32_t cell, hf_cell_copy *out);
uint32_t hf_cells_used(const hf_own *own); // bounded by HF_CELL_MAX

#endif
