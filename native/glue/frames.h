// SPDX-License-Identifier: MIT
// A JavaScript stack as V8 prints it, and the one line of it that tells where a thread hangs.
#ifndef HF_GLUE_FRAMES_H
#define HF_GLUE_FRAMES_H

#include <cstddef>

namespace glue {

// The first frame of the user's own code, else of Node's, as "FUNCTION (FILE:LINE:COLUMN)" with the base name of the file,
// cut to fit. False where there is no frame.
bool FirstFrame(const char *stack, size_t length, char *out, size_t size);

} // namespace glue

#endif
