
/* The stages of video: decoding, scaling, encoding. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_transcode.h"
#include "live_clock.h"


/* ticks by which a frame may be before the boundary that it makes */
#define NGX_LIVE_MARK_NEAR  (LIVE_VIDEO_TIMESCALE / 500)


static void ngx_live_decode_unit(ngx_live_transcoder_t *tc,
    ngx_live_item_t *item);
static void ngx_live_decode_record(ngx_live_transcoder_t *tc,
    ngx_live_item_t *item);
static void ngx_live_decode_emit(void *ctx, live_frame_t *frame);
static void ngx_live_decode_feed(ngx_live_transcoder_t *tc,
    ngx_live_item_t *item);
static ngx_uint_t ngx_live_decode_room(ngx_live_transcoder_t *tc);
static void ngx_live_rung_feed(ngx_live_rung_t *r, live_frame_t *frame);
static double ngx_live_scale_fps(ngx_live_items_t *items);
static ngx_int_t ngx_live_scale_create(ngx_live_rung_t *r);
static void ngx_live_scale_frame(ngx_live_rung_t *r, ngx_live_item_t *item);
static void ngx_live_scale_pass(ngx_live_rung_t *r, ngx_live_item_t *item);
static void ngx_live_scale_failed(ngx_live_rung_t *r, const char *reason);
static void ngx_live_scale_end(ngx_live_rung_t *r);
static void ngx_live_encode_out(ngx_live_stage_t *s, live_packet_t *packets);
static ngx_int_t ngx_live_encode_create(ngx_live_output_t *o,
    const char **reason);


void
ngx_live_stage_end(ngx_live_stage_t *s)
{
    ngx_live_item_t  *item;

    item = ngx_live_item(NGX_LIVE_ITEM_END);

    if (item) {
        ngx_live_stage_push(s, item);
        (void) ngx_live_stage_start(s);
    }
}


/* --- decoding --- */

void
ngx_live_decode_start(ngx_live_transcoder_t *tc)
{
    if (!tc->tracked || !ngx_live_decode_room(tc)) {
        return;
    }

    if (ngx_live_stage_start(&tc->decode) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                      "frames are lost, the thread pool takes no more tasks");
    }
}


/* Frames are large: they wait as units of the source. */

static ngx_uint_t
ngx_live_decode_room(ngx_live_transcoder_t *tc)
{
    ngx_uint_t        i;
    ngx_live_rung_t  *r;

    for (i = 0; i < tc->nrungs; i++) {
        r = &tc->rungs[i];

        /* what drains gets no more of them */

        if (r->scale.in.n > NGX_LIVE_RUNG_SCALE
            || (r->out.state != NGX_LIVE_RUNG_DRAINING
                && r->out.encode.in.n > NGX_LIVE_RUNG_ENCODE))
        {
            return 0;
        }
    }

    return 1;
}


void
ngx_live_decode_run(ngx_live_stage_t *s)
{
    const char             *reason;
    ngx_live_item_t        *item;
    ngx_live_transcoder_t  *tc = s->data;

    while ((item = ngx_live_items_take(&s->work)) != NULL) {

        switch (item->kind) {

        case NGX_LIVE_ITEM_UNIT:
            ngx_live_decode_unit(tc, item);
            break;

        case NGX_LIVE_ITEM_CONFIG:
            ngx_live_decode_record(tc, item);
            break;

        default:
            if (tc->decoder) {
                (void) live_decoder_decode(tc->decoder, NULL, NULL,
                                           ngx_live_decode_emit, tc, &reason);
                live_decoder_free(tc->decoder);
                tc->decoder = NULL;
            }

            tc->nmarks = 0;
            ngx_live_items_add(&s->out, item);
            continue;
        }

        ngx_live_item_free(item);
    }

    if (tc->decoder) {
        (void) live_decoder_source(tc->decoder, &tc->decoded);
    }
}


static void
ngx_live_decode_unit(ngx_live_transcoder_t *tc, ngx_live_item_t *item)
{
    const char  *reason;

    if (item->marked) {

        if (tc->nmarks == NGX_LIVE_BOUNDARIES) {
            ngx_memmove(tc->marks, tc->marks + 1,
                        --tc->nmarks * sizeof(int64_t));
        }

        tc->marks[tc->nmarks++] = item->mark;
    }

    if (tc->decoder == NULL) {
        return;
    }

    live_decoder_skip(tc->decoder, ngx_live_load(&tc->skip) != 0);

    if (live_decoder_decode(tc->decoder, item->data, &item->sample,
                            ngx_live_decode_emit, tc, &reason)
        == LIVE_ERROR)
    {
        tc->decode.reason = reason;
    }
}


static void
ngx_live_decode_record(ngx_live_transcoder_t *tc, ngx_live_item_t *item)
{
    const char  *reason;

    if (tc->decoder) {
        (void) live_decoder_decode(tc->decoder, NULL, NULL,
                                   ngx_live_decode_emit, tc, &reason);
        live_decoder_free(tc->decoder);
    }

    tc->decoder = live_decoder_create(item->info, item->data, item->len,
                                      tc->app->transcode_threads, &reason);

    if (tc->decoder == NULL) {
        tc->decode.reason = reason;
    }
}


/* A boundary is where the next frame, as presented, is at or behind it. */

static void
ngx_live_decode_emit(void *ctx, live_frame_t *frame)
{
    ngx_uint_t              due;
    ngx_live_transcoder_t  *tc = ctx;

    for (due = 0; due < tc->nmarks; due++) {
        if (live_frame_pts(frame) + NGX_LIVE_MARK_NEAR < tc->marks[due]) {
            break;
        }
    }

    if (due) {
        live_frame_mark(frame);

        tc->nmarks -= due;
        ngx_memmove(tc->marks, tc->marks + due,
                    tc->nmarks * sizeof(int64_t));
    }

    ngx_live_items_frame(&tc->decode.out, frame);
}


void
ngx_live_decode_done(ngx_live_stage_t *s)
{
    ngx_live_item_t        *item;
    ngx_live_transcoder_t  *tc = s->data;

    if (tc->pub == NULL) {
        ngx_live_transcode_release(tc);
        return;
    }

    tc->source = tc->decoded;

    if (s->reason) {
        ngx_log_error(NGX_LOG_WARN, tc->pub->log, 0,
                      "the video cannot be decoded: %s; transcoding goes on "
                      "with the next key frame", s->reason);
    }

    while ((item = ngx_live_items_take(&s->out)) != NULL) {
        ngx_live_decode_feed(tc, item);
        ngx_live_item_free(item);
    }

    ngx_live_decode_start(tc);

    if (tc->finishing) {
        ngx_live_transcode_drained(tc);
    }
}


static void
ngx_live_decode_feed(ngx_live_transcoder_t *tc, ngx_live_item_t *item)
{
    double            fps;
    ngx_uint_t        i;
    ngx_live_rung_t  *r;

    if (item->kind == NGX_LIVE_ITEM_END) {
        tc->decode.ending = 0;
        tc->decoding = 0;
    }

    for (i = 0; i < tc->nrungs; i++) {
        r = &tc->rungs[i];

        if (!r->scaling || r->above) {
            continue;
        }

        if (item->kind == NGX_LIVE_ITEM_END) {
            ngx_live_stage_end(&r->scale);
            continue;
        }

        /* it had them, others begin with them */

        if (r->fed && live_frame_pts(item->frame) <= r->out.last) {
            continue;
        }

        if (!r->scale.busy && r->scaler == NULL) {
            r->source = tc->source;
            fps = ngx_live_transcode_fps(tc);
            r->source.fps = fps > 0 ? fps : r->source.fps;
        }

        ngx_live_rung_feed(r, item->frame);
    }
}


/* --- scaling --- */

/* A scaler begins with a frame that begins a segment. */

static void
ngx_live_rung_feed(ngx_live_rung_t *r, live_frame_t *frame)
{
    ngx_live_item_t  *item;

    if (!r->fed && !live_frame_marked(frame)) {
        return;
    }

    r->fed = 1;
    r->out.last = live_frame_pts(frame);

    item = ngx_live_item(NGX_LIVE_ITEM_FRAME);
    if (item == NULL) {
        return;
    }

    item->frame = live_frame_ref(frame);

    if (item->frame == NULL) {
        ngx_live_item_free(item);
        return;
    }

    item->bytes = live_frame_bytes(frame);

    ngx_live_stage_push(&r->scale, item);
    (void) ngx_live_stage_start(&r->scale);
}


void
ngx_live_scale_run(ngx_live_stage_t *s)
{
    double            fps;
    ngx_live_item_t  *item;
    ngx_live_rung_t  *r = s->data;

    if (r->scaler == NULL && s->work.n >= 2) {

        /* times do not lie */

        fps = ngx_live_scale_fps(&s->work);

        if (fps > 0) {
            r->source.fps = fps;
        }
    }

    while ((item = ngx_live_items_take(&s->work)) != NULL) {

        if (item->kind != NGX_LIVE_ITEM_END) {
            ngx_live_scale_frame(r, item);
            ngx_live_item_free(item);
            continue;
        }

        if (r->scaler) {
            ngx_live_scale_frame(r, NULL);
            live_scaler_free(r->scaler);
            r->scaler = NULL;
        }

        ngx_live_items_add(&s->out, item);
    }
}


/* 0: frames that are too few, or too far apart, to tell. */

static double
ngx_live_scale_fps(ngx_live_items_t *items)
{
    int64_t           first, last;
    ngx_uint_t        n;
    ngx_live_item_t  *item;

    first = 0;
    last = 0;
    n = 0;

    for (item = items->first; item; item = item->next) {

        if (item->kind != NGX_LIVE_ITEM_FRAME) {
            continue;
        }

        last = live_frame_pts(item->frame);

        if (n++ == 0) {
            first = last;
        }
    }

    if (n < NGX_LIVE_RUNG_MEASURE / 2 || last <= first
        || last - first > (int64_t) n * LIVE_VIDEO_TIMESCALE)
    {
        return 0;
    }

    return (double) (n - 1) * LIVE_VIDEO_TIMESCALE / (last - first);
}


static ngx_int_t
ngx_live_scale_create(ngx_live_rung_t *r)
{
    const char  *reason;

    r->divisor = live_rung_divisor(r->out.conf, &r->source);

    r->scaler = live_scaler_create(r->out.conf, &r->source, r->width,
                                   r->height, r->divisor, &reason);

    if (r->scaler == NULL) {
        r->scale.reason = reason;
        return NGX_ERROR;
    }

    live_scaler_target(r->scaler, &r->target);

    return NGX_OK;
}


/* NULL: what is held back. */

static void
ngx_live_scale_frame(ngx_live_rung_t *r, ngx_live_item_t *item)
{
    live_frame_t  *out;
    const char    *reason;

    if (r->scaler == NULL && ngx_live_scale_create(r) != NGX_OK) {
        return;
    }

    out = NULL;

    if (live_scaler_scale(r->scaler, item ? item->frame : NULL, &out,
                          &reason)
        != LIVE_OK)
    {
        r->scale.reason = reason;
        return;
    }

    if (out == NULL) {
        return;
    }

    ngx_live_items_frame(&r->scale.out, out);
}


void
ngx_live_scale_done(ngx_live_stage_t *s)
{
    ngx_uint_t              end;
    ngx_live_item_t        *item;
    ngx_live_rung_t        *r = s->data;
    ngx_live_transcoder_t  *tc = r->out.tc;

    if (tc->pub == NULL) {
        ngx_live_transcode_release(tc);
        return;
    }

    if (s->reason) {
        ngx_live_scale_failed(r, s->reason);
    }

    while ((item = ngx_live_items_take(&s->out)) != NULL) {

        end = (item->kind == NGX_LIVE_ITEM_END);

        if (end) {
            s->ending = 0;
            ngx_live_scale_end(r);
            ngx_live_item_free(item);

        } else {
            ngx_live_scale_pass(r, item);
        }
    }

    (void) ngx_live_stage_start(s);

    ngx_live_decode_start(tc);

    if (tc->finishing) {
        ngx_live_transcode_drained(tc);
    }
}


/* And with it those who live on its pictures. */

static void
ngx_live_scale_failed(ngx_live_rung_t *r, const char *reason)
{
    ngx_uint_t              i;
    ngx_live_transcoder_t  *tc = r->out.tc;

    for (i = tc->nrungs; i-- > 0; /* void */ ) {
        if (tc->rungs[i].scaling && tc->rungs[i].above == r) {
            ngx_live_output_fail(&tc->rungs[i].out, reason);
        }
    }

    ngx_live_output_fail(&r->out, reason);
}


/* A picture, for the encoder and for the rungs below. */

static void
ngx_live_scale_pass(ngx_live_rung_t *r, ngx_live_item_t *item)
{
    ngx_uint_t              i;
    ngx_live_rung_t        *below;
    ngx_live_transcoder_t  *tc = r->out.tc;

    for (i = 0; i < tc->nrungs; i++) {
        below = &tc->rungs[i];

        if (!below->scaling || below->above != r) {
            continue;
        }

        if (!below->scale.busy && below->scaler == NULL) {
            below->source = r->target;
        }

        ngx_live_rung_feed(below, item->frame);
    }

    if (r->out.state == NGX_LIVE_RUNG_WAITING
        && live_frame_marked(item->frame))
    {
        r->out.state = NGX_LIVE_RUNG_RUNNING;
    }

    if (!r->out.encode.busy && r->out.encoder == NULL) {
        r->out.picture = r->target;
    }

    if (r->out.state != NGX_LIVE_RUNG_RUNNING
        || (r->halved && !live_frame_marked(item->frame) && (r->odd++ & 1)))
    {
        tc->skipped += (r->out.state == NGX_LIVE_RUNG_RUNNING);
        ngx_live_item_free(item);
        return;
    }

    ngx_live_stage_push(&r->out.encode, item);
    (void) ngx_live_stage_start(&r->out.encode);
}


static void
ngx_live_scale_end(ngx_live_rung_t *r)
{
    ngx_uint_t              i;
    ngx_live_rung_t        *below;
    ngx_live_transcoder_t  *tc = r->out.tc;

    r->scaling = 0;
    r->fed = 0;

    for (i = 0; i < tc->nrungs; i++) {
        below = &tc->rungs[i];

        if (below->scaling && below->above == r) {
            ngx_live_stage_end(&below->scale);
        }
    }

    if (r->above) {
        r->above->users--;
        r->above = NULL;
    }

    if (r->out.state == NGX_LIVE_RUNG_RUNNING) {
        r->out.state = NGX_LIVE_RUNG_DRAINING;
        ngx_live_stage_end(&r->out.encode);

    } else if (r->out.state == NGX_LIVE_RUNG_WAITING) {
        r->out.state = NGX_LIVE_RUNG_IDLE;
    }
}


/* --- encoding --- */

void
ngx_live_encode_run(ngx_live_stage_t *s)
{
    const char         *reason;
    live_packet_t      *packets;
    ngx_live_item_t    *item;
    ngx_live_output_t  *o = s->data;

    while ((item = ngx_live_items_take(&s->work)) != NULL) {

        /* nobody waits for it, but a worker that exits does */

        if (ngx_live_load(&o->tc->gone)) {
            ngx_live_item_free(item);
            continue;
        }

        reason = NULL;
        packets = NULL;

        if (item->kind == NGX_LIVE_ITEM_FRAME) {

            if (o->encoder == NULL
                && ngx_live_encode_create(o, &reason) != NGX_OK)
            {
                s->reason = reason;
                ngx_live_item_free(item);
                continue;
            }

            if (live_encoder_encode(o->encoder, item->frame, &packets,
                                    &reason)
                != LIVE_OK)
            {
                s->reason = reason;
            }

            ngx_live_encode_out(s, packets);
            ngx_live_item_free(item);
            continue;
        }

        if (o->encoder) {
            (void) live_encoder_encode(o->encoder, NULL, &packets, &reason);
            ngx_live_encode_out(s, packets);
            live_encoder_free(o->encoder);
            o->encoder = NULL;
        }

        ngx_live_items_add(&s->out, item);
    }
}


static void
ngx_live_encode_out(ngx_live_stage_t *s, live_packet_t *packets)
{
    ngx_live_item_t  *item;

    if (packets == NULL) {
        return;
    }

    item = ngx_live_item(NGX_LIVE_ITEM_PACKET);

    if (item == NULL) {
        live_packet_free(packets);
        return;
    }

    item->packets = packets;

    ngx_live_items_add(&s->out, item);
}


/* The record goes in front of what is encoded with it. */

static ngx_int_t
ngx_live_encode_create(ngx_live_output_t *o, const char **reason)
{
    size_t              len;
    const uint8_t      *config;
    ngx_live_item_t    *item;
    live_codec_info_t   info;

    o->encoder = o->media == LIVE_MEDIA_VIDEO
                 ? live_encoder_create_video(o->conf, &o->picture, reason)
                 : live_encoder_create_audio(o->conf, &o->sound, reason);

    if (o->encoder == NULL) {
        return NGX_ERROR;
    }

    if (live_encoder_config(o->encoder, &info, &config, &len) != LIVE_OK) {
        *reason = "the encoder gives no codec record";
        return NGX_ERROR;
    }

    *reason = "no memory";
    item = ngx_live_item(NGX_LIVE_ITEM_CONFIG);

    if (item == NULL) {
        return NGX_ERROR;
    }

    item->data = malloc(len);
    item->info = malloc(sizeof(live_codec_info_t));
    item->len = len;

    if (item->data == NULL || item->info == NULL) {
        ngx_live_item_free(item);
        return NGX_ERROR;
    }

    ngx_memcpy(item->data, config, len);
    *item->info = info;

    ngx_live_items_add(&o->encode.out, item);

    return NGX_OK;
}


void
ngx_live_encode_done(ngx_live_stage_t *s)
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

        if (item->kind == NGX_LIVE_ITEM_END) {
            s->ending = 0;
            ngx_live_output_drained(o);

        } else {
            ngx_live_output_write(o, item);
        }

        ngx_live_item_free(item);
    }

    (void) ngx_live_stage_start(s);

    ngx_live_decode_start(tc);

    if (tc->finishing) {
        ngx_live_transcode_drained(tc);
    }
}


void
ngx_live_output_write(ngx_live_output_t *o, ngx_live_item_t *item)
{
    live_packet_t  *p;
    live_sample_t   s;

    if (o->discard || o->failed || !ngx_live_publish_owns(o->tc->pub)) {
        return;
    }

    if (item->kind == NGX_LIVE_ITEM_CONFIG) {

        if (ngx_live_follow_config(&o->w, item->info, item->data, item->len)
            != NGX_OK)
        {
            ngx_live_output_fail(o, "no memory");
        }

        return;
    }

    for (p = item->packets; p; p = p->next) {

        ngx_memzero(&s, sizeof(live_sample_t));
        s.dts = p->dts;
        s.cts = (int32_t) (p->pts - p->dts);
        s.size = p->size;
        s.flags = p->key ? LIVE_SAMPLE_KEY : 0;

        if (ngx_live_follow_packet(&o->w, &s, p->data) == NGX_ERROR) {
            ngx_live_output_fail(o, "it cannot be written");
            return;
        }

        /* its first playlist has more than the beginning of a segment that
         * it makes up for */

        if (o->w.open && o->w.sh->mode != NGX_LIVE_TRACK_ON
            && (o->w.nboundaries == 0
                || o->w.sh->segments.head > o->w.sh->segments.tail))
        {
            ngx_live_store(&o->w.sh->mode, NGX_LIVE_TRACK_ON);
        }
    }

    if (ngx_live_writer_flush(&o->w) != NGX_OK) {
        ngx_live_output_fail(o, "it cannot be written");
    }
}
