// SPDX-License-Identifier: MIT
// Programs that speak sd_notify under a real holdfastd: what they say becomes state and text, and what others say in their name does
// not.
#include <sys/socket.h>
#include <sys/un.h>

#include "notify_fixture.h"

static bool logged(const fixture *f, const char *text) {
  static char bytes[65536];
  char path[96];
  snprintf(path, sizeof path, "%s/holdfastd.log", f->log_dir);
  int fd = open(path, O_RDONLY);
  ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof bytes - 1);
  if (fd >= 0) close(fd);
  bytes[got > 0 ? got : 0] = 0;
  return strstr(bytes, text) != NULL;
}

// True if the log has it within 5 s: lines come through a thread of their own.
static bool soon_logged(const fixture *f, const char *text) {
  for (int i = 0; i < 5000 && !logged(f, text); i++) usleep(1000);
  return logged(f, text);
}

// One datagram of this very process, which belongs to nobody there.
static bool send_as_stranger(const fixture *f, const char *bytes, size_t size) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", f->dir);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ssize_t sent = sendto(fd, bytes, size, MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof address);
  close(fd);
  return sent == (ssize_t)size;
}

// ---- states and texts ---------------------------------------------------------------------------------------------------

TEST(ready_reloading_and_status_are_shown) {
  static const char *const argv[] = {NOTIFIER,
                                     "sleep",
                                     "50",
                                     "send",
                                     "READY=1\\nSTATUS=Doing w\tell, 2 of 2",
                                     "sleep",
                                     "50",
                                     "send",
                                     "RELOADING=1",
                                     "barrier",
                                     "on-usr1",
                                     "READY=1\\nSTATUS=again",
                                     "wait",
                                     NULL};
  fixture f;
  CHECK(fx_open(&f) && run(&f, argv));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_LOADCFG && count_states(&f, HF_STATE_READY) == 1));
  hf_process_status s = fx_status(&f, "app");
  CHECK(s.ready_mono_ns >= s.started_mono_ns + 50 * MS);
  CHECK_STR(s.status_text, "Doing w?ell, 2 of 2");
  usleep(50000); // the program installs its handler after that
  CHECK_EQ(kill(s.pid, SIGUSR1), 0);
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  CHECK_STR(fx_status(&f, "app").status_text, "again");
  CHECK_EQ(count_states(&f, HF_STATE_READY), 2);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(ready_counts_before_the_time_of_auto_and_alive_is_over) {
  static const char *const argv[] = {NOTIFIER, "send", "READY=1", "wait", NULL};
  static const char *const loads[] = {NOTIFIER, "send", "RELOADING=1", "sleep", "400", "send", "READY=1", "wait", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "auto", argv);
  spec.ready = HF_READY_AUTO;
  spec.alive_for_ns = 60000 * MS;
  CHECK(define(&f, &spec));
  fx_spec(&f, &spec, "alive", argv);
  spec.ready = HF_READY_ALIVE;
  spec.alive_for_ns = 60000 * MS;
  CHECK(define(&f, &spec));
  fx_spec(&f, &spec, "app", loads); // who speaks of itself is not taken for READY because time passes
  spec.ready = HF_READY_AUTO;
  spec.alive_for_ns = 100 * MS;
  CHECK(define(&f, &spec));
  CHECK(fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "auto").state == HF_STATE_READY && fx_status(&f, "alive").state == HF_STATE_READY));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  hf_process_status s = fx_status(&f, "app");
  CHECK(s.ready_mono_ns >= s.started_mono_ns + 400 * MS);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(the_environment_is_the_managers_and_never_that_of_the_caller) {
  static const char *const env[] = {"PATH=/usr/bin:/bin",
                                    "NOTIFY_SOCKET=/run/systemd/notify",
                                    "WATCHDOG_USEC=1",
                                    "WATCHDOG_PID=1",
                                    "LISTEN_FDS=3",
                                    "LISTEN_PID=1",
                                    "LISTEN_FDNAMES=a",
                                    "NOTIFY_SOCKETS=kept",
                                    NULL};
  char path[80], expected[128], text[4096];
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  snprintf(path, sizeof path, "%s/env", f.log_dir);
  const char *const argv[] = {NOTIFIER, "env", path, "send", "READY=1", "beat", "100", "10000", NULL};
  by_call(&f, &spec, "app", argv);
  spec.env = env;
  spec.heartbeat_ns = 20000 * MS;
  CHECK(define(&f, &spec) && fx_start(&f) && soon_exists(path));
  int fd = open(path, O_RDONLY);
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  text[got > 0 ? got : 0] = 0;
  snprintf(expected, sizeof expected, "NOTIFY_SOCKET=%s/notify\n", f.dir);
  CHECK(strstr(text, expected) != NULL);
  CHECK(strstr(text, "\nWATCHDOG_USEC=20000000\n") != NULL);
  CHECK(strstr(text, "NOTIFY_SOCKETS=kept\n") != NULL);
  CHECK(strstr(text, "systemd") == NULL && strstr(text, "WATCHDOG_PID") == NULL && strstr(text, "LISTEN_") == NULL);
  CHECK(strstr(text, "WATCHDOG_USEC=1\n") == NULL);
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// ---- who speaks ---------------------------------------------------------------------------------------------------------

TEST(descendants_speak_for_their_process) {
  static const char *const argv[] = {
      NOTIFIER, "helper", "STATUS=from a child", "barrier", "sleep", "100", "orphan", "READY=1", "wait", NULL};
  fixture f;
  CHECK(fx_open(&f) && run(&f, argv));
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, "from a child") == 0));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// The manager is stopped while a helper sends and ends. Afterwards only the cgroup can tell whose it was.
static void helper_that_is_gone(bool cgroup) {
  char path[80];
  fixture f;
  CHECK(fx_open(&f));
  snprintf(path, sizeof path, "%s/sent", f.log_dir);
  const char *const argv[] = {NOTIFIER, "sleep", "300", "helper", "READY=1", "touch", path, "wait", NULL};
  CHECK(run(&f, argv));
  CHECK(FX_UNTIL(&f, fx_status(&f, "app").pid > 0));
  pid_t manager = instance_of(&f).manager_pid;
  CHECK_EQ(kill(manager, SIGSTOP), 0);
  CHECK(soon_exists(path));
  CHECK_EQ(kill(manager, SIGCONT), 0);
  if (cgroup) CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  else CHECK(soon_logged(&f, "it had ended before it could be told whose it is"));
  if (!cgroup) CHECK_EQ(app_state(&f), HF_STATE_STARTED);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(a_helper_that_is_gone_is_known_by_its_cgroup) {
  int dir = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC), base = hf_cgroup_base(dir);
  if (base >= 0) helper_that_is_gone(true);
  else printf("  no cgroup may be made here: not tried\n");
  if (base >= 0) close(base);
  hf_cgroup_remove(dir);
  close(dir);
}

TEST(a_helper_that_is_gone_without_a_trace_is_told_of) {
  setenv("HOLDFAST_CGROUP", "off", 1);
  helper_that_is_gone(false);
  unsetenv("HOLDFAST_CGROUP");
}

TEST(strangers_and_nonsense_change_nothing_and_are_told_of_once) {
  static const char *const argv[] = {NOTIFIER, "wait", NULL};
  static char large[5000];
  fixture f;
  CHECK(fx_open(&f) && run(&f, argv));
  CHECK(FX_UNTIL(&f, fx_status(&f, "app").pid > 0));
  for (int i = 0; i < 20; i++) CHECK(send_as_stranger(&f, "READY=1\nSTATUS=spoofed", 22));
  CHECK(soon_logged(&f, "it belongs to no process that runs here"));
  memset(large, 'x', sizeof large);
  CHECK(send_as_stranger(&f, large, sizeof large));
  CHECK(soon_logged(&f, "it is longer than 4096 bytes"));
  CHECK(send_as_stranger(&f, "READY=1\0NOT=1", 13));
  CHECK(soon_logged(&f, "it is no message of KEY=VALUE lines"));
  hf_process_status s = fx_status(&f, "app");
  CHECK_EQ(s.state, HF_STATE_STARTED);
  CHECK_STR(s.status_text, "");
  CHECK_EQ(fx_down(&f), 0);
  char command[160];
  snprintf(command, sizeof command, "test $(grep -c 'is ignored' %s/holdfastd.log) = 3", f.log_dir);
  CHECK_EQ(system(command), 0);
  fx_close(&f);
}

TEST(what_an_incarnation_said_last_does_not_count_for_the_next) {
  char path[80];
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  snprintf(path, sizeof path, "%s/first", f.log_dir);
  const char *const argv[] = {NOTIFIER, "once", path, "sleep", "200", "send", "READY=1\\nSTATUS=old", "exit", "3", NULL};
  by_call(&f, &spec, "app", argv);
  spec.backoff_first_ns = spec.backoff_max_ns = MS;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "app").pid > 0));
  pid_t manager = instance_of(&f).manager_pid, first = fx_status(&f, "app").pid;
  CHECK_EQ(kill(manager, SIGSTOP), 0);
  CHECK(fx_gone(first));
  CHECK_EQ(kill(manager, SIGCONT), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "app").incarnation == 2 && fx_status(&f, "app").pid > 0));
  usleep(100000);
  hf_process_status s = fx_status(&f, "app");
  CHECK_EQ(s.state, HF_STATE_STARTED);
  CHECK_STR(s.status_text, "");
  CHECK_EQ(s.failures[0].exit_code, 3);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(another_user_speaks_through_the_passed_descriptor) {
  if (geteuid() != 0) {
    printf("  only root can try this\n");
    return;
  }
  char path[80], text[4096];
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  CHECK_EQ(chmod(f.log_dir, 0777), 0);
  snprintf(path, sizeof path, "%s/env", f.log_dir);
  const char *const argv[] = {NOTIFIER, "env", path, "helper", "STATUS=it is me", "barrier", "send", "READY=1", "wait", NULL};
  by_call(&f, &spec, "app", argv);
  spec.has_user = true;
  spec.uid = spec.gid = 65534;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  struct stat st;
  CHECK_EQ(stat(path, &st), 0);
  CHECK_EQ(st.st_uid, 65534);
  int fd = open(path, O_RDONLY);
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  text[got > 0 ? got : 0] = 0;
  CHECK(strstr(text, "NOTIFY_SOCKET=/proc/self/fd/67\n") != NULL);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

// Whose a process is says its own file: also where its definition can't be read any more.
TEST(another_user_is_heard_also_without_its_definition) {
  if (geteuid() != 0) {
    printf("  only root can try this\n");
    return;
  }
  static const char *const argv[] = {NOTIFIER, "on-usr1", "STATUS=still me", "send", "READY=1", "wait", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  by_call(&f, &spec, "app", argv);
  spec.has_user = true;
  spec.uid = spec.gid = 65534;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, app_state(&f) == HF_STATE_READY));
  char command[160];
  snprintf(command, sizeof command, "for i in %s/spec/*; do echo spoiled > $i; done", f.dir);
  CHECK_EQ(system(command), 0);
  CHECK_EQ(kill(instance_of(&f).manager_pid, SIGKILL), 0);
  CHECK(FX_UNTIL(&f, instance_of(&f).manager_restarts == 1));
  usleep(100000);
  CHECK_EQ(kill(fx_status(&f, "app").pid, SIGUSR1), 0);
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").status_text, "still me") == 0));
  CHECK_EQ(fx_status(&f, "app").incarnation, 1);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

CHECK_MAIN
