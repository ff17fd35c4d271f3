// SPDX-License-Identifier: MIT
// The status of a process: two copies and a word that commits. Readers on other threads never see half of one; illegal moves and
// a writer that dies between two stores change nothing.
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/kernel.h"
#include "check.h"
#include "process/events.h"
#include "process/status.h"

// A segment in private memory: what is tested here are the words, not the mapping.
static hf_segment *new_segment(void) {
  hf_segment *segment = aligned_alloc(4096, sizeof *segment);
  if (segment == NULL) abort();
  memset(segment, 0, sizeof *segment);
  hf_store_relaxed(&segment->header.event_tail, 1);
  return segment;
}

static void define(hf_segment *segment, unsigned index, const char *name) {
  hf_status *draft = hf_status_begin(segment, index);
  snprintf(draft->name, sizeof draft->name, "%s", name);
  CHECK_EQ(hf_status_commit(segment, index, HF_STATE_STOPPED, 0, NULL), 0);
  hf_store_release(&segment->header.slots_used, index + 1);
}

TEST(a_commit_is_the_whole_change) {
  hf_segment *segment = new_segment();
  define(segment, 0, "web");
  hf_status seen;
  hf_status_word word;
  hf_status *draft = hf_status_begin(segment, 0);
  draft->restarts = 7;
  CHECK(hf_status_read(segment, 0, &seen, &word));
  CHECK_EQ(seen.restarts, 0); // begun, not committed
  CHECK_EQ(hf_status_commit(segment, 0, HF_STATE_STARTED, 1, NULL), 0);
  CHECK(hf_status_read(segment, 0, &seen, &word));
  CHECK_EQ(seen.restarts, 7);
  CHECK_EQ(HF_WORD_STATE(word), HF_STATE_STARTED);
  CHECK_EQ(HF_WORD_INCARNATION(word), 1);
  CHECK_EQ(hf_status_find(segment, "web"), 0);
  CHECK_EQ(hf_status_find(segment, "db"), HF_EUNKNOWN);
  free(segment);
}

TEST(illegal_moves_are_refused_and_change_nothing) {
  hf_segment *segment = new_segment();
  hf_err err;
  define(segment, 0, "web");
  const struct {
    hf_state to;
    uint32_t incarnation;
  } refused[] = {{HF_STATE_READY, 0}, {HF_STATE_STARTED, 2}, {HF_STATE_READY, 1}, {HF_STATE_STOPPED, 1}};
  for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) {
    hf_status_word before = hf_status_word_now(segment, 0);
    hf_status_begin(segment, 0)->restarts = 99;
    CHECK_EQ(hf_status_commit(segment, 0, refused[i].to, refused[i].incarnation, &err), HF_EMOVE);
    CHECK(strstr(err.text, "STOPPED") != NULL);
    CHECK(hf_status_word_now(segment, 0) == before);
    CHECK_EQ(hf_status_now(segment, 0)->restarts, 0);
  }
  hf_status_begin(segment, 0);
  CHECK_EQ(hf_status_commit(segment, 0, HF_STATE_STARTED, 1, NULL), 0);
  hf_status_begin(segment, 0);
  CHECK_EQ(hf_status_commit(segment, 0, HF_STATE_STARTED, 2, &err), HF_EMOVE); // the first one lives still
  free(segment);
}

static jmp_buf dies;
static const char *dies_at;

static void die(const char *name) {
  if (strcmp(name, dies_at) == 0) longjmp(dies, 1);
}

TEST(a_writer_that_dies_before_the_commit_changed_nothing) {
  hf_segment *segment = new_segment();
  define(segment, 0, "web");
  hf_status_word before = hf_status_word_now(segment, 0);
  dies_at = "status-before-commit";
  hf_k_point = die;
  if (setjmp(dies) == 0) {
    hf_status_begin(segment, 0)->restarts = 5;
    hf_status_commit(segment, 0, HF_STATE_STARTED, 1, NULL);
    CHECK(!"it should have died");
  }
  hf_k_point = NULL;
  hf_status seen;
  hf_status_word word;
  CHECK(hf_status_read(segment, 0, &seen, &word));
  CHECK(word == before);
  CHECK_EQ(seen.restarts, 0);
  // The next writer goes on from there.
  hf_status_begin(segment, 0)->restarts = 6;
  CHECK_EQ(hf_status_commit(segment, 0, HF_STATE_STARTED, 1, NULL), 0);
  CHECK_EQ(hf_status_now(segment, 0)->restarts, 6);
  free(segment);
}

enum { COMMITS = 200000 };

typedef struct race {
  hf_segment *segment;
  _Atomic bool over;
  _Atomic unsigned reads, torn, stale;
} race;

static void *reader(void *context) {
  race *r = context;
  uint32_t last = 0;
  while (!hf_load_relaxed(&r->over)) {
    hf_status seen;
    hf_status_word word;
    if (!hf_status_read(r->segment, 0, &seen, &word)) {
      atomic_fetch_add(&r->stale, 1);
      continue;
    }
    // Fields far apart that the writer keeps equal, and a count that never goes back.
    bool whole = seen.restarts == (uint32_t)seen.started_ns && seen.started_ns == seen.dropped_bytes &&
                 seen.history.failures_in_a_row == seen.restarts;
    if (!whole || seen.restarts < last) atomic_fetch_add(&r->torn, 1);
    last = seen.restarts;
    atomic_fetch_add(&r->reads, 1);
  }
  return NULL;
}

TEST(readers_never_see_half_a_status) {
  race r = {.segment = new_segment()};
  pthread_t threads[2];
  define(r.segment, 0, "web");
  for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&threads[i], NULL, reader, &r), 0);
  for (uint32_t n = 1; n <= COMMITS; n++) {
    hf_status *draft = hf_status_begin(r.segment, 0);
    draft->restarts = draft->history.failures_in_a_row = n;
    draft->started_ns = draft->dropped_bytes = n;
    if (hf_status_commit(r.segment, 0, HF_STATE_STOPPED, 0, NULL) != 0) CHECK(!"a commit failed");
  }
  hf_store_relaxed(&r.over, true);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(r.torn, 0);
  CHECK(r.reads > 100);
  printf("  %u reads of %d commits, %u gave up after a bounded number of tries\n", (unsigned)r.reads, COMMITS,
         (unsigned)r.stale);
  free(r.segment);
}

TEST(what_a_process_declared_is_seen_at_once) {
  hf_status_word started = HF_WORD(3, 1, HF_STATE_STARTED, 0), ready = HF_WORD(3, 1, HF_STATE_READY, 0);
  hf_status_word failed = HF_WORD(3, 1, HF_STATE_FAIL, 0);
  CHECK_EQ(hf_state_effective(started, 0), HF_STATE_STARTED);
  CHECK_EQ(hf_state_effective(started, HF_PHASE(3, HF_STATE_READY)), HF_STATE_READY);
  CHECK_EQ(hf_state_effective(started, HF_PHASE(2, HF_STATE_READY)), HF_STATE_STARTED); // of a dead incarnation
  CHECK_EQ(hf_state_effective(ready, HF_PHASE(3, HF_STATE_BOOTING)), HF_STATE_READY);   // attached late
  CHECK_EQ(hf_state_effective(ready, HF_PHASE(3, HF_STATE_LOADCFG)), HF_STATE_LOADCFG);
  CHECK_EQ(hf_state_effective(failed, HF_PHASE(3, HF_STATE_READY)), HF_STATE_FAIL);
  CHECK_EQ(hf_state_effective(started, HF_PHASE(3, 77)), HF_STATE_STARTED); // garbage
}

// ---- the event log ------------------------------------------------------------------------------------------------------

static uint64_t append(hf_segment *segment, unsigned index) {
  hf_event event = {.type = HF_EVENT_state, .index = index};
  return hf_event_append(segment, &event);
}

TEST(events_are_read_in_order_and_gaps_are_noticed) {
  hf_segment *segment = new_segment();
  static hf_event out[HF_EVENT_MAX];
  uint64_t next;
  for (unsigned i = 0; i < 10; i++) CHECK_EQ(append(segment, i), i + 1);
  CHECK_EQ(hf_events_read(segment, 1, out, HF_EVENT_MAX, &next), 10);
  CHECK_EQ(next, 11);
  for (unsigned i = 0; i < 10; i++) CHECK(out[i].sequence == i + 1 && out[i].index == i);
  CHECK_EQ(hf_events_read(segment, next, out, HF_EVENT_MAX, &next), 0);
  for (unsigned i = 0; i < HF_EVENT_MAX; i++) append(segment, i);
  CHECK_EQ(hf_events_first(segment), 11);
  hf_event one;
  CHECK_EQ(hf_event_read(segment, 10, &one), HF_EUNKNOWN);      // overwritten
  CHECK_EQ(hf_event_read(segment, HF_EVENT_MAX + 11, &one), 0); // not written yet
  int count = hf_events_read(segment, 1, out, HF_EVENT_MAX, &next);
  CHECK_EQ(count, HF_EVENT_MAX);
  CHECK_EQ(out[0].sequence, 11); // 10 were missed, and the sequence says so
  free(segment);
}

TEST(an_event_is_whole_or_not_there_wherever_its_writer_died) {
  static const char *const points[] = {"event-before-sequence", "event-before-tail"};
  for (int i = 0; i < 2; i++) {
    hf_segment *segment = new_segment();
    append(segment, 1);
    dies_at = points[i];
    hf_k_point = die;
    if (setjmp(dies) == 0) {
      append(segment, 2);
      CHECK(!"it should have died");
    }
    hf_k_point = NULL;
    hf_events_recover(segment);
    CHECK_EQ(hf_load_relaxed(&segment->header.event_tail), (uint64_t)(i == 0 ? 2 : 3));
    append(segment, 3);
    hf_event out[4];
    uint64_t next;
    int count = hf_events_read(segment, 1, out, 4, &next);
    CHECK_EQ(count, i == 0 ? 2 : 3);
    CHECK_EQ(out[count - 1].index, 3);
    free(segment);
  }
}

CHECK_MAIN
