// SPDX-License-Identifier: MIT
// The drainer thread: reads the FIFOs into the pool. It never touches a disk.
//
// When a share of the pool is used up, it waits for the writer a moment: a disk that keeps up is then never the cause of a
// gap. If that was in vain the disk is slow, and what comes is read and dropped, so that the child goes on; and no key waits
// again for ten times as long. A finished source holds nobody up, so its last words stay in the FIFO until there is room.
#include <errno.h>
#include <fcntl.h>

#include "supervise/logs_inside.h"

enum {
  PATIENCE_NS = 20 * 1000000, // at most this long a child may find its FIFO full because of a disk
  IMPATIENCE_NS = 200 * 1000000,
  PENDING_POLL_MS = 10,
  EVENTS = 64
};

// An eventfd is always writable: asking for that once wakes the drainer, with no counter to write or to read. The few tries
// are for a call that a test lets fail.
void hf__logs_wake_drainer(hf_logs *logs) {
  struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = NULL};
  for (int tries = 0; tries < 8 && hf_k_epoll_ctl(logs->epoll, EPOLL_CTL_MOD, logs->bell, &event) != 0; tries++) {
  }
}

static void wait_for_writer(hf_logs *logs, hf__log_key *key) {
  uint64_t now = hf_now_mono_ns();
  if (now < logs->impatient_until_ns) return;
  uint64_t until = now + PATIENCE_NS;
  struct timespec when = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
  logs->waits = key;
  while (!hf__logs_roomy(logs, key) && pthread_cond_timedwait(&logs->room, &logs->lock, &when) == 0) {
  }
  logs->waits = NULL;
  if (!hf__logs_roomy(logs, key)) logs->impatient_until_ns = until + IMPATIENCE_NS;
}

// Bytes that may be read and kept. Else 0: read and drop; or -1: leave it in the FIFO for now.
static ssize_t await_room(hf_logs *logs, hf__log_source *source) {
  hf__log_key *key = source->key;
  pthread_mutex_lock(&logs->lock);
  size_t room = hf__logs_room(logs, source);
  if (room == 0 && (source->finished || !key->dropping)) {
    wait_for_writer(logs, key);
    if (!source->finished && !hf__logs_roomy(logs, key)) key->dropping = true;
    room = hf__logs_room(logs, source);
  }
  bool leave = room == 0 && source->finished;
  pthread_mutex_unlock(&logs->lock);
  return leave ? -1 : room < HF__LOG_READ ? (ssize_t)room : HF__LOG_READ;
}

static void keep(hf_logs *logs, hf__log_source *source, size_t size, bool any_room) {
  pthread_mutex_lock(&logs->lock);
  size_t kept = any_room ? hf__logs_append(logs, source, logs->scratch, size, true) : 0;
  if (kept < size) hf__logs_lose(logs, source->key, size - kept);
  hf__logs_ring(logs, source->key);
  pthread_mutex_unlock(&logs->lock);
}

static void watch(hf_logs *logs, hf__log_source *source, bool edge) {
  struct epoll_event event = {.events = EPOLLIN | (edge ? EPOLLET : 0), .data.ptr = source};
  if (hf_k_epoll_ctl(logs->epoll, EPOLL_CTL_MOD, source->fd, &event) == 0) source->edge = edge;
}

static void read_some(hf_logs *logs, hf__log_source *source) {
  ssize_t room = await_room(logs, source);
  if (room < 0) return;
  ssize_t got = hf_k_read(source->fd, logs->scratch, room > 0 ? (size_t)room : HF__LOG_READ);
  if (got > 0) {
    if (source->edge) watch(logs, source, false);
    keep(logs, source, (size_t)got, room > 0);
  } else if ((got == 0 || (errno != EAGAIN && errno != EINTR)) && !source->edge) {
    watch(logs, source, true); // no writer now: level-triggered, that would wake us for ever
  }
}

// True when all that was in the FIFO at the finish is read. Somebody who still writes can't hold this up: no FIFO had more
// in it than its size.
static bool read_rest(hf_logs *logs, hf__log_source *source, uint64_t give_up_ns) {
  for (;;) {
    ssize_t room = await_room(logs, source);
    if (room < 0 && hf_now_mono_ns() < give_up_ns) return false;
    ssize_t got = hf_k_read(source->fd, logs->scratch, room > 0 ? (size_t)room : HF__LOG_READ);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    keep(logs, source, (size_t)got, room > 0);
    if ((uint64_t)got >= source->left) return true;
    source->left -= (uint64_t)got;
  }
}

static void close_source(hf_logs *logs, hf__log_source *source) {
  pthread_mutex_lock(&logs->lock);
  // Out of the list before the number can be used again, so that hf_logs_finish finds the right one.
  hf__log_source **link = &logs->sources;
  while (*link != source) link = &(*link)->next;
  *link = source->next;
  logs->source_count--;
  pthread_mutex_unlock(&logs->lock);
  hf_k_close(source->fd);
  pthread_mutex_lock(&logs->lock);
  hf__logs_queue(logs, source->key, &source->end);
  pthread_mutex_unlock(&logs->lock);
}

// True if destroy asks for the end.
static bool take_finished(hf_logs *logs, uint64_t *deadline_ns) {
  pthread_mutex_lock(&logs->lock);
  hf__log_source *taken = logs->finished;
  logs->finished = NULL;
  bool stop = logs->drain_stop;
  *deadline_ns = logs->deadline_ns;
  pthread_mutex_unlock(&logs->lock);
  while (taken != NULL) {
    hf__log_source *next = taken->next_over;
    taken->taken = true;
    // Not by close alone: a child between clone and exec may hold a copy of the descriptor.
    struct epoll_event none = {0};
    hf_k_epoll_ctl(logs->epoll, EPOLL_CTL_DEL, taken->fd, &none);
    int size = hf_k_fcntl(taken->fd, F_GETPIPE_SZ, 0);
    taken->left = size > 0 ? (uint64_t)size : 1u << 20;
    taken->next_over = logs->pending;
    logs->pending = taken;
    taken = next;
  }
  return stop;
}

void *hf__logs_drain(void *argument) {
  hf_logs *logs = argument;
  struct epoll_event events[EVENTS];
  for (;;) {
    int count = hf_k_epoll_wait(logs->epoll, events, EVENTS, logs->pending != NULL ? PENDING_POLL_MS : -1);
    for (int i = 0; i < count; i++) {
      hf__log_source *source = events[i].data.ptr;
      if (source != NULL && !source->taken) read_some(logs, source);
    }
    uint64_t deadline_ns;
    bool stop = take_finished(logs, &deadline_ns);
    for (hf__log_source **link = &logs->pending; *link != NULL;) {
      hf__log_source *source = *link;
      if (read_rest(logs, source, stop ? deadline_ns : source->give_up_ns)) {
        *link = source->next_over;
        close_source(logs, source);
      } else {
        link = &source->next_over;
      }
    }
    if (stop && logs->pending == NULL) return NULL;
  }
}
