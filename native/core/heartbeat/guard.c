// SPDX-License-Identifier: MIT
// The guarded mappings are a fixed table that one thread writes and its own signal handler reads; so no lock is needed, and
// the handler does nothing but look through the table and replace a mapping.
#include "heartbeat/guard.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/kernel.h"

typedef struct guarded {
  _Atomic uintptr_t base; // 0: free. Stored last
  _Atomic size_t size;    // whole pages
  _Atomic uint32_t faulted;
} guarded;

static guarded table[HF_PROCESS_MAX];
static struct sigaction before; // what this process did about SIGBUS before us
static bool installed;

// A fault that is none of ours meets what was there before us: the instruction is executed again. A signal that somebody
// sent is no fault, and would be lost: it is sent on.
static void not_ours(const siginfo_t *info) {
  sigaction(SIGBUS, &before, NULL);
  if (info->si_code <= 0) raise(SIGBUS); // blocked in the handler: it arrives at its end
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  uintptr_t at = (uintptr_t)info->si_addr;
  for (unsigned i = 0; i < HF_PROCESS_MAX && info->si_code > 0; i++) {
    uintptr_t base = hf_load_relaxed(&table[i].base);
    size_t size = hf_load_relaxed(&table[i].size);
    if (base == 0 || at < base || at - base >= size) continue;
    if (!hf_k_zeros_over((void *)base, size)) break;
    hf_store_relaxed(&table[i].faulted, 1);
    return; // the read goes on, and finds zeros
  }
  not_ours(info);
}

int hf_guard_begin(hf_err *err) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  if (!installed && sigaction(SIGBUS, &action, &before) != 0) return hf_fail_sys(err, "sigaction", "SIGBUS can't be handled");
  installed = true;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGBUS);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  return 0;
}

int hf_guard_map(int fd, size_t size, void **base, hf_err *err) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
  unsigned slot = 0;
  while (slot < HF_PROCESS_MAX && hf_load_relaxed(&table[slot].base) != 0) slot++;
  if (slot == HF_PROCESS_MAX) return hf_fail(err, HF_EFULL, "more than %d files are mapped under guard", HF_PROCESS_MAX);
  void *at = hf_k_mmap(whole, PROT_READ, MAP_SHARED, fd);
  if (at == MAP_FAILED) return hf_fail_sys(err, "mmap", "a process's own file can't be mapped");
  hf_store_relaxed(&table[slot].faulted, 0);
  hf_store_relaxed(&table[slot].size, whole);
  atomic_signal_fence(memory_order_seq_cst); // the handler runs in this very thread
  hf_store_relaxed(&table[slot].base, (uintptr_t)at);
  atomic_signal_fence(memory_order_seq_cst);
  *base = at;
  return (int)slot;
}

bool hf_guard_faulted(int slot) {
  atomic_signal_fence(memory_order_seq_cst);
  return hf_load_relaxed(&table[slot].faulted) != 0;
}

void hf_guard_unmap(int slot) {
  void *base = (void *)hf_load_relaxed(&table[slot].base);
  size_t size = hf_load_relaxed(&table[slot].size);
  hf_store_relaxed(&table[slot].base, 0);
  atomic_signal_fence(memory_order_seq_cst);
  hf_k_munmap(base, size);
}
