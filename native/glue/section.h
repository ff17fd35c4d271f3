// SPDX-License-Identifier: MIT
// The part of a report that tells of one thread. Writes into a buffer of the caller, and allocates nothing.
#ifndef HF_GLUE_SECTION_H
#define HF_GLUE_SECTION_H

#include <sys/types.h>

#include <cstddef>

#include "stack.h"

namespace glue {

// Text that ends where its buffer ends.
class Text {
public:
  Text(char *out, size_t size) : out_(out), size_(size), limit_(size - 1) {}
  size_t length() const { return length_; }
  size_t Room() const { return limit_ - length_; }
  // So many sections are to come: the next gets its share of the room.
  void Limit(unsigned sections) { limit_ = length_ + (size_ - 1 - length_) / sections; }
  void Add(const char *text, size_t length);
  __attribute__((format(printf, 2, 3))) void Format(const char *format, ...);

private:
  char *out_;
  size_t size_, limit_, length_ = 0;
};

// What V8 said of a thread: a frame a line.
struct Answer {
  enum { kWhole, kCut, kNone, kIdle, kNotAsked, kImpossible } kind;
  const char *frames;
  size_t length;
};

// tid 0: the thread is not known. Of the one that was judged, the first, the caller adds the kernel's view.
void AddSection(Text &text, const StackTarget &target, pid_t tid, const Answer &answer, bool is_first);

} // namespace glue

#endif
