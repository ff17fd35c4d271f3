// SPDX-License-Identifier: MIT
// Exit notes. One writer (the guardian), one reader that matters (the manager), and `ack` in the segment going the other way.
// A note: sequence 0, the fields, the sequence, then the tail. The place of a note is used again only when it is acknowledged.
#include "supervise/exits.h"

#include <string.h>

#include "base/kernel.h"
#include "process/identity.h"

static uint64_t place(uint64_t sequence) { return sequence % HF_EXIT_NOTE_MAX; }

bool hf_exits_is_acknowledged(const hf_segment *segment, uint64_t sequence) {
  return hf_load_acquire(&segment->ack[place(sequence)]) >= sequence; // pairs with the release in hf_exits_acknowledge
}

void hf_exits_acknowledge(hf_segment *segment, uint64_t sequence) {
  hf_store_release(&segment->ack[place(sequence)], sequence); // pairs with the acquire in hf_exits_is_acknowledged
}

static uint64_t oldest(uint64_t tail) { return tail > HF_EXIT_NOTE_MAX ? tail - HF_EXIT_NOTE_MAX : 1; }

// A consistent copy of the note in the place of `sequence`, which may be an older one that was passed over: its sequence, or 0
// where it is being written.
static uint64_t copy_note(const hf_exits *exits, uint64_t sequence, hf_exit_note *out) {
  const hf_exit_note *note = &exits->note[place(sequence)];
  uint64_t before = hf_load_acquire(&note->sequence); // pairs with the release in hf_exits_note
  if (before == 0) return 0;
  hf_words_load(out, note, sizeof *out);
  atomic_thread_fence(memory_order_acquire);
  return hf_load_relaxed(&note->sequence) == before ? before : 0;
}

uint64_t hf_exits_note(hf_exits *exits, const hf_segment *segment, const siginfo_t *info) {
  hf_process_facts facts;
  if (hf_process_facts_read(info->si_pid, &facts) != 0) return 0; // a note without it would be found by nobody
  uint64_t tail = hf_load_relaxed(&exits->tail);
  // A place whose note nobody could deal with yet (a tree that does not end) is passed over: it must not hold up the others.
  hf_exit_note *note = NULL;
  for (unsigned tried = 0; note == NULL && tried < HF_EXIT_NOTE_MAX; tried++, tail += note == NULL) {
    uint64_t before = hf_load_relaxed(&exits->note[place(tail)].sequence);
    if (before == 0 || hf_exits_is_acknowledged(segment, before)) note = &exits->note[place(tail)];
  }
  if (note == NULL) return 0;
  hf_exit_note fresh = {.pid = info->si_pid,
                        .code = info->si_code,
                        .status = info->si_status,
                        .start_time = facts.start_time,
                        .at_mono_ns = hf_now_mono_ns()};
  hf_store_relaxed(&note->sequence, 0);
  atomic_thread_fence(memory_order_release); // the zero before the fields: pairs with the acquire fence in copy_note
  hf_words_store((char *)note + 8, (char *)&fresh + 8, sizeof fresh - 8);
  HF_POINT("note-before-sequence");
  hf_store_release(&note->sequence, tail); // pairs with the acquire in copy_note
  HF_POINT("note-before-tail");
  hf_store_release(&exits->tail, tail + 1);
  return tail;
}

void hf_exits_recover(hf_exits *exits) {
  uint64_t tail = hf_load_relaxed(&exits->tail);
  if (tail == 0) tail = 1;
  while (hf_load_acquire(&exits->note[place(tail)].sequence) == tail) tail++;
  hf_store_release(&exits->tail, tail);
}

uint64_t hf_exits_find(const hf_exits *exits, const hf_identity *process, hf_exit_note *out) {
  uint64_t tail = hf_load_acquire(&exits->tail);
  for (uint64_t s = tail; s-- > oldest(tail);) {
    uint64_t sequence = copy_note(exits, s, out);
    if (sequence != 0 && out->pid == process->pid && out->start_time == process->start_time) return sequence;
  }
  return 0;
}

void hf_exits_each_open(const hf_exits *exits, const hf_segment *segment,
                        void (*each)(const hf_exit_note *note, uint64_t sequence, void *context), void *context) {
  uint64_t tail = hf_load_acquire(&exits->tail);
  for (uint64_t s = oldest(tail); s < tail; s++) {
    hf_exit_note note;
    uint64_t sequence = copy_note(exits, s, &note);
    if (sequence != 0 && !hf_exits_is_acknowledged(segment, sequence)) each(&note, sequence, context);
  }
}
