// SPDX-License-Identifier: MIT
// Reading /proc, with raw reads into small buffers: no stdio, no allocation.
#include "process/identity.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/machine.h"

int hf_process_facts_read(pid_t pid, hf_process_facts *out) {
  char path[48], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (hf_read_small(AT_FDCWD, path, text, sizeof text) < 0) return errno == ENOENT || errno == ESRCH ? HF_EUNKNOWN : HF_ESYS;
  // The name is in parentheses and may hold anything: go on after the last one.
  char *rest = strrchr(text, ')');
  int parent, group, session;
  unsigned long long utime, stime, start;
  long long resident;
  if (rest == NULL ||
      sscanf(rest + 2, "%c %d %d %d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %*u %lld", &out->state,
             &parent, &group, &session, &utime, &stime, &start, &resident) != 8)
    return HF_ESYS;
  const char *last = strrchr(rest, ' ');
  out->exit_status = last != NULL ? atoi(last + 1) : 0;
  out->parent = parent;
  out->group = group;
  out->session = session;
  out->start_time = start;
  out->cpu_ns = (utime + stime) * (1000000000u / (unsigned long)sysconf(_SC_CLK_TCK));
  out->memory_bytes = resident > 0 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
  return 0;
}

int hf_identity_read(pid_t pid, hf_identity *out) {
  hf_process_facts facts;
  int failed = hf_process_facts_read(pid, &facts);
  if (failed) return failed;
  *out = (hf_identity){.pid = pid, .start_time = facts.start_time};
  return 0;
}

bool hf_identity_alive(const hf_identity *identity) {
  hf_process_facts facts;
  if (identity->pid <= 0 || hf_process_facts_read(identity->pid, &facts) != 0) return false;
  return facts.start_time == identity->start_time && facts.state != 'Z' && facts.state != 'X';
}

int hf_identity_open(const hf_identity *identity, hf_err *err) {
  if (identity->pid <= 0) return hf_fail(err, HF_EUNKNOWN, "no process");
  int fd = hf_k_pidfd_open(identity->pid);
  if (fd < 0) {
    if (errno == ESRCH) return hf_fail(err, HF_EUNKNOWN, "process %d is gone", identity->pid);
    return hf_fail_sys(err, "pidfd_open", "process %d can't be watched", identity->pid);
  }
  hf_process_facts facts;
  int failed = hf_process_facts_read(identity->pid, &facts);
  if (failed == 0 && facts.start_time == identity->start_time) return fd;
  hf_k_close(fd);
  if (failed == HF_ESYS) return hf_fail(err, HF_ESYS, "/proc/%d/stat can't be read", identity->pid);
  return hf_fail(err, HF_EUNKNOWN, "process %d is gone", identity->pid);
}

static bool numbers_each(const char *text, bool (*each)(pid_t, void *), void *context) {
  while (*text != 0) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text) break;
    if (value > 0 && !each((pid_t)value, context)) return false;
    text = end;
  }
  return true;
}

// The slow way, for kernels without the children files.
static int children_by_walk(pid_t pid, bool (*each)(pid_t, void *), void *context) {
  DIR *proc = opendir("/proc");
  if (proc == NULL) return HF_ESYS;
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    hf_process_facts facts;
    pid_t candidate = (pid_t)atoi(entry->d_name);
    if (hf_process_facts_read(candidate, &facts) == 0 && facts.parent == pid && !each(candidate, context)) break;
  }
  closedir(proc);
  return 0;
}

static bool is_gone(int error) { return error == ENOENT || error == ESRCH; }

// One thread's file: 1 to go on, 0 ended by `each`, -1 and errno where it can't be read.
static int children_of_thread(pid_t pid, pid_t tid, bool (*each)(pid_t, void *), void *context) {
  char path[64], small[4096];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)tid);
  ssize_t used = hf_read_small(AT_FDCWD, path, small, sizeof small);
  if (used < 0) return -1;
  if ((size_t)used < sizeof small - 16) return numbers_each(small, each, context);
  char *large = malloc(1 << 20); // a process with hundreds of children
  if (large == NULL) {
    errno = ENOMEM;
    return -1;
  }
  used = hf_read_small(AT_FDCWD, path, large, 1 << 20);
  int result = used < 0 ? -1 : numbers_each(large, each, context);
  int error = errno;
  free(large);
  errno = error;
  return result;
}

int hf_children_each(pid_t pid, bool (*each)(pid_t child, void *context), void *context) {
  char path[48];
  int first = children_of_thread(pid, pid, each, context);
  if (first < 0 && errno == ENOENT) {
    hf_process_facts facts;
    if (hf_process_facts_read(pid, &facts) != 0) return HF_EUNKNOWN;
    return children_by_walk(pid, each, context);
  }
  if (first < 0) return is_gone(errno) ? HF_EUNKNOWN : HF_ESYS;
  if (first == 0) return 0;
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  struct stat st;
  if (hf_k_fstatat(AT_FDCWD, path, &st, 0) == 0 && st.st_nlink <= 3) return 0; // a single thread: its file was all
  DIR *tasks = opendir(path);
  if (tasks == NULL) return is_gone(errno) ? HF_EUNKNOWN : HF_ESYS;
  int failed = 0;
  for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
    pid_t tid = (pid_t)atoi(entry->d_name);
    int more = tid > 0 && tid != pid ? children_of_thread(pid, tid, each, context) : 1;
    if (more < 0 && !is_gone(errno)) failed = HF_ESYS;
    if (more == 0) break;
  }
  closedir(tasks);
  return failed;
}

bool hf_environment_has(pid_t pid, const char *entry, bool *failed) {
  char path[48];
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  int fd = hf_k_openat(AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) {
    if (failed != NULL && !is_gone(errno) && errno != EACCES && errno != EPERM) *failed = true;
    return false;
  }
  size_t length = strlen(entry), matched = 0;
  bool at_start = true, found = false;
  char block[4096];
  ssize_t got = 0;
  while (!found && (got = hf_k_read(fd, block, sizeof block)) > 0) {
    for (ssize_t i = 0; i < got && !found; i++) {
      if (block[i] == 0) {
        found = at_start && matched == length;
        matched = 0;
        at_start = true;
      } else if (at_start) {
        if (matched < length && block[i] == entry[matched]) matched++;
        else at_start = false;
      }
    }
  }
  if (got < 0 && failed != NULL && !is_gone(errno) && errno != EACCES && errno != EPERM) *failed = true;
  hf_k_close(fd);
  return found;
}
