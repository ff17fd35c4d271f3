// SPDX-License-Identifier: MIT
// Users and start times, as definitions and embedders need them. May read files, and ask the name service: not for the
// manager's loop.
#ifndef HF_PROCESS_USER_H
#define HF_PROCESS_USER_H

#include "base/error.h"

typedef struct hf_user {
  uid_t uid;
  gid_t gid;
  uint32_t group_count;
  gid_t groups[HF_GROUPS_MAX]; // supplementary, the primary group among them
} hf_user;

// The user of that name with the groups of a login: 0, or HF_EINVAL where there is none, or one in more than HF_GROUPS_MAX
// groups.
int hf_user_resolve(const char *name, hf_user *out, hf_err *err);

// Start time of a process in clock ticks since boot: 0, or HF_EUNKNOWN where there is no such process.
int hf_start_time(pid_t pid, uint64_t *out, hf_err *err);

#endif
