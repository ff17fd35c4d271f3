// SPDX-License-Identifier: MIT
// From FIFOs into files: order, drops and what is said of them, the two threads, and their end.
#include "logs_fixture.h"
#include "supervise/logs_inside.h"

enum { OWN = HF_PROCESS_MAX };

static hf_logs *logs;
static int rings;

static void on_drop(void *context) { __atomic_add_fetch((int *)context, 1, __ATOMIC_SEQ_CST); }

static void setup(bool copy) {
  scratch_make();
  hf_err err = {0};
  CHECK_EQ(hf_logs_create(&logs, copy, &err), 0);
  rings = 0;
  hf_logs_on_drop(logs, on_drop, &rings);
}

static void teardown(void) {
  hf_logs_destroy(logs, 20ull * SECOND);
  scratch_remove();
}

static int add(uint32_t key, int *child, hf_log_target target) {
  int reader = fifo(child);
  hf_err err = {0};
  CHECK_EQ(hf_logs_add(logs, key, reader, &target, &err), 0);
  return reader;
}

static uint32_t in_use(void) {
  pthread_mutex_lock(&logs->lock);
  uint32_t count = logs->in_use;
  pthread_mutex_unlock(&logs->lock);
  return count;
}

static bool ready(void) {
  pthread_mutex_lock(&logs->lock);
  bool some = logs->ready != NULL;
  pthread_mutex_unlock(&logs->lock);
  return some;
}

static uint32_t spare(void) {
  pthread_mutex_lock(&logs->lock);
  uint32_t count = logs->spare_count;
  pthread_mutex_unlock(&logs->lock);
  return count;
}

// Sums what the file says was dropped, and counts the bytes of output in it.
static uint64_t said_in(const char *name, uint64_t *output) {
  char *text = text_of(name, NULL);
  uint64_t said = 0;
  *output = 0;
  for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    unsigned long long count;
    if (sscanf(line, "[holdfast] %llu bytes of output were dropped: the disk is slow or full\n", &count) == 1) said += count;
    else *output += (uint64_t)(end - line) + 1;
  }
  free(text);
  return said;
}

TEST(output_is_in_the_file_exactly_as_written) {
  setup(false);
  int child;
  size_t size = 1600000;
  char *text = flood_text(size), *found;
  int source = add(0, &child, target_of("web.log", 0, 0));
  for (size_t i = 0; i < size; i += 100000) { // as fast as it is taken, which is no flood
    flood(child, text + i, 100000);
    AWAIT(size_of("web.log") == i + 100000);
  }
  hf_logs_finish(logs, source);
  hf_logs_destroy(logs, 20ull * SECOND);
  CHECK_EQ(strcmp(found = text_of("web.log", NULL), text), 0);
  close(child);
  free(found);
  free(text);
  scratch_remove();
}

TEST(a_burst_on_a_disk_that_keeps_up_loses_nothing) {
  size_t size = 2 << 20; // eight times what a key may hold in the pool
  char *text = flood_text(size);
  uint64_t dropped = 1;
  for (int tries = 0; tries < 5 && dropped > 0; tries++) { // a machine that is busy enough looks like a slow disk
    setup(false);
    atomic_store(&disk.write_slow_us, 200);
    int child;
    int source = add(0, &child, target_of("web.log", 0, 0));
    flood(child, text, size);
    hf_logs_finish(logs, source);
    AWAIT(in_use() == 0);
    dropped = hf_logs_dropped(logs, 0);
    teardown();
    atomic_store(&disk.write_slow_us, 0);
    close(child);
  }
  CHECK_EQ(dropped, 0);
  free(text);
}

TEST(finish_and_destroy_lose_nothing_even_on_a_slow_disk) {
  for (int slow_us = 0; slow_us <= 3000; slow_us += 3000) {
    setup(false);
    atomic_store(&disk.write_slow_us, slow_us);
    int child, source = fifo(&child);
    char *text = flood_text(CHILD_FIFO), *found;
    CHECK_EQ(write(child, text, CHILD_FIFO), CHILD_FIFO); // four times what a key may hold in the pool
    hf_log_target target = target_of("web.log", 0, 0);
    disk_set(&disk.reader_stuck, true); // so that nothing is read before the finish
    CHECK_EQ(hf_logs_add(logs, 0, source, &target, NULL), 0);
    hf_logs_finish(logs, source);
    disk_set(&disk.reader_stuck, false);
    hf_logs_destroy(logs, 60ull * SECOND);
    atomic_store(&disk.write_slow_us, 0);
    found = text_of("web.log", NULL);
    CHECK_EQ(strcmp(found, text), 0);
    close(child);
    free(found);
    free(text);
    scratch_remove();
  }
}

TEST(what_is_not_finished_stays_for_the_next_manager) {
  setup(false);
  int child, source = fifo(&child);
  int kept = dup(source);
  hf_log_target target = target_of("web.log", 0, 0);
  CHECK_EQ(hf_logs_add(logs, 0, source, &target, NULL), 0);
  say(child, "first\n");
  AWAIT(file_is("web.log", "first\n"));
  hf_logs_destroy(logs, SECOND);
  say(child, "second\n");
  CHECK_EQ(hf_logs_create(&logs, false, NULL), 0);
  CHECK_EQ(hf_logs_add(logs, 0, kept, &target, NULL), 0);
  AWAIT(file_is("web.log", "first\nsecond\n"));
  close(child);
  teardown();
}

TEST(a_full_disk_is_counted_and_said_once) {
  setup(false);
  int child;
  add(3, &child, target_of("web.log", 0, 0));
  say(child, "before\nhal");
  AWAIT(file_is("web.log", "before\nhal"));
  atomic_store(&disk.write_error, ENOSPC);
  unsigned writes = atomic_load(&disk.writes);
  say(child, "f lost\n");
  AWAIT(hf_logs_dropped(logs, 3) == 7);
  say(child, "lost too\n");
  AWAIT(hf_logs_dropped(logs, 3) == 16);
  CHECK(__atomic_load_n(&rings, __ATOMIC_SEQ_CST) >= 1);
  CHECK(atomic_load(&disk.writes) - writes <= 4); // it tries with new output only
  atomic_store(&disk.write_error, 0);
  say(child, "after\n");
  AWAIT(file_is("web.log", "before\nhal\n[holdfast] 16 bytes of output were dropped: the disk is slow or full\nafter\n"));
  CHECK_EQ(hf_logs_dropped(logs, 3), 16);
  CHECK_EQ(hf_logs_dropped(logs, 4), 0);
  close(child);
  teardown();
}

TEST(a_stuck_disk_stops_no_child_and_every_byte_is_accounted_for) {
  setup(false);
  int noisy, quiet;
  size_t size = 8 << 20;
  char *text = flood_text(size);
  int source = add(0, &noisy, target_of("noisy.log", 0, 0));
  add(1, &quiet, target_of("quiet.log", 0, 0));
  disk_stick(true);
  say(noisy, "0123456789abcde\n");
  AWAIT(atomic_load(&disk.waits));
  flood(noisy, text, size); // returns only because the FIFO is read
  say(quiet, "still here\n");
  AWAIT(hf_logs_dropped(logs, 0) + HF__LOG_SHARE * HF__LOG_UNIT >= size + 16);
  CHECK(hf_logs_dropped(logs, 0) <= size + 16);
  CHECK(in_use() <= HF__LOG_SHARE + HF__LOG_FIRST);
  CHECK(__atomic_load_n(&rings, __ATOMIC_SEQ_CST) >= 1);
  disk_stick(false);
  AWAIT(in_use() == 0);
  say(noisy, "0123456789abcde\n");
  hf_logs_finish(logs, source);
  AWAIT(file_is("quiet.log", "still here\n"));
  CHECK_EQ(hf_logs_dropped(logs, 1), 0);
  uint64_t dropped = hf_logs_dropped(logs, 0), output;
  hf_logs_destroy(logs, 20ull * SECOND);
  CHECK_EQ(said_in("noisy.log", &output), dropped);
  char *found = text_of("noisy.log", NULL), *note = strstr(found, "[holdfast]");
  CHECK(note != NULL && strncmp(found + 16, text, (size_t)(note - found) - 17) == 0); // unbroken up to the gap
  CHECK(strcmp(found + strlen(found) - 16, "0123456789abcde\n") == 0);
  CHECK(output + dropped >= size + 32 && output + dropped <= size + 33); // a newline before the note, if within a line
  free(found);
  free(text);
  close(noisy);
  close(quiet);
  scratch_remove();
}

TEST(noisy_keys_leave_room_for_all_the_quiet_ones) {
  enum { NOISY = 12, QUIET = 300, LINES = 40 };
  setup(false);
  int noisy[NOISY], quiet[QUIET];
  char *text = flood_text(2 << 20), name[32];
  for (uint32_t i = 0; i < NOISY; i++) add(i, &noisy[i], target_of("noisy.log", 0, 0));
  for (uint32_t i = 0; i < QUIET; i++) {
    snprintf(name, sizeof name, "quiet%u.log", i);
    add(NOISY + i, &quiet[i], target_of(name, 0, 0));
  }
  AWAIT(!ready());
  disk_stick(true);
  for (int i = 0; i < NOISY; i++) flood(noisy[i], text, 2 << 20);
  for (uint32_t i = 0; i < NOISY; i++) AWAIT(hf_logs_dropped(logs, i) > 0);
  for (int n = 0; n < LINES; n++)
    for (int i = 0; i < QUIET; i++) CHECK_EQ(write(quiet[i], text + n * 16, 16), 16);
  CHECK(in_use() < HF__LOG_POOL);
  disk_stick(false);
  text[LINES * 16] = 0;
  for (uint32_t i = 0; i < QUIET; i++) {
    snprintf(name, sizeof name, "quiet%u.log", i);
    AWAIT(file_is(name, text));
    CHECK_EQ(hf_logs_dropped(logs, NOISY + i), 0);
    close(quiet[i]);
  }
  AWAIT(in_use() == 0);
  AWAIT(spare() <= HF__LOG_SPARE); // the memory is given back
  for (int i = 0; i < NOISY; i++) close(noisy[i]);
  free(text);
  teardown();
}

TEST(the_manager_has_lines_of_its_own) {
  setup(false);
  hf_log_target target = target_of("holdfastd.log", 0, 0);
  hf_logs_line(logs, OWN, "too early: ignored");
  CHECK_EQ(hf_logs_open_own(logs, OWN, &target, NULL), 0);
  hf_logs_line(logs, OWN, "one");
  hf_logs_line(logs, OWN, "");
  target = target_of("second.log", 0, 0);
  CHECK_EQ(hf_logs_open_own(logs, OWN, &target, NULL), 0);
  disk_stick(true);
  hf_logs_line(logs, OWN, "two"); // returns although the disk does not
  disk_stick(false);
  hf_logs_destroy(logs, 20ull * SECOND);
  CHECK_FILE("holdfastd.log", "one\n\n");
  CHECK_FILE("second.log", "two\n");
  scratch_remove();
}

TEST(a_changed_target_takes_later_bytes_only) {
  setup(false);
  int child;
  int source = add(0, &child, target_of("old.log", 0, 0));
  disk_stick(true);
  say(child, "old\n");
  AWAIT(in_use() == 1);
  hf_log_target target = target_of("new.log", 4, 1);
  hf_logs_retarget(logs, 0, &target);
  say(child, "one\ntwo\n");
  disk_stick(false);
  hf_logs_finish(logs, source);
  hf_logs_destroy(logs, 20ull * SECOND);
  CHECK_FILE("old.log", "old\n");
  CHECK_FILE("new.log.1", "one\n");
  CHECK_FILE("new.log", "two\n");
  close(child);
  scratch_remove();
}

TEST(a_file_that_was_moved_away_is_made_anew) {
  setup(false);
  int child;
  add(0, &child, target_of("web.log", 0, 0));
  say(child, "one\n");
  AWAIT(file_is("web.log", "one\n"));
  CHECK_EQ(rename(scratch_path("web.log"), scratch_path("web.old")), 0);
  say(child, "two\n");
  AWAIT(file_is("web.log", "two\n"));
  CHECK_FILE("web.old", "one\n");
  close(child);
  teardown();
}

TEST(a_finished_source_leaves_no_descriptor) {
  setup(false);
  int before = entries_of("/proc/self/fd"), child, second;
  int source = add(0, &child, target_of("web.log", 0, 0));
  int later = add(0, &second, target_of("web.log", 0, 0)); // the next incarnation, before the last words of this one
  say(child, "one\n");
  hf_logs_finish(logs, source);
  hf_logs_finish(logs, source);
  AWAIT(file_is("web.log", "one\n"));
  say(second, "two\n");
  AWAIT(file_is("web.log", "one\ntwo\n"));
  hf_logs_finish(logs, later);
  close(child);
  close(second);
  AWAIT(entries_of("/proc/self/fd") == before);
  teardown();
}

CHECK_MAIN
