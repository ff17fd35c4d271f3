// SPDX-License-Identifier: MIT
// Faults and deaths on order. Compiled into the test builds only; the library that is shipped has no trace of it.
//
//   HOLDFAST_TEST_FAULT=<role>:<call>:<n>:<errno>   the n-th call of that kernel call (or of any, `*`) fails with this errno;
//                                                   with <n>+ all from the n-th on, for 100 ms
//   HOLDFAST_TEST_POINT=<role>:<name>:<n>           kill -9 of itself at the n-th passing of that point
//   HOLDFAST_TEST_ONCE=<file>                       the first to fire makes this file, and nobody else fires: so a fault or a
//                                                   death is not repeated by the next manager
// The role is `guardian` or `manager`; calls are counted per process, over all its threads.
#include "base/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/kernel.h"

#define LASTING_NS UINT64_C(100000000)

typedef struct order {
  char role[16], name[32];
  unsigned long n;
  bool from_then_on;
  int error;
} order;

static order fault_order, point_order;
static const char *once;
static _Atomic unsigned long fault_count, point_count;
static _Atomic uint64_t fired_ns; // 0: not yet

// "<role>:<name>:<n>[+][:<errno>]": false where it is for another role, or is nothing of the kind.
static bool take_order(const char *text, const char *role, order *out) {
  if (text == NULL) return false;
  const char *name = strchr(text, ':'), *number = name != NULL ? strchr(name + 1, ':') : NULL;
  if (number == NULL || (size_t)(name - text) >= sizeof out->role || (size_t)(number - name) > sizeof out->name) return false;
  memcpy(out->role, text, (size_t)(name - text));
  memcpy(out->name, name + 1, (size_t)(number - name) - 1);
  char *end;
  out->n = strtoul(number + 1, &end, 10);
  out->from_then_on = *end == '+';
  if (*end == '+') end++;
  if (*end == ':') out->error = (int)strtol(end + 1, NULL, 10);
  return out->n > 0 && strcmp(out->role, role) == 0;
}

// True for whoever makes the file of HOLDFAST_TEST_ONCE, and where none is named. Raw calls: these are not to be counted.
static bool may_fire(void) {
  if (once == NULL) return true;
  uint64_t since = hf_load_relaxed(&fired_ns);
  if (since != 0) return hf_now_mono_ns() - since < LASTING_NS;
  int fd = open(once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  close(fd);
  hf_store_relaxed(&fired_ns, hf_now_mono_ns());
  return true;
}

static int fault(const char *call) {
  if (strcmp(fault_order.name, "*") != 0 && strcmp(fault_order.name, call) != 0) return 0;
  unsigned long count = atomic_fetch_add_explicit(&fault_count, 1, memory_order_relaxed) + 1;
  if (count != fault_order.n && !(fault_order.from_then_on && count > fault_order.n)) return 0;
  int kept = errno;
  bool fire = may_fire();
  errno = kept;
  return fire ? fault_order.error : 0;
}

static void point(const char *name) {
  if (strcmp(point_order.name, name) != 0) return;
  if (atomic_fetch_add_explicit(&point_count, 1, memory_order_relaxed) + 1 == point_order.n && may_fire())
    kill(getpid(), SIGKILL);
}

void hf_testing_begin(const char *role) {
  once = getenv("HOLDFAST_TEST_ONCE");
  if (take_order(getenv("HOLDFAST_TEST_FAULT"), role, &fault_order)) hf_k_fault = fault;
  if (take_order(getenv("HOLDFAST_TEST_POINT"), role, &point_order)) hf_k_point = point;
}
