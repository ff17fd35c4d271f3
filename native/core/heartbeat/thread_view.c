// SPDX-License-Identifier: MIT
// What the kernel tells of a thread: its state, the system call it is in, where it waits there. For a thread of this process
// it needs no rights; for another process's those of a debugger, and what may not be read is said.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/kernel.h"
#include "base/machine.h"

// The calls that block or take long. `file`: the first argument is a descriptor, whose target says more than its number. A
// call that this machine does not have is not in its list.
typedef struct call_name {
  long number;
  const char *name;
  bool file;
} call_name;

#define CALL(name) {SYS_##name, #name, false}
#define FILE_CALL(name) {SYS_##name, #name, true}
static const call_name calls[] = {
    FILE_CALL(read),
    FILE_CALL(write),
    FILE_CALL(readv),
    FILE_CALL(writev),
    FILE_CALL(pread64),
    FILE_CALL(pwrite64),
    FILE_CALL(preadv),
    FILE_CALL(pwritev),
    FILE_CALL(fsync),
    FILE_CALL(fdatasync),
    FILE_CALL(ftruncate),
    FILE_CALL(fallocate),
    FILE_CALL(flock),
    FILE_CALL(fcntl),
    FILE_CALL(ioctl),
    FILE_CALL(close),
    FILE_CALL(lseek),
    FILE_CALL(fstat),
    FILE_CALL(getdents64),
    FILE_CALL(sendfile),
    FILE_CALL(splice),
    FILE_CALL(accept),
    FILE_CALL(accept4),
    FILE_CALL(connect),
    FILE_CALL(recvfrom),
    FILE_CALL(recvmsg),
    FILE_CALL(sendto),
    FILE_CALL(sendmsg),
    FILE_CALL(shutdown),
    CALL(futex),
    CALL(ppoll),
    CALL(pselect6),
    FILE_CALL(epoll_pwait),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(wait4),
    CALL(waitid),
    CALL(openat),
    CALL(newfstatat),
    CALL(statx),
    CALL(unlinkat),
    CALL(renameat2),
    CALL(mkdirat),
    CALL(sync),
    CALL(syncfs),
    CALL(msync),
    CALL(mmap),
    CALL(munmap),
    CALL(mprotect),
    CALL(madvise),
    CALL(brk),
    CALL(execve),
    CALL(exit_group),
    CALL(exit),
    CALL(sched_yield),
    CALL(getrandom),
    CALL(io_getevents),
    CALL(rt_sigtimedwait),
    CALL(rt_sigsuspend),
    CALL(restart_syscall),
    CALL(membarrier),
    CALL(ptrace),
#ifdef SYS_open // the older calls are not on arm64
    CALL(open),
    CALL(stat),
    CALL(lstat),
    CALL(access),
    CALL(mkdir),
    CALL(unlink),
    CALL(rename),
    CALL(readlink),
    CALL(poll),
    CALL(select),
    CALL(pause),
    CALL(fork),
    CALL(vfork),
    FILE_CALL(epoll_wait),
#endif
#ifdef SYS_futex_waitv
    CALL(futex_waitv),
#endif
#ifdef SYS_epoll_pwait2
    FILE_CALL(epoll_pwait2),
#endif
#ifdef SYS_io_uring_enter
    FILE_CALL(io_uring_enter),
#endif
#ifdef SYS_copy_file_range
    FILE_CALL(copy_file_range),
#endif
};
#undef CALL
#undef FILE_CALL

static const call_name *find_call(long number) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (calls[i].number == number) return &calls[i];
  return NULL;
}

static const char *state_words(char state) {
  switch (state) {
  case 'R':
    return "running, or ready to run";
  case 'S':
    return "sleeping";
  case 'D':
    return "sleeping, and no signal wakes it (waits for a device or file system)";
  case 'T':
    return "stopped by a signal";
  case 't':
    return "stopped by a debugger";
  case 'Z':
  case 'X':
    return "ended";
  case 'I':
    return "idle";
  default:
    return "unknown";
  }
}

typedef struct view {
  pid_t pid, tid;
  char *out;
  size_t size, used;
  char where[HF_WHERE_SIZE];
} view;

static void add(view *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(view *v, const char *format, ...) {
  if (v->used + 1 >= v->size) return;
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(v->out + v->used, v->size - v->used, format, arguments);
  va_end(arguments);
  if (n > 0) v->used = (size_t)n < v->size - v->used ? v->used + (size_t)n : v->size - 1;
}

static void where_is(view *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void where_is(view *v, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(v->where, sizeof v->where, format, arguments); // cut: it is a few words
  va_end(arguments);
}

static ssize_t read_of(const view *v, const char *name, char *out, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)v->pid, (int)v->tid, name);
  return hf_read_small(AT_FDCWD, path, out, size);
}

// Control bytes in a path would end a line of a report.
static void make_printable(char *text) {
  for (; *text != 0; text++)
    if (iscntrl((unsigned char)*text)) *text = '?';
}

// "pipe:[123]" is a pipe; of a path the last part is enough for few words.
static void target_in_few_words(const char *target, char *out, size_t size) {
  if (strncmp(target, "pipe:", 5) == 0) snprintf(out, size, "pipe");
  else if (strncmp(target, "socket:", 7) == 0) snprintf(out, size, "socket");
  else if (strncmp(target, "anon_inode:", 11) == 0) snprintf(out, size, "%.24s", target + 11);
  else if (strrchr(target, '/') != NULL && strrchr(target, '/')[1] != 0)
    snprintf(out, size, "%.31s", strrchr(target, '/') + 1);
  else snprintf(out, size, "%.31s", target);
}

static void file_call(view *v, const char *name, int fd) {
  char path[64], target[256], words[40];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)v->pid, fd);
  ssize_t got = hf_k_readlinkat(AT_FDCWD, path, target, sizeof target - 1);
  if (got < 0) {
    add(v, "system call: %s of fd %d\n", name, fd);
    where_is(v, "%s, fd %d", name, fd);
    return;
  }
  target[got] = 0;
  make_printable(target);
  add(v, "system call: %s of fd %d (%s)\n", name, fd, target);
  target_in_few_words(target, words, sizeof words);
  where_is(v, "%s of %s, fd %d", name, words, fd);
}

static void system_call(view *v) {
  char text[256];
  long number;
  unsigned long long first = 0;
  if (read_of(v, "syscall", text, sizeof text) <= 0) {
    add(v, "system call: it may not be read here (%s)\n", strerror(errno));
  } else if (strncmp(text, "running", 7) == 0) {
    add(v, "system call: none that it waits in, it runs\n");
    where_is(v, "running a builtin or native code");
  } else if (sscanf(text, "%ld %llx", &number, &first) < 1) {
    add(v, "system call: unknown\n");
  } else if (number < 0) {
    add(v, "system call: none, it waits in the kernel (for memory, or held by it)\n");
    where_is(v, "waiting in the kernel, in no system call");
  } else {
    const call_name *call = find_call(number);
    if (call == NULL) {
      add(v, "system call: number %ld\n", number);
      where_is(v, "system call %ld", number);
    } else if (call->file) {
      file_call(v, call->name, (int)first);
    } else {
      add(v, "system call: %s\n", call->name);
      where_is(v, "%s", call->name);
    }
  }
}

static void wait_channel(view *v) {
  char text[128];
  ssize_t got = read_of(v, "wchan", text, sizeof text);
  if (got <= 0 || strcmp(text, "0") == 0) return;
  text[strcspn(text, "\n")] = 0;
  add(v, "waits in: %s\n", text);
  if (v->where[0] == 0) where_is(v, "in %s", text);
}

// State, and the processor time that it has used: false where there is no such thread.
static bool state_of(view *v, char *state) {
  char text[1024];
  unsigned long user = 0, kernel = 0;
  if (read_of(v, "stat", text, sizeof text) <= 0) return false;
  const char *rest = strrchr(text, ')'); // the name is in parentheses and may hold anything
  if (rest == NULL || sscanf(rest + 2, "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", state, &user, &kernel) != 3 ||
      *state == 'X')
    return false;
  double ticks = (double)sysconf(_SC_CLK_TCK);
  add(v, "state: %c (%s)\n", *state, state_words(*state));
  add(v, "processor time so far: %.2f s in the program, %.2f s in the kernel\n", (double)user / ticks,
      (double)kernel / ticks);
  return true;
}

size_t hf_thread_kernel_view(pid_t pid, pid_t tid, char *out, size_t size, char *where) {
  view v = {.pid = pid, .tid = tid, .out = out, .size = size};
  char state = 0;
  if (size > 0) out[0] = 0;
  errno = 0;
  bool known = state_of(&v, &state);
  if (!known && (errno == EMFILE || errno == ENFILE)) {
    add(&v, "state: it can't be read here (%s)\n", strerror(errno)); // it may live
  } else if (!known) {
    add(&v, "state: there is no such thread: it has ended\n");
    where_is(&v, "the thread has ended");
  } else if (state == 'Z') {
    where_is(&v, "the thread has ended");
  } else {
    system_call(&v);
    wait_channel(&v);
    if (state == 'T') where_is(&v, "stopped by a signal");
    if (state == 't') where_is(&v, "stopped by a debugger");
  }
  if (where != NULL) memcpy(where, v.where, sizeof v.where);
  return v.used;
}
