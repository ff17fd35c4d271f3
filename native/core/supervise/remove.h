// SPDX-License-Identifier: MIT
#ifndef HF_SUPERVISE_REMOVE_H
#define HF_SUPERVISE_REMOVE_H

// Removes what Holdfast made in an instance directory, and the directory if nothing else is in it (with its parent, if that is
// the user's empty holdfast-<uid>). Files that are not ours stay. The lock is removed last.
void hf_instance_remove(int dir, const char *path);

#endif
