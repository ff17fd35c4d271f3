// SPDX-License-Identifier: MIT
// What a dead manager left, taken over. Nothing is restarted that lives; what ended meanwhile is judged from the guardian's note,
// from the kernel's memory of it, or as lost.
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/identity.h"
#include "process/status.h"
#include "supervise/cgroup.h"
#include "supervise/exits.h"
#include "supervise/manager.h"
#include "supervise/spawn.h"

enum { EXEC_WAIT_MS = 200, FIRST_PAUSE_NS = 10000000, LONGEST_PAUSE_NS = 1000000000 };

// The command line of a process, its arguments divided by zeros: the number of bytes.
static size_t command_line(pid_t pid, char *out, size_t size) {
  char path[40];
  snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
  int fd = hf_k_openat(AT_FDCWD, path, O_RDONLY, 0);
  ssize_t got = fd < 0 ? 0 : hf_k_read(fd, out, size);
  if (fd >= 0) hf_k_close(fd);
  return got > 0 ? (size_t)got : 0;
}

// A process that still runs our own program with the arguments of a manager of this instance, and is not this one, is what the
// dead manager has cloned and what has not executed its own program yet. Its parent is a guardian, which may be dead too.
static bool is_unborn(const hf_manager *m, pid_t pid, const struct stat *exe) {
  char path[40], text[512];
  struct stat st;
  if (pid == getpid()) return false;
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  if (hf_k_fstatat(AT_FDCWD, path, &st, 0) != 0 || st.st_ino != exe->st_ino || st.st_dev != exe->st_dev) return false;
  size_t size = command_line(pid, text, sizeof text), length = strlen(m->options->dir) + 1;
  bool manager = false, same_dir = false;
  for (size_t at = 0; at < size; at += strnlen(text + at, size - at) + 1) {
    manager |= size - at >= sizeof "--manager" && memcmp(text + at, "--manager", sizeof "--manager") == 0;
    same_dir |= size - at >= length && memcmp(text + at, m->options->dir, length) == 0;
  }
  return manager && same_dir;
}

static bool any_unborn(const hf_manager *m) {
  struct stat exe;
  DIR *proc = opendir("/proc");
  bool found = proc == NULL || hf_k_fstatat(AT_FDCWD, "/proc/self/exe", &exe, 0) != 0; // can't be known now: look again
  for (struct dirent *entry; !found && (entry = readdir(proc)) != NULL;)
    if (isdigit((unsigned char)entry->d_name[0])) found = is_unborn(m, (pid_t)atoi(entry->d_name), &exe);
  if (proc != NULL) closedir(proc);
  return found;
}

// Waits until no child is between clone and exec any more: each of them then has said its pid or its errno.
static void wait_for_unborn(const hf_manager *m) {
  struct timespec pause = {0, 1000000};
  for (int i = 0; i < EXEC_WAIT_MS && any_unborn(m); i++) nanosleep(&pause, NULL);
}

// An incarnation was announced, and its manager died before it wrote the pid.
static void adopt_announced(hf_manager *m, unsigned index, uint64_t now) {
  hf_spawn_slot *slot = &m->segment->spawn[index];
  hf_status_word word = hf_status_word_now(m->segment, index);
  bool mine = hf_load_acquire(&slot->incarnation) == HF_WORD_INCARNATION(word); // pairs with the release in hf__launch
  pid_t pid = mine ? hf_load_acquire(&slot->pid) : 0;
  int errnum = mine ? hf_load_acquire(&slot->errnum) : 0;
  if (pid != 0 && errnum != 0) {
    hf_err err;
    hf_fail(&err, HF_ESYS, "%s failed: %s", hf_spawn_step_call(hf_load_relaxed(&slot->step)), strerror(errnum));
    hf__launch_failed(m, index, errnum, err.text, now);
    return;
  }
  hf_process_facts facts = {0};
  int failed = pid != 0 ? hf_process_facts_read(pid, &facts) : 0;
  if (failed == HF_ESYS) return; // it stays announced, and hf__adopt_again looks again
  hf_status *draft = hf_status_begin(m->segment, index);
  if (pid != 0) {
    char marker[128];
    hf__marker(m, index, HF_WORD_INCARNATION(word), marker, sizeof marker);
    // A child of the guardian is that one: it is not reaped before it is known. Elsewhere the number may be a stranger's by now.
    bool there = failed == 0 && (facts.parent == m->guardian || hf_environment_has(pid, marker, NULL));
    draft->process = (hf_identity){.pid = pid, .start_time = there ? facts.start_time : 0};
    draft->parent_is_guardian = there && facts.parent == m->guardian;
    draft->stage = HF_STAGE_RUNNING;
    hf__move(m, index, draft, HF_STATE_STARTED, HF_WORD_INCARNATION(word), NULL);
    return;
  }
  // It was never cloned. The announced incarnation is over before it began: the next one is started at once.
  draft->stage = HF_STAGE_BACKOFF;
  draft->next_start_ns = 0;
  draft->settled_incarnation = HF_WORD_INCARNATION(word);
  hf__move(m, index, draft, HF_STATE_STOPPED, HF_WORD_INCARNATION(word), NULL);
  hf__close_files(m, index, HF_WORD_INCARNATION(word));
}

// Opens the pidfd and watches it, or marks the process as ended: 0, or HF_ESYS where it lives and could not be watched.
static int watch_process(hf_manager *m, unsigned index, hf_err *err) {
  hf_proc *p = &m->proc[index];
  if (p->pidfd > 0 || p->ended) return 0;
  int fd = hf_identity_open(&hf_status_now(m->segment, index)->process, err);
  p->ended = fd == HF_EUNKNOWN;
  if (fd < 0) return p->ended ? 0 : fd;
  int failed = hf__watch(m, fd, HF_EPOLL_DATA(HF_EPOLL_PROCESS, index), err);
  if (failed) hf_k_close(fd);
  else p->pidfd = fd;
  return failed;
}

// Whose child it is, who may have changed with the guardian.
static int find_parent(hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_process_facts facts;
  int failed = hf_process_facts_read(s->process.pid, &facts);
  if (failed == HF_ESYS) return failed;
  bool guardians = !failed && facts.start_time == s->process.start_time && facts.parent == m->guardian;
  if (guardians == (s->parent_is_guardian != 0)) return 0;
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->parent_is_guardian = guardians;
  return hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
}

// Opens what is not open yet of a process that lives: 0, or the reason why it has to be tried again.
static int open_all(hf_manager *m, unsigned index, hf_err *err) {
  hf_proc *p = &m->proc[index];
  uint32_t incarnation = HF_WORD_INCARNATION(hf_status_word_now(m->segment, index));
  if (find_parent(m, index) != 0)
    return hf_fail(err, HF_ESYS, "/proc/%d can't be read", hf_status_now(m->segment, index)->process.pid);
  int watched = watch_process(m, index, err);
  int opened = hf__open_files(m, index, incarnation, false, watched ? NULL : err);
  return p->ended ? 0 : watched ? watched : opened;
}

void hf__adopt_again(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  hf_err err;
  if (p->adopt_at_ns <= now) {
    bool announced = hf_status_now(m->segment, index)->stage == HF_STAGE_SPAWNING;
    if (announced) {
      adopt_announced(m, index, now);
      announced = hf_status_now(m->segment, index)->stage == HF_STAGE_SPAWNING;
      if (!announced) hf__strangers_acknowledge(m); // they had to wait: one of them might have been that one
    }
    bool there = hf_status_now(m->segment, index)->process.pid != 0;
    if (!announced && (!there || open_all(m, index, &err) == 0)) {
      p->adopt_pause_ns = p->adopt_at_ns = 0;
      m->acknowledged = true; // rings the guardian, which takes hold of the FIFO
      if (hf_status_now(m->segment, index)->stage == HF_STAGE_RUNNING) hf__hearts_take(m, index, now);
      return;
    }
    p->adopt_pause_ns = p->adopt_pause_ns == 0 ? FIRST_PAUSE_NS : p->adopt_pause_ns * 2;
    if (p->adopt_pause_ns > LONGEST_PAUSE_NS) p->adopt_pause_ns = LONGEST_PAUSE_NS;
    p->adopt_at_ns = now + p->adopt_pause_ns;
  }
  if (p->look_at_ns == 0 || p->adopt_at_ns < p->look_at_ns) p->look_at_ns = p->adopt_at_ns;
}

// Opens the pidfd and the files of a process that lives, or marks it as ended.
static void adopt_process(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  const hf_status *s = hf_status_now(m->segment, index);
  hf_err err;
  uint64_t id = 0;
  int cgroup = s->cgroup != 0 ? hf_cgroup_open(m->cgroup_base, index,
                                               HF_WORD_INCARNATION(hf_status_word_now(m->segment, index)), false, &id)
                              : -1;
  if (cgroup >= 0 && id == s->cgroup) p->cgroup_fd = cgroup;
  else if (cgroup >= 0) hf_k_close(cgroup);                       // made anew by somebody: not the one that it was born in
  if (open_all(m, index, &err) != 0) hf__trouble(m, index, &err); // step.c comes back to it
  if (hf_status_now(m->segment, index)->stage == HF_STAGE_STOPPING)
    hf__stop_signal(m, index); // the dead manager may not have come to it
  if (hf_status_now(m->segment, index)->stage == HF_STAGE_CAPTURING) hf__hang_adopt(m, index);
  // Before the first sweep, which throws away what nobody has inherited.
  if (hf_status_now(m->segment, index)->stage == HF_STAGE_RUNNING) hf__hearts_take(m, index, now);
}

int hf__adopt(hf_manager *m, uint64_t now) {
  bool announced = false;
  int living = 0;
  for (unsigned i = 0; i < hf__slots(m); i++) announced |= hf_status_now(m->segment, i)->stage == HF_STAGE_SPAWNING;
  if (announced) wait_for_unborn(m);
  for (unsigned i = 0; i < hf__slots(m); i++) {
    if (hf_status_now(m->segment, i)->stage == HF_STAGE_SPAWNING) adopt_announced(m, i, now);
    if (hf_status_now(m->segment, i)->process.pid == 0) continue;
    adopt_process(m, i, now);
    living += !m->proc[i].ended;
  }
  hf__strangers_acknowledge(m);
  return living;
}
