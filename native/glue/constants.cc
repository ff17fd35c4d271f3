// SPDX-License-Identifier: MIT
// Numbers that cross once.
#include <sys/resource.h>

#include "convert.h"
#include "doors.h"

namespace glue {

static Napi::Array Names(Napi::Env env, const char *(*name)(unsigned), unsigned count) {
  Napi::Array names = Napi::Array::New(env, count);
  for (unsigned i = 0; i < count; i++) names.Set(i, name(i));
  return names;
}

static Napi::Object Resources(Napi::Env env) {
  static const struct {
    const char *name;
    int resource;
  } resources[] = {
      {"as", RLIMIT_AS},
      {"core", RLIMIT_CORE},
      {"cpu", RLIMIT_CPU},
      {"data", RLIMIT_DATA},
      {"fsize", RLIMIT_FSIZE},
      {"memlock", RLIMIT_MEMLOCK},
      {"msgqueue", RLIMIT_MSGQUEUE},
      {"nice", RLIMIT_NICE},
      {"nofile", RLIMIT_NOFILE},
      {"nproc", RLIMIT_NPROC},
      {"rss", RLIMIT_RSS},
      {"rtprio", RLIMIT_RTPRIO},
      {"rttime", RLIMIT_RTTIME},
      {"sigpending", RLIMIT_SIGPENDING},
      {"stack", RLIMIT_STACK},
  };
  Napi::Object object = Napi::Object::New(env);
  for (const auto &entry : resources) object.Set(entry.name, entry.resource);
  return object;
}

static Napi::Object ThreadFlags(Napi::Env env) {
  Napi::Object flags = Napi::Object::New(env);
  flags.Set("traced", static_cast<uint32_t>(HF_THREAD_TRACED));
  flags.Set("stopped", static_cast<uint32_t>(HF_THREAD_STOPPED));
  flags.Set("frozen", static_cast<uint32_t>(HF_THREAD_FROZEN));
  flags.Set("busy", static_cast<uint32_t>(HF_THREAD_BUSY));
  return flags;
}

Napi::Object Constants(Napi::Env env) {
  Napi::Object constants = Napi::Object::New(env);
  constants.Set("states", Names(env, hf_state_name, HF_STATE_COUNT));
  constants.Set("causes", Names(env, hf_cause_name, HF_CAUSE_COUNT));
  constants.Set("events", Names(env, hf_event_name, HF_EVENT_COUNT));
  constants.Set("nameSize", HF_NAME_SIZE);
  constants.Set("processMax", HF_PROCESS_MAX);
  constants.Set("dependsMax", HF_DEPENDS_MAX);
  constants.Set("limitCountMax", HF_LIMIT_COUNT_MAX);
  constants.Set("limitsMax", HF_LIMITS_MAX);
  constants.Set("dirBytesMax", HF_DIR_BYTES_MAX);
  constants.Set("cellMax", HF_CELL_MAX);
  constants.Set("threadFlags", ThreadFlags(env));
  constants.Set("resources", Resources(env));
  return constants;
}

} // namespace glue
