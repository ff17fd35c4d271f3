// SPDX-License-Identifier: MIT
// kill -9 of the manager, of the guardian, or of both, at random moments, while 20 processes run and 3 of them crash again and again.
// Afterwards the same 17 live under the same pids, nothing lives twice, no zombie is left, and every crash of the three is in the
// event log exactly once, with its cause.
//
//   kill_managers [manager|guardian|both]
//   HOLDFAST_KILLS=<n>: instead of 200 times; HOLDFAST_SEED=<n>: the same moments again
//
// How crashes are counted without asking holdfastd: each incarnation of a crasher writes its HOLDFAST_ID into a file right before
// it crashes. The ids in the files and the failures in the log must be the same.
#include "cycle_fixture.h"
#include "random.h"

enum { STEADY = 17, CRASHERS = 3, LIFE_MS = 12, INCARNATION_MAX = 100000, LONGEST_LIFE_US = 40000 };

typedef enum victim { MANAGER, GUARDIAN, BOTH } victim;
static const char *const victims[] = {"manager", "guardian", "both"};

typedef struct stress {
  cycle c;
  victim victim;
  pid_t steady[STEADY];
  uint64_t cursor; // next event to read
  int events, lost, wrong, missed, starts_refused;
  struct crash {
    uint8_t written, failed, stopped; // in the file; in the log as a failure; in the log as a stop that was asked for
  } crash[CRASHERS][INCARNATION_MAX];
} stress;

// Reads the events that came since the last time: the log is bounded, and must not overtake us.
static void drain(stress *s) {
  static hf_event events[HF_EVENT_MAX];
  uint64_t next, from = s->cursor;
  int count = hf_operator_events(s->c.f.op, from, events, HF_EVENT_MAX, &next, NULL);
  s->missed += (int)(next - from) - count;
  s->cursor = next;
  s->events += count;
  for (int i = 0; i < count; i++) {
    int n;
    if (events[i].type != HF_EVENT_state || sscanf(events[i].name, "crash%d", &n) != 1 || n >= CRASHERS) continue;
    struct crash *crash = &s->crash[n][events[i].incarnation % INCARNATION_MAX];
    if (events[i].to == HF_STATE_STOPPED) crash->stopped++;
    if (events[i].to != HF_STATE_FAIL) continue;
    crash->failed++;
    bool lost = events[i].cause == HF_CAUSE_lost && s->victim != MANAGER;
    s->lost += lost;
    if (!lost && (events[i].cause != HF_CAUSE_crash || events[i].signal != SIGSEGV)) {
      s->wrong++;
      printf("  %s (incarnation %u) failed by %s, %s\n", events[i].name, events[i].incarnation,
             hf_cause_name(events[i].cause), events[i].detail);
    }
  }
}

static bool define(stress *s) {
  static char files[CRASHERS][128], life[8];
  snprintf(life, sizeof life, "%d", LIFE_MS);
  hf_spec spec;
  char name[24];
  for (int i = 0; i < STEADY; i++) {
    static const char *const sleeper[] = {"sleep", "100000", NULL};
    snprintf(name, sizeof name, "steady%d", i);
    if (!fx_define(&s->c.f, name, sleeper)) return false;
  }
  for (int i = 0; i < CRASHERS; i++) {
    snprintf(files[i], sizeof files[i], "%s/crash%d", s->c.f.log_dir, i);
    const char *const crasher[] = {HF_TEST_PROGRAMS "/crasher", files[i], life, NULL};
    snprintf(name, sizeof name, "crash%d", i);
    fx_spec(&s->c.f, &spec, name, crasher);
    spec.backoff_first_ns = spec.backoff_from_ns = spec.backoff_max_ns = 10000000;
    spec.limit_count = 0;
    if (hf_operator_define(s->c.f.op, &spec, NULL) != 1) return false;
  }
  return true;
}

static bool steady(stress *s, bool first) {
  for (int i = 0; i < STEADY; i++) {
    char name[24];
    snprintf(name, sizeof name, "steady%d", i);
    hf_process_status status = fx_status(&s->c.f, name);
    if (first && status.state != HF_STATE_READY) return false;
    if (first) s->steady[i] = status.pid;
    else if (status.pid != s->steady[i] || !fx_alive(s->steady[i])) return false;
  }
  return true;
}

// A manager and a guardian live, and are not those two.
static bool managed(stress *s, const hf_instance_status *before) {
  hf_instance_status now = cy_instance(&s->c);
  return now.manager_pid > 0 && now.guardian_pid > 0 && now.manager_pid != before->manager_pid &&
         (s->victim == MANAGER || now.guardian_pid != before->guardian_pid);
}

// After the death of both: as whoever runs `holdfast up` again. A manager that was just becoming the guardian is killed too.
static bool start_again(stress *s) {
  for (int i = 0; i < 500; i++) {
    hf_instance_status left = cy_instance(&s->c);
    if (left.guardian_pid > 0) kill(left.guardian_pid, SIGKILL);
    if (left.manager_pid > 0) kill(left.manager_pid, SIGKILL);
    if (s->c.f.guardian > 0) {
      kill(s->c.f.guardian, SIGKILL);
      waitpid(s->c.f.guardian, NULL, 0);
      s->c.f.guardian = 0;
    }
    if (cy_start(&s->c, "HOLDFAST_TEST_NONE", NULL)) return true;
    s->starts_refused++; // the lock is free when the last of them is gone
    usleep(10000);
  }
  return false;
}

static bool strike(stress *s) {
  hf_instance_status before = cy_instance(&s->c);
  if (s->victim != GUARDIAN && kill(before.manager_pid, SIGKILL) != 0) return false;
  if (s->victim == MANAGER) return true;
  if (kill(before.guardian_pid, SIGKILL) != 0) return false;
  if (before.guardian_pid == s->c.f.guardian) {
    waitpid(s->c.f.guardian, NULL, 0);
    s->c.f.guardian = 0;
  }
  return s->victim == GUARDIAN || start_again(s);
}

static void read_files(stress *s) {
  for (int i = 0; i < CRASHERS; i++) {
    char path[128], line[128];
    snprintf(path, sizeof path, "%s/crash%d", s->c.f.log_dir, i);
    FILE *file = fopen(path, "r");
    unsigned incarnation;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
      if (sscanf(strrchr(line, '/') != NULL ? strrchr(line, '/') : "", "/%u", &incarnation) == 1)
        s->crash[i][incarnation % INCARNATION_MAX].written++;
    if (file != NULL) fclose(file);
  }
}

// The files against the log.
static int compare(stress *s) {
  int crashes = 0, differences = 0;
  for (int i = 0; i < CRASHERS; i++) {
    for (unsigned n = 0; n < INCARNATION_MAX; n++) {
      const struct crash *crash = &s->crash[i][n];
      // It wrote, and was stopped at the end of the test before it could crash.
      bool stopped = crash->written == 1 && crash->failed == 0 && crash->stopped == 1;
      crashes += crash->written && !stopped;
      if (crash->written == crash->failed || stopped) continue;
      printf("  crash%d (incarnation %u): crashed %d times, logged %d times\n", i, n, crash->written, crash->failed);
      differences++;
    }
  }
  printf("  %d crashes, %d events, %d causes lost, %d differences\n", crashes, s->events, s->lost, differences);
  CHECK(crashes > 0);
  return differences;
}

static bool crashers_rest(stress *s) {
  for (int i = 0; i < CRASHERS; i++) {
    char name[24];
    snprintf(name, sizeof name, "crash%d", i);
    hf_process_status status = fx_status(&s->c.f, name);
    if (status.pid != 0 || status.state != HF_STATE_STOPPED) return false;
  }
  return true;
}

static void run(victim who) {
  static stress s;
  hf_instance_status before;
  memset(&s, 0, sizeof s);
  const char *given = getenv("HOLDFAST_KILLS");
  int kills = given != NULL ? atoi(given) : 200;
  random_begin(victims[who]);
  s.victim = who;
  s.cursor = 1;
  STEP(fx_open(&s.c.f));
  snprintf(s.c.said, sizeof s.c.said, "%s/said", s.c.f.log_dir);
  STEP(define(&s) && cy_start(&s.c, "HOLDFAST_TEST_NONE", NULL));
  STEP(FX_UNTIL(&s.c.f, steady(&s, true)));
  uint64_t began = hf_now_mono_ns();
  for (int i = 0; i < kills && check_failures == 0; i++) {
    usleep((useconds_t)random_below(LONGEST_LIFE_US)); // the random moment; nothing is awaited
    before = cy_instance(&s.c);
    CHECK(strike(&s));
    CHECK(FX_UNTIL(&s.c.f, managed(&s, &before)));
    drain(&s);
    CHECK(steady(&s, false));
  }
  printf("  %d times the %s killed, in %.1f s\n", kills, victims[who], (double)(hf_now_mono_ns() - began) / 1e9);
  for (int i = 0; i < CRASHERS; i++) {
    char name[24];
    snprintf(name, sizeof name, "crash%d", i);
    CHECK(hf_operator_request(s.c.f.op, name, HF_REQUEST_STOP, NULL) > 0);
  }
  CHECK(FX_UNTIL(&s.c.f, crashers_rest(&s)));
  drain(&s);
  read_files(&s);
  CHECK(steady(&s, false));
  CHECK_EQ(cy_marked(&s.c, NULL), STEADY);
  CHECK(FX_UNTIL(&s.c.f, cy_zombies(cy_instance(&s.c).guardian_pid) == 0));
  CHECK_EQ(s.missed, 0);
  CHECK_EQ(s.wrong, 0);
  CHECK_EQ(compare(&s), 0);
  CHECK(cy_down(&s.c));
  CHECK(!fx_exists(s.c.f.dir));
  fx_close(&s.c.f);
}

TEST(manager) { run(MANAGER); }
TEST(guardian) { run(GUARDIAN); }
TEST(both) { run(BOTH); }

CHECK_MAIN
