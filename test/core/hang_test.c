// SPDX-License-Identifier: MIT
// Hangs under a real holdfastd: found in time, recorded, reported, recovered; and silences that are none.
#include "hang_fixture.h"

TEST(a_hang_is_found_told_and_recovered) {
  fixture f;
  hf_spec spec;
  char words[256], stamp[128], text[4096], pid[64];
  CHECK(fx_open(&f));
  snprintf(stamp, sizeof stamp, "%s/stamp", f.log_dir);
  snprintf(words, sizeof words, "ready register:300 beat:4:50 stamp:%s rest", stamp);
  hg_spec(&f, &spec, "web", words);
  spec.restart = HF_RESTART_ALWAYS;
  spec.ready = HF_READY_CALL;
  spec.backoff_first_ns = 5 * S; // one look at the first incarnation
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_failed(&f, "web")));
  hf_failure hang = hg_failure(&f, "web");
  CHECK_EQ(hang.cause, HF_CAUSE_hang);
  CHECK_EQ(hang.phase, HF_STATE_READY);
  CHECK_EQ(hang.signal, SIGKILL);
  CHECK_EQ(hang.exit_code, -1);
  CHECK_EQ(hang.incarnation, 1);
  CHECK_STR(hang.thread, "main");
  CHECK(hang.pid > 0 && hang.tid == hang.pid);
  CHECK_EQ(hang.grace, 1);
  CHECK_EQ(hang.period_ns, 300 * MS);
  CHECK(hang.silent_ns >= 300 * MS && hang.lateness_ns <= hang.silent_ns);
  CHECK_EQ(hang.has_report, 1);
  CHECK(hang.where[0] != 0);
  int64_t found = hang.at_real_ns - hg_stamp(stamp);
  CHECK(hg_stamp(stamp) > 0 && found >= (int64_t)(300 * MS));
  printf("  found after %.3f periods, %.1f ms of that lateness, %s\n", (double)found / 3e8, (double)hang.lateness_ns / 1e6,
         hang.where);
  CHECK(found - (int64_t)hang.lateness_ns <= (int64_t)(345 * MS + 5 * MS));
  hf_event event;
  CHECK_EQ(hg_events(&f, "web", HF_EVENT_hung, &event), 1);
  CHECK(strncmp(event.detail, "main silent for 3", 17) == 0 && strchr(event.detail, ':') == NULL);
  CHECK_EQ(hg_failures(&f, "web", HF_CAUSE_hang), 1);
  snprintf(pid, sizeof pid, " (%d) thread of process %d, has not", (int)hang.tid, (int)hang.pid);
  CHECK(FX_UNTIL(&f, hg_logged(&f, "error: web (process ")));
  CHECK(hg_logged(&f, "Because the main") && hg_logged(&f, pid));
  CHECK(hg_logged(&f, "responded within 1 periods of 0.3 seconds, the process will be terminated."));
  CHECK(FX_UNTIL(&f, hg_logged(&f, "/reports/web.1.txt")));
  CHECK(hg_report(&f, "web", 1, text, sizeof text));
  CHECK(strstr(text, "process:     web\nincarnation: 1\n") != NULL && strstr(text, "thread:      main\n") != NULL);
  CHECK(strstr(text, "period:      300 ms\n") != NULL && strstr(text, "phase:       READY\n") != NULL);
  CHECK(strstr(text, hang.where) != NULL && strstr(text, "state: S") != NULL); // the kernel's view of a thread in pause()
  CHECK(fx_gone(hang.pid));
  CHECK(hf_operator_request(f.op, "web", HF_REQUEST_START, NULL) > 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").incarnation == 2 && fx_status(&f, "web").state == HF_STATE_READY));
  CHECK_EQ(fx_down(&f), 0);
  CHECK(!fx_exists(f.dir));
  fx_close(&f);
}

TEST(the_restart_policy_counts_hangs_and_reports_are_bounded) {
  fixture f;
  hf_spec spec;
  char text[4096];
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "web", "register:30 spin");
  spec.restart = HF_RESTART_ALWAYS;
  spec.backoff_first_ns = spec.backoff_from_ns = 1 * MS;
  spec.backoff_max_ns = 5 * MS;
  spec.limit_count = 7;
  spec.limit_within_ns = 600 * S;
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").limited));
  CHECK_EQ(fx_status(&f, "web").incarnation, 8);
  CHECK_EQ(hg_failures(&f, "web", HF_CAUSE_hang), 8);
  CHECK_EQ(hg_events(&f, "web", HF_EVENT_hung, NULL), 8);
  for (uint32_t i = 1; i <= 8; i++) CHECK_EQ(hg_report(&f, "web", i, text, sizeof text), i > 8 - HF_FAILURES_KEPT);
  CHECK_EQ(hf_operator_remove(f.op, "web", NULL), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == 255));
  CHECK(!hg_report(&f, "web", 8, text, sizeof text));
  CHECK_EQ(fx_down(&f), 0);
  CHECK(!fx_exists(f.dir));
  fx_close(&f);
}

TEST(a_report_that_was_just_written_stays_beside_higher_numbers) {
  fixture f;
  char text[4096], path[128];
  CHECK(fx_open(&f) && hg_define(&f, "web", "register:30 spin"));
  snprintf(path, sizeof path, "%s/reports", f.dir);
  CHECK_EQ(mkdir(path, 0700), 0);
  for (int i = 0; i < HF_FAILURES_KEPT + 1; i++) {
    snprintf(path, sizeof path, "%s/reports/web.%d.txt", f.dir, 100 + i);
    CHECK_EQ(mknod(path, S_IFREG | 0600, 0), 0);
  }
  CHECK(fx_start(&f) && FX_UNTIL(&f, hg_failed(&f, "web")));
  CHECK_EQ(hg_failure(&f, "web").has_report, 1);
  CHECK(hg_report(&f, "web", 1, text, sizeof text));
  snprintf(path, sizeof path, "%s/reports/web.101.txt", f.dir);
  CHECK(!fx_exists(path)); // still no more than are kept
  CHECK_EQ(fx_down(&f), 0);
  CHECK(!fx_exists(f.dir));
  fx_close(&f);
}

TEST(who_beats_lives_and_its_age_is_shown) {
  fixture f;
  hf_thread_status thread;
  CHECK(fx_open(&f) && hg_define(&f, "web", "register:100:2 beat:0:20") && hg_define(&f, "many", "many:500:200 beat:0:50"));
  CHECK(hg_define(&f, "free", "register:50 deregister rest") && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_threads(&f, "web", &thread) == 1 && hg_threads(&f, "many", &thread) == 500));
  CHECK(FX_UNTIL(&f, fx_status(&f, "free").state == HF_STATE_READY));
  hg_rest(1500 * MS);
  CHECK_EQ(hg_threads(&f, "web", &thread), 1);
  CHECK_STR(thread.name, "main");
  CHECK_EQ(thread.pid, fx_status(&f, "web").pid);
  CHECK_EQ(thread.tid, thread.pid);
  CHECK_EQ(thread.period_ns, 100 * MS);
  CHECK_EQ(thread.grace, 2);
  CHECK_EQ(thread.flags, 0);
  CHECK(thread.silent_ns < 200 * MS);
  CHECK_EQ(hg_threads(&f, "free", &thread), 0);
  const char *const names[] = {"web", "many", "free"};
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(fx_status(&f, names[i]).state, HF_STATE_READY);
    CHECK_EQ(fx_status(&f, names[i]).incarnation, 1);
  }
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(one_of_many_is_silent) {
  fixture f;
  hf_thread_status thread;
  CHECK(fx_open(&f));
  CHECK(hg_define(&f, "web", "many:300:5000 register:200 beat:3:30 rest") && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_threads(&f, "web", &thread) == 301));
  CHECK(FX_UNTIL(&f, hg_failed(&f, "web")));
  CHECK_STR(hg_failure(&f, "web").thread, "main");
  CHECK(hg_failure(&f, "web").silent_ns < S);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(busy_extends_one_deadline) {
  fixture f;
  hf_thread_status thread;
  CHECK(fx_open(&f) && hg_define(&f, "web", "register:100 beat:2:20 busy:900 rest") && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_threads(&f, "web", &thread) == 1 && (thread.flags & HF_THREAD_BUSY) != 0));
  CHECK_STR(thread.note, "a long section");
  CHECK(FX_UNTIL(&f, hg_failed(&f, "web")));
  CHECK_EQ(hg_failure(&f, "web").cause, HF_CAUSE_hang);
  CHECK(hg_failure(&f, "web").silent_ns >= S && hg_failure(&f, "web").silent_ns < 2 * S);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_thread_that_ends_while_registered) {
  fixture f;
  CHECK(fx_open(&f) && hg_define(&f, "web", "thread:200 rest") && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_failed(&f, "web")));
  hf_failure hang = hg_failure(&f, "web");
  CHECK_EQ(hang.cause, HF_CAUSE_hang);
  CHECK_STR(hang.thread, "ender");
  CHECK_STR(hang.where, "the thread has ended while it was registered");
  CHECK(hang.tid != hang.pid && hang.silent_ns >= 200 * MS);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// It ends by itself while it is registered, before and after its deadline would have been: that is its ending, and no hang.
TEST(an_ending_is_no_hang) {
  fixture f;
  CHECK(fx_open(&f) && hg_define(&f, "web", "register:100 beat:2:30 exit:7") && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_failed(&f, "web")));
  CHECK_EQ(hg_failure(&f, "web").cause, HF_CAUSE_exit);
  CHECK_EQ(hg_failure(&f, "web").exit_code, 7);
  CHECK_EQ(hg_events(&f, "web", HF_EVENT_hung, NULL), 0);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(who_cuts_its_own_file_is_condemned_and_the_manager_lives) {
  fixture f;
  CHECK(fx_open(&f) && hg_define(&f, "bad", "register:100 beat:10:30 cut rest") &&
        hg_define(&f, "good", "register:100 beat:0:20"));
  CHECK(fx_start(&f));
  pid_t manager = hg_manager(&f);
  CHECK(FX_UNTIL(&f, hg_failed(&f, "bad")));
  CHECK_EQ(hg_failure(&f, "bad").cause, HF_CAUSE_hang);
  CHECK_STR(hg_failure(&f, "bad").where, "its own file was cut short");
  CHECK_EQ(hg_events(&f, "bad", HF_EVENT_trouble, NULL), 1);
  CHECK_EQ(hg_manager(&f), manager);
  CHECK_EQ(fx_status(&f, "good").state, HF_STATE_READY);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_stop_of_what_hangs_ends_in_stopped) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  hg_spec(&f, &spec, "web", "register:150 rest");
  CHECK(hg_put(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_events(&f, "web", HF_EVENT_hung, NULL) == 1));
  CHECK(hf_operator_request(f.op, "web", HF_REQUEST_STOP, NULL) > 0); // during the capture, or after
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_STOPPED));
  CHECK_EQ(fx_status(&f, "web").failure_count, 1);
  CHECK_EQ(hg_failure(&f, "web").cause, HF_CAUSE_hang);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

CHECK_MAIN
