// SPDX-License-Identifier: MIT
// FNV-1a, 64 bits: to tell that bytes changed, not that nobody forged them.
#ifndef HF_BASE_HASH_H
#define HF_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HF_HASH_SEED UINT64_C(14695981039346656037)

// Goes on from `hash` (HF_HASH_SEED at the beginning) over `size` bytes.
static inline uint64_t hf_hash(uint64_t hash, const void *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
  return hash;
}

#endif
