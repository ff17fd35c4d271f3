// SPDX-License-Identifier: MIT
// Errors: one list. Every call of the library returns 0 or a count, else a negative HF_E…; the kernel's errno and the
// call that failed travel in an hf_err, so that errno itself is never left behind as a message.
#ifndef HF_BASE_ERROR_H
#define HF_BASE_ERROR_H

#include "holdfast.h"

// Fills `err` (may be NULL) and returns `code`. The text says what was expected, what was found, and what to do.
int hf_fail(hf_err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The same for a kernel call that failed: takes errno, which must still hold its error. ENOSPC becomes HF_ENOSPC.
int hf_fail_sys(hf_err *err, const char *call, const char *format, ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__ // it reads one file at a time, and would believe that these may return 0
static inline int hf__fail_model(hf_err *err, int code) {
  if (err != NULL) err->code = code;
  return code;
}
#define hf_fail(err, code, ...) ((void)hf_fail(err, code, __VA_ARGS__), hf__fail_model(err, code))
#define hf_fail_sys(err, ...) ((void)hf_fail_sys(err, __VA_ARGS__), hf__fail_model(err, HF_ESYS))
#endif

#endif
