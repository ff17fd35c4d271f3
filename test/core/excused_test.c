// SPDX-License-Identifier: MIT
// Silences that are nobody's fault: of what was stopped, of what a debugger holds, and of a judge that was away itself.
#include <sys/ptrace.h>

#include "hang_fixture.h"

static bool shown_as(fixture *f, const char *name, uint32_t flag) {
  hf_thread_status thread;
  return hg_threads(f, name, &thread) == 1 && thread.flags == flag;
}

// It has registered.
static bool beats(fixture *f, const char *name) {
  hf_thread_status thread;
  return hg_threads(f, name, &thread) == 1;
}

static void lives_on(fixture *f, const char *name, pid_t pid) {
  hf_process_status s = fx_status(f, name);
  CHECK_EQ(s.state, HF_STATE_READY);
  CHECK_EQ(s.pid, pid);
  CHECK_EQ(s.failure_count, 0);
}

TEST(what_was_stopped_is_left_alone_and_shown) {
  fixture f;
  hf_spec spec;
  hf_event event;
  CHECK(fx_open(&f) && hg_define(&f, "waits", "register:150 beat:0:130"));
  hg_spec(&f, &spec, "fails", "register:150 beat:0:40");
  spec.stopped = HF_STOPPED_FAIL;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, beats(&f, "waits") && beats(&f, "fails")));
  pid_t pid = fx_status(&f, "waits").pid;
  CHECK(kill(pid, SIGSTOP) == 0 && kill(fx_status(&f, "fails").pid, SIGSTOP) == 0);
  CHECK(FX_UNTIL(&f, shown_as(&f, "waits", HF_THREAD_STOPPED)));
  CHECK(FX_UNTIL(&f, hg_failed(&f, "fails")));
  CHECK_EQ(hg_failure(&f, "fails").cause, HF_CAUSE_hang);
  hg_rest(800 * MS);
  lives_on(&f, "waits", pid);
  CHECK_EQ(hg_events(&f, "waits", HF_EVENT_excused, &event), 1); // once, however long it takes
  CHECK_STR(event.detail, "main is silent: it was stopped by a signal");
  hf_thread_status thread;
  CHECK_EQ(hg_threads(&f, "waits", &thread), 1);
  CHECK(thread.silent_ns > 800 * MS);
  // Let go at any moment it has a whole period to beat again.
  for (int i = 0; i < 8; i++) {
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(FX_UNTIL(&f, shown_as(&f, "waits", 0)));
    hg_rest(300 * MS);
    lives_on(&f, "waits", pid);
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(FX_UNTIL(&f, shown_as(&f, "waits", HF_THREAD_STOPPED)));
    hg_rest((uint64_t)i * 37 * MS);
  }
  CHECK(kill(pid, SIGCONT) == 0);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(what_a_debugger_holds_is_left_alone_until_it_lets_go) {
  fixture f;
  hf_event event;
  CHECK(fx_open(&f) && hg_define(&f, "web", "register:150 beat:0:40") && fx_start(&f));
  CHECK(FX_UNTIL(&f, beats(&f, "web")));
  pid_t pid = fx_status(&f, "web").pid;
  int status;
  CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
  CHECK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0);
  CHECK_EQ(waitpid(pid, &status, __WALL), pid);
  CHECK(FX_UNTIL(&f, shown_as(&f, "web", HF_THREAD_TRACED)));
  hg_rest(600 * MS);
  lives_on(&f, "web", pid);
  CHECK_EQ(hg_events(&f, "web", HF_EVENT_excused, &event), 1);
  CHECK_STR(event.detail, "main is silent: a debugger holds it");
  CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
  CHECK(FX_UNTIL(&f, shown_as(&f, "web", 0)));
  hg_rest(300 * MS);
  lives_on(&f, "web", pid);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// A debugger that lets go of what hangs: then it is found.
TEST(a_hang_that_a_debugger_held_back) {
  fixture f;
  CHECK(fx_open(&f) && hg_define(&f, "web", "ready register:200 rest") && fx_start(&f));
  CHECK(FX_UNTIL(&f, beats(&f, "web")));
  pid_t pid = fx_status(&f, "web").pid;
  CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
  hg_rest(700 * MS);
  lives_on(&f, "web", pid);
  int status;
  CHECK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0);
  CHECK_EQ(waitpid(pid, &status, __WALL), pid);
  CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
  CHECK(FX_UNTIL(&f, hg_failed(&f, "web")));
  CHECK_EQ(hg_failure(&f, "web").cause, HF_CAUSE_hang);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_manager_that_was_away_condemns_nobody_for_it) {
  fixture f;
  char words[256], stamp[128];
  CHECK(fx_open(&f));
  snprintf(stamp, sizeof stamp, "%s/stamp", f.log_dir);
  snprintf(words, sizeof words, "register:500 beat:80:50 stamp:%s rest", stamp); // hangs after 4 s
  CHECK(hg_define(&f, "fast", "register:100 beat:0:60") && hg_define(&f, "slow", "register:1000 beat:0:850") &&
        hg_define(&f, "hangs", words) && fx_start(&f));
  CHECK(FX_UNTIL(&f, beats(&f, "fast") && beats(&f, "slow") && beats(&f, "hangs")));
  pid_t fast = fx_status(&f, "fast").pid, slow = fx_status(&f, "slow").pid, manager = hg_manager(&f);
  CHECK(kill(manager, SIGSTOP) == 0);
  hg_rest(3 * S);
  CHECK(kill(manager, SIGCONT) == 0);
  CHECK(FX_UNTIL(&f, hg_failed(&f, "hangs")));
  hf_failure hang = hg_failure(&f, "hangs");
  int64_t found = hang.at_real_ns - hg_stamp(stamp);
  CHECK_EQ(hang.cause, HF_CAUSE_hang);
  CHECK(hg_stamp(stamp) > 0 && found >= (int64_t)(500 * MS) && found < (int64_t)(1750 * MS));
  printf("  the hang after the absence was found after %.2f periods\n", (double)found / 5e8);
  CHECK_EQ(hg_manager(&f), manager);
  lives_on(&f, "fast", fast);
  lives_on(&f, "slow", slow);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// Nobody in a stopped process answers: the kill waits for its stack no longer than for half a second.
TEST(a_stack_that_does_not_come_delays_the_kill_by_its_bound) {
  fixture f;
  hf_spec spec;
  hf_event hung = {0}, failed = {0};
  char text[4096];
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "web", "register:150 beat:0:40");
  spec.stopped = HF_STOPPED_FAIL;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, beats(&f, "web")));
  CHECK(kill(fx_status(&f, "web").pid, SIGSTOP) == 0);
  CHECK(FX_UNTIL(&f, hg_failed(&f, "web")));
  CHECK_EQ(hg_events(&f, "web", HF_EVENT_hung, &hung), 1);
  CHECK(hg_events(&f, "web", HF_EVENT_state, &failed) > 0 && failed.to == HF_STATE_FAIL);
  uint64_t took = failed.at_mono_ns - hung.at_mono_ns;
  CHECK(took >= 500 * MS && took < 700 * MS);
  CHECK(hg_report(&f, "web", 1, text, sizeof text));
  CHECK(strstr(text, "did not tell its stack within 500 ms") != NULL && strstr(text, "stopped by a signal") != NULL);
  CHECK_STR(hg_failure(&f, "web").where, "stopped by a signal");
  CHECK(strstr(failed.detail, ": stopped by a signal") != NULL);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// Stopped and continued together with the manager, as a machine that was suspended: both go on.
TEST(everything_was_stopped_for_a_while) {
  fixture f;
  CHECK(fx_open(&f) && hg_define(&f, "web", "register:200 beat:0:170") && fx_start(&f));
  CHECK(FX_UNTIL(&f, beats(&f, "web")));
  pid_t pid = fx_status(&f, "web").pid, manager = hg_manager(&f);
  for (int i = 0; i < 5; i++) {
    CHECK(kill(pid, SIGSTOP) == 0 && kill(manager, SIGSTOP) == 0);
    hg_rest(700 * MS);
    CHECK(kill(manager, SIGCONT) == 0 && kill(pid, SIGCONT) == 0);
    hg_rest((uint64_t)(100 + 90 * i) * MS);
  }
  lives_on(&f, "web", pid);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

CHECK_MAIN
