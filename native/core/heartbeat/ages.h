// SPDX-License-Identifier: MIT
// The file `ages`: when each watched cell was last seen to change. The manager writes it, for `holdfast status` (which works when the
// manager hangs) and for the next manager (a manager that dies again and again must not hide a hang). The map is in segment/layout.h.
#ifndef HF_HEARTBEAT_AGES_H
#define HF_HEARTBEAT_AGES_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

typedef struct hf_ages hf_ages;

// Opens or makes the file, and maps it (HF_AGE_MAX entries, sparse). Without room for an entry it is merely not shown.
int hf_ages_open(int dir, hf_ages **out, hf_err *err);
void hf_ages_close(hf_ages *ages);
// What an earlier manager had noted of that cell: true, with its entry's values. It takes the entry over: see hf_ages_set.
bool hf_ages_find(hf_ages *ages, uint64_t owner, uint64_t claim, uint32_t *beat, uint64_t *seen_ns);
// An entry for a cell: its position, or -1 where there is no room. An entry that the owner had is used again.
int64_t hf_ages_claim(hf_ages *ages, uint64_t owner, uint64_t claim, uint32_t beat, uint64_t seen_ns);
void hf_ages_set(hf_ages *ages, int64_t at, uint32_t beat, uint64_t seen_ns); // -1: nothing
void hf_ages_flags(hf_ages *ages, int64_t at, uint32_t flags);
void hf_ages_free(hf_ages *ages, int64_t at);
// Frees every entry that was not claimed or found since hf_ages_open: cells that are gone.
void hf_ages_sweep_out(hf_ages *ages);

// ---- readers: by pread, no mapping ----
// Entries of one incarnation of a process, by cell: fills seen[cell], flags[cell], claim[cell] for cell < max (0 where there is none).
int hf_ages_read(int dir, uint32_t incarnation, unsigned index, uint64_t *seen, uint32_t *flags, uint64_t *claim,
                 uint32_t max);

#endif
