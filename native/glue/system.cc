// SPDX-License-Identifier: MIT
// Questions to the system: directories, users, processes, what the kernel can do.
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

extern "C" {
#include "process/user.h"
}

#include "convert.h"
#include "doors.h"

namespace glue {

namespace {

Napi::Value ResolveDir(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  bool has_dir = !info[0].IsNull(), has_instance = !info[1].IsNull();
  std::string dir = has_dir ? read.String(info[0], "dir") : "";
  std::string instance = has_instance ? read.String(info[1], "instance") : "";
  if (!read.ok()) return Napi::Value();
  char out[HF_DIR_BYTES_MAX + 1];
  hf_err err = {};
  int code =
      hf_dir_resolve(has_dir ? dir.c_str() : nullptr, has_instance ? instance.c_str() : nullptr, out, sizeof out, &err);
  if (code < 0) {
    Throw(env, code, err);
    return Napi::Value();
  }
  return Napi::String::New(env, out);
}

Napi::Value CreateDir(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string dir = read.String(info[0], "dir");
  if (!read.ok()) return Napi::Value();
  hf_err err = {};
  int code = hf_dir_create(dir.c_str(), &err);
  if (code < 0) Throw(env, code, err);
  return env.Undefined();
}

Napi::Value ResolveUser(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  std::string name = read.String(info[0], "name");
  if (!read.ok()) return Napi::Value();
  hf_user user;
  hf_err err = {};
  int code = hf_user_resolve(name.c_str(), &user, &err);
  if (code < 0) {
    Throw(env, code, err);
    return Napi::Value();
  }
  Napi::Array groups = Napi::Array::New(env, user.group_count);
  for (uint32_t i = 0; i < user.group_count; i++) groups.Set(i, user.groups[i]);
  Napi::Object result = Napi::Object::New(env);
  result.Set("uid", user.uid);
  result.Set("gid", user.gid);
  result.Set("groups", groups);
  return result;
}

Napi::Value StartTime(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Reader read(env);
  auto pid = static_cast<pid_t>(read.Number(info[0], "pid", 1, 4194304));
  if (!read.ok()) return Napi::Value();
  uint64_t start_time = 0;
  hf_err err = {};
  int code = hf_start_time(pid, &start_time, &err);
  if (code < 0) {
    Throw(env, code, err);
    return Napi::Value();
  }
  return Napi::Number::New(env, static_cast<double>(start_time));
}

bool HasPidfd() {
  auto fd = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  if (fd >= 0) close(fd);
  return fd >= 0;
}

bool HasMembarrier() {
  long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  return commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0;
}

// The rest of the first line of a file in which `match` says so; "" where there is none.
template <typename Match> std::string FindLine(const char *path, Match match) {
  std::string found;
  FILE *file = std::fopen(path, "re");
  char line[4096];
  while (file != nullptr && found.empty() && std::fgets(line, sizeof line, file) != nullptr) {
    line[std::strcspn(line, "\n")] = '\0';
    found = match(line);
  }
  if (file != nullptr) std::fclose(file);
  return found;
}

// Whether a group may be made below the one that this process is in (version 2), on a kernel that knows cgroup.kill (5.14).
bool HasCgroupKill() {
  std::string mount = FindLine("/proc/self/mountinfo", [](const char *line) {
    char point[1024];
    bool is_version_2 = std::strstr(line, " - cgroup2 ") != nullptr;
    return is_version_2 && std::sscanf(line, "%*s %*s %*s %*s %1023s", point) == 1 ? std::string(point) : std::string();
  });
  std::string group = FindLine("/proc/self/cgroup", [](const char *line) {
    return std::strncmp(line, "0::", 3) == 0 ? std::string(line + 3) : std::string();
  });
  if (mount.empty() || group.empty() || access((mount + group).c_str(), W_OK) != 0) return false;
  struct utsname kernel;
  unsigned major = 0, minor = 0;
  if (uname(&kernel) != 0 || std::sscanf(kernel.release, "%u.%u", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 14);
}

bool HasShm() {
  struct statfs facts;
  return statfs("/dev/shm", &facts) == 0 && facts.f_type == TMPFS_MAGIC;
}

Napi::Value KernelHas(const Napi::CallbackInfo &info) {
  static const struct {
    const char *name;
    bool (*has)();
  } features[] = {{"pidfd", HasPidfd}, {"membarrier", HasMembarrier}, {"cgroup-kill", HasCgroupKill}, {"shm", HasShm}};
  Napi::Env env = info.Env();
  Reader read(env);
  std::string feature = read.String(info[0], "feature");
  for (const auto &entry : features)
    if (feature == entry.name) return Napi::Boolean::New(env, entry.has());
  read.Fail("feature", "pidfd, membarrier, cgroup-kill or shm");
  return Napi::Value();
}

} // namespace

void AddSystem(Napi::Env env, Napi::Object exports) {
  exports.Set("resolveDir", Napi::Function::New<ResolveDir>(env, "resolveDir"));
  exports.Set("createDir", Napi::Function::New<CreateDir>(env, "createDir"));
  exports.Set("resolveUser", Napi::Function::New<ResolveUser>(env, "resolveUser"));
  exports.Set("startTime", Napi::Function::New<StartTime>(env, "startTime"));
  exports.Set("kernelHas", Napi::Function::New<KernelHas>(env, "kernelHas"));
  exports.Set("exec", Napi::Function::New<Exec>(env, "exec"));
}

} // namespace glue
