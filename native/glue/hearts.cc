// SPDX-License-Identifier: MIT
// The heartbeat cells: hearts of lib/native.ts.
//
// Order of death of an environment. Hooks run last in, first out: the timers on its loop end (loop.cc), its entry in the
// list of threads goes (stack.cc), then its holds (the hook here, added when the addon was loaded). Its instance data goes
// last, with the reference to the ArrayBuffer. The memory of the cells stays.
#include <memory>
#include <utility>

#include "claims.h"
#include "convert.h"
#include "doors.h"
#include "loop.h"
#include "self.h"
#include "stack.h"

namespace glue {

namespace {

struct Environment {
  Holder holder;
  void *base = nullptr; // of the cells; NULL as long as nobody asked here
  size_t size = 0;
  std::vector<std::pair<uint32_t, LoopBeat *>> beats;
  Napi::ObjectReference memory;
};

Environment &Of(const Napi::CallbackInfo &info) { return *info.Env().GetInstanceData<Environment>(); }

// Where the cells are is decided by who asks first in the process. False: it threw.
bool FindMemory(Napi::Env env, Environment &here) {
  if (here.base != nullptr) return true;
  hf_err err = {};
  int code = hf_hearts(AttachedSelf(), &here.base, &here.size, &err);
  if (code < 0) Throw(env, code, err);
  return code >= 0;
}

Napi::Value Memory(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Environment &here = Of(info);
  if (!here.memory.IsEmpty()) return here.memory.Value();
  if (!FindMemory(env, here)) return Napi::Value();
  napi_value buffer;
  if (napi_create_external_arraybuffer(env, here.base, here.size, nullptr, nullptr, &buffer) != napi_ok) {
    Napi::Error::New(env, "this runtime gives JavaScript no memory of its own making: heartbeats need it")
        .ThrowAsJavaScriptException();
    return Napi::Value();
  }
  here.memory = Napi::Persistent(Napi::Object(env, buffer));
  return here.memory.Value();
}

Napi::Value Announce(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  auto thread_id = static_cast<uint32_t>(read.Number(info[0], "threadId", 0, UINT32_MAX));
  if (read.ok() && !Of(info).holder.is_announced()) Of(info).holder.Announce(thread_id, AnnounceThread(env, thread_id));
  return env.Undefined();
}

Napi::Value Claim(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string kind = read.String(info[0], "kind");
  auto key = static_cast<uint64_t>(read.Number(info[1], "threadId", 0, 9007199254740991.0));
  std::string name = read.String(info[2], "name");
  CellKind cell_kind = kind == "loop" ? CellKind::kLoop : kind == "pool" ? CellKind::kPool : CellKind::kThread;
  if (cell_kind == CellKind::kThread && kind != "thread") read.Fail("kind", "thread, loop or pool");
  if (!read.ok() || !FindMemory(env, Of(info))) return Napi::Value();
  hf_err err = {};
  int cell = Of(info).holder.Claim(cell_kind, key, name.c_str(), &err);
  if (cell < 0) {
    Throw(env, cell, err);
    return Napi::Value();
  }
  return Napi::Number::New(env, cell);
}

// The cell that is the first argument; throws where this environment does not hold it.
bool Held(const Napi::CallbackInfo &info, Reader &read, uint32_t *cell) {
  *cell = static_cast<uint32_t>(read.Number(info[0], "cell", 0, HF_CELL_MAX - 1));
  if (!read.ok() || Of(info).holder.Holds(*cell)) return read.ok();
  hf_err err = {};
  std::snprintf(err.text, sizeof err.text, "cell %u is not held here: claim it first", *cell);
  Throw(info.Env(), HF_EINVAL, err);
  return false;
}

Napi::Value Offset(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  auto cell = static_cast<uint32_t>(read.Number(info[0], "cell", 0, HF_CELL_MAX - 1));
  if (!read.ok()) return Napi::Value();
  return Napi::Number::New(info.Env(), static_cast<double>(hf_cell_offset(cell)));
}

void StopBeat(Environment &here, uint32_t cell) {
  for (size_t i = 0; i < here.beats.size(); i++) {
    if (here.beats[i].first != cell) continue;
    StopLoopBeat(here.beats[i].second);
    here.beats.erase(here.beats.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
}

Napi::Value Drop(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  uint32_t cell;
  if (!Held(info, read, &cell)) return Napi::Value();
  StopBeat(Of(info), cell);
  Of(info).holder.Drop(cell);
  return info.Env().Undefined();
}

Napi::Value Register(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  uint64_t period_ns = read.Nanoseconds(info[1], "periodMs");
  auto grace = static_cast<unsigned>(read.Number(info[2], "grace", 0, UINT16_MAX));
  uint32_t cell;
  if (!Held(info, read, &cell)) return Napi::Value();
  hf_err err = {};
  int code = Of(info).holder.Register(cell, period_ns, grace, &err);
  if (code < 0) Throw(info.Env(), code, err);
  return info.Env().Undefined();
}

Napi::Value Deregister(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  uint32_t cell;
  if (Held(info, read, &cell)) Of(info).holder.Deregister(cell);
  return info.Env().Undefined();
}

Napi::Value Busy(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  uint64_t extra_ns = read.Nanoseconds(info[1], "extraMs");
  std::string why = read.String(info[2], "why");
  uint32_t cell;
  if (Held(info, read, &cell)) hf_cell_busy(cell, extra_ns, why.c_str());
  return info.Env().Undefined();
}

Napi::Value Note(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  std::string text = read.String(info[1], "text");
  uint32_t cell;
  if (Held(info, read, &cell)) hf_cell_note(cell, text.c_str());
  return info.Env().Undefined();
}

Napi::Value CaptureAlso(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  Napi::Array list = read.Array(info[1], "threadIds");
  std::vector<uint32_t> thread_ids;
  for (uint32_t i = 0; read.ok() && i < list.Length(); i++)
    thread_ids.push_back(static_cast<uint32_t>(read.Number(list.Get(i), "a threadId", 0, UINT32_MAX)));
  uint32_t cell;
  if (Held(info, read, &cell)) Of(info).holder.CaptureAlso(cell, thread_ids);
  return info.Env().Undefined();
}

Napi::Value BeatFromLoop(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Environment &here = Of(info);
  Reader read(env);
  auto every_ms = static_cast<uint64_t>(read.Number(info[1], "everyMs", 0, UINT32_MAX));
  uint32_t cell;
  if (!Held(info, read, &cell)) return Napi::Value();
  if (every_ms == 0) {
    StopBeat(here, cell);
    return env.Undefined();
  }
  for (auto &[beating, beat] : here.beats) {
    if (beating != cell) continue;
    ChangeLoopBeat(beat, every_ms);
    return env.Undefined();
  }
  LoopBeat *beat = StartLoopBeat(env, here.base, hf_cell_offset(cell), every_ms);
  if (beat != nullptr) here.beats.emplace_back(cell, beat);
  return env.Undefined();
}

Napi::Value JudgeHere(const Napi::CallbackInfo &info) {
  Reader read(info.Env());
  std::string on_hang = read.String(info[1], "onHang");
  if (on_hang != "report" && on_hang != "abort") read.Fail("onHang", "report or abort");
  uint32_t cell;
  if (!Held(info, read, &cell)) return Napi::Value();
  hf_err err = {};
  int code = hf_judge_here(cell, on_hang == "abort" ? HF_HANG_ABORT : HF_HANG_REPORT, &err);
  if (code < 0) Throw(info.Env(), code, err);
  return info.Env().Undefined();
}

Napi::Value ClaimHeartbeat(const Napi::CallbackInfo &info) {
  hf_err err = {};
  int code = 0;
  hf_self *self = AttachQuietly(&err, &code);
  int64_t period_ns = self != nullptr ? hf_heartbeat_claim(self, &err) : code;
  if (period_ns < 0) {
    Throw(info.Env(), static_cast<int>(period_ns), err);
    return Napi::Value();
  }
  return Napi::Number::New(info.Env(), Milliseconds(static_cast<uint64_t>(period_ns)));
}

Napi::Value HasStacks(const Napi::CallbackInfo &info) { return Napi::Boolean::New(info.Env(), CanCaptureStacks()); }

} // namespace

void AddHearts(Napi::Env env, Napi::Object exports) {
  auto *here = new Environment;
  env.SetInstanceData(here);
  napi_add_env_cleanup_hook(env, [](void *ending) { static_cast<Environment *>(ending)->holder.End(); }, here);
  hf_stack_hook_set(CaptureCell);
  Napi::Object hearts = Napi::Object::New(env);
  hearts.Set("memory", Napi::Function::New<Memory>(env, "memory"));
  hearts.Set("offset", Napi::Function::New<Offset>(env, "offset"));
  hearts.Set("announce", Napi::Function::New<Announce>(env, "announce"));
  hearts.Set("claim", Napi::Function::New<Claim>(env, "claim"));
  hearts.Set("drop", Napi::Function::New<Drop>(env, "drop"));
  hearts.Set("register", Napi::Function::New<Register>(env, "register"));
  hearts.Set("deregister", Napi::Function::New<Deregister>(env, "deregister"));
  hearts.Set("busy", Napi::Function::New<Busy>(env, "busy"));
  hearts.Set("note", Napi::Function::New<Note>(env, "note"));
  hearts.Set("captureAlso", Napi::Function::New<CaptureAlso>(env, "captureAlso"));
  hearts.Set("beatFromLoop", Napi::Function::New<BeatFromLoop>(env, "beatFromLoop"));
  hearts.Set("judgeHere", Napi::Function::New<JudgeHere>(env, "judgeHere"));
  hearts.Set("claimHeartbeat", Napi::Function::New<ClaimHeartbeat>(env, "claimHeartbeat"));
  hearts.Set("canCaptureStacks", Napi::Function::New<HasStacks>(env, "canCaptureStacks"));
  exports.Set("hearts", hearts);
}

} // namespace glue
