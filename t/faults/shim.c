/*
 * Makes system calls of nginx fail while a test says so; preloaded into it by
 * t/faults.t.
 *
 * The file that FAULTS names is mapped.  For each call (enum below) it has two
 * integers: the test sets how many of 1000 calls fail, and reads how many
 * have; the time of day is as many ms ahead.  A call that is said not to be
 * ready gets a new event by epoll, as the kernel would send one later.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>


enum {
    ACCEPT = 0, OPEN, MEMFD, EVENTFD, RECV, SEND, WRITE, WRITE_SHORT, PUNCH,
    READ, THREAD, MALLOC, CLOCK, FAULTS
};

#define MAX_FDS  4096


typedef struct {
    int                 rate;
    int                 hits;
} fault_t;


static fault_t             *faults;
static int                  epoll_of[MAX_FDS];
static struct epoll_event   event_of[MAX_FDS];


#define REAL(name)                                                            \
    static __typeof__(name)  *real;                                           \
    if (real == NULL) {                                                       \
        real = (__typeof__(real)) dlsym(RTLD_NEXT, #name);                    \
    }


__attribute__((constructor))
static void
begin(void)
{
    int          fd;
    void        *p;
    const char  *name;

    name = getenv("FAULTS");

    if (name == NULL) {
        return;
    }

    fd = open(name, O_RDWR | O_CLOEXEC);

    if (fd == -1) {
        abort();
    }

    p = mmap(NULL, FAULTS * sizeof(fault_t), PROT_READ | PROT_WRITE,
             MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        abort();
    }

    faults = p;
    close(fd);
}


/* 1 when this call is to fail. */

static int
fails(int which)
{
    static __thread unsigned int  seed;

    if (faults == NULL
        || __atomic_load_n(&faults[which].rate, __ATOMIC_RELAXED) == 0)
    {
        return 0;
    }

    if (seed == 0) {
        seed = (unsigned int) getpid();
    }

    if (rand_r(&seed) % 1000 >= faults[which].rate) {
        return 0;
    }

    __atomic_add_fetch(&faults[which].hits, 1, __ATOMIC_RELAXED);

    return 1;
}


int
gettimeofday(struct timeval *tv, void *tz)
{
    int   rc;
    long  us;

    REAL(gettimeofday)

    rc = real(tv, tz);

    if (faults) {
        us = tv->tv_usec + 1000L * __atomic_load_n(&faults[CLOCK].rate,
                                                   __ATOMIC_RELAXED);
        tv->tv_sec += us / 1000000;
        tv->tv_usec = us % 1000000;

        if (tv->tv_usec < 0) {
            tv->tv_usec += 1000000;
            tv->tv_sec--;
        }
    }

    return rc;
}


int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    REAL(epoll_ctl)

    if (fd >= 0 && fd < MAX_FDS) {
        if (op == EPOLL_CTL_DEL) {
            epoll_of[fd] = 0;

        } else {
            epoll_of[fd] = epfd;
            event_of[fd] = *event;
        }
    }

    return real(epfd, op, fd, event);
}


/* There is more: it may be tried again at the next turn. */

static void
again(int fd)
{
    struct epoll_event  event;

    if (fd >= 0 && fd < MAX_FDS && epoll_of[fd]) {
        event = event_of[fd];
        (void) epoll_ctl(epoll_of[fd], EPOLL_CTL_MOD, fd, &event);
    }
}


static ssize_t
not_ready(int fd)
{
    again(fd);

    errno = EAGAIN;

    return -1;
}


int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    REAL(accept4)

    if (fails(ACCEPT)) {
        errno = EMFILE;
        return -1;
    }

    return real(fd, addr, len, flags);
}


int
open64(const char *path, int flags, ...)
{
    int  (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");

    mode_t   mode;
    va_list  args;

    __builtin_va_start(args, flags);
    mode = (flags & (O_CREAT | O_TMPFILE)) ? __builtin_va_arg(args, mode_t)
                                           : 0;
    __builtin_va_end(args);

    if (fails(OPEN)) {
        errno = EMFILE;
        return -1;
    }

    return real(path, flags, mode);
}


int
memfd_create(const char *name, unsigned int flags)
{
    REAL(memfd_create)

    if (fails(MEMFD)) {
        errno = EMFILE;
        return -1;
    }

    return real(name, flags);
}


int
eventfd(unsigned int count, int flags)
{
    int  (*real)(unsigned int, int) = dlsym(RTLD_NEXT, "eventfd");

    if (fails(EVENTFD)) {
        errno = EMFILE;
        return -1;
    }

    return real(count, flags);
}


ssize_t
recv(int fd, void *data, size_t len, int flags)
{
    ssize_t  n;

    REAL(recv)

    if (len > 1 && fails(RECV)) {

        if (faults[RECV].hits % 2) {
            return not_ready(fd);
        }

        n = real(fd, data, 1, flags);

        if (n == 1) {
            again(fd);
        }

        return n;
    }

    return real(fd, data, len, flags);
}


ssize_t
send(int fd, const void *data, size_t len, int flags)
{
    REAL(send)

    if (len > 1 && fails(SEND)) {
        return faults[SEND].hits % 2 ? not_ready(fd)
                                     : real(fd, data, 1, flags);
    }

    return real(fd, data, len, flags);
}


ssize_t
writev(int fd, const struct iovec *iov, int n)
{
    struct iovec  first;

    REAL(writev)

    if (n > 0 && iov[0].iov_len > 1 && fails(SEND)) {
        first = iov[0];
        first.iov_len = 1;

        return faults[SEND].hits % 2 ? not_ready(fd) : real(fd, &first, 1);
    }

    return real(fd, iov, n);
}


ssize_t
sendfile64(int out, int in, off64_t *offset, size_t len)
{
    ssize_t  (*real)(int, int, off64_t *, size_t)
                                            = dlsym(RTLD_NEXT, "sendfile64");

    if (len > 100 && fails(SEND)) {
        return faults[SEND].hits % 2 ? not_ready(out)
                                     : real(out, in, offset, 100);
    }

    return real(out, in, offset, len);
}


ssize_t
pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    ssize_t  (*real)(int, const struct iovec *, int, off64_t)
                                             = dlsym(RTLD_NEXT, "pwritev64");

    struct iovec  first;

    if (fails(WRITE)) {
        errno = ENOSPC;
        return -1;
    }

    if (n > 0 && iov[0].iov_len > 1 && fails(WRITE_SHORT)) {
        first = iov[0];
        first.iov_len /= 2;
        return real(fd, &first, 1, offset);
    }

    return real(fd, iov, n, offset);
}


ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    ssize_t  (*real)(int, const void *, size_t, off64_t)
                                              = dlsym(RTLD_NEXT, "pwrite64");

    if (fails(WRITE)) {
        errno = ENOSPC;
        return -1;
    }

    return real(fd, data, len > 1 && fails(WRITE_SHORT) ? len / 2 : len,
                offset);
}


int
fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    int  (*real)(int, int, off64_t, off64_t) = dlsym(RTLD_NEXT,
                                                     "fallocate64");

    if (fails(PUNCH)) {
        errno = EIO;
        return -1;
    }

    return real(fd, mode, offset, len);
}


ssize_t
pread64(int fd, void *data, size_t len, off64_t offset)
{
    ssize_t  (*real)(int, void *, size_t, off64_t) = dlsym(RTLD_NEXT,
                                                           "pread64");

    if (fails(READ)) {
        errno = EIO;
        return -1;
    }

    return real(fd, data, len, offset);
}


int
pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*run)(void *), void *arg)
{
    REAL(pthread_create)

    return fails(THREAD) ? EAGAIN : real(thread, attr, run, arg);
}


/* Of nginx and of our module only: what libraries do without memory is not
 * what is tested. */

static int
is_ours(void *caller)
{
    Dl_info      info;
    const char  *name;

    if (faults == NULL
        || __atomic_load_n(&faults[MALLOC].rate, __ATOMIC_RELAXED) == 0
        || !dladdr(caller, &info) || info.dli_fname == NULL)
    {
        return 0;
    }

    name = strrchr(info.dli_fname, '/');
    name = name ? name + 1 : info.dli_fname;

    return strncmp(name, "nginx", 5) == 0
           || strcmp(name, "ngx_live_module.so") == 0;
}


extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);


void *
malloc(size_t size)
{
    if (is_ours(__builtin_return_address(0)) && fails(MALLOC)) {
        errno = ENOMEM;
        return NULL;
    }

    return __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    if (is_ours(__builtin_return_address(0)) && fails(MALLOC)) {
        errno = ENOMEM;
        return NULL;
    }

    return __libc_calloc(n, size);
}


void *
realloc(void *p, size_t size)
{
    if (is_ours(__builtin_return_address(0)) && fails(MALLOC)) {
        errno = ENOMEM;
        return NULL;
    }

    return __libc_realloc(p, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    REAL(posix_memalign)

    if (is_ours(__builtin_return_address(0)) && fails(MALLOC)) {
        return ENOMEM;
    }

    return real(p, alignment, size);
}
