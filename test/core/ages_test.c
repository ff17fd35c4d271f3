// SPDX-License-Identifier: MIT
// The file of ages: written by one manager, inherited by the next, read by anybody at any moment.
#include "heartbeat/ages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "check.h"
#include "random.h"

enum { CELLS = 64 };

typedef struct folder {
  char path[64];
  int fd;
} folder;

static void open_folder(folder *f) {
  snprintf(f->path, sizeof f->path, "/dev/shm/hf-ages-XXXXXX");
  CHECK(mkdtemp(f->path) != NULL);
  f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK(f->fd >= 0);
}

static void close_folder(folder *f) {
  unlinkat(f->fd, "ages", 0);
  close(f->fd);
  CHECK_EQ(rmdir(f->path), 0); // there was no other file
}

static hf_ages *open_ages(folder *f) {
  hf_ages *a = NULL;
  hf_err err = {0};
  int code = hf_ages_open(f->fd, &a, &err);
  if (code != 0) printf("  %s\n", err.text);
  CHECK_EQ(code, 0);
  return a;
}

typedef struct view {
  uint64_t seen[CELLS], claim[CELLS];
  uint32_t flags[CELLS];
} view;

static int read_ages(folder *f, uint32_t incarnation, unsigned index, view *v) {
  memset(v, 0xee, sizeof *v);
  return hf_ages_read(f->fd, incarnation, index, v->seen, v->flags, v->claim, CELLS);
}

TEST(what_is_written_is_read) {
  folder f;
  view v;
  struct stat st;
  open_folder(&f);
  CHECK_EQ(read_ages(&f, 1, 1, &v), 0); // there is no file yet
  CHECK_EQ(v.seen[0], 0);
  hf_ages *a = open_ages(&f);
  CHECK_EQ(fstatat(f.fd, "ages", &st, 0), 0);
  CHECK_EQ(st.st_mode & 07777, 0600);
  CHECK(st.st_size > 16000000 && st.st_blocks * 512 <= 4096); // sparse
  int64_t one = hf_ages_claim(a, HF_AGE_OWNER(9, 3, 0), 0x101, 5, 1000);
  int64_t two = hf_ages_claim(a, HF_AGE_OWNER(9, 3, 63), 0x202, 6, 2000);
  int64_t other = hf_ages_claim(a, HF_AGE_OWNER(9, 4, 1), 0x303, 7, 3000);
  int64_t older = hf_ages_claim(a, HF_AGE_OWNER(8, 3, 1), 0x404, 8, 4000);
  int64_t far = hf_ages_claim(a, HF_AGE_OWNER(9, 3, 64), 0x505, 9, 5000); // more than the reader has room for
  CHECK(one >= 0 && two >= 0 && other >= 0 && older >= 0 && far >= 0);
  hf_ages_set(a, two, 7, 2500);
  hf_ages_flags(a, two, HF_THREAD_STOPPED);
  hf_ages_set(a, -1, 1, 1);
  hf_ages_flags(a, -1, 1);
  hf_ages_free(a, -1);
  CHECK_EQ(read_ages(&f, 9, 3, &v), 2);
  CHECK_EQ(v.seen[0], 1000);
  CHECK_EQ(v.claim[0], 0x101);
  CHECK_EQ(v.flags[0], 0);
  CHECK_EQ(v.seen[1], 0);
  CHECK_EQ(v.seen[63], 2500);
  CHECK_EQ(v.flags[63], HF_THREAD_STOPPED);
  CHECK_EQ(v.claim[63], 0x202);
  hf_ages_free(a, one);
  hf_ages_free(a, one); // once is enough
  CHECK_EQ(read_ages(&f, 9, 3, &v), 1);
  CHECK_EQ(v.seen[0], 0);
  CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(9, 3, 5), 0x606, 1, 1), one);  // its place is used again
  CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(9, 3, 63), 0x707, 1, 1), two); // a new claim of the same cell: the same place
  CHECK_EQ(read_ages(&f, 9, 3, &v), 2);
  CHECK_EQ(v.claim[63], 0x707);
  CHECK_EQ(v.flags[63], 0);
  hf_ages_close(a);
  close_folder(&f);
}

TEST(the_next_manager_inherits) {
  folder f;
  view v;
  uint32_t beat = 0;
  uint64_t seen = 0;
  open_folder(&f);
  hf_ages *a = open_ages(&f);
  for (uint32_t i = 0; i < 1000; i++)
    CHECK(hf_ages_claim(a, HF_AGE_OWNER(2, i / 10, i % 10), 0x1000 + i, i, 1000000 + i) >= 0);
  hf_ages_close(a);
  a = open_ages(&f);
  for (uint32_t i = 0; i < 1000; i += 2) {
    CHECK(hf_ages_find(a, HF_AGE_OWNER(2, i / 10, i % 10), 0x1000 + i, &beat, &seen));
    CHECK(beat == i && seen == 1000000 + i);
  }
  CHECK(!hf_ages_find(a, HF_AGE_OWNER(2, 0, 1), 0x9999, &beat, &seen)); // claimed anew since
  CHECK(!hf_ages_find(a, HF_AGE_OWNER(3, 0, 0), 0x1000, &beat, &seen));
  int64_t again = hf_ages_claim(a, HF_AGE_OWNER(2, 0, 1), 0x9999, 3, 7777777);
  CHECK(again >= 0);
  CHECK(hf_ages_claim(a, HF_AGE_OWNER(2, 0, 0), 0x1000, 0, 1000000) >= 0); // found, then taken over
  hf_ages_sweep_out(a);
  hf_ages_sweep_out(a);
  CHECK_EQ(read_ages(&f, 2, 0, &v), 6); // the five even ones, and the one that was claimed anew
  CHECK_EQ(v.seen[1], 7777777);
  CHECK_EQ(v.seen[2], 1000002);
  CHECK_EQ(v.seen[3], 0);
  CHECK_EQ(read_ages(&f, 2, 99, &v), 5);
  struct stat before, after;
  CHECK_EQ(fstatat(f.fd, "ages", &before, 0), 0);
  for (uint32_t i = 0; i < 499; i++) CHECK(hf_ages_claim(a, HF_AGE_OWNER(5, i, 0), i + 1, 1, 1) >= 0);
  CHECK_EQ(fstatat(f.fd, "ages", &after, 0), 0);
  CHECK_EQ(before.st_blocks, after.st_blocks); // what was given up is used again
  hf_ages_close(a);
  close_folder(&f);
}

// What is new gets places behind what was inherited: the two are not mixed up, whatever their number.
TEST(new_entries_beside_inherited_ones) {
  folder f;
  view v;
  open_folder(&f);
  hf_ages *a = open_ages(&f);
  CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(1, 1, 0), 0xa, 1, 10), 0);
  hf_ages_close(a);
  a = open_ages(&f);
  for (uint32_t i = 1; i < 2000; i++) CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(2, i % 100, i / 100), 0xb, 1, 20), i);
  for (uint32_t i = 1; i < 2000; i += 2) CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(2, i % 100, i / 100), 0xb, 2, 30), i);
  for (uint32_t i = 2; i < 2000; i += 2) hf_ages_free(a, i);
  hf_ages_sweep_out(a); // takes the inherited one, which nobody has asked for, and no other
  CHECK_EQ(read_ages(&f, 1, 1, &v), 0);
  CHECK_EQ(read_ages(&f, 2, 1, &v), 20);
  CHECK_EQ(v.seen[0], 30);
  CHECK_EQ(read_ages(&f, 2, 2, &v), 0);
  hf_ages_close(a);
  close_folder(&f);
}

// Against a plain table, at random; closed and opened again now and then.
TEST(it_behaves_like_a_table) {
  enum { OWNERS = 300 };
  static struct {
    int64_t at;
    uint64_t claim, seen;
    uint32_t beat;
  } model[OWNERS];
  folder f;
  random_begin("ages");
  open_folder(&f);
  hf_ages *a = open_ages(&f);
  for (unsigned i = 0; i < OWNERS; i++) model[i].at = -1;
  for (unsigned step = 0; step < 60000 && check_failures == 0; step++) {
    unsigned i = (unsigned)random_below(OWNERS);
    uint64_t owner = HF_AGE_OWNER(i % 7 + 1, i % 5, i);
    uint32_t beat = 0;
    uint64_t seen = 0;
    bool found = hf_ages_find(a, owner, model[i].claim, &beat, &seen);
    CHECK_EQ(found, model[i].at >= 0);
    if (found) CHECK(beat == model[i].beat && seen == model[i].seen);
    switch (random_below(4)) {
    case 0:
    case 1:
      model[i].claim = random_below(3) + 1;
      model[i].beat = (uint32_t)random_next();
      model[i].seen = random_next();
      model[i].at = hf_ages_claim(a, owner, model[i].claim, model[i].beat, model[i].seen);
      CHECK(model[i].at >= 0 && model[i].at < OWNERS);
      break;
    case 2:
      hf_ages_free(a, model[i].at);
      model[i].at = -1;
      break;
    default:
      model[i].beat = (uint32_t)random_next();
      model[i].seen = random_next();
      hf_ages_set(a, model[i].at, model[i].beat, model[i].seen);
    }
    if (step % 5000 == 4999) {
      hf_ages_close(a);
      a = open_ages(&f);
    }
  }
  hf_ages_close(a);
  close_folder(&f);
}

TEST(a_file_that_is_no_file_of_ages_is_made_anew) {
  folder f;
  view v;
  open_folder(&f);
  for (int kind = 0; kind < 5; kind++) {
    hf_ages *a = open_ages(&f);
    hf_ages_claim(a, HF_AGE_OWNER(1, 1, 1), 1, 1, 1);
    hf_ages_close(a);
    int fd = openat(f.fd, "ages", O_RDWR);
    uint64_t wrong = 0x1234;
    if (kind == 0) CHECK_EQ(pwrite(fd, &wrong, 8, 0), 8); // not ours
    if (kind == 1) CHECK_EQ(pwrite(fd, &wrong, 8, 8), 8); // of another version
    if (kind == 2) CHECK_EQ(ftruncate(fd, 4096), 0);
    if (kind == 3) CHECK_EQ(ftruncate(fd, 0), 0);
    close(fd);
    if (kind == 4) { // a link somewhere else
      CHECK_EQ(unlinkat(f.fd, "ages", 0), 0);
      CHECK_EQ(symlinkat("/etc/hostname", f.fd, "ages"), 0);
    }
    CHECK_EQ(read_ages(&f, 1, 1, &v) > 0, kind == 2); // what is read of a file that was cut is what is left of it
    a = open_ages(&f);
    CHECK_EQ(read_ages(&f, 1, 1, &v), 0);
    CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(1, 1, 1), 1, 1, 1), 0);
    hf_ages_close(a);
  }
  close_folder(&f);
}

// ---- no room ----
static int fallocate_left;
static int fail_fallocate(const char *call) { return strcmp(call, "fallocate") == 0 && fallocate_left-- <= 0 ? ENOSPC : 0; }

TEST(a_full_tmpfs_shows_fewer_and_harms_nobody) {
  folder f;
  view v;
  hf_err err = {0};
  hf_ages *a = NULL;
  open_folder(&f);
  hf_k_fault = fail_fallocate;
  fallocate_left = 0;
  CHECK_EQ(hf_ages_open(f.fd, &a, &err), HF_ENOSPC);
  CHECK(err.text[0] != 0);
  fallocate_left = 3; // the first page, at the making and the opening, and one more
  a = open_ages(&f);
  uint32_t count = 0;
  while (hf_ages_claim(a, HF_AGE_OWNER(1, 1, count), 1, 1, 42) >= 0) count++;
  CHECK_EQ(count, (2 * 4096 - 64) / 32);
  CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(1, 1, 7), 1, 2, 43), 7); // who has a place keeps it
  CHECK_EQ(read_ages(&f, 1, 1, &v), CELLS);
  CHECK_EQ(v.seen[7], 43);
  fallocate_left = 1; // room again
  CHECK_EQ(hf_ages_claim(a, HF_AGE_OWNER(1, 1, count), 1, 1, 42), count);
  hf_k_fault = NULL;
  hf_ages_close(a);
  close_folder(&f);
}

static int nth_call, calls_until;
static int fail_nth(const char *call) { return strcmp(call, "close") != 0 && ++nth_call == calls_until ? EIO : 0; }

TEST(every_call_that_fails_is_an_error_and_leaves_nothing) {
  folder f;
  open_folder(&f);
  bool whole = false;
  int errors = 0;
  for (calls_until = 1; !whole && calls_until < 40; calls_until++) {
    hf_ages *a = NULL;
    hf_err err = {0};
    nth_call = 0;
    hf_k_fault = fail_nth;
    int code = hf_ages_open(f.fd, &a, &err);
    hf_k_fault = NULL;
    whole = nth_call < calls_until;
    if (code == 0) hf_ages_close(a);
    else errors++;
    CHECK(code == 0 || err.text[0] != 0);
    if (calls_until % 2 == 0) unlinkat(f.fd, "ages", 0);
  }
  CHECK(whole && errors >= 4);
  a_file_that_is_no_file_of_ages_is_made_anew();
  close_folder(&f);
}

// ---- killed in the middle ----
static const char *fatal_point;
static int fatal_count;
static void die_here(const char *name) {
  if (strcmp(name, fatal_point) == 0 && --fatal_count == 0) raise(SIGKILL);
}

static void write_until_killed(folder *f) {
  hf_ages *a = NULL;
  if (hf_ages_open(f->fd, &a, NULL) != 0) _exit(4);
  int64_t first = hf_ages_claim(a, HF_AGE_OWNER(1, 1, 0), 0xa, 10, 100);
  hf_ages_set(a, first, 11, 110);
  hf_ages_claim(a, HF_AGE_OWNER(1, 1, 0), 0xb, 20, 200); // claimed anew
  hf_ages_claim(a, HF_AGE_OWNER(1, 1, 1), 0xc, 30, 300);
}

TEST(a_manager_killed_anywhere_leaves_whole_entries) {
  static const struct {
    const char *point;
    int count;
  } deaths[] = {{"ages-sized", 1}, {"ages-reserved", 1}, {"ages-emptied", 1}, {"ages-filled", 1},
                {"ages-owned", 1}, {"ages-seen", 1},     {"ages-emptied", 2}, {"ages-filled", 2},
                {"ages-owned", 2}, {"ages-reserved", 2}, {"ages-filled", 3}};
  for (unsigned i = 0; i < sizeof deaths / sizeof *deaths; i++) {
    folder f;
    view v;
    open_folder(&f);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
      fatal_point = deaths[i].point;
      fatal_count = deaths[i].count;
      hf_k_point = die_here;
      write_until_killed(&f);
      _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    int count = read_ages(&f, 1, 1, &v);
    CHECK(count == 0 || count == 1);
    uint32_t beat = 0;
    uint64_t seen = 0;
    hf_ages *a = open_ages(&f);
    if (hf_ages_find(a, HF_AGE_OWNER(1, 1, 0), 0xa, &beat, &seen)) // killed in a set: never the new beat with the old time
      CHECK((beat == 10 && (seen == 100 || seen == 110)) || (beat == 11 && seen == 110));
    if (hf_ages_find(a, HF_AGE_OWNER(1, 1, 0), 0xb, &beat, &seen)) CHECK(beat == 20 && seen == 200);
    CHECK(!hf_ages_find(a, HF_AGE_OWNER(1, 1, 1), 0xc, &beat, &seen));
    CHECK(hf_ages_claim(a, HF_AGE_OWNER(1, 1, 1), 0xd, 40, 400) >= 0);
    hf_ages_sweep_out(a);
    CHECK(read_ages(&f, 1, 1, &v) >= 1);
    CHECK_EQ(v.claim[1], 0xd);
    CHECK_EQ(v.seen[1], 400);
    hf_ages_close(a);
    close_folder(&f);
  }
}

// ---- a reader while the writer works ----
static _Atomic bool stop;

static void *writer(void *argument) {
  hf_ages *a = argument;
  for (uint64_t i = 1; !atomic_load(&stop); i++) {
    // One place that changes hands all the time: what belongs to one owner and claim ends in the same digits.
    int64_t at = hf_ages_claim(a, HF_AGE_OWNER(1, 1, i % 2), i << 8 | 2, (uint32_t)i, i << 8);
    hf_ages_set(a, at, (uint32_t)i + 1, i << 8);
    hf_ages_free(a, at);
  }
  return NULL;
}

TEST(a_reader_sees_whole_entries_while_the_manager_writes) {
  folder f;
  view v;
  pthread_t thread;
  open_folder(&f);
  hf_ages *a = open_ages(&f);
  CHECK_EQ(pthread_create(&thread, NULL, writer, a), 0);
  unsigned found = 0, mixed = 0;
  for (unsigned i = 0; i < 200000 && (i < 20000 || found < 100); i++) {
    if (read_ages(&f, 1, 1, &v) <= 0) continue;
    for (unsigned c = 0; c < 2; c++) {
      if (v.claim[c] == 0) continue;
      found++;
      mixed += v.seen[c] >> 8 != v.claim[c] >> 8;
    }
  }
  atomic_store(&stop, true);
  pthread_join(thread, NULL);
  printf("  %u entries read\n", found);
  CHECK(found > 0);
  CHECK_EQ(mixed, 0);
  hf_ages_close(a);
  close_folder(&f);
}

CHECK_MAIN
