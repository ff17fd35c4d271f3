// SPDX-License-Identifier: MIT
// The directory and the shared files: created, attached, and refused with the reason.
#include <sys/mount.h>

#include "daemon_fixture.h"
#include "segment/dir.h"
#include "segment/segment.h"

static char place[64];

static const char *fresh(void) {
  static int number;
  snprintf(place, sizeof place, "/dev/shm/hf-segment-%d.%d", (int)getpid(), ++number);
  return place;
}

static void away(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", place);
  CHECK_EQ(system(command), 0);
}

static const char *inside(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", place, name);
  return path;
}

// Opens an instance that may be damaged: the code, with the reason checked for a word.
static int open_again(unsigned flags, const char *word) {
  hf_operator *op = NULL;
  hf_err err = {0};
  int code = hf_operator_open(&op, place, flags, &err);
  if (code == 0) hf_operator_close(op);
  else if (strstr(err.text, word) == NULL) printf("  \"%s\" does not say \"%s\"\n", err.text, word);
  CHECK(code == 0 || strstr(err.text, word) != NULL);
  CHECK(strchr(err.text, '\n') == NULL);
  return code;
}

static void make(void) {
  hf_operator *op = NULL;
  CHECK_EQ(hf_operator_open(&op, fresh(), HF_OPERATOR_CREATE, NULL), 0);
  hf_operator_close(op);
}

// Overwrites bytes of a file at an offset.
static void scribble(const char *name, off_t offset, const void *bytes, size_t size) {
  int fd = open(inside(name), O_WRONLY);
  CHECK(fd >= 0 && pwrite(fd, bytes, size, offset) == (ssize_t)size);
  close(fd);
}

TEST(creates_once_and_attaches) {
  struct stat st;
  make();
  CHECK_EQ(stat(place, &st), 0);
  CHECK_EQ(st.st_mode & 07777, 0700);
  CHECK_EQ(stat(inside("segment"), &st), 0);
  CHECK_EQ(st.st_mode & 07777, 0600);
  CHECK_EQ(st.st_size, (off_t)sizeof(hf_segment));
  CHECK(st.st_blocks * 512 >= (off_t)sizeof(hf_segment)); // reserved, not sparse
  ino_t first = st.st_ino;
  CHECK_EQ(open_again(0, ""), 0);
  CHECK_EQ(open_again(HF_OPERATOR_CREATE, ""), 0);
  CHECK_EQ(stat(inside("segment"), &st), 0);
  CHECK_EQ(st.st_ino, first);
  away();
}

TEST(refuses_what_does_not_exist) {
  fresh();
  CHECK_EQ(open_again(0, "holdfast up"), HF_ENOENT);
  CHECK(!fx_exists(place));
}

TEST(refuses_open_modes) {
  make();
  CHECK_EQ(chmod(place, 0750), 0);
  CHECK_EQ(open_again(0, "chmod 700"), HF_EMODE);
  CHECK_EQ(chmod(place, 0700), 0);
  CHECK_EQ(chmod(inside("segment"), 0644), 0);
  CHECK_EQ(open_again(0, "mode 0644"), HF_EMODE);
  away();
}

TEST(refuses_other_owners) {
  if (geteuid() != 0) return;
  make();
  CHECK_EQ(chown(inside("segment"), 65534, 65534), 0);
  CHECK_EQ(open_again(0, "belongs to user 65534"), HF_EOWNER);
  CHECK_EQ(chown(place, 65534, 65534), 0);
  CHECK_EQ(open_again(HF_OPERATOR_CREATE, "belongs to user 65534"), HF_EOWNER);
  away();
}

TEST(refuses_links_on_the_way) {
  make();
  char real[80], link_path[96];
  snprintf(real, sizeof real, "%s", place);
  snprintf(link_path, sizeof link_path, "%s.link", place);
  CHECK_EQ(symlink(real, link_path), 0);
  snprintf(place, sizeof place, "%.60s", link_path);
  CHECK_EQ(open_again(0, "symbolic link"), HF_ELINK);
  CHECK_EQ(unlink(link_path), 0);
  snprintf(place, sizeof place, "%.60s", real);
  CHECK_EQ(rename(inside("segment"), "/dev/shm/hf-segment-moved"), 0);
  CHECK_EQ(symlink("/dev/shm/hf-segment-moved", inside("segment")), 0);
  CHECK_EQ(open_again(0, "symbolic link"), HF_ELINK);
  CHECK_EQ(unlink("/dev/shm/hf-segment-moved"), 0);
  away();
}

TEST(refuses_a_disk) {
  snprintf(place, sizeof place, "/tmp/hf-segment-%d", (int)getpid());
  struct statfs fs;
  CHECK_EQ(statfs("/tmp", &fs), 0);
  if (fs.f_type == 0x01021994) return; // here /tmp is in memory
  CHECK_EQ(mkdir(place, 0700), 0);
  CHECK_EQ(open_again(HF_OPERATOR_CREATE, "tmpfs"), HF_ENOTTMPFS);
  setenv("HOLDFAST_ANY_FILESYSTEM", "1", 1);
  CHECK_EQ(open_again(HF_OPERATOR_CREATE, ""), 0);
  unsetenv("HOLDFAST_ANY_FILESYSTEM");
  away();
}

TEST(refuses_damaged_files) {
  static const char *const names[] = {"segment", "requests"};
  uint64_t wrong = 0x1234567890abcdefu;
  for (int i = 0; i < 2; i++) {
    make();
    scribble(names[i], 0, &wrong, sizeof wrong);
    CHECK_EQ(open_again(0, "no file of Holdfast"), HF_ELAYOUT);
    away();
    make();
    scribble(names[i],
             i == 0 ? (off_t)offsetof(hf_segment_header, layout_hash) : (off_t)offsetof(hf_requests_header, layout_hash),
             &wrong, sizeof wrong);
    CHECK_EQ(open_again(0, "another version"), HF_ELAYOUT);
    away();
    make();
    CHECK_EQ(truncate(inside(names[i]), 8192), 0);
    CHECK_EQ(open_again(0, "should have"), HF_ETRUNC);
    CHECK_EQ(truncate(inside(names[i]), 3), 0);
    CHECK_EQ(open_again(0, "no file of Holdfast"), HF_ETRUNC);
    away();
  }
}

TEST(refuses_random_bytes) {
  uint64_t state = (uint64_t)getpid() * 0x9e3779b97f4a7c15u + 1;
  printf("  seed %" PRIu64 "\n", state);
  for (int round = 0; round < 200; round++) {
    make();
    unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      bytes[i] = (unsigned char)(state >> 56);
    }
    scribble(round % 2 ? "segment" : "requests", 0, bytes, sizeof bytes);
    CHECK_EQ(open_again(0, "no file of Holdfast"), HF_ELAYOUT);
    away();
  }
}

// Whatever stands behind a sound header is read without a crash.
TEST(reads_garbage_behind_a_sound_header) {
  uint64_t state = (uint64_t)getpid() * 0x9e3779b97f4a7c15u + 7;
  printf("  seed %" PRIu64 "\n", state);
  for (int round = 0; round < 20; round++) {
    make();
    static unsigned char bytes[sizeof(hf_segment) - 256];
    for (size_t i = 0; i < sizeof bytes; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      bytes[i] = (unsigned char)(state >> 56);
    }
    scribble("segment", 256, bytes, sizeof bytes);
    hf_operator *op;
    static hf_process_status all[HF_PROCESS_MAX];
    static hf_event events[HF_EVENT_MAX];
    hf_instance_status instance;
    uint64_t next;
    CHECK_EQ(hf_operator_open(&op, place, 0, NULL), 0);
    CHECK_EQ(hf_operator_instance(op, &instance, NULL), 0);
    int count = hf_operator_status(op, all, HF_PROCESS_MAX, NULL);
    CHECK(count >= 0 && count <= HF_PROCESS_MAX);
    for (int i = 0; i < count; i++)
      CHECK(all[i].state < HF_STATE_COUNT && memchr(all[i].name, 0, HF_NAME_SIZE) != NULL &&
            all[i].failure_count <= HF_FAILURES_KEPT);
    CHECK(hf_operator_events(op, 0, events, HF_EVENT_MAX, &next, NULL) >= 0);
    CHECK(hf_operator_request(op, "web", HF_REQUEST_START, NULL) < 0);
    hf_operator_close(op);
    away();
  }
}

TEST(refuses_another_boot_and_another_pid_namespace) {
  make();
  char boot[40] = "00000000-0000-0000-0000-000000000000";
  uint64_t other = 1;
  scribble("segment", offsetof(hf_segment_header, boot_id), boot, sizeof boot);
  CHECK(mkdir(inside("reports"), 0700) == 0 && mknod(inside("reports/web.7.txt"), S_IFREG | 0600, 0) == 0);
  CHECK_EQ(mknod(inside("ages"), S_IFREG | 0600, 0), 0);
  CHECK_EQ(open_again(0, "before the machine was started"), HF_EBOOT);
  CHECK(fx_exists(inside("reports/web.7.txt")));
  CHECK_EQ(open_again(HF_OPERATOR_CREATE, ""), 0); // whoever starts it anew throws the dead state away
  CHECK(!fx_exists(inside("reports")) && !fx_exists(inside("ages")));
  CHECK_EQ(open_again(0, ""), 0);
  scribble("segment", offsetof(hf_segment_header, pid_namespace), &other, sizeof other);
  CHECK_EQ(open_again(HF_OPERATOR_CREATE, "pid namespace"), HF_EPIDNS);
  away();
}

TEST(a_full_tmpfs_is_an_error_and_leaves_nothing) {
  if (geteuid() != 0) return;
  CHECK_EQ(mkdir(fresh(), 0700), 0);
  CHECK_EQ(mount("tmpfs", place, "tmpfs", 0, "size=64k,mode=700"), 0);
  CHECK_EQ(open_again(HF_OPERATOR_CREATE, "tmpfs"), HF_ENOSPC);
  CHECK(!fx_exists(inside("segment")));
  DIR *entries = opendir(place);
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) CHECK(strncmp(entry->d_name, ".tmp", 4) != 0);
  closedir(entries);
  CHECK_EQ(umount(place), 0);
  away();
}

TEST(resolves_directories) {
  char out[HF_DIR_BYTES_MAX + 1], expected[64];
  hf_err err;
  unsetenv("HOLDFAST_DIR");
  unsetenv("HOLDFAST_INSTANCE");
  unsetenv("RUNTIME_DIRECTORY");
  CHECK_EQ(hf_dir_resolve(NULL, NULL, out, sizeof out, &err), 0);
  snprintf(expected, sizeof expected, "/dev/shm/holdfast-%u/default", (unsigned)geteuid());
  CHECK_STR(out, expected);
  setenv("RUNTIME_DIRECTORY", "/run/shop", 1);
  CHECK_EQ(hf_dir_resolve(NULL, "blue", out, sizeof out, &err), 0);
  CHECK_STR(out, "/run/shop/blue");
  setenv("HOLDFAST_DIR", "/run/other/", 1);
  CHECK_EQ(hf_dir_resolve(NULL, NULL, out, sizeof out, &err), 0);
  CHECK_STR(out, "/run/other");
  CHECK_EQ(hf_dir_resolve("relative", NULL, out, sizeof out, &err), HF_EINVAL);
  CHECK_EQ(hf_dir_resolve("/0123456789012345678901234567890123456789012345678901234567890123456789012345678901", NULL, out,
                          sizeof out, &err),
           HF_EINVAL);
  CHECK_EQ(hf_dir_resolve(NULL, "no good", out, sizeof out, &err), HF_EINVAL);
  unsetenv("HOLDFAST_DIR");
  unsetenv("RUNTIME_DIRECTORY");
}

CHECK_MAIN
