// SPDX-License-Identifier: MIT
// Definitions as bytes: spec/<name> in the instance directory. Whoever defines writes them; the manager reads them, and
// compares them to see whether a definition changed: one definition has exactly one encoding. All numbers are little-endian.
//
//   0   magic "HFSPEC", 0, 1 (8)
//   8   version 4     says which tags exist
//   12  length 4      of all, this header included
//   16  checksum 8    FNV-1a of everything but these 8 bytes
//   24  fields 4
//   28  zero 4
//   32  fields, by ascending tag, each at most once: tag 2 | type 2 | length 4 | value, `length` bytes
//
// A file is valid if all of that holds to the last byte and hf_spec_check agrees. A torn or foreign file is refused whole.
#include "process/spec.h"

#include "base/hash.h"

#include <signal.h>
#include <string.h>

static void put_le(uint8_t *out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
}

uint64_t hf_spec_checksum(const void *bytes, size_t size) {
  uint64_t hash = hf_hash(HF_HASH_SEED, bytes, HF_SPEC_AT_CHECKSUM);
  size_t rest = HF_SPEC_AT_CHECKSUM + 8;
  return hf_hash(hash, (const uint8_t *)bytes + rest, size - rest);
}

void hf_spec_init(hf_spec *spec) {
  const uint64_t ms = 1000000, second = 1000 * ms;
  *spec = (hf_spec){
      .start = HF_START_AUTO,
      .ready = HF_READY_AUTO,
      .restart = HF_RESTART_ALWAYS,
      .enabled = 1,
      .stop_signal = SIGTERM,
      .stop_timeout_ns = 10 * second,
      .start_timeout_ns = 60 * second,
      .alive_for_ns = second,
      .stopped = HF_STOPPED_WAIT,
      .backoff_first_ns = 0,
      .backoff_from_ns = 100 * ms,
      .backoff_max_ns = 30 * second,
      .backoff_reset_after_ns = 60 * second,
      .backoff_factor = 2,
      .backoff_jitter = 0.1,
      .log_max_bytes = 10 * 1024 * 1024,
      .log_keep = 5,
  };
}

// With `out` NULL it only counts.
typedef struct writer {
  uint8_t *out;
  size_t used;
  uint32_t fields;
} writer;

static void put_bytes(writer *w, const void *bytes, size_t size) {
  if (w->out != NULL) memcpy(w->out + w->used, bytes, size);
  w->used += size;
}

static void put_number(writer *w, uint64_t value, size_t bytes) {
  uint8_t buffer[8];
  put_le(buffer, value, bytes);
  put_bytes(w, buffer, bytes);
}

static void put_field(writer *w, unsigned tag, hf_spec_type type, size_t length) {
  put_number(w, tag, 2);
  put_number(w, type, 2);
  put_number(w, length, 4);
  w->fields++;
}

static void put_text(writer *w, unsigned tag, const char *text) {
  size_t size = strlen(text) + 1;
  put_field(w, tag, HF_SPEC_TEXT, size);
  put_bytes(w, text, size);
}

static void put_texts(writer *w, unsigned tag, const char *const *texts) {
  size_t length = 4;
  uint32_t count = 0;
  for (; texts != NULL && texts[count] != NULL; count++) length += strlen(texts[count]) + 1;
  put_field(w, tag, HF_SPEC_TEXTS, length);
  put_number(w, count, 4);
  for (uint32_t i = 0; i < count; i++) put_bytes(w, texts[i], strlen(texts[i]) + 1);
}

static void put_spec(writer *w, const hf_spec *spec) {
  put_text(w, HF_SPEC_TAG_NAME, spec->name);
  for (int i = 0; i < HF_SPEC_NUMBER_COUNT; i++) {
    const hf_spec_number *field = &hf_spec_numbers[i];
    if (!hf_spec_number_there(field, spec)) continue;
    put_field(w, field->tag, (hf_spec_type)field->type, 8);
    put_number(w, hf_spec_number_get(field, spec), 8);
  }
  if (spec->has_user) {
    put_field(w, HF_SPEC_TAG_USER, HF_SPEC_NUMBERS, 8 * (HF_SPEC_USER_NUMBERS + (size_t)spec->group_count));
    put_number(w, spec->uid, 8);
    put_number(w, spec->gid, 8);
    for (uint32_t i = 0; i < spec->group_count; i++) put_number(w, spec->groups[i], 8);
  }
  put_field(w, HF_SPEC_TAG_LIMITS, HF_SPEC_NUMBERS, 8 * HF_SPEC_LIMIT_NUMBERS * (size_t)spec->limit_resource_count);
  for (uint32_t i = 0; i < spec->limit_resource_count; i++) {
    put_number(w, spec->limits[i].resource, 8);
    put_number(w, spec->limits[i].soft, 8);
    put_number(w, spec->limits[i].hard, 8);
  }
  if (spec->log_file != NULL && spec->log_file[0] != '\0') put_text(w, HF_SPEC_TAG_LOG_FILE, spec->log_file);
  put_text(w, HF_SPEC_TAG_CWD, spec->cwd);
  put_texts(w, HF_SPEC_TAG_ARGV, spec->argv);
  put_texts(w, HF_SPEC_TAG_ENV, spec->env);
  const char *depends[HF_DEPENDS_MAX + 1] = {NULL};
  for (uint32_t i = 0; i < spec->depends_count; i++) depends[i] = spec->depends[i];
  put_texts(w, HF_SPEC_TAG_DEPENDS, depends);
}

ssize_t hf_spec_encode(const hf_spec *spec, void *out, size_t size, hf_err *err) {
  int result = hf_spec_check(spec, err);
  if (result != 0) return result;
  writer w = {.used = HF_SPEC_HEADER_BYTES};
  put_spec(&w, spec);
  size_t needed = w.used;
  if (needed > HF_SPEC_BYTES_MAX)
    return hf_fail(err, HF_ESPEC, "the definition of %s takes %zu bytes, and %u are allowed: shorten its env or run",
                   spec->name, needed, HF_SPEC_BYTES_MAX);
  if (out == NULL) return (ssize_t)needed;
  if (size < needed)
    return hf_fail(err, HF_EFULL, "the definition of %s takes %zu bytes, and there is room for %zu", spec->name, needed,
                   size);
  w = (writer){.out = out, .used = HF_SPEC_HEADER_BYTES};
  memcpy(w.out, HF_SPEC_MAGIC, HF_SPEC_MAGIC_BYTES);
  put_spec(&w, spec);
  put_le(w.out + HF_SPEC_AT_VERSION, HF_SPEC_VERSION, 4);
  put_le(w.out + HF_SPEC_AT_LENGTH, needed, 4);
  put_le(w.out + HF_SPEC_AT_FIELDS, w.fields, 4);
  put_le(w.out + HF_SPEC_AT_ZERO, 0, 4);
  put_le(w.out + HF_SPEC_AT_CHECKSUM, hf_spec_checksum(out, needed), 8);
  return (ssize_t)needed;
}
