// SPDX-License-Identifier: MIT
// Order of death. uv_close is asynchronous: the handle's memory must outlive it, and the loop must turn once more. So each
// timer has an asynchronous cleanup hook of its own: Node runs the loop until the hook is removed, which the close callback
// does. Whoever comes first, StopLoopBeat or the end of the environment, closes; the close callback frees.
#include "loop.h"

#include <cstdlib>

#include "convert.h"
#include "uv.h"

namespace glue {

class LoopBeat {
public:
  static LoopBeat *Start(Napi::Env env, void *base, size_t offset, uint64_t every_ms);
  void Change(uint64_t every_ms) { uv_timer_start(timer_, OnTimer, every_ms, every_ms); }
  void Stop() {
    if (is_closing_) return;
    is_closing_ = true;
    uv_timer_stop(timer_);
    uv_close(handle(), OnClosed);
  }

private:
  static void OnTimer(uv_timer_t *timer) {
    auto *beat = static_cast<LoopBeat *>(uv_handle_get_data(reinterpret_cast<uv_handle_t *>(timer)));
    hf_cell_beat(beat->base_, beat->offset_);
  }
  static void OnEnd(napi_async_cleanup_hook_handle, void *beat) { static_cast<LoopBeat *>(beat)->Stop(); }
  static void OnClosed(uv_handle_t *handle) {
    auto *beat = static_cast<LoopBeat *>(uv_handle_get_data(handle));
    napi_remove_async_cleanup_hook(beat->hook_);
    std::free(beat->timer_);
    delete beat;
  }
  uv_handle_t *handle() { return reinterpret_cast<uv_handle_t *>(timer_); }

  void *base_ = nullptr;
  size_t offset_ = 0;
  uv_timer_t *timer_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool is_closing_ = false;
};

static LoopBeat *Fail(Napi::Env env, uv_timer_t *timer, LoopBeat *beat) {
  std::free(timer);
  delete beat;
  hf_err err = {};
  err.code = HF_ENOMEM;
  std::snprintf(err.text, sizeof err.text, "no timer can be made on this event loop");
  Throw(env, HF_ENOMEM, err);
  return nullptr;
}

LoopBeat *LoopBeat::Start(Napi::Env env, void *base, size_t offset, uint64_t every_ms) {
  auto *beat = new LoopBeat;
  auto *timer = static_cast<uv_timer_t *>(std::malloc(uv_handle_size(HF_UV_TIMER)));
  uv_loop_t *loop = nullptr;
  if (timer == nullptr || napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_add_async_cleanup_hook(env, OnEnd, beat, &beat->hook_) != napi_ok)
    return Fail(env, timer, beat);
  beat->base_ = base;
  beat->offset_ = offset;
  beat->timer_ = timer;
  uv_timer_init(loop, timer); // can't fail
  uv_handle_set_data(beat->handle(), beat);
  uv_unref(beat->handle());
  beat->Change(every_ms);
  return beat;
}

LoopBeat *StartLoopBeat(Napi::Env env, void *base, size_t offset, uint64_t every_ms) {
  return LoopBeat::Start(env, base, offset, every_ms);
}

void ChangeLoopBeat(LoopBeat *beat, uint64_t every_ms) { beat->Change(every_ms); }

void StopLoopBeat(LoopBeat *beat) { beat->Stop(); }

} // namespace glue
