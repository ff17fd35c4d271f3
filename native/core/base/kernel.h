// SPDX-License-Identifier: MIT
// The kernel, behind one header. Each wrapper does what the call of its name does (-1 and errno on failure), and first asks
// hf_k_fault, which is NULL outside tests: a test sets it to fail the Nth call. Nothing in core calls the kernel by another way,
// but for the child between clone and exec (raw calls only), and calls that can't fail (getpid, clock_gettime).
#ifndef HF_BASE_KERNEL_H
#define HF_BASE_KERNEL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

// Returns 0 to let the call through, else the errno to fail it with. Called with the name of the kernel call.
typedef int (*hf_k_fault_fn)(const char *call);
extern hf_k_fault_fn hf_k_fault;
bool hf_k_faulted(const char *call); // true if a test wants this call to fail; errno is set then

// A named point between two stores that matter: tests kill or stop the process there. Nothing outside tests.
typedef void (*hf_k_point_fn)(const char *name);
extern hf_k_point_fn hf_k_point;
#define HF_POINT(name)                                                                                                       \
  do {                                                                                                                       \
    if (__builtin_expect(hf_k_point != NULL, 0)) hf_k_point(name);                                                           \
  } while (0)

int hf_k_openat(int dirfd, const char *path, int flags, mode_t mode);
int hf_k_close(int fd); // never retried; a failure leaves the descriptor closed
ssize_t hf_k_read(int fd, void *buffer, size_t size);
ssize_t hf_k_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t hf_k_write(int fd, const void *buffer, size_t size);
ssize_t hf_k_pwrite(int fd, const void *buffer, size_t size, off_t offset);
int hf_k_ftruncate(int fd, off_t size);
int hf_k_fallocate(int fd, off_t offset, off_t size);
void *hf_k_mmap(size_t size, int prot, int flags, int fd); // MAP_FAILED on failure
int hf_k_munmap(void *address, size_t size);
bool hf_k_zeros_over(void *address, size_t size); // zero pages, read-only, in the place of a mapping; for a signal handler
int hf_k_madvise(void *address, size_t size, int advice);
int hf_k_fstat(int fd, struct stat *out);
int hf_k_fstatat(int dirfd, const char *path, struct stat *out, int flags);
int hf_k_fstatfs(int fd, struct statfs *out);
int hf_k_mkdirat(int dirfd, const char *path, mode_t mode);
int hf_k_mkfifoat(int dirfd, const char *path, mode_t mode);
ssize_t hf_k_readlinkat(int dirfd, const char *path, char *out, size_t size);
int hf_k_unlinkat(int dirfd, const char *path, int flags);
int hf_k_linkat(int from_dir, const char *from, int to_dir, const char *to);
int hf_k_renameat(int from_dir, const char *from, int to_dir, const char *to);
int hf_k_fchown(int fd, uid_t uid, gid_t gid);
int hf_k_fchmodat(int dirfd, const char *path, mode_t mode);
int hf_k_flock(int fd, int operation);
int hf_k_fcntl(int fd, int command, long argument);
int hf_k_epoll_create1(int flags);
int hf_k_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int hf_k_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms);
int hf_k_timerfd_create(void);                               // CLOCK_MONOTONIC, non-blocking, close-on-exec
int hf_k_timerfd_settime(int fd, uint64_t deadline_mono_ns); // absolute; 0 disarms
int hf_k_eventfd(void);                                      // non-blocking, close-on-exec
int hf_k_signalfd(const sigset_t *set);                      // non-blocking, close-on-exec
int hf_k_pidfd_open(pid_t pid);
int hf_k_pidfd_send_signal(int pidfd, int signal);
// The cgroup (its id in the unified hierarchy) of a process, also of one that is gone: 0, or -1 where the kernel can't tell.
int hf_k_pidfd_cgroup(int pidfd, uint64_t *id);
int hf_k_socket(int domain, int type); // non-blocking, close-on-exec
int hf_k_bind(int fd, const struct sockaddr *address, socklen_t size);
int hf_k_setsockopt(int fd, int option, int value);              // of SOL_SOCKET
ssize_t hf_k_recvmsg(int fd, struct msghdr *message, int flags); // never blocks
ssize_t hf_k_sendto(int fd, const void *bytes, size_t size, const struct sockaddr *address, socklen_t address_size);
int hf_k_kill(pid_t pid, int signal);
int hf_k_waitid_peek(idtype_t type, id_t id, siginfo_t *info); // WEXITED|WNOHANG|WNOWAIT
int hf_k_waitid_reap(pid_t pid, siginfo_t *info);              // WEXITED|WNOHANG
int hf_k_prctl(int option, unsigned long argument);
// clone (flags with the exit signal in the low byte; CLONE_PIDFD fills *pidfd), into the cgroup of that directory descriptor
// where it is not -1.
int hf_k_clone(int (*child)(void *), char *stack, size_t stack_size, int flags, void *argument, int *pidfd, int cgroup);
int hf_k_execve(const char *path, char *const argv[], char *const env[]);
// posix_spawn of `path`; descriptor keep[i] becomes number 3 + i there (-1: none), everything else closes. All signals default
// and unblocked in the child.
int hf_k_spawn(pid_t *pid, const char *path, char *const argv[], char *const env[], const int *keep, int keep_count);
int hf_k_thread_create(pthread_t *thread, void *(*body)(void *), void *argument, size_t stack_bytes); // 0 or -1 and errno
// Waits while *word is `value`; shared between processes, works on a read-only mapping. Deadline absolute, 0: none.
int hf_k_futex_wait(const uint32_t *word, uint32_t value, uint64_t deadline_mono_ns);
// The same on two words (the second private to this process); returns when either differs. Falls back to short slices.
int hf_k_futex_wait2(const uint32_t *word, uint32_t value, const uint32_t *own, uint32_t own_value,
                     uint64_t deadline_mono_ns);
int hf_k_futex_wake(uint32_t *word);

uint64_t hf_now_mono_ns(void);
int64_t hf_now_real_ns(void);

#endif
