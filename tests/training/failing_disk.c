// Copyright (c) 2026, The isaaclab_offpolicy Developers.
// SPDX-License-Identifier: BSD-3-Clause

// Lets system calls that change files below a folder fail, when it is told to. For LD_PRELOAD.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long first, last, seen;
static char calls[4096];
static int error_number;

// The calls with these numbers fail from now on, counted from zero.
void failing_disk(const char *path, long from, long to, int error) {
    strncpy(folder, path, PATH_MAX - 1);
    first = from, last = to, error_number = error, seen = 0;
    memset(calls, 0, sizeof calls);
}

// The calls since then: open, write, sync, rename, make a folder, unlink.
const char *failing_disk_calls(void) { return calls; }

static int fails(const char *path, char kind) {
    if (!folder[0] || strncmp(path, folder, strlen(folder))) return 0;
    long number = __sync_fetch_and_add(&seen, 1);
    if (number < (long)sizeof calls - 1) calls[number] = kind;
    if (number < first || number >= last) return 0;
    errno = error_number;
    return 1;
}

static int fails_of(int file, char kind) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return fails(path, kind);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    if (fails_of(file, 'w')) {
        int error = errno;
        NEXT(write)(file, data, size / 2);  // as a full disk takes a part
        errno = error;
        return -1;
    }
    return NEXT(write)(file, data, size);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    return fails_of(file, 'w') ? -1 : NEXT(pwrite64)(file, data, size, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    return fails_of(file, 'w') ? -1 : NEXT(writev)(file, parts, count);
}

int fsync(int file) { return fails_of(file, 's') ? -1 : NEXT(fsync)(file); }

int ftruncate64(int file, off64_t size) { return fails_of(file, 'w') ? -1 : NEXT(ftruncate64)(file, size); }

int rename(const char *from, const char *to) { return fails(to, 'r') ? -1 : NEXT(rename)(from, to); }

int mkdir(const char *path, mode_t mode) { return fails(path, 'm') ? -1 : NEXT(mkdir)(path, mode); }

int unlink(const char *path) { return fails(path, 'u') ? -1 : NEXT(unlink)(path); }

#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...) {                                \
        va_list rest;                                                           \
        va_start(rest, flags);                                                  \
        mode_t mode = va_arg(rest, mode_t);                                     \
        va_end(rest);                                                           \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(path, 'o')) return -1;  \
        return NEXT(name)(path, flags, mode);                                   \
    }
OPEN(open)
OPEN(open64)
