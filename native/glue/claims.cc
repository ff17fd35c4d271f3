// SPDX-License-Identifier: MIT
// The list of claims: one entry a cell, at the cell's number. Static, and nothing in it has a destructor: the helper thread
// reads it (see CaptureCell), and outlives exit().
#include "claims.h"

#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

extern "C" {
#include "base/kernel.h"
}

#include "stack.h"

namespace glue {

namespace {

constexpr unsigned kAlsoMax = 63;

struct Entry {
  bool is_used, is_armed;
  CellKind kind;
  uint8_t also_count;
  uint32_t thread_id; // whose stack is asked for
  uint32_t holds;     // of all environments
  uint64_t key;
  uint64_t period_ns;    // 0: it was never judged
  uint64_t also_mono_ns; // when `also` was told last
  char name[HF_NAME_SIZE];
  uint32_t also[kAlsoMax]; // threads whose stacks are asked for too
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // guards what follows; nobody waits for JavaScript under it
Entry entries[HF_CELL_MAX];
uint32_t entries_used; // those from here on never were

class Lock {
public:
  Lock() { pthread_mutex_lock(&mutex); }
  ~Lock() { pthread_mutex_unlock(&mutex); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;
};

// -1 where there is none.
int Find(CellKind kind, uint64_t key) {
  for (uint32_t cell = 0; cell < entries_used; cell++)
    if (entries[cell].is_used && entries[cell].kind == kind && entries[cell].key == key) return static_cast<int>(cell);
  return -1;
}

void ReleaseIfUnwanted(uint32_t cell) {
  Entry &entry = entries[cell];
  if (entry.holds > 0 || entry.is_armed) return;
  entry.is_used = false;
  hf_cell_release(cell);
}

void Disarm(uint32_t cell) {
  entries[cell].is_armed = false;
  hf_cell_deregister(cell);
}

} // namespace

void Holder::Announce(uint32_t thread_id, pid_t tid) {
  Lock lock;
  is_announced_ = true;
  thread_id_ = thread_id;
  tid_ = tid;
  // The parent may have claimed its cell before it ran.
  int cell = Find(CellKind::kThread, thread_id);
  if (cell >= 0) hf_cell_thread(static_cast<uint32_t>(cell), tid);
}

int Holder::Claim(CellKind kind, uint64_t key, const char *name, hf_err *err) {
  Lock lock;
  int found = Find(kind, key);
  if (found < 0) {
    bool is_of_key = kind == CellKind::kThread;
    uint32_t thread_id = is_of_key ? static_cast<uint32_t>(key) : thread_id_;
    pid_t tid = is_of_key && thread_id != thread_id_ ? KernelThread(thread_id) : tid_;
    found = hf_cell_claim(name, tid, thread_id, err);
    if (found < 0) return found;
    Entry &entry = entries[found];
    entry = {};
    entry.is_used = true;
    entry.kind = kind;
    entry.thread_id = thread_id;
    entry.key = key;
    std::snprintf(entry.name, sizeof entry.name, "%s", name);
    if (static_cast<uint32_t>(found) >= entries_used) entries_used = static_cast<uint32_t>(found) + 1;
  }
  auto cell = static_cast<uint32_t>(found);
  if (cell >= holds_.size()) holds_.resize(cell + 1);
  holds_[cell]++;
  entries[cell].holds++;
  return found;
}

void Holder::Drop(uint32_t cell) {
  Lock lock;
  holds_[cell]--;
  entries[cell].holds--;
  ReleaseIfUnwanted(cell);
}

int Holder::Register(uint32_t cell, uint64_t period_ns, unsigned grace, hf_err *err) {
  Lock lock;
  int code = hf_cell_register(cell, period_ns, grace, err);
  if (code < 0) return code;
  entries[cell].is_armed = true;
  entries[cell].period_ns = period_ns;
  return code;
}

void Holder::Deregister(uint32_t cell) {
  Lock lock;
  Disarm(cell);
}

void Holder::CaptureAlso(uint32_t cell, const std::vector<uint32_t> &thread_ids) {
  Lock lock;
  Entry &entry = entries[cell];
  entry.also_mono_ns = hf_now_mono_ns();
  entry.also_count = static_cast<uint8_t>(thread_ids.size() < kAlsoMax ? thread_ids.size() : kAlsoMax);
  std::memcpy(entry.also, thread_ids.data(), entry.also_count * sizeof entry.also[0]);
}

void Holder::End() {
  Lock lock;
  bool is_main = is_announced_ && thread_id_ == 0;
  for (uint32_t cell = 0; cell < holds_.size(); cell++) {
    if (holds_[cell] == 0) continue;
    Entry &entry = entries[cell];
    if (is_main || entry.kind != CellKind::kThread) Disarm(cell);
    entry.holds -= holds_[cell];
    ReleaseIfUnwanted(cell);
  }
  holds_.clear();
  if (!is_main) return;
  hf_hearts_end();
  entries_used = 0;
}

size_t CaptureCell(uint32_t cell, uint64_t deadline_mono_ns, char *out, size_t size) {
  StackTarget targets[kAlsoMax + 1] = {};
  unsigned count = 0, first_named = 0;
  {
    Lock lock;
    if (cell >= entries_used || !entries[cell].is_used) return 0;
    const Entry &entry = entries[cell];
    // Who has just told of other threads does not hang itself: they do.
    if (entry.also_count > 0 && hf_now_mono_ns() - entry.also_mono_ns < entry.period_ns) first_named = 1;
    targets[count].thread_id = entry.thread_id;
    std::memcpy(targets[count++].name, entry.name, sizeof entry.name);
    for (unsigned i = 0; i < entry.also_count; i++) {
      StackTarget &target = targets[count++];
      target.thread_id = entry.also[i];
      int known = Find(CellKind::kThread, target.thread_id);
      if (known >= 0) std::memcpy(target.name, entries[known].name, sizeof target.name);
      else std::snprintf(target.name, sizeof target.name, "worker-%u", target.thread_id);
    }
  }
  return CaptureStacks(targets, count, first_named, deadline_mono_ns, out, size);
}

} // namespace glue
