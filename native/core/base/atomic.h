// SPDX-License-Identifier: MIT
// Shared fields are _Atomic with an explicit order. These short names keep the order visible at every access.
#ifndef HF_BASE_ATOMIC_H
#define HF_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define hf_load_relaxed(field) atomic_load_explicit(field, memory_order_relaxed)
#define hf_load_acquire(field) atomic_load_explicit(field, memory_order_acquire)
#define hf_store_relaxed(field, value) atomic_store_explicit(field, value, memory_order_relaxed)
#define hf_store_release(field, value) atomic_store_explicit(field, value, memory_order_release)

#define HF_CACHE_LINE 64

// Copies between private memory and memory that another process may read or write at the same time, word by word and relaxed:
// a torn copy is found by the sequence around it, and is no undefined behaviour. `bytes` is a multiple of 8.
static inline void hf_words_store(void *shared, const void *from, size_t bytes) {
  for (size_t i = 0; i < bytes / 8; i++) {
    uint64_t word;
    memcpy(&word, (const char *)from + i * 8, 8);
    atomic_store_explicit((_Atomic uint64_t *)shared + i, word, memory_order_relaxed);
  }
}

static inline void hf_words_load(void *to, const void *shared, size_t bytes) {
  for (size_t i = 0; i < bytes / 8; i++) {
    uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)shared + i, memory_order_relaxed);
    memcpy((char *)to + i * 8, &word, 8);
  }
}

#endif
