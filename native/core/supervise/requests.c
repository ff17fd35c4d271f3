// SPDX-License-Identifier: MIT
// What operators want of a process, and whether it may run now.
#include <string.h>

#include "base/kernel.h"
#include "process/policy.h"
#include "process/state.h"
#include "process/status.h"
#include "supervise/manager.h"

// Takes in a changed request word. One commit: what was taken in and what it means cannot part. step.c acts on it.
void hf__request_take(hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  uint64_t request = hf_load_acquire(&m->requests->slot[index].word); // pairs with the release of the operator's swap
  if (request == s->request_done || HF_REQUEST_GENERATION(request) != (s->generation & 0xfffffu)) return;
  unsigned wanted = HF_REQUEST_WANTED(request);
  bool restart =
      HF_REQUEST_RESTARTS(request) != HF_REQUEST_RESTARTS(s->request_done) ||
      (HF_REQUEST_GENERATION(s->request_done) != HF_REQUEST_GENERATION(request) && HF_REQUEST_RESTARTS(request) != 0);
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_state state = (hf_state)HF_WORD_STATE(word);
  bool living = hf__living_stage(s->stage);
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->request_done = request;
  if (wanted == HF_WANTED_RUN + 1) {
    draft->wanted = HF_WANTED_RUN;
    draft->limited = draft->finished = 0;
    hf_policy_forgive(&draft->history);
    if (!living) draft->next_start_ns = 0;
    draft->stop_force = 0;
    if (living && (restart || s->stage != HF_STAGE_RUNNING)) draft->restart_after = 1; // also a start while it stops
    if (s->stage == HF_STAGE_CLEANING) draft->respawn = restart;
  } else if (wanted == HF_WANTED_STOP + 1) {
    draft->wanted = HF_WANTED_STOP;
    draft->restart_after = 0;
    draft->limited = 0;
    draft->stop_force = (uint8_t)HF_REQUEST_FORCE(request);
    if (!living && state == HF_STATE_FAIL) state = HF_STATE_STOPPED;
    if (!living && s->stage == HF_STAGE_BACKOFF) draft->stage = HF_STAGE_IDLE;
  }
  hf__move(m, index, draft, state, HF_WORD_INCARNATION(word), NULL);
}

bool hf__should_run(const hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  const hf_spec *spec = hf__spec(m, index);
  return spec != NULL && !m->proc[index].removing && spec->enabled && s->wanted == HF_WANTED_RUN && !s->finished &&
         !hf_load_relaxed(&m->segment->header.shutting_down);
}

// Not the opposite: what lives while its definition can't be read goes on, and is not started again.
bool hf__should_stop(const hf_manager *m, unsigned index) {
  if (hf__spec(m, index) != NULL || m->proc[index].removing) return !hf__should_run(m, index);
  return hf_status_now(m->segment, index)->wanted != HF_WANTED_RUN || hf_load_relaxed(&m->segment->header.shutting_down);
}

// READY, and a change of configuration while it was READY does not count as leaving it.
static bool serves(const hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  hf_state state = (hf_state)HF_WORD_STATE(hf_status_word_now(m->segment, index));
  return state == HF_STATE_READY || (hf_state_living(state) && s->ready_ns != 0);
}

static int find(const hf_manager *m, const char *name) {
  for (unsigned i = 0; i < hf__slots(m); i++)
    if (strcmp(hf_status_now(m->segment, i)->name, name) == 0) return (int)i;
  return -1;
}

bool hf__depends_ready(const hf_manager *m, unsigned index, char waiting_for[HF_NAME_SIZE]) {
  const hf_spec *spec = hf__spec(m, index);
  memset(waiting_for, 0, HF_NAME_SIZE);
  for (uint32_t i = 0; spec != NULL && i < spec->depends_count; i++) {
    int other = find(m, spec->depends[i]);
    if (other >= 0 && serves(m, (unsigned)other)) continue;
    memcpy(waiting_for, spec->depends[i], HF_NAME_SIZE);
    return false;
  }
  return true;
}

bool hf__has_living_dependents(const hf_manager *m, unsigned index) {
  const char *name = hf_status_now(m->segment, index)->name;
  for (unsigned i = 0; i < hf__slots(m); i++) {
    const hf_spec *spec = hf__spec(m, i);
    const hf_status *s = hf_status_now(m->segment, i);
    if (i == index || spec == NULL || !(hf__living_stage(s->stage) || s->stage == HF_STAGE_CLEANING)) continue;
    for (uint32_t d = 0; d < spec->depends_count; d++)
      if (strcmp(spec->depends[d], name) == 0) return true;
  }
  return false;
}
