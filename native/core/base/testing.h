// SPDX-License-Identifier: MIT
// Faults and deaths on order, in builds for tests only (HF_TESTING): see testing.c.
#ifndef HF_BASE_TESTING_H
#define HF_BASE_TESTING_H

// Sets hf_k_fault and hf_k_point from the environment, for the process that is `role` ("guardian" or "manager").
void hf_testing_begin(const char *role);

#endif
