/* Calls of the C library that fail when told to, on the files of one folder; for LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHORT (-1) /* in place of an error: write half of it */

static char failing_call[32], failing_folder[512];
static int calls_left = -1, failing_error;

/* Let the call of that name fail, `after` others of it; say how many were left of the last order. */
int fail_call(const char *call, const char *folder, int after, int error) {
    int left = calls_left;
    snprintf(failing_call, sizeof failing_call, "%s", call);
    snprintf(failing_folder, sizeof failing_folder, "%s", folder);
    calls_left = after;
    failing_error = error;
    return left;
}

static int fails(const char *call, int file) {
    char link[64], path[512];
    ssize_t size;
    if (calls_left < 0 || strcmp(call, failing_call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    return !strncmp(path, failing_folder, strlen(failing_folder)) && calls_left-- == 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SYNC(name)                   \
    int name(int file) {             \
        if (fails(#name, file)) {    \
            errno = failing_error;   \
            return -1;               \
        }                            \
        return REAL(name)(file);     \
    }
SYNC(fsync)
SYNC(fdatasync)

#define WRITE(name, call, type)                                                        \
    ssize_t name(int file, const void *data, size_t size, type offset) {               \
        if (fails(call, file)) {                                                       \
            if (failing_error == SHORT) return REAL(name)(file, data, size / 2, offset); \
            errno = failing_error;                                                     \
            return -1;                                                                 \
        }                                                                              \
        return REAL(name)(file, data, size, offset);                                   \
    }
WRITE(pwrite, "pwrite", off_t)
WRITE(pwrite64, "pwrite", off64_t)

/* Python calls the one with flags, where there is one. */
#define WRITE_MANY(name, one, type, more, flags)                                       \
    ssize_t name(int file, const struct iovec *parts, int count, type offset more) {   \
        if (fails("pwritev", file)) {                                                  \
            if (failing_error == SHORT)                                                \
                return REAL(one)(file, parts->iov_base, parts->iov_len / 2, offset);   \
            errno = failing_error;                                                     \
            return -1;                                                                 \
        }                                                                              \
        return REAL(name)(file, parts, count, offset flags);                           \
    }
#define COMMA ,
WRITE_MANY(pwritev, pwrite, off_t, , )
WRITE_MANY(pwritev64, pwrite64, off64_t, , )
WRITE_MANY(pwritev2, pwrite, off_t, COMMA int flags, COMMA flags)
WRITE_MANY(pwritev64v2, pwrite64, off64_t, COMMA int flags, COMMA flags)

ssize_t write(int file, const void *data, size_t size) {
    if (fails("write", file)) {
        errno = failing_error == SHORT ? EIO : failing_error;
        return -1;
    }
    return REAL(write)(file, data, size);
}
