// SPDX-License-Identifier: MIT
// Circles among definitions: a depth-first walk with a stack of its own, over names that a hash table resolves.
#include "process/depends.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNSEEN = 0, ON_PATH, DONE };

typedef struct node {
  const hf_spec *spec; // NULL: no definition
  uint32_t next;       // the dependency to look at next
  uint8_t mark;
} node;

typedef struct graph {
  node *nodes;
  int *path;   // the nodes from where the walk began to where it is
  int depth;   // nodes on the path
  int *table;  // index + 1 of a node by the hash of its name, 0: free
  size_t mask; // slots of the table - 1; at least half of them are free
} graph;

// The slot where `name` is, or the free one where it would be.
static size_t slot_of(const graph *g, const char *name) {
  size_t length = strnlen(name, HF_NAME_SIZE);
  uint32_t hash = 2166136261u; // FNV-1a
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
  size_t slot = hash & g->mask;
  while (g->table[slot] != 0 && strncmp(g->nodes[g->table[slot] - 1].spec->name, name, HF_NAME_SIZE) != 0)
    slot = (slot + 1) & g->mask;
  return slot;
}

static int graph_init(graph *g, const hf_spec *const *specs, int count, hf_err *err) {
  size_t slots = 2;
  while (slots < (size_t)count * 2) slots *= 2;
  *g = (graph){.mask = slots - 1};
  g->nodes = calloc((size_t)count, sizeof *g->nodes);
  g->path = calloc((size_t)count, sizeof *g->path);
  g->table = calloc(slots, sizeof *g->table);
  if (g->nodes == NULL || g->path == NULL || g->table == NULL)
    return hf_fail(err, HF_ENOMEM, "out of memory while looking for circles among %d definitions", count);
  for (int i = 0; i < count; i++) {
    if (specs[i] == NULL) continue;
    g->nodes[i].spec = specs[i];
    size_t slot = slot_of(g, specs[i]->name);
    if (g->table[slot] == 0) g->table[slot] = i + 1; // of two with one name the first counts
  }
  return 0;
}

static void graph_close(graph *g) {
  free(g->nodes);
  free(g->path);
  free(g->table);
}

// "a -> b -> a" from the part of the path that begins at `start`. A long circle is cut before its end, and counted.
static int report(const graph *g, int start, hf_err *err) {
  char text[240];
  const char *first = g->nodes[g->path[start]].spec->name;
  int length = g->depth - start;
  size_t used = 0;
  for (int i = 0; i < length; i++) {
    if (used + 2 * HF_NAME_SIZE + sizeof " ->  -> ... (512 in all) -> " > sizeof text) {
      used += (size_t)snprintf(text + used, sizeof text - used, "... (%d in all) -> ", length);
      break;
    }
    const char *name = g->nodes[g->path[start + i]].spec->name;
    used += (size_t)snprintf(text + used, sizeof text - used, "%.*s -> ", HF_NAME_SIZE - 1, name);
  }
  snprintf(text + used, sizeof text - used, "%.*s", HF_NAME_SIZE - 1, first);
  return hf_fail(err, HF_ECIRCLE, "processes depend on each other in a circle: %s; remove one of them from dependsOn", text);
}

// Walks all that `root` needs: 0, or HF_ECIRCLE.
static int walk(graph *g, int root, hf_err *err) {
  g->depth = 0;
  g->path[g->depth++] = root;
  g->nodes[root].mark = ON_PATH;
  while (g->depth > 0) {
    node *top = &g->nodes[g->path[g->depth - 1]];
    if (top->next == top->spec->depends_count || top->next == HF_DEPENDS_MAX) {
      top->mark = DONE;
      g->depth--;
      continue;
    }
    int found = g->table[slot_of(g, top->spec->depends[top->next++])] - 1;
    if (found < 0 || g->nodes[found].mark == DONE) continue;
    if (g->nodes[found].mark == ON_PATH) {
      int start = g->depth - 1;
      while (g->path[start] != found) start--;
      return report(g, start, err);
    }
    g->nodes[found].mark = ON_PATH;
    g->path[g->depth++] = found;
  }
  return 0;
}

int hf_depends_check(const hf_spec *const *specs, int count, hf_err *err) {
  if (count <= 0) return 0;
  graph g;
  int result = graph_init(&g, specs, count, err);
  for (int i = 0; result == 0 && i < count; i++)
    if (g.nodes[i].spec != NULL && g.nodes[i].mark == UNSEEN) result = walk(&g, i, err);
  graph_close(&g);
  return result;
}
