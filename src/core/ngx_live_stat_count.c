
/*
 * What the owner of a stream counts of it.  All of this is plain stores into
 * memory that no other process writes.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <netinet/tcp.h>
#include "ngx_live_stat.h"
#include "ngx_live_writer.h"
#include "live_clock.h"


/* ms: less is no second, and behind more of them nothing is known */
#define NGX_LIVE_STAT_LEAST  500
#define NGX_LIVE_STAT_MOST   5000

/* ms: viewers that are counted have asked within one or two of them */
#define NGX_LIVE_STAT_WINDOW  10000


static void ngx_live_stat_observe(ngx_live_histogram_t *h, int64_t us);
static void ngx_live_stat_viewers(ngx_live_stream_sh_t *st);
static void ngx_live_stat_rate(ngx_live_rate_t *r, uint64_t bytes,
    uint64_t frames);


uint64_t
ngx_live_stat_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static void
ngx_live_stat_observe(ngx_live_histogram_t *h, int64_t us)
{
    uint64_t    value;
    ngx_uint_t  i;

    /* what is early is not late */
    value = us > 0 ? us : 0;

    for (i = 0; i < NGX_LIVE_STAT_BOUNDS; i++) {
        if (value <= ngx_live_stat_bounds[i]) {
            break;
        }
    }

    h->count[i]++;
    h->sum += value;
}


void
ngx_live_stat_samples(ngx_live_writer_t *w, uint32_t n)
{
    int64_t                 us;
    uint32_t                i;
    live_sample_t          *s;
    ngx_live_track_stat_t  *ts;

    ts = &w->sh->stat;

    for (i = 0; i < n; i++) {
        s = &w->samples[i];
        ts->octets += s->size;

        if (w->media != LIVE_MEDIA_VIDEO || !(s->flags & LIVE_SAMPLE_KEY)) {
            continue;
        }

        us = live_ticks_to_us(s->dts, w->info.timescale);

        if (ts->keyed && us > ts->key_at) {
            ts->key = us - ts->key_at;
            ts->key_max = ngx_max(ts->key_max, ts->key);
        }

        ts->keys++;
        ts->keyed = 1;
        ts->key_at = us;
    }

    ts->frames += n;
    ts->arrived = w->arrived[n - 1];

    /* a sample is due at its date (HLS-21) */

    us = w->pub->st->anchor * 1000 + w->seg.shift
         + live_ticks_to_us(w->samples[n - 1].dts, w->info.timescale);
    us = (int64_t) ts->arrived - us;

    ts->late = us > 0 ? us : 0;
    ngx_live_stat_observe(&ts->lateness, us);
}


void
ngx_live_stat_part(ngx_live_writer_t *w, int64_t duration)
{
    ngx_live_track_stat_t  *ts;

    ts = &w->sh->stat;

    ts->parts++;
    ts->part = live_ticks_to_us(duration, w->info.timescale);
    ts->part_max = ngx_max(ts->part_max, ts->part);

    if (w->pub->st->part_target) {
        ts->pending = 1;
    }
}


void
ngx_live_stat_segment(ngx_live_writer_t *w)
{
    ngx_live_track_stat_t  *ts;

    ts = &w->sh->stat;

    if (w->seg.flags & LIVE_SEGMENT_GAP) {
        ts->gaps++;
        return;
    }

    ts->segments++;
    ts->segment = live_ticks_to_us(w->seg.duration, w->seg.timescale);
    ts->segment_max = ngx_max(ts->segment_max, ts->segment);

    if (w->pub->st->part_target == 0) {
        ts->pending = 1;
    }
}


void
ngx_live_stat_available(ngx_live_track_sh_t *t)
{
    if (t->stat.pending) {
        t->stat.pending = 0;
        ngx_live_stat_observe(&t->stat.available,
                              (int64_t) (ngx_live_stat_now()
                                         - t->stat.arrived));
    }
}


void
ngx_live_stat_taken(ngx_live_publication_t *pub)
{
    ngx_live_stream_stat_t  *ss;

    ss = &pub->st->stat;

    ss->rtt = 0;
    ss->rtt_var = 0;
    ngx_memcpy(ss->peer, pub->peer, sizeof(ss->peer));

    /* a slate is nobody's */

    if (!pub->builtin) {
        ss->publications++;
        pub->zone->sh->stat.publications++;
    }
}


void
ngx_live_stat_publisher(ngx_live_publication_t *pub)
{
    socklen_t                len;
    struct tcp_info          ti;
    ngx_live_stream_stat_t  *ss;

    if (pub->socket == 0 || pub->waits) {
        return;
    }

    len = sizeof(struct tcp_info);
    ngx_memzero(&ti, len);

    /* other kinds of sockets have none */

    if (getsockopt(pub->socket, IPPROTO_TCP, TCP_INFO, &ti, &len) == -1) {
        return;
    }

    ss = &pub->st->stat;
    ss->rtt = ti.tcpi_rtt;
    ss->rtt_var = ti.tcpi_rttvar;
}


void
ngx_live_stat_upkeep(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    uint64_t                 bytes;
    ngx_uint_t               i;
    ngx_live_track_stat_t   *ts;
    ngx_live_stream_stat_t  *ss;

    ss = &st->stat;
    bytes = ss->received;

    if (bytes != ss->counted) {
        (void) __atomic_add_fetch(&zone->sh->stat.received,
                                  bytes - ss->counted, __ATOMIC_RELAXED);
        ss->counted = bytes;
    }

    ngx_live_stat_rate(&ss->in, bytes, 0);
    ngx_live_stat_rate(&ss->out, ngx_live_load(&st->requests.sent), 0);

    ngx_live_stat_viewers(st);

    for (i = 0; i < st->ntracks; i++) {
        ts = &st->tracks[i].stat;
        ngx_live_stat_rate(&ts->rate, ts->octets, ts->frames);
    }
}


/*
 * A player asks for a playlist once in a target duration.  Who has gone is
 * forgotten after one or two windows.  The older one is cleared before it
 * becomes the newer one, so that nobody adds to it meanwhile.
 */

static void
ngx_live_stat_viewers(ngx_live_stream_sh_t *st)
{
    uint64_t                window, passed;
    ngx_live_viewers_sh_t  *v;

    v = &st->viewers;
    window = ngx_max((uint64_t) st->target_duration * 1500,
                     NGX_LIVE_STAT_WINDOW);
    passed = ngx_current_msec - v->turned;

    if (passed >= window) {
        ngx_memzero(&v->windows[(v->now + 1) & 1], sizeof(live_viewers_t));
        ngx_live_store(&v->now, v->now + 1);
        v->turned = ngx_current_msec;
    }

    st->stat.viewers = live_viewers_count(&v->windows[0], &v->windows[1]);
}


static void
ngx_live_stat_rate(ngx_live_rate_t *r, uint64_t bytes, uint64_t frames)
{
    uint64_t    ms, all, units;
    ngx_uint_t  i;

    ms = ngx_current_msec - r->at;

    if (r->at && ms < NGX_LIVE_STAT_LEAST) {
        return;
    }

    if (r->at == 0 || ms > NGX_LIVE_STAT_MOST) {
        ngx_memzero(r, sizeof(ngx_live_rate_t));

    } else {
        i = r->slot++ % NGX_LIVE_STAT_SECONDS;

        r->ms[i] = ms;
        r->octets[i] = ngx_min(bytes - r->bytes, UINT32_MAX);
        r->units[i] = frames - r->frames;
        r->rate = (bytes - r->bytes) * 8000 / ms;

        ms = 0;
        all = 0;
        units = 0;

        for (i = 0; i < NGX_LIVE_STAT_SECONDS; i++) {
            ms += r->ms[i];
            all += r->octets[i];
            units += r->units[i];
        }

        r->rate10 = all * 8000 / ms;
        r->mhz = units * 1000000 / ms;
    }

    r->at = ngx_current_msec;
    r->bytes = bytes;
    r->frames = frames;
}


void
ngx_live_stat_callback(ngx_live_zone_t *zone, ngx_uint_t status)
{
    uint64_t  *count;

    count = status == 0 ? &zone->sh->stat.callbacks_failed
            : status >= 200 && status < 400 ? &zone->sh->stat.callbacks
            : &zone->sh->stat.callbacks_refused;

    (void) __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
}


void
ngx_live_stat_evicted(ngx_live_zone_t *zone, uint64_t bytes)
{
    (void) __atomic_add_fetch(&zone->sh->stat.evicted, bytes,
                              __ATOMIC_RELAXED);
}
