// SPDX-License-Identifier: MIT
// What every door needs: JavaScript values in, JavaScript values out, and a C error as a JavaScript one. Nothing here, or
// in any file of glue/, decides anything: unpack, call, wrap.
#ifndef HF_GLUE_CONVERT_H
#define HF_GLUE_CONVERT_H

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "holdfast.h"

namespace glue {

// Throws `err` as an Error with `code` ERR_HOLDFAST_E…; errno (negative, as in Node) and syscall where the kernel said no.
void Throw(Napi::Env env, int code, const hf_err &err);
// The same for a kernel call that glue itself made: takes errno.
void ThrowSys(Napi::Env env, const char *call, const std::string &text);
// A TypeError for a value of the wrong type; `what` names it.
void ThrowType(Napi::Env env, const char *what, const char *expected);

// Reads properties and arguments, and remembers the first wrong one. After a failure every read gives an empty value, so
// that a caller looks at ok() once; the exception is pending then.
class Reader {
public:
  explicit Reader(Napi::Env env) : env_(env) {}
  bool ok() const { return ok_; }

  std::string String(Napi::Value value, const char *what);
  // A number from `min` to `max`; a fraction is cut off.
  double Number(Napi::Value value, const char *what, double min, double max);
  bool Boolean(Napi::Value value, const char *what);
  std::vector<std::string> Strings(Napi::Value value, const char *what);
  Napi::Object Object(Napi::Value value, const char *what);
  Napi::Array Array(Napi::Value value, const char *what);
  Napi::Value Get(Napi::Object object, const char *key);
  // Milliseconds as nanoseconds; Infinity is as long as there is.
  uint64_t Nanoseconds(Napi::Value value, const char *what);
  void Fail(const char *what, const char *expected);

private:
  Napi::Env env_;
  bool ok_ = true;
};

inline double Milliseconds(uint64_t ns) { return static_cast<double>(ns) / 1e6; }
// A time-out of C in nanoseconds; Infinity is as long as there is. `ms` is 0 or more.
int64_t TimeoutNs(double ms);

// A NULL-terminated list of C strings that points into `strings`.
std::vector<const char *> Pointers(const std::vector<std::string> &strings);

} // namespace glue

#endif
