// SPDX-License-Identifier: MIT
// The guardian's children: how they ended is noted, and they are reaped when the manager has dealt with the note; and their output
// FIFOs, which it holds open so that last words survive a missing manager.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/identity.h"
#include "process/status.h"
#include "segment/segment.h"
#include "supervise/bell.h"
#include "supervise/exits.h"
#include "supervise/guardian.h"

// ---- children -----------------------------------------------------------------------------------------------------------

static int zombie_find(const hf_guardian *g, pid_t pid) {
  for (int i = 0; i < g->zombie_count; i++)
    if (g->zombies[i].pid == pid) return i;
  return -1;
}

// True if somebody should be told.
static bool note(hf_guardian *g, const siginfo_t *info) {
  int at = zombie_find(g, info->si_pid);
  if (at >= 0 && g->zombies[at].sequence != 0) return false;
  if (at < 0 && g->zombie_count == HF_EXIT_NOTE_MAX) return false; // it stays a zombie until there is room
  uint64_t sequence = hf_exits_note(g->exits, g->segment, info);
  if (sequence == 0) g->again = true;
  if (at < 0) at = g->zombie_count++;
  g->zombies[at] = (struct zombie){info->si_pid, sequence};
  return sequence != 0;
}

void hf__reap_acknowledged(hf_guardian *g) {
  for (int i = g->zombie_count; i-- > 0;) {
    struct zombie *z = &g->zombies[i];
    if (z->sequence == 0 || !hf_exits_is_acknowledged(g->segment, z->sequence)) continue;
    siginfo_t info;
    if (hf_k_waitid_reap(z->pid, &info) != 0 && errno != ECHILD) {
      g->again = true;
      continue;
    }
    *z = g->zombies[--g->zombie_count];
  }
}

typedef struct sweep {
  hf_guardian *g;
  bool told, manager_died;
} sweep;

static void see(sweep *s, const siginfo_t *info) {
  hf_guardian *g = s->g;
  if (info->si_pid == g->manager) s->manager_died = true;
  else if (note(g, info)) s->told = true;
}

static bool look_at_child(pid_t pid, void *context) {
  sweep *s = context;
  if (zombie_find(s->g, pid) >= 0 && s->g->zombies[zombie_find(s->g, pid)].sequence != 0) return true;
  siginfo_t info;
  if (hf_k_waitid_peek(P_PID, (id_t)pid, &info) != 0) s->g->again |= errno != ECHILD;
  else if (info.si_pid != 0) see(s, &info);
  return true;
}

// Looks for ended children. The first is told of at once; waitid shows only one that is not reaped, so the rest is looked for
// one by one.
bool hf__children_ended(hf_guardian *g) {
  sweep s = {.g = g};
  siginfo_t info;
  if (hf_k_waitid_peek(P_ALL, 0, &info) != 0) {
    g->again |= errno != ECHILD;
    return false;
  }
  if (info.si_pid == 0) return false;
  see(&s, &info);
  if (s.told) hf_bell_ring(g->manager_bell, HF_RING_NOTE);
  s.told = false;
  if (hf_children_each(getpid(), look_at_child, &s) != 0) g->again = true;
  if (s.told) hf_bell_ring(g->manager_bell, HF_RING_NOTE);
  return s.manager_died;
}

// ---- output FIFOs -------------------------------------------------------------------------------------------------------

void hf__hold_fifos(hf_guardian *g) {
  unsigned used = hf_load_acquire(&g->segment->header.slots_used);
  for (unsigned i = 0; i < used && i < HF_PROCESS_MAX; i++) {
    hf_status_word word = hf_status_word_now(g->segment, i);
    uint32_t incarnation = HF_WORD_INCARNATION(word);
    struct held *h = &g->held[i];
    bool lives = hf_status_now(g->segment, i)->stage >= HF_STAGE_SPAWNING;
    if (h->fd > 0 && lives && h->incarnation == incarnation) continue;
    if (h->fd > 0) hf_k_close(h->fd);
    h->fd = 0;
    if (!lives) continue;
    char name[40];
    hf_file_name(name, sizeof name, "out", i, incarnation);
    int fd = hf_k_openat(g->dir, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd >= 0) *h = (struct held){incarnation, fd};
    else if (errno != ENOENT) g->again = true;
  }
}
