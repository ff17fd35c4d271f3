// SPDX-License-Identifier: MIT
// Writing the report of a hang from inside: nothing here may wait for ever, since the process may be about to abort.
#include "operate/report_here.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"

enum { FILES_MAX = 5, NUMBERS_MAX = 1000, TEXT_MAX = 65536, STDERR_PATIENCE_MS = 1000, ABORT_AFTER_MS = 2000 };

struct hf_report_here {
  char *dir; // NULL: no files
  char program[32];
  unsigned files, number;
  char text[TEXT_MAX];
};

// The base name of the executable, with bytes that are safe in a file name; "node" where it can't be read.
static void program_name(char *out, size_t size) {
  char path[PATH_MAX];
  ssize_t got = hf_k_readlinkat(AT_FDCWD, "/proc/self/exe", path, sizeof path - 1);
  path[got > 0 ? got : 0] = 0;
  const char *base = strrchr(path, '/');
  snprintf(out, size, "%.*s", (int)size - 1, base != NULL && base[1] != 0 ? base + 1 : "node");
  for (char *at = out; *at != 0; at++)
    if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *at) == NULL) *at = '_';
}

int hf__report_here_create(hf_report_here **out, hf_err *err) {
  const char *dir = getenv("HOLDFAST_REPORT_DIR");
  hf_report_here *r = calloc(1, sizeof *r);
  if (r != NULL && dir != NULL && *dir != 0 && (r->dir = strdup(dir)) == NULL) {
    free(r);
    r = NULL;
  }
  if (r == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
  program_name(r->program, sizeof r->program);
  *out = r;
  return 0;
}

void hf__report_here_destroy(hf_report_here *r) {
  free(r->dir);
  free(r);
}

void hf__abort_here(void) {
  (void)signal(SIGABRT, SIG_DFL); // a handler of the program would run on this thread, and may not return
  abort();
}

// The end of a process whose report does not come to its own end: a write to a dead disk or mount never returns.
static void *abort_later(void *argument) {
  (void)argument;
  (void)poll(NULL, 0, ABORT_AFTER_MS);
  hf__abort_here();
  return NULL;
}

static size_t add(char *text, size_t used, const char *format, ...) __attribute__((format(printf, 3, 4)));
static size_t add(char *text, size_t used, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(text + used, TEXT_MAX - used, format, arguments);
  va_end(arguments);
  return n < 0 ? used : (size_t)n < TEXT_MAX - used ? used + (size_t)n : TEXT_MAX - 1;
}

static size_t compose(hf_report_here *r, const hf_place *place, uint32_t cell, const hf_failure *verdict, const char *note,
                      bool aborts) {
  char sentence[256], where[HF_WHERE_SIZE];
  hf_failure_text(verdict, sentence, sizeof sentence);
  size_t used = add(r->text, 0, "%s\n", sentence);
  if (!aborts) used = add(r->text, used, "It is only reported (onHang: report): the process goes on.\n");
  used = add(r->text, used, "silent: %.3f s, of which %.3f s were not counted\n", (double)verdict->silent_ns / 1e9,
             (double)verdict->lateness_ns / 1e9);
  if (*note != 0) used = add(r->text, used, "note: %s\n", note);
  used += hf__stack_text(place, cell, r->text + used, TEXT_MAX - used - 1, where);
  if (r->text[used - 1] != '\n') r->text[used++] = '\n';
  return used;
}

// To stderr, whatever it is. A pipe or terminal that nobody reads must not hold up an abort: it is opened once more, because
// O_NONBLOCK set on the one that is there would hold for everybody who has it. A file only where `may_hang`: its disk may.
static void to_stderr(const char *text, size_t size, bool may_hang) {
  struct stat st;
  if (hf_k_fstat(STDERR_FILENO, &st) != 0) return;
  bool plain = S_ISREG(st.st_mode);
  if (plain && !may_hang) return;
  int again = plain || S_ISSOCK(st.st_mode)
                  ? -1
                  : hf_k_openat(AT_FDCWD, "/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND, 0);
  int fd = again >= 0 ? again : STDERR_FILENO;
  size_t piece = plain || again >= 0 ? size : PIPE_BUF; // a blocking pipe takes that much at once when it is writable
  uint64_t until_ns = hf_now_mono_ns() + STDERR_PATIENCE_MS * UINT64_C(1000000);
  while (size > 0) {
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    uint64_t now_ns = hf_now_mono_ns();
    if (now_ns >= until_ns || poll(&writable, 1, (int)((until_ns - now_ns) / 1000000) + 1) <= 0) break;
    ssize_t put = hf_k_write(fd, text, size < piece ? size : piece);
    if (put < 0 && errno != EINTR && errno != EAGAIN) break;
    if (put > 0) text += put, size -= (size_t)put;
  }
  if (again >= 0) hf_k_close(again);
}

// 0, or -1 and errno. A name that is there (an earlier process of that pid) is left alone.
static int to_file(hf_report_here *r, char *path, size_t path_size, size_t size) {
  int fd = -1;
  while (fd < 0 && r->number < NUMBERS_MAX) {
    snprintf(path, path_size, "%s/%s.%d.%u.txt", r->dir, r->program, (int)getpid(), ++r->number);
    fd = hf_k_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0 && errno != EEXIST) return -1;
  }
  if (fd < 0) return -1;
  ssize_t put = hf_k_write(fd, r->text, size);
  int error = put < 0 ? errno : ENOSPC;
  hf_k_close(fd);
  if (put == (ssize_t)size) return 0;
  (void)hf_k_unlinkat(AT_FDCWD, path, 0); // half a report would be taken for a whole one
  errno = error;
  return -1;
}

void hf__report_here(hf_report_here *r, const hf_place *place, uint32_t cell, const hf_failure *verdict, const char *note,
                     bool aborts) {
  // Before anything that may never return. Without it nothing is touched that may hang: the abort counts more than its report.
  bool may_hang = !aborts || hf__thread_start(abort_later, NULL) == 0;
  size_t size = compose(r, place, cell, verdict, note, aborts);
  to_stderr(r->text, size, may_hang); // first: a disk may hang too
  if (!may_hang || r->dir == NULL || r->files >= FILES_MAX) return;
  char path[PATH_MAX], line[PATH_MAX + 128];
  r->files++;
  int failed = to_file(r, path, sizeof path, size);
  if (failed) snprintf(line, sizeof line, "The report could not be written to %s: %s.\n", path, strerror(errno));
  else snprintf(line, sizeof line, "The report is in %s.\n", path);
  to_stderr(line, strlen(line), may_hang);
}
