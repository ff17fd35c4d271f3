// SPDX-License-Identifier: MIT
// Executing one incarnation of a process.
#ifndef HF_SUPERVISE_SPAWN_H
#define HF_SUPERVISE_SPAWN_H

#include <stdbool.h>
#include <sys/resource.h>

#include "base/error.h"
#include "segment/layout.h"

// Where descriptors are passed at exec: after a gap, because Node marks inherited ones close-on-exec up to the first gap.
enum { HF_FD_SEGMENT = 64, HF_FD_OWN = 65, HF_FD_BELL = 66, HF_FD_NOTIFY = 67, HF_FD_PASSED_END = 68 };

// Which step of a spawn failed, as it travels in hf_spawn_slot.step.
#define HF_SPAWN_STEPS(X)                                                                                                    \
  X(none, 0, "nothing")                                                                                                      \
  X(session, 1, "setsid")                                                                                                    \
  X(limit, 2, "setrlimit")                                                                                                   \
  X(nice, 3, "setpriority")                                                                                                  \
  X(groups, 4, "setgroups")                                                                                                  \
  X(group, 5, "setgid")                                                                                                      \
  X(user, 6, "setuid")                                                                                                       \
  X(directory, 7, "chdir")                                                                                                   \
  X(descriptor, 8, "dup")                                                                                                    \
  X(exec, 9, "execve")

const char *hf_spawn_step_call(int step);

typedef struct hf_spawn_args {
  const hf_spec *spec;
  hf_spawn_slot *slot;        // shared; incarnation, pid and errnum were prepared
  char *const *env;           // complete
  const struct rlimit *files; // what the limit of open files was before we raised ours; NULL: leave it
  bool *in_cgroup;            // set: whether it was born in `cgroup`
  int cgroup;                 // directory descriptor of the cgroup to be born in; -1: the caller's
  int null_fd, out_fd, err_fd, segment_fd, own_fd, bell_fd, notify_fd; // -1: not passed. None may lie in 0..2 or 64..67
} hf_spawn_args;

// Spawns with CLONE_PARENT: the child belongs to the caller's parent (the guardian), and only its pidfd to the caller. Returns 0
// with *pid and *pidfd, or HF_ESYS with errnum and the failed call in err (an exec that failed left nothing behind but a zombie
// for the guardian: *pid is set then, else 0). All signals must be blocked. Not reentrant: one thread of a process.
int hf_spawn(const hf_spawn_args *args, pid_t *pid, int *pidfd, hf_err *err);

// Occupies the numbers 64..67, so that no other descriptor ever gets them. Call once, early.
int hf_spawn_reserve(int null_fd, hf_err *err);

#endif
