// SPDX-License-Identifier: MIT
// The tree of a process: what descends from it, also what left its group and session. Found and killed until none is left.
#ifndef HF_SUPERVISE_TREE_H
#define HF_SUPERVISE_TREE_H

#include <stdbool.h>
#include <sys/types.h>

#include "segment/layout.h"

typedef struct hf_tree {
  hf_identity main;       // the incarnation's own process: alive, a zombie, or gone
  pid_t guardian;         // where orphans land (it is the subreaper)
  bool main_is_guardians; // main is (or was) a child of the guardian; else orphans landed elsewhere and /proc is walked
  const char *marker, *dir_marker;                // environment entries that every descendant inherited
  bool (*is_known)(pid_t pid, void *context);     // true for the manager and the main process of any incarnation
  void (*unattributed)(pid_t pid, void *context); // told of an orphan that belongs to nobody known; may be NULL
  void *context;
} hf_tree;

// Looks for living members of the tree other than `main`, freezes them until no new ones appear, and kills them. With
// `kill_main` main is frozen and killed too. Returns how many living members were found (0: none is left), or HF_ESYS where
// none was found and something could not be looked at. Never blocks on their end: call it again until it returns 0.
int hf_tree_kill(const hf_tree *tree, bool kill_main);

#endif
