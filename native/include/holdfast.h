// SPDX-License-Identifier: MIT
// Holdfast: a process manager that can be embedded. The one public header of the C library, and its manual.
//
// Three kinds of programs use it:
//   - a supervised process attaches (hf_attach), says that it is ready (hf_ready), and reads states;
//   - an operator opens an instance directory (hf_operator_open), defines processes, asks for starts and stops, reads status
//     and events, and waits for changes. It needs no manager to read: the directory is the truth;
//   - the daemon (hf_daemon_main) is the guardian and the manager themselves.
//
// Every call returns 0 or a count, else a negative HF_E…. Where a call takes an `hf_err *`, it may be NULL; else it is filled
// on failure with the code, the kernel's errno (0 where none), the kernel call that failed, and one sentence.
// Times: `_ns` are nanoseconds. `_mono_ns` count on CLOCK_MONOTONIC, `_real_ns` since 1970 UTC.
#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_EXPORT __attribute__((visibility("default")))

// ---- limits -------------------------------------------------------------------------------------------------------------
#define HF_NAME_SIZE 32              // bytes of a process name, the ending zero included
#define HF_PROCESS_MAX 512           // processes of one instance
#define HF_EVENT_MAX 4096            // events that the log of an instance holds; a power of two
#define HF_FAILURES_KEPT 5           // last failures kept of a process
#define HF_SPEC_BYTES_MAX (1u << 20) // one encoded definition
#define HF_DEPENDS_MAX 64            // names in dependsOn
#define HF_GROUPS_MAX 64             // supplementary groups of `user`
#define HF_LIMITS_MAX 16             // resource limits of a process
#define HF_LIMIT_COUNT_MAX 64        // largest `limit.count`
#define HF_DIR_BYTES_MAX 80          // path of an instance directory, the ending zero excluded
#define HF_CELL_MAX 1020             // monitored threads of one process, its descendants included
#define HF_CELL_NOTE_SIZE 48         // bytes of a note, the ending zero included
#define HF_STATUS_TEXT_SIZE 64       // bytes kept of what a program says of itself by sd_notify, the ending zero included
#define HF_WHERE_SIZE 64             // bytes kept of where a thread hung, the ending zero included

// ---- errors: name, number, sentence -------------------------------------------------------------------------------------
#define HF_ERRORS(X)                                                                                                         \
  X(EINVAL, 1, "a value is not allowed")                                                                                     \
  X(ESYS, 2, "the kernel refused a call")                                                                                    \
  X(ENOMEM, 3, "out of memory")                                                                                              \
  X(ENOSPC, 4, "no space is left where the instance lives")                                                                  \
  X(EOWNER, 5, "the directory or file belongs to another user")                                                              \
  X(EMODE, 6, "the directory or file is open to others")                                                                     \
  X(ELINK, 7, "a symbolic link is on the way")                                                                               \
  X(ENOTTMPFS, 8, "the directory is not in memory (tmpfs)")                                                                  \
  X(ELAYOUT, 9, "the file was written by another version, or is no file of Holdfast")                                        \
  X(ETRUNC, 10, "the file is shorter than it says")                                                                          \
  X(EBOOT, 11, "the file is left from before the machine was started")                                                       \
  X(EPIDNS, 12, "the instance lives in another pid namespace")                                                               \
  X(EBUSY, 13, "another manager holds the instance")                                                                         \
  X(ENOENT, 14, "there is no such instance")                                                                                 \
  X(EUNKNOWN, 15, "there is no such process")                                                                                \
  X(ENOMANAGER, 16, "no manager runs")                                                                                       \
  X(EFULL, 17, "a table is full")                                                                                            \
  X(ESPEC, 18, "a definition can't be read")                                                                                 \
  X(ECIRCLE, 19, "processes depend on each other in a circle")                                                               \
  X(ENAME, 20, "a process name is invalid")                                                                                  \
  X(ETIMEOUT, 21, "the time is over")                                                                                        \
  X(ENOTATTACHED, 22, "the process is not attached to a manager")                                                            \
  X(ECLOSED, 23, "the handle is closed")                                                                                     \
  X(EMOVE, 24, "the state can't change that way")                                                                            \
  X(EDENIED, 25, "the caller may not do this here")                                                                          \
  X(EDEADLOCK, 26, "the wait could never end")

enum {
#define HF_ERROR_ENUM(name, number, sentence) HF_##name = -(number),
  HF_ERRORS(HF_ERROR_ENUM)
#undef HF_ERROR_ENUM
};

typedef struct hf_err {
  int code;       // HF_E…, 0 where nothing failed
  int errnum;     // errno, 0 where no kernel call failed
  char call[24];  // the kernel call, "" where none
  char text[384]; // one sentence, no newline
} hf_err;

HF_EXPORT const char *hf_error_name(int code);     // "EBUSY"; "EUNKNOWNCODE" for a number that is none
HF_EXPORT const char *hf_error_sentence(int code); // the sentence of the list above

// ---- states: name, number, sentence. Numbers are positions; the order is the documented one -----------------------------
#define HF_STATES(X)                                                                                                         \
  X(FAIL, 0, "it ended without being asked to, or could not be started")                                                     \
  X(STOPPED, 1, "it does not run, and nothing is wrong")                                                                     \
  X(STARTED, 2, "its program has been executed")                                                                             \
  X(BOOTING, 3, "the library in it attached")                                                                                \
  X(LOADCFG, 4, "it loads its configuration")                                                                                \
  X(READY, 5, "it serves")

typedef enum hf_state {
#define HF_STATE_ENUM(name, number, sentence) HF_STATE_##name = (number),
  HF_STATES(HF_STATE_ENUM)
#undef HF_STATE_ENUM
      HF_STATE_COUNT
} hf_state;

HF_EXPORT const char *hf_state_name(unsigned state); // "READY"; "?" for a number that is none

// ---- causes of FAIL -----------------------------------------------------------------------------------------------------
#define HF_CAUSES(X)                                                                                                         \
  X(none, 0, "nothing failed")                                                                                               \
  X(crash, 1, "killed by a signal that the manager did not send")                                                            \
  X(exit, 2, "exited, and should not have, or with an unexpected code")                                                      \
  X(startTimeout, 3, "did not become READY in time")                                                                         \
  X(spawn, 4, "could not be executed")                                                                                       \
  X(lost, 5, "ended while nobody looked, and left no note")                                                                  \
  X(hang, 6, "a thread of it gave no sign of life in time")

typedef enum hf_cause {
#define HF_CAUSE_ENUM(name, number, sentence) HF_CAUSE_##name = (number),
  HF_CAUSES(HF_CAUSE_ENUM)
#undef HF_CAUSE_ENUM
      HF_CAUSE_COUNT
} hf_cause;

HF_EXPORT const char *hf_cause_name(unsigned cause);

// ---- what an event tells ------------------------------------------------------------------------------------------------
#define HF_EVENTS(X)                                                                                                         \
  X(state, 0, "a process changed its state")                                                                                 \
  X(defined, 1, "a process was defined")                                                                                     \
  X(redefined, 2, "a definition changed")                                                                                    \
  X(removed, 3, "a process was removed")                                                                                     \
  X(killed, 4, "what was left of a tree was killed")                                                                         \
  X(limited, 5, "the restart limit was reached: it stays in FAIL until it is started")                                       \
  X(attached, 6, "a process attached after it was READY")                                                                    \
  X(manager, 7, "a manager began")                                                                                           \
  X(down, 8, "the instance is being stopped")                                                                                \
  X(orphan, 9, "a process that nobody can attribute is left alone")                                                          \
  X(dropped, 10, "output was dropped: the disk is slow or full")                                                             \
  X(refused, 11, "a definition was refused")                                                                                 \
  X(trouble, 12, "the manager itself met an error")                                                                          \
  X(hung, 13, "a thread missed its heartbeat: its stack is written, then the process is killed")                             \
  X(excused, 14, "a silent thread is left alone: a debugger holds it, or it was stopped or frozen")                          \
  X(stopping, 15, "a process says that it is stopping (sd_notify)")

typedef enum hf_event_type {
#define HF_EVENT_ENUM(name, number, sentence) HF_EVENT_##name = (number),
  HF_EVENTS(HF_EVENT_ENUM)
#undef HF_EVENT_ENUM
      HF_EVENT_COUNT
} hf_event_type;

HF_EXPORT const char *hf_event_name(unsigned type);

// ---- names --------------------------------------------------------------------------------------------------------------
// 0, or HF_ENAME with the documented sentence. Begins with a letter; letters, digits, "_", "-", "."; shorter than 32.
HF_EXPORT int hf_name_check(const char *name, hf_err *err);

// ---- definitions --------------------------------------------------------------------------------------------------------
enum { HF_START_AUTO = 0, HF_START_ON_DEMAND = 1 };
enum { HF_READY_AUTO = 0, HF_READY_CALL = 1, HF_READY_ALIVE = 2 };
enum { HF_STOPPED_WAIT = 0, HF_STOPPED_FAIL = 1 };
enum { HF_RESTART_ALWAYS = 0, HF_RESTART_ON_FAILURE = 1, HF_RESTART_NEVER = 2 };

typedef struct hf_limit {
  uint32_t resource;   // RLIMIT_…
  uint64_t soft, hard; // UINT64_MAX: no limit
} hf_limit;

// One definition. Pointers belong to the caller (or, after hf_spec_decode, point into the decoded bytes).
typedef struct hf_spec {
  char name[HF_NAME_SIZE];
  uint8_t start, ready, restart; // HF_START_…, HF_READY_…, HF_RESTART_…
  uint8_t enabled;
  int32_t stop_signal;
  uint64_t stop_timeout_ns;
  uint64_t start_timeout_ns; // 0: none. `ready: auto` has none
  uint64_t alive_for_ns;
  uint64_t heartbeat_ns; // 0: none is asked for. Else somebody in it must beat: FAIL at start_timeout_ns where nobody does
  uint8_t stopped;       // HF_STOPPED_…: what a silent thread means whose process was stopped (SIGSTOP)
  uint64_t backoff_first_ns, backoff_from_ns, backoff_max_ns, backoff_reset_after_ns;
  double backoff_factor, backoff_jitter;
  uint32_t limit_count; // 0: no limit
  uint64_t limit_within_ns;
  uint8_t has_user, has_umask, has_nice;
  uid_t uid;
  gid_t gid;
  uint32_t group_count;
  gid_t groups[HF_GROUPS_MAX];
  uint32_t umask;
  int32_t nice;
  uint32_t limit_resource_count;
  hf_limit limits[HF_LIMITS_MAX];
  uint64_t log_max_bytes;
  uint32_t log_keep;
  const char *log_file;    // absolute; NULL or "": output is thrown away
  const char *cwd;         // absolute
  const char *const *argv; // NULL-terminated, at least one
  const char *const *env;  // NULL-terminated "KEY=value"; complete, nothing is inherited
  uint32_t depends_count;
  char depends[HF_DEPENDS_MAX][HF_NAME_SIZE];
} hf_spec;

HF_EXPORT void hf_spec_init(hf_spec *spec); // the documented defaults; name, cwd, argv, env, log_file empty

// Encodes into `out` (capacity `size`): the number of bytes, or HF_ESPEC / HF_EFULL with the reason. With out NULL: the size.
HF_EXPORT ssize_t hf_spec_encode(const hf_spec *spec, void *out, size_t size, hf_err *err);

// A decoded definition owns a copy of the bytes. Any input is safe: a bad one is HF_ESPEC. Free with hf_spec_free.
typedef struct hf_spec_owned hf_spec_owned;
HF_EXPORT int hf_spec_decode(hf_spec_owned **out, const void *bytes, size_t size, hf_err *err);
HF_EXPORT const hf_spec *hf_spec_get(const hf_spec_owned *owned);
HF_EXPORT void hf_spec_free(hf_spec_owned *owned);

// ---- a supervised process -----------------------------------------------------------------------------------------------
typedef struct hf_self hf_self;

// Attaches to the manager that started this process or an ancestor of it, by the descriptors and the environment that it
// passed. HF_ENOTATTACHED with the reason where there is none. `claim` marks the phase BOOTING (the first to attach in the
// tree declares phases). Never blocks. One per process; the mappings are never unmapped.
HF_EXPORT int hf_attach(hf_self **out, hf_err *err);
// The same, and declares no phase: for a preload, which says nothing about the program.
HF_EXPORT int hf_attach_quietly(hf_self **out, hf_err *err);
// 1 if this very process (not a descendant) is the one that a manager executed, else 0. Cheap where there is no manager.
HF_EXPORT int hf_spawned_here(void);
HF_EXPORT const char *hf_self_name(const hf_self *self);
HF_EXPORT uint32_t hf_self_incarnation(const hf_self *self);
// Declares a phase (HF_STATE_BOOTING, LOADCFG, READY) for the living incarnation, and rings the manager. HF_EMOVE where the
// table has no such move; HF_ECLOSED if this incarnation is over.
HF_EXPORT int hf_declare(hf_self *self, hf_state phase, hf_err *err);
// The effective state of a process of the same instance: a hf_state, or HF_EUNKNOWN. One load, and for a living process a
// guarded read of what it declared itself. Safe from any thread.
HF_EXPORT int hf_self_state(hf_self *self, const char *name, hf_err *err);
// Waits until `name` has `state`: 1, or 0 when the time is over, or a negative error. Blocks the calling thread.
HF_EXPORT int hf_self_wait(hf_self *self, const char *name, hf_state state, int64_t timeout_ns, hf_err *err);
// Writes the known names, separated by ", ", into out.
HF_EXPORT int hf_self_names(hf_self *self, char *out, size_t size);

// ---- heartbeats of this process -----------------------------------------------------------------------------------------
// A monitored thread has a cell: one cache line that it beats into, by one store. Under a manager the cells lie in the shared file
// of the process, and the manager judges; else in private memory, and nobody judges but hf_judge_here. Which of the two is decided
// by the first call of hf_hearts, for good. Cells are numbers from 0. All calls are safe from any thread; none blocks.

// Where the cells are: `self` from hf_attach, or NULL for private memory. Idempotent: the first call decides. *base: the mapping
// (never unmapped), in which cell c lies at hf_cell_offset(c) and begins with its beat counter (uint32_t).
HF_EXPORT int hf_hearts(hf_self *self, void **base, size_t *size, hf_err *err);
HF_EXPORT size_t hf_cell_offset(uint32_t cell);
// Claims a cell: its number, or HF_EFULL. `name` is cut to 31 bytes. tid: of the thread, 0 where it is not known yet
// (hf_cell_thread tells it later). thread_id: Node's.
HF_EXPORT int hf_cell_claim(const char *name, pid_t tid, uint32_t thread_id, hf_err *err);
HF_EXPORT void hf_cell_thread(uint32_t cell, pid_t tid);
// From now on silence for more than `grace` periods is a failure of the process. Counts as a beat. Again: replaces the period.
HF_EXPORT int hf_cell_register(uint32_t cell, uint64_t period_ns, unsigned grace, hf_err *err);
HF_EXPORT void hf_cell_deregister(uint32_t cell); // the cell stays claimed
HF_EXPORT void hf_cell_release(uint32_t cell);    // nobody refers to it any more: it may be claimed again
// Counts as a beat; the next one may come `extra_ns` later than otherwise. `why` is cut to 47 bytes.
HF_EXPORT void hf_cell_busy(uint32_t cell, uint64_t extra_ns, const char *why);
HF_EXPORT void hf_cell_note(uint32_t cell, const char *note); // shown in status and report; counts as nothing
// This very process exits: none of its cells is judged any more.
HF_EXPORT void hf_hearts_end(void);
// The beat: one store, no system call, no clock.
static inline void hf_cell_beat(void *base, size_t offset) {
  void *at = (char *)base + offset;
  uint32_t *beat = (uint32_t *)at;
  __atomic_store_n(beat, __atomic_load_n(beat, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}
// Of the tree that a manager started, one process beats for the definition's `heartbeat` (the first that asks, or the next when that
// is dead): the period in ns where this one shall, 0 where another does or none is asked for.
HF_EXPORT int64_t hf_heartbeat_claim(hf_self *self, hf_err *err);

// Who can tell what a thread is doing (the addon asks V8). Called on the helper thread, when a cell of this process was judged silent;
// blocks until `deadline_mono_ns` at most. Writes text: its first line is "where: FUNCTION (FILE:LINE:COLUMN)", or "where: -" where
// that is not known. Returns its length, 0 for none.
typedef size_t (*hf_stack_hook)(uint32_t cell, uint64_t deadline_mono_ns, char *out, size_t size);
HF_EXPORT void hf_stack_hook_set(hf_stack_hook hook);
// What the kernel knows of a thread of this process: state, system call, wait channel, one a line, and in `where` (64 bytes, may be
// NULL) a few words: "read, in pipe_read", "running native code". Returns the length.
HF_EXPORT size_t hf_thread_kernel_view(pid_t pid, pid_t tid, char *out, size_t size, char *where);
// Judges this process from a thread of its own, where no manager does: silence of that cell writes a report to stderr, and to a file
// in $HOLDFAST_REPORT_DIR where that is set; then aborts, or goes on and reports the next hang. HF_EMOVE under a manager: it judges.
enum { HF_HANG_REPORT = 1, HF_HANG_ABORT = 2 };
HF_EXPORT int hf_judge_here(uint32_t cell, int on_hang, hf_err *err);

// ---- an operator --------------------------------------------------------------------------------------------------------
typedef struct hf_operator hf_operator;

// Where an instance lives: `dir` if given, else $HOLDFAST_DIR, else under systemd $RUNTIME_DIRECTORY, else
// /dev/shm/holdfast-<uid>/<instance>. Writes at most `size` bytes; HF_EINVAL where the path is too long or not absolute.
HF_EXPORT int hf_dir_resolve(const char *dir, const char *instance, char *out, size_t size, hf_err *err);
// Creates the directory (0700, checked on the way) if it is missing. Needed before a first definition.
HF_EXPORT int hf_dir_create(const char *dir, hf_err *err);

// Opens an instance: HF_ENOENT where the directory does not exist or holds no instance, else what is wrong with it.
// HF_OPERATOR_CREATE creates directory, segment and requests where they are missing (as a manager would).
enum { HF_OPERATOR_CREATE = 1 };
HF_EXPORT int hf_operator_open(hf_operator **out, const char *dir, unsigned flags, hf_err *err);
HF_EXPORT void hf_operator_close(hf_operator *op);

// Settings of an instance, kept as text lines `key=value` in the file `instance`. Keys: [a-z_]+. HF_ENOENT: no such key.
HF_EXPORT int hf_operator_setting_get(hf_operator *op, const char *key, char *out, size_t size, hf_err *err);
HF_EXPORT int hf_operator_setting_put(hf_operator *op, const char *key, const char *value, hf_err *err);

// Defines or redefines a process: checks it, refuses a circle, writes spec/<name> atomically, rings. Returns 1 if the bytes
// changed, 0 if the same definition was there already.
HF_EXPORT int hf_operator_define(hf_operator *op, const hf_spec *spec, hf_err *err);
HF_EXPORT int hf_operator_remove(hf_operator *op, const char *name, hf_err *err); // HF_EUNKNOWN where none is defined

typedef enum hf_request { HF_REQUEST_START = 1, HF_REQUEST_STOP, HF_REQUEST_STOP_FORCE, HF_REQUEST_RESTART } hf_request;
// HF_EUNKNOWN while the manager has not yet taken the definition in (wait for a change and try again).
// Returns the sequence (from 1) that status.request_done reaches when the manager has taken the request in.
HF_EXPORT int64_t hf_operator_request(hf_operator *op, const char *name, hf_request request, hf_err *err);
HF_EXPORT int hf_operator_shutdown(hf_operator *op, hf_err *err); // ask the manager to stop everything and end
HF_EXPORT int hf_operator_signal(hf_operator *op, const char *name, int signal, hf_err *err);

// What did not come in time, of a startTimeout.
enum { HF_LATE_READY = 0, HF_LATE_HEARTBEAT = 1, HF_LATE_LOADCFG = 2, HF_LATE_STOPPING = 3 };

typedef struct hf_failure {
  uint8_t cause;     // hf_cause
  uint8_t phase;     // the state in which it failed
  int16_t signal;    // 0: none
  int32_t exit_code; // -1: none
  int32_t errnum;    // of a spawn failure
  uint32_t incarnation;
  int64_t at_real_ns; // the moment of the verdict: for a hang before the stack was taken and the process killed
  uint64_t ran_ns;    // how long the incarnation had run
  // Of a hang only; else 0 and "".
  pid_t pid, tid;     // of the silent thread
  uint16_t grace;     // it had that many periods
  uint8_t has_report; // reports/<name>.<incarnation>.txt was written
  uint8_t late;       // of a startTimeout: HF_LATE_…
  uint8_t pad[4];
  uint64_t period_ns;   // how often it was to beat
  uint64_t silent_ns;   // since its last beat, as seen, at the verdict
  uint64_t lateness_ns; // part of silent_ns that was not counted: the judge was late, or the thread got no processor
  char thread[HF_NAME_SIZE];
  char where[HF_WHERE_SIZE]; // "spin (server.mjs:12:3)", or what the kernel knows; "" where nothing is known
} hf_failure;

enum { HF_WANTED_STOP = 0, HF_WANTED_RUN = 1 };

// What an operator sees of one process: one consistent copy.
typedef struct hf_process_status {
  char name[HF_NAME_SIZE];
  uint32_t index, generation;
  uint8_t state;                   // effective hf_state
  uint8_t wanted;                  // HF_WANTED_…
  uint8_t enabled, limited, stale; // stale: the copy could not be read in a bounded number of tries
  uint8_t stopping;                // a stop is under way
  uint8_t on_demand;
  pid_t pid; // 0: nothing runs
  uint32_t incarnation, restarts;
  uint64_t start_time;                                         // of pid, clock ticks since boot
  uint64_t started_mono_ns, ready_mono_ns, next_start_mono_ns; // 0: not
  uint64_t request_done;                                       // the last request sequence taken in
  uint64_t settled_incarnation;                                // the last incarnation that became READY or ended
  uint64_t dropped_bytes;                                      // output that no disk took
  char waiting_for[HF_NAME_SIZE];                              // "" or the dependency that is not READY
  uint32_t failure_count;                                      // 0..HF_FAILURES_KEPT
  hf_failure failures[HF_FAILURES_KEPT];                       // newest first
  uint64_t memory_bytes;                                       // resident set of pid, read from /proc
  uint64_t cpu_ns;                                             // processor time of pid so far, read from /proc
  char status_text[HF_STATUS_TEXT_SIZE];                       // what it says of itself (sd_notify STATUS=), else ""
} hf_process_status;

// One monitored thread of a process, as an operator sees it.
enum { HF_THREAD_TRACED = 1, HF_THREAD_STOPPED = 2, HF_THREAD_FROZEN = 4, HF_THREAD_BUSY = 8 }; // why its silence is excused
typedef struct hf_thread_status {
  char name[HF_NAME_SIZE];
  pid_t pid, tid; // tid 0: not known
  uint64_t period_ns, silent_ns;
  uint32_t grace, flags; // HF_THREAD_…
  char note[HF_CELL_NOTE_SIZE];
} hf_thread_status;

typedef struct hf_instance_status {
  char instance[HF_NAME_SIZE];
  char dir[HF_DIR_BYTES_MAX + 1];
  pid_t manager_pid;  // 0: none lives
  pid_t guardian_pid; // 0: none lives
  uint64_t manager_started_mono_ns;
  uint32_t manager_restarts;
  uint8_t shutting_down;
  uint64_t now_mono_ns;
  uint64_t specs_wanted, specs_done; // definition changes announced, and taken in by the manager
  uint64_t event_first, event_next;  // sequences that the log holds: [first, next)
} hf_instance_status;

HF_EXPORT int hf_operator_instance(hf_operator *op, hf_instance_status *out, hf_err *err);
// Fills up to `max` entries, ordered as defined: the number.
HF_EXPORT int hf_operator_status(hf_operator *op, hf_process_status *out, int max, hf_err *err);
HF_EXPORT int hf_operator_find(hf_operator *op, const char *name, hf_process_status *out, hf_err *err); // HF_EUNKNOWN

// The monitored threads of a process: up to `max` entries, the number. 0 where nothing of it runs or nothing is monitored.
HF_EXPORT int hf_operator_threads(hf_operator *op, const char *name, hf_thread_status *out, int max, hf_err *err);

typedef struct hf_event {
  uint64_t sequence;
  int64_t at_real_ns;
  uint64_t at_mono_ns;
  uint32_t index, incarnation; // index UINT32_MAX: the instance itself
  pid_t pid;
  uint16_t type;    // hf_event_type
  uint8_t from, to; // states, for type state
  uint8_t cause;
  int16_t signal;
  int32_t exit_code, errnum;
  char name[HF_NAME_SIZE];
  char detail[96];
} hf_event;

// Events from sequence `from` on: the number written. `*next` is where to go on; if it is more than from + count, the log had
// moved on and that many were missed.
HF_EXPORT int hf_operator_events(hf_operator *op, uint64_t from, hf_event *out, int max, uint64_t *next, hf_err *err);

// The change word moves whenever status or log do. hf_operator_wait blocks until it differs from `seen`: 1, or 0 when the time
// is over or hf_operator_wake was called, else a negative error. Wake may be called from any thread, and ends waiting for good:
// every later wait returns 0 at once.
HF_EXPORT uint32_t hf_operator_changes(hf_operator *op);
HF_EXPORT int hf_operator_wait(hf_operator *op, uint32_t seen, int64_t timeout_ns);
HF_EXPORT void hf_operator_wake(hf_operator *op);

// One sentence for a failure, e.g. "killed by SIGSEGV after 3.2 s", without a name or a point at the end. For a hang it is the
// documented one: "Because the %name% (%threadId%) thread of process %pid%, has not responded within %count% periods of %delay%
// seconds, the process will be terminated."
HF_EXPORT void hf_failure_text(const hf_failure *failure, char *out, size_t size);
// The same in few words, for a line of the event log: "event-loop silent for 1.07 s in spin (server.mjs:12:3)".
HF_EXPORT void hf_failure_brief(const hf_failure *failure, char *out, size_t size);

// ---- the daemon ---------------------------------------------------------------------------------------------------------
// main of holdfastd. Plain C: no Node, no thread before it.
HF_EXPORT int hf_daemon_main(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
