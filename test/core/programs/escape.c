// SPDX-License-Identifier: MIT
// Leaves children that are hard to kill: one plain, one in a session of its own, one that forked twice, and with a second
// argument one that forked twice and has forgotten its environment. All ignore SIGTERM. Writes their pids into a file.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void stay(void) {
  signal(SIGTERM, SIG_IGN);
  for (;;) pause();
}

// Forks twice, into a session of its own: the pid of the grandchild, which init (or a subreaper) has now.
static pid_t daemonize(const char *self, int forget) {
  int ends[2];
  pid_t again;
  if (pipe(ends) != 0) return -1;
  if (fork() == 0) {
    setsid();
    again = fork();
    if (again == 0 && forget) {
      char *const none[] = {NULL};
      execle(self, "escape", (char *)NULL, none);
    }
    if (again == 0) stay();
    if (write(ends[1], &again, sizeof again) != sizeof again) _exit(1);
    _exit(0);
  }
  return read(ends[0], &again, sizeof again) == sizeof again ? again : -1;
}

int main(int argc, char **argv) {
  pid_t pids[4] = {0};
  if (argc < 2) stay();
  signal(SIGTERM, SIG_IGN);
  if ((pids[0] = fork()) == 0) stay();
  if ((pids[1] = fork()) == 0) {
    setsid();
    stay();
  }
  pids[2] = daemonize(argv[0], 0);
  if (argc > 2) pids[3] = daemonize(argv[0], 1);
  char name[256];
  snprintf(name, sizeof name, "%s.new", argv[1]);
  FILE *file = fopen(name, "w");
  if (file == NULL) return 1;
  fprintf(file, "%d %d %d %d\n", pids[0], pids[1], pids[2], pids[3]);
  fclose(file);
  if (rename(name, argv[1]) != 0) return 1;
  stay();
}
