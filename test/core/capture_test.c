// SPDX-License-Identifier: MIT
// The helper thread: what it answers to a manager, in what time, and to whom it answers nothing. And what the kernel tells
// of a thread.
#include <dirent.h>
#include <sys/epoll.h>

#include "hearts_fixture.h"

#define MS UINT64_C(1000000)

// ---- the manager's part -------------------------------------------------------------------------------------------------
static void ask(stage *s, uint32_t incarnation, uint32_t request) {
  hf_capture_slot *slot = &s->segment->capture[HX_INDEX];
  hf_store_release(&slot->incarnation, incarnation);
  hf_store_release(&slot->request, request);
  hf_k_futex_wake((uint32_t *)&slot->request);
}

static bool answered(stage *s, uint32_t request) { return HX_UNTIL(hf_load_acquire(&s->own->capture_done) == request); }

static char answer_text[HF_CAPTURE_TEXT_MAX + 1];
static const char *answer(stage *s) {
  uint32_t length = hf_load_relaxed(&s->own->capture_length);
  ssize_t got = length <= HF_CAPTURE_TEXT_MAX ? pread(s->own_fd, answer_text, length, (off_t)HF_CAPTURE_TEXT_AT) : -1;
  CHECK_EQ(got, length);
  answer_text[got > 0 ? got : 0] = 0;
  return answer_text;
}

static const char *capture(stage *s, uint32_t request) {
  uint64_t begun_ns = hf_now_mono_ns();
  ask(s, HX_INCARNATION, request);
  CHECK(answered(s, request));
  CHECK(hf_now_mono_ns() - begun_ns < 500 * MS); // a manager waits no longer
  return answer(s);
}

static void expect(const char *text, const char *words) {
  if (strstr(text, words) == NULL) printf("  \"%s\" is not in:\n%s\n", words, text);
  CHECK(strstr(text, words) != NULL);
}

static void expect_begin(const char *text, const char *words) {
  if (strncmp(text, words, strlen(words)) != 0) printf("  it does not begin with \"%s\":\n%s\n", words, text);
  CHECK(strncmp(text, words, strlen(words)) == 0);
}

// ---- what the children do -----------------------------------------------------------------------------------------------
static uint32_t beating(pid_t tid) {
  hx_hearts();
  int cell = hf_cell_claim("worker", tid, 0, NULL);
  CHECK(cell >= 0 && hf_cell_register((uint32_t)cell, 500 * MS, 1, NULL) == 0);
  return (uint32_t)cell;
}

static size_t told(const char *text, char *out, size_t size) {
  snprintf(out, size, "%s", text);
  return strlen(out);
}

static size_t knows(uint32_t cell, uint64_t deadline_ns, char *out, size_t size) {
  CHECK(deadline_ns > hf_now_mono_ns() && cell == 0);
  return told("where: spin (server.mjs:12:3)\n  at spin (server.mjs:12:3)\n  at main", out, size);
}

static void child_that_knows(void) {
  hf_stack_hook_set(knows);
  beating(hx_tid());
  hx_say('r');
  hx_await();
}

TEST(the_stack_hook_speaks_first_then_the_kernel) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, child_that_knows);
  CHECK_EQ(hx_heard(&a), 'r');
  (void)hf_bell_drain(s.bell);
  const char *text = capture(&s, HF_CAPTURE_REQUEST(1, 0));
  expect_begin(text, "where: spin (server.mjs:12:3)\n  at spin (server.mjs:12:3)\n  at main\n\nThe kernel's view of thread ");
  expect(text, "\nstate: S (sleeping)\n");
  expect(text, "\nsystem call: read of fd ");
  CHECK(strstr(text, "JavaScript is known") == NULL);
  CHECK(HX_UNTIL(hf_bell_drain(s.bell) == HF_RUNG_CAPTURE));
  expect_begin(capture(&s, HF_CAPTURE_REQUEST(2, 0)), "where: spin"); // again, as often as it is asked
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

static size_t knows_not(uint32_t cell, uint64_t deadline_ns, char *out, size_t size) {
  (void)cell, (void)deadline_ns;
  return told("where: -\nno answer in 300 ms\n", out, size);
}

static char fifo[96];
static void *reads_a_fifo(void *argument) {
  (void)argument;
  char byte;
  int fd = open(fifo, O_RDWR);
  beating(hx_tid());
  hx_say('r');
  if (read(fd, &byte, 1) < 0) return NULL;
  return NULL;
}

static void child_in_a_read(void) {
  pthread_t thread;
  hf_stack_hook_set(knows_not);
  CHECK_EQ(pthread_create(&thread, NULL, reads_a_fifo, NULL), 0);
  hx_await();
}

TEST(where_the_hook_knows_nothing_the_kernel_says_where) {
  stage s;
  CHECK(hx_open(&s));
  snprintf(fifo, sizeof fifo, "%s/events.fifo", s.dir);
  CHECK_EQ(mkfifo(fifo, 0600), 0);
  actor a = hx_start(&s, child_in_a_read);
  CHECK_EQ(hx_heard(&a), 'r');
  uint32_t asked = 0; // it may not be in the read yet: the same request is answered once
  CHECK(HX_UNTIL(strstr(capture(&s, HF_CAPTURE_REQUEST(++asked, 0)), "where: read of events.fifo, fd ") != NULL));
  expect(answer_text, "\nno answer in 300 ms\n\nNo line of JavaScript is known of it. The kernel's view of thread ");
  expect(answer_text, "/events.fifo)\n");
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

// ---- each way to hang, without a hook -----------------------------------------------------------------------------------
static int way;
static _Atomic int32_t hung_tid;
static void *hangs(void *argument) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static _Atomic unsigned counter;
  int ends[2];
  char byte;
  (void)argument;
  hf_store_release(&hung_tid, hx_tid());
  switch (way) {
  case 0:
    for (;;) atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
  case 1:
    pthread_mutex_lock(&lock);
    pthread_mutex_lock(&lock);
    break;
  case 2:
    CHECK(pipe(ends) == 0 && read(ends[0], &byte, 1) < 0);
    break;
  case 3:
    for (;;) sleep(1000);
  case 4: {
    struct epoll_event event;
    (void)epoll_wait(epoll_create1(0), &event, 1, -1);
    break;
  }
  default:
    for (;;) pause();
  }
  return NULL;
}

static void child_that_hangs(void) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, hangs, NULL), 0);
  CHECK(HX_UNTIL(hf_load_acquire(&hung_tid) != 0));
  beating(hf_load_acquire(&hung_tid));
  hx_say('r');
  hx_await();
}

TEST(the_kernel_tells_loops_locks_reads_and_sleeps_apart) {
  static const char *const wheres[] = {"where: running a builtin or native code\n",
                                       "where: futex\n",
                                       "where: read of pipe, fd ",
                                       "nanosleep\n",
                                       "where: epoll_",
                                       "where: p"}; // pause, or ppoll on arm64
  for (way = 0; way < 6; way++) {
    stage s;
    CHECK(hx_open(&s));
    actor a = hx_start(&s, child_that_hangs);
    CHECK_EQ(hx_heard(&a), 'r');
    uint32_t asked = 0;
    CHECK(HX_UNTIL(strstr(capture(&s, HF_CAPTURE_REQUEST(++asked, 0)), wheres[way]) != NULL));
    expect(answer_text, wheres[way]);
    expect(answer_text, "No function of it is known: nothing in this process can tell. The kernel's view of thread ");
    expect(answer_text, "processor time so far: ");
    CHECK_EQ(hx_end(&a), 0);
    hx_close(&s);
  }
}

static void child_of_unknown_thread(void) {
  beating(0);
  hx_say('r');
  hx_await();
}

TEST(a_thread_whose_id_is_not_known_is_said_to_be) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, child_of_unknown_thread);
  CHECK_EQ(hx_heard(&a), 'r');
  const char *text = capture(&s, HF_CAPTURE_REQUEST(1, 0));
  expect_begin(text, "where: -\n");
  expect(text, "thread id is not known");
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

// ---- whom it answers ----------------------------------------------------------------------------------------------------
TEST(another_incarnation_is_not_answered) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, child_that_knows);
  CHECK_EQ(hx_heard(&a), 'r');
  ask(&s, HX_INCARNATION + 1, HF_CAPTURE_REQUEST(1, 0));
  expect_begin(capture(&s, HF_CAPTURE_REQUEST(2, 0)), "where: spin"); // looked at after the other one
  CHECK(hf_load_acquire(&s.own->capture_done) == HF_CAPTURE_REQUEST(2, 0));
  ask(&s, HX_INCARNATION, HF_CAPTURE_REQUEST(3, 900)); // no such cell
  ask(&s, HX_INCARNATION, HF_CAPTURE_REQUEST(4, 0xffff));
  (void)capture(&s, HF_CAPTURE_REQUEST(5, 0));
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

static size_t says_pid(uint32_t cell, uint64_t deadline_ns, char *out, size_t size) {
  (void)deadline_ns;
  snprintf(out, size, "where: cell %u of %d\n", cell, (int)getpid());
  return strlen(out);
}

static void child_that_says_pid(void) {
  hf_stack_hook_set(says_pid);
  beating(hx_tid());
  hx_say('r');
  hx_await();
}

TEST(in_a_tree_the_owner_of_the_cell_answers) {
  stage s;
  char expected[64];
  actor a[3];
  CHECK(hx_open(&s));
  for (uint32_t i = 0; i < 3; i++) {
    a[i] = hx_start(&s, child_that_says_pid);
    CHECK_EQ(hx_heard(&a[i]), 'r');
  }
  for (uint32_t i = 0; i < 3; i++) {
    snprintf(expected, sizeof expected, "where: cell %u of %d\n", i, (int)a[i].pid);
    expect_begin(capture(&s, HF_CAPTURE_REQUEST(i + 1, i)), expected);
  }
  for (int i = 0; i < 3; i++) CHECK_EQ(hx_end(&a[i]), 0);
  hx_close(&s);
}

// ---- time ---------------------------------------------------------------------------------------------------------------
static _Atomic int hook_calls;
static size_t waits_for_its_deadline(uint32_t cell, uint64_t deadline_ns, char *out, size_t size) {
  (void)cell;
  static const uint32_t never;
  atomic_fetch_add(&hook_calls, 1);
  hx_say('h');
  while (hf_now_mono_ns() < deadline_ns) (void)hf_k_futex_wait(&never, 0, deadline_ns);
  return told("where: -\n", out, size);
}

static void child_with_a_slow_hook(void) {
  hf_stack_hook_set(waits_for_its_deadline);
  beating(hx_tid());
  hx_say('r');
  hx_await();
  CHECK_EQ(atomic_load(&hook_calls), 3);
}

TEST(a_hook_that_uses_its_time_up_is_in_time_and_the_newest_request_counts) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, child_with_a_slow_hook);
  CHECK_EQ(hx_heard(&a), 'r');
  expect_begin(capture(&s, HF_CAPTURE_REQUEST(1, 0)), "where: read of pipe");
  CHECK_EQ(hx_heard(&a), 'h');
  ask(&s, HX_INCARNATION, HF_CAPTURE_REQUEST(2, 0));
  CHECK_EQ(hx_heard(&a), 'h');
  ask(&s, HX_INCARNATION, HF_CAPTURE_REQUEST(3, 0)); // while the second is under way
  CHECK(HX_UNTIL(hf_load_acquire(&s.own->capture_done) != HF_CAPTURE_REQUEST(1, 0)));
  CHECK_EQ(hf_load_acquire(&s.own->capture_done), HF_CAPTURE_REQUEST(3, 0));
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

// ---- what fails ---------------------------------------------------------------------------------------------------------
static void child_that_dies(void) {
  hf_k_point = hx_dies_at;
  child_that_knows();
}

TEST(a_death_before_the_answer_is_no_answer) {
  static const char *const points[] = {"capture-taken", "capture-written"};
  for (int i = 0; i < 2; i++) {
    stage s;
    CHECK(hx_open(&s));
    hx_death = points[i];
    actor a = hx_start(&s, child_that_dies);
    CHECK_EQ(hx_heard(&a), 'r');
    ask(&s, HX_INCARNATION, HF_CAPTURE_REQUEST(1, 0));
    CHECK_EQ(hx_heard(&a), 0);
    CHECK_EQ(hx_end(&a), SIGKILL);
    CHECK_EQ(s.own->capture_done, 0);
    hx_close(&s);
  }
}

static int no_room(const char *call) { return strcmp(call, "pwrite") == 0 ? ENOSPC : 0; }

static void child_without_room(void) {
  hf_k_fault = no_room;
  child_that_knows();
}

TEST(a_full_tmpfs_is_an_empty_text) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, child_without_room);
  CHECK_EQ(hx_heard(&a), 'r');
  CHECK_STR(capture(&s, HF_CAPTURE_REQUEST(1, 0)), "");
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

// The kernel's view needs descriptors, and it is said that there are none; the hook needs none.
static void child_out_of_descriptors(void) {
  hf_stack_hook_set(knows);
  beating(hx_tid());
  while (dup(0) >= 0) continue;
  CHECK_EQ(errno, EMFILE);
  hx_say('r');
  hx_await();
}

TEST(a_process_out_of_descriptors_tells_its_stack) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, child_out_of_descriptors);
  CHECK_EQ(hx_heard(&a), 'r');
  expect_begin(capture(&s, HF_CAPTURE_REQUEST(1, 0)), "where: spin (server.mjs:12:3)\n  at spin");
  expect(answer_text, "state: it can't be read here (Too many open files)\n");
  expect_begin(capture(&s, HF_CAPTURE_REQUEST(2, 0)), "where: spin"); // the number that was passed is still open
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

static int no_thread(const char *call) { return strcmp(call, "thread") == 0 ? EAGAIN : 0; }

static void child_without_a_helper(void) {
  hf_k_fault = no_thread;
  uint32_t cell = beating(hx_tid());
  hf_cell_copy copy;
  CHECK(hf_cells_copy(hx_hearts(), cell, &copy) && copy.flags == 0);
  hf_k_fault = NULL;
  CHECK_EQ(hf_cell_register(cell, 600 * MS, 1, NULL), 0); // the next one tries again
  CHECK(hf_cells_copy(hx_hearts(), cell, &copy) && copy.flags == HF_CELL_HELPER);
}

TEST(without_a_thread_it_beats_and_says_that_nobody_answers) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, child_without_a_helper);
  hx_close(&s);
}

static _Atomic int starts;
static _Atomic bool other_has_registered;
static void *registers(void *argument) {
  (void)argument;
  int cell = hf_cell_claim("other", 0, 0, NULL);
  CHECK(cell >= 0 && hf_cell_register((uint32_t)cell, 500 * MS, 1, NULL) == 0);
  hf_store_release(&other_has_registered, true);
  hf_cell_copy copy;
  CHECK(hf_cells_copy(hx_hearts(), (uint32_t)cell, &copy) && copy.flags == HF_CELL_HELPER);
  return NULL;
}

// The first start fails, and not before the other thread had the time to believe in it.
static int first_thread_fails(const char *call) {
  if (strcmp(call, "thread") != 0 || atomic_fetch_add(&starts, 1) > 0) return 0;
  uint64_t until_ns = hf_now_mono_ns() + 200 * MS;
  pthread_t other;
  CHECK_EQ(pthread_create(&other, NULL, registers, NULL), 0);
  pthread_detach(other);
  while (!hf_load_acquire(&other_has_registered) && hf_now_mono_ns() < until_ns) usleep(1000);
  return EAGAIN;
}

static void child_with_two_first_threads(void) {
  hf_k_fault = first_thread_fails;
  uint32_t cell = beating(hx_tid());
  hf_cell_copy copy;
  CHECK(hf_cells_copy(hx_hearts(), cell, &copy) && copy.flags == 0);
  CHECK(HX_UNTIL(hf_load_acquire(&other_has_registered)));
  CHECK_EQ(atomic_load(&starts), 2); // the one that waited has started it
  hx_say('r');
  hx_await();
}

TEST(nobody_counts_on_a_helper_that_is_only_about_to_start) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, child_with_two_first_threads);
  CHECK_EQ(hx_heard(&a), 'r');
  expect(capture(&s, HF_CAPTURE_REQUEST(1, 0)), "The kernel's view of thread ");
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

// ---- the thread itself --------------------------------------------------------------------------------------------------
// The one thread of this process besides the caller.
static pid_t other_thread(void) {
  DIR *tasks = opendir("/proc/self/task");
  pid_t found = 0;
  for (struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;)
    if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != hx_tid()) found = (pid_t)atoi(entry->d_name);
  if (tasks != NULL) closedir(tasks);
  return found;
}

static void child_looks_at_its_helper(void) {
#if !defined(__SANITIZE_THREAD__) // which has a thread of its own
  char path[64], text[4096], *line, where[HF_WHERE_SIZE];
  hx_hearts();
  CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), 0);
  CHECK_EQ(other_thread(), 0); // lazily
  CHECK_EQ(hf_cell_register(0, 500 * MS, 1, NULL), 0);
  CHECK_EQ(hf_cell_register(0, 600 * MS, 1, NULL), 0);
  pid_t helper = other_thread();
  CHECK(helper > 0);
  CHECK(HX_UNTIL(hf_thread_kernel_view(getpid(), helper, text, sizeof text, where) > 0 && strcmp(where, "futex") == 0));
  snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)helper);
  int fd = open(path, O_RDONLY);
  ssize_t got = read(fd, text, sizeof text - 1);
  text[got > 0 ? got : 0] = 0;
  CHECK((line = strstr(text, "SigBlk:")) != NULL);
  unsigned long long blocked = line ? strtoull(line + 7, NULL, 16) : 0;
  static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGPROF, SIGXFSZ, SIGPIPE};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) CHECK((blocked >> (signals[i] - 1)) & 1);
  sigset_t ours;
  CHECK(pthread_sigmask(SIG_SETMASK, NULL, &ours) == 0 && !sigismember(&ours, SIGTERM));
#else
  (void)other_thread;
#endif
}

TEST(the_helper_comes_with_the_first_registration_sleeps_and_blocks_all_signals) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, child_looks_at_its_helper);
  hx_close(&s);
}

// ---- the kernel's view of others ----------------------------------------------------------------------------------------
static void waits(void) { hx_await(); }

TEST(the_view_of_another_process_and_of_what_is_no_more) {
  char text[2048], where[HF_WHERE_SIZE];
  actor a = hx_start(NULL, waits);
  CHECK(
      HX_UNTIL(hf_thread_kernel_view(a.pid, a.pid, text, sizeof text, where) > 0 && strncmp(where, "read of pipe", 12) == 0));
  CHECK_EQ(kill(a.pid, SIGSTOP), 0);
  CHECK(HX_UNTIL(hf_thread_kernel_view(a.pid, a.pid, text, sizeof text, where) > 0 &&
                 strcmp(where, "stopped by a signal") == 0));
  expect(text, "state: T (stopped by a signal)\n");
  size_t whole = strlen(text), length = hf_thread_kernel_view(a.pid, a.pid, text, 12, NULL); // cut, and always ended
  CHECK(whole > 12 && length == 11 && strlen(text) == 11);
  CHECK_EQ(hf_thread_kernel_view(a.pid, a.pid, text, 0, NULL), 0);
  CHECK_EQ(kill(a.pid, SIGCONT), 0);
  CHECK_EQ(hx_end(&a), 0);
  CHECK(hf_thread_kernel_view(a.pid, a.pid, text, sizeof text, where) > 0);
  CHECK_STR(where, "the thread has ended");
}

CHECK_MAIN
