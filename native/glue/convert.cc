// SPDX-License-Identifier: MIT
// Values and errors across the border.
#include "convert.h"

#include <cerrno>
#include <cstring>

namespace glue {

static void ThrowError(Napi::Env env, const std::string &code, const std::string &text, int errnum, const char *call) {
  Napi::Error error = Napi::Error::New(env, text);
  error.Set("code", Napi::String::New(env, code));
  if (errnum != 0) {
    error.Set("errno", Napi::Number::New(env, -errnum));
    error.Set("syscall", Napi::String::New(env, call));
  }
  error.ThrowAsJavaScriptException();
}

void Throw(Napi::Env env, int code, const hf_err &err) {
  std::string text = err.text[0] != '\0' ? err.text : hf_error_sentence(code);
  ThrowError(env, std::string("ERR_HOLDFAST_") + hf_error_name(code), text, err.errnum, err.call);
}

void ThrowSys(Napi::Env env, const char *call, const std::string &text) {
  int errnum = errno;
  ThrowError(env, "ERR_HOLDFAST_ESYS", text + ": " + std::strerror(errnum), errnum, call);
}

void ThrowType(Napi::Env env, const char *what, const char *expected) {
  Napi::TypeError::New(env, std::string(what) + " must be " + expected).ThrowAsJavaScriptException();
}

void Reader::Fail(const char *what, const char *expected) {
  // A getter may have thrown already: its exception is the one to show.
  if (ok_ && !env_.IsExceptionPending()) ThrowType(env_, what, expected);
  ok_ = false;
}

std::string Reader::String(Napi::Value value, const char *what) {
  if (!ok_) return "";
  if (value.IsEmpty() || !value.IsString()) {
    Fail(what, "a string");
    return "";
  }
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') == std::string::npos) return text;
  Fail(what, "a string without a zero character");
  return "";
}

double Reader::Number(Napi::Value value, const char *what, double min, double max) {
  if (!ok_) return min;
  double number = value.IsEmpty() || !value.IsNumber() ? NAN : value.As<Napi::Number>().DoubleValue();
  if (number >= min && number <= max) return number;
  Fail(what, "a number in its range");
  return min;
}

bool Reader::Boolean(Napi::Value value, const char *what) {
  if (!ok_) return false;
  if (!value.IsEmpty() && value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  Fail(what, "a boolean");
  return false;
}

Napi::Object Reader::Object(Napi::Value value, const char *what) {
  if (ok_ && !value.IsEmpty() && value.IsObject()) return value.As<Napi::Object>();
  Fail(what, "an object");
  return Napi::Object();
}

Napi::Array Reader::Array(Napi::Value value, const char *what) {
  if (ok_ && !value.IsEmpty() && value.IsArray()) return value.As<Napi::Array>();
  Fail(what, "an array");
  return Napi::Array();
}

std::vector<std::string> Reader::Strings(Napi::Value value, const char *what) {
  std::vector<std::string> strings;
  Napi::Array array = Array(value, what);
  if (!ok_) return strings;
  uint32_t length = array.Length();
  for (uint32_t i = 0; i < length && ok_; i++) strings.push_back(String(array.Get(i), what));
  return strings;
}

Napi::Value Reader::Get(Napi::Object object, const char *key) {
  if (!ok_) return Napi::Value();
  Napi::Value value = object.Get(key);
  if (env_.IsExceptionPending()) ok_ = false;
  return value;
}

uint64_t Reader::Nanoseconds(Napi::Value value, const char *what) {
  double ms = Number(value, what, 0, INFINITY);
  return static_cast<uint64_t>(TimeoutNs(ms));
}

int64_t TimeoutNs(double ms) {
  // 2^62 ns are 146 years: as long as there is, and it can still be added to a clock without an overflow.
  constexpr int64_t longest = INT64_C(1) << 62;
  return ms >= static_cast<double>(longest) / 1e6 ? longest : std::llround(ms * 1e6);
}

std::vector<const char *> Pointers(const std::vector<std::string> &strings) {
  std::vector<const char *> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string &text : strings) pointers.push_back(text.c_str());
  pointers.push_back(nullptr);
  return pointers;
}

} // namespace glue
