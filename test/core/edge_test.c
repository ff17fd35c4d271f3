// SPDX-License-Identifier: MIT
// Corners of a real holdfastd that were once wrong: each test is a sentence that must hold.
#include <sys/resource.h>

#include "daemon_fixture.h"

static const char *const sleeper[] = {"sleep", "1000", NULL};

// Writes a definition as an operator would, without its checks and without ringing: as one that was killed just then.
static bool write_definition(const fixture *f, const hf_spec *spec) {
  static char bytes[HF_SPEC_BYTES_MAX];
  char path[128];
  ssize_t size = hf_spec_encode(spec, bytes, sizeof bytes, NULL);
  snprintf(path, sizeof path, "%s/spec/%s", f->dir, spec->name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  bool written = size > 0 && fd >= 0 && write(fd, bytes, (size_t)size) == size;
  if (fd >= 0) close(fd);
  return written;
}

TEST(a_circle_that_got_past_the_check_does_not_hold_up_the_end) {
  fixture f;
  hf_spec a, b;
  CHECK(fx_open(&f) && fx_define(&f, "a", sleeper) && fx_define(&f, "b", sleeper) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "a").state == HF_STATE_READY && fx_status(&f, "b").state == HF_STATE_READY));
  fx_spec(&f, &a, "a", sleeper);
  a.depends_count = 1;
  snprintf(a.depends[0], HF_NAME_SIZE, "b");
  CHECK(write_definition(&f, &a));
  fx_spec(&f, &b, "b", sleeper);
  b.depends_count = 1;
  snprintf(b.depends[0], HF_NAME_SIZE, "a");
  CHECK(write_definition(&f, &b));
  CHECK(fx_define(&f, "c", sleeper)); // rings
  CHECK(FX_UNTIL(&f, fx_status(&f, "c").state == HF_STATE_READY));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_definition_whose_operator_died_before_it_rang_is_taken_in_when_it_is_defined_again) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f) && fx_start(&f));
  fx_spec(&f, &spec, "web", sleeper);
  CHECK(write_definition(&f, &spec));
  CHECK_EQ(hf_operator_define(f.op, &spec, NULL), 0); // the same bytes are there already
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_starter_that_ignores_sigchld_changes_nothing) {
  fixture f;
  signal(SIGCHLD, SIG_IGN);
  CHECK(fx_open(&f) && fx_define(&f, "web", sleeper) && fx_start(&f));
  signal(SIGCHLD, SIG_DFL);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  CHECK_EQ(kill(fx_status(&f, "web").pid, SIGKILL), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").incarnation == 2 && fx_status(&f, "web").state == HF_STATE_READY));
  CHECK_EQ(fx_status(&f, "web").failures[0].cause, HF_CAUSE_crash);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_small_limit_of_open_files_is_the_processs_own) {
  static const char *const argv[] = {"sh", "-c", "test \"$(ulimit -n)\" = 32", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "small", argv);
  spec.restart = HF_RESTART_NEVER;
  spec.limit_resource_count = 1;
  spec.limits[0] = (hf_limit){RLIMIT_NOFILE, 32, 32};
  CHECK(hf_operator_define(f.op, &spec, NULL) == 1 && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "small").settled_incarnation == 1 && fx_status(&f, "small").pid == 0));
  CHECK_EQ(fx_status(&f, "small").state, HF_STATE_STOPPED);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(once_of_a_program_that_is_not_there_is_127) {
  static const char *const argv[] = {"/nowhere/program", NULL};
  fixture f;
  hf_spec spec;
  int status;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "cmd", argv);
  spec.restart = HF_RESTART_NEVER;
  CHECK(hf_operator_define(f.op, &spec, NULL) == 1);
  fx_start_with(&f, "--once", "cmd"); // it may be over before it could say that it is ready
  CHECK_EQ(waitpid(f.guardian, &status, 0), f.guardian);
  f.guardian = 0;
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 127);
  fx_close(&f);
}

TEST(a_stop_is_stopped_also_when_the_process_ends_by_itself_just_then) {
  fixture f;
  hf_spec spec;
  hf_instance_status instance;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "web", sleeper);
  spec.restart = HF_RESTART_NEVER;
  CHECK(hf_operator_define(f.op, &spec, NULL) == 1 && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  pid_t pid = fx_status(&f, "web").pid;
  hf_operator_instance(f.op, &instance, NULL);
  kill(instance.manager_pid, SIGSTOP); // it hears of both at once
  kill(pid, SIGKILL);
  CHECK(fx_gone(pid));
  CHECK(hf_operator_request(f.op, "web", HF_REQUEST_STOP, NULL) > 0);
  kill(instance.manager_pid, SIGCONT);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_STOPPED));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(nobody_is_condemned_for_the_time_in_which_all_were_stopped) {
  fixture f;
  hf_spec spec;
  hf_instance_status instance;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "slow", sleeper);
  spec.ready = HF_READY_CALL;
  spec.start_timeout_ns = 300000000;
  spec.restart = HF_RESTART_NEVER;
  CHECK(hf_operator_define(f.op, &spec, NULL) == 1 && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "slow").pid > 0));
  hf_operator_instance(f.op, &instance, NULL);
  uint64_t started = fx_status(&f, "slow").started_mono_ns;
  kill(instance.manager_pid, SIGSTOP);
  while (hf_now_mono_ns() < started + 800000000) usleep(1000); // the deadline passes while the judge is away
  uint64_t thawed = hf_now_mono_ns();
  kill(instance.manager_pid, SIGCONT);
  CHECK(FX_UNTIL(&f, fx_status(&f, "slow").failure_count == 1));
  CHECK(hf_now_mono_ns() - thawed > 300000000); // as much time again as it was late, about 500 ms
  CHECK_EQ(fx_status(&f, "slow").failures[0].cause, HF_CAUSE_startTimeout);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(children_do_not_share_the_managers_bell) {
  static const char *const argv[] = {"python3", "-c",
                                     "import fcntl,os,time\n"
                                     "fcntl.fcntl(66, fcntl.F_SETFL, fcntl.fcntl(66, fcntl.F_GETFL) & ~os.O_NONBLOCK)\n"
                                     "print('blocking', flush=True)\n"
                                     "time.sleep(1000)",
                                     NULL};
  fixture f;
  char path[128], text[32] = "";
  CHECK(fx_open(&f) && fx_define(&f, "rude", argv) && fx_define(&f, "web", sleeper) && fx_start(&f));
  snprintf(path, sizeof path, "%s/rude.log", f.log_dir);
  CHECK(FX_UNTIL(&f, __extension__({
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    got > 0;
  })));
  char ring[256];
  memset(ring, 'a', sizeof ring);
  snprintf(path, sizeof path, "%s/bell", f.dir);
  int bell = open(path, O_RDWR | O_NONBLOCK);
  CHECK(write(bell, ring, sizeof ring) == (ssize_t)sizeof ring); // a whole read's worth: the manager reads once more
  close(bell);
  pid_t first = fx_status(&f, "web").pid;
  CHECK_EQ(kill(first, SIGKILL), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").pid != first && fx_status(&f, "web").state == HF_STATE_READY));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_directory_that_vanished_is_said_and_the_end_still_comes) {
  fixture f;
  char command[160], path[128], text[4096] = "";
  int status;
  CHECK(fx_open(&f) && fx_define(&f, "web", sleeper) && fx_define(&f, "other", sleeper) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY && fx_status(&f, "other").state == HF_STATE_READY));
  pid_t other = fx_status(&f, "other").pid;
  snprintf(command, sizeof command, "rm -rf %s", f.dir);
  CHECK_EQ(system(command), 0);
  CHECK_EQ(kill(fx_status(&f, "web").pid, SIGKILL), 0);
  snprintf(path, sizeof path, "%s/holdfastd.log", f.log_dir);
  CHECK(FX_UNTIL(&f, __extension__({
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[got > 0 ? got : 0] = 0;
    strstr(text, "has vanished") != NULL;
  })));
  CHECK(fx_alive(other)); // what runs goes on
  kill(f.guardian, SIGTERM);
  CHECK_EQ(waitpid(f.guardian, &status, 0), f.guardian);
  f.guardian = 0;
  CHECK(fx_gone(other));
  fx_close(&f);
}

CHECK_MAIN
