// SPDX-License-Identifier: MIT
// Drives an instance for the benchmarks, on nothing but holdfast.h.
//   bench-hold define DIR LOG_DIR COUNT PROGRAM [ARGUMENTS]  defines COUNT processes, service.1 and on, before holdfastd starts
//   bench-hold ready DIR                                     waits until all are READY; prints "MANAGER GUARDIAN", their pids
//   bench-hold down DIR                                      asks the instance to stop everything and end
// Back-off is 0 throughout: each restart is the one that comes at once, as the first of a good service always is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernel.h"
#include "holdfast.h"

enum { PATIENCE_S = 30 };

static int say(const hf_err *err) {
  fprintf(stderr, "bench-hold: %s\n", err->text);
  return 1;
}

static int define(hf_operator *op, const char *log_dir, int count, const char *const *argv) {
  static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
  hf_err err;
  if (hf_operator_setting_put(op, "log_dir", log_dir, &err) != 0) return say(&err);
  for (int i = 1; i <= count; i++) {
    hf_spec spec;
    char log_file[256];
    hf_spec_init(&spec);
    snprintf(spec.name, sizeof spec.name, "service.%d", i);
    snprintf(log_file, sizeof log_file, "%s/%s.log", log_dir, spec.name);
    spec.log_file = log_file;
    spec.argv = argv;
    spec.env = env;
    spec.cwd = "/";
    spec.ready = HF_READY_ALIVE;
    spec.alive_for_ns = 10000000;
    spec.backoff_first_ns = spec.backoff_from_ns = spec.backoff_max_ns = 0;
    if (hf_operator_define(op, &spec, &err) < 0) return say(&err);
  }
  return 0;
}

static bool all_ready(hf_operator *op) {
  static hf_process_status all[HF_PROCESS_MAX];
  int count = hf_operator_status(op, all, HF_PROCESS_MAX, NULL);
  for (int i = 0; i < count; i++)
    if (all[i].state != HF_STATE_READY) return false;
  return count >= 0;
}

static int ready(hf_operator *op) {
  hf_err err;
  hf_instance_status instance;
  uint64_t end = hf_now_mono_ns() + PATIENCE_S * 1000000000ull;
  for (;;) {
    uint32_t seen = hf_operator_changes(op);
    if (hf_operator_instance(op, &instance, &err) != 0) return say(&err);
    if (instance.manager_pid > 0 && instance.specs_done == instance.specs_wanted && all_ready(op)) break;
    uint64_t now = hf_now_mono_ns();
    if (now >= end) {
      fprintf(stderr, "bench-hold: not everything became READY within %d s: see the logs\n", PATIENCE_S);
      return 1;
    }
    (void)hf_operator_wait(op, seen, (int64_t)(end - now));
  }
  printf("%d %d\n", (int)instance.manager_pid, (int)instance.guardian_pid);
  return 0;
}

int main(int argc, char **argv) {
  hf_err err;
  hf_operator *op;
  const char *verb = argc > 2 ? argv[1] : "";
  bool defines = strcmp(verb, "define") == 0 && argc > 5;
  bool waits = strcmp(verb, "ready") == 0 && argc == 3;
  bool ends = strcmp(verb, "down") == 0 && argc == 3;
  if (!defines && !waits && !ends) {
    fprintf(stderr, "usage: bench-hold define DIR LOG_DIR COUNT PROGRAM [ARGUMENTS] | ready DIR | down DIR\n");
    return 2;
  }
  if (hf_operator_open(&op, argv[2], defines ? HF_OPERATOR_CREATE : 0, &err) != 0) return say(&err);
  int code;
  if (defines) code = define(op, argv[3], atoi(argv[4]), (const char *const *)(argv + 5));
  else if (waits) code = ready(op);
  else code = hf_operator_shutdown(op, &err) != 0 ? say(&err) : 0;
  hf_operator_close(op);
  return code;
}
