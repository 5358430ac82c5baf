
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_live_upkeep.h"
#include "ngx_live_pin.h"
#include "ngx_live_publish.h"
#include "ngx_live_registry.h"
#include "ngx_live_render.h"
#include "ngx_live_stat.h"
#include "ngx_live_text.h"
#include "ngx_live_crash.h"


#define NGX_LIVE_UPKEEP_INTERVAL  1000

/*
 * From here on, percent of the zone, what no playlist lists goes earlier; with
 * HIGH none of it is left, well before publishers are refused for it.
 */
#define NGX_LIVE_PRESSURE_LOW     75
#define NGX_LIVE_PRESSURE_HIGH    90

/* streams that one pass looks after; the rest waits for the next */
#define NGX_LIVE_UPKEEP_BATCH     1024


static void ngx_live_upkeep_handler(ngx_event_t *ev);
static void ngx_live_upkeep_look_up(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);
static ngx_uint_t ngx_live_upkeep_claim(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t **batch, u_char *lost);
static void ngx_live_upkeep_stream(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);
static void ngx_live_upkeep_tracks(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);
static void ngx_live_upkeep_lost(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);
static ngx_uint_t ngx_live_upkeep_end(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, uint64_t now);
static uint64_t ngx_live_upkeep_hold(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, ngx_live_segment_sh_t *seg,
    ngx_live_track_sh_t *t);


/* debug logging of timers reads a connection's fd behind data */
typedef struct {
    ngx_live_zone_t  *zone;
    void             *dummy[2];
    ngx_socket_t      fd;
} ngx_live_upkeep_ident_t;


static ngx_event_t              ngx_live_upkeep_event;
static ngx_live_upkeep_ident_t  ngx_live_upkeep_ident;


ngx_int_t
ngx_live_upkeep_init(ngx_live_zone_t *zone, ngx_cycle_t *cycle)
{
    ngx_live_stat_worker(zone);
    ngx_live_pin_init();
    ngx_live_text_init();

    ngx_live_upkeep_ident.zone = zone;
    ngx_live_upkeep_ident.fd = (ngx_socket_t) -1;

    ngx_live_upkeep_event.handler = ngx_live_upkeep_handler;
    ngx_live_upkeep_event.data = &ngx_live_upkeep_ident;
    ngx_live_upkeep_event.log = cycle->log;
    ngx_live_upkeep_event.cancelable = 1;

    ngx_add_timer(&ngx_live_upkeep_event, NGX_LIVE_UPKEEP_INTERVAL);

    return NGX_OK;
}


static void
ngx_live_upkeep_handler(ngx_event_t *ev)
{
    ngx_uint_t             i, n;
    ngx_live_zone_t       *zone;
    ngx_live_stream_sh_t  *batch[NGX_LIVE_UPKEEP_BATCH];
    u_char                 lost[NGX_LIVE_UPKEEP_BATCH];

    zone = ((ngx_live_upkeep_ident_t *) ev->data)->zone;

    ngx_live_pin_check();
    ngx_live_zone_reap(zone);
    ngx_live_registry_expire(zone);
    ngx_live_publish_check();
    ngx_live_text_expire();
    ngx_live_stat_worker(zone);

    ngx_live_crash_report(zone);

    n = ngx_live_upkeep_claim(zone, batch, lost);

    for (i = 0; i < n; i++) {

        if (lost[i]) {
            ngx_live_upkeep_lost(zone, batch[i]);
        }

        ngx_live_upkeep_stream(zone, batch[i]);
    }

    ngx_add_timer(ev, NGX_LIVE_UPKEEP_INTERVAL);
}


/* Collects this worker's streams, and those that nobody looks after. */

static ngx_uint_t
ngx_live_upkeep_claim(ngx_live_zone_t *zone, ngx_live_stream_sh_t **batch,
    u_char *lost)
{
    ngx_uint_t             i, n, bucket;
    ngx_live_stream_sh_t  *st;
    static ngx_uint_t      first;

    n = 0;

    if (zone->sh->nstreams == 0 && !zone->sh->suspect) {
        return 0;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_live_zone_audit(zone);

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        bucket = (first + i) % NGX_LIVE_BUCKETS;

        for (st = zone->sh->buckets[bucket]; st; st = st->next) {

            if (n == NGX_LIVE_UPKEEP_BATCH) {
                first = bucket;
                goto done;
            }

            ngx_live_upkeep_look_up(zone, st);

            lost[n] = 0;

            if (st->owner != ngx_pid) {

                if (ngx_exiting || ngx_live_worker_alive(st->owner)) {
                    continue;
                }

                ngx_live_crash_point("adopt");

                st->owner = ngx_pid;
                st->dirty = 0;
                lost[n] = (st->state == NGX_LIVE_STREAM_LIVE
                           || st->state == NGX_LIVE_STREAM_AWAY);
            }

            batch[n++] = st;
        }
    }

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return n;
}


/*
 * Once for each stream and configuration.  Only workers of the last one know
 * what it has; the lock is held.
 */

static void
ngx_live_upkeep_look_up(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    ngx_str_t  app;

    if (st->cycle == zone->cycle
        || zone->cycle != ngx_live_load(&zone->sh->cycle))
    {
        return;
    }

    app.data = st->app;
    app.len = st->app_len;

    st->cycle = zone->cycle;
    ngx_live_store(&st->removed, ngx_live_application(&app) == NULL);
}


static void
ngx_live_upkeep_stream(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    uint64_t  now;

    now = ngx_live_now();

    if (st->state == NGX_LIVE_STREAM_AWAY) {

        /* any worker may take it over, but not in the middle of this */

        ngx_shmtx_lock(&zone->shpool->mutex);
        ngx_live_upkeep_tracks(zone, st);
        ngx_shmtx_unlock(&zone->shpool->mutex);

    } else {
        ngx_live_upkeep_tracks(zone, st);
    }

    if (st->owner == ngx_pid && st->state != NGX_LIVE_STREAM_FREE) {
        ngx_live_ts_advance(zone, st);
    }

    switch (st->state) {

    case NGX_LIVE_STREAM_AWAY:

        /* nobody can come back to a stream of no application */

        if ((now < st->deadline && !st->removed)
            || !ngx_live_upkeep_end(zone, st, now))
        {
            break;
        }

        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "live stream \"%*s/%*s\" has ended",
                      (size_t) st->app_len, st->app,
                      (size_t) st->name_len, st->name);

        ngx_live_render_now(zone, st, NGX_LIVE_RENDER_ALL);
        break;

    case NGX_LIVE_STREAM_ENDED:

        if (st->mpd_closing && now >= st->mpd_closing) {
            st->mpd_closing = 0;
            ngx_live_render_later(zone, st, NGX_LIVE_RENDER_MPD);
        }

        if (now < st->deadline
            && ngx_live_zone_percent(zone) < NGX_LIVE_PRESSURE_HIGH)
        {
            break;
        }

        /* fall through */

    case NGX_LIVE_STREAM_FREE:

        (void) ngx_live_stream_free(zone, st);
        break;
    }
}


/*
 * The writer has died: what it was making is complete before anybody sees
 * that nothing comes any more.  One that was away already may have died before
 * it has said so.
 */

static void
ngx_live_upkeep_lost(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    ngx_uint_t  mine, away;

    ngx_shmtx_lock(&zone->shpool->mutex);

    mine = (st->owner == ngx_pid && st->state == NGX_LIVE_STREAM_LIVE);
    away = (st->owner == ngx_pid && st->state == NGX_LIVE_STREAM_AWAY);

    if (mine) {
        if (st->ends == st->publication) {
            st->deadline = 0;

        } else if (!st->slate) {
            st->deadline = ngx_live_now() + st->resume;
        }

        st->publication++;

        ngx_live_publish_align(zone, st);

        ngx_live_crash_point("lost");

        ngx_live_store(&st->state, NGX_LIVE_STREAM_AWAY);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (mine) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "live stream \"%*s/%*s\" lost its worker",
                      (size_t) st->app_len, st->app,
                      (size_t) st->name_len, st->name);

    } else if (!away) {
        return;
    }

    ngx_live_render_later(zone, st, NGX_LIVE_RENDER_ALL);
}


static void
ngx_live_upkeep_tracks(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    ngx_uint_t  i;

    if (st->owner != ngx_pid) {
        return;
    }

    if (st->state != NGX_LIVE_STREAM_FREE) {
        ngx_live_stat_upkeep(zone, st);
    }

    for (i = 0; i < st->ntracks; i++) {
        ngx_live_track_release(zone, &st->tracks[i]);

        if (st->state != NGX_LIVE_STREAM_FREE) {
            (void) ngx_live_upkeep_track(zone, st, &st->tracks[i]);
        }
    }
}


/* 0: a publisher came back in the last moment, to whatever worker, or will
 * with its next key frame. */

static ngx_uint_t
ngx_live_upkeep_end(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t now)
{
    ngx_uint_t  mine;

    ngx_shmtx_lock(&zone->shpool->mutex);

    mine = (st->owner == ngx_pid && st->state == NGX_LIVE_STREAM_AWAY
            && !ngx_live_publish_awaited(st, now));

    if (mine) {

        /*
         * Players may finish what the last playlist lists (HLS-17); where
         * nothing was ever published, nobody needs it.
         */
        st->deadline = st->msn > st->first_msn
                       ? now + 2 * st->window + st->target_duration * 1000
                       : now;

        /*
         * Players that follow the manifest would drop its last segments if
         * it became static at once: all have polled it once more by then.
         */
        st->mpd_closing = now + 2 * st->segment + 1000;

        ngx_live_store(&st->state, NGX_LIVE_STREAM_ENDED);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return mine;
}


ngx_uint_t
ngx_live_upkeep_track(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t)
{
    int64_t                 listed;         /* us */
    uint64_t                i, now, first;
    ngx_live_segment_sh_t  *seg;

    now = ngx_live_now();
    first = t->listed;
    listed = 0;

    /* the shortest run of segments that fills the window, at least three */

    for (i = t->segments.head; i > t->listed; i--) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, i - 1);

        if (t->segments.head - i >= 3
            && listed >= (int64_t) st->window * 1000)
        {
            break;
        }

        listed += seg->duration * 1000000 / seg->timescale;
    }

    for ( /* void */ ; t->listed < i; t->listed++) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, t->listed);
        seg->unlisted = now;
    }

    for (i = t->segments.tail; i < t->listed; i++) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, i);

        if (now < seg->unlisted + ngx_live_upkeep_hold(zone, st, seg, t)) {
            break;
        }

        if (now < seg->unlisted + st->window + st->target_duration * 1000) {
            ngx_live_stat_evicted(zone, seg->size);
        }
    }

    /* two slots are left for the segments to come */

    if (t->segments.head - i + 2 > t->segments.mask + 1) {
        i = t->segments.head + 2 - (t->segments.mask + 1);
    }

    ngx_live_track_retire(zone, t, i);

    return t->listed != first;
}


/*
 * Milliseconds that a segment stays after it has left the playlist: its own
 * duration and that of the playlist (HLS-17), less when memory is short, so
 * that the oldest media of all streams goes first (invariant 6).
 */

static uint64_t
ngx_live_upkeep_hold(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_live_segment_sh_t *seg, ngx_live_track_sh_t *t)
{
    uint64_t    hold;
    ngx_uint_t  percent;

    hold = st->window + st->target_duration * 1000;

    percent = ngx_live_zone_percent(zone);

    if (percent <= NGX_LIVE_PRESSURE_LOW) {
        return hold;
    }

    if (percent >= NGX_LIVE_PRESSURE_HIGH) {
        return 0;
    }

    return hold * (NGX_LIVE_PRESSURE_HIGH - percent)
           / (NGX_LIVE_PRESSURE_HIGH - NGX_LIVE_PRESSURE_LOW);
}
