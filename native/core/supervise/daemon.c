// SPDX-License-Identifier: MIT
// holdfastd: its arguments, and which of its two halves it is.
#include "supervise/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/kernel.h"
#ifdef HF_TESTING
#include "base/testing.h"
#endif
#include "process/identity.h"
#include "supervise/systemd.h"

static const char usage_text[] =
    "usage: holdfastd [--dir DIR] [--instance NAME] [--foreground] [--once NAME] [--owner PID[:START]] [--ready-fd N]\n"
    "Keeps the processes alive that are defined in DIR. Normally started by `holdfast up`.\n";

static int usage(const char *what, const char *argument) {
  fprintf(stderr, "holdfastd: %s%s%s; see holdfastd --help\n", what, argument ? " " : "", argument ? argument : "");
  return 2;
}

void hf_daemon_arguments(const hf_daemon_options *o, hf_daemon_argv *out) {
  int n = 0;
  size_t used = 0;
#define ADD(...)                                                                                                             \
  do {                                                                                                                       \
    out->argv[n++] = out->bytes + used;                                                                                      \
    used += (size_t)snprintf(out->bytes + used, sizeof out->bytes - used, __VA_ARGS__) + 1;                                  \
  } while (0)
  ADD("holdfastd");
  if (o->manager) ADD("--manager");
  if (o->foreground) ADD("--foreground");
  if (o->hurry) ADD("--hurry");
  if (o->going_down) ADD("--going-down");
  ADD("--dir");
  ADD("%s", o->dir);
  ADD("--instance");
  ADD("%s", o->instance);
  if (o->once[0]) {
    ADD("--once");
    ADD("%s", o->once);
  }
  if (o->owner.pid) {
    ADD("--owner");
    ADD("%d:%llu", o->owner.pid, (unsigned long long)o->owner.start_time);
  }
  ADD("--files");
  ADD("%llu", (unsigned long long)o->files);
  if (o->lock_fd >= 0) {
    ADD("--lock-fd");
    ADD("%d", HF_KEEP_LOCK);
  }
  if (o->ready_fd >= 0) {
    ADD("--ready-fd");
    ADD("%d", HF_KEEP_READY);
  }
  if (o->notify_fd >= 0) {
    ADD("--notify-fd");
    ADD("%d", HF_KEEP_NOTIFY);
  }
  if (o->systemd[0]) {
    ADD("--systemd");
    ADD("%s", o->systemd);
  }
  if (o->watchdog_ns) {
    ADD("--watchdog-usec");
    ADD("%llu", (unsigned long long)(o->watchdog_ns / 1000));
  }
#undef ADD
  out->argv[n] = NULL;
}

static bool number(const char *text, long low, long high, long *out, char **end) {
  char *stop;
  errno = 0;
  *out = strtol(text, &stop, 10);
  if (end != NULL) *end = stop;
  return errno == 0 && stop != text && (end != NULL || *stop == 0) && *out >= low && *out <= high;
}

static bool owner(const char *text, hf_identity *out) {
  long pid;
  char *rest;
  if (!number(text, 1, INT32_MAX, &pid, &rest)) return false;
  out->pid = (int32_t)pid;
  if (*rest == ':') {
    char *end;
    out->start_time = strtoull(rest + 1, &end, 10);
    return *end == 0 && end != rest + 1;
  }
  return *rest == 0 && hf_identity_read(out->pid, out) == 0;
}

// Fills the options: 0, or an exit code.
static int parse(int argc, char **argv, hf_daemon_options *o, const char **dir, const char **instance) {
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    long n;
    if (strcmp(name, "--manager") == 0) o->manager = true;
    else if (strcmp(name, "--foreground") == 0) o->foreground = true;
    else if (strcmp(name, "--hurry") == 0) o->hurry = true;
    else if (strcmp(name, "--going-down") == 0) o->going_down = true;
    else if (value == NULL) return usage("unknown argument, or one without its value:", name);
    else {
      i++;
      if (strcmp(name, "--dir") == 0) *dir = value;
      else if (strcmp(name, "--instance") == 0) *instance = value;
      else if (strcmp(name, "--once") == 0 && hf_name_check(value, NULL) == 0) snprintf(o->once, sizeof o->once, "%s", value);
      else if (strcmp(name, "--owner") == 0 && owner(value, &o->owner)) continue;
      else if (strcmp(name, "--files") == 0) o->files = strtoull(value, NULL, 10);
      else if (strcmp(name, "--lock-fd") == 0 && number(value, 3, 1023, &n, NULL)) o->lock_fd = (int)n;
      else if (strcmp(name, "--ready-fd") == 0 && number(value, 3, 1023, &n, NULL)) o->ready_fd = (int)n;
      else if (strcmp(name, "--notify-fd") == 0 && number(value, 3, 1023, &n, NULL)) o->notify_fd = (int)n;
      else if (strcmp(name, "--systemd") == 0) snprintf(o->systemd, sizeof o->systemd, "%s", value);
      else if (strcmp(name, "--watchdog-usec") == 0 && number(value, 1, LONG_MAX / 1000, &n, NULL))
        o->watchdog_ns = (uint64_t)n * 1000;
      else return usage("bad argument or value:", name);
    }
  }
  return 0;
}

// Whatever the starter left open is not ours: only 0..2 and the named ones stay. /proc works on every kernel, close_range not.
static void close_strangers(const hf_daemon_options *o) {
  DIR *self = opendir("/proc/self/fd");
  if (self == NULL) return;
  for (struct dirent *entry; (entry = readdir(self)) != NULL;) {
    int fd = atoi(entry->d_name);
    if (fd <= 2 || fd == o->lock_fd || fd == o->ready_fd || fd == o->notify_fd || fd == dirfd(self)) continue;
    close(fd);
  }
  closedir(self);
}

// 0..2 must be open, else a file of ours would get such a number and a stray print would land in it.
static void open_standard(void) {
  for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
    if (fd > 2) {
      close(fd);
      break;
    }
  }
}

// Moves a kept descriptor above the numbers that descriptors get when they are handed on (HF_KEEP_…).
static int out_of_the_way(int fd) {
  if (fd < 0) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  close(fd);
  return moved;
}

// A descriptor a process in the guardian, some more in the manager. Children get back what there was before: some programs can't
// do with more than 1024.
static void raise_files(hf_daemon_options *options) {
  enum { FILES_WANTED = 4096 };
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (options->files == 0) options->files = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
  if (limit.rlim_cur > options->files) (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int hf_daemon_main(int argc, char **argv) {
  hf_daemon_options options = {.lock_fd = -1, .ready_fd = -1, .notify_fd = -1};
  const char *dir = NULL, *instance = NULL;
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(usage_text, stdout);
    return 0;
  }
  int code = parse(argc, argv, &options, &dir, &instance);
  if (code) return code;
  hf_err err;
  if (hf_dir_resolve(dir, instance, options.dir, sizeof options.dir, &err) != 0) return usage(err.text, NULL);
  if (instance == NULL || *instance == 0) instance = getenv("HOLDFAST_INSTANCE");
  snprintf(options.instance, sizeof options.instance, "%s", instance && *instance ? instance : "default");
  hf_systemd_take(&options);
  open_standard();
  close_strangers(&options);
  options.lock_fd = out_of_the_way(options.lock_fd);
  options.ready_fd = out_of_the_way(options.ready_fd);
  options.notify_fd = out_of_the_way(options.notify_fd);
  if (chdir("/") != 0) return usage("/ can't be entered", NULL); // holds no file system busy
  // A starter that ignored SIGCHLD would have the kernel reap for us, and say nothing.
  struct sigaction plain;
  memset(&plain, 0, sizeof plain);
  sigaction(SIGCHLD, &plain, NULL);
  // Signals are read from a descriptor; SIGPIPE is nobody's business. Children begin with every signal unblocked.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
#ifdef HF_TESTING
  hf_testing_begin(options.manager ? "manager" : "guardian");
#endif
  raise_files(&options);
  return options.manager ? hf_manager_run(&options) : hf_guardian_run(&options);
}
