// SPDX-License-Identifier: MIT
// Spawning an incarnation. Order, so that a manager killed anywhere leaves something that the next one understands:
//   1. the spawn slot is emptied and names the new incarnation
//   2. the status is committed: STARTED, stage SPAWNING, no pid ("announced")
//   3. its files are made, the guardian learns of the output FIFO when it is rung
//   4. clone: the child writes its pid into the spawn slot before anything else, or an errno when it fails
//   5. the status is committed: pid, start time, stage RUNNING
// Killed after 2: the next manager finds the announced incarnation, and in the spawn slot (or among the guardian's children)
// whether it lives (adopt.c).
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/identity.h"
#include "process/policy.h"
#include "process/status.h"
#include "segment/dir.h"
#include "segment/segment.h"
#include "supervise/bell.h"
#include "supervise/cgroup.h"
#include "supervise/manager.h"
#include "supervise/spawn.h"

enum { PIPE_BYTES = 1 << 20, FACTS_TRIES = 3, LITTER_NS = 10000000 };

void hf__marker(const hf_manager *m, unsigned index, uint32_t incarnation, char *out, size_t size) {
  snprintf(out, size, "HOLDFAST_ID=%s/%s/%u", m->segment->header.instance, hf_status_now(m->segment, index)->name,
           incarnation);
}

// Opens what is not open yet. What a failed call leaves open is closed by hf__close_files.
int hf__open_files(hf_manager *m, unsigned index, uint32_t incarnation, bool create, hf_err *err) {
  hf_proc *p = &m->proc[index];
  const hf_spec *spec = hf__spec(m, index);
  char name[40];
  hf_file_name(name, sizeof name, "own", index, incarnation);
  int fd = p->own_fd > 0 ? p->own_fd
           : create      ? hf_own_create(m->dir, index, incarnation, spec->has_user, spec->uid, spec->gid, err)
                         : hf_k_openat(m->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (fd < 0) return create ? fd : hf_fail_sys(err, "open", "%s can't be opened", name);
  p->own_fd = fd;
  if (p->out_fd > 0) return 0;
  hf_file_name(name, sizeof name, "out", index, incarnation);
  if (create) {
    (void)hf_k_unlinkat(m->dir, name, 0); // of a spawn that a killed manager had begun
    if (hf_k_mkfifoat(m->dir, name, 0600) != 0) return hf_fail_sys(err, "mkfifo", "%s can't be made", name);
  }
  fd = hf_k_openat(m->dir, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
  if (fd < 0) return hf_fail_sys(err, "open", "%s can't be opened", name);
  if (create && spec->has_user && hf_k_fchown(fd, spec->uid, spec->gid) != 0) {
    int failed = hf_fail_sys(err, "fchown", "%s can't be given to user %u", name, (unsigned)spec->uid);
    hf_k_close(fd);
    return failed;
  }
  (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); // where it is allowed; 64 KiB else
  hf_log_target target;
  hf__log_target(m, index, &target);
  int failed = hf_logs_add(m->logs, index, fd, &target, err);
  if (failed) hf_k_close(fd);
  else p->out_fd = fd;
  return failed;
}

void hf__close_files(hf_manager *m, unsigned index, uint32_t incarnation) {
  hf_proc *p = &m->proc[index];
  hf__hearts_forget(m, index);
  if (p->out_fd > 0) hf_logs_finish(m->logs, p->out_fd);
  if (p->own_fd > 0) hf_k_close(p->own_fd);
  if (p->cgroup_fd > 0) hf_k_close(p->cgroup_fd);
  if (p->pidfd > 0) hf_k_close(p->pidfd); // leaves the epoll set with it
  p->out_fd = p->own_fd = p->pidfd = p->cgroup_fd = 0;
  if (p->dead_cgroup != 0) hf_cgroup_discard(m->cgroup_base, index, p->dead_cgroup);
  p->dead_cgroup = incarnation;
  hf__remove_files(m, index, incarnation);
}

static bool remove_pair(const hf_manager *m, unsigned index, uint32_t incarnation) {
  static const char *const kinds[] = {"own", "out"};
  char name[40];
  bool removed = true;
  for (int i = 0; i < 2; i++) {
    hf_file_name(name, sizeof name, kinds[i], index, incarnation);
    removed &= hf_k_unlinkat(m->dir, name, 0) == 0 || errno == ENOENT;
  }
  return removed;
}

void hf__remove_files(hf_manager *m, unsigned index, uint32_t incarnation) {
  hf_proc *p = &m->proc[index];
  uint32_t first = p->litter != 0 && p->litter < incarnation ? p->litter : incarnation;
  p->litter = 0;
  for (uint32_t i = first; i <= incarnation && p->litter == 0; i++)
    if (!remove_pair(m, index, i)) p->litter = i;
  if (p->litter == 0) return;
  p->litter_last = incarnation; // step.c comes back to it: nobody else would take them away
  uint64_t again = hf_now_mono_ns() + LITTER_NS;
  if (p->look_at_ns == 0 || again < p->look_at_ns) p->look_at_ns = again;
}

// The environment: the definition's, then what tells the process where it belongs. Freed with free().
static char **environment(hf_manager *m, unsigned index, uint32_t incarnation, char *attach, char *marker, char *heartbeat,
                          hf_err *err) {
  static const char *const ours[] = {"HOLDFAST_ID=", "HOLDFAST_ATTACH=", "HOLDFAST_DIR=", "HOLDFAST_HEARTBEAT="};
  const hf_spec *spec = hf__spec(m, index);
  size_t count = 0;
  while (spec->env != NULL && spec->env[count] != NULL) count++;
  char **env = malloc((count + 5 + HF_NOTIFY_ENTRIES) * sizeof *env);
  if (env == NULL) {
    hf_fail(err, HF_ENOMEM, "out of memory for the environment of %s", spec->name);
    return NULL;
  }
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    bool inherited = hf__notify_inherited(spec->env[i]);
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++) inherited |= strncmp(spec->env[i], ours[k], strlen(ours[k])) == 0;
    if (!inherited) env[n++] = (char *)(uintptr_t)spec->env[i];
  }
  hf__marker(m, index, incarnation, marker, 128);
  env[n++] = marker;
  env[n++] = m->id_dir;
  if (*attach) env[n++] = attach;
  if (spec->heartbeat_ns != 0) { // in milliseconds; a part of one counts as a whole
    snprintf(heartbeat, 48, "HOLDFAST_HEARTBEAT=%llu", (unsigned long long)((spec->heartbeat_ns + 999999) / 1000000));
    env[n++] = heartbeat;
  }
  n += hf__notify_environment(m, index, env + n);
  env[n] = NULL;
  return env;
}

// HOLDFAST_ATTACH: index, incarnation, and device and inode of each passed descriptor, to be verified before use.
static int attach_text(hf_manager *m, unsigned index, uint32_t incarnation, char *out, size_t size, hf_err *err) {
  struct stat segment, own, bell;
  if (hf_k_fstat(m->segment_fd, &segment) != 0 || hf_k_fstat(m->proc[index].own_fd, &own) != 0 ||
      hf_k_fstat(m->bell, &bell) != 0)
    return hf_fail_sys(err, "fstat", "the descriptors of a process can't be examined");
  snprintf(out, size, "HOLDFAST_ATTACH=1:%u:%u:%d=%llu.%llu:%d=%llu.%llu:%d=%llu.%llu", index, incarnation, HF_FD_SEGMENT,
           (unsigned long long)segment.st_dev, (unsigned long long)segment.st_ino, HF_FD_OWN, (unsigned long long)own.st_dev,
           (unsigned long long)own.st_ino, HF_FD_BELL, (unsigned long long)bell.st_dev, (unsigned long long)bell.st_ino);
  return 0;
}

// The child's ends of its output: two opens, so that stdout and stderr share nothing with each other or with us.
static int open_output(hf_manager *m, unsigned index, uint32_t incarnation, int out[2], hf_err *err) {
  char name[40];
  hf_file_name(name, sizeof name, "out", index, incarnation);
  for (int i = 0; i < 2; i++) {
    out[i] = hf_k_openat(m->dir, name, O_RDWR | O_NOFOLLOW, 0);
    if (out[i] < 0) return hf_fail_sys(err, "open", "%s can't be opened", name);
  }
  return 0;
}

static int spawn(hf_manager *m, unsigned index, uint32_t incarnation, pid_t *pid, int *pidfd, hf_err *err) {
  const hf_spec *spec = hf__spec(m, index);
  char attach[200], marker[128], heartbeat[48];
  int out[2] = {-1, -1};
  char **env = NULL;
  *pid = 0;
  int failed = hf__open_files(m, index, incarnation, true, err);
  if (!failed) failed = attach_text(m, index, incarnation, attach, sizeof attach, err);
  if (!failed && (env = environment(m, index, incarnation, attach, marker, heartbeat, err)) == NULL) failed = HF_ENOMEM;
  if (!failed) failed = open_output(m, index, incarnation, out, err);
  if (!failed) {
    HF_POINT("spawn-before-clone");
    hf_proc *p = &m->proc[index];
    bool in_cgroup = false;
    hf_spawn_args args = {.in_cgroup = &in_cgroup,
                          .spec = spec,
                          .slot = &m->segment->spawn[index],
                          .env = env,
                          .cgroup = p->cgroup_fd > 0 ? p->cgroup_fd : -1,
                          .files = &m->files,
                          .null_fd = m->null_fd,
                          .out_fd = out[0],
                          .err_fd = out[1],
                          .segment_fd = m->segment_fd,
                          .own_fd = m->proc[index].own_fd,
                          .bell_fd = m->bell_pass,
                          .notify_fd = hf__notify_passed(m, index)};
    failed = hf_spawn(&args, pid, pidfd, err);
    if (!in_cgroup && p->cgroup_fd > 0) {
      hf_k_close(p->cgroup_fd);
      p->cgroup_fd = 0;
    }
    HF_POINT("spawn-after-clone");
  }
  for (int i = 0; i < 2; i++)
    if (out[i] >= 0) hf_k_close(out[i]);
  free(env);
  return failed;
}

void hf__launched(hf_manager *m, unsigned index, pid_t pid, int pidfd, uint64_t now) {
  hf_proc *p = &m->proc[index];
  hf_err err;
  hf_status_word word = hf_status_word_now(m->segment, index);
  p->pidfd = pidfd;
  p->ended = false;
  p->ended_ns = 0;
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->stage = HF_STAGE_RUNNING;
  draft->started_ns = now;
  draft->cgroup = p->cgroup_fd > 0 ? p->cgroup_id : 0;
  hf_process_facts facts;
  int failed = HF_ESYS;
  for (int i = 0; i < FACTS_TRIES && failed == HF_ESYS; i++) failed = hf_process_facts_read(pid, &facts);
  if (failed == HF_ESYS) {
    // Without its start time it could not be told from a stranger with its number later. It stays announced, with its pid in the
    // spawn slot, and is adopted when /proc can be read (hf__adopt_again).
    hf_fail_sys(&err, "read", "/proc/%d/stat can't be read", (int)pid);
    hf__trouble(m, index, &err);
    hf_k_close(pidfd);
    p->pidfd = 0;
    hf__adopt_again(m, index, now);
    return;
  }
  draft->process = (hf_identity){.pid = pid, .start_time = failed ? 0 : facts.start_time};
  draft->parent_is_guardian = !failed && facts.parent == m->guardian;
  hf__move(m, index, draft, HF_STATE_STARTED, HF_WORD_INCARNATION(word), NULL);
  if (hf__watch(m, pidfd, HF_EPOLL_DATA(HF_EPOLL_PROCESS, index), &err) != 0) {
    hf__trouble(m, index, &err); // unwatched it could end unseen: hf__adopt_again tries until it is watched
    hf_k_close(pidfd);
    p->pidfd = 0;
  }
  m->acknowledged = true; // rings the guardian, which takes hold of the new FIFO
}

void hf__launch_failed(hf_manager *m, unsigned index, int errnum, const char *text, uint64_t now) {
  hf_proc *p = &m->proc[index];
  hf__afterwards(m, index); // of the ending before it: its line is not about this failure
  const hf_spec *spec = hf__spec(m, index);
  hf_spec fallback;
  if (spec == NULL) { // it was announced by a dead manager, and its definition can't be read now
    hf_spec_init(&fallback);
    spec = &fallback;
  }
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  hf_ending ending = {.spawn_failed = true, .exit_code = -1, .errnum = errnum};
  hf_verdict verdict = hf_policy_judge(spec, &draft->history, &ending, now, hf__random(m));
  hf__failure_keep(draft, &(hf_failure){.cause = HF_CAUSE_spawn,
                                        .phase = HF_STATE_STARTED,
                                        .exit_code = -1,
                                        .errnum = errnum,
                                        .incarnation = HF_WORD_INCARNATION(word)});
  draft->process = (hf_identity){0};
  draft->ended_ns = now;
  draft->exit_code = errnum == ENOENT ? 127 : 126; // as shells say it
  draft->exit_signal = 0;
  draft->settled_incarnation = HF_WORD_INCARNATION(word);
  draft->limited = verdict.limited;
  draft->finished = !verdict.restart;
  draft->respawn = verdict.restart;
  draft->next_start_ns = verdict.restart ? verdict.restart_at_ns : 0;
  draft->stage = verdict.restart ? HF_STAGE_BACKOFF : HF_STAGE_IDLE;
  hf_event details = {.cause = HF_CAUSE_spawn, .errnum = errnum};
  snprintf(details.detail, sizeof details.detail, "%.95s", text);
  hf__move(m, index, draft, HF_STATE_FAIL, HF_WORD_INCARNATION(word), &details);
  if (verdict.limited) hf__event(m, index, HF_EVENT_limited, "the restart limit was reached");
  hf__close_files(m, index, HF_WORD_INCARNATION(word));
  p->ended = false;
  const char *name = hf_status_now(m->segment, index)->name;
  hf__say(m, "%s could not be started: %s", name, text);
  if (strcmp(m->options->once, name) == 0)
    fprintf(stderr, "holdfast: %s could not be started: %s\n", name, text); // `run`: its terminal
}

void hf__launch(hf_manager *m, unsigned index, uint64_t now) {
  now = hf_now_mono_ns(); // not the loop's: what this start waited for may have happened since
  hf_status_word word = hf_status_word_now(m->segment, index);
  uint32_t incarnation = HF_WORD_INCARNATION(word) + 1;
  hf_spawn_slot *slot = &m->segment->spawn[index];
  hf_store_relaxed(&slot->pid, 0);
  hf_store_relaxed(&slot->errnum, 0);
  hf_store_relaxed(&slot->step, 0);
  hf_store_release(&slot->incarnation, incarnation); // pairs with the acquire in adopt.c
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->stage = HF_STAGE_SPAWNING;
  draft->process = (hf_identity){0};
  draft->restarts += draft->respawn ? 1 : 0;
  draft->respawn = draft->restart_after = draft->stop_reason = draft->stop_force = 0;
  draft->next_start_ns = draft->ready_ns = draft->ended_ns = draft->kill_at_ns = 0;
  draft->started_ns = now;
  memset(&draft->hang, 0, sizeof draft->hang);
  draft->capture_until_ns = 0;
  draft->capture_request = 0;
  draft->has_beaten = 0;
  hf__notify_reset(m, draft);
  draft->cgroup = 0; // known when it is born: a manager that finds it only announced looks for its tree in the other way
  int cgroup = hf_cgroup_open(m->cgroup_base, index, incarnation, true, &m->proc[index].cgroup_id);
  m->proc[index].cgroup_fd = cgroup >= 0 ? cgroup : 0;
  m->proc[index].late_attach_seen = 0;
  m->proc[index].tree_signalled = false;
  m->proc[index].kills = 0;
  if (hf__move(m, index, draft, HF_STATE_STARTED, incarnation, NULL) != 0) return;
  HF_POINT("spawn-announced");
  pid_t pid;
  int pidfd;
  hf_err err;
  if (spawn(m, index, incarnation, &pid, &pidfd, &err) == 0) {
    hf__launched(m, index, pid, pidfd, now);
    return;
  }
  struct stat st;
  bool vanished = err.errnum == ENOENT && hf_k_fstat(m->dir, &st) == 0 && st.st_nlink == 0;
  if (vanished)
    snprintf(err.text, sizeof err.text,
             "%s has vanished (removed, or by logind's RemoveIPC): end holdfastd and run holdfast up", m->options->dir);
  hf__launch_failed(m, index, err.errnum, err.text, now);
}
