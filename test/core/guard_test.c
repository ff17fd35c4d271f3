// SPDX-License-Identifier: MIT
// Reading a file that its owner cuts: the reader lives, and learns of it; any other SIGBUS kills.
#include "heartbeat/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "check.h"
#include "segment/layout.h"

enum { PAGES = 8 };

static int new_file(void) {
  int fd = memfd_create("guarded", MFD_CLOEXEC);
  CHECK_EQ(ftruncate(fd, PAGES * HF_PAGE), 0);
  static unsigned char bytes[PAGES * HF_PAGE];
  memset(bytes, 7, sizeof bytes);
  CHECK_EQ(pwrite(fd, bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
  return fd;
}

static unsigned at(const void *base, size_t offset) { return ((const volatile unsigned char *)base)[offset]; }

// ---- children, before anything has begun the guard in this process ----
// How a child ends that blocks all signals, as the manager does, begins the guard, and runs `body`.
static int ends_by(void (*body)(void)) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    body();
    _exit(3);
  }
  int status = 0;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void reads_under_guard(void) {
  void *base = NULL;
  int fd = new_file();
  if (hf_guard_begin(NULL) != 0) _exit(4);
  int slot = hf_guard_map(fd, PAGES * HF_PAGE, &base, NULL);
  if (ftruncate(fd, 0) != 0 || at(base, 0) != 0 || !hf_guard_faulted(slot)) _exit(5);
}

static void reads_without_guard(void) {
  signal(SIGBUS, SIG_DFL); // not the sanitizer's
  if (hf_guard_begin(NULL) != 0) _exit(4);
  int fd = new_file();
  const void *base = mmap(NULL, HF_PAGE, PROT_READ, MAP_SHARED, fd, 0);
  if (ftruncate(fd, 0) != 0) _exit(5);
  (void)at(base, 0);
}

static void is_sent_a_bus_error(void) {
  signal(SIGBUS, SIG_DFL);
  if (hf_guard_begin(NULL) != 0) _exit(4);
  kill(getpid(), SIGBUS);
}

TEST(a_thread_that_blocks_all_signals_is_guarded) { CHECK_EQ(ends_by(reads_under_guard), -3); }
TEST(any_other_fault_kills) { CHECK_EQ(ends_by(reads_without_guard), SIGBUS); }
TEST(a_signal_that_was_sent_kills) { CHECK_EQ(ends_by(is_sent_a_bus_error), SIGBUS); }

// ---- here ----
TEST(a_cut_file_reads_as_zeros_and_is_known) {
  int fd = new_file(), other = new_file();
  void *base = NULL, *other_base = NULL;
  CHECK_EQ(hf_guard_begin(NULL), 0);
  CHECK_EQ(hf_guard_begin(NULL), 0);
  int slot = hf_guard_map(fd, PAGES * HF_PAGE, &base, NULL);
  int other_slot = hf_guard_map(other, PAGES * HF_PAGE, &other_base, NULL);
  CHECK(slot >= 0 && other_slot >= 0 && slot != other_slot);
  CHECK_EQ(at(base, 0), 7);
  CHECK_EQ(at(base, 5 * HF_PAGE), 7);
  CHECK(!hf_guard_faulted(slot));
  CHECK_EQ(ftruncate(fd, 2 * HF_PAGE), 0);
  CHECK_EQ(at(base, HF_PAGE), 7); // what is there is there
  CHECK(!hf_guard_faulted(slot));
  CHECK_EQ(at(base, 5 * HF_PAGE + 123), 0);
  CHECK(hf_guard_faulted(slot));
  CHECK_EQ(at(base, 0), 0); // all of it is zeros now
  CHECK_EQ(ftruncate(fd, PAGES * HF_PAGE), 0);
  CHECK_EQ(at(base, 0), 0); // whatever its owner does
  CHECK(!hf_guard_faulted(other_slot));
  CHECK_EQ(at(other_base, 5 * HF_PAGE), 7);
  hf_guard_unmap(slot);
  int again = hf_guard_map(other, PAGES * HF_PAGE, &base, NULL);
  CHECK_EQ(again, slot);
  CHECK(!hf_guard_faulted(again));
  CHECK_EQ(at(base, HF_PAGE), 7);
  hf_guard_unmap(again);
  hf_guard_unmap(other_slot);
  close(fd);
  close(other);
}

TEST(an_odd_size_is_guarded_to_the_end_of_its_page) {
  int fd = new_file();
  void *base = NULL;
  int slot = hf_guard_map(fd, 3 * HF_PAGE + 1, &base, NULL);
  CHECK_EQ(ftruncate(fd, 0), 0);
  CHECK_EQ(at(base, 4 * HF_PAGE - 1), 0);
  CHECK(hf_guard_faulted(slot));
  hf_guard_unmap(slot);
  close(fd);
}

TEST(as_many_as_there_are_processes) {
  int fd = new_file(), slots[HF_PROCESS_MAX], count = 0;
  void *base = NULL;
  hf_err err = {0};
  while (count < HF_PROCESS_MAX && (slots[count] = hf_guard_map(fd, HF_PAGE, &base, NULL)) >= 0) count++;
  CHECK_EQ(count, HF_PROCESS_MAX);
  CHECK_EQ(hf_guard_map(fd, HF_PAGE, &base, &err), HF_EFULL);
  CHECK_EQ(ftruncate(fd, 0), 0);
  CHECK_EQ(at(base, 0), 0); // the last one mapped
  CHECK(hf_guard_faulted(slots[count - 1]) && !hf_guard_faulted(slots[0]));
  for (int i = 0; i < count; i++) hf_guard_unmap(slots[i]);
  close(fd);
}

static int fail_mmap(const char *call) { return strcmp(call, "mmap") == 0 ? ENOMEM : 0; }

TEST(no_memory_for_a_mapping_is_an_error) {
  int fd = new_file();
  void *base = NULL;
  hf_err err = {0};
  hf_k_fault = fail_mmap;
  CHECK(hf_guard_map(fd, HF_PAGE, &base, &err) < 0);
  hf_k_fault = NULL;
  CHECK(err.text[0] != 0);
  int slot = hf_guard_map(fd, HF_PAGE, &base, NULL);
  CHECK(slot >= 0);
  hf_guard_unmap(slot);
  close(fd);
}

CHECK_MAIN
