// SPDX-License-Identifier: MIT
// Does with its heartbeat what its arguments say, one after the other:
//   register:PERIOD_MS[:GRACE]  many:COUNT:PERIOD_MS  beat:COUNT:EVERY_MS  busy:MS  deregister  thread:PERIOD_MS (registers, and ends)
//   stamp:FILE (when it last beat)  cut (its own file, to nothing)  ready  loadcfg  spin  rest  exit:CODE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "holdfast.h"

enum { OWN_FD = 65, CELLS_MAX = 1000 };

static hf_self *self;
static void *base;
static int cells[CELLS_MAX], count;
static struct timespec last;

static void must(int result) {
  if (result < 0) _exit(90);
}

static void add_cell(const char *name, unsigned long period_ms, unsigned grace) {
  must(cells[count] = hf_cell_claim(name, (pid_t)syscall(SYS_gettid), 0, NULL));
  must(hf_cell_register((uint32_t)cells[count++], period_ms * 1000000, grace, NULL));
  clock_gettime(CLOCK_REALTIME, &last);
}

static void beat(unsigned long times, unsigned long every_ms) {
  struct timespec pause = {(time_t)(every_ms / 1000), (long)(every_ms % 1000 * 1000000)};
  for (unsigned long i = 0; times == 0 || i < times; i++) {
    nanosleep(&pause, NULL);
    for (int c = 0; c < count; c++) hf_cell_beat(base, hf_cell_offset((uint32_t)cells[c]));
    clock_gettime(CLOCK_REALTIME, &last);
  }
}

static void *register_and_end(void *period) {
  add_cell("ender", *(unsigned long *)period, 1);
  return NULL;
}

static void thread(unsigned long period_ms) {
  pthread_t id;
  must(-pthread_create(&id, NULL, register_and_end, &period_ms));
  pthread_join(id, NULL);
}

static void stamp(const char *file) {
  char temporary[256];
  snprintf(temporary, sizeof temporary, "%s.new", file);
  FILE *out = fopen(temporary, "w");
  if (out == NULL) _exit(91);
  fprintf(out, "%lld\n", (long long)last.tv_sec * 1000000000 + last.tv_nsec);
  fclose(out);
  must(rename(temporary, file));
}

static void run(const char *word) {
  unsigned long a = 0, b = 0;
  const char *rest = strchr(word, ':') != NULL ? strchr(word, ':') + 1 : "";
  int numbers = sscanf(rest, "%lu:%lu", &a, &b);
#define IS(text) (strncmp(word, text, strlen(text)) == 0)
  if (IS("register")) add_cell("main", a, numbers == 2 ? (unsigned)b : 1);
  else if (IS("many"))
    while (a-- > 0) add_cell("many", b, 1);
  else if (IS("beat")) beat(a, b);
  else if (IS("busy")) hf_cell_busy((uint32_t)cells[0], a * 1000000, "a long section");
  else if (IS("deregister")) hf_cell_deregister((uint32_t)cells[0]);
  else if (IS("thread")) thread(a);
  else if (IS("stamp")) stamp(rest);
  else if (IS("cut")) must(ftruncate(OWN_FD, 0));
  else if (IS("ready")) must(hf_declare(self, HF_STATE_READY, NULL));
  else if (IS("loadcfg")) must(hf_declare(self, HF_STATE_LOADCFG, NULL));
  else if (IS("spin"))
    for (volatile unsigned turns = 0;; turns++) continue;
  else if (IS("rest"))
    for (;;) pause();
  else if (IS("exit")) syscall(SYS_exit_group, (int)a); // at once: a sanitizer would rest a while first
  else _exit(92);
#undef IS
}

int main(int argc, char **argv) {
  if (hf_attach_quietly(&self, NULL) != 0 || hf_hearts(self, &base, NULL, NULL) != 0) return 93;
  for (int i = 1; i < argc; i++) run(argv[i]);
  return 0;
}
