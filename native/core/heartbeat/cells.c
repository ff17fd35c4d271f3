// SPDX-License-Identifier: MIT
// The claim word decides everything: who takes a cell compares and swaps it, and the pid of the taker is part of the word,
// so that a taker who is killed right after leaves no cell that nobody can attribute.
//
//   FREE -> TAKEN            claim: a new generation, the taker's pid; then the owner line is filled
//   TAKEN -> ARMED           arm: the owner line is whole, new generation (release; pairs with the acquire in hf_cells_copy)
//   ARMED -> TAKEN           disarm, and the beginning of arming again
//   TAKEN, ARMED -> FREE     release
//   TAKEN of a dead pid -> TAKEN of the claimer, when the table is full
//
// The owner line is written only while the word says TAKEN; a reader copies it between two looks at the word. All is stored
// and loaded in atomic words, so that a torn copy is merely thrown away. cells_used moves after the page was reserved: who
// reads below it meets no hole.
#include "heartbeat/cells.h"

#include <errno.h>
#include <string.h>

#include "base/kernel.h"
#include "process/identity.h"

enum { COPY_TRIES = 16, NOTE_TRIES = 4 };
#define PERIOD_MIN_NS UINT64_C(10000000) // who judges many cells must be able to keep up with all of them
#define PERIOD_MAX_NS (UINT64_C(365) * 86400 * 1000000000)
enum { GRACE_MAX = 1000 };

// The owner line without its claim word.
enum { OWNER_AT = offsetof(hf_cell, period_ns) };
_Static_assert(OWNER_AT % 8 == 0 && sizeof(hf_cell) % 8 == 0, "copied in words");
_Static_assert(offsetof(hf_cell, note) % 8 == 0 && HF_CELL_NOTE_SIZE % 8 == 0, "copied in words");

static bool swap(hf_cell *cell, uint64_t from, uint64_t to) {
  // Release: what was written into the cell comes first. Acquire: what the one before wrote is not seen after it.
  return atomic_compare_exchange_strong_explicit(&cell->claim, &from, to, memory_order_acq_rel, memory_order_relaxed);
}

// The owner line, word by word. Release and acquire, each word: who copies a word of a new owner sees afterwards that the
// claim has changed hands before it. (A fence would say the same, and the thread sanitizer knows none.)
static void line_store(hf_cell *cell, const hf_cell *from) {
  void *start = cell;
  _Atomic uint64_t *words = start;
  for (size_t i = OWNER_AT / 8; i < sizeof *from / 8; i++) {
    uint64_t word;
    memcpy(&word, (const char *)from + i * 8, 8);
    hf_store_release(&words[i], word);
  }
}

static void line_load(hf_cell *to, const hf_cell *cell) {
  const void *start = cell;
  const _Atomic uint64_t *words = start;
  for (size_t i = OWNER_AT / 8; i < sizeof *to / 8; i++) {
    uint64_t word = hf_load_acquire(&words[i]);
    memcpy((char *)to + i * 8, &word, 8);
  }
}

static void changed(hf_own *own) {
  atomic_fetch_add_explicit(&own->cells_changed, 1, memory_order_release); // pairs with the load of who judges
}

static void beat(hf_cell *cell) { hf_store_relaxed(&cell->beat, hf_load_relaxed(&cell->beat) + 1); }

// Text of a fixed size, cut, with zeros behind: never a byte of what was there before.
static void text_into(char *out, size_t size, const char *text) {
  size_t length = strnlen(text, size - 1);
  memset(out, 0, size);
  memcpy(out, text, length);
}

// ---- the owner ----------------------------------------------------------------------------------------------------------

// Where the kernel has given its pid to another process, the cell stays taken: nobody judges it.
static bool is_dead(pid_t pid) {
  hf_process_facts facts;
  if (pid <= 0) return false;
  if (hf_k_kill(pid, 0) != 0) return errno == ESRCH;
  return hf_process_facts_read(pid, &facts) == 0 && (facts.state == 'Z' || facts.state == 'X');
}

static int take_free(hf_own *own, pid_t pid) {
  uint32_t used = hf_cells_used(own);
  for (uint32_t i = 0; i < used; i++) {
    hf_cell *cell = hf_cell_at(own, i);
    uint64_t word = hf_load_relaxed(&cell->claim);
    if (HF_CLAIM_STATE(word) == HF_CELL_FREE &&
        swap(cell, word, HF_CLAIM_OF(pid, HF_CLAIM_GENERATION(word) + 1, HF_CELL_TAKEN)))
      return (int)i;
  }
  return HF_EFULL;
}

static int take_dead(hf_own *own, pid_t pid) {
  uint32_t used = hf_cells_used(own);
  for (uint32_t i = 0; i < used; i++) {
    hf_cell *cell = hf_cell_at(own, i);
    uint64_t word = hf_load_relaxed(&cell->claim);
    if (HF_CLAIM_STATE(word) == HF_CELL_TAKEN && (pid_t)HF_CLAIM_PID(word) != pid && is_dead((pid_t)HF_CLAIM_PID(word)) &&
        swap(cell, word, HF_CLAIM_OF(pid, HF_CLAIM_GENERATION(word) + 1, HF_CELL_TAKEN)))
      return (int)i;
  }
  return HF_EFULL;
}

static bool first_of_page(uint32_t cell) {
  return cell >= HF_CELLS_IN_FIRST_PAGE && (cell - HF_CELLS_IN_FIRST_PAGE) % HF_CELLS_IN_PAGE == 0;
}

// One more cell may be used: 0 (also where another thread was faster), HF_EFULL, or what `reserve` said.
static int extend(hf_own *own, hf_cell_reserve_fn reserve, void *context, hf_err *err) {
  uint32_t used = hf_load_acquire(&own->cells_used);
  if (used >= HF_CELL_MAX)
    return hf_fail(err, HF_EFULL, "all %d monitored threads of this process are taken: deregister some", HF_CELL_MAX);
  // Whoever moved cells_used past the first cell of a page has reserved that page.
  int failed = reserve != NULL && first_of_page(used) ? reserve(context, used, err) : 0;
  if (failed) return failed;
  HF_POINT("cells-reserved");
  (void)atomic_compare_exchange_strong_explicit(&own->cells_used, &used, used + 1, memory_order_acq_rel,
                                                memory_order_relaxed);
  HF_POINT("cells-used");
  return 0;
}

static int take(hf_own *own, pid_t pid, hf_cell_reserve_fn reserve, void *context, hf_err *err) {
  for (;;) {
    int cell = take_free(own, pid);
    if (cell >= 0) return cell;
    int failed = extend(own, reserve, context, err);
    if (failed == 0) continue;
    cell = take_dead(own, pid);
    return cell >= 0 ? cell : failed;
  }
}

int hf_cells_claim(hf_own *own, const char *name, pid_t pid, pid_t tid, uint32_t thread_id, uint16_t flags,
                   hf_cell_reserve_fn reserve, void *context, hf_err *err) {
  int number = take(own, pid, reserve, context, err);
  if (number < 0) return number;
  HF_POINT("cells-taken");
  hf_cell *cell = hf_cell_at(own, (uint32_t)number), fill = {0};
  fill.pid = pid;
  fill.tid = tid;
  fill.grace = 1;
  fill.flags = flags;
  fill.thread_id = thread_id;
  text_into(fill.name, sizeof fill.name, name);
  line_store(cell, &fill);
  hf_words_store(cell->note, fill.note, sizeof fill.note);
  hf_store_relaxed(&cell->busy_ns, 0);
  HF_POINT("cells-filled");
  changed(own);
  return number;
}

void hf_cells_arm(hf_own *own, uint32_t number, uint64_t period_ns, unsigned grace) {
  hf_cell *cell = hf_cell_at(own, number);
  uint64_t word = hf_load_acquire(&cell->claim);
  unsigned state = HF_CLAIM_STATE(word);
  if (state != HF_CELL_TAKEN && state != HF_CELL_ARMED) return;
  // Nobody may copy the line while it changes. A swap fails where another thread releases the cell just now: then it is
  // gone.
  uint64_t taken = HF_CLAIM_OF(HF_CLAIM_PID(word), HF_CLAIM_GENERATION(word), HF_CELL_TAKEN);
  if (state == HF_CELL_ARMED && !swap(cell, word, taken)) return;
  hf_store_release((_Atomic uint64_t *)&cell->period_ns, period_ns); // as line_store does it
  uint16_t bounded = (uint16_t)(grace > GRACE_MAX ? GRACE_MAX : grace < 1 ? 1 : grace);
  hf_store_release((_Atomic uint16_t *)&cell->grace, bounded);
  beat(cell);
  HF_POINT("cells-arming");
  (void)swap(cell, taken, HF_CLAIM_OF(HF_CLAIM_PID(word), HF_CLAIM_GENERATION(word) + 1, HF_CELL_ARMED));
  HF_POINT("cells-armed");
  changed(own);
}

void hf_cells_disarm(hf_own *own, uint32_t number) {
  hf_cell *cell = hf_cell_at(own, number);
  uint64_t word = hf_load_acquire(&cell->claim);
  if (HF_CLAIM_STATE(word) != HF_CELL_ARMED) return;
  if (swap(cell, word, HF_CLAIM_OF(HF_CLAIM_PID(word), HF_CLAIM_GENERATION(word), HF_CELL_TAKEN))) changed(own);
}

void hf_cells_release(hf_own *own, uint32_t number) {
  hf_cell *cell = hf_cell_at(own, number);
  for (;;) { // another thread may arm or disarm it just now
    uint64_t word = hf_load_acquire(&cell->claim);
    if (HF_CLAIM_STATE(word) == HF_CELL_FREE) return;
    if (swap(cell, word, HF_CLAIM_OF(0, HF_CLAIM_GENERATION(word), HF_CELL_FREE))) break;
  }
  changed(own);
}

void hf_cells_set_thread(hf_own *own, uint32_t number, pid_t tid) {
  hf_cell *cell = hf_cell_at(own, number);
  atomic_store_explicit((_Atomic int32_t *)&cell->tid, tid, memory_order_relaxed);
}

void hf_cells_set_note(hf_own *own, uint32_t number, const char *note) {
  _Alignas(8) char text[HF_CELL_NOTE_SIZE];
  text_into(text, sizeof text, note);
  hf_words_store(hf_cell_at(own, number)->note, text, sizeof text);
}

void hf_cells_busy(hf_own *own, uint32_t number, uint64_t extra_ns, const char *why) {
  hf_cell *cell = hf_cell_at(own, number);
  hf_cells_set_note(own, number, why);
  uint32_t next = hf_load_relaxed(&cell->beat) + 1;
  hf_store_relaxed(&cell->busy_ns, extra_ns);
  hf_store_release(&cell->busy_beat, next); // pairs with the acquire of who judges: busy_ns belongs to it
  hf_store_release(&cell->beat, next);
}

void hf_cells_end(hf_own *own, pid_t pid) {
  uint32_t used = hf_cells_used(own);
  for (uint32_t i = 0; i < used; i++) {
    uint64_t word = hf_load_relaxed(&hf_cell_at(own, i)->claim);
    if (HF_CLAIM_STATE(word) != HF_CELL_FREE && (pid_t)HF_CLAIM_PID(word) == pid) hf_cells_release(own, i);
  }
}

// ---- who judges ---------------------------------------------------------------------------------------------------------

static void printable(char *text, size_t size) {
  text[size - 1] = 0;
  for (char *at = text; *at != 0; at++)
    if (*at < 0x20 || *at > 0x7e) *at = '?';
}

// The note has no generation: two equal copies in a row are taken for whole.
static void copy_note(const hf_cell *cell, char out[HF_CELL_NOTE_SIZE]) {
  _Alignas(8) char first[HF_CELL_NOTE_SIZE], second[HF_CELL_NOTE_SIZE];
  hf_words_load(first, cell->note, sizeof first);
  for (int i = 0; i < NOTE_TRIES; i++) {
    hf_words_load(second, cell->note, sizeof second);
    if (memcmp(first, second, sizeof first) == 0) break;
    memcpy(first, second, sizeof first);
  }
  memcpy(out, first, sizeof first);
  printable(out, HF_CELL_NOTE_SIZE);
}

bool hf_cells_copy(const hf_own *own, uint32_t number, hf_cell_copy *out) {
  if (number >= HF_CELL_MAX) return false;
  const void *at = (const char *)own + HF_CELL_OFFSET(number);
  const hf_cell *cell = at;
  hf_cell line;
  uint64_t before = 0;
  bool whole = false;
  for (int i = 0; i < COPY_TRIES && !whole; i++) {
    before = hf_load_acquire(&cell->claim); // pairs with the release where the cell is armed
    if (HF_CLAIM_STATE(before) != HF_CELL_ARMED) return false;
    line_load(&line, cell);
    HF_POINT("cells-copying");
    whole = hf_load_relaxed(&cell->claim) == before;
  }
  if (!whole) return false;
  uint64_t period = line.period_ns;
  out->claim = before;
  out->period_ns = period < PERIOD_MIN_NS ? PERIOD_MIN_NS : period > PERIOD_MAX_NS ? PERIOD_MAX_NS : period;
  out->pid = line.pid > 0 ? line.pid : 0;
  out->tid = line.tid > 0 ? line.tid : 0;
  out->grace = (uint16_t)(line.grace < 1 ? 1 : line.grace > GRACE_MAX ? GRACE_MAX : line.grace);
  out->flags = line.flags;
  out->thread_id = line.thread_id;
  memcpy(out->name, line.name, sizeof out->name);
  printable(out->name, sizeof out->name);
  copy_note(cell, out->note);
  return true;
}

uint32_t hf_cells_used(const hf_own *own) {
  uint32_t used = hf_load_acquire(&own->cells_used); // pairs with the swap after the page was reserved
  return used < HF_CELL_MAX ? used : HF_CELL_MAX;
}
