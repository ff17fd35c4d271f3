// SPDX-License-Identifier: MIT
// The cells of this process. Under a manager they lie in own.<n>.<incarnation>, which the whole tree shares; else in private
// memory of the same layout.
//
// Who writes: any thread of this process, lock-free (heartbeat/cells.h); a cell belongs to the process that claimed it.
// After a fork without exec the child is another process: cells of its parent are refused to it, and its private memory
// begins empty. Who reads: the manager, or the judge thread (judge_here.c). A process that is killed anywhere leaves cells
// that the manager finds silent, or not armed.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "operate/hearts.h"

#include "base/kernel.h"
#include "process/identity.h"
#include "supervise/bell.h"

#define MS UINT64_C(1000000)
#define PERIOD_NS_MIN UINT64_C(10000000)
#define PERIOD_NS_MAX (UINT64_C(365) * 24 * 3600 * 1000 * MS)
#define GRACE_MAX 1000u

static _Atomic(hf_place *) decided;

const hf_place *hf__place(void) { return hf_load_acquire(&decided); } // pairs with the swap in hf_hearts

static hf_own *private_memory(hf_err *err) {
  void *base = hf_k_mmap(HF_OWN_CELLS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (base == MAP_FAILED) {
    hf_fail_sys(err, "mmap", "no memory for the heartbeats of this process");
    return NULL;
  }
  // Zeroes in a forked child. Where the kernel can't (before 4.14), the child sees cells of its parent, and they are refused
  // to it.
  (void)hf_k_madvise(base, HF_OWN_CELLS_SIZE, MADV_WIPEONFORK);
  return base;
}

int hf_hearts(hf_self *self, void **base, size_t *size, hf_err *err) {
  hf_place *place = hf_load_acquire(&decided);
  if (place == NULL) {
    hf_place *ours = calloc(1, sizeof *ours);
    if (ours == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
    ours->self = self;
    hf_err own_err = {0};
    ours->own = self != NULL ? self->own : private_memory(&own_err);
    if (ours->own == NULL) {
      free(ours);
      if (err != NULL) *err = own_err;
      return own_err.code;
    }
    // Release: who sees it sees what it points to. Acquire: somebody else may have been first.
    if (atomic_compare_exchange_strong_explicit(&decided, &place, ours, memory_order_acq_rel, memory_order_acquire)) {
      place = ours;
    } else {
      if (self == NULL) hf_k_munmap(ours->own, HF_OWN_CELLS_SIZE);
      free(ours);
    }
  }
  if (base != NULL) *base = place->own;
  if (size != NULL) *size = HF_OWN_CELLS_SIZE;
  return 0;
}

size_t hf_cell_offset(uint32_t cell) { return HF_CELL_OFFSET(cell); }

int hf__thread_start(void *(*body)(void *), void *argument) {
  enum { STACK_BYTES = 512 * 1024 }; // address space; glibc takes the thread-local memory of all libraries out of it
  sigset_t all, before;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); // inherited by the new thread
  int failed = hf_k_thread_create(&thread, body, argument, STACK_BYTES);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!failed) pthread_detach(thread);
  errno = error;
  return failed;
}

bool hf__cell_is_ours(const hf_place *place, uint32_t cell) {
  if (cell >= hf_cells_used(place->own)) return false; // its page may be a hole
  uint64_t claim = hf_load_acquire(&hf_cell_at(place->own, cell)->claim);
  return HF_CLAIM_STATE(claim) != HF_CELL_FREE && (pid_t)HF_CLAIM_PID(claim) == getpid();
}

int hf__not_ours(uint32_t cell, hf_err *err) {
  return hf_fail(err, HF_EINVAL, "cell %u is not claimed by this process: claim it with hf_cell_claim", (unsigned)cell);
}

// Whoever judges looks at the claims again.
static void tell(const hf_place *place) {
  if (place->self != NULL) hf__self_ring(place->self, HF_RING_CELLS);
  else hf__judge_wake(place);
}

// A page of the shared file is taken before anything is stored into it: a full tmpfs is an error here, not a SIGBUS there.
static int reserve(void *context, uint32_t cell, hf_err *err) {
  const hf_place *place = context;
  if (cell < HF_CELLS_IN_FIRST_PAGE) return 0;
  int fd = hf__self_own_open(place->self, err);
  if (fd < 0) return fd;
  int failed = 0;
  if (hf_k_fallocate(fd, (off_t)(HF_CELL_OFFSET(cell) / HF_PAGE * HF_PAGE), HF_PAGE) != 0)
    failed = hf_fail_sys(err, "fallocate", "no room for more monitored threads: free memory in the tmpfs of the instance");
  hf__self_own_close(place->self, fd);
  return failed;
}

static const hf_place *place_or_fail(hf_err *err) {
  const hf_place *place = hf__place();
  if (place == NULL) hf_fail(err, HF_EINVAL, "the memory of the heartbeats is not there yet: call hf_hearts first");
  return place;
}

int hf_cell_claim(const char *name, pid_t tid, uint32_t thread_id, hf_err *err) {
  const hf_place *place = place_or_fail(err);
  if (place == NULL) return HF_EINVAL;
  bool shared = place->self != NULL;
  hf_place *context = (hf_place *)(uintptr_t)place; // hf_cell_reserve_fn promises nothing; `reserve` changes nothing
  int cell = hf_cells_claim(place->own, name, getpid(), tid, thread_id, 0, shared ? reserve : NULL, context, err);
  if (cell >= 0) tell(place);
  return cell;
}

// The cell, if it is claimed by this process, else NULL: for calls that can't fail.
static const hf_place *ours(uint32_t cell) {
  const hf_place *place = hf__place();
  return place != NULL && hf__cell_is_ours(place, cell) ? place : NULL;
}

void hf_cell_thread(uint32_t cell, pid_t tid) {
  const hf_place *place = ours(cell);
  if (place != NULL) hf_cells_set_thread(place->own, cell, tid); // no claim changed: it is read when it is needed
}

int hf_cell_register(uint32_t cell, uint64_t period_ns, unsigned grace, hf_err *err) {
  const hf_place *place = place_or_fail(err);
  if (place == NULL) return HF_EINVAL;
  if (period_ns < PERIOD_NS_MIN || period_ns > PERIOD_NS_MAX)
    return hf_fail(err, HF_EINVAL, "the period of a heartbeat must lie between 10 ms and 365 days, not be %llu ns",
                   (unsigned long long)period_ns);
  if (grace < 1 || grace > GRACE_MAX)
    return hf_fail(err, HF_EINVAL, "a thread may miss 1 to %u periods, not %u", GRACE_MAX, grace);
  if (!hf__cell_is_ours(place, cell)) return hf__not_ours(cell, err);
  // Before it is armed: who judges copies the flags with the rest of the line.
  if (place->self != NULL && hf__helper_start(place))
    __atomic_fetch_or(&hf_cell_at(place->own, cell)->flags, (uint16_t)HF_CELL_HELPER, __ATOMIC_RELAXED);
  hf_cells_arm(place->own, cell, period_ns, grace);
  tell(place);
  return 0;
}

void hf_cell_deregister(uint32_t cell) {
  const hf_place *place = ours(cell);
  if (place == NULL) return;
  hf_cells_disarm(place->own, cell);
  tell(place);
}

void hf_cell_release(uint32_t cell) {
  const hf_place *place = ours(cell);
  if (place == NULL) return;
  hf__judge_forget(cell);
  hf_cells_release(place->own, cell);
  tell(place);
}

void hf_cell_busy(uint32_t cell, uint64_t extra_ns, const char *why) {
  const hf_place *place = ours(cell);
  if (place != NULL) hf_cells_busy(place->own, cell, extra_ns, why);
}

void hf_cell_note(uint32_t cell, const char *note) {
  const hf_place *place = ours(cell);
  if (place != NULL) hf_cells_set_note(place->own, cell, note);
}

static bool heart_of_us(uint64_t heart) { return HF_HEART_PID(heart) == (int32_t)getpid(); }

void hf_hearts_end(void) {
  const hf_place *place = hf__place();
  if (place == NULL) return;
  for (uint32_t cell = 0; cell < HF_CELL_MAX; cell++) hf__judge_forget(cell);
  hf_cells_end(place->own, getpid());
  uint64_t heart = hf_load_acquire(&place->own->heart_claim);
  if (heart_of_us(heart)) // the next process of the tree that asks may beat
    (void)atomic_compare_exchange_strong_explicit(&place->own->heart_claim, &heart, 0, memory_order_acq_rel,
                                                  memory_order_relaxed);
  tell(place);
}

// Milliseconds, as the manager wrote them: digits, perhaps a point and more digits. Not strtod: it asks the locale.
static int64_t heartbeat_period_ns(const char *text) {
  uint64_t ns = 0, unit = MS;
  const char *at = text;
  for (; *at >= '0' && *at <= '9' && ns <= PERIOD_NS_MAX; at++) ns = ns * 10 + (uint64_t)(*at - '0') * MS;
  if (at == text) return -1;
  if (*at == '.')
    for (at++; *at >= '0' && *at <= '9'; at++) ns += (uint64_t)(*at - '0') * (unit /= 10);
  return *at == 0 && ns >= PERIOD_NS_MIN && ns <= PERIOD_NS_MAX ? (int64_t)ns : -1;
}

// False where that process is gone. One that can't be examined may live.
static bool heart_lives(uint64_t heart) {
  hf_process_facts facts;
  int failed = hf_process_facts_read(HF_HEART_PID(heart), &facts);
  if (failed) return failed != HF_EUNKNOWN;
  return HF_HEART(HF_HEART_PID(heart), facts.start_time) == heart && facts.state != 'Z' && facts.state != 'X';
}

int64_t hf_heartbeat_claim(hf_self *self, hf_err *err) {
  const char *text = getenv("HOLDFAST_HEARTBEAT");
  if (text == NULL || *text == 0) return 0;
  if (self == NULL) return hf_fail(err, HF_ENOTATTACHED, "this process is not attached to a manager");
  int64_t period_ns = heartbeat_period_ns(text);
  if (period_ns < 0)
    return hf_fail(err, HF_EINVAL,
                   "HOLDFAST_HEARTBEAT is \"%.40s\" and should be milliseconds, as the manager sets it: leave it alone",
                   text);
  hf_identity us;
  if (hf_identity_read(getpid(), &us) != 0)
    return hf_fail(err, HF_ESYS, "/proc/self/stat can't be read: /proc must be mounted");
  uint64_t heart = hf_load_acquire(&self->own->heart_claim), mine = HF_HEART(us.pid, us.start_time);
  while (heart != mine) {
    if (heart != 0 && heart_lives(heart)) return 0;
    HF_POINT("heart-dead"); // another may take it now
    // One swap: a crash before it leaves nobody, or somebody dead; after it us.
    if (atomic_compare_exchange_strong_explicit(&self->own->heart_claim, &heart, mine, memory_order_acq_rel,
                                                memory_order_acquire))
      break;
  }
  HF_POINT("heart-claimed");
  return period_ns;
}
