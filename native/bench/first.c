// SPDX-License-Identifier: MIT
// The service of the C benchmark: says when its main began, then waits to be killed. `bench-first FIFO`.
// It writes 16 bytes: its pid and CLOCK_MONOTONIC in nanoseconds, as two 64-bit numbers. test/bench/first.cjs does the same.
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); // before anything else: this is the moment that is measured
  int64_t record[2] = {getpid(), (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
  int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
  if (fd < 0 || write(fd, record, sizeof record) != (ssize_t)sizeof record) return 1;
  for (;;) pause();
}
