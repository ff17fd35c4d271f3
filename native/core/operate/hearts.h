// SPDX-License-Identifier: MIT
// Where the cells of this process lie, and who looks at them from inside: private to operate/.
#ifndef HF_OPERATE_HEARTS_H
#define HF_OPERATE_HEARTS_H

#include <stdbool.h>

#include "heartbeat/cells.h"
#include "operate/self.h"

// Decided once, never freed.
typedef struct hf_place {
  hf_own *own;
  hf_self *self; // NULL: private memory, nobody judges but judge_here.c
} hf_place;

// NULL before the first call of hf_hearts.
const hf_place *hf__place(void);
// Whether a cell is claimed, and by this very process.
bool hf__cell_is_ours(const hf_place *place, uint32_t cell);
int hf__not_ours(uint32_t cell, hf_err *err); // HF_EINVAL with the sentence for it

// A detached thread with every signal blocked: they are for the threads of the program. 0, or -1 and errno.
int hf__thread_start(void *(*body)(void *), void *argument);

// ---- capture.c ----
// Starts the helper thread of this process where it has none: whether it has one now. Waits for a start that is under way.
bool hf__helper_start(const hf_place *place);
// What the stack hook and the kernel tell of the thread of a cell, the line "where: …" first: the length. `where` gets what
// that says, "" where nothing is known. Takes 300 ms at most where the hook keeps to its bound.
size_t hf__stack_text(const hf_place *place, uint32_t cell, char *out, size_t size, char where[HF_WHERE_SIZE]);

// ---- judge_here.c ----
void hf__judge_wake(const hf_place *place); // a claim changed
void hf__judge_forget(uint32_t cell);       // whoever claims it next has not asked for a judge

#endif
