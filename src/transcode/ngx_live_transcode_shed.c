
/*
 * Overload.  What is waiting says how late the stages are; when that grows,
 * work is left out in a defined order: pictures that no other refers to are
 * not decoded, then the highest rung has every other frame, then it pauses,
 * then the next one.  The source as it is always goes on.  It recovers level
 * by level after a while of calm, which doubles when that was too soon.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_live_transcode.h"
#include "live_clock.h"


#define NGX_LIVE_SHED_CHECK     250     /* ms between looks */
#define NGX_LIVE_SHED_LATE      1000    /* ms of what waits: too late */
#define NGX_LIVE_SHED_CALM      300     /* ms of what waits: all is well */
#define NGX_LIVE_SHED_STEP      1000    /* ms between two levels up */
#define NGX_LIVE_SHED_PATIENCE  5000    /* ms of calm, at first */
#define NGX_LIVE_SHED_MAX       80000   /* and at most */
#define NGX_LIVE_SHED_DROP      10000   /* ms: units are dropped */


static ngx_msec_t ngx_live_shed_lag(ngx_live_transcoder_t *tc);
static void ngx_live_shed_up(ngx_live_transcoder_t *tc, ngx_msec_t lag);
static void ngx_live_shed_down(ngx_live_transcoder_t *tc);
static ngx_uint_t ngx_live_shed_levels(ngx_live_transcoder_t *tc);
static void ngx_live_shed_rung(ngx_live_rung_t *r, ngx_uint_t level);
static void ngx_live_shed_count(ngx_live_transcoder_t *tc, ngx_msec_t lag);


void
ngx_live_transcode_shed(ngx_live_transcoder_t *tc)
{
    ngx_msec_t  lag;

    if (!tc->tracked
        || ngx_current_msec - tc->checked < NGX_LIVE_SHED_CHECK)
    {
        return;
    }

    tc->checked = ngx_current_msec;

    if (tc->patience == 0) {
        tc->patience = NGX_LIVE_SHED_PATIENCE;
        tc->calm = ngx_current_msec;
    }

    lag = ngx_live_shed_lag(tc);

    ngx_live_shed_count(tc, lag);

    /* what a rung begins with comes faster than it was made */

    if (lag > NGX_LIVE_SHED_CALM
        && (ngx_msec_int_t) (tc->grace - ngx_current_msec) > 0)
    {
        return;
    }

    if (lag > NGX_LIVE_SHED_DROP && !tc->dropping) {
        tc->dropping = 1;

        ngx_log_error(NGX_LOG_WARN, tc->pub->log, 0,
                      "transcoding is %M ms late, it goes on with a later "
                      "key frame", lag);
    }

    if (lag > NGX_LIVE_SHED_CALM) {
        tc->calm = ngx_current_msec;
    }

    if (lag > NGX_LIVE_SHED_LATE) {

        if (tc->level == 0
            || ngx_current_msec - tc->changed >= NGX_LIVE_SHED_STEP)
        {
            ngx_live_shed_up(tc, lag);
        }

    } else if (tc->level
               && ngx_current_msec - tc->calm >= tc->patience
               && ngx_current_msec - tc->changed >= tc->patience)
    {
        ngx_live_shed_down(tc);
    }
}


/* ms of frames that wait for a thread, of the longest way. */

static ngx_msec_t
ngx_live_shed_lag(ngx_live_transcoder_t *tc)
{
    int64_t             frame;
    ngx_uint_t          i, n, most;
    ngx_live_rung_t    *r, *a;
    ngx_live_writer_t  *w;

    most = 0;

    for (i = 0; i < tc->nrungs; i++) {
        r = &tc->rungs[i];

        /* one that has paused, and drains, is late for nobody else */
        n = r->out.paused ? 0 : r->out.encode.in.n;

        for (a = r; a; a = a->above) {
            n += a->scale.in.n > NGX_LIVE_RUNG_MEASURE ? a->scale.in.n : 0;
        }

        most = ngx_max(most, n);
    }

    most += tc->decode.in.n;

    w = &tc->pub->writers[LIVE_MEDIA_VIDEO];

    if (!w->configured) {
        return 0;
    }

    frame = live_ticks_to_us(live_track_clock_duration(&w->clock),
                             LIVE_VIDEO_TIMESCALE);

    return (ngx_msec_t) ((int64_t) most * frame / 1000);
}


static void
ngx_live_shed_up(ngx_live_transcoder_t *tc, ngx_msec_t lag)
{
    if (tc->level >= ngx_live_shed_levels(tc)) {
        return;
    }

    /* it had recovered too soon */

    if (tc->changed && ngx_current_msec - tc->changed < 2 * tc->patience
        && tc->recovered)
    {
        tc->patience = ngx_min(tc->patience * 2, NGX_LIVE_SHED_MAX);
    }

    tc->recovered = 0;
    tc->level++;
    tc->changed = ngx_current_msec;

    ngx_log_error(NGX_LOG_WARN, tc->pub->log, 0,
                  "transcoding is %M ms late, it sheds load, level %ui",
                  lag, tc->level);

    ngx_live_transcode_level(tc);
}


static void
ngx_live_shed_down(ngx_live_transcoder_t *tc)
{
    tc->level--;
    tc->changed = ngx_current_msec;
    tc->recovered = 1;

    ngx_log_error(NGX_LOG_NOTICE, tc->pub->log, 0,
                  "transcoding keeps up, level %ui", tc->level);

    ngx_live_transcode_level(tc);
}


/* The first, and two for each rung that somebody wants. */

static ngx_uint_t
ngx_live_shed_levels(ngx_live_transcoder_t *tc)
{
    ngx_uint_t  i, n;

    n = 1;

    for (i = 0; i < tc->nrungs; i++) {
        if (tc->rungs[i].out.state != NGX_LIVE_RUNG_IDLE
            || tc->rungs[i].out.paused)
        {
            n += 2;
        }
    }

    return n;
}


void
ngx_live_transcode_level(ngx_live_transcoder_t *tc)
{
    ngx_uint_t        i, level;
    ngx_live_rung_t  *r;

    /* read by the thread, which need not know at once */
    tc->skip = (tc->level > 0);

    level = tc->level ? tc->level - 1 : 0;

    for (i = 0; i < tc->nrungs; i++) {
        r = &tc->rungs[i];

        if (r->out.failed
            || (r->out.state == NGX_LIVE_RUNG_IDLE && !r->out.paused))
        {
            continue;
        }

        ngx_live_shed_rung(r, level);

        level -= ngx_min(level, 2);
    }

    tc->pub->st->shed = tc->level;
}


/* 0: as usual, 1: every other frame, more: it pauses. */

static void
ngx_live_shed_rung(ngx_live_rung_t *r, ngx_uint_t level)
{
    ngx_live_publication_t  *pub;

    pub = r->out.tc->pub;

    if (r->halved != (level > 0)) {
        r->halved = (level > 0);

        ngx_log_error(NGX_LOG_NOTICE, pub->log, 0,
                      "rendition \"%s\" has %s", r->out.conf->name,
                      r->halved ? "every other frame" : "all frames again");
    }

    if (level > 1 && !r->out.paused) {
        r->out.paused = 1;
        r->out.w.sh->paused = ngx_live_now();

        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "rendition \"%s\" pauses, its segments are gaps",
                      r->out.conf->name);

        ngx_live_rung_stop(r, 1);

    } else if (level <= 1 && r->out.paused
               && r->out.state == NGX_LIVE_RUNG_IDLE)
    {
        ngx_log_error(NGX_LOG_NOTICE, pub->log, 0,
                      "rendition \"%s\" goes on", r->out.conf->name);

        ngx_live_rung_start(r);

        r->out.paused = 0;
        r->out.w.sh->paused = 0;
    }
}


static void
ngx_live_shed_count(ngx_live_transcoder_t *tc, ngx_msec_t lag)
{
    size_t                 bytes;
    ngx_uint_t             i;
    ngx_live_stream_sh_t  *st;

    bytes = tc->decode.in.bytes + tc->listen.in.bytes;

    for (i = 0; i < tc->nrungs; i++) {
        bytes += tc->rungs[i].scale.in.bytes
                 + tc->rungs[i].out.encode.in.bytes;
    }

    for (i = 0; i < tc->nsounds; i++) {
        bytes += tc->sounds[i].encode.in.bytes;
    }

    if (!ngx_live_publish_owns(tc->pub)) {
        return;
    }

    st = tc->pub->st;

    st->queued = bytes;
    st->lag = lag;
    st->skipped += tc->skipped;
    tc->skipped = 0;
}
