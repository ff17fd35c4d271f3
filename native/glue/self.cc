// SPDX-License-Identifier: MIT
// A supervised process: attach, declare phases, read and await states. The attachment is one per process (all threads and
// environments share it) and is never undone, so it lives at file scope; it holds nothing of JavaScript.
#include <mutex>

#include "convert.h"
#include "doors.h"
#include "self.h"

namespace glue {

namespace {

std::mutex attach_mutex; // guards what follows
hf_self *attached;       // written once
bool is_quiet = true;    // it declared no phase yet

hf_self *Attach(bool quietly, hf_err *err, int *code) {
  std::lock_guard<std::mutex> lock(attach_mutex);
  *code = 0;
  if (attached == nullptr || (is_quiet && !quietly))
    *code = quietly ? hf_attach_quietly(&attached, err) : hf_attach(&attached, err);
  if (*code == 0 && !quietly) is_quiet = false;
  return *code == 0 ? attached : nullptr;
}

hf_self *Attached(Napi::Env env) {
  std::lock_guard<std::mutex> lock(attach_mutex);
  if (attached == nullptr) {
    hf_err err = {};
    Throw(env, HF_ENOTATTACHED, err);
  }
  return attached;
}

Napi::Value DoAttach(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  hf_err err = {};
  int code = 0;
  hf_self *self = Attach(false, &err, &code);
  if (self == nullptr) {
    Throw(env, code, err);
    return Napi::Value();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", hf_self_name(self));
  result.Set("incarnation", hf_self_incarnation(self));
  return result;
}

Napi::Value SpawnedHere(const Napi::CallbackInfo &info) { return Napi::Boolean::New(info.Env(), hf_spawned_here() == 1); }

Napi::Value Declare(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  auto phase = static_cast<hf_state>(read.Number(info[0], "phase", 0, HF_STATE_COUNT - 1));
  hf_self *self = read.ok() ? Attached(env) : nullptr;
  if (self == nullptr) return Napi::Value();
  hf_err err = {};
  int code = hf_declare(self, phase, &err);
  if (code < 0) Throw(env, code, err);
  return env.Undefined();
}

Napi::Value StateOf(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  hf_self *self = read.ok() ? Attached(env) : nullptr;
  if (self == nullptr) return Napi::Value();
  hf_err err = {};
  int state = hf_self_state(self, name.c_str(), &err);
  if (state < 0) Throw(env, state, err);
  return Napi::Number::New(env, state);
}

Napi::Value WaitState(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  auto state = static_cast<hf_state>(read.Number(info[1], "state", 0, HF_STATE_COUNT - 1));
  double timeout_ms = read.Number(info[2], "timeoutMs", 0, INFINITY);
  hf_self *self = read.ok() ? Attached(env) : nullptr;
  if (self == nullptr) return Napi::Value();
  hf_err err = {};
  int result = hf_self_wait(self, name.c_str(), state, TimeoutNs(timeout_ms), &err);
  if (result < 0) Throw(env, result, err);
  return Napi::Boolean::New(env, result > 0);
}

Napi::Value KnownNames(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  hf_self *self = Attached(env);
  if (self == nullptr) return Napi::Value();
  std::vector<char> names(static_cast<size_t>(HF_PROCESS_MAX) * (HF_NAME_SIZE + 2));
  int code = hf_self_names(self, names.data(), names.size());
  if (code < 0) {
    hf_err err = {};
    Throw(env, code, err);
    return Napi::Value();
  }
  return Napi::String::New(env, names.data());
}

Napi::Value CheckName(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  if (!read.ok()) return Napi::Value();
  hf_err err = {};
  int code = hf_name_check(name.c_str(), &err);
  if (code < 0) Throw(env, code, err);
  return env.Undefined();
}

} // namespace

hf_self *AttachedSelf() {
  std::lock_guard<std::mutex> lock(attach_mutex);
  return attached;
}

hf_self *AttachQuietly(hf_err *err, int *code) { return Attach(true, err, code); }

void AddSelf(Napi::Env env, Napi::Object exports) {
  exports.Set("attach", Napi::Function::New<DoAttach>(env, "attach"));
  exports.Set("spawnedHere", Napi::Function::New<SpawnedHere>(env, "spawnedHere"));
  exports.Set("declare", Napi::Function::New<Declare>(env, "declare"));
  exports.Set("stateOf", Napi::Function::New<StateOf>(env, "stateOf"));
  exports.Set("waitState", Napi::Function::New<WaitState>(env, "waitState"));
  exports.Set("knownNames", Napi::Function::New<KnownNames>(env, "knownNames"));
  exports.Set("checkName", Napi::Function::New<CheckName>(env, "checkName"));
}

} // namespace glue
