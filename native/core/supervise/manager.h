// SPDX-License-Identifier: MIT
// The manager's private state, shared by its files: manager.c (loop), start.c (start), specs.c (definitions), requests.c (what operators
// want), step.c (one process, one step), launch.c (spawning), ending.c (how it ended), adopt.c (what a dead manager left), hearts.c and
// verdict.c (who beats, who is silent), hang.c and reports.c (from there to the kill), notify.c (sd_notify).
// Nothing here outlives the manager, and nothing that the next one needs is only here.
#ifndef HF_SUPERVISE_MANAGER_H
#define HF_SUPERVISE_MANAGER_H

#include <stdbool.h>
#include <sys/resource.h>

#include "base/error.h"
#include "process/spec.h"
#include "segment/layout.h"
#include "supervise/daemon.h"
#include "supervise/logs.h"
#include "supervise/tree.h"

// One process, as the living manager holds it.
typedef struct hf_proc {
  hf_spec_owned *spec;   // NULL: none, or it was removed
  int pidfd;             // 0: none
  int own_fd;            // 0: none
  int out_fd;            // 0: none; the reading end, which belongs to logs
  int cgroup_fd;         // 0: none; the cgroup that it was born in
  uint64_t cgroup_id;    // its inode
  uint64_t dropped_base; // what status.dropped_bytes counts before this manager's logs do
  bool ended;            // its pidfd is readable
  bool removing;         // its definition is gone
  bool tree_signalled;   // cleaning: its group was killed
  bool hearts_again;     // its cells could not be taken in, and are tried again
  bool hearts_trouble;   // which was said
  uint8_t late_attach_seen;
  pid_t unsaid;                         // a failure of that process is yet to be said in holdfastd.log, 0: none
  uint32_t dead_cgroup;                 // an incarnation whose cgroup is yet to be removed, 0: none
  uint16_t kills;                       // looks that found something to kill
  uint64_t ended_ns;                    // when we saw the end
  uint64_t look_at_ns;                  // when to look again, 0: not before something happens
  uint32_t litter, litter_last;         // the first and last incarnation whose files could not be removed, 0: none
  uint64_t adopt_at_ns, adopt_pause_ns; // what could not be opened of it is tried again then, at growing intervals
  struct hf_hearts_watch *hearts;       // its cells as the monitor watches them; NULL: none yet (hearts.c)
  uint64_t inherited_event;             // a move that the dead manager logged and could not commit: its sequence, 0: none
} hf_proc;

typedef struct hf_manager {
  const hf_daemon_options *options;
  hf_daemon_options next; // for the exec as guardian
  int dir, spec_dir, epoll, bell, guardian_bell, timer, signals, guardian_fd, null_fd, segment_fd;
  int bell_pass;   // the same FIFO opened once more, for children: an open file description is not shared
  int cgroup_base; // -1: none may be made
  pid_t guardian;
  hf_segment *segment;
  hf_requests *requests;
  hf_exits *exits;
  hf_logs *logs;
  struct hf_hearts_judge *judge;      // the monitor and what belongs to it (hearts.c)
  struct hf_notify *notify;           // the sd_notify socket (notify.c)
  char id_dir[HF_DIR_BYTES_MAX + 16]; // "HOLDFAST_DIR=…"
  struct rlimit files;                // the limit of open files that our children should have
  uint64_t timer_ns;                  // what the timer is set to, 0: nothing
  uint64_t specs_seen;                // requests.specs_wanted as last scanned
  uint64_t random;                    // state of the jitter
  uint64_t scan_at_ns, scan_pause_ns; // definitions that could not be read are looked at again then, 0: all were read
  bool acknowledged;                  // ring the guardian before sleeping
  bool look_again;                    // something changed that others may wait for
  bool phases_rung;                   // a process declared something
  bool cells_rung;                    // a process claimed, armed or released a cell
  bool unarmed;                       // the timer could not be set
  uint64_t beat_at_ns;                // when the guardian is owed the next sign of life (systemd.c), 0: at once, or never
  bool guardian_died;
  bool hurry;                // the owner died:
  uint64_t hurry_ns;         // since then
  uint64_t left_ns, back_ns; // our last absence: when we should have looked, and when we did. See hf__deadline
  uint64_t step_at_ns;       // when to look at the processes again, 0: not before something happens
  bool ignore_dependents;    // going down, and nothing moves: a circle
  unsigned orphan_count;
  pid_t orphans[64]; // told of already; when they are full no more are told of
  hf_proc proc[HF_PROCESS_MAX];
} hf_manager;

enum { HF_EPOLL_BELL = 1, HF_EPOLL_TIMER, HF_EPOLL_SIGNALS, HF_EPOLL_GUARDIAN, HF_EPOLL_NOTIFY, HF_EPOLL_PROCESS };
#define HF_EPOLL_DATA(kind, index) ((uint64_t)(kind) << 32 | (uint64_t)(index))

// ---- manager.c ----
void hf__say(hf_manager *m, const char *format, ...) __attribute__((format(printf, 2, 3))); // a line in holdfastd.log
void hf__trouble(hf_manager *m, unsigned index, const hf_err *err);                         // an event and a line
void hf__event(hf_manager *m, unsigned index, hf_event_type type, const char *detail);
int hf__watch(hf_manager *m, int fd, uint64_t data, hf_err *err);
uint64_t hf__random(hf_manager *m);
uint64_t hf__dropped(const hf_manager *m, unsigned index);    // output of it that no disk took
const hf_spec *hf__spec(const hf_manager *m, unsigned index); // NULL where there is none
uint64_t hf__deadline(const hf_manager *m, uint64_t when_ns, uint64_t patience_ns);
unsigned hf__slots(const hf_manager *m);

// ---- start.c ----
int hf__start(hf_manager *m, hf_err *err);

// ---- specs.c ----
void hf__specs_scan(hf_manager *m, uint64_t now_ns); // takes in what changed in spec/
void hf__slot_free(hf_manager *m, unsigned index);   // its definition is gone and nothing lives
void hf__log_target(const hf_manager *m, unsigned index, hf_log_target *out);

// ---- requests.c ----
void hf__request_take(hf_manager *m, unsigned index);
bool hf__should_run(const hf_manager *m, unsigned index);
bool hf__should_stop(const hf_manager *m, unsigned index); // it lives, and may not go on
bool hf__depends_ready(const hf_manager *m, unsigned index, char waiting_for[HF_NAME_SIZE]);
bool hf__has_living_dependents(const hf_manager *m, unsigned index);

// ---- step.c ----
void hf__step(hf_manager *m, unsigned index, uint64_t now_ns);
// Commits the draft with a state, recording the move in the log unless the dead manager had done so already.
int hf__move(hf_manager *m, unsigned index, hf_status *draft, hf_state to, uint32_t incarnation, const hf_event *details);
void hf__walk(hf_manager *m, unsigned index, hf_state to); // through every state on the way
bool hf__living_stage(unsigned stage);

// ---- launch.c ----
void hf__launch(hf_manager *m, unsigned index, uint64_t now_ns);
void hf__launched(hf_manager *m, unsigned index, pid_t pid, int pidfd, uint64_t now_ns);
void hf__launch_failed(hf_manager *m, unsigned index, int errnum, const char *text, uint64_t now_ns);
int hf__open_files(hf_manager *m, unsigned index, uint32_t incarnation, bool create, hf_err *err);
void hf__close_files(hf_manager *m, unsigned index, uint32_t incarnation);
void hf__remove_files(hf_manager *m, unsigned index, uint32_t incarnation); // what fails is tried again, see hf_proc.litter
void hf__marker(const hf_manager *m, unsigned index, uint32_t incarnation, char *out, size_t size); // "HOLDFAST_ID=…"

// ---- ending.c ----
void hf__failure_keep(hf_status *draft, const hf_failure *failure); // the newest first; fills in when, if that is not known
void hf__stop_begin(hf_manager *m, unsigned index, int reason, bool restart_after, uint64_t now_ns);
void hf__stop_signal(hf_manager *m, unsigned index);       // to the process group
uint64_t hf__kill_at(const hf_manager *m, unsigned index); // when a stop that is under way escalates
void hf__kill_begin(hf_manager *m, unsigned index, uint64_t now_ns);
void hf__kill_again(hf_manager *m, unsigned index, uint64_t now_ns);
bool hf__ended(hf_manager *m, unsigned index, uint64_t now_ns); // false: the note is not there yet
bool hf__clean(hf_manager *m, unsigned index, uint64_t now_ns); // false: something of the tree is left
// What an ending leaves to do that may wait until the replacement runs: its line in the log, its empty cgroup.
void hf__afterwards(hf_manager *m, unsigned index);
void hf__strangers_acknowledge(hf_manager *m);

// ---- hearts.c: the cells of all processes, and the monitor ----
int hf__hearts_begin(hf_manager *m, hf_err *err); // at the start of a manager; costs nothing until there is a cell
// Takes in which cells of it are armed; cheap where none changed. May condemn.
void hf__hearts_take(hf_manager *m, unsigned index, uint64_t now_ns);
void hf__hearts_forget(hf_manager *m, unsigned index);      // its incarnation is over, or condemned: nothing of it is watched
bool hf__hearts_beats(const hf_manager *m, unsigned index); // somebody in this incarnation beats, or has
uint64_t hf__hearts_next(const hf_manager *m);              // when to sweep, 0: never
bool hf__hearts_sweep(hf_manager *m, uint64_t now_ns);      // true: something has changed that others see
void hf__hearts_publish(hf_manager *m, uint64_t now_ns);    // writes `ages` whole where a reader wants it
// A heartbeat without shared memory (sd_notify WATCHDOG=1): begins or beats; period_ns 0 ends it. Begun anew by the next manager
// (hf__notify_restore) it has the age that it had.
void hf__hearts_datagram(hf_manager *m, unsigned index, pid_t pid, uint64_t period_ns, uint64_t now_ns);

// ---- hang.c: from the verdict to the kill ----
// `verdict` has everything but `has_report`, and `where` only if that is known already. cell: whose stack to ask for; negative:
// there is none that could be asked. The next step of the process goes on from there.
void hf__hang_begin(hf_manager *m, unsigned index, const hf_failure *verdict, int cell, uint64_t now_ns);
// Stage CAPTURING: the stack is there, or its time is over.
void hf__hang_step(hf_manager *m, unsigned index, uint64_t now_ns);
void hf__hang_adopt(hf_manager *m, unsigned index); // what the dead manager may not have come to
void hf__hang_ended(hf_manager *m, unsigned index); // it ended by itself meanwhile: the report is written with what is there

// ---- reports.c ----
// Writes reports/<name>.<incarnation>.txt; bounded in size, and the oldest of the process beyond HF_FAILURES_KEPT go.
int hf__report_write(hf_manager *m, unsigned index, const hf_failure *verdict, const char *text, size_t length, hf_err *err);
void hf__reports_remove(hf_manager *m, const char *name); // its definition is gone

// ---- notify.c: programs that speak sd_notify ----
int hf__notify_open(hf_manager *m, hf_err *err);         // watches the socket that the guardian holds
void hf__notify_restore(hf_manager *m, uint64_t now_ns); // the heartbeats that a dead manager had judged
bool hf__notify_read(hf_manager *m, uint64_t now_ns);    // a bounded number of messages; true if there was more than beats
bool hf__notify_waits(const hf_manager *m);              // a message that can't be told whose it is; others are behind it
bool hf__notify_inherited(const char *entry);            // of an environment: it speaks of somebody else's socket
enum { HF_NOTIFY_ENTRIES = 2 };
unsigned hf__notify_environment(hf_manager *m, unsigned index, char **env); // how many entries; valid until the next call
int hf__notify_passed(const hf_manager *m, unsigned index);   // a descriptor for its HF_FD_NOTIFY; -1: it needs none
void hf__notify_reset(const hf_manager *m, hf_status *draft); // a new incarnation has said nothing

// ---- notify_sender.c: whose a message is ----
typedef struct hf_notify_sender {
  pid_t pid;
  uid_t uid;
  int pidfd; // -1: the kernel gives none
  bool gone; // set by hf__notify_whose: it had ended before it could be looked at
} hf_notify_sender;
enum { HF_NOTIFY_UNKNOWN = -2 };
// The index of the process whose living incarnation the sender belongs to, or -1 with the reason, for a log line; HF_NOTIFY_UNKNOWN
// where that can't be told now and may be told later.
uid_t hf__notify_user(const hf_manager *m, unsigned index); // whom the living incarnation runs as
int hf__notify_whose(hf_manager *m, hf_notify_sender *sender, const char **why_not);

// ---- systemd.c: the manager's beat, for the guardian ----
void hf__beat(hf_manager *m, uint64_t now_ns); // nothing where no watchdog watches holdfastd
uint64_t hf__beat_next(const hf_manager *m);   // when to call it next, 0: never

// ---- adopt.c ----
void hf__adopt_again(hf_manager *m, unsigned index,
                     uint64_t now_ns);         // tries what could not be opened; sets when to look again
int hf__adopt(hf_manager *m, uint64_t now_ns); // how many live

#endif
