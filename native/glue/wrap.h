// SPDX-License-Identifier: MIT
// What C reads, as the objects of lib/native.ts: NativeInstance, NativeProcess, NativeThread, NativeEvent.
#ifndef HF_GLUE_WRAP_H
#define HF_GLUE_WRAP_H

#include "convert.h"

namespace glue {

Napi::Object Wrap(Napi::Env env, const hf_instance_status &status);
Napi::Object Wrap(Napi::Env env, const hf_process_status &status);
Napi::Object Wrap(Napi::Env env, const hf_thread_status &thread);
Napi::Object Wrap(Napi::Env env, const hf_event &event);

} // namespace glue

#endif
