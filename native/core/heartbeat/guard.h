// SPDX-License-Identifier: MIT
// Reading memory whose owner may cut the file under it. A SIGBUS inside a guarded mapping replaces that mapping by zero pages and marks
// it; the read goes on, and who reads learns afterwards that its owner cheated. Any other SIGBUS kills, as ever.
#ifndef HF_HEARTBEAT_GUARD_H
#define HF_HEARTBEAT_GUARD_H

#include <stdbool.h>

#include "base/error.h"

// Installs the handler and unblocks SIGBUS in the calling thread, the only one that may read guarded memory. Idempotent.
int hf_guard_begin(hf_err *err);
// Maps `size` bytes of fd read-only and guarded: the slot, or a negative error. At most HF_PROCESS_MAX at a time.
int hf_guard_map(int fd, size_t size, void **base, hf_err *err);
bool hf_guard_faulted(int slot); // its file was cut
void hf_guard_unmap(int slot);

#endif
