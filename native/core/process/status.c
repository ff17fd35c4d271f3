// SPDX-License-Identifier: MIT
// Two copies and a word. The writer fills the idle copy and flips; a reader copies the whole one and looks whether the word
// stood still, for a bounded number of times, so that a manager killed in the middle holds nobody up.
#include "process/status.h"

#include <string.h>

#include "base/kernel.h"
#include "process/state.h"

enum { READ_TRIES = 64 };

hf_status_word hf_status_word_now(const hf_segment *segment, unsigned index) {
  return hf_load_acquire(&segment->status[index].word); // pairs with the release in hf_status_commit
}

const hf_status *hf_status_now(const hf_segment *segment, unsigned index) {
  const hf_status_slot *slot = &segment->status[index];
  return &slot->copy[HF_WORD_COPY(hf_load_relaxed(&slot->word))];
}

// What the manager is changing; nothing of it is shared before the commit.
static _Thread_local hf_status draft;

hf_status *hf_status_begin(hf_segment *segment, unsigned index) {
  memcpy(&draft, hf_status_now(segment, index), sizeof draft);
  return &draft;
}

int hf_status_commit(hf_segment *segment, unsigned index, hf_state state, uint32_t incarnation, hf_err *err) {
  hf_status_slot *slot = &segment->status[index];
  hf_status_word word = hf_load_relaxed(&slot->word);
  hf_state from = (hf_state)HF_WORD_STATE(word);
  uint32_t before = HF_WORD_INCARNATION(word);
  bool same = before == incarnation;
  bool legal =
      same ? from == state || hf_state_move_ok(from, state)
           : incarnation == before + 1 && !hf_state_living(from) && (state == HF_STATE_STARTED || state == HF_STATE_FAIL);
  if (!legal)
    return hf_fail(err, HF_EMOVE, "process %u can't go from %s (incarnation %u) to %s (incarnation %u)", index,
                   hf_state_name(from), before, hf_state_name(state), incarnation);
  hf_status_word next = HF_WORD(incarnation, HF_WORD_SEQUENCE(word) + 1, state, !HF_WORD_COPY(word));
  // A reader that still copies the idle one sees the word moved (the sequence is part of it) and tries again; the fence keeps
  // these stores after the store that made this copy idle. It pairs with the acquire fence in hf_status_read.
  atomic_thread_fence(memory_order_seq_cst);
  hf_words_store(&slot->copy[!HF_WORD_COPY(word)], &draft, sizeof draft);
  HF_POINT("status-before-commit");
  // Release: pairs with the acquire in hf_status_read. There is one writer, so the swap can only fail on a damaged segment.
  if (!atomic_compare_exchange_strong_explicit(&slot->word, &word, next, memory_order_release, memory_order_relaxed))
    return hf_fail(err, HF_ELAYOUT, "somebody else wrote the status of process %u", index);
  HF_POINT("status-after-commit");
  atomic_fetch_add_explicit(&segment->header.changes, 1, memory_order_release);
  return 0;
}

void hf_changes_publish(hf_segment *segment) {
  static _Thread_local uint32_t published;
  uint32_t now = hf_load_relaxed(&segment->header.changes);
  if (now == published) return;
  published = now;
  hf_k_futex_wake((uint32_t *)&segment->header.changes);
}

bool hf_status_read(const hf_segment *segment, unsigned index, hf_status *out, hf_status_word *word) {
  const hf_status_slot *slot = &segment->status[index];
  for (int i = 0; i < READ_TRIES; i++) {
    hf_status_word before = hf_load_acquire(&slot->word); // pairs with the release in hf_status_commit
    hf_words_load(out, &slot->copy[HF_WORD_COPY(before)], sizeof *out);
    atomic_thread_fence(memory_order_acquire);
    hf_status_word after = hf_load_relaxed(&slot->word);
    *word = before;
    if (before == after) {
      out->name[HF_NAME_SIZE - 1] = 0; // shared memory is input
      out->waiting_for[HF_NAME_SIZE - 1] = 0;
      if (out->failure_count > HF_FAILURES_KEPT) out->failure_count = HF_FAILURES_KEPT;
      return true;
    }
  }
  out->name[HF_NAME_SIZE - 1] = 0;
  out->waiting_for[HF_NAME_SIZE - 1] = 0;
  out->failure_count = 0;
  return false;
}

hf_state hf_state_effective(hf_status_word word, uint64_t phase) {
  hf_state state = (hf_state)(HF_WORD_STATE(word) < HF_STATE_COUNT ? HF_WORD_STATE(word) : HF_STATE_FAIL);
  if (!hf_state_living(state) || phase == 0 || HF_PHASE_INCARNATION(phase) != HF_WORD_INCARNATION(word)) return state;
  hf_state declared = (hf_state)HF_PHASE_STATE(phase);
  if (declared < HF_STATE_BOOTING || declared > HF_STATE_READY) return state;
  if (state == HF_STATE_READY && declared == HF_STATE_BOOTING) return state; // attached late: it stays READY
  return declared;
}

int hf_status_find(const hf_segment *segment, const char *name) {
  unsigned used = hf_load_acquire(&segment->header.slots_used); // pairs with the release where the manager gives a slot away
  for (unsigned i = 0; i < used && i < HF_PROCESS_MAX; i++) {
    hf_status copy;
    hf_status_word word;
    if (hf_status_read(segment, i, &copy, &word) && strcmp(copy.name, name) == 0) return (int)i;
  }
  return HF_EUNKNOWN;
}
