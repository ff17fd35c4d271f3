// SPDX-License-Identifier: MIT
// What the parts of logs share: the bounded pool and the queues between the drainer and the writer. For logs*.c only; the
// map is at the head of logs.c.
#ifndef HF_SUPERVISE_LOGS_INSIDE_H
#define HF_SUPERVISE_LOGS_INSIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/kernel.h"
#include "supervise/logfile.h"
#include "supervise/logs.h"

// The pool is counted in units, so that a short line takes little of it.
enum {
  HF__LOG_UNIT = 512,
  HF__LOG_CHUNK = 16,       // units of the largest chunk: 8 KiB
  HF__LOG_POOL = 2048,      // units in all: 1 MiB
  HF__LOG_SHARE = 512,      // units that one key may hold: a quarter
  HF__LOG_FIRST = 2,        // units that each key can have at any time …
  HF__LOG_RESERVE = 1024,   // … because these serve for nothing else
  HF__LOG_SPARE = 2,        // largest chunks that stay mapped while there is nothing to do
  HF__LOG_READ = 64 * 1024, // the most that one read takes
  HF__LOG_HELD = 8192,      // the longest line on stdout; a longer one is broken
  HF__LOG_COPY = 16384,     // bytes gathered for one write to stdout
  HF__LOG_KEYS = HF_PROCESS_MAX + 8,
  HF__LOG_SOURCES = HF_PROCESS_MAX * 2
};

typedef struct hf__log_key hf__log_key;
typedef struct hf__log_source hf__log_source;

typedef enum hf__log_kind { HF__LOG_BYTES, HF__LOG_TARGET, HF__LOG_END } hf__log_kind;

// One entry in the queue of a key. The order in the queue is the order in the file.
typedef struct hf__log_item {
  struct hf__log_item *next;
  hf__log_source *source; // of bytes and of an end
  uint64_t lost;          // bytes of this key that were dropped just before
  uint32_t size, units;   // of bytes, and of the chunk that holds them
  hf__log_kind kind;
} hf__log_item;

typedef struct hf__log_chunk {
  hf__log_item item;
  uint8_t bytes[];
} hf__log_chunk;
_Static_assert(sizeof(hf__log_chunk) < HF__LOG_UNIT / 4, "most of a unit is for bytes");
_Static_assert(HF_PROCESS_MAX *HF__LOG_FIRST <= HF__LOG_RESERVE, "every process finds its first units");

typedef struct hf__log_retarget {
  hf__log_item item;
  hf_log_target target;
} hf__log_retarget;

// One FIFO, or (fd -1) the manager's own lines of a key. Freed by the writer when it meets `end`, the last of its items.
struct hf__log_source {
  hf__log_item end;
  hf__log_source *next;      // lock: in logs.sources
  hf__log_source *next_over; // lock: in logs.finished, then drainer: in logs.pending
  hf__log_key *key;
  int fd;
  bool finished;       // lock
  bool taken;          // drainer: finished, and out of the epoll set
  bool edge;           // drainer: asked for edges only, because there is no writer (an end of file is always readable)
  uint64_t left;       // drainer: of a finished source, the bytes that the FIFO can hold
  uint64_t give_up_ns; // drainer: from then on what finds no room is dropped
  char *held;          // writer: a line for stdout without its end
  uint32_t held_size;  // writer
};

struct hf__log_key {
  // lock
  hf__log_item *first, *tail; // the queue; both NULL where it is empty
  hf__log_key *next_ready;
  hf__log_source *own; // for hf_logs_line
  uint64_t dropped;    // since the start
  uint64_t lost;       // dropped since the last item was queued
  uint64_t rang_ns;    // when the owner was last told
  uint32_t held;       // units queued or being written
  uint32_t sources;
  bool ready;    // in logs.ready
  bool dropping; // from a full share until there is room for more than a crumb
  bool ring_due;
  // writer
  uint64_t unsaid; // dropped, and not yet said in the file
  hf_logfile file;
};

struct hf_logs {
  pthread_mutex_t lock; // held for copies and pointers, never across a call that may block
  pthread_cond_t work;  // the writer waits for something ready
  pthread_cond_t room;  // the drainer waits, for a bounded time, for chunks
  pthread_cond_t ended; // destroy waits for the writer
  // lock
  hf__log_key *keys[HF__LOG_KEYS];
  hf__log_key *ready, **ready_last;
  hf__log_key *waits; // the key that the drainer waits for
  hf__log_chunk *spare;
  uint32_t spare_count;    // chunks
  uint32_t in_use;         // units queued or being written
  hf__log_source *sources; // all whose FIFO is open, and the manager's own
  hf__log_source *finished;
  uint32_t source_count; // with a FIFO
  bool drain_stop, write_stop, written, abandoned;
  uint64_t deadline_ns; // of destroy
  // fixed once threads run
  int epoll, bell;
  pthread_t drainer, writer;
  void (*ring)(void *context);
  void *ring_context;
  // drainer
  uint8_t *scratch;
  hf__log_source *pending; // finished, not yet empty
  uint64_t impatient_until_ns;
  // writer
  char *out; // for stdout; NULL: no copy
  size_t out_size;
};

// ---- logs_pool.c; all with the lock held ----
// Bytes that may be taken now; 0: the share of the key or the pool is used up.
size_t hf__logs_room(hf_logs *logs, const hf__log_source *source);
// True if there is room worth going on after a drop: so that a log with gaps has few of them.
bool hf__logs_roomy(const hf_logs *logs, const hf__log_key *key);
// Copies into chunks of the queue. Returns what was taken; the caller counts the rest. `promised`: it is no more than
// hf__logs_room said to this thread, though the lock was free since.
size_t hf__logs_append(hf_logs *logs, hf__log_source *source, const void *bytes, size_t size, bool promised);
void hf__logs_queue(hf_logs *logs, hf__log_key *key, hf__log_item *item);
// Counts bytes as dropped before they were queued, and sees that the writer says it.
void hf__logs_lose(hf_logs *logs, hf__log_key *key, uint64_t bytes);
// Counts dropped bytes for the owner alone.
void hf__logs_count(hf__log_key *key, uint64_t bytes);
// Tells the owner, if something new was counted. By a thread of logs.
void hf__logs_ring(hf_logs *logs, hf__log_key *key);
void hf__logs_release(hf_logs *logs, hf__log_key *key, hf__log_chunk *chunk);
// Takes all but a few unused chunks out of the pool; the caller unmaps them without the lock.
hf__log_chunk *hf__logs_trim(hf_logs *logs);
void hf__logs_unmap(hf__log_chunk *chunks);

// ---- threads ----
void *hf__logs_drain(void *logs);
void *hf__logs_write(void *logs);
void hf__logs_wake_drainer(hf_logs *logs);
void hf__logs_free(hf_logs *logs); // no thread but the caller runs

// ---- logs_copy.c; writer ----
void hf__logs_copy(hf_logs *logs, hf__log_source *source, const char *bytes, size_t size);
void hf__logs_copy_end(hf_logs *logs, hf__log_source *source);
void hf__logs_copy_stop(hf_logs *logs);
void hf__logs_copy_flush(hf_logs *logs);

#endif
