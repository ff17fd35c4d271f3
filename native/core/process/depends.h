// SPDX-License-Identifier: MIT
// Dependencies among definitions: circles, found and named. Pure.
#ifndef HF_PROCESS_DEPENDS_H
#define HF_PROCESS_DEPENDS_H

#include "base/error.h"

// Finds a circle among `count` definitions (NULL entries are skipped): 0, or HF_ECIRCLE with the circle by name
// ("a -> b -> a"). Names that are not defined are no circle. Of two definitions with one name the first counts. Time and
// memory are linear in names and dependencies; no recursion.
int hf_depends_check(const hf_spec *const *specs, int count, hf_err *err);

#endif
