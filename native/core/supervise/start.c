// SPDX-License-Identifier: MIT
// The start of a manager: its files, its loop's descriptors, its logs; then it takes over what a dead one left.
#include "supervise/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/events.h"
#include "process/identity.h"
#include "process/status.h"
#include "segment/dir.h"
#include "segment/segment.h"
#include "supervise/bell.h"
#include "supervise/cgroup.h"
#include "supervise/spawn.h"

enum { OWN_LOG_BYTES = 10 * 1000 * 1000, OWN_LOG_KEEP = 3 };

static int open_files(hf_manager *m, hf_err *err) {
  const hf_daemon_options *o = m->options;
  if ((m->dir = hf_dir_open(o->dir, false, err)) < 0) return m->dir;
  if (hf_k_mkdirat(m->dir, "spec", 0700) != 0 && errno != EEXIST) return hf_fail_sys(err, "mkdir", "spec can't be made");
  m->spec_dir = hf_k_openat(m->dir, "spec", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (m->spec_dir < 0) return hf_fail_sys(err, "open", "spec can't be opened");
  int failed = hf_segment_attach(m->dir, true, &m->segment, err);
  if (!failed) failed = hf_requests_attach(m->dir, false, &m->requests, err);
  if (!failed) failed = hf_exits_attach(m->dir, false, &m->exits, err);
  if (failed) return failed;
  if ((m->segment_fd = hf_dir_open_file(m->dir, "segment", O_RDONLY, err)) < 0) return m->segment_fd;
  if ((m->bell = hf_bell_open(m->dir, "bell", err)) < 0) return m->bell;
  if ((m->bell_pass = hf_bell_open(m->dir, "bell", err)) < 0) return m->bell_pass;
  if ((m->guardian_bell = hf_bell_open(m->dir, "bell.guardian", err)) < 0) return m->guardian_bell;
  return 0;
}

static int open_loop(hf_manager *m, hf_err *err) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  if ((m->epoll = hf_k_epoll_create1(EPOLL_CLOEXEC)) < 0) return hf_fail_sys(err, "epoll_create1", "nothing can be awaited");
  if ((m->timer = hf_k_timerfd_create()) < 0) return hf_fail_sys(err, "timerfd_create", "no timer can be made");
  if ((m->signals = hf_k_signalfd(&set)) < 0) return hf_fail_sys(err, "signalfd", "signals can't be read");
  m->guardian = getppid();
  if ((m->guardian_fd = hf_k_pidfd_open(m->guardian)) < 0)
    return hf_fail_sys(err, "pidfd_open", "the guardian can't be watched: Linux 5.4 or newer is needed");
  m->guardian_died = getppid() != m->guardian;
  int failed = hf__watch(m, m->bell, HF_EPOLL_DATA(HF_EPOLL_BELL, 0), err);
  if (!failed) failed = hf__watch(m, m->timer, HF_EPOLL_DATA(HF_EPOLL_TIMER, 0), err);
  if (!failed) failed = hf__watch(m, m->signals, HF_EPOLL_DATA(HF_EPOLL_SIGNALS, 0), err);
  if (!failed) failed = hf__watch(m, m->guardian_fd, HF_EPOLL_DATA(HF_EPOLL_GUARDIAN, 0), err);
  return failed;
}

static void ring_self(void *context) { hf_bell_ring(((hf_manager *)context)->bell, HF_RING_ANY); }

static int open_logs(hf_manager *m, hf_err *err) {
  int failed = hf_logs_create(&m->logs, m->options->foreground, err);
  if (failed) return failed;
  hf_logs_on_drop(m->logs, ring_self, m);
  char settings[8192];
  ssize_t size = hf_dir_read(m->dir, "instance", settings, sizeof settings - 1, err);
  if (size < 0 && size != HF_ENOENT) return (int)size;
  settings[size > 0 ? size : 0] = 0;
  hf_log_target target = {.max_bytes = OWN_LOG_BYTES, .keep = OWN_LOG_KEEP};
  char *rest = NULL;
  for (char *line = strtok_r(settings, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
    if (strncmp(line, "log_dir=", 8) == 0) snprintf(target.path, sizeof target.path, "%.480s/holdfastd.log", line + 8);
  if (m->options->once[0] == 0) snprintf(target.prefix, sizeof target.prefix, "holdfastd");
  else target.path[0] = 0; // `run` says what its command says, and nothing else
  return hf_logs_open_own(m->logs, HF_PROCESS_MAX, &target, err);
}

// Moves that a dead manager logged and did not commit: they are later than the last event that the status of the process knows.
static void inherit_events(hf_manager *m) {
  uint64_t tail = hf_load_relaxed(&m->segment->header.event_tail);
  for (uint64_t sequence = hf_events_first(m->segment); sequence < tail; sequence++) {
    hf_event event;
    if (hf_event_read(m->segment, sequence, &event) != 1 || event.type != HF_EVENT_state || event.index >= hf__slots(m))
      continue;
    if (sequence > hf_status_now(m->segment, event.index)->event_sequence) m->proc[event.index].inherited_event = sequence;
  }
}

// Writes who manages. From here on readers see this manager.
static int take_over(hf_manager *m, hf_err *err) {
  hf_segment_header *header = &m->segment->header;
  hf_identity guardian = {0}, manager = {0};
  // The guardian may be gone already, and is then replaced; what can't be read is another matter: nobody would see who manages.
  if (hf_identity_read(m->guardian, &guardian) == HF_ESYS || hf_identity_read(getpid(), &manager) != 0)
    return hf_fail(err, HF_ESYS, "/proc/%d/stat can't be read: /proc must be mounted", (int)getpid());
  hf_events_recover(m->segment);
  inherit_events(m);
  bool first = header->manager.pid == 0;
  if (!first) header->manager_restarts++;
  header->guardian = guardian;
  header->manager_started_mono_ns = hf_now_mono_ns();
  header->manager = manager;
  // What the dead manager was told by a signal its guardian tells this one too.
  hf_store_release(&header->shutting_down, m->options->going_down ? 1u : 0u);
  hf_store_release(&header->down, 0);
  snprintf(header->instance, sizeof header->instance, "%s", m->options->instance);
  return 0;
}

int hf__start(hf_manager *m, hf_err *err) {
  // One arena, returned early: the daemon is small and stays so.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, 64 * 1024);
  int failed = open_files(m, err);
  if (failed) return failed;
  if ((failed = open_loop(m, err)) != 0 || (failed = open_logs(m, err)) != 0) return failed;
  if (getrlimit(RLIMIT_NOFILE, &m->files) != 0) return hf_fail_sys(err, "getrlimit", "the limit of open files can't be read");
  m->files.rlim_cur = m->options->files;
  m->null_fd = hf_k_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
  if (m->null_fd < 0) return hf_fail_sys(err, "open", "/dev/null can't be opened");
  m->cgroup_base = hf_cgroup_base(m->dir);
  if ((failed = hf_spawn_reserve(m->null_fd, err)) != 0 || (failed = hf__notify_open(m, err)) != 0) return failed;
  snprintf(m->id_dir, sizeof m->id_dir, "HOLDFAST_DIR=%s", m->options->dir);
  m->random = hf_now_mono_ns() * 2 + 1;
  m->acknowledged = true; // the dead manager may have acknowledged notes without ringing
  m->hurry = m->options->hurry;
  if ((failed = hf__hearts_begin(m, err)) != 0 || (failed = take_over(m, err)) != 0) return failed;
  hf__say(m, "holdfastd %d manages %s", (int)getpid(), m->options->dir);
  uint64_t now = hf_now_mono_ns();
  hf__specs_scan(m, now);
  char text[64];
  snprintf(text, sizeof text, "it took over %d living processes", hf__adopt(m, now));
  hf__notify_restore(m, now);
  m->acknowledged = true; // rings the guardian, which may be new too
  hf__event(m, UINT32_MAX, HF_EVENT_manager, m->segment->header.manager_restarts ? text : "it is the first");
  return 0;
}
