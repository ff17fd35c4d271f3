// SPDX-License-Identifier: MIT
// Every kernel call of guardian and manager fails once, at its first time, its second, …, until a whole life of a process goes
// by without meeting the fault: started, killed and restarted, stopped, started again, ended with the instance. After each step
// the state must be true, what failed must have been reported, and nothing may be left. Then the calls that run out together
// (descriptors, memory, room) fail for a while, all of them.
#include "cycle_fixture.h"

enum { WORKERS = 3, CALLS_MAX = 64, N_MAX = 400, LASTING_STEP = 5 };

static char calls[CALLS_MAX][24];
static int call_count;
static const char *const roles[] = {"manager", "guardian"};

// Shared by the workers.
static struct totals {
  atomic_int next_job, failed, tried, refused, reported, absorbed;
  int manager_fds, guardian_fds;
} *totals;

static int error_of(const char *call) {
  static const struct {
    const char *call;
    int error;
  } likely[] = {{"open", EMFILE},  {"fallocate", ENOSPC}, {"write", ENOSPC},      {"mkdir", ENOSPC}, {"mkfifo", ENOSPC},
                {"link", ENOSPC},  {"rename", ENOSPC},    {"clone", EAGAIN},      {"spawn", EAGAIN}, {"thread", EAGAIN},
                {"kill", EPERM},   {"fchown", EPERM},     {"pidfd_open", EMFILE}, {"read", EIO},     {"pread", EIO},
                {"flock", ENOLCK}, {"epoll_ctl", ENOSPC}, {"signalfd", EMFILE}};
  for (unsigned i = 0; i < sizeof likely / sizeof *likely; i++)
    if (strcmp(likely[i].call, call) == 0) return likely[i].error;
  return ENOMEM;
}

// The names come from kernel.c itself, so that a new call is tried without anybody thinking of it.
static void read_calls(void) {
  FILE *file = fopen(HF_TEST_SOURCE "/native/core/base/kernel.c", "r");
  char line[256];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    char *at = strstr(line, "FAULT(\""), *end;
    if (at == NULL) at = strstr(line, "faulted(\"");
    if (at == NULL) continue;
    at = strchr(at, '"') + 1;
    if ((end = strchr(at, '"')) == NULL || call_count == CALLS_MAX) continue;
    *end = 0;
    bool known = false;
    for (int i = 0; i < call_count; i++) known |= strcmp(calls[i], at) == 0;
    if (!known) snprintf(calls[call_count++], sizeof *calls, "%.23s", at);
  }
  if (file != NULL) fclose(file);
}

// Did anybody who looks learn of the fault: on stderr, or in the event log?
static bool was_reported(cycle *c) {
  static hf_event events[HF_EVENT_MAX];
  uint64_t next;
  int count = hf_operator_events(c->f.op, 1, events, HF_EVENT_MAX, &next, NULL);
  for (int i = 0; i < count; i++)
    if (events[i].type == HF_EVENT_trouble || events[i].type == HF_EVENT_refused || events[i].cause == HF_CAUSE_spawn)
      return true;
  return cy_said_anything(c);
}

// Failures of an incarnation that was killed by the test: exactly one, and with its cause.
static int crashes(cycle *c, uint32_t incarnation) {
  static hf_event events[HF_EVENT_MAX];
  uint64_t next;
  int seen = 0, count = hf_operator_events(c->f.op, 1, events, HF_EVENT_MAX, &next, NULL);
  for (int i = 0; i < count; i++) {
    if (events[i].type != HF_EVENT_state || events[i].to != HF_STATE_FAIL || events[i].incarnation != incarnation) continue;
    seen += events[i].cause == HF_CAUSE_crash && events[i].signal == SIGKILL ? 1 : 100;
  }
  return seen;
}

// The guardian holds the output of the living incarnation: it opens that a moment later, when it is rung.
static bool guardian_holds_output(cycle *c) {
  char path[48], target[256];
  snprintf(path, sizeof path, "/proc/%d/fd", (int)cy_instance(c).guardian_pid);
  DIR *entries = opendir(path);
  bool held = false;
  for (struct dirent *each; entries != NULL && (each = readdir(entries)) != NULL;) {
    ssize_t length = readlinkat(dirfd(entries), each->d_name, target, sizeof target - 1);
    if (length <= 0) continue;
    target[length] = 0;
    held |= strstr(target, "/out.") != NULL && strstr(target, "(deleted)") == NULL;
  }
  if (entries != NULL) closedir(entries);
  return held;
}

static void live(cycle *c) {
  STEP(CY_UNTIL(c, cy_ready(c, 0)));
  STEP(CY_UNTIL(c, cy_one_lives(c)));
  hf_process_status s = fx_status(&c->f, "web");
  STEP(kill(s.pid, SIGKILL) == 0);
  STEP(CY_UNTIL(c, cy_ready(c, s.incarnation)));
  STEP(CY_UNTIL(c, cy_one_lives(c)));
  CHECK_EQ(crashes(c, s.incarnation), 1);
  STEP(hf_operator_request(c->f.op, "web", HF_REQUEST_STOP, NULL) > 0);
  STEP(CY_UNTIL(c, cy_rests(c)));
  s = fx_status(&c->f, "web");
  STEP(hf_operator_request(c->f.op, "web", HF_REQUEST_START, NULL) > 0);
  STEP(CY_UNTIL(c, cy_ready(c, s.incarnation)));
  STEP(CY_UNTIL(c, cy_one_lives(c)));
  STEP(CY_UNTIL(c, cy_tidy(c)));
  STEP(CY_UNTIL(c, guardian_holds_output(c)));
  if (totals->manager_fds == 0) return;
  STEP(CY_UNTIL(c, cy_fds(cy_instance(c).manager_pid) == totals->manager_fds));
  STEP(CY_UNTIL(c, cy_fds(cy_instance(c).guardian_pid) == totals->guardian_fds));
}

// True if the fault was met.
static bool one(const char *role, const char *call, int n, bool lasting) {
  cycle c;
  char order[80];
  snprintf(order, sizeof order, "%s:%s:%d%s:%d", role, call, n, lasting ? "+" : "", error_of(call));
  CHECK(cy_open(&c));
  bool started = cy_start(&c, "HOLDFAST_TEST_FAULT", order);
  if (!started) {
    CHECK(cy_fired(&c) && cy_said_anything(&c));
    CHECK_EQ(cy_marked(&c, NULL), 0);
    int status = 0;
    CHECK_EQ(waitpid(c.f.guardian, &status, 0), c.f.guardian);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    c.f.guardian = 0;
    CHECK(cy_start(&c, "HOLDFAST_TEST_FAULT", NULL));
    totals->refused++;
  }
  live(&c);
  if (totals->manager_fds == 0) {
    totals->manager_fds = cy_fds(cy_instance(&c).manager_pid);
    totals->guardian_fds = cy_fds(cy_instance(&c).guardian_pid);
  }
  bool reported = was_reported(&c);
  // Nothing was said, so nothing may have gone wrong: an incarnation for each start, and the manager that was there first.
  if (!reported) CHECK_EQ(fx_status(&c.f, "web").incarnation, 3);
  CHECK(cy_down(&c));
  CHECK(!fx_exists(c.f.dir));
  bool fired = cy_fired(&c);
  if (fired) {
    totals->tried++;
    if (started) reported ? totals->reported++ : totals->absorbed++;
  }
  if (check_failures) printf("  … with %s\n", order);
  fx_close(&c.f);
  return fired;
}

static void work(void) {
  check_failures = 0;
  int failures = 0;
  for (int job; (job = totals->next_job++) < call_count * 4;) {
    const char *call = calls[job / 4], *role = roles[job / 2 % 2];
    // Two jobs share a call: odd and even numbers.
    for (int n = 1 + job % 2; n <= N_MAX; n += 2) {
      check_failures = 0;
      bool fired = one(role, call, n, false);
      failures += check_failures;
      fflush(stdout);
      if (!fired || check_failures > 0) break;
    }
  }
  if (failures) totals->failed++;
}

static void work_lasting(void) {
  static const char *const scarce[] = {"open",      "clone",      "spawn", "fallocate", "mkfifo",
                                       "epoll_ctl", "pidfd_open", "mmap",  "*"};
  int failures = 0;
  for (int job; (job = totals->next_job++) < (int)(sizeof scarce / sizeof *scarce) * 2;) {
    for (int n = 1; n <= N_MAX; n += LASTING_STEP) {
      check_failures = 0;
      bool fired = one(roles[job % 2], scarce[job / 2], n, true);
      failures += check_failures;
      fflush(stdout);
      if (!fired || check_failures > 0) break;
    }
  }
  if (failures) totals->failed++;
}

static void in_workers(void (*body)(void)) {
  totals->next_job = totals->failed = totals->tried = totals->refused = totals->reported = totals->absorbed = 0;
  CHECK(cy_in_workers(WORKERS, body));
  printf("  %d faults: %d refused the start, %d were reported, %d cost nothing\n", totals->tried, totals->refused,
         totals->reported, totals->absorbed);
  CHECK_EQ(totals->failed, 0);
}

static bool begin(void) {
  if (totals != NULL) return true;
  read_calls();
  if ((totals = cy_shared(sizeof *totals)) == NULL) return false;
  return !one("nobody", "nothing", 1, false) &&
         totals->manager_fds > 0; // without a fault: the number of descriptors to compare with
}

// HOLDFAST_TEST_ONLY=<role>:<call>:<n>[+] tries that one alone.
static bool try_only(void) {
  char role[16], call[24], lasting = 0;
  int n;
  const char *only = getenv("HOLDFAST_TEST_ONLY");
  if (only == NULL || sscanf(only, "%15[^:]:%23[^:]:%d%c", role, call, &n, &lasting) < 3) return false;
  printf("  the fault was %s\n", one(role, call, n, lasting == '+') ? "met" : "not met");
  return true;
}

TEST(each_call_fails_once) {
  CHECK(begin());
  if (try_only()) return;
  CHECK(call_count > 30);
  in_workers(work);
  CHECK(totals->tried > 100);
}

TEST(what_is_scarce_fails_for_a_while) {
  CHECK(begin());
  if (getenv("HOLDFAST_TEST_ONLY") != NULL) return;
  in_workers(work_lasting);
  CHECK(totals->tried > 20);
}

CHECK_MAIN
