// SPDX-License-Identifier: MIT
// The table of legal moves. What each state means is said once, in HF_STATES (holdfast.h).
#include "process/state.h"

// Walks go up one number at a time: the order of the list is the order of a start.
_Static_assert(HF_STATE_STARTED + 1 == HF_STATE_BOOTING && HF_STATE_BOOTING + 1 == HF_STATE_LOADCFG &&
                   HF_STATE_LOADCFG + 1 == HF_STATE_READY && HF_STATE_READY + 1 == HF_STATE_COUNT,
               "the living states follow one another");

// [from][to]. To STOPPED and FAIL from every living state: it ended. FAIL to STOPPED: a stop during back-off. STOPPED to
// FAIL: could not be executed. STARTED and BOOTING to READY: alive for long enough, where the program says nothing itself.
// READY to LOADCFG: the configuration is loaded afresh. To stay where one is is no move.
static const bool legal[HF_STATE_COUNT][HF_STATE_COUNT] = {
    [HF_STATE_FAIL] = {[HF_STATE_STOPPED] = true, [HF_STATE_STARTED] = true},
    [HF_STATE_STOPPED] = {[HF_STATE_FAIL] = true, [HF_STATE_STARTED] = true},
    [HF_STATE_STARTED] =
        {[HF_STATE_FAIL] = true, [HF_STATE_STOPPED] = true, [HF_STATE_BOOTING] = true, [HF_STATE_READY] = true},
    [HF_STATE_BOOTING] =
        {[HF_STATE_FAIL] = true, [HF_STATE_STOPPED] = true, [HF_STATE_LOADCFG] = true, [HF_STATE_READY] = true},
    [HF_STATE_LOADCFG] = {[HF_STATE_FAIL] = true, [HF_STATE_STOPPED] = true, [HF_STATE_READY] = true},
    [HF_STATE_READY] = {[HF_STATE_FAIL] = true, [HF_STATE_STOPPED] = true, [HF_STATE_LOADCFG] = true},
};

// States come from shared memory too: a number that is no state is no index.
static bool known(hf_state state) { return (unsigned)state < HF_STATE_COUNT; }

bool hf_state_living(hf_state state) { return known(state) && state >= HF_STATE_STARTED; }

bool hf_state_move_ok(hf_state from, hf_state to) { return known(from) && known(to) && legal[from][to]; }

int hf_state_next(hf_state from, hf_state to) {
  if (hf_state_living(from) && hf_state_living(to) && from < to) return (int)from + 1;
  return hf_state_move_ok(from, to) ? (int)to : -1;
}
