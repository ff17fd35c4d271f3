// SPDX-License-Identifier: MIT
// The guardian: parent of all, and nothing else. It starts the manager, and again when it died; it notes how its children ended,
// and reaps them when the manager has dealt with the note; it holds the output FIFOs open, so that last words survive a missing
// manager; it hears stop signals and its owner's death, and tells the manager. It is the subreaper, so orphans land here.
//
// It writes: exits. It maps segment read-only. It rings `bell`, and is rung by `bell.guardian`.
// If it dies: its children belong to init, and the manager executes itself as the guardian (see manager.c).
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/identity.h"
#include "segment/dir.h"
#include "segment/segment.h"
#include "supervise/bell.h"
#include "supervise/exits.h"
#include "supervise/guardian.h"
#include "supervise/notify.h"
#include "supervise/remove.h"

enum { DEATHS_PER_MINUTE = 1000, AGAIN_MS = 10, REFUSED_MAX = 3, GRACE_MS = 5000 };

static int say(const hf_err *err) {
  fprintf(stderr, "holdfastd: %s\n", err->text);
  return HF_EXIT_REFUSED;
}

// ---- the manager --------------------------------------------------------------------------------------------------------

extern char **environ;

static int start_manager(hf_guardian *g, hf_err *err) {
  hf_daemon_options options = *g->options;
  options.manager = true;
  options.lock_fd = g->lock;
  options.going_down = g->down;
  hf_daemon_argv arguments;
  hf_daemon_arguments(&options, &arguments);
  int keep[3] = {g->lock, options.ready_fd, options.notify_fd};
  if (hf_k_spawn(&g->manager, "/proc/self/exe", arguments.argv, environ, keep, 3) != 0) {
    g->manager = 0;
    return hf_fail_sys(err, "spawn", "no manager can be started");
  }
  return 0;
}

// At most a thousand starts a minute come without a pause; past that there is one, so that a broken machine is not burned.
static int pause_ms(hf_guardian *g) {
  uint64_t now = hf_now_mono_ns();
  if (g->window_start_ns == 0 || now - g->window_start_ns > 60u * 1000000000ull) {
    g->window_start_ns = now;
    g->deaths_in_window = 0;
  }
  if (g->refused > 1)
    return g->refused > 8 ? 1000 : 4 << g->refused; // it can't start: the directory is gone, or no memory is left
  return ++g->deaths_in_window > DEATHS_PER_MINUTE ? 1000 : 0;
}

static bool terminate(pid_t pid, void *context) {
  int fd = hf_k_pidfd_open(pid); // our own child: the number can't be another's
  if (fd < 0) return true;
  (void)hf_k_pidfd_send_signal(fd, *(int *)context);
  hf_k_close(fd);
  return true;
}

// The end was asked for, and no manager can be had (its directory is gone): the children are ended from here.
static int end_without_manager(void) {
  for (int waited = 0;; waited += AGAIN_MS) {
    int number = waited < GRACE_MS ? SIGTERM : SIGKILL;
    siginfo_t info;
    if (waited == 0 || waited >= GRACE_MS) hf_children_each(getpid(), terminate, &number);
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) info.si_pid = 0;
    if (errno == ECHILD && waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0) return HF_EXIT_REFUSED;
    poll(NULL, 0, AGAIN_MS);
  }
}

// The manager is a zombie of ours. Returns -1 to go on, else the exit code of the instance.
static int manager_ended(hf_guardian *g) {
  siginfo_t info;
  if (hf_k_waitid_reap(g->manager, &info) != 0) {
    g->again = true;
    return -1;
  }
  bool took_over = g->segment->header.manager.pid == g->manager;
  g->ever_managed |= took_over;
  g->refused = took_over ? 0 : g->refused + 1;
  g->manager = 0;
  if (hf_load_acquire(&g->segment->header.told_guardian) == getpid()) { // else the next manager tells it
    if (g->options->ready_fd >= 0) hf_k_close(g->options->ready_fd);
    g->options->ready_fd = -1;
  }
  if (info.si_code == CLD_EXITED && hf_load_acquire(&g->segment->header.down)) return info.si_status;
  if (!g->ever_managed && info.si_code == CLD_EXITED) return HF_EXIT_REFUSED; // it has said why
  if (g->down && g->refused >= REFUSED_MAX) return end_without_manager();
  return -1;
}

static void tell_manager(hf_guardian *g, int number) {
  g->down = true;
  g->tell = 0;
  // Our own unreaped child: the pid can't be another's. Without a manager the next one is told at its start.
  if (g->manager <= 0 || hf_k_kill(g->manager, number) == 0) return;
  g->tell = number;
  g->again = true;
}

static void read_signals(hf_guardian *g, bool *child) {
  struct signalfd_siginfo info;
  while (hf_k_read(g->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGCHLD) *child = true;
    else if (info.ssi_signo != SIGHUP || g->options->foreground) tell_manager(g, SIGTERM);
  }
}

// ---- start and loop -----------------------------------------------------------------------------------------------------

// Takes the lock of the instance: at most one guardian and manager. A lock file that was removed meanwhile does not count.
static int take_lock(hf_guardian *g, hf_err *err) {
  if (g->options->lock_fd >= 0) {
    g->lock = g->options->lock_fd;
    return 0;
  }
  for (;;) {
    int fd = hf_dir_open_file(g->dir, "lock", O_RDWR | O_CREAT, err);
    if (fd < 0) return fd;
    struct stat ours, there;
    if (hf_k_flock(fd, LOCK_EX | LOCK_NB) != 0) {
      int failed = errno == EWOULDBLOCK
                       ? hf_fail(err, HF_EBUSY,
                                 "another manager holds the instance in %s: use it, or choose another --instance or --dir",
                                 g->options->dir)
                       : hf_fail_sys(err, "flock", "the instance can't be locked");
      hf_k_close(fd);
      return failed;
    }
    if (hf_k_fstat(fd, &ours) == 0 && hf_k_fstatat(g->dir, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_ino == there.st_ino) {
      g->lock = fd;
      return 0;
    }
    hf_k_close(fd);
  }
}

static int open_signals(hf_guardian *g, hf_err *err) {
  sigset_t set;
  sigemptyset(&set);
  static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaddset(&set, numbers[i]);
  g->signals = hf_k_signalfd(&set);
  return g->signals < 0 ? hf_fail_sys(err, "signalfd", "signals can't be read") : 0;
}

static int open_all(hf_guardian *g, hf_err *err) {
  hf_daemon_options *o = g->options;
  g->dir = hf_dir_open(o->dir, o->lock_fd < 0, err); // with a lock brought along it is there, or it is lost
  if (g->dir < 0) return g->dir;
  int failed = take_lock(g, err);
  if (failed) return failed;
  failed = hf_segment_create(g->dir, o->instance, err);
  if (!failed) failed = hf_segment_attach(g->dir, false, &g->segment, err);
  if (failed == HF_EBOOT && (failed = hf_segment_discard(g->dir, err)) == 0) {
    failed = hf_segment_create(g->dir, o->instance, err);
    if (!failed) failed = hf_segment_attach(g->dir, false, &g->segment, err);
  }
  if (!failed) failed = hf_exits_attach(g->dir, true, &g->exits, err);
  if (!failed && o->notify_fd < 0 && (o->notify_fd = hf_notify_listen(g->dir, err)) < 0) failed = o->notify_fd;
  if (failed) return failed;
  hf_exits_recover(g->exits);
  if ((g->manager_bell = hf_bell_open(g->dir, "bell", err)) < 0) return g->manager_bell;
  if ((g->bell = hf_bell_open(g->dir, "bell.guardian", err)) < 0) return g->bell;
  if (hf_k_prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return hf_fail_sys(err, "prctl", "orphans can't be taken in");
  if (o->owner.pid > 0) {
    g->owner = hf_identity_open(&o->owner, err);
    if (g->owner == HF_EUNKNOWN) g->down = o->hurry = true; // it died before we looked
    else if (g->owner < 0) return g->owner;
  }
  return open_signals(g, err);
}

static void close_all(hf_guardian *g) {
  int *const fds[] = {&g->dir, &g->manager_bell, &g->bell, &g->signals, &g->owner};
  for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
    if (*fds[i] >= 0) hf_k_close(*fds[i]);
    *fds[i] = -1;
  }
  hf_segment_unmap(g->segment, sizeof *g->segment);
  hf_segment_unmap(g->exits, sizeof *g->exits);
  g->segment = NULL;
  g->exits = NULL;
}

static void wait_for_something(hf_guardian *g, int timeout_ms, bool *rung, bool *child, bool *owner_died) {
  struct pollfd fds[3] = {{g->signals, POLLIN, 0}, {g->bell, POLLIN, 0}, {g->owner, POLLIN, 0}};
  int n = poll(fds, 3, timeout_ms);
  if (n < 0 && errno != EINTR) usleep(1000); // out of memory for a moment; nothing else can be awaited then
  if (fds[0].revents) read_signals(g, child);
  if (fds[1].revents) *rung |= hf_bell_drain(g->bell) != 0;
  if (fds[2].revents) *owner_died = true;
}

static int loop(hf_guardian *g) {
  int wait_ms = 0; // not yet: start the manager first
  for (;;) {
    if (g->manager == 0 && wait_ms <= 0) {
      hf_err err;
      if (start_manager(g, &err) != 0) {
        if (!g->ever_managed) return say(&err);
        wait_ms = 50; // no memory or process for it: try again
      }
    }
    // What failed is looked at again as if it had just been told.
    bool rung = g->again, child = g->again, owner_died = false;
    int timeout_ms = g->manager == 0 ? wait_ms : g->again ? AGAIN_MS : g->zombie_count == HF_EXIT_NOTE_MAX ? 100 : -1;
    int look_ms = hf_systemd_step(&g->systemd, g->segment, g->down, hf_now_mono_ns());
    if (look_ms >= 0 && (timeout_ms < 0 || look_ms < timeout_ms)) timeout_ms = look_ms;
    wait_for_something(g, timeout_ms, &rung, &child, &owner_died);
    g->again = false;
    if (g->tell != 0) tell_manager(g, g->tell);
    if (g->manager == 0) wait_ms = 0;
    if (owner_died) {
      hf_k_close(g->owner);
      g->owner = -1;
      g->options->hurry = true;
      tell_manager(g, SIGUSR1);
    }
    if (rung) {
      hf__reap_acknowledged(g);
      hf__hold_fifos(g);
    }
    if (child || g->zombie_count == HF_EXIT_NOTE_MAX) {
      if (!hf__children_ended(g)) continue;
      int code = manager_ended(g);
      if (code >= 0) return code;
      if (g->manager == 0) wait_ms = pause_ms(g);
    }
  }
}

int hf_guardian_run(hf_daemon_options *options) {
  static hf_guardian only; // zero pages that are never touched cost nothing
  hf_guardian *g = &only;
  hf_err err;
  g->options = options;
  g->dir = g->manager_bell = g->bell = g->signals = g->owner = -1;
  g->down = options->going_down;
  // A manager that became the guardian brought the lock with it. Processes live that nobody else looks after: what fails now may
  // pass, and its first manager may fail without being the last.
  bool taken_over = g->ever_managed = options->lock_fd >= 0;
  hf_systemd_begin(&g->systemd, options, taken_over);
  int failed = open_all(g, &err);
  for (int pause_for = AGAIN_MS; failed && taken_over && failed != HF_ENOENT;
       pause_for = pause_for < 1000 ? pause_for * 2 : 1000) {
    close_all(g);
    poll(NULL, 0, pause_for);
    failed = open_all(g, &err);
  }
  if (failed) {
    say(&err);
    return HF_EXIT_REFUSED;
  }
  hf__hold_fifos(g); // of what lives already
  int code = loop(g);
  (void)hf_systemd_step(&g->systemd, g->segment, true, hf_now_mono_ns());
  if (hf_load_acquire(&g->segment->header.down)) hf_instance_remove(g->dir, options->dir);
  return code;
}
