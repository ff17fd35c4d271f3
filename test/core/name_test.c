// SPDX-License-Identifier: MIT
// Process names, and the showing of text in messages.
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "holdfast.h"
#include "process/name.h"

static int check(const char *name) { return hf_name_check(name, NULL); }

TEST(names_that_are_valid) {
  CHECK_EQ(check("a"), 0);
  CHECK_EQ(check("Z"), 0);
  CHECK_EQ(check("web.1"), 0);
  CHECK_EQ(check("a_b-c.D9"), 0);
  CHECK_EQ(check("abcdefghijklmnopqrstuvwxyzabcde"), 0); // 31
}

TEST(names_that_are_not) {
  static const char *const names[] = {"",
                                      "1a",
                                      ".a",
                                      "-a",
                                      "_a",
                                      "a b",
                                      "a/b",
                                      "a\n",
                                      " a",
                                      "a=b",
                                      "../",
                                      "\xc3\xa4"
                                      "b",
                                      "a\xc3\xa4",
                                      "a\x7f",
                                      "@",
                                      "[",
                                      "`",
                                      "{",
                                      "a\xff",
                                      "a:",
                                      "abcdefghijklmnopqrstuvwxyzabcdef"}; // 32
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    hf_err err;
    CHECK_EQ(hf_name_check(names[i], &err), HF_ENAME);
    CHECK_EQ(err.code, HF_ENAME);
    CHECK_EQ(err.errnum, 0);
    CHECK(strchr(err.text, '\n') == NULL);
  }
  CHECK_EQ(check(NULL), HF_ENAME);
}

TEST(every_byte_at_the_first_and_the_second_place) {
  for (int c = 1; c < 256; c++) {
    bool letter = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c) != NULL;
    bool inside = letter || strchr("0123456789_-.", c) != NULL;
    char first[] = {(char)c, '\0'}, second[] = {'a', (char)c, '\0'};
    CHECK_EQ(check(first) == 0, letter);
    CHECK_EQ(check(second) == 0, inside);
  }
}

TEST(the_sentence_is_the_documented_one) {
  hf_err err;
  CHECK_EQ(hf_name_check("9lives", &err), HF_ENAME);
  CHECK_STR(err.text, "Process name 9lives is invalid. Process names must begin with a letter, contain only alphanumeric, "
                      "\"_\", \"-\" and \".\" characters, and be less than 32 characters long.");
  CHECK_EQ(hf_name_check("a234567890b234567890c234567890d234567890", &err), HF_ENAME); // of 40 letters: whole
  CHECK(strncmp(err.text, "Process name a234567890b234567890c234567890d234567890 is invalid. ", 66) == 0);
}

TEST(a_huge_name_does_not_hide_the_rule) {
  static char huge[100000];
  memset(huge, 'x', sizeof huge - 1);
  hf_err err;
  CHECK_EQ(hf_name_check(huge, &err), HF_ENAME);
  CHECK(strstr(err.text, "xxx... is invalid. ") != NULL);
  CHECK(strstr(err.text, "less than 32 characters long.") != NULL);
}

TEST(text_is_shown_on_one_line) {
  char out[8];
  CHECK_STR(hf_text_show("a\nb\x1b", out, sizeof out), "a?b?");
  CHECK_STR(hf_text_show(NULL, out, sizeof out), "");
  CHECK_STR(hf_text_show("1234567", out, sizeof out), "1234567");
  CHECK_STR(hf_text_show("12345678", out, sizeof out), "1234...");
  CHECK_STR(hf_text_show("123\xc3\xa4"
                         "678",
                         out, sizeof out),
            "123..."); // not half of a letter
  CHECK_STR(hf_text_show("12\xc3\xa4"
                         "5678",
                         out, sizeof out),
            "12\xc3\xa4..."); // a whole one
  CHECK_STR(hf_text_show("\x80\x80\x80\x80\x80\x80\x80\x80\x80", out, sizeof out), "...");
}

CHECK_MAIN
