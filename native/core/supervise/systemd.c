// SPDX-License-Identifier: MIT
// holdfastd under systemd. The guardian is the main process and does the talking; whether the manager is well it sees in the segment:
// `beat` moves while the manager's loop comes round in time. A manager that hangs, is stopped, or is late moves it no more, and then
// systemd hears no WATCHDOG=1 either.
//
// Heartbeats are swept by that same loop, in the pass that beats: where sweeps stand still, so does `beat`. That a sweep alone is late
// by some milliseconds (hf_monitor_on_time) is no reason to be killed: the monitor takes its own lateness off the silences.
#include "supervise/systemd.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "supervise/manager.h"

enum { AGAIN_MS = 100 };
#define GIVE_UP_NS (UINT64_C(60) * 1000000000)
#define WATCHDOG_MAX_US (UINT64_C(366) * 86400 * 1000000)

// ---- both: what systemd has set -----------------------------------------------------------------------------------------

static uint64_t number_in(const char *text) {
  char *end;
  if (text == NULL || *text < '0' || *text > '9') return 0;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  return errno == 0 && *end == 0 ? value : 0;
}

void hf_systemd_take(hf_daemon_options *o) {
  const char *path = getenv("NOTIFY_SOCKET"), *pid = getenv("WATCHDOG_PID");
  uint64_t period_us = number_in(getenv("WATCHDOG_USEC"));
  // An embedder speaks for itself. Other kinds of address (vsock:) are for virtual machines.
  if (o->owner.pid == 0 && path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != 0 &&
      strlen(path) < sizeof o->systemd) {
    snprintf(o->systemd, sizeof o->systemd, "%s", path);
    bool mine = pid == NULL || number_in(pid) == (uint64_t)getpid();
    if (mine && period_us <= WATCHDOG_MAX_US) o->watchdog_ns = period_us * 1000;
  }
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
}

// ---- the manager --------------------------------------------------------------------------------------------------------

void hf__beat(hf_manager *m, uint64_t now) {
  uint64_t quarter = m->options->watchdog_ns / 4;
  if (quarter == 0 || now < m->beat_at_ns) return;
  // Late by more than a quarter it does not count: only a loop that is in time again does.
  bool late = m->beat_at_ns != 0 && now - m->beat_at_ns > quarter;
  if (!late) atomic_fetch_add_explicit(&m->segment->header.beat, 1, memory_order_relaxed);
  m->beat_at_ns = now + quarter;
}

uint64_t hf__beat_next(const hf_manager *m) { return m->beat_at_ns; }

// ---- the guardian -------------------------------------------------------------------------------------------------------

// True where systemd has it, or will never have it.
static bool tell(hf_systemd *s, const char *text, uint64_t now) {
  ssize_t sent = hf_k_sendto(s->fd, text, strlen(text), (const struct sockaddr *)&s->address, s->address_size);
  if (sent >= 0) {
    s->give_up_ns = 0;
    return true;
  }
  if (s->give_up_ns == 0) s->give_up_ns = now + GIVE_UP_NS; // its queue is full, or it executes itself anew
  if (now < s->give_up_ns) return false;
  fprintf(stderr, "holdfastd: systemd can't be told: %s\n", strerror(errno));
  hf_k_close(s->fd);
  s->fd = -1;
  return true;
}

static void tell_main(hf_systemd *s, uint64_t now) {
  char text[32];
  snprintf(text, sizeof text, "MAINPID=%d\n", (int)getpid());
  s->owes_main = !tell(s, text, now);
}

void hf_systemd_begin(hf_systemd *s, const hf_daemon_options *o, bool main_changed) {
  if (o->systemd[0] == 0) return;
  size_t length = strlen(o->systemd);
  s->fd = hf_k_socket(AF_UNIX, SOCK_DGRAM);
  s->address.sun_family = AF_UNIX;
  memcpy(s->address.sun_path, o->systemd, length);
  if (o->systemd[0] == '@') s->address.sun_path[0] = 0;
  s->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (o->systemd[0] == '/'));
  snprintf(s->dir, sizeof s->dir, "%s", o->dir);
  s->watchdog_ns = o->watchdog_ns;
  if (s->fd < 0) fprintf(stderr, "holdfastd: systemd can't be told: %s\n", strerror(errno));
  else if (main_changed) tell_main(s, hf_now_mono_ns());
}

// Looks whether the manager has beaten since the last time: every half of the period, and sooner while it has not.
static void watch(hf_systemd *s, const hf_segment *segment, uint64_t now) {
  if (now < s->look_at_ns) return;
  uint64_t beat = hf_load_relaxed(&segment->header.beat);
  bool moved = beat != s->beat_seen && tell(s, "WATCHDOG=1\n", now);
  if (moved) s->beat_seen = beat;
  s->look_at_ns = now + s->watchdog_ns / (moved ? 2 : 8);
}

int hf_systemd_step(hf_systemd *s, const hf_segment *segment, bool going_down, uint64_t now) {
  if (s->fd <= 0) return -1;
  bool stopping = going_down || hf_load_relaxed(&segment->header.shutting_down);
  if (s->owes_main) tell_main(s, now);
  // Pairs with the release in tell_ready (manager.c).
  if (!s->told_ready && s->fd > 0 && hf_load_acquire(&segment->header.told_guardian) == getpid()) {
    char text[160];
    snprintf(text, sizeof text, "READY=1\nSTATUS=Managing the instance in %s\n", s->dir);
    s->told_ready = tell(s, text, now);
  }
  if (stopping && !s->told_stopping && s->fd > 0)
    s->told_stopping = tell(s, "STOPPING=1\nSTATUS=Stopping all processes\n", now);
  if (s->watchdog_ns != 0 && s->fd > 0) watch(s, segment, now);
  if (s->fd <= 0) return -1;
  bool owed = s->owes_main || (stopping && !s->told_stopping) || s->give_up_ns != 0;
  uint64_t left_ms = s->watchdog_ns == 0 ? UINT64_MAX : s->look_at_ns > now ? (s->look_at_ns - now + 999999) / 1000000 : 0;
  if (owed && left_ms > AGAIN_MS) left_ms = AGAIN_MS;
  return left_ms == UINT64_MAX ? -1 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}
