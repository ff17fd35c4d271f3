// SPDX-License-Identifier: MIT
// How long a hang stays unseen. `bench-detect DIR LOG_DIR HANGS BEATER [SEED]` on an instance that runs in DIR.
//
// HANGS processes with periods between 100 ms and 2 s, evenly drawn, beat at a random part (0.2 to 0.9) of their period, and fall silent
// after a random number of beats. For each it prints "PERIOD_NS SILENT_NS LATENESS_NS": the time from its last beat, by its own record,
// to the verdict in the event log, and the lateness of the judge that the verdict records. All run at the same time.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kernel.h"
#include "beater.h"
#include "holdfast.h"

enum { HANGS_MAX = 400, PATIENCE_S = 90, SHORTEST_MS = 100, LONGEST_MS = 2000 };

typedef struct hang {
  char record[200];
  uint64_t period_ns, verdict_ns;
} hang;

static int say(const char *text) {
  fprintf(stderr, "bench-detect: %s\n", text);
  return 1;
}

static int define(hf_operator *op, int i, hang *h, const char *log_dir, const char *beater, uint64_t *random) {
  static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
  char period[16], fraction[16], beats[16];
  *random = *random * 6364136223846793005u + 1442695040888963407u;
  unsigned drawn = (unsigned)(*random >> 33), period_ms = SHORTEST_MS + drawn % (LONGEST_MS - SHORTEST_MS + 1);
  snprintf(period, sizeof period, "%u", period_ms);
  snprintf(fraction, sizeof fraction, "0.%u", 20 + (drawn >> 12) % 71);
  snprintf(beats, sizeof beats, "%u", 3 + (drawn >> 20) % 5);
  snprintf(h->record, sizeof h->record, "%s/hang.%d.record", log_dir, i);
  h->period_ns = period_ms * 1000000u;
  const char *const argv[] = {beater, period, fraction, beats, h->record, NULL};
  hf_spec spec;
  hf_err err;
  char log_file[256];
  hf_spec_init(&spec);
  snprintf(spec.name, sizeof spec.name, "hang.%d", i);
  snprintf(log_file, sizeof log_file, "%s/%s.log", log_dir, spec.name);
  spec.log_file = log_file;
  spec.argv = argv;
  spec.env = env;
  spec.cwd = "/";
  spec.ready = HF_READY_CALL;
  spec.restart = HF_RESTART_NEVER;
  return hf_operator_define(op, &spec, &err) < 0 ? say(err.text) : 0;
}

// Takes the verdicts from the event log as they come: how many are there so far.
static int take_verdicts(hf_operator *op, hang *hangs, int count, uint64_t *from) {
  static hf_event events[256];
  int n, found = 0;
  while ((n = hf_operator_events(op, *from, events, 256, from, NULL)) > 0)
    for (int i = 0; i < n; i++) {
      int at = -1;
      if (events[i].type == HF_EVENT_hung && sscanf(events[i].name, "hang.%d", &at) == 1 && at >= 0 && at < count)
        hangs[at].verdict_ns = events[i].at_mono_ns;
    }
  for (int i = 0; i < count; i++) found += hangs[i].verdict_ns != 0;
  return found;
}

static int print(hf_operator *op, int i, const hang *h) {
  hf_process_status status;
  hf_err err;
  char name[HF_NAME_SIZE];
  snprintf(name, sizeof name, "hang.%d", i);
  int fd = open(h->record, O_RDONLY | O_CLOEXEC);
  beater_record record;
  if (fd < 0 || read(fd, &record, sizeof record) != (ssize_t)sizeof record)
    return say("the record of a process can't be read");
  close(fd);
  if (hf_operator_find(op, name, &status, &err) != 0) return say(err.text);
  if (status.failure_count == 0 || status.failures[0].cause != HF_CAUSE_hang)
    return say("a process failed of something else");
  printf("%llu %lld %llu\n", (unsigned long long)h->period_ns, (long long)(h->verdict_ns - record.last_after_ns),
         (unsigned long long)status.failures[0].lateness_ns);
  return 0;
}

static bool all_over(hf_operator *op) {
  static hf_process_status all[HF_PROCESS_MAX];
  int count = hf_operator_status(op, all, HF_PROCESS_MAX, NULL);
  for (int i = 0; i < count; i++)
    if (strncmp(all[i].name, "hang.", 5) == 0 && (all[i].pid != 0 || all[i].state != HF_STATE_FAIL)) return false;
  return count >= 0;
}

int main(int argc, char **argv) {
  static hang hangs[HANGS_MAX];
  int count = argc > 4 ? atoi(argv[3]) : 0;
  if (argc < 5 || argc > 6 || count < 1 || count > HANGS_MAX)
    return say("usage: bench-detect DIR LOG_DIR HANGS BEATER [SEED]");
  hf_operator *op;
  hf_err err;
  uint64_t random = argc > 5 ? strtoull(argv[5], NULL, 10) : 1, from = 0;
  if (hf_operator_open(&op, argv[1], 0, &err) != 0) return say(err.text);
  for (int i = 0; i < count; i++)
    if (define(op, i, &hangs[i], argv[2], argv[4], &random) != 0) return 1;
  uint64_t end = hf_now_mono_ns() + PATIENCE_S * 1000000000ull;
  for (;;) {
    uint32_t seen = hf_operator_changes(op);
    if (take_verdicts(op, hangs, count, &from) == count && all_over(op)) break;
    uint64_t now = hf_now_mono_ns();
    if (now >= end) return say("not every hang was found in time");
    (void)hf_operator_wait(op, seen, (int64_t)(end - now));
  }
  for (int i = 0; i < count; i++)
    if (print(op, i, &hangs[i]) != 0) return 1;
  hf_operator_close(op);
  return 0;
}
