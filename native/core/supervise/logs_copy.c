// SPDX-License-Identifier: MIT
// The copy of all output on stdout, line by line, each with the name of its process in front. Only the writer thread is
// here; a full pipe may hold it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervise/logs_inside.h"

void hf__logs_copy_stop(hf_logs *logs) {
  free(logs->out);
  logs->out = NULL;
  logs->out_size = 0;
}

static bool abandoned(hf_logs *logs) {
  pthread_mutex_lock(&logs->lock);
  bool result = logs->abandoned;
  pthread_mutex_unlock(&logs->lock);
  return result;
}

// Stdout may have been made non-blocking by a process that shares its description. False where waiting makes no sense.
static bool await_writable(hf_logs *logs) {
  int epoll = hf_k_epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return false;
  struct epoll_event event = {.events = EPOLLOUT};
  bool good = hf_k_epoll_ctl(epoll, EPOLL_CTL_ADD, STDOUT_FILENO, &event) == 0;
  // In slices, so that destroy can end a thread that waits here.
  while (good && hf_k_epoll_wait(epoll, &event, 1, 100) <= 0) good = !abandoned(logs);
  hf_k_close(epoll);
  return good;
}

void hf__logs_copy_flush(hf_logs *logs) {
  if (logs->out == NULL) return;
  size_t done = 0;
  while (done < logs->out_size) {
    ssize_t put = hf_k_write(STDOUT_FILENO, logs->out + done, logs->out_size - done);
    if (put > 0) done += (size_t)put;
    else if (put < 0 && errno == EINTR) continue;
    else if (put < 0 && errno == EAGAIN && await_writable(logs)) continue;
    else if (put < 0 && (errno == EPIPE || errno == EBADF || errno == EIO)) {
      hf__logs_copy_stop(logs); // nobody will read it any more
      return;
    } else break;
  }
  logs->out_size = 0;
}

static void put(hf_logs *logs, const char *bytes, size_t size) {
  while (size > 0 && logs->out != NULL) {
    if (logs->out_size == HF__LOG_COPY) hf__logs_copy_flush(logs);
    if (logs->out == NULL) return;
    size_t space = HF__LOG_COPY - logs->out_size, part = size < space ? size : space;
    memcpy(logs->out + logs->out_size, bytes, part);
    logs->out_size += part;
    bytes += part;
    size -= part;
  }
}

// A line is one piece in the buffer, so that one write has it whole.
static void put_line(hf_logs *logs, const char *prefix, const char *line, size_t size) {
  size_t prefix_size = strnlen(prefix, sizeof((hf_log_target *)0)->prefix);
  if (prefix_size + 3 + size + 1 > HF__LOG_COPY - logs->out_size) hf__logs_copy_flush(logs);
  put(logs, prefix, prefix_size);
  put(logs, " | ", 3);
  put(logs, line, size);
  put(logs, "\n", 1);
}

static void put_held(hf_logs *logs, hf__log_source *source) {
  put_line(logs, source->key->file.target.prefix, source->held, source->held_size);
  free(source->held);
  source->held = NULL;
  source->held_size = 0;
}

static bool hold(hf__log_source *source, const char *bytes, size_t size) {
  if (size == 0) return true;
  char *grown = realloc(source->held, source->held_size + size);
  if (grown == NULL) return false;
  memcpy(grown + source->held_size, bytes, size);
  source->held = grown;
  source->held_size += (uint32_t)size;
  return true;
}

void hf__logs_copy(hf_logs *logs, hf__log_source *source, const char *bytes, size_t size) {
  if (logs->out == NULL) return;
  const char *prefix = source->key->file.target.prefix;
  if (prefix[0] == 0) {
    put(logs, bytes, size);
    return;
  }
  while (size > 0) {
    const char *end = memchr(bytes, '\n', size);
    size_t part = end != NULL ? (size_t)(end - bytes) : size, space = HF__LOG_HELD - source->held_size;
    bool over = part > space;
    bool whole = over || end != NULL;
    if (over) part = space;
    if (whole && source->held_size == 0) put_line(logs, prefix, bytes, part);
    else if (!hold(source, bytes, part)) put_line(logs, prefix, bytes, part);
    else if (whole) put_held(logs, source);
    size_t used = part + (whole && !over ? 1 : 0);
    bytes += used;
    size -= used;
  }
}

void hf__logs_copy_end(hf_logs *logs, hf__log_source *source) {
  if (logs->out != NULL && source->held_size > 0) put_held(logs, source);
  free(source->held);
  source->held = NULL;
  source->held_size = 0;
}
