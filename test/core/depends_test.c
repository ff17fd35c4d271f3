// SPDX-License-Identifier: MIT
// Circles among definitions.
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "process/depends.h"
#include "random.h"

#define MANY 300

static hf_spec pool[MANY];
static const hf_spec *specs[MANY];

// "web db cache" defines web, which depends on db and cache.
static void define(int index, const char *words) {
  hf_spec *spec = &pool[index];
  memset(spec, 0, sizeof *spec);
  int used = 0;
  sscanf(words, "%31s%n", spec->name, &used);
  for (words += used; sscanf(words, "%31s%n", spec->depends[spec->depends_count], &used) == 1; words += used)
    spec->depends_count++;
  specs[index] = spec;
}

static int check_all(int count, const char *const *lines, hf_err *err) {
  for (int i = 0; i < count; i++) define(i, lines[i]);
  return hf_depends_check(specs, count, err);
}
#define CHECK_ALL(err, ...)                                                                                                  \
  check_all((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__}, err)

TEST(no_circle) {
  hf_err err;
  CHECK_EQ(hf_depends_check(NULL, 0, &err), 0);
  CHECK_EQ(CHECK_ALL(&err, "a"), 0);
  CHECK_EQ(CHECK_ALL(&err, "a b", "b c", "c"), 0);
  CHECK_EQ(CHECK_ALL(&err, "a b c", "b d", "c d", "d"), 0); // two ways to d are no circle
  CHECK_EQ(CHECK_ALL(&err, "d", "c d", "b d", "a b c"), 0);
  CHECK_EQ(CHECK_ALL(&err, "a nobody", "b nobody a"), 0);
}

TEST(circles_are_named) {
  hf_err err;
  CHECK_EQ(CHECK_ALL(&err, "a b", "b a"), HF_ECIRCLE);
  CHECK_STR(err.text, "processes depend on each other in a circle: a -> b -> a; remove one of them from dependsOn");
  CHECK_EQ(err.code, HF_ECIRCLE);
  CHECK_EQ(CHECK_ALL(&err, "a a"), HF_ECIRCLE);
  CHECK(strstr(err.text, ": a -> a; ") != NULL);
  CHECK_EQ(CHECK_ALL(&err, "web db", "log", "db log cache", "cache log queue", "queue db"), HF_ECIRCLE);
  CHECK(strstr(err.text, ": db -> cache -> queue -> db; ") != NULL); // web leads there, and is not in it
  CHECK_EQ(CHECK_ALL(NULL, "a b", "b a"), HF_ECIRCLE);
}

TEST(missing_entries_are_skipped) {
  hf_err err;
  define(0, "a b");
  define(2, "b a");
  specs[1] = NULL;
  CHECK_EQ(hf_depends_check(specs, 3, &err), HF_ECIRCLE);
  specs[2] = NULL;
  CHECK_EQ(hf_depends_check(specs, 3, &err), 0);
}

#define A30 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A31 A30 "a"
TEST(a_name_of_31_letters_and_its_beginning_are_two) {
  hf_err err;
  CHECK_EQ(CHECK_ALL(&err, A31 " " A30, A30), 0);
  CHECK_EQ(CHECK_ALL(&err, A31 " " A31), HF_ECIRCLE);
}

// One long circle: 300 links and no recursion, a message that fits, and the number of its members.
TEST(a_long_circle_is_cut_and_counted) {
  hf_err err;
  for (int i = 0; i < MANY; i++) {
    char words[80];
    snprintf(words, sizeof words, "a_process_with_a_long_name.%d a_process_with_a_long_name.%d", i, (i + 1) % MANY);
    define(i, words);
  }
  CHECK_EQ(hf_depends_check(specs, MANY, &err), HF_ECIRCLE);
  CHECK(strstr(err.text, ": a_process_with_a_long_name.0 -> a_process_with_a_long_name.1 -> ") != NULL);
  CHECK(strstr(err.text, " -> ... (300 in all) -> a_process_with_a_long_name.0; remove one") != NULL);
}

// Against the closure of the relation, on random graphs that are thin enough to be free of circles about half of the time.
TEST(random_graphs) {
  random_begin("random_graphs");
  int with = 0, without = 0;
  for (int round = 0; round < 3000; round++) {
    enum { MAX = 12 };
    int count = 1 + (int)random_below(MAX);
    bool reach[MAX][MAX] = {{false}};
    for (int i = 0; i < count; i++) {
      char word[16];
      snprintf(word, sizeof word, "n%d", i);
      define(i, word);
    }
    for (int edges = (int)random_below((uint64_t)count + 1); edges > 0; edges--) {
      uint64_t from = random_below((uint64_t)count), to = random_below((uint64_t)count);
      snprintf(pool[from].depends[pool[from].depends_count++], HF_NAME_SIZE, "n%d", (int)to);
      reach[from][to] = true;
    }
    for (int k = 0; k < count; k++)
      for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) reach[i][j] |= reach[i][k] && reach[k][j];
    bool circle = false;
    for (int i = 0; i < count; i++) circle |= reach[i][i];
    *(circle ? &with : &without) += 1;

    hf_err err;
    CHECK_EQ(hf_depends_check(specs, count, &err), circle ? HF_ECIRCLE : 0);
    if (!circle) continue;
    int previous = -1, first = -1, read = 0, member; // every link of the named circle is a dependency, and it closes
    for (const char *at = strstr(err.text, ": ") + 2; sscanf(at, "n%d%n", &member, &read) == 1; at += 4) {
      if (previous >= 0) {
        bool linked = false;
        for (uint32_t i = 0; i < pool[previous].depends_count; i++) linked |= atoi(pool[previous].depends[i] + 1) == member;
        CHECK(linked);
      } else {
        first = member;
      }
      previous = member;
      at += read;
      if (strncmp(at, " -> ", 4) != 0) break;
    }
    CHECK(first >= 0 && previous == first);
  }
  CHECK(with > 100 && without > 100);
}

CHECK_MAIN
