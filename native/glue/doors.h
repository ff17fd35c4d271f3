// SPDX-License-Identifier: MIT
// The doors of the addon: each adds its functions to `exports`, by the names of lib/native.ts, which says what they mean.
#ifndef HF_GLUE_DOORS_H
#define HF_GLUE_DOORS_H

#include <napi.h>

namespace glue {

Napi::Object Constants(Napi::Env env);
void AddHearts(Napi::Env env, Napi::Object exports);
void AddOperator(Napi::Env env, Napi::Object exports);
void AddSelf(Napi::Env env, Napi::Object exports);
void AddSystem(Napi::Env env, Napi::Object exports);

// exec of lib/native.ts.
Napi::Value Exec(const Napi::CallbackInfo &info);

} // namespace glue

#endif
