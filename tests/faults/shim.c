/* Stands between everlog and the operating system (LD_PRELOAD), so that the disk misbehaves on order.
 *
 * Every call that changes something below FAULTS_DIR is one step. Steps are counted over all processes that share the file
 * FAULTS_COUNT; at step FAULTS_AT the action FAULTS_ACTION is taken:
 *
 *   kill            the process is gone before the call
 *   tear            half of a write, or all of any other call, is done, then the process is gone
 *   short           a write writes half, as the system may
 *   eio, enospc     the call fails, this once
 *   eio-forever, enospc-forever   it fails, and every later one
 *
 * The page of the file FAULTS_BAD at offset FAULTS_BAD_AT cannot be read, as a bad sector cannot: what lies in front of it is read,
 * and there a read fails with EIO. Writing makes no sector good here.
 *
 * With FAULTS_TRACE every step that succeeded, with its bytes, and everything that leaves through a socket is appended to that
 * file. One lock is held around a step and its record, so the order of the records is the order of the effects.
 *
 * No call goes through another library: the hooks enter the kernel themselves. That no call goes past the hooks is a test (shim.rs). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
#define PAGE 4096

enum action { NONE, KILL, TEAR, SHORT, FAIL };
/* What a record says; tests/faults/trace.rs reads them. */
enum kind { BEGIN, OPEN, WRITE, SYNC, SET_LEN, RENAME, UNLINK, MKDIR, RMDIR, SENT };

struct record {
    uint32_t kind;
    int32_t fd;
    int64_t offset;
    uint32_t first, second; /* lengths of the two texts that follow */
};

static const char *dir;
static size_t dir_length;
static _Atomic uint64_t *count;
static uint64_t at;
static enum action action;
static int error_number, forever, torn, trace = -1;
static char below[FDS]; /* which descriptors belong to files below dir */
static const char *bad; /* the file with a page that cannot be read, and where that is */
static off_t bad_at;
static char rotten[FDS]; /* which descriptors belong to it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void record(enum kind kind, int fd, int64_t offset, const void *a, size_t a_length, const void *b, size_t b_length) {
    if (trace < 0) return;
    struct record head = {kind, fd, offset, (uint32_t)a_length, (uint32_t)b_length};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)a, a_length}, {(void *)b, b_length}};
    if (syscall(SYS_writev, trace, parts, 3) != (long)(sizeof head + a_length + b_length)) abort();
}

static int open_own(const char *variable, int flags) {
    const char *path = getenv(variable);
    return path ? (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644) : -1;
}

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULTS_ACTION"), *when = getenv("FAULTS_AT");
    int counter = open_own("FAULTS_COUNT", O_RDWR);
    dir = getenv("FAULTS_DIR");
    if (!dir || counter < 0) return;
    dir_length = strlen(dir);
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, counter, 0);
    if (count == MAP_FAILED) abort();
    at = when ? strtoull(when, NULL, 10) : 0;
    if (name) {
        forever = strstr(name, "-forever") != NULL;
        action = !strcmp(name, "kill") ? KILL : !strcmp(name, "tear") ? TEAR : !strcmp(name, "short") ? SHORT : FAIL;
        error_number = strncmp(name, "enospc", 6) ? EIO : ENOSPC;
    }
    bad = getenv("FAULTS_BAD");
    if (bad) bad_at = (off_t)strtoull(getenv("FAULTS_BAD_AT"), NULL, 10);
    trace = open_own("FAULTS_TRACE", O_WRONLY | O_APPEND | O_CREAT);
    record(BEGIN, 0, 0, NULL, 0, NULL, 0);
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

/* Counts a step; takes the lock, which `end` gives back. What is to be done with it: NONE, TEAR, SHORT or FAIL. */
static enum action step(void) {
    pthread_mutex_lock(&lock);
    uint64_t nth = ++*count;
    enum action now = nth == at || (forever && at && nth > at) ? action : NONE;
    if (now == KILL) die();
    torn = now == TEAR;
    return now;
}

static long end(long result) {
    if (torn) die();
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}

static long fail(void) {
    errno = error_number;
    return end(-1);
}

static int is_below(const char *path) {
    return dir && !strncmp(path, dir, dir_length) && (path[dir_length] == '/' || !path[dir_length]);
}

static int tracked(int fd) {
    return count && fd >= 0 && fd < FDS && below[fd];
}

/* The path of what is named relative to an open directory. */
static const char *resolve(int from, const char *path, char *whole) {
    if (from == AT_FDCWD || *path == '/') return path;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", from);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, whole, PATH_MAX - 1);
    if (length < 0) return path;
    snprintf(whole + length, PATH_MAX - (size_t)length, "/%s", path);
    return whole;
}

static int open_any(int from, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *named = resolve(from, path, whole);
    if (!count || !is_below(named)) {
        int other = (int)syscall(SYS_openat, from, path, flags, mode);
        if (other >= 0 && other < FDS) below[other] = rotten[other] = 0;
        return other;
    }
    int changes = flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR);
    if (changes) {
        if (step() == FAIL) return (int)fail();
    } else {
        pthread_mutex_lock(&lock);
    }
    int fd = (int)syscall(SYS_openat, from, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        below[fd] = 1;
        rotten[fd] = bad && !strcmp(named, bad);
        record(OPEN, fd, flags, named, strlen(named), NULL, 0);
    }
    return (int)end(fd);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = (mode_t)va_arg(rest, int); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int from, const char *path, int flags, ...) { MODE(flags) return open_any(from, path, flags, mode); }
int openat64(int from, const char *path, int flags, ...) { MODE(flags) return open_any(from, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) below[fd] = rotten[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

static int is_rotten(int fd) {
    return fd >= 0 && fd < FDS && rotten[fd];
}

/* How much of a read there is in front of the bad page; 0 at the page itself. */
static size_t readable(int fd, size_t length, off_t offset) {
    if (!is_rotten(fd) || offset >= bad_at + PAGE || offset + (off_t)length <= bad_at) return length;
    return offset < bad_at ? (size_t)(bad_at - offset) : 0;
}

ssize_t pread64(int fd, void *bytes, size_t length, off_t offset) {
    size_t part = readable(fd, length, offset);
    if (part || !length) return syscall(SYS_pread64, fd, bytes, part, offset);
    errno = EIO;
    return -1;
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset) { return pread64(fd, bytes, length, offset); }

ssize_t read(int fd, void *bytes, size_t length) {
    if (!is_rotten(fd)) return syscall(SYS_read, fd, bytes, length);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t got = pread64(fd, bytes, length, offset);
    if (got > 0) lseek(fd, offset + got, SEEK_SET);
    return got;
}

/* Whoever copies such a file has to read it. */
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    if (!is_rotten(from)) return syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags);
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t length) {
    if (!is_rotten(from)) return syscall(SYS_sendfile, to, from, offset, length);
    errno = ENOSYS;
    return -1;
}

static long write_below(int fd, const void *bytes, size_t length, off_t offset) {
    enum action now = step();
    if (now == FAIL) return fail();
    size_t part = (now == TEAR || now == SHORT) && length > 1 ? length / 2 : length;
    long written = syscall(SYS_pwrite64, fd, bytes, part, offset);
    if (written > 0) record(WRITE, fd, offset, bytes, (size_t)written, NULL, 0);
    return end(written);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    return tracked(fd) ? write_below(fd, bytes, length, offset) : syscall(SYS_pwrite64, fd, bytes, length, offset);
}

static void sent(int fd, const void *bytes, size_t length) {
    struct stat about;
    if (trace < 0 || fstat(fd, &about) || !S_ISSOCK(about.st_mode)) return;
    pthread_mutex_lock(&lock);
    record(SENT, fd, 0, bytes, length, NULL, 0);
    pthread_mutex_unlock(&lock);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    if (!tracked(fd)) {
        sent(fd, bytes, length);
        return syscall(SYS_write, fd, bytes, length);
    }
    off_t offset = lseek(fd, 0, SEEK_CUR);
    long written = write_below(fd, bytes, length, offset);
    if (written > 0) lseek(fd, offset + written, SEEK_SET);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

/* Nobody does this to a file of the data directory. Whoever begins to must hear of it, or the lab is blind there. */
static void refuse(int fd, const char *call) {
    if (!tracked(fd)) return;
    dprintf(STDERR_FILENO, "shim.c has no %s on files of the data directory: it has to learn it\n", call);
    abort();
}

ssize_t writev(int fd, const struct iovec *parts, int number) {
    refuse(fd, "writev");
    for (int nth = 0; nth < number; nth++) sent(fd, parts[nth].iov_base, parts[nth].iov_len);
    return syscall(SYS_writev, fd, parts, number);
}

ssize_t pwritev(int fd, const struct iovec *parts, int number, off_t offset) {
    refuse(fd, "pwritev");
    return syscall(SYS_pwritev, fd, parts, number, offset, 0);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int number, off_t offset) { return pwritev(fd, parts, number, offset); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
    refuse(fd, "fallocate");
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off_t offset, off_t length) { return fallocate(fd, mode, offset, length); }

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    sent(fd, bytes, length);
    return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

/* A call on a descriptor that either works or fails. */
#define SIMPLE(kind, offset, call) \
    if (!tracked(fd)) return (int)(call); \
    if (step() == FAIL) return (int)fail(); \
    long result = (call); \
    if (!result) record(kind, fd, offset, NULL, 0, NULL, 0); \
    return (int)end(result);

int fsync(int fd) { SIMPLE(SYNC, 0, syscall(SYS_fsync, fd)) }
int fdatasync(int fd) { SIMPLE(SYNC, 0, syscall(SYS_fdatasync, fd)) }
int ftruncate64(int fd, off_t length) { SIMPLE(SET_LEN, length, syscall(SYS_ftruncate, fd, length)) }
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* Makes nothing durable that a power cut must leave: counted and failed, never recorded. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    if (tracked(fd)) {
        if (step() == FAIL) return (int)fail();
        return (int)end(syscall(SYS_sync_file_range, fd, offset, length, flags));
    }
    return (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    char whole_from[PATH_MAX], whole_to[PATH_MAX];
    const char *old = resolve(from_dir, from, whole_from), *new = resolve(to_dir, to, whole_to);
    if (!count || !is_below(old)) return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
    if (step() == FAIL) return (int)fail();
    long result = syscall(SYS_renameat, from_dir, from, to_dir, to);
    if (!result) record(RENAME, 0, 0, old, strlen(old), new, strlen(new));
    return (int)end(result);
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int unlinkat(int from, const char *path, int flags) {
    char whole[PATH_MAX];
    const char *named = resolve(from, path, whole);
    if (!count || !is_below(named)) return (int)syscall(SYS_unlinkat, from, path, flags);
    if (step() == FAIL) return (int)fail();
    long result = syscall(SYS_unlinkat, from, path, flags);
    if (!result) record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, named, strlen(named), NULL, 0);
    return (int)end(result);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int mkdir(const char *path, mode_t mode) {
    if (!count || !is_below(path)) return (int)syscall(SYS_mkdir, path, mode);
    if (step() == FAIL) return (int)fail();
    long result = syscall(SYS_mkdir, path, mode);
    if (!result) record(MKDIR, 0, 0, path, strlen(path), NULL, 0);
    return (int)end(result);
}
