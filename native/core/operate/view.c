// SPDX-License-Identifier: MIT
// What an operator sees: copies of the shared status, completed by what /proc and the process's own file tell.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include "base/kernel.h"
#include "operate/operator.h"
#include "process/depends.h"
#include "process/events.h"
#include "process/identity.h"
#include "process/state.h"
#include "process/status.h"
#include "segment/dir.h"
#include "segment/segment.h"

// A manager that takes over may be writing it: two copies that are equal.
static hf_identity identity_of(const hf_identity *shared) {
  hf_identity one, two;
  for (int i = 0; i < 100; i++) {
    hf_words_load(&one, shared, sizeof one);
    atomic_thread_fence(memory_order_acquire);
    hf_words_load(&two, shared, sizeof two);
    if (memcmp(&one, &two, sizeof one) == 0) break;
  }
  return one;
}

int hf_operator_instance(hf_operator *op, hf_instance_status *out, hf_err *err) {
  (void)err;
  const hf_segment_header *header = &op->segment->header;
  memset(out, 0, sizeof *out);
  snprintf(out->instance, sizeof out->instance, "%.31s", header->instance);
  snprintf(out->dir, sizeof out->dir, "%s", op->path);
  hf_identity manager = identity_of(&header->manager), guardian = identity_of(&header->guardian);
  out->manager_pid = hf_identity_alive(&manager) ? manager.pid : 0;
  out->guardian_pid = hf_identity_alive(&guardian) ? guardian.pid : 0;
  out->manager_started_mono_ns = header->manager_started_mono_ns;
  out->manager_restarts = header->manager_restarts;
  out->shutting_down = hf_load_acquire(&header->shutting_down) != 0 || hf_load_acquire(&op->requests->header.shutdown) != 0;
  out->now_mono_ns = hf_now_mono_ns();
  out->specs_wanted = hf_load_acquire(&op->requests->header.specs_wanted);
  out->specs_done = hf_load_acquire(&header->specs_done); // pairs with the release in hf__specs_scan
  out->event_next = hf_load_acquire(&header->event_tail);
  out->event_first = hf_events_first(op->segment);
  return 0;
}

static uint64_t phase_of(const hf_operator *op, unsigned index, uint32_t incarnation) {
  char name[40];
  hf_file_name(name, sizeof name, "own", index, incarnation);
  int fd = hf_k_openat(op->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (fd < 0) return 0;
  uint64_t phase = hf_own_phase_read(fd, index, incarnation);
  hf_k_close(fd);
  return phase;
}

static bool fill(hf_operator *op, unsigned index, hf_process_status *out) {
  hf_status s;
  hf_status_word word;
  bool whole = hf_status_read(op->segment, index, &s, &word);
  if (s.name[0] == 0) return false;
  memset(out, 0, sizeof *out);
  memcpy(out->name, s.name, sizeof out->name);
  out->index = index;
  out->generation = s.generation;
  out->incarnation = HF_WORD_INCARNATION(word);
  hf_state state = (hf_state)HF_WORD_STATE(word);
  out->state = (uint8_t)hf_state_effective(word, hf_state_living(state) ? phase_of(op, index, out->incarnation) : 0);
  out->wanted = s.wanted;
  out->enabled = s.enabled;
  out->limited = s.limited;
  out->stale = !whole;
  out->stopping = s.stage == HF_STAGE_STOPPING || s.stage == HF_STAGE_KILLING;
  out->on_demand = s.start_kind == HF_START_ON_DEMAND;
  out->pid = s.stage >= HF_STAGE_RUNNING && s.stage <= HF_STAGE_KILLING ? s.process.pid : 0;
  out->start_time = s.process.start_time;
  out->restarts = s.restarts;
  out->started_mono_ns = s.started_ns;
  out->ready_mono_ns = s.ready_ns;
  out->next_start_mono_ns = s.stage == HF_STAGE_BACKOFF ? s.next_start_ns : 0;
  out->request_done =
      HF_REQUEST_GENERATION(s.request_done) == (s.generation & 0xfffffu) ? HF_REQUEST_COUNT(s.request_done) : 0;
  out->settled_incarnation = s.settled_incarnation;
  out->dropped_bytes = s.dropped_bytes;
  memcpy(out->waiting_for, s.waiting_for, sizeof out->waiting_for);
  out->failure_count = s.failure_count;
  memcpy(out->failures, s.failures, sizeof out->failures);
  hf_process_facts facts;
  if (out->pid > 0 && hf_process_facts_read(out->pid, &facts) == 0 && facts.start_time == s.process.start_time) {
    out->memory_bytes = facts.memory_bytes;
    out->cpu_ns = facts.cpu_ns;
  }
  return true;
}

int hf_operator_status(hf_operator *op, hf_process_status *out, int max, hf_err *err) {
  if (max < 0) return hf_fail(err, HF_EINVAL, "a number of entries is not negative");
  unsigned used = hf_load_acquire(&op->segment->header.slots_used);
  uint64_t order[HF_PROCESS_MAX];
  int count = 0;
  for (unsigned i = 0; i < used && i < HF_PROCESS_MAX && count < max; i++) {
    if (!fill(op, i, &out[count])) continue;
    uint64_t mine = hf_status_now(op->segment, i)->defined_order;
    int at = count++;
    hf_process_status entry = out[at];
    for (; at > 0 && order[at - 1] > mine; at--) { // as defined: slots are nearly in that order already
      order[at] = order[at - 1];
      out[at] = out[at - 1];
    }
    order[at] = mine;
    out[at] = entry;
  }
  return count;
}

int hf_operator_find(hf_operator *op, const char *name, hf_process_status *out, hf_err *err) {
  int index = hf_status_find(op->segment, name);
  if (index < 0 || !fill(op, (unsigned)index, out)) return hf_fail(err, HF_EUNKNOWN, "there is no process %s", name);
  return 0;
}

// Reads every definition that can be read; the one of the same name is replaced by `spec`.
int hf__operator_circle(hf_operator *op, const hf_spec *spec, hf_err *err) {
  if (spec->depends_count == 0) return 0;
  const hf_spec *specs[HF_PROCESS_MAX + 1];
  hf_spec_owned *owned[HF_PROCESS_MAX];
  int count = 0, held = 0;
  specs[count++] = spec;
  int fd = hf_k_openat(op->spec_dir, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  char *bytes = malloc(HF_SPEC_BYTES_MAX);
  for (struct dirent *entry;
       entries != NULL && bytes != NULL && held < HF_PROCESS_MAX && (entry = readdir(entries)) != NULL;) {
    if (hf_name_check(entry->d_name, NULL) != 0 || strcmp(entry->d_name, spec->name) == 0) continue;
    ssize_t size = hf_dir_read(op->spec_dir, entry->d_name, bytes, HF_SPEC_BYTES_MAX, NULL);
    if (size < 0 || hf_spec_decode(&owned[held], bytes, (size_t)size, NULL) != 0) continue;
    specs[count++] = hf_spec_get(owned[held++]);
  }
  if (entries != NULL) closedir(entries);
  int failed = bytes == NULL ? hf_fail(err, HF_ENOMEM, "out of memory") : hf_depends_check(specs, count, err);
  while (held > 0) hf_spec_free(owned[--held]);
  free(bytes);
  return failed;
}
