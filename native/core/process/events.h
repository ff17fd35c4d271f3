// SPDX-License-Identifier: MIT
// The event log: a ring in the segment. One writer, the manager; readers notice what they missed.
#ifndef HF_PROCESS_EVENTS_H
#define HF_PROCESS_EVENTS_H

#include "base/error.h"
#include "segment/layout.h"

// Appends; fills in sequence and times. Returns the sequence.
uint64_t hf_event_append(hf_segment *segment, hf_event *event);
// A new manager: moves the tail over a record that was complete when its writer was killed.
void hf_events_recover(hf_segment *segment);
// Reads the event of that sequence: 1; 0 where it is not written yet; HF_EUNKNOWN where it was overwritten.
int hf_event_read(const hf_segment *segment, uint64_t sequence, hf_event *out);
// Events from `from` on, as hf_operator_events says.
int hf_events_read(const hf_segment *segment, uint64_t from, hf_event *out, int max, uint64_t *next);
uint64_t hf_events_first(const hf_segment *segment); // the oldest sequence that is held

#endif
