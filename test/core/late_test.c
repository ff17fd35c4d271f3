// SPDX-License-Identifier: MIT
// What does not come in time: the heartbeat that a definition asks for, and the way back from LOADCFG.
#include "hang_fixture.h"

TEST(a_heartbeat_that_never_begins) {
  fixture f;
  hf_spec spec;
  char text[128];
  CHECK(fx_open(&f));
  static const char *const names[] = {"auto", "alive", "call"};
  for (int ready = HF_READY_AUTO; ready <= HF_READY_ALIVE; ready++) {
    hg_spec(&f, &spec, ready == HF_READY_AUTO ? "auto" : ready == HF_READY_CALL ? "call" : "alive", "ready rest");
    spec.ready = (uint8_t)ready;
    spec.heartbeat_ns = 50 * MS;
    spec.start_timeout_ns = 300 * MS;
    CHECK(hg_put(&f, &spec));
  }
  CHECK(fx_start(&f));
  for (int i = 0; i < 3; i++) {
    CHECK(FX_UNTIL(&f, hg_failed(&f, names[i])));
    hf_failure late = hg_failure(&f, names[i]);
    CHECK_EQ(late.cause, HF_CAUSE_startTimeout);
    CHECK_EQ(late.late, HF_LATE_HEARTBEAT);
    CHECK(late.ran_ns >= 300 * MS && late.ran_ns < 2 * S);
    hf_failure_text(&late, text, sizeof text);
    CHECK(strncmp(text, "no heartbeat in 3", 17) == 0);
    CHECK_EQ(hg_events(&f, names[i], HF_EVENT_hung, NULL), 0);
  }
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// Without a word of its own, READY is who has lived for a while, and beats where that is asked for.
TEST(ready_by_time_needs_the_heartbeat) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "beats", "register:200 beat:0:30");
  spec.ready = HF_READY_AUTO;
  spec.heartbeat_ns = 200 * MS;
  spec.alive_for_ns = 100 * MS;
  CHECK(hg_put(&f, &spec));
  hg_spec(&f, &spec, "rests", "rest");
  spec.heartbeat_ns = 200 * MS;
  spec.alive_for_ns = 1 * MS;
  spec.start_timeout_ns = 1 * S;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "beats").state == HF_STATE_READY));
  CHECK_EQ(fx_status(&f, "rests").state, HF_STATE_STARTED);
  hf_process_status s = fx_status(&f, "beats");
  CHECK(s.ready_mono_ns - s.started_mono_ns >= 100 * MS);
  CHECK(FX_UNTIL(&f, hg_failed(&f, "rests")));
  CHECK_EQ(hg_failure(&f, "rests").phase, HF_STATE_STARTED);
  CHECK_EQ(fx_status(&f, "beats").state, HF_STATE_READY);
  // Who beats first and leaves off later (properly) is READY, and stays it, also under the next manager.
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(who_has_beaten_is_not_late_under_the_next_manager) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "web", "register:200 beat:3:20 deregister rest");
  spec.heartbeat_ns = 200 * MS;
  spec.start_timeout_ns = 400 * MS;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  hg_rest(200 * MS);
  pid_t before = hg_manager(&f);
  kill(before, SIGKILL);
  CHECK(FX_UNTIL(&f, hg_manager(&f) > 0 && hg_manager(&f) != before));
  hg_rest(600 * MS);
  CHECK_EQ(fx_status(&f, "web").state, HF_STATE_READY);
  CHECK_EQ(fx_status(&f, "web").incarnation, 1);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

static bool environment_of(pid_t pid, const char *entry) { return hf_environment_has(pid, entry, NULL); }

TEST(the_environment_tells_the_period) {
  static const char *const env[] = {"PATH=/usr/bin:/bin", "HOLDFAST_HEARTBEAT=77", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "with", "register:5000 rest");
  spec.heartbeat_ns = 1500 * MS;
  spec.env = env;
  CHECK(hg_put(&f, &spec));
  hg_spec(&f, &spec, "without", "rest");
  spec.env = env;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "with").state == HF_STATE_READY && fx_status(&f, "without").state == HF_STATE_READY));
  CHECK(environment_of(fx_status(&f, "with").pid, "HOLDFAST_HEARTBEAT=1500"));
  CHECK(!environment_of(fx_status(&f, "with").pid, "HOLDFAST_HEARTBEAT=77"));
  CHECK(!environment_of(fx_status(&f, "without").pid, "HOLDFAST_HEARTBEAT=77"));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(loading_its_configuration_for_too_long) {
  fixture f;
  hf_spec spec;
  char text[128];
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "slow", "ready beat:1:50 loadcfg rest");
  spec.ready = HF_READY_CALL;
  spec.start_timeout_ns = 500 * MS;
  CHECK(hg_put(&f, &spec));
  hg_spec(&f, &spec, "quick", "ready beat:1:50 loadcfg beat:1:100 ready rest");
  spec.ready = HF_READY_CALL;
  spec.start_timeout_ns = 500 * MS;
  CHECK(hg_put(&f, &spec));
  hg_spec(&f, &spec, "free", "ready beat:1:50 loadcfg rest"); // `alive` without a heartbeat has no deadline
  spec.start_timeout_ns = 500 * MS;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "slow").state == HF_STATE_LOADCFG));
  CHECK(FX_UNTIL(&f, hg_failed(&f, "slow")));
  hf_failure late = hg_failure(&f, "slow");
  CHECK_EQ(late.cause, HF_CAUSE_startTimeout);
  CHECK_EQ(late.phase, HF_STATE_LOADCFG);
  CHECK_EQ(late.late, HF_LATE_LOADCFG);
  CHECK(late.ran_ns >= 550 * MS);
  hf_failure_text(&late, text, sizeof text);
  CHECK(strncmp(text, "stayed in LOADCFG for too long", 30) == 0);
  CHECK_EQ(fx_status(&f, "quick").state, HF_STATE_READY);
  CHECK_EQ(fx_status(&f, "quick").incarnation, 1);
  CHECK_EQ(fx_status(&f, "free").state, HF_STATE_LOADCFG);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// The manager was away: nobody's deadline has passed for that alone.
TEST(an_absent_manager_gives_the_time_back) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "web", "beat:1:1300 ready rest"); // READY after 1.3 s
  spec.ready = HF_READY_CALL;
  spec.start_timeout_ns = 1 * S;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_STARTED));
  pid_t manager = hg_manager(&f);
  kill(manager, SIGSTOP); // which is no fault of web's
  hg_rest(1200 * MS);
  kill(manager, SIGCONT);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY || fx_status(&f, "web").failure_count > 0));
  CHECK_EQ(fx_status(&f, "web").state, HF_STATE_READY);
  CHECK_EQ(fx_status(&f, "web").failure_count, 0);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

CHECK_MAIN
