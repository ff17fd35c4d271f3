// SPDX-License-Identifier: MIT
// The output of supervised processes, from their FIFOs into rotated files.
//
//   child --> FIFO --> drainer thread --> queue of the key --> writer thread --> path, path.1 … path.keep
//                      (never a disk)     (bounded pool)       (may block)   \-> stdout, line by line
//
//   who           writes                                          reads
//   any caller    keys, sources, finished, own lines: lock        dropped: lock
//   drainer       queues, lost, dropping: lock; pending, scratch  FIFOs, room in the pool
//   writer        files, unsaid, held lines, stdout: its own;     queues: takes a whole queue at a time
//                 chunks given back: lock
//
// One lock guards the queues and the pool; it is held for copies and pointers, and no call that may block is made under it
// (only epoll_ctl and the mmap of a chunk are). The pool is 1 MiB in chunks of 512 bytes to 8 KiB, made when needed and
// given back when the writer has nothing to do. A key holds a quarter at most; half of the pool is kept for the first KiB of
// every key, whatever the others do.
//
// Order: within a key the bytes of a source, its end, and a change of target are items of one queue, so the file has them in
// the order in which they were read. Between keys the writer goes round. An item carries how many bytes were dropped just
// before it, so the line that says so stands where they are missing.
//
// A drop: a full share (see logs_drain.c) or a disk that refuses (one try for each batch, again with the next). Both are
// counted in key.dropped at once, and said in the file as soon as a write succeeds.
//
// What a crash leaves: what was in the FIFO stays there for the next manager; what was in the pool (1 MiB at most) is lost;
// the file ends where the last write ended, maybe within a line, and the next manager appends to it. Nothing is synced: a
// crash of the machine loses what the kernel had not written back.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervise/logs_inside.h"

#define FINISH_PATIENCE_NS 2000000000u // the last words of a process wait so long for room in the pool

// 128 KiB: half of it is too little under the sanitizers.
static int start_threads(hf_logs *logs, hf_err *err) {
  enum { STACK = 128 * 1024 };
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); // inherited: signals are for the threads of the embedder
  int result = 0;
  if (hf_k_thread_create(&logs->writer, hf__logs_write, logs, STACK) != 0) {
    result = hf_fail_sys(err, "thread", "can't start the thread that writes logs");
  } else if (hf_k_thread_create(&logs->drainer, hf__logs_drain, logs, STACK) != 0) {
    result = hf_fail_sys(err, "thread", "can't start the thread that reads output");
    pthread_mutex_lock(&logs->lock);
    logs->write_stop = true;
    pthread_cond_signal(&logs->work);
    pthread_mutex_unlock(&logs->lock);
    pthread_join(logs->writer, NULL);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return result;
}

static int open_epoll(hf_logs *logs, hf_err *err) {
  logs->epoll = hf_k_epoll_create1(EPOLL_CLOEXEC);
  if (logs->epoll < 0) return hf_fail_sys(err, "epoll_create1", "can't watch the output of processes");
  logs->bell = hf_k_eventfd();
  if (logs->bell < 0) return hf_fail_sys(err, "eventfd", "can't watch the output of processes");
  struct epoll_event event = {.events = EPOLLONESHOT, .data.ptr = NULL};
  if (hf_k_epoll_ctl(logs->epoll, EPOLL_CTL_ADD, logs->bell, &event) != 0)
    return hf_fail_sys(err, "epoll_ctl", "can't watch the output of processes");
  return 0;
}

static void init_locks(hf_logs *logs) {
  pthread_mutex_init(&logs->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&logs->work, &attributes);
  pthread_cond_init(&logs->room, &attributes);
  pthread_cond_init(&logs->ended, &attributes);
  pthread_condattr_destroy(&attributes);
}

int hf_logs_create(hf_logs **out, bool copy_to_stdout, hf_err *err) {
  hf_logs *logs = calloc(1, sizeof *logs);
  if (logs == NULL) return hf_fail(err, HF_ENOMEM, "no memory for logs");
  init_locks(logs);
  logs->epoll = logs->bell = -1;
  logs->ready_last = &logs->ready;
  logs->scratch = malloc(HF__LOG_READ);
  if (copy_to_stdout) logs->out = malloc(HF__LOG_COPY);
  int result = 0;
  if (logs->scratch == NULL || (copy_to_stdout && logs->out == NULL)) result = hf_fail(err, HF_ENOMEM, "no memory for logs");
  if (result == 0) result = open_epoll(logs, err);
  if (result == 0) result = start_threads(logs, err);
  if (result == 0) *out = logs;
  else hf__logs_free(logs);
  return result;
}

void hf__logs_free(hf_logs *logs) {
  for (uint32_t i = 0; i < HF__LOG_KEYS; i++) {
    if (logs->keys[i] == NULL) continue;
    hf_logfile_close(&logs->keys[i]->file);
    free(logs->keys[i]);
  }
  hf__logs_unmap(logs->spare);
  if (logs->bell >= 0) hf_k_close(logs->bell);
  if (logs->epoll >= 0) hf_k_close(logs->epoll);
  pthread_cond_destroy(&logs->work);
  pthread_cond_destroy(&logs->room);
  pthread_cond_destroy(&logs->ended);
  pthread_mutex_destroy(&logs->lock);
  free(logs->scratch);
  free(logs->out);
  free(logs);
}

// Closes what was not finished, without reading on: the next manager does.
static void end_sources(hf_logs *logs) {
  while (logs->sources != NULL) {
    hf__log_source *source = logs->sources;
    logs->sources = source->next;
    if (source->fd >= 0) hf_k_close(source->fd);
    hf__logs_queue(logs, source->key, &source->end);
  }
}

void hf_logs_destroy(hf_logs *logs, uint64_t wait_ns) {
  if (logs == NULL) return;
  uint64_t now = hf_now_mono_ns(), deadline = wait_ns < UINT64_MAX / 4 ? now + wait_ns : UINT64_MAX / 4;
  pthread_mutex_lock(&logs->lock);
  logs->deadline_ns = deadline;
  logs->drain_stop = true;
  pthread_mutex_unlock(&logs->lock);
  hf__logs_wake_drainer(logs);
  pthread_join(logs->drainer, NULL);

  struct timespec when = {(time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u)};
  pthread_mutex_lock(&logs->lock);
  end_sources(logs);
  logs->write_stop = true;
  pthread_cond_signal(&logs->work);
  while (!logs->written && pthread_cond_timedwait(&logs->ended, &logs->lock, &when) == 0) {
  }
  bool written = logs->written;
  pthread_t writer = logs->writer;
  if (!written) {
    // From the unlock on all belongs to the writer.
    logs->abandoned = true;
    pthread_detach(writer);
  }
  pthread_mutex_unlock(&logs->lock);
  if (!written) return;
  pthread_join(writer, NULL);
  hf__logs_free(logs);
}

static int check_target(uint32_t key, const hf_log_target *target, hf_err *err) {
  if (key >= HF__LOG_KEYS) return hf_fail(err, HF_EINVAL, "log key %u is too large: use one below %d", key, HF__LOG_KEYS);
  if (memchr(target->path, 0, sizeof target->path) == NULL || (target->path[0] != 0 && target->path[0] != '/'))
    return hf_fail(err, HF_EINVAL, "the path of a log file must be absolute and shorter than %zu bytes: %.80s",
                   sizeof target->path, target->path);
  return 0;
}

static hf__log_retarget *new_retarget(const hf_log_target *target) {
  hf__log_retarget *change = calloc(1, sizeof *change);
  if (change == NULL) return NULL;
  change->item.kind = HF__LOG_TARGET;
  change->target = *target;
  return change;
}

static hf__log_key *find_or_make_key(hf_logs *logs, uint32_t number) {
  hf__log_key *key = logs->keys[number];
  if (key != NULL) return key;
  key = calloc(1, sizeof *key);
  if (key == NULL) return NULL;
  hf_logfile_init(&key->file);
  logs->keys[number] = key;
  return key;
}

// With the lock held. Takes both over on success only.
static int enter(hf_logs *logs, uint32_t number, hf__log_source *source, hf__log_retarget *change, hf_err *err) {
  if (source->fd >= 0 && logs->source_count >= HF__LOG_SOURCES)
    return hf_fail(err, HF_EFULL, "more than %d outputs are open: finish some first", HF__LOG_SOURCES);
  hf__log_key *key = find_or_make_key(logs, number);
  if (key == NULL) return hf_fail(err, HF_ENOMEM, "no memory for logs");
  source->key = key;
  if (source->fd >= 0) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (hf_k_epoll_ctl(logs->epoll, EPOLL_CTL_ADD, source->fd, &event) != 0)
      return hf_fail_sys(err, "epoll_ctl", "can't watch the output of a process");
    logs->source_count++;
  } else {
    key->own = source;
  }
  source->next = logs->sources;
  logs->sources = source;
  key->sources++;
  hf__logs_queue(logs, key, &change->item);
  return 0;
}

static int add(hf_logs *logs, uint32_t key, int fd, const hf_log_target *target, hf_err *err) {
  int result = check_target(key, target, err);
  if (result != 0) return result;
  hf__log_source *source = calloc(1, sizeof *source);
  hf__log_retarget *change = new_retarget(target);
  if (source == NULL || change == NULL) {
    result = hf_fail(err, HF_ENOMEM, "no memory for logs");
  } else {
    source->fd = fd;
    source->end.kind = HF__LOG_END;
    source->end.source = source;
    pthread_mutex_lock(&logs->lock);
    result = enter(logs, key, source, change, err);
    pthread_mutex_unlock(&logs->lock);
  }
  if (result == 0) return 0;
  free(source);
  free(change);
  return result;
}

int hf_logs_add(hf_logs *logs, uint32_t key, int fd, const hf_log_target *target, hf_err *err) {
  if (fd < 0) return hf_fail(err, HF_EINVAL, "the descriptor of an output is %d: open it first", fd);
  return add(logs, key, fd, target, err);
}

void hf_logs_finish(hf_logs *logs, int fd) {
  if (fd < 0) return;
  bool found = false;
  pthread_mutex_lock(&logs->lock);
  for (hf__log_source *source = logs->sources; source != NULL; source = source->next) {
    if (source->fd != fd || source->finished) continue;
    source->finished = found = true;
    source->give_up_ns = hf_now_mono_ns() + FINISH_PATIENCE_NS;
    source->next_over = logs->finished;
    logs->finished = source;
    break;
  }
  pthread_mutex_unlock(&logs->lock);
  if (found) hf__logs_wake_drainer(logs);
}

void hf_logs_retarget(hf_logs *logs, uint32_t key, const hf_log_target *target) {
  if (check_target(key, target, NULL) != 0) return;
  hf__log_retarget *change = new_retarget(target);
  pthread_mutex_lock(&logs->lock);
  bool known = change != NULL && logs->keys[key] != NULL;
  if (known) hf__logs_queue(logs, logs->keys[key], &change->item);
  pthread_mutex_unlock(&logs->lock);
  if (!known) free(change);
}

int hf_logs_open_own(hf_logs *logs, uint32_t key, const hf_log_target *target, hf_err *err) {
  int result = check_target(key, target, err);
  if (result != 0) return result;
  pthread_mutex_lock(&logs->lock);
  bool open = logs->keys[key] != NULL && logs->keys[key]->own != NULL;
  pthread_mutex_unlock(&logs->lock);
  if (!open) return add(logs, key, -1, target, err);
  hf_logs_retarget(logs, key, target);
  return 0;
}

void hf_logs_line(hf_logs *logs, uint32_t key, const char *line) {
  if (key >= HF__LOG_KEYS) return;
  size_t size = strlen(line);
  pthread_mutex_lock(&logs->lock);
  hf__log_key *to = logs->keys[key];
  if (to != NULL && to->own != NULL) {
    size_t done = hf__logs_append(logs, to->own, line, size, false);
    if (done == size) done += hf__logs_append(logs, to->own, "\n", 1, false);
    if (done < size + 1) hf__logs_lose(logs, to, size + 1 - done);
  }
  pthread_mutex_unlock(&logs->lock);
}

uint64_t hf_logs_dropped(hf_logs *logs, uint32_t key) {
  if (key >= HF__LOG_KEYS) return 0;
  pthread_mutex_lock(&logs->lock);
  uint64_t dropped = logs->keys[key] != NULL ? logs->keys[key]->dropped : 0;
  pthread_mutex_unlock(&logs->lock);
  return dropped;
}

void hf_logs_on_drop(hf_logs *logs, void (*ring)(void *context), void *context) {
  pthread_mutex_lock(&logs->lock);
  logs->ring = ring;
  logs->ring_context = context;
  pthread_mutex_unlock(&logs->lock);
}
