// SPDX-License-Identifier: MIT
// The table of legal moves between states.
#ifndef HF_PROCESS_STATE_H
#define HF_PROCESS_STATE_H

#include <stdbool.h>

#include "holdfast.h"

bool hf_state_move_ok(hf_state from, hf_state to);
// The next state on the way from `from` to `to` as observers should see it (BOOTING on the way from STARTED to READY, …), so
// that a walk shows every state; `to` itself where the move is direct; -1 where there is no way.
int hf_state_next(hf_state from, hf_state to);
// True if a process in that state runs (or is being run): STARTED, BOOTING, LOADCFG, READY.
bool hf_state_living(hf_state state);

#endif
