// SPDX-License-Identifier: MIT
// The table of moves, against design section 5 written out once more, and walks over it.
#include "check.h"
#include "process/state.h"

enum {
  F = HF_STATE_FAIL,
  P = HF_STATE_STOPPED,
  S = HF_STATE_STARTED,
  B = HF_STATE_BOOTING,
  L = HF_STATE_LOADCFG,
  R = HF_STATE_READY
};

TEST(legal_moves_are_those_of_the_design) {
  static const char *const table[HF_STATE_COUNT] = {
      // to: FPSBLR
      [F] = ".xx...", [P] = "x.x...", [S] = "xx.x.x", [B] = "xx..xx", [L] = "xx...x", [R] = "xx..x.",
  };
  for (int from = 0; from < HF_STATE_COUNT; from++)
    for (int to = 0; to < HF_STATE_COUNT; to++)
      CHECK_EQ(hf_state_move_ok((hf_state)from, (hf_state)to), table[from][to] == 'x');
}

TEST(next_shows_every_state_of_a_start) {
  static const int table[HF_STATE_COUNT][HF_STATE_COUNT] = {
      // to:  F   P   S   B   L   R
      [F] = {-1, P, S, -1, -1, -1}, [P] = {F, -1, S, -1, -1, -1}, [S] = {F, P, -1, B, B, B},
      [B] = {F, P, -1, -1, L, L},   [L] = {F, P, -1, -1, -1, R},  [R] = {F, P, -1, -1, L, -1},
  };
  for (int from = 0; from < HF_STATE_COUNT; from++)
    for (int to = 0; to < HF_STATE_COUNT; to++) CHECK_EQ(hf_state_next((hf_state)from, (hf_state)to), table[from][to]);
}

TEST(a_walk_makes_legal_moves_and_arrives) {
  for (int from = 0; from < HF_STATE_COUNT; from++)
    for (int to = 0; to < HF_STATE_COUNT; to++) {
      if (hf_state_next((hf_state)from, (hf_state)to) < 0) continue;
      int at = from, moves = 0;
      while (at != to && moves++ < HF_STATE_COUNT) {
        int next = hf_state_next((hf_state)at, (hf_state)to);
        CHECK(next >= 0 && hf_state_move_ok((hf_state)at, (hf_state)next));
        at = next;
      }
      CHECK_EQ(at, to);
    }
}

TEST(living_states) {
  CHECK(!hf_state_living(HF_STATE_FAIL) && !hf_state_living(HF_STATE_STOPPED));
  for (int state = S; state <= R; state++) CHECK(hf_state_living((hf_state)state));
}

TEST(a_number_that_is_no_state) {
  static const unsigned numbers[] = {HF_STATE_COUNT, 255, 0x7fffffff, UINT32_MAX};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    hf_state bad = (hf_state)numbers[i];
    CHECK(!hf_state_living(bad));
    CHECK(!hf_state_move_ok(bad, HF_STATE_STOPPED) && !hf_state_move_ok(HF_STATE_READY, bad));
    CHECK_EQ(hf_state_next(bad, HF_STATE_STOPPED), -1);
    CHECK_EQ(hf_state_next(HF_STATE_STARTED, bad), -1);
  }
}

TEST(names_of_states) {
  CHECK_STR(hf_state_name(HF_STATE_FAIL), "FAIL");
  CHECK_STR(hf_state_name(HF_STATE_READY), "READY");
  CHECK_STR(hf_state_name(HF_STATE_COUNT), "?");
}

CHECK_MAIN
