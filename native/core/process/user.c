// SPDX-License-Identifier: MIT
// Who a user is: the password and group databases, asked in the way that threads may.
#include "process/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "process/identity.h"

enum { ENTRY_BYTES_MAX = 1 << 20 };

// Looks the name up with a buffer that grows until the entry fits. *found is false where there is no such user.
static int lookup(const char *name, struct passwd *entry, char **buffer, bool *found, hf_err *err) {
  for (size_t size = 1024; size <= ENTRY_BYTES_MAX; size *= 4) {
    char *grown = realloc(*buffer, size);
    if (grown == NULL) return hf_fail(err, HF_ENOMEM, "out of memory while looking up user %s", name);
    *buffer = grown;
    struct passwd *result = NULL;
    int errnum = getpwnam_r(name, entry, grown, size, &result);
    *found = result != NULL;
    if (errnum == 0 || errnum == ENOENT || errnum == ESRCH) return 0;
    if (errnum == ERANGE || errnum == EINTR) continue;
    errno = errnum;
    return hf_fail_sys(err, "getpwnam_r", "user %s could not be looked up", name);
  }
  return hf_fail(err, HF_EINVAL, "the entry of user %s in the password database is too long", name);
}

int hf_user_resolve(const char *name, hf_user *out, hf_err *err) {
  char *buffer = NULL;
  struct passwd entry;
  bool found = false;
  int code = lookup(name, &entry, &buffer, &found, err);
  if (code == 0 && !found) code = hf_fail(err, HF_EINVAL, "there is no user %s: create it, or name one that exists", name);
  if (code == 0) {
    int count = HF_GROUPS_MAX;
    out->uid = entry.pw_uid;
    out->gid = entry.pw_gid;
    if (getgrouplist(name, entry.pw_gid, out->groups, &count) < 0)
      code = hf_fail(err, HF_EINVAL, "user %s is in more than %d groups: use one that is in fewer", name, HF_GROUPS_MAX);
    else out->group_count = (uint32_t)count;
  }
  free(buffer);
  return code;
}

int hf_start_time(pid_t pid, uint64_t *out, hf_err *err) {
  hf_process_facts facts;
  int code = hf_process_facts_read(pid, &facts);
  if (code < 0) return hf_fail(err, code, "there is no process %d", (int)pid);
  *out = facts.start_time;
  return 0;
}
