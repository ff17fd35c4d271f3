// SPDX-License-Identifier: MIT
// holdfastd: the library with a main.
#include "holdfast.h"

int main(int argc, char **argv) { return hf_daemon_main(argc, argv); }
