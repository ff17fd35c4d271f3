// SPDX-License-Identifier: MIT
// What the tests of logs share: a scratch directory, files as text, waiting for a condition, and a disk that a test can make
// full, slow or stuck through the hook of the kernel seam. The hook is never taken out, so that no thread races with that.
#ifndef HF_TEST_LOGS_FIXTURE_H
#define HF_TEST_LOGS_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/kernel.h"
#include "check.h"
#include "supervise/logs.h"

#define SECOND 1000000000u

// Waits until `condition` holds; a test that waits in vain fails.
#define AWAIT(condition)                                                                                                     \
  do {                                                                                                                       \
    uint64_t await_until = hf_now_mono_ns() + 20ull * SECOND;                                                                \
    while (!(condition) && hf_now_mono_ns() < await_until) usleep(1000);                                                     \
    CHECK(condition);                                                                                                        \
  } while (0)

// ---- the disk ----
typedef struct disk_state {
  atomic_int write_error, rename_error; // errno of every such call that is not the test's own; 0: none
  atomic_int write_slow_us;             // how long each write takes
  atomic_uint calls, writes;            // so far, by other threads
  atomic_bool stuck, reader_stuck;      // a write, or a read, waits while this holds
  atomic_bool waits;                    // one does
  atomic_int own_nth;                   // the Nth call of the test's own thread fails with EIO; 0: none
} disk_state;

static disk_state disk;
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t disk_change = PTHREAD_COND_INITIALIZER;
static _Thread_local bool test_thread;

static int disk_hook(const char *call) {
  if (test_thread) return atomic_load(&disk.own_nth) > 0 && atomic_fetch_sub(&disk.own_nth, 1) == 1 ? EIO : 0;
  atomic_fetch_add(&disk.calls, 1);
  if (strcmp(call, "read") == 0) {
    pthread_mutex_lock(&disk_lock);
    while (atomic_load(&disk.reader_stuck)) pthread_cond_wait(&disk_change, &disk_lock);
    pthread_mutex_unlock(&disk_lock);
  }
  if (strcmp(call, "rename") == 0) return atomic_load(&disk.rename_error);
  if (strcmp(call, "write") != 0) return 0;
  atomic_fetch_add(&disk.writes, 1);
  pthread_mutex_lock(&disk_lock);
  while (atomic_load(&disk.stuck)) {
    atomic_store(&disk.waits, true);
    pthread_cond_wait(&disk_change, &disk_lock);
  }
  atomic_store(&disk.waits, false);
  pthread_mutex_unlock(&disk_lock);
  if (atomic_load(&disk.write_slow_us) > 0) usleep((unsigned)atomic_load(&disk.write_slow_us));
  return atomic_load(&disk.write_error);
}

static inline void disk_set(atomic_bool *what, bool stuck) {
  pthread_mutex_lock(&disk_lock);
  atomic_store(what, stuck);
  pthread_cond_broadcast(&disk_change);
  pthread_mutex_unlock(&disk_lock);
}

static inline void disk_stick(bool stuck) { disk_set(&disk.stuck, stuck); }

__attribute__((constructor)) static void disk_install(void) {
  hf_k_fault = disk_hook;
  test_thread = true;
  umask(022);
}

// ---- files ----
static char scratch_dir[64];

static inline void scratch_make(void) {
  snprintf(scratch_dir, sizeof scratch_dir, "/tmp/holdfast-test.XXXXXX");
  CHECK(mkdtemp(scratch_dir) != NULL);
}

static int scratch_remove_one(const char *path, const struct stat *found, int type, struct FTW *walk) {
  (void)found, (void)type, (void)walk;
  return remove(path);
}

static inline void scratch_remove(void) { nftw(scratch_dir, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS); }

static inline const char *scratch_path(const char *name) {
  static char paths[4][160];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", scratch_dir, name);
  return path;
}

static inline hf_log_target target_of(const char *name, uint64_t max_bytes, uint32_t keep) {
  hf_log_target target = {.max_bytes = max_bytes, .keep = keep};
  snprintf(target.path, sizeof target.path, "%s", scratch_path(name));
  return target;
}

// The whole file with a zero behind it; "" where there is none. The size goes to *size if it is not NULL. Free it.
static inline char *text_of(const char *name, size_t *size) {
  struct stat found = {0};
  int fd = open(scratch_path(name), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) fstat(fd, &found);
  char *text = calloc(1, (size_t)found.st_size + 1);
  size_t got = 0;
  while (fd >= 0 && got < (size_t)found.st_size) {
    ssize_t part = read(fd, text + got, (size_t)found.st_size - got);
    if (part <= 0) break;
    got += (size_t)part;
  }
  if (fd >= 0) close(fd);
  if (size != NULL) *size = got;
  return text;
}

static inline bool file_is(const char *name, const char *expected) {
  char *text = text_of(name, NULL);
  bool same = strcmp(text, expected) == 0;
  free(text);
  return same;
}

#define CHECK_FILE(name, expected)                                                                                           \
  do {                                                                                                                       \
    char *check_text = text_of(name, NULL);                                                                                  \
    CHECK_STR(check_text, expected);                                                                                         \
    free(check_text);                                                                                                        \
  } while (0)

static inline size_t size_of(const char *name) {
  struct stat found = {0};
  return stat(scratch_path(name), &found) == 0 ? (size_t)found.st_size : 0;
}

static inline bool exists(const char *name) { return access(scratch_path(name), F_OK) == 0; }

static inline int entries_of(const char *directory) {
  int count = 0;
  DIR *open_dir = opendir(directory);
  while (open_dir != NULL && readdir(open_dir) != NULL) count++;
  if (open_dir != NULL) closedir(open_dir);
  return count;
}

// ---- a child's output ----
enum { CHILD_FIFO = 1 << 20 };

// One FIFO as a child has it: *child is its end, blocking; the other end is given to logs.
static inline int fifo(int *child) {
  const char *path = scratch_path("fifo");
  CHECK_EQ(mkfifo(path, 0600), 0);
  int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  *child = open(path, O_RDWR | O_CLOEXEC);
  CHECK(reader >= 0 && *child >= 0);
  CHECK_EQ(fcntl(*child, F_SETPIPE_SZ, CHILD_FIFO), CHILD_FIFO);
  unlink(path);
  return reader;
}

static inline void say(int child, const char *text) { CHECK_EQ(write(child, text, strlen(text)), strlen(text)); }

// Numbered lines of 16 bytes, in pieces that split them.
static inline char *flood_text(size_t size) {
  char *text = malloc(size + 1);
  for (size_t i = 0; i < size; i += 16) snprintf(text + i, 17, "line %010zu\n", i / 16);
  return text;
}

static inline void flood(int child, const char *text, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t put = write(child, text + done, size - done < 50001 ? size - done : 50001);
    if (put <= 0) break;
    done += (size_t)put;
  }
}

#endif
