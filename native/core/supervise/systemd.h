// SPDX-License-Identifier: MIT
// A systemd above holdfastd, told by its protocol of datagrams (Type=notify): that the instance is ready, that it is being stopped,
// which process is the main one, and a sign of life. All calls do nothing, and cost no system call, where there is none.
#ifndef HF_SUPERVISE_SYSTEMD_H
#define HF_SUPERVISE_SYSTEMD_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "segment/layout.h"
#include "supervise/daemon.h"

// In the guardian.
typedef struct hf_systemd {
  int fd; // 0 or less: nobody is to be told
  struct sockaddr_un address;
  socklen_t address_size;
  char dir[HF_DIR_BYTES_MAX + 1];
  bool owes_main, told_ready, told_stopping;
  uint64_t give_up_ns; // what systemd does not take until then it is not told; 0: it has taken all so far
  uint64_t watchdog_ns, look_at_ns, beat_seen;
} hf_systemd;

// Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment and into the options; not into those of an embedded
// manager, whose owner is the one that systemd has started.
void hf_systemd_take(hf_daemon_options *options);
// `main_changed`: this process became the guardian by executing itself, and says at once that it is the main process now.
void hf_systemd_begin(hf_systemd *s, const hf_daemon_options *options, bool main_changed);
// Says what is due: in how many milliseconds to call it again, -1: not before something happens.
int hf_systemd_step(hf_systemd *s, const hf_segment *segment, bool going_down, uint64_t now_ns);

#endif
