// SPDX-License-Identifier: MIT
// The sentences of failures.
#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include "check.h"
#include "holdfast.h"
#include "random.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define MIN (60 * S)
#define H (60 * MIN)

static const char *text_of(hf_failure failure) {
  static char text[256];
  hf_failure_text(&failure, text, sizeof text);
  return text;
}

TEST(a_sentence_for_each_cause) {
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_crash, .signal = SIGSEGV, .exit_code = -1, .ran_ns = 3200 * MS}),
            "killed by SIGSEGV after 3.2 s");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_exit, .exit_code = 3, .ran_ns = 120 * MS}),
            "exited with code 3 after 120 ms");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_exit, .exit_code = 0, .ran_ns = 5 * S}), "exited with code 0 after 5 s");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_spawn, .errnum = ENOENT}),
            "could not be executed: No such file or directory");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_spawn}), "could not be executed");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_startTimeout, .signal = SIGKILL, .ran_ns = 60 * S + 3 * MS}),
            "did not become READY in 60 s");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_lost, .exit_code = -1, .ran_ns = 5 * S}), "ended while nobody looked");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_none}), "nothing failed");
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_COUNT}),
            "failed for a cause that this version of Holdfast does not know (7)");
}

static const char *brief_of(hf_failure failure) {
  static char text[256];
  hf_failure_brief(&failure, text, sizeof text);
  return text;
}

TEST(what_was_late) {
  hf_failure late = {.cause = HF_CAUSE_startTimeout, .ran_ns = 60 * S};
  CHECK_STR(text_of(late), "did not become READY in 60 s");
  late.late = HF_LATE_HEARTBEAT;
  CHECK_STR(text_of(late), "no heartbeat in 60 s");
  late.late = HF_LATE_LOADCFG;
  CHECK_STR(text_of(late), "stayed in LOADCFG for too long, after 60 s");
  CHECK_STR(brief_of(late), "stayed in LOADCFG for too long, after 60 s");
}

TEST(a_hang_in_the_documented_words) {
  hf_failure hang = {.cause = HF_CAUSE_hang,
                     .pid = 57,
                     .tid = 59,
                     .grace = 1,
                     .period_ns = S,
                     .silent_ns = 1071 * MS,
                     .thread = "event-loop",
                     .where = "spin (server.mjs:12:3)"};
  CHECK_STR(text_of(hang),
            "Because the event-loop (59) thread of process 57, has not responded within 1 periods of 1 seconds, "
            "the process will be terminated.");
  CHECK_STR(brief_of(hang), "event-loop silent for 1.07 s in spin (server.mjs:12:3)");
  hang.grace = 3;
  hang.period_ns = 500 * MS;
  hang.silent_ns = 1599 * MS;
  strcpy(hang.where, "read of pipe, fd 17");
  CHECK(strstr(text_of(hang), "within 3 periods of 0.5 seconds,") != NULL);
  CHECK_STR(brief_of(hang), "event-loop silent for 1.59 s: read of pipe, fd 17");
  hang.period_ns = 15 * S;
  hang.silent_ns = 130 * S;
  hang.where[0] = 0;
  CHECK(strstr(text_of(hang), "of 15 seconds,") != NULL);
  CHECK_STR(brief_of(hang), "event-loop silent for 2 min 10 s");
  hang.period_ns = 1;
  hang.silent_ns = 999 * MS;
  CHECK(strstr(text_of(hang), "of 0.000000001 seconds,") != NULL);
  CHECK_STR(brief_of(hang), "event-loop silent for 999 ms");
  hang.period_ns = 0;
  CHECK(strstr(text_of(hang), "of 0 seconds,") != NULL);
}

static const char *signal_text(int16_t number) {
  return text_of((hf_failure){.cause = HF_CAUSE_crash, .signal = number, .exit_code = -1, .ran_ns = S});
}

TEST(signals_have_their_names) {
  CHECK_STR(signal_text(SIGHUP), "killed by SIGHUP after 1 s");
  CHECK_STR(signal_text(SIGKILL), "killed by SIGKILL after 1 s");
  CHECK_STR(signal_text(SIGABRT), "killed by SIGABRT after 1 s");
  CHECK_STR(signal_text(SIGSYS), "killed by SIGSYS after 1 s");
  for (int16_t number = 1; number <= SIGSYS; number++) { // as the C library has them, which calls SIGIO SIGPOLL
    if (number == SIGIO) continue;
    char expected[64];
    snprintf(expected, sizeof expected, "killed by SIG%s after 1 s", sigabbrev_np(number));
    CHECK_STR(signal_text(number), expected);
  }
  CHECK_STR(signal_text(34), "killed by real-time signal 34 after 1 s");
  CHECK_STR(signal_text(64), "killed by real-time signal 64 after 1 s");
  CHECK_STR(signal_text(65), "killed by signal 65 after 1 s");
  CHECK_STR(signal_text(0), "killed by a signal after 1 s");
  CHECK_STR(signal_text(-5), "killed by a signal after 1 s");
}

static void expect_ran(uint64_t ran_ns, const char *duration) {
  char expected[64];
  snprintf(expected, sizeof expected, "exited with code 1 after %s", duration);
  CHECK_STR(text_of((hf_failure){.cause = HF_CAUSE_exit, .exit_code = 1, .ran_ns = ran_ns}), expected);
}

TEST(durations_at_their_boundaries) {
  expect_ran(0, "0 ms");
  expect_ran(400000, "0.4 ms");
  expect_ran(10 * MS - 1, "9.9 ms");
  expect_ran(10 * MS, "10 ms");
  expect_ran(S - 1, "999 ms");
  expect_ran(S, "1 s");
  expect_ran(S + 99 * MS, "1 s");
  expect_ran(S + 100 * MS, "1.1 s");
  expect_ran(MIN, "60 s");
  expect_ran(2 * MIN - 1, "119.9 s");
  expect_ran(2 * MIN, "2 min");
  expect_ran(2 * MIN + 5 * S, "2 min 5 s");
  expect_ran(2 * H - 1, "119 min 59 s");
  expect_ran(2 * H, "2 h");
  expect_ran(2 * H + 5 * MIN, "2 h 5 min");
  expect_ran(48 * H - 1, "47 h 59 min");
  expect_ran(48 * H, "2 days");
  expect_ran(50 * H, "2 days 2 h");
  expect_ran(UINT64_MAX, "213503 days 23 h");
}

TEST(whatever_is_in_it_it_is_one_line_and_fits) {
  random_begin("whatever_is_in_it");
  for (int i = 0; i < 20000; i++) {
    hf_failure failure = {.cause = (uint8_t)random_below(10),
                          .signal = (int16_t)random_next(),
                          .exit_code = (int32_t)random_next(),
                          .errnum = (int32_t)random_next(),
                          .late = (uint8_t)random_below(5),
                          .tid = (pid_t)random_next(),
                          .grace = (uint16_t)random_next(),
                          .period_ns = random_next() >> random_below(64),
                          .ran_ns = random_next() >> random_below(64)};
    memset(failure.thread, 'x', sizeof failure.thread); // no zero in it
    bool hang = failure.cause == HF_CAUSE_hang;         // whose documented sentence ends with a point
    char whole[256], small[256];
    hf_failure_text(&failure, whole, sizeof whole);
    size_t size = random_below(40);
    memset(small, '#', sizeof small);
    hf_failure_text(&failure, small, size);
    size_t length = strlen(whole);
    if (length == 0 || length > (hang ? 240 : 120) || strchr(whole, '\n') != NULL || (whole[length - 1] == '.') != hang)
      CHECK_STR(whole, "a short line");
    CHECK(small[size] == '#'); // nothing past the end
    if (size > 0) CHECK(strlen(small) == (length < size ? length : size - 1) && memcmp(small, whole, strlen(small)) == 0);
  }
}

CHECK_MAIN
