// SPDX-License-Identifier: MIT
// The status of processes: written by one manager, read by anybody. See layout.h for the word that commits.
#ifndef HF_PROCESS_STATUS_H
#define HF_PROCESS_STATUS_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

// ---- the manager --------------------------------------------------------------------------------------------------------
// Returns a private draft of the status, to be changed and committed. One draft a thread: begin drops the one before.
hf_status *hf_status_begin(hf_segment *segment, unsigned index);
// Writes the draft into the idle copy and makes it the whole one, with this state and incarnation: one compare-and-swap. HF_EMOVE where the table of states
// has no such move within an incarnation (a new incarnation begins from FAIL or STOPPED): nothing is changed then.
int hf_status_commit(hf_segment *segment, unsigned index, hf_state state, uint32_t incarnation, hf_err *err);
// The whole copy, to look at. Valid until the next commit of that index.
const hf_status *hf_status_now(const hf_segment *segment, unsigned index);
hf_status_word hf_status_word_now(const hf_segment *segment, unsigned index);
// Wakes all who wait for a change, if anything was committed or appended since the last call.
void hf_changes_publish(hf_segment *segment);

// ---- readers ------------------------------------------------------------------------------------------------------------
// A consistent copy and its word: true, or false after a bounded number of tries (the copy is then the last one tried).
bool hf_status_read(const hf_segment *segment, unsigned index, hf_status *out, hf_status_word *word);
// What observers should see: the state of the status, and what the living incarnation has declared (phase, 0 for none).
hf_state hf_state_effective(hf_status_word word, uint64_t phase);
// The index of a name, or HF_EUNKNOWN.
int hf_status_find(const hf_segment *segment, const char *name);

#endif
