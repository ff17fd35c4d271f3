// SPDX-License-Identifier: MIT
// Exit notes: the guardian writes how each of its children ended; the manager reads, deals with it, and acknowledges; only then
// does the guardian reap, so that neither the pid nor its process group can be reused while the manager acts on them.
#ifndef HF_SUPERVISE_EXITS_H
#define HF_SUPERVISE_EXITS_H

#include <signal.h>
#include <stdbool.h>

#include "segment/layout.h"

// ---- the guardian ----
// Notes how a zombie child ended: the sequence of the note, or 0 where the table is full or /proc can't be read (try again).
uint64_t hf_exits_note(hf_exits *exits, const hf_segment *segment, const siginfo_t *info);
// A new guardian: moves the tail over a note that was complete when its writer was killed.
void hf_exits_recover(hf_exits *exits);

// ---- the manager ----
// Finds the newest note of that very process: its sequence, or 0.
uint64_t hf_exits_find(const hf_exits *exits, const hf_identity *process, hf_exit_note *out);
void hf_exits_acknowledge(hf_segment *segment, uint64_t sequence);
bool hf_exits_is_acknowledged(const hf_segment *segment, uint64_t sequence);
// Calls `each` for every note that is not acknowledged yet, oldest first.
void hf_exits_each_open(const hf_exits *exits, const hf_segment *segment,
                        void (*each)(const hf_exit_note *note, uint64_t sequence, void *context), void *context);

#endif
