// SPDX-License-Identifier: MIT
// Where the cells of a process lie, in its shared file or in private memory; who may have them; the room that they take.
#include "hearts_fixture.h"

#define MS UINT64_C(1000000)

// ---- where they lie -----------------------------------------------------------------------------------------------------
static void registers_two(void) {
  hf_own *own = hx_hearts();
  CHECK_EQ(own->phase, 0);
  int one = hf_cell_claim("event-loop", hx_tid(), 0, NULL), two = hf_cell_claim("worker", 0, 5, NULL);
  CHECK(one == 0 && two == 1);
  CHECK_EQ(hf_cell_register((uint32_t)one, 500 * MS, 1, NULL), 0);
  CHECK_EQ(hf_cell_register((uint32_t)two, 900 * MS, 3, NULL), 0);
  hf_cell_thread((uint32_t)two, 77);
  hf_cell_note((uint32_t)two, "queue 12");
  uint32_t before = hf_cell_at(own, 0)->beat;
  hf_cell_beat(own, hf_cell_offset((uint32_t)one));
  CHECK_EQ(hf_cell_at(own, 0)->beat, before + 1);
  hx_say('r');
  hx_await();
  hf_cell_deregister((uint32_t)one);
  hf_cell_release((uint32_t)two);
  hx_say('d');
  hx_await();
}

TEST(under_a_manager_they_lie_in_its_file_and_it_is_rung) {
  stage s;
  CHECK(hx_open(&s));
  actor a = hx_start(&s, registers_two);
  CHECK_EQ(hx_heard(&a), 'r');
  CHECK_EQ(hf_bell_drain(s.bell), HF_RUNG_CELLS); // and no phase: it attached quietly
  hf_cell_copy copy;
  CHECK(hf_cells_copy(s.own, 0, &copy));
  CHECK_STR(copy.name, "event-loop");
  CHECK(copy.pid == a.pid && copy.tid == a.pid && copy.period_ns == 500 * MS && copy.grace == 1);
  CHECK_EQ(copy.flags, HF_CELL_HELPER);
  CHECK(hf_cells_copy(s.own, 1, &copy));
  CHECK(copy.pid == a.pid && copy.tid == 77 && copy.thread_id == 5 && copy.grace == 3 && copy.flags == HF_CELL_HELPER);
  CHECK_STR(copy.note, "queue 12");
  hx_go(&a);
  CHECK_EQ(hx_heard(&a), 'd');
  CHECK_EQ(hf_bell_drain(s.bell), HF_RUNG_CELLS);
  CHECK_EQ(hx_armed(s.own), 0);
  CHECK_EQ(hx_end(&a), 0);
  hx_close(&s);
}

static void attaches_twice(void) {
  hf_own *own = hx_hearts();
  CHECK_EQ(own->phase, 0);
  hf_self *self;
  CHECK_EQ(hf_attach(&self, NULL), 0);
  CHECK_EQ(own->phase, HF_PHASE(HX_INCARNATION, HF_STATE_BOOTING));
  CHECK_EQ(own->declared_by.pid, getpid());
}

TEST(attaching_quietly_declares_no_phase) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, attaches_twice);
  CHECK_EQ(hf_bell_drain(s.bell), HF_RUNG_PHASE);
  hx_close(&s);
}

static void fills_private_memory(void) {
  hf_err err = {0};
  CHECK_EQ(hf_cell_claim("early", 0, 0, &err), HF_EINVAL);
  CHECK(strstr(err.text, "hf_hearts") != NULL);
  hf_own *own = hx_private();
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < HF_CELL_MAX; i++) CHECK_EQ(hf_cell_claim("x", 0, 0, &err), i);
    CHECK_EQ(hf_cell_claim("one too many", 0, 0, &err), HF_EFULL);
    for (uint32_t i = 0; i < HF_CELL_MAX; i++) hf_cell_release(i);
  }
  CHECK_EQ(hx_claimed(own), 0);
  void *again = NULL;
  hf_self *self = NULL;
  CHECK_EQ(hf_attach_quietly(&self, &err), 0);
  CHECK_EQ(hf_hearts(self, &again, NULL, &err), 0); // the first call has decided
  CHECK(again == own);
  CHECK_EQ(hf_cell_register((uint32_t)hf_cell_claim("x", 0, 0, NULL), 10 * MS, 1, NULL), 0);
  CHECK(hf_cell_at(own, 0)->flags == 0); // no manager, no helper
}

TEST(without_a_manager_they_are_private_and_the_first_call_decides) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, fills_private_memory);
  CHECK_EQ(s.own->cells_used, 0);
  CHECK_EQ(hf_bell_drain(s.bell), 0);
  hx_close(&s);
}

static void bad_input(void) {
  hf_own *own = hx_private();
  hf_err err = {0};
  int cell = hf_cell_claim("a name that is longer than thirty-one bytes", 0, 0, NULL);
  CHECK_STR(hf_cell_at(own, (uint32_t)cell)->name, "a name that is longer than thir");
  CHECK_EQ(hf_cell_register((uint32_t)cell, 10 * MS - 1, 1, &err), HF_EINVAL);
  CHECK(strstr(err.text, "10 ms") != NULL);
  CHECK_EQ(hf_cell_register((uint32_t)cell, UINT64_MAX, 1, &err), HF_EINVAL);
  CHECK_EQ(hf_cell_register((uint32_t)cell, 10 * MS, 0, &err), HF_EINVAL);
  CHECK_EQ(hf_cell_register((uint32_t)cell, 10 * MS, 1001, &err), HF_EINVAL);
  CHECK_EQ(hf_cell_register((uint32_t)cell + 1, 10 * MS, 1, &err), HF_EINVAL);
  CHECK(strstr(err.text, "hf_cell_claim") != NULL);
  CHECK_EQ(hf_cell_register(UINT32_MAX, 10 * MS, 1, &err), HF_EINVAL);
  hf_cell_release(UINT32_MAX); // calls that can't fail do nothing
  hf_cell_deregister(HF_CELL_MAX);
  hf_cell_busy(HF_CELL_MAX, MS, "x");
  hf_cell_note(5000, "x");
  hf_cell_thread(5000, 1);
  hf_cell_release((uint32_t)cell);
  hf_cell_release((uint32_t)cell);
  CHECK_EQ(hf_cell_register((uint32_t)cell, 10 * MS, 1, &err), HF_EINVAL);
  CHECK_EQ(hx_claimed(own), 0);
}

TEST(bad_input_is_refused_with_a_sentence) { hx_run(NULL, bad_input); }

// ---- space --------------------------------------------------------------------------------------------------------------
static off_t blocks_of(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_blocks * 512 : -1;
}

static int no_room(const char *call) { return strcmp(call, "fallocate") == 0 ? ENOSPC : 0; }

static void claims_beyond_a_page(void) {
  hf_own *own = hx_hearts();
  hf_err err = {0};
  for (int i = 0; i < (int)HF_CELLS_IN_FIRST_PAGE; i++) CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), i);
  CHECK_EQ(blocks_of(65), HF_PAGE);
  hf_k_fault = no_room;
  CHECK_EQ(hf_cell_claim("x", 0, 0, &err), HF_ENOSPC);
  CHECK(strstr(err.text, "tmpfs") != NULL);
  CHECK_EQ(own->cells_used, HF_CELLS_IN_FIRST_PAGE);
  hf_k_fault = NULL;
  CHECK_EQ(hf_cell_claim("x", 0, 0, &err), HF_CELLS_IN_FIRST_PAGE);
  CHECK_EQ(blocks_of(65), 2 * HF_PAGE);
  for (int i = (int)HF_CELLS_IN_FIRST_PAGE + 1; i < HF_CELL_MAX; i++) CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), i);
  CHECK_EQ(blocks_of(65), HF_OWN_CELLS_SIZE); // whole, and not a page of the text behind it
}

TEST(a_page_is_reserved_when_its_first_cell_is_claimed) {
  stage s;
  struct stat st;
  CHECK(hx_open(&s));
  CHECK(fstat(s.own_fd, &st) == 0 && st.st_size == (off_t)HF_OWN_FILE_SIZE);
  CHECK_EQ(blocks_of(s.own_fd), HF_PAGE);
  hx_run(&s, claims_beyond_a_page);
  hx_close(&s);
}

static void loses_its_descriptors(void) {
  hf_self *self;
  hf_err err = {0};
  CHECK_EQ(hf_attach_quietly(&self, NULL), 0);
  CHECK_EQ(hf_hearts(self, NULL, NULL, NULL), 0);
  char path[] = "/tmp/hf-hearts-other-XXXXXX";
  int other = mkstemp(path);
  CHECK(other >= 0 && unlink(path) == 0);
  for (int fd = 3; fd < 67; fd++) // as a careless daemon does: and the numbers are used again
    if (fd != other && fd != hx_say_fd && fd != hx_may_fd) dup2(other, fd);
  for (int i = 0; i < 31; i++) CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), i);
  CHECK_EQ(hf_cell_register(30, 10 * MS, 1, NULL), 0);
  struct stat st;
  CHECK(fstat(other, &st) == 0 && st.st_size == 0 && st.st_blocks == 0); // nothing went there
  hx_say('1');
  hx_await();
  for (int i = 31; i < (int)(HF_CELLS_IN_FIRST_PAGE + HF_CELLS_IN_PAGE); i++) CHECK_EQ(hf_cell_claim("x", 0, 0, NULL), i);
  CHECK_EQ(hf_cell_claim("x", 0, 0, &err), HF_ENOTATTACHED); // the directory was renamed
  CHECK(strstr(err.text, "own.3.1") != NULL && strstr(err.text, "64 to 66") != NULL);
  CHECK(fstat(other, &st) == 0 && st.st_size == 0);
}

TEST(descriptors_that_were_closed_are_found_by_path_or_the_error_says_it) {
  stage s;
  char moved[80];
  CHECK(hx_open(&s));
  actor a = hx_start(&s, loses_its_descriptors);
  CHECK_EQ(hx_heard(&a), '1');
  CHECK_EQ(hf_bell_drain(s.bell), HF_RUNG_CELLS);
  snprintf(moved, sizeof moved, "%s.moved", s.dir);
  CHECK_EQ(rename(s.dir, moved), 0);
  CHECK_EQ(hx_end(&a), 0);
  CHECK_EQ(hf_bell_drain(s.bell), 0);
  CHECK_EQ(rename(moved, s.dir), 0);
  hx_close(&s);
}

// ---- fork ---------------------------------------------------------------------------------------------------------------
static int run_forked(void (*body)(hf_own *), hf_own *own) {
  fflush(stdout);
  pid_t pid = fork();
  int status = -1;
  if (pid == 0) {
    check_failures = 0;
    body(own);
    fflush(stdout);
    _exit(check_failures);
  }
  while (waitpid(pid, &status, 0) < 0) continue;
  return status;
}

static void child_beside_cell_0(hf_own *own) {
  hf_err err = {0};
  CHECK_EQ(hf_cell_register(0, 10 * MS, 1, &err), HF_EINVAL); // its parent's
  hf_cell_release(0);
  hf_cell_deregister(0);
  int cell = hf_cell_claim("child", 0, 0, NULL);
  CHECK_EQ(hf_cell_register((uint32_t)cell, 60000 * MS, 1, NULL), 0);
  CHECK_EQ(hf_cell_at(own, (uint32_t)cell)->pid, getpid());
  hf_hearts_end();
}

static void forks_with_cells(hf_own *own) {
  CHECK_EQ(hf_cell_claim("parent", 0, 0, NULL), 0);
  CHECK_EQ(hf_cell_register(0, 60000 * MS, 1, NULL), 0);
  CHECK_EQ(run_forked(child_beside_cell_0, own), 0);
  CHECK_EQ(hx_armed(own), 1); // the parent's own
  hf_hearts_end();
  CHECK_EQ(hx_claimed(own), 0);
}

static void forks_shared(void) {
#ifndef __SANITIZE_THREAD__ // it lets no child of a process with threads (the helper) start another thread
  forks_with_cells(hx_hearts());
#endif
}
static void forks_private(void) { forks_with_cells(hx_private()); }

TEST(after_a_fork_cells_belong_to_who_claimed_them) {
  stage s;
  CHECK(hx_open(&s));
  hx_run(&s, forks_shared);
  hx_run(NULL, forks_private);
  hx_close(&s);
}

CHECK_MAIN
