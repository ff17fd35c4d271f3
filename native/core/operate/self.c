// SPDX-License-Identifier: MIT
// A supervised process and its descendants: finding the manager's descriptors, declaring phases, reading states.
//
// It writes: its own.<n>.<incarnation>, nothing else. It maps the segment read-only: a stray write faults.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/kernel.h"
#include "operate/self.h"
#include "process/identity.h"
#include "process/state.h"
#include "process/status.h"
#include "segment/dir.h"
#include "segment/segment.h"
#include "supervise/bell.h"
#include "supervise/spawn.h"

// A descriptor that was passed, if it is still the file that the manager meant. Never closed on a mismatch: it is somebody else's.
static int passed(int number, unsigned long long device, unsigned long long inode) {
  struct stat st;
  if (hf_k_fstat(number, &st) != 0 || st.st_dev != device || st.st_ino != inode) return -1;
  return number;
}

static int open_path(int dir, const char *name, int flags) {
  return dir < 0 ? -1 : hf_k_openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK, 0);
}

typedef struct places {
  unsigned index;
  uint32_t incarnation;
  int number[3];
  unsigned long long device[3], inode[3];
} places;

static bool parse(const char *text, places *p) {
  int used = 0;
  if (sscanf(text, "1:%u:%u%n", &p->index, &p->incarnation, &used) != 2) return false;
  for (int i = 0; i < 3; i++) {
    int more = 0;
    text += used;
    if (sscanf(text, ":%d=%llu.%llu%n", &p->number[i], &p->device[i], &p->inode[i], &more) != 3) return false;
    used = more;
  }
  return text[used] == 0 && p->index < HF_PROCESS_MAX;
}

static int not_attached(hf_err *err, const char *why) {
  return hf_fail(err, HF_ENOTATTACHED, "this process is not attached to a manager: %s", why);
}

static int map_own(hf_self *self, int fd, hf_err *err) {
  struct stat st;
  if (hf_k_fstat(fd, &st) != 0 || st.st_size != (off_t)HF_OWN_FILE_SIZE)
    return not_attached(err, "its own file is not whole, or from another version of Holdfast");
  void *base = hf_k_mmap(HF_OWN_CELLS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  if (base == MAP_FAILED) return hf_fail_sys(err, "mmap", "its own file can't be mapped");
  self->own = base; // the pages behind the first are holes until a cell in them is claimed
  if (self->own->magic == HF_MAGIC_OWN && self->own->layout_hash == HF_LAYOUT_HASH && self->own->index == self->index &&
      self->own->incarnation == self->incarnation)
    return 0;
  hf_k_munmap(base, HF_OWN_CELLS_SIZE);
  return not_attached(err, "its own file was made by another version of Holdfast");
}

static bool is_file(int number, const hf_self_file *file) { return passed(number, file->device, file->inode) >= 0; }

static void remember(hf_self_file *file, int number) {
  struct stat st;
  *file = (hf_self_file){.number = -1};
  if (hf_k_fstat(number, &st) == 0) *file = (hf_self_file){number, (uint64_t)st.st_dev, (uint64_t)st.st_ino};
}

// The file by its path, if it is still the same: the descriptor, or -1.
static int open_again(const hf_self *self, const hf_self_file *file, const char *name) {
  int fd = open_path(self->dir, name, O_RDWR);
  if (fd < 0 && self->path[0] != 0) { // the directory's descriptor may have been closed as well
    int dir = hf_dir_open(self->path, false, NULL);
    fd = open_path(dir, name, O_RDWR);
    if (dir >= 0) hf_k_close(dir);
  }
  if (fd < 0 || is_file(fd, file)) return fd;
  hf_k_close(fd);
  return -1;
}

int hf__self_own_open(hf_self *self, hf_err *err) {
  char name[40];
  // Copied first, then compared: nobody closes the copy. A program that is out of descriptors may hang for it: then the number
  // itself, which the program is asked to leave open.
  int fd = self->own_file.number < 0 ? -1 : hf_k_fcntl(self->own_file.number, F_DUPFD_CLOEXEC, 3);
  if (fd >= 0 && is_file(fd, &self->own_file)) return fd;
  if (fd < 0 && errno == EMFILE) {
    if (is_file(self->own_file.number, &self->own_file)) return self->own_file.number;
    errno = EMFILE;
    return hf_fail_sys(err, "fcntl", "its own file can't be used: too many files are open");
  }
  if (fd >= 0) hf_k_close(fd);
  hf_file_name(name, sizeof name, "own", self->index, self->incarnation);
  fd = open_again(self, &self->own_file, name);
  if (fd >= 0) return fd;
  return hf_fail(
      err, HF_ENOTATTACHED,
      "the file %s can't be reached: its descriptor was closed in this process, and by its path it can't be opened "
      "(leave descriptors 64 to 66 open)",
      name);
}

void hf__self_own_close(const hf_self *self, int fd) {
  if (fd != self->own_file.number) hf_k_close(fd);
}

void hf__self_ring(hf_self *self, char what) {
  if (is_file(self->bell.number, &self->bell)) {
    hf_bell_ring(self->bell.number, what);
    return;
  }
  int fd = open_again(self, &self->bell, "bell");
  if (fd < 0) return;
  hf_bell_ring(fd, what);
  hf_k_close(fd);
}

// Which of the passed descriptors are there; the rest by path, where this user may.
static int connect_files(hf_self *self, const places *p, hf_err *err) {
  char name[40];
  const char *path = getenv("HOLDFAST_DIR");
  self->dir = path != NULL ? hf_dir_open(path, false, NULL) : -1;
  if (self->dir >= 0 && strlen(path) < sizeof self->path) strcpy(self->path, path);
  int fds[3];
  for (int i = 0; i < 3; i++) fds[i] = passed(p->number[i], p->device[i], p->inode[i]);
  hf_file_name(name, sizeof name, "own", self->index, self->incarnation);
  if (fds[0] < 0) fds[0] = open_path(self->dir, "segment", O_RDONLY);
  if (fds[1] < 0) fds[1] = open_path(self->dir, name, O_RDWR);
  if (fds[2] < 0) fds[2] = open_path(self->dir, "bell", O_RDWR);
  if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
    return not_attached(err, "the descriptors that the manager passed are gone, or its incarnation is over");
  remember(&self->own_file, fds[1]);
  remember(&self->bell, fds[2]);
  int failed = hf_segment_attach_fd(fds[0], &self->segment, err);
  if (!failed) failed = map_own(self, fds[1], err);
  return failed;
}

static int attach(hf_self **out, hf_err *err) {
  const char *text = getenv("HOLDFAST_ATTACH");
  places p;
  if (text == NULL) return not_attached(err, "no manager started it (HOLDFAST_ATTACH is not set)");
  if (!parse(text, &p)) return not_attached(err, "HOLDFAST_ATTACH is from another version of Holdfast");
  hf_self *self = calloc(1, sizeof *self);
  if (self == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
  self->index = p.index;
  self->incarnation = p.incarnation;
  int failed = connect_files(self, &p, err);
  hf_status status;
  hf_status_word word = 0;
  if (!failed && (!hf_status_read(self->segment, p.index, &status, &word) || HF_WORD_INCARNATION(word) != p.incarnation))
    failed = not_attached(err, "its incarnation is over");
  if (failed) {
    free(self); // what was mapped stays: it is a page, and this happens once
    return failed;
  }
  memcpy(self->name, status.name, sizeof self->name);
  *out = self;
  return 0;
}

static int attach_once(hf_self **out, bool quietly, hf_err *err) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static hf_self *only;
  pthread_mutex_lock(&lock);
  int failed = only != NULL ? 0 : attach(&only, err);
  if (!failed) {
    *out = only;
    uint64_t nothing = 0;
    // The first to attach in the tree declares BOOTING. Release: pairs with the pread of the readers, which is ordered by the ring.
    if (!quietly &&
        atomic_compare_exchange_strong_explicit(&only->own->phase, &nothing, HF_PHASE(only->incarnation, HF_STATE_BOOTING),
                                                memory_order_acq_rel, memory_order_relaxed)) {
      (void)hf_identity_read(getpid(), &only->own->declared_by);
      hf__self_ring(only, HF_RING_PHASE);
    }
  }
  pthread_mutex_unlock(&lock);
  return failed;
}

int hf_attach(hf_self **out, hf_err *err) { return attach_once(out, false, err); }

int hf_attach_quietly(hf_self **out, hf_err *err) { return attach_once(out, true, err); }

int hf_spawned_here(void) {
  const char *text = getenv("HOLDFAST_ATTACH");
  places p;
  if (text == NULL || !parse(text, &p)) return 0;
  // The process that the manager executed is the leader of its session, and nobody below it can be without a session of its own.
  // The segment has the last word; before the manager has written the pid there, the child itself has.
  int fd = passed(p.number[0], p.device[0], p.inode[0]);
  hf_segment *segment;
  if (getsid(0) != getpid() || fd < 0 || hf_segment_attach_fd(fd, &segment, NULL) != 0) return 0;
  hf_spawn_slot *slot = &segment->spawn[p.index];
  int mine = hf_load_acquire(&slot->incarnation) == p.incarnation && hf_load_acquire(&slot->pid) == getpid();
  hf_segment_unmap(segment, sizeof *segment);
  return mine;
}

const char *hf_self_name(const hf_self *self) { return self->name; }

uint32_t hf_self_incarnation(const hf_self *self) { return self->incarnation; }

int hf_declare(hf_self *self, hf_state phase, hf_err *err) {
  if (phase < HF_STATE_BOOTING || phase > HF_STATE_READY)
    return hf_fail(err, HF_EMOVE, "a process can declare BOOTING, LOADCFG and READY, not %s", hf_state_name(phase));
  if (HF_WORD_INCARNATION(hf_status_word_now(self->segment, self->index)) != self->incarnation)
    return hf_fail(err, HF_ECLOSED, "this incarnation of %s is over", self->name);
  uint64_t declared = hf_load_acquire(&self->own->phase);
  if (phase == HF_STATE_BOOTING && HF_PHASE_STATE(declared) > HF_STATE_BOOTING)
    return hf_fail(err, HF_EMOVE, "%s is %s already, and can't go back to BOOTING", self->name,
                   hf_state_name(HF_PHASE_STATE(declared)));
  hf_store_release(&self->own->phase, HF_PHASE(self->incarnation, phase)); // pairs with the pread of the readers
  hf__self_ring(self, HF_RING_PHASE);
  return 0;
}

static uint64_t phase_of(hf_self *self, unsigned index, uint32_t incarnation) {
  if (index == self->index && incarnation == self->incarnation) return hf_load_acquire(&self->own->phase);
  char name[40];
  hf_file_name(name, sizeof name, "own", index, incarnation);
  int fd = open_path(self->dir, name, O_RDONLY);
  if (fd < 0) return 0;
  uint64_t phase = hf_own_phase_read(fd, index, incarnation);
  hf_k_close(fd);
  return phase;
}

int hf_self_state(hf_self *self, const char *name, hf_err *err) {
  bool own = strcmp(name, self->name) == 0;
  int index = own ? (int)self->index : hf_status_find(self->segment, name);
  if (index < 0) return hf_fail(err, HF_EUNKNOWN, "there is no process %s", name);
  hf_status_word word = hf_status_word_now(self->segment, (unsigned)index);
  uint64_t phase =
      hf_state_living((hf_state)HF_WORD_STATE(word)) ? phase_of(self, (unsigned)index, HF_WORD_INCARNATION(word)) : 0;
  return (int)hf_state_effective(word, phase);
}

int hf_self_wait(hf_self *self, const char *name, hf_state state, int64_t timeout_ns, hf_err *err) {
  uint64_t deadline = timeout_ns < 0 ? 0 : hf_now_mono_ns() + (uint64_t)timeout_ns;
  for (;;) {
    uint32_t seen = hf_load_acquire(&self->segment->header.changes);
    int now = hf_self_state(self, name, err);
    if (now < 0) return now;
    if (now == (int)state) return 1;
    if (deadline != 0 && hf_now_mono_ns() >= deadline) return 0;
    (void)hf_k_futex_wait((const uint32_t *)&self->segment->header.changes, seen, deadline);
  }
}

int hf_self_names(hf_self *self, char *out, size_t size) {
  size_t used = 0;
  int count = 0;
  if (size > 0) out[0] = 0;
  unsigned slots = hf_load_acquire(&self->segment->header.slots_used);
  for (unsigned i = 0; i < slots && i < HF_PROCESS_MAX; i++) {
    hf_status status;
    hf_status_word word;
    if (!hf_status_read(self->segment, i, &status, &word) || status.name[0] == 0) continue;
    int n = snprintf(out + used, size - used, "%s%s", count ? ", " : "", status.name);
    if (n < 0 || (size_t)n >= size - used) break;
    used += (size_t)n;
    count++;
  }
  return count;
}
