// SPDX-License-Identifier: MIT
// The manager dies while a thread is silent, or at any point between the verdict and the kill. Whoever comes after goes on: the hang is
// one failure, told of as what it is, and the process is started again.
#include "cycle_fixture.h"
#include "hang_fixture.h"

enum { WORKERS = 4, N_MAX = 60, JOBS_MAX = 32 };

static const char *const points[] = {
    "hang-recorded",       "hang-requested",        "hang-reported",           "status-before-commit",
    "status-after-commit", "event-before-sequence", "event-before-tail",       "ages-owned",
    "ages-seen",           "ending-recorded",       "clean-before-acknowledge"};

enum { POINT_COUNT = sizeof points / sizeof *points };

// Shared by the workers.
static struct totals {
  atomic_int next_job, failed, met[JOBS_MAX];
} *totals;

// Its first incarnation hangs, the others live.
static bool define_hanging_once(fixture *f, const char *live, const char *hang) {
  static char script[512];
  static const char *const argv[] = {"sh", "-c", script, NULL};
  hf_spec spec;
  snprintf(script, sizeof script, "if [ -e %s/once-hung ]; then exec %s/beater %s; fi; : > %s/once-hung; exec %s/beater %s",
           f->log_dir, HF_TEST_PROGRAMS, live, f->log_dir, HF_TEST_PROGRAMS, hang);
  fx_spec(f, &spec, "web", argv);
  spec.backoff_from_ns = spec.backoff_max_ns = 10 * MS;
  return hg_put(f, &spec);
}

// True if the point was passed that often, and the manager died there.
static bool one(const char *point, int n) {
  cycle c = {0};
  char order[80], text[4096];
  snprintf(order, sizeof order, "manager:%s:%d", point, n);
  CHECK(fx_open(&c.f));
  snprintf(c.once, sizeof c.once, "%s/once", c.f.log_dir);
  snprintf(c.said, sizeof c.said, "%s/said", c.f.log_dir);
  CHECK(define_hanging_once(&c.f, "register:5000 rest", "register:60 beat:2:20 rest"));
  CHECK(cy_start(&c, "HOLDFAST_TEST_POINT", order));
  // Mostly incarnation 1 hangs, and 2 lives; one that was announced by a manager that died before the spawn is passed over.
  CHECK(CY_UNTIL(&c, fx_status(&c.f, "web").failure_count > 0));
  hf_failure hang = hg_failure(&c.f, "web");
  CHECK(CY_UNTIL(&c, cy_ready(&c, hang.incarnation)));
  CHECK_EQ(fx_status(&c.f, "web").failure_count, 1);
  CHECK_EQ(hang.cause, HF_CAUSE_hang);
  CHECK_EQ(hang.has_report, 1);
  CHECK_STR(hang.thread, "main");
  CHECK(hang.where[0] != 0 && hang.signal == SIGKILL);
  CHECK_EQ(hg_failures(&c.f, "web", HF_CAUSE_hang), 1);
  int hung = hg_events(&c.f, "web", HF_EVENT_hung, NULL);
  CHECK(hung == 1 || (hung == 2 && strncmp(point, "event", 5) == 0)); // killed while it wrote that very event
  CHECK(hg_report(&c.f, "web", hang.incarnation, text, sizeof text) && strstr(text, hang.where) != NULL);
  CHECK(CY_UNTIL(&c, cy_one_lives(&c)));
  CHECK(CY_UNTIL(&c, cy_tidy(&c)));
  CHECK(cy_down(&c));
  CHECK(!fx_exists(c.f.dir));
  bool fired = cy_fired(&c);
  if (check_failures) printf("  … with %s, %d hung events\n", order, hung);
  fx_close(&c.f);
  return fired;
}

static void die_everywhere(void) {
  int failures = 0;
  for (int job; (job = totals->next_job++) < POINT_COUNT;)
    for (int n = 1; n <= N_MAX; n++) {
      check_failures = 0;
      bool fired = one(points[job], n);
      failures += check_failures;
      if (!fired || check_failures > 0) break;
      totals->met[job]++;
    }
  totals->failed += failures > 0;
}

TEST(a_manager_that_dies_between_verdict_and_kill) {
  int deaths = 0;
  CHECK((totals = cy_shared(sizeof *totals)) != NULL);
  CHECK(cy_in_workers(WORKERS, die_everywhere));
  CHECK_EQ(totals->failed, 0);
  for (int i = 0; i < POINT_COUNT; i++) {
    CHECK(totals->met[i] > 0); // it was passed at least once
    if (totals->met[i] == 0) printf("  %s was never passed\n", points[i]);
    deaths += totals->met[i];
  }
  printf("  %d deaths\n", deaths);
}

static uint32_t hung_incarnation(cycle *c) {
  hf_process_status s = fx_status(&c->f, "web");
  for (uint32_t i = 0; i < s.failure_count && i < HF_FAILURES_KEPT; i++)
    if (s.failures[i].cause == HF_CAUSE_hang) return s.failures[i].incarnation;
  return 0;
}

// True if the manager met the fault: the n-th of these calls failed once.
static bool one_fault(const char *call, int error, int n) {
  cycle c = {0};
  char order[80];
  snprintf(order, sizeof order, "manager:%s:%d:%d", call, n, error);
  CHECK(fx_open(&c.f));
  snprintf(c.once, sizeof c.once, "%s/once", c.f.log_dir);
  snprintf(c.said, sizeof c.said, "%s/said", c.f.log_dir);
  CHECK(define_hanging_once(&c.f, "register:60000 rest", "register:60 beat:2:20 rest"));
  bool started = cy_start(&c, "HOLDFAST_TEST_FAULT", order);
  if (!started) { // it said why: faults_test.c
    CHECK(cy_said_anything(&c));
    waitpid(c.f.guardian, NULL, 0);
    c.f.guardian = 0;
  } else {
    CHECK(CY_UNTIL(&c, hung_incarnation(&c) > 0)); // a fault in a spawn is a failure beside it
    CHECK(CY_UNTIL(&c, cy_ready(&c, hung_incarnation(&c))));
    CHECK(CY_UNTIL(&c, cy_one_lives(&c)));
    CHECK_EQ(hg_events(&c.f, "web", HF_EVENT_hung, NULL), 1);
    CHECK(cy_down(&c));
    CHECK(!fx_exists(c.f.dir));
  }
  bool fired = cy_fired(&c);
  if (check_failures) printf("  … with %s\n", order);
  fx_close(&c.f);
  return fired;
}

static const struct {
  const char *call;
  int error;
} faults[] = {{"mmap", ENOMEM},      {"pread", EIO},    {"mkdir", ENOSPC}, {"rename", ENOSPC},          {"ftruncate", EIO},
              {"fallocate", ENOSPC}, {"write", ENOSPC}, {"open", EMFILE},  {"timerfd_settime", EINVAL}, {"read", EIO},
              {"unlink", EPERM}};

static void fail_everywhere(void) {
  int failures = 0;
  for (int job; (job = totals->next_job++) < (int)(sizeof faults / sizeof *faults);)
    for (int n = 1; n <= N_MAX; n++) {
      check_failures = 0;
      bool fired = one_fault(faults[job].call, faults[job].error, n);
      failures += check_failures;
      if (!fired || check_failures > 0) break;
      totals->met[job]++;
    }
  totals->failed += failures > 0;
}

TEST(a_call_that_fails_hides_no_hang) {
  int met = 0;
  CHECK((totals = cy_shared(sizeof *totals)) != NULL);
  CHECK(cy_in_workers(WORKERS, fail_everywhere));
  CHECK_EQ(totals->failed, 0);
  for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) met += totals->met[i];
  printf("  %d faults\n", met);
  CHECK(met > 50);
}

static pid_t kill_manager(fixture *f) {
  pid_t before = hg_manager(f);
  if (before > 0) kill(before, SIGKILL);
  if (!FX_UNTIL(f, hg_manager(f) > 0 && hg_manager(f) != before)) return 0;
  return hg_manager(f);
}

TEST(a_silence_goes_on_under_the_next_manager) {
  fixture f;
  hf_thread_status thread;
  char words[256], stamp[128];
  CHECK(fx_open(&f));
  snprintf(stamp, sizeof stamp, "%s/stamp", f.log_dir);
  snprintf(words, sizeof words, "register:400 beat:2:50 stamp:%s rest", stamp);
  CHECK(hg_define(&f, "hangs", words) && hg_define(&f, "lives", "register:400 beat:0:300") && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_stamp(stamp) != 0));
  hg_rest(340 * MS); // it is noted at a sweep when half of the allowance is over
  CHECK(kill_manager(&f) > 0);
  CHECK_EQ(hg_threads(&f, "hangs", &thread), 1);
  CHECK(thread.silent_ns >= 150 * MS); // its age did not begin anew
  CHECK(FX_UNTIL(&f, hg_failed(&f, "hangs")));
  CHECK_EQ(hg_failure(&f, "hangs").cause, HF_CAUSE_hang);
  int64_t found = hg_failure(&f, "hangs").at_real_ns - hg_stamp(stamp);
  CHECK(found >= (int64_t)(400 * MS) && found < (int64_t)(1400 * MS));
  printf("  found after %.2f periods\n", (double)found / 4e8);
  CHECK_EQ(fx_status(&f, "lives").failure_count, 0);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(managers_that_die_all_the_time_hide_no_hang) {
  fixture f;
  char words[256], stamp[128];
  CHECK(fx_open(&f));
  snprintf(stamp, sizeof stamp, "%s/stamp", f.log_dir);
  snprintf(words, sizeof words, "register:200 beat:2:50 stamp:%s rest", stamp);
  CHECK(hg_define(&f, "hangs", words) && hg_define(&f, "lives", "register:200 beat:0:150") && fx_start(&f));
  CHECK(FX_UNTIL(&f, hg_stamp(stamp) != 0));
  int deaths = 0;
  for (; deaths < 40 && hg_events(&f, "hangs", HF_EVENT_hung, NULL) == 0; deaths++) {
    hg_rest(140 * MS);
    CHECK(kill_manager(&f) > 0);
  }
  CHECK(FX_UNTIL(&f, hg_failed(&f, "hangs")));
  CHECK_EQ(hg_failure(&f, "hangs").cause, HF_CAUSE_hang);
  int64_t found = hg_failure(&f, "hangs").at_real_ns - hg_stamp(stamp);
  printf("  found after %.2f periods and %d deaths\n", (double)found / 2e8, deaths);
  CHECK(found >= (int64_t)(200 * MS) && found < (int64_t)(1600 * MS));
  CHECK_EQ(fx_status(&f, "lives").failure_count, 0);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

CHECK_MAIN
