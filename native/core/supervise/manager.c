// SPDX-License-Identifier: MIT
// The manager: one thread that waits on everything and decides (this loop), and two that carry output (logs.c). It keeps nothing
// that the next one needs; it may be killed between any two instructions.
//
// It writes: segment. It maps requests and exits read-only. It is rung by `bell`, and rings `bell.guardian`.
#include "supervise/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/events.h"
#include "process/status.h"
#include "supervise/bell.h"
#include "supervise/cgroup.h"

enum { UNARMED_MS = 10, TRIES = 500, LOG_FLUSH_NS = 300000000 };

// ---- small services -----------------------------------------------------------------------------------------------------

unsigned hf__slots(const hf_manager *m) {
  unsigned used = hf_load_acquire(&m->segment->header.slots_used); // pairs with the release in specs.c
  return used < HF_PROCESS_MAX ? used : HF_PROCESS_MAX;
}

const hf_spec *hf__spec(const hf_manager *m, unsigned index) {
  return m->proc[index].spec != NULL ? hf_spec_get(m->proc[index].spec) : NULL;
}

void hf__say(hf_manager *m, const char *format, ...) {
  char text[600];
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  used += (size_t)snprintf(text + used, sizeof text - used, ".%03ldZ ", now.tv_nsec / 1000000);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + used, sizeof text - used, format, arguments);
  va_end(arguments);
  if (m->logs != NULL && m->options->once[0] == 0) hf_logs_line(m->logs, HF_PROCESS_MAX, text); // `run`: nothing of ours
}

void hf__event(hf_manager *m, unsigned index, hf_event_type type, const char *detail) {
  hf_event event = {.type = type, .index = index};
  if (index < HF_PROCESS_MAX) {
    const hf_status *s = hf_status_now(m->segment, index);
    memcpy(event.name, s->name, sizeof event.name);
    event.pid = s->process.pid;
    event.incarnation = HF_WORD_INCARNATION(hf_status_word_now(m->segment, index));
  }
  snprintf(event.detail, sizeof event.detail, "%s", detail);
  hf_event_append(m->segment, &event);
}

void hf__trouble(hf_manager *m, unsigned index, const hf_err *err) {
  char text[96];
  snprintf(text, sizeof text, "%.95s", err->text);
  hf__event(m, index, HF_EVENT_trouble, text);
  hf__say(m, "trouble%s%s: %s", index < HF_PROCESS_MAX ? " with " : "",
          index < HF_PROCESS_MAX ? hf_status_now(m->segment, index)->name : "", err->text);
}

int hf__watch(hf_manager *m, int fd, uint64_t data, hf_err *err) {
  // An end is told once: it stays readable until the descriptor is closed.
  bool once = data >> 32 == HF_EPOLL_PROCESS;
  struct epoll_event event = {.events = once ? EPOLLIN | EPOLLONESHOT : EPOLLIN, .data.u64 = data};
  return hf_k_epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &event) == 0
             ? 0
             : hf_fail_sys(err, "epoll_ctl", "a descriptor can't be watched");
}

uint64_t hf__random(hf_manager *m) { // xorshift64*: the jitter needs no more
  m->random ^= m->random >> 12;
  m->random ^= m->random << 25;
  m->random ^= m->random >> 27;
  return m->random * 0x2545f4914f6cdd1du;
}

uint64_t hf__dropped(const hf_manager *m, unsigned index) {
  return m->proc[index].dropped_base + hf_logs_dropped(m->logs, index);
}

// ---- loop ---------------------------------------------------------------------------------------------------------------

// Makes a descriptor survive the exec under the number that the arguments name. dup2 onto itself would leave it close-on-exec.
static bool keep(int fd, int number) {
  if (fd < 0) return true;
  return fd == number ? hf_k_fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, number) == number;
}

// The guardian is dead: this very process becomes it, by executing itself anew. No forked image ever goes on running.
static void become_guardian(hf_manager *m) {
  hf_logs_destroy(m->logs, LOG_FLUSH_NS);
  m->next = *m->options;
  m->next.manager = false;
  m->next.hurry = m->hurry;
  m->next.going_down = hf_load_relaxed(&m->segment->header.shutting_down) != 0;
  hf_daemon_argv arguments;
  hf_daemon_arguments(&m->next, &arguments);
  extern char **environ;
  for (int i = 0; i < TRIES; i++) { // memory may be short for a moment, and nobody else looks after what lives
    struct timespec pause = {0, 10000000};
    if (keep(m->next.lock_fd, HF_KEEP_LOCK) && keep(m->next.ready_fd, HF_KEEP_READY) &&
        keep(m->next.notify_fd, HF_KEEP_NOTIFY))
      (void)hf_k_execve("/proc/self/exe", arguments.argv, environ);
    nanosleep(&pause, NULL);
  }
  _exit(70); // the lock is free now: `holdfast up` starts both again, and they adopt
}

static void read_signals(hf_manager *m) {
  struct signalfd_siginfo info;
  while (hf_k_read(m->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGUSR1 && !m->hurry) m->hurry_ns = hf_now_mono_ns();
    m->hurry |= info.ssi_signo == SIGUSR1;
    hf_store_release(&m->segment->header.shutting_down, 1);
  }
}

static void take_shutdown(hf_manager *m) {
  static bool told;
  if (hf_load_acquire(&m->requests->header.shutdown)) hf_store_release(&m->segment->header.shutting_down, 1);
  if (told || !hf_load_relaxed(&m->segment->header.shutting_down)) return;
  told = true;
  m->acknowledged |= m->options->systemd[0] != 0; // rings the guardian, which tells systemd
  hf__event(m, UINT32_MAX, HF_EVENT_down, m->hurry ? "its owner died" : "it was asked to end");
  hf__say(m, "the instance is being stopped%s", m->hurry ? ": its owner died" : "");
}

static void step_all(hf_manager *m, uint64_t now) {
  for (int pass = 0; pass < 8; pass++) {
    m->look_again = false;
    for (unsigned i = 0; i < hf__slots(m); i++) hf__step(m, i, now);
    if (!m->look_again) return;
  }
  if (hf__slots(m) > 0) m->proc[0].look_at_ns = now + 1000000;
}

// Notes what output was dropped, where somebody may read it.
static void note_drops(hf_manager *m) {
  for (unsigned i = 0; i < hf__slots(m); i++) {
    uint64_t dropped = hf__dropped(m, i);
    const hf_status *s = hf_status_now(m->segment, i);
    if (s->name[0] == 0 || dropped <= s->dropped_bytes) continue;
    hf_status_word word = hf_status_word_now(m->segment, i);
    bool first = s->dropped_bytes == 0;
    hf_status *draft = hf_status_begin(m->segment, i);
    draft->dropped_bytes = dropped;
    hf__move(m, i, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
    if (first) hf__event(m, i, HF_EVENT_dropped, "the disk is slow or full; see its log for how much");
  }
}

static uint64_t sooner_of(uint64_t one, uint64_t other) { return one == 0 || (other != 0 && other < one) ? other : one; }

// When a process or the definitions are to be looked at again, as of the last pass over all of them.
static void plan_step(hf_manager *m) {
  m->step_at_ns = m->scan_at_ns;
  for (unsigned i = 0; i < hf__slots(m); i++) m->step_at_ns = sooner_of(m->step_at_ns, m->proc[i].look_at_ns);
}

static void arm_timer(hf_manager *m) {
  uint64_t soonest = sooner_of(sooner_of(m->step_at_ns, hf__hearts_next(m)), hf__beat_next(m));
  if (soonest == m->timer_ns) {
    m->unarmed = false;
    return;
  }
  m->unarmed = hf_k_timerfd_settime(m->timer, soonest) != 0;
  if (!m->unarmed) m->timer_ns = soonest;
}

// What a pass of the loop was woken by.
typedef struct wakening {
  unsigned rung;     // HF_RUNG_…
  bool ended;        // a process
  bool timer, other; // other: a signal, the guardian, a message, or nothing at all
} wakening;

static void wait_for_something(hf_manager *m, wakening *w) {
  struct epoll_event events[64];
  int n;
  do n = hf_k_epoll_wait(m->epoll, events, 64, m->unarmed || m->options->ready_fd >= 0 ? UNARMED_MS : -1);
  while (n < 0 && errno == EINTR); // a debugger that attaches
  *w = (wakening){.other = n <= 0};
  for (int i = 0; i < n; i++) {
    unsigned kind = (unsigned)(events[i].data.u64 >> 32), index = (unsigned)events[i].data.u64;
    uint64_t expirations;
    if (kind == HF_EPOLL_TIMER) {
      w->timer |= read(m->timer, &expirations, sizeof expirations) > 0;
      continue;
    }
    w->other |= kind != HF_EPOLL_BELL && kind != HF_EPOLL_PROCESS && kind != HF_EPOLL_NOTIFY;
    if (kind == HF_EPOLL_BELL) w->rung |= hf_bell_drain(m->bell);
    else if (kind == HF_EPOLL_SIGNALS) read_signals(m);
    else if (kind == HF_EPOLL_GUARDIAN) m->guardian_died = true;
    else if (kind == HF_EPOLL_NOTIFY) w->other |= hf__notify_read(m, hf_now_mono_ns());
    else if (kind == HF_EPOLL_PROCESS && m->proc[index].pidfd > 0 && !m->proc[index].ended) {
      m->proc[index].ended = w->ended = true;
    }
  }
}

static bool all_rest(const hf_manager *m) {
  for (unsigned i = 0; i < hf__slots(m); i++)
    if (hf_status_now(m->segment, i)->stage > HF_STAGE_BACKOFF) return false;
  return true;
}

static void publish(hf_manager *m) {
  if (m->acknowledged) hf_bell_ring(m->guardian_bell, HF_RING_ANY);
  m->acknowledged = false;
  hf_changes_publish(m->segment);
}

// --once: the code of its process, when that has ended for good; -1 before. Derived from the status, so that any manager can.
static int once_code(const hf_manager *m) {
  for (unsigned i = 0; m->options->once[0] != 0 && i < hf__slots(m); i++) {
    const hf_status *s = hf_status_now(m->segment, i);
    if (strcmp(s->name, m->options->once) != 0) continue;
    bool going_down = hf_load_relaxed(&m->segment->header.shutting_down) != 0;
    if (s->stage > HF_STAGE_BACKOFF || s->ended_ns == 0 || !(s->finished || s->wanted == HF_WANTED_STOP || going_down))
      return -1;
    return s->exit_signal > 0 ? 128 + s->exit_signal : s->exit_code >= 0 ? s->exit_code : 1;
  }
  return -1;
}

static int finish(hf_manager *m) {
  hf__say(m, "holdfastd %d ends: everything is stopped", (int)getpid());
  hf_logs_destroy(m->logs, 2000000000u);
  hf_cgroup_remove(m->dir);
  hf_store_release(&m->segment->header.down, 1);
  atomic_fetch_add_explicit(&m->segment->header.changes, 1, memory_order_release);
  publish(m);
  int code = once_code(m);
  return code > 0 ? code : 0;
}

// The judge doubts itself: woken much later than it had planned (stopped, suspended, starved) it gives back what was missed. See
// hf__deadline.
static void doubt(hf_manager *m, uint64_t now) {
  enum { LATE_NS = 100000000 };
  if (m->timer_ns == 0 || now < m->timer_ns + LATE_NS) return;
  m->left_ns = m->timer_ns;
  m->back_ns = now;
}

// A deadline of a process that had `patience_ns` in all. Where we were away it gets as much time again as that was, from when we are
// back, but no more than it had in the beginning, and a minute. An absence that began only after all of that is no reason any more:
// a manager that is late all the time condemns too.
uint64_t hf__deadline(const hf_manager *m, uint64_t when_ns, uint64_t patience_ns) {
  static const uint64_t LONGEST_NS = 60000000000u;
  uint64_t more = patience_ns < LONGEST_NS ? patience_ns : LONGEST_NS;
  uint64_t away = m->back_ns - m->left_ns, again = m->back_ns + (away < more ? away : more);
  return again > when_ns && m->left_ns <= when_ns + more ? again : when_ns;
}

// Going down, and nothing is on its way: what holds the rest back is a circle of dependencies.
static bool stuck(const hf_manager *m) {
  if (!hf_load_relaxed(&m->segment->header.shutting_down)) return false;
  for (unsigned i = 0; i < hf__slots(m); i++) {
    unsigned stage = hf_status_now(m->segment, i)->stage;
    if (stage >= HF_STAGE_STOPPING) return false;
  }
  return true;
}

// Tells whoever started this instance, once: the next managers get no such descriptor. What fails is tried again.
static void tell_ready(hf_manager *m) {
  int fd = m->options->ready_fd;
  if (fd < 0 && hf_load_relaxed(&m->segment->header.told_guardian) == (int32_t)m->guardian) return;
  if (fd >= 0 && hf_k_write(fd, "ready\n", 6) != 6) {
    if (errno != EPIPE) return;
    hf__say(m, "whoever started this instance could not be told that it is ready");
  }
  hf_store_release(&m->segment->header.told_guardian, (int32_t)m->guardian); // pairs with the acquire in the guardian
  if (fd >= 0) hf_k_close(fd);
  ((hf_daemon_options *)(uintptr_t)m->options)->ready_fd = -1;
  if (m->options->systemd[0] != 0) hf_bell_ring(m->guardian_bell, HF_RING_ANY); // which tells systemd
}

// Everything but the cells: whoever ended first, then requests, definitions, and one step of each process. The exit code of the
// instance, or -1 to go on.
static int look_at_all(hf_manager *m, const wakening *w, uint64_t now) {
  if (w->ended || (w->rung & (HF_RUNG_NOTE | HF_RUNG_ANY)))
    for (unsigned i = 0; i < hf__slots(m); i++)
      if (m->proc[i].ended) hf__step(m, i, now); // recovery comes first
  if (w->rung & HF_RUNG_NOTE) hf__strangers_acknowledge(m);
  take_shutdown(m);
  bool scan_due = m->scan_at_ns != 0 && now >= m->scan_at_ns;
  if (scan_due || hf_load_acquire(&m->requests->header.specs_wanted) != m->specs_seen) hf__specs_scan(m, now);
  m->phases_rung = (w->rung & (HF_RUNG_PHASE | HF_RUNG_ANY)) != 0;
  m->cells_rung = (w->rung & (HF_RUNG_CELLS | HF_RUNG_ANY)) != 0;
  step_all(m, now);
  if (stuck(m) && !all_rest(m)) {
    m->ignore_dependents = true;
    step_all(m, now);
  }
  if (w->rung & HF_RUNG_ANY) note_drops(m);
  if (once_code(m) >= 0) hf_store_release(&m->segment->header.shutting_down, 1);
  publish(m);
  if (m->options->ready_fd >= 0 || m->options->systemd[0] != 0) tell_ready(m);
  plan_step(m);
  if (hf_load_relaxed(&m->segment->header.shutting_down) && all_rest(m)) return finish(m);
  return -1;
}

static int loop(hf_manager *m) {
  wakening w = {.rung = HF_RUNG_ANY};
  for (;;) {
    uint64_t now = hf_now_mono_ns();
    doubt(m, now);
    hf__beat(m, now);
    uint64_t sweep_at = hf__hearts_next(m);
    bool condemned = sweep_at != 0 && now >= sweep_at && hf__hearts_sweep(m, now);
    // Where only a sweep was due, nothing else is looked at: that comes hundreds of times a second.
    bool step_due = m->step_at_ns != 0 && now >= m->step_at_ns;
    hf__hearts_publish(m, now);
    if (condemned || step_due || (w.rung & ~(unsigned)HF_RUNG_AGES) != 0 || w.ended || w.other) {
      int code = look_at_all(m, &w, now);
      if (code >= 0) return code;
    }
    if (m->guardian_died) become_guardian(m);
    if (w.timer) m->timer_ns = 0; // it has fired, and doubt() has looked at how late
    arm_timer(m);
    wait_for_something(m, &w);
  }
}

int hf_manager_run(hf_daemon_options *options) {
  static hf_manager only;
  hf_manager *m = &only;
  hf_err err;
  m->options = options;
  if (hf__start(m, &err) != 0) {
    fprintf(stderr, "holdfastd: %s\n", err.text);
    return HF_EXIT_REFUSED;
  }
  return loop(m);
}
