
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sys/eventfd.h>
#include "ngx_live_notify.h"
#include "ngx_live_crash.h"


/* All that wait in this worker for one stream. */
typedef struct {
    ngx_queue_t               queue;        /* of its bucket */
    ngx_queue_t               waits[2];     /* by wait->media */
    uint64_t                  id;
    ngx_live_stream_sh_t     *st;
    ngx_uint_t                idle;         /* passes without a wait */
} ngx_live_waiters_t;


#define ngx_live_waiters_none(ws)                                             \
    (ngx_queue_empty(&(ws)->waits[0]) && ngx_queue_empty(&(ws)->waits[1]))


static ngx_live_waiters_t *ngx_live_waiters(ngx_live_stream_sh_t *st,
    uint64_t id);
static void ngx_live_notify_mark(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);
static void ngx_live_notify_read_handler(ngx_event_t *rev);
static void ngx_live_notify_handler(ngx_event_t *ev);
static void ngx_live_notify_bucket(ngx_live_zone_t *zone, ngx_uint_t n);
static void ngx_live_notify_run(ngx_live_zone_t *zone,
    ngx_live_waiters_t *ws);


/* of this worker; threads never see it */
static ngx_queue_t        ngx_live_wait_buckets[NGX_LIVE_CHANGED];
static ngx_connection_t  *ngx_live_notify_connection;
static ngx_event_t        ngx_live_notify_event;


ngx_int_t
ngx_live_notify_init_process(ngx_live_zone_t *zone, ngx_cycle_t *cycle)
{
    ngx_int_t          flags;
    ngx_uint_t         i;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    for (i = 0; i < NGX_LIVE_CHANGED; i++) {
        ngx_queue_init(&ngx_live_wait_buckets[i]);
    }

    /* whatever the worker before in this slot has left */
    ngx_live_store(&zone->sh->workers[zone->slot].signaled, 0);

    ngx_live_notify_event.handler = ngx_live_notify_handler;
    ngx_live_notify_event.data = zone;
    ngx_live_notify_event.log = cycle->log;

    c = ngx_get_connection(zone->events[zone->slot], cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = zone;

    rev = c->read;
    rev->handler = ngx_live_notify_read_handler;
    rev->log = cycle->log;

    flags = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? NGX_CLEAR_EVENT
                                                    : NGX_LEVEL_EVENT;

    if (ngx_add_event(rev, NGX_READ_EVENT, flags) != NGX_OK) {
        ngx_free_connection(c);
        return NGX_ERROR;
    }

    ngx_live_notify_connection = c;

    return NGX_OK;
}


void
ngx_live_notify_exit_process(ngx_live_zone_t *zone)
{
    ngx_connection_t  *c;

    c = ngx_live_notify_connection;

    if (c) {

        /* the descriptor is that of all workers to come in this slot */

        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        ngx_live_notify_connection = NULL;
    }
}


void
ngx_live_wait(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_wait_t *wait)
{
    ngx_live_waiters_t  *ws;

    wait->id = id;
    wait->waiting = 0;

    ws = ngx_live_waiters(st, id);
    if (ws == NULL) {
        return;
    }

    ws->idle = 0;
    wait->waiting = 1;

    ngx_queue_insert_tail(&ws->waits[wait->media], &wait->queue);

    ngx_live_notify_mark(zone, st);
}


static ngx_live_waiters_t *
ngx_live_waiters(ngx_live_stream_sh_t *st, uint64_t id)
{
    ngx_queue_t         *q, *bucket;
    ngx_live_waiters_t  *ws;

    bucket = &ngx_live_wait_buckets[id % NGX_LIVE_CHANGED];

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        ws = ngx_queue_data(q, ngx_live_waiters_t, queue);

        if (ws->id == id) {
            return ws;
        }
    }

    ws = ngx_alloc(sizeof(ngx_live_waiters_t), ngx_cycle->log);
    if (ws == NULL) {
        return NULL;
    }

    ws->id = id;
    ws->st = st;
    ws->idle = 0;

    ngx_queue_init(&ws->waits[0]);
    ngx_queue_init(&ws->waits[1]);
    ngx_queue_insert_head(bucket, &ws->queue);

    return ws;
}


/* What is published from here on wakes this worker. */

static void
ngx_live_notify_mark(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    (void) __atomic_fetch_or(&st->waiting[zone->slot / 64],
                             (uint64_t) 1 << zone->slot % 64,
                             __ATOMIC_SEQ_CST);
    ngx_live_fence();
}


void
ngx_live_wait_cancel(ngx_live_wait_t *wait)
{
    if (wait->waiting) {
        wait->waiting = 0;
        ngx_queue_remove(&wait->queue);
    }
}


void
ngx_live_notify(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    uint64_t               id, bits, one;
    ngx_uint_t             i, slot;
    ngx_live_worker_sh_t  *w;

    one = 1;
    id = st->id;

    /* after what was published, before the question who waits for it */
    ngx_live_fence();

    for (i = 0; i < NGX_LIVE_MAX_WORKERS / 64; i++) {

        if (ngx_live_load(&st->waiting[i]) == 0) {
            continue;
        }

        bits = __atomic_exchange_n(&st->waiting[i], 0, __ATOMIC_SEQ_CST);

        for ( /* void */ ; bits; bits &= bits - 1) {

            slot = i * 64 + __builtin_ctzll(bits);
            w = &zone->sh->workers[slot];

            (void) __atomic_fetch_or(&w->changed[id % NGX_LIVE_CHANGED / 64],
                                     one << id % 64, __ATOMIC_SEQ_CST);

            if (slot == zone->slot) {
                ngx_post_event(&ngx_live_notify_event, &ngx_posted_events);
                continue;
            }

            ngx_live_crash_point("notify");

            if (__atomic_exchange_n(&w->signaled, 1, __ATOMIC_SEQ_CST) == 0
                && eventfd_write(zone->events[slot], 1) == -1
                && ngx_errno != NGX_EAGAIN)
            {
                ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                              "eventfd_write() failed");
            }
        }
    }
}


static void
ngx_live_notify_read_handler(ngx_event_t *rev)
{
    eventfd_t          n;
    ngx_connection_t  *c;

    c = rev->data;

    if (eventfd_read(c->fd, &n) == -1 && ngx_errno != NGX_EAGAIN) {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_errno,
                      "eventfd_read() failed");
    }

    ngx_live_notify_handler(&ngx_live_notify_event);
}


static void
ngx_live_notify_handler(ngx_event_t *ev)
{
    uint64_t               bits;
    ngx_uint_t             i;
    ngx_live_zone_t       *zone;
    ngx_live_worker_sh_t  *w;

    zone = ev->data;
    w = &zone->sh->workers[zone->slot];

    /* a bit that is set behind this comes with a signal of its own */
    __atomic_store_n(&w->signaled, 0, __ATOMIC_SEQ_CST);

    for (i = 0; i < NGX_LIVE_CHANGED / 64; i++) {

        if (ngx_live_load(&w->changed[i]) == 0) {
            continue;
        }

        bits = __atomic_exchange_n(&w->changed[i], 0, __ATOMIC_SEQ_CST);

        for ( /* void */ ; bits; bits &= bits - 1) {
            ngx_live_notify_bucket(zone, i * 64 + __builtin_ctzll(bits));
        }
    }
}


static void
ngx_live_notify_bucket(ngx_live_zone_t *zone, ngx_uint_t n)
{
    ngx_queue_t         *q, *next, *bucket;
    ngx_live_waiters_t  *ws;

    bucket = &ngx_live_wait_buckets[n];

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = next)
    {
        ws = ngx_queue_data(q, ngx_live_waiters_t, queue);

        if (!ngx_live_waiters_none(ws)) {
            ngx_live_notify_run(zone, ws);
        }

        /* handlers add at the head only, and only this removes */
        next = ngx_queue_next(q);

        if (ngx_live_waiters_none(ws) && ++ws->idle > 8) {
            ngx_queue_remove(&ws->queue);
            ngx_free(ws);
        }
    }
}


/* Each is called once, also where handlers cancel other waits or wait anew. */

static void
ngx_live_notify_run(ngx_live_zone_t *zone, ngx_live_waiters_t *ws)
{
    ngx_queue_t       todo, *q;
    ngx_live_wait_t  *wait;

    ngx_live_notify_mark(zone, ws->st);

    ngx_queue_init(&todo);

    if (!ngx_queue_empty(&ws->waits[1])) {
        ngx_queue_add(&todo, &ws->waits[1]);
        ngx_queue_init(&ws->waits[1]);
    }

    if (!ngx_queue_empty(&ws->waits[0])) {
        ngx_queue_add(&todo, &ws->waits[0]);
        ngx_queue_init(&ws->waits[0]);
    }

    while (!ngx_queue_empty(&todo)) {
        q = ngx_queue_head(&todo);
        wait = ngx_queue_data(q, ngx_live_wait_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ws->waits[wait->media], q);

        wait->handler(wait);
    }
}
