// SPDX-License-Identifier: MIT
// Text that came from outside, made fit for a message. (hf_name_check itself is public.)
#ifndef HF_PROCESS_NAME_H
#define HF_PROCESS_NAME_H

#include <stddef.h>

#include "base/error.h"

// Copies `text` (NULL: nothing) into `out` for a message of one line: bytes that are no printable text become "?", and what
// does not fit is cut between two characters and ends in "...". `size` is at least 8. Returns `out`.
const char *hf_text_show(const char *text, char *out, size_t size);

#endif
