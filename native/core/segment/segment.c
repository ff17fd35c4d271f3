// SPDX-License-Identifier: MIT
// Creating, attaching and validating. Space is reserved before anything is mapped: a full tmpfs is an error, never a SIGBUS.
#include "segment/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/machine.h"
#include "segment/dir.h"

_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "lock-free words");

void hf_file_name(char *out, size_t size, const char *kind, unsigned index, uint32_t incarnation) {
  snprintf(out, size, "%s.%u.%u", kind, index, incarnation);
}

// Reserves and maps a new unnamed-to-others file: the mapping, or NULL with err filled; *fd is open on success.
static void *new_file(int dir, const char *temporary, size_t size, int *fd, hf_err *err) {
  (void)hf_k_unlinkat(dir, temporary, 0);
  *fd = hf_k_openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (*fd < 0) {
    hf_fail_sys(err, "open", "%s can't be created", temporary);
    return NULL;
  }
  void *base = MAP_FAILED;
  if (hf_k_fallocate(*fd, 0, (off_t)size) != 0) {
    hf_fail_sys(err, "fallocate", "no room for %zu KiB of shared memory: free some in the tmpfs, or choose another --dir",
                size / 1024);
  } else {
    base = hf_k_mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd);
    if (base == MAP_FAILED) hf_fail_sys(err, "mmap", "%s can't be mapped", temporary);
  }
  if (base != MAP_FAILED) return base;
  hf_k_close(*fd);
  (void)hf_k_unlinkat(dir, temporary, 0);
  return NULL;
}

// Gives a finished file its name, unless somebody else was first: then that one counts.
static int put_in_place(int dir, const char *temporary, const char *name, void *base, size_t size, int fd, hf_err *err) {
  int failed = 0;
  if (hf_k_linkat(dir, temporary, dir, name) != 0 && errno != EEXIST)
    failed = hf_fail_sys(err, "link", "%s can't be put in place", name);
  (void)hf_k_unlinkat(dir, temporary, 0);
  hf_k_munmap(base, size);
  hf_k_close(fd);
  return failed;
}

static bool exists(int dir, const char *name) {
  struct stat st;
  return hf_k_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void temporary_name(char *out, size_t size, const char *name) {
  static _Atomic unsigned count; // several threads of one process may create
  snprintf(out, size, ".tmp.%d.%u.%s", (int)getpid(), atomic_fetch_add_explicit(&count, 1, memory_order_relaxed), name);
}

static int create_segment(int dir, const char *instance, hf_err *err) {
  char temporary[64];
  temporary_name(temporary, sizeof temporary, "segment");
  int fd;
  hf_segment *segment = new_file(dir, temporary, sizeof *segment, &fd, err);
  if (segment == NULL) return err ? err->code : HF_ESYS;
  hf_segment_header *header = &segment->header;
  header->magic = HF_MAGIC_SEGMENT;
  header->layout_version = HF_LAYOUT_VERSION;
  header->process_max = HF_PROCESS_MAX;
  header->layout_hash = HF_LAYOUT_HASH;
  header->size = sizeof *segment;
  snprintf(header->instance, sizeof header->instance, "%s", instance);
  hf_store_relaxed(&header->event_tail, 1);
  int failed = hf_boot_id(header->boot_id, err);
  if (!failed) failed = hf_pid_namespace(&header->pid_namespace, err);
  if (!failed) return put_in_place(dir, temporary, "segment", segment, sizeof *segment, fd, err);
  (void)hf_k_unlinkat(dir, temporary, 0);
  hf_k_munmap(segment, sizeof *segment);
  hf_k_close(fd);
  return failed;
}

// requests and exits begin alike: magic, layout hash, a counter that starts at `first`.
static int create_simple(int dir, const char *name, size_t size, uint64_t magic, uint64_t first, hf_err *err) {
  char temporary[64];
  temporary_name(temporary, sizeof temporary, name);
  int fd;
  uint64_t *words = new_file(dir, temporary, size, &fd, err);
  if (words == NULL) return err ? err->code : HF_ESYS;
  words[0] = magic;
  words[1] = HF_LAYOUT_HASH;
  words[2] = first;
  return put_in_place(dir, temporary, name, words, size, fd, err);
}

int hf_segment_create(int dir, const char *instance, hf_err *err) {
  hf_err own = {0};
  if (err == NULL) err = &own;
  int failed = 0;
  if (!exists(dir, "requests")) failed = create_simple(dir, "requests", sizeof(hf_requests), HF_MAGIC_REQUESTS, 0, err);
  if (!failed && !exists(dir, "exits")) failed = create_simple(dir, "exits", sizeof(hf_exits), HF_MAGIC_EXITS, 1, err);
  if (!failed && !exists(dir, "segment")) failed = create_segment(dir, instance, err);
  return failed;
}

// Opens, checks the size, maps, checks magic and layout. The first page is read with pread before anything is mapped.
static int map_checked(int fd, const char *name, size_t size, uint64_t magic, bool writable, void **out, hf_err *err) {
  struct stat st;
  if (hf_k_fstat(fd, &st) != 0) return hf_fail_sys(err, "fstat", "%s can't be examined", name);
  uint64_t words[4] = {0};
  ssize_t got = hf_k_pread(fd, words, sizeof words, 0);
  if (got < 0) return hf_fail_sys(err, "pread", "%s can't be read", name);
  if (got != (ssize_t)sizeof words)
    return hf_fail(err, HF_ETRUNC, "%s has %lld bytes, and is no file of Holdfast", name, (long long)st.st_size);
  uint64_t hash = magic == HF_MAGIC_SEGMENT ? words[2] : words[1];
  if (words[0] != magic)
    return hf_fail(err, HF_ELAYOUT, "%s is no file of Holdfast: move it away, or choose another directory with --dir", name);
  if (hash != HF_LAYOUT_HASH)
    return hf_fail(err, HF_ELAYOUT,
                   "%s was made by another version of Holdfast: stop the instance with that version (holdfast down), then "
                   "start it with this one",
                   name);
  if ((uint64_t)st.st_size != size)
    return hf_fail(err, HF_ETRUNC,
                   "%s has %lld bytes and should have %zu: stop the instance, remove the directory, start it again", name,
                   (long long)st.st_size, size);
  void *base = hf_k_mmap(size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd);
  if (base == MAP_FAILED) return hf_fail_sys(err, "mmap", "%s can't be mapped", name);
  *out = base;
  return 0;
}

static int attach(int dir, const char *name, size_t size, uint64_t magic, bool writable, void **out, hf_err *err) {
  int fd = hf_dir_open_file(dir, name, writable ? O_RDWR : O_RDONLY, err);
  if (fd < 0) return fd;
  int failed = map_checked(fd, name, size, magic, writable, out, err);
  hf_k_close(fd);
  return failed;
}

static int check_place(const hf_segment_header *header, hf_err *err) {
  char boot[40];
  uint64_t namespace_inode;
  int failed = hf_boot_id(boot, err);
  if (!failed) failed = hf_pid_namespace(&namespace_inode, err);
  if (failed) return failed;
  if (memcmp(boot, header->boot_id, sizeof boot) != 0)
    return hf_fail(err, HF_EBOOT,
                   "the instance is left from before the machine was started, nothing of it lives: run holdfast up");
  if (header->pid_namespace != namespace_inode)
    return hf_fail(err, HF_EPIDNS, "the instance lives in another pid namespace (container): run the command there");
  return 0;
}

int hf_segment_attach_fd(int fd, hf_segment **out, hf_err *err) {
  void *base;
  int failed = map_checked(fd, "segment", sizeof(hf_segment), HF_MAGIC_SEGMENT, false, &base, err);
  if (failed) return failed;
  failed = check_place(&((hf_segment *)base)->header, err);
  if (failed) hf_k_munmap(base, sizeof(hf_segment));
  else *out = base;
  return failed;
}

int hf_segment_attach(int dir, bool writable, hf_segment **out, hf_err *err) {
  void *base;
  int failed = attach(dir, "segment", sizeof(hf_segment), HF_MAGIC_SEGMENT, writable, &base, err);
  if (failed) return failed;
  failed = check_place(&((hf_segment *)base)->header, err);
  if (failed) hf_k_munmap(base, sizeof(hf_segment));
  else *out = base;
  return failed;
}

int hf_requests_attach(int dir, bool writable, hf_requests **out, hf_err *err) {
  void *base;
  int failed = attach(dir, "requests", sizeof(hf_requests), HF_MAGIC_REQUESTS, writable, &base, err);
  if (!failed) *out = base;
  return failed;
}

int hf_exits_attach(int dir, bool writable, hf_exits **out, hf_err *err) {
  void *base;
  int failed = attach(dir, "exits", sizeof(hf_exits), HF_MAGIC_EXITS, writable, &base, err);
  if (!failed) *out = base;
  return failed;
}

void hf_segment_unmap(void *base, size_t size) {
  if (base != NULL) hf_k_munmap(base, size);
}

// Everything in reports/, and the folder.
static int discard_reports(int dir, hf_err *err) {
  int folder = hf_k_openat(dir, "reports", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (folder < 0 && errno == ENOENT) return 0;
  DIR *entries = folder < 0 ? NULL : fdopendir(folder);
  if (entries == NULL) {
    hf_fail_sys(err, "open", "reports can't be opened");
    if (folder >= 0) hf_k_close(folder);
    return HF_ESYS;
  }
  int failed = 0;
  for (struct dirent *entry; !failed && (entry = readdir(entries)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && hf_k_unlinkat(folder, entry->d_name, 0) != 0 &&
        errno != ENOENT)
      failed = hf_fail_sys(err, "unlink", "reports/%s can't be removed", entry->d_name);
  closedir(entries);
  if (!failed && hf_k_unlinkat(dir, "reports", AT_REMOVEDIR) != 0 && errno != ENOENT)
    failed = hf_fail_sys(err, "rmdir", "reports can't be removed");
  return failed;
}

// The segment last: whoever is stopped between leaves an instance of before, which is discarded again.
int hf_segment_discard(int dir, hf_err *err) {
  static const char *const names[] = {"ages", "requests", "exits", "segment"};
  int failed = discard_reports(dir, err);
  if (failed) return failed;
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (hf_k_unlinkat(dir, names[i], 0) != 0 && errno != ENOENT)
      return hf_fail_sys(err, "unlink", "%s can't be removed", names[i]);
  return 0;
}

int hf_own_create(int dir, unsigned index, uint32_t incarnation, bool chown, uid_t uid, gid_t gid, hf_err *err) {
  char name[40];
  hf_file_name(name, sizeof name, "own", index, incarnation);
  (void)hf_k_unlinkat(dir, name, 0); // of a spawn that a killed manager had begun
  int fd = hf_k_openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (fd < 0) return hf_fail_sys(err, "open", "%s can't be created", name);
  uint64_t header[3] = {HF_MAGIC_OWN, HF_LAYOUT_HASH, (uint64_t)index | (uint64_t)incarnation << 32};
  int failed = 0;
  // Of its size only the first page is taken: whoever uses another reserves it first.
  if (hf_k_ftruncate(fd, (off_t)HF_OWN_FILE_SIZE) != 0)
    failed = hf_fail_sys(err, "ftruncate", "%s can't be given its size", name);
  else if (hf_k_fallocate(fd, 0, (off_t)sizeof(hf_own)) != 0) failed = hf_fail_sys(err, "fallocate", "no room for %s", name);
  else if (hf_k_write(fd, header, sizeof header) != (ssize_t)sizeof header)
    failed = hf_fail_sys(err, "write", "%s can't be written", name);
  else if (chown && hf_k_fchown(fd, uid, gid) != 0)
    failed = hf_fail_sys(err, "fchown", "%s can't be given to user %u", name, (unsigned)uid);
  if (!failed) return fd;
  hf_k_close(fd);
  (void)hf_k_unlinkat(dir, name, 0);
  return failed;
}

uint64_t hf_own_phase_read(int fd, unsigned index, uint32_t incarnation) {
  uint64_t words[9] = {0};
  _Static_assert(offsetof(hf_own, phase) == 64, "the ninth word");
  if (fd < 0 || hf_k_pread(fd, words, sizeof words, 0) != (ssize_t)sizeof words) return 0;
  if (words[0] != HF_MAGIC_OWN || words[1] != HF_LAYOUT_HASH || words[2] != ((uint64_t)index | (uint64_t)incarnation << 32))
    return 0;
  uint64_t phase = words[8];
  unsigned state = HF_PHASE_STATE(phase);
  if (HF_PHASE_INCARNATION(phase) != incarnation || state < HF_STATE_BOOTING || state > HF_STATE_READY) return 0;
  return phase;
}
