// SPDX-License-Identifier: MIT
// One process, one step: looks at all that is known of it and does the next thing, until there is nothing to do now. It is the
// same for a process that this manager started and for one that it adopted, because it only looks at what is shared.
//
//   IDLE -----------> SPAWNING -> RUNNING -> STOPPING -----> KILLING
//     ^ wanted           |           |  \       |             ^ |
//     |                  |           |   +-> CAPTURING ------+ |  it hangs: its stack is awaited for a moment
//     |                  |           +----------+--------------+  it ended: judged, recorded, restart planned
//     |                  v           v
//     +---- BACKOFF <--- CLEANING (its tree is killed until none is left, the guardian may reap, files go)
#include <string.h>

#include "base/kernel.h"
#include "process/events.h"
#include "process/state.h"
#include "process/status.h"
#include "segment/segment.h"
#include "supervise/manager.h"

enum { STEPS_MAX = 16 };

bool hf__living_stage(unsigned stage) { return stage >= HF_STAGE_SPAWNING && stage <= HF_STAGE_KILLING; }

// A dead manager may have logged this very move before it could commit it: then the log has it already (take_over found it).
static bool logged_already(hf_manager *m, unsigned index, const hf_status *draft, hf_state to, uint32_t incarnation) {
  hf_event last;
  uint64_t inherited = m->proc[index].inherited_event;
  if (inherited == 0 || inherited <= draft->event_sequence) return false;
  if (hf_event_read(m->segment, inherited, &last) != 1) return false;
  return last.incarnation == incarnation && last.to == (uint8_t)to;
}

int hf__move(hf_manager *m, unsigned index, hf_status *draft, hf_state to, uint32_t incarnation, const hf_event *details) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_state from = (hf_state)HF_WORD_STATE(word);
  if (from != to || incarnation != HF_WORD_INCARNATION(word)) {
    if (logged_already(m, index, draft, to, incarnation)) {
      draft->event_sequence = m->proc[index].inherited_event;
      m->proc[index].inherited_event = 0;
    } else {
      hf_event event = {.errnum = 0};
      if (details != NULL) event = *details;
      event.type = HF_EVENT_state;
      event.index = index;
      event.incarnation = incarnation;
      event.pid = draft->process.pid;
      event.from = (uint8_t)from;
      event.to = (uint8_t)to;
      memcpy(event.name, draft->name, sizeof event.name);
      draft->event_sequence = hf_event_append(m->segment, &event);
    }
    draft->phase_since_ns = hf_now_mono_ns();
    m->look_again = true; // others may depend on it
  }
  hf_err err;
  int failed = hf_status_commit(m->segment, index, to, incarnation, &err);
  if (failed) hf__trouble(m, index, &err);
  return failed;
}

// READY in one move: the last one of a walk, or the only one of a process that attached nothing and lived long enough.
static void become_ready(hf_manager *m, unsigned index) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  if (draft->ready_ns == 0) draft->ready_ns = hf_now_mono_ns();
  draft->settled_incarnation = HF_WORD_INCARNATION(word);
  draft->extended_until_ns = 0; // more time was asked for to get here
  hf__move(m, index, draft, HF_STATE_READY, HF_WORD_INCARNATION(word), NULL);
}

void hf__walk(hf_manager *m, unsigned index, hf_state to) {
  for (int guard = 0; guard < HF_STATE_COUNT; guard++) {
    hf_status_word word = hf_status_word_now(m->segment, index);
    hf_state at = (hf_state)HF_WORD_STATE(word);
    if (at == to) return;
    int next = hf_state_next(at, to);
    if (next < 0) return;
    hf_status *draft = hf_status_begin(m->segment, index);
    if (next == HF_STATE_READY) {
      become_ready(m, index);
      continue;
    }
    if (hf__move(m, index, draft, (hf_state)next, HF_WORD_INCARNATION(word), NULL) != 0) return;
  }
}

static void sooner(hf_proc *p, uint64_t when) {
  if (p->look_at_ns == 0 || when < p->look_at_ns) p->look_at_ns = when;
}

// The state that the process has declared itself is shown. True if it has declared any.
static bool follow_phase(hf_manager *m, unsigned index, uint64_t phase) {
  hf_proc *p = &m->proc[index];
  hf_state at = (hf_state)HF_WORD_STATE(hf_status_word_now(m->segment, index));
  if (phase == 0) return false;
  hf_state declared = (hf_state)HF_PHASE_STATE(phase);
  if (at == HF_STATE_READY && declared == HF_STATE_BOOTING) {
    if (!p->late_attach_seen) hf__event(m, index, HF_EVENT_attached, "it attached after it was taken for READY");
    p->late_attach_seen = 1;
  } else {
    hf__walk(m, index, declared);
  }
  return true;
}

// Why its time is over, or HF_STOP_NO: it has some left (it is looked at again when that is over), or needs none.
static int find_late(hf_manager *m, unsigned index, uint64_t now) {
  const hf_spec *spec = hf__spec(m, index);
  const hf_status *s = hf_status_now(m->segment, index);
  hf_state at = (hf_state)HF_WORD_STATE(hf_status_word_now(m->segment, index));
  uint64_t patience = spec->start_timeout_ns, since = s->started_ns;
  bool call = spec->ready == HF_READY_CALL, heartbeat = spec->heartbeat_ns != 0;
  int late = HF_STOP_NO;
  if (patience == 0) return HF_STOP_NO;
  if (call && s->ready_ns == 0) late = HF_STOP_TIMED_OUT;
  if (heartbeat && !hf__hearts_beats(m, index)) late = HF_STOP_NO_HEARTBEAT;
  if (late == HF_STOP_NO && (call || heartbeat) && at == HF_STATE_LOADCFG && s->ready_ns != 0) {
    late = HF_STOP_LOADING;
    since = s->phase_since_ns;
  }
  if (late == HF_STOP_NO) return HF_STOP_NO;
  uint64_t when = hf__deadline(m, since + patience, patience);
  if (when < s->extended_until_ns) when = s->extended_until_ns;
  if (now >= when) return late;
  sooner(&m->proc[index], when);
  return HF_STOP_NO;
}

// What the process has declared, or the time that makes it READY without a word, or the time that is over.
static void watch_phase(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  const hf_spec *spec = hf__spec(m, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  bool declares = true;
  if ((hf_state)HF_WORD_STATE(word) != HF_STATE_READY || m->phases_rung)
    declares = follow_phase(m, index, hf_own_phase_read(p->own_fd > 0 ? p->own_fd : -1, index, HF_WORD_INCARNATION(word)));
  if (spec == NULL) return;
  const hf_status *s = hf_status_now(m->segment, index);
  hf_state at = (hf_state)HF_WORD_STATE(hf_status_word_now(m->segment, index));
  bool by_time = at != HF_STATE_READY &&
                 (spec->ready == HF_READY_ALIVE || (spec->ready == HF_READY_AUTO && !declares && s->notified_phase == 0));
  if (by_time && s->ready_ns == 0 && (spec->heartbeat_ns == 0 || hf__hearts_beats(m, index))) {
    uint64_t when = s->started_ns + spec->alive_for_ns;
    if (now >= when) become_ready(m, index);
    else sooner(p, when);
  }
  int late = find_late(m, index, now);
  if (late != HF_STOP_NO) hf__stop_begin(m, index, late, false, now);
}

// Nothing lives: start it, plan it, or leave it. True if something was done.
static bool step_resting(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  const hf_status *s = hf_status_now(m->segment, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  if (p->removing) {
    hf__slot_free(m, index);
    return false;
  }
  bool readable =
      hf__spec(m, index) != NULL || s->wanted != HF_WANTED_RUN || hf_load_relaxed(&m->segment->header.shutting_down);
  if (!readable) return false; // its definition may be there again at the next look
  if (!hf__should_run(m, index)) {
    bool backing_off = s->stage == HF_STAGE_BACKOFF;
    if (!backing_off && s->waiting_for[0] == 0) return false;
    hf_status *draft = hf_status_begin(m->segment, index);
    draft->stage = HF_STAGE_IDLE;
    draft->next_start_ns = 0;
    draft->respawn = 0;
    draft->waiting_for[0] = 0;
    // A stop during back-off: FAIL becomes STOPPED. A limit that was reached stays FAIL.
    hf_state state = (hf_state)HF_WORD_STATE(word);
    if (backing_off && !s->limited) state = HF_STATE_STOPPED;
    hf__move(m, index, draft, state, HF_WORD_INCARNATION(word), NULL);
    return false;
  }
  if (s->next_start_ns > now) {
    sooner(p, s->next_start_ns);
    return false;
  }
  char waiting_for[HF_NAME_SIZE];
  bool ready = hf__depends_ready(m, index, waiting_for);
  if (strcmp(waiting_for, s->waiting_for) != 0) {
    hf_status *draft = hf_status_begin(m->segment, index);
    memcpy(draft->waiting_for, waiting_for, sizeof draft->waiting_for);
    hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  }
  if (!ready) return false;
  hf__launch(m, index, now);
  return true;
}

// It lives. True if something was done that needs another look.
static bool step_living(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  if (p->ended) return hf__ended(m, index, now);
  const hf_status *s = hf_status_now(m->segment, index);
  if (s->stage == HF_STAGE_RUNNING) {
    if (m->cells_rung || p->hearts_again) hf__hearts_take(m, index, now); // may condemn
    if (hf_status_now(m->segment, index)->stage == HF_STAGE_RUNNING) watch_phase(m, index, now);
    s = hf_status_now(m->segment, index);
    if (s->stage == HF_STAGE_RUNNING && hf__should_stop(m, index)) {
      bool held = hf_load_relaxed(&m->segment->header.shutting_down) && !m->hurry && !m->ignore_dependents &&
                  hf__has_living_dependents(m, index);
      if (!held) hf__stop_begin(m, index, HF_STOP_ASKED, false, now);
    } else if (s->stage == HF_STAGE_RUNNING && s->restart_after) {
      // A restart that was asked for is in the status: a manager killed before it began the stop leaves it to the next one.
      hf__stop_begin(m, index, HF_STOP_ASKED, true, now);
    } else if (s->stage == HF_STAGE_RUNNING && s->notified_stopping && s->kill_at_ns != 0) {
      uint64_t when = hf__kill_at(m, index); // it said itself that it stops
      if (now >= when) hf__stop_begin(m, index, HF_STOP_STOPPING, false, now);
      else sooner(p, when);
    }
    s = hf_status_now(m->segment, index);
  }
  if (s->stage == HF_STAGE_CAPTURING) {
    hf__hang_step(m, index, now);
  } else if (s->stage == HF_STAGE_STOPPING) {
    uint64_t when = hf__kill_at(m, index);
    if (now >= when) hf__kill_begin(m, index, now);
    else sooner(p, when);
  } else if (s->stage == HF_STAGE_KILLING && p->look_at_ns == 0) {
    hf__kill_again(m, index, now);
  }
  unsigned stage = hf_status_now(m->segment, index)->stage;
  if (p->pidfd == 0 || p->own_fd == 0 || p->out_fd == 0) hf__adopt_again(m, index, now);
  return p->ended || hf_status_now(m->segment, index)->stage != stage;
}

static void advance(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  if (p->litter != 0) hf__remove_files(m, index, p->litter_last);
  for (int i = 0; i < STEPS_MAX; i++) {
    unsigned stage = hf_status_now(m->segment, index)->stage;
    bool more;
    if (stage == HF_STAGE_IDLE || stage == HF_STAGE_BACKOFF) more = step_resting(m, index, now);
    else if (stage == HF_STAGE_CLEANING) more = hf__clean(m, index, now);
    else more = step_living(m, index, now);
    if (!more) return;
  }
  // It goes round fast (a spawn that fails at once without back-off): let the others have their turn.
  sooner(p, now + 1000000);
}

void hf__step(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  if (hf_status_now(m->segment, index)->name[0] == 0) return;
  hf__request_take(m, index);
  if (p->look_at_ns <= now) p->look_at_ns = 0;
  advance(m, index, now);
  if (p->hearts != NULL && hf_status_now(m->segment, index)->stage != HF_STAGE_RUNNING) hf__hearts_forget(m, index);
  hf__afterwards(m, index); // the replacement runs by now
}
