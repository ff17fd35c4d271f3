// SPDX-License-Identifier: MIT
// A manager played by the test: directory, segment, own file and bell of one incarnation, and children that find them as a
// spawned process does. Each child is forked while the test has one thread, runs one function, and ends with the number of
// checks that failed.
#ifndef HF_TEST_HEARTS_FIXTURE_H
#define HF_TEST_HEARTS_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "check.h"
#include "heartbeat/cells.h"
#include "process/status.h"
#include "segment/dir.h"
#include "segment/segment.h"
#include "supervise/bell.h"

enum { HX_INDEX = 3, HX_INCARNATION = 1 };

typedef struct stage {
  char dir[64];
  int dir_fd, own_fd, bell, segment_fd;
  hf_segment *segment; // writable: we are the manager
  hf_own *own;         // read-only, as a manager has it
} stage;

static inline bool hx_open(stage *s) {
  static int number;
  hf_err err = {0};
  memset(s, 0, sizeof *s);
  snprintf(s->dir, sizeof s->dir, "/dev/shm/hf-hearts-%d.%d", (int)getpid(), ++number);
  s->dir_fd = hf_dir_open(s->dir, true, &err);
  bool ok = s->dir_fd >= 0 && hf_segment_create(s->dir_fd, "test", &err) == 0 &&
            hf_segment_attach(s->dir_fd, true, &s->segment, &err) == 0;
  if (ok) {
    hf_status *draft = hf_status_begin(s->segment, HX_INDEX);
    strcpy(draft->name, "web");
    hf_store_release(&s->segment->header.slots_used, HX_INDEX + 1);
    ok = hf_status_commit(s->segment, HX_INDEX, HF_STATE_STARTED, HX_INCARNATION, &err) == 0;
  }
  if (ok) {
    s->segment_fd = openat(s->dir_fd, "segment", O_RDONLY | O_CLOEXEC);
    s->own_fd = hf_own_create(s->dir_fd, HX_INDEX, HX_INCARNATION, false, 0, 0, &err);
    s->bell = hf_bell_open(s->dir_fd, "bell", &err);
    s->own = mmap(NULL, HF_OWN_CELLS_SIZE, PROT_READ, MAP_SHARED, s->own_fd, 0);
    ok = s->segment_fd >= 0 && s->own_fd >= 0 && s->bell >= 0 && s->own != MAP_FAILED;
  }
  if (!ok) printf("  no stage: %s\n", err.text);
  return ok;
}

static inline void hx_close(stage *s) {
  char command[96];
  munmap(s->segment, sizeof *s->segment);
  munmap(s->own, HF_OWN_CELLS_SIZE);
  close(s->segment_fd);
  close(s->own_fd);
  close(s->bell);
  close(s->dir_fd);
  snprintf(command, sizeof command, "rm -rf %s", s->dir);
  CHECK_EQ(system(command), 0);
}

// In a child: what a spawn passes.
static inline void hx_pass(const stage *s) {
  struct stat st[3];
  const int from[3] = {s->segment_fd, s->own_fd, s->bell};
  char text[256];
  for (int i = 0; i < 3; i++) {
    fstat(from[i], &st[i]);
    dup2(from[i], 64 + i);
  }
  snprintf(text, sizeof text, "1:%d:%d:64=%llu.%llu:65=%llu.%llu:66=%llu.%llu", HX_INDEX, HX_INCARNATION,
           (unsigned long long)st[0].st_dev, (unsigned long long)st[0].st_ino, (unsigned long long)st[1].st_dev,
           (unsigned long long)st[1].st_ino, (unsigned long long)st[2].st_dev, (unsigned long long)st[2].st_ino);
  setenv("HOLDFAST_ATTACH", text, 1);
  setenv("HOLDFAST_DIR", s->dir, 1);
}

// A child and two pipes: it says that it got somewhere, and waits until it may go on. It dies with the test.
typedef struct actor {
  pid_t pid;
  int said, may; // our ends
} actor;
static int hx_say_fd = -1, hx_may_fd = -1; // the child's

static inline void hx_say(char what) { CHECK(write(hx_say_fd, &what, 1) == 1); }

static inline void hx_await(void) {
  char byte;
  while (read(hx_may_fd, &byte, 1) < 0 && errno == EINTR) continue;
}

static inline actor hx_start(const stage *s, void (*body)(void)) {
  actor a = {.pid = -1};
  int said[2], may[2];
  signal(SIGPIPE, SIG_IGN);
  CHECK(pipe2(said, O_CLOEXEC) == 0 && pipe2(may, O_CLOEXEC) == 0);
  fflush(stdout);
  a.pid = fork();
  if (a.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    check_failures = 0;
    hx_say_fd = said[1];
    hx_may_fd = may[0];
    close(said[0]);
    close(may[1]);
    if (s != NULL) hx_pass(s);
    body();
    fflush(stdout);
    _exit(check_failures);
  }
  close(said[1]);
  close(may[0]);
  a.said = said[0];
  a.may = may[1];
  return a;
}

// What it said, or 0 if it ended or said nothing in 20 s.
static inline char hx_heard(const actor *a) {
  char byte = 0;
  struct pollfd fd = {.fd = a->said, .events = POLLIN};
  return poll(&fd, 1, 20000) == 1 && read(a->said, &byte, 1) == 1 ? byte : 0;
}

static inline void hx_go(const actor *a) { CHECK(write(a->may, "g", 1) == 1); }

// Lets it end: its wait status. A byte, not the end of the pipe: children that were forked later have our end too.
static inline int hx_end(actor *a) {
  int status = -1;
  (void)!write(a->may, "e", 1); // it may have ended by itself
  close(a->may);
  while (waitpid(a->pid, &status, 0) < 0 && errno == EINTR) continue;
  close(a->said);
  return status;
}

static inline void hx_run(const stage *s, void (*body)(void)) {
  actor a = hx_start(s, body);
  CHECK_EQ(hx_end(&a), 0);
}

// In a child: attached, and where its cells are.
static inline hf_own *hx_hearts(void) {
  hf_self *self = NULL;
  hf_err err = {0};
  void *base = NULL;
  size_t size = 0;
  int failed = hf_attach_quietly(&self, &err);
  if (!failed) failed = hf_hearts(self, &base, &size, &err);
  if (failed) printf("  %s\n", err.text);
  CHECK_EQ(failed, 0);
  CHECK_EQ(size, HF_OWN_CELLS_SIZE);
  return base;
}

static inline hf_own *hx_private(void) {
  void *base = NULL;
  CHECK_EQ(hf_hearts(NULL, &base, NULL, NULL), 0);
  return base;
}

static inline pid_t hx_tid(void) { return (pid_t)syscall(SYS_gettid); }

// How many cells count, and how many are not free.
static inline unsigned hx_armed(const hf_own *own) {
  unsigned count = 0;
  hf_cell_copy copy;
  for (uint32_t c = 0; c < hf_cells_used(own); c++) count += hf_cells_copy(own, c, &copy);
  return count;
}

static inline unsigned hx_claimed(hf_own *own) {
  unsigned count = 0;
  for (uint32_t c = 0; c < hf_cells_used(own); c++)
    count += HF_CLAIM_STATE(hf_load_acquire(&hf_cell_at(own, c)->claim)) != HF_CELL_FREE;
  return count;
}

// In a child: dies at the point that was named.
static const char *hx_death;
static inline void hx_dies_at(const char *name) {
  if (strcmp(name, hx_death) == 0) kill(getpid(), SIGKILL);
}

// Waits until the expression is true: false after 10 s.
#define HX_UNTIL(expression)                                                                                                 \
  __extension__({                                                                                                            \
    uint64_t hx_end_ns = hf_now_mono_ns() + 10000000000u;                                                                    \
    bool hx_ok = false;                                                                                                      \
    while (!(hx_ok = (expression)) && hf_now_mono_ns() < hx_end_ns) usleep(1000);                                            \
    hx_ok;                                                                                                                   \
  })

#endif
