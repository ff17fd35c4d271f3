// SPDX-License-Identifier: MIT
// The bare respawner of the C benchmark: fork, execve, waitpid, again. Nothing faster is written down in a shell or a textbook,
// and it does nothing else. `bench-respawn PROGRAM [ARGUMENTS]`; SIGTERM ends it and its child.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t child;

static void end(int number) {
  (void)number;
  if (child > 0) kill(child, SIGKILL);
  _exit(0);
}

int main(int argc, char **argv) {
  extern char **environ;
  if (argc < 2) {
    fprintf(stderr, "usage: bench-respawn PROGRAM [ARGUMENTS]\n");
    return 2;
  }
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  for (;;) {
    pid_t pid = fork();
    if (pid == 0) {
      execve(argv[1], argv + 1, environ);
      _exit(127);
    }
    if (pid < 0) {
      fprintf(stderr, "bench-respawn: fork: %s\n", strerror(errno));
      return 1;
    }
    child = pid;
    int status;
    if (waitpid(pid, &status, 0) != pid) return 1;
    child = 0;
    if (WIFEXITED(status)) { // it could not be executed, or could not write its record: no use in trying again
      fprintf(stderr, "bench-respawn: %s ended with code %d\n", argv[1], WEXITSTATUS(status));
      return 1;
    }
  }
}
