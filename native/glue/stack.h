// SPDX-License-Identifier: MIT
// Stacks of other threads: which threads run JavaScript here, and what each of them is doing.
#ifndef HF_GLUE_STACK_H
#define HF_GLUE_STACK_H

#include <napi.h>

#include <cstddef>
#include <cstdint>

#include "holdfast.h"

namespace glue {

// Whether V8 can be asked here: the three symbols that it takes are looked up once.
bool CanCaptureStacks();

// The calling thread runs `env` and is Node's `thread_id`: noted until the environment ends. Returns its kernel thread id.
pid_t AnnounceThread(napi_env env, uint32_t thread_id);
// The kernel thread id of a thread that announced itself, 0 where none did.
pid_t KernelThread(uint32_t thread_id);

struct StackTarget {
  uint32_t thread_id;
  char name[HF_NAME_SIZE];
};

// Writes one section for each thread, the first of them being the one that was judged, after a line "where: FUNCTION
// (FILE:LINE:COLUMN)" of that one, or "where: -". With `first_named` above 0 the judged thread is not what hangs: the line
// is of the first from there on that has frames, else what the kernel knows of it. Waits for their answers until
// `deadline_mono_ns`, and 300 ms at most. Any thread that runs no JavaScript; one at a time. Allocates nothing. Returns the
// length; the text ends with a zero that is not counted.
size_t CaptureStacks(const StackTarget *targets, unsigned count, unsigned first_named, uint64_t deadline_mono_ns, char *out,
                     size_t size);

} // namespace glue

#endif
