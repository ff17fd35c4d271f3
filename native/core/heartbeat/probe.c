// SPDX-License-Identifier: MIT
// Four small files of /proc, and one of the cgroup. Only what the kernel refuses for `stat` is an error: what the others
// can't tell is taken for "no".
#include "heartbeat/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernel.h"
#include "base/machine.h"

enum { CGROUP_BYTES = 1280, TICK_NS = 10000000 };

// Reads a file of the thread: bytes, or -1 and errno.
static ssize_t of_thread(pid_t pid, pid_t tid, const char *file, char *out, size_t size) {
  char path[80];
  snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, file);
  return hf_read_small(AT_FDCWD, path, out, size);
}

static bool is_gone(int error) { return error == ENOENT || error == ESRCH; }

static bool is_traced(pid_t pid, pid_t tid) {
  char text[2048];
  if (of_thread(pid, tid, "status", text, sizeof text) < 0) return false;
  const char *line = strstr(text, "\nTracerPid:"); // the name of the thread, before it, has no line of its own
  return line != NULL && strtol(line + strlen("\nTracerPid:"), NULL, 10) != 0;
}

static void read_times(pid_t pid, pid_t tid, hf_thread_facts *out) {
  char text[128];
  unsigned long long on_cpu, delay;
  out->at_ns = hf_now_mono_ns();
  if (of_thread(pid, tid, "schedstat", text, sizeof text) < 0 || sscanf(text, "%llu %llu", &on_cpu, &delay) != 2) return;
  out->scheduled = on_cpu > 0; // a kernel that counts nothing shows zeros
  out->on_cpu_ns = on_cpu;
  out->run_delay_ns = delay;
}

static bool is_frozen(pid_t pid, pid_t tid) {
  char file[80], cgroup[CGROUP_BYTES], path[CGROUP_BYTES + 16], text[256];
  snprintf(file, sizeof file, "/proc/%d/task/%d/cgroup", (int)pid, (int)tid);
  if (hf_cgroup_path(file, cgroup, sizeof cgroup)) {
    snprintf(path, sizeof path, "%s/cgroup.events", cgroup);
    if (hf_read_small(AT_FDCWD, path, text, sizeof text) > 0 && strstr(text, "frozen 1") != NULL) return true;
  }
  // Where its cgroup is out of sight, and for cgroups of version 1: where it waits.
  if (of_thread(pid, tid, "wchan", text, sizeof text) <= 0) return false;
  return strcmp(text, "do_freezer_trap") == 0 || strcmp(text, "__refrigerator") == 0;
}

int hf_thread_facts_read(pid_t pid, pid_t tid, hf_thread_facts *out) {
  char text[1024];
  *out = (hf_thread_facts){0};
  if (pid <= 0) return HF_EUNKNOWN;
  if (tid <= 0) tid = pid;
  if (of_thread(pid, tid, "stat", text, sizeof text) < 0) return is_gone(errno) ? HF_EUNKNOWN : HF_ESYS;
  const char *rest = strrchr(text, ')'); // the name is in parentheses and may hold anything
  if (rest == NULL || rest[1] != ' ' || rest[2] == 0) return HF_ESYS;
  out->state = rest[2];
  out->traced = is_traced(pid, tid);
  out->frozen = is_frozen(pid, tid);
  read_times(pid, tid, out);
  return 0;
}

static uint64_t moved(uint64_t before, uint64_t after) { return after > before ? after - before : 0; }

uint64_t hf_thread_waited_ns(const hf_thread_facts *before, const hf_thread_facts *after) {
  if (!before->scheduled || !after->scheduled) return 0;
  uint64_t elapsed = moved(before->at_ns, after->at_ns), ran = moved(before->on_cpu_ns, after->on_cpu_ns);
  uint64_t waited = moved(before->run_delay_ns, after->run_delay_ns), waits = 0;
  // A wait that goes on is in no number yet: who is ready to run, and was on no processor, waited. The time on a processor moves with
  // the kernel's tick, so for one that ran, a tick may be missing in it.
  if (after->state == 'R') waits = moved(ran > 0 ? ran + TICK_NS : 0, elapsed);
  if (waits > waited) waited = waits;
  return waited < elapsed ? waited : elapsed; // part of the wait that was over lies before the first look
}
