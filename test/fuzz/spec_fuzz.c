// SPDX-License-Identifier: MIT
// The decoder of definitions against bytes from anywhere. With libFuzzer: LLVMFuzzerTestOneInput. Without, under
// -DHF_FUZZ_STANDALONE: `spec_fuzz [seconds] [seed]` mutates valid definitions for that long, and prints its seed first.
//
// What holds for every input: no access outside of it (the sanitizers watch); a refusal has one line of text; what is
// accepted passes the check of values, and its encoding is the very input, byte for byte.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long accepted, refused;

#define MUST(condition)                                                                                                      \
  do {                                                                                                                       \
    if (!(condition)) {                                                                                                      \
      fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                                                \
      abort();                                                                                                               \
    }                                                                                                                        \
  } while (0)

static void one(const uint8_t *data, size_t size) {
  hf_spec_owned *owned = NULL;
  hf_err err = {0};
  int result = hf_spec_decode(&owned, data, size, &err);
  if (result != 0) {
    MUST(owned == NULL && result == HF_ESPEC && err.code == HF_ESPEC);
    MUST(err.text[0] != '\0' && strlen(err.text) < sizeof err.text && strchr(err.text, '\n') == NULL);
    refused++;
    return;
  }
  const hf_spec *spec = hf_spec_get(owned);
  uint8_t *again = malloc(size);
  MUST(again != NULL);
  MUST(hf_spec_check(spec, &err) == 0);
  MUST(hf_spec_encode(spec, again, size, &err) == (ssize_t)size && memcmp(again, data, size) == 0);
  uint64_t one = 0, two = 1;
  MUST(hf_spec_program_checksum(spec, &one, &err) == 0 && hf_spec_program_checksum(spec, &two, &err) == 0 && one == two);
  free(again);
  hf_spec_free(owned);
  accepted++;
}

static void put_le(uint8_t *out, uint64_t value, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = (uint8_t)(value >> (8 * i));
}

// The input as it is; then with a header that fits, so that the fields behind the checksum are reached.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  one(data, size);
  if (size < HF_SPEC_HEADER_BYTES || size > HF_SPEC_BYTES_MAX) return 0;
  uint8_t *sealed = malloc(size);
  MUST(sealed != NULL);
  memcpy(sealed, data, size);
  memcpy(sealed, HF_SPEC_MAGIC, HF_SPEC_MAGIC_BYTES);
  put_le(sealed + HF_SPEC_AT_VERSION, HF_SPEC_VERSION, 4);
  put_le(sealed + HF_SPEC_AT_LENGTH, size, 4);
  put_le(sealed + HF_SPEC_AT_ZERO, 0, 4);
  put_le(sealed + HF_SPEC_AT_CHECKSUM, hf_spec_checksum(sealed, size), 8);
  one(sealed, size);
  free(sealed);
  return 0;
}

#ifdef HF_FUZZ_STANDALONE
#include <inttypes.h>
#include <time.h>

static uint64_t state;

static uint64_t next(void) { // splitmix64
  uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static size_t below(size_t bound) { return (size_t)(next() % bound); }

// A definition that the encoder accepts, of random shape.
static size_t valid(uint8_t *out, size_t size) {
  static const char *const words[] = {"node", "app.js", "-x", "", "a b", "\xff"};
  static const char *const variables[] = {"A=b", "EMPTY=", "PATH=/bin:/usr/bin", "A=b=c"};
  const char *argv[9] = {"node"}, *env[9] = {NULL};
  hf_spec spec;
  hf_spec_init(&spec);
  strcpy(spec.name, "web");
  for (size_t i = 1, count = below(8); i <= count; i++) argv[i] = words[below(6)];
  for (size_t i = 0, count = below(9); i < count; i++) env[i] = variables[below(4)];
  spec.argv = argv;
  spec.env = env;
  spec.cwd = below(2) ? "/" : "/srv/web";
  spec.log_file = below(2) ? "/var/log/web.log" : NULL;
  spec.has_user = (uint8_t)below(2);
  spec.group_count = (uint32_t)below(4);
  spec.has_umask = (uint8_t)below(2);
  spec.has_nice = (uint8_t)below(2);
  spec.limit_resource_count = (uint32_t)below(3);
  for (uint32_t i = 0; i < spec.limit_resource_count; i++) spec.limits[i] = (hf_limit){i, 1, 2};
  spec.depends_count = (uint32_t)below(4);
  for (uint32_t i = 0; i < spec.depends_count; i++) snprintf(spec.depends[i], HF_NAME_SIZE, "p%u", i);
  hf_err err;
  ssize_t length = hf_spec_encode(&spec, out, size, &err);
  MUST(length > 0);
  return (size_t)length;
}

static size_t mutate(uint8_t *bytes, size_t size, size_t size_max) {
  size_t at = below(size), length = 1 + below(16);
  switch (below(6)) {
  case 0:
    bytes[at] ^= (uint8_t)(1u << below(8));
    break;
  case 1:
    bytes[at] = (uint8_t)next();
    break;
  case 2: // a number that lies at a boundary
    if (size - at >= 8) put_le(bytes + at, below(2) ? 0 - (uint64_t)below(3) : UINT64_C(1) << below(64), 1 + below(8));
    break;
  case 3: // cut out
    if (at + length < size) {
      memmove(bytes + at, bytes + at + length, size - at - length);
      size -= length;
    }
    break;
  case 4: // double
    if (at + length <= size && size + length <= size_max) {
      memmove(bytes + at + length, bytes + at, size - at);
      size += length;
    }
    break;
  case 5: // one more or less field
    bytes[HF_SPEC_AT_FIELDS] = (uint8_t)(bytes[HF_SPEC_AT_FIELDS] + (below(2) ? 1 : -1));
    break;
  }
  return size;
}

int main(int argc, char **argv) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
  state = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  printf("seed %" PRIu64 "\n", state);
  fflush(stdout);
  static uint8_t bytes[4096];
  clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
  unsigned long rounds = 0;
  for (; rounds < 1000 || clock() < end; rounds++) {
    size_t size = valid(bytes, sizeof bytes);
    for (size_t times = below(4); times > 0; times--) size = mutate(bytes, size, sizeof bytes);
    LLVMFuzzerTestOneInput(bytes, size);
  }
  printf("%lu definitions: %lu accepted, %lu refused\n", rounds, accepted, refused);
  return accepted > rounds / 10 && refused > rounds / 10 ? 0 : 1; // else it tried one side only
}
#endif
