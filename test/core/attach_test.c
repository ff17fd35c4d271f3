// SPDX-License-Identifier: MIT
// A supervised process writes its own file and nothing else, also as another user; and what it does to its own hurts nobody.
#include <pwd.h>

#include "daemon_fixture.h"

static const char *const sleeper[] = {"sleep", "1000", NULL};

// Runs the intruder once: its exit code (0: every attempt failed as it should).
static int intrude(fixture *f, const char *const *argv, bool other_user) {
  hf_spec spec;
  fx_spec(f, &spec, "intruder", argv);
  spec.ready = HF_READY_CALL;
  spec.restart = HF_RESTART_NEVER;
  if (other_user) {
    struct passwd *nobody = getpwnam("nobody");
    spec.has_user = 1;
    spec.uid = nobody ? nobody->pw_uid : 65534;
    spec.gid = nobody ? nobody->pw_gid : 65534;
  }
  CHECK(hf_operator_define(f->op, &spec, NULL) == 1);
  CHECK(FX_UNTIL(f, fx_status(f, "intruder").settled_incarnation == 1 && fx_status(f, "intruder").pid == 0));
  hf_process_status s = fx_status(f, "intruder");
  if (s.state == HF_STATE_STOPPED) return 0;
  CHECK_EQ(s.failures[0].cause, HF_CAUSE_exit);
  return s.failures[0].exit_code;
}

static void expect(const char *const *argv, bool other_user) {
  fixture f;
  CHECK(fx_open(&f) && fx_define(&f, "neighbour", sleeper) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "neighbour").state == HF_STATE_READY));
  pid_t neighbour = fx_status(&f, "neighbour").pid;
  hf_instance_status before, after;
  hf_operator_instance(f.op, &before, NULL);
  CHECK_EQ(intrude(&f, argv, other_user), 0);
  hf_operator_instance(f.op, &after, NULL);
  CHECK_EQ(after.manager_pid, before.manager_pid);
  CHECK_EQ(fx_status(&f, "neighbour").pid, neighbour);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(writes_its_own_file_and_nothing_else) {
  static const char *const argv[] = {HF_TEST_PROGRAMS "/intruder", "same", NULL};
  expect(argv, false);
}

TEST(writes_nothing_else_as_another_user_either) {
  static const char *const argv[] = {HF_TEST_PROGRAMS "/intruder", "other", NULL};
  if (geteuid() != 0) printf("  only root can run it as another user\n");
  else expect(argv, true);
}

TEST(a_file_that_its_owner_truncates_hurts_nobody) {
  static const char *const argv[] = {HF_TEST_PROGRAMS "/intruder", "same", "truncate", NULL};
  expect(argv, false);
}

TEST(a_process_that_no_manager_started_is_not_attached) {
  hf_self *self;
  hf_err err;
  unsetenv("HOLDFAST_ATTACH");
  CHECK_EQ(hf_attach(&self, &err), HF_ENOTATTACHED);
  CHECK_EQ(hf_spawned_here(), 0);
  setenv("HOLDFAST_ATTACH", "garbage", 1);
  CHECK_EQ(hf_attach(&self, &err), HF_ENOTATTACHED);
  setenv("HOLDFAST_ATTACH", "1:0:1:64=1.1:65=1.2:66=1.3", 1); // numbers that are other files here, or none
  CHECK_EQ(hf_attach(&self, &err), HF_ENOTATTACHED);
  CHECK_EQ(hf_spawned_here(), 0);
  unsetenv("HOLDFAST_ATTACH");
}

CHECK_MAIN
