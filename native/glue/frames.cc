// SPDX-License-Identifier: MIT
// Lines that V8 prints, one a frame, newest first:
//   spin (/srv/server.cjs:12:3)                              Timeout.tick [as _onTimeout] (file:///srv/server.mjs?v=2:12:3)
//   /srv/server.cjs:12:3                                      a function without a name
//   RegExp.test (<anonymous>)                                 a builtin
//   ev (eval at run (/srv/server.cjs:10:12), <anonymous>:1:16)
#include "frames.h"

#include <cstring>
#include <string_view>

namespace glue {

namespace {

using std::string_view;

struct Frame {
  string_view function, location; // location: file, line and column
};

bool StartsWith(string_view text, string_view start) { return text.substr(0, start.size()) == start; }

// Where ":LINE:COLUMN" begins; npos where the text does not end so.
size_t PositionOf(string_view location) {
  size_t at = location.size();
  for (int numbers = 0; numbers < 2; numbers++) {
    size_t end = at;
    while (at > 0 && location[at - 1] >= '0' && location[at - 1] <= '9') at--;
    if (at == end || at == 0 || location[at - 1] != ':') return string_view::npos;
    at--;
  }
  return at;
}

Frame Parse(string_view line) {
  size_t bracket = line.find(" (");
  if (bracket == string_view::npos || line.back() != ')') return {"<anonymous>", line};
  string_view location = line.substr(bracket + 2, line.size() - bracket - 3);
  // The code itself has no file: where it was evaluated.
  if (StartsWith(location, "eval at ")) {
    location = location.substr(location.rfind('(') + 1);
    location = location.substr(0, location.find(')'));
  }
  string_view function = line.substr(0, bracket);
  return {function.substr(0, function.find(" [as ")), location};
}

enum Owner { kNobody, kNode, kUser };

Owner OwnerOf(const Frame &frame) {
  if (PositionOf(frame.location) == string_view::npos) return kNobody;
  return StartsWith(frame.location, "node:") ? kNode : kUser;
}

string_view BaseName(string_view file) {
  if (StartsWith(file, "file:")) file = file.substr(0, file.find_first_of("?#"));
  return file.substr(StartsWith(file, "node:") ? 0 : file.rfind('/') + 1);
}

// The longest part of at most `size` bytes, from the front or the back, that cuts no character in two.
string_view Front(string_view text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0u) == 0x80) size--;
  return text.substr(0, size);
}
string_view Back(string_view text, size_t size) {
  size_t at = text.size() <= size ? 0 : text.size() - size;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80) at++;
  return text.substr(at);
}

void Write(const Frame &frame, char *out, size_t size) {
  size_t at = PositionOf(frame.location);
  string_view position = at == string_view::npos ? "" : frame.location.substr(at);
  size_t room = size - 1 - sizeof " ()" + 1 - position.size();
  string_view file = Back(BaseName(frame.location.substr(0, at)), room - room / 4);
  string_view function = Front(frame.function, room - file.size());
  for (string_view part : {function, string_view(" ("), file, position, string_view(")")}) {
    std::memcpy(out, part.data(), part.size());
    out += part.size();
  }
  *out = '\0';
}

} // namespace

bool FirstFrame(const char *stack, size_t length, char *out, size_t size) {
  string_view rest(stack, length);
  Frame best = {};
  Owner owner = kNobody;
  while (!rest.empty() && owner != kUser) {
    size_t end = rest.find('\n');
    string_view line = rest.substr(0, end);
    rest = end == string_view::npos ? string_view() : rest.substr(end + 1);
    if (line.empty()) continue;
    Frame frame = Parse(line);
    if (!best.function.empty() && OwnerOf(frame) <= owner) continue;
    best = frame;
    owner = OwnerOf(frame);
  }
  if (best.function.empty()) return false;
  Write(best, out, size);
  return true;
}

} // namespace glue
