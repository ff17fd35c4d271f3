// SPDX-License-Identifier: MIT
// Doorbells: FIFOs that wake one reader. Opened for both directions and never blocking at every end; full means rung. Each ring
// is one byte that says what for; a reader that finds an unknown one looks at everything.
#ifndef HF_SUPERVISE_BELL_H
#define HF_SUPERVISE_BELL_H

#include "base/error.h"

enum {
  HF_RING_ANY = 'a',
  HF_RING_NOTE = 'n',
  HF_RING_REQUEST = 'r',
  HF_RING_PHASE = 'p',
  HF_RING_CELLS = 'c',
  HF_RING_CAPTURE = 'k',
  HF_RING_AGES = 'g'
};
enum {
  HF_RUNG_ANY = 1,
  HF_RUNG_NOTE = 2,
  HF_RUNG_REQUEST = 4,
  HF_RUNG_PHASE = 8,
  HF_RUNG_CELLS = 16,
  HF_RUNG_CAPTURE = 32,
  HF_RUNG_AGES = 64 // alone it needs no look at the processes
};

int hf_bell_open(int dir, const char *name, hf_err *err); // makes it where it is missing
void hf_bell_ring(int fd, char what);                     // never blocks, never fails visibly
unsigned hf_bell_drain(int fd);                           // HF_RUNG_… together; 0: nobody rang

#endif
