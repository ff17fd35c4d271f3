// SPDX-License-Identifier: MIT
// Programs that speak sd_notify: systemd's protocol of datagrams, in any language. What they say becomes state, text and heartbeat.
//
// The socket is bound by the guardian, which holds it open and hands it to each manager: what is sent while there is no manager waits
// in its queue, and nobody is refused. A manager that becomes the guardian takes it along. Only when both die at once the socket dies
// with them, and what was queued in it; the next guardian binds a new one under the same name.
//
// A process of our own user reaches it by its path in the directory (0700). One of another user can't enter there and gets the file
// itself, as an O_PATH descriptor that it may only connect through: NOTIFY_SOCKET=/proc/self/fd/67.
//
// Who sent a message the kernel says (notify_sender.c). All that must survive this manager is in the status.
#include "supervise/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/status.h"
#include "segment/segment.h"
#include "supervise/manager.h"
#include "supervise/spawn.h"

#ifndef SO_PASSPIDFD // Linux 6.5
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

enum { MESSAGES_PER_PASS = 256, DESCRIPTORS_MAX = 253, REASONS_MAX = 8 };
// A message that can't be told whose it is now waits, and all behind it: half a second in any ten.
enum { WAITS_MAX = 25, WAIT_NS = 20000000 };
#define WAITS_WITHIN_NS (UINT64_C(10) * 1000000000)
#define SAY_AGAIN_NS (UINT64_C(60) * 1000000000)

struct hf_notify {
  char socket[HF_DIR_BYTES_MAX + 32], watchdog[48]; // entries of the environment that is being made
  int path_fd;                                      // the socket's file, for processes that can't reach it by its path
  uint64_t inode;                                   // of that file
  int timer;                                        // wakes the loop when a message that waits is to be read again
  uint64_t again_at_ns, waits_since_ns;             // 0: none waits, or has
  unsigned waits;                                   // since then
  pid_t last[HF_PROCESS_MAX];                       // who sent the last heartbeat of each
  struct said {
    const char *reason;
    uint64_t at_ns;
  } said[REASONS_MAX]; // what was told of in holdfastd.log, and when
};

// ---- the socket ---------------------------------------------------------------------------------------------------------

int hf_notify_listen(int dir, hf_err *err) {
  char name[32];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(name, sizeof name, ".tmp.notify.%d", (int)getpid());
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir, name);
  int fd = hf_k_socket(AF_UNIX, SOCK_DGRAM);
  if (fd < 0) return hf_fail_sys(err, "socket", "no socket can be made for sd_notify");
  (void)hf_k_unlinkat(dir, name, 0);
  // Who may connect: whoever has the directory, or the descriptor. Credentials from the first datagram on.
  int failed = 0;
  (void)hf_k_setsockopt(fd, SO_PASSPIDFD, 1); // where the kernel has it
  if (hf_k_setsockopt(fd, SO_PASSCRED, 1) != 0) failed = hf_fail_sys(err, "setsockopt", "senders can't be told apart");
  else if (hf_k_bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
    failed = hf_fail_sys(err, "bind", "notify can't be made");
  else if (hf_k_fchmodat(dir, name, 0666) != 0) failed = hf_fail_sys(err, "fchmod", "notify can't be opened to senders");
  else if (hf_k_renameat(dir, name, dir, "notify") != 0) failed = hf_fail_sys(err, "rename", "notify can't be put in place");
  int kept =
      failed ? -1 : hf_k_fcntl(fd, F_DUPFD_CLOEXEC, 10); // above the numbers that descriptors get when they are handed on
  if (!failed && kept < 0) failed = hf_fail_sys(err, "fcntl", "no descriptor is left for notify");
  if (failed) (void)hf_k_unlinkat(dir, name, 0);
  hf_k_close(fd);
  return failed ? failed : kept;
}

int hf__notify_open(hf_manager *m, hf_err *err) {
  static struct hf_notify only;
  if (m->options->notify_fd < 0) return 0; // a guardian that has none: nobody is told of it either
  only.path_fd = hf_k_openat(m->dir, "notify", O_PATH | O_NOFOLLOW, 0);
  if (only.path_fd < 0 && errno != ENOENT) return hf_fail_sys(err, "open", "notify can't be opened");
  struct stat st;
  if (only.path_fd >= 0 && hf_k_fstat(only.path_fd, &st) == 0) only.inode = st.st_ino;
  only.timer = hf_k_timerfd_create();
  if (only.timer < 0) return hf_fail_sys(err, "timerfd_create", "no timer is left for notify");
  int failed = hf__watch(m, m->options->notify_fd, HF_EPOLL_DATA(HF_EPOLL_NOTIFY, 0), err);
  if (!failed) failed = hf__watch(m, only.timer, HF_EPOLL_DATA(HF_EPOLL_NOTIFY, 0), err);
  if (!failed) m->notify = &only;
  return failed;
}

// It holds the file of a socket that died with guardian and manager: it can't be heard, and its silence says nothing.
static bool unheard(const hf_manager *m, unsigned index) {
  const hf_status *s = hf_status_now(m->segment, index);
  return s->notify_inode != 0 && hf__notify_user(m, index) != geteuid() &&
         (m->notify == NULL || s->notify_inode != m->notify->inode);
}

static void tell_unheard(hf_manager *m, unsigned index) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_err err;
  hf_status *draft = hf_status_begin(m->segment, index);
  hf_fail(&err, HF_EUNKNOWN, "it can't be heard by sd_notify until it is restarted: guardian and manager died at once");
  draft->watchdog_ns = 0;
  draft->notify_inode = 0; // told
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  hf__trouble(m, index, &err);
}

void hf__notify_restore(hf_manager *m, uint64_t now) {
  for (unsigned i = 0; i < hf__slots(m); i++) {
    if (hf_status_now(m->segment, i)->stage == HF_STAGE_RUNNING && unheard(m, i)) tell_unheard(m, i);
    const hf_status *s = hf_status_now(m->segment, i);
    if (s->stage != HF_STAGE_RUNNING || s->watchdog_ns == 0 || s->notified_stopping) continue;
    hf__hearts_datagram(m, i, s->process.pid, s->watchdog_ns, now);
  }
}

// ---- what programs get --------------------------------------------------------------------------------------------------

static bool by_descriptor(const hf_manager *m, unsigned index) {
  const hf_spec *spec = hf__spec(m, index);
  return spec != NULL && spec->has_user && spec->uid != geteuid();
}

bool hf__notify_inherited(const char *entry) {
  static const char *const names[] = {
      "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES="};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (strncmp(entry, names[i], strlen(names[i])) == 0) return true;
  return false;
}

unsigned hf__notify_environment(hf_manager *m, unsigned index, char **env) {
  struct hf_notify *n = m->notify;
  unsigned count = 0;
  if (n == NULL) return 0;
  if (by_descriptor(m, index)) snprintf(n->socket, sizeof n->socket, "NOTIFY_SOCKET=/proc/self/fd/%d", HF_FD_NOTIFY);
  else snprintf(n->socket, sizeof n->socket, "NOTIFY_SOCKET=%s/notify", m->options->dir);
  env[count++] = n->socket;
  uint64_t period = hf__spec(m, index)->heartbeat_ns;
  if (period == 0) return count;
  snprintf(n->watchdog, sizeof n->watchdog, "WATCHDOG_USEC=%llu", (unsigned long long)(period / 1000));
  env[count++] = n->watchdog;
  return count;
}

int hf__notify_passed(const hf_manager *m, unsigned index) {
  return m->notify != NULL && by_descriptor(m, index) ? m->notify->path_fd : -1;
}

void hf__notify_reset(const hf_manager *m, hf_status *draft) {
  draft->notify_inode = m->notify != NULL ? m->notify->inode : 0;
  draft->watchdog_ns = draft->extended_until_ns = 0;
  draft->notified_stopping = draft->notified_phase = 0;
  memset(draft->status_text, 0, sizeof draft->status_text);
}

// ---- what they say ------------------------------------------------------------------------------------------------------

// A line in holdfastd.log, once a minute at most for each reason: a program that sends nonsense sends much of it.
static void say_ignored(hf_manager *m, const char *reason, const hf_notify_sender *sender, uint64_t now) {
  struct said *said = m->notify->said;
  for (int i = 0; i < REASONS_MAX; i++, said++) {
    if (said->reason != NULL && said->reason != reason) continue;
    if (said->reason == reason && now - said->at_ns < SAY_AGAIN_NS) return;
    *said = (struct said){reason, now};
    hf__say(m, "a notification of process %d (user %u) is ignored: %s", (int)sender->pid, (unsigned)sender->uid, reason);
    return;
  }
}

// The pid to show for the heartbeat. A sender that comes again stays; a helper for one message does not, so the main process stands
// for it.
static pid_t heart_of(hf_manager *m, unsigned index, const hf_notify_sender *sender) {
  bool again = !sender->gone && m->notify->last[index] == sender->pid;
  m->notify->last[index] = sender->gone ? 0 : sender->pid;
  return again ? sender->pid : hf_status_now(m->segment, index)->process.pid;
}

static void condemn(hf_manager *m, unsigned index, pid_t pid, uint64_t now) {
  const hf_status *s = hf_status_now(m->segment, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  const hf_spec *spec = hf__spec(m, index);
  hf_failure verdict = {.cause = HF_CAUSE_hang,
                        .phase = (uint8_t)HF_WORD_STATE(word),
                        .exit_code = -1,
                        .incarnation = HF_WORD_INCARNATION(word),
                        .at_real_ns = hf_now_real_ns(),
                        .ran_ns = now > s->started_ns ? now - s->started_ns : 0,
                        .pid = pid,
                        .tid = pid,
                        .grace = 1,
                        .period_ns = s->watchdog_ns != 0 ? s->watchdog_ns
                                     : spec != NULL      ? spec->heartbeat_ns
                                                         : 0,
                        .thread = "watchdog",
                        .where = "it said so itself (WATCHDOG=trigger)"};
  hf__hang_begin(m, index, &verdict, -1, now);
}

// How long it may take to end when it stops by itself: as long as when it is told to.
static uint64_t stop_patience(const hf_manager *m, unsigned index) {
  hf_spec fallback;
  if (hf__spec(m, index) != NULL) return hf__spec(m, index)->stop_timeout_ns;
  hf_spec_init(&fallback);
  return fallback.stop_timeout_ns;
}

// EXTEND_TIMEOUT_USEC is for the state that the same message begins: kept after its move.
static void keep_extension(hf_manager *m, unsigned index, uint64_t until) {
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  draft->extended_until_ns = until;
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
}

// Texts, deadlines and the period: one commit, and only where something changed.
static void keep(hf_manager *m, unsigned index, const hf_notify_message *message, uint64_t period, uint64_t now) {
  const hf_status *s = hf_status_now(m->segment, index);
  hf_status_word word = hf_status_word_now(m->segment, index);
  hf_status *draft = hf_status_begin(m->segment, index);
  if (message->has_status) memcpy(draft->status_text, message->status, sizeof draft->status_text);
  bool stops = message->stopping && !s->notified_stopping;
  if (stops) {
    draft->notified_stopping = 1;
    draft->extended_until_ns = 0; // that was for what it did before
    if (s->stage == HF_STAGE_RUNNING) draft->kill_at_ns = now + stop_patience(m, index);
  }
  draft->watchdog_ns = period;
  if (s->stage == HF_STAGE_RUNNING && message->reloading) draft->notified_phase = HF_STATE_LOADCFG;
  if (s->stage == HF_STAGE_RUNNING && message->ready) draft->notified_phase = HF_STATE_READY;
  if (memcmp(draft, s, sizeof *s) == 0) return;
  hf__move(m, index, draft, (hf_state)HF_WORD_STATE(word), HF_WORD_INCARNATION(word), NULL);
  if (stops) hf__event(m, index, HF_EVENT_stopping, "it says that it is stopping");
}

// What the period of its heartbeat is after this message; 0: it has none.
static uint64_t period_after(hf_manager *m, unsigned index, const hf_notify_message *message) {
  const hf_status *s = hf_status_now(m->segment, index);
  const hf_spec *spec = hf__spec(m, index);
  if (message->stopping || s->notified_stopping) return 0;
  if (message->has_period) return message->period_ns;
  if (message->beat && s->watchdog_ns == 0) return spec != NULL ? spec->heartbeat_ns : 0;
  return s->watchdog_ns;
}

// Who has declared more than that it attached says its phases by ready() and setState(), and by no message.
static bool declares(const hf_manager *m, unsigned index) {
  uint32_t incarnation = HF_WORD_INCARNATION(hf_status_word_now(m->segment, index));
  int fd = m->proc[index].own_fd;
  return HF_PHASE_STATE(hf_own_phase_read(fd > 0 ? fd : -1, index, incarnation)) > HF_STATE_BOOTING;
}

static void apply(hf_manager *m, unsigned index, hf_notify_sender *sender, const hf_notify_message *message, uint64_t now) {
  unsigned stage = hf_status_now(m->segment, index)->stage;
  if (stage != HF_STAGE_RUNNING && stage != HF_STAGE_STOPPING) return; // condemned or over: nothing that it says counts
  uint64_t before = hf_status_now(m->segment, index)->watchdog_ns, period = period_after(m, index, message);
  keep(m, index, message, period, now);
  if (stage != HF_STAGE_RUNNING) {
    if (message->has_extend) keep_extension(m, index, now + message->extend_ns);
    return;
  }
  if (message->reloading && !declares(m, index)) hf__walk(m, index, HF_STATE_LOADCFG);
  if (message->ready && !declares(m, index)) hf__walk(m, index, HF_STATE_READY);
  if (message->has_extend) keep_extension(m, index, now + message->extend_ns);
  bool beats = message->beat || message->has_period;
  if (before != 0 && period == 0) hf__hearts_datagram(m, index, sender->pid, 0, now);
  else if (beats && period != 0) hf__hearts_datagram(m, index, heart_of(m, index, sender), period, now);
  else if (message->beat && !hf_status_now(m->segment, index)->notified_stopping)
    say_ignored(
        m, "WATCHDOG=1 means nothing without a period: give the process a `heartbeat`, or send WATCHDOG_USEC=", sender, now);
  if (message->trigger) condemn(m, index, sender->gone ? hf_status_now(m->segment, index)->process.pid : sender->pid, now);
}

// ---- the reading --------------------------------------------------------------------------------------------------------

// Who sent it. Every descriptor that came along is closed but for the pidfd.
static hf_notify_sender unpack(struct msghdr *message) {
  hf_notify_sender sender = {.uid = (uid_t)-1, .pidfd = -1};
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_CREDENTIALS) {
      struct ucred credentials;
      memcpy(&credentials, CMSG_DATA(c), sizeof credentials);
      sender.pid = credentials.pid;
      sender.uid = credentials.uid;
    } else if (c->cmsg_type == SCM_PIDFD) {
      memcpy(&sender.pidfd, CMSG_DATA(c), sizeof sender.pidfd);
    } else if (c->cmsg_type == SCM_RIGHTS) {
      size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        hf_k_close(fd);
      }
    }
  }
  return sender;
}

static bool only_beat(const hf_notify_message *message) {
  return message->beat && !(message->ready || message->reloading || message->stopping || message->trigger ||
                            message->has_period || message->has_extend || message->has_status);
}

// Leaves the message in the queue for a moment, and all behind it: false where it has waited long enough, or can't.
static bool wait_with_it(hf_manager *m, uint64_t now) {
  struct hf_notify *n = m->notify;
  struct epoll_event off = {.events = 0, .data.u64 = HF_EPOLL_DATA(HF_EPOLL_NOTIFY, 0)};
  if (n->waits_since_ns == 0 || now - n->waits_since_ns > WAITS_WITHIN_NS) {
    n->waits_since_ns = now;
    n->waits = 0;
  }
  if (n->waits == WAITS_MAX || hf_k_timerfd_settime(n->timer, now + WAIT_NS) != 0) return false;
  if (hf_k_epoll_ctl(m->epoll, EPOLL_CTL_MOD, m->options->notify_fd, &off) != 0)
    return false; // it would wake us all the time
  n->waits++;
  n->again_at_ns = now + WAIT_NS;
  return true;
}

// True if the socket may be read: nothing waits, or no longer.
static bool waited(hf_manager *m, uint64_t now) {
  struct hf_notify *n = m->notify;
  uint64_t expirations;
  struct epoll_event on = {.events = EPOLLIN, .data.u64 = HF_EPOLL_DATA(HF_EPOLL_NOTIFY, 0)};
  if (n->again_at_ns == 0) return true;
  if (now < n->again_at_ns) return false;
  (void)hf_k_read(n->timer, &expirations, sizeof expirations);
  if (hf_k_epoll_ctl(m->epoll, EPOLL_CTL_MOD, m->options->notify_fd, &on) != 0) {
    (void)hf_k_timerfd_settime(n->timer, now + WAIT_NS);
    return false;
  }
  n->again_at_ns = 0;
  return true;
}

bool hf__notify_waits(const hf_manager *m) { return m->notify != NULL && m->notify->again_at_ns != 0; }

// One datagram: false where none is left. *more: it changed more than a heartbeat. It stays in the queue until all that it says is in
// the status: killed in between, the next manager reads it again, and every message may be taken in twice. Only then the kernel closes
// what came along with it, by which a sender of BARRIER=1 learns that all before it was taken in.
static bool read_one(hf_manager *m, uint64_t now, bool *more) {
  char bytes[HF_NOTIFY_BYTES_MAX];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
  } control;
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr header = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t got = hf_k_recvmsg(m->options->notify_fd, &header, MSG_PEEK);
  if (got < 0) return false;
  hf_notify_sender sender = unpack(&header);
  HF_POINT("notify-read");
  hf_notify_message message;
  const char *why_not = "it is longer than 4096 bytes";
  bool whole = (header.msg_flags & MSG_TRUNC) == 0;
  if (whole) why_not = "it is no message of KEY=VALUE lines";
  int index = whole && hf_notify_parse(bytes, (size_t)got, &message) ? hf__notify_whose(m, &sender, &why_not) : -1;
  if (index == HF_NOTIFY_UNKNOWN && wait_with_it(m, now)) {
    if (sender.pidfd >= 0) hf_k_close(sender.pidfd);
    return false;
  }
  if (index < 0) say_ignored(m, why_not, &sender, now);
  else if (message.malformed) say_ignored(m, "a time in it is no number of microseconds", &sender, now);
  if (index >= 0) apply(m, (unsigned)index, &sender, &message, now);
  *more |= index >= 0 && !only_beat(&message);
  if (sender.pidfd >= 0) hf_k_close(sender.pidfd);
  HF_POINT("notify-taken");
  struct msghdr nothing = {.msg_iovlen = 0};
  return hf_k_recvmsg(m->options->notify_fd, &nothing, 0) >= 0;
}

// A bounded number, so that a flood starves nobody: what is left wakes the loop again at once.
bool hf__notify_read(hf_manager *m, uint64_t now) {
  bool more = false;
  if (m->notify == NULL || !waited(m, now)) return false;
  for (int i = 0; i < MESSAGES_PER_PASS && read_one(m, now, &more); i++) continue;
  return more;
}
