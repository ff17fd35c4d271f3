// SPDX-License-Identifier: MIT
// The bounded pool of chunks and the queue of each key. Everything here runs with the lock held and makes no kernel call
// but mmap.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "supervise/logs_inside.h"

// Units that the key may take more: a quarter of the pool in all, and never more than are left for others. The reserve
// serves only the first units of a key, so that noisy keys can't take it all and a quiet one always finds room for a line.
static uint32_t takeable(const hf_logs *logs, const hf__log_key *key) {
  uint32_t left = logs->in_use < HF__LOG_POOL ? HF__LOG_POOL - logs->in_use : 0,
           open = left > HF__LOG_RESERVE ? left - HF__LOG_RESERVE : 0;
  if (key->held >= HF__LOG_SHARE) return 0;
  uint32_t fair = open > key->held ? (open - key->held + 1) / 2 : 0, share = HF__LOG_SHARE - key->held;
  uint32_t first = key->held < HF__LOG_FIRST ? HF__LOG_FIRST - key->held : 0;
  if (first > left) first = left;
  if (fair < first) fair = first;
  return fair < share ? fair : share;
}

bool hf__logs_roomy(const hf_logs *logs, const hf__log_key *key) {
  uint32_t more = takeable(logs, key);
  return more >= HF__LOG_SHARE / 2 || (more > 0 && key->held == 0);
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
  if (key->tail == NULL) key->first = item;
  else key->tail->next = item;
  key->tail = item;
  make_ready(logs, key);
}

static size_t capacity_of(uint32_t units) { return units * HF__LOG_UNIT - sizeof(hf__log_chunk); }

// The largest chunks are mapped, not allocated, so that what is given back really goes back. A few are kept.
static hf__log_chunk *make_chunk(hf_logs *logs, uint32_t units) {
  if (units < HF__LOG_CHUNK) return malloc(units * HF__LOG_UNIT);
  hf__log_chunk *chunk = logs->spare;
  if (chunk != NULL) {
    logs->spare = (hf__log_chunk *)chunk->item.next;
    logs->spare_count--;
    return chunk;
  }
  chunk = hf_k_mmap(HF__LOG_CHUNK * HF__LOG_UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  return chunk != MAP_FAILED ? chunk : NULL;
}

// Just large enough for `size`; larger and larger while the writer is behind. What was promised is given in any case: the
// pool may then be over its bound, by what was free in one chunk that the writer took meanwhile.
static hf__log_chunk *take_chunk(hf_logs *logs, hf__log_source *source, size_t size, bool promised) {
  hf__log_key *key = source->key;
  const hf__log_item *tail = key->tail;
  size_t needed = (size + sizeof(hf__log_chunk) + HF__LOG_UNIT - 1) / HF__LOG_UNIT, wanted = needed;
  if (tail != NULL && wanted < tail->units * 2) wanted = tail->units * 2;
  uint32_t units = takeable(logs, key);
  if (promised && units < needed) units = needed < HF__LOG_CHUNK ? (uint32_t)needed : HF__LOG_CHUNK;
  if (units > HF__LOG_CHUNK) units = HF__LOG_CHUNK;
  if (wanted < units) units = (uint32_t)wanted;
  hf__log_chunk *chunk = units > 0 ? make_chunk(logs, units) : NULL;
  if (chunk == NULL) return NULL;
  chunk->item = (hf__log_item){.source = source, .kind = HF__LOG_BYTES, .units = units};
  logs->in_use += units;
  key->held += units;
  hf__logs_queue(logs, key, &chunk->item);
  return chunk;
}

// The last chunk of the queue, if these bytes may follow in it. What the writer took is no longer in the queue.
static hf__log_chunk *open_tail(const hf__log_key *key, const hf__log_source *source) {
  hf__log_item *tail = key->tail;
  if (tail == NULL || tail->kind != HF__LOG_BYTES || tail->source != source || key->lost != 0) return NULL;
  return tail->size < capacity_of(tail->units) ? (hf__log_chunk *)tail : NULL;
}

size_t hf__logs_room(hf_logs *logs, const hf__log_source *source) {
  const hf__log_key *key = source->key;
  if (key->dropping && !hf__logs_roomy(logs, key)) return 0;
  const hf__log_chunk *tail = open_tail(key, source);
  uint32_t units = takeable(logs, key), chunks = (units + HF__LOG_CHUNK - 1) / HF__LOG_CHUNK;
  size_t fresh = units * HF__LOG_UNIT - chunks * sizeof(hf__log_chunk);
  return fresh + (tail != NULL ? capacity_of(tail->item.units) - tail->item.size : 0);
}

size_t hf__logs_append(hf_logs *logs, hf__log_source *source, const void *bytes, size_t size, bool promised) {
  hf__log_key *key = source->key;
  if (!promised && key->dropping && !hf__logs_roomy(logs, key)) return 0;
  key->dropping = false;
  size_t done = 0;
  while (done < size) {
    hf__log_chunk *chunk = open_tail(key, source);
    if (chunk == NULL) chunk = take_chunk(logs, source, size - done, promised);
    if (chunk == NULL) {
      key->dropping = true;
      break;
    }
    size_t space = capacity_of(chunk->item.units) - chunk->item.size;
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
  key->held -= chunk->item.units;
  logs->in_use -= chunk->item.units;
  if (chunk->item.units < HF__LOG_CHUNK) {
    free(chunk);
  } else {
    chunk->item.next = (hf__log_item *)logs->spare;
    logs->spare = chunk;
    logs->spare_count++;
  }
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
    hf_k_munmap(chunks, HF__LOG_CHUNK * HF__LOG_UNIT);
    chunks = next;
  }
}
