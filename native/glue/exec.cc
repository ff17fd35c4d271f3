// SPDX-License-Identifier: MIT
// Replaces this whole process, so that no Node stays behind the command line.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "convert.h"
#include "doors.h"

namespace glue {

namespace {

// Linux 5.9 can't do it in one call: mark each, far enough for any table that is in use.
void CloseOnExecEach() {
  long count = sysconf(_SC_OPEN_MAX);
  if (count < 0 || count > 65536) count = 65536;
  for (int fd = 3; fd < count; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
  }
}

void KeepOnly(const std::vector<int> &keep) {
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
  if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) CloseOnExecEach();
  for (int fd : keep) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
  }
  // Node marks its stdio close-on-exec at start, and libuv makes pipes non-blocking; a plain program expects neither.
  for (int fd = 0; fd < 3; fd++) {
    int marks = fcntl(fd, F_GETFD);
    if (marks >= 0) fcntl(fd, F_SETFD, marks & ~FD_CLOEXEC);
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
}

// An ignored signal stays ignored over exec (Node ignores SIGPIPE); handled ones go back to the default by themselves.
void ResetIgnored(sigset_t *was_ignored) {
  sigemptyset(was_ignored);
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    if (sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_IGN) continue;
    sigaddset(was_ignored, number);
    signal(number, SIG_DFL);
  }
}

} // namespace

Napi::Value Exec(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string path = read.String(info[0], "path");
  std::vector<std::string> arguments = read.Strings(info[1], "argv"), environment = read.Strings(info[2], "env");
  Napi::Array kept = read.Array(info[3], "keep");
  std::vector<int> keep;
  for (uint32_t i = 0; read.ok() && i < kept.Length(); i++)
    keep.push_back(static_cast<int>(read.Number(kept.Get(i), "keep", 0, 1 << 20)));
  if (!read.ok()) return Napi::Value();
  std::vector<const char *> argv = Pointers(arguments), envp = Pointers(environment);

  sigset_t none, mask, ignored;
  sigemptyset(&none);
  KeepOnly(keep);
  ResetIgnored(&ignored);
  pthread_sigmask(SIG_SETMASK, &none, &mask);
  // execve takes pointers to non-const for history's sake; it writes nothing.
  execve(path.c_str(), const_cast<char *const *>(argv.data()), const_cast<char *const *>(envp.data()));
  int errnum = errno;
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  for (int number = 1; number < NSIG; number++)
    if (sigismember(&ignored, number) == 1) signal(number, SIG_IGN);
  errno = errnum;
  ThrowSys(env, "execve", path + " could not be executed");
  return Napi::Value();
}

} // namespace glue
