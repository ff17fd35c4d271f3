// SPDX-License-Identifier: MIT
// What an operator sees: copies of the shared status, completed by what /proc and the process's own file tell.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include "base/kernel.h"
#include "heartbeat/ages.h"
#include "heartbeat/cells.h"
#include "operate/operator.h"
#include "process/depends.h"
#include "process/events.h"
#include "process/identity.h"
#include "process/state.h"
#include "process/status.h"
#include "segment/dir.h"
#include "segment/segment.h"
#include "supervise/bell.h"

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

// What a program said of itself, made fit for a line: shared memory is input.
static void text_of(const char *from, char *out, size_t size) {
  memcpy(out, from, size);
  out[size - 1] = 0;
  for (char *at = out; *at != 0; at++)
    if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = '?';
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
  out->stopping = s.stage == HF_STAGE_STOPPING || s.stage == HF_STAGE_CAPTURING || s.stage == HF_STAGE_KILLING;
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
  if (out->pid > 0) text_of(s.status_text, out->status_text, sizeof out->status_text);
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

// ---- threads ------------------------------------------------------------------------------------------------------------

// When each cell of a process was last seen to change, as the manager noted it; the last place is that of a heartbeat by datagrams.
typedef struct ages {
  uint64_t seen[HF_CELL_MAX + 1], claim[HF_CELL_MAX + 1];
  uint32_t flags[HF_CELL_MAX + 1];
} ages;

// The cells of an incarnation in private memory, all zero where they can't be read: how many there are. The copy is torn at most where
// a cell changed meanwhile: there the claim differs from the one read before, and it is taken for free.
static uint32_t read_cells(int fd, hf_own *out) {
  static const size_t first_bytes = sizeof(hf_own);
  ssize_t got = hf_k_pread(fd, out, first_bytes, 0);
  if (got != (ssize_t)first_bytes || out->magic != HF_MAGIC_OWN || out->layout_hash != HF_LAYOUT_HASH) return 0;
  uint32_t used = hf_cells_used(out);
  size_t bytes = used > 0 ? HF_CELL_OFFSET(used - 1) + sizeof(hf_cell) : 0;
  uint64_t *claims = malloc((used + 1) * sizeof *claims);
  if (claims == NULL || (bytes > first_bytes && hf_k_pread(fd, out, bytes, 0) != (ssize_t)bytes)) used = 0;
  for (uint32_t i = 0; i < used; i++) claims[i] = hf_load_relaxed(&hf_cell_at(out, i)->claim);
  if (used > 0 && hf_k_pread(fd, out, bytes, 0) != (ssize_t)bytes) used = 0;
  for (uint32_t i = 0; i < used; i++) {
    hf_cell *cell = hf_cell_at(out, i);
    if (hf_load_relaxed(&cell->claim) != claims[i]) hf_store_relaxed(&cell->claim, 0);
  }
  free(claims);
  return used;
}

// Lets the manager write down how old everything is: it does so at once, and for all cells. Without an answer what it wrote last stands.
static void bring_up_to_date(hf_operator *op) {
  enum { FRESH_NS = 5000000, PATIENCE_NS = 50000000 };
  const hf_segment_header *header = &op->segment->header;
  uint64_t now = hf_now_mono_ns(), written = hf_load_relaxed(&header->ages_mono_ns);
  hf_identity manager = identity_of(&header->manager);
  if ((written <= now && now - written < FRESH_NS) || !hf_identity_alive(&manager)) return;
  uint32_t done = hf_load_acquire(&header->ages_done); // pairs with the release in hf__hearts_publish
  // Release: pairs with the acquire there.
  uint32_t wanted = atomic_fetch_add_explicit(&op->requests->header.ages_wanted, 1, memory_order_release) + 1;
  hf_bell_ring(op->bell, HF_RING_AGES);
  while ((int32_t)(done - wanted) < 0 && hf_now_mono_ns() < now + PATIENCE_NS) {
    (void)hf_k_futex_wait((const uint32_t *)&header->ages_done, done, now + PATIENCE_NS);
    done = hf_load_acquire(&header->ages_done);
  }
}

static uint64_t since(uint64_t seen, uint64_t now) { return seen != 0 && seen < now ? now - seen : 0; }

static bool fill_thread(hf_own *own, uint32_t number, const ages *known, uint64_t now, hf_thread_status *out) {
  hf_cell_copy copy;
  if (!hf_cells_copy(own, number, &copy)) return false;
  const hf_cell *cell = hf_cell_at(own, number);
  bool watched = known->claim[number] == copy.claim;
  memset(out, 0, sizeof *out);
  memcpy(out->name, copy.name, sizeof out->name);
  memcpy(out->note, copy.note, sizeof out->note);
  out->pid = copy.pid;
  out->tid = copy.tid;
  out->period_ns = copy.period_ns;
  out->grace = copy.grace;
  out->silent_ns = watched ? since(known->seen[number], now) : 0;
  out->flags = watched ? known->flags[number] : 0;
  bool busy = hf_load_relaxed(&cell->busy_ns) != 0 && hf_load_relaxed(&cell->busy_beat) == hf_load_relaxed(&cell->beat);
  if (busy) out->flags |= HF_THREAD_BUSY;
  return true;
}

static int fill_threads(hf_operator *op, unsigned index, const hf_status *s, uint32_t incarnation, hf_thread_status *out,
                        int max, hf_err *err) {
  char name[40];
  int count = 0;
  hf_own *own = calloc(1, HF_OWN_CELLS_SIZE);
  ages *known = calloc(1, sizeof *known);
  hf_file_name(name, sizeof name, "own", index, incarnation);
  int fd = hf_k_openat(op->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (s->has_beaten) bring_up_to_date(op);
  if (own == NULL || known == NULL) count = hf_fail(err, HF_ENOMEM, "out of memory");
  else {
    uint32_t used = fd >= 0 ? read_cells(fd, own) : 0;
    (void)hf_ages_read(op->dir, incarnation, index, known->seen, known->flags, known->claim, HF_CELL_MAX + 1);
    uint64_t now = hf_now_mono_ns();
    for (uint32_t i = 0; i < used && count < max; i++) count += fill_thread(own, i, known, now, &out[count]);
    if (s->watchdog_ns != 0 && count < max)
      out[count++] = (hf_thread_status){.name = "watchdog",
                                        .pid = s->process.pid,
                                        .tid = s->process.pid,
                                        .period_ns = s->watchdog_ns,
                                        .grace = 1,
                                        .silent_ns = since(known->seen[HF_CELL_MAX], now),
                                        .flags = known->flags[HF_CELL_MAX]};
  }
  if (fd >= 0) hf_k_close(fd);
  free(own);
  free(known);
  return count;
}

int hf_operator_threads(hf_operator *op, const char *name, hf_thread_status *out, int max, hf_err *err) {
  hf_status s;
  hf_status_word word;
  int index = hf_status_find(op->segment, name);
  if (max < 0) return hf_fail(err, HF_EINVAL, "a number of entries is not negative");
  if (index < 0) return hf_fail(err, HF_EUNKNOWN, "there is no process %s", name);
  (void)hf_status_read(op->segment, (unsigned)index, &s, &word);
  if (s.stage != HF_STAGE_RUNNING) return 0; // nothing else is judged
  return fill_threads(op, (unsigned)index, &s, HF_WORD_INCARNATION(word), out, max, err);
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
