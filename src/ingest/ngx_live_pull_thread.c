
#include <ngx_config.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "live_types.h"
#include "ngx_live_pull_thread.h"


/* ms after which somebody who waits looks whether it should */
#define NGX_LIVE_PULL_LOOK  100


struct ngx_live_pull_thread_s {
    pthread_t           tid;
    int                 fd;

    char               *url;
    char               *protocols;
    uint32_t            timeout;

    int                 stop;           /* set by the event loop */

    int                 opened;         /* set by the thread, behind info */
    live_remux_info_t   info;

    int                 rc;             /* these are read once it has ended */
    char                error[LIVE_REMUX_TEXT];
};


static void *ngx_live_pull_thread(void *data);
static void ngx_live_pull_thread_open(void *data,
    const live_remux_info_t *info);
static int ngx_live_pull_thread_write(void *data, const uint8_t *buf,
    size_t len);
static void ngx_live_pull_thread_wait(void *data, uint32_t ms);
static int ngx_live_pull_thread_stopped(void *data);


ngx_live_pull_thread_t *
ngx_live_pull_thread_start(int fd, const char *url, const char *protocols,
    uint32_t timeout)
{
    int                      err;
    sigset_t                 all, old;
    ngx_live_pull_thread_t  *t;

    t = calloc(1, sizeof(ngx_live_pull_thread_t));
    if (t == NULL) {
        return NULL;
    }

    t->fd = fd;
    t->timeout = timeout;
    t->url = strdup(url);
    t->protocols = strdup(protocols);

    if (t->url == NULL || t->protocols == NULL) {
        ngx_live_pull_thread_free(t);
        return NULL;
    }

    /* signals are for the event loop */

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = pthread_create(&t->tid, NULL, ngx_live_pull_thread, t);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        ngx_live_pull_thread_free(t);
        errno = err;
        return NULL;
    }

    return t;
}


const live_remux_info_t *
ngx_live_pull_thread_info(ngx_live_pull_thread_t *t)
{
    return __atomic_load_n(&t->opened, __ATOMIC_ACQUIRE) ? &t->info : NULL;
}


void
ngx_live_pull_thread_stop(ngx_live_pull_thread_t *t)
{
    __atomic_store_n(&t->stop, 1, __ATOMIC_RELEASE);
}


const char *
ngx_live_pull_thread_join(ngx_live_pull_thread_t *t)
{
    (void) pthread_join(t->tid, NULL);

    return t->rc == LIVE_OK ? NULL : t->error;
}


void
ngx_live_pull_thread_abandon(ngx_live_pull_thread_t *t, uint32_t ms)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    ts.tv_sec += ms / 1000;
    ts.tv_nsec += (long) (ms % 1000) * 1000000;

    if (ts.tv_nsec >= 1000000000) {
        ts.tv_nsec -= 1000000000;
        ts.tv_sec++;
    }

    if (pthread_timedjoin_np(t->tid, NULL, &ts) == 0) {
        ngx_live_pull_thread_free(t);
    }
}


void
ngx_live_pull_thread_free(ngx_live_pull_thread_t *t)
{
    if (t->url) {
        explicit_bzero(t->url, strlen(t->url));
        free(t->url);
    }

    free(t->protocols);
    free(t);
}


static void *
ngx_live_pull_thread(void *data)
{
    ngx_live_pull_thread_t *t = data;

    live_remux_t  r;

    r.url = t->url;
    r.protocols = t->protocols;
    r.timeout = t->timeout;
    r.data = t;
    r.open = ngx_live_pull_thread_open;
    r.write = ngx_live_pull_thread_write;
    r.wait = ngx_live_pull_thread_wait;
    r.stop = ngx_live_pull_thread_stopped;

    t->rc = live_remux(&r, t->error);

    (void) close(t->fd);

    return NULL;
}


static void
ngx_live_pull_thread_open(void *data, const live_remux_info_t *info)
{
    ngx_live_pull_thread_t *t = data;

    t->info = *info;

    __atomic_store_n(&t->opened, 1, __ATOMIC_RELEASE);
}


static int
ngx_live_pull_thread_write(void *data, const uint8_t *buf, size_t len)
{
    ngx_live_pull_thread_t *t = data;

    ssize_t  n;

    while (len) {

        n = send(t->fd, buf, len, MSG_NOSIGNAL);

        if (n == -1) {

            if (errno == EINTR) {
                continue;
            }

            return LIVE_ERROR;
        }

        buf += n;
        len -= (size_t) n;
    }

    return LIVE_OK;
}


static void
ngx_live_pull_thread_wait(void *data, uint32_t ms)
{
    uint32_t  n;

    while (ms && !ngx_live_pull_thread_stopped(data)) {
        n = ms < NGX_LIVE_PULL_LOOK ? ms : NGX_LIVE_PULL_LOOK;

        (void) poll(NULL, 0, (int) n);
        ms -= n;
    }
}


static int
ngx_live_pull_thread_stopped(void *data)
{
    ngx_live_pull_thread_t *t = data;

    return __atomic_load_n(&t->stop, __ATOMIC_ACQUIRE);
}
