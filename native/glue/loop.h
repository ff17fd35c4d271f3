// SPDX-License-Identifier: MIT
// The heartbeat of an event loop: a timer of libuv on it, which beats without any JavaScript and keeps nothing alive.
#ifndef HF_GLUE_LOOP_H
#define HF_GLUE_LOOP_H

#include <napi.h>

#include <cstddef>
#include <cstdint>

namespace glue {

class LoopBeat;

// Beats into the cell at base + offset, on the loop of `env`, until StopLoopBeat or the end of the environment. NULL, with
// an exception pending, where that can't be. On the loop's thread.
LoopBeat *StartLoopBeat(Napi::Env env, void *base, size_t offset, uint64_t every_ms);
void ChangeLoopBeat(LoopBeat *beat, uint64_t every_ms);
// Once. The pointer is not valid from then on.
void StopLoopBeat(LoopBeat *beat);

} // namespace glue

#endif
