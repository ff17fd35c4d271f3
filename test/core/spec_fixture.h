// SPDX-License-Identifier: MIT
// Two definitions for the tests: one with every member set, one with as few as may be.
#ifndef HF_TEST_SPEC_FIXTURE_H
#define HF_TEST_SPEC_FIXTURE_H

#include <signal.h>

#include "check.h"
#include "process/spec.h"

static const char *const argv_full[] = {"node", "", "a b\n\xff", NULL};
static const char *const env_full[] = {"PATH=/bin", "EMPTY=", "A=b=c", NULL};
static const char *const argv_small[] = {"/bin/true", NULL};
static uint8_t bytes[HF_SPEC_BYTES_MAX + 1];
static hf_spec spec;
static hf_err err;

static inline void small(void) {
  hf_spec_init(&spec);
  strcpy(spec.name, "web");
  spec.cwd = "/";
  spec.argv = argv_small;
}

static inline void full(void) {
  small();
  spec.start = HF_START_ON_DEMAND, spec.ready = HF_READY_ALIVE, spec.restart = HF_RESTART_NEVER, spec.enabled = 0;
  spec.stop_signal = SIGKILL;
  spec.heartbeat_ns = UINT64_C(86400000000000), spec.stopped = HF_STOPPED_FAIL; // a day
  spec.backoff_factor = 1.5, spec.backoff_jitter = 0.25;
  spec.limit_count = HF_LIMIT_COUNT_MAX, spec.limit_within_ns = UINT64_C(31536000000000000); // 365 days
  spec.has_user = 1, spec.uid = 1000, spec.gid = 0xfffffffe;
  spec.group_count = 2, spec.groups[0] = 4, spec.groups[1] = 27;
  spec.has_umask = 1, spec.umask = 0777;
  spec.has_nice = 1, spec.nice = -20;
  spec.limit_resource_count = 2;
  spec.limits[0] = (hf_limit){7, 1024, 4096};
  spec.limits[1] = (hf_limit){4, UINT64_MAX, UINT64_MAX};
  spec.log_file = "/var/log/web.log";
  spec.cwd = "/srv/a folder";
  spec.argv = argv_full;
  spec.env = env_full;
  spec.depends_count = 2;
  strcpy(spec.depends[0], "db");
  strcpy(spec.depends[1], "cache.1");
}

static inline size_t encode(void) {
  ssize_t size = hf_spec_encode(&spec, bytes, sizeof bytes, &err);
  if (size < 0) printf("  %s\n", err.text);
  CHECK(size > 0);
  return size > 0 ? (size_t)size : 0;
}

#endif
