
/*
 * Follows publications of applications that have rungs (ngx_live_tap_t).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_live_transcode.h"


/* ms for encoders to give what they have when a publication ends */
#define NGX_LIVE_TRANSCODE_DRAIN  5000


static void *ngx_live_transcode_create_conf(ngx_conf_t *cf);
static char *ngx_live_transcode_merge_conf(ngx_conf_t *cf, void *prev,
    void *conf);
static ngx_int_t ngx_live_transcode_init_process(ngx_cycle_t *cycle);
static void *ngx_live_transcode_open(ngx_live_publication_t *pub,
    ngx_live_app_conf_t *app);
static void ngx_live_transcode_config(void *tap, live_media_e media);
static void ngx_live_transcode_boundary(void *tap, ngx_live_boundary_t *b);
static void ngx_live_transcode_keep(ngx_live_transcoder_t *tc);
static ngx_uint_t ngx_live_transcode_awaited(ngx_live_transcoder_t *tc);
static void ngx_live_transcode_part(void *tap, int64_t us);
static void ngx_live_transcode_begin(void *tap, live_media_e media,
    size_t size);
static void ngx_live_transcode_data(void *tap, live_media_e media,
    u_char *data, size_t len);
static void ngx_live_transcode_sample(void *tap, live_media_e media,
    live_sample_t *s);
static void ngx_live_transcode_video(ngx_live_transcoder_t *tc,
    ngx_live_item_t *item);
static void ngx_live_transcode_audio(ngx_live_transcoder_t *tc,
    ngx_live_item_t *item);
static ngx_int_t ngx_live_transcode_finish(void *tap, int64_t end_us);
static void ngx_live_transcode_timer(ngx_event_t *ev);
static void ngx_live_transcode_close(void *tap, ngx_uint_t owned);


static ngx_live_tap_t  ngx_live_transcode_tap = {
    ngx_live_transcode_open,
    ngx_live_transcode_config,
    ngx_live_transcode_boundary,
    ngx_live_transcode_part,
    ngx_live_transcode_begin,
    ngx_live_transcode_data,
    ngx_live_transcode_sample,
    ngx_live_transcode_finish,
    ngx_live_transcode_close
};


static ngx_live_module_t  ngx_live_transcode_module_ctx = {
    ngx_live_transcode_create_conf,
    ngx_live_transcode_merge_conf
};


ngx_module_t  ngx_live_transcode_module = {
    NGX_MODULE_V1,
    &ngx_live_transcode_module_ctx,        /* module context */
    NULL,                                  /* module directives */
    NGX_LIVE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_live_transcode_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* of this worker; what threads have is reached from here */
static ngx_queue_t  ngx_live_transcoders;


/* All settings are the core's. */

static void *
ngx_live_transcode_create_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, 1);
}


static char *
ngx_live_transcode_merge_conf(ngx_conf_t *cf, void *prev, void *conf)
{
    return NGX_CONF_OK;
}


static ngx_int_t
ngx_live_transcode_init_process(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_live_transcoders);

    ngx_live_tap = &ngx_live_transcode_tap;

    /* SVT-AV1 prints its settings to stderr, which is our log, with each
     * encoder; from here on there may be threads */

    (void) setenv("SVT_LOG", "1", 0);

    return NGX_OK;
}


static void *
ngx_live_transcode_open(ngx_live_publication_t *pub, ngx_live_app_conf_t *app)
{
    ngx_uint_t              i, rungs;
    live_rung_t            *conf;
    ngx_live_transcoder_t  *tc;

    if (app->renditions == NULL) {
        return NULL;
    }

    conf = app->renditions->elts;
    rungs = 0;

    for (i = 0; i < app->renditions->nelts; i++) {
        rungs += !conf[i].copy && !(pub->left_out >> i & 1);
    }

    if (rungs == 0) {
        return NULL;
    }

    if (ngx_live_limit_transcode(pub) != NGX_OK) {
        return NULL;
    }

    tc = ngx_calloc(sizeof(ngx_live_transcoder_t), pub->log);
    if (tc == NULL) {
        ngx_live_limit_transcoded(pub, 1);
        return NULL;
    }

    tc->pub = pub;
    tc->app = app;
    tc->log = ngx_cycle->log;

    ngx_live_stage_init(&tc->decode, ngx_live_decode_run,
                        ngx_live_decode_done, tc, tc->log);
    ngx_live_stage_init(&tc->listen, ngx_live_listen_run,
                        ngx_live_listen_done, tc, tc->log);
    ngx_live_stage_init(&tc->probe, ngx_live_transcode_probe_run,
                        ngx_live_transcode_probe_done, tc, tc->log);

    pub->rungs += rungs;

    ngx_queue_insert_tail(&ngx_live_transcoders, &tc->queue);

    return tc;
}


/* Rungs are those of the first record: they stay what they are where the
 * source changes later. */

static void
ngx_live_transcode_config(void *tap, live_media_e media)
{
    ngx_live_transcoder_t *tc = tap;

    if (media == LIVE_MEDIA_AUDIO && ngx_live_transcode_awaited(tc)) {
        tc->listening = 1;
    }

    if (media == LIVE_MEDIA_VIDEO ? tc->decoding : tc->listening) {
        ngx_live_transcode_record(tc, media);
    }

    ngx_live_transcode_prepare(tc);
    ngx_live_transcode_tracks(tc);
}


void
ngx_live_transcode_record(ngx_live_transcoder_t *tc, live_media_e media)
{
    ngx_live_item_t    *item;
    ngx_live_writer_t  *w;

    w = &tc->pub->writers[media];

    item = ngx_live_item(NGX_LIVE_ITEM_CONFIG);
    if (item == NULL) {
        return;
    }

    item->len = w->config_len;
    item->data = malloc(w->config_len);
    item->info = malloc(sizeof(live_codec_info_t));

    if (item->data == NULL || item->info == NULL) {
        ngx_live_item_free(item);
        return;
    }

    ngx_memcpy(item->data, w->config, w->config_len);
    *item->info = w->info;

    ngx_live_stage_push(media == LIVE_MEDIA_VIDEO ? &tc->decode
                                                  : &tc->listen, item);
}


static void
ngx_live_transcode_boundary(void *tap, ngx_live_boundary_t *b)
{
    ngx_live_transcoder_t *tc = tap;

    ngx_uint_t          i;
    ngx_live_output_t  *o;

    ngx_live_replay_boundary(tc, b);

    tc->mark = live_us_to_ticks(b->us, LIVE_VIDEO_TIMESCALE);
    tc->marked = 1;

    ngx_live_transcode_keep(tc);

    if (!tc->tracked) {
        return;
    }

    for (i = 0; i < tc->nrungs; i++) {
        o = &tc->rungs[i].out;

        if (o->state == NGX_LIVE_RUNG_IDLE && !o->paused) {
            continue;
        }

        ngx_live_follow_boundary(&o->w, b);

        if (o->state == NGX_LIVE_RUNG_IDLE
            && ngx_live_follow_gap(&o->w, b->us) != NGX_OK)
        {
            ngx_live_output_fail(o, "the zone is full");
        }
    }

    for (i = 0; i < tc->nsounds; i++) {
        o = &tc->sounds[i];

        if (o->state != NGX_LIVE_RUNG_IDLE) {
            ngx_live_follow_boundary(&o->w, b);
        }
    }
}


/* Before it is known what rungs there are, a segment has begun: its units are
 * kept for those that run always. */

static void
ngx_live_transcode_keep(ngx_live_transcoder_t *tc)
{
    ngx_live_item_t  *item;

    if (!ngx_live_transcode_awaited(tc)) {
        return;
    }

    /* of the newest segment only */

    while ((item = ngx_live_items_take(&tc->decode.in)) != NULL) {
        ngx_live_item_free(item);
    }

    if (tc->pub->writers[LIVE_MEDIA_VIDEO].sh) {
        tc->decoding = 1;
        ngx_live_transcode_record(tc, LIVE_MEDIA_VIDEO);
    }

    if (tc->pub->writers[LIVE_MEDIA_AUDIO].config && !tc->listening) {
        tc->listening = 1;
        ngx_live_transcode_record(tc, LIVE_MEDIA_AUDIO);
    }
}


/* 1 while rungs that are wanted have no tracks yet, or had them before. */

static ngx_uint_t
ngx_live_transcode_awaited(ngx_live_transcoder_t *tc)
{
    uint64_t               wanted;
    ngx_uint_t             i;
    ngx_live_stream_sh_t  *st;

    if (tc->tracked || tc->finishing) {
        return 0;
    }

    if (tc->app->transcode == NGX_LIVE_TRANSCODE_ALWAYS) {
        return 1;
    }

    st = tc->pub->st;

    for (i = 0; i < st->ntracks; i++) {
        wanted = ngx_live_load(&st->tracks[i].wanted);

        if (st->tracks[i].rung && wanted
            && ngx_live_now() < wanted + tc->app->transcode_idle)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_live_transcode_part(void *tap, int64_t us)
{
    ngx_live_transcoder_t *tc = tap;

    ngx_uint_t  i;

    ngx_live_replay_part(tc, us);

    for (i = 0; tc->tracked && i < tc->nrungs; i++) {
        if (ngx_live_follow_part(&tc->rungs[i].out.w, us) != NGX_OK) {
            ngx_live_output_fail(&tc->rungs[i].out, "it cannot be written");
        }
    }

    for (i = 0; tc->tracked && i < tc->nsounds; i++) {
        (void) ngx_live_follow_part(&tc->sounds[i].w, us);
    }
}


static void
ngx_live_transcode_begin(void *tap, live_media_e media, size_t size)
{
    ngx_live_transcoder_t *tc = tap;

    ngx_live_item_t  *item;

    if (tc->arriving[media]) {
        ngx_live_item_free(tc->arriving[media]);
        tc->arriving[media] = NULL;
    }

    /* a frame of the other kind may have come in part */

    if (!tc->pub->writers[!media].arriving) {
        ngx_live_transcode_demand(tc);
    }

    if (media == LIVE_MEDIA_VIDEO ? !tc->decoding : !tc->listening) {
        return;
    }

    item = ngx_live_item(NGX_LIVE_ITEM_UNIT);
    if (item == NULL) {
        return;
    }

    item->data = malloc(size);
    item->len = size;
    item->bytes = size;
    tc->filled[media] = 0;

    if (item->data == NULL) {
        ngx_live_item_free(item);
        return;
    }

    tc->arriving[media] = item;
}


static void
ngx_live_transcode_data(void *tap, live_media_e media, u_char *data,
    size_t len)
{
    ngx_live_transcoder_t *tc = tap;

    ngx_live_item_t  *item;

    item = tc->arriving[media];

    if (item && len <= item->len - tc->filled[media]) {
        ngx_memcpy(item->data + tc->filled[media], data, len);
        tc->filled[media] += len;
    }
}


static void
ngx_live_transcode_sample(void *tap, live_media_e media, live_sample_t *s)
{
    ngx_live_transcoder_t *tc = tap;

    ngx_uint_t        i;
    ngx_live_item_t  *item;

    item = tc->arriving[media];
    tc->arriving[media] = NULL;

    if (item && (s == NULL || tc->filled[media] != s->size)) {
        ngx_live_item_free(item);
        item = NULL;
    }

    if (item) {
        item->sample = *s;
        item->len = s->size;

        if (media == LIVE_MEDIA_VIDEO) {
            ngx_live_transcode_video(tc, item);

        } else {
            ngx_live_transcode_audio(tc, item);
        }
    }

    /* audio waits for video to come as far */

    if (media == LIVE_MEDIA_VIDEO) {
        for (i = 0; i < tc->nsounds; i++) {
            ngx_live_sound_write(&tc->sounds[i]);
        }
    }

    ngx_live_transcode_shed(tc);
}


static void
ngx_live_transcode_video(ngx_live_transcoder_t *tc, ngx_live_item_t *item)
{
    if (!tc->tracked && tc->decode.in.n > NGX_LIVE_RUNG_EARLY) {
        ngx_live_item_free(item);
        return;
    }

    if (tc->dropping && (item->sample.flags & LIVE_SAMPLE_KEY)
        && tc->decode.in.n < NGX_LIVE_STAGE_BATCH * 4)
    {
        tc->dropping = 0;
    }

    if (tc->dropping) {
        tc->skipped++;
        ngx_live_item_free(item);
        return;
    }

    if (tc->marked) {
        item->mark = tc->mark;
        item->marked = 1;
        tc->marked = 0;
    }

    ngx_live_stage_push(&tc->decode, item);
    ngx_live_decode_start(tc);
}


static void
ngx_live_transcode_audio(ngx_live_transcoder_t *tc, ngx_live_item_t *item)
{
    if (tc->listen.in.n > NGX_LIVE_RUNG_SOUND) {
        tc->skipped++;
        ngx_live_item_free(item);
        return;
    }

    ngx_live_stage_push(&tc->listen, item);

    if (tc->tracked && ngx_live_stage_start(&tc->listen) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                      "sound is lost, the thread pool takes no more tasks");
    }
}


static ngx_int_t
ngx_live_transcode_finish(void *tap, int64_t end_us)
{
    ngx_live_transcoder_t *tc = tap;

    tc->end_us = end_us;

    if (!tc->decoding && !tc->listening) {
        return NGX_OK;
    }

    /* the end goes the way of the frames before it */

    tc->finishing = 1;

    if (tc->decoding) {
        ngx_live_stage_end(&tc->decode);
    }

    if (tc->listening) {
        ngx_live_stage_end(&tc->listen);
    }

    tc->timer.handler = ngx_live_transcode_timer;
    tc->timer.data = tc;
    tc->timer.log = tc->log;

    ngx_add_timer(&tc->timer, NGX_LIVE_TRANSCODE_DRAIN);

    return NGX_AGAIN;
}


static void
ngx_live_transcode_timer(ngx_event_t *ev)
{
    ngx_live_transcoder_t *tc = ev->data;

    ngx_uint_t  i;

    /* threads go on, but nobody waits for them */

    ngx_log_error(NGX_LOG_WARN, tc->log, 0,
                  "the end of \"%*s/%*s\" is not transcoded, it took too "
                  "long", (size_t) tc->pub->st->app_len, tc->pub->st->app,
                  (size_t) tc->pub->st->name_len, tc->pub->st->name);

    for (i = 0; i < tc->nrungs; i++) {
        tc->rungs[i].out.state = NGX_LIVE_RUNG_IDLE;
    }

    for (i = 0; i < tc->nsounds; i++) {
        tc->sounds[i].state = NGX_LIVE_RUNG_IDLE;
    }

    ngx_live_transcode_drained(tc);
}


static void
ngx_live_transcode_close(void *tap, ngx_uint_t owned)
{
    ngx_live_transcoder_t *tc = tap;

    ngx_uint_t          i;
    ngx_live_output_t  *o;

    for (i = 0; i < tc->nrungs + tc->nsounds; i++) {
        o = i < tc->nrungs ? &tc->rungs[i].out : &tc->sounds[i - tc->nrungs];

        if (owned && o->w.open) {
            ngx_live_follow_end(&o->w, tc->end_us);
        }

        ngx_live_follow_free(&o->w, owned);
        ngx_memzero(&o->w, sizeof(ngx_live_writer_t));

        o->state = NGX_LIVE_RUNG_IDLE;
    }

    if (owned) {
        tc->pub->st->queued = 0;
        tc->pub->st->shed = 0;
        tc->pub->st->lag = 0;
    }

    if (tc->timer.timer_set) {
        ngx_del_timer(&tc->timer);
    }

    ngx_live_limit_transcoded(tc->pub, owned);

    tc->pub = NULL;
    ngx_live_store(&tc->gone, 1);

    ngx_live_transcode_release(tc);
}
