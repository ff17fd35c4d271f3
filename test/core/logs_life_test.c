// SPDX-License-Identifier: MIT
// The life of logs: what is refused, calls that fail, many silent sources, the copy on stdout, and an end while the disk
// does not answer.
#include <sys/resource.h>

#include "logs_fixture.h"

static hf_logs *logs;

static int add(uint32_t key, int *child, const char *prefix) {
  hf_log_target target = target_of("web.log", 0, 0);
  snprintf(target.prefix, sizeof target.prefix, "%s", prefix);
  int reader = fifo(child);
  CHECK_EQ(hf_logs_add(logs, key, reader, &target, NULL), 0);
  return reader;
}

// ---- stdout ----
static int stdout_before, stdout_reader;

static void stdout_catch(int flags) {
  int ends[2];
  fflush(stdout);
  CHECK_EQ(pipe2(ends, O_CLOEXEC | flags), 0);
  CHECK_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  stdout_before = fcntl(1, F_DUPFD_CLOEXEC, 3);
  dup2(ends[1], 1);
  close(ends[1]);
  stdout_reader = ends[0];
}

static void stdout_give_back(void) {
  fflush(stdout);
  dup2(stdout_before, 1);
  close(stdout_before);
  close(stdout_reader);
}

// What has come so far is gathered here.
static char caught[1 << 17];
static size_t caught_size;

static bool stdout_is(const char *expected) {
  ssize_t got = read(stdout_reader, caught + caught_size, sizeof caught - 1 - caught_size);
  if (got > 0) caught_size += (size_t)got;
  caught[caught_size] = 0;
  return strcmp(caught, expected) == 0;
}

TEST(stdout_gets_whole_lines_with_their_name) {
  scratch_make();
  caught_size = 0;
  stdout_catch(0);
  CHECK_EQ(hf_logs_create(&logs, true, NULL), 0);
  int web, api;
  int web_source = add(0, &web, "web"), api_source = add(1, &api, "api");
  say(web, "one\ntw");
  AWAIT(file_is("web.log", "one\ntw"));
  say(api, "whole\nlast");
  AWAIT(stdout_is("web | one\napi | whole\n"));
  say(web, "o\n\n");
  AWAIT(stdout_is("web | one\napi | whole\nweb | two\nweb | \n"));
  hf_logs_finish(logs, api_source);
  AWAIT(stdout_is("web | one\napi | whole\nweb | two\nweb | \napi | last\n"));
  hf_logs_finish(logs, web_source);
  hf_logs_destroy(logs, 20ull * SECOND);
  CHECK(stdout_is("web | one\napi | whole\nweb | two\nweb | \napi | last\n"));
  stdout_give_back();
  close(web);
  close(api);
  scratch_remove();
}

TEST(stdout_breaks_a_line_without_an_end) {
  scratch_make();
  caught_size = 0;
  stdout_catch(0);
  CHECK_EQ(hf_logs_create(&logs, true, NULL), 0);
  int web;
  int source = add(0, &web, "web");
  char line[10001] = "", expected[10100];
  memset(line, 'x', 10000);
  for (int i = 0; i < 10; i++) CHECK_EQ(write(web, line, 1000), 1000);
  hf_logs_finish(logs, source);
  hf_logs_destroy(logs, 20ull * SECOND);
  snprintf(expected, sizeof expected, "web | %.8192s\nweb | %s\n", line, line + 8192);
  AWAIT(stdout_is(expected));
  stdout_give_back();
  close(web);
  scratch_remove();
}

TEST(stdout_is_raw_without_a_prefix) {
  scratch_make();
  caught_size = 0;
  stdout_catch(0);
  CHECK_EQ(hf_logs_create(&logs, true, NULL), 0);
  int web;
  add(0, &web, "");
  say(web, "one\ntw");
  AWAIT(stdout_is("one\ntw"));
  hf_logs_destroy(logs, 20ull * SECOND);
  stdout_give_back();
  close(web);
  scratch_remove();
}

// A full stdout, blocking or not, holds the writer only; the child goes on, and destroy comes back.
static void full_stdout(int flags) {
  scratch_make();
  int before = entries_of("/proc/self/task");
  caught_size = 0;
  stdout_catch(flags);
  CHECK_EQ(hf_logs_create(&logs, true, NULL), 0);
  int web;
  add(0, &web, "web");
  size_t size = 4 << 20;
  char *text = flood_text(size);
  flood(web, text, size);
  AWAIT(hf_logs_dropped(logs, 0) > 0);
  uint64_t begin = hf_now_mono_ns();
  hf_logs_destroy(logs, SECOND / 10);
  CHECK(hf_now_mono_ns() - begin < 5ull * SECOND);
  if (flags == 0) CHECK(read(stdout_reader, caught, sizeof caught) > 0); // lets the writer go
  AWAIT(entries_of("/proc/self/task") == before);
  stdout_give_back();
  close(web);
  free(text);
  scratch_remove();
}

TEST(a_full_stdout_holds_the_writer_only) { full_stdout(0); }
TEST(a_full_stdout_that_does_not_block_ends_with_destroy) { full_stdout(O_NONBLOCK); }

TEST(a_stdout_that_nobody_reads_any_more_is_given_up) {
  scratch_make();
  stdout_catch(0);
  close(stdout_reader);
  CHECK_EQ(hf_logs_create(&logs, true, NULL), 0);
  int web;
  add(0, &web, "web");
  say(web, "one\n");
  AWAIT(file_is("web.log", "one\n"));
  say(web, "two\n");
  AWAIT(file_is("web.log", "one\ntwo\n"));
  hf_logs_destroy(logs, 20ull * SECOND);
  stdout_reader = dup(0);
  stdout_give_back();
  close(web);
  scratch_remove();
}

// ---- the end ----
TEST(destroy_comes_back_while_the_disk_does_not) {
  scratch_make();
  int tasks = entries_of("/proc/self/task"), files = entries_of("/proc/self/fd"), child, last;
  CHECK_EQ(hf_logs_create(&logs, false, NULL), 0);
  add(0, &child, "");
  disk_stick(true);
  say(child, "one\n");
  AWAIT(atomic_load(&disk.waits));
  char *text = flood_text(CHILD_FIFO);
  int source = add(1, &last, "");
  flood(last, text, CHILD_FIFO); // more than there is room for: these last words wait
  hf_logs_finish(logs, source);
  uint64_t begin = hf_now_mono_ns();
  hf_logs_destroy(logs, SECOND / 5);
  uint64_t took = hf_now_mono_ns() - begin;
  CHECK(took >= SECOND / 5 && took < 5ull * SECOND);
  disk_stick(false);
  AWAIT(entries_of("/proc/self/task") == tasks); // the writer ended by itself, and freed all
  close(child);
  close(last);
  free(text);
  AWAIT(entries_of("/proc/self/fd") == files);
  scratch_remove();
}

// ---- many ----
static uint64_t switches_of(const int *tids, int count) {
  uint64_t sum = 0;
  for (int i = 0; i < count; i++) {
    char path[64], line[200];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tids[i]);
    FILE *status = fopen(path, "re");
    unsigned long long switches;
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
      if (sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1) sum += switches;
    if (status != NULL) fclose(status);
  }
  return sum;
}

static int tids_now(int *out, int max) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *each; (each = readdir(tasks)) != NULL && count < max;)
    if (each->d_name[0] != '.') out[count++] = atoi(each->d_name);
  closedir(tasks);
  return count;
}

TEST(a_hundred_sources_and_then_silence) {
  enum { COUNT = 100, LINES = 50 };
  scratch_make();
  int old[16], tids[16], own[16], old_count = tids_now(old, 16), own_count = 0, child[COUNT], source[COUNT];
  CHECK_EQ(hf_logs_create(&logs, false, NULL), 0);
  int count = tids_now(tids, 16);
  for (int i = 0; i < count; i++) {
    bool known = false;
    for (int j = 0; j < old_count; j++) known |= old[j] == tids[i];
    if (!known) own[own_count++] = tids[i];
  }
  CHECK_EQ(own_count, 2);
  char name[32], line[64], expected[LINES * 32];
  for (uint32_t i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "p%u.log", i);
    hf_log_target target = target_of(name, 0, 0);
    source[i] = fifo(&child[i]);
    CHECK_EQ(hf_logs_add(logs, i, source[i], &target, NULL), 0);
  }
  for (int n = 0; n < LINES; n++)
    for (int i = 0; i < COUNT; i++) {
      snprintf(line, sizeof line, "process %d line %d\n", i, n);
      say(child[i], line);
    }
  for (int i = 0; i < COUNT; i++) {
    size_t used = 0;
    for (int n = 0; n < LINES; n++)
      used += (size_t)snprintf(expected + used, sizeof expected - used, "process %d line %d\n", i, n);
    snprintf(name, sizeof name, "p%d.log", i);
    AWAIT(file_is(name, expected));
  }
  for (int i = 0; i < COUNT / 2; i++) close(child[i]); // no writer is left there: always readable, and must wake nobody
  uint64_t before = 0, after = 1;
  for (int tries = 0; tries < 50 && before != after; tries++) { // quiet for a fifth of a second, some time soon
    before = switches_of(own, own_count) + atomic_load(&disk.calls);
    usleep(200000);
    after = switches_of(own, own_count) + atomic_load(&disk.calls);
  }
  CHECK(before != 0);
  CHECK_EQ(after, before);
  for (int i = 0; i < COUNT; i++) hf_logs_finish(logs, source[i]);
  hf_logs_destroy(logs, 20ull * SECOND);
  for (int i = COUNT / 2; i < COUNT; i++) close(child[i]);
  scratch_remove();
}

TEST(one_source_too_many_is_refused) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  scratch_make();
  CHECK_EQ(hf_logs_create(&logs, false, NULL), 0);
  hf_log_target target = target_of("web.log", 0, 0);
  CHECK_EQ(mkfifo(scratch_path("fifo"), 0600), 0);
  hf_err err = {0};
  int fd = -1, result = 0, count = 0;
  for (; result == 0 && count < 2000; count++) {
    fd = open(scratch_path("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    result = hf_logs_add(logs, (uint32_t)count / 2 % HF_PROCESS_MAX, fd, &target, &err);
  }
  CHECK_EQ(result, HF_EFULL);
  CHECK_EQ(count - 1, HF_PROCESS_MAX * 2);
  CHECK_EQ(close(fd), 0); // still ours
  hf_logs_destroy(logs, 20ull * SECOND);
  scratch_remove();
}

// ---- what is refused ----
TEST(wrong_values_are_refused_with_a_reason) {
  scratch_make();
  CHECK_EQ(hf_logs_create(&logs, false, NULL), 0);
  hf_err err = {0};
  hf_log_target target = target_of("web.log", 0, 0);
  CHECK_EQ(hf_logs_add(logs, HF_PROCESS_MAX + 1000, 0, &target, &err), HF_EINVAL);
  CHECK(strstr(err.text, "log key") != NULL);
  CHECK_EQ(hf_logs_add(logs, 0, -1, &target, &err), HF_EINVAL);
  snprintf(target.path, sizeof target.path, "web.log");
  CHECK_EQ(hf_logs_open_own(logs, 0, &target, &err), HF_EINVAL);
  CHECK(strstr(err.text, "absolute") != NULL);
  hf_logs_finish(logs, 999);
  hf_logs_retarget(logs, 7, &target);
  hf_logs_line(logs, HF_PROCESS_MAX + 1000, "nowhere");
  CHECK_EQ(hf_logs_dropped(logs, HF_PROCESS_MAX + 1000), 0);
  target = target_of("web.log", 0, 0);
  int file = open(scratch_path("plain"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  CHECK_EQ(hf_logs_add(logs, 0, file, &target, &err), HF_ESYS); // no FIFO: epoll takes none
  CHECK_EQ(err.errnum, EPERM);
  CHECK_STR(err.call, "epoll_ctl");
  CHECK_EQ(close(file), 0);
  hf_logs_destroy(logs, SECOND);
  scratch_remove();
}

TEST(a_target_of_nothing_takes_everything) {
  scratch_make();
  CHECK_EQ(hf_logs_create(&logs, false, NULL), 0);
  int child, source = fifo(&child);
  hf_log_target nowhere = {.path = ""};
  CHECK_EQ(hf_logs_add(logs, 0, source, &nowhere, NULL), 0);
  say(child, "one\n");
  hf_logs_finish(logs, source);
  hf_logs_destroy(logs, 20ull * SECOND);
  CHECK_EQ(entries_of(scratch_dir), 2);
  close(child);
  scratch_remove();
}

TEST(every_call_of_create_add_and_finish_may_fail) {
  scratch_make();
  for (int nth = 1; nth < 40; nth++) {
    int files = entries_of("/proc/self/fd"), tasks = entries_of("/proc/self/task"), child, source = fifo(&child);
    hf_err err = {0};
    hf_log_target target = target_of("web.log", 0, 0);
    unlink(target.path);
    atomic_store(&disk.own_nth, nth);
    int created = hf_logs_create(&logs, false, &err);
    int added = created == 0 ? hf_logs_add(logs, 0, source, &target, &err) : -1;
    if (added != 0) CHECK(err.errnum == EIO && err.text[0] != 0 && err.call[0] != 0);
    if (added != 0) close(source);
    else say(child, "one\n");
    if (added == 0) hf_logs_finish(logs, source);
    if (created == 0) hf_logs_destroy(logs, 20ull * SECOND);
    bool failed = atomic_exchange(&disk.own_nth, 0) <= 0;
    if (added == 0) CHECK_FILE("web.log", "one\n");
    close(child);
    AWAIT(entries_of("/proc/self/fd") == files);
    AWAIT(entries_of("/proc/self/task") == tasks);
    if (failed) continue;
    CHECK(nth > 6); // epoll_create1, eventfd, epoll_ctl, two threads, and more were reached
    scratch_remove();
    return;
  }
  CHECK(!"the calls end");
}

CHECK_MAIN
