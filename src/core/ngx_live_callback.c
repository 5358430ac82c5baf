
/* The event loop's side of callbacks. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sys/eventfd.h>
#include "ngx_live_callback_thread.h"
#include "ngx_live_stat.h"


#define NGX_LIVE_CALLBACK_MAX    1024       /* that are under way, a worker */
#define NGX_LIVE_CALLBACK_RETRY  1000       /* ms; then twice that, and so on */
#define NGX_LIVE_CALLBACK_HOLD   1000       /* ms */


/* debug logging of timers reads a connection's fd behind data */
typedef struct {
    void          *dummy[3];
    ngx_socket_t   fd;
} ngx_live_callback_ident_t;


static ngx_int_t ngx_live_callback_init(void);
static ngx_live_callback_t *ngx_live_callback_create(
    ngx_live_callback_params_t *p);
static void ngx_live_callback_free(ngx_live_callback_t *cb);
static void ngx_live_callback_read_handler(ngx_event_t *rev);
static void ngx_live_callback_answer(ngx_live_callback_t *cb);
static ngx_uint_t ngx_live_callback_again(ngx_live_callback_t *cb);
static void ngx_live_callback_retry(ngx_event_t *ev);
static void ngx_live_callback_hold(ngx_event_t *ev);


/* of this worker */
static ngx_live_callback_thread_t  *ngx_live_callback_t1;
static ngx_connection_t            *ngx_live_callback_connection;
static ngx_uint_t                   ngx_live_callbacks;
static ngx_queue_t                  ngx_live_callback_retries;
static ngx_event_t                  ngx_live_callback_event;
static ngx_live_callback_ident_t    ngx_live_callback_ident;


ngx_live_callback_t *
ngx_live_callback(ngx_live_callback_params_t *p)
{
    ngx_live_callback_t  *cb;

    if (ngx_live_callbacks == NGX_LIVE_CALLBACK_MAX) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "%s cannot be sent: %ui callbacks are under way",
                      p->what, ngx_live_callbacks);
        ngx_live_stat_callback(ngx_live_zone(), 0);
        return NULL;
    }

    if (ngx_live_callback_t1 == NULL && ngx_live_callback_init() != NGX_OK) {
        return NULL;
    }

    cb = ngx_live_callback_create(p);
    if (cb == NULL) {
        return NULL;
    }

    /* a worker that shuts down waits for it */

    if (ngx_live_callbacks++ == 0) {
        ngx_add_timer(&ngx_live_callback_event, NGX_LIVE_CALLBACK_HOLD);
    }

    ngx_live_callback_thread_add(ngx_live_callback_t1, cb);

    return cb;
}


static ngx_int_t
ngx_live_callback_init(void)
{
    int                flags, fd;
    const char        *error;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    if (fd == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "eventfd() failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, ngx_cycle->log);
    if (c == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    c->log = ngx_cycle->log;

    rev = c->read;
    rev->handler = ngx_live_callback_read_handler;
    rev->log = ngx_cycle->log;

    flags = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? NGX_CLEAR_EVENT
                                                    : NGX_LEVEL_EVENT;

    if (ngx_add_event(rev, NGX_READ_EVENT, flags) != NGX_OK) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    ngx_live_callback_t1 = ngx_live_callback_thread_start(fd, &error);

    if (ngx_live_callback_t1 == NULL) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "the thread of callbacks does not start: %s", error);
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    ngx_live_callback_connection = c;

    ngx_queue_init(&ngx_live_callback_retries);

    ngx_live_callback_ident.fd = (ngx_socket_t) -1;
    ngx_live_callback_event.handler = ngx_live_callback_hold;
    ngx_live_callback_event.data = &ngx_live_callback_ident;
    ngx_live_callback_event.log = ngx_cycle->log;

    return NGX_OK;
}


/* All that it needs is in one piece of memory, as a reload or the end of a
 * connection frees the rest. */

static ngx_live_callback_t *
ngx_live_callback_create(ngx_live_callback_params_t *p)
{
    u_char                    *s;
    size_t                     size;
    ngx_live_callback_t       *cb;
    ngx_live_callback_conf_t  *conf;

    conf = p->conf;

    size = p->url->url.len + 1 + p->url->shown.len + 1 + conf->ca.len + 1
           + conf->secret.len + p->len + 1 + ngx_strlen(p->what) + 1;

    cb = ngx_calloc(sizeof(ngx_live_callback_t) + size, ngx_cycle->log);
    if (cb == NULL) {
        return NULL;
    }

    s = (u_char *) cb + sizeof(ngx_live_callback_t);

    cb->url = (char *) s;
    s = ngx_cpymem(s, p->url->url.data, p->url->url.len) + 1;

    cb->shown = (char *) s;
    s = ngx_cpymem(s, p->url->shown.data, p->url->shown.len) + 1;

    if (conf->ca.len) {
        cb->ca = (char *) s;
        s = ngx_cpymem(s, conf->ca.data, conf->ca.len) + 1;
    }

    if (conf->secret.len) {
        cb->secret = (char *) s;
        cb->secret_len = conf->secret.len;
        s = ngx_cpymem(s, conf->secret.data, conf->secret.len);
    }

    cb->what = (char *) s;
    s = ngx_cpymem(s, p->what, ngx_strlen(p->what)) + 1;

    cb->body = (char *) s;
    cb->len = p->len;
    ngx_memcpy(s, p->body, p->len);

    cb->fd = (ngx_socket_t) -1;
    cb->timeout = conf->timeout;
    cb->verify = conf->verify;
    cb->type = p->type;
    cb->handler = p->handler;
    cb->data = p->data;
    cb->tries = p->tries;

    cb->retry.handler = ngx_live_callback_retry;
    cb->retry.data = cb;
    cb->retry.log = ngx_cycle->log;

    return cb;
}


static void
ngx_live_callback_free(ngx_live_callback_t *cb)
{
    free(cb->result.body);
    ngx_free(cb);

    if (--ngx_live_callbacks == 0) {
        ngx_del_timer(&ngx_live_callback_event);
    }
}


void
ngx_live_callback_cancel(ngx_live_callback_t *cb)
{
    cb->handler = NULL;
    cb->tries = 0;

    __atomic_store_n(&cb->cancelled, 1, __ATOMIC_RELEASE);

    ngx_live_callback_thread_look(ngx_live_callback_t1);
}


static void
ngx_live_callback_read_handler(ngx_event_t *rev)
{
    eventfd_t          n;
    ngx_queue_t        done, *q, *next;
    ngx_connection_t  *c;

    c = rev->data;

    if (eventfd_read(c->fd, &n) == -1 && ngx_errno != NGX_EAGAIN) {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_errno,
                      "eventfd_read() failed");
    }

    ngx_queue_init(&done);
    ngx_live_callback_thread_done(ngx_live_callback_t1, &done);

    /* handlers may cancel others, which stay in the list */

    for (q = ngx_queue_head(&done); q != ngx_queue_sentinel(&done); q = next)
    {
        next = ngx_queue_next(q);
        ngx_live_callback_answer(ngx_queue_data(q, ngx_live_callback_t,
                                                queue));
    }
}


static void
ngx_live_callback_answer(ngx_live_callback_t *cb)
{
    ngx_live_callback_result_t  *result;

    result = &cb->result;

    if (!cb->cancelled) {
        ngx_live_stat_callback(ngx_live_zone(), result->status);
    }

    if (cb->handler) {
        cb->handler(cb->data, result);

    } else if (!cb->cancelled
               && (result->status < 200 || result->status > 299))
    {
        if (result->status) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "%s: %s answered %ui", cb->what, cb->shown,
                          result->status);
        } else {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "%s: %s: %s",
                          cb->what, cb->shown, result->error);
        }

        if (ngx_live_callback_again(cb)) {
            return;
        }
    }

    ngx_live_callback_free(cb);
}


/* 1: it is tried once more, later; a worker that shuts down has not much time
 * for that. */

static ngx_uint_t
ngx_live_callback_again(ngx_live_callback_t *cb)
{
    if (cb->tries <= 1 || (ngx_exiting && cb->failed)) {
        return 0;
    }

    free(cb->result.body);
    ngx_memzero(&cb->result, sizeof(ngx_live_callback_result_t));

    cb->tries--;

    ngx_queue_insert_tail(&ngx_live_callback_retries, &cb->queue);
    ngx_add_timer(&cb->retry, (ngx_msec_t) NGX_LIVE_CALLBACK_RETRY
                              << ngx_min(cb->failed, 6));

    cb->failed++;

    return 1;
}


static void
ngx_live_callback_retry(ngx_event_t *ev)
{
    ngx_live_callback_t *cb = ev->data;

    ngx_queue_remove(&cb->queue);

    if (cb->cancelled) {
        ngx_live_callback_free(cb);
        return;
    }

    ngx_live_callback_thread_add(ngx_live_callback_t1, cb);
}


/* Runs while callbacks are under way, so that the worker stays for them; when
 * it shuts down those that wait to be tried again are tried now. */

static void
ngx_live_callback_hold(ngx_event_t *ev)
{
    ngx_queue_t          *q, *next;
    ngx_live_callback_t  *cb;

    ngx_add_timer(ev, NGX_LIVE_CALLBACK_HOLD);

    if (!ngx_exiting) {
        return;
    }

    for (q = ngx_queue_head(&ngx_live_callback_retries);
         q != ngx_queue_sentinel(&ngx_live_callback_retries);
         q = next)
    {
        next = ngx_queue_next(q);
        cb = ngx_queue_data(q, ngx_live_callback_t, queue);

        ngx_del_timer(&cb->retry);
        ngx_live_callback_retry(&cb->retry);
    }
}


void
ngx_live_callback_exit_process(void)
{
    ngx_queue_t           done, *q, *next;
    ngx_live_callback_t  *cb;

    if (ngx_live_callback_t1 == NULL) {
        return;
    }

    ngx_queue_init(&done);
    ngx_live_callback_thread_stop(ngx_live_callback_t1, &done);

    ngx_live_callback_t1 = NULL;

    ngx_queue_add(&done, &ngx_live_callback_retries);

    for (q = ngx_queue_head(&done); q != ngx_queue_sentinel(&done); q = next)
    {
        next = ngx_queue_next(q);
        cb = ngx_queue_data(q, ngx_live_callback_t, queue);

        if (cb->retry.timer_set) {
            ngx_del_timer(&cb->retry);
        }

        ngx_live_callback_free(cb);
    }

    ngx_close_connection(ngx_live_callback_connection);
    ngx_live_callback_connection = NULL;
}
