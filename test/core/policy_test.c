// SPDX-License-Identifier: MIT
// The restart policy, in virtual time.
#include "process/policy.h"

#include <signal.h>

#include "check.h"
#include "random.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define DAY (24 * 3600 * S)
#define WRAP (UINT64_C(10000000) << 32) // of the clock of 10 ms: 497 days
#define MIDDLE (UINT64_C(1) << 63)      // as `random`: half-way, so that jitter changes nothing

static hf_spec spec;
static hf_history history;

static void begin(int restart) {
  hf_spec_init(&spec);
  spec.restart = (uint8_t)restart;
  memset(&history, 0, sizeof history);
}

static hf_ending exited(int code, uint64_t ran_ns) { return (hf_ending){.exit_code = code, .ran_ns = ran_ns}; }
static hf_ending killed(int signal) { return (hf_ending){.signal = signal, .exit_code = -1, .ran_ns = S}; }

static hf_verdict judge(hf_ending ending, uint64_t now_ns) {
  return hf_policy_judge(&spec, &history, &ending, now_ns, MIDDLE);
}

static void expect(hf_verdict verdict, hf_state state, hf_cause cause, bool restart) {
  CHECK_EQ(verdict.state, state);
  CHECK_EQ(verdict.cause, cause);
  CHECK_EQ(verdict.restart, restart);
  CHECK_EQ(verdict.limited, false);
  if (!restart) CHECK_EQ(verdict.restart_at_ns, 0);
}

// What each ending means under each policy: the sentences of api.md section 9, as a table.
TEST(endings_and_policies) {
  static const struct {
    hf_ending ending;
    hf_cause cause; // where it is a failure
  } rows[] = {
      {{.exit_code = 3, .ran_ns = S}, HF_CAUSE_exit},
      {{.exit_code = -1, .signal = SIGSEGV, .ran_ns = S}, HF_CAUSE_crash},
      {{.exit_code = -1, .signal = SIGTERM, .ran_ns = S}, HF_CAUSE_crash}, // we did not send it
      {{.exit_code = -1, .lost = true, .ran_ns = S}, HF_CAUSE_lost},
      {{.exit_code = -1, .ran_ns = S}, HF_CAUSE_lost}, // neither a signal nor a code
      {{.exit_code = -1, .spawn_failed = true, .errnum = 2}, HF_CAUSE_spawn},
      {{.exit_code = -1, .signal = SIGKILL, .timed_out = true, .ran_ns = S}, HF_CAUSE_startTimeout},
      {{.exit_code = 0, .timed_out = true, .ran_ns = S}, HF_CAUSE_startTimeout},
      {{.exit_code = -1, .signal = SIGKILL, .hung = true, .ran_ns = S}, HF_CAUSE_hang},
      {{.exit_code = -1, .signal = SIGSEGV, .hung = true, .ran_ns = S}, HF_CAUSE_hang}, // it was judged before it ended
      {{.exit_code = 0, .hung = true, .ran_ns = S}, HF_CAUSE_hang},
      {{.exit_code = -1, .lost = true, .hung = true, .ran_ns = S}, HF_CAUSE_hang},
  };
  for (int restart = HF_RESTART_ALWAYS; restart <= HF_RESTART_NEVER; restart++)
    for (int start = HF_START_AUTO; start <= HF_START_ON_DEMAND; start++) {
      bool restarts = start == HF_START_AUTO && restart != HF_RESTART_NEVER;
      for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(restart);
        spec.start = (uint8_t)start;
        expect(judge(rows[i].ending, 100 * S), HF_STATE_FAIL, rows[i].cause, restarts);
        hf_ending asked = rows[i].ending;
        asked.asked = true;
        expect(judge(asked, 100 * S), HF_STATE_STOPPED, HF_CAUSE_none, false);
      }
      begin(restart);
      spec.start = (uint8_t)start;
      hf_verdict verdict = judge(exited(0, S), 100 * S);
      if (restarts && restart == HF_RESTART_ALWAYS) expect(verdict, HF_STATE_FAIL, HF_CAUSE_exit, true);
      else expect(verdict, HF_STATE_STOPPED, HF_CAUSE_none, false);
    }
}

TEST(backoff_grows_from_the_second_restart_to_the_cap) {
  static const uint64_t pauses_ms[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
  begin(HF_RESTART_ALWAYS);
  uint64_t now = 1000 * S;
  for (size_t i = 0; i < sizeof pauses_ms / sizeof *pauses_ms; i++) {
    hf_verdict verdict = judge(killed(SIGSEGV), now);
    CHECK_EQ(verdict.restart_at_ns - now, pauses_ms[i] * MS);
    now = verdict.restart_at_ns + S;
  }
}

TEST(backoff_as_configured) {
  begin(HF_RESTART_ON_FAILURE);
  spec.backoff_first_ns = 2 * S;
  spec.backoff_from_ns = 40 * S; // more than max
  CHECK_EQ(judge(exited(1, 0), 0).restart_at_ns, 2 * S);
  CHECK_EQ(judge(exited(1, 0), 0).restart_at_ns, 30 * S);
  begin(HF_RESTART_ON_FAILURE);
  spec.backoff_factor = 1;
  for (int i = 0; i < 200; i++) judge(exited(1, 0), 0);
  CHECK_EQ(judge(exited(1, 0), 0).restart_at_ns, 100 * MS);
  spec.backoff_factor = 1000; // 1000^200 is more than a double holds
  CHECK_EQ(judge(exited(1, 0), 0).restart_at_ns, 30 * S);
  spec.backoff_from_ns = 0;
  CHECK_EQ(judge(exited(1, 0), 77).restart_at_ns, 77);
  history.failures_in_a_row = UINT32_MAX; // does not begin at 0 again
  spec.backoff_from_ns = 100 * MS;
  CHECK_EQ(judge(exited(1, 0), 0).restart_at_ns, 30 * S);
  CHECK_EQ(history.failures_in_a_row, UINT32_MAX);
  CHECK_EQ(judge(exited(1, 0), UINT64_MAX - 1).restart_at_ns, UINT64_MAX);
}

TEST(jitter_has_its_bounds) {
  hf_ending ending = exited(1, 0);
  begin(HF_RESTART_ALWAYS);
  history.failures_in_a_row = 1; // 100 ms
  CHECK_EQ(hf_policy_judge(&spec, &history, &ending, 0, 0).restart_at_ns, 90 * MS);
  history.failures_in_a_row = 1;
  CHECK_EQ(hf_policy_judge(&spec, &history, &ending, 0, UINT64_MAX).restart_at_ns, 110 * MS);
  history.failures_in_a_row = 0; // first is 0: no jitter of it
  CHECK_EQ(hf_policy_judge(&spec, &history, &ending, 0, UINT64_MAX).restart_at_ns, 0);
  spec.backoff_first_ns = S;
  history.failures_in_a_row = 0;
  CHECK_EQ(hf_policy_judge(&spec, &history, &ending, 0, 0).restart_at_ns, 900 * MS);
  spec.backoff_jitter = 1;
  history.failures_in_a_row = 20;
  CHECK_EQ(hf_policy_judge(&spec, &history, &ending, 0, 0).restart_at_ns, 0);
  CHECK_EQ(hf_policy_judge(&spec, &history, &ending, 0, UINT64_MAX).restart_at_ns, 60 * S);
}

TEST(a_good_run_forgets_the_failures) {
  begin(HF_RESTART_ALWAYS);
  for (int i = 0; i < 5; i++) judge(exited(1, 0), 100 * S);
  CHECK_EQ(judge(exited(1, 60 * S - 1), 200 * S).restart_at_ns, 200 * S + 1600 * MS);
  CHECK_EQ(judge(exited(1, 60 * S), 300 * S).restart_at_ns, 300 * S);
  CHECK_EQ(judge(exited(1, 0), 300 * S).restart_at_ns, 300 * S + 100 * MS);
  CHECK_EQ(history.failures_in_a_row, 2);
}

// startTimeout and resetAfter are both 60 s by default: a start that never got ready must not count as a good run.
TEST(a_start_that_timed_out_is_no_good_run) {
  begin(HF_RESTART_ALWAYS);
  hf_ending late = {.exit_code = -1, .signal = SIGKILL, .timed_out = true, .ran_ns = 61 * S};
  CHECK_EQ(judge(late, 100 * S).restart_at_ns, 100 * S);
  CHECK_EQ(judge(late, 200 * S).restart_at_ns, 200 * S + 100 * MS);
  CHECK_EQ(judge(late, 300 * S).restart_at_ns, 300 * S + 200 * MS);
}

TEST(the_limit_lets_count_restarts_pass) {
  begin(HF_RESTART_ALWAYS);
  spec.limit_count = 3;
  spec.limit_within_ns = 60 * S;
  for (int i = 0; i < 3; i++) CHECK(judge(exited(1, 0), 100 * S).restart);
  hf_verdict verdict = judge(exited(1, 0), 101 * S);
  CHECK_EQ(verdict.state, HF_STATE_FAIL);
  CHECK_EQ(verdict.cause, HF_CAUSE_exit);
  CHECK(verdict.limited && !verdict.restart);
  CHECK_EQ(verdict.restart_at_ns, 0);
  CHECK(judge(exited(1, 0), 102 * S).limited); // and stays so
  hf_policy_forgive(&history);
  verdict = judge(exited(1, 0), 103 * S);
  CHECK(verdict.restart && !verdict.limited);
  CHECK_EQ(verdict.restart_at_ns, 103 * S); // back-off began anew too
}

TEST(the_window_slides) {
  begin(HF_RESTART_ALWAYS);
  spec.limit_count = 2;
  spec.limit_within_ns = 10 * S;
  spec.backoff_max_ns = 0; // restarts at once
  CHECK(judge(exited(1, 0), 100 * S).restart);
  CHECK(judge(exited(1, 0), 105 * S).restart);
  CHECK(judge(exited(1, 0), 110 * S - 10 * MS).limited); // the first is 9.99 s old
  CHECK(judge(exited(1, 0), 110 * S).restart);           // and is 10 s old
  CHECK(judge(exited(1, 0), 114 * S).limited);
  CHECK(judge(exited(1, 0), 115 * S).restart);
}

// What counts is when it was started again, not when it failed.
TEST(the_limit_counts_from_the_start_after_the_pause) {
  begin(HF_RESTART_ALWAYS);
  spec.limit_count = 1;
  spec.limit_within_ns = 10 * S;
  spec.backoff_first_ns = 5 * S;
  CHECK_EQ(judge(exited(1, 0), 100 * S).restart_at_ns, 105 * S);
  CHECK(judge(exited(1, 9 * S), 114 * S).limited);
  CHECK(judge(exited(1, 9 * S), 115 * S).restart);
}

TEST(a_limit_of_the_largest_count) {
  begin(HF_RESTART_ALWAYS);
  spec.limit_count = HF_LIMIT_COUNT_MAX;
  spec.limit_within_ns = 1000 * S;
  spec.backoff_max_ns = 0;
  for (uint64_t i = 0; i < HF_LIMIT_COUNT_MAX; i++) CHECK(judge(exited(1, 0), (100 + i) * S).restart);
  CHECK(judge(exited(1, 0), 1099 * S).limited);
  CHECK(judge(exited(1, 0), 1100 * S).restart); // the first left the window
  CHECK(judge(exited(1, 0), 1100 * S).limited);
  CHECK(judge(exited(1, 0), 1101 * S).restart);
}

TEST(a_good_run_forgets_failures_but_not_the_window) {
  begin(HF_RESTART_ALWAYS);
  spec.limit_count = 2;
  spec.limit_within_ns = 3600 * S;
  CHECK(judge(exited(1, 100 * S), 1000 * S).restart);
  CHECK(judge(exited(1, 100 * S), 1200 * S).restart);
  CHECK(judge(exited(1, 100 * S), 1400 * S).limited);
}

TEST(no_limit_notes_nothing) {
  begin(HF_RESTART_ALWAYS);
  for (int i = 0; i < 1000; i++) CHECK(judge(exited(1, 0), 100 * S).restart);
  CHECK_EQ(history.restart_count, 0);
  spec.limit_count = 1; // a limit that comes later begins to count then
  spec.limit_within_ns = 10 * S;
  CHECK_EQ(judge(exited(1, 0), 100 * S).restart_at_ns, 130 * S);
  CHECK(judge(exited(1, 0), 130 * S).limited);
}

TEST(the_clock_of_10_ms_wraps) {
  for (uint64_t wraps = 1; wraps <= 3; wraps++) {
    begin(HF_RESTART_ALWAYS);
    spec.limit_count = 2;
    spec.limit_within_ns = 10 * S;
    spec.backoff_max_ns = 0;
    uint64_t zero = wraps * WRAP;
    CHECK(judge(exited(1, 0), zero - 8 * S).restart);
    CHECK(judge(exited(1, 0), zero - 4 * S).restart);
    CHECK(judge(exited(1, 0), zero - 10 * MS).limited);
    CHECK(judge(exited(1, 0), zero + 2 * S - 10 * MS).limited);
    CHECK(judge(exited(1, 0), zero + 2 * S).restart);
    CHECK(judge(exited(1, 0), zero + 6 * S - 10 * MS).limited);
    CHECK(judge(exited(1, 0), zero + 6 * S).restart);
  }
}

// Exactly one wrap later a restart would look as if it had just been.
TEST(a_run_longer_than_the_wrap_leaves_no_young_note) {
  begin(HF_RESTART_ALWAYS);
  spec.limit_count = 1;
  spec.limit_within_ns = 365 * DAY;
  CHECK(judge(exited(1, 0), 100 * S).restart);
  CHECK(judge(exited(1, DAY), 100 * S + DAY).limited);
  CHECK(judge(exited(1, WRAP), 100 * S + WRAP).restart);
}

// The status is shared memory: a damaged history gives some verdict, and no stray access.
TEST(a_damaged_history) {
  random_begin("a_damaged_history");
  for (int i = 0; i < 20000; i++) {
    begin(HF_RESTART_ALWAYS);
    spec.limit_count = 1 + (uint32_t)random_below(HF_LIMIT_COUNT_MAX);
    spec.limit_within_ns = random_below(365 * DAY);
    history.failures_in_a_row = (uint32_t)random_next();
    history.restart_next = (uint32_t)random_next();
    history.restart_count = (uint32_t)random_next();
    for (int j = 0; j < HF_LIMIT_COUNT_MAX; j++) history.restarts[j] = (uint32_t)random_next();
    hf_verdict verdict = judge(exited(1, random_below(S)), random_next() >> 1);
    CHECK_EQ(verdict.state, HF_STATE_FAIL);
    CHECK(verdict.restart != verdict.limited);
    CHECK(history.restart_next < HF_LIMIT_COUNT_MAX && history.restart_count <= HF_LIMIT_COUNT_MAX);
  }
}

// One life of a process that fails all the time, with any configuration, beside a model that forgets nothing. The model
// works in ticks, as the history does; the restarts themselves are checked in nanoseconds, to within one tick.
static void random_life(void) {
  enum { FAILURES = 400 };
  const uint64_t tick = 10 * MS;
  static uint64_t at[FAILURES];
  int restarts = 0;
  begin((int)random_below(2));
  spec.limit_count = (uint32_t)random_below(6);
  spec.limit_within_ns = 1 + random_below(20 * S);
  spec.backoff_first_ns = random_below(2) * random_below(S);
  spec.backoff_from_ns = random_below(S);
  spec.backoff_factor = 1 + (double)random_below(300) / 100;
  spec.backoff_jitter = (double)random_below(101) / 100;
  spec.backoff_max_ns = random_below(5 * S);
  spec.backoff_reset_after_ns = random_below(10 * S);
  uint64_t now = random_below(2) ? random_below(WRAP) : WRAP - random_below(100 * S);
  uint64_t window = (spec.limit_within_ns + tick - 1) / tick;
  uint32_t row = 0;
  for (int i = 0; i < FAILURES; i++) {
    uint64_t ran = i == 0 ? 0 : random_below(random_below(8) ? 2 * S : 15 * S);
    now += ran;
    hf_ending ending = {.exit_code = 1, .ran_ns = ran, .timed_out = random_below(10) == 0};
    if (ran >= spec.backoff_reset_after_ns && !ending.timed_out) row = 0;
    uint32_t recent = 0;
    for (int j = 0; j < restarts; j++) recent += now / tick - at[j] / tick < window && ran < spec.limit_within_ns;
    hf_verdict verdict = hf_policy_judge(&spec, &history, &ending, now, random_next());
    CHECK_EQ(verdict.state, HF_STATE_FAIL);
    CHECK_EQ(verdict.limited, spec.limit_count != 0 && recent >= spec.limit_count);
    CHECK_EQ(verdict.restart, !verdict.limited);
    row++;
    CHECK_EQ(history.failures_in_a_row, row);
    if (!verdict.restart) continue; // its next failure comes after somebody started it without forgiving

    double pause = (double)spec.backoff_first_ns, most = (double)spec.backoff_max_ns;
    if (row > 1) {
      pause = (double)spec.backoff_from_ns;
      for (uint32_t j = 2; j < row && pause < most; j++) pause *= spec.backoff_factor;
      if (pause > most) pause = most;
    }
    double got = (double)(verdict.restart_at_ns - now);
    CHECK(got >= pause * (1 - spec.backoff_jitter) - 10 && got <= pause * (1 + spec.backoff_jitter) + 10);
    at[restarts++] = now = verdict.restart_at_ns;
    if (spec.limit_count != 0 && restarts > (int)spec.limit_count)
      CHECK(now - at[restarts - 1 - (int)spec.limit_count] + tick >= spec.limit_within_ns);
  }
}

TEST(random_lives) {
  random_begin("random_lives");
  for (int i = 0; i < 500; i++) random_life();
}

CHECK_MAIN
