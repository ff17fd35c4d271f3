// SPDX-License-Identifier: MIT
// Finding a tree. While its main process lives, everything below it is found by the children files. When it has died its
// orphans belong to the guardian, and are told apart by process group, session, or the marker in their environment. Each found
// one is pinned by a pidfd before it is signalled, so that no reused pid is ever hit.
#include "supervise/tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernel.h"
#include "process/identity.h"

enum { MEMBERS_MAX = 4096, FREEZE_PASSES = 8 };

typedef struct members {
  const hf_tree *tree;
  bool incomplete;   // something could not be looked at: there may be more
  int count, frozen; // frozen: how many of them were stopped already
  int capacity;
  struct member {
    pid_t pid;
    int pidfd;
  } *list;
} members;

static bool has(const members *m, pid_t pid) {
  for (int i = 0; i < m->count; i++)
    if (m->list[i].pid == pid) return true;
  return false;
}

static bool belongs(members *m, pid_t pid, const hf_process_facts *facts);

// Takes a process into the list if it lives: pinned first, then looked at, whether it still is what it was taken for: the child of
// `parent`, or with 0 one that belongs to the tree by its own marks.
static void take(members *m, pid_t pid, pid_t parent) {
  if (has(m, pid)) return;
  m->incomplete |= m->count >= MEMBERS_MAX;
  if (m->count >= MEMBERS_MAX) return;
  if (m->count == m->capacity) {
    int more = m->capacity ? m->capacity * 2 : 16;
    void *list = realloc(m->list, (size_t)more * sizeof *m->list);
    m->incomplete |= list == NULL;
    if (list == NULL) return;
    m->list = list;
    m->capacity = more;
  }
  int fd = hf_k_pidfd_open(pid);
  m->incomplete |= fd < 0 && errno != ESRCH;
  if (fd < 0) return;
  hf_process_facts facts;
  int failed = hf_process_facts_read(pid, &facts);
  m->incomplete |= failed == HF_ESYS;
  if (failed != 0 || facts.state == 'Z' || facts.state == 'X' ||
      !(parent != 0 ? facts.parent == parent : belongs(m, pid, &facts))) {
    hf_k_close(fd);
    return;
  }
  m->list[m->count++] = (struct member){pid, fd};
}

typedef struct parenthood {
  members *m;
  pid_t parent;
} parenthood;

static bool take_child(pid_t pid, void *context) {
  parenthood *p = context;
  take(p->m, pid, p->parent);
  return true;
}

static void take_children(members *m, pid_t parent) {
  parenthood p = {m, parent};
  m->incomplete |= hf_children_each(parent, take_child, &p) == HF_ESYS;
}

// Everything below what is in the list already; the list grows while it is walked.
static void take_descendants(members *m, int from) {
  for (int i = from; i < m->count; i++) take_children(m, m->list[i].pid);
}

static bool is_marked(members *m, pid_t pid) {
  return hf_environment_has(pid, m->tree->marker, &m->incomplete) &&
         hf_environment_has(pid, m->tree->dir_marker, &m->incomplete);
}

static bool belongs(members *m, pid_t pid, const hf_process_facts *facts) {
  return facts->group == m->tree->main.pid || facts->session == m->tree->main.pid || is_marked(m, pid);
}

// A child of the guardian that is no incarnation: whose is it?
static bool take_orphan(pid_t pid, void *context) {
  members *m = context;
  const hf_tree *tree = m->tree;
  if (tree->is_known(pid, tree->context) || has(m, pid)) return true;
  hf_process_facts facts;
  int failed = hf_process_facts_read(pid, &facts);
  m->incomplete |= failed == HF_ESYS;
  if (failed != 0 || facts.state == 'Z' || facts.state == 'X') return true;
  if (belongs(m, pid, &facts)) take(m, pid, 0);
  else if (tree->unattributed != NULL && !m->incomplete) tree->unattributed(pid, tree->context);
  return true;
}

// The slow way, where orphans landed with somebody else (a guardian died): every process with the marker.
static void take_marked(members *m) {
  DIR *proc = opendir("/proc");
  m->incomplete |= proc == NULL;
  if (proc == NULL) return;
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    pid_t pid = (pid_t)atoi(entry->d_name);
    if (pid == m->tree->main.pid || m->tree->is_known(pid, m->tree->context)) continue;
    if (is_marked(m, pid)) take(m, pid, 0);
  }
  closedir(proc);
}

static void look(members *m, bool main_lives) {
  const hf_tree *tree = m->tree;
  if (main_lives) take_children(m, tree->main.pid);
  int failed = hf_children_each(tree->guardian, take_orphan, m);
  m->incomplete |= failed == HF_ESYS;
  if (!tree->main_is_guardians || failed == HF_EUNKNOWN) take_marked(m); // or the guardian has just died
  take_descendants(m, 0);
}

// Returns how many may not be signalled by us: they became another user (sudo).
static int signal_all(const members *m, int from, int number) {
  int refused = 0;
  for (int i = from; i < m->count; i++)
    if (hf_k_pidfd_send_signal(m->list[i].pidfd, number) != 0 && errno == EPERM) {
      refused++;
      if (number == SIGKILL && m->tree->unattributed != NULL) m->tree->unattributed(m->list[i].pid, m->tree->context);
    }
  return refused;
}

int hf_tree_kill(const hf_tree *tree, bool kill_main) {
  members m = {.tree = tree};
  int main_fd = -1;
  if (kill_main) {
    main_fd = hf_identity_open(&tree->main, NULL);
    // Frozen first, so that it starts nothing while its descendants are looked for.
    if (main_fd >= 0) (void)hf_k_pidfd_send_signal(main_fd, SIGSTOP);
  }
  look(&m, main_fd >= 0);
  for (int pass = 0; m.count > m.frozen && pass < FREEZE_PASSES; pass++) {
    int from = m.frozen;
    m.frozen = m.count;
    signal_all(&m, from, SIGSTOP);
    look(&m, main_fd >= 0);
  }
  int beyond = signal_all(&m, 0, SIGKILL); // these nobody here can end: they are told of, and waited for by nobody
  if (main_fd >= 0) {
    (void)hf_k_pidfd_send_signal(main_fd, SIGKILL);
    hf_k_close(main_fd);
  }
  for (int i = 0; i < m.count; i++) hf_k_close(m.list[i].pidfd);
  free(m.list);
  return m.count > beyond ? m.count - beyond : m.incomplete ? HF_ESYS : 0;
}
