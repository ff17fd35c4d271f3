// SPDX-License-Identifier: MIT
// The sd_notify protocol, as programs speak it to us: the socket, and what a datagram says. Who sent it, and what becomes of it, is
// in notify_sender.c and notify.c.
#ifndef HF_SUPERVISE_NOTIFY_H
#define HF_SUPERVISE_NOTIFY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

enum { HF_NOTIFY_BYTES_MAX = 4096 }; // of a datagram

// ---- the guardian -------------------------------------------------------------------------------------------------------
// Binds a new socket `notify` in the directory, in place of one that nobody reads any more: its descriptor.
int hf_notify_listen(int dir, hf_err *err);

// ---- a datagram ---------------------------------------------------------------------------------------------------------
typedef struct hf_notify_message {
  bool ready, reloading, stopping;
  bool beat, trigger; // WATCHDOG=1, WATCHDOG=trigger
  bool has_period, has_extend, has_status;
  bool malformed;                   // something in it had to be left out
  uint64_t period_ns;               // WATCHDOG_USEC, at most a year; 0: none any more
  uint64_t extend_ns;               // EXTEND_TIMEOUT_USEC, at most a day
  char status[HF_STATUS_TEXT_SIZE]; // valid UTF-8, cut at a character, without control characters
} hf_notify_message;

// False where it is no message at all (empty, a zero in it): nothing of it counts then. Unknown keys are left out silently.
bool hf_notify_parse(const char *bytes, size_t size, hf_notify_message *out);
// Copies text as it may be shown: what is no UTF-8 and what controls becomes '?'; cut at a character so that it fits.
void hf_notify_text(const char *text, size_t length, char *out, size_t size);

#endif
