// SPDX-License-Identifier: MIT
// Wraps what C reads. Sequences and counters are numbers: exact up to 2^53.
#include "wrap.h"

namespace glue {

static double Count(uint64_t value) { return static_cast<double>(value); }
static bool Flag(uint8_t value) { return value != 0; }

static Napi::Object WrapFailure(Napi::Env env, const hf_failure &failure) {
  char text[256], brief[256];
  hf_failure_text(&failure, text, sizeof text);
  hf_failure_brief(&failure, brief, sizeof brief);
  Napi::Object object = Napi::Object::New(env);
  object.Set("cause", failure.cause);
  object.Set("phase", failure.phase);
  object.Set("signal", failure.signal);
  object.Set("exitCode", failure.exit_code);
  object.Set("errno", failure.errnum);
  object.Set("incarnation", failure.incarnation);
  object.Set("atMs", static_cast<double>(failure.at_real_ns) / 1e6);
  object.Set("ranMs", Milliseconds(failure.ran_ns));
  object.Set("pid", failure.pid);
  object.Set("tid", failure.tid);
  object.Set("grace", static_cast<uint32_t>(failure.grace));
  object.Set("periodMs", Milliseconds(failure.period_ns));
  object.Set("silentMs", Milliseconds(failure.silent_ns));
  object.Set("latenessMs", Milliseconds(failure.lateness_ns));
  object.Set("thread", failure.thread);
  object.Set("where", failure.where);
  object.Set("hasReport", Flag(failure.has_report));
  object.Set("text", text);
  object.Set("brief", brief);
  return object;
}

Napi::Object Wrap(Napi::Env env, const hf_instance_status &status) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("instance", status.instance);
  object.Set("dir", status.dir);
  object.Set("managerPid", status.manager_pid);
  object.Set("guardianPid", status.guardian_pid);
  object.Set("managerStartedMs", Milliseconds(status.manager_started_mono_ns));
  object.Set("managerRestarts", status.manager_restarts);
  object.Set("shuttingDown", Flag(status.shutting_down));
  object.Set("nowMs", Milliseconds(status.now_mono_ns));
  object.Set("specsWanted", Count(status.specs_wanted));
  object.Set("specsDone", Count(status.specs_done));
  object.Set("eventFirst", Count(status.event_first));
  object.Set("eventNext", Count(status.event_next));
  return object;
}

Napi::Object Wrap(Napi::Env env, const hf_process_status &status) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", status.name);
  object.Set("index", status.index);
  object.Set("state", status.state);
  object.Set("wantedRun", Napi::Boolean::New(env, status.wanted == HF_WANTED_RUN));
  object.Set("enabled", Flag(status.enabled));
  object.Set("limited", Flag(status.limited));
  object.Set("stale", Flag(status.stale));
  object.Set("stopping", Flag(status.stopping));
  object.Set("onDemand", Flag(status.on_demand));
  object.Set("pid", status.pid);
  object.Set("incarnation", status.incarnation);
  object.Set("restarts", status.restarts);
  object.Set("startedMs", Milliseconds(status.started_mono_ns));
  object.Set("readyMs", Milliseconds(status.ready_mono_ns));
  object.Set("nextStartMs", Milliseconds(status.next_start_mono_ns));
  object.Set("requestDone", Count(status.request_done));
  object.Set("settledIncarnation", Count(status.settled_incarnation));
  object.Set("droppedBytes", Count(status.dropped_bytes));
  object.Set("waitingFor", status.waiting_for);
  uint32_t count = status.failure_count < HF_FAILURES_KEPT ? status.failure_count : HF_FAILURES_KEPT;
  Napi::Array failures = Napi::Array::New(env, count);
  for (uint32_t i = 0; i < count; i++) failures.Set(i, WrapFailure(env, status.failures[i]));
  object.Set("failures", failures);
  object.Set("memoryBytes", Count(status.memory_bytes));
  object.Set("cpuMs", Milliseconds(status.cpu_ns));
  object.Set("statusText", status.status_text);
  return object;
}

Napi::Object Wrap(Napi::Env env, const hf_thread_status &thread) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", thread.name);
  object.Set("pid", thread.pid);
  object.Set("tid", thread.tid);
  object.Set("periodMs", Milliseconds(thread.period_ns));
  object.Set("silentMs", Milliseconds(thread.silent_ns));
  object.Set("grace", thread.grace);
  object.Set("flags", thread.flags);
  object.Set("note", thread.note);
  return object;
}

Napi::Object Wrap(Napi::Env env, const hf_event &event) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("sequence", Count(event.sequence));
  object.Set("atMs", static_cast<double>(event.at_real_ns) / 1e6);
  object.Set("name", event.name);
  object.Set("incarnation", event.incarnation);
  object.Set("pid", event.pid);
  object.Set("type", event.type);
  object.Set("from", event.from);
  object.Set("to", event.to);
  object.Set("cause", event.cause);
  object.Set("signal", event.signal);
  object.Set("exitCode", event.exit_code);
  object.Set("errno", event.errnum);
  object.Set("detail", event.detail);
  return object;
}

} // namespace glue
