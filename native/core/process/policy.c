// SPDX-License-Identifier: MIT
// The restart policy: what an ending means, whether there is a next start, and when.
#include "process/policy.h"

#include <string.h>

#define TICK_NS 10000000u // the unit of history.restarts

// CLOCK_MONOTONIC in ticks, modulo 2^32 (497 days). Two of them are compared by difference, which is exact below that.
static uint32_t ticks_of(uint64_t mono_ns) { return (uint32_t)(mono_ns / TICK_NS); }

// By squaring, so that its cost is bounded for every exponent, and without libm. Overflow is infinity, as in pow.
static double power(double base, uint32_t exponent) {
  double result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result *= base;
    base *= base;
  }
  return result;
}

// The pause after `earlier` + 1 failures in a row: `first`, then `from`, then `factor` times more each time, up to `max`.
// The random part comes after the cap: else all that has reached `max` would start in step.
static uint64_t backoff_ns(const hf_spec *spec, uint32_t earlier, uint64_t random) {
  double pause;
  if (earlier == 0) pause = (double)spec->backoff_first_ns;
  else if (spec->backoff_from_ns == 0) pause = 0; // 0 times infinity is no number
  else pause = (double)spec->backoff_from_ns * power(spec->backoff_factor, earlier - 1);
  if (earlier != 0 && pause > (double)spec->backoff_max_ns) pause = (double)spec->backoff_max_ns;
  double unit = (double)(random >> 11) / (double)((UINT64_C(1) << 53) - 1); // 0 to 1, both included
  pause *= 1 - spec->backoff_jitter + 2 * spec->backoff_jitter * unit;
  return (uint64_t)pause; // at most 2 x 365 days: hf_spec_decode bounds the durations, and jitter to 1
}

// Drops the notes that the window no longer holds. Without that a note would look young again after 497 days.
static void prune(hf_history *history, const hf_spec *spec, const hf_ending *ending, uint64_t now_ns) {
  uint32_t kept = history->restart_count < HF_LIMIT_COUNT_MAX ? history->restart_count : HF_LIMIT_COUNT_MAX;
  history->restart_next %= HF_LIMIT_COUNT_MAX;
  uint64_t window = (spec->limit_within_ns + TICK_NS - 1) / TICK_NS;
  // The last restart is older than the run that followed it.
  if (spec->limit_count == 0 || ending->ran_ns >= spec->limit_within_ns) kept = 0;
  while (kept > 0) {
    uint32_t oldest = (history->restart_next + HF_LIMIT_COUNT_MAX - kept) % HF_LIMIT_COUNT_MAX;
    if (ticks_of(now_ns) - history->restarts[oldest] < window) break;
    kept--;
  }
  history->restart_count = kept;
}

static void note_restart(hf_history *history, uint64_t restart_at_ns) {
  history->restarts[history->restart_next] = ticks_of(restart_at_ns);
  history->restart_next = (history->restart_next + 1) % HF_LIMIT_COUNT_MAX;
  if (history->restart_count < HF_LIMIT_COUNT_MAX) history->restart_count++;
}

// Why it is a failure; none where it is not. `may_finish`: it may end with code 0.
static hf_cause cause_of(const hf_ending *ending, bool may_finish) {
  if (ending->asked) return HF_CAUSE_none;
  if (ending->spawn_failed) return HF_CAUSE_spawn;
  if (ending->timed_out) return HF_CAUSE_startTimeout; // we sent the signal: it is no crash
  if (ending->hung) return HF_CAUSE_hang;              // nor here; and it may have ended by itself before that
  if (ending->lost) return HF_CAUSE_lost;
  if (ending->signal != 0) return HF_CAUSE_crash;
  if (ending->exit_code < 0) return HF_CAUSE_lost; // neither a signal nor a code: nobody knows
  return ending->exit_code == 0 && may_finish ? HF_CAUSE_none : HF_CAUSE_exit;
}

hf_verdict hf_policy_judge(const hf_spec *spec, hf_history *history, const hf_ending *ending, uint64_t now_ns,
                           uint64_t random) {
  bool restarts = spec->start == HF_START_AUTO && spec->restart != HF_RESTART_NEVER;
  bool may_finish = !restarts || spec->restart == HF_RESTART_ON_FAILURE;
  hf_verdict verdict = {.state = HF_STATE_STOPPED, .cause = cause_of(ending, may_finish)};

  prune(history, spec, ending, now_ns);
  // A start that took too long may be longer than resetAfter (both are 60 s by default), and is no good run for that.
  bool good = ending->ran_ns >= spec->backoff_reset_after_ns && !ending->timed_out && !ending->spawn_failed;
  if (good) history->failures_in_a_row = 0;
  if (verdict.cause == HF_CAUSE_none) return verdict;

  verdict.state = HF_STATE_FAIL;
  uint32_t earlier = history->failures_in_a_row;
  if (history->failures_in_a_row < UINT32_MAX) history->failures_in_a_row++;
  if (!restarts) return verdict;
  verdict.limited = spec->limit_count != 0 && history->restart_count >= spec->limit_count;
  if (verdict.limited) return verdict;
  uint64_t pause_ns = backoff_ns(spec, earlier, random);
  verdict.restart = true;
  verdict.restart_at_ns = now_ns > UINT64_MAX - pause_ns ? UINT64_MAX : now_ns + pause_ns;
  if (spec->limit_count != 0) note_restart(history, verdict.restart_at_ns);
  return verdict;
}

void hf_policy_forgive(hf_history *history) { memset(history, 0, sizeof *history); }
