// SPDX-License-Identifier: MIT
// The shared files of an instance, byte by byte. A change of any struct here changes HF_LAYOUT_HASH (computed from sizes and
// offsets), and a file with another hash is refused.
//
//   segment   manager writes, everybody else maps read-only
//     0       hf_segment_header     identity of the layout, machine and manager; change word; cursors
//     4096    hf_status_slot[512]   one word that commits, and two copies of the status
//     ...     hf_spawn_slot[512]    pid or errno, written by the child between clone and exec (it shares the manager's memory)
//     ...     ack[1024]             sequences of exit notes that the manager has dealt with
//     ...     hf_event_record[4096] the event log, a ring
//   requests  operators write (atomics only), the manager maps it read-only
//     0       hf_requests_header    definition changes announced, shutdown asked
//     4096    hf_request_slot[512]
//   exits     the guardian writes, the manager maps it read-only
//     0       hf_exits_header
//     4096    hf_exit_note[1024]
//   own.<n>.<incarnation>   process n writes; the manager and other readers use pread (the owner may truncate it)
//     0       hf_own
//
// What a crash leaves, and how the next one reads it:
//   status   the idle copy is filled, then `word` is stored: before that store nothing happened, after it everything did.
//   event    the record is filled with sequence 0, then its sequence is stored, then the tail. A record that has its sequence
//            but lies past the tail is complete: the next manager moves the tail over it.
//   note     like an event. A note is reused only after its sequence stands in ack.
//   request  one 64-bit word; a compare-and-swap is a whole request.
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
  uint8_t pad4[24];
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
  HF_STAGE_KILLING,  // SIGKILL was sent
  HF_STAGE_CLEANING, // the process ended and its ending is recorded; what is left of its tree is being killed
  HF_STAGE_COUNT
} hf_stage;

enum { HF_STOP_NO = 0, HF_STOP_ASKED = 1, HF_STOP_TIMED_OUT = 2 }; // why a stop is under way

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
  uint8_t pad1[384];
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
  uint8_t pad[36];
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
typedef struct hf_own {
  uint64_t magic; // magic to incarnation: written by the manager before the process lives
  uint64_t layout_hash;
  uint32_t index, incarnation;
  uint8_t pad0[40];
  _Atomic uint64_t phase; // the word of the process: incarnation << 8 | hf_state; 0: nothing declared
  hf_identity declared_by;
  uint8_t pad[HF_PAGE - 88];
} hf_own;

#define HF_PHASE_STATE(word) ((unsigned)((word) & 0xffu))
#define HF_PHASE_INCARNATION(word) ((uint32_t)((word) >> 8))
#define HF_PHASE(incarnation, state) (((uint64_t)(incarnation) << 8) | (uint64_t)(state))

// ---- what must hold -----------------------------------------------------------------------------------------------------
#define HF_OFFSET_IS(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)
HF_OFFSET_IS(hf_segment_header, manager, 192);
HF_OFFSET_IS(hf_segment_header, changes, 256);
_Static_assert(sizeof(hf_segment_header) == 320, "header lines");
_Static_assert(sizeof(hf_status) == 1024, "one copy");
_Static_assert(sizeof(hf_status_slot) == 64 + 2 * 1024, "word line and two copies");
_Static_assert(sizeof(hf_spawn_slot) == 64, "line");
_Static_assert(sizeof(hf_event_record) == 192, "event record");
HF_OFFSET_IS(hf_segment, status, HF_PAGE);
_Static_assert(sizeof(hf_request_slot) == 64, "line");
_Static_assert(sizeof(hf_exit_note) == 64, "line");
HF_OFFSET_IS(hf_exits, note, HF_PAGE);
HF_OFFSET_IS(hf_own, phase, 64);
_Static_assert(sizeof(hf_own) == HF_PAGE, "one page");
_Static_assert((HF_EVENT_MAX & (HF_EVENT_MAX - 1)) == 0, "a power of two");

#define HF_MIX(seed, value) (((seed) ^ (uint64_t)(value)) * 0x100000001b3u)
#define HF_LAYOUT_HASH                                                                                                       \
  HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(HF_MIX(0xcbf29ce484222325u, HF_LAYOUT_VERSION), sizeof(hf_segment)),      \
                                            sizeof(hf_requests)),                                                            \
                                     sizeof(hf_exits)),                                                                      \
                              offsetof(hf_segment, events)),                                                                 \
                       offsetof(hf_status, history)),                                                                        \
                offsetof(hf_status, failures)),                                                                              \
         HF_PROCESS_MAX)

#endif
