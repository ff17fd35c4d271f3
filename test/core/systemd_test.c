// SPDX-License-Identifier: MIT
// holdfastd under a systemd, whose part the test plays: it holds the notification socket, and listens to what is said there.
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon_fixture.h"

#define MS UINT64_C(1000000)

typedef struct unit {
  fixture f;
  int socket;
  char path[80]; // NOTIFY_SOCKET
} unit;

static const char *const sleeper[] = {"sleep", "1000", NULL};

static bool listen_there(unit *u, bool abstract) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  static int number;
  snprintf(u->path, sizeof u->path, abstract ? "@hf-test-%d.%d" : "/tmp/hf-test-notify-%d.%d", (int)getpid(), ++number);
  strcpy(address.sun_path, u->path);
  if (abstract) address.sun_path[0] = 0;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(u->path) + !abstract);
  int on = 1;
  u->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return bind(u->socket, (const struct sockaddr *)&address, size) == 0 &&
         setsockopt(u->socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0;
}

// As systemd starts it: the main process is the guardian. watchdog_pid "": its own; NULL: not set.
static bool begin(unit *u, bool abstract, const char *watchdog_us, const char *watchdog_pid, bool ready_fd) {
  if (!fx_open(&u->f) || !fx_define(&u->f, "web", sleeper) || !listen_there(u, abstract)) return false;
  u->f.guardian = fork();
  if (u->f.guardian == 0) {
    char own[16];
    snprintf(own, sizeof own, "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", u->path, 1);
    if (watchdog_us != NULL) setenv("WATCHDOG_USEC", watchdog_us, 1);
    if (watchdog_pid != NULL) setenv("WATCHDOG_PID", *watchdog_pid ? watchdog_pid : own, 1);
    int ends[2];
    if (ready_fd && pipe(ends) == 0) dup2(ends[1], 60);
    execl(HF_TEST_DAEMON, "holdfastd", "--dir", u->f.dir, "--instance", "test", ready_fd ? "--ready-fd" : NULL, "60", NULL);
    _exit(126);
  }
  return u->f.guardian > 0;
}

static void end(unit *u) {
  fx_close(&u->f);
  close(u->socket);
  if (u->path[0] == '/') unlink(u->path);
}

// The next datagram within that time, "" for none, and who sent it.
static const char *hear(unit *u, int timeout_ms, pid_t *sender) {
  static char text[512];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct ucred))];
  } control;
  struct pollfd there = {u->socket, POLLIN, 0};
  text[0] = 0;
  if (poll(&there, 1, timeout_ms) != 1) return text;
  struct iovec part = {text, sizeof text - 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(u->socket, &message, 0);
  text[got > 0 ? got : 0] = 0;
  struct ucred credentials;
  memcpy(&credentials, CMSG_DATA(&control.align), sizeof credentials);
  if (sender != NULL) *sender = credentials.pid;
  return text;
}

// Waits for a datagram that has `text` in it, and passes over others: when it came, or 0 where none does within that time.
static uint64_t await(unit *u, const char *text, uint64_t timeout_ns, pid_t *sender) {
  uint64_t end_ns = hf_now_mono_ns() + timeout_ns;
  for (uint64_t now; (now = hf_now_mono_ns()) < end_ns;)
    if (strstr(hear(u, (int)((end_ns - now) / MS) + 1, sender), text) != NULL) return hf_now_mono_ns();
  return 0;
}

static hf_instance_status instance_of(unit *u) {
  hf_instance_status instance;
  memset(&instance, 0, sizeof instance);
  hf_operator_instance(u->f.op, &instance, NULL);
  return instance;
}

TEST(ready_and_stopping_are_said_once_each_by_the_main_process) {
  for (int abstract = 0; abstract < 2; abstract++) {
    unit u;
    pid_t sender = 0;
    CHECK(begin(&u, abstract, NULL, NULL, abstract));
    const char *text = hear(&u, 10000, &sender);
    CHECK(strstr(text, "READY=1\n") == text);
    CHECK(strstr(text, "STATUS=") != NULL && strstr(text, u.f.dir) != NULL);
    CHECK_EQ(sender, u.f.guardian);
    CHECK(FX_UNTIL(&u.f, fx_status(&u.f, "web").state == HF_STATE_READY));
    CHECK_STR(hear(&u, 300, NULL), "");
    hf_operator_shutdown(u.f.op, NULL);
    text = hear(&u, 10000, &sender);
    CHECK(strstr(text, "STOPPING=1\n") == text);
    CHECK_EQ(sender, u.f.guardian);
    CHECK_EQ(fx_down(&u.f), 0);
    CHECK_STR(hear(&u, 0, NULL), "");
    end(&u);
  }
}

TEST(a_signal_to_the_main_process_is_a_stop_too) {
  unit u;
  CHECK(begin(&u, false, NULL, NULL, false));
  CHECK(await(&u, "READY=1", 10000 * MS, NULL));
  CHECK_EQ(kill(u.f.guardian, SIGTERM), 0);
  CHECK(await(&u, "STOPPING=1", 10000 * MS, NULL));
  int status = -1;
  CHECK_EQ(waitpid(u.f.guardian, &status, 0), u.f.guardian);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  u.f.guardian = 0;
  end(&u);
}

TEST(the_sign_of_life_comes_at_half_of_the_time) {
  unit u;
  CHECK(begin(&u, false, "400000", "", false));
  CHECK(await(&u, "READY=1", 10000 * MS, NULL));
  uint64_t last = await(&u, "WATCHDOG=1", 400 * MS, NULL), first = last;
  CHECK(last != 0);
  for (int i = 0; i < 10; i++) {
    uint64_t at = await(&u, "WATCHDOG=1", 1000 * MS, NULL);
    CHECK(at != 0 && at - last < 400 * MS); // never later than systemd allows
    last = at;
  }
  CHECK(last - first > 1500 * MS); // 10 times 200 ms: not more often than it must be
  CHECK_EQ(fx_down(&u.f), 0);
  end(&u);
}

TEST(there_is_none_while_the_manager_is_stopped) {
  unit u;
  CHECK(begin(&u, true, "400000", NULL, false));
  CHECK(await(&u, "WATCHDOG=1", 10000 * MS, NULL));
  pid_t manager = instance_of(&u).manager_pid;
  CHECK_EQ(kill(manager, SIGSTOP), 0);
  (void)await(&u, "WATCHDOG=1", 300 * MS, NULL); // for the last time that it beat
  CHECK_EQ(await(&u, "WATCHDOG=1", 1500 * MS, NULL), 0);
  CHECK_EQ(kill(manager, SIGCONT), 0);
  CHECK(await(&u, "WATCHDOG=1", 1000 * MS, NULL));
  CHECK_EQ(kill(manager, SIGKILL), 0); // the next one beats as well
  (void)await(&u, "WATCHDOG=1", 300 * MS, NULL);
  uint64_t last = hf_now_mono_ns();
  for (int i = 0; i < 5; i++) {
    uint64_t at = await(&u, "WATCHDOG=1", 1000 * MS, NULL);
    CHECK(at != 0 && at - last < 500 * MS);
    last = at;
  }
  CHECK(instance_of(&u).manager_pid != manager);
  CHECK_EQ(fx_down(&u.f), 0);
  end(&u);
}

TEST(a_watchdog_for_another_process_is_not_ours) {
  unit u;
  CHECK(begin(&u, false, "200000", "1", false));
  CHECK(await(&u, "READY=1", 10000 * MS, NULL));
  CHECK_EQ(await(&u, "WATCHDOG=1", 600 * MS, NULL), 0);
  CHECK_EQ(fx_down(&u.f), 0);
  end(&u);
}

TEST(the_manager_that_becomes_the_guardian_says_that_it_is_the_main_process) {
  unit u;
  CHECK(begin(&u, false, "400000", "", false));
  CHECK(await(&u, "READY=1", 10000 * MS, NULL));
  CHECK(FX_UNTIL(&u.f, fx_status(&u.f, "web").state == HF_STATE_READY));
  pid_t manager = instance_of(&u).manager_pid, sender = 0;
  char expected[32];
  uint64_t before = hf_now_mono_ns();
  CHECK_EQ(kill(u.f.guardian, SIGKILL), 0);
  CHECK_EQ(waitpid(u.f.guardian, NULL, 0), u.f.guardian);
  u.f.guardian = 0;
  snprintf(expected, sizeof expected, "MAINPID=%d\n", (int)manager);
  uint64_t at = await(&u, expected, 5000 * MS, &sender);
  CHECK(at != 0);
  printf("  MAINPID came %.1f ms after the death\n", (double)(at - before) / 1e6);
  CHECK_EQ(sender, manager);
  CHECK(await(&u, "READY=1", 5000 * MS, &sender)); // as soon as it has a manager
  CHECK_EQ(sender, manager);
  uint64_t last = hf_now_mono_ns();
  for (int i = 0; i < 5; i++) {
    at = await(&u, "WATCHDOG=1", 1000 * MS, &sender);
    CHECK(at != 0 && at - last < 400 * MS);
    CHECK_EQ(sender, manager);
    last = at;
  }
  hf_operator_shutdown(u.f.op, NULL);
  CHECK(await(&u, "STOPPING=1", 5000 * MS, NULL));
  CHECK(fx_gone(manager));
  end(&u);
}

TEST(nobody_below_sees_its_variables) {
  unit u;
  char text[8192];
  CHECK(begin(&u, false, "60000000", "", false));
  CHECK(FX_UNTIL(&u.f, fx_status(&u.f, "web").state == HF_STATE_READY));
  pid_t pids[] = {instance_of(&u).manager_pid, fx_status(&u.f, "web").pid};
  for (int i = 0; i < 2; i++) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pids[i]);
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    CHECK(got > 0);
    CHECK(memmem(text, (size_t)got, u.path, strlen(u.path)) == NULL);
    CHECK(memmem(text, (size_t)got, "WATCHDOG_", 9) == NULL);
  }
  CHECK_EQ(fx_down(&u.f), 0);
  end(&u);
}

// Times that a process gave up the processor by itself: it does so once for each wait.
static long waits(pid_t pid) {
  char path[48], line[128];
  long count = -1;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) sscanf(line, "voluntary_ctxt_switches: %ld", &count);
  if (file != NULL) fclose(file);
  return count;
}

TEST(without_a_watchdog_an_idle_instance_sleeps) {
  unit u;
  CHECK(begin(&u, false, NULL, NULL, false));
  CHECK(await(&u, "READY=1", 10000 * MS, NULL));
  CHECK(FX_UNTIL(&u.f, fx_status(&u.f, "web").state == HF_STATE_READY));
  usleep(200000);
  hf_instance_status instance = instance_of(&u);
  long guardian = waits(instance.guardian_pid), manager = waits(instance.manager_pid);
  CHECK(guardian > 0 && manager > 0);
  usleep(1000000);
  CHECK_EQ(waits(instance.guardian_pid), guardian);
  CHECK_EQ(waits(instance.manager_pid), manager);
  CHECK_EQ(fx_down(&u.f), 0);
  end(&u);
}

TEST(a_socket_that_nobody_reads_holds_nothing_up) {
  unit u;
  CHECK(begin(&u, false, "400000", "", false));
  close(u.socket); // every message is refused from here on
  CHECK(FX_UNTIL(&u.f, fx_status(&u.f, "web").state == HF_STATE_READY));
  CHECK_EQ(fx_down(&u.f), 0);
  u.socket = -1;
  end(&u);
}

CHECK_MAIN
