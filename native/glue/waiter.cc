// SPDX-License-Identifier: MIT
// The waiting thread of an operator.
#include "waiter.h"

#include <csignal>
#include <cstdint>

#include <chrono>

#include "convert.h"

extern "C" {
#include "base/kernel.h"
}

namespace glue {

static constexpr size_t kStackBytes = 64 * 1024;

void *Waiter::Body(void *waiter) {
  static_cast<Waiter *>(waiter)->Run();
  return nullptr;
}

void Waiter::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    if (!has_job_) {
      job_given_.wait(lock);
      continue;
    }
    has_job_ = false;
    lock.unlock();
    intptr_t changed = hf_operator_wait(op_, seen_, timeout_ns_) > 0;
    lock.lock();
    // Not while stopping: the loop's thread answers itself then.
    if (!stopping_) callback_.NonBlockingCall(reinterpret_cast<void *>(changed));
  }
  done_ = true;
  ended_.notify_one();
}

void Waiter::OnAnswer(Napi::Env env, Napi::Function, Waiter *waiter, void *data) {
  // Null env: the environment is going down, and nobody is there to hear.
  if (env != nullptr) waiter->Answer(data != nullptr);
}

void Waiter::Answer(bool changed) {
  if (pending_ == nullptr) return;
  std::unique_ptr<Napi::Promise::Deferred> pending = std::move(pending_);
  Napi::Env env = pending->Env();
  if (running_) callback_.Unref(env);
  owner_.Reset();
  pending->Resolve(Napi::Boolean::New(env, changed));
}

bool Waiter::Start(Napi::Env env, hf_operator *op) {
  op_ = op;
  env_ = env;
  callback_ = Callback::New(env, "holdfast.wait", 0, 1, this);
  callback_.Unref(env);
  // The thread inherits the mask: signals are for the threads of Node.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int result = hf_k_thread_create(&thread_, Body, this, kStackBytes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (result != 0) {
    ThrowSys(env, "pthread_create", "no thread can be made to wait for changes");
    callback_.Abort();
    return false;
  }
  // Hooks run last in, first out: after the thread-safe function's own, so that the thread is gone before it is.
  napi_add_env_cleanup_hook(env, OnExit, this);
  return running_ = true;
}

Napi::Value Waiter::Wait(Napi::Object owner, hf_operator *op, uint32_t seen, int64_t timeout_ns, bool ref) {
  Napi::Env env = owner.Env();
  if (pending_ != nullptr) {
    ThrowType(env, "wait", "called again only when the wait before has ended");
    return Napi::Value();
  }
  if (!running_ && !Start(env, op)) return Napi::Value();
  pending_ = std::make_unique<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
  owner_ = Napi::Persistent(owner);
  SetRef(env, ref);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    seen_ = seen;
    timeout_ns_ = timeout_ns;
    has_job_ = true;
  }
  job_given_.notify_one();
  return pending_->Promise();
}

void Waiter::SetRef(Napi::Env env, bool ref) {
  if (!running_ || pending_ == nullptr) return;
  if (ref) callback_.Ref(env);
  else callback_.Unref(env);
}

void Waiter::Stop() {
  if (!running_) return;
  running_ = false;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    stopping_ = true;
    job_given_.notify_one();
    // A wake just before the thread begins to wait is lost: wake again until it has ended.
    while (!done_) {
      hf_operator_wake(op_);
      ended_.wait_for(lock, std::chrono::milliseconds(1));
    }
  }
  pthread_join(thread_, nullptr);
  napi_remove_env_cleanup_hook(env_, OnExit, this);
  callback_.Abort();
}

} // namespace glue
