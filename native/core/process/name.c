// SPDX-License-Identifier: MIT
// Process names. A name is also a file name (spec/<name>) and part of an environment variable, so the rule admits nothing
// that means something there: no slash, no leading dot, no "=", no space.
#include "process/name.h"

#include <stdbool.h>
#include <string.h>

// Not isalpha: its answer depends on the locale.
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool is_name_char(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'; }

int hf_name_check(const char *name, hf_err *err) {
  const char *text = name == NULL ? "" : name;
  size_t length = strnlen(text, HF_NAME_SIZE);
  bool valid = length < HF_NAME_SIZE && is_letter(text[0]);
  for (size_t i = 1; valid && i < length; i++) valid = is_name_char(text[i]);
  if (valid) return 0;
  char shown[128];
  return hf_fail(err, HF_ENAME,
                 "Process name %s is invalid. Process names must begin with a letter, contain only alphanumeric, "
                 "\"_\", \"-\" and \".\" characters, and be less than 32 characters long.",
                 hf_text_show(text, shown, sizeof shown));
}

const char *hf_text_show(const char *text, char *out, size_t size) {
  if (text == NULL) text = "";
  size_t length = strnlen(text, size);
  bool cut = length == size;
  if (cut) {
    length = size - sizeof "...";
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--; // not in the middle of a UTF-8 character
  }
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    out[i] = c < 0x20 || c == 0x7F ? '?' : text[i];
  }
  strcpy(out + length, cut ? "..." : "");
  return out;
}
