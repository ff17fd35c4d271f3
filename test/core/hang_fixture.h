// SPDX-License-Identifier: MIT
// Programs that beat and hang under a real holdfastd (programs/beater.c), and what is known of them afterwards.
#ifndef HF_TEST_HANG_FIXTURE_H
#define HF_TEST_HANG_FIXTURE_H

#include "daemon_fixture.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)

enum { HG_WORDS_MAX = 16 };

// A definition that runs the beater with these words (one text, divided by blanks) and is not restarted. Valid until the next call.
static inline void hg_spec(const fixture *f, hf_spec *spec, const char *name, const char *words) {
  static char text[512];
  static const char *argv[HG_WORDS_MAX + 2];
  int count = 0;
  char *rest = NULL;
  snprintf(text, sizeof text, "%s", words);
  argv[count++] = HF_TEST_PROGRAMS "/beater";
  for (char *word = strtok_r(text, " ", &rest); word != NULL && count <= HG_WORDS_MAX; word = strtok_r(NULL, " ", &rest))
    argv[count++] = word;
  argv[count] = NULL;
  fx_spec(f, spec, name, argv);
  spec->restart = HF_RESTART_NEVER;
}

static inline bool hg_put(fixture *f, const hf_spec *spec) {
  hf_err err;
  int result = hf_operator_define(f->op, spec, &err);
  if (result < 0) printf("  %s\n", err.text);
  return result >= 0;
}

static inline bool hg_define(fixture *f, const char *name, const char *words) {
  hf_spec spec;
  hg_spec(f, &spec, name, words);
  return hg_put(f, &spec);
}

static inline bool hg_read(const char *path, char *out, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, out, size - 1);
  if (fd >= 0) close(fd);
  out[got > 0 ? got : 0] = 0;
  return got > 0;
}

// When the beater says that it last beat: nanoseconds since 1970, 0 where it has not said it.
static inline int64_t hg_stamp(const char *path) {
  char text[64];
  return hg_read(path, text, sizeof text) ? strtoll(text, NULL, 10) : 0;
}

static inline hf_failure hg_failure(fixture *f, const char *name) { return fx_status(f, name).failures[0]; }

static inline bool hg_failed(fixture *f, const char *name) {
  hf_process_status s = fx_status(f, name);
  return s.failure_count > 0 && s.state == HF_STATE_FAIL && s.pid == 0;
}

// Events of that type about a process; the last of them into `last` (may be NULL).
static inline int hg_events(fixture *f, const char *name, hf_event_type type, hf_event *last) {
  static hf_event events[HF_EVENT_MAX];
  uint64_t next;
  int seen = 0, count = hf_operator_events(f->op, 1, events, HF_EVENT_MAX, &next, NULL);
  for (int i = 0; i < count; i++) {
    if (events[i].type != type || strcmp(events[i].name, name) != 0) continue;
    if (last != NULL) *last = events[i];
    seen++;
  }
  return seen;
}

// The failures that the log tells of: moves to FAIL.
static inline int hg_failures(fixture *f, const char *name, hf_cause cause) {
  static hf_event events[HF_EVENT_MAX];
  uint64_t next;
  int seen = 0, count = hf_operator_events(f->op, 1, events, HF_EVENT_MAX, &next, NULL);
  for (int i = 0; i < count; i++)
    if (events[i].type == HF_EVENT_state && events[i].to == HF_STATE_FAIL && strcmp(events[i].name, name) == 0)
      seen += events[i].cause == cause ? 1 : 100;
  return seen;
}

static inline bool hg_logged(fixture *f, const char *text) {
  static char log[1 << 16];
  char path[128];
  snprintf(path, sizeof path, "%s/holdfastd.log", f->log_dir);
  return hg_read(path, log, sizeof log) && strstr(log, text) != NULL;
}

static inline bool hg_report(fixture *f, const char *name, uint32_t incarnation, char *out, size_t size) {
  char path[160];
  snprintf(path, sizeof path, "%s/reports/%s.%u.txt", f->dir, name, incarnation);
  return hg_read(path, out, size);
}

static inline pid_t hg_manager(fixture *f) {
  hf_instance_status instance;
  hf_operator_instance(f->op, &instance, NULL);
  return instance.manager_pid;
}

// What is shown of its threads: the number, the first of them into `first`.
static inline int hg_threads(fixture *f, const char *name, hf_thread_status *first) {
  static hf_thread_status threads[HF_CELL_MAX + 1];
  int count = hf_operator_threads(f->op, name, threads, HF_CELL_MAX + 1, NULL);
  memset(first, 0, sizeof *first);
  if (count > 0) *first = threads[0];
  return count;
}

static inline void hg_rest(uint64_t ns) {
  struct timespec pause = {(time_t)(ns / S), (long)(ns % S)};
  nanosleep(&pause, NULL);
}

#endif
