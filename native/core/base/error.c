// SPDX-License-Identifier: MIT
// Names and sentences of the public lists, and the filling of an hf_err.
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *hf_error_name(int code) {
  switch (code) {
#define NAME(name, number, sentence)                                                                                         \
  case -(number):                                                                                                            \
    return #name;
    HF_ERRORS(NAME)
#undef NAME
  }
  return "EUNKNOWNCODE";
}

const char *hf_error_sentence(int code) {
  switch (code) {
#define SENTENCE(name, number, sentence)                                                                                     \
  case -(number):                                                                                                            \
    return sentence;
    HF_ERRORS(SENTENCE)
#undef SENTENCE
  }
  return "an error without a name";
}

#define TABLE_NAME(name, number, sentence) #name,
#define TABLE_LOOKUP(function, list, prefix)                                                                                 \
  const char *function(unsigned number) {                                                                                    \
    static const char *const names[] = {list(TABLE_NAME)};                                                                   \
    return number < sizeof names / sizeof *names ? names[number] : "?";                                                      \
  }
TABLE_LOOKUP(hf_state_name, HF_STATES, STATE)
TABLE_LOOKUP(hf_cause_name, HF_CAUSES, CAUSE)
TABLE_LOOKUP(hf_event_name, HF_EVENTS, EVENT)

// Numbers are positions: the tables above are indexed by them.
#define POSITION_STATE(name, number, sentence) HF_POSITION_STATE_##name,
enum { HF_STATES(POSITION_STATE) };
#define CHECK_STATE(name, number, sentence) _Static_assert(HF_POSITION_STATE_##name == (number), "position");
HF_STATES(CHECK_STATE)
#define POSITION_CAUSE(name, number, sentence) HF_POSITION_CAUSE_##name,
enum { HF_CAUSES(POSITION_CAUSE) };
#define CHECK_CAUSE(name, number, sentence) _Static_assert(HF_POSITION_CAUSE_##name == (number), "position");
HF_CAUSES(CHECK_CAUSE)
#define POSITION_EVENT(name, number, sentence) HF_POSITION_EVENT_##name,
enum { HF_EVENTS(POSITION_EVENT) };
#define CHECK_EVENT(name, number, sentence) _Static_assert(HF_POSITION_EVENT_##name == (number), "position");
HF_EVENTS(CHECK_EVENT)

static void fill(hf_err *err, int code, int errnum, const char *call, const char *format, va_list arguments) {
  if (err == NULL) return;
  err->code = code;
  err->errnum = errnum;
  snprintf(err->call, sizeof err->call, "%s", call);
  int used = vsnprintf(err->text, sizeof err->text, format, arguments);
  if (errnum != 0 && used >= 0 && (size_t)used < sizeof err->text)
    snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", strerror(errnum));
}

#undef hf_fail // both are macros for the analyzer, see error.h
#undef hf_fail_sys
int hf_fail(hf_err *err, int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fill(err, code, 0, "", format, arguments);
  va_end(arguments);
  return code;
}

int hf_fail_sys(hf_err *err, const char *call, const char *format, ...) {
  int errnum = errno;
  int code = errnum == ENOSPC ? HF_ENOSPC : errnum == ENOMEM ? HF_ENOMEM : HF_ESYS;
  va_list arguments;
  va_start(arguments, format);
  fill(err, code, errnum, call, format, arguments);
  va_end(arguments);
  return code;
}
