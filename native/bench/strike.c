// SPDX-License-Identifier: MIT
// Kills one service after the other and measures how long each stays away. `bench-strike ROUNDS PAUSE_MS FIFO...`
//
// Each FIFO belongs to one service that somebody keeps alive; each incarnation of it writes a record (first.c). A round kills
// every service once, in an order that turns by one place each round, so that neither load nor clock rate favours a side. A
// sample is the record's time minus the time right before kill(2), on the same clock; one line each: "FIFO-NUMBER NANOSECONDS".
// Strikes are PAUSE_MS apart: so long each replacement has to come to rest.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SERVICES_MAX = 16, PATIENCE_MS = 20000 };

typedef struct service {
  const char *fifo;
  int fd;
  pid_t pid; // of the living incarnation
} service;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void rest(long ms) {
  struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&pause, &pause) != 0 && errno == EINTR) continue;
}

// The next record: its time, or -1 with a line about what is wrong.
static int64_t await_record(service *s) {
  struct pollfd waiting = {s->fd, POLLIN, 0};
  int64_t record[2];
  if (poll(&waiting, 1, PATIENCE_MS) != 1) {
    fprintf(stderr, "bench-strike: nothing came through %s for %d s: is its service kept alive?\n", s->fifo,
            PATIENCE_MS / 1000);
    return -1;
  }
  if (read(s->fd, record, sizeof record) != (ssize_t)sizeof record || record[0] <= 1) {
    fprintf(stderr, "bench-strike: what came through %s is no record\n", s->fifo);
    return -1;
  }
  s->pid = (pid_t)record[0];
  return record[1];
}

static int strike(service *s, int number) {
  pid_t before = s->pid;
  int64_t killed = now_ns();
  if (kill(before, SIGKILL) != 0) {
    fprintf(stderr, "bench-strike: process %d of %s can't be killed: %s\n", (int)before, s->fifo, strerror(errno));
    return -1;
  }
  int64_t began = await_record(s);
  if (began < 0) return -1;
  if (s->pid == before || began < killed) {
    fprintf(stderr, "bench-strike: a record of %s is older than the kill: the service started twice\n", s->fifo);
    return -1;
  }
  printf("%d %lld\n", number, (long long)(began - killed));
  return 0;
}

int main(int argc, char **argv) {
  service services[SERVICES_MAX];
  int count = argc - 3;
  if (count < 1 || count > SERVICES_MAX) {
    fprintf(stderr, "usage: bench-strike ROUNDS PAUSE_MS FIFO... (at most %d)\n", SERVICES_MAX);
    return 2;
  }
  long rounds = strtol(argv[1], NULL, 10), pause_ms = strtol(argv[2], NULL, 10);
  for (int i = 0; i < count; i++) {
    services[i] = (service){.fifo = argv[3 + i], .fd = open(argv[3 + i], O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (services[i].fd < 0) {
      fprintf(stderr, "bench-strike: %s: %s\n", services[i].fifo, strerror(errno));
      return 1;
    }
  }
  for (int i = 0; i < count; i++)
    if (await_record(&services[i]) < 0) return 1;
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      rest(pause_ms);
      int number = (int)((round + i) % count);
      if (strike(&services[number], number) != 0) return 1;
    }
  }
  return 0;
}
