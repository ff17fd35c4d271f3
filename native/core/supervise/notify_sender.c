// SPDX-License-Identifier: MIT
// Whose a datagram is. The kernel says who sent it (pid, user, from Linux 6.5 on a pidfd too); which process of ours that is, or whose
// descendant, is looked up here. Nothing that the sender writes is believed but, at last, the marker in its environment.
//
// A sender may be gone by now: systemd-notify in a shell script lives for a moment. Then only the pidfd knows, and of all that it knew
// only the cgroup (Linux 6.15; for one that is not reaped yet 6.13), where incarnations are born in one of their own.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/identity.h"
#include "process/status.h"
#include "supervise/manager.h"

enum { PARENTS_MAX = 64, MARKER_BYTES = 160 };

// Its own file is its user's: so it is known also where the definition can't be read, or names another user by now.
uid_t hf__notify_user(const hf_manager *m, unsigned index) {
  const hf_spec *spec = hf__spec(m, index);
  struct stat st;
  int own = m->proc[index].own_fd;
  if (own > 0 && hf_k_fstat(own, &st) == 0) return st.st_uid;
  return spec != NULL && spec->has_user ? spec->uid : geteuid();
}

// The index of the main process with that pid and start time, or -1. A process that has ended and is not cleaned yet counts.
static int main_of(const hf_manager *m, pid_t pid, uint64_t start_time) {
  for (unsigned i = 0; i < hf__slots(m); i++) {
    const hf_identity *process = &hf_status_now(m->segment, i)->process;
    if (process->pid == pid && process->start_time == start_time) return (int)i;
  }
  return -1;
}

// HF_NOTIFY_UNKNOWN where one of them can't be read now.
static int by_parents(const hf_manager *m, pid_t pid, hf_process_facts facts) {
  for (int i = 0; i < PARENTS_MAX; i++) {
    int found = main_of(m, pid, facts.start_time);
    if (found >= 0) return found;
    pid = facts.parent;
    if (pid <= 1 || pid == m->guardian) return -1;
    int failed = hf_process_facts_read(pid, &facts);
    if (failed) return failed == HF_ESYS ? HF_NOTIFY_UNKNOWN : -1;
  }
  return -1;
}

// Each incarnation leads a session of its own: what forked twice and made no other is still in it. The number is not reused while
// the guardian has not reaped it.
static int by_session(const hf_manager *m, const hf_process_facts *facts) {
  for (unsigned i = 0; i < hf__slots(m); i++) {
    const hf_status *s = hf_status_now(m->segment, i);
    if (s->process.pid > 0 && s->parent_is_guardian && (facts->session == s->process.pid || facts->group == s->process.pid))
      return (int)i;
  }
  return -1;
}

static int by_cgroup(const hf_manager *m, int pidfd) {
  uint64_t id;
  if (pidfd < 0 || hf_k_pidfd_cgroup(pidfd, &id) != 0 || id == 0) return -1;
  for (unsigned i = 0; i < hf__slots(m); i++)
    if (hf_status_now(m->segment, i)->cgroup == id) return (int)i;
  return -1;
}

// The value of HOLDFAST_ID in the environment of a process: false where there is none, or it is longer than any of ours.
static bool marker_of(pid_t pid, char out[MARKER_BYTES]) {
  static const char key[] = "HOLDFAST_ID=";
  char path[48], block[4096];
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  int fd = hf_k_openat(AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) return false;
  size_t used = 0; // of the entry; past MARKER_BYTES its rest is skipped
  bool found = false;
  ssize_t got;
  while (!found && (got = hf_k_read(fd, block, sizeof block)) > 0)
    for (ssize_t i = 0; i < got && !found; i++) {
      if (used < MARKER_BYTES) out[used] = block[i];
      found = block[i] == 0 && used < MARKER_BYTES && strncmp(out, key, sizeof key - 1) == 0;
      used = block[i] == 0 ? 0 : used + 1;
    }
  hf_k_close(fd);
  return found;
}

// Only of our own user: what lies in the memory of another's may never come (FUSE), and we would wait for it.
static int by_marker(const hf_manager *m, pid_t pid) {
  char its[MARKER_BYTES], marker[MARKER_BYTES];
  if (!marker_of(pid, its) || !hf_environment_has(pid, m->id_dir, NULL)) return -1;
  for (unsigned i = 0; i < hf__slots(m); i++) {
    if (hf_status_now(m->segment, i)->process.pid == 0) continue;
    hf__marker(m, i, HF_WORD_INCARNATION(hf_status_word_now(m->segment, i)), marker, sizeof marker);
    if (strcmp(its, marker) == 0) return (int)i;
  }
  return -1;
}

// /proc tells of whoever has that pid now. The pidfd says whether that is still the sender: it is as long as it can be signalled, or
// may not be. Without a pidfd the number has to do.
static bool still_there(const hf_notify_sender *sender) {
  return sender->pidfd < 0 || hf_k_pidfd_send_signal(sender->pidfd, 0) == 0 || errno == EPERM;
}

// One that is announced and not adopted yet may be anybody's.
static bool any_announced(const hf_manager *m) {
  for (unsigned i = 0; i < hf__slots(m); i++)
    if (hf_status_now(m->segment, i)->stage == HF_STAGE_SPAWNING) return true;
  return false;
}

int hf__notify_whose(hf_manager *m, hf_notify_sender *sender, const char **why_not) {
  hf_process_facts facts;
  sender->gone = true;
  *why_not = "it comes from another pid namespace";
  if (sender->pid <= 0) return -1;
  int failed = hf_process_facts_read(sender->pid, &facts);
  sender->gone = failed == HF_EUNKNOWN || !still_there(sender);
  int index = sender->gone ? -1 : failed ? HF_NOTIFY_UNKNOWN : by_parents(m, sender->pid, facts);
  bool unread = index == HF_NOTIFY_UNKNOWN;
  if (index < 0) index = by_cgroup(m, sender->pidfd);
  if (index < 0 && !sender->gone && !failed) index = by_session(m, &facts);
  if (index < 0 && !sender->gone && sender->uid == geteuid()) index = by_marker(m, sender->pid);
  if (index < 0 && !sender->gone && !still_there(sender)) sender->gone = true; // it ended while it was looked at
  *why_not = sender->gone ? "it had ended before it could be told whose it is" : "it belongs to no process that runs here";
  if (index < 0 && unread) *why_not = "/proc could not be read to tell whose it is";
  if (index < 0) return unread || any_announced(m) ? HF_NOTIFY_UNKNOWN : -1;
  // The process that a user may speak for: its own, and root for all.
  *why_not = "its user is neither root nor the one of the process that it belongs to";
  return sender->uid == 0 || sender->uid == hf__notify_user(m, (unsigned)index) ? index : -1;
}
