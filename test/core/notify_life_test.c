// SPDX-License-Identifier: MIT
// Programs that speak sd_notify: the deadlines and the heartbeat that they have by it, and that they are heard whoever of guardian and
// manager dies meanwhile.
#include <sys/file.h>
#include <sys/resource.h>

#include "notify_fixture.h"

static bool stopped(pid_t pid) {
  hf_process_facts facts;
  for (int i = 0; i < 5000; i++) {
    if (hf_process_facts_read(pid, &facts) == 0 && facts.state == 'T') return true;
    usleep(1000);
  }
  return false;
}

static bool has_event(fixture *f, hf_event_type type) {
  static hf_event events[512];
  uint64_t next;
  int n = hf_operator_events(f->op, 1, events, 512, &next, NULL);
  for (int i = 0; i < n; i++)
    if (events[i].type == type) return true;
  return false;
}

// True if the last move to STOPPED was an exit with that code.
static bool ended_with(fixture *f, int code) {
  static hf_event events[512];
  uint64_t next;
  int found = -1, n = hf_operator_events(f->op, 1, events, 512, &next, NULL);
  for (int i = 0; i < n; i++)
    if (events[i].type == HF_EVENT_state && events[i].to == HF_STATE_STOPPED) found = i;
  return found >= 0 && events[found].signal == 0 && events[found].exit_code == code;
}

// ---- deadlines ----------------------------------------------------------------------------------------------------------

TEST(a_program_may_ask_for_more_time_to_start_and_to_stop) {
  static const char *const argv[] = {NOTIFIER,
                                     "on-term",
                                     "STOPPING=1\\nSTATUS=saving\\nEXTEND_TIMEOUT_USEC=5000000",
                                     "send",
                                     "EXTEND_TIMEOUT_USEC=5000000",
                                     "sleep",
                                     "500",
                                     "send",
                                     "READY=1",
                                     "wait",
                                     NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  by_call(&f, &spec, "app", argv);
  spec.start_timeout_ns = 200 * MS;
  spec.stop_timeout_ns = 100 * MS;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  CHECK_EQ(fx_status(&f, "app").failure_count, 0);
  uint64_t before = hf_now_mono_ns();
  CHECK(hf_operator_request(f.op, "app", HF_REQUEST_STOP, NULL) > 0);
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, "saving") == 0));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_STOPPED));
  CHECK(hf_now_mono_ns() - before >= 400 * MS);
  CHECK(ended_with(&f, 0)); // it had its 400 ms, and was not killed after 100
  CHECK(has_event(&f, HF_EVENT_stopping));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(more_time_ends_too) {
  static const char *const argv[] = {NOTIFIER, "send", "EXTEND_TIMEOUT_USEC=400000", "wait", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  by_call(&f, &spec, "app", argv);
  spec.start_timeout_ns = 50 * MS;
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "app").failure_count == 1));
  hf_process_status s = fx_status(&f, "app");
  CHECK_EQ(s.failures[0].cause, HF_CAUSE_startTimeout);
  CHECK(s.failures[0].ran_ns >= 390 * MS && s.failures[0].ran_ns < 5000 * MS);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(more_time_is_for_the_state_in_which_it_was_asked_for) {
  static const char *const starts[] = {
      NOTIFIER, "send", "EXTEND_TIMEOUT_USEC=60000000", "send", "READY=1\\nWATCHDOG_USEC=200000", "wait", NULL};
  static const char *const runs[] = {
      NOTIFIER, "on-term", "STATUS=told", "send", "READY=1", "send", "EXTEND_TIMEOUT_USEC=60000000\\nSTATUS=more",
      "wait",   NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  by_call(&f, &spec, "starts", starts);
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec));
  by_call(&f, &spec, "app", runs);
  spec.stop_timeout_ns = 100 * MS;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "starts").failure_count == 1));
  CHECK_EQ(fx_status(&f, "starts").failures[0].cause, HF_CAUSE_hang);
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, "more") == 0));
  CHECK(hf_operator_request(f.op, "app", HF_REQUEST_STOP, NULL) > 0);
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_STOPPED));
  CHECK(!ended_with(&f, 0)); // killed before its 400 ms were over
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(who_says_that_it_stops_must_end) {
  static const char *const stays[] = {NOTIFIER, "send", "READY=1", "send", "STOPPING=1", "wait", NULL};
  static const char *const later[] = {NOTIFIER, "send", "READY=1", "send", "STOPPING=1\\nEXTEND_TIMEOUT_USEC=1000000",
                                      "wait",   NULL};
  static const char *const ends[] = {NOTIFIER, "send", "READY=1", "send", "STOPPING=1", "sleep", "100", "exit", "0", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  by_call(&f, &spec, "later", later);
  spec.stop_timeout_ns = 200 * MS;
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec));
  by_call(&f, &spec, "ends", ends);
  spec.stop_timeout_ns = 2000 * MS;
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec));
  by_call(&f, &spec, "app", stays);
  spec.stop_timeout_ns = 200 * MS;
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "app").failure_count == 1));
  hf_process_status s = fx_status(&f, "app");
  CHECK_EQ(s.failures[0].cause, HF_CAUSE_startTimeout);
  CHECK_EQ(s.failures[0].late, HF_LATE_STOPPING);
  CHECK(s.failures[0].ran_ns >= 200 * MS);
  CHECK(FX_UNTIL(&f, fx_status(&f, "later").failure_count == 1));
  CHECK(fx_status(&f, "later").failures[0].ran_ns >= 1000 * MS);
  CHECK_EQ(fx_status(&f, "ends").failure_count, 0);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// ---- deaths -------------------------------------------------------------------------------------------------------------

TEST(what_is_sent_while_there_is_no_manager_is_not_lost) {
  static const char *const argv[] = {NOTIFIER, "send", "READY=1", "on-usr1", "STATUS=sent to nobody",
                                     "touch",  "",     "wait",    NULL};
  char path[80];
  const char *with_path[sizeof argv / sizeof *argv];
  fixture f;
  CHECK(fx_open(&f));
  snprintf(path, sizeof path, "%s/armed", f.log_dir);
  memcpy(with_path, argv, sizeof argv);
  with_path[6] = path;
  CHECK(run(&f, with_path));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY) && soon_exists(path));
  hf_instance_status before = instance_of(&f);
  pid_t app = fx_status(&f, "app").pid;
  CHECK_EQ(kill(before.guardian_pid, SIGSTOP), 0); // it starts none meanwhile
  CHECK(stopped(before.guardian_pid));
  CHECK_EQ(kill(before.manager_pid, SIGKILL), 0);
  CHECK(fx_gone(before.manager_pid));
  CHECK_EQ(kill(app, SIGUSR1), 0);
  usleep(50000);
  CHECK_STR(fx_status(&f, "app").status_text, "");
  CHECK_EQ(kill(before.guardian_pid, SIGCONT), 0);
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, "sent to nobody") == 0));
  CHECK(instance_of(&f).manager_pid != before.manager_pid);
  CHECK_EQ(fx_status(&f, "app").pid, app);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// The manager is killed with a message in its hands, and once more when it has taken it in.
TEST(a_message_that_is_being_read_is_not_lost_with_its_reader) {
  static const char *const argv[] = {NOTIFIER,  "send", "READY=1\\nSTATUS=one", "send", "RELOADING=1",
                                     "barrier", "send", "READY=1\\nSTATUS=two", "wait", NULL};
  static const char *const points[] = {"manager:notify-read:%d", "manager:notify-taken:%d"};
  for (int i = 0; i < 8; i++) {
    fixture f;
    char once[80], order[40];
    CHECK(fx_open(&f));
    snprintf(once, sizeof once, "%s/once", f.log_dir);
    snprintf(order, sizeof order, points[i % 2], i / 2 + 1);
    setenv("HOLDFAST_TEST_POINT", order, 1);
    setenv("HOLDFAST_TEST_ONCE", once, 1);
    CHECK(run(&f, argv));
    unsetenv("HOLDFAST_TEST_POINT");
    unsetenv("HOLDFAST_TEST_ONCE");
    CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY && strcmp(fx_status(&f, "app").status_text, "two") == 0));
    CHECK(FX_UNTIL(&f, fx_exists(once))); // the last point comes after what it has to do with
    CHECK(FX_UNTIL(&f, instance_of(&f).manager_restarts == 1));
    CHECK_EQ(count_states(&f, HF_STATE_READY), 2);
    CHECK_EQ(fx_status(&f, "app").incarnation, 1);
    CHECK_EQ(fx_down(&f), 0);
    fx_close(&f);
  }
}

// Waits until guardian and manager are others than before and live.
static bool replaced(fixture *f, const hf_instance_status *before) {
  for (int i = 0; i < 10000; i++) {
    hf_instance_status now = instance_of(f);
    if (now.guardian_pid != before->guardian_pid && now.manager_pid != before->manager_pid && fx_alive(now.guardian_pid) &&
        fx_alive(now.manager_pid))
      return true;
    usleep(1000);
  }
  return false;
}

// Waits until nobody holds the lock: the threads of a dead manager may be a moment behind.
static bool unlocked(const fixture *f) {
  char path[96];
  snprintf(path, sizeof path, "%s/lock", f->dir);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  bool done = false;
  for (int i = 0; fd >= 0 && !done && i < 5000; i++) {
    done = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!done) usleep(1000);
  }
  if (fd >= 0) close(fd);
  return done;
}

TEST(it_is_heard_also_after_the_guardian_or_both_died) {
  static const char *const argv[] = {NOTIFIER, "on-usr1", "STATUS=still here", "send", "READY=1", "wait", NULL};
  for (int both = 0; both < 2; both++) {
    fixture f;
    CHECK(fx_open(&f) && run(&f, argv));
    CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
    hf_instance_status before = instance_of(&f);
    pid_t app = fx_status(&f, "app").pid;
    if (both) {
      kill(before.manager_pid, SIGSTOP);
      kill(before.guardian_pid, SIGKILL);
      kill(before.manager_pid, SIGKILL);
    } else kill(before.guardian_pid, SIGKILL);
    CHECK_EQ(waitpid(f.guardian, NULL, 0), f.guardian);
    f.guardian = 0;
    if (both) CHECK(fx_gone(before.manager_pid) && unlocked(&f) && fx_start(&f));
    CHECK(replaced(&f, &before));
    CHECK_EQ(kill(app, SIGUSR1), 0);
    CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, "still here") == 0));
    CHECK_EQ(fx_status(&f, "app").pid, app);
    hf_operator_shutdown(f.op, NULL);
    CHECK(fx_gone(instance_of(&f).guardian_pid));
    if (f.guardian > 0) CHECK_EQ(waitpid(f.guardian, NULL, 0), f.guardian);
    f.guardian = 0;
    CHECK(!fx_exists(f.dir)); // the socket went with it
    fx_close(&f);
  }
}

// A process of another user holds the file of the dead socket for ever: it can't beat, and that is no hang of it.
TEST(who_can_not_be_heard_any_more_is_not_condemned) {
  if (geteuid() != 0) {
    printf("  only root can try this\n");
    return;
  }
  static const char *const argv[] = {NOTIFIER, "send", "READY=1\\nWATCHDOG_USEC=500000", "beat", "50", "100000", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  by_call(&f, &spec, "app", argv);
  spec.has_user = true;
  spec.uid = spec.gid = 65534;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  CHECK_EQ(kill(instance_of(&f).manager_pid, SIGKILL), 0); // alone it makes nobody unheard
  CHECK(FX_UNTIL(&f, instance_of(&f).manager_restarts == 1));
  usleep(100000);
  CHECK(!has_event(&f, HF_EVENT_trouble));
  hf_instance_status before = instance_of(&f);
  kill(before.guardian_pid, SIGSTOP);
  kill(before.manager_pid, SIGKILL);
  kill(before.guardian_pid, SIGKILL);
  CHECK_EQ(waitpid(f.guardian, NULL, 0), f.guardian);
  f.guardian = 0;
  CHECK(fx_gone(before.manager_pid) && unlocked(&f) && fx_start(&f));
  CHECK(replaced(&f, &before));
  CHECK(FX_UNTIL(&f, has_event(&f, HF_EVENT_trouble)));
  usleep(1000000);
  CHECK_EQ(fx_status(&f, "app").failure_count, 0);
  CHECK_EQ(fx_status(&f, "app").incarnation, 1);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// A manager without descriptors can't look into /proc. What was sent meanwhile waits.
TEST(a_message_waits_while_proc_can_not_be_read) {
  static const char *const argv[] = {NOTIFIER, "send", "READY=1", "on-usr1", "STATUS=it waited", "touch", "", "wait", NULL};
  char path[160];
  const char *with_path[sizeof argv / sizeof *argv];
  fixture f;
  CHECK(fx_open(&f));
  snprintf(path, sizeof path, "%s/armed", f.log_dir);
  memcpy(with_path, argv, sizeof argv);
  with_path[6] = path;
  CHECK(run(&f, with_path));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY) && soon_exists(path));
  pid_t manager = instance_of(&f).manager_pid;
  struct rlimit before, none = {3, 0};
  CHECK_EQ(prlimit(manager, RLIMIT_NOFILE, NULL, &before), 0);
  none.rlim_max = before.rlim_max;
  CHECK_EQ(prlimit(manager, RLIMIT_NOFILE, &none, NULL), 0);
  CHECK_EQ(kill(fx_status(&f, "app").pid, SIGUSR1), 0);
  usleep(150000);
  CHECK_STR(fx_status(&f, "app").status_text, "");
  CHECK_EQ(prlimit(manager, RLIMIT_NOFILE, &before, NULL), 0);
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, "it waited") == 0));
  // Not for ever, and the manager does not go round meanwhile.
  hf_process_facts then, after;
  CHECK_EQ(hf_process_facts_read(manager, &then), 0);
  CHECK_EQ(prlimit(manager, RLIMIT_NOFILE, &none, NULL), 0);
  CHECK_EQ(kill(fx_status(&f, "app").pid, SIGUSR1), 0);
  snprintf(path, sizeof path, "grep -q '/proc could not be read' %s/holdfastd.log", f.log_dir);
  CHECK(FX_UNTIL(&f, system(path) == 0));
  CHECK_EQ(hf_process_facts_read(manager, &after), 0);
  CHECK(after.cpu_ns - then.cpu_ns < 200 * MS);
  CHECK_EQ(prlimit(manager, RLIMIT_NOFILE, &before, NULL), 0);
  CHECK_EQ(instance_of(&f).manager_pid, manager);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_flood_starves_nobody) {
  static const char *const floods[] = {NOTIFIER, "send", "READY=1", "flood", NULL}, *const victim[] = {"sleep", "1000", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "victim", victim);
  spec.backoff_first_ns = spec.backoff_max_ns = MS;
  CHECK(define(&f, &spec));
  CHECK(run(&f, floods));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY && fx_status(&f, "app").status_text[0] != 0));
  for (unsigned i = 1; i <= 5; i++) {
    CHECK(FX_UNTIL(&f, fx_status(&f, "victim").incarnation == i && fx_status(&f, "victim").state == HF_STATE_READY));
    uint64_t before = hf_now_mono_ns();
    CHECK_EQ(kill(fx_status(&f, "victim").pid, SIGKILL), 0);
    CHECK(FX_UNTIL(&f, fx_status(&f, "victim").incarnation == i + 1 && fx_status(&f, "victim").state == HF_STATE_READY));
    CHECK(hf_now_mono_ns() - before < 1000 * MS);
  }
  char then[HF_STATUS_TEXT_SIZE];
  memcpy(then, fx_status(&f, "app").status_text, sizeof then);
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, then) != 0)); // it is still heard
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// ---- the heartbeat ------------------------------------------------------------------------------------------------------

static void hangs_once(fixture *f, const char *const *argv, uint64_t heartbeat_ns) {
  hf_spec spec;
  by_call(f, &spec, "app", argv);
  spec.heartbeat_ns = heartbeat_ns;
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(f, &spec) && fx_start(f));
}

static hf_failure await_failure(fixture *f) {
  CHECK(FX_UNTIL(f, fx_status(f, "app").failure_count == 1 && fx_status(f, "app").pid == 0));
  return fx_status(f, "app").failures[0];
}

TEST(a_watchdog_that_falls_silent_is_a_hang) {
  static const char *const argv[] = {NOTIFIER, "send", "READY=1", "beat", "100", "10", "wait", NULL};
  fixture f;
  CHECK(fx_open(&f));
  hangs_once(&f, argv, 400 * MS);
  hf_failure failure = await_failure(&f);
  CHECK_EQ(failure.cause, HF_CAUSE_hang);
  CHECK_STR(failure.thread, "watchdog");
  CHECK_EQ(failure.period_ns, 400 * MS);
  CHECK_EQ(failure.phase, HF_STATE_READY);
  CHECK(failure.silent_ns >= 400 * MS);
  CHECK(failure.ran_ns >= 1300 * MS && failure.ran_ns < 5000 * MS);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_watchdog_may_bring_its_own_period_and_end_it) {
  static const char *const sets[] = {NOTIFIER, "send", "READY=1\\nWATCHDOG_USEC=300000", "beat", "50", "4", "wait", NULL};
  static const char *const stops[] = {
      NOTIFIER, "send", "READY=1\\nWATCHDOG_USEC=300000\\nWATCHDOG=1", "send", "STOPPING=1", "beat", "10", "3", "wait", NULL};
  static const char *const ends[] = {
      NOTIFIER, "send", "READY=1\\nWATCHDOG_USEC=300000", "sleep", "50", "send", "WATCHDOG_USEC=0", "wait", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  by_call(&f, &spec, "stops", stops);
  CHECK(define(&f, &spec));
  by_call(&f, &spec, "ends", ends);
  CHECK(define(&f, &spec));
  hangs_once(&f, sets, 0);
  hf_failure failure = await_failure(&f);
  CHECK_EQ(failure.cause, HF_CAUSE_hang);
  CHECK_EQ(failure.period_ns, 300 * MS);
  usleep(400000);
  CHECK_EQ(fx_status(&f, "stops").state, HF_STATE_READY);
  CHECK_EQ(fx_status(&f, "ends").state, HF_STATE_READY);
  CHECK_EQ(fx_status(&f, "stops").incarnation, 1);
  CHECK_EQ(fx_status(&f, "ends").incarnation, 1);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_program_may_condemn_itself) {
  static const char *const argv[] = {NOTIFIER, "send", "READY=1", "send", "WATCHDOG=trigger", "wait", NULL};
  fixture f;
  CHECK(fx_open(&f));
  hangs_once(&f, argv, 0);
  hf_failure failure = await_failure(&f);
  CHECK_EQ(failure.cause, HF_CAUSE_hang);
  CHECK_STR(failure.where, "it said so itself (WATCHDOG=trigger)");
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(the_next_manager_goes_on_watching) {
  static const char *const argv[] = {NOTIFIER, "send", "READY=1\\nWATCHDOG_USEC=500000\\nWATCHDOG=1", "wait", NULL};
  fixture f;
  CHECK(fx_open(&f));
  hangs_once(&f, argv, 0);
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  CHECK_EQ(kill(instance_of(&f).manager_pid, SIGKILL), 0);
  hf_failure failure = await_failure(&f);
  CHECK_EQ(failure.cause, HF_CAUSE_hang);
  CHECK(instance_of(&f).manager_restarts == 1);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(more_time_holds_for_the_watchdog_too) {
  static const char *const argv[] = {NOTIFIER, "send", "READY=1\\nWATCHDOG_USEC=200000\\nEXTEND_TIMEOUT_USEC=1500000", "wait",
                                     NULL};
  fixture f;
  CHECK(fx_open(&f));
  hangs_once(&f, argv, 0);
  hf_failure failure = await_failure(&f);
  CHECK_EQ(failure.cause, HF_CAUSE_hang);
  CHECK(failure.ran_ns >= 1500 * MS && failure.ran_ns < 6000 * MS);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

CHECK_MAIN
