
/* The stages of audio: decoding, and an encoder for each setting. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_transcode.h"
#include "live_clock.h"


static void ngx_live_listen_record(ngx_live_transcoder_t *tc,
    ngx_live_item_t *item);
static void ngx_live_listen_emit(void *ctx, live_frame_t *frame);
static void ngx_live_listen_feed(ngx_live_transcoder_t *tc,
    ngx_live_item_t *item);
static ngx_uint_t ngx_live_sound_early(ngx_live_output_t *o, int64_t us);


void
ngx_live_listen_run(ngx_live_stage_t *s)
{
    const char             *reason;
    ngx_live_item_t        *item;
    ngx_live_transcoder_t  *tc = s->data;

    while ((item = ngx_live_items_take(&s->work)) != NULL) {

        switch (item->kind) {

        case NGX_LIVE_ITEM_UNIT:

            if (tc->listener
                && live_decoder_decode(tc->listener, item->data,
                                       &item->sample, ngx_live_listen_emit,
                                       tc, &reason)
                   == LIVE_ERROR)
            {
                s->reason = reason;
            }

            break;

        case NGX_LIVE_ITEM_CONFIG:
            ngx_live_listen_record(tc, item);
            break;

        default:

            if (tc->listener) {
                (void) live_decoder_decode(tc->listener, NULL, NULL,
                                           ngx_live_listen_emit, tc, &reason);
                live_decoder_free(tc->listener);
                tc->listener = NULL;
            }

            ngx_live_items_add(&s->out, item);
            continue;
        }

        ngx_live_item_free(item);
    }
}


static void
ngx_live_listen_record(ngx_live_transcoder_t *tc, ngx_live_item_t *item)
{
    const char  *reason;

    if (tc->listener) {
        (void) live_decoder_decode(tc->listener, NULL, NULL,
                                   ngx_live_listen_emit, tc, &reason);
        live_decoder_free(tc->listener);
    }

    tc->listener = live_decoder_create(item->info, item->data, item->len, 1,
                                       &reason);

    if (tc->listener == NULL) {
        tc->listen.reason = reason;
    }
}


static void
ngx_live_listen_emit(void *ctx, live_frame_t *frame)
{
    ngx_live_transcoder_t  *tc = ctx;

    ngx_live_items_frame(&tc->listen.out, frame);
}


void
ngx_live_listen_done(ngx_live_stage_t *s)
{
    ngx_live_item_t        *item;
    ngx_live_transcoder_t  *tc = s->data;

    if (tc->pub == NULL) {
        ngx_live_transcode_release(tc);
        return;
    }

    if (s->reason) {
        ngx_log_error(NGX_LOG_WARN, tc->pub->log, 0,
                      "the audio cannot be decoded: %s", s->reason);
    }

    while ((item = ngx_live_items_take(&s->out)) != NULL) {
        ngx_live_listen_feed(tc, item);
        ngx_live_item_free(item);
    }

    (void) ngx_live_stage_start(s);

    if (tc->finishing) {
        ngx_live_transcode_drained(tc);
    }
}


static void
ngx_live_listen_feed(ngx_live_transcoder_t *tc, ngx_live_item_t *item)
{
    ngx_uint_t          i;
    ngx_live_item_t    *copy;
    ngx_live_output_t  *o;

    if (item->kind == NGX_LIVE_ITEM_END) {
        tc->listen.ending = 0;
        tc->listening = 0;
    }

    for (i = 0; i < tc->nsounds; i++) {
        o = &tc->sounds[i];

        if (o->state != NGX_LIVE_RUNG_RUNNING) {
            continue;
        }

        if (item->kind == NGX_LIVE_ITEM_END) {
            o->state = NGX_LIVE_RUNG_DRAINING;
            ngx_live_stage_end(&o->encode);
            continue;
        }

        /* it had it, others begin with it */

        if (o->heard && live_frame_pts(item->frame) <= o->last) {
            continue;
        }

        if (o->encode.in.n > NGX_LIVE_RUNG_SOUND) {
            tc->skipped++;
            continue;
        }

        copy = ngx_live_item(NGX_LIVE_ITEM_FRAME);
        if (copy == NULL) {
            continue;
        }

        copy->frame = live_frame_ref(item->frame);

        if (copy->frame == NULL) {
            ngx_live_item_free(copy);
            continue;
        }

        copy->bytes = live_frame_bytes(copy->frame);

        o->last = live_frame_pts(copy->frame);
        o->heard = 1;

        ngx_live_stage_push(&o->encode, copy);
        (void) ngx_live_stage_start(&o->encode);
    }
}


void
ngx_live_sound_done(ngx_live_stage_t *s)
{
    ngx_live_item_t        *item;
    ngx_live_output_t      *o = s->data;
    ngx_live_transcoder_t  *tc = o->tc;

    if (tc->pub == NULL) {
        ngx_live_transcode_release(tc);
        return;
    }

    if (s->reason) {
        ngx_live_output_fail(o, s->reason);
    }

    while ((item = ngx_live_items_take(&s->out)) != NULL) {
        ngx_live_items_add(&o->pending, item);
    }

    ngx_live_sound_write(o);

    (void) ngx_live_stage_start(s);

    if (tc->finishing) {
        ngx_live_transcode_drained(tc);
    }
}


void
ngx_live_sound_write(ngx_live_output_t *o)
{
    int64_t           us;
    live_packet_t    *p;
    ngx_live_item_t  *item;

    while ((item = o->pending.first) != NULL) {

        if (item->kind == NGX_LIVE_ITEM_PACKET) {

            for (p = item->packets; p->next; p = p->next) { /* void */ }

            us = live_ticks_to_us(p->dts, o->info.timescale);

            if (ngx_live_sound_early(o, us)) {
                return;
            }
        }

        item = ngx_live_items_take(&o->pending);

        if (item->kind == NGX_LIVE_ITEM_END) {
            o->encode.ending = 0;
            ngx_live_output_drained(o);

        } else {
            ngx_live_output_write(o, item);
        }

        ngx_live_item_free(item);
    }
}


/* 1 where video that has not come yet may make a boundary before it. */

static ngx_uint_t
ngx_live_sound_early(ngx_live_output_t *o, int64_t us)
{
    ngx_live_publication_t  *pub;

    pub = o->tc->pub;

    return pub->writers[LIVE_MEDIA_VIDEO].configured
           && !o->tc->finishing
           && o->state != NGX_LIVE_RUNG_DRAINING
           && us >= pub->video_us
           && pub->newest_us - ngx_max(pub->video_us, pub->begin_us)
              < NGX_LIVE_CUT_WAIT;
}
