// SPDX-License-Identifier: MIT
// What a datagram of the sd_notify protocol says.
#include "supervise/notify.h"

#include "check.h"
#include "random.h"

static hf_notify_message parsed(const char *text) {
  hf_notify_message message;
  CHECK(hf_notify_parse(text, strlen(text), &message));
  return message;
}

TEST(each_key_is_understood_and_nothing_else_is_taken_for_it) {
  hf_notify_message m = parsed("READY=1");
  CHECK(m.ready && !m.reloading && !m.stopping && !m.beat && !m.trigger && !m.has_period && !m.has_extend && !m.has_status);
  m = parsed("RELOADING=1\nMONOTONIC_USEC=12\nSTOPPING=1\nWATCHDOG=1\n");
  CHECK(m.reloading && m.stopping && m.beat && !m.ready && !m.malformed);
  m = parsed("WATCHDOG=trigger");
  CHECK(m.trigger && !m.beat);
  m = parsed("READY=0\nREADY=11\nREADY=\nready=1\n READY=1\nXREADY=1\nWATCHDOG=2\nFDSTORE=1\nno equals sign\n\n");
  CHECK(!m.ready && !m.beat && !m.trigger && !m.malformed);
}

TEST(times_are_numbers_of_microseconds_in_bounds) {
  hf_notify_message m = parsed("WATCHDOG_USEC=2000000\nEXTEND_TIMEOUT_USEC=5");
  CHECK(m.has_period && m.has_extend && !m.malformed);
  CHECK_EQ(m.period_ns, 2000000000);
  CHECK_EQ(m.extend_ns, 5000);
  m = parsed("WATCHDOG_USEC=0");
  CHECK(m.has_period);
  CHECK_EQ(m.period_ns, 0);
  m = parsed("WATCHDOG_USEC=99999999999999999999999999\nEXTEND_TIMEOUT_USEC=18446744073709551615");
  CHECK_EQ(m.period_ns, INT64_C(366) * 86400 * 1000000000);
  CHECK_EQ(m.extend_ns, INT64_C(86400) * 1000000000);
  static const char *const wrong[] = {"WATCHDOG_USEC=", "WATCHDOG_USEC=-1", "WATCHDOG_USEC=1 ", "EXTEND_TIMEOUT_USEC=0x10",
                                      "EXTEND_TIMEOUT_USEC=1e3"};
  for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    m = parsed(wrong[i]);
    CHECK(m.malformed && !m.has_period && !m.has_extend);
  }
  m = parsed("WATCHDOG_USEC=soon\nREADY=1"); // the rest counts
  CHECK(m.malformed && m.ready);
}

TEST(what_is_no_text_is_refused_whole) {
  hf_notify_message m;
  static char large[HF_NOTIFY_BYTES_MAX + 1];
  CHECK(!hf_notify_parse("", 0, &m));
  CHECK(!hf_notify_parse("\0", 1, &m));
  CHECK(!hf_notify_parse("READY=1\0STATUS=x", 16, &m));
  CHECK(!m.ready);
  CHECK(hf_notify_parse("READY=1\0", 8, &m)); // the end of a string that was sent along
  CHECK(m.ready);
  memset(large, 'a', sizeof large);
  CHECK(!hf_notify_parse(large, sizeof large, &m));
  CHECK(hf_notify_parse(large, sizeof large - 1, &m));
}

static const char *text_of(const char *text) {
  static char out[HF_STATUS_TEXT_SIZE];
  hf_notify_text(text, strlen(text), out, sizeof out);
  return out;
}

TEST(a_status_can_be_shown_whatever_was_sent) {
  CHECK_STR(parsed("STATUS=42 requests, grüß Gott").status, "42 requests, grüß Gott");
  CHECK_STR(parsed("STATUS=").status, "");
  CHECK_STR(text_of("a\tb\x1b[31m\x7f"), "a?b?[31m?");
  CHECK_STR(text_of("c1: \xc2\x9b.31m"), "c1: ?.31m");
  CHECK_STR(text_of("\xff\xfe ok"), "?? ok");
  CHECK_STR(text_of("\xc0\xaf"), "??");           // too long a form of '/'
  CHECK_STR(text_of("\xed\xa0\x80"), "???");      // a surrogate
  CHECK_STR(text_of("\xf4\x90\x80\x80"), "????"); // past the last character
  CHECK_STR(text_of("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80");
  CHECK_STR(text_of("cut \xe2\x82"), "cut ??");
  // Cut at a character: 62 letters leave one byte, and the next character has two.
  char in[80], expected[80];
  memset(in, 'x', 62);
  strcpy(in + 62, "üy");
  memset(expected, 'x', 62);
  expected[62] = 0;
  CHECK_STR(text_of(in), expected);
  memset(in, 'x', 70);
  in[70] = 0;
  CHECK_EQ(strlen(text_of(in)), HF_STATUS_TEXT_SIZE - 1);
}

TEST(random_bytes_do_no_harm) {
  random_begin("random_bytes_do_no_harm");
  for (int round = 0; round < 20000; round++) {
    char bytes[300];
    size_t size = random_below(sizeof bytes);
    static const char *const heads[] = {"STATUS=", "WATCHDOG_USEC=", "EXTEND_TIMEOUT_USEC=", "READY=1\n", ""};
    const char *head = heads[random_below(5)];
    for (size_t i = 0; i < size; i++) bytes[i] = (char)random_next();
    if (size >= strlen(head)) memcpy(bytes, head, strlen(head));
    hf_notify_message m;
    if (!hf_notify_parse(bytes, size, &m)) continue;
    CHECK(memchr(m.status, 0, sizeof m.status) != NULL);
    for (const char *c = m.status; *c; c++) CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
    char again[HF_STATUS_TEXT_SIZE];
    hf_notify_text(m.status, strlen(m.status), again, sizeof again);
    CHECK_STR(again, m.status); // what may be shown stays as it is
    if (check_failures) return;
  }
}

CHECK_MAIN
