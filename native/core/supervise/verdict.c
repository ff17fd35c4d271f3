// SPDX-License-Identifier: MIT
// What a silence means. A thread that was silent for its whole allowance is condemned, and its process with it, unless
//   - a debugger holds it, its cgroup is frozen, or its process was stopped (and the definition does not say `stopped: fail`): it is shown
//     as such, told of once for each silence, and gets a whole allowance again when it is let go;
//   - it was ready to run and got no processor: its allowance grows by that, up to three times in all;
//   - it is being dumped to a core file: how it ends says more than that it is silent;
//   - it has just beaten, or is registered no more.
// What the kernel can't tell now is asked again a little later. Everything here runs inside a sweep: nothing is taken out of the monitor.
//
// To ask the kernel for a thread costs some reads of /proc, and a process decides how many cells it has, and of what periods: so the
// number of probes is bounded, for a sweep and for a process over time. Who comes too often is put off, and not for ever. What a cell
// says of its pid and tid is looked at only where that pid belongs to the process (hf__hearts_is_of).
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/kernel.h"
#include "base/machine.h"
#include "heartbeat/guard.h"
#include "heartbeat/probe.h"
#include "process/identity.h"
#include "process/status.h"
#include "supervise/hearts.h"

enum { ALLOWANCES_MAX = 3, DELAY_PARTS = 64, AGAIN_PARTS = 8, DELAY_MIN_NS = 1000000, PARENTS_MAX = 64, CGROUP_BYTES = 1280 };
enum { SWEEP_PROBES = 128, PROBE_NS = 500000, PROBE_BURST = 64 }; // a process: 64 at once, then 2000 in a second
enum { SLOWLY_NS = 25000000, QUIET_NS = 100000000, PUT_OFF_MAX_NS = 1000000000 };
static const uint64_t DUMP_MAX_NS = UINT64_C(600000000000); // a pipe to a handler may stand still for ever

typedef struct subject {
  unsigned index;
  pid_t pid, tid; // tid 0: not known
  uint64_t period_ns, allowance_ns;
  unsigned grace;
  int stack_cell; // whose stack can be asked for, negative: nobody can be asked
  bool foreign; // its cell names a process that is none of ours: pid is the main process, and nothing is asked of the kernel
  char name[HF_NAME_SIZE];
} subject;

static uint64_t allowance_of(uint64_t period_ns, unsigned grace) {
  return grace > UINT64_MAX / 4 / period_ns ? UINT64_MAX / 4 : period_ns * grace;
}

// ---- noting -------------------------------------------------------------------------------------------------------------

static void new_silence(hf_heart *h) {
  h->granted_ns = 0;
  h->sampled = h->held = false;
}

static void show_flags(hf_manager *m, hf_heart *h, uint32_t flags) {
  if (h->flags == flags) return;
  h->flags = flags;
  if (m->judge->ages != NULL) hf_ages_flags(m->judge->ages, h->age, flags);
}

void hf__heart_seen(void *context, uint32_t id, uint32_t beat, uint64_t now) {
  hf_manager *m = context;
  hf_heart *h = &m->judge->heart[id];
  if (m->judge->ages != NULL) hf_ages_set(m->judge->ages, h->age, beat, now);
  if (h->flags != 0) show_flags(m, h, 0);
}

// The silence that the monitor tells of: what belongs to an earlier one is forgotten.
static hf_heart *this_silence(hf_manager *m, uint32_t id) {
  hf_heart *h = &m->judge->heart[id];
  uint64_t since = hf_monitor_seen_ns(m->judge->monitor, id, &h->beat);
  if (h->since_ns != since) new_silence(h);
  h->since_ns = since;
  return h;
}

bool hf__hearts_is_of(const hf_manager *m, unsigned index, pid_t pid) {
  const hf_status *s = hf_status_now(m->segment, index);
  pid_t main = s->process.pid, parent = pid;
  hf_process_facts facts;
  if (pid <= 0 || main <= 0) return false;
  for (int i = 0; i < PARENTS_MAX && parent > 1 && parent != m->guardian; i++) {
    if (parent == main) return true;
    if (hf_process_facts_read(parent, &facts) != 0) break;
    if (i == 0 && s->parent_is_guardian && facts.session == main) return true; // nobody is brought into a session by others
    parent = facts.parent;
  }
  char file[40], path[CGROUP_BYTES];
  struct stat st;
  snprintf(file, sizeof file, "/proc/%d/cgroup", (int)pid);
  return s->cgroup != 0 && hf_cgroup_path(file, path, sizeof path) && hf_k_fstatat(AT_FDCWD, path, &st, 0) == 0 &&
         (uint64_t)st.st_ino == s->cgroup;
}

// Whose cell it is, as it stands now: false where it is registered no more, or anew, or has beaten.
static bool find_subject(hf_manager *m, const hf_heart *h, subject *out) {
  const hf_hearts_watch *w = m->proc[h->index].hearts;
  *out = (subject){.index = h->index, .stack_cell = -1};
  if (h->cell == HF_HEART_DATAGRAM) {
    if (hf_load_relaxed(&w->datagram_beat) != h->beat) return false;
    out->pid = out->tid = w->datagram_pid;
    out->period_ns = w->datagram_period_ns;
    out->grace = 1;
    snprintf(out->name, sizeof out->name, "watchdog");
  } else {
    hf_cell_copy copy;
    if (!hf_cells_copy(w->own, h->cell, &copy) || copy.claim != h->claim) return false;
    if (hf_load_relaxed(&hf__heart_cell(w, h->cell)->beat) != h->beat) return false;
    out->pid = copy.pid;
    out->tid = copy.tid;
    out->period_ns = copy.period_ns;
    out->grace = copy.grace;
    memcpy(out->name, copy.name, sizeof out->name);
    if (copy.flags & HF_CELL_HELPER) out->stack_cell = h->cell;
  }
  out->allowance_ns = allowance_of(out->period_ns, out->grace);
  return true;
}

// Whether a thread of that process may be asked for now.
static bool may_probe(const hf_manager *m, unsigned index, uint64_t now) {
  return m->judge->probes < SWEEP_PROBES && m->proc[index].hearts->probes_paid_ns <= now + PROBE_BURST * (uint64_t)PROBE_NS;
}

// What the kernel knows of it: 0, or as hf_thread_facts_read. HF_EINVAL where it is none of ours.
static int probe(hf_manager *m, subject *of, hf_thread_facts *facts, uint64_t now) {
  hf_hearts_watch *w = m->proc[of->index].hearts;
  m->judge->probes++;
  w->probes_paid_ns = (w->probes_paid_ns > now ? w->probes_paid_ns : now) + PROBE_NS;
  pid_t main = hf_status_now(m->segment, of->index)->process.pid;
  *facts = (hf_thread_facts){0};
  int failed = hf_thread_facts_read(of->pid, of->tid, facts);
  // Afterwards, so that what was read is of a process that still was there. One that is gone tells nothing.
  of->foreign = of->pid <= 0 || (failed != HF_EUNKNOWN && !hf__hearts_is_of(m, of->index, of->pid));
  if (!of->foreign) return failed;
  *facts = (hf_thread_facts){0};
  of->pid = main;
  of->tid = 0;
  return HF_EINVAL;
}

// ---- excuses ------------------------------------------------------------------------------------------------------------

// Why the kernel or somebody else keeps it from beating: HF_THREAD_…, or 0.
static uint32_t held_by(const hf_manager *m, unsigned index, const hf_thread_facts *facts) {
  const hf_spec *spec = hf__spec(m, index);
  if (facts->traced || facts->state == 't') return HF_THREAD_TRACED;
  if (facts->frozen) return HF_THREAD_FROZEN;
  if (facts->state == 'T' && (spec == NULL || spec->stopped != HF_STOPPED_FAIL)) return HF_THREAD_STOPPED;
  return 0;
}

static void tell_excused(hf_manager *m, const subject *of, uint32_t flags) {
  char text[96];
  const char *why = flags == HF_THREAD_TRACED   ? "a debugger holds it"
                    : flags == HF_THREAD_FROZEN ? "its cgroup is frozen"
                                                : "it was stopped by a signal";
  snprintf(text, sizeof text, "%s is silent: %s", of->name, why);
  hf__event(m, of->index, HF_EVENT_excused, text);
  m->judge->told = true;
}

void hf__heart_half(void *context, uint32_t id, uint64_t now) {
  hf_manager *m = context;
  hf_heart *h = this_silence(m, id);
  if (m->judge->ages != NULL && h->flags == 0)
    hf_ages_set(m->judge->ages, h->age, h->beat, h->since_ns); // for whoever inherits it
  subject of;
  hf_thread_facts facts;
  // Who can't be asked for now is when it is due.
  if (now < h->quiet_until_ns || !may_probe(m, h->index, now) || !find_subject(m, h, &of)) return;
  if (probe(m, &of, &facts, now) != 0) return;
  h->held = held_by(m, h->index, &facts) != 0;
  h->sample = facts;
  h->sampled = of.tid > 0 && facts.scheduled;
}

// The main process is over, and the loop has not heard of it yet. A main thread that ended alone is no end of its process.
static bool is_ending(const hf_manager *m, unsigned index) {
  struct pollfd main = {.fd = m->proc[index].pidfd, .events = POLLIN};
  return m->proc[index].ended || (main.fd > 0 && poll(&main, 1, 0) == 1);
}

static bool dumps_core(pid_t pid) {
  char path[40], text[2048];
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  return hf_read_small(AT_FDCWD, path, text, sizeof text) > 0 && strstr(text, "\nCoreDumping:\t1") != NULL;
}

// ---- the verdict --------------------------------------------------------------------------------------------------------

static void condemn(hf_manager *m, const subject *of, const hf_silence *silence, const char *where, uint64_t now) {
  hf_hearts_judge *j = m->judge;
  hf_hearts_watch *w = m->proc[of->index].hearts;
  const hf_status *s = hf_status_now(m->segment, of->index);
  hf_status_word word = hf_status_word_now(m->segment, of->index);
  if (w->condemned) return; // another thread of it, in the same sweep
  w->condemned = true;
  w->verdict_cell = where == NULL ? of->stack_cell : -1;
  w->verdict = (hf_failure){.cause = HF_CAUSE_hang,
                            .phase = (uint8_t)HF_WORD_STATE(word),
                            .exit_code = -1,
                            .incarnation = HF_WORD_INCARNATION(word),
                            .at_real_ns = hf_now_real_ns(),
                            .ran_ns = now > s->started_ns ? now - s->started_ns : 0,
                            .pid = of->pid,
                            .tid = of->tid,
                            .grace = (uint16_t)of->grace,
                            .period_ns = of->period_ns,
                            .silent_ns = silence->silent_ns,
                            .lateness_ns = silence->lateness_ns};
  memcpy(w->verdict.thread, of->name, sizeof w->verdict.thread);
  if (where != NULL) snprintf(w->verdict.where, sizeof w->verdict.where, "%s", where);
  j->condemned[j->condemned_count++] = (uint16_t)of->index;
}

void hf__heart_cut(hf_manager *m, unsigned index, uint64_t now) {
  hf_hearts_watch *w = m->proc[index].hearts;
  hf_err err;
  if (w->condemned) return;
  hf_fail(&err, HF_ETRUNC, "%s has cut its own file short, in which its heartbeats lie: it is killed",
          hf_status_now(m->segment, index)->name);
  hf__trouble(m, index, &err);
  subject of = {.index = index, .pid = hf_status_now(m->segment, index)->process.pid, .grace = 1, .stack_cell = -1};
  snprintf(of.name, sizeof of.name, "heartbeat");
  condemn(m, &of, &(hf_silence){0}, "its own file was cut short", now);
}

// It stays. Its silence begins anew.
static hf_due excuse(hf_heart *h) {
  new_silence(h);
  return HF_DUE_EXCUSED;
}

// The same silence, and a verdict later.
static hf_due put_off(hf_heart *h, uint64_t by_ns, uint64_t *later) {
  h->granted_ns += by_ns;
  *later = by_ns;
  return HF_DUE_LATER;
}

static uint64_t part_of(const subject *of, uint64_t least_ns) {
  uint64_t part = of->allowance_ns / AGAIN_PARTS;
  return part > least_ns ? part : least_ns;
}

// Its turn to be asked for has not come. Bounded, so that a process can't hide a hang behind the number of its cells.
static bool waits_for_turn(const hf_manager *m, const subject *of, const hf_silence *silence, uint64_t now) {
  uint64_t most = ALLOWANCES_MAX * of->allowance_ns;
  if (most < of->allowance_ns + PUT_OFF_MAX_NS) most = of->allowance_ns + PUT_OFF_MAX_NS;
  return silence->silent_ns < most && !may_probe(m, of->index, now);
}

// How much longer it may be silent because it waited for a processor; 0: it did not, or has had enough of that.
static uint64_t unserved(hf_heart *h, const subject *of, const hf_silence *silence, const hf_thread_facts *facts) {
  uint64_t most = ALLOWANCES_MAX * of->allowance_ns;
  uint64_t least = of->allowance_ns / DELAY_PARTS > DELAY_MIN_NS ? of->allowance_ns / DELAY_PARTS : DELAY_MIN_NS;
  if (!h->sampled || silence->silent_ns >= most) return 0;
  uint64_t delay = hf_thread_waited_ns(&h->sample, facts);
  if (delay < least) return 0;
  h->sample = *facts;
  return delay < most - silence->silent_ns ? delay : most - silence->silent_ns;
}

hf_due hf__heart_due(void *context, uint32_t id, const hf_silence *silence, uint64_t now, uint64_t *later) {
  hf_manager *m = context;
  hf_heart *h = this_silence(m, id);
  unsigned index = h->index;
  const hf_hearts_watch *w = m->proc[index].hearts;
  const hf_status *s = hf_status_now(m->segment, index);
  subject of;
  hf_thread_facts facts;
  uint64_t unserved_ns;
  if (s->stage != HF_STAGE_RUNNING || is_ending(m, index)) return excuse(h);
  if (w->condemned) return HF_DUE_EXCUSED;
  bool there = find_subject(m, h, &of);
  if (w->slot >= 0 && hf_guard_faulted(w->slot)) {
    hf__heart_cut(m, index, now);
    return HF_DUE_EXCUSED; // it goes with its process
  }
  if (!there) return excuse(h);
  if (h->cell == HF_HEART_DATAGRAM && now < s->extended_until_ns) {
    *later = s->extended_until_ns - now; // sd_notify EXTEND_TIMEOUT_USEC
    return HF_DUE_LATER;
  }
  if (h->cell == HF_HEART_DATAGRAM && hf__notify_waits(m)) {
    *later = of.allowance_ns / AGAIN_PARTS; // its beat may be in the queue
    return HF_DUE_LATER;
  }
  if (now < h->quiet_until_ns) return put_off(h, h->quiet_until_ns - now, later);
  if (waits_for_turn(m, &of, silence, now)) return put_off(h, part_of(&of, SLOWLY_NS), later);
  int failed = probe(m, &of, &facts, now);
  uint32_t held = failed ? 0 : held_by(m, index, &facts);
  if (held != 0) {
    if (h->flags == 0) tell_excused(m, &of, held);
    show_flags(m, h, held);
    h->quiet_until_ns = now + QUIET_NS;
    return excuse(h);
  }
  if (h->flags != 0 || h->held) { // it was let go since
    show_flags(m, h, 0);
    return excuse(h);
  }
  if (failed == HF_ESYS && silence->silent_ns < ALLOWANCES_MAX * of.allowance_ns)
    return put_off(h, part_of(&of, DELAY_MIN_NS), later);
  bool gone = failed == HF_EUNKNOWN || (!failed && (facts.state == 'Z' || facts.state == 'X'));
  if (!gone && silence->silent_ns < of.allowance_ns + DUMP_MAX_NS && dumps_core(of.pid))
    return put_off(h, part_of(&of, QUIET_NS), later);
  if (!gone && !failed && !h->sampled && of.tid > 0 && facts.scheduled) { // what it had half-way nobody knows: once
    h->sample = facts;
    h->sampled = true;
    return put_off(h, part_of(&of, DELAY_MIN_NS), later);
  }
  if (!gone && !failed && (unserved_ns = unserved(h, &of, silence, &facts)) != 0) return put_off(h, unserved_ns, later);
  hf_silence counted = *silence;
  counted.lateness_ns += h->granted_ns;
  if (counted.lateness_ns > counted.silent_ns) counted.lateness_ns = counted.silent_ns;
  condemn(m, &of, &counted, gone ? "the thread has ended while it was registered" : NULL, now);
  return HF_DUE_EXCUSED; // hf__hearts_sweep takes all of the process out of the monitor
}
