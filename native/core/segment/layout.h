// SPDX-License-Identifier: MIT
// The shared files of an instance, byte by byte. A change of any struct here changes HF_LAYOUT_HASH (computed from sizes and
// offsets), and a file with another hash is refused.
//
//   segment   manager writes, everybody else maps read-only
//     0       hf_segment_header     identity of the layout, machine and manager; change word; cursors
//     4096    hf_status_slot[512]   one word that commits, and two copies of the status
//     ...     hf_spawn_slot[512]    pid or errno, written by the child between clone and exec (it shares the manager's memory)
//     ...     ack[1024]             sequences of exit notes that the manager has dealt with
//     ...     hf_capture_slot[512]  which thread's stack is wanted; the helper thread of the process waits on it (futex)
//     ...     hf_event_record[4096] the event log, a ring
//   requests  operators write (atomics only), the manager maps it read-only
//     0       hf_requests_header    definition changes announced, shutdown asked
//     4096    hf_request_slot[512]
//   exits     the guardian writes, the manager maps it read-only
//     0       hf_exits_header
//     4096    hf_exit_note[1024]
//   own.<n>.<incarnation>   process n (any process of its tree) writes. The manager maps it read-only to sweep the cells, under a
//                           guard (heartbeat/guard.h: its owner may truncate it); other readers use pread
//     0       hf_own                header: phase, counters; 28 cells in the same page
//     4096    hf_cell               31 pages of 32 cells, sparse: whoever claims a cell reserves its page first, and only then moves cells_used past it
//     131072  capture text          sparse: written by pwrite (a full tmpfs is an error there)
//   ages      the manager writes; readers use pread. Made with the first cell
//     0       hf_ages_header
//     64      hf_age[]              sparse, reserved page by page: when each watched cell was last seen to change. Written for one cell
//                                   when it has been silent for half of its allowance, and for all when a reader asks (ages_wanted)
//
// What a crash leaves, and how the next one reads it:
//   status   the idle copy is filled, then `word` is stored: before that store nothing happened, after it everything did.
//   event    the record is filled with sequence 0, then its sequence is stored, then the tail. A record that has its sequence
//            but lies past the tail is complete: the next manager moves the tail over it.
//   note     like an event. A note is reused only after its sequence stands in ack.
//   request  one 64-bit word; a compare-and-swap is a whole request.
//   cell     the owner line is filled while `claim` says TAKEN (and by whom); storing ARMED (a new generation) makes it count. A
//            process killed between leaves a cell that nobody judges; own is per incarnation, so it dies with it. Within a tree the next claimer
//            takes back TAKEN cells whose pid is dead, when the table is full.
//   capture  the text is written, then capture_done is stored: before that store there is no text.
//   age      `owner` is stored last; an entry of a dead manager is inherited if its cell still has that owner, else freed.
#ifndef HF_SEGMENT_LAYOUT_H
#define HF_SEGMENT_LAYOUT_H

#include "base/atomic.h"
#include "holdfast.h"
#include "segment/history.h"

#define HF_LAYOUT_VERSION 1u
#define HF_MAGIC_SEGMENT 0x544e454d47455348u  // "HSEGMENT"
#define HF_MAGIC_REQUESTS 0x5453455551455248u // "HREQUEST"
#define HF_MAGIC_EXITS 0x3153544958455348u    // "HSEXITS1"
#define HF_MAGIC_OWN 0x314e574f53534648u      // "HFSSOWN1"
#define HF_MAGIC_AGES 0x3153454741534648u     // "HFSAGES1"
#define HF_PAGE 4096u
#define HF_EXIT_NOTE_MAX 1024u

typedef struct hf_identity {
  int32_t pid; // 0: none
  uint32_t pad;
  uint64_t start_time; // clock ticks since boot, field 22 of /proc/<pid>/stat
} hf_identity;

typedef struct hf_segment_header {
  uint64_t magic;
  uint32_t layout_version, process_max;
  uint64_t layout_hash, size;
  char boot_id[40];
  uint64_t pid_namespace; // inode
  char instance[HF_NAME_SIZE];
  uint8_t pad0[80];
  // Line: who manages. Written by a manager at its start, by its guardian's pid too.
  hf_identity manager, guardian;
  uint64_t manager_started_mono_ns;
  uint32_t manager_restarts, pad1;
  uint8_t pad2[16];
  // Line: moves with every change; readers wait on it (futex).
  _Atomic uint32_t changes;
  uint32_t pad3;
  _Atomic uint64_t event_tail;          // sequence of the next event; sequences begin at 1
  _Atomic uint64_t specs_done;          // requests.specs_wanted as last taken in
  _Atomic uint32_t shutting_down, down; // down: everything is stopped, the guardian removes the directory
  _Atomic uint32_t slots_used;          // status slots from here on were never used
  _Atomic int32_t told_guardian;        // pid of the guardian whose starter was told that the instance is ready
  _Atomic uint32_t ages_done;           // requests.ages_wanted as last answered: `ages` was written whole (futex)
  _Atomic uint64_t beat; // of the manager, under a systemd watchdog: moves while it is on time (the guardian reads it)
  _Atomic uint64_t ages_mono_ns; // when `ages` was last written whole
} hf_segment_header;

// The word of a status: incarnation 32 | sequence 23 | state 8 | copy 1. One load gives the state and says which copy is whole.
typedef uint64_t hf_status_word;
#define HF_WORD_COPY(word) ((unsigned)((word) & 1u))
#define HF_WORD_STATE(word) ((unsigned)(((word) >> 1) & 0xffu))
#define HF_WORD_SEQUENCE(word) ((uint32_t)(((word) >> 9) & 0x7fffffu))
#define HF_WORD_INCARNATION(word) ((uint32_t)((word) >> 32))
#define HF_WORD(incarnation, sequence, state, copy)                                                                          \
  (((uint64_t)(incarnation) << 32) | ((uint64_t)((sequence) & 0x7fffffu) << 9) | ((uint64_t)(state) << 1) | (uint64_t)(copy))

// Where supervision stands with a process. The public state follows from it; a new manager goes on from it.
typedef enum hf_stage {
  HF_STAGE_IDLE = 0, // nothing lives
  HF_STAGE_BACKOFF,  // nothing lives; to be started at next_start_ns
  HF_STAGE_SPAWNING, // an incarnation was announced; its pid is not known yet (see hf_spawn_slot)
  HF_STAGE_RUNNING,
  HF_STAGE_STOPPING, // the stop signal was sent; SIGKILL at kill_at_ns
  HF_STAGE_CAPTURING, // it hangs: judged and recorded in `hang`; its stack is awaited until capture_until_ns, then it is killed
  HF_STAGE_KILLING,   // SIGKILL was sent
  HF_STAGE_CLEANING, // the process ended and its ending is recorded; what is left of its tree is being killed
  HF_STAGE_COUNT
} hf_stage;

// Why a stop is under way.
enum {
  HF_STOP_NO = 0,
  HF_STOP_ASKED = 1,
  HF_STOP_TIMED_OUT = 2, // not READY in time
  HF_STOP_HUNG = 3,
  HF_STOP_NO_HEARTBEAT = 4, // its definition asks for a heartbeat, and nobody in it began to beat in time
  HF_STOP_LOADING = 5,      // it was READY, went to LOADCFG, and did not come back in time
  HF_STOP_STOPPING = 6      // it said by sd_notify that it is stopping, and did not end in time
};

typedef struct hf_status {
  char name[HF_NAME_SIZE]; // "" : the slot is free
  uint32_t generation;     // of the slot: moves when it is given to another name
  uint8_t stage, stop_reason, wanted, enabled;
  uint8_t limited, start_kind, parent_is_guardian, restart_after; // restart_after: start again once it ended
  uint8_t finished;   // it ended and the policy starts it no more, until somebody asks
  uint8_t respawn;    // the next spawn is a restart
  uint8_t stop_force; // a stop was asked for that skips the grace
  uint8_t pad0;
  int32_t exit_code, exit_signal; // of the last incarnation that ended: -1 and 0 where there is none
  hf_identity process;            // pid 0: nothing runs
  uint64_t defined_order;
  uint64_t started_ns, ready_ns, ended_ns, next_start_ns, kill_at_ns; // CLOCK_MONOTONIC, 0: not
  uint64_t spec_checksum;                                             // of the definition's bytes
  uint64_t cgroup;           // inode of the cgroup that the incarnation was born in, 0: none
  uint64_t program_checksum; // of what matters when it is executed
  uint64_t event_sequence;   // the last event of this process that this copy knows of
  uint64_t dropped_bytes;
  uint64_t request_done; // the request word taken in
  uint32_t restarts;     // restarts since it was defined
  uint32_t settled_incarnation;
  char waiting_for[HF_NAME_SIZE];
  hf_history history;
  uint32_t failure_count;
  hf_failure failures[HF_FAILURES_KEPT]; // newest first
  hf_failure hang;           // with stop_reason HF_STOP_HUNG: the verdict, before it is known how the process ended
  uint64_t capture_until_ns; // CLOCK_MONOTONIC
  uint32_t capture_request;  // what was asked of the helper: see hf_capture_slot; 0: nothing
  uint32_t pad1;
  uint64_t phase_since_ns;               // when the phase that is shown began
  uint64_t watchdog_ns;                  // sd_notify: period of its heartbeat, 0: it has sent none
  uint64_t extended_until_ns;            // sd_notify EXTEND_TIMEOUT_USEC: no start or stop deadline comes before
  char status_text[HF_STATUS_TEXT_SIZE]; // sd_notify STATUS=
  uint8_t notified_stopping;             // sd_notify STOPPING=1
  uint8_t has_beaten;                    // somebody in this incarnation beats, or has
  uint8_t notified_phase;                // sd_notify READY=1, RELOADING=1: the hf_state that it means, 0: neither came
  uint8_t pad2[5];
  uint64_t notify_inode; // of the sd_notify socket's file when it was started, 0: none, or it was told that this one died
  uint8_t pad3[440];
} hf_status;

typedef struct hf_status_slot {
  _Atomic hf_status_word word;
  uint8_t pad[HF_CACHE_LINE - 8];
  hf_status copy[2];
} hf_status_slot;

// Written by the child of the manager between clone and exec, through the memory that they share. `incarnation` and the zeros
// are set by the manager before; a manager that finds an announced incarnation reads here what became of it.
typedef struct hf_spawn_slot {
  _Atomic uint32_t incarnation;
  _Atomic int32_t pid;
  _Atomic int32_t errnum;
  _Atomic int32_t step; // which call failed: hf_spawn_step
  uint8_t pad[HF_CACHE_LINE - 16];
} hf_spawn_slot;

// What the manager asks of the helper thread in a process: the stack of the thread that owns a cell. The helper of the process
// with the cell's pid answers in own: text, then capture_done = request.
typedef struct hf_capture_slot {
  _Atomic uint32_t incarnation; // stored before `request`
  _Atomic uint32_t request;     // sequence 16 (never 0) | cell 16; the futex word
  uint8_t pad[HF_CACHE_LINE - 8];
} hf_capture_slot;
#define HF_CAPTURE_REQUEST(sequence, cell) (((uint32_t)(sequence) << 16) | ((uint32_t)(cell) & 0xffffu))
#define HF_CAPTURE_CELL(request) ((request) & 0xffffu)

typedef struct hf_event_record {
  _Atomic uint64_t sequence; // 0 while it is written
  hf_event event;
} hf_event_record;

typedef struct hf_segment {
  hf_segment_header header;
  uint8_t pad[HF_PAGE - sizeof(hf_segment_header)];
  hf_status_slot status[HF_PROCESS_MAX];
  hf_spawn_slot spawn[HF_PROCESS_MAX];
  _Atomic uint64_t ack[HF_EXIT_NOTE_MAX];
  hf_capture_slot capture[HF_PROCESS_MAX];
  hf_event_record events[HF_EVENT_MAX];
} hf_segment;

// ---- requests -----------------------------------------------------------------------------------------------------------
// The word: generation 20 | requests 20 | restarts 20 | force 1 | wanted 2 | unused 1. `requests` counts every start, stop and
// restart, so that a start of a process in FAIL is seen, and status.request_done says what was taken in.
#define HF_REQUEST_GENERATION(word) ((uint32_t)((word) >> 44) & 0xfffffu)
#define HF_REQUEST_COUNT(word) ((uint32_t)((word) >> 24) & 0xfffffu)
#define HF_REQUEST_RESTARTS(word) ((uint32_t)((word) >> 4) & 0xfffffu)
#define HF_REQUEST_FORCE(word) ((unsigned)((word) >> 3) & 1u)
#define HF_REQUEST_WANTED(word) ((unsigned)((word) >> 1) & 3u) // 0: as defined, else HF_WANTED_… + 1
#define HF_REQUEST_WORD(generation, count, restarts, force, wanted)                                                          \
  (((uint64_t)((generation) & 0xfffffu) << 44) | ((uint64_t)((count) & 0xfffffu) << 24) |                                    \
   ((uint64_t)((restarts) & 0xfffffu) << 4) | ((uint64_t)((force) & 1u) << 3) | ((uint64_t)((wanted) & 3u) << 1))

typedef struct hf_requests_header {
  uint64_t magic;
  uint64_t layout_hash;
  _Atomic uint64_t specs_wanted; // moves after each change in spec/
  _Atomic uint32_t shutdown;     // 1: stop everything and end
  _Atomic uint32_t ages_wanted;  // moves when somebody wants `ages` to be up to date
  uint8_t pad[32];
} hf_requests_header;

typedef struct hf_request_slot {
  _Atomic uint64_t word;
  uint8_t pad[HF_CACHE_LINE - 8];
} hf_request_slot;

typedef struct hf_requests {
  hf_requests_header header;
  uint8_t pad[HF_PAGE - sizeof(hf_requests_header)];
  hf_request_slot slot[HF_PROCESS_MAX];
} hf_requests;

// ---- exits --------------------------------------------------------------------------------------------------------------
typedef struct hf_exit_note {
  _Atomic uint64_t sequence; // 0: never written; note s lies at s % HF_EXIT_NOTE_MAX
  int32_t pid;
  int32_t code;   // si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED
  int32_t status; // si_status: exit code or signal
  uint32_t pad0;
  uint64_t start_time;
  uint64_t at_mono_ns;
  uint8_t pad[HF_CACHE_LINE - 40];
} hf_exit_note;

typedef struct hf_exits {
  uint64_t magic;
  uint64_t layout_hash;
  _Atomic uint64_t tail; // sequence of the next note; begins at 1
  uint8_t pad[HF_PAGE - 24];
  hf_exit_note note[HF_EXIT_NOTE_MAX];
} hf_exits;

// ---- own.<n>.<incarnation> ----------------------------------------------------------------------------------------------
// The cell of one thread. Two lines, half a page apart: who beats writes the first, who claims writes the second. The first lines of the
// cells of a page lie side by side, so that a sweep, which needs no others, reads half as much memory (the processor fetches lines in
// pairs). So cells are interleaved: hf_cell is no array element, and `between` is the lines of other cells.
#define HF_CELL_LINES_APART (HF_PAGE / 2)
typedef struct hf_cell {
  _Atomic uint32_t beat;        // any change is a beat; compared with "differs", never with "less"
  _Atomic uint32_t busy_beat;   // busy_ns counts while `beat` has this value
  _Atomic uint64_t busy_ns;     // the beat after this one may come that much later
  char note[HF_CELL_NOTE_SIZE]; // what it says of itself, for status and report: why it is busy, the queue of a pool
  uint8_t between[HF_CELL_LINES_APART - HF_CACHE_LINE];
  _Atomic uint64_t claim; // pid 24 | generation 32 | hf_cell_state 8. Storing ARMED (release) publishes the rest of this line
  uint64_t period_ns;
  int32_t pid, tid;   // of the thread, as the kernel knows them; tid 0: not known (yet)
  uint16_t grace;     // silent for more than grace periods: a miss
  uint16_t flags;     // HF_CELL_…
  uint32_t thread_id; // Node's threadId; 0: the main thread, or no Node
  char name[HF_NAME_SIZE];
} hf_cell;
typedef enum hf_cell_state { HF_CELL_FREE = 0, HF_CELL_TAKEN = 1, HF_CELL_ARMED = 2 } hf_cell_state;
enum { HF_CELL_HELPER = 1 }; // its process has a helper thread that can capture stacks
#define HF_CLAIM_STATE(word) ((unsigned)((word) & 0xffu))
#define HF_CLAIM_GENERATION(word) ((uint32_t)((word) >> 8))
#define HF_CLAIM_PID(word) ((uint32_t)((word) >> 40)) // of who took it, 0 in a FREE one; a pid of Linux has 22 bits
#define HF_CLAIM(generation, state) (((uint64_t)(generation) << 8) | (uint64_t)(state))
#define HF_CLAIM_OF(pid, generation, state) (((uint64_t)((uint32_t)(pid) & 0xffffffu) << 40) | HF_CLAIM(generation, state))

#define HF_CELLS_IN_FIRST_PAGE 28u
#define HF_CELLS_IN_PAGE (HF_CELL_LINES_APART / HF_CACHE_LINE)
#define HF_CAPTURE_TEXT_AT 131072u
#define HF_CAPTURE_TEXT_MAX 65536u

typedef struct hf_own {
  uint64_t magic; // magic to incarnation: written by the manager before the process lives
  uint64_t layout_hash;
  uint32_t index, incarnation;
  uint8_t pad0[40];
  _Atomic uint64_t phase; // the word of the process: incarnation << 8 | hf_state; 0: nothing declared
  hf_identity declared_by;
  uint8_t pad1[40];
  // Line: cells.
  _Atomic uint32_t cells_changed; // moves after every change of a claim; whoever moves it rings
  _Atomic uint32_t cells_used;    // cells from here on were never claimed, and their pages may be holes
  _Atomic uint64_t heart_claim;   // HF_HEART of the process whose preload beats (`heartbeat:`); 0: nobody. Taken by one swap
  uint8_t pad2[48];
  // Line: the answer to a capture.
  _Atomic uint32_t capture_done;   // the request that was answered
  _Atomic uint32_t capture_length; // bytes at HF_CAPTURE_TEXT_AT
  uint8_t pad3[56];
  uint8_t cells[HF_PAGE - 256];
} hf_own; // the first page, with 28 cells; pages of 32 cells follow

// Who beats: pid 32 | low half of its start time 32. One word, so that a crash leaves either nobody or somebody who can be checked.
#define HF_HEART(pid, start_time) (((uint64_t)(uint32_t)(pid) << 32) | ((uint64_t)(start_time) & 0xffffffffu))
#define HF_HEART_PID(word) ((int32_t)((word) >> 32))

#define HF_OWN_CELLS_SIZE (HF_PAGE + (HF_CELL_MAX - HF_CELLS_IN_FIRST_PAGE) / HF_CELLS_IN_PAGE * HF_PAGE)
#define HF_OWN_FILE_SIZE (HF_CAPTURE_TEXT_AT + HF_CAPTURE_TEXT_MAX)
// Offset of a cell in own, and in the private memory of a process that no manager started.
#define HF_CELL_OFFSET(number)                                                                                               \
  ((number) < HF_CELLS_IN_FIRST_PAGE ? offsetof(hf_own, cells) + (size_t)(number) * HF_CACHE_LINE                            \
                                     : HF_PAGE + ((size_t)(number) - HF_CELLS_IN_FIRST_PAGE) / HF_CELLS_IN_PAGE * HF_PAGE +  \
                                           ((size_t)(number) - HF_CELLS_IN_FIRST_PAGE) % HF_CELLS_IN_PAGE * HF_CACHE_LINE)

#define HF_PHASE_STATE(word) ((unsigned)((word) & 0xffu))
#define HF_PHASE_INCARNATION(word) ((uint32_t)((word) >> 8))
#define HF_PHASE(incarnation, state) (((uint64_t)(incarnation) << 8) | (uint64_t)(state))

// ---- ages ---------------------------------------------------------------------------------------------------------------
typedef struct hf_ages_header {
  uint64_t magic, layout_hash;
  _Atomic uint32_t used; // entries from here on were never used
  uint8_t pad[44];
} hf_ages_header;

typedef struct hf_age {
  _Atomic uint64_t owner;        // incarnation 32 | index 16 | cell 16; 0: free
  _Atomic uint64_t seen_mono_ns; // when the manager last saw it change (CLOCK_MONOTONIC)
  _Atomic uint32_t beat;         // the value that it had then
  _Atomic uint32_t flags;        // HF_THREAD_… of holdfast.h
  _Atomic uint64_t claim;        // the claim that is watched
} hf_age;
#define HF_AGE_OWNER(incarnation, index, cell)                                                                               \
  (((uint64_t)(incarnation) << 32) | ((uint64_t)((index) & 0xffffu) << 16) | (uint64_t)((cell) & 0xffffu))
#define HF_AGE_MAX (HF_PROCESS_MAX * HF_CELL_MAX)

// ---- what must hold -----------------------------------------------------------------------------------------------------
#define HF_OFFSET_IS(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)
HF_OFFSET_IS(hf_segment_header, manager, 192);
HF_OFFSET_IS(hf_segment_header, changes, 256);
_Static_assert(sizeof(hf_segment_header) == 320, "header lines");
_Static_assert(sizeof(hf_status) == 2048, "one copy");
_Static_assert(sizeof(hf_status_slot) == 64 + 2 * 2048, "word line and two copies");
_Static_assert(sizeof(hf_spawn_slot) == 64, "line");
_Static_assert(sizeof(hf_event_record) == 192, "event record");
HF_OFFSET_IS(hf_segment, status, HF_PAGE);
_Static_assert(sizeof(hf_request_slot) == 64, "line");
_Static_assert(sizeof(hf_exit_note) == 64, "line");
HF_OFFSET_IS(hf_exits, note, HF_PAGE);
HF_OFFSET_IS(hf_own, phase, 64);
HF_OFFSET_IS(hf_own, cells_changed, 128);
HF_OFFSET_IS(hf_own, capture_done, 192);
HF_OFFSET_IS(hf_own, cells, 256);
HF_OFFSET_IS(hf_cell, claim, HF_CELL_LINES_APART);
_Static_assert(sizeof(hf_cell) == HF_CELL_LINES_APART + HF_CACHE_LINE, "two lines, half a page apart");
_Static_assert(HF_CELL_OFFSET(HF_CELLS_IN_FIRST_PAGE - 1) + sizeof(hf_cell) == HF_PAGE, "the first page is full of them");
_Static_assert((HF_CELL_MAX - HF_CELLS_IN_FIRST_PAGE) % HF_CELLS_IN_PAGE == 0, "so is the last one");
_Static_assert(256 + HF_CELLS_IN_FIRST_PAGE * HF_CACHE_LINE == HF_CELL_LINES_APART, "no line of a cell lies on the header");
_Static_assert(HF_OWN_CELLS_SIZE == HF_CAPTURE_TEXT_AT, "the text follows the cells");
_Static_assert(HF_CELL_MAX < 0xffff, "a cell fits in 16 bits");
_Static_assert(sizeof(hf_age) == 32, "half a line");
_Static_assert(sizeof(hf_capture_slot) == 64, "line");
_Static_assert(sizeof(hf_own) == HF_PAGE, "one page");
_Static_assert((HF_EVENT_MAX & (HF_EVENT_MAX - 1)) == 0, "a power of two");

#define HF_MIX(seed, value) (((seed) ^ (uint64_t)(value)) * 0x100000001b3u)
#define HF_OWN_HASH                                                                                                          \
  HF_MIX(HF_MIX(HF_MIX(HF_MIX(0xcbf29ce484222325u, HF_OWN_FILE_SIZE), sizeof(hf_own)), offsetof(hf_cell, name)),             \
         sizeof(hf_age))
#define HF_LAYOUT_HASH                                                                                                       \
  HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_OWN_HASH, HF_LAYOUT_VERSION), sizeof(hf_segment)),              \
                                            sizeof(hf_requests)),                                                            \
                                     sizeof(hf_exits)),                                                                      \
                              offsetof(hf_segment, events)),                                                                 \
                       offsetof(hf_status, history)),                                                                        \
                offsetof(hf_status, failures)),                                                                              \
         HF_PROCESS_MAX)

#endif
