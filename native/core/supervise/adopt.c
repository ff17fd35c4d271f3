// SPDX-License-Identifier: MIT
// What a dead manager left, taken over. Nothing is restarted that lives; what ended meanwhile is judged from the guardian's note,
// from the kernel's memory of it, or as lost.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/identity.h"
#include "process/status.h"
#include "supervise/manager.h"
#include "supervise/exits.h"
#include "supervise/spawn.h"

enum { EXEC_WAIT_MS = 200 };

typedef struct unborn {
  const hf_manager *m;
  ino_t exe;
  bool found;
} unborn;

// A child of the guardian that still runs our own program is one that the dead manager has cloned and that has not executed
// its own yet.
static bool look_unborn(pid_t pid, void *context) {
  unborn *u = context;
  char path[40];
  struct stat st;
  if (pid == getpid()) return true;
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  if (hf_k_fstatat(AT_FDCWD, path, &st, 0) == 0 && st.st_ino == u->exe) u->found = true;
  return !u->found;
}

// Waits until no child is between clone and exec any more: each of them then has said its pid or its errno.
static void wait_for_unborn(const hf_manager *m) {
  struct stat st;
  if (hf_k_fstatat(AT_FDCWD, "/proc/self/exe", &st, 0) != 0) return;
  for (int i = 0; i < EXEC_WAIT_MS; i++) {
    unborn u = {.m = m, .exe = st.st_ino};
    hf_children_each(m->guardian, look_unborn, &u);
    if (!u.found) return;
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
  }
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
  hf_status *draft = hf_status_begin(m->segment, index);
  if (pid != 0) {
    hf_process_facts facts = {0};
    bool there = hf_process_facts_read(pid, &facts) == 0;
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

// Opens the pidfd and the files of a process that lives, or marks it as ended.
static void adopt_process(hf_manager *m, unsigned index) {
  hf_proc *p = &m->proc[index];
  const hf_status *s = hf_status_now(m->segment, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_err err;
  hf_process_facts facts;
  bool there = hf_process_facts_read(s->process.pid, &facts) == 0 && facts.start_time == s->process.start_time;
  bool guardians = there && facts.parent == m->guardian;
  if (guardians != (s->parent_is_guardian != 0)) {
    hf_status *draft = hf_status_begin(m->segment, index);
    draft->parent_is_guardian = guardians;
    hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
    s = hf_status_now(m->segment, index);
  }
  int fd = hf_identity_open(&s->process, &err);
  if (fd >= 0 && hf__watch(m, fd, HF_EPOLL_DATA(HF_EPOLL_PROCESS, index), &err) == 0) p->pidfd = fd;
  else if (fd >= 0) hf_k_close(fd);
  else p->ended = true;
  if (fd != HF_EUNKNOWN && p->pidfd == 0) {
    hf__trouble(m, index, &err); // it lives, but can't be watched: look at it again and again
    p->look_at_ns = hf_now_mono_ns() + 10000000;
  }
  if (hf__open_files(m, index, HF_WORD_INCARNATION(word), false, &err) != 0 && !p->ended) hf__trouble(m, index, &err);
  if (s->stage == HF_STAGE_STOPPING) hf__stop_signal(m, index); // the dead manager may not have come to it
}

int hf__adopt(hf_manager *m, uint64_t now) {
  bool announced = false;
  int living = 0;
  for (unsigned i = 0; i < hf__slots(m); i++) announced |= hf_status_now(m->segment, i)->stage == HF_STAGE_SPAWNING;
  if (announced) wait_for_unborn(m);
  for (unsigned i = 0; i < hf__slots(m); i++) {
    if (hf_status_now(m->segment, i)->stage == HF_STAGE_SPAWNING) adopt_announced(m, i, now);
    if (hf_status_now(m->segment, i)->process.pid == 0) continue;
    adopt_process(m, i);
    living += !m->proc[i].ended;
  }
  hf__strangers_acknowledge(m);
  return living;
}
