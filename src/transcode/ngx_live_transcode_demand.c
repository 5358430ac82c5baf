
/* When rungs run: when they are asked for, or always. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_transcode.h"
#include "ngx_live_render.h"


static void ngx_live_demand_rungs(ngx_live_transcoder_t *tc);
static void ngx_live_demand_sounds(ngx_live_transcoder_t *tc);
static void ngx_live_demand_sources(ngx_live_transcoder_t *tc);
static ngx_live_rung_t *ngx_live_rung_above(ngx_live_rung_t *r);
static void ngx_live_rung_unlink(ngx_live_rung_t *r);
static void ngx_live_output_begin(ngx_live_output_t *o);
static void ngx_live_output_idle(ngx_live_output_t *o);
static void ngx_live_transcode_free(ngx_live_transcoder_t *tc);


void
ngx_live_transcode_demand(ngx_live_transcoder_t *tc)
{
    if (!tc->tracked || tc->finishing || !ngx_live_publish_owns(tc->pub)) {
        return;
    }

    ngx_live_demand_rungs(tc);
    ngx_live_demand_sounds(tc);
    ngx_live_replay(tc);
    ngx_live_demand_sources(tc);
}


void
ngx_live_transcode_early(ngx_live_transcoder_t *tc)
{
    ngx_uint_t  i;

    if (!tc->decoding && !tc->listening) {
        return;
    }

    ngx_live_demand_rungs(tc);
    ngx_live_demand_sounds(tc);

    for (i = 0; i < tc->nrungs; i++) {
        tc->rungs[i].out.fresh = 0;

        if (tc->rungs[i].out.state == NGX_LIVE_RUNG_WAITING) {
            ngx_live_follow_boundary(&tc->rungs[i].out.w, &tc->pub->last);
        }
    }

    for (i = 0; i < tc->nsounds; i++) {
        tc->sounds[i].fresh = 0;

        if (tc->sounds[i].state == NGX_LIVE_RUNG_RUNNING) {
            ngx_live_follow_boundary(&tc->sounds[i].w, &tc->pub->last);
        }
    }

    ngx_live_decode_start(tc);
    (void) ngx_live_stage_start(&tc->listen);
}


static void
ngx_live_demand_rungs(ngx_live_transcoder_t *tc)
{
    ngx_uint_t        i, wanted;
    ngx_live_rung_t  *r;

    for (i = 0; i < tc->nrungs; i++) {
        r = &tc->rungs[i];

        if (r->out.failed) {
            continue;
        }

        wanted = ngx_live_output_wanted(&r->out);

        if (r->out.state == NGX_LIVE_RUNG_IDLE && wanted && !r->out.paused) {
            ngx_live_rung_start(r);

            if (tc->level) {
                ngx_live_transcode_level(tc);
            }

        } else if (!wanted && (r->out.paused
                               || r->out.state == NGX_LIVE_RUNG_RUNNING
                               || r->out.state == NGX_LIVE_RUNG_WAITING))
        {
            ngx_log_error(NGX_LOG_INFO, tc->pub->log, 0,
                          "rendition \"%s\" stops, nobody asks for it",
                          r->out.conf->name);

            r->out.paused = 0;
            r->out.w.sh->paused = 0;

            if (r->out.state == NGX_LIVE_RUNG_IDLE) {
                ngx_live_output_idle(&r->out);

            } else {
                ngx_live_rung_stop(r, 0);
            }
        }
    }
}


/* Audio runs while something runs that it belongs to. */

static void
ngx_live_demand_sounds(ngx_live_transcoder_t *tc)
{
    ngx_uint_t          i, n, wanted;
    ngx_live_output_t  *o;

    for (n = 0; n < tc->nsounds; n++) {
        o = &tc->sounds[n];

        if (o->failed) {
            continue;
        }

        wanted = ngx_live_output_wanted(o);

        for (i = 0; i < tc->nrungs; i++) {
            wanted |= (tc->rungs[i].sound == n + 1
                       && (tc->rungs[i].out.state == NGX_LIVE_RUNG_WAITING
                           || tc->rungs[i].out.state
                              == NGX_LIVE_RUNG_RUNNING));
        }

        if (wanted && o->state == NGX_LIVE_RUNG_IDLE) {
            ngx_live_sound_start(o);

        } else if (!wanted && o->state == NGX_LIVE_RUNG_RUNNING) {
            ngx_live_sound_stop(o, 0);
        }
    }
}


/* A decoder begins with the next frame, and ends when nothing needs it. */

static void
ngx_live_demand_sources(ngx_live_transcoder_t *tc)
{
    ngx_uint_t  i, video, audio;

    video = 0;
    audio = 0;

    for (i = 0; i < tc->nrungs; i++) {
        video |= tc->rungs[i].scaling;
    }

    for (i = 0; i < tc->nsounds; i++) {
        audio |= (tc->sounds[i].state == NGX_LIVE_RUNG_RUNNING);
    }

    if (video && !tc->decoding && !tc->decode.ending) {
        tc->decoding = 1;
        tc->dropping = 0;
        ngx_live_transcode_record(tc, LIVE_MEDIA_VIDEO);
    }

    if (!video && tc->decoding && !tc->decode.ending) {
        ngx_live_stage_end(&tc->decode);
    }

    if (audio && !tc->listening && !tc->listen.ending) {
        tc->listening = 1;
        ngx_live_transcode_record(tc, LIVE_MEDIA_AUDIO);
    }

    if (!audio && tc->listening && !tc->listen.ending) {
        ngx_live_stage_end(&tc->listen);
    }
}


ngx_uint_t
ngx_live_output_wanted(ngx_live_output_t *o)
{
    uint64_t  wanted;

    if (o->tc->app->transcode == NGX_LIVE_TRANSCODE_ALWAYS) {
        return 1;
    }

    wanted = ngx_live_load(&o->w.sh->wanted);

    return wanted && ngx_live_now() < wanted + o->tc->app->transcode_idle;
}


void
ngx_live_rung_start(ngx_live_rung_t *r)
{
    ngx_live_rung_t  *above;

    if (!r->out.paused) {
        ngx_live_output_begin(&r->out);
    }

    r->out.state = NGX_LIVE_RUNG_WAITING;
    r->out.discard = 0;

    if (r->scaling) {
        return;
    }

    above = ngx_live_rung_above(r);

    /* one that runs has no frames of before any more */

    if (above && above->fed && !r->out.paused
        && ngx_live_replay_first(r->out.tc, 1) < r->out.tc->nrecent)
    {
        above = NULL;
    }

    r->above = above;
    r->out.fresh = !r->out.paused;
    r->scaling = 1;
    r->odd = 0;
    r->scale.least = above || ngx_live_transcode_fps(r->out.tc) > 0
                     ? 0 : NGX_LIVE_RUNG_MEASURE;

    if (above) {
        above->users++;
    }
}


double
ngx_live_transcode_fps(ngx_live_transcoder_t *tc)
{
    ngx_live_writer_t       *w;
    ngx_live_publication_t  *pub;

    pub = tc->pub;
    w = &pub->writers[LIVE_MEDIA_VIDEO];

    if (!live_track_clock_steady(&w->clock)
        || pub->video_us - pub->first_us < NGX_LIVE_RUNG_TRUST)
    {
        return 0;
    }

    return (double) LIVE_VIDEO_TIMESCALE
           / live_track_clock_duration(&w->clock);
}


/*
 * The nearest rung whose pictures have all that this one needs.  A scaler is
 * left alone once it runs: what came by another way could be out of order.
 */

static ngx_live_rung_t *
ngx_live_rung_above(ngx_live_rung_t *r)
{
    ngx_live_rung_t        *a;
    ngx_live_transcoder_t  *tc = r->out.tc;

    for (a = r; a-- != tc->rungs; /* void */ ) {

        if (a->scaling && !a->scale.ending && !a->out.failed
            && a->width >= r->width && a->height >= r->height
            && (a->out.conf->fps == 0
                || (r->out.conf->fps > 0
                    && a->out.conf->fps == r->out.conf->fps))
            && a->out.conf->tonemap == r->out.conf->tonemap)
        {
            return a;
        }
    }

    return NULL;
}


void
ngx_live_rung_stop(ngx_live_rung_t *r, ngx_uint_t keep)
{
    r->out.discard = !keep;

    if (r->out.state == NGX_LIVE_RUNG_RUNNING) {
        r->out.state = NGX_LIVE_RUNG_DRAINING;
        ngx_live_stage_end(&r->out.encode);

    } else if (r->out.state == NGX_LIVE_RUNG_WAITING) {
        r->out.state = NGX_LIVE_RUNG_IDLE;

        if (!keep) {
            ngx_live_output_idle(&r->out);
        }
    }

    ngx_live_rung_unlink(r);
}


/* Its scaler goes on while others live on it. */

static void
ngx_live_rung_unlink(ngx_live_rung_t *r)
{
    if (r->scaling && r->users == 0 && !r->scale.ending
        && (r->out.state == NGX_LIVE_RUNG_IDLE
            || r->out.state == NGX_LIVE_RUNG_DRAINING))
    {
        ngx_live_stage_end(&r->scale);
    }
}


void
ngx_live_sound_start(ngx_live_output_t *o)
{
    ngx_live_output_begin(o);

    o->discard = 0;
    o->fresh = 1;
    o->heard = 0;
    o->state = NGX_LIVE_RUNG_RUNNING;
}


void
ngx_live_sound_stop(ngx_live_output_t *o, ngx_uint_t keep)
{
    o->discard = !keep;

    if (o->state == NGX_LIVE_RUNG_RUNNING) {
        o->state = NGX_LIVE_RUNG_DRAINING;
        ngx_live_stage_end(&o->encode);
    }
}


/* What was there of an earlier time is gone: numbers in between are missing. */

static void
ngx_live_output_begin(ngx_live_output_t *o)
{
    ngx_live_follow_begin(&o->w);

    ngx_log_error(NGX_LOG_INFO, o->tc->pub->log, 0,
                  "rendition \"%s\" begins", o->w.sh->name);
}


void
ngx_live_output_drained(ngx_live_output_t *o)
{
    ngx_live_transcoder_t  *tc = o->tc;

    o->state = NGX_LIVE_RUNG_IDLE;

    if (!ngx_live_publish_owns(tc->pub)) {
        return;
    }

    if (tc->finishing) {
        ngx_live_follow_end(&o->w, tc->end_us);
        return;
    }

    if (o->paused) {

        /* what its last segment lacks is a gap */

        if (o->w.nboundaries
            && ngx_live_follow_gap(&o->w, tc->pub->last.us) != NGX_OK)
        {
            ngx_live_output_fail(o, "it cannot be written");
        }

        /* the level may have fallen meanwhile */

        ngx_live_transcode_level(tc);

        return;
    }

    ngx_live_output_idle(o);
}


/* Nobody is interested: its media make room. */

static void
ngx_live_output_idle(ngx_live_output_t *o)
{
    if (o->failed || !ngx_live_publish_owns(o->tc->pub)) {
        return;
    }

    ngx_live_store(&o->w.sh->mode, NGX_LIVE_TRACK_DORMANT);

    ngx_live_follow_clear(&o->w);

    ngx_live_render_later(o->tc->pub->zone, o->tc->pub->st,
                          NGX_LIVE_RENDER_ALL);
}


void
ngx_live_output_fail(ngx_live_output_t *o, const char *reason)
{
    ngx_uint_t              i;
    ngx_live_transcoder_t  *tc = o->tc;

    if (o->failed) {
        return;
    }

    o->failed = 1;

    ngx_log_error(NGX_LOG_ERR, tc->pub->log, 0,
                  "rendition \"%s\" is left out: %s", o->conf->name, reason);

    if (o->w.sh && ngx_live_publish_owns(tc->pub)) {
        ngx_live_store(&o->w.sh->mode, NGX_LIVE_TRACK_OFF);
        ngx_live_follow_clear(&o->w);

        ngx_live_render_later(tc->pub->zone, tc->pub->st,
                              NGX_LIVE_RENDER_ALL);
    }

    for (i = 0; i < tc->nrungs; i++) {
        if (&tc->rungs[i].out == o) {
            ngx_live_rung_stop(&tc->rungs[i], 0);
            return;
        }
    }

    ngx_live_sound_stop(o, 0);
}


void
ngx_live_transcode_drained(ngx_live_transcoder_t *tc)
{
    ngx_uint_t  i;

    if (tc->pub == NULL || tc->decoding || tc->listening) {
        return;
    }

    for (i = 0; i < tc->nrungs; i++) {
        if (tc->rungs[i].out.state != NGX_LIVE_RUNG_IDLE) {
            return;
        }
    }

    for (i = 0; i < tc->nsounds; i++) {
        if (tc->sounds[i].state != NGX_LIVE_RUNG_IDLE) {
            return;
        }
    }

    ngx_live_publish_drained(tc->pub);
}


void
ngx_live_transcode_release(ngx_live_transcoder_t *tc)
{
    ngx_uint_t  i, busy;

    busy = tc->decode.busy || tc->listen.busy || tc->probe.busy;

    for (i = 0; i < tc->nrungs; i++) {
        busy |= tc->rungs[i].scale.busy || tc->rungs[i].out.encode.busy;
    }

    for (i = 0; i < tc->nsounds; i++) {
        busy |= tc->sounds[i].encode.busy;
    }

    if (!busy) {
        ngx_live_transcode_free(tc);
    }
}


static void
ngx_live_transcode_free(ngx_live_transcoder_t *tc)
{
    ngx_uint_t          i;
    ngx_live_output_t  *o;

    ngx_queue_remove(&tc->queue);

    for (i = 0; i < 2; i++) {
        if (tc->arriving[i]) {
            ngx_live_item_free(tc->arriving[i]);
        }
    }

    ngx_live_stage_clear(&tc->decode);
    ngx_live_stage_clear(&tc->listen);
    ngx_live_stage_clear(&tc->probe);

    live_decoder_free(tc->decoder);
    live_decoder_free(tc->listener);

    for (i = 0; i < tc->nrungs; i++) {
        ngx_live_stage_clear(&tc->rungs[i].scale);
        live_scaler_free(tc->rungs[i].scaler);
    }

    for (i = 0; i < tc->nrungs + tc->nsounds; i++) {
        o = i < tc->nrungs ? &tc->rungs[i].out : &tc->sounds[i - tc->nrungs];

        ngx_live_stage_clear(&o->encode);
        ngx_live_items_free(&o->pending);
        live_encoder_free(o->encoder);
    }

    ngx_free(tc);
}
