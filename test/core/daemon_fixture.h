// SPDX-License-Identifier: MIT
// A real holdfastd on a directory of its own, for tests of the daemon: started, asked, waited for, and taken away with all that
// it made. Processes are ended by pid.
#ifndef HF_TEST_DAEMON_FIXTURE_H
#define HF_TEST_DAEMON_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "check.h"
#include "holdfast.h"
#include "process/identity.h"
#include "supervise/cgroup.h"

typedef struct fixture {
  char dir[64];
  char log_dir[64];
  pid_t guardian; // as we started it: our child
  hf_operator *op;
} fixture;

static inline bool fx_open(fixture *f) {
  static int number;
  hf_err err;
  memset(f, 0, sizeof *f);
  snprintf(f->dir, sizeof f->dir, "/dev/shm/hf-test-%d.%d", (int)getpid(), ++number);
  snprintf(f->log_dir, sizeof f->log_dir, "/tmp/hf-test-%d.%d", (int)getpid(), number);
  mkdir(f->log_dir, 0700);
  int failed = hf_operator_open(&f->op, f->dir, HF_OPERATOR_CREATE, &err);
  if (failed) printf("  %s\n", err.text);
  else hf_operator_setting_put(f->op, "log_dir", f->log_dir, NULL);
  return failed == 0;
}

// Starts holdfastd with up to three more arguments and waits until it says that it is ready: false where it refused.
static inline bool fx_start_with(fixture *f, const char *a, const char *b) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  f->guardian = fork();
  if (f->guardian == 0) {
    dup2(ends[1], 60);
    execl(HF_TEST_DAEMON, "holdfastd", "--dir", f->dir, "--instance", "test", "--ready-fd", "60", a, b, (char *)NULL);
    _exit(126);
  }
  close(ends[1]);
  char text[8] = "";
  ssize_t got = read(ends[0], text, sizeof text);
  close(ends[0]);
  return got > 0;
}

static inline bool fx_start(fixture *f) { return fx_start_with(f, NULL, NULL); }

// A definition that runs `argv` and says so; everything else is the default.
static inline void fx_spec(const fixture *f, hf_spec *spec, const char *name, const char *const *argv) {
  static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
  static char log_file[128];
  hf_spec_init(spec);
  snprintf(spec->name, sizeof spec->name, "%s", name);
  snprintf(log_file, sizeof log_file, "%s/%s.log", f->log_dir, name);
  spec->argv = argv;
  spec->env = env;
  spec->cwd = "/";
  spec->log_file = log_file;
  spec->ready = HF_READY_ALIVE;
  spec->alive_for_ns = 1000000;
  spec->stop_timeout_ns = 2000000000;
}

static inline bool fx_define(fixture *f, const char *name, const char *const *argv) {
  hf_spec spec;
  hf_err err;
  fx_spec(f, &spec, name, argv);
  int result = hf_operator_define(f->op, &spec, &err);
  if (result < 0) printf("  %s\n", err.text);
  return result >= 0;
}

static inline hf_process_status fx_status(fixture *f, const char *name) {
  hf_process_status s;
  memset(&s, 0, sizeof s);
  if (hf_operator_find(f->op, name, &s, NULL) != 0) s.state = 255;
  return s;
}

// Waits until the expression is true, woken by every change of the instance: false after 10 s.
#define FX_UNTIL(f, expression)                                                                                              \
  __extension__({                                                                                                            \
    uint64_t fx_end = hf_now_mono_ns() + 10000000000u;                                                                       \
    bool fx_ok = false;                                                                                                      \
    for (;;) {                                                                                                               \
      uint32_t fx_seen = hf_operator_changes((f)->op);                                                                       \
      if ((fx_ok = (expression)) || hf_now_mono_ns() > fx_end) break;                                                        \
      hf_operator_wait((f)->op, fx_seen, 50000000);                                                                          \
    }                                                                                                                        \
    fx_ok;                                                                                                                   \
  })

static inline bool fx_alive(pid_t pid) {
  hf_process_facts facts;
  return pid > 0 && hf_process_facts_read(pid, &facts) == 0 && facts.state != 'Z' && facts.state != 'X';
}

// Waits (without a change word: the process may be nobody's) until a pid is gone: false after 5 s.
static inline bool fx_gone(pid_t pid) {
  for (int i = 0; i < 5000 && fx_alive(pid); i++) usleep(1000);
  return !fx_alive(pid);
}

// Ends the instance in the proper way: the exit code of holdfastd, or -1.
static inline int fx_down(fixture *f) {
  int status = -1;
  if (f->guardian <= 0) return -1;
  hf_operator_shutdown(f->op, NULL);
  for (int i = 0; i < 15000; i++) {
    pid_t ended = waitpid(f->guardian, &status, WNOHANG);
    if (ended == f->guardian) {
      f->guardian = 0;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    if (ended < 0) break;
    usleep(1000);
  }
  return -1;
}

// Ends whatever is left, by pid, and removes the files.
static inline void fx_close(fixture *f) {
  hf_instance_status instance;
  if (f->op != NULL) {
    static hf_process_status all[HF_PROCESS_MAX];
    hf_operator_instance(f->op, &instance, NULL);
    int count = hf_operator_status(f->op, all, HF_PROCESS_MAX, NULL);
    if (fx_alive(instance.guardian_pid)) kill(instance.guardian_pid, SIGKILL);
    if (fx_alive(instance.manager_pid)) kill(instance.manager_pid, SIGKILL);
    for (int i = 0; i < count; i++)
      if (fx_alive(all[i].pid)) kill(all[i].pid, SIGKILL);
  }
  if (f->guardian > 0) {
    kill(f->guardian, SIGKILL);
    waitpid(f->guardian, NULL, 0);
  }
  hf_operator_close(f->op);
  int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) hf_cgroup_remove(dir);
  if (dir >= 0) close(dir);
  char command[256];
  snprintf(command, sizeof command, "rm -rf %s %s", f->dir, f->log_dir);
  if (system(command) != 0) printf("  %s could not be removed\n", f->dir);
}

static inline bool fx_exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

#endif
