// SPDX-License-Identifier: MIT
// Definitions: what lies in spec/ is compared with what the status says, and the difference is applied. A file that can't be read
// changes nothing: the definition that was there goes on.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/kernel.h"
#include "process/policy.h"
#include "process/status.h"
#include "segment/dir.h"
#include "supervise/manager.h"

enum { SCAN_FIRST_NS = 100000000 };
#define SCAN_LONGEST_NS UINT64_C(10000000000)

void hf__log_target(const hf_manager *m, unsigned index, hf_log_target *out) {
  const hf_spec *spec = hf__spec(m, index);
  memset(out, 0, sizeof *out);
  if (spec == NULL) return;
  if (spec->log_file != NULL) snprintf(out->path, sizeof out->path, "%s", spec->log_file);
  if (m->options->once[0] == 0) snprintf(out->prefix, sizeof out->prefix, "%s", spec->name);
  out->max_bytes = spec->log_max_bytes;
  out->keep = spec->log_keep;
}

static int find_slot(hf_manager *m, const char *name) {
  int freed = -1;
  for (unsigned i = 0; i < hf__slots(m); i++) {
    const char *there = hf_status_now(m->segment, i)->name;
    if (strcmp(there, name) == 0) return (int)i;
    if (there[0] == 0 && freed < 0) freed = (int)i;
  }
  if (freed >= 0) return freed;
  return hf__slots(m) < HF_PROCESS_MAX ? (int)hf__slots(m) : -1;
}

// A name that was not there: the slot begins anew, its incarnations go on counting.
static void define(hf_manager *m, unsigned index, const hf_spec *spec, uint64_t sum, uint64_t program) {
  static uint64_t order;
  for (unsigned i = 0; i < hf__slots(m); i++)
    if (hf_status_now(m->segment, i)->defined_order > order) order = hf_status_now(m->segment, i)->defined_order;
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  uint32_t generation = draft->generation + 1;
  memset(draft, 0, sizeof *draft);
  memcpy(draft->name, spec->name, sizeof draft->name);
  draft->generation = generation;
  draft->wanted = spec->start == HF_START_AUTO ? HF_WANTED_RUN : HF_WANTED_STOP;
  draft->enabled = spec->enabled;
  draft->start_kind = spec->start;
  draft->spec_checksum = sum;
  draft->program_checksum = program;
  draft->defined_order = ++order;
  draft->event_sequence = hf_load_relaxed(&m->segment->header.event_tail) - 1;
  m->proc[index].dropped_base = 0 - hf_logs_dropped(m->logs, index); // of who had the slot before
  hf_err err;
  // First the slot, whose name is still empty, then the status: a slot that was given away and lies behind the last is found by nobody.
  if (index >= hf__slots(m))
    hf_store_release(&m->segment->header.slots_used, index + 1); // pairs with the acquire in hf__slots
  // A slot's state is STOPPED when it was freed; a slot that was never used has the word 0, which is FAIL: see hf__slot_free.
  if (hf_status_commit(m->segment, index, HF_STATE_STOPPED, HF_WORD_INCARNATION(word), &err) != 0)
    hf__trouble(m, index, &err);
  hf__event(m, index, HF_EVENT_defined, "");
}

static void redefine(hf_manager *m, unsigned index, const hf_spec *spec, uint64_t sum, uint64_t program) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  bool changed = draft->program_checksum != program, living = hf__living_stage(draft->stage);
  bool wanted = draft->wanted == HF_WANTED_RUN;
  draft->spec_checksum = sum;
  draft->program_checksum = program;
  draft->enabled = spec->enabled;
  if (draft->start_kind != spec->start && HF_REQUEST_WANTED(draft->request_done) == 0)
    draft->wanted = spec->start == HF_START_AUTO ? HF_WANTED_RUN : HF_WANTED_STOP; // nobody has said otherwise
  wanted = draft->wanted == HF_WANTED_RUN;
  draft->start_kind = spec->start;
  if (changed && wanted && !living) {
    draft->finished = draft->limited = 0;
    draft->next_start_ns = 0;
    hf_policy_forgive(&draft->history);
  }
  if (changed && wanted && living) draft->restart_after = 1; // where it runs, the next step stops it
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  hf__event(m, index, HF_EVENT_redefined, changed ? "it is restarted" : "it goes on");
  hf_log_target target;
  hf__log_target(m, index, &target);
  hf_logs_retarget(m->logs, index, &target);
}

static void refuse(hf_manager *m, const char *name, const hf_err *err) {
  char text[160];
  snprintf(text, sizeof text, "%.31s: %.120s", name, err->text);
  hf__event(m, UINT32_MAX, HF_EVENT_refused, text);
  hf__say(m, "the definition spec/%s was refused: %s", name, err->text);
}

// 0, or why it was refused.
static int take(hf_manager *m, const char *name, const void *bytes, size_t size) {
  hf_err err;
  hf_spec_owned *owned = NULL;
  uint64_t sum = hf_hash(HF_HASH_SEED, bytes, size), program = 0;
  int index = find_slot(m, name);
  if (index >= 0 && m->proc[index].spec != NULL && !m->proc[index].removing &&
      hf_status_now(m->segment, (unsigned)index)->spec_checksum == sum)
    return 0;
  int failed = hf_spec_decode(&owned, bytes, size, &err);
  if (!failed && strcmp(hf_spec_get(owned)->name, name) != 0)
    failed = hf_fail(&err, HF_ESPEC, "it names %s", hf_spec_get(owned)->name);
  if (!failed) failed = hf_spec_program_checksum(hf_spec_get(owned), &program, &err);
  if (!failed && index < 0)
    failed = hf_fail(&err, HF_EFULL, "there are %d processes already, and no more are possible", HF_PROCESS_MAX);
  if (failed) {
    refuse(m, name, &err);
    if (owned != NULL) hf_spec_free(owned);
    return failed;
  }
  hf_proc *p = &m->proc[index];
  hf_spec_owned *old = p->spec;
  p->spec = owned;
  p->removing = false;
  const hf_status *s = hf_status_now(m->segment, (unsigned)index);
  if (s->name[0] == 0) define(m, (unsigned)index, hf_spec_get(owned), sum, program);
  else if (s->spec_checksum != sum) redefine(m, (unsigned)index, hf_spec_get(owned), sum, program);
  if (old != NULL) hf_spec_free(old);
  return 0;
}

// What failed for want of memory or descriptors is tried again, at growing intervals.
static void scan_again(hf_manager *m, bool failed, uint64_t now) {
  uint64_t pause = m->scan_pause_ns * 2;
  if (pause < SCAN_FIRST_NS) pause = SCAN_FIRST_NS;
  if (pause > SCAN_LONGEST_NS) pause = SCAN_LONGEST_NS;
  m->scan_pause_ns = failed ? pause : 0;
  m->scan_at_ns = failed ? now + pause : 0;
}

void hf__slot_free(hf_manager *m, unsigned index) {
  hf__afterwards(m, index);
  hf__reports_remove(m, hf_status_now(m->segment, index)->name);
  hf__event(m, index, HF_EVENT_removed, "");
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_state state = (hf_state)HF_WORD_STATE(word);
  hf_status *draft = hf_status_begin(m->segment, index);
  uint32_t generation = draft->generation;
  memset(draft, 0, sizeof *draft);
  draft->generation = generation;
  hf_err err;
  if (hf_status_commit(m->segment, index, state, HF_WORD_INCARNATION(word), &err) != 0) hf__trouble(m, index, &err);
  if (m->proc[index].spec != NULL) hf_spec_free(m->proc[index].spec);
  m->proc[index] = (hf_proc){0};
}

// One definition file, and when it was written.
typedef struct found {
  char name[HF_NAME_SIZE];
  struct timespec written;
} found;

// In the order in which they were defined, which is the order that a new instance shows them in.
static int earlier(const void *left, const void *right) {
  const found *a = left, *b = right;
  if (a->written.tv_sec != b->written.tv_sec) return a->written.tv_sec < b->written.tv_sec ? -1 : 1;
  if (a->written.tv_nsec != b->written.tv_nsec) return a->written.tv_nsec < b->written.tv_nsec ? -1 : 1;
  return strcmp(a->name, b->name);
}

// The definition files: their number, at most `max`, or a negative error.
static int list(hf_manager *m, found *out, int max, hf_err *err) {
  int fd = hf_k_openat(m->spec_dir, ".", O_RDONLY | O_DIRECTORY, 0), count = 0;
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL) {
    int failed = hf_fail_sys(err, "open", "the definitions can't be listed");
    if (fd >= 0) hf_k_close(fd);
    return failed;
  }
  for (struct dirent *entry; count < max && (entry = readdir(entries)) != NULL;) {
    struct stat st;
    if (hf_name_check(entry->d_name, NULL) != 0) continue;
    if (hf_k_fstatat(m->spec_dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) memset(&st, 0, sizeof st);
    snprintf(out[count].name, sizeof out[count].name, "%.31s", entry->d_name);
    out[count++].written = st.st_mtim;
  }
  closedir(entries);
  qsort(out, (size_t)count, sizeof *out, earlier);
  return count;
}

void hf__specs_scan(hf_manager *m, uint64_t now) {
  enum { LISTED_MAX = HF_PROCESS_MAX * 2 };
  uint64_t wanted = hf_load_acquire(&m->requests->header.specs_wanted); // pairs with the release of the operator's count
  static char bytes[HF_SPEC_BYTES_MAX];
  static found files[LISTED_MAX];
  bool seen[HF_PROCESS_MAX] = {false}, passing = false;
  hf_err err;
  int count = list(m, files, LISTED_MAX, &err);
  if (count < 0) {
    hf__trouble(m, UINT32_MAX, &err);
    scan_again(m, true, now);
    return;
  }
  for (int i = 0; i < count; i++) {
    ssize_t size = hf_dir_read(m->spec_dir, files[i].name, bytes, sizeof bytes, &err);
    if (size < 0 && size != HF_ENOENT) refuse(m, files[i].name, &err);
    int failed = size >= 0 ? take(m, files[i].name, bytes, (size_t)size) : (int)size;
    passing |= failed == HF_ESYS || failed == HF_ENOMEM;
    int index = size == HF_ENOENT ? -1 : find_slot(m, files[i].name);
    if (index >= 0) seen[index] = true;
  }
  for (unsigned i = 0; i < hf__slots(m); i++)
    if (!seen[i] && hf_status_now(m->segment, i)->name[0] != 0) m->proc[i].removing = true;
  scan_again(m, passing, now);
  m->specs_seen = wanted;
  hf_store_release(&m->segment->header.specs_done, wanted); // pairs with the acquire in hf_operator_instance
}
