// SPDX-License-Identifier: MIT
// NativeOperator of lib/native.ts: an instance directory, open. Every method of a closed one throws ERR_HOLDFAST_ECLOSED.
#include "convert.h"
#include "doors.h"
#include "spec.h"
#include "waiter.h"
#include "wrap.h"

namespace glue {

namespace {

constexpr int kThreadsMax = HF_CELL_MAX + 1; // one for each cell, and the watchdog of sd_notify

class Operator : public Napi::ObjectWrap<Operator> {
public:
  static Napi::Function Define(Napi::Env env);
  explicit Operator(const Napi::CallbackInfo &info);
  ~Operator() override;

private:
  Napi::Value Close(const Napi::CallbackInfo &info);
  Napi::Value DefineSpec(const Napi::CallbackInfo &info);
  Napi::Value Remove(const Napi::CallbackInfo &info);
  Napi::Value Request(const Napi::CallbackInfo &info);
  Napi::Value Shutdown(const Napi::CallbackInfo &info);
  Napi::Value Signal(const Napi::CallbackInfo &info);
  Napi::Value Setting(const Napi::CallbackInfo &info);
  Napi::Value SetSetting(const Napi::CallbackInfo &info);
  Napi::Value Instance(const Napi::CallbackInfo &info);
  Napi::Value Status(const Napi::CallbackInfo &info);
  Napi::Value Find(const Napi::CallbackInfo &info);
  Napi::Value Threads(const Napi::CallbackInfo &info);
  Napi::Value Events(const Napi::CallbackInfo &info);
  Napi::Value Changes(const Napi::CallbackInfo &info);
  Napi::Value Wait(const Napi::CallbackInfo &info);
  Napi::Value SetRef(const Napi::CallbackInfo &info);

  // True while open; else the exception is pending.
  bool Open(Napi::Env env);
  // The end of a call: the value, or the exception for a negative code.
  Napi::Value Answer(Napi::Env env, int64_t code, const hf_err &err, Napi::Value value);
  // Ends the thread, then closes. Safe at any time, also while the environment goes down.
  void Release();
  static void OnExit(void *self) { static_cast<Operator *>(self)->Release(); }

  Napi::Env env_;
  hf_operator *op_ = nullptr;
  Waiter waiter_; // dies before op_ is closed: see Release
};

Operator::Operator(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Operator>(info), env_(info.Env()) {
  Reader read(env_);
  std::string dir = read.String(info[0], "dir");
  bool create = read.Boolean(info[1], "create");
  if (!read.ok()) return;
  hf_err err = {};
  int code = hf_operator_open(&op_, dir.c_str(), create ? static_cast<unsigned>(HF_OPERATOR_CREATE) : 0u, &err);
  if (code < 0) {
    op_ = nullptr;
    Throw(env_, code, err);
    return;
  }
  // A Worker may end while its operator waits: the thread must be gone before the environment is.
  napi_add_env_cleanup_hook(env_, OnExit, this);
}

Operator::~Operator() { Release(); }

void Operator::Release() {
  if (op_ == nullptr) return;
  napi_remove_env_cleanup_hook(env_, OnExit, this);
  waiter_.Stop();
  hf_operator_close(op_);
  op_ = nullptr;
}

bool Operator::Open(Napi::Env env) {
  if (op_ != nullptr) return true;
  hf_err err = {};
  Throw(env, HF_ECLOSED, err);
  return false;
}

Napi::Value Operator::Answer(Napi::Env env, int64_t code, const hf_err &err, Napi::Value value) {
  if (code >= 0) return value;
  Throw(env, static_cast<int>(code), err);
  return Napi::Value();
}

Napi::Value Operator::Close(const Napi::CallbackInfo &info) {
  Release();
  waiter_.Answer(false);
  return info.Env().Undefined();
}

Napi::Value Operator::DefineSpec(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Spec spec;
  // Open is asked last: reading runs getters, which may close it.
  if (!spec.Read(env, info[0]) || !Open(env)) return Napi::Value();
  hf_err err = {};
  int code = hf_operator_define(op_, spec.get(), &err);
  return Answer(env, code, err, Napi::Boolean::New(env, code > 0));
}

Napi::Value Operator::Remove(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  if (!read.ok() || !Open(env)) return Napi::Value();
  hf_err err = {};
  return Answer(env, hf_operator_remove(op_, name.c_str(), &err), err, env.Undefined());
}

Napi::Value Operator::Request(const Napi::CallbackInfo &info) {
  static const struct {
    const char *name;
    hf_request request;
  } requests[] = {{"start", HF_REQUEST_START},
                  {"stop", HF_REQUEST_STOP},
                  {"stop-force", HF_REQUEST_STOP_FORCE},
                  {"restart", HF_REQUEST_RESTART}};
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name"), wanted = read.String(info[1], "request");
  if (!read.ok() || !Open(env)) return Napi::Value();
  for (const auto &entry : requests) {
    if (wanted != entry.name) continue;
    hf_err err = {};
    int64_t sequence = hf_operator_request(op_, name.c_str(), entry.request, &err);
    return Answer(env, sequence, err, Napi::Number::New(env, static_cast<double>(sequence)));
  }
  read.Fail("request", "start, stop, stop-force or restart");
  return Napi::Value();
}

Napi::Value Operator::Shutdown(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (!Open(env)) return Napi::Value();
  hf_err err = {};
  return Answer(env, hf_operator_shutdown(op_, &err), err, env.Undefined());
}

Napi::Value Operator::Signal(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  int number = static_cast<int>(read.Number(info[1], "signal", 0, 1024));
  if (!read.ok() || !Open(env)) return Napi::Value();
  hf_err err = {};
  return Answer(env, hf_operator_signal(op_, name.c_str(), number, &err), err, env.Undefined());
}

Napi::Value Operator::Setting(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string key = read.String(info[0], "key");
  if (!read.ok() || !Open(env)) return Napi::Value();
  std::vector<char> value(64 * 1024);
  hf_err err = {};
  int code = hf_operator_setting_get(op_, key.c_str(), value.data(), value.size(), &err);
  if (code == HF_ENOENT) return env.Null();
  value.back() = '\0';
  return Answer(env, code, err, Napi::String::New(env, value.data()));
}

Napi::Value Operator::SetSetting(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string key = read.String(info[0], "key"), value = read.String(info[1], "value");
  if (!read.ok() || !Open(env)) return Napi::Value();
  hf_err err = {};
  return Answer(env, hf_operator_setting_put(op_, key.c_str(), value.c_str(), &err), err, env.Undefined());
}

Napi::Value Operator::Instance(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (!Open(env)) return Napi::Value();
  hf_instance_status status = {};
  hf_err err = {};
  int code = hf_operator_instance(op_, &status, &err);
  return code < 0 ? Answer(env, code, err, Napi::Value()) : Wrap(env, status);
}

Napi::Value Operator::Status(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (!Open(env)) return Napi::Value();
  std::vector<hf_process_status> processes(HF_PROCESS_MAX);
  hf_err err = {};
  int count = hf_operator_status(op_, processes.data(), HF_PROCESS_MAX, &err);
  if (count < 0) return Answer(env, count, err, Napi::Value());
  Napi::Array array = Napi::Array::New(env, static_cast<size_t>(count));
  for (uint32_t i = 0; i < static_cast<uint32_t>(count); i++) array.Set(i, Wrap(env, processes[i]));
  return array;
}

Napi::Value Operator::Find(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  if (!read.ok() || !Open(env)) return Napi::Value();
  hf_process_status status = {};
  hf_err err = {};
  int code = hf_operator_find(op_, name.c_str(), &status, &err);
  if (code == HF_EUNKNOWN) return env.Null();
  return code < 0 ? Answer(env, code, err, Napi::Value()) : Wrap(env, status);
}

Napi::Value Operator::Threads(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  if (!read.ok() || !Open(env)) return Napi::Value();
  std::vector<hf_thread_status> threads(kThreadsMax);
  hf_err err = {};
  int count = hf_operator_threads(op_, name.c_str(), threads.data(), kThreadsMax, &err);
  if (count < 0) return Answer(env, count, err, Napi::Value());
  Napi::Array array = Napi::Array::New(env, static_cast<size_t>(count));
  for (uint32_t i = 0; i < static_cast<uint32_t>(count); i++) array.Set(i, Wrap(env, threads[i]));
  return array;
}

Napi::Value Operator::Events(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  auto from = static_cast<uint64_t>(read.Number(info[0], "from", 0, 9007199254740991.0));
  int max = static_cast<int>(read.Number(info[1], "max", 1, HF_EVENT_MAX));
  if (!read.ok() || !Open(env)) return Napi::Value();
  std::vector<hf_event> events(static_cast<size_t>(max));
  hf_err err = {};
  uint64_t next = from;
  int count = hf_operator_events(op_, from, events.data(), max, &next, &err);
  if (count < 0) return Answer(env, count, err, Napi::Value());
  Napi::Array array = Napi::Array::New(env, static_cast<size_t>(count));
  for (uint32_t i = 0; i < static_cast<uint32_t>(count); i++) array.Set(i, Wrap(env, events[i]));
  Napi::Object result = Napi::Object::New(env);
  result.Set("events", array);
  result.Set("next", static_cast<double>(next));
  return result;
}

Napi::Value Operator::Changes(const Napi::CallbackInfo &info) {
  return Open(info.Env()) ? Napi::Number::New(info.Env(), hf_operator_changes(op_)) : Napi::Value();
}

Napi::Value Operator::Wait(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  auto seen = static_cast<uint32_t>(read.Number(info[0], "seen", 0, 4294967295.0));
  double timeout_ms = read.Number(info[1], "timeoutMs", 0, INFINITY);
  bool ref = read.Boolean(info[2], "ref");
  if (!read.ok() || !Open(env)) return Napi::Value();
  return waiter_.Wait(info.This().As<Napi::Object>(), op_, seen, TimeoutNs(timeout_ms), ref);
}

Napi::Value Operator::SetRef(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  bool ref = read.Boolean(info[0], "ref");
  if (!read.ok() || !Open(env)) return Napi::Value();
  waiter_.SetRef(env, ref);
  return env.Undefined();
}

Napi::Function Operator::Define(Napi::Env env) {
  return DefineClass(env, "Operator",
                     {
                         InstanceMethod<&Operator::Close>("close"),
                         InstanceMethod<&Operator::DefineSpec>("define"),
                         InstanceMethod<&Operator::Remove>("remove"),
                         InstanceMethod<&Operator::Request>("request"),
                         InstanceMethod<&Operator::Shutdown>("shutdown"),
                         InstanceMethod<&Operator::Signal>("signal"),
                         InstanceMethod<&Operator::Setting>("setting"),
                         InstanceMethod<&Operator::SetSetting>("setSetting"),
                         InstanceMethod<&Operator::Instance>("instance"),
                         InstanceMethod<&Operator::Status>("status"),
                         InstanceMethod<&Operator::Find>("find"),
                         InstanceMethod<&Operator::Threads>("threads"),
                         InstanceMethod<&Operator::Events>("events"),
                         InstanceMethod<&Operator::Changes>("changes"),
                         InstanceMethod<&Operator::Wait>("wait"),
                         InstanceMethod<&Operator::SetRef>("setRef"),
                     });
}

} // namespace

void AddOperator(Napi::Env env, Napi::Object exports) { exports.Set("Operator", Operator::Define(env)); }

} // namespace glue
