// SPDX-License-Identifier: MIT
// Unpacks a definition. Whether its values make sense is C's to say (hf_operator_define).
#include "spec.h"

#include <cstdio>
#include <cstring>

namespace glue {

namespace {

struct Choice {
  const char *name;
  uint8_t value;
};

constexpr Choice kStart[] = {{"auto", HF_START_AUTO}, {"on-demand", HF_START_ON_DEMAND}};
constexpr Choice kReady[] = {{"auto", HF_READY_AUTO}, {"call", HF_READY_CALL}, {"alive", HF_READY_ALIVE}};
constexpr Choice kStopped[] = {{"wait", HF_STOPPED_WAIT}, {"fail", HF_STOPPED_FAIL}};
constexpr Choice kRestart[] = {
    {"always", HF_RESTART_ALWAYS}, {"on-failure", HF_RESTART_ON_FAILURE}, {"never", HF_RESTART_NEVER}};

template <size_t count> uint8_t Choose(Reader &read, Napi::Object object, const char *key, const Choice (&choices)[count]) {
  std::string name = read.String(read.Get(object, key), key);
  for (const Choice &choice : choices)
    if (name == choice.name) return choice.value;
  read.Fail(key, "one of its documented words");
  return 0;
}

template <size_t size> void CopyName(Reader &read, const std::string &name, const char *what, char (&out)[size]) {
  // Longer than the field would be cut to another name: refused here, where it is still whole.
  if (name.size() >= size) read.Fail(what, "shorter than 32 characters");
  std::snprintf(out, size, "%s", name.c_str());
}

constexpr double kMax32 = 4294967295.0;

uint32_t Unsigned(Reader &read, Napi::Object object, const char *key, double max = kMax32) {
  return static_cast<uint32_t>(read.Number(read.Get(object, key), key, 0, max));
}

uint64_t Limit(Reader &read, Napi::Object object, const char *key) {
  double value = read.Number(read.Get(object, key), key, 0, INFINITY);
  return value >= 18446744073709551615.0 ? UINT64_MAX : static_cast<uint64_t>(value);
}

} // namespace

void Spec::ReadChoices(Reader &read, Napi::Object object) {
  CopyName(read, read.String(read.Get(object, "name"), "name"), "name", spec_.name);
  spec_.start = Choose(read, object, "start", kStart);
  spec_.ready = Choose(read, object, "ready", kReady);
  spec_.restart = Choose(read, object, "restart", kRestart);
  spec_.stopped = Choose(read, object, "stopped", kStopped);
  spec_.enabled = read.Boolean(read.Get(object, "enabled"), "enabled");
  spec_.stop_signal = static_cast<int32_t>(Unsigned(read, object, "stopSignal", 1024));
}

void Spec::ReadTimes(Reader &read, Napi::Object object) {
  spec_.stop_timeout_ns = read.Nanoseconds(read.Get(object, "stopTimeoutMs"), "stopTimeoutMs");
  spec_.start_timeout_ns = read.Nanoseconds(read.Get(object, "startTimeoutMs"), "startTimeoutMs");
  spec_.alive_for_ns = read.Nanoseconds(read.Get(object, "aliveForMs"), "aliveForMs");
  spec_.heartbeat_ns = read.Nanoseconds(read.Get(object, "heartbeatMs"), "heartbeatMs");
  Napi::Object backoff = read.Object(read.Get(object, "backoff"), "backoff");
  spec_.backoff_first_ns = read.Nanoseconds(read.Get(backoff, "firstMs"), "backoff.firstMs");
  spec_.backoff_from_ns = read.Nanoseconds(read.Get(backoff, "fromMs"), "backoff.fromMs");
  spec_.backoff_max_ns = read.Nanoseconds(read.Get(backoff, "maxMs"), "backoff.maxMs");
  spec_.backoff_reset_after_ns = read.Nanoseconds(read.Get(backoff, "resetAfterMs"), "backoff.resetAfterMs");
  spec_.backoff_factor = read.Number(read.Get(backoff, "factor"), "backoff.factor", 0, INFINITY);
  spec_.backoff_jitter = read.Number(read.Get(backoff, "jitter"), "backoff.jitter", 0, INFINITY);
  Napi::Value limit = read.Get(object, "limit");
  if (!read.ok() || limit.IsNull()) return;
  Napi::Object window = read.Object(limit, "limit");
  spec_.limit_count = Unsigned(read, window, "count");
  spec_.limit_within_ns = read.Nanoseconds(read.Get(window, "withinMs"), "limit.withinMs");
}

void Spec::ReadUser(Reader &read, Napi::Object object) {
  Napi::Value umask = read.Get(object, "umask"), nice = read.Get(object, "nice"), user = read.Get(object, "user");
  if (!read.ok()) return;
  if (!umask.IsNull()) {
    spec_.has_umask = 1;
    spec_.umask = static_cast<uint32_t>(read.Number(umask, "umask", 0, 07777));
  }
  if (!nice.IsNull()) {
    spec_.has_nice = 1;
    spec_.nice = static_cast<int32_t>(read.Number(nice, "nice", -20, 19));
  }
  if (user.IsNull()) return;
  Napi::Object who = read.Object(user, "user");
  spec_.has_user = 1;
  spec_.uid = Unsigned(read, who, "uid");
  spec_.gid = Unsigned(read, who, "gid");
  Napi::Array groups = read.Array(read.Get(who, "groups"), "user.groups");
  if (!read.ok()) return;
  if (groups.Length() > HF_GROUPS_MAX) return read.Fail("user.groups", "a list of at most 64 groups");
  spec_.group_count = groups.Length();
  for (uint32_t i = 0; i < spec_.group_count; i++)
    spec_.groups[i] = static_cast<gid_t>(read.Number(groups.Get(i), "user.groups", 0, kMax32));
}

void Spec::ReadResources(Reader &read, Napi::Object object) {
  Napi::Array limits = read.Array(read.Get(object, "limits"), "limits");
  if (!read.ok()) return;
  if (limits.Length() > HF_LIMITS_MAX) return read.Fail("limits", "a list of at most 16 limits");
  spec_.limit_resource_count = limits.Length();
  for (uint32_t i = 0; i < spec_.limit_resource_count && read.ok(); i++) {
    Napi::Object limit = read.Object(limits.Get(i), "limits");
    spec_.limits[i].resource = Unsigned(read, limit, "resource");
    spec_.limits[i].soft = Limit(read, limit, "soft");
    spec_.limits[i].hard = Limit(read, limit, "hard");
  }
}

void Spec::ReadLists(Reader &read, Napi::Object object) {
  Napi::Object log = read.Object(read.Get(object, "log"), "log");
  log_file_ = read.String(read.Get(log, "file"), "log.file");
  spec_.log_max_bytes = Limit(read, log, "maxBytes");
  spec_.log_keep = Unsigned(read, log, "keep");
  cwd_ = read.String(read.Get(object, "cwd"), "cwd");
  argv_ = read.Strings(read.Get(object, "argv"), "argv");
  env_ = read.Strings(read.Get(object, "env"), "env");
  std::vector<std::string> depends = read.Strings(read.Get(object, "dependsOn"), "dependsOn");
  if (depends.size() > HF_DEPENDS_MAX) return read.Fail("dependsOn", "a list of at most 64 names");
  spec_.depends_count = static_cast<uint32_t>(depends.size());
  for (size_t i = 0; i < depends.size(); i++) CopyName(read, depends[i], "dependsOn", spec_.depends[i]);
}

bool Spec::Read(Napi::Env env, Napi::Value value) {
  Reader read(env);
  hf_spec_init(&spec_);
  Napi::Object object = read.Object(value, "spec");
  ReadChoices(read, object);
  ReadTimes(read, object);
  ReadUser(read, object);
  ReadResources(read, object);
  ReadLists(read, object);
  if (!read.ok()) return false;
  argv_pointers_ = Pointers(argv_);
  env_pointers_ = Pointers(env_);
  spec_.log_file = log_file_.c_str();
  spec_.cwd = cwd_.c_str();
  spec_.argv = argv_pointers_.data();
  spec_.env = env_pointers_.data();
  return true;
}

} // namespace glue
