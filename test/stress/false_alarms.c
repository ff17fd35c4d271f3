// SPDX-License-Identifier: MIT
// Nobody is condemned who lives, whatever becomes of the machine or of the judge; and a hang is found all the same.
//
//   false_alarms [load|stopped|starved]
//   HOLDFAST_SECONDS=<n>: for that long instead of 60 (stopped: a sixth of it)
//
// 16 processes beat every 0.9 of their period (1 s and more), and keep a log of their own gaps (native/bench/beater.c). Meanwhile
//   load     four processes use both cores
//   stopped  the manager is stopped, and continued
//   starved  the manager runs for one millisecond in every 20
// Who is condemned must have a gap above its period in its own log. In stopped and starved one process falls silent: it is condemned
// within 3.5 periods after its last beat, or after the manager was continued.
#include <sys/mman.h>
#include <time.h>

#include "../../native/bench/beater.h"
#include "cycle_fixture.h"

enum { BEATERS = 16, BURNERS = 4, SHORTEST_MS = 1000, STEP_MS = 100, HUNG_MS = 1000 };
#define BEATER HF_TEST_PROGRAMS "/../bench-beater"

typedef struct alarms {
  fixture f;
  char record[BEATERS + 1][96];
  uint64_t period_ns[BEATERS + 1];
  pid_t burner[BURNERS];
} alarms;

static int seconds(void) {
  const char *given = getenv("HOLDFAST_SECONDS");
  return given != NULL ? atoi(given) : 60;
}

static void rest_ns(uint64_t ns) {
  struct timespec pause = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
  while (nanosleep(&pause, &pause) != 0) continue;
}

static bool define(alarms *a, int i, const char *beats) {
  char name[24], period[16];
  unsigned period_ms = i < BEATERS ? SHORTEST_MS + (unsigned)i * STEP_MS : HUNG_MS;
  snprintf(name, sizeof name, "beater.%d", i);
  snprintf(period, sizeof period, "%u", period_ms);
  snprintf(a->record[i], sizeof a->record[i], "%s/beater.%d.record", a->f.log_dir, i);
  a->period_ns[i] = period_ms * 1000000u;
  const char *const argv[] = {BEATER, period, "0.9", beats, a->record[i], NULL};
  hf_spec spec;
  fx_spec(&a->f, &spec, name, argv);
  spec.ready = HF_READY_CALL;
  spec.restart = HF_RESTART_NEVER;
  return hf_operator_define(a->f.op, &spec, NULL) == 1;
}

static hf_process_status status_of(alarms *a, int i) {
  char name[24];
  snprintf(name, sizeof name, "beater.%d", i);
  return fx_status(&a->f, name);
}

static bool all_ready(alarms *a) {
  for (int i = 0; i < BEATERS; i++)
    if (status_of(a, i).state != HF_STATE_READY) return false;
  return true;
}

static beater_record record_of(const alarms *a, int i) {
  beater_record record = {0};
  int fd = open(a->record[i], O_RDONLY | O_CLOEXEC);
  if (fd >= 0 && read(fd, &record, sizeof record) < 0) record.beats = 0;
  if (fd >= 0) close(fd);
  return record;
}

static bool begin(alarms *a) {
  memset(a, 0, sizeof *a);
  bool good = fx_open(&a->f);
  for (int i = 0; i < BEATERS && good; i++) good = define(a, i, "0");
  return good && fx_start(&a->f) && FX_UNTIL(&a->f, all_ready(a));
}

// Everybody lives, or has a reason in its own log.
static void judge(alarms *a) {
  int gaps = 0, condemned = 0;
  uint64_t worst = 0;
  for (int i = 0; i < BEATERS; i++) {
    hf_process_status s = status_of(a, i);
    beater_record record = record_of(a, i);
    uint64_t percent = record.longest_gap_ns * 100 / a->period_ns[i];
    bool gap = record.longest_gap_ns > a->period_ns[i];
    gaps += gap;
    condemned += s.failure_count > 0;
    worst = percent > worst ? percent : worst;
    CHECK(record.beats > 1);
    if (s.failure_count > 0 && !gap) {
      char text[256];
      hf_failure_text(&s.failures[0], text, sizeof text);
      printf("  beater.%d: longest gap %d %% of its period, and condemned: %s\n", i, (int)percent, text);
    }
    CHECK(s.failure_count == 0 || gap);
  }
  printf("  %d beaters, longest gap %d %% of a period, %d with a gap above it, %d condemned\n", BEATERS, (int)worst, gaps,
         condemned);
}

// The one that falls silent: it is found, and how many periods after `from_ns` (0: its last beat).
static void judge_hung(alarms *a, uint64_t from_ns) {
  CHECK(FX_UNTIL(&a->f, status_of(a, BEATERS).failure_count > 0));
  static hf_event events[HF_EVENT_MAX];
  uint64_t next, verdict = 0;
  int count = hf_operator_events(a->f.op, 1, events, HF_EVENT_MAX, &next, NULL);
  for (int i = 0; i < count; i++)
    if (events[i].type == HF_EVENT_hung && strcmp(events[i].name, "beater.16") == 0) verdict = events[i].at_mono_ns;
  if (from_ns == 0) from_ns = record_of(a, BEATERS).last_after_ns;
  double periods = ((double)verdict - (double)from_ns) / (double)a->period_ns[BEATERS];
  CHECK_EQ(status_of(a, BEATERS).failures[0].cause, HF_CAUSE_hang);
  CHECK(verdict > from_ns && periods <= 3.5);
  printf("  the hang was found after %.2f periods\n", periods);
}

TEST(load) {
  static alarms a;
  STEP(begin(&a));
  for (int i = 0; i < BURNERS; i++) {
    a.burner[i] = fork();
    if (a.burner[i] != 0) continue;
    for (volatile unsigned long n = 0;; n = n + 1) continue;
  }
  rest_ns((uint64_t)seconds() * 1000000000u);
  judge(&a);
  for (int i = 0; i < BURNERS; i++) {
    kill(a.burner[i], SIGKILL);
    waitpid(a.burner[i], NULL, 0);
  }
  fx_close(&a.f);
}

TEST(stopped) {
  static alarms a;
  STEP(begin(&a));
  hf_instance_status instance;
  hf_operator_instance(a.f.op, &instance, NULL);
  STEP(define(&a, BEATERS, "3"));
  CHECK(FX_UNTIL(&a.f, record_of(&a, BEATERS).beats == 3)); // it hangs in a period from now
  CHECK(kill(instance.manager_pid, SIGSTOP) == 0);
  rest_ns((uint64_t)seconds() * 1000000000u / 6);
  uint64_t continued = hf_now_mono_ns();
  CHECK(kill(instance.manager_pid, SIGCONT) == 0);
  judge_hung(&a, continued);
  rest_ns(3000000000u);
  judge(&a);
  fx_close(&a.f);
}

TEST(starved) {
  static alarms a;
  STEP(begin(&a));
  hf_instance_status instance;
  hf_operator_instance(a.f.op, &instance, NULL);
  uint64_t end = hf_now_mono_ns() + (uint64_t)seconds() * 1000000000u;
  STEP(define(&a, BEATERS, "3"));
  while (hf_now_mono_ns() < end) {
    CHECK(kill(instance.manager_pid, SIGSTOP) == 0);
    rest_ns(19000000);
    CHECK(kill(instance.manager_pid, SIGCONT) == 0);
    rest_ns(1000000);
  }
  judge_hung(&a, 0);
  judge(&a);
  fx_close(&a.f);
}

CHECK_MAIN
