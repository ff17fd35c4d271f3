// SPDX-License-Identifier: MIT
// A hang, from the verdict to the kill. Order, for a manager killed anywhere:
//   1. one commit: stage CAPTURING, the verdict, what is asked of the helper thread in the process, and until when
//   2. the event, the documented line in holdfastd.log
//   3. the request in segment.capture[n], and its futex
//   4. the text is there, or its time is over, or nobody could be asked: the report is written
//   5. one commit: stage KILLING, `where`, that there is a report; then the whole tree is killed
// From the ending on (ending.c) it is like any other. Killed after 1: the next manager makes up for 2, where the log has no such event,
// asks again (the same request: a helper that has answered it sleeps on), and goes on. A process that ends by itself between: still a hang.
#include <stdio.h>
#include <string.h>

#include "base/kernel.h"
#include "process/events.h"
#include "process/status.h"
#include "supervise/hearts.h"

enum { CAPTURE_NS = 500000000, INTRO_MAX = 256, VIEW_MAX = 4096 };

// ---- the verdict --------------------------------------------------------------------------------------------------------

static void log_verdict(hf_manager *m, unsigned index) {
  hf_failure known = hf_status_now(m->segment, index)->hang;
  char brief[96];
  memset(known.where, 0, sizeof known.where); // the same words whether or not that is known by now
  hf_failure_brief(&known, brief, sizeof brief);
  hf__event(m, index, HF_EVENT_hung, brief);
}

static void say_verdict(hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  char text[256];
  hf_failure_text(&s->hang, text, sizeof text);
  hf__say(m, "error: %s (process %d): %s", s->name, (int)s->process.pid, text);
}

// A sequence that no helper of this process has seen: it goes on where the last request left off.
static uint32_t next_request(const hf_manager *m, unsigned index, int cell) {
  uint32_t sequence = ((hf_load_relaxed(&m->segment->capture[index].request) >> 16) + 1) & 0xffffu;
  return HF_CAPTURE_REQUEST(sequence == 0 ? 1 : sequence, cell);
}

static void ask(hf_manager *m, unsigned index) {
  hf_capture_slot *slot = &m->segment->capture[index];
  uint32_t request = hf_status_now(m->segment, index)->capture_request;
  if (request == 0) return;
  hf_store_release(&slot->incarnation, HF_WORD_INCARNATION(hf_status_word_now(m->segment, index)));
  hf_store_release(&slot->request, request); // pairs with the acquire of the helper: incarnation is there
  hf_k_futex_wake((uint32_t *)&slot->request);
  HF_POINT("hang-requested");
}

void hf__hang_begin(hf_manager *m, unsigned index, const hf_failure *verdict, int cell, uint64_t now) {
  hf_proc *p = &m->proc[index];
  hf_status_word word = hf_status_word_now(m->segment, index);
  if (hf_status_now(m->segment, index)->stage != HF_STAGE_RUNNING) return; // it is being ended already
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->stage = HF_STAGE_CAPTURING;
  draft->stop_reason = HF_STOP_HUNG;
  draft->hang = *verdict;
  draft->capture_request = cell >= 0 && p->own_fd > 0 ? next_request(m, index, cell) : 0;
  draft->capture_until_ns = draft->capture_request != 0 ? now + CAPTURE_NS : now;
  hf__hearts_forget(m, index); // `verdict` may lie in it
  if (hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL) != 0) return;
  HF_POINT("hang-recorded");
  log_verdict(m, index);
  say_verdict(m, index);
  ask(m, index);
  p->look_at_ns = m->step_at_ns = now; // hf__hang_step, in the pass that comes now
}

// ---- the stack ----------------------------------------------------------------------------------------------------------

// One character of valid UTF-8 that is printable: its length, else 0. Terminals obey C1 controls too.
static size_t printable_at(const unsigned char *at, size_t left) {
  size_t length = at[0] < 0x80                    ? 1
                  : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                  : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                  : at[0] < 0xf5                  ? 4
                                                  : 0;
  if (length == 1) return at[0] >= 0x20 && at[0] != 0x7f;
  if (length == 0 || at[0] < 0xc2 || length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  return length == 2 && at[0] == 0xc2 && at[1] < 0xa0 ? 0 : length;
}

// The process wrote it, and it goes to terminals: what is neither printable nor a newline becomes a question mark.
static void clean(char *text, size_t length) {
  unsigned char *bytes = (unsigned char *)text;
  for (size_t i = 0; i < length;) {
    size_t good = bytes[i] == '\n' ? 1 : printable_at(bytes + i, length - i);
    if (bytes[i] == '\t') bytes[i] = ' ';
    else if (good == 0) bytes[i] = '?';
    i += good > 0 ? good : 1;
  }
}

// Takes the first line "where: …" off; what it says into `where`, cut between two characters. The length of what is left.
static size_t take_where(char *text, size_t length, char where[HF_WHERE_SIZE]) {
  static const char key[] = "where: ";
  size_t at = sizeof key - 1;
  if (length < at || memcmp(text, key, at) != 0) return length;
  const char *newline = memchr(text, '\n', length);
  size_t line = newline != NULL ? (size_t)(newline - text) : length, size = line - at;
  if (size > HF_WHERE_SIZE - 1)
    for (size = HF_WHERE_SIZE - 1; size > 0 && ((unsigned char)text[at + size] & 0xc0) == 0x80;) size--;
  bool known = size > 0 && !(size == 1 && text[at] == '-');
  if (known && where[0] == 0) memcpy(where, text + at, size); // what is known already says more
  size_t rest = newline != NULL ? line + 1 : line;
  memmove(text, text + rest, length - rest);
  return length - rest;
}

// The answer of the helper, if it is there: its length, cleaned; 0: not (yet).
static size_t read_answer(const hf_manager *m, unsigned index, char *out, size_t size) {
  const hf_status *s = hf_status_now(m->segment, index);
  int fd = m->proc[index].own_fd;
  uint32_t words[2]; // the process writes the text, then the length, then that it is done
  _Static_assert(offsetof(hf_own, capture_length) == offsetof(hf_own, capture_done) + 4, "read together");
  if (fd <= 0 || s->capture_request == 0) return 0;
  if (hf_k_pread(fd, words, sizeof words, offsetof(hf_own, capture_done)) != (ssize_t)sizeof words) return 0;
  if (words[0] != s->capture_request) return 0;
  // Once more: the length may have been read before the word that makes it count.
  if (hf_k_pread(fd, words, sizeof words, offsetof(hf_own, capture_done)) != (ssize_t)sizeof words) return 0;
  size_t length = words[1] < size ? words[1] : size;
  ssize_t got = hf_k_pread(fd, out, length, HF_CAPTURE_TEXT_AT);
  if (got <= 0) return 0;
  clean(out, (size_t)got);
  return (size_t)got;
}

// Whether the helper is done, be it with an empty text.
static bool answered(const hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  uint32_t done = 0;
  int fd = m->proc[index].own_fd;
  if (fd <= 0 || hf_k_pread(fd, &done, sizeof done, offsetof(hf_own, capture_done)) != (ssize_t)sizeof done) return false;
  return done == s->capture_request;
}

// What can be seen of it from here, where the process itself has told nothing. `mute`: it answered, with an empty text.
static size_t look_from_outside(const hf_manager *m, unsigned index, bool mute, char *out, size_t size,
                                char where[HF_WHERE_SIZE]) {
  const hf_status *s = hf_status_now(m->segment, index);
  const hf_failure *hang = &s->hang;
  char seen[HF_WHERE_SIZE] = "";
  const char *why = s->capture_request == 0 ? "No thread in the process could be asked for its stack"
                    : mute ? "The process could not write its stack (no room in the tmpfs, or too many open files)"
                           : "The process did not tell its stack within 500 ms";
  // Looked at anew: the pid came from the process, and may be somebody else's by now.
  bool seen_by_us = hang->tid > 0 && hf__hearts_is_of(m, index, hang->pid);
  int used = snprintf(out, INTRO_MAX, "%s. No line of its code is known%s\n\n", why,
                      seen_by_us ? "; this is what the kernel sees of it:"
                                 : ", and not which thread the kernel is to be asked for.");
  size_t length = used > 0 ? (size_t)used : 0;
  if (seen_by_us) length += hf_thread_kernel_view(hang->pid, hang->tid, out + length, size - length, seen);
  if (where[0] == 0) memcpy(where, seen, HF_WHERE_SIZE - 1);
  clean(out, length);
  clean(where, strlen(where));
  return length;
}

// Writes the report with what is there, and commits that it is time to kill.
static void conclude(hf_manager *m, unsigned index) {
  static char text[HF_CAPTURE_TEXT_MAX]; // the manager has one thread that decides
  _Static_assert(INTRO_MAX + VIEW_MAX < HF_CAPTURE_TEXT_MAX, "room for the other view");
  const hf_status *s = hf_status_now(m->segment, index);
  hf_failure hang = s->hang;
  char where[HF_WHERE_SIZE] = "";
  memcpy(where, hang.where, sizeof where - 1);
  bool mute = answered(m, index); // before the text is read: what comes between is a text
  size_t length = read_answer(m, index, text, sizeof text);
  if (length > 0) length = take_where(text, length, where);
  if (length == 0) length = look_from_outside(m, index, mute, text, INTRO_MAX + VIEW_MAX, where);
  memcpy(hang.where, where, sizeof where);
  hf_err err;
  int failed = hf__report_write(m, index, &hang, text, length, &err);
  if (failed) hf__trouble(m, index, &err);
  hang.has_report = failed == 0;
  HF_POINT("hang-reported");
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->stage = HF_STAGE_KILLING;
  draft->hang = hang;
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
}

void hf__hang_step(hf_manager *m, unsigned index, uint64_t now) {
  hf_proc *p = &m->proc[index];
  const hf_status *s = hf_status_now(m->segment, index);
  bool over = now >= s->capture_until_ns || s->stop_force || m->hurry;
  if (!over && !answered(m, index)) {
    if (p->look_at_ns == 0 || s->capture_until_ns < p->look_at_ns) p->look_at_ns = s->capture_until_ns;
    return;
  }
  conclude(m, index);
  hf__kill_again(m, index, now);
}

void hf__hang_ended(hf_manager *m, unsigned index) { conclude(m, index); }

void hf__hang_adopt(hf_manager *m, unsigned index) {
  uint32_t incarnation = HF_WORD_INCARNATION(hf_status_word_now(m->segment, index));
  uint64_t tail = hf_load_relaxed(&m->segment->header.event_tail);
  bool told = false;
  for (uint64_t at = tail; !told && at > hf_events_first(m->segment);) {
    hf_event event;
    told = hf_event_read(m->segment, --at, &event) == 1 && event.type == HF_EVENT_hung && event.index == index &&
           event.incarnation == incarnation;
  }
  if (!told) log_verdict(m, index);
  say_verdict(m, index); // twice is better than never: nobody knows whether the dead manager's line was written
  ask(m, index);
}
