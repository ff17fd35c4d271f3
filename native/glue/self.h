// SPDX-License-Identifier: MIT
// The attachment of this process, for the other doors: one per process, shared by all environments, never undone.
#ifndef HF_GLUE_SELF_H
#define HF_GLUE_SELF_H

#include "holdfast.h"

namespace glue {

// NULL where nothing attached this process.
hf_self *AttachedSelf();
// Attaches without declaring a phase: NULL, with *code and *err, where that fails.
hf_self *AttachQuietly(hf_err *err, int *code);

} // namespace glue

#endif
