// SPDX-License-Identifier: MIT
// Definitions from bytes that anybody may have written: copied once, then read with every length and value checked. The map
// of the bytes is in spec.c.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "process/spec.h"

struct hf_spec_owned {
  hf_spec spec;
  const char **argv, **env;
  size_t size;
  uint8_t bytes[]; // the copy that everything else is read from
};

static uint64_t get_le(const uint8_t *in, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++) value |= (uint64_t)in[i] << (8 * i);
  return value;
}

// The comma tells the analyzers of gcc and clang what hf_fail returns.
#define REFUSE(err, ...) (hf_fail(err, HF_ESPEC, "a definition can't be read: " __VA_ARGS__), HF_ESPEC)

typedef struct field {
  unsigned tag;
  hf_spec_type type;
  const uint8_t *value;
  size_t length;
} field;

static int field_shape(const field *f, hf_spec_type type, bool length_ok, hf_err *err) {
  if (f->type != type) return REFUSE(err, "field %u is of type %u, and must be of %u", f->tag, f->type, type);
  if (!length_ok) return REFUSE(err, "field %u has the impossible length %zu", f->tag, f->length);
  return 0;
}

static int read_text(const field *f, size_t size_max, const char **out, hf_err *err) {
  bool length_ok = f->length >= 2 && f->length <= size_max; // an empty text is never written
  int result = field_shape(f, HF_SPEC_TEXT, length_ok, err);
  if (result != 0) return result;
  if (memchr(f->value, 0, f->length) != f->value + f->length - 1)
    return REFUSE(err, "the text of field %u does not end in its only zero", f->tag);
  *out = (const char *)f->value;
  return 0;
}

// Checked here, because the messages about other fields show it.
static int read_name(hf_spec *spec, const field *f, hf_err *err) {
  const char *text = NULL;
  hf_err inner;
  int result = read_text(f, HF_NAME_SIZE, &text, err);
  if (result != 0) return result;
  if (hf_name_check(text, &inner) != 0) return REFUSE(err, "%s", inner.text);
  memcpy(spec->name, text, f->length);
  return 0;
}

// `*out` is allocated, and ends in NULL.
static int read_texts(const field *f, size_t count_max, const char ***out, uint32_t *count_out, hf_err *err) {
  int result = field_shape(f, HF_SPEC_TEXTS, f->length >= 4, err);
  if (result != 0) return result;
  size_t count = (size_t)get_le(f->value, 4);
  if (count > count_max || count > f->length - 4)
    return REFUSE(err, "field %u says that it has %zu texts in %zu bytes; at most %zu are allowed", f->tag, count, f->length,
                  count_max);
  const char **texts = calloc(count + 1, sizeof *texts);
  if (texts == NULL) return hf_fail(err, HF_ENOMEM, "out of memory while reading a definition"), HF_ENOMEM;
  const uint8_t *at = f->value + 4, *end = f->value + f->length;
  size_t found = 0;
  for (; found < count; found++) {
    const uint8_t *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
    if (zero == NULL) break;
    texts[found] = (const char *)at;
    at = zero + 1;
  }
  if (found != count || at != end) {
    free(texts);
    return REFUSE(err, "field %u says that it has %zu texts, and has not", f->tag, count);
  }
  *out = texts;
  *count_out = (uint32_t)count;
  return 0;
}

static int read_user(hf_spec *spec, const field *f, hf_err *err) {
  bool length_ok =
      f->length % 8 == 0 && f->length >= 8 * HF_SPEC_USER_NUMBERS && f->length <= 8 * (HF_SPEC_USER_NUMBERS + HF_GROUPS_MAX);
  int result = field_shape(f, HF_SPEC_NUMBERS, length_ok, err);
  if (result != 0) return result;
  spec->has_user = 1;
  spec->group_count = (uint32_t)(f->length / 8 - HF_SPEC_USER_NUMBERS);
  for (size_t i = 0; i < f->length / 8; i++) {
    uint64_t id = get_le(f->value + 8 * i, 8);
    if (id > UINT32_MAX) return REFUSE(err, "%" PRIu64 " is no number of a user or group", id);
    if (i == 0) spec->uid = (uid_t)id;
    else if (i == 1) spec->gid = (gid_t)id;
    else spec->groups[i - HF_SPEC_USER_NUMBERS] = (gid_t)id;
  }
  return 0;
}

static int read_limits(hf_spec *spec, const field *f, hf_err *err) {
  const size_t each = 8 * HF_SPEC_LIMIT_NUMBERS;
  int result = field_shape(f, HF_SPEC_NUMBERS, f->length % each == 0 && f->length <= each * HF_LIMITS_MAX, err);
  if (result != 0) return result;
  spec->limit_resource_count = (uint32_t)(f->length / each);
  for (size_t i = 0; i < spec->limit_resource_count; i++) {
    uint64_t resource = get_le(f->value + each * i, 8);
    if (resource > UINT32_MAX) return REFUSE(err, "%" PRIu64 " is no number of a resource", resource);
    spec->limits[i] = (hf_limit){.resource = (uint32_t)resource,
                                 .soft = get_le(f->value + each * i + 8, 8),
                                 .hard = get_le(f->value + each * i + 16, 8)};
  }
  return 0;
}

static int read_depends(hf_spec *spec, const field *f, hf_err *err) {
  const char **names = NULL;
  int result = read_texts(f, HF_DEPENDS_MAX, &names, &spec->depends_count, err);
  for (uint32_t i = 0; result == 0 && i < spec->depends_count; i++) {
    size_t size = strlen(names[i]) + 1;
    if (size > HF_NAME_SIZE) result = REFUSE(err, "a name in dependsOn has %zu characters", size - 1);
    else memcpy(spec->depends[i], names[i], size);
  }
  free(names);
  return result;
}

static int read_number(hf_spec *spec, const field *f, hf_err *err) {
  const hf_spec_number *number = &hf_spec_numbers[f->tag - HF_SPEC_TAG_NUMBER_FIRST];
  int result = field_shape(f, (hf_spec_type)number->type, f->length == 8, err);
  if (result != 0) return result;
  uint64_t raw = get_le(f->value, 8);
  result = hf_spec_number_check(number, raw, spec->name, err); // before it is narrowed to the member
  if (result == 0) hf_spec_number_set(number, spec, raw);
  return result;
}

static int read_field(hf_spec_owned *owned, const field *f, hf_err *err) {
  hf_spec *spec = &owned->spec;
  uint32_t count;
  int result;
  if (f->tag >= HF_SPEC_TAG_NUMBER_FIRST && f->tag <= HF_SPEC_TAG_NUMBER_LAST) return read_number(spec, f, err);
  switch (f->tag) {
  case HF_SPEC_TAG_NAME:
    return read_name(spec, f, err);
  case HF_SPEC_TAG_USER:
    return read_user(spec, f, err);
  case HF_SPEC_TAG_LIMITS:
    return read_limits(spec, f, err);
  case HF_SPEC_TAG_LOG_FILE:
    return read_text(f, HF_SPEC_LOG_PATH_MAX, &spec->log_file, err);
  case HF_SPEC_TAG_CWD:
    return read_text(f, HF_SPEC_BYTES_MAX, &spec->cwd, err);
  case HF_SPEC_TAG_ARGV:
    result = read_texts(f, HF_SPEC_STRINGS_MAX, &owned->argv, &count, err);
    spec->argv = owned->argv;
    return result;
  case HF_SPEC_TAG_ENV:
    result = read_texts(f, HF_SPEC_STRINGS_MAX, &owned->env, &count, err);
    spec->env = owned->env;
    return result;
  case HF_SPEC_TAG_DEPENDS:
    return read_depends(spec, f, err);
  default:
    return REFUSE(err, "field %u is unknown to version %u", f->tag, HF_SPEC_VERSION);
  }
}

// Tags that must be there.
static uint64_t tags_required(void) {
  uint64_t tags = UINT64_C(1) << HF_SPEC_TAG_NAME | UINT64_C(1) << HF_SPEC_TAG_LIMITS | UINT64_C(1) << HF_SPEC_TAG_CWD |
                  UINT64_C(1) << HF_SPEC_TAG_ARGV | UINT64_C(1) << HF_SPEC_TAG_ENV | UINT64_C(1) << HF_SPEC_TAG_DEPENDS;
  for (int i = 0; i < HF_SPEC_NUMBER_COUNT; i++)
    if (hf_spec_numbers[i].has == 0) tags |= UINT64_C(1) << hf_spec_numbers[i].tag;
  return tags;
}

static int read_header(const uint8_t *bytes, size_t size, hf_err *err) {
  if (memcmp(bytes, HF_SPEC_MAGIC, HF_SPEC_MAGIC_BYTES) != 0) return REFUSE(err, "it is no definition of Holdfast");
  unsigned version = (unsigned)get_le(bytes + HF_SPEC_AT_VERSION, 4);
  if (version != HF_SPEC_VERSION)
    return REFUSE(err, "it has version %u, and this Holdfast reads version %u; define the process again", version,
                  HF_SPEC_VERSION);
  if (get_le(bytes + HF_SPEC_AT_LENGTH, 4) != size)
    return REFUSE(err, "it says that it has %" PRIu64 " bytes, and has %zu", get_le(bytes + HF_SPEC_AT_LENGTH, 4), size);
  if (get_le(bytes + HF_SPEC_AT_CHECKSUM, 8) != hf_spec_checksum(bytes, size)) return REFUSE(err, "its checksum is wrong");
  if (get_le(bytes + HF_SPEC_AT_ZERO, 4) != 0) return REFUSE(err, "its header is damaged");
  return 0;
}

static int read_fields(hf_spec_owned *owned, hf_err *err) {
  uint64_t seen = 0, fields = get_le(owned->bytes + HF_SPEC_AT_FIELDS, 4);
  unsigned last = 0;
  size_t at = HF_SPEC_HEADER_BYTES;
  for (uint64_t i = 0; i < fields; i++) {
    size_t left = owned->size - at;
    if (left < HF_SPEC_FIELD_BYTES) return REFUSE(err, "it ends before its %" PRIu64 " fields do", fields);
    const uint8_t *head = owned->bytes + at;
    field f = {
        .tag = (unsigned)get_le(head, 2), .type = (hf_spec_type)get_le(head + 2, 2), .value = head + HF_SPEC_FIELD_BYTES};
    f.length = (size_t)get_le(head + 4, 4);
    if (f.length > left - HF_SPEC_FIELD_BYTES) return REFUSE(err, "field %u goes past the end", f.tag);
    if (f.tag == last) return REFUSE(err, "field %u is there twice", f.tag);
    if (f.tag < last) return REFUSE(err, "field %u comes after field %u", f.tag, last);
    int result = read_field(owned, &f, err);
    if (result != 0) return result;
    seen |= UINT64_C(1) << f.tag;
    last = f.tag;
    at += HF_SPEC_FIELD_BYTES + f.length;
  }
  if (at != owned->size) return REFUSE(err, "%zu bytes follow its last field", owned->size - at);
  uint64_t missing = tags_required() & ~seen;
  if (missing != 0) return REFUSE(err, "field %d is missing", __builtin_ctzll(missing));
  return hf_spec_check(&owned->spec, err);
}

int hf_spec_decode(hf_spec_owned **out, const void *bytes, size_t size, hf_err *err) {
  *out = NULL;
  if (size < HF_SPEC_HEADER_BYTES || size > HF_SPEC_BYTES_MAX)
    return REFUSE(err, "it has %zu bytes; from %u to %u are possible", size, HF_SPEC_HEADER_BYTES, HF_SPEC_BYTES_MAX);
  hf_spec_owned *owned = malloc(sizeof *owned + size);
  if (owned == NULL) return hf_fail(err, HF_ENOMEM, "out of memory while reading a definition of %zu bytes", size);
  memset(owned, 0, sizeof *owned);
  owned->size = size;
  memcpy(owned->bytes, bytes, size); // from here on nothing reads `bytes`: somebody else may be writing it
  int result = read_header(owned->bytes, size, err);
  if (result == 0) result = read_fields(owned, err);
  if (result != 0) {
    hf_spec_free(owned);
    return result;
  }
  *out = owned;
  return 0;
}

const hf_spec *hf_spec_get(const hf_spec_owned *owned) { return &owned->spec; }

void hf_spec_free(hf_spec_owned *owned) {
  if (owned == NULL) return;
  free(owned->argv);
  free(owned->env);
  free(owned);
}
