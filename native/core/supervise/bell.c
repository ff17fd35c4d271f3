// SPDX-License-Identifier: MIT
// Doorbells.
#include "supervise/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/kernel.h"
#include "segment/dir.h"

int hf_bell_open(int dir, const char *name, hf_err *err) {
  if (hf_k_mkfifoat(dir, name, 0600) != 0 && errno != EEXIST) return hf_fail_sys(err, "mkfifo", "%s can't be made", name);
  return hf_dir_open_file(dir, name, O_RDWR, err);
}

void hf_bell_ring(int fd, char what) {
  // EAGAIN: it is full of rings already. Not through the fault seam: a lost ring has no error to report.
  while (fd >= 0 && write(fd, &what, 1) < 0 && errno == EINTR) continue;
}

unsigned hf_bell_drain(int fd) {
  enum { READS_MAX = 256 }; // whoever rings without end does not hold us up; the rest is there at the next look
  unsigned rung = 0, reads = 0;
  char bytes[256];
  ssize_t got;
  while (reads++ < READS_MAX && ((got = read(fd, bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR))) {
    for (ssize_t i = 0; i < got; i++)
      rung |= bytes[i] == HF_RING_NOTE      ? HF_RUNG_NOTE
              : bytes[i] == HF_RING_REQUEST ? HF_RUNG_REQUEST
              : bytes[i] == HF_RING_PHASE   ? HF_RUNG_PHASE
              : bytes[i] == HF_RING_CELLS   ? HF_RUNG_CELLS
              : bytes[i] == HF_RING_CAPTURE ? HF_RUNG_CAPTURE
              : bytes[i] == HF_RING_AGES    ? HF_RUNG_AGES
                                            : HF_RUNG_ANY;
    if (got > 0 && got < (ssize_t)sizeof bytes) break;
  }
  if (reads > 16)
    rung = HF_RUNG_ANY | HF_RUNG_NOTE | HF_RUNG_REQUEST | HF_RUNG_PHASE | HF_RUNG_CELLS |
           HF_RUNG_CAPTURE; // it may have been full: rings were dropped
  return rung;
}
