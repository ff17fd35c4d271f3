// SPDX-License-Identifier: MIT
// The manager (and the guardian) kills itself at each named point, at the first passing, the second, … while a process is started,
// crashes, is stopped, started and restarted. Whoever comes after must find one incarnation, go on with it, and have each crash in
// the event log exactly once, with its cause.
#include "cycle_fixture.h"

enum { WORKERS = 3, N_MAX = 200 };

static const struct {
  const char *role, *name;
} points[] = {
    {"manager", "status-before-commit"},     {"manager", "status-after-commit"},     {"manager", "event-before-sequence"},
    {"manager", "event-before-tail"},        {"manager", "spawn-announced"},         {"manager", "spawn-before-clone"},
    {"manager", "spawn-after-clone"},        {"manager", "ending-recorded"},         {"manager", "stop-announced"},
    {"manager", "clean-before-acknowledge"}, {"manager", "clean-after-acknowledge"}, {"guardian", "note-before-sequence"},
    {"guardian", "note-before-tail"}};
enum { POINT_COUNT = sizeof points / sizeof *points };

static struct totals {
  atomic_int next_job, failed;
  atomic_int killed[POINT_COUNT];
} *totals;

// Failures of an incarnation: 1 for a crash by this signal, 100 for another cause. After the death of a guardian nobody may know.
static int crashes(cycle *c, uint32_t incarnation, bool may_be_lost) {
  static hf_event events[HF_EVENT_MAX];
  uint64_t next;
  int seen = 0, count = hf_operator_events(c->f.op, 1, events, HF_EVENT_MAX, &next, NULL);
  for (int i = 0; i < count; i++) {
    if (events[i].type != HF_EVENT_state || events[i].to != HF_STATE_FAIL || events[i].incarnation != incarnation) continue;
    bool known = events[i].cause == HF_CAUSE_crash && events[i].signal == SIGKILL;
    seen += known || (may_be_lost && events[i].cause == HF_CAUSE_lost) ? 1 : 100;
  }
  return seen;
}

static void crash(cycle *c, bool may_be_lost) {
  hf_process_status s = fx_status(&c->f, "web");
  STEP(kill(s.pid, SIGKILL) == 0);
  STEP(CY_UNTIL(c, cy_ready(c, s.incarnation)));
  STEP(CY_UNTIL(c, cy_one_lives(c)));
  CHECK_EQ(crashes(c, s.incarnation, may_be_lost), 1);
}

static void live(cycle *c, bool may_be_lost) {
  STEP(CY_UNTIL(c, cy_ready(c, 0)));
  STEP(CY_UNTIL(c, cy_one_lives(c)));
  crash(c, may_be_lost);
  if (check_failures) return;
  STEP(hf_operator_request(c->f.op, "web", HF_REQUEST_STOP, NULL) > 0);
  STEP(CY_UNTIL(c, cy_rests(c)));
  hf_process_status s = fx_status(&c->f, "web");
  CHECK_EQ(s.state, HF_STATE_STOPPED);
  STEP(hf_operator_request(c->f.op, "web", HF_REQUEST_START, NULL) > 0);
  STEP(CY_UNTIL(c, cy_ready(c, s.incarnation)));
  s = fx_status(&c->f, "web");
  STEP(hf_operator_request(c->f.op, "web", HF_REQUEST_RESTART, NULL) > 0);
  STEP(CY_UNTIL(c, cy_ready(c, s.incarnation)));
  CHECK_EQ(crashes(c, s.incarnation, may_be_lost), 0);
  crash(c, may_be_lost);
  if (check_failures) return;
  STEP(CY_UNTIL(c, cy_tidy(c)));
}

static bool one(const char *role, const char *name, int n) {
  cycle c;
  char order[80];
  bool guardian = strcmp(role, "guardian") == 0;
  snprintf(order, sizeof order, "%s:%s:%d", role, name, n);
  CHECK(cy_open(&c));
  CHECK(cy_start(&c, "HOLDFAST_TEST_POINT", order));
  if (check_failures == 0) live(&c, guardian);
  CHECK(cy_down(&c));
  CHECK(!fx_exists(c.f.dir));
  bool fired = cy_fired(&c);
  if (check_failures) printf("  … with %s\n", order);
  fx_close(&c.f);
  return fired;
}

static void work(void) {
  int failures = 0;
  for (int job; (job = totals->next_job++) < POINT_COUNT * 2;) {
    // Two jobs share a point: odd and even numbers.
    for (int n = 1 + job % 2; n <= N_MAX; n += 2) {
      check_failures = 0;
      bool fired = one(points[job / 2].role, points[job / 2].name, n);
      failures += check_failures;
      fflush(stdout);
      if (!fired || check_failures > 0) break;
      totals->killed[job / 2]++;
    }
  }
  if (failures) totals->failed++;
}

// HOLDFAST_TEST_ONLY=<role>:<point>:<n> tries that one alone.
static bool try_only(void) {
  char role[16], name[40];
  int n;
  const char *only = getenv("HOLDFAST_TEST_ONLY");
  if (only == NULL || sscanf(only, "%15[^:]:%39[^:]:%d", role, name, &n) != 3) return false;
  printf("  the point was %s\n", one(role, name, n) ? "passed" : "not passed");
  return true;
}

TEST(whoever_is_killed_between_two_stores_is_replaced) {
  if (try_only()) return;
  totals = cy_shared(sizeof *totals);
  CHECK(totals != NULL);
  CHECK(cy_in_workers(WORKERS, work));
  CHECK_EQ(totals->failed, 0);
  int sum = 0;
  for (int i = 0; i < POINT_COUNT; i++) {
    CHECK(totals->killed[i] > 0); // each point is passed at least once
    if (totals->killed[i] == 0) printf("  %s was never passed\n", points[i].name);
    sum += totals->killed[i];
  }
  printf("  %d deaths at %d points\n", sum, (int)POINT_COUNT);
}

CHECK_MAIN
