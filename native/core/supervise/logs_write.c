// SPDX-License-Identifier: MIT
// The writer thread: takes the queue of one key after the other to the disk. The only one that may block there.
#include <stdio.h>
#include <stdlib.h>

#include "supervise/logs_inside.h"

// True if nothing is left unsaid. The line about what is missing stands where it is missing.
static bool say_lost(hf__log_key *key) {
  if (key->unsaid == 0) return true;
  char line[128];
  int size = snprintf(line, sizeof line, "%s[holdfast] %llu bytes of output were dropped: the disk is slow or full\n",
                      key->file.mid_line ? "\n" : "", (unsigned long long)key->unsaid);
  if (hf_logfile_write(&key->file, line, (size_t)size) != (size_t)size) return false;
  key->unsaid = 0;
  return true;
}

// False if not all was written. What was not is counted.
static bool write_bytes(hf_logs *logs, hf__log_key *key, const hf__log_chunk *chunk, bool try_it) {
  uint32_t size = chunk->item.size;
  size_t done = try_it && say_lost(key) ? hf_logfile_write(&key->file, chunk->bytes, size) : 0;
  if (done == size) return true;
  key->unsaid += size - done;
  pthread_mutex_lock(&logs->lock);
  hf__logs_count(key, size - done);
  hf__logs_ring(logs, key);
  pthread_mutex_unlock(&logs->lock);
  return false;
}

static void end_source(hf_logs *logs, hf__log_source *source) {
  hf__logs_copy_end(logs, source);
  pthread_mutex_lock(&logs->lock);
  source->key->sources--;
  pthread_mutex_unlock(&logs->lock);
  free(source);
}

// True if destroy gave up waiting: then the rest goes nowhere.
static bool release(hf_logs *logs, hf__log_key *key, hf__log_chunk *chunk) {
  pthread_mutex_lock(&logs->lock);
  hf__logs_release(logs, key, chunk);
  bool given_up = logs->abandoned;
  pthread_mutex_unlock(&logs->lock);
  return given_up;
}

// After a failure the rest of the batch is dropped without trying: a full disk costs one try a batch.
static void write_batch(hf_logs *logs, hf__log_key *key, hf__log_item *batch, bool given_up) {
  bool good = true;
  if (batch != NULL && !given_up) hf_logfile_check(&key->file); // with nothing to write the path does not matter yet
  while (batch != NULL) {
    hf__log_item *item = batch;
    batch = item->next;
    key->unsaid += item->lost;
    switch (item->kind) {
    case HF__LOG_BYTES: {
      hf__log_chunk *chunk = (hf__log_chunk *)item;
      if (!given_up) {
        good = write_bytes(logs, key, chunk, good);
        hf__logs_copy(logs, item->source, (const char *)chunk->bytes, item->size);
      }
      given_up = release(logs, key, chunk);
      break;
    }
    case HF__LOG_TARGET:
      if (good && !given_up) say_lost(key);
      hf_logfile_target(&key->file, &((hf__log_retarget *)item)->target);
      free(item);
      good = true;
      break;
    case HF__LOG_END:
      if (given_up) hf__logs_copy_stop(logs); // what is held would block again
      else say_lost(key);                     // once more: there may be no later output
      end_source(logs, item->source);
      break;
    }
  }
  if (given_up) return;
  pthread_mutex_lock(&logs->lock);
  bool over = key->first == NULL;
  if (over) {
    key->unsaid += key->lost;
    key->lost = 0;
  }
  bool unused = over && key->sources == 0;
  hf__logs_ring(logs, key); // for lines of the manager's own that were dropped
  pthread_mutex_unlock(&logs->lock);
  if (over && good) say_lost(key);
  if (unused) hf_logfile_close(&key->file);
  hf__logs_copy_flush(logs);
}

static hf__log_key *take_ready(hf_logs *logs, hf__log_item **batch) {
  hf__log_key *key = logs->ready;
  logs->ready = key->next_ready;
  if (logs->ready == NULL) logs->ready_last = &logs->ready;
  key->ready = false;
  *batch = key->first;
  key->first = key->tail = NULL;
  return key;
}

void *hf__logs_write(void *argument) {
  hf_logs *logs = argument;
  pthread_mutex_lock(&logs->lock);
  for (;;) {
    if (logs->ready != NULL) {
      hf__log_item *batch;
      hf__log_key *key = take_ready(logs, &batch);
      bool given_up = logs->abandoned;
      pthread_mutex_unlock(&logs->lock);
      write_batch(logs, key, batch, given_up);
      pthread_mutex_lock(&logs->lock);
    } else if (logs->write_stop) {
      break;
    } else if (logs->spare_count > HF__LOG_SPARE) {
      hf__log_chunk *given = hf__logs_trim(logs);
      pthread_mutex_unlock(&logs->lock);
      hf__logs_unmap(given);
      pthread_mutex_lock(&logs->lock);
    } else {
      pthread_cond_wait(&logs->work, &logs->lock);
    }
  }
  logs->written = true;
  bool mine = logs->abandoned; // nobody waits any more: what is left is this thread's to free
  pthread_cond_signal(&logs->ended);
  pthread_mutex_unlock(&logs->lock);
  if (mine) hf__logs_free(logs);
  return NULL;
}
