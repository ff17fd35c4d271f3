// SPDX-License-Identifier: MIT
// Definitions: the encoding, its refusals, and what needs a new process.
#include "process/spec.h"

#include "check.h"
#include "random.h"
#include "spec_fixture.h"

static bool same_list(const char *const *a, const char *const *b) {
  size_t i = 0;
  for (; a[i] != NULL && b[i] != NULL; i++)
    if (strcmp(a[i], b[i]) != 0) return false;
  return a[i] == b[i];
}

TEST(every_member_survives) {
  full();
  size_t size = encode();
  hf_spec_owned *owned;
  CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
  const hf_spec *got = hf_spec_get(owned);
  CHECK_STR(got->name, "web");
  CHECK_EQ(got->start, HF_START_ON_DEMAND);
  CHECK_EQ(got->ready, HF_READY_ALIVE);
  CHECK_EQ(got->restart, HF_RESTART_NEVER);
  CHECK_EQ(got->enabled, 0);
  CHECK_EQ(got->stop_signal, SIGKILL);
  CHECK_EQ(got->stop_timeout_ns, 10000000000);
  CHECK_EQ(got->start_timeout_ns, 60000000000);
  CHECK_EQ(got->alive_for_ns, 1000000000);
  CHECK_EQ(got->heartbeat_ns, 86400000000000);
  CHECK_EQ(got->stopped, HF_STOPPED_FAIL);
  CHECK_EQ(got->backoff_first_ns, 0);
  CHECK_EQ(got->backoff_from_ns, 100000000);
  CHECK_EQ(got->backoff_max_ns, 30000000000);
  CHECK_EQ(got->backoff_reset_after_ns, 60000000000);
  CHECK(got->backoff_factor > 1.4999 && got->backoff_factor < 1.5001);
  CHECK(got->backoff_jitter > 0.2499 && got->backoff_jitter < 0.2501);
  CHECK_EQ(got->limit_count, 64);
  CHECK_EQ(got->limit_within_ns, 31536000000000000);
  CHECK(got->has_user == 1 && got->uid == 1000 && got->gid == 0xfffffffe);
  CHECK(got->group_count == 2 && got->groups[0] == 4 && got->groups[1] == 27);
  CHECK(got->has_umask == 1 && got->umask == 0777 && got->has_nice == 1 && got->nice == -20);
  CHECK_EQ(got->limit_resource_count, 2);
  CHECK(got->limits[0].resource == 7 && got->limits[0].soft == 1024 && got->limits[0].hard == 4096);
  CHECK(got->limits[1].resource == 4 && got->limits[1].soft == UINT64_MAX && got->limits[1].hard == UINT64_MAX);
  CHECK_EQ(got->log_max_bytes, 10 * 1024 * 1024);
  CHECK_EQ(got->log_keep, 5);
  CHECK_STR(got->log_file, "/var/log/web.log");
  CHECK_STR(got->cwd, "/srv/a folder");
  CHECK(same_list(got->argv, argv_full) && same_list(got->env, env_full));
  CHECK_EQ(got->depends_count, 2);
  CHECK_STR(got->depends[0], "db");
  CHECK_STR(got->depends[1], "cache.1");
  hf_spec_free(owned);
}

TEST(what_is_empty_stays_empty) {
  small();
  size_t size = encode();
  hf_spec_owned *owned;
  CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
  const hf_spec *got = hf_spec_get(owned);
  CHECK(got->env[0] == NULL && got->log_file == NULL && got->depends_count == 0 && got->limit_resource_count == 0);
  CHECK(!got->has_user && !got->has_umask && !got->has_nice);
  CHECK(got->ready == HF_READY_AUTO && got->restart == HF_RESTART_ALWAYS && got->enabled == 1);
  CHECK_EQ(got->stop_signal, SIGTERM);
  CHECK_EQ(got->heartbeat_ns, 0);
  CHECK_EQ(got->stopped, HF_STOPPED_WAIT);
  hf_spec_free(owned);
  hf_spec_free(NULL);
}

// The manager compares bytes to see a change: what means the same must be the same bytes, whatever lies in unused members.
TEST(one_definition_has_one_encoding) {
  static uint8_t other[HF_SPEC_BYTES_MAX];
  full();
  size_t size = encode();
  hf_spec copy;
  memset(&copy, 0xff, sizeof copy); // padding too
  full();
#define TAKE(member) memcpy(&copy.member, &spec.member, sizeof copy.member)
  TAKE(start), TAKE(ready), TAKE(restart), TAKE(enabled), TAKE(stop_signal), TAKE(stop_timeout_ns), TAKE(start_timeout_ns);
  TAKE(heartbeat_ns), TAKE(stopped), TAKE(alive_for_ns), TAKE(backoff_first_ns), TAKE(backoff_from_ns), TAKE(backoff_max_ns),
      TAKE(backoff_reset_after_ns);
  TAKE(backoff_factor), TAKE(backoff_jitter), TAKE(limit_count), TAKE(limit_within_ns), TAKE(uid), TAKE(gid);
  TAKE(group_count), TAKE(groups[0]), TAKE(groups[1]), TAKE(umask), TAKE(nice), TAKE(limit_resource_count);
  TAKE(limits[0].resource), TAKE(limits[0].soft), TAKE(limits[0].hard), TAKE(limits[1]), TAKE(log_max_bytes), TAKE(log_keep);
  TAKE(log_file), TAKE(cwd), TAKE(argv), TAKE(env), TAKE(depends_count);
#undef TAKE
  strcpy(copy.name, "web"), strcpy(copy.depends[0], "db"), strcpy(copy.depends[1], "cache.1");
  CHECK_EQ(hf_spec_encode(&copy, other, sizeof other, &err), size);
  CHECK(memcmp(bytes, other, size) == 0);

  small();
  size = encode();
  spec.uid = 7, spec.group_count = 1000, spec.umask = 9999, spec.nice = 99; // their flags are off
  spec.log_file = "";
  static const char *const nothing[] = {NULL};
  spec.env = nothing;
  CHECK_EQ(hf_spec_encode(&spec, other, sizeof other, &err), size);
  CHECK(memcmp(bytes, other, size) == 0);
  spec.backoff_jitter = 0;
  size = encode();
  spec.backoff_jitter = -0.0;
  CHECK_EQ(hf_spec_encode(&spec, other, sizeof other, &err), size);
  CHECK(memcmp(bytes, other, size) == 0);
}

TEST(room_for_the_bytes) {
  full();
  ssize_t size = hf_spec_encode(&spec, NULL, 0, &err);
  CHECK(size > 0);
  memset(bytes, 0xee, sizeof bytes);
  CHECK_EQ(hf_spec_encode(&spec, bytes, (size_t)size - 1, &err), HF_EFULL);
  CHECK(bytes[0] == 0xee && strstr(err.text, "there is room for") != NULL);
  CHECK_EQ(hf_spec_encode(&spec, bytes, (size_t)size, &err), size);
  CHECK(bytes[size] == 0xee);
}

TEST(the_copy_is_read_and_not_the_source) {
  full();
  size_t size = encode();
  hf_spec_owned *owned;
  CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
  memset(bytes, 'x', size);
  CHECK_STR(hf_spec_get(owned)->cwd, "/srv/a folder");
  CHECK(same_list(hf_spec_get(owned)->argv, argv_full));
  hf_spec_free(owned);
}

// The encoder refuses the definition as it stands, with words that are in `text`; then a fresh one is made.
static void refused(const char *text) {
  ssize_t result = hf_spec_encode(&spec, bytes, sizeof bytes, &err);
  CHECK_EQ(result, HF_ESPEC);
  if (result == HF_ESPEC && strstr(err.text, text) == NULL) CHECK_STR(err.text, text);
  CHECK(strchr(err.text, '\n') == NULL);
  CHECK_EQ(hf_spec_encode(&spec, NULL, 0, NULL), HF_ESPEC);
  full();
}
#define REFUSED(change, text)                                                                                                \
  do {                                                                                                                       \
    change;                                                                                                                  \
    refused(text);                                                                                                           \
  } while (0)

TEST(numbers_out_of_range) {
  const uint64_t too_long = UINT64_C(31536000000000001);
  full();
  REFUSED(spec.start = 2, "start of web must be from 0 to 1, and is 2");
  REFUSED(spec.ready = 3, "ready of web");
  REFUSED(spec.restart = 3, "restart of web");
  REFUSED(spec.enabled = 2, "enabled of web");
  REFUSED(spec.stop_signal = 0, "stopSignal of web must be from 1 to 64, and is 0");
  REFUSED(spec.stop_signal = 65, "stopSignal");
  REFUSED(spec.stop_signal = -1, "and is -1");
  REFUSED(spec.stop_timeout_ns = too_long, "stopTimeout of web may be at most 365 days, and is 31536000000000001 ns");
  REFUSED(spec.start_timeout_ns = UINT64_MAX, "startTimeout");
  REFUSED(spec.alive_for_ns = UINT64_C(40000000000000000), "aliveFor of web may be at most 365 days, and is 40000000000 ms");
  REFUSED(spec.backoff_first_ns = too_long, "backoff.first");
  REFUSED(spec.backoff_from_ns = too_long, "backoff.from");
  REFUSED(spec.backoff_max_ns = too_long, "backoff.max");
  REFUSED(spec.backoff_reset_after_ns = too_long, "backoff.resetAfter");
  REFUSED(spec.limit_within_ns = too_long, "limit.within");
  REFUSED(spec.limit_within_ns = 0, "limit.within of web must be above 0");
  REFUSED(spec.limit_count = 65, "limit.count of web must be from 0 to 64, and is 65");
  REFUSED(spec.backoff_factor = 0.99, "backoff.factor of web must be from 1 to 1000, and is 0.99");
  REFUSED(spec.backoff_factor = 1001, "backoff.factor");
  REFUSED(spec.backoff_factor = __builtin_nan(""), "backoff.factor");
  REFUSED(spec.backoff_factor = __builtin_inf(), "backoff.factor");
  REFUSED(spec.backoff_jitter = -0.01, "backoff.jitter");
  REFUSED(spec.backoff_jitter = 1.01, "backoff.jitter of web must be from 0 to 1, and is 1.01");
  REFUSED(spec.umask = 01000, "umask");
  REFUSED(spec.nice = -21, "nice of web must be from -20 to 19, and is -21");
  REFUSED(spec.nice = 20, "nice");
  REFUSED(spec.log_max_bytes = UINT64_MAX, "log.maxSize");
  REFUSED(spec.log_keep = 1001, "log.keep");
  REFUSED(spec.heartbeat_ns = UINT64_C(86400000000001), "heartbeat of web may be at most 1 day, and is 86400000000001 ns");
  REFUSED(spec.heartbeat_ns = 1, "heartbeat of web must be 0 (off) or at least 10 ms, and is 1 ns");
  REFUSED(spec.heartbeat_ns = 9999999, "heartbeat");
  REFUSED(spec.stopped = 2, "stopped of web must be from 0 to 1, and is 2");
  REFUSED(spec.start_timeout_ns = 0, "startTimeout of web must be above 0: within that time somebody must beat");
  spec.heartbeat_ns = 10000000;
  CHECK_EQ(hf_spec_check(&spec, &err), 0);
  spec.heartbeat_ns = 0, spec.start_timeout_ns = 0;
  CHECK_EQ(hf_spec_check(&spec, &err), 0);
}

TEST(other_values_that_are_refused) {
  static char path[5000];
  static const char *const empty[] = {NULL}, *const no_program[] = {"", "a", NULL};
  static const char *const no_equals[] = {"A=b", "SECRET", NULL}, *const no_key[] = {"=x", NULL};
  memset(path, 'a', sizeof path - 1);
  path[0] = '/';
  full();
  REFUSED(strcpy(spec.name, "1x"), "Process name 1x is invalid. Process names must begin");
  REFUSED(memset(spec.name, 'x', sizeof spec.name), "is invalid"); // no zero in it
  REFUSED(spec.cwd = NULL, "cwd of web must be an absolute path, and is \"\"");
  REFUSED(spec.cwd = "srv\n", "cwd of web must be an absolute path, and is \"srv?\"");
  REFUSED(spec.cwd = path, "cwd of web must be shorter than 4096 bytes");
  REFUSED(spec.log_file = "web.log", "log file of web must be an absolute path");
  REFUSED(spec.log_file = path, "log file of web must be shorter than 512 bytes");
  REFUSED(spec.argv = NULL, "run of web is empty: name the program");
  REFUSED(spec.argv = empty, "run of web is empty");
  REFUSED(spec.argv = no_program, "run of web is empty");
  REFUSED(spec.env = no_equals, "env of web must hold KEY=value only: entry 2 has no key");
  REFUSED(spec.env = no_equals, "entry 2");
  CHECK(strstr(err.text, "SECRET") == NULL);
  REFUSED(spec.env = no_key, "entry 1 has no key");
  REFUSED(spec.group_count = 65, "user of web must have at most 64 groups, and has 65");
  REFUSED(spec.uid = UINT32_MAX, "user of web has the number 4294967295");
  REFUSED(spec.groups[1] = UINT32_MAX, "user of web has the number 4294967295");
  REFUSED(spec.limit_resource_count = 17, "limits of web must be at most 16, and are 17");
  REFUSED(spec.limits[0].resource = 16, "the resource number 16, which is none");
  REFUSED(spec.limits[0].resource = 4, "the resource number 4 twice");
  REFUSED(spec.limits[0].soft = 5000, "soft may not be above hard");
  REFUSED(spec.depends_count = 65, "dependsOn of web must be at most 64 names, and is 65");
  REFUSED(strcpy(spec.depends[1], "a/b"), "dependsOn of web: Process name a/b is invalid");
  REFUSED(strcpy(spec.depends[1], "db"), "dependsOn of web has db twice");
  REFUSED(memset(spec.depends[0], 'x', HF_NAME_SIZE), "dependsOn of web: Process name xxx");
}

TEST(a_definition_of_more_than_a_mebibyte) {
  static char big[HF_SPEC_BYTES_MAX];
  static const char *env[] = {big, NULL};
  memset(big, 'x', sizeof big - 1);
  memcpy(big, "BIG=", 4);
  char text[120];
  small();
  size_t base = encode(); // without the text of env
  spec.env = env;
  snprintf(text, sizeof text, "the definition of web takes %zu bytes, and 1048576 are allowed: shorten its env",
           base + sizeof big);
  CHECK_EQ(hf_spec_encode(&spec, bytes, sizeof bytes, &err), HF_ESPEC);
  CHECK(strncmp(err.text, text, strlen(text)) == 0);
  big[HF_SPEC_BYTES_MAX - base - 1] = '\0'; // exactly a mebibyte
  size_t size = encode();
  CHECK_EQ(size, HF_SPEC_BYTES_MAX);
  hf_spec_owned *owned;
  CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
  CHECK_STR(hf_spec_get(owned)->env[0], big);
  hf_spec_free(owned);
  CHECK_EQ(hf_spec_decode(&owned, bytes, size + 1, &err), HF_ESPEC);
}

TEST(too_many_texts) {
  static const char *many[HF_SPEC_STRINGS_MAX + 2];
  for (size_t i = 0; i < HF_SPEC_STRINGS_MAX; i++) many[i] = "K=v";
  small();
  spec.argv = many, spec.env = many;
  size_t size = encode();
  hf_spec_owned *owned;
  CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
  CHECK(same_list(hf_spec_get(owned)->env, many));
  hf_spec_free(owned);
  many[HF_SPEC_STRINGS_MAX] = "K=v";
  REFUSED(spec.argv = argv_small; spec.env = many, "env of web must have at most 65536 variables");
  REFUSED(spec.argv = many, "run of web must have at most 65536 words");
}

static bool same_program(const hf_spec *a, const hf_spec *b) {
  uint64_t left = 0, right = 1;
  CHECK_EQ(hf_spec_program_checksum(a, &left, &err), 0);
  CHECK_EQ(hf_spec_program_checksum(b, &right, &err), 0);
  return left == right;
}

TEST(what_needs_a_new_process) {
  static const char *const argv[] = {"node", "", "other", NULL}, *const shorter[] = {"node", "", NULL};
  static const char *const env[] = {"PATH=/bin", "EMPTY=", "A=b=d", NULL}, *const longer[] = {"PATH=/bin", "EMPTY=", "A=b=c",
                                                                                              "B=", NULL};
  hf_spec a;
  full();
  a = spec;
#define CHANGE(expected, change)                                                                                             \
  do {                                                                                                                       \
    full();                                                                                                                  \
    change;                                                                                                                  \
    CHECK_EQ(same_program(&a, &spec), expected);                                                                             \
    CHECK_EQ(same_program(&spec, &a), expected);                                                                             \
  } while (0)
  CHANGE(false, strcpy(spec.name, "other"));
  CHANGE(false, spec.start = HF_START_AUTO);
  CHANGE(false, spec.argv = argv);
  CHANGE(false, spec.argv = shorter);
  CHANGE(false, spec.env = env);
  CHANGE(false, spec.env = longer);
  CHANGE(false, spec.env = NULL);
  CHANGE(false, spec.cwd = "/");
  CHANGE(false, spec.has_user = 0);
  CHANGE(false, spec.uid = 1);
  CHANGE(false, spec.gid = 1);
  CHANGE(false, spec.group_count = 1);
  CHANGE(false, spec.groups[1] = 1);
  CHANGE(false, spec.has_umask = 0);
  CHANGE(false, spec.umask = 1);
  CHANGE(false, spec.has_nice = 0);
  CHANGE(false, spec.nice = 1);
  CHANGE(false, spec.limit_resource_count = 1);
  CHANGE(false, spec.limits[1].resource = 1);
  CHANGE(false, spec.limits[1].soft = 1);
  CHANGE(false, spec.limits[0].hard = 5000);
  CHANGE(false, spec.heartbeat_ns = 0);
  CHANGE(false, spec.heartbeat_ns = 10000000);

  CHANGE(true, (void)0);
  CHANGE(true, spec.groups[2] = 1; spec.limits[2].soft = 1); // past their counts
  CHANGE(true, spec.stopped = HF_STOPPED_WAIT);
  CHANGE(true, spec.restart = HF_RESTART_ALWAYS; spec.ready = HF_READY_CALL; spec.enabled = 1);
  CHANGE(true, spec.stop_signal = SIGTERM; spec.stop_timeout_ns = 1; spec.start_timeout_ns = 1; spec.alive_for_ns = 1);
  CHANGE(true, spec.backoff_first_ns = spec.backoff_from_ns = spec.backoff_max_ns = spec.backoff_reset_after_ns = 1);
  CHANGE(true, spec.backoff_factor = 3; spec.backoff_jitter = 0; spec.limit_count = 1; spec.limit_within_ns = 1);
  CHANGE(true, spec.log_file = NULL; spec.log_max_bytes = 1; spec.log_keep = 1; spec.depends_count = 0);
  static const char *const nothing[] = {NULL};
  full();
  spec.env = NULL;
  a = spec;
  spec.env = nothing;
  CHECK(same_program(&a, &spec) && same_program(&spec, &a));
}

// Random definitions within the bounds come back as the same bytes.
TEST(random_definitions) {
  static uint8_t again[8192];
  random_begin("random_definitions");
  for (int round = 0; round < 3000; round++) {
    full();
    for (int i = 0; i < HF_SPEC_NUMBER_COUNT; i++) {
      const hf_spec_number *field = &hf_spec_numbers[i];
      uint64_t raw = (uint64_t)field->min + random_below((uint64_t)(field->max - field->min) + 1);
      double real = (double)field->min + (double)random_below(1000) / 1000 * (double)(field->max - field->min);
      if (field->type == HF_SPEC_REAL) memcpy(&raw, &real, sizeof raw);
      hf_spec_number_set(field, &spec, raw);
      CHECK(hf_spec_number_get(field, &spec) == raw);
    }
    if (spec.limit_within_ns == 0) spec.limit_count = 0;
    if (spec.heartbeat_ns < 10000000 || spec.start_timeout_ns == 0) spec.heartbeat_ns = 0;
    uint8_t *const flags[] = {&spec.has_umask, &spec.has_nice, &spec.has_user};
    for (int i = 0; i < 3; i++) *flags[i] = (uint8_t)random_below(2);
    spec.group_count = (uint32_t)random_below(HF_GROUPS_MAX + 1);
    for (uint32_t i = 0; i < spec.group_count; i++) spec.groups[i] = (gid_t)random_below(UINT32_MAX);
    spec.depends_count = (uint32_t)random_below(HF_DEPENDS_MAX + 1);
    for (uint32_t i = 0; i < spec.depends_count; i++) snprintf(spec.depends[i], HF_NAME_SIZE, "p%u", i);
    spec.limit_resource_count = (uint32_t)random_below(HF_LIMITS_MAX + 1);
    for (uint32_t i = 0; i < spec.limit_resource_count; i++) {
      uint64_t hard = random_next();
      spec.limits[i] = (hf_limit){.resource = i, .soft = hard >> random_below(3), .hard = hard};
    }
    size_t size = encode();
    hf_spec_owned *owned;
    CHECK_EQ(hf_spec_decode(&owned, bytes, size, &err), 0);
    if (owned == NULL) return;
    CHECK_EQ(hf_spec_encode(hf_spec_get(owned), again, sizeof again, &err), size);
    CHECK(memcmp(bytes, again, size) == 0);
    CHECK(same_program(&spec, hf_spec_get(owned)));
    hf_spec_free(owned);
  }
}

CHECK_MAIN
