// SPDX-License-Identifier: MIT
// One thread in a report: its JavaScript stack, or why there is none and what the kernel knows instead.
#include "section.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace glue {

void Text::Add(const char *text, size_t length) {
  size_t fits = length < Room() ? length : Room();
  std::memcpy(out_ + length_, text, fits);
  length_ += fits;
  out_[length_] = '\0';
}

void Text::Format(const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int length = std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length > 0) Add(line, static_cast<size_t>(length) < sizeof line ? static_cast<size_t>(length) : sizeof line - 1);
}

// Each line with `before` in front. False where not all of them had room; there is room then to say so.
static bool AddLines(Text &text, const char *before, const char *lines, size_t length) {
  for (size_t i = 0; i < length;) {
    const char *end = static_cast<const char *>(std::memchr(lines + i, '\n', length - i));
    size_t line = end != nullptr ? static_cast<size_t>(end - lines) - i : length - i;
    if (std::strlen(before) + line + sizeof "\n    (cut)\n" > text.Room()) return false;
    text.Add(before, std::strlen(before));
    text.Add(lines + i, line);
    text.Add("\n", 1);
    i += line + 1;
  }
  return true;
}

static const char *WhyNone(pid_t tid, const Answer &answer) {
  if (tid == 0) return "not known: that thread has ended, or it was not started by holdfast";
  if (answer.kind == Answer::kImpossible) return "not known: this Node has no way to ask for it";
  if (answer.kind == Answer::kNotAsked) return "not asked for: too many threads at once";
  if (answer.kind == Answer::kWhole) return "none: it runs no JavaScript";
  if (answer.kind == Answer::kIdle) return "none: it waits for events, and runs no JavaScript";
  return "no answer in 300 ms: it is inside a builtin, a system call or native code";
}

void AddSection(Text &text, const StackTarget &target, pid_t tid, const Answer &answer, bool is_first) {
  text.Format("JavaScript stack of %s (threadId %u, tid %d):\n", target.name, target.thread_id, static_cast<int>(tid));
  if (answer.length > 0) {
    bool fits = AddLines(text, "    at ", answer.frames, answer.length);
    if (!fits || answer.kind == Answer::kCut) text.Format("    (cut)\n");
    return;
  }
  char view[1024];
  text.Format("    %s\n", WhyNone(tid, answer));
  if (is_first || tid == 0) return;
  size_t length = hf_thread_kernel_view(getpid(), tid, view, sizeof view, nullptr);
  AddLines(text, "    ", view, length);
}

} // namespace glue
