// SPDX-License-Identifier: MIT
// The kernel calls themselves, each behind the fault hook.
#include "base/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

hf_k_fault_fn hf_k_fault = NULL;
hf_k_point_fn hf_k_point = NULL;

bool hf_k_faulted(const char *call) {
  if (__builtin_expect(hf_k_fault == NULL, 1)) return false;
  int error = hf_k_fault(call);
  if (error == 0) return false;
  errno = error;
  return true;
}

#define FAULT(call)                                                                                                          \
  do {                                                                                                                       \
    if (hf_k_faulted(call)) return -1;                                                                                       \
  } while (0)

int hf_k_openat(int dirfd, const char *path, int flags, mode_t mode) {
  FAULT("open");
  return openat(dirfd, path, flags | O_CLOEXEC, mode);
}

int hf_k_close(int fd) { return close(fd); }

ssize_t hf_k_read(int fd, void *buffer, size_t size) {
  FAULT("read");
  return read(fd, buffer, size);
}

ssize_t hf_k_pread(int fd, void *buffer, size_t size, off_t offset) {
  FAULT("pread");
  return pread(fd, buffer, size, offset);
}

ssize_t hf_k_write(int fd, const void *buffer, size_t size) {
  FAULT("write");
  return write(fd, buffer, size);
}

ssize_t hf_k_pwrite(int fd, const void *buffer, size_t size, off_t offset) {
  FAULT("pwrite");
  return pwrite(fd, buffer, size, offset);
}

int hf_k_ftruncate(int fd, off_t size) {
  FAULT("ftruncate");
  return ftruncate(fd, size);
}

int hf_k_fallocate(int fd, off_t offset, off_t size) {
  FAULT("fallocate");
  return fallocate(fd, 0, offset, size);
}

void *hf_k_mmap(size_t size, int prot, int flags, int fd) {
  if (hf_k_faulted("mmap")) return MAP_FAILED;
  return mmap(NULL, size, prot, flags, fd, 0);
}

int hf_k_munmap(void *address, size_t size) { return munmap(address, size); }

bool hf_k_zeros_over(void *address, size_t size) {
  // Not mmap(): a sanitizer's own would do more than is allowed in a signal handler.
  long at = syscall(SYS_mmap, address, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);
  return at == (long)(intptr_t)address;
}

int hf_k_madvise(void *address, size_t size, int advice) {
  FAULT("madvise");
  return madvise(address, size, advice);
}

int hf_k_fstat(int fd, struct stat *out) {
  FAULT("fstat");
  return fstat(fd, out);
}

int hf_k_fstatat(int dirfd, const char *path, struct stat *out, int flags) {
  FAULT("fstatat");
  return fstatat(dirfd, path, out, flags);
}

int hf_k_fstatfs(int fd, struct statfs *out) {
  FAULT("fstatfs");
  return fstatfs(fd, out);
}

int hf_k_mkdirat(int dirfd, const char *path, mode_t mode) {
  FAULT("mkdir");
  return mkdirat(dirfd, path, mode);
}

int hf_k_mkfifoat(int dirfd, const char *path, mode_t mode) {
  FAULT("mkfifo");
  return mkfifoat(dirfd, path, mode);
}

ssize_t hf_k_readlinkat(int dirfd, const char *path, char *out, size_t size) {
  FAULT("readlink");
  return readlinkat(dirfd, path, out, size);
}

int hf_k_unlinkat(int dirfd, const char *path, int flags) {
  FAULT("unlink");
  return unlinkat(dirfd, path, flags);
}

int hf_k_linkat(int from_dir, const char *from, int to_dir, const char *to) {
  FAULT("link");
  return linkat(from_dir, from, to_dir, to, 0);
}

int hf_k_renameat(int from_dir, const char *from, int to_dir, const char *to) {
  FAULT("rename");
  return renameat(from_dir, from, to_dir, to);
}

int hf_k_fchown(int fd, uid_t uid, gid_t gid) {
  FAULT("fchown");
  return fchown(fd, uid, gid);
}

int hf_k_fchmodat(int dirfd, const char *path, mode_t mode) {
  FAULT("fchmod");
  return fchmodat(dirfd, path, mode, 0);
}

int hf_k_flock(int fd, int operation) {
  FAULT("flock");
  return flock(fd, operation);
}

int hf_k_fcntl(int fd, int command, long argument) {
  FAULT("fcntl");
  return fcntl(fd, command, argument);
}

int hf_k_epoll_create1(int flags) {
  FAULT("epoll_create1");
  return epoll_create1(flags);
}

int hf_k_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  if (operation == EPOLL_CTL_ADD) FAULT("epoll_ctl"); // the others need nothing that could be short
  return epoll_ctl(epoll, operation, fd, event);
}

int hf_k_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms) {
  return epoll_wait(epoll, events, max, timeout_ms);
}

int hf_k_timerfd_create(void) {
  FAULT("timerfd_create");
  return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
}

int hf_k_timerfd_settime(int fd, uint64_t deadline_mono_ns) {
  FAULT("timerfd_settime");
  struct itimerspec when = {{0, 0}, {(time_t)(deadline_mono_ns / 1000000000u), (long)(deadline_mono_ns % 1000000000u)}};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int hf_k_eventfd(void) {
  FAULT("eventfd");
  return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

int hf_k_signalfd(const sigset_t *set) {
  FAULT("signalfd");
  return signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int hf_k_pidfd_open(pid_t pid) {
  FAULT("pidfd_open");
  return (int)syscall(SYS_pidfd_open, pid, 0);
}

int hf_k_pidfd_send_signal(int pidfd, int signal) {
  FAULT("pidfd_send_signal");
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

// linux/pidfd.h of Linux 6.13; the cgroup of a process that was reaped is told from 6.15 on.
struct pidfd_info {
  uint64_t mask, cgroup;
  uint32_t ids[11];
  int32_t exit_code;
};

int hf_k_pidfd_cgroup(int pidfd, uint64_t *id) {
  enum { CGROUP = 1 << 2, EXIT = 1 << 3 };
  FAULT("pidfd_info");
  struct pidfd_info info = {.mask = CGROUP | EXIT};
  if (ioctl(pidfd, _IOWR(0xFF, 11, struct pidfd_info), &info) != 0) return -1;
  *id = info.cgroup;
  if (info.mask & CGROUP) return 0;
  errno = ESRCH;
  return -1;
}

int hf_k_socket(int domain, int type) {
  FAULT("socket");
  return socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int hf_k_bind(int fd, const struct sockaddr *address, socklen_t size) {
  FAULT("bind");
  return bind(fd, address, size);
}

int hf_k_setsockopt(int fd, int option, int value) {
  FAULT("setsockopt");
  return setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
}

ssize_t hf_k_recvmsg(int fd, struct msghdr *message, int flags) {
  FAULT("recvmsg");
  return recvmsg(fd, message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

ssize_t hf_k_sendto(int fd, const void *bytes, size_t size, const struct sockaddr *address, socklen_t address_size) {
  FAULT("sendto");
  return sendto(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, address, address_size);
}

int hf_k_kill(pid_t pid, int signal) {
  FAULT("kill");
  return kill(pid, signal);
}

int hf_k_waitid_peek(idtype_t type, id_t id, siginfo_t *info) {
  FAULT("waitid");
  info->si_pid = 0;
  return waitid(type, id, info, WEXITED | WNOHANG | WNOWAIT);
}

int hf_k_waitid_reap(pid_t pid, siginfo_t *info) {
  FAULT("waitid");
  info->si_pid = 0;
  return waitid(P_PID, (id_t)pid, info, WEXITED | WNOHANG);
}

int hf_k_prctl(int option, unsigned long argument) {
  FAULT("prctl");
  return prctl(option, argument, 0, 0, 0);
}

int hf_k_execve(const char *path, char *const argv[], char *const env[]) {
  FAULT("execve");
  return execve(path, argv, env);
}

int hf_k_spawn(pid_t *pid, const char *path, char *const argv[], char *const env[], const int *keep, int keep_count) {
  FAULT("spawn");
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  int error = posix_spawnattr_init(&attributes);
  if (error == 0 && (error = posix_spawn_file_actions_init(&actions)) != 0) posix_spawnattr_destroy(&attributes);
  if (error == 0) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (error == 0) error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0) error = posix_spawnattr_setsigdefault(&attributes, &all);
    for (int i = 0; i < keep_count && error == 0; i++)
      if (keep[i] >= 0)
        error = posix_spawn_file_actions_adddup2(&actions, keep[i], 3 + i); // same number: clears close-on-exec
    if (error == 0) error = posix_spawn(pid, path, &actions, &attributes, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  if (error == 0) return 0;
  errno = error;
  return -1;
}

int hf_k_thread_create(pthread_t *thread, void *(*body)(void *), void *argument, size_t stack_bytes) {
  FAULT("thread");
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error == 0) {
    error = pthread_attr_setstacksize(&attributes, stack_bytes);
    if (error == 0) error = pthread_create(thread, &attributes, body, argument);
    pthread_attr_destroy(&attributes);
  }
  if (error == 0) return 0;
  errno = error;
  return -1;
}

static struct timespec as_timespec(uint64_t ns) {
  return (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

int hf_k_futex_wait(const uint32_t *word, uint32_t value, uint64_t deadline_mono_ns) {
  struct timespec when = as_timespec(deadline_mono_ns);
  // FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC.
  return (int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, deadline_mono_ns ? &when : NULL, NULL,
                      FUTEX_BITSET_MATCH_ANY);
}

// The layout of struct futex_waitv in linux/futex.h of Linux 5.16.
struct waiter {
  uint64_t value, address;
  uint32_t flags, reserved;
};

int hf_k_futex_wait2(const uint32_t *word, uint32_t value, const uint32_t *own, uint32_t own_value,
                     uint64_t deadline_mono_ns) {
  enum { FLAG_32 = 2 };
  // The second is not marked private, although it is: hf_k_futex_wake does not mark either, and the kernel keeps two words
  // of the same address apart that differ in the mark.
  struct waiter waiters[2] = {{value, (uint64_t)(uintptr_t)word, FLAG_32, 0},
                              {own_value, (uint64_t)(uintptr_t)own, FLAG_32, 0}};
  struct timespec when = as_timespec(deadline_mono_ns);
  long result = syscall(SYS_futex_waitv, waiters, 2, 0, deadline_mono_ns ? &when : NULL, CLOCK_MONOTONIC);
  if (result >= 0 || errno != ENOSYS) return result < 0 ? -1 : 0;
  uint64_t slice = hf_now_mono_ns() + 20000000u; // before 5.16: look at the second word every 20 ms
  if (deadline_mono_ns != 0 && slice > deadline_mono_ns) slice = deadline_mono_ns;
  return hf_k_futex_wait(word, value, slice);
}

int hf_k_futex_wake(uint32_t *word) { return (int)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0); }

uint64_t hf_now_mono_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t hf_now_real_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}
