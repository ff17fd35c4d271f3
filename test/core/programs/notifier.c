// SPDX-License-Identifier: MIT
// Speaks sd_notify as it is told: each argument is a word, some with a value after it.
//   send TEXT     a datagram ("\n" in it is a new line)        helper TEXT   the same from a child that is gone afterwards
//   orphan TEXT   from a grandchild in a session of its own    barrier       sends BARRIER=1 and waits until it is answered
//   beat MS N     WATCHDOG=1 N times, so far apart             flood         STATUS=… without end
//   on-term TEXT  a signal of that kind: sends it, waits 400 ms, exits with 0     on-usr1 TEXT: sends it
//   sleep MS, wait (for ever), exit CODE, touch FILE, once FILE (waits for ever where it exists, else makes it), env FILE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *on_term, *on_usr1;

static void nap(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

// Sends as libraries do: a new socket for each message. `fd` goes along where it is not -1.
static int notify(const char *text, int fd) {
  const char *path = getenv("NOTIFY_SOCKET");
  char bytes[8192];
  size_t n = 0;
  for (; *text && n < sizeof bytes; text++)
    if (text[0] == '\\' && text[1] == 'n') {
      bytes[n++] = '\n';
      text++;
    } else bytes[n++] = *text;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (path == NULL || strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {bytes, n};
  struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  }
  ssize_t sent = sendmsg(s, &message, MSG_NOSIGNAL);
  if (sent < 0) perror("notifier: sendmsg");
  close(s);
  return sent < 0 ? -1 : 0;
}

static void on_signal(int number) {
  if (number == SIGUSR1) {
    notify(on_usr1, -1);
    return;
  }
  notify(on_term, -1);
  nap(400);
  _exit(0);
}

static int barrier(void) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  int sent = notify("BARRIER=1", ends[1]);
  close(ends[1]);
  struct pollfd hangup = {ends[0], 0, 0};
  return sent == 0 && poll(&hangup, 1, 5000) == 1 && (hangup.revents & POLLHUP) ? 0 : -1;
}

static void from_child(const char *text, int twice) {
  pid_t child = fork();
  if (child == 0) {
    if (twice && (setsid() < 0 || fork() != 0)) _exit(0);
    if (twice) nap(50); // its parent is gone then
    _exit(notify(text, -1) != 0);
  }
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
}

static void touch(const char *path) {
  int fd = open(path, O_CREAT | O_WRONLY, 0666);
  if (fd >= 0) close(fd);
}

static void write_env(const char *path) {
  extern char **environ;
  char name[256];
  snprintf(name, sizeof name, "%s.new", path);
  FILE *file = fopen(name, "w");
  for (char **each = environ; file != NULL && *each != NULL; each++) fprintf(file, "%s\n", *each);
  if (file != NULL) fclose(file);
  if (rename(name, path) != 0) exit(90);
}

static void wait_for_ever(void) {
  for (;;) pause();
}

static void flood(void) {
  char text[64];
  for (unsigned long i = 0;; i++) {
    snprintf(text, sizeof text, "STATUS=%lu", i);
    if (notify(text, -1) != 0) nap(1);
  }
}

// Does what the words before `value` say: how many arguments it took.
static int act(const char *word, const char *value, const char *more) {
  struct stat st;
  if (strcmp(word, "wait") == 0) wait_for_ever();
  else if (strcmp(word, "flood") == 0) flood();
  else if (strcmp(word, "barrier") == 0) return barrier() == 0 ? 1 : -1;
  if (value == NULL) return -1;
  if (strcmp(word, "send") == 0) notify(value, -1);
  else if (strcmp(word, "helper") == 0) from_child(value, 0);
  else if (strcmp(word, "orphan") == 0) from_child(value, 1);
  else if (strcmp(word, "on-term") == 0) signal(SIGTERM, on_signal), on_term = value;
  else if (strcmp(word, "on-usr1") == 0) signal(SIGUSR1, on_signal), on_usr1 = value;
  else if (strcmp(word, "sleep") == 0) nap(atol(value));
  else if (strcmp(word, "exit") == 0) exit(atoi(value));
  else if (strcmp(word, "touch") == 0) touch(value);
  else if (strcmp(word, "env") == 0) write_env(value);
  else if (strcmp(word, "once") == 0) {
    if (stat(value, &st) == 0) wait_for_ever();
    touch(value);
  } else if (strcmp(word, "beat") == 0 && more != NULL) {
    for (int i = atoi(more); i > 0; i--) {
      notify("WATCHDOG=1", -1);
      nap(atol(value));
    }
    return 3;
  } else return -1;
  return 2;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc;) {
    int took = act(argv[i], i + 1 < argc ? argv[i + 1] : NULL, i + 2 < argc ? argv[i + 2] : NULL);
    if (took < 0) {
      fprintf(stderr, "notifier: can't %s\n", argv[i]);
      return 91;
    }
    i += took;
  }
}
