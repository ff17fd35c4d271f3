// SPDX-License-Identifier: MIT
// What a datagram of the sd_notify protocol says: lines of KEY=VALUE. It is input from programs that may be broken or hostile.
#include <string.h>

#include "supervise/notify.h"

#define YEAR_US (UINT64_C(366) * 86400 * 1000000)
#define DAY_US (UINT64_C(86400) * 1000000)

// A decimal number and nothing else; what is larger than `most` is `most`.
static bool number(const char *text, size_t length, uint64_t most, uint64_t *out) {
  uint64_t value = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (uint64_t)(text[i] - '0');
    if (value > most) value = most;
  }
  *out = value;
  return length > 0;
}

// Bytes of the UTF-8 character at `text`; 0 where there is none: too long a form, a surrogate, past the last, cut off.
static size_t character(const unsigned char *text, size_t left) {
  unsigned lead = text[0];
  size_t bytes = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (bytes == 0 || bytes > left) return 0;
  for (size_t i = 1; i < bytes; i++)
    if ((text[i] & 0xc0) != 0x80) return 0;
  if (lead == 0xe0 && text[1] < 0xa0) return 0;
  if (lead == 0xed && text[1] > 0x9f) return 0;
  if (lead == 0xf0 && text[1] < 0x90) return 0;
  if (lead == 0xf4 && text[1] > 0x8f) return 0;
  return bytes;
}

void hf_notify_text(const char *text, size_t length, char *out, size_t size) {
  const unsigned char *at = (const unsigned char *)text;
  size_t used = 0;
  while (length > 0) {
    size_t bytes = character(at, length), taken = bytes > 0 ? bytes : 1;
    bool control = bytes == 0 || at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0); // C0, DEL, C1
    size_t written = control ? 1 : bytes;
    if (used + written >= size) break;
    if (control) out[used] = '?';
    else memcpy(out + used, at, bytes);
    used += written;
    at += taken;
    length -= taken;
  }
  out[used] = 0;
}

static bool is(const char *line, size_t length, const char *whole) {
  return strlen(whole) == length && memcmp(line, whole, length) == 0;
}

// The value of the line if it has that key, else NULL.
static const char *value_of(const char *line, size_t length, const char *key, size_t *value_length) {
  size_t prefix = strlen(key);
  if (length < prefix || memcmp(line, key, prefix) != 0) return NULL;
  *value_length = length - prefix;
  return line + prefix;
}

static void take_line(const char *line, size_t length, hf_notify_message *out) {
  const char *value;
  size_t n;
  if (is(line, length, "READY=1")) out->ready = true;
  else if (is(line, length, "RELOADING=1")) out->reloading = true;
  else if (is(line, length, "STOPPING=1")) out->stopping = true;
  else if (is(line, length, "WATCHDOG=1")) out->beat = true;
  else if (is(line, length, "WATCHDOG=trigger")) out->trigger = true;
  else if ((value = value_of(line, length, "STATUS=", &n)) != NULL) {
    hf_notify_text(value, n, out->status, sizeof out->status);
    out->has_status = true;
  } else if ((value = value_of(line, length, "WATCHDOG_USEC=", &n)) != NULL) {
    out->has_period = number(value, n, YEAR_US, &out->period_ns);
    out->period_ns = out->has_period ? out->period_ns * 1000 : 0;
    out->malformed |= !out->has_period;
  } else if ((value = value_of(line, length, "EXTEND_TIMEOUT_USEC=", &n)) != NULL) {
    out->has_extend = number(value, n, DAY_US, &out->extend_ns);
    out->extend_ns = out->has_extend ? out->extend_ns * 1000 : 0;
    out->malformed |= !out->has_extend;
  }
}

bool hf_notify_parse(const char *bytes, size_t size, hf_notify_message *out) {
  memset(out, 0, sizeof *out);
  if (size > 0 && bytes[size - 1] == 0) size--; // some send the zero that ends a string
  if (size == 0 || size > HF_NOTIFY_BYTES_MAX || memchr(bytes, 0, size) != NULL) return false;
  while (size > 0) {
    const char *end = memchr(bytes, '\n', size);
    size_t length = end != NULL ? (size_t)(end - bytes) : size;
    take_line(bytes, length, out);
    size_t step = length + (end != NULL);
    bytes += step;
    size -= step;
  }
  return true;
}
