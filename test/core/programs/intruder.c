// SPDX-License-Identifier: MIT
// A supervised process that tries to write what is not its own. Attaches, declares READY by its own file, and then tries: each
// attempt that should have failed and did not is a bit of its exit code; 64 and more: it could not even begin.
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "holdfast.h"
#include "segment/layout.h"

// Writing there ends the writer: tried in a child.
static int can_store(volatile char *address) {
  pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    *address = 1;
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) continue;
  return WIFEXITED(status);
}

static int can_open(const char *dir, const char *name) {
  char path[200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  int fd = open(path, O_RDWR | O_NONBLOCK);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

int main(int argc, char **argv) {
  hf_self *self;
  hf_err err;
  bool other_user = argc > 1 && strcmp(argv[1], "other") == 0;
  if (hf_attach(&self, &err) != 0) {
    fprintf(stderr, "%s\n", err.text);
    return 64;
  }
  if (hf_declare(self, HF_STATE_READY, &err) != 0) return 65;
  if (hf_self_state(self, hf_self_name(self), &err) != HF_STATE_READY) return 66;
  int broken = 0;
  // The segment was passed read-only: no writable mapping of it, and none of an existing one.
  if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 64, 0) != MAP_FAILED) broken |= 1;
  char *there = mmap(NULL, 4096, PROT_READ, MAP_SHARED, 64, 0);
  if (there == MAP_FAILED) return 67;
  if (mprotect(there, 4096, PROT_READ | PROT_WRITE) == 0) broken |= 2;
  if (can_store(there)) broken |= 4;
  if (ftruncate(64, 0) == 0) broken |= 8;
  if (other_user) {
    const char *dir = getenv("HOLDFAST_DIR");
    if (open("/proc/self/fd/64", O_RDWR) >= 0) broken |= 16;
    if (can_open(dir, "segment") || can_open(dir, "requests") || can_open(dir, "exits") || can_open(dir, "bell"))
      broken |= 32;
  }
  if (argc > 2 && ftruncate(65, 0) != 0) return 68; // its own file it may even destroy: the manager must live with that
  return broken;
}
