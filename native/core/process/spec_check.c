// SPDX-License-Identifier: MIT
// What is asked of the values of a definition, and its fields that are single numbers.
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "process/name.h"
#include "process/spec.h"

#define DURATION_MAX (INT64_C(365) * 24 * 3600 * 1000000000)
#define HEARTBEAT_MIN (INT64_C(10) * 1000000)
#define HEARTBEAT_MAX (INT64_C(24) * 3600 * 1000000000)

#define NUMBER(tag, type, member, has, min, max, duration, key)                                                              \
  {HF_SPEC_TAG_NUMBER_FIRST + (tag),                                                                                         \
   type,                                                                                                                     \
   sizeof((hf_spec *)0)->member,                                                                                             \
   offsetof(hf_spec, member),                                                                                                \
   has,                                                                                                                      \
   duration,                                                                                                                 \
   min,                                                                                                                      \
   max,                                                                                                                      \
   key}
#define PLAIN(tag, member, max, key) NUMBER(tag, HF_SPEC_UNSIGNED, member, 0, 0, max, false, key)
#define DURATION(tag, member, key) NUMBER(tag, HF_SPEC_UNSIGNED, member, 0, 0, DURATION_MAX, true, key)

// A tag is never given to another member, and the order of the tags is the order in the encoding.
const hf_spec_number hf_spec_numbers[HF_SPEC_NUMBER_COUNT] = {
    PLAIN(0, start, HF_START_ON_DEMAND, "start"),
    PLAIN(1, ready, HF_READY_ALIVE, "ready"),
    PLAIN(2, restart, HF_RESTART_NEVER, "restart"),
    PLAIN(3, enabled, 1, "enabled"),
    NUMBER(4, HF_SPEC_SIGNED, stop_signal, 0, 1, NSIG - 1, false, "stopSignal"),
    DURATION(5, stop_timeout_ns, "stopTimeout"),
    DURATION(6, start_timeout_ns, "startTimeout"),
    DURATION(7, alive_for_ns, "aliveFor"),
    DURATION(8, backoff_first_ns, "backoff.first"),
    DURATION(9, backoff_from_ns, "backoff.from"),
    DURATION(10, backoff_max_ns, "backoff.max"),
    DURATION(11, backoff_reset_after_ns, "backoff.resetAfter"),
    NUMBER(12, HF_SPEC_REAL, backoff_factor, 0, 1, 1000, false, "backoff.factor"),
    NUMBER(13, HF_SPEC_REAL, backoff_jitter, 0, 0, 1, false, "backoff.jitter"),
    PLAIN(14, limit_count, HF_LIMIT_COUNT_MAX, "limit.count"),
    DURATION(15, limit_within_ns, "limit.within"),
    NUMBER(16, HF_SPEC_UNSIGNED, umask, offsetof(hf_spec, has_umask), 0, 0777, false, "umask"),
    NUMBER(17, HF_SPEC_SIGNED, nice, offsetof(hf_spec, has_nice), -20, 19, false, "nice"),
    PLAIN(18, log_max_bytes, INT64_C(1) << 50, "log.maxSize"),
    PLAIN(19, log_keep, 1000, "log.keep"),
    NUMBER(20, HF_SPEC_UNSIGNED, heartbeat_ns, 0, 0, HEARTBEAT_MAX, true, "heartbeat"),
    PLAIN(21, stopped, HF_STOPPED_FAIL, "stopped"),
};

bool hf_spec_number_there(const hf_spec_number *field, const hf_spec *spec) {
  return field->has == 0 || ((const uint8_t *)spec)[field->has] != 0;
}

uint64_t hf_spec_number_get(const hf_spec_number *field, const hf_spec *spec) {
  const uint8_t *member = (const uint8_t *)spec + field->offset;
  uint64_t raw;
  if (field->type == HF_SPEC_REAL) {
    double real;
    memcpy(&real, member, sizeof real);
    real += 0.0;
    memcpy(&raw, &real, sizeof raw);
  } else if (field->size == sizeof(uint64_t)) {
    memcpy(&raw, member, sizeof raw);
  } else if (field->type == HF_SPEC_SIGNED) {
    int32_t number;
    memcpy(&number, member, sizeof number);
    raw = (uint64_t)(int64_t)number;
  } else if (field->size == sizeof(uint32_t)) {
    uint32_t number;
    memcpy(&number, member, sizeof number);
    raw = number;
  } else {
    raw = *member;
  }
  return raw;
}

void hf_spec_number_set(const hf_spec_number *field, hf_spec *spec, uint64_t raw) {
  uint8_t *member = (uint8_t *)spec + field->offset;
  uint32_t word = (uint32_t)raw;
  uint8_t byte = (uint8_t)raw;
  if (field->size == sizeof raw) memcpy(member, &raw, sizeof raw);
  else if (field->size == sizeof word) memcpy(member, &word, sizeof word);
  else *member = byte;
  if (field->has != 0) ((uint8_t *)spec)[field->has] = 1;
}

static bool in_range(const hf_spec_number *field, uint64_t raw) {
  if (field->type == HF_SPEC_UNSIGNED) return raw >= (uint64_t)field->min && raw <= (uint64_t)field->max;
  if (field->type == HF_SPEC_SIGNED) return (int64_t)raw >= field->min && (int64_t)raw <= field->max;
  double real;
  memcpy(&real, &raw, sizeof real);
  // No number is neither; the sign bit refuses -0.0, which no encoder writes.
  return real >= (double)field->min && real <= (double)field->max && raw >> 63 == 0;
}

static const char *number_text(const hf_spec_number *field, uint64_t raw, char *out, size_t size) {
  double real;
  memcpy(&real, &raw, sizeof real);
  if (field->type == HF_SPEC_REAL) snprintf(out, size, "%g", real);
  else if (field->type == HF_SPEC_SIGNED) snprintf(out, size, "%" PRId64, (int64_t)raw);
  else if (field->duration && raw % 1000000 == 0) snprintf(out, size, "%" PRIu64 " ms", raw / 1000000);
  else snprintf(out, size, "%" PRIu64 "%s", raw, field->duration ? " ns" : "");
  return out;
}

int hf_spec_number_check(const hf_spec_number *field, uint64_t raw, const char *name, hf_err *err) {
  if (in_range(field, raw)) return 0;
  char value[40];
  number_text(field, raw, value, sizeof value);
  const int64_t day = INT64_C(24) * 3600 * 1000000000;
  if (field->duration)
    return hf_fail(err, HF_ESPEC, "%s of %s may be at most %" PRId64 " day%s, and is %s", field->key, name, field->max / day,
                   field->max == day ? "" : "s", value);
  return hf_fail(err, HF_ESPEC, "%s of %s must be from %" PRId64 " to %" PRId64 ", and is %s", field->key, name, field->min,
                 field->max, value);
}

static int heartbeat_check(const hf_spec *spec, hf_err *err) {
  if (spec->heartbeat_ns == 0) return 0;
  if (spec->heartbeat_ns < (uint64_t)HEARTBEAT_MIN)
    return hf_fail(err, HF_ESPEC, "heartbeat of %s must be 0 (off) or at least 10 ms, and is %" PRIu64 " ns", spec->name,
                   spec->heartbeat_ns);
  if (spec->start_timeout_ns == 0)
    return hf_fail(err, HF_ESPEC, "startTimeout of %s must be above 0: within that time somebody must beat for its heartbeat",
                   spec->name);
  return 0;
}

static int numbers_check(const hf_spec *spec, hf_err *err) {
  for (int i = 0; i < HF_SPEC_NUMBER_COUNT; i++) {
    const hf_spec_number *field = &hf_spec_numbers[i];
    if (!hf_spec_number_there(field, spec)) continue;
    int result = hf_spec_number_check(field, hf_spec_number_get(field, spec), spec->name, err);
    if (result != 0) return result;
  }
  if (spec->limit_count != 0 && spec->limit_within_ns == 0)
    return hf_fail(err, HF_ESPEC, "limit.within of %s must be above 0: limit.count restarts within that time are allowed",
                   spec->name);
  return heartbeat_check(spec, err);
}

static int path_check(const char *key, const char *path, size_t size_max, const char *name, hf_err *err) {
  char shown[120];
  if (path == NULL || path[0] != '/')
    return hf_fail(err, HF_ESPEC, "%s of %s must be an absolute path, and is \"%s\"", key, name,
                   hf_text_show(path, shown, sizeof shown));
  if (strnlen(path, size_max) == size_max)
    return hf_fail(err, HF_ESPEC, "%s of %s must be shorter than %zu bytes; it begins with \"%s\"", key, name, size_max,
                   hf_text_show(path, shown, sizeof shown));
  return 0;
}

static int strings_check(const hf_spec *spec, hf_err *err) {
  if (spec->argv == NULL || spec->argv[0] == NULL || spec->argv[0][0] == '\0')
    return hf_fail(err, HF_ESPEC, "run of %s is empty: name the program and its arguments", spec->name);
  size_t count = 0;
  while (spec->argv[count] != NULL)
    if (++count > HF_SPEC_STRINGS_MAX)
      return hf_fail(err, HF_ESPEC, "run of %s must have at most %u words; pass the rest in a file", spec->name,
                     HF_SPEC_STRINGS_MAX);
  for (count = 0; spec->env != NULL && spec->env[count] != NULL; count++) {
    if (count == HF_SPEC_STRINGS_MAX)
      return hf_fail(err, HF_ESPEC, "env of %s must have at most %u variables; shorten it", spec->name, HF_SPEC_STRINGS_MAX);
    const char *equals = strchr(spec->env[count], '=');
    // Its number only: an environment holds secrets.
    if (equals == NULL || equals == spec->env[count])
      return hf_fail(err, HF_ESPEC, "env of %s must hold KEY=value only: entry %zu has no key, or no \"=\"", spec->name,
                     count + 1);
  }
  return 0;
}

static int user_check(const hf_spec *spec, hf_err *err) {
  if (!spec->has_user) return 0;
  if (spec->group_count > HF_GROUPS_MAX)
    return hf_fail(err, HF_ESPEC, "user of %s must have at most %d groups, and has %u", spec->name, HF_GROUPS_MAX,
                   spec->group_count);
  // (uid_t)-1 means "leave it" to the kernel: the process would keep the manager's.
  bool none = spec->uid == (uid_t)-1 || spec->gid == (gid_t)-1;
  for (uint32_t i = 0; i < spec->group_count; i++) none |= spec->groups[i] == (gid_t)-1;
  if (none) return hf_fail(err, HF_ESPEC, "user of %s has the number 4294967295, which is no user or group", spec->name);
  return 0;
}

static int limits_check(const hf_spec *spec, hf_err *err) {
  if (spec->limit_resource_count > HF_LIMITS_MAX)
    return hf_fail(err, HF_ESPEC, "limits of %s must be at most %d, and are %u", spec->name, HF_LIMITS_MAX,
                   spec->limit_resource_count);
  uint32_t seen = 0;
  for (uint32_t i = 0; i < spec->limit_resource_count; i++) {
    const hf_limit *limit = &spec->limits[i];
    if (limit->resource >= RLIM_NLIMITS)
      return hf_fail(err, HF_ESPEC, "limits of %s has the resource number %u, which is none", spec->name, limit->resource);
    if (seen >> limit->resource & 1u)
      return hf_fail(err, HF_ESPEC, "limits of %s has the resource number %u twice", spec->name, limit->resource);
    if (limit->soft > limit->hard)
      return hf_fail(err, HF_ESPEC, "limits of %s: soft may not be above hard, but is for resource number %u", spec->name,
                     limit->resource);
    seen |= 1u << limit->resource;
  }
  return 0;
}

static int depends_check(const hf_spec *spec, hf_err *err) {
  if (spec->depends_count > HF_DEPENDS_MAX)
    return hf_fail(err, HF_ESPEC, "dependsOn of %s must be at most %d names, and is %u", spec->name, HF_DEPENDS_MAX,
                   spec->depends_count);
  for (uint32_t i = 0; i < spec->depends_count; i++) {
    hf_err inner;
    char name[HF_NAME_SIZE + 1] = "";
    memcpy(name, spec->depends[i], HF_NAME_SIZE);
    if (hf_name_check(name, &inner) != 0) return hf_fail(err, HF_ESPEC, "dependsOn of %s: %s", spec->name, inner.text);
    for (uint32_t j = 0; j < i; j++)
      if (strcmp(spec->depends[j], name) == 0)
        return hf_fail(err, HF_ESPEC, "dependsOn of %s has %s twice", spec->name, name);
  }
  return 0;
}

int hf_spec_check(const hf_spec *spec, hf_err *err) {
  hf_err inner;
  char name[HF_NAME_SIZE + 1] = ""; // the array need not be terminated
  memcpy(name, spec->name, HF_NAME_SIZE);
  if (hf_name_check(name, &inner) != 0) return hf_fail(err, HF_ESPEC, "%s", inner.text);
  int result = numbers_check(spec, err);
  if (result == 0) result = path_check("cwd", spec->cwd, PATH_MAX, spec->name, err);
  if (result == 0 && spec->log_file != NULL && spec->log_file[0] != '\0')
    result = path_check("log file", spec->log_file, HF_SPEC_LOG_PATH_MAX, spec->name, err);
  if (result == 0) result = strings_check(spec, err);
  if (result == 0) result = user_check(spec, err);
  if (result == 0) result = limits_check(spec, err);
  if (result == 0) result = depends_check(spec, err);
  return result;
}
