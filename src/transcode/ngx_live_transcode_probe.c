
/*
 * What rungs there are: found before any of them runs, so that playlists name
 * all of them, and exactly.  Encoders are made for a moment, in a thread.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_transcode.h"
#include "ngx_live_render.h"
#include "live_cmaf.h"


static void ngx_live_probe_rungs(ngx_live_transcoder_t *tc);
static void ngx_live_probe_sort(ngx_live_transcoder_t *tc);
static void ngx_live_probe_sounds(ngx_live_transcoder_t *tc);
static ngx_uint_t ngx_live_probe_sound(ngx_live_transcoder_t *tc,
    live_rung_t *conf);
static void ngx_live_probe_picture(ngx_live_rung_t *r);
static void ngx_live_probe_output(ngx_live_output_t *o);
static void ngx_live_probe_source(ngx_live_transcoder_t *tc,
    live_rung_source_t *source);
static void ngx_live_probe_forget(ngx_live_transcoder_t *tc);
static ngx_int_t ngx_live_probe_track(ngx_live_output_t *o,
    const char *name);
static ngx_live_track_sh_t *ngx_live_probe_find(ngx_live_transcoder_t *tc,
    const char *name, ngx_uint_t *index);
static void ngx_live_probe_sound_name(ngx_live_transcoder_t *tc,
    ngx_uint_t n, u_char *name);
static void ngx_live_probe_link(ngx_live_transcoder_t *tc);


void
ngx_live_transcode_prepare(ngx_live_transcoder_t *tc)
{
    ngx_uint_t               i;
    ngx_live_item_t         *item;
    ngx_live_publication_t  *pub;

    pub = tc->pub;

    if (tc->prepared || tc->probe.busy) {
        return;
    }

    /* audio may be announced a moment behind video */

    for (i = 0; i < 2; i++) {
        if (pub->writers[i].configured) {
            tc->probed[i] = pub->writers[i].changed ? pub->writers[i].next_info
                                                    : pub->writers[i].info;
        }
    }

    item = ngx_live_item(NGX_LIVE_ITEM_END);

    if (item) {
        ngx_live_probe_rungs(tc);
        ngx_live_stage_push(&tc->probe, item);
        (void) ngx_live_stage_start(&tc->probe);
    }
}


/* In the loop: the outputs, with sizes; audio settings are shared. */

static void
ngx_live_probe_rungs(ngx_live_transcoder_t *tc)
{
    ngx_uint_t           i;
    live_rung_t         *conf;
    ngx_live_rung_t     *r;
    live_rung_source_t   source;

    ngx_live_probe_source(tc, &source);

    /* it may be done again; nothing runs yet */

    tc->nrungs = 0;
    tc->nsounds = 0;
    ngx_memzero(tc->rungs, sizeof(tc->rungs));
    ngx_memzero(tc->sounds, sizeof(tc->sounds));

    conf = tc->app->renditions->elts;

    for (i = 0; i < tc->app->renditions->nelts; i++) {

        if (conf[i].copy || conf[i].audio_only
            || (tc->pub->left_out >> i & 1)
            || !tc->pub->writers[LIVE_MEDIA_VIDEO].configured
            || tc->nrungs == NGX_LIVE_MAX_RUNGS)
        {
            continue;
        }

        r = &tc->rungs[tc->nrungs];

        if (live_rung_size(&conf[i], &source, &r->width, &r->height)
            != LIVE_OK)
        {
            ngx_log_error(NGX_LOG_NOTICE, tc->pub->log, 0,
                          "rendition \"%s\" is left out, the source has "
                          "only %uDx%uD", conf[i].name, source.width,
                          source.height);
            continue;
        }

        r->out.tc = tc;
        r->out.conf = &conf[i];
        r->out.media = LIVE_MEDIA_VIDEO;
        r->source = source;

        ngx_live_stage_init(&r->scale, ngx_live_scale_run,
                            ngx_live_scale_done, r, tc->log);
        ngx_live_stage_init(&r->out.encode, ngx_live_encode_run,
                            ngx_live_encode_done, &r->out, tc->log);
        ngx_live_items_init(&r->out.pending);

        tc->nrungs++;
    }

    ngx_live_probe_sort(tc);
    ngx_live_probe_sounds(tc);
}


static void
ngx_live_probe_source(ngx_live_transcoder_t *tc, live_rung_source_t *source)
{
    ngx_live_writer_t  *w;
    live_codec_info_t  *info;

    w = &tc->pub->writers[LIVE_MEDIA_VIDEO];
    info = &tc->probed[LIVE_MEDIA_VIDEO];

    ngx_memzero(source, sizeof(live_rung_source_t));

    source->width = info->width;
    source->height = info->height;
    source->sar_num = info->sar_num;
    source->sar_den = info->sar_den;
    source->fps = tc->pub->fps;

    if (info->fps_den) {
        source->fps = (double) info->fps_num / info->fps_den;
    }

    if (live_track_clock_steady(&w->clock)) {
        source->fps = (double) LIVE_VIDEO_TIMESCALE
                      / live_track_clock_duration(&w->clock);
    }

    /* rate control needs some number; the encoder that runs has measured */

    if (source->fps < 1 || source->fps > 300) {
        source->fps = 30;
    }
}


/* From high to low: the order of the cascade, and of shedding. */

static void
ngx_live_probe_sort(ngx_live_transcoder_t *tc)
{
    ngx_uint_t       i, k;
    ngx_live_rung_t  r;

    for (i = 1; i < tc->nrungs; i++) {
        r = tc->rungs[i];

        for (k = i; k > 0
                    && (uint64_t) r.width * r.height
                       > (uint64_t) tc->rungs[k - 1].width
                         * tc->rungs[k - 1].height; k--)
        {
            tc->rungs[k] = tc->rungs[k - 1];
        }

        tc->rungs[k] = r;
    }

    /* stages are known by their address, and empty lists point to themselves */

    for (i = 0; i < tc->nrungs; i++) {
        ngx_live_stage_init(&tc->rungs[i].scale, ngx_live_scale_run,
                            ngx_live_scale_done, &tc->rungs[i], tc->log);
        ngx_live_stage_init(&tc->rungs[i].out.encode, ngx_live_encode_run,
                            ngx_live_encode_done, &tc->rungs[i].out,
                            tc->log);
        ngx_live_items_init(&tc->rungs[i].out.pending);
    }
}


static void
ngx_live_probe_sounds(ngx_live_transcoder_t *tc)
{
    ngx_uint_t    i;
    live_rung_t  *conf;

    if (!tc->pub->writers[LIVE_MEDIA_AUDIO].configured) {
        return;
    }

    for (i = 0; i < tc->nrungs; i++) {
        tc->rungs[i].sound = ngx_live_probe_sound(tc, tc->rungs[i].out.conf);
    }

    conf = tc->app->renditions->elts;

    for (i = 0; i < tc->app->renditions->nelts; i++) {
        if (conf[i].audio_only && !(tc->pub->left_out >> i & 1)) {
            (void) ngx_live_probe_sound(tc, &conf[i]);
        }
    }
}


/* The sound of that setting, from 1 on; 0: the source's. */

static ngx_uint_t
ngx_live_probe_sound(ngx_live_transcoder_t *tc, live_rung_t *conf)
{
    ngx_uint_t          i;
    ngx_live_output_t  *o;

    if (!conf->audio_only
        && live_rung_passes_audio(conf, &tc->probed[LIVE_MEDIA_AUDIO],
                                  tc->pub->audio_rate))
    {
        return 0;
    }

    for (i = 0; i < tc->nsounds; i++) {
        if (!conf->audio_only && !tc->sounds[i].conf->audio_only
            && live_rung_same_audio(tc->sounds[i].conf, conf))
        {
            return i + 1;
        }
    }

    if (tc->nsounds == NGX_LIVE_MAX_SOUNDS) {
        ngx_log_error(NGX_LOG_WARN, tc->pub->log, 0,
                      "rendition \"%s\" has the audio of the source, there "
                      "are %d audio settings already", conf->name,
                      NGX_LIVE_MAX_SOUNDS);
        return 0;
    }

    o = &tc->sounds[tc->nsounds++];

    o->tc = tc;
    o->conf = conf;
    o->media = LIVE_MEDIA_AUDIO;
    o->sound = tc->probed[LIVE_MEDIA_AUDIO];

    ngx_live_stage_init(&o->encode, ngx_live_encode_run, ngx_live_sound_done,
                        o, tc->log);
    ngx_live_items_init(&o->pending);

    return tc->nsounds;
}


void
ngx_live_transcode_probe_run(ngx_live_stage_t *s)
{
    ngx_uint_t              i;
    ngx_live_transcoder_t  *tc = s->data;

    for (i = 0; i < tc->nrungs; i++) {
        ngx_live_probe_picture(&tc->rungs[i]);
        ngx_live_probe_output(&tc->rungs[i].out);
    }

    for (i = 0; i < tc->nsounds; i++) {
        ngx_live_probe_output(&tc->sounds[i]);
    }
}


/* What its scaler will give, so that the codec record is the same later. */

static void
ngx_live_probe_picture(ngx_live_rung_t *r)
{
    const char     *reason;
    live_scaler_t  *scaler;

    r->divisor = live_rung_divisor(r->out.conf, &r->source);

    scaler = live_scaler_create(r->out.conf, &r->source, r->width, r->height,
                                r->divisor, &reason);

    if (scaler) {
        live_scaler_target(scaler, &r->out.picture);
        live_scaler_free(scaler);
    }
}


static void
ngx_live_probe_output(ngx_live_output_t *o)
{
    size_t           len;
    const char      *reason;
    const uint8_t   *config;
    live_encoder_t  *e;

    e = o->media == LIVE_MEDIA_VIDEO
        ? live_encoder_create_video(o->conf, &o->picture, &reason)
        : live_encoder_create_audio(o->conf, &o->sound, &reason);

    if (e == NULL) {
        o->encode.reason = reason;
        return;
    }

    if (live_encoder_config(e, &o->info, &config, &len) == LIVE_OK
        && len <= NGX_LIVE_MAX_CONFIG)
    {
        ngx_memcpy(o->config, config, len);
        o->config_len = len;
        o->configured = 1;

    } else {
        o->encode.reason = "the encoder gives no codec record";
    }

    live_encoder_free(e);
}


void
ngx_live_transcode_probe_done(ngx_live_stage_t *s)
{
    ngx_uint_t              i;
    ngx_live_output_t      *o;
    ngx_live_transcoder_t  *tc = s->data;

    s->ending = 0;

    if (tc->pub == NULL) {
        ngx_live_transcode_release(tc);
        return;
    }

    /* what was announced meanwhile counts as well */

    for (i = 0; i < 2; i++) {
        if (tc->pub->writers[i].configured
            && tc->probed[i].codec == LIVE_CODEC_NONE)
        {
            ngx_live_transcode_prepare(tc);
            return;
        }
    }

    tc->prepared = 1;

    for (i = 0; i < tc->nrungs + tc->nsounds; i++) {
        o = i < tc->nrungs ? &tc->rungs[i].out : &tc->sounds[i - tc->nrungs];

        if (!o->configured) {
            ngx_live_output_fail(o, o->encode.reason);
        }
    }

    ngx_live_transcode_tracks(tc);
}


/* The source comes first: its track leads. */

void
ngx_live_transcode_tracks(ngx_live_transcoder_t *tc)
{
    u_char                   name[LIVE_RUNG_NAME];
    ngx_uint_t               i;
    ngx_live_output_t       *o;
    ngx_live_publication_t  *pub;

    pub = tc->pub;

    if (!tc->prepared) {
        return;
    }

    if (tc->tracked) {
        ngx_live_probe_link(tc);
        return;
    }

    if (pub->writers[LIVE_MEDIA_VIDEO].configured
        && pub->writers[LIVE_MEDIA_VIDEO].sh == NULL)
    {
        return;
    }

    for (i = 0; i < tc->nrungs; i++) {
        o = &tc->rungs[i].out;

        if (!o->failed && ngx_live_probe_track(o, o->conf->name) != NGX_OK) {
            ngx_live_output_fail(o, "the index of the live zone is full");
        }
    }

    for (i = 0; i < tc->nsounds; i++) {
        o = &tc->sounds[i];

        ngx_live_probe_sound_name(tc, i, name);

        if (!o->failed && ngx_live_probe_track(o, (char *) name) != NGX_OK) {
            ngx_live_output_fail(o, "the index of the live zone is full");
        }
    }

    ngx_live_probe_forget(tc);

    tc->tracked = 1;
    pub->rungs = tc->nrungs + tc->nsounds;
    pub->st->expect = pub->writers[0].configured + pub->writers[1].configured
                      + pub->rungs;

    ngx_live_probe_link(tc);
    ngx_live_transcode_early(tc);

    ngx_live_render_later(pub->zone, pub->st, NGX_LIVE_RENDER_ALL);
}


/* Rungs of an earlier publication that this configuration does not have, or
 * that are too large for the source now. */

static void
ngx_live_probe_forget(ngx_live_transcoder_t *tc)
{
    ngx_uint_t            i, n, used;
    ngx_live_track_sh_t  *t;

    for (n = 0; n < tc->pub->st->ntracks; n++) {
        t = &tc->pub->st->tracks[n];
        used = !t->rung;

        for (i = 0; i < tc->nrungs; i++) {
            used |= (tc->rungs[i].out.w.sh == t);
        }

        for (i = 0; i < tc->nsounds; i++) {
            used |= (tc->sounds[i].w.sh == t);
        }

        if (!used) {
            ngx_live_store(&t->mode, NGX_LIVE_TRACK_OFF);
            ngx_live_track_retire(tc->pub->zone, t, t->segments.head);
        }
    }
}


static ngx_int_t
ngx_live_probe_track(ngx_live_output_t *o, const char *name)
{
    ngx_uint_t               index;
    ngx_live_track_sh_t     *t;
    ngx_live_publication_t  *pub;

    pub = o->tc->pub;
    t = ngx_live_probe_find(o->tc, name, &index);

    if (t == NULL) {
        t = ngx_live_track_create(pub->zone, pub->st, name);

        if (t == NULL) {
            return NGX_ERROR;
        }

        index = pub->st->ntracks - 1;

    } else {
        ngx_live_track_trim(pub->zone, t);
    }

    t->rung = 1;
    t->hidden = 0;
    t->paused = 0;
    t->alone = o->conf->audio_only;
    t->info = o->info;
    t->fps = o->media == LIVE_MEDIA_VIDEO ? o->picture.fps : 0;

    if (t->bandwidth == 0) {
        t->bandwidth = o->media == LIVE_MEDIA_VIDEO
                       ? (uint64_t) ngx_max(o->conf->maxrate,
                                            o->conf->video_rate) * 11 / 10
                       : (uint64_t) o->conf->audio_rate * 11 / 10;
        t->average = o->media == LIVE_MEDIA_VIDEO ? o->conf->video_rate
                                                  : o->conf->audio_rate;
    }

    if (t->bandwidth == 0) {

        /* by quality alone: nobody knows, a generous guess until it runs */

        t->bandwidth = o->media == LIVE_MEDIA_VIDEO
                       ? (uint64_t) o->info.width * o->info.height * 6
                       : 140000;
        t->average = t->bandwidth * 2 / 3;
    }

    if (ngx_live_follow_init(pub, &o->w, t, index) != NGX_OK
        || ngx_live_follow_config(&o->w, &o->info, o->config, o->config_len)
           != NGX_OK
        || ngx_live_publish_activate(&o->w) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* one that was running for somebody goes on for him */

    if (t->mode != NGX_LIVE_TRACK_ON || t->segments.head == t->segments.tail
        || !ngx_live_output_wanted(o))
    {
        ngx_live_store(&t->mode, NGX_LIVE_TRACK_DORMANT);
        ngx_live_track_retire(pub->zone, t, t->segments.head);
    }

    return NGX_OK;
}


static ngx_live_track_sh_t *
ngx_live_probe_find(ngx_live_transcoder_t *tc, const char *name,
    ngx_uint_t *index)
{
    ngx_uint_t             i;
    ngx_live_stream_sh_t  *st;

    st = tc->pub->st;

    for (i = 0; i < st->ntracks; i++) {
        if (ngx_strcmp(st->tracks[i].name, name) == 0) {
            *index = i;
            return &st->tracks[i];
        }
    }

    return NULL;
}


/* "audio-96k", or "audio-96k-2" where settings differ in more than that. */

static void
ngx_live_probe_sound_name(ngx_live_transcoder_t *tc, ngx_uint_t n,
    u_char *name)
{
    u_char      *p;
    ngx_uint_t   i, same;
    live_rung_t  *conf;

    conf = tc->sounds[n].conf;

    if (conf->audio_only) {
        ngx_cpystrn(name, (u_char *) conf->name, LIVE_RUNG_NAME);
        return;
    }

    same = 1;

    for (i = 0; i < n; i++) {
        same += (!tc->sounds[i].conf->audio_only
                 && tc->sounds[i].conf->audio_rate / 1000
                    == conf->audio_rate / 1000);
    }

    p = ngx_snprintf(name, LIVE_RUNG_NAME - 1, "audio-%uDk",
                     conf->audio_rate / 1000);

    if (same > 1) {
        p = ngx_snprintf(p, LIVE_RUNG_NAME - 1 - (p - name), "-%ui", same);
    }

    *p = '\0';
}


/* Which audio goes with which video. */

static void
ngx_live_probe_link(ngx_live_transcoder_t *tc)
{
    ngx_uint_t          i, sound;
    ngx_live_writer_t  *audio;

    audio = &tc->pub->writers[LIVE_MEDIA_AUDIO];

    for (i = 0; i < tc->nrungs; i++) {

        if (tc->rungs[i].out.w.sh == NULL) {
            continue;
        }

        sound = tc->rungs[i].sound;

        if (sound && !tc->sounds[sound - 1].failed) {
            tc->rungs[i].out.w.sh->audio = tc->sounds[sound - 1].w.index + 1;

        } else {
            tc->rungs[i].out.w.sh->audio = audio->sh ? audio->index + 1 : 0;

            if (audio->sh) {
                audio->sh->hidden = 0;
            }
        }
    }
}
