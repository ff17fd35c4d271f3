// SPDX-License-Identifier: MIT
// The bounded pool of chunks and the queue of each key. Everything here runs with the lock held and makes no call but mmap.
#include <string.h>
#include <sys/mman.h>

#include "supervise/logs_inside.h"

// Chunks that the key may take more: a quarter of the pool in all, and never more than are left for others. The last quarter
// serves first chunks only, so that noisy keys can't take it all and a quiet one finds room for its line.
static uint32_t takeable(const hf_logs *logs, const hf__log_key *key) {
  uint32_t left = HF__LOG_POOL - logs->in_use, open = left > HF__LOG_RESERVE ? left - HF__LOG_RESERVE : 0;
  if (key->held >= HF__LOG_SHARE) return 0;
  uint32_t fair = open > key->held ? (open - key->held + 1) / 2 : 0, share = HF__LOG_SHARE - key->held;
  if (fair == 0) return key->held == 0 && left > 0;
  return fair < share ? fair : share;
}

bool hf__logs_roomy(const hf_logs *logs, const hf__log_key *key) {
  uint32_t more = takeable(logs, key);
  return more >= HF__LOG_SHARE / 2 || (more > 0 && key->held == 0);
}

size_t hf__logs_room(hf_logs *logs, hf__log_key *key) {
  if (key->dropping && !hf__logs_roomy(logs, key)) return 0;
  return takeable(logs, key) * sizeof((hf__log_chunk *)0)->bytes;
}

static void make_ready(hf_logs *logs, hf__log_key *key) {
  if (key->ready) return;
  key->ready = true;
  key->next_ready = NULL;
  *logs->ready_last = key;
  logs->ready_last = &key->next_ready;
  pthread_cond_signal(&logs->work);
}

void hf__logs_queue(hf_logs *logs, hf__log_key *key, hf__log_item *item) {
  item->next = NULL;
  item->lost = key->lost;
  key->lost = 0;
  *key->last = item;
  key->last = &item->next;
  make_ready(logs, key);
}

static hf__log_chunk *take_chunk(hf_logs *logs, hf__log_source *source) {
  if (takeable(logs, source->key) == 0) return NULL;
  hf__log_chunk *chunk = logs->spare;
  if (chunk != NULL) {
    logs->spare = (hf__log_chunk *)chunk->item.next;
    logs->spare_count--;
  } else {
    // Mapped, not allocated: what is given back really goes back.
    chunk = hf_k_mmap(sizeof *chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (chunk == MAP_FAILED) return NULL;
  }
  chunk->item.source = source;
  chunk->item.size = 0;
  chunk->item.kind = HF__LOG_BYTES;
  logs->in_use++;
  source->key->held++;
  hf__logs_queue(logs, source->key, &chunk->item);
  return chunk;
}

// The last chunk of the queue, if these bytes may follow in it. What the writer took is no longer in the queue.
static hf__log_chunk *open_tail(const hf__log_key *key, const hf__log_source *source) {
  if (key->first == NULL || key->lost != 0) return NULL;
  hf__log_item *tail = (hf__log_item *)((char *)key->last - offsetof(hf__log_item, next));
  bool fits = tail->kind == HF__LOG_BYTES && tail->source == source && tail->size < sizeof((hf__log_chunk *)0)->bytes;
  return fits ? (hf__log_chunk *)tail : NULL;
}

size_t hf__logs_append(hf_logs *logs, hf__log_source *source, const void *bytes, size_t size) {
  hf__log_key *key = source->key;
  if (key->dropping && !hf__logs_roomy(logs, key)) return 0;
  key->dropping = false;
  size_t done = 0;
  while (done < size) {
    hf__log_chunk *chunk = open_tail(key, source);
    if (chunk == NULL) chunk = take_chunk(logs, source);
    if (chunk == NULL) {
      key->dropping = true;
      break;
    }
    size_t space = sizeof chunk->bytes - chunk->item.size;
    size_t part = size - done < space ? size - done : space;
    memcpy(chunk->bytes + chunk->item.size, (const char *)bytes + done, part);
    chunk->item.size += (uint32_t)part;
    done += part;
  }
  return done;
}

void hf__logs_count(hf__log_key *key, uint64_t bytes) {
  key->dropped += bytes;
  uint64_t now = hf_now_mono_ns();
  if (key->rang_ns != 0 && now - key->rang_ns < 1000000000u) return;
  key->rang_ns = now;
  key->ring_due = true;
}

// Under the lock, so that destroy can't return to an owner who then frees the context.
void hf__logs_ring(hf_logs *logs, hf__log_key *key) {
  if (key->ring_due && logs->ring != NULL && !logs->abandoned) logs->ring(logs->ring_context);
  key->ring_due = false;
}

void hf__logs_lose(hf_logs *logs, hf__log_key *key, uint64_t bytes) {
  key->lost += bytes;
  hf__logs_count(key, bytes);
  make_ready(logs, key);
}

void hf__logs_release(hf_logs *logs, hf__log_key *key, hf__log_chunk *chunk) {
  key->held--;
  logs->in_use--;
  chunk->item.next = (hf__log_item *)logs->spare;
  logs->spare = chunk;
  logs->spare_count++;
  if (logs->waits != NULL && hf__logs_roomy(logs, logs->waits)) pthread_cond_signal(&logs->room);
}

hf__log_chunk *hf__logs_trim(hf_logs *logs) {
  hf__log_chunk *given = NULL;
  while (logs->spare_count > HF__LOG_SPARE) {
    hf__log_chunk *chunk = logs->spare;
    logs->spare = (hf__log_chunk *)chunk->item.next;
    logs->spare_count--;
    chunk->item.next = (hf__log_item *)given;
    given = chunk;
  }
  return given;
}

void hf__logs_unmap(hf__log_chunk *chunks) {
  while (chunks != NULL) {
    hf__log_chunk *next = (hf__log_chunk *)chunks->item.next;
    hf_k_munmap(chunks, sizeof *chunks);
    chunks = next;
  }
}
