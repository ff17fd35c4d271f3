// SPDX-License-Identifier: MIT
// Asks V8 for the JavaScript stacks of other threads (Node-API can't: design 6, rules 22 and 23).
//
// An interrupt is a callback that V8 runs in the thread itself, at its next look at the stack guard: in loops, regular
// expressions and waits at once, in a builtin or native code only after it. So the callback may come seconds late, when
// nobody waits any more, or never. What it is given is therefore no pointer but a number: the slot of its answer and the
// generation of the question. Slots are static.
//
//   slot.word: generation << 2 | IDLE, ASKED, WRITING or DONE
//     IDLE -> ASKED     who captures, before the interrupt is requested
//     ASKED -> WRITING  the callback; a word of another generation tells it that it comes too late
//     WRITING -> DONE   the callback, after the text; release, pairs with the acquire of who captures
//     ASKED -> IDLE     who captures, when the time is over. A slot that is WRITING then is not used until its callback ends
//     DONE -> IDLE      who captures, at the next capture
//
// The list of threads is guarded by a mutex that is held across RequestInterrupt, and by the cleanup hook of an environment
// when it takes its entry out: an isolate that is interrupted exists. Nothing here has a destructor: other threads outlive
// exit().
#include "stack.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <streambuf>

extern "C" {
#include "base/kernel.h"
}

#include "frames.h"
#include "section.h"
#include "uv.h"

namespace glue {

namespace {

// ---- V8, by its mangled names --------------------------------------------------------------------------------------------

using Isolate = void; // v8::Isolate, opaque
using Interrupt = void (*)(Isolate *, void *);

struct V8 {
  Isolate *(*get_current)();
  void (*request_interrupt)(Isolate *, Interrupt, void *);
  void (*print)(Isolate *, std::ostream &);                  // up to Node 22
  void (*print_filtered)(Isolate *, std::ostream &, void *); // from Node 24 on; no filter prints every frame
};

template <typename Function> void Find(Function &out, const char *name) {
  out = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

const V8 &FoundV8() {
  static const V8 found = [] {
    V8 v8 = {};
#ifdef __GLIBCXX__ // V8 prints into the std::ostream of libstdc++, which Node is linked with: elsewhere it is another type
    Find(v8.get_current, "_ZN2v87Isolate10GetCurrentEv");
    Find(v8.request_interrupt, "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_");
    Find(v8.print, "_ZN2v87Message22PrintCurrentStackTraceEPNS_7IsolateERSo");
    Find(v8.print_filtered, "_ZN2v87Message22PrintCurrentStackTraceEPNS_7IsolateERSoPFbS2_NS_5LocalINS_6StringEEEE");
#endif
    return v8;
  }();
  return found;
}

// ---- the threads that run JavaScript -------------------------------------------------------------------------------------

struct Thread {
  Isolate *isolate;
  uint32_t thread_id;
  pid_t tid, pid;
  int loop_fd; // what its event loop waits on
  Thread *next;
};

pthread_mutex_t threads_mutex = PTHREAD_MUTEX_INITIALIZER;
Thread *threads; // newest first

Thread *FindThread(uint32_t thread_id) {
  for (Thread *thread = threads; thread != nullptr; thread = thread->next)
    if (thread->thread_id == thread_id && thread->pid == getpid()) return thread;
  return nullptr;
}

void Forget(void *gone) {
  pthread_mutex_lock(&threads_mutex);
  for (Thread **at = &threads; *at != nullptr; at = &(*at)->next) {
    if (*at != gone) continue;
    *at = (*at)->next;
    break;
  }
  pthread_mutex_unlock(&threads_mutex);
  std::free(gone);
}

// ---- answers -------------------------------------------------------------------------------------------------------------

constexpr unsigned kSlots = 64;
constexpr size_t kTextMax = 16 * 1024; // of one thread
constexpr uint64_t kPatienceNs = 300'000'000;
constexpr uint64_t kPrintingNs = 100'000'000; // more, for one that has just begun to print when the time is over
constexpr size_t kEnough = 1024;

enum : uint32_t { kIdle, kAsked, kWriting, kDone };

struct Slot {
  std::atomic<uint32_t> word;
  std::atomic<size_t> length; // of what was printed so far
  char text[kTextMax];
};
Slot slots[kSlots];             // zero: idle; pages that were never used cost nothing
std::atomic<uint32_t> answered; // futex word: moves with every answer
uint32_t generation;            // of the capture mutex

constexpr uint32_t Word(uint32_t of, uint32_t state) { return of << 2 | state; }
constexpr uint32_t State(uint32_t word) { return word & 3u; }

// What V8 prints into: keeps what fits. A deep recursion takes V8 seconds to print (it walks a rope for every character), so
// that each character counts as soon as it is there. No put area: every one of them comes to overflow.
class SlotBuffer : public std::streambuf {
public:
  explicit SlotBuffer(Slot &slot) : slot_(slot) {}

protected:
  int_type overflow(int_type next) override {
    if (next == traits_type::eof() || slot_.length.load(std::memory_order_relaxed) + 2 > kTextMax) return traits_type::eof();
    auto byte = static_cast<unsigned char>(next); // V8 prints Latin-1, and the low byte of any other character
    bool is_control = (byte & 0x7f) < 0x20 || byte == 0x7f;
    if (is_control && byte != '\n') byte = '?';
    if (byte >= 0x80) Put(static_cast<char>(0xc0 | byte >> 6));
    Put(static_cast<char>(byte < 0x80 ? byte : 0x80 | (byte & 0x3f)));
    return next;
  }

private:
  void Put(char next) {
    size_t at = slot_.length.load(std::memory_order_relaxed);
    slot_.text[at] = next;
    slot_.length.store(at + 1, std::memory_order_release); // pairs with the acquire in Length
  }
  Slot &slot_;
};

// In the interrupted thread, within V8: no JavaScript, no exception, nothing that waits.
void OnInterrupt(Isolate *isolate, void *data) {
  auto question = reinterpret_cast<uintptr_t>(data);
  Slot &slot = slots[question % kSlots];
  auto asked = static_cast<uint32_t>(question / kSlots);
  if (!slot.word.compare_exchange_strong(asked, asked - kAsked + kWriting, std::memory_order_acquire)) return;
  const V8 &v8 = FoundV8();
  SlotBuffer buffer(slot);
  std::ostream stream(&buffer);
  if (v8.print_filtered != nullptr) v8.print_filtered(isolate, stream, nullptr);
  else v8.print(isolate, stream);
  slot.word.store(asked - kAsked + kDone, std::memory_order_release); // pairs with the acquire in Answered
  answered.fetch_add(1, std::memory_order_release);
  hf_k_futex_wake(reinterpret_cast<uint32_t *>(&answered));
}

struct Question {
  int slot = -1;        // -1: it was not asked
  pid_t tid = 0;        // 0: the thread is not known
  bool is_idle = false; // it waits in its event loop: if it answered, then with what it happens to do next
};

// A thread that waits in another epoll set, as child_process.execSync does, is not idle.
bool WaitsInItsLoop(pid_t tid, int loop_fd) {
  char view[512], where[HF_WHERE_SIZE] = "";
  hf_thread_kernel_view(getpid(), tid, view, sizeof view, where);
  const char *fd = std::strstr(where, ", fd ");
  return std::strncmp(where, "epoll_", 6) == 0 && fd != nullptr && std::strtol(fd + 5, nullptr, 10) == loop_fd;
}

// Takes a slot, and requests the interrupt.
Question Ask(uint32_t thread_id) {
  Question question;
  pthread_mutex_lock(&threads_mutex);
  Thread *thread = FindThread(thread_id);
  if (thread != nullptr) {
    question.tid = thread->tid;
    question.is_idle = WaitsInItsLoop(thread->tid, thread->loop_fd);
  }
  bool can = thread != nullptr && !question.is_idle && CanCaptureStacks();
  for (unsigned i = 0; can && i < kSlots; i++) {
    uint32_t idle = slots[i].word.load(std::memory_order_relaxed);
    if (State(idle) != kIdle) continue;
    uint32_t word = Word(++generation, kAsked);
    slots[i].length.store(0, std::memory_order_relaxed);
    slots[i].word.store(word, std::memory_order_release);
    FoundV8().request_interrupt(thread->isolate, OnInterrupt, reinterpret_cast<void *>(uintptr_t{word} * kSlots + i));
    question.slot = static_cast<int>(i);
    break;
  }
  pthread_mutex_unlock(&threads_mutex);
  return question;
}

size_t Length(int slot) { return slots[slot].length.load(std::memory_order_acquire); }

bool Answered(int slot) { return slot < 0 || State(slots[slot].word.load(std::memory_order_acquire)) == kDone; }

void FreeAnswered() {
  for (Slot &slot : slots)
    if (State(slot.word.load(std::memory_order_acquire)) == kDone) slot.word.store(kIdle, std::memory_order_relaxed);
}

// True if an answer can still come.
bool Withdraw(int slot) {
  if (slot < 0) return false;
  uint32_t word = slots[slot].word.load(std::memory_order_acquire);
  if (State(word) == kAsked && slots[slot].word.compare_exchange_strong(word, word - kAsked + kIdle)) return false;
  return State(word) == kWriting;
}

template <typename Condition> void WaitUntil(uint64_t deadline_ns, Condition done) {
  for (;;) {
    uint32_t seen = answered.load(std::memory_order_acquire);
    if (done() || hf_now_mono_ns() >= deadline_ns) return;
    hf_k_futex_wait(reinterpret_cast<const uint32_t *>(&answered), seen, deadline_ns);
  }
}

Answer AnswerOf(const Question &question) {
  int slot = question.slot;
  if (question.is_idle) return {Answer::kIdle, nullptr, 0};
  if (!CanCaptureStacks()) return {Answer::kImpossible, nullptr, 0};
  if (slot < 0) return {Answer::kNotAsked, nullptr, 0};
  bool is_done = Answered(slot); // first: then the length is the last one
  size_t length = Length(slot);
  bool is_whole = is_done && length + 2 <= kTextMax;
  return {is_whole ? Answer::kWhole : length > 0 ? Answer::kCut : Answer::kNone, slots[slot].text, length};
}

} // namespace

bool CanCaptureStacks() {
  const V8 &v8 = FoundV8();
  return v8.get_current != nullptr && v8.request_interrupt != nullptr &&
         (v8.print != nullptr || v8.print_filtered != nullptr);
}

pid_t AnnounceThread(napi_env env, uint32_t thread_id) {
  pid_t tid = gettid();
  auto *thread = static_cast<Thread *>(std::malloc(sizeof(Thread)));
  if (thread == nullptr) return tid; // its reports will say that it is not known
  uv_loop_t *loop = nullptr;
  int loop_fd = napi_get_uv_event_loop(env, &loop) == napi_ok ? uv_backend_fd(loop) : -1;
  *thread = {CanCaptureStacks() ? FoundV8().get_current() : nullptr, thread_id, tid, getpid(), loop_fd, nullptr};
  pthread_mutex_lock(&threads_mutex);
  thread->next = threads;
  threads = thread;
  pthread_mutex_unlock(&threads_mutex);
  napi_add_env_cleanup_hook(env, Forget, thread);
  return tid;
}

pid_t KernelThread(uint32_t thread_id) {
  pthread_mutex_lock(&threads_mutex);
  Thread *thread = FindThread(thread_id);
  pid_t tid = thread != nullptr ? thread->tid : 0;
  pthread_mutex_unlock(&threads_mutex);
  return tid;
}

size_t CaptureStacks(const StackTarget *targets, unsigned count, unsigned first_named, uint64_t deadline_mono_ns, char *out,
                     size_t size) {
  static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
  if (size == 0) return 0;
  if (count > kSlots) count = kSlots;
  pthread_mutex_lock(&one_at_a_time);
  FreeAnswered();
  Question asked[kSlots];
  uint64_t deadline_ns = hf_now_mono_ns() + kPatienceNs;
  if (deadline_ns > deadline_mono_ns) deadline_ns = deadline_mono_ns;
  for (unsigned i = 0; i < count; i++) asked[i] = Ask(targets[i].thread_id);
  WaitUntil(deadline_ns, [&] {
    for (unsigned i = 0; i < count; i++)
      if (!Answered(asked[i].slot)) return false;
    return true;
  });
  uint64_t last_ns = hf_now_mono_ns() + kPrintingNs;
  if (last_ns > deadline_mono_ns) last_ns = deadline_mono_ns;
  for (unsigned i = 0; i < count; i++)
    if (!Answered(asked[i].slot) && Withdraw(asked[i].slot))
      WaitUntil(last_ns, [&] { return Answered(asked[i].slot) || Length(asked[i].slot) >= kEnough; });

  Text text(out, size);
  char where[HF_WHERE_SIZE];
  bool is_known = false;
  for (unsigned i = first_named; i < (first_named > 0 ? count : 1) && !is_known; i++)
    is_known = asked[i].slot >= 0 && FirstFrame(slots[asked[i].slot].text, Length(asked[i].slot), where, sizeof where);
  if (!is_known && first_named > 0 && first_named < count && asked[first_named].tid != 0) {
    char view[512];
    is_known = hf_thread_kernel_view(getpid(), asked[first_named].tid, view, sizeof view, where) > 0 && where[0] != '\0';
  }
  text.Format("where: %s\n", is_known ? where : "-");
  for (unsigned i = 0; i < count; i++) {
    text.Limit(count - i);
    AddSection(text, targets[i], asked[i].tid, AnswerOf(asked[i]), i == 0);
  }
  pthread_mutex_unlock(&one_at_a_time);
  return text.length();
}

} // namespace glue
