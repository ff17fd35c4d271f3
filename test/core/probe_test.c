// SPDX-License-Identifier: MIT
// What the kernel tells of threads that are stopped, traced, frozen, waiting for a processor, or gone: with real ones.
#include "heartbeat/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/kernel.h"
#include "base/machine.h"
#include "check.h"

#define MS UINT64_C(1000000)

static hf_thread_facts facts_of(pid_t pid, pid_t tid) {
  hf_thread_facts facts;
  CHECK_EQ(hf_thread_facts_read(pid, tid, &facts), 0);
  return facts;
}

// Looks again until it holds, for 10 s at most.
#define UNTIL(expression)                                                                                                    \
  do {                                                                                                                       \
    uint64_t end_ns = hf_now_mono_ns() + 10000 * MS;                                                                         \
    bool held = (expression);                                                                                                \
    for (; !held && hf_now_mono_ns() < end_ns; held = (expression)) usleep(1000);                                            \
    if (!held) printf("  %s:%d: never: %s\n", __FILE__, __LINE__, #expression);                                              \
    check_failures += !held;                                                                                                 \
  } while (0)

static pid_t child(void (*body)(void)) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    _exit(0);
  }
  return pid;
}

static void sleeps(void) {
  for (;;) pause();
}

static void spins(void) {
  for (volatile unsigned i = 0;; i++) continue;
}

static void end(pid_t pid) {
  CHECK_EQ(kill(pid, SIGKILL), 0);
  CHECK_EQ(waitpid(pid, NULL, __WALL), pid);
}

TEST(sleeping_running_stopped) {
  pid_t pid = child(sleeps), spinner = child(spins);
  UNTIL(facts_of(pid, pid).state == 'S');
  UNTIL(facts_of(spinner, 0).state == 'R');
  hf_thread_facts facts = facts_of(pid, 0);
  CHECK(!facts.traced && !facts.frozen);
  CHECK_EQ(kill(pid, SIGSTOP), 0);
  UNTIL(facts_of(pid, 0).state == 'T');
  CHECK(!facts_of(pid, 0).traced);
  CHECK_EQ(kill(pid, SIGCONT), 0);
  UNTIL(facts_of(pid, 0).state == 'S');
  end(pid);
  end(spinner);
}

TEST(a_debugger_is_seen_running_or_not) {
  pid_t pid = child(sleeps);
  int status = 0;
  CHECK_EQ(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
  CHECK(facts_of(pid, 0).traced); // also while the program runs
  CHECK_EQ(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
  CHECK_EQ(waitpid(pid, &status, __WALL), pid);
  hf_thread_facts facts = facts_of(pid, 0);
  CHECK(facts.traced && facts.state == 't');
  CHECK_EQ(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
  UNTIL(!facts_of(pid, 0).traced);
  end(pid);
}

static void *waits(void *tid) {
  atomic_store((_Atomic pid_t *)tid, (pid_t)syscall(SYS_gettid));
  while (atomic_load((_Atomic pid_t *)tid) != 0) usleep(1000);
  return NULL;
}

TEST(threads_are_told_apart_and_known_to_be_gone) {
  _Atomic pid_t tid = 0;
  pthread_t thread;
  hf_thread_facts facts;
  CHECK_EQ(pthread_create(&thread, NULL, waits, &tid), 0);
  UNTIL(tid != 0);
  pid_t is = tid;
  UNTIL(facts_of(getpid(), is).state == 'S');
  CHECK_EQ(facts_of(getpid(), 0).state, 'R'); // that is the one who asks
  atomic_store(&tid, 0);
  pthread_join(thread, NULL);
  UNTIL(hf_thread_facts_read(getpid(), is, &facts) == HF_EUNKNOWN);
  CHECK_EQ(facts.state, 0);
  pid_t pid = child(sleeps);
  CHECK_EQ(hf_thread_facts_read(getpid(), pid, &facts), HF_EUNKNOWN); // no thread of that process
  CHECK_EQ(kill(pid, SIGKILL), 0);
  UNTIL(facts_of(pid, 0).state == 'Z');
  CHECK_EQ(waitpid(pid, NULL, 0), pid);
  CHECK_EQ(hf_thread_facts_read(pid, 0, &facts), HF_EUNKNOWN);
  CHECK_EQ(hf_thread_facts_read(0, 0, &facts), HF_EUNKNOWN);
  CHECK_EQ(hf_thread_facts_read(-1, 0, &facts), HF_EUNKNOWN);
}

static int fail_open(const char *call) { return strcmp(call, "open") == 0 ? EMFILE : 0; }

TEST(what_can_not_be_read_is_no_absence) {
  hf_thread_facts facts;
  hf_k_fault = fail_open;
  CHECK_EQ(hf_thread_facts_read(getpid(), 0, &facts), HF_ESYS);
  hf_k_fault = NULL;
}

TEST(a_name_can_not_pose_as_a_state) {
  CHECK_EQ(prctl(PR_SET_NAME, "a) Z 1 (b\nTrac"), 0);
  hf_thread_facts facts = facts_of(getpid(), 0);
  CHECK_EQ(facts.state, 'R');
  CHECK(!facts.traced);
}

static void spins_on_first_cpu(void) {
  cpu_set_t set;
  size_t first = 0;
  if (sched_getaffinity(0, sizeof set, &set) != 0) _exit(4);
  while (!CPU_ISSET(first, &set)) first++;
  CPU_ZERO(&set);
  CPU_SET(first, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) _exit(5);
  spins();
}

TEST(waiting_for_a_processor_is_counted) {
  if (access("/proc/self/schedstat", R_OK) != 0) return;
  pid_t one = child(spins_on_first_cpu), two = child(spins_on_first_cpu);
  UNTIL(facts_of(one, 0).run_delay_ns > 50 * MS && facts_of(two, 0).run_delay_ns > 50 * MS);
  end(one);
  end(two);
}

// ---- frozen ----
static bool put(const char *folder, const char *file, const char *text) {
  char path[1400];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  if (fd >= 0) close(fd);
  return written;
}

static void freeze(const char *folder, const char *file, const char *on, const char *off) {
  char number[16];
  pid_t pid = child(sleeps);
  snprintf(number, sizeof number, "%d", (int)pid);
  if (!put(folder, "cgroup.procs", number)) {
    printf("  a process can't be moved into %s\n", folder);
  } else {
    CHECK(!facts_of(pid, 0).frozen);
    CHECK(put(folder, file, on));
    UNTIL(facts_of(pid, 0).frozen);
    CHECK(!facts_of(getpid(), 0).frozen);
    CHECK(put(folder, file, off));
    UNTIL(!facts_of(pid, 0).frozen);
    printf("  frozen and thawed in %s\n", folder);
  }
  end(pid);
  UNTIL(rmdir(folder) == 0);
}

TEST(a_frozen_cgroup_of_version_2) {
  char own[1200], folder[1300];
  if (!hf_cgroup_path("/proc/self/cgroup", own, sizeof own)) return;
  snprintf(folder, sizeof folder, "%s/hf-probe-%d", own, (int)getpid());
  if (mkdir(folder, 0755) != 0) printf("  no cgroup may be made here\n");
  else freeze(folder, "cgroup.freeze", "1", "0");
}

TEST(a_frozen_cgroup_of_version_1) {
  char folder[128];
  snprintf(folder, sizeof folder, "/sys/fs/cgroup/freezer/hf-probe-%d", (int)getpid());
  if (mkdir(folder, 0755) != 0) printf("  no cgroup of version 1 may be made here\n");
  else freeze(folder, "freezer.state", "FROZEN", "THAWED");
}

TEST(a_wait_that_is_not_over_yet_counts) {
  hf_thread_facts before = {
      .state = 'S', .scheduled = true, .on_cpu_ns = 500 * MS, .run_delay_ns = 30 * MS, .at_ns = 10000 * MS};
  hf_thread_facts after = before;
  after.at_ns += 200 * MS;
  CHECK_EQ(hf_thread_waited_ns(&before, &after), 0); // it sleeps
  after.state = 'R';
  CHECK_EQ(hf_thread_waited_ns(&before, &after), 200 * MS); // all the time, and no number has moved
  after.on_cpu_ns += 195 * MS;
  CHECK_EQ(hf_thread_waited_ns(&before, &after), 0); // it spins
  after.on_cpu_ns = before.on_cpu_ns + 50 * MS;
  CHECK_EQ(hf_thread_waited_ns(&before, &after), 140 * MS);
  after.state = 'S';
  after.run_delay_ns += 90 * MS;
  CHECK_EQ(hf_thread_waited_ns(&before, &after), 90 * MS);
  after.run_delay_ns += 900 * MS; // most of that was before
  CHECK_EQ(hf_thread_waited_ns(&before, &after), 200 * MS);
  before.scheduled = false;
  CHECK_EQ(hf_thread_waited_ns(&before, &after), 0);
}

CHECK_MAIN
