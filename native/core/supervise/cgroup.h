// SPDX-License-Identifier: MIT
// A cgroup (version 2) for each process, where one may be made: then its tree can't be left, and is killed at once by the kernel
// (cgroup.kill, Linux 5.14). Everything here is an offer: without it trees are found and killed as tree.h says.
//
// They lie below the manager's own cgroup: holdfast-<device>-<inode of the instance directory>/p.<index>.<incarnation>. Each
// incarnation has one of its own: into one that was ever killed no process can be born on some kernels (seen on 6.18: the child
// is compared with the kill count of its parent's cgroup, and dies at once).
#ifndef HF_SUPERVISE_CGROUP_H
#define HF_SUPERVISE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

// The cgroup of this instance, made if it is missing: a directory descriptor, or -1 where none may be made, or
// where $HOLDFAST_CGROUP is "off".
int hf_cgroup_base(int instance_dir);
// The cgroup of an incarnation below it: a directory descriptor, and its inode in *id; -1 where it can't be made. With `create`
// a new one, else only one that is there.
int hf_cgroup_open(int base, unsigned index, uint32_t incarnation, bool create, uint64_t *id);
// Removes the cgroup of an incarnation, if it is empty.
void hf_cgroup_discard(int base, unsigned index, uint32_t incarnation);
// True if no process of it (or of a cgroup below it) lives; zombies do not count.
bool hf_cgroup_empty(int cgroup);
// Kills all in it, at once and with what they are just forking: false where the kernel refuses.
bool hf_cgroup_kill(int cgroup);
// Removes the cgroups of an instance that are empty.
void hf_cgroup_remove(int instance_dir);

#endif
