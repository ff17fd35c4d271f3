// SPDX-License-Identifier: MIT
// Whether a changed definition needs a new process.
#include <string.h>

#include "process/spec.h"

static bool same_texts(const char *const *a, const char *const *b) {
  size_t i = 0;
  for (; a != NULL && a[i] != NULL; i++)
    if (b == NULL || b[i] == NULL || strcmp(a[i], b[i]) != 0) return false;
  return b == NULL || b[i] == NULL;
}

static bool same_user(const hf_spec *a, const hf_spec *b) {
  if (!a->has_user != !b->has_user) return false;
  if (!a->has_user) return true;
  return a->uid == b->uid && a->gid == b->gid && a->group_count == b->group_count &&
         memcmp(a->groups, b->groups, a->group_count * sizeof *a->groups) == 0;
}

static bool same_limits(const hf_spec *a, const hf_spec *b) {
  if (a->limit_resource_count != b->limit_resource_count) return false;
  for (uint32_t i = 0; i < a->limit_resource_count; i++) {
    const hf_limit *left = &a->limits[i], *right = &b->limits[i];
    if (left->resource != right->resource || left->soft != right->soft || left->hard != right->hard) return false;
  }
  return true;
}

bool hf_spec_same_program(const hf_spec *a, const hf_spec *b) {
  if (strcmp(a->name, b->name) != 0 || a->start != b->start) return false; // the name is in the program's environment
  if (!a->has_umask != !b->has_umask || (a->has_umask && a->umask != b->umask)) return false;
  if (!a->has_nice != !b->has_nice || (a->has_nice && a->nice != b->nice)) return false;
  return strcmp(a->cwd, b->cwd) == 0 && same_texts(a->argv, b->argv) && same_texts(a->env, b->env) && same_user(a, b) &&
         same_limits(a, b);
}
