// SPDX-License-Identifier: MIT
// The helper thread: when the manager finds a thread of this process silent, it writes what that thread is doing.
//
// One in each process that has registered a cell under a manager. It sleeps on segment.capture[index].request (futex on the
// read-only mapping) and makes no call until that moves. Who writes: the manager writes incarnation, then request; the
// helper of the process that the cell belongs to writes text (pwrite), capture_length, capture_done = request (release),
// then rings. A helper that dies between leaves capture_done as it was: the manager's time for it runs out. It touches only
// memory that is never unmapped.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "operate/hearts.h"

#include "base/kernel.h"
#include "supervise/bell.h"

#define HOOK_NS UINT64_C(300000000) // of the manager's 500 ms

static _Atomic(hf_stack_hook) stack_hook;
// Pid of the process that has a helper, -pid while it starts one. What a forked child inherits is not about it, so it waits for
// no thread that it does not have, as it would with a lock.
static _Atomic int32_t helper_of;
static char
    hook_text[HF_CAPTURE_TEXT_MAX - 4096]; // of the one thread that asks: the helper, or the judge where no manager is
static char text[HF_CAPTURE_TEXT_MAX];     // of the helper

void hf_stack_hook_set(hf_stack_hook hook) {
  hf_store_release(&stack_hook, hook);
} // pairs with the acquire in hf__stack_text

// What the line "where: …" says, if the text begins with one, "" for "-"; the text behind it.
static const char *split_where(const char *told, char where[HF_WHERE_SIZE]) {
  where[0] = 0;
  if (strncmp(told, "where: ", 7) != 0) return told;
  size_t length = strcspn(told + 7, "\n"), kept = length < HF_WHERE_SIZE ? length : HF_WHERE_SIZE - 1;
  if (length != 1 || told[7] != '-') snprintf(where, HF_WHERE_SIZE, "%.*s", (int)kept, told + 7);
  const char *rest = told + 7 + length;
  return *rest == '\n' ? rest + 1 : rest;
}

size_t hf__stack_text(const hf_place *place, uint32_t cell, char *out, size_t size, char where[HF_WHERE_SIZE]) {
  char view[2048] = "", kernel_where[HF_WHERE_SIZE] = "", intro[96];
  pid_t tid = __atomic_load_n(&hf_cell_at(place->own, cell)->tid, __ATOMIC_RELAXED);
  // Looked at before the hook: that interrupts the thread, and may move it.
  if (tid > 0) (void)hf_thread_kernel_view(getpid(), tid, view, sizeof view, kernel_where);
  hf_stack_hook hook = hf_load_acquire(&stack_hook);
  size_t told = hook != NULL ? hook(cell, hf_now_mono_ns() + HOOK_NS, hook_text, sizeof hook_text - 1) : 0;
  hook_text[told < sizeof hook_text ? told : sizeof hook_text - 1] = 0;
  const char *rest = split_where(hook_text, where);
  const char *unknown = where[0] != 0  ? ""
                        : hook != NULL ? "No line of JavaScript is known of it. "
                                       : "No function of it is known: nothing in this process can tell. ";
  if (where[0] == 0) memcpy(where, kernel_where, sizeof kernel_where);
  if (tid > 0) snprintf(intro, sizeof intro, "The kernel's view of thread %d:", (int)tid);
  else snprintf(intro, sizeof intro, "Its thread id is not known, so the kernel can't be asked.");
  size_t length = strlen(rest);
  const char *gap = length == 0 ? "" : rest[length - 1] == '\n' ? "\n" : "\n\n";
  _Alignas(8) char note[HF_CELL_NOTE_SIZE], says[sizeof note + 32] = "";
  hf_words_load(note, hf_cell_at(place->own, cell)->note, sizeof note);
  note[sizeof note - 1] = 0;
  if (note[0] != 0) snprintf(says, sizeof says, "It says of itself: %s\n\n", note);
  int n =
      snprintf(out, size, "where: %s\n%s%s%s%s%s\n%s", where[0] != 0 ? where : "-", says, rest, gap, unknown, intro, view);
  return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

// The number of bytes that are there: all, or where they can't be written (a full tmpfs) none.
static uint32_t write_text(hf_self *self, size_t length) {
  int fd = hf__self_own_open(self, NULL);
  if (fd < 0) return 0;
  size_t done = 0;
  ssize_t put = 1;
  while (done < length && (put > 0 || (put < 0 && errno == EINTR))) {
    put = hf_k_pwrite(fd, text + done, length - done, (off_t)(HF_CAPTURE_TEXT_AT + done));
    if (put > 0) done += (size_t)put;
  }
  hf__self_own_close(self, fd);
  return done == length ? (uint32_t)length : 0;
}

static void answer(const hf_place *place, const hf_capture_slot *slot, uint32_t request) {
  uint32_t cell = HF_CAPTURE_CELL(request);
  if (cell >= HF_CELL_MAX || !hf__cell_is_ours(place, cell)) return; // the helper of another process of the tree does it
  char where[HF_WHERE_SIZE];
  size_t length = hf__stack_text(place, cell, text, sizeof text, where);
  if (hf_load_acquire(&slot->request) != request) return; // the newest counts
  HF_POINT("capture-taken");
  uint32_t written = write_text(place->self, length);
  HF_POINT("capture-written");
  hf_store_relaxed(&place->own->capture_length, written);
  hf_store_release(&place->own->capture_done, request); // pairs with the manager's acquire, before it reads the text
  hf__self_ring(place->self, HF_RING_CAPTURE);
}

static void *help(void *argument) {
  const hf_place *place = argument;
  const hf_self *self = place->self;
  const hf_capture_slot *slot = &self->segment->capture[self->index];
  // What was asked of this incarnation before this thread ran, and is not answered, is asked of it.
  uint32_t seen = hf_load_acquire(&place->own->capture_done);
  for (;;) {
    uint32_t request = hf_load_acquire(&slot->request); // pairs with the release of the manager: incarnation is there
    if (request != seen) {
      seen = request;
      if (hf_load_acquire(&slot->incarnation) == self->incarnation) answer(place, slot, request);
    } else if (hf_k_futex_wait((const uint32_t *)&slot->request, seen, 0) != 0 && errno != EAGAIN && errno != EINTR) {
      return NULL; // no futex here: better no helper than one that spins
    }
  }
}

bool hf__helper_start(const hf_place *place) {
  int32_t us = (int32_t)getpid(), of = hf_load_acquire(&helper_of);
  for (;;) {
    if (of == us) return true;
    if (of == -us) { // another thread is about to start it: it may fail
      (void)hf_k_futex_wait((const uint32_t *)&helper_of, (uint32_t)of, 0);
      of = hf_load_acquire(&helper_of);
    } else if (atomic_compare_exchange_strong_explicit(&helper_of, &of, -us, memory_order_acq_rel, memory_order_acquire)) {
      break;
    }
  }
  bool started = hf__thread_start(help, (void *)(uintptr_t)place) == 0;
  hf_store_release(&helper_of, started ? us : 0); // pairs with the acquire of who waits
  hf_k_futex_wake((uint32_t *)&helper_of);
  return started;
}
