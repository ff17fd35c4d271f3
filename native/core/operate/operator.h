// SPDX-License-Identifier: MIT
// The operator's handle, shared by operator.c (writing) and view.c (reading).
#ifndef HF_OPERATE_OPERATOR_H
#define HF_OPERATE_OPERATOR_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

struct hf_operator {
  int dir, spec_dir, bell;
  hf_segment *segment;    // read-only
  hf_requests *requests;  // read-write
  _Atomic uint32_t woken; // moved by hf_operator_wake
  _Atomic bool closing;
  char path[HF_DIR_BYTES_MAX + 1];
};

// HF_ECIRCLE if `spec` closes a circle with the definitions that are there.
int hf__operator_circle(hf_operator *op, const hf_spec *spec, hf_err *err);

#endif
