// SPDX-License-Identifier: MIT
// Executing one incarnation. The child shares the caller's memory until exec (CLONE_VM|CLONE_VFORK): no page tables are copied,
// and it can say in the segment who it is and what failed. It makes raw calls only: glibc's setuid would signal the caller's
// threads, and its errno would be the caller's.
#include "supervise/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/kernel.h"
#define HF_RAW __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

enum { STACK_BYTES = 64 * 1024, PATHS_MAX = 256, PATHS_BYTES = 32768 };

#define STEP_ENUM(name, number, call) HF_SPAWN_##name = (number),
enum { HF_SPAWN_STEPS(STEP_ENUM) };

const char *hf_spawn_step_call(int step) {
#define STEP_CALL(name, number, call) call,
  static const char *const calls[] = {HF_SPAWN_STEPS(STEP_CALL)};
  return step >= 0 && (size_t)step < sizeof calls / sizeof *calls ? calls[step] : "?";
}

// Everything that the child needs, laid out before the clone: it allocates nothing.
typedef struct plan {
  const hf_spawn_args *args;
  const char *paths[PATHS_MAX]; // what execve is tried on, in this order
  int path_count;
  sigset_t ignored; // dispositions to reset
} plan;

// A raw call: the kernel's -errno instead of errno, which belongs to the caller's thread.
#if defined(__x86_64__)
HF_RAW static long raw(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
HF_RAW static long raw(long number, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}
#else
HF_RAW static long raw(long number, long a, long b, long c, long d) {
  long result = syscall(number, a, b, c, d);
  return result < 0 ? -errno : result;
}
#endif

HF_RAW static void give_up(const hf_spawn_slot *slot, int step, long result) {
  hf_spawn_slot *mine = (hf_spawn_slot *)(uintptr_t)slot;
  hf_store_relaxed(&mine->step, step);
  hf_store_release(&mine->errnum, (int32_t)-result); // pairs with the acquire in hf_spawn and in the adopting manager
  for (;;) raw(SYS_exit_group, 127, 0, 0, 0);
}

// Limits, priority, groups, user: in the order in which they are still allowed.
HF_RAW static void become(const hf_spec *spec, const hf_spawn_slot *slot) {
  long r;
  for (uint32_t i = 0; i < spec->limit_resource_count; i++) {
    uint64_t limit[2] = {spec->limits[i].soft, spec->limits[i].hard};
    r = raw(SYS_prlimit64, 0, (long)spec->limits[i].resource, (long)(uintptr_t)limit, 0);
    if (r < 0) give_up(slot, HF_SPAWN_limit, r);
  }
  if (spec->has_nice && (r = raw(SYS_setpriority, PRIO_PROCESS, 0, spec->nice, 0)) < 0) give_up(slot, HF_SPAWN_nice, r);
  if (spec->has_user) {
    r = raw(SYS_setgroups, (long)spec->group_count, (long)(uintptr_t)spec->groups, 0, 0);
    // Without the privilege to change groups we may still be that very user.
    if (r < 0 && !(r == -EPERM && raw(SYS_geteuid, 0, 0, 0, 0) == (long)spec->uid)) give_up(slot, HF_SPAWN_groups, r);
    r = raw(SYS_setresgid, (long)spec->gid, (long)spec->gid, (long)spec->gid, 0);
    if (r < 0) give_up(slot, HF_SPAWN_group, r);
    r = raw(SYS_setresuid, (long)spec->uid, (long)spec->uid, (long)spec->uid, 0);
    if (r < 0) give_up(slot, HF_SPAWN_user, r);
  }
  if (spec->has_umask) raw(SYS_umask, (long)spec->umask, 0, 0, 0);
}

HF_RAW static void move_fd(int from, int to, const hf_spawn_slot *slot) {
  if (from < 0) return;
  long r = raw(SYS_dup3, from, to, 0, 0); // dup3 clears close-on-exec
  if (r < 0) give_up(slot, HF_SPAWN_descriptor, r);
}

HF_RAW static int child(void *context) {
  const plan *p = context;
  const hf_spawn_args *args = p->args;
  hf_store_release(&args->slot->pid, (int32_t)raw(SYS_getpid, 0, 0, 0, 0)); // pairs with the acquire in the adopting manager
  // The kernel's sigaction: handler, flags, restorer, mask; all zero is SIG_DFL.
  uint64_t action[4] = {0, 0, 0, 0};
  for (int s = 1; s < 65; s++)
    if (((const unsigned long *)&p->ignored)[(s - 1) / 64] >> ((s - 1) % 64) & 1)
      raw(SYS_rt_sigaction, s, (long)(uintptr_t)action, 0, 8);
  long r = raw(SYS_setsid, 0, 0, 0, 0);
  if (r < 0) give_up(args->slot, HF_SPAWN_session, r);
  // Before the limits: a small one of open files would refuse these numbers.
  move_fd(args->null_fd, 0, args->slot);
  move_fd(args->out_fd, 1, args->slot);
  move_fd(args->err_fd, 2, args->slot);
  move_fd(args->segment_fd, HF_FD_SEGMENT, args->slot);
  move_fd(args->own_fd, HF_FD_OWN, args->slot);
  move_fd(args->bell_fd, HF_FD_BELL, args->slot);
  move_fd(args->notify_fd, HF_FD_NOTIFY, args->slot);
  if (args->files != NULL)
    raw(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)(uintptr_t)args->files, 0); // the definition may set it again
  become(args->spec, args->slot);
  r = raw(SYS_chdir, (long)(uintptr_t)args->spec->cwd, 0, 0, 0);
  if (r < 0) give_up(args->slot, HF_SPAWN_directory, r);
  uint64_t nothing = 0;
  raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)(uintptr_t)&nothing, 0, 8);
  long worst = -ENOENT;
  for (int i = 0; i < p->path_count; i++) {
    r = raw(SYS_execve, (long)(uintptr_t)p->paths[i], (long)(uintptr_t)args->spec->argv, (long)(uintptr_t)args->env, 0);
    if (r == -ENOENT || r == -ENOTDIR) continue;
    worst = r;
    if (r != -EACCES) break;
  }
  give_up(args->slot, HF_SPAWN_exec, worst);
  return 127;
}

// The places where argv[0] may lie: itself if it has a slash, else below each entry of the process's own PATH.
static int find_paths(plan *p, const hf_spec *spec, char *const *env, char *bytes, hf_err *err) {
  const char *program = spec->argv[0];
  p->path_count = 0;
  if (strchr(program, '/') != NULL) {
    p->paths[p->path_count++] = program;
    return 0;
  }
  const char *path = "/usr/local/bin:/usr/bin:/bin";
  for (; *env != NULL; env++)
    if (strncmp(*env, "PATH=", 5) == 0) path = *env + 5;
  size_t used = 0, length = strlen(program);
  for (;;) {
    size_t entry = strcspn(path, ":");
    if (p->path_count == PATHS_MAX || used + entry + length + 3 > PATHS_BYTES)
      return hf_fail(err, HF_EINVAL, "PATH is too long: give the program's whole path");
    char *out = bytes + used;
    int n = entry == 0 ? snprintf(out, length + 3, "./%s", program)
                       : snprintf(out, entry + length + 2, "%.*s/%s", (int)entry, path, program);
    used += (size_t)n + 1;
    p->paths[p->path_count++] = out;
    if (path[entry] == 0) break;
    path += entry + 1;
  }
  return 0;
}

static void ignored_signals(sigset_t *out) {
  memset(out, 0, sizeof *out);
  for (int s = 1; s < 65; s++) {
    struct sigaction action;
    if (sigaction(s, NULL, &action) == 0 && action.sa_handler == SIG_IGN) sigaddset(out, s);
  }
}

int hf_spawn(const hf_spawn_args *args, pid_t *pid, int *pidfd, hf_err *err) {
  static char stack[STACK_BYTES] __attribute__((aligned(64)));
  static char paths[PATHS_BYTES];
  static bool looked;
  static sigset_t ignored;
  if (!looked) {
    ignored_signals(&ignored);
    looked = true;
  }
  plan p = {.args = args, .ignored = ignored};
  *pid = 0;
  *pidfd = -1;
  int failed = find_paths(&p, args->spec, args->env, paths, err);
  if (failed) return failed;
  int flags = CLONE_PARENT | CLONE_PIDFD | CLONE_VM | CLONE_VFORK | SIGCHLD;
  int result = args->cgroup < 0 ? -1 : hf_k_clone(child, stack, sizeof stack, flags, &p, pidfd, args->cgroup);
  *args->in_cgroup = result >= 0;
  // Not into the cgroup (its owner, its kind, the kernel): then without.
  if (result < 0) result = hf_k_clone(child, stack, sizeof stack, flags, &p, pidfd, -1);
  if (result < 0) return hf_fail_sys(err, "clone", "no process can be made for %s", args->spec->name);
  *pid = result;
  int error = hf_load_acquire(&args->slot->errnum); // pairs with the release in give_up
  if (error == 0) return 0;
  hf_k_close(*pidfd);
  *pidfd = -1;
  errno = error;
  int step = hf_load_relaxed(&args->slot->step);
  if (step == HF_SPAWN_directory) hf_fail_sys(err, "chdir", "its working directory %s can't be entered", args->spec->cwd);
  else if (step == HF_SPAWN_exec) hf_fail_sys(err, "execve", "its program %s can't be executed", args->spec->argv[0]);
  else hf_fail_sys(err, hf_spawn_step_call(step), "it can't be executed");
  return HF_ESYS;
}

int hf_spawn_reserve(int null_fd, hf_err *err) {
  for (int fd = HF_FD_SEGMENT; fd < HF_FD_PASSED_END; fd++)
    if (dup3(null_fd, fd, O_CLOEXEC) < 0) return hf_fail_sys(err, "dup3", "descriptor %d can't be reserved", fd);
  return 0;
}
