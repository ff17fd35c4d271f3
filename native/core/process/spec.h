// SPDX-License-Identifier: MIT
// Definitions, inside the library: the fields of their encoding, and what is asked of their values.
#ifndef HF_PROCESS_SPEC_H
#define HF_PROCESS_SPEC_H

#include <stdbool.h>

#include "base/error.h"

// The header, and what precedes each field; the map is in spec.c.
#define HF_SPEC_MAGIC "HFSPEC\0\1"
#define HF_SPEC_MAGIC_BYTES 8u
#define HF_SPEC_VERSION 2u
#define HF_SPEC_HEADER_BYTES 32u
#define HF_SPEC_FIELD_BYTES 8u
enum {
  HF_SPEC_AT_VERSION = 8,
  HF_SPEC_AT_LENGTH = 12,
  HF_SPEC_AT_CHECKSUM = 16,
  HF_SPEC_AT_FIELDS = 24,
  HF_SPEC_AT_ZERO = 28
};

#define HF_SPEC_USER_NUMBERS 2u    // uid and gid come before the groups
#define HF_SPEC_LIMIT_NUMBERS 3u   // resource, soft, hard
#define HF_SPEC_STRINGS_MAX 65536u // strings in argv, and in env
#define HF_SPEC_LOG_PATH_MAX 512u  // bytes of log_file, the ending zero included: hf_log_target.path

// Of a field's value: 8 bytes each, little-endian, but for texts.
typedef enum hf_spec_type {
  HF_SPEC_UNSIGNED = 1,
  HF_SPEC_SIGNED,
  HF_SPEC_REAL,    // an IEEE double
  HF_SPEC_NUMBERS, // unsigned ones; the length says how many
  HF_SPEC_TEXT,    // ends in its only zero
  HF_SPEC_TEXTS,   // 4 bytes: how many; then the texts
} hf_spec_type;

// A field that is one number. The table (hf_spec_numbers) is what encoder, decoder and check share.
typedef struct hf_spec_number {
  uint16_t tag;
  uint8_t type, size;   // HF_SPEC_UNSIGNED, _SIGNED or _REAL; bytes of the member
  uint16_t offset, has; // of the member; of the member that says whether it is there, 0: it always is
  bool duration;        // nanoseconds, for messages
  int64_t min, max;     // of a real number too
  const char *key;      // as in holdfast.yaml
} hf_spec_number;

#define HF_SPEC_NUMBER_COUNT 22
extern const hf_spec_number hf_spec_numbers[HF_SPEC_NUMBER_COUNT]; // ascending tags

// Tags of the fields that are no single number, and the first and last that are.
enum {
  HF_SPEC_TAG_NAME = 1,
  HF_SPEC_TAG_NUMBER_FIRST = 2,
  HF_SPEC_TAG_NUMBER_LAST = HF_SPEC_TAG_NUMBER_FIRST + HF_SPEC_NUMBER_COUNT - 1,
  HF_SPEC_TAG_USER = 32, // uid, gid, groups; missing without has_user
  HF_SPEC_TAG_LIMITS,    // resource, soft, hard of each
  HF_SPEC_TAG_LOG_FILE,  // missing where it is empty
  HF_SPEC_TAG_CWD,
  HF_SPEC_TAG_ARGV,
  HF_SPEC_TAG_ENV,
  HF_SPEC_TAG_DEPENDS,
  HF_SPEC_TAG_END
};

// Between a member and the 64 bits that are encoded. `get` gives -0.0 as 0.0: one number, one encoding.
bool hf_spec_number_there(const hf_spec_number *field, const hf_spec *spec);
uint64_t hf_spec_number_get(const hf_spec_number *field, const hf_spec *spec);
void hf_spec_number_set(const hf_spec_number *field, hf_spec *spec, uint64_t raw);
// 0, or HF_ESPEC with the key, the range and the value. `name` is the process, for the message.
int hf_spec_number_check(const hf_spec_number *field, uint64_t raw, const char *name, hf_err *err);

// Everything that is asked of the values of a definition: 0, or HF_ESPEC with one sentence. Encoder and decoder both call
// it, so neither accepts what the other refuses.
int hf_spec_check(const hf_spec *spec, hf_err *err);

// Two definitions with the same program checksum need no new process to go from one to the other: what matters at exec is equal.
// The rest (restart, back-off, limit, timeouts, `stopped`, stop signal, log, dependsOn, ready, enabled) is policy, and can change under it.
// 0, or the error of hf_spec_encode, or HF_ENOMEM.
int hf_spec_program_checksum(const hf_spec *spec, uint64_t *out, hf_err *err);

// FNV-1a, 64 bits, over encoded bytes but for the checksum in them. `size` is at least HF_SPEC_HEADER_BYTES.
uint64_t hf_spec_checksum(const void *bytes, size_t size);

#endif
