// SPDX-License-Identifier: MIT
// Policies under a real holdfastd: dependencies, on-demand, limits, time-outs, changes of definitions, output, foreground, owners.
#include <sched.h>
#include <sys/mount.h>

#include "daemon_fixture.h"

static const char *const sleeper[] = {"sleep", "1000", NULL};
static const char *const other_sleeper[] = {"sleep", "2000", NULL};

static bool define(fixture *f, hf_spec *spec) {
  hf_err err;
  int result = hf_operator_define(f->op, spec, &err);
  if (result < 0) printf("  %s\n", err.text);
  return result >= 0;
}

static bool read_file(const char *path, char *out, size_t size) {
  int fd = open(path, O_RDONLY);
  ssize_t got = fd < 0 ? -1 : read(fd, out, size - 1);
  if (fd >= 0) close(fd);
  out[got > 0 ? got : 0] = 0;
  return got > 0;
}

TEST(starts_in_the_order_of_dependencies_and_stops_in_the_reverse) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "app", sleeper);
  spec.depends_count = 1;
  strcpy(spec.depends[0], "db");
  CHECK(define(&f, &spec));
  CHECK(fx_start(&f));
  CHECK(FX_UNTIL(&f, strcmp(fx_status(&f, "app").waiting_for, "db") == 0));
  CHECK_EQ(fx_status(&f, "app").state, HF_STATE_STOPPED);
  fx_spec(&f, &spec, "db", sleeper);
  spec.alive_for_ns = 50000000;
  CHECK(define(&f, &spec));
  CHECK(FX_UNTIL(&f, fx_status(&f, "app").state == HF_STATE_READY));
  CHECK(fx_status(&f, "app").started_mono_ns >= fx_status(&f, "db").ready_mono_ns);
  CHECK_STR(fx_status(&f, "app").waiting_for, "");
  // A definition that closes a circle is refused, and names it.
  hf_err err;
  fx_spec(&f, &spec, "db", sleeper);
  spec.depends_count = 1;
  strcpy(spec.depends[0], "app");
  CHECK_EQ(hf_operator_define(f.op, &spec, &err), HF_ECIRCLE);
  CHECK(strstr(err.text, "db") != NULL && strstr(err.text, "app") != NULL);
  hf_event events[256];
  uint64_t next;
  hf_operator_shutdown(f.op, NULL);
  CHECK(FX_UNTIL(&f, fx_status(&f, "db").state == HF_STATE_STOPPED));
  int n = hf_operator_events(f.op, 1, events, 256, &next, NULL);
  int app_stopped = -1, db_stopped = -1;
  for (int i = 0; i < n; i++) {
    if (events[i].type != HF_EVENT_state || events[i].to != HF_STATE_STOPPED) continue;
    if (strcmp(events[i].name, "app") == 0) app_stopped = i;
    else db_stopped = i;
  }
  CHECK(app_stopped >= 0 && db_stopped > app_stopped);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(runs_on_demand_to_completion) {
  static const char *const job[] = {"sh", "-c", "echo done", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "job", job);
  spec.start = HF_START_ON_DEMAND;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK_EQ(fx_status(&f, "job").state, HF_STATE_STOPPED);
  CHECK_EQ(fx_status(&f, "job").incarnation, 0);
  for (unsigned run = 1; run <= 2; run++) {
    int64_t request = hf_operator_request(f.op, "job", HF_REQUEST_START, NULL);
    CHECK(request > 0);
    CHECK(FX_UNTIL(&f, (int64_t)fx_status(&f, "job").request_done >= request &&
                           fx_status(&f, "job").settled_incarnation == run &&
                           fx_status(&f, "job").state == HF_STATE_STOPPED));
    CHECK_EQ(fx_status(&f, "job").failure_count, 0);
  }
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(stays_in_fail_past_the_limit_until_it_is_started) {
  static const char *const fails[] = {"sh", "-c", "exit 9", NULL};
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "bad", fails);
  spec.limit_count = 3;
  spec.limit_within_ns = 60000000000u;
  spec.backoff_from_ns = 1000000;
  spec.alive_for_ns = 5000000000u;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "bad").limited));
  hf_process_status s = fx_status(&f, "bad");
  CHECK_EQ(s.state, HF_STATE_FAIL);
  CHECK_EQ(s.incarnation, 4);
  CHECK_EQ(s.restarts, 3);
  CHECK_EQ(s.failure_count, 4);
  CHECK(hf_operator_request(f.op, "bad", HF_REQUEST_START, NULL) > 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "bad").incarnation == 8 && fx_status(&f, "bad").limited));
  CHECK(hf_operator_request(f.op, "bad", HF_REQUEST_STOP, NULL) > 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "bad").state == HF_STATE_STOPPED));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(fails_what_does_not_become_ready_in_time) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "slow", sleeper);
  spec.ready = HF_READY_CALL;
  spec.start_timeout_ns = 30000000;
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "slow").state == HF_STATE_FAIL));
  CHECK_EQ(fx_status(&f, "slow").failures[0].cause, HF_CAUSE_startTimeout);
  CHECK(fx_status(&f, "slow").failures[0].ran_ns >= 30000000);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(applies_the_difference_of_definitions) {
  fixture f;
  hf_spec spec;
  CHECK(fx_open(&f) && fx_define(&f, "keep", sleeper) && fx_define(&f, "change", sleeper) && fx_define(&f, "gone", sleeper));
  CHECK(fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "keep").state == HF_STATE_READY && fx_status(&f, "change").state == HF_STATE_READY &&
                         fx_status(&f, "gone").state == HF_STATE_READY));
  pid_t keep = fx_status(&f, "keep").pid, change = fx_status(&f, "change").pid, gone = fx_status(&f, "gone").pid;
  fx_spec(&f, &spec, "keep", sleeper);
  spec.stop_timeout_ns = 1000000000;
  CHECK_EQ(hf_operator_define(f.op, &spec, NULL), 1); // policy only: it goes on
  fx_spec(&f, &spec, "change", other_sleeper);
  CHECK_EQ(hf_operator_define(f.op, &spec, NULL), 1);
  CHECK_EQ(hf_operator_remove(f.op, "gone", NULL), 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "change").incarnation == 2 && fx_status(&f, "change").state == HF_STATE_READY &&
                         fx_status(&f, "gone").state == 255));
  CHECK_EQ(fx_status(&f, "keep").pid, keep);
  CHECK(fx_gone(change) && fx_gone(gone));
  CHECK_EQ(fx_status(&f, "change").failure_count, 0);
  CHECK_EQ(hf_operator_define(f.op, &spec, NULL), 0); // the same again
  // A stop survives a changed definition, and a new manager.
  CHECK(hf_operator_request(f.op, "keep", HF_REQUEST_STOP, NULL) > 0);
  CHECK(FX_UNTIL(&f, fx_status(&f, "keep").state == HF_STATE_STOPPED));
  fx_spec(&f, &spec, "keep", other_sleeper);
  CHECK_EQ(hf_operator_define(f.op, &spec, NULL), 1);
  hf_instance_status before, after;
  hf_operator_instance(f.op, &before, NULL);
  CHECK(FX_UNTIL(&f, (hf_operator_instance(f.op, &after, NULL), after.specs_done == after.specs_wanted)));
  kill(before.manager_pid, SIGKILL);
  CHECK(FX_UNTIL(
      &f, (hf_operator_instance(f.op, &after, NULL), after.manager_pid > 0 && after.manager_pid != before.manager_pid)));
  CHECK_EQ(fx_status(&f, "keep").state, HF_STATE_STOPPED);
  CHECK_EQ(fx_status(&f, "keep").incarnation, 1);
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(writes_output_in_order_also_the_last_words) {
  static const char *const talker[] = {"sh", "-c", "echo one; echo two >&2; echo three; exit 5", NULL};
  fixture f;
  hf_spec spec;
  char path[128], text[256];
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "talker", talker);
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "talker").failure_count == 1));
  CHECK_EQ(fx_down(&f), 0);
  snprintf(path, sizeof path, "%s/talker.log", f.log_dir);
  CHECK(read_file(path, text, sizeof text));
  CHECK_STR(text, "one\ntwo\nthree\n");
  snprintf(path, sizeof path, "%s/holdfastd.log", f.log_dir);
  CHECK(read_file(path, text, sizeof text));
  fx_close(&f);
}

// True if a process has that file open.
static bool holds(pid_t pid, const char *file) {
  char path[64], target[256];
  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *entries = opendir(path);
  bool found = false;
  for (struct dirent *entry; entries != NULL && !found && (entry = readdir(entries)) != NULL;) {
    ssize_t length = readlinkat(dirfd(entries), entry->d_name, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    found = strcmp(target, file) == 0;
  }
  if (entries != NULL) closedir(entries);
  return found;
}

TEST(keeps_last_words_while_no_manager_lives) {
  static const char *const talker[] = {"sh", "-c", "read line < /tmp/hf-words.fifo; echo last words; exit 5", NULL};
  fixture f;
  hf_spec spec;
  char path[128], text[256];
  unlink("/tmp/hf-words.fifo");
  CHECK_EQ(mkfifo("/tmp/hf-words.fifo", 0600), 0);
  CHECK(fx_open(&f));
  fx_spec(&f, &spec, "talker", talker);
  spec.restart = HF_RESTART_NEVER;
  CHECK(define(&f, &spec) && fx_start(&f));
  CHECK(FX_UNTIL(&f, fx_status(&f, "talker").state == HF_STATE_READY));
  pid_t pid = fx_status(&f, "talker").pid;
  hf_instance_status instance;
  hf_operator_instance(f.op, &instance, NULL);
  // The guardian has been told of the FIFO, and needs a moment to open it: stopped before, it would hold nothing.
  snprintf(path, sizeof path, "%s/out.0.1", f.dir);
  CHECK(FX_UNTIL(&f, holds(instance.guardian_pid, path)));
  // Neither can do anything while they are stopped; then the manager dies, and the guardian starts another.
  kill(instance.guardian_pid, SIGSTOP);
  kill(instance.manager_pid, SIGKILL);
  int fd = open("/tmp/hf-words.fifo", O_WRONLY);
  CHECK(write(fd, "\n", 1) == 1);
  close(fd);
  CHECK(fx_gone(pid));
  kill(instance.guardian_pid, SIGCONT);
  CHECK(FX_UNTIL(&f, fx_status(&f, "talker").failure_count == 1));
  CHECK_EQ(fx_status(&f, "talker").failures[0].cause, HF_CAUSE_exit);
  CHECK_EQ(fx_status(&f, "talker").failures[0].exit_code, 5);
  CHECK_EQ(fx_down(&f), 0);
  snprintf(path, sizeof path, "%s/talker.log", f.log_dir);
  CHECK(read_file(path, text, sizeof text));
  CHECK_STR(text, "last words\n");
  unlink("/tmp/hf-words.fifo");
  fx_close(&f);
}

TEST(a_second_manager_is_refused) {
  fixture f, g;
  CHECK(fx_open(&f) && fx_define(&f, "web", sleeper) && fx_start(&f));
  g = f;
  CHECK(!fx_start(&g));
  int status;
  CHECK_EQ(waitpid(g.guardian, &status, 0), g.guardian);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  CHECK(FX_UNTIL(&f, fx_status(&f, "web").state == HF_STATE_READY));
  CHECK_EQ(fx_down(&f), 0);
  fx_close(&f);
}

TEST(once_ends_with_the_code_of_the_command) {
  static const char *const exits[] = {"sh", "-c", "exit 7", NULL}, *const killed[] = {"sh", "-c", "kill -TERM $$", NULL};
  for (int i = 0; i < 2; i++) {
    fixture f;
    hf_spec spec;
    int status;
    CHECK(fx_open(&f));
    fx_spec(&f, &spec, "cmd", i ? killed : exits);
    spec.restart = HF_RESTART_NEVER;
    CHECK(define(&f, &spec) && fx_start_with(&f, "--once", "cmd"));
    CHECK_EQ(waitpid(f.guardian, &status, 0), f.guardian);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), i ? 128 + SIGTERM : 7);
    f.guardian = 0;
    CHECK(!fx_exists(f.dir));
    fx_close(&f);
  }
}

TEST(ends_everything_when_its_owner_dies) {
  static const char *const program[] = {HF_TEST_PROGRAMS "/escape", "/tmp/hf-owned.pids", NULL};
  fixture f;
  unlink("/tmp/hf-owned.pids");
  CHECK(fx_open(&f) && fx_define(&f, "tree", program));
  pid_t owner = fork();
  if (owner == 0)
    for (;;) pause();
  char text[16];
  snprintf(text, sizeof text, "%d", (int)owner);
  CHECK(fx_start_with(&f, "--owner", text));
  pid_t pids[3] = {0};
  CHECK(FX_UNTIL(&f, __extension__({
    FILE *file = fopen("/tmp/hf-owned.pids", "r");
    int n = file ? fscanf(file, "%d %d %d", &pids[0], &pids[1], &pids[2]) : 0;
    if (file) fclose(file);
    n == 3;
  })));
  kill(owner, SIGKILL);
  waitpid(owner, NULL, 0);
  for (int i = 0; i < 3; i++) CHECK(fx_gone(pids[i]));
  int status;
  CHECK_EQ(waitpid(f.guardian, &status, 0), f.guardian);
  f.guardian = 0;
  CHECK(!fx_exists(f.dir));
  unlink("/tmp/hf-owned.pids");
  fx_close(&f);
}

// As process 1 of a pid namespace: it reaps strangers and obeys SIGTERM, which an init has to ask for.
static int in_namespace(void *context) {
  fixture *f = context;
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("proc", "/proc", "proc", 0, NULL) != 0) return 125;
  execl(HF_TEST_DAEMON, "holdfastd", "--dir", f->dir, "--instance", "test", (char *)NULL);
  return 126;
}

typedef struct counts {
  int children, zombies;
} counts;

static bool count_child(pid_t pid, void *context) {
  counts *c = context;
  hf_process_facts facts;
  c->children++;
  if (hf_process_facts_read(pid, &facts) == 0 && facts.state == 'Z') c->zombies++;
  return true;
}

TEST(as_process_one_it_reaps_strangers_and_forwards_stop_signals) {
  static const char *const program[] = {
      "sh", "-c", "for i in 1 2 3; do (setsid env -i sh -c 'sleep 0.05' &); done; exec sleep 1000", NULL};
  static char stack[65536];
  fixture f;
  char path[200];
  CHECK(fx_open(&f) && fx_define(&f, "spawner", program));
  hf_operator_close(f.op); // its segment belongs to this pid namespace: the one inside makes its own
  f.op = NULL;
  snprintf(path, sizeof path, "%s/segment", f.dir);
  CHECK_EQ(unlink(path), 0);
  pid_t init = clone(in_namespace, stack + sizeof stack, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, &f);
  if (init < 0) {
    printf("  no pid namespace can be made here: %s\n", strerror(errno));
    CHECK(errno == EPERM);
    fx_close(&f);
    return;
  }
  // The manager, the process, and for a moment its three orphans: all come, and all but two go.
  counts c = {0, 0};
  int most = 0;
  for (int i = 0; i < 10000 && !(most >= 4 && c.children == 2 && c.zombies == 0); i++) {
    usleep(1000);
    c = (counts){0, 0};
    hf_children_each(init, count_child, &c);
    if (c.children > most) most = c.children;
  }
  CHECK(most >= 4);
  CHECK_EQ(c.children, 2);
  CHECK_EQ(c.zombies, 0);
  hf_err err;
  CHECK_EQ(hf_operator_open(&f.op, f.dir, 0, &err), HF_EPIDNS); // from outside it is refused, with the reason
  kill(init, SIGTERM);
  int status = -1;
  CHECK_EQ(waitpid(init, &status, 0), init);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(!fx_exists(f.dir));
  fx_close(&f);
}

CHECK_MAIN
