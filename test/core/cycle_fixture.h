// SPDX-License-Identifier: MIT
// One whole life of one process under a real holdfastd, with a fault or a death on order in the daemon (base/testing.c), and
// what must be true after each step of it whatever happened: the status names what lives, nothing else lives, nothing is left.
#ifndef HF_TEST_CYCLE_FIXTURE_H
#define HF_TEST_CYCLE_FIXTURE_H

#include <ctype.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "daemon_fixture.h"
#include "process/events.h"

typedef struct cycle {
  fixture f;
  char once[96], said[96]; // the file of HOLDFAST_TEST_ONCE, and what holdfastd said on stderr
} cycle;

static inline bool cy_fired(const cycle *c) { return fx_exists(c->once); }

#define CY_UNTIL(c, expression) FX_UNTIL(&(c)->f, expression)

// Processes that carry the mark of this instance, found in /proc and not by asking holdfastd.
static inline int cy_marked(const cycle *c, pid_t *last) {
  char entry[128];
  int count = 0;
  snprintf(entry, sizeof entry, "HOLDFAST_DIR=%s", c->f.dir);
  DIR *proc = opendir("/proc");
  for (struct dirent *each; proc != NULL && (each = readdir(proc)) != NULL;) {
    pid_t pid = isdigit((unsigned char)each->d_name[0]) ? atoi(each->d_name) : 0;
    if (pid <= 0 || !fx_alive(pid) || !hf_environment_has(pid, entry, NULL)) continue;
    if (last != NULL) *last = pid;
    count++;
  }
  if (proc != NULL) closedir(proc);
  return count;
}

static inline int cy_entries(const char *path, const char *prefix) {
  DIR *entries = opendir(path);
  int count = 0;
  for (struct dirent *each; entries != NULL && (each = readdir(entries)) != NULL;)
    count += each->d_name[0] != '.' && strncmp(each->d_name, prefix, strlen(prefix)) == 0;
  if (entries != NULL) closedir(entries);
  return count;
}

// Open descriptors, but for those of cgroups (a fault may have made holdfastd do without them) and of log files (one that could
// not be opened is opened with the next line).
static inline int cy_fds(pid_t pid) {
  char path[48], target[256];
  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *entries = opendir(path);
  int count = 0;
  for (struct dirent *each; entries != NULL && (each = readdir(entries)) != NULL;) {
    ssize_t length = readlinkat(dirfd(entries), each->d_name, target, sizeof target - 1);
    if (length <= 0) continue;
    target[length] = 0;
    count += strstr(target, "cgroup") == NULL && strstr(target, ".log") == NULL;
  }
  if (entries != NULL) closedir(entries);
  return count;
}

static inline bool cy_count_zombie(pid_t pid, void *context) {
  hf_process_facts facts;
  if (hf_process_facts_read(pid, &facts) == 0 && facts.state == 'Z') ++*(int *)context;
  return true;
}

static inline int cy_zombies(pid_t parent) {
  int count = 0;
  hf_children_each(parent, cy_count_zombie, &count);
  return count;
}

static inline hf_instance_status cy_instance(cycle *c) {
  hf_instance_status instance;
  hf_operator_instance(c->f.op, &instance, NULL);
  return instance;
}

// What the status says lives, lives, and nothing else does.
static inline bool cy_one_lives(cycle *c) {
  pid_t there = 0;
  hf_process_status s = fx_status(&c->f, "web");
  return s.pid > 0 && cy_marked(c, &there) == 1 && there == s.pid;
}

static inline bool cy_ready(cycle *c, uint32_t after) {
  hf_process_status s = fx_status(&c->f, "web");
  return s.state == HF_STATE_READY && s.incarnation > after && fx_alive(s.pid);
}

static inline bool cy_rests(cycle *c) {
  hf_process_status s = fx_status(&c->f, "web");
  return (s.state == HF_STATE_STOPPED || s.state == HF_STATE_FAIL) && s.pid == 0 && !s.stopping && cy_marked(c, NULL) == 0;
}

// Files of incarnations that are over, zombies nobody reaps: none, after a moment.
static inline bool cy_tidy(cycle *c) {
  return cy_entries(c->f.dir, "own.") == 1 && cy_entries(c->f.dir, "out.") == 1 && cy_entries(c->f.dir, "segment.") == 0 &&
         cy_zombies(cy_instance(c).guardian_pid) == 0;
}

static inline bool cy_open(cycle *c) {
  static const char *const sleeper[] = {"sleep", "1000", NULL};
  hf_spec spec;
  memset(c, 0, sizeof *c);
  if (!fx_open(&c->f)) return false;
  snprintf(c->once, sizeof c->once, "%s/once", c->f.log_dir);
  snprintf(c->said, sizeof c->said, "%s/said", c->f.log_dir);
  fx_spec(&c->f, &spec, "web", sleeper);
  spec.stop_timeout_ns = 300000000;
  spec.backoff_first_ns = 0;
  spec.backoff_from_ns = spec.backoff_max_ns = 10000000;
  spec.limit_count = 0;
  return hf_operator_define(c->f.op, &spec, NULL) == 1;
}

// Starts holdfastd with `order` (NULL: none) in the environment variable `variable`, its stderr going to a file.
static inline bool cy_start(cycle *c, const char *variable, const char *order) {
  if (order != NULL) {
    setenv(variable, order, 1);
    setenv("HOLDFAST_TEST_ONCE", c->once, 1);
  }
  int kept = dup(2), said = open(c->said, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  dup2(said, 2);
  bool started = fx_start(&c->f);
  dup2(kept, 2);
  close(kept);
  close(said);
  unsetenv(variable);
  unsetenv("HOLDFAST_TEST_ONCE");
  return started;
}

static inline bool cy_said_anything(const cycle *c) {
  struct stat st;
  return stat(c->said, &st) == 0 && st.st_size > 0;
}

// Ends the instance, whoever is its guardian now: true if nothing is left of it.
static inline bool cy_down(cycle *c) {
  hf_instance_status instance = cy_instance(c);
  hf_operator_shutdown(c->f.op, NULL);
  bool down =
      CY_UNTIL(c, (c->f.guardian > 0 && waitpid(c->f.guardian, NULL, WNOHANG) == c->f.guardian ? c->f.guardian = 0 : 0,
                   !fx_alive(instance.guardian_pid) && !fx_alive(cy_instance(c).guardian_pid) && c->f.guardian == 0 &&
                       !fx_exists(c->f.dir)));
  return down && cy_marked(c, NULL) == 0;
}

// Runs `body` in that many processes at the same time: true if each of them went to its end.
static inline bool cy_in_workers(int count, void (*body)(void)) {
  pid_t workers[16];
  bool ok = count <= 16;
  fflush(stdout);
  for (int i = 0; i < count && ok; i++) {
    if ((workers[i] = fork()) != 0) continue;
    body();
    fflush(stdout);
    _exit(0);
  }
  for (int i = 0; i < count && ok; i++) {
    int status = -1;
    if (waitpid(workers[i], &status, 0) != workers[i] || status != 0) ok = false;
  }
  return ok;
}

static inline void *cy_shared(size_t size) {
  void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return shared == MAP_FAILED ? NULL : shared;
}

// A step of a life. Each is worth looking at only where the one before it went well: a broken life would cost a minute of waiting.
#define STEP(condition)                                                                                                      \
  do {                                                                                                                       \
    if (!(condition)) { /* not CHECK: it would print what the condition expands to */                                        \
      check_failures++;                                                                                                      \
      printf("  %s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                                                       \
    }                                                                                                                        \
    if (check_failures) return;                                                                                              \
  } while (0)

#endif
