// SPDX-License-Identifier: MIT
// Bytes that are no definition: the decoder refuses each, and says why.
#include <stdlib.h>

#include "spec_fixture.h"

static void put(size_t at, uint64_t value, size_t count) {
  for (size_t i = 0; i < count; i++) bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; i++) value |= (uint64_t)bytes[at + i] << (8 * i);
  return value;
}

static void seal(size_t size) {
  put(HF_SPEC_AT_LENGTH, size, 4);
  put(HF_SPEC_AT_CHECKSUM, hf_spec_checksum(bytes, size), 8);
}

static size_t field_at(unsigned tag) {
  size_t at = HF_SPEC_HEADER_BYTES;
  for (uint64_t left = get(HF_SPEC_AT_FIELDS, 4); left > 0; left--, at += HF_SPEC_FIELD_BYTES + get(at + 4, 4))
    if (get(at, 2) == tag) return at;
  printf("  field %u is not there\n", tag);
  abort();
}

static void bad(size_t size, const char *text) {
  hf_spec_owned *owned = (hf_spec_owned *)bytes;
  int result = hf_spec_decode(&owned, bytes, size, &err);
  CHECK_EQ(result, HF_ESPEC);
  CHECK(owned == NULL);
  if (result == HF_ESPEC && strstr(err.text, text) == NULL) CHECK_STR(err.text, text);
  CHECK_EQ(hf_spec_decode(&owned, bytes, size, NULL), HF_ESPEC);
  hf_spec_free(owned);
}

// After `change`, which may change `size`, the sealed bytes are refused with these words.
#define BAD(change, text)                                                                                                    \
  do {                                                                                                                       \
    full();                                                                                                                  \
    size_t size = encode();                                                                                                  \
    change;                                                                                                                  \
    seal(size);                                                                                                              \
    bad(size, text);                                                                                                         \
  } while (0)

TEST(headers_that_are_refused) {
  hf_spec_owned *owned;
  CHECK_EQ(hf_spec_decode(&owned, NULL, 0, &err), HF_ESPEC);
  BAD(bytes[5]++, "it is no definition of Holdfast");
  BAD(bytes[7] = 2, "it is no definition of Holdfast");
  BAD(put(HF_SPEC_AT_VERSION, 1, 4), "it has version 1, and this Holdfast reads version 2; define the process again");
  BAD(put(HF_SPEC_AT_ZERO, 1, 4), "its header is damaged");
  BAD(put(HF_SPEC_AT_FIELDS, get(HF_SPEC_AT_FIELDS, 4) + 1, 4), "it ends before its");
  BAD(put(HF_SPEC_AT_FIELDS, UINT32_MAX, 4), "it ends before its 4294967295 fields do");
  BAD(put(HF_SPEC_AT_FIELDS, get(HF_SPEC_AT_FIELDS, 4) - 1, 4), "bytes follow its last field");
  BAD(put(HF_SPEC_AT_FIELDS, 0, 4), "bytes follow its last field");
  BAD(bytes[size++] = 0, "1 bytes follow its last field");
  full();
  size_t size = encode();
  put(HF_SPEC_AT_LENGTH, size + 1, 4);
  bad(size, "it says that it has ");
  full();
  size = encode();
  put(HF_SPEC_AT_CHECKSUM, get(HF_SPEC_AT_CHECKSUM, 8) ^ 1, 8);
  bad(size, "its checksum is wrong");
}

// Every prefix, and every change of one bit, is seen.
TEST(torn_and_flipped) {
  full();
  size_t size = encode();
  hf_spec_owned *owned;
  for (size_t cut = 0; cut < size; cut++) CHECK_EQ(hf_spec_decode(&owned, bytes, cut, &err), HF_ESPEC);
  for (size_t bit = 0; bit < 8 * size; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), HF_ESPEC);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
  hf_spec_free(owned);
}

TEST(fields_that_are_refused) {
  enum { FIELD = HF_SPEC_FIELD_BYTES };
  BAD(put(field_at(HF_SPEC_TAG_DEPENDS), 39, 2), "field 39 is unknown to version 2");
  BAD(put(field_at(HF_SPEC_TAG_DEPENDS), 0xffff, 2), "field 65535 is unknown to version 2");
  BAD(put(field_at(HF_SPEC_TAG_NAME), 0, 2), "field 0 is there twice"); // 0 is no tag
  BAD(put(field_at(3), 2, 2), "field 2 is there twice");
  BAD(put(field_at(7), 13, 2), "field 8 comes after field 13");
  BAD(put(field_at(2) + 2, HF_SPEC_REAL, 2), "field 2 is of type 3, and must be of 1");
  BAD(put(field_at(HF_SPEC_TAG_CWD) + 2, HF_SPEC_TEXTS, 2), "field 35 is of type 6, and must be of 5");
  BAD(put(field_at(HF_SPEC_TAG_DEPENDS) + 4, UINT32_MAX, 4), "field 38 goes past the end");
  BAD(put(field_at(2) + 4, 7, 4), "field 2 has the impossible length 7");
  BAD(put(field_at(HF_SPEC_TAG_NAME) + FIELD, '1', 1), "Process name 1eb is invalid");
  BAD(put(field_at(HF_SPEC_TAG_CWD) + FIELD + 3, 0, 1), "the text of field 35 does not end in its only zero");
  BAD(put(field_at(HF_SPEC_TAG_CWD) - 1 + FIELD + get(field_at(HF_SPEC_TAG_CWD) + 4, 4), 'x', 1), "only zero");
  BAD(put(field_at(HF_SPEC_TAG_CWD) + FIELD, 'x', 1), "cwd of web must be an absolute path");
  BAD(put(field_at(HF_SPEC_TAG_ARGV) + FIELD, 2, 4), "field 36 says that it has 2 texts, and has not");
  BAD(put(field_at(HF_SPEC_TAG_ARGV) + FIELD, 4, 4), "field 36 says that it has 4 texts, and has not");
  BAD(put(field_at(HF_SPEC_TAG_ARGV) + FIELD, UINT32_MAX, 4), "field 36 says that it has 4294967295 texts in ");
  BAD(put(field_at(HF_SPEC_TAG_DEPENDS) + FIELD, 65, 4), "at most 64 are allowed");
  BAD(put(field_at(HF_SPEC_TAG_USER) + 4, 17, 4), "field 32 has the impossible length 17");
  BAD(put(field_at(HF_SPEC_TAG_USER) + FIELD, UINT64_C(1) << 32, 8), "4294967296 is no number of a user or group");
  BAD(put(field_at(HF_SPEC_TAG_USER) + FIELD + 8, UINT32_MAX, 8), "user of web has the number 4294967295");
  BAD(put(field_at(HF_SPEC_TAG_LIMITS) + FIELD, (UINT64_C(1) << 32) + 7, 8), "4294967303 is no number of a resource");
  BAD(put(field_at(2) + FIELD, 256, 8), "start of web must be from 0 to 1, and is 256");                // narrowed: 0
  BAD(put(field_at(6) + FIELD, (UINT64_C(1) << 32) + 15, 8), "stopSignal of web must be from 1 to 64"); // narrowed: 15
  BAD(put(field_at(15) + FIELD, UINT64_C(1) << 63, 8), "backoff.jitter of web must be from 0 to 1, and is -0"); // -0.0
  BAD(put(field_at(15) + FIELD, UINT64_C(0x7ff8) << 48, 8), "backoff.jitter of web must be from 0 to 1, and is nan");
}

static size_t without_field(unsigned tag, size_t size) {
  size_t at = field_at(tag), length = HF_SPEC_FIELD_BYTES + get(at + 4, 4);
  memmove(bytes + at, bytes + at + length, size - at - length);
  put(HF_SPEC_AT_FIELDS, get(HF_SPEC_AT_FIELDS, 4) - 1, 4);
  seal(size - length);
  return size - length;
}

TEST(each_field_is_required_but_for_four) {
  int required = 0;
  for (unsigned tag = 1; tag < HF_SPEC_TAG_END; tag++) {
    if (tag > HF_SPEC_TAG_NUMBER_LAST && tag < HF_SPEC_TAG_USER) continue;
    full();
    size_t size = without_field(tag, encode());
    bool optional = tag == HF_SPEC_TAG_USER || tag == HF_SPEC_TAG_LOG_FILE || tag == 18 || tag == 19; // umask, nice
    hf_spec_owned *owned;
    char text[40];
    snprintf(text, sizeof text, "field %u is missing", tag);
    if (optional) CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
    else bad(size, text);
    if (optional) hf_spec_free(owned);
    required += !optional;
  }
  CHECK_EQ(required, 26);
}

CHECK_MAIN
