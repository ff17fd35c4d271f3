// SPDX-License-Identifier: MIT
// The life of supervised processes under a real holdfastd.
#include "daemon_fixture.h"

static const char *const sleeper[] = {"sleep", "1000", NULL};

TEST(starts_and_stops) {
  fixture f;
  CHECK(fx_open(&f) && fx_define(&f, "web", sleeper) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  hf_process_status s = fx_status(&f, "web");
  CHECK(fx_alive(s.pid));
  CHECK_EQ(s.incarnation, 1);
  CHECK(hf_operator_request(f.op, "web", HF_REQUEST_STOP, NULL) > 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_STOPPED && fx_status(&f, "web").pid == 0));
  CHECK(fx_gone(s.pid));
  CHECK(hf_operator_request(f.op, "web", HF_REQUEST_START, NULL) > 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  s = fx_status(&f, "web");
  CHECK_EQ(s.incarnation, 2);
  CHECK_EQ(s.restarts, 0);
  CHECK_EQ(fx_down(&f), 0);
  CHECK(fx_gone(s.pid));
  CHECK(!fx_exists(f.dir));
  fx_close(&f);
}

TEST(restarts_what_was_killed_and_says_why) {
  fixture f;
  CHECK(fx_open(&f) && fx_define(&f, "web", sleeper) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  pid_t first = fx_status(&f, "web").pid;
  CHECK_EQ(kill(first, SIGKILL), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").incarnation == 2 && fx_status(&f, "web").state == HF_STATE_READY));
  hf_process_status s = fx_status(&f, "web");
  CHECK(s.pid != first && fx_alive(s.pid));
  CHECK_EQ(s.restarts, 1);
  CHECK_EQ(s.failure_count, 1);
  CHECK_EQ(s.failures[0].cause, HF_CAUSE_crash);
  CHECK_EQ(s.failures[0].signal, SIGKILL);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(tells_exit_codes_from_signals_and_exec_errors) {
  static const char *const exits[] = {"sh", "-c", "exit 3", NULL}, *const missing[] = {"/nowhere/program", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "exits", exits);
  spec.restart = HF_RESTART_NEVER;
  CHECK(hf_operator_define(f.op, &spec, NULL) == 1);
  fx_spec(&f, &spec, "missing", missing);
  spec.restart = HF_RESTART_NEVER;
  CHECK(hf_operator_define(f.op, &spec, NULL) == 1);
  CHECK(fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "exits").failure_count == 1 && fx_status(&f, "missing").failure_count == 1));
  hf_process_status s = fx_status(&f, "exits");
  CHECK_EQ(s.state, HF_STATE_FAIL);
  CHECK_EQ(s.failures[0].cause, HF_CAUSE_exit);
  CHECK_EQ(s.failures[0].exit_code, 3);
  s = fx_status(&f, "missing");
  CHECK_EQ(s.state, HF_STATE_FAIL);
  CHECK_EQ(s.failures[0].cause, HF_CAUSE_spawn);
  CHECK_EQ(s.failures[0].errnum, ENOENT);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// Reads what `escape` wrote: true once all of it is there.
static bool read_pids(const char *path, pid_t pids[4]) {
  FILE *file = fopen(path, "r");
  int n = file ? fscanf(file, "%d %d %d %d", &pids[0], &pids[1], &pids[2], &pids[3]) : 0;
  if (file) fclose(file);
  return n == 4;
}

// Kills the main process of a tree that tried to escape, then stops the next one: `expected` of its four members go with it.
static void tree_dies(const char *instance, int expected) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/hf-escape-%s-%d.pids", instance, (int)getpid());
  const char *const program[] = {HF_TEST_PROGRAMS "/escape", path, "forget", NULL};
  fixture f;
  pid_t pids[2][4] = {{0}};
  CHECK(fx_open(&f));
  hf_spec spec;
  fx_spec(&f, &spec, "tree", program);
  spec.stop_timeout_ns = 50000000;
  CHECK(hf_operator_define(f.op, &spec, NULL) == 1);
  CHECK(fx_start(&f));
  for (unsigned round = 0; round < 2; round++) {
    CHECK(FX_UNTIL(&f, fx_status(&f, "tree").incarnation == round + 1 && read_pids(path, pids[round])));
    for (int i = 0; i < 4; i++) CHECK(fx_alive(pids[round][i]));
    unlink(path);
    if (round == 0) CHECK_EQ(kill(fx_status(&f, "tree").pid, SIGKILL), 0);
    else CHECK(hf_operator_request(f.op, "tree", HF_REQUEST_STOP, NULL) > 0);
    for (int i = 0; i < expected; i++) CHECK(fx_gone(pids[round][i]));
  }
  CHECK(FX_UNTIL(&f, fx_status(&f, "tree").state == HF_STATE_STOPPED));
  CHECK_EQ(fx_down(&f), 0);
  for (int i = expected; i < 4; i++)
    for (int round = 0; round < 2; round++) {
      CHECK(fx_alive(pids[round][i])); // nobody can attribute it: it is left alone
      kill(pids[round][i], SIGKILL);
    }
  fx_close(&f);
}

TEST(kills_the_whole_tree_by_its_cgroup) {
  int dir = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC), base = hf_cgroup_base(dir);
  tree_dies("cgroup", base >= 0 ? 4 : 3);
  if (base >= 0) close(base);
  hf_cgroup_remove(dir);
  close(dir);
}

TEST(kills_the_whole_tree_also_where_no_cgroup_may_be_made) {
  setenv("HOLDFAST_CGROUP", "off", 1);
  tree_dies("off", 3);
  unsetenv("HOLDFAST_CGROUP");
}

TEST(a_new_manager_adopts_what_lives) {
  fixture f;
  hf_instance_status before, after;
  CHECK(fx_open(&f) && fx_define(&f, "a", sleeper) && fx_define(&f, "b", sleeper) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "a").state == HF_STATE_READY && fx_status(&f, "b").state == HF_STATE_READY));
  pid_t a = fx_status(&f, "a").pid, b = fx_status(&f, "b").pid;
  hf_operator_instance(f.op, &before, NULL);
  CHECK_EQ(kill(before.manager_pid, SIGKILL), 0);
  CHECK(FX_UNTIL(
      &f, (hf_operator_instance(f.op, &after, NULL), after.manager_pid > 0 && after.manager_pid != before.manager_pid)));
  CHECK_EQ(after.manager_restarts, 1);
  CHECK_EQ(fx_status(&f, "a").pid, a);
  CHECK_EQ(kill(b, SIGKILL), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "b").incarnation == 2 && fx_status(&f, "b").state == HF_STATE_READY));
  CHECK_EQ(fx_status(&f, "b").failures[0].cause, HF_CAUSE_crash);
  CHECK(fx_alive(a));
  CHECK_EQ(fx_status(&f, "a").incarnation, 1);
  CHECK_EQ(fx_down(&f), 0);
  CHECK(fx_gone(a));
  fx_close(&f);
}

TEST(a_manager_becomes_the_guardian_when_that_dies) {
  fixture f;
  hf_instance_status before, after;
  CHECK(fx_open(&f) && fx_define(&f, "a", sleeper) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "a").state == HF_STATE_READY));
  pid_t a = fx_status(&f, "a").pid;
  hf_operator_instance(f.op, &before, NULL);
  CHECK_EQ(kill(before.guardian_pid, SIGKILL), 0);
  CHECK(FX_UNTIL(&f, (hf_operator_instance(f.op, &after, NULL), after.guardian_pid == before.manager_pid &&
                                                                    after.manager_pid > 0 &&
                                                                    after.manager_pid != before.manager_pid)));
  CHECK_EQ(fx_status(&f, "a").pid, a);
  CHECK(fx_alive(a));
  CHECK_EQ(kill(a, SIGKILL), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "a").incarnation == 2 && fx_status(&f, "a").state == HF_STATE_READY));
  waitpid(f.guardian, NULL, 0);
  f.guardian = 0;
  hf_operator_shutdown(f.op, NULL);
  CHECK(fx_gone(after.guardian_pid));
  CHECK(!fx_exists(f.dir));
  fx_close(&f);
}

CHECK_MAIN
