// SPDX-License-Identifier: MIT
// The little of libuv that the addon uses. Node exports it, and libuv keeps its ABI within version 1; but node-api-headers
// has no uv.h, and sizes of handles differ between versions, so that handles are opaque here and their memory is asked for
// by uv_handle_size.
#ifndef HF_GLUE_UV_H
#define HF_GLUE_UV_H

#include <cstddef>
#include <cstdint>

extern "C" {

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_timer_s uv_timer_t;
typedef void (*uv_timer_cb)(uv_timer_t *timer);
typedef void (*uv_close_cb)(uv_handle_t *handle);

enum { HF_UV_TIMER = 13 }; // UV_TIMER of uv_handle_type

int uv_backend_fd(const uv_loop_t *loop);
size_t uv_handle_size(int type);
int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer);
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout_ms, uint64_t repeat_ms);
int uv_timer_stop(uv_timer_t *timer);
void uv_unref(uv_handle_t *handle);
void uv_close(uv_handle_t *handle, uv_close_cb callback);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void *uv_handle_get_data(const uv_handle_t *handle);

} // extern "C"

#endif
