/* Lets the Nth system call on the files below a folder kill the process, or fail: for LD_PRELOAD. See faults.py.

   Counts the calls that change files. fault_arm and fault_disarm are called from the process itself. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[4096];
static size_t root_length;
static long at;        /* number of the call that fails; 0: none */
static int error;      /* errno of the call; 0: the process is killed instead */
static int lasting;    /* whether all later calls fail too */
static int report;     /* descriptor for the name of the call that fails */
static atomic_int armed;
static atomic_long calls;

void fault_arm(const char *folder, long number, int error_number, int all_later, int descriptor) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    at = number;
    error = error_number;
    lasting = all_later;
    report = descriptor;
    atomic_store(&calls, 0);
    atomic_store(&armed, 1);
}

long fault_disarm(void) {
    atomic_store(&armed, 0);
    return atomic_load(&calls);
}

/* Count a call on a file, and return whether it must fail; errno is set then. */
static int fails(const char *call, const char *path) {
    if (!atomic_load(&armed) || strncmp(path, root, root_length) != 0)
        return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (!at || number < at || (number > at && !lasting))
        return 0;
    if (number == at) {
        char line[5000];
        int size = snprintf(line, sizeof line, "fault %s %s\n", call, path);
        /* Not write(), which is the one below. */
        syscall(SYS_write, report, line, (size_t)size);
        if (!error) {
            kill(getpid(), SIGKILL);
            for (;;)
                pause();
        }
    }
    errno = error;
    return 1;
}

static int fails_at(const char *call, int descriptor) {
    char link[64], path[4096];
    if (!atomic_load(&armed))
        return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = before;
    if (size < 0)
        return 0;
    path[size] = 0;
    return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_DESCRIPTOR(type, name, parameters, arguments)    \
    type name parameters {                                  \
        static __typeof__(&name) real;                      \
        if (!real)                                          \
            real = REAL(name);                              \
        return fails_at(#name, fd) ? (type)-1 : real arguments; \
    }

#define ON_PATH(type, name, parameters, arguments)          \
    type name parameters {                                  \
        static __typeof__(&name) real;                      \
        if (!real)                                          \
            real = REAL(name);                              \
        return fails(#name, path) ? (type)-1 : real arguments;  \
    }

ON_DESCRIPTOR(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
ON_DESCRIPTOR(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_DESCRIPTOR(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset))
ON_DESCRIPTOR(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t offset), (fd, data, size, offset))
ON_DESCRIPTOR(int, fsync, (int fd), (fd))
ON_DESCRIPTOR(int, fdatasync, (int fd), (fd))
ON_DESCRIPTOR(int, ftruncate, (int fd, off_t size), (fd, size))
ON_DESCRIPTOR(int, ftruncate64, (int fd, off64_t size), (fd, size))
ON_PATH(int, unlink, (const char *path), (path))
ON_PATH(int, rename, (const char *path, const char *to), (path, to))
ON_PATH(int, link, (const char *path, const char *to), (path, to))
ON_PATH(int, mkdir, (const char *path, mode_t mode), (path, mode))

#define OPEN(name)                                          \
    int name(const char *path, int flags, ...) {            \
        static __typeof__(&name) real;                      \
        mode_t mode = 0;                                    \
        if (flags & (O_CREAT | O_TMPFILE)) {                \
            va_list rest;                                   \
            va_start(rest, flags);                          \
            mode = va_arg(rest, mode_t);                    \
            va_end(rest);                                   \
        }                                                   \
        if (!real)                                          \
            real = REAL(name);                              \
        return fails(#name, path) ? -1 : real(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)
