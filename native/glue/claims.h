// SPDX-License-Identifier: MIT
// Who in this process holds which cell. A cell is claimed for a kind and a key (for threads Node's threadId), so that a
// Worker and its parent find the same one; it is released when no environment holds it and it is not judged. One list for
// all environments, under a mutex; it holds nothing of JavaScript.
#ifndef HF_GLUE_CLAIMS_H
#define HF_GLUE_CLAIMS_H

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "holdfast.h"

namespace glue {

enum class CellKind : uint8_t { kThread, kLoop, kPool };

// The holds of one environment. All calls on its thread.
class Holder {
public:
  // What the environment is known by: cells of its loop and its pools are of this thread.
  void Announce(uint32_t thread_id, pid_t tid);
  bool is_announced() const { return is_announced_; }
  uint32_t thread_id() const { return thread_id_; }

  // The cell, with one hold more, or a negative error.
  int Claim(CellKind kind, uint64_t key, const char *name, hf_err *err);
  bool Holds(uint32_t cell) const { return cell < holds_.size() && holds_[cell] > 0; }
  // Each of these takes a cell that is held.
  void Drop(uint32_t cell);
  int Register(uint32_t cell, uint64_t period_ns, unsigned grace, hf_err *err);
  void Deregister(uint32_t cell);
  void CaptureAlso(uint32_t cell, const std::vector<uint32_t> &thread_ids);

  // The environment ends: its holds are dropped, and what beats from its loop is judged no more. A thread that is judged
  // stays so. At the end of the main environment no cell of this process is judged any more.
  void End();

private:
  std::vector<uint32_t> holds_; // by cell
  bool is_announced_ = false;
  uint32_t thread_id_ = 0;
  pid_t tid_ = 0;
};

// The hf_stack_hook of the addon.
size_t CaptureCell(uint32_t cell, uint64_t deadline_mono_ns, char *out, size_t size);

} // namespace glue

#endif
