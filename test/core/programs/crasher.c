// SPDX-License-Identifier: MIT
// Lives for argv[2] milliseconds, writes which incarnation it is into argv[1], and crashes.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const char *id = getenv("HOLDFAST_ID");
  if (argc < 3 || id == NULL) return 2;
  int file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
  struct timespec life = {0, atol(argv[2]) * 1000000};
  nanosleep(&life, NULL);
  if (file < 0 || dprintf(file, "%s\n", id) < 0) return 2;
  signal(SIGSEGV, SIG_DFL); // a sanitizer would turn it into an exit code
  raise(SIGSEGV);
}
