// SPDX-License-Identifier: MIT
// The event log. A record is: sequence 0, the event, its sequence, then the tail. Killed before its sequence: nothing happened.
// Killed before the tail: hf_events_recover finds it.
#include "process/events.h"

#include "base/kernel.h"

static hf_event_record *record_of(hf_segment *segment, uint64_t sequence) {
  return &segment->events[sequence & (HF_EVENT_MAX - 1)];
}

uint64_t hf_event_append(hf_segment *segment, hf_event *event) {
  uint64_t sequence = hf_load_relaxed(&segment->header.event_tail);
  hf_event_record *record = record_of(segment, sequence);
  event->sequence = sequence;
  event->at_mono_ns = hf_now_mono_ns();
  event->at_real_ns = hf_now_real_ns();
  hf_store_relaxed(&record->sequence, 0);
  atomic_thread_fence(memory_order_release); // the zero before the bytes: pairs with the acquire fence in hf_event_read
  hf_words_store(&record->event, event, sizeof *event);
  HF_POINT("event-before-sequence");
  hf_store_release(&record->sequence, sequence); // pairs with the acquire in hf_event_read
  HF_POINT("event-before-tail");
  hf_store_release(&segment->header.event_tail, sequence + 1);
  atomic_fetch_add_explicit(&segment->header.changes, 1, memory_order_release);
  return sequence;
}

void hf_events_recover(hf_segment *segment) {
  uint64_t tail = hf_load_relaxed(&segment->header.event_tail);
  if (tail == 0) tail = 1;
  while (hf_load_acquire(&record_of(segment, tail)->sequence) == tail) tail++;
  hf_store_release(&segment->header.event_tail, tail);
}

uint64_t hf_events_first(const hf_segment *segment) {
  uint64_t tail = hf_load_acquire(&segment->header.event_tail);
  return tail > HF_EVENT_MAX ? tail - HF_EVENT_MAX : 1;
}

int hf_event_read(const hf_segment *segment, uint64_t sequence, hf_event *out) {
  const hf_event_record *record = &segment->events[sequence & (HF_EVENT_MAX - 1)];
  uint64_t before = hf_load_acquire(&record->sequence); // pairs with the release in hf_event_append
  if (before != sequence) return before > sequence || before == 0 ? HF_EUNKNOWN : 0;
  hf_words_load(out, &record->event, sizeof *out);
  atomic_thread_fence(memory_order_acquire);
  if (hf_load_relaxed(&record->sequence) != sequence) return HF_EUNKNOWN;
  out->name[HF_NAME_SIZE - 1] = 0; // shared memory is input
  out->detail[sizeof out->detail - 1] = 0;
  return 1;
}

int hf_events_read(const hf_segment *segment, uint64_t from, hf_event *out, int max, uint64_t *next) {
  uint64_t tail = hf_load_acquire(&segment->header.event_tail), first = hf_events_first(segment);
  if (from < first) from = first;
  int count = 0;
  for (; from < tail && count < max; from++)
    if (hf_event_read(segment, from, &out[count]) == 1) count++;
  *next = from;
  return count;
}
