// SPDX-License-Identifier: MIT
// A process without a manager judges itself: whom it condemns, whom it leaves alone, and what it writes.
//
// That somebody was not condemned is told by another cell, armed later, whose report comes after it would have been.
#include <dirent.h>
#include <limits.h>
#include <sys/ptrace.h>

#include "hearts_fixture.h"

#define MS UINT64_C(1000000)
enum { PERIOD_MS = 60 };

static char dir[64];

static void make_dir(void) {
  static int number;
  snprintf(dir, sizeof dir, "/tmp/hf-judge-%d.%d", (int)getpid(), ++number);
  CHECK_EQ(mkdir(dir, 0700), 0);
}

static void remove_dir(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  CHECK_EQ(system(command), 0);
}

// The named file in the directory, or "".
static char content[1 << 20];
static const char *file(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read(fd, content, sizeof content - 1) : -1;
  if (fd >= 0) close(fd);
  content[got > 0 ? got : 0] = 0;
  return content;
}

static const char *report(pid_t pid, int n) {
  char name[64];
  snprintf(name, sizeof name, "judge_here_test.%d.%d.txt", (int)pid, n);
  return file(name);
}

static int count(const char *text, const char *words) {
  int found = 0;
  for (const char *at = text; (at = strstr(at, words)) != NULL; at++) found++;
  return found;
}

// How often stderr tells of the thread of that name.
static int told_of(const char *name) {
  char words[64];
  snprintf(words, sizeof words, "Because the %s (", name);
  return count(file("stderr"), words);
}

static hf_own *own;

static void begin(void) {
  char path[96];
  snprintf(path, sizeof path, "%s/stderr", dir);
  unsetenv("HOLDFAST_ATTACH");
  setenv("HOLDFAST_REPORT_DIR", dir, 1);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  CHECK(fd >= 0 && dup2(fd, 2) == 2);
  own = hx_private();
}

static uint32_t judged(const char *name, int on_hang) {
  hf_err err = {0};
  int cell = hf_cell_claim(name, hx_tid(), 0, &err);
  CHECK(cell >= 0);
  CHECK_EQ(hf_cell_register((uint32_t)cell, PERIOD_MS * MS, 1, &err), 0);
  CHECK_EQ(hf_judge_here((uint32_t)cell, on_hang, &err), 0);
  return (uint32_t)cell;
}

// Everything that was due before is judged when this returns.
static void a_period_goes_by(void) {
  static int number;
  char name[32];
  snprintf(name, sizeof name, "clock%d", ++number);
  uint32_t cell = judged(name, HF_HANG_REPORT);
  CHECK(HX_UNTIL(told_of(name) == 1));
  hf_cell_release(cell);
}

// ---- report -------------------------------------------------------------------------------------------------------------
static void reports_and_goes_on(void) {
  begin();
  uint32_t cell = judged("main", HF_HANG_REPORT);
  hf_cell_note(cell, "queue 3");
  CHECK(HX_UNTIL(told_of("main") == 1));
  a_period_goes_by();
  CHECK_EQ(told_of("main"), 1); // once for each silence
  hf_cell_beat(own, hf_cell_offset(cell));
  CHECK(HX_UNTIL(told_of("main") == 2));
  CHECK_EQ(hf_cell_register(cell, 2 * PERIOD_MS * MS, 3, NULL), 0); // counts as a beat
  CHECK(HX_UNTIL(told_of("main") == 3));
}

TEST(report_goes_on_and_tells_each_silence_once) {
  make_dir();
  actor a = hx_start(NULL, reports_and_goes_on);
  CHECK_EQ(hx_end(&a), 0);
  char expected[320];
  snprintf(expected, sizeof expected,
           "Because the main (%d) thread of process %d, has not responded within 1 periods of 0.06 seconds, the process will "
           "be terminated.\nIt is only reported (onHang: report): the process goes on.\nsilent: ",
           (int)a.pid, (int)a.pid);
  const char *text = report(a.pid, 1);
  if (strncmp(text, expected, strlen(expected)) != 0) printf("  %s\n", text);
  CHECK(strncmp(text, expected, strlen(expected)) == 0);
  double silent = strtod(text + strlen(expected), NULL);
  if (silent < PERIOD_MS / 1e3) printf("  silent: %g in\n%s\n", silent, text);
  CHECK(silent >= PERIOD_MS / 1e3 && silent < 60);
  CHECK(strstr(text, "\nnote: queue 3\n") != NULL);
  CHECK(strstr(text, "\nwhere: clock_nanosleep\n") != NULL || strstr(text, "\nwhere: nanosleep\n") != NULL ||
        strstr(text, "\nwhere: running") != NULL);
  CHECK(strstr(text, "\nNo function of it is known: nothing in this process can tell. The kernel's view of thread ") != NULL);
  CHECK(strstr(report(a.pid, 4), "within 3 periods of 0.12 seconds") != NULL); // 2 was the clock's
  remove_dir();
}

static void reports_seven_times(void) {
  begin();
  uint32_t cell = judged("main", HF_HANG_REPORT);
  for (int i = 1; i <= 7; i++) {
    CHECK(HX_UNTIL(told_of("main") == i));
    hf_cell_beat(own, hf_cell_offset(cell));
  }
}

TEST(files_are_bounded_and_names_that_are_there_are_left_alone) {
  make_dir();
  actor a = hx_start(NULL, hx_await);
  char path[128];
  (void)hx_end(&a);
  a = hx_start(NULL, reports_seven_times);
  CHECK_EQ(hx_end(&a), 0);
  for (int n = 1; n <= 7; n++) CHECK_EQ(*report(a.pid, n) != 0, n <= 5);
  snprintf(path, sizeof path, "The report is in %s/judge_here_test.%d.5.txt.\n", dir, (int)a.pid);
  CHECK(strstr(file("stderr"), path) != NULL);
  CHECK_EQ(count(file("stderr"), "The report is in "), 5);
  remove_dir();
}

static void reports_into_a_hole(void) {
  begin();
  setenv("HOLDFAST_REPORT_DIR", "/nonexistent/reports", 1);
  judged("main", HF_HANG_REPORT);
  CHECK(HX_UNTIL(strstr(file("stderr"), "could not be written to /nonexistent/reports/judge_here_test.") != NULL));
  CHECK(strstr(content, "No such file or directory") != NULL);
}

TEST(a_report_that_can_not_be_written_is_said) {
  make_dir();
  hx_run(NULL, reports_into_a_hole);
  remove_dir();
}

static size_t knows(uint32_t cell, uint64_t deadline_ns, char *out, size_t size) {
  CHECK(cell == 0 && deadline_ns > hf_now_mono_ns() && deadline_ns < hf_now_mono_ns() + 301 * MS);
  snprintf(out, size, "where: spin (a.js:1:2)\n  at spin (a.js:1:2)\n");
  return strlen(out);
}

static void reports_a_stack(void) {
  begin();
  hf_stack_hook_set(knows);
  judged("main", HF_HANG_REPORT);
  CHECK(HX_UNTIL(strstr(file("stderr"), "\nwhere: spin (a.js:1:2)\n  at spin (a.js:1:2)\n\nThe kernel's view") != NULL));
}

TEST(the_stack_hook_is_asked) {
  make_dir();
  hx_run(NULL, reports_a_stack);
  remove_dir();
}

// ---- abort --------------------------------------------------------------------------------------------------------------
static void returns(int number) { (void)number; }

static void aborts(void) {
  begin();
  sigset_t all;
  sigfillset(&all);
  signal(SIGABRT, returns); // neither a handler nor a mask of the program keeps it
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  judged("event-loop", HF_HANG_ABORT);
  for (;;) pause();
}

TEST(abort_writes_the_report_and_dies_by_sigabrt) {
  make_dir();
  actor a = hx_start(NULL, aborts);
  int status = hx_end(&a);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  CHECK_EQ(told_of("event-loop"), 1);
  CHECK(strstr(content, "where: ") != NULL && strstr(content, "only reported") == NULL);
  char whole[8192];
  snprintf(whole, sizeof whole, "%s", report(a.pid, 1));
  CHECK(*whole != 0 && strncmp(file("stderr"), whole, strlen(whole)) == 0);
  remove_dir();
}

static void aborts_into_a_full_pipe(void) {
  begin();
  int ends[2];
  static const char block[4096];
  CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
  while (write(ends[1], block, sizeof block) > 0) continue;
  CHECK(fcntl(ends[1], F_SETFL, 0) == 0 && dup2(ends[1], 2) == 2);
  judged("main", HF_HANG_ABORT);
  for (;;) pause();
}

TEST(a_stderr_that_nobody_reads_does_not_hold_up_an_abort) {
  make_dir();
  uint64_t begun_ns = hf_now_mono_ns();
  actor a = hx_start(NULL, aborts_into_a_full_pipe);
  int status = hx_end(&a);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  CHECK(hf_now_mono_ns() - begun_ns < 10000 * MS);
  CHECK(*report(a.pid, 1) != 0);
  remove_dir();
}

// A dead disk: a write to it never returns.
static int dead_disk(const char *call) {
  while (strcmp(call, "write") == 0) pause();
  return 0;
}

static void aborts_beside_a_dead_disk(void) {
  begin();
  signal(SIGABRT, returns);
  hf_k_fault = dead_disk;
  judged("main", HF_HANG_ABORT);
  for (;;) pause();
}

TEST(a_disk_that_hangs_does_not_hold_up_an_abort) {
  int status = 0;
  make_dir();
  actor a = hx_start(NULL, aborts_beside_a_dead_disk);
  CHECK(HX_UNTIL(waitpid(a.pid, &status, WNOHANG) == a.pid));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  if (status == 0) kill(a.pid, SIGKILL);
  (void)hx_end(&a);
  remove_dir();
}

static _Atomic int threads_made;
static int judge_and_no_more(const char *call) {
  if (strcmp(call, "thread") == 0 && atomic_fetch_add(&threads_made, 1) > 0) return EAGAIN;
  return dead_disk(call);
}

static void aborts_without_a_second_thread(void) {
  begin();
  hf_k_fault = judge_and_no_more;
  judged("main", HF_HANG_ABORT);
  for (;;) pause();
}

TEST(where_nothing_would_end_a_write_an_abort_writes_to_no_disk) {
  int status = 0;
  make_dir();
  actor a = hx_start(NULL, aborts_without_a_second_thread);
  CHECK(HX_UNTIL(waitpid(a.pid, &status, WNOHANG) == a.pid));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  if (status == 0) kill(a.pid, SIGKILL);
  (void)hx_end(&a);
  CHECK(*report(a.pid, 1) == 0);
  remove_dir();
}

// ---- whom it leaves alone -----------------------------------------------------------------------------------------------
static void leaves_alone(void) {
  begin();
  uint32_t busy = judged("busy", HF_HANG_REPORT), off = judged("off", HF_HANG_REPORT), gone = judged("gone", HF_HANG_REPORT);
  hf_cell_busy(busy, 60000 * MS, "a long section");
  hf_cell_deregister(off);
  hf_cell_release(gone);
  int next = hf_cell_claim("next", hx_tid(), 0, NULL); // the same cell, and nobody asked for a judge of it
  CHECK_EQ(next, gone);
  CHECK_EQ(hf_cell_register((uint32_t)next, PERIOD_MS * MS, 1, NULL), 0);
  a_period_goes_by();
  a_period_goes_by();
  CHECK(told_of("busy") == 0 && told_of("off") == 0 && told_of("gone") == 0 && told_of("next") == 0);
  hf_cell_beat(own, hf_cell_offset(busy)); // the long section is over
  CHECK_EQ(hf_cell_register(off, PERIOD_MS * MS, 1, NULL), 0);
  CHECK(HX_UNTIL(told_of("busy") == 1 && told_of("off") == 1));
  judged("late", HF_HANG_REPORT);
  hf_hearts_end();
  CHECK_EQ(told_of("late"), 0);
  a_period_goes_by();
  CHECK_EQ(told_of("late"), 0);
}

TEST(busy_deregistered_and_released_cells_are_left_alone) {
  make_dir();
  hx_run(NULL, leaves_alone);
  remove_dir();
}

static void is_traced(void) {
  begin();
  hx_say('r');
  hx_await();
  judged("main", HF_HANG_REPORT);
  hx_say('j');
  hx_await();
}

TEST(a_traced_process_is_left_alone_until_the_debugger_goes) {
  make_dir();
  actor a = hx_start(NULL, is_traced);
  CHECK_EQ(hx_heard(&a), 'r');
  CHECK_EQ(ptrace(PTRACE_SEIZE, a.pid, NULL, NULL), 0);
  hx_go(&a);
  CHECK_EQ(hx_heard(&a), 'j');
  usleep(5 * PERIOD_MS * 1000); // nothing tells of a verdict that is not given
  CHECK_EQ(told_of("main"), 0);
  CHECK_EQ(ptrace(PTRACE_INTERRUPT, a.pid, NULL, NULL), 0);
  CHECK_EQ(waitpid(a.pid, NULL, __WALL), a.pid);
  CHECK_EQ(ptrace(PTRACE_DETACH, a.pid, NULL, NULL), 0);
  CHECK(HX_UNTIL(told_of("main") == 1));
  CHECK_EQ(hx_end(&a), 0);
  remove_dir();
}

static void is_stopped(void) {
  begin();
  uint32_t cell = judged("main", HF_HANG_ABORT);
  hx_say('j');
  for (int i = 0; i < 100; i++) { // beats at less than half of its period
    hf_cell_beat(own, hf_cell_offset(cell));
    usleep(PERIOD_MS * 400);
  }
  hf_cell_deregister(cell);
}

TEST(a_process_that_was_stopped_for_long_is_not_condemned_for_it) {
  make_dir();
  actor a = hx_start(NULL, is_stopped);
  CHECK_EQ(hx_heard(&a), 'j');
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(kill(a.pid, SIGSTOP), 0);
    usleep(4 * PERIOD_MS * 1000);
    CHECK_EQ(kill(a.pid, SIGCONT), 0);
    usleep(PERIOD_MS * 1000);
  }
  CHECK_EQ(hx_end(&a), 0);
  CHECK_EQ(told_of("main"), 0);
  remove_dir();
}

// ---- fork, and bad input ------------------------------------------------------------------------------------------------
static void forks(void) {
#ifndef __SANITIZE_THREAD__ // it lets no child of a process with threads start another thread
  begin();
  uint32_t cell = judged("parent", HF_HANG_REPORT);
  CHECK(HX_UNTIL(told_of("parent") == 1));
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    check_failures = 0;
    int next = hf_cell_claim("unasked", hx_tid(), 0, NULL);
    CHECK_EQ(next, cell); // its private memory begins empty, and so do its marks
    CHECK_EQ(hf_cell_register((uint32_t)next, PERIOD_MS * MS, 1, NULL), 0);
    a_period_goes_by();
    CHECK_EQ(told_of("unasked"), 0);
    fflush(stdout);
    _exit(check_failures);
  }
  int status = -1;
  while (waitpid(pid, &status, 0) < 0) continue;
  CHECK_EQ(status, 0);
  hf_cell_beat(own, hf_cell_offset(cell));
  CHECK(HX_UNTIL(told_of("parent") == 2));
#endif
}

TEST(a_forked_child_has_a_judge_of_its_own_when_it_asks) {
  make_dir();
  hx_run(NULL, forks);
  remove_dir();
}

static void asks_wrongly(void) {
  hf_err err = {0};
  CHECK_EQ(hf_judge_here(0, HF_HANG_REPORT, &err), HF_EINVAL);
  CHECK(strstr(err.text, "hf_hearts") != NULL);
  begin();
  CHECK_EQ(hf_judge_here(0, HF_HANG_REPORT, &err), HF_EINVAL);
  CHECK(strstr(err.text, "hf_cell_claim") != NULL);
  CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), 0);
  CHECK_EQ(hf_judge_here(0, 0, &err), HF_EINVAL);
  CHECK_EQ(hf_judge_here(0, 3, &err), HF_EINVAL);
}

static void asks_under_a_manager(void) {
  hf_err err = {0};
  hx_hearts();
  CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), 0);
  CHECK_EQ(hf_judge_here(0, HF_HANG_ABORT, &err), HF_EMOVE);
  CHECK(strstr(err.text, "a manager judges this process") != NULL);
}

static int no_thread(const char *call) { return strcmp(call, "thread") == 0 ? EAGAIN : 0; }

static void gets_no_thread(void) {
  hf_err err = {0};
  begin();
  CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), 0);
  hf_k_fault = no_thread;
  CHECK_EQ(hf_judge_here(0, HF_HANG_REPORT, &err), HF_ESYS);
  hf_k_fault = NULL;
  CHECK_EQ(hf_judge_here(0, HF_HANG_REPORT, &err), 0);
}

TEST(what_it_refuses) {
  stage s;
  make_dir();
  CHECK(hx_open(&s));
  hx_run(NULL, asks_wrongly);
  hx_run(&s, asks_under_a_manager);
  hx_run(NULL, gets_no_thread);
  hx_close(&s);
  remove_dir();
}

CHECK_MAIN
