// SPDX-License-Identifier: MIT
// Reports of hangs: reports/<name>.<incarnation>.txt in the instance directory. One writer, the manager. A report is written under a
// temporary name and renamed: whoever reads sees a whole one. Written again by the next manager it is the same file.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/kernel.h"
#include "process/status.h"
#include "segment/dir.h"
#include "supervise/manager.h"

enum { HEAD_MAX = 1536 };

static int open_folder(const hf_manager *m, bool create, hf_err *err) {
  if (create && hf_k_mkdirat(m->dir, "reports", 0700) != 0 && errno != EEXIST)
    return hf_fail_sys(err, "mkdir", "reports can't be made");
  int fd = hf_k_openat(m->dir, "reports", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  return fd < 0 ? hf_fail_sys(err, "open", "reports can't be opened") : fd;
}

// "<name>.<incarnation>.txt": the incarnation, or 0 for a file of another process. Names may hold points: the rest must be a number.
static uint32_t incarnation_of(const char *file, const char *name) {
  size_t length = strlen(name);
  if (strncmp(file, name, length) != 0 || file[length] != '.' || file[length + 1] < '1' || file[length + 1] > '9') return 0;
  char *end;
  unsigned long number = strtoul(file + length + 1, &end, 10);
  return strcmp(end, ".txt") == 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

typedef struct listed {
  unsigned count;
  uint32_t oldest;
} listed;

// The reports of a process, and the oldest of them that is not `written`. What a killed manager left unfinished is removed on
// the way.
static listed list(int folder, const char *name, uint32_t written) {
  listed found = {0};
  int fd = hf_k_openat(folder, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL && fd >= 0) hf_k_close(fd);
  for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
    uint32_t incarnation = incarnation_of(entry->d_name, name);
    if (strncmp(entry->d_name, ".tmp.", 5) == 0) (void)hf_k_unlinkat(folder, entry->d_name, 0);
    if (incarnation == 0) continue;
    found.count++;
    if (incarnation != written && (found.oldest == 0 || incarnation < found.oldest)) found.oldest = incarnation;
  }
  if (entries != NULL) closedir(entries);
  return found;
}

// `written` stays: what was said to be there is there, even beside higher numbers.
static void keep_newest(int folder, const char *name, unsigned keep, uint32_t written) {
  for (;;) {
    char file[HF_NAME_SIZE + 24];
    listed found = list(folder, name, written);
    if (found.count <= keep || found.oldest == 0) return;
    snprintf(file, sizeof file, "%s.%u.txt", name, found.oldest);
    if (hf_k_unlinkat(folder, file, 0) != 0) return;
  }
}

typedef struct head {
  char text[HEAD_MAX];
  size_t used;
} head;

static void add(head *h, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(head *h, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(h->text + h->used, sizeof h->text - h->used, format, arguments);
  va_end(arguments);
  if (n > 0) h->used = h->used + (size_t)n < sizeof h->text ? h->used + (size_t)n : sizeof h->text - 1;
}

static double ms(uint64_t ns) { return (double)ns / 1e6; }

static void fill_head(head *h, const char *name, const hf_failure *v) {
  char sentence[256], at[32] = "";
  time_t seconds = (time_t)(v->at_real_ns / 1000000000);
  struct tm parts;
  if (gmtime_r(&seconds, &parts) != NULL) strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &parts);
  hf_failure_text(v, sentence, sizeof sentence);
  add(h, "%s\n\n", sentence);
  add(h, "time:        %s.%03dZ\n", at, (int)(v->at_real_ns / 1000000 % 1000));
  add(h, "process:     %s\nincarnation: %u\npid:         %d\n", name, v->incarnation, (int)v->pid);
  add(h, "thread:      %s\n", v->thread);
  if (v->tid > 0) add(h, "tid:         %d\n", (int)v->tid);
  else add(h, "tid:         not known\n");
  add(h, "period:      %g ms\ngrace:       %u\n", ms(v->period_ns), (unsigned)v->grace);
  add(h, "silent:      %.3f ms\nlateness:    %.3f ms, in which it was not judged\n", ms(v->silent_ns), ms(v->lateness_ns));
  add(h, "phase:       %s\nwhere:       %s\n\n", hf_state_name(v->phase), v->where[0] != 0 ? v->where : "not known");
}

int hf__report_write(hf_manager *m, unsigned index, const hf_failure *verdict, const char *text, size_t length, hf_err *err) {
  static char whole[HEAD_MAX + HF_CAPTURE_TEXT_MAX + 1]; // one thread writes reports
  const char *name = hf_status_now(m->segment, index)->name;
  head h = {.used = 0};
  fill_head(&h, name, verdict);
  if (length > HF_CAPTURE_TEXT_MAX) length = HF_CAPTURE_TEXT_MAX;
  memcpy(whole, h.text, h.used);
  memcpy(whole + h.used, text, length);
  size_t size = h.used + length;
  if (whole[size - 1] != '\n') whole[size++] = '\n';
  int folder = open_folder(m, true, err);
  if (folder < 0) return folder;
  char file[HF_NAME_SIZE + 24];
  snprintf(file, sizeof file, "%s.%u.txt", name, verdict->incarnation);
  int failed = hf_dir_write(folder, file, whole, size, err);
  keep_newest(folder, name, HF_FAILURES_KEPT, verdict->incarnation);
  hf_k_close(folder);
  return failed;
}

void hf__reports_remove(hf_manager *m, const char *name) {
  int folder = open_folder(m, false, NULL);
  if (folder < 0) return; // mostly: there never was a hang
  keep_newest(folder, name, 0, 0);
  hf_k_close(folder);
}
