// SPDX-License-Identifier: MIT
// How a process is stopped, how it ended, and what becomes of its tree. Order, for a manager killed anywhere:
//   0. a hang: the verdict is committed (stage CAPTURING), its stack is written, then it is killed (hang.c)
//   1. the ending is known (the guardian's note, or the kernel's word, or nobody's)
//   2. one commit: state, failure, history, when to start again, stage CLEANING
//   3. the tree is killed until none is left
//   4. the files of the incarnation go, the note is acknowledged (the guardian reaps: from here the pid is free)
//   5. one commit: no process, stage IDLE or BACKOFF
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/identity.h"
#include "process/policy.h"
#include "process/status.h"
#include "supervise/cgroup.h"
#include "supervise/exits.h"
#include "supervise/manager.h"

enum { NOTE_WAIT_NS = 50000000, CLEAN_AGAIN_NS = 2000000, CLEAN_SLOW_NS = 100000000, HURRY_NS = 1000000000 };
static const uint64_t NOTE_LATE_NS = 5000000000u;

// ---- stopping -----------------------------------------------------------------------------------------------------------

void hf__stop_signal(hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  const hf_spec *spec = hf__spec(m, index);
  int number = spec != NULL && spec->stop_signal > 0 ? spec->stop_signal : SIGTERM;
  hf_proc *p = &m->proc[index];
  bool failed = false;
  // The group is named by the pid. It is ours for as long as the guardian has not reaped it; else only the pidfd is sure.
  if (s->parent_is_guardian) {
    failed = hf_k_kill(-s->process.pid, number) != 0 && errno != ESRCH;
    (void)hf_k_kill(-s->process.pid, SIGCONT); // a stopped process hears nothing else
  } else if (p->pidfd > 0) {
    failed = hf_k_pidfd_send_signal(p->pidfd, number) != 0 && errno != ESRCH;
    (void)hf_k_pidfd_send_signal(p->pidfd, SIGCONT);
  }
  hf_err err;
  if (!failed) return;
  hf_fail_sys(&err, "kill", "%s could not be told to stop: it is killed when its time is over", s->name);
  hf__trouble(m, index, &err);
}

void hf__stop_begin(hf_manager *m, unsigned index, int reason, bool restart_after, uint64_t now) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  const hf_spec *spec = hf__spec(m, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  uint64_t patience = spec != NULL ? spec->stop_timeout_ns : 0;
  if (m->hurry && patience > HURRY_NS) patience = HURRY_NS;
  draft->stage = HF_STAGE_STOPPING;
  draft->stop_reason = (uint8_t)reason;
  draft->restart_after = restart_after;
  draft->kill_at_ns = now + patience;
  if (!draft->notified_stopping) draft->extended_until_ns = 0; // that was for what it did before
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  HF_POINT("stop-announced");
  if (reason != HF_STOP_ASKED) hf__kill_begin(m, index, now);
  else hf__stop_signal(m, index);
}

uint64_t hf__kill_at(const hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  uint64_t when = s->kill_at_ns;
  if (s->stop_force) return 0;
  const hf_spec *spec = hf__spec(m, index);
  uint64_t patience = spec != NULL && spec->stop_timeout_ns > HURRY_NS && !m->hurry ? spec->stop_timeout_ns : HURRY_NS;
  if (m->hurry && when > m->hurry_ns + HURRY_NS) when = m->hurry_ns + HURRY_NS;
  uint64_t until = hf__deadline(m, when, patience);
  return m->hurry || until > s->extended_until_ns ? until : s->extended_until_ns; // sd_notify EXTEND_TIMEOUT_USEC
}

static bool is_known(pid_t pid, void *context) {
  const hf_manager *m = context;
  if (pid == getpid()) return true;
  for (unsigned i = 0; i < hf__slots(m); i++)
    if (hf_status_now(m->segment, i)->process.pid == pid) return true;
  return false;
}

static void unattributed(pid_t pid, void *context) {
  hf_manager *m = context;
  // It may belong to another process of ours that lives: then its marker says so.
  for (unsigned i = 0; i < hf__slots(m); i++) {
    const hf_status *s = hf_status_now(m->segment, i);
    hf_process_facts facts;
    char marker[128];
    if (s->process.pid == 0) continue;
    hf__marker(m, i, HF_WORD_INCARNATION(hf_status_word_now(m->segment, i)), marker, sizeof marker);
    if (hf_process_facts_read(pid, &facts) == 0 && (facts.group == s->process.pid || facts.session == s->process.pid)) return;
    if (hf_environment_has(pid, marker, NULL)) return;
  }
  for (unsigned i = 0; i < m->orphan_count; i++)
    if (m->orphans[i] == pid) return;
  if (m->orphan_count == sizeof m->orphans / sizeof *m->orphans) return;
  m->orphans[m->orphan_count++] = pid;
  char text[64];
  snprintf(text, sizeof text, "process %d belongs to nobody known; it is left alone", (int)pid);
  hf__event(m, UINT32_MAX, HF_EVENT_orphan, text);
}

// What is in its cgroup is killed at once, with what it is just forking; what was moved out of it is looked for. Returns how many
// living members were found, main aside; negative where it could not be looked at.
static int kill_tree(hf_manager *m, unsigned index, bool kill_main) {
  int cgroup = m->proc[index].cgroup_fd;
  bool some = cgroup > 0 && !hf_cgroup_empty(cgroup);
  if (some) (void)hf_cgroup_kill(cgroup);
  const hf_status *s = hf_status_now(m->segment, index);
  char marker[128];
  hf__marker(m, index, HF_WORD_INCARNATION(hf_status_word_now(m->segment, index)), marker, sizeof marker);
  hf_tree tree = {.main = s->process,
                  .guardian = m->guardian,
                  .main_is_guardians = s->parent_is_guardian,
                  .marker = marker,
                  .dir_marker = m->id_dir,
                  .is_known = is_known,
                  .unattributed = unattributed,
                  .context = m};
  int found = hf_tree_kill(&tree, kill_main);
  return found != 0 ? found : some;
}

void hf__kill_begin(hf_manager *m, unsigned index, uint64_t now) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->stage = HF_STAGE_KILLING;
  if (draft->stop_reason == HF_STOP_NO) draft->stop_reason = HF_STOP_ASKED;
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  hf__kill_again(m, index, now);
}

void hf__kill_again(hf_manager *m, unsigned index, uint64_t now) {
  kill_tree(m, index, true);
  m->proc[index].look_at_ns = now + CLEAN_SLOW_NS;
  if (m->proc[index].pidfd <= 0) m->proc[index].ended = !hf_identity_alive(&hf_status_now(m->segment, index)->process);
}

// ---- the ending ---------------------------------------------------------------------------------------------------------

#ifndef PIDFD_GET_INFO
#define HF_PIDFD_INFO_EXIT (1u << 3)
struct hf_pidfd_info { // linux/pidfd.h of Linux 6.15
  uint64_t mask, cgroupid;
  uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
};
#define HF_PIDFD_GET_INFO _IOWR(0xFF, 11, struct hf_pidfd_info)
#endif

// What the kernel remembers of a process that somebody else has reaped: true from Linux 6.15 on.
static bool kernel_remembers(int pidfd, int *status) {
  struct hf_pidfd_info info = {.mask = HF_PIDFD_INFO_EXIT};
  if (pidfd <= 0 || ioctl(pidfd, HF_PIDFD_GET_INFO, &info) != 0 || !(info.mask & HF_PIDFD_INFO_EXIT)) return false;
  *status = info.exit_code;
  return true;
}

static void fill_ending(hf_ending *ending, int status) {
  if (WIFEXITED(status)) ending->exit_code = WEXITSTATUS(status);
  else ending->signal = WTERMSIG(status);
}

// False: not known yet, look again. Else the ending is filled: from the guardian's note, from the kernel's memory of what somebody
// else has reaped, or, where no note comes, from the zombie itself.
static bool find_ending(hf_manager *m, unsigned index, uint64_t now, hf_ending *ending) {
  hf_proc *p = &m->proc[index];
  const hf_status *s = hf_status_now(m->segment, index);
  hf_exit_note note;
  hf_process_facts facts;
  int status;
  ending->exit_code = -1;
  if (hf_exits_find(m->exits, &s->process, &note) != 0) {
    if (note.code == CLD_EXITED) ending->exit_code = note.status;
    else ending->signal = note.status;
    return true;
  }
  if (p->ended_ns == 0) p->ended_ns = now;
  bool over = now - p->ended_ns >= NOTE_WAIT_NS;
  if (over || !s->parent_is_guardian) { // no note will come
    bool zombie =
        hf_process_facts_read(s->process.pid, &facts) == 0 && facts.start_time == s->process.start_time && facts.state == 'Z';
    if (zombie && facts.parent == m->guardian && now - p->ended_ns < NOTE_LATE_NS) {
      p->look_at_ns = now + NOTE_WAIT_NS; // but it will, while it is the guardian's: the guardian may be late itself
      return false;
    }
    zombie = zombie && facts.exit_status != 0; // 0 may also mean that we may not see it
    bool known = zombie || (!s->parent_is_guardian && kernel_remembers(p->pidfd, &status));
    if (known) fill_ending(ending, zombie ? facts.exit_status : status);
    ending->lost = !known;
    if (known || over) return true;
  }
  p->look_at_ns = s->parent_is_guardian ? p->ended_ns + NOTE_WAIT_NS : now + CLEAN_AGAIN_NS;
  return false;
}

void hf__failure_keep(hf_status *draft, const hf_failure *failure) {
  memmove(&draft->failures[1], &draft->failures[0], sizeof draft->failures - sizeof draft->failures[0]);
  draft->failures[0] = *failure;
  if (failure->at_real_ns == 0) draft->failures[0].at_real_ns = hf_now_real_ns();
  if (draft->failure_count < HF_FAILURES_KEPT) draft->failure_count++;
}

static bool is_late(int stop_reason) {
  return stop_reason == HF_STOP_TIMED_OUT || stop_reason == HF_STOP_NO_HEARTBEAT || stop_reason == HF_STOP_LOADING ||
         stop_reason == HF_STOP_STOPPING;
}

// What is kept of an incarnation that failed. A hang was judged before: only how it ended is new.
static hf_failure failure_of(const hf_status *s, hf_status_word word, hf_cause cause, const hf_ending *ending) {
  if (cause == HF_CAUSE_hang) {
    hf_failure hang = s->hang;
    hang.signal = (int16_t)ending->signal;
    hang.exit_code = ending->exit_code;
    return hang;
  }
  return (hf_failure){.cause = (uint8_t)cause,
                      .phase = (uint8_t)HF_WORD_STATE(word),
                      .signal = (int16_t)ending->signal,
                      .exit_code = ending->exit_code,
                      .late = s->stop_reason == HF_STOP_NO_HEARTBEAT ? HF_LATE_HEARTBEAT
                              : s->stop_reason == HF_STOP_LOADING    ? HF_LATE_LOADCFG
                              : s->stop_reason == HF_STOP_STOPPING   ? HF_LATE_STOPPING
                                                                     : HF_LATE_READY,
                      .incarnation = HF_WORD_INCARNATION(word),
                      .ran_ns = ending->ran_ns};
}

static hf_ending ending_of(const hf_status *s, uint64_t now) {
  // A stop may have been taken in after it had ended, and before we saw that.
  bool asked = s->stop_reason == HF_STOP_ASKED || (s->stop_reason == HF_STOP_NO && s->wanted == HF_WANTED_STOP);
  return (hf_ending){.asked = asked,
                     .timed_out = is_late(s->stop_reason),
                     .hung = s->stop_reason == HF_STOP_HUNG,
                     .ran_ns = now > s->started_ns ? now - s->started_ns : 0};
}

bool hf__ended(hf_manager *m, unsigned index, uint64_t now) {
  const hf_status *s = hf_status_now(m->segment, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  const hf_spec *spec = hf__spec(m, index);
  hf_ending ending = ending_of(s, now);
  if (!find_ending(m, index, now, &ending)) return false;
  hf__afterwards(m, index); // of the ending before this one, if that was in this very step
  if (s->stage == HF_STAGE_CAPTURING) hf__hang_ended(m, index);
  hf_spec fallback;
  if (spec == NULL) {
    hf_spec_init(&fallback);
    spec = &fallback;
  }
  hf_status *draft = hf_status_begin(m->segment, index);
  hf_verdict verdict = hf_policy_judge(spec, &draft->history, &ending, now, hf__random(m));
  if (verdict.state == HF_STATE_FAIL) {
    hf_failure failure = failure_of(draft, word, verdict.cause, &ending);
    hf__failure_keep(draft, &failure);
  }
  // A stop that came after the verdict: it ends in FAIL, and from there goes to STOPPED as a stop during back-off does.
  bool stopped = verdict.state == HF_STATE_FAIL && draft->wanted == HF_WANTED_STOP;
  bool again = verdict.restart || draft->restart_after;
  draft->stage = HF_STAGE_CLEANING;
  draft->ended_ns = now;
  draft->settled_incarnation = HF_WORD_INCARNATION(word);
  draft->limited = verdict.limited && !draft->restart_after && !stopped;
  // A stop that was asked for is remembered as `wanted`; only what ended by itself is finished.
  draft->finished = !again && !ending.asked;
  if (draft->finished && spec->start == HF_START_ON_DEMAND) draft->wanted = HF_WANTED_STOP;
  draft->respawn = again || stopped;
  draft->next_start_ns = draft->restart_after ? 0 : verdict.restart ? verdict.restart_at_ns : 0;
  draft->dropped_bytes = hf__dropped(m, index);
  draft->exit_code = ending.exit_code;
  draft->exit_signal = ending.signal;
  hf_event details = {.cause = (uint8_t)verdict.cause, .signal = (int16_t)ending.signal, .exit_code = ending.exit_code};
  if (verdict.state == HF_STATE_FAIL) hf_failure_brief(&draft->failures[0], details.detail, sizeof details.detail);
  if (hf__move(m, index, draft, verdict.state, HF_WORD_INCARNATION(word), &details) != 0) return false;
  HF_POINT("ending-recorded");
  if (verdict.state == HF_STATE_FAIL) m->proc[index].unsaid = hf_status_now(m->segment, index)->process.pid;
  if (verdict.limited) hf__event(m, index, HF_EVENT_limited, "the restart limit was reached");
  return true;
}

// ---- the tree -----------------------------------------------------------------------------------------------------------

bool hf__clean(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  const hf_status *s = hf_status_now(m->segment, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_exit_note note;
  uint64_t sequence = hf_exits_find(m->exits, &s->process, &note);
  bool held = s->parent_is_guardian && sequence != 0 && !hf_exits_is_acknowledged(m->segment, sequence);
  if (held && !p->tree_signalled) (void)hf_k_kill(-s->process.pid, SIGKILL); // the zombie keeps the number of the group ours
  p->tree_signalled = true;
  int found = kill_tree(m, index, false);
  if (found != 0) {
    if (p->kills == 0 && found > 0) hf__event(m, index, HF_EVENT_killed, "processes that it had left behind are killed");
    if (p->kills < UINT16_MAX) p->kills++;
    p->look_at_ns = now + (p->kills < 50 ? CLEAN_AGAIN_NS : CLEAN_SLOW_NS);
    return false;
  }
  hf__close_files(m, index, HF_WORD_INCARNATION(word));
  HF_POINT("clean-before-acknowledge");
  if (sequence != 0) hf_exits_acknowledge(m->segment, sequence);
  m->acknowledged = true;
  HF_POINT("clean-after-acknowledge");
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->process = (hf_identity){0};
  draft->stage = draft->respawn ? HF_STAGE_BACKOFF : HF_STAGE_IDLE;
  draft->stop_reason = draft->restart_after = 0;
  draft->kill_at_ns = draft->capture_until_ns = 0;
  draft->capture_request = 0;
  memset(&draft->hang, 0, sizeof draft->hang);
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  p->ended = false;
  p->ended_ns = 0;
  p->tree_signalled = false;
  p->kills = 0;
  m->look_again = true;
  return true;
}

void hf__afterwards(hf_manager *m, unsigned index) {
  hf_proc *p = &m->proc[index];
  const hf_status *s = hf_status_now(m->segment, index);
  if (p->unsaid != 0) {
    char text[192];
    const hf_failure *failure = &s->failures[0];
    hf_failure_brief(failure, text, sizeof text); // the documented sentence of a hang was said at the verdict
    if (failure->has_report)
      hf__say(m, "%s (process %d): %s; see %s/reports/%s.%u.txt", s->name, (int)p->unsaid, text, m->options->dir, s->name,
              failure->incarnation);
    else hf__say(m, "%s (process %d): %s", s->name, (int)p->unsaid, text);
  }
  if (p->dead_cgroup != 0) hf_cgroup_discard(m->cgroup_base, index, p->dead_cgroup);
  p->unsaid = 0;
  p->dead_cgroup = 0;
}

static void acknowledge_stranger(const hf_exit_note *note, uint64_t sequence, void *context) {
  hf_manager *m = context;
  for (unsigned i = 0; i < hf__slots(m); i++) {
    const hf_status *s = hf_status_now(m->segment, i);
    if (s->process.pid == note->pid && s->process.start_time == note->start_time) return; // hf__clean does it
    if (s->stage == HF_STAGE_SPAWNING) return; // adoption is not done: it may be that one
  }
  hf_exits_acknowledge(m->segment, sequence);
  m->acknowledged = true;
}

void hf__strangers_acknowledge(hf_manager *m) { hf_exits_each_open(m->exits, m->segment, acknowledge_stranger, m); }
