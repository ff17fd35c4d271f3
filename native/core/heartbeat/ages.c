// SPDX-License-Identifier: MIT
// The file is a table of entries without order; where the entry of a cell lies only its manager needs to know, and keeps in
// a hash in private memory, which the next manager builds anew from the entries.
//
//   entry taken      fields, then `owner` (release): before that store there is no entry
//   entry set        seen, then beat: who inherits after a death between them finds the beat changed, never too old
//   entry given up   `owner` becomes 0; then it may be taken again
#include "heartbeat/ages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kernel.h"

enum { TABLE_MIN = 64, CHUNK = 256, AGE_AT = sizeof(hf_ages_header) };
#define FILE_BYTES (sizeof(hf_ages_header) + (size_t)HF_AGE_MAX * sizeof(hf_age))
_Static_assert(sizeof(hf_ages_header) == 64 && HF_PAGE % sizeof(hf_age) == 0, "no entry lies in two pages");

struct hf_ages {
  hf_ages_header *header;
  hf_age *age;
  uint32_t *slots; // open addressing: position + 1, 0: free
  uint32_t slot_count, live;
  uint32_t *free; // a stack of positions below `used`
  uint32_t free_count, free_room;
  uint8_t *left;     // entries of an earlier manager that nobody has asked for yet
  uint32_t left_max; // how many entries there were then: later ones have no bit
  uint32_t left_count;
  uint64_t reserved; // bytes of the file that are no hole
  int fd;
};

// ---- the hash -----------------------------------------------------------------------------------------------------------

static uint32_t slot_of(const hf_ages *a, uint64_t owner) {
  return (uint32_t)((owner * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (a->slot_count - 1);
}

static void put(hf_ages *a, uint64_t owner, uint32_t at) {
  uint32_t slot = slot_of(a, owner);
  while (a->slots[slot] != 0) slot = (slot + 1) & (a->slot_count - 1);
  a->slots[slot] = at + 1;
}

static uint64_t owner_at(const hf_ages *a, uint32_t at) { return hf_load_relaxed(&a->age[at].owner); }

// Room for one more at a load of one half.
static bool grow(hf_ages *a) {
  if (a->slot_count != 0 && (a->live + 1) * 2 <= a->slot_count) return true;
  uint32_t count = a->slot_count == 0 ? TABLE_MIN : a->slot_count * 2, old_count = a->slot_count;
  uint32_t *slots = calloc(count, sizeof *slots), *old = a->slots;
  if (slots == NULL) return false;
  a->slots = slots;
  a->slot_count = count;
  for (uint32_t i = 0; i < old_count; i++)
    if (old[i] != 0) put(a, owner_at(a, old[i] - 1), old[i] - 1);
  free(old);
  return true;
}

// The slot of an owner's entry, or slot_count.
static uint32_t slot_find(const hf_ages *a, uint64_t owner) {
  if (a->slot_count == 0) return 0;
  for (uint32_t slot = slot_of(a, owner); a->slots[slot] != 0; slot = (slot + 1) & (a->slot_count - 1))
    if (owner_at(a, a->slots[slot] - 1) == owner) return slot;
  return a->slot_count;
}

// Takes a slot out and closes the gap, so that no search ends too early.
static void slot_remove(hf_ages *a, uint32_t slot) {
  uint32_t mask = a->slot_count - 1;
  for (uint32_t next = (slot + 1) & mask; a->slots[next] != 0; next = (next + 1) & mask) {
    uint32_t home = slot_of(a, owner_at(a, a->slots[next] - 1));
    if (((next - home) & mask) < ((next - slot) & mask)) continue; // it may not move before its home
    a->slots[slot] = a->slots[next];
    slot = next;
  }
  a->slots[slot] = 0;
}

// ---- opening ------------------------------------------------------------------------------------------------------------

static bool keep_free(hf_ages *a, uint32_t at) {
  if (a->free_count == a->free_room) {
    uint32_t room = a->free_room == 0 ? TABLE_MIN : a->free_room * 2;
    uint32_t *more = realloc(a->free, room * sizeof *more);
    if (more == NULL) return false; // the entry is not used again before the next manager
    a->free = more;
    a->free_room = room;
  }
  a->free[a->free_count++] = at;
  return true;
}

static bool is_sound(int fd) {
  hf_ages_header header;
  struct stat st;
  if (hf_k_fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size != (off_t)FILE_BYTES)
    return false;
  return hf_k_pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header && header.magic == HF_MAGIC_AGES &&
         header.layout_hash == HF_LAYOUT_HASH;
}

// A new file, empty. The magic is written last, by a single write of the header into reserved space: half a file is no file.
static int make(int dir, hf_err *err) {
  if (hf_k_unlinkat(dir, "ages", 0) != 0 && errno != ENOENT) return hf_fail_sys(err, "unlink", "ages can't be removed");
  int fd = hf_k_openat(dir, "ages", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (fd < 0) return hf_fail_sys(err, "open", "ages can't be created");
  hf_ages_header header = {.magic = HF_MAGIC_AGES, .layout_hash = HF_LAYOUT_HASH};
  int failed = 0;
  if (hf_k_ftruncate(fd, (off_t)FILE_BYTES) != 0) failed = hf_fail_sys(err, "ftruncate", "ages can't be sized");
  else if (hf_k_fallocate(fd, 0, HF_PAGE) != 0) failed = hf_fail_sys(err, "fallocate", "no room for ages");
  HF_POINT("ages-sized");
  if (!failed && hf_k_write(fd, &header, sizeof header) != (ssize_t)sizeof header)
    failed = hf_fail_sys(err, "write", "ages can't be written");
  if (!failed) return fd;
  hf_k_close(fd);
  (void)hf_k_unlinkat(dir, "ages", 0);
  return failed;
}

static void set_left(hf_ages *a, uint32_t at) {
  a->left[at / 8] |= (uint8_t)(1u << (at % 8));
  a->left_count++;
}

static void asked_for(hf_ages *a, uint32_t at) {
  if (at >= a->left_max || (a->left[at / 8] & (1u << (at % 8))) == 0) return;
  a->left[at / 8] &= (uint8_t)~(1u << (at % 8));
  a->left_count--;
}

// Takes in what an earlier manager left.
static int take_in(hf_ages *a, hf_err *err) {
  uint32_t used = hf_load_acquire(&a->header->used);
  if (used > HF_AGE_MAX) used = HF_AGE_MAX;
  a->reserved = (AGE_AT + used * sizeof(hf_age) + HF_PAGE - 1) / HF_PAGE * HF_PAGE;
  if (a->reserved < HF_PAGE) a->reserved = HF_PAGE;
  if (hf_k_fallocate(a->fd, 0, (off_t)a->reserved) != 0) return hf_fail_sys(err, "fallocate", "no room for ages");
  if (used == 0) return 0;
  a->left = calloc(used / 8 + 1, 1);
  if (a->left == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
  a->left_max = used;
  for (uint32_t at = 0; at < used; at++) {
    uint64_t owner = owner_at(a, at);
    if (owner != 0 && !grow(a)) return hf_fail(err, HF_ENOMEM, "out of memory");
    if (owner == 0) {
      (void)keep_free(a, at);
    } else if (slot_find(a, owner) != a->slot_count) { // damaged: one entry for an owner
      hf_store_relaxed(&a->age[at].owner, 0);
      (void)keep_free(a, at);
    } else {
      put(a, owner, at);
      a->live++;
      set_left(a, at);
    }
  }
  return 0;
}

int hf_ages_open(int dir, hf_ages **out, hf_err *err) {
  int fd = hf_k_openat(dir, "ages", O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
  if (fd >= 0 && !is_sound(fd)) {
    hf_k_close(fd);
    fd = -1;
  }
  if (fd < 0) fd = make(dir, err);
  if (fd < 0) return fd;
  hf_ages *a = calloc(1, sizeof *a);
  void *base = a == NULL ? MAP_FAILED : hf_k_mmap(FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  int failed = 0;
  if (a == NULL) failed = hf_fail(err, HF_ENOMEM, "out of memory");
  else if (base == MAP_FAILED) failed = hf_fail_sys(err, "mmap", "ages can't be mapped");
  if (failed) {
    hf_k_close(fd);
    free(a);
    return failed;
  }
  a->fd = fd;
  a->header = base;
  void *entries = (char *)base + AGE_AT;
  a->age = entries;
  failed = take_in(a, err);
  if (failed) hf_ages_close(a);
  else *out = a;
  return failed;
}

void hf_ages_close(hf_ages *a) {
  if (a == NULL) return;
  hf_k_munmap(a->header, FILE_BYTES);
  hf_k_close(a->fd);
  free(a->slots);
  free(a->free);
  free(a->left);
  free(a);
}

// ---- entries ------------------------------------------------------------------------------------------------------------

bool hf_ages_find(hf_ages *a, uint64_t owner, uint64_t claim, uint32_t *beat, uint64_t *seen_ns) {
  uint32_t slot = slot_find(a, owner);
  if (slot == a->slot_count) return false;
  uint32_t at = a->slots[slot] - 1;
  if (hf_load_relaxed(&a->age[at].claim) != claim) return false;
  asked_for(a, at);
  *beat = hf_load_relaxed(&a->age[at].beat);
  *seen_ns = hf_load_relaxed(&a->age[at].seen_mono_ns);
  return true;
}

// A position that nobody uses, whose page is no hole; -1: there is none.
static int64_t position(hf_ages *a) {
  if (a->free_count > 0) return a->free[--a->free_count];
  uint32_t at = hf_load_relaxed(&a->header->used);
  if (at >= HF_AGE_MAX) return -1;
  if (AGE_AT + (at + UINT64_C(1)) * sizeof(hf_age) > a->reserved) {
    if (hf_k_fallocate(a->fd, (off_t)a->reserved, HF_PAGE) != 0) return -1;
    a->reserved += HF_PAGE;
  }
  HF_POINT("ages-reserved");
  hf_store_release(&a->header->used, at + 1); // pairs with the acquire of the next manager: its page is there
  return at;
}

static void fill(hf_ages *a, uint32_t at, uint64_t owner, uint64_t claim, uint32_t beat, uint64_t seen_ns) {
  hf_age *age = &a->age[at];
  hf_store_release(&age->owner, 0);
  HF_POINT("ages-emptied");
  // Release, each: a reader that copies the fields before it looks at the owner again sees that the owner went.
  hf_store_release(&age->claim, claim);
  hf_store_release(&age->flags, 0);
  hf_store_release(&age->seen_mono_ns, seen_ns);
  hf_store_release(&age->beat, beat);
  HF_POINT("ages-filled");
  hf_store_release(&age->owner, owner);
  HF_POINT("ages-owned");
}

int64_t hf_ages_claim(hf_ages *a, uint64_t owner, uint64_t claim, uint32_t beat, uint64_t seen_ns) {
  uint32_t slot = slot_find(a, owner);
  if (slot != a->slot_count) {
    uint32_t at = a->slots[slot] - 1;
    asked_for(a, at);
    if (hf_load_relaxed(&a->age[at].claim) != claim) fill(a, at, owner, claim, beat, seen_ns);
    else hf_ages_set(a, at, beat, seen_ns);
    return at;
  }
  if (owner == 0 || !grow(a)) return -1;
  int64_t at = position(a);
  if (at < 0) return -1;
  fill(a, (uint32_t)at, owner, claim, beat, seen_ns);
  put(a, owner, (uint32_t)at);
  a->live++;
  return at;
}

void hf_ages_set(hf_ages *a, int64_t at, uint32_t beat, uint64_t seen_ns) {
  if (at < 0) return;
  hf_store_relaxed(&a->age[at].seen_mono_ns, seen_ns);
  HF_POINT("ages-seen");
  hf_store_release(&a->age[at].beat, beat); // after `seen`, see above
}

void hf_ages_flags(hf_ages *a, int64_t at, uint32_t flags) {
  if (at >= 0) hf_store_relaxed(&a->age[at].flags, flags);
}

void hf_ages_free(hf_ages *a, int64_t at) {
  if (at < 0) return;
  uint32_t slot = slot_find(a, owner_at(a, (uint32_t)at));
  if (slot == a->slot_count) return; // it was given up already
  asked_for(a, (uint32_t)at);
  slot_remove(a, slot);
  hf_store_release(&a->age[at].owner, 0);
  a->live--;
  (void)keep_free(a, (uint32_t)at);
}

void hf_ages_sweep_out(hf_ages *a) {
  for (uint32_t at = 0; at < a->left_max && a->left_count > 0; at++)
    if (a->left[at / 8] & (1u << (at % 8))) hf_ages_free(a, at);
  free(a->left); // and nothing is left from now on
  a->left = NULL;
  a->left_max = a->left_count = 0;
}

// ---- readers ------------------------------------------------------------------------------------------------------------

static bool is_of(const hf_age *age, uint32_t incarnation, unsigned index, uint32_t max) {
  uint64_t owner = age->owner;
  return owner != 0 && owner >> 16 == HF_AGE_OWNER(incarnation, index, 0) >> 16 && (owner & 0xffff) < max;
}

static bool holds_any(const hf_age *ages, uint32_t count, uint32_t incarnation, unsigned index, uint32_t max) {
  for (uint32_t i = 0; i < count; i++)
    if (is_of(&ages[i], incarnation, index, max)) return true;
  return false;
}

int hf_ages_read(int dir, uint32_t incarnation, unsigned index, uint64_t *seen, uint32_t *flags, uint64_t *claim,
                 uint32_t max) {
  hf_ages_header header;
  hf_age first[CHUNK], second[CHUNK];
  int found = 0;
  memset(seen, 0, max * sizeof *seen);
  memset(flags, 0, max * sizeof *flags);
  memset(claim, 0, max * sizeof *claim);
  int fd = hf_k_openat(dir, "ages", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (fd < 0) return errno == ENOENT ? 0 : HF_ESYS;
  bool sound = hf_k_pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header && header.magic == HF_MAGIC_AGES &&
               header.layout_hash == HF_LAYOUT_HASH;
  uint32_t used = !sound ? 0 : header.used < HF_AGE_MAX ? header.used : HF_AGE_MAX;
  for (uint32_t from = 0; from < used; from += CHUNK) {
    uint32_t count = used - from < CHUNK ? used - from : CHUNK;
    off_t at = (off_t)(AGE_AT + (uint64_t)from * sizeof(hf_age));
    size_t bytes = count * sizeof(hf_age);
    if (hf_k_pread(fd, first, bytes, at) != (ssize_t)bytes) break;
    if (!holds_any(first, count, incarnation, index, max)) continue;
    // Once more: an entry that changed hands in between may be half one and half the other.
    if (hf_k_pread(fd, second, bytes, at) != (ssize_t)bytes) break;
    for (uint32_t i = 0; i < count; i++) {
      if (!is_of(&first[i], incarnation, index, max) || first[i].owner != second[i].owner ||
          first[i].claim != second[i].claim)
        continue;
      uint32_t cell = (uint32_t)(second[i].owner & 0xffff);
      seen[cell] = second[i].seen_mono_ns;
      flags[cell] = second[i].flags;
      claim[cell] = second[i].claim;
      found++;
    }
  }
  hf_k_close(fd);
  return found;
}
