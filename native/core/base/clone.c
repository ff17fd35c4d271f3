// SPDX-License-Identifier: MIT
// clone3 with a stack and a function, which glibc does not offer: into a cgroup at birth, without a migration. Only
// for that: everything else is glibc's clone. On machines without the few lines of assembly it fails with ENOSYS.
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/kernel.h"

// struct clone_args of linux/sched.h, Linux 5.7; the header may be older.
typedef struct clone3_args {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
} clone3_args;

#define INTO_CGROUP ((uint64_t)2 << 32)

// In the child: calls child(argument) on the new stack, and ends with its result. In the parent: the pid, or -errno.
#if defined(__x86_64__)
__attribute__((noinline, no_sanitize("address", "undefined", "thread"))) static long
clone3_call(const clone3_args *args, int (*child)(void *), void *argument) {
  long result;
  register int (*function)(void *) __asm__("r12") = child;
  register void *given __asm__("r13") = argument;
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xor %%ebp, %%ebp\n\t"
                   "mov %%r13, %%rdi\n\t"
                   "call *%%r12\n\t"
                   "mov %%eax, %%edi\n\t"
                   "mov $231, %%eax\n\t" // exit_group
                   "syscall\n\t"
                   "hlt\n"
                   "1:"
                   : "=a"(result)
                   : "a"(435L), "D"(args), "S"(sizeof *args), "r"(function), "r"(given)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
__attribute__((noinline, no_sanitize("address", "undefined", "thread"))) static long
clone3_call(const clone3_args *args, int (*child)(void *), void *argument) {
  register long number __asm__("x8") = 435;
  register long first __asm__("x0") = (long)(uintptr_t)args;
  register long second __asm__("x1") = (long)sizeof *args;
  register int (*function)(void *) __asm__("x19") = child;
  register void *given __asm__("x20") = argument;
  __asm__ volatile("svc 0\n\t"
                   "cbnz x0, 1f\n\t"
                   "mov x29, xzr\n\t"
                   "mov x0, x20\n\t"
                   "blr x19\n\t"
                   "mov x8, #94\n\t" // exit_group
                   "svc 0\n"
                   "1:"
                   : "+r"(first)
                   : "r"(number), "r"(second), "r"(function), "r"(given)
                   : "x30", "memory");
  return first;
}
#else
static long clone3_call(const clone3_args *args, int (*child)(void *), void *argument) {
  (void)args, (void)child, (void)argument;
  return -ENOSYS;
}
#endif

int hf_k_clone(int (*child)(void *), char *stack, size_t stack_size, int flags, void *argument, int *pidfd, int cgroup) {
  if (hf_k_faulted("clone")) return -1;
  if (cgroup < 0) return clone(child, stack + stack_size, flags, argument, pidfd);
  // With CLONE_PARENT the exit signal is the caller's own, and clone3 insists that none is named.
  uint64_t exit_signal = flags & CLONE_PARENT ? 0 : (uint64_t)(flags & 0xff);
  clone3_args args = {.flags = (uint64_t)(flags & ~0xff) | INTO_CGROUP,
                      .pidfd = (uint64_t)(uintptr_t)pidfd,
                      .exit_signal = exit_signal,
                      .stack = (uint64_t)(uintptr_t)stack,
                      .stack_size = stack_size,
                      .cgroup = (uint64_t)cgroup};
  long result = clone3_call(&args, child, argument);
  if (result >= 0) return (int)result;
  errno = (int)-result;
  return -1;
}
