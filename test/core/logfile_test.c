// SPDX-License-Identifier: MIT
// The rotated file: opening, limits, what others do to it, and what a disk refuses.
#include "supervise/logfile.h"

#include "logs_fixture.h"

static hf_logfile file;

static void setup(const char *name, uint64_t max_bytes, uint32_t keep) {
  scratch_make();
  hf_logfile_init(&file);
  hf_log_target target = target_of(name, max_bytes, keep);
  hf_logfile_target(&file, &target);
}

static void teardown(void) {
  hf_logfile_close(&file);
  scratch_remove();
}

static size_t put(const char *text) { return hf_logfile_write(&file, text, strlen(text)); }

TEST(directories_are_made_on_the_way) {
  setup("a/b/web.log", 0, 0);
  CHECK_EQ(put("hello\n"), 6);
  CHECK_FILE("a/b/web.log", "hello\n");
  struct stat found;
  CHECK_EQ(stat(scratch_path("a/b"), &found), 0);
  CHECK_EQ(found.st_mode & 07777, 0755);
  CHECK_EQ(stat(scratch_path("a/b/web.log"), &found), 0);
  CHECK_EQ(found.st_mode & 07777, 0644);
  teardown();
}

TEST(rotation_splits_at_a_line_end_and_keeps_as_many_as_asked) {
  setup("web.log", 10, 2);
  CHECK_EQ(put("one\ntwo\nthree\nfour\nfive\nsix\n"), 28);
  CHECK_FILE("web.log", "six\n");
  CHECK_FILE("web.log.1", "four\nfive\n");
  CHECK_FILE("web.log.2", "three\n");
  CHECK(!exists("web.log.3"));
  teardown();
}

TEST(a_line_of_several_writes_is_cut_only_where_it_must_be) {
  setup("web.log", 10, 3);
  put("abcdef");
  put("ghijklmn\nend\n"); // the line is longer than the file may be
  CHECK_FILE("web.log.1", "abcdefghij");
  CHECK_FILE("web.log", "klmn\nend\n");
  put("12345678\n"); // fits into no rest, and begins a file of its own
  CHECK_FILE("web.log.1", "klmn\nend\n");
  CHECK_FILE("web.log", "12345678\n");
  teardown();
}

TEST(keep_zero_truncates) {
  setup("web.log", 8, 0);
  CHECK_EQ(put("one\ntwo\nsix\n"), 12);
  CHECK_FILE("web.log", "six\n");
  CHECK_EQ(entries_of(scratch_dir), 3);
  teardown();
}

TEST(a_gap_in_the_numbers_is_filled_first) {
  setup("web.log", 4, 4);
  put("one\ntwo\nsix\n");
  CHECK_EQ(rename(scratch_path("web.log.1"), scratch_path("gone")), 0); // as a crash between two renames leaves it
  put("ten\n");
  CHECK_FILE("web.log", "ten\n");
  CHECK_FILE("web.log.1", "six\n");
  CHECK_FILE("web.log.2", "one\n");
  CHECK(!exists("web.log.3"));
  teardown();
}

TEST(a_refused_rotation_loses_no_output_and_no_old_file) {
  setup("web.log", 4, 2);
  put("one\ntwo\nsix\n");
  test_thread = false; // the hook fails calls of other threads
  atomic_store(&disk.rename_error, EACCES);
  CHECK_EQ(put("ten\n"), 4);
  CHECK_EQ(put("ace\n"), 4);
  CHECK_FILE("web.log", "six\nten\nace\n");
  CHECK_FILE("web.log.1", "two\n");
  CHECK_FILE("web.log.2", "one\n");
  atomic_store(&disk.rename_error, 0);
  CHECK_EQ(put("end\n"), 4);
  test_thread = true;
  CHECK_FILE("web.log", "end\n");
  CHECK_FILE("web.log.1", "six\nten\nace\n");
  CHECK_FILE("web.log.2", "two\n");
  teardown();
}

TEST(a_new_manager_goes_on_in_the_file) {
  setup("web.log", 12, 1);
  put("one\ntw");
  hf_logfile_close(&file);
  put("o\n");
  CHECK_FILE("web.log", "one\ntwo\n");
  put("three\n"); // 8 + 6 is more than 12: the size was taken from the disk
  CHECK_FILE("web.log.1", "one\ntwo\n");
  CHECK_FILE("web.log", "three\n");
  put("x");
  hf_logfile_close(&file);
  put("");
  CHECK_EQ(file.fd, -1); // nothing to write opens nothing
  put("y");
  CHECK(file.mid_line);
  teardown();
}

TEST(a_file_that_was_moved_or_removed_is_made_anew) {
  setup("web.log", 0, 0);
  put("one\n");
  CHECK_EQ(rename(scratch_path("web.log"), scratch_path("elsewhere")), 0);
  hf_logfile_check(&file);
  put("two\n");
  CHECK_FILE("elsewhere", "one\n");
  CHECK_FILE("web.log", "two\n");
  CHECK_EQ(unlink(scratch_path("web.log")), 0);
  hf_logfile_check(&file);
  put("six\n");
  CHECK_FILE("web.log", "six\n");
  CHECK_EQ(rename(scratch_path("elsewhere"), scratch_path("web.log")), 0); // another file under the same name
  hf_logfile_check(&file);
  put("ten\n");
  CHECK_FILE("web.log", "one\nten\n");
  teardown();
}

TEST(a_file_that_was_truncated_is_not_rotated_too_early) {
  setup("web.log", 10, 1);
  put("12345678\n");
  CHECK_EQ(truncate(scratch_path("web.log"), 0), 0);
  hf_logfile_check(&file);
  put("abcdefg\n");
  CHECK_FILE("web.log", "abcdefg\n");
  CHECK(!exists("web.log.1"));
  teardown();
}

TEST(links_and_files_that_are_none_are_refused) {
  setup("link", 0, 0);
  CHECK_EQ(symlink("victim", scratch_path("link")), 0);
  errno = 0;
  CHECK_EQ(put("one\n"), 0);
  CHECK_EQ(errno, ELOOP);
  CHECK(!exists("victim"));
  hf_log_target fifo = target_of("fifo", 0, 0);
  CHECK_EQ(mkfifo(fifo.path, 0644), 0);
  hf_logfile_target(&file, &fifo);
  CHECK_EQ(put("one\n"), 0);
  CHECK_EQ(errno, EINVAL);
  CHECK_EQ(file.fd, -1);
  teardown();
}

TEST(another_path_closes_and_another_limit_does_not) {
  setup("web.log", 0, 0);
  put("one\n");
  int fd = file.fd;
  hf_log_target target = target_of("web.log", 4, 1);
  hf_logfile_target(&file, &target);
  CHECK_EQ(file.fd, fd);
  put("two\n");
  CHECK_FILE("web.log.1", "one\n");
  target = target_of("other.log", 0, 0);
  hf_logfile_target(&file, &target);
  CHECK_EQ(file.fd, -1);
  put("six\n");
  CHECK_FILE("other.log", "six\n");
  hf_log_target nowhere = {.path = ""};
  hf_logfile_target(&file, &nowhere);
  CHECK_EQ(put("ten\n"), 4);
  CHECK_EQ(file.fd, -1);
  teardown();
}

TEST(every_call_may_fail_once) {
  // Whatever fails, no descriptor leaks, nothing is written twice, and the next write serves.
  for (int nth = 1; nth < 40; nth++) {
    setup("a/web.log", 8, 2);
    int before = entries_of("/proc/self/fd");
    atomic_store(&disk.own_nth, nth);
    size_t done = put("one\ntwo\nsix\n");
    bool failed = atomic_exchange(&disk.own_nth, 0) <= 0;
    CHECK_EQ(put("end\n"), 4);
    char *last = text_of("a/web.log", NULL);
    CHECK(strlen(last) >= 4 && strcmp(last + strlen(last) - 4, "end\n") == 0);
    free(last);
    CHECK_EQ(entries_of("/proc/self/fd"), before + 1);
    teardown();
    if (failed) continue;
    CHECK_EQ(done, 12);
    CHECK(nth > 8); // open, mkdir, write, rename … were all reached
    return;
  }
  CHECK(!"the calls end");
}

CHECK_MAIN
