// SPDX-License-Identifier: MIT
// A small harness for the C tests: TEST(name) { CHECK(…); } in any number, CHECK_MAIN at the end of the file. Each test
// prints one line; the last line is `N passed, M failed`. With an argument only tests whose name contains it run.
#ifndef HF_TEST_CHECK_H
#define HF_TEST_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct check_case {
  const char *name;
  void (*body)(void);
  struct check_case *next;
} check_case;

static check_case *check_first, **check_last = &check_first;
static int check_failures;

#define TEST(title)                                                                                                          \
  static void title(void);                                                                                                   \
  __attribute__((constructor)) static void register_##title(void) {                                                          \
    static check_case entry = {#title, title, NULL};                                                                         \
    *check_last = &entry;                                                                                                    \
    check_last = &entry.next;                                                                                                \
  }                                                                                                                          \
  static void title(void)

#define CHECK(condition)                                                                                                     \
  do {                                                                                                                       \
    if (!(condition)) {                                                                                                      \
      check_failures++;                                                                                                      \
      printf("  %s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                                                       \
    }                                                                                                                        \
  } while (0)

#define CHECK_EQ(actual, expected)                                                                                           \
  do {                                                                                                                       \
    int64_t check_a = (int64_t)(actual), check_e = (int64_t)(expected);                                                      \
    if (check_a != check_e) {                                                                                                \
      check_failures++;                                                                                                      \
      printf("  %s:%d: %s is %" PRId64 ", expected %s = %" PRId64 "\n", __FILE__, __LINE__, #actual, check_a, #expected,     \
             check_e);                                                                                                       \
    }                                                                                                                        \
  } while (0)

#define CHECK_STR(actual, expected)                                                                                          \
  do {                                                                                                                       \
    const char *check_a = (actual), *check_e = (expected);                                                                   \
    if (strcmp(check_a, check_e) != 0) {                                                                                     \
      check_failures++;                                                                                                      \
      printf("  %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #actual, check_a, check_e);                     \
    }                                                                                                                        \
  } while (0)

#define CHECK_MAIN                                                                                                           \
  int main(int argc, char **argv) {                                                                                          \
    int passed = 0, failed = 0;                                                                                              \
    for (check_case *each = check_first; each != NULL; each = each->next) {                                                  \
      if (argc > 1 && strstr(each->name, argv[1]) == NULL) continue;                                                         \
      check_failures = 0;                                                                                                    \
      each->body();                                                                                                          \
      printf("%s %s\n", check_failures ? "FAILED" : "ok    ", each->name);                                                   \
      fflush(stdout);                                                                                                        \
      if (check_failures) failed++;                                                                                          \
      else passed++;                                                                                                         \
    }                                                                                                                        \
    printf("%d passed, %d failed\n", passed, failed);                                                                        \
    return failed != 0 || passed == 0;                                                                                       \
  }

#endif
