// SPDX-License-Identifier: MIT
// The addon: puts the doors together. It runs once in every environment (the main thread and each Worker that loads it).
#include <napi.h>

#include "doors.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("constants", glue::Constants(env));
  glue::AddHearts(env, exports);
  glue::AddOperator(env, exports);
  glue::AddSelf(env, exports);
  glue::AddSystem(env, exports);
  return exports;
}

NODE_API_MODULE(holdfast, Init)
