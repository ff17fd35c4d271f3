// SPDX-License-Identifier: MIT
// One sentence for a failure: what happened, and after how long; of a hang the documented one.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "holdfast.h"

// Not sigabbrev_np: it is of glibc 2.32, and of no other C library.
#define NAME(signal) [signal] = #signal
static const char *const names[] = {
    NAME(SIGHUP),  NAME(SIGINT),    NAME(SIGQUIT), NAME(SIGILL),  NAME(SIGTRAP),   NAME(SIGABRT), NAME(SIGBUS),
    NAME(SIGFPE),  NAME(SIGKILL),   NAME(SIGUSR1), NAME(SIGSEGV), NAME(SIGUSR2),   NAME(SIGPIPE), NAME(SIGALRM),
    NAME(SIGTERM), NAME(SIGSTKFLT), NAME(SIGCHLD), NAME(SIGCONT), NAME(SIGSTOP),   NAME(SIGTSTP), NAME(SIGTTIN),
    NAME(SIGTTOU), NAME(SIGURG),    NAME(SIGXCPU), NAME(SIGXFSZ), NAME(SIGVTALRM), NAME(SIGPROF), NAME(SIGWINCH),
    NAME(SIGIO),   NAME(SIGPWR),    NAME(SIGSYS),
};
#undef NAME

#define REALTIME_FIRST 32 // of the kernel; SIGRTMIN of the C library is a call, and above it

static const char *signal_name(int number, char *buffer, size_t size) {
  if (number > 0 && number < (int)(sizeof names / sizeof *names) && names[number] != NULL) return names[number];
  if (number >= REALTIME_FIRST && number < NSIG) snprintf(buffer, size, "real-time signal %d", number);
  else if (number > 0) snprintf(buffer, size, "signal %d", number);
  else snprintf(buffer, size, "a signal");
  return buffer;
}

// "3.2 s", "3 s": tenths, without a ".0".
static void tenths_text(unsigned long long tenths, const char *unit, char *out, size_t size) {
  if (tenths % 10 == 0) snprintf(out, size, "%llu %s", tenths / 10, unit);
  else snprintf(out, size, "%llu.%llu %s", tenths / 10, tenths % 10, unit);
}

// "2 min 5 s", "2 h".
static void pair_text(unsigned long long value, unsigned long long per, const char *big, const char *small, char *out,
                      size_t size) {
  if (value % per == 0) snprintf(out, size, "%llu %s", value / per, big);
  else snprintf(out, size, "%llu %s %llu %s", value / per, big, value % per, small);
}

// Short, cut and never rounded up: "0.4 ms", "120 ms", "3.2 s", "60 s", "2 min 5 s", "3 h", "4 days 2 h".
static void duration_text(uint64_t ns, char *out, size_t size) {
  const uint64_t second = 1000000000u, minute = 60 * second, hour = 60 * minute;
  if (ns < second / 100) tenths_text(ns / 100000, "ms", out, size);
  else if (ns < second) snprintf(out, size, "%llu ms", (unsigned long long)(ns / 1000000));
  else if (ns < 2 * minute) tenths_text(ns / (second / 10), "s", out, size);
  else if (ns < 2 * hour) pair_text(ns / second, 60, "min", "s", out, size);
  else if (ns < 48 * hour) pair_text(ns / minute, 60, "h", "min", out, size);
  else pair_text(ns / hour, 24, "days", "h", out, size);
}

// A period as the documented sentence has it, in seconds: "0.5", "1", "15".
static void seconds_text(uint64_t ns, char *out, size_t size) {
  int used =
      snprintf(out, size, "%llu.%09llu", (unsigned long long)(ns / 1000000000u), (unsigned long long)(ns % 1000000000u));
  while (used > 0 && out[used - 1] == '0') used--;
  if (used > 0 && out[used - 1] == '.') used--;
  out[used > 0 ? used : 0] = 0;
}

// Finer than duration_text: the difference to the period is what one looks for. "1.07 s".
static void silence_text(uint64_t ns, char *out, size_t size) {
  unsigned long long hundredths = ns / 10000000u;
  if (hundredths < 100 || hundredths >= 12000) duration_text(ns, out, size);
  else snprintf(out, size, "%llu.%02llu s", hundredths / 100, hundredths % 100);
}

static void hang_text(const hf_failure *failure, char *out, size_t size) {
  char delay[48];
  seconds_text(failure->period_ns, delay, sizeof delay);
  snprintf(out, size,
           "Because the %.31s (%d) thread of process %d, has not responded within %u periods of %s seconds, the process will "
           "be terminated.",
           failure->thread, (int)failure->tid, (int)failure->pid, (unsigned)failure->grace, delay);
}

static void late_text(const hf_failure *failure, const char *ran, char *out, size_t size) {
  if (failure->late == HF_LATE_HEARTBEAT) snprintf(out, size, "no heartbeat in %s", ran);
  else if (failure->late == HF_LATE_LOADCFG) snprintf(out, size, "stayed in LOADCFG for too long, after %s", ran);
  else if (failure->late == HF_LATE_STOPPING) snprintf(out, size, "said that it is stopping and did not end, after %s", ran);
  else snprintf(out, size, "did not become READY in %s", ran);
}

void hf_failure_brief(const hf_failure *failure, char *out, size_t size) {
  char silence[48], where[HF_WHERE_SIZE];
  if (failure->cause != HF_CAUSE_hang) {
    hf_failure_text(failure, out, size);
    return;
  }
  silence_text(failure->silent_ns, silence, sizeof silence);
  snprintf(where, sizeof where, "%.*s", HF_WHERE_SIZE - 1, failure->where);
  size_t length = strlen(where);
  // A function with its place ends in a bracket; the kernel's words are no place.
  const char *joint = length == 0 ? "" : where[length - 1] == ')' ? " in " : ": ";
  snprintf(out, size, "%.31s silent for %s%s%s", failure->thread, silence, joint, where);
}

void hf_failure_text(const hf_failure *failure, char *out, size_t size) {
  char ran[48], name[32];
  duration_text(failure->ran_ns, ran, sizeof ran);
  switch ((hf_cause)failure->cause) {
  case HF_CAUSE_none:
    snprintf(out, size, "nothing failed");
    return;
  case HF_CAUSE_crash:
    snprintf(out, size, "killed by %s after %s", signal_name(failure->signal, name, sizeof name), ran);
    return;
  case HF_CAUSE_exit:
    snprintf(out, size, "exited with code %d after %s", failure->exit_code, ran);
    return;
  case HF_CAUSE_startTimeout:
    late_text(failure, ran, out, size);
    return;
  case HF_CAUSE_spawn:
    if (failure->errnum == 0) snprintf(out, size, "could not be executed");
    else snprintf(out, size, "could not be executed: %s", strerror(failure->errnum));
    return;
  case HF_CAUSE_lost:
    snprintf(out, size, "ended while nobody looked");
    return;
  case HF_CAUSE_hang:
    hang_text(failure, out, size);
    return;
  case HF_CAUSE_COUNT:
    break;
  }
  snprintf(out, size, "failed for a cause that this version of Holdfast does not know (%u)", failure->cause);
}
