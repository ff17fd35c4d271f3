// SPDX-License-Identifier: MIT
// Leaves three children that are hard to kill: one plain, one in a session of its own, one that forked twice; all ignore SIGTERM.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void stay(void) {
  signal(SIGTERM, SIG_IGN);
  for (;;) pause();
}

int main(int argc, char **argv) {
  int ends[2];
  pid_t pids[3];
  if (argc < 2 || pipe(ends) != 0) return 2;
  signal(SIGTERM, SIG_IGN);
  if ((pids[0] = fork()) == 0) stay();
  if ((pids[1] = fork()) == 0) {
    setsid();
    stay();
  }
  if (fork() == 0) {
    setsid();
    pid_t again = fork();
    if (again == 0) stay();
    if (write(ends[1], &again, sizeof again) != sizeof again) _exit(1);
    _exit(0);
  }
  if (read(ends[0], &pids[2], sizeof pids[2]) != sizeof pids[2]) return 1;
  char name[256];
  snprintf(name, sizeof name, "%s.new", argv[1]);
  FILE *file = fopen(name, "w");
  if (file == NULL) return 1;
  fprintf(file, "%d %d %d\n", pids[0], pids[1], pids[2]);
  fclose(file);
  if (rename(name, argv[1]) != 0) return 1;
  stay();
}
