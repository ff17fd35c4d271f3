// SPDX-License-Identifier: MIT
// A thread that waits for changes of one instance, so that the event loop and its pool need not.
//
// It sleeps until it is given a job; waits in hf_operator_wait; hands the answer to the loop by a thread-safe function. It
// touches nothing of JavaScript. Order of death: the thread is joined, then the thread-safe function is aborted (so that no
// answer comes after), and only then may the owner close the operator.
#ifndef HF_GLUE_WAITER_H
#define HF_GLUE_WAITER_H

#include <napi.h>
#include <pthread.h>

#include <condition_variable>
#include <memory>
#include <mutex>

#include "holdfast.h"

namespace glue {

class Waiter {
public:
  ~Waiter() { Stop(); }
  // A promise of whether the change word left `seen` in time. Throws when a wait is under way. `owner` is held until then.
  Napi::Value Wait(Napi::Object owner, hf_operator *op, uint32_t seen, int64_t timeout_ns, bool ref);
  // Whether a wait that is under way keeps the event loop alive.
  void SetRef(Napi::Env env, bool ref);
  // Ends the wait and the thread, without touching JavaScript. Idempotent.
  void Stop();
  // What Stop left pending is answered with false. On the loop's thread.
  void Answer(bool changed);

private:
  bool Start(Napi::Env env, hf_operator *op);
  static void OnExit(void *waiter) { static_cast<Waiter *>(waiter)->Stop(); }
  static void *Body(void *waiter);
  void Run();
  static void OnAnswer(Napi::Env env, Napi::Function, Waiter *waiter, void *data);
  using Callback = Napi::TypedThreadSafeFunction<Waiter, void, OnAnswer>;

  Callback callback_;
  hf_operator *op_ = nullptr;
  pthread_t thread_;
  bool running_ = false;                             // the thread exists; loop's thread only
  std::unique_ptr<Napi::Promise::Deferred> pending_; // loop's thread only
  Napi::ObjectReference owner_;
  napi_env env_ = nullptr;

  std::mutex mutex_; // guards what follows
  std::condition_variable job_given_, ended_;
  bool has_job_ = false, stopping_ = false, done_ = false;
  uint32_t seen_ = 0;
  int64_t timeout_ns_ = 0;
};

} // namespace glue

#endif
