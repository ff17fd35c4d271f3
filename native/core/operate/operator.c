// SPDX-License-Identifier: MIT
// An operator: whoever defines processes, asks for starts and stops, and reads. It writes spec/, requests and the settings, and
// rings `bell`; everything else it only reads. It needs no manager to read.
#include "operate/operator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kernel.h"
#include "process/depends.h"
#include "process/events.h"
#include "process/identity.h"
#include "process/status.h"
#include "segment/dir.h"
#include "segment/segment.h"
#include "supervise/bell.h"

enum { SETTINGS_BYTES = 8192 };

// A shutdown that was asked for is over when nobody is left to do it: whoever opens the instance to start it anew takes it back.
static void forget_shutdown(hf_operator *op) {
  hf_identity manager = op->segment->header.manager, guardian = op->segment->header.guardian;
  if (!hf_identity_alive(&manager) && !hf_identity_alive(&guardian)) hf_store_release(&op->requests->header.shutdown, 0);
}

int hf_operator_open(hf_operator **out, const char *path, unsigned flags, hf_err *err) {
  hf_operator *op = calloc(1, sizeof *op);
  if (op == NULL) return hf_fail(err, HF_ENOMEM, "out of memory");
  hf_err own;
  if (err == NULL) err = &own;
  bool create = (flags & HF_OPERATOR_CREATE) != 0;
  op->dir = op->spec_dir = op->bell = -1;
  snprintf(op->path, sizeof op->path, "%s", path);
  int failed = op->dir = hf_dir_open(path, create, err);
  if (failed >= 0) failed = 0;
  if (!failed && create) {
    failed = hf_segment_create(op->dir, "default", err); // the manager writes its own name there
    if (!failed && hf_k_mkdirat(op->dir, "spec", 0700) != 0 && errno != EEXIST)
      failed = hf_fail_sys(err, "mkdir", "spec can't be made");
  }
  if (!failed) failed = hf_segment_attach(op->dir, false, &op->segment, err);
  if (failed == HF_EBOOT && create && (failed = hf_segment_discard(op->dir, err)) == 0) {
    failed = hf_segment_create(op->dir, "default", err);
    if (!failed) failed = hf_segment_attach(op->dir, false, &op->segment, err);
  }
  if (!failed) failed = hf_requests_attach(op->dir, true, &op->requests, err);
  if (!failed) {
    op->bell = hf_bell_open(op->dir, "bell", err);
    failed = op->bell < 0 ? op->bell : 0;
  }
  if (!failed) {
    op->spec_dir = hf_k_openat(op->dir, "spec", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (op->spec_dir < 0 && errno != ENOENT) failed = hf_fail_sys(err, "open", "spec can't be opened");
    if (op->spec_dir < 0 && failed == 0 && hf_k_mkdirat(op->dir, "spec", 0700) == 0)
      op->spec_dir = hf_k_openat(op->dir, "spec", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (op->spec_dir < 0 && failed == 0) failed = hf_fail_sys(err, "open", "spec can't be opened");
  }
  if (!failed && create) forget_shutdown(op);
  if (failed == HF_ENOENT) hf_fail(err, HF_ENOENT, "no instance lives in %s: start one with holdfast up", path);
  if (failed) {
    hf_operator_close(op);
    return failed;
  }
  *out = op;
  return 0;
}

void hf_operator_close(hf_operator *op) {
  if (op == NULL) return;
  hf_segment_unmap(op->segment, sizeof *op->segment);
  hf_segment_unmap(op->requests, sizeof *op->requests);
  if (op->bell >= 0) hf_k_close(op->bell);
  if (op->spec_dir >= 0) hf_k_close(op->spec_dir);
  if (op->dir >= 0) hf_k_close(op->dir);
  free(op);
}

// ---- settings -----------------------------------------------------------------------------------------------------------

static int settings_read(hf_operator *op, char text[SETTINGS_BYTES], hf_err *err) {
  ssize_t size = hf_dir_read(op->dir, "instance", text, SETTINGS_BYTES - 1, err);
  text[size > 0 ? size : 0] = 0;
  return size < 0 && size != HF_ENOENT ? (int)size : 0;
}

int hf_operator_setting_get(hf_operator *op, const char *key, char *out, size_t size, hf_err *err) {
  char text[SETTINGS_BYTES], *rest = NULL;
  int failed = settings_read(op, text, err);
  if (failed) return failed;
  size_t length = strlen(key);
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    if (strncmp(line, key, length) != 0 || line[length] != '=') continue;
    if (strlen(line + length + 1) >= size) return hf_fail(err, HF_EFULL, "the setting %s is too long", key);
    snprintf(out, size, "%s", line + length + 1);
    return 0;
  }
  return hf_fail(err, HF_ENOENT, "there is no setting %s", key);
}

int hf_operator_setting_put(hf_operator *op, const char *key, const char *value, hf_err *err) {
  char text[SETTINGS_BYTES], fresh[SETTINGS_BYTES], *rest = NULL;
  if (*key == 0 || strspn(key, "abcdefghijklmnopqrstuvwxyz_") != strlen(key) || strchr(value, '\n') != NULL)
    return hf_fail(err, HF_EINVAL, "a setting is letters and _, its value one line");
  int failed = settings_read(op, text, err);
  if (failed) return failed;
  size_t length = strlen(key), used = 0;
  int n = snprintf(fresh, sizeof fresh, "%s=%s\n", key, value);
  if (n < 0 || (size_t)n >= sizeof fresh) return hf_fail(err, HF_EFULL, "the setting %s is too long", key);
  used = (size_t)n;
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    if (strncmp(line, key, length) == 0 && line[length] == '=') continue;
    n = snprintf(fresh + used, sizeof fresh - used, "%s\n", line);
    if (n < 0 || (size_t)n >= sizeof fresh - used) return hf_fail(err, HF_EFULL, "the settings are too long");
    used += (size_t)n;
  }
  return hf_dir_write(op->dir, "instance", fresh, used, err);
}

// ---- definitions --------------------------------------------------------------------------------------------------------

static void specs_changed(hf_operator *op) {
  // Release: pairs with the acquire in hf__specs_scan.
  atomic_fetch_add_explicit(&op->requests->header.specs_wanted, 1, memory_order_release);
  hf_bell_ring(op->bell, HF_RING_REQUEST);
}

int hf_operator_define(hf_operator *op, const hf_spec *spec, hf_err *err) {
  hf_err own;
  if (err == NULL) err = &own;
  int failed = hf_name_check(spec->name, err);
  if (failed) return failed;
  ssize_t size = hf_spec_encode(spec, NULL, 0, err);
  if (size < 0) return (int)size;
  char *bytes = malloc((size_t)size), *there = malloc(HF_SPEC_BYTES_MAX);
  if (bytes == NULL || there == NULL) failed = hf_fail(err, HF_ENOMEM, "out of memory for the definition of %s", spec->name);
  if (!failed && (size = hf_spec_encode(spec, bytes, (size_t)size, err)) < 0) failed = (int)size;
  ssize_t old = failed ? 0 : hf_dir_read(op->spec_dir, spec->name, there, HF_SPEC_BYTES_MAX, NULL);
  bool same = !failed && old == size && memcmp(bytes, there, (size_t)size) == 0;
  if (!failed && !same) failed = hf__operator_circle(op, spec, err);
  if (!failed && !same) failed = hf_dir_write(op->spec_dir, spec->name, bytes, (size_t)size, err);
  if (!failed) specs_changed(op); // also the same again: whoever wrote it may have died before it could ring
  free(bytes);
  free(there);
  return failed ? failed : !same;
}

int hf_operator_remove(hf_operator *op, const char *name, hf_err *err) {
  int failed = hf_name_check(name, err);
  if (failed) return failed;
  if (hf_k_unlinkat(op->spec_dir, name, 0) != 0) {
    if (errno == ENOENT && hf_status_find(op->segment, name) < 0)
      return hf_fail(err, HF_EUNKNOWN, "no process %s is defined", name);
    if (errno == ENOENT) { // whoever removed it may have died before it could ring
      specs_changed(op);
      return 0;
    }
    return hf_fail_sys(err, "unlink", "the definition of %s can't be removed", name);
  }
  specs_changed(op);
  return 0;
}

// ---- requests -----------------------------------------------------------------------------------------------------------

int64_t hf_operator_request(hf_operator *op, const char *name, hf_request request, hf_err *err) {
  if (request < HF_REQUEST_START || request > HF_REQUEST_RESTART) return hf_fail(err, HF_EINVAL, "there is no such request");
  int index = hf_status_find(op->segment, name);
  if (index < 0) return hf_fail(err, HF_EUNKNOWN, "there is no process %s", name);
  hf_status status;
  hf_status_word word;
  if (!hf_status_read(op->segment, (unsigned)index, &status, &word))
    return hf_fail(err, HF_ETIMEOUT, "the status of %s changes too fast", name);
  uint32_t generation = status.generation & 0xfffffu;
  unsigned wanted = request == HF_REQUEST_STOP || request == HF_REQUEST_STOP_FORCE ? HF_WANTED_STOP + 1 : HF_WANTED_RUN + 1;
  _Atomic uint64_t *slot = &op->requests->slot[index].word;
  uint64_t old = hf_load_relaxed(slot), fresh;
  do {
    bool ours = HF_REQUEST_GENERATION(old) == generation;
    uint32_t count = (ours ? HF_REQUEST_COUNT(old) : 0) + 1, restarts = ours ? HF_REQUEST_RESTARTS(old) : 0;
    if ((count & 0xfffffu) == 0) count = 1;
    if (request == HF_REQUEST_RESTART) restarts++;
    fresh = HF_REQUEST_WORD(generation, count, restarts, request == HF_REQUEST_STOP_FORCE, wanted);
    // Release: pairs with the acquire in hf__request_take.
  } while (!atomic_compare_exchange_weak_explicit(slot, &old, fresh, memory_order_release, memory_order_relaxed));
  hf_bell_ring(op->bell, HF_RING_REQUEST);
  return HF_REQUEST_COUNT(fresh);
}

int hf_operator_shutdown(hf_operator *op, hf_err *err) {
  (void)err;
  hf_store_release(&op->requests->header.shutdown, 1); // pairs with the acquire in take_shutdown
  hf_bell_ring(op->bell, HF_RING_REQUEST);
  return 0;
}

int hf_operator_signal(hf_operator *op, const char *name, int number, hf_err *err) {
  int index = hf_status_find(op->segment, name);
  if (index < 0) return hf_fail(err, HF_EUNKNOWN, "there is no process %s", name);
  hf_status status;
  hf_status_word word;
  (void)hf_status_read(op->segment, (unsigned)index, &status, &word);
  int fd = status.process.pid > 0 ? hf_identity_open(&status.process, err) : HF_EUNKNOWN;
  if (fd < 0) return hf_fail(err, HF_ESYS, "%s does not run: start it first", name);
  int failed =
      hf_k_pidfd_send_signal(fd, number) != 0 ? hf_fail_sys(err, "pidfd_send_signal", "%s can't be signalled", name) : 0;
  hf_k_close(fd);
  return failed;
}

// ---- events and changes -------------------------------------------------------------------------------------------------

int hf_operator_events(hf_operator *op, uint64_t from, hf_event *out, int max, uint64_t *next, hf_err *err) {
  if (max < 0) return hf_fail(err, HF_EINVAL, "a number of events is not negative");
  return hf_events_read(op->segment, from, out, max, next);
}

uint32_t hf_operator_changes(hf_operator *op) { return hf_load_acquire(&op->segment->header.changes); }

int hf_operator_wait(hf_operator *op, uint32_t seen, int64_t timeout_ns) {
  uint64_t deadline = timeout_ns < 0 ? 0 : hf_now_mono_ns() + (uint64_t)timeout_ns;
  uint32_t woken = hf_load_acquire(&op->woken); // pairs with the release in hf_operator_wake
  for (;;) {
    if (hf_load_acquire(&op->segment->header.changes) != seen) return 1;
    if (hf_load_acquire(&op->woken) != woken || hf_load_acquire(&op->closing)) return 0;
    if (deadline != 0 && hf_now_mono_ns() >= deadline) return 0;
    (void)hf_k_futex_wait2((const uint32_t *)&op->segment->header.changes, seen, (const uint32_t *)&op->woken, woken,
                           deadline);
  }
}

void hf_operator_wake(hf_operator *op) {
  hf_store_release(&op->closing, true);
  atomic_fetch_add_explicit(&op->woken, 1, memory_order_release);
  hf_k_futex_wake((uint32_t *)&op->woken);
}
