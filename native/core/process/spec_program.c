// SPDX-License-Identifier: MIT
// Whether a changed definition needs a new process: what is left of it when everything that can change while it runs is put to its
// default. A field that is added later is left, so that forgetting it here restarts a process and never leaves an old one running.
#include <stdlib.h>

#include "base/hash.h"
#include "process/spec.h"

int hf_spec_program_checksum(const hf_spec *spec, uint64_t *out, hf_err *err) {
  hf_spec program = *spec, defaults;
  hf_spec_init(&defaults);
  program.ready = defaults.ready;
  program.restart = defaults.restart;
  program.enabled = defaults.enabled;
  program.stop_signal = defaults.stop_signal;
  program.stop_timeout_ns = defaults.stop_timeout_ns;
  program.start_timeout_ns = defaults.start_timeout_ns;
  program.alive_for_ns = defaults.alive_for_ns;
  program.stopped = defaults.stopped;
  program.backoff_first_ns = defaults.backoff_first_ns;
  program.backoff_from_ns = defaults.backoff_from_ns;
  program.backoff_max_ns = defaults.backoff_max_ns;
  program.backoff_reset_after_ns = defaults.backoff_reset_after_ns;
  program.backoff_factor = defaults.backoff_factor;
  program.backoff_jitter = defaults.backoff_jitter;
  program.limit_count = defaults.limit_count;
  program.limit_within_ns = defaults.limit_within_ns;
  program.log_max_bytes = defaults.log_max_bytes;
  program.log_keep = defaults.log_keep;
  program.log_file = NULL;
  program.depends_count = 0;
  ssize_t size = hf_spec_encode(&program, NULL, 0, err);
  if (size < 0) return (int)size;
  void *bytes = malloc((size_t)size);
  if (bytes == NULL) return hf_fail(err, HF_ENOMEM, "out of memory for a definition");
  ssize_t written = hf_spec_encode(&program, bytes, (size_t)size, err);
  if (written > 0) *out = hf_hash(HF_HASH_SEED, bytes, (size_t)written);
  free(bytes);
  return written < 0 ? (int)written : 0;
}
