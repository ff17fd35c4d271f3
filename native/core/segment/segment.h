// SPDX-License-Identifier: MIT
// Creating, attaching and validating the shared files of an instance. The map of their bytes is in layout.h.
#ifndef HF_SEGMENT_SEGMENT_H
#define HF_SEGMENT_SEGMENT_H

#include <stdbool.h>

#include "base/error.h"
#include "segment/layout.h"

// Creates what is missing of segment, requests and exits, whole or not at all (a temporary name, space reserved, then linked).
// Does not touch what is there.
int hf_segment_create(int dir, const char *instance, hf_err *err);

// Maps a file that is there, after checking owner, mode, link, size, magic, layout, and for the segment boot and pid namespace.
// Never unmapped by readers that other threads may use; a manager or operator unmaps with hf_segment_unmap.
int hf_segment_attach(int dir, bool writable, hf_segment **out, hf_err *err);
int hf_requests_attach(int dir, bool writable, hf_requests **out, hf_err *err);
int hf_exits_attach(int dir, bool writable, hf_exits **out, hf_err *err);
void hf_segment_unmap(void *base, size_t size);

// The same checks and mapping for a segment descriptor that was passed at exec; `fd` stays open.
int hf_segment_attach_fd(int fd, hf_segment **out, hf_err *err);

// Throws away segment, requests, exits, ages and reports that were left from before the machine was started: nothing of them
// can live, and incarnations begin anew.
int hf_segment_discard(int dir, hf_err *err);

// Makes the file `own.<n>.<incarnation>` for a process, with its header; owned by uid:gid where `chown`. Returns the descriptor.
int hf_own_create(int dir, unsigned index, uint32_t incarnation, bool chown, uid_t uid, gid_t gid, hf_err *err);
// Reads the phase word with pread, so that an owner who truncates its file hurts nobody: 0 where it is not readable.
uint64_t hf_own_phase_read(int fd, unsigned index, uint32_t incarnation);

// Names of the files of an incarnation, into at least 40 bytes: "own.<n>.<incarnation>".
void hf_file_name(char *out, size_t size, const char *kind, unsigned index, uint32_t incarnation);

#endif
