// SPDX-License-Identifier: MIT
// Tests of sd_notify: a program that speaks it (programs/notifier.c) under a real holdfastd, and what is seen of it.
#ifndef HF_TEST_NOTIFY_FIXTURE_H
#define HF_TEST_NOTIFY_FIXTURE_H

#include "daemon_fixture.h"

#define NOTIFIER HF_TEST_PROGRAMS "/notifier"
#define MS UINT64_C(1000000)

static inline bool define(fixture *f, hf_spec *spec) {
  hf_err err;
  int result = hf_operator_define(f->op, spec, &err);
  if (result < 0) printf("  %s\n", err.text);
  return result >= 0;
}

// A definition of the notifier that is READY only by its own word.
static inline void by_call(const fixture *f, hf_spec *spec, const char *name, const char *const *argv) {
  fx_spec(f, spec, name, argv);
  spec->ready = HF_READY_CALL;
  spec->start_timeout_ns = 20000 * MS;
}

static inline bool run(fixture *f, const char *const *argv) {
  hf_spec spec;
  by_call(f, &spec, "app", argv);
  return define(f, &spec) && fx_start(f);
}

static inline bool soon_exists(const char *path) {
  for (int i = 0; i < 10000 && !fx_exists(path); i++) usleep(1000);
  return fx_exists(path);
}

static inline hf_instance_status instance_of(fixture *f) {
  hf_instance_status instance;
  memset(&instance, 0, sizeof instance);
  hf_operator_instance(f->op, &instance, NULL);
  return instance;
}

static inline int count_states(fixture *f, hf_state to) {
  static hf_event events[512];
  uint64_t next;
  int count = 0, n = hf_operator_events(f->op, 1, events, 512, &next, NULL);
  for (int i = 0; i < n; i++) count += events[i].type == HF_EVENT_state && events[i].to == to;
  return count;
}

static inline hf_state app_state(fixture *f) { return fx_status(f, "app").state; }

#endif
