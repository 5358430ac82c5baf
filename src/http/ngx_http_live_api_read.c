
/* What live_api tells of streams. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_api.h"
#include "live_url.h"


#define NGX_HTTP_LIVE_API_LIMIT  1000   /* streams of one answer */


/* A track, as it is told. */
typedef struct {
    char                name[32];
    live_codec_info_t   info;
    double              fps;
    uint64_t            bandwidth;
    uint64_t            average;
    uint64_t            first;      /* MSN, of the playlist */
    uint64_t            next;       /* the same, behind its last */
    uint64_t            bytes;
    uint32_t            mode;
    uint32_t            rung;
    uint32_t            hidden;
    uint32_t            paused;
    ngx_live_track_stat_t  stat;
} ngx_http_live_api_track_t;


/* A stream, or one that is only created: copied with the lock held, told
 * without it. */
typedef struct {
    u_char              name[NGX_LIVE_MAX_NAME];
    ngx_str_t           stream;     /* the same */
    ngx_uint_t          created;
    ngx_uint_t          published;  /* there is a stream */
    uint32_t            state;      /* ngx_live_state_e */
    uint32_t            slate;      /* the publisher is away, it is played */
    uint64_t            started;
    uint64_t            bytes;
    uint32_t            options;

    /* of the source */
    ngx_http_live_api_track_t  source[2];   /* by live_media_e */
    ngx_uint_t          has[2];
} ngx_http_live_api_stream_t;


/* All that is told of one. */
typedef struct {
    ngx_http_live_api_stream_t  stream;
    ngx_live_entry_sh_t         entry;      /* where it was created */

    char                epoch[20];
    uint64_t            msn;
    uint64_t            dsn;
    uint32_t            target_duration;    /* s */
    uint32_t            part_target;        /* ms */
    uint32_t            transcoded;
    uint32_t            shed;
    uint32_t            lag;                /* ms */
    uint64_t            queued;             /* bytes */
    uint64_t            skipped;
    ngx_live_stream_stat_t  stat;

    ngx_uint_t          ntracks;
    ngx_http_live_api_track_t  tracks[NGX_LIVE_MAX_TRACKS];
} ngx_http_live_api_detail_t;


typedef struct {
    ngx_str_t           application;
    ngx_uint_t          offset;
    ngx_uint_t          limit;
    ngx_int_t           state;      /* -1: any; see the names */
    ngx_uint_t          total;      /* found so far */
    ngx_uint_t          n;
    ngx_http_live_api_stream_t  *streams;
} ngx_http_live_api_list_t;


static ngx_int_t ngx_http_live_api_page(ngx_http_request_t *r,
    ngx_http_live_api_list_t *list);
static ngx_int_t ngx_http_live_api_number(ngx_http_request_t *r,
    const char *name, ngx_uint_t *value);
static void ngx_http_live_api_bucket(ngx_live_zone_t *zone, ngx_uint_t i,
    ngx_http_live_api_list_t *list);
static ngx_http_live_api_stream_t *ngx_http_live_api_next(
    ngx_http_live_api_list_t *list, ngx_int_t state);
static void ngx_http_live_api_copy(ngx_http_live_api_stream_t *s,
    ngx_live_stream_sh_t *st);
static uint32_t ngx_http_live_api_state(ngx_live_stream_sh_t *st);
static void ngx_http_live_api_copy_track(ngx_http_live_api_track_t *to,
    ngx_live_track_sh_t *t);
static json_t *ngx_http_live_api_stream(ngx_http_live_api_stream_t *s,
    ngx_str_t *application);
static json_t *ngx_http_live_api_media(ngx_http_live_api_track_t *t);
static ngx_uint_t ngx_http_live_api_find(ngx_http_live_api_ctx_t *ctx,
    ngx_http_live_api_detail_t *d);
static ngx_int_t ngx_http_live_api_detail(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, ngx_http_live_api_detail_t *d,
    json_t *json);
static json_t *ngx_http_live_api_rendition(ngx_http_live_api_track_t *t);
static json_t *ngx_http_live_api_figures(ngx_http_live_api_track_t *t);


/* by ngx_live_state_e; the first one is of what is created only */
static const char  *ngx_http_live_api_states[] = {
    "created", "live", "away", "ended"
};


/* by ngx_live_source_state_e */
static const char  *ngx_http_live_api_sources[] = {
    "waiting", "connecting", "running", "ended"
};


ngx_int_t
ngx_http_live_api_list(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    json_t                    *json, *streams;
    ngx_uint_t                 i;
    ngx_live_zone_t           *zone;
    ngx_http_live_api_list_t   list;

    ngx_memzero(&list, sizeof(ngx_http_live_api_list_t));

    list.application = ctx->application;

    if (ngx_http_live_api_page(r, &list) != NGX_OK) {
        return ngx_http_live_api_error(r, NGX_HTTP_BAD_REQUEST,
                                       "limit is 1 to 1000, offset a number, "
                                       "state created, live, away or ended");
    }

    zone = ngx_live_zone();

    /* some more than there are now: others may begin meanwhile */

    list.limit = ngx_min(list.limit, zone->sh->nstreams
                                     + zone->sh->nentries + 16);

    list.streams = ngx_palloc(r->pool, list.limit
                                       * sizeof(ngx_http_live_api_stream_t));
    if (list.streams == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        ngx_http_live_api_bucket(zone, i, &list);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    streams = json_array();

    for (i = 0; i < list.n; i++) {
        (void) json_array_append_new(streams,
                     ngx_http_live_api_stream(&list.streams[i],
                                              &list.application));
    }

    json = json_pack("{s:o,s:I,s:I}", "streams", streams,
                     "total", (json_int_t) list.total,
                     "offset", (json_int_t) list.offset);

    return ngx_http_live_api_send(r, NGX_HTTP_OK, json);
}


static ngx_int_t
ngx_http_live_api_page(ngx_http_request_t *r, ngx_http_live_api_list_t *list)
{
    ngx_str_t   value;
    ngx_uint_t  i;

    list->limit = NGX_HTTP_LIVE_API_LIMIT;
    list->state = -1;

    if (ngx_http_live_api_number(r, "offset", &list->offset) != NGX_OK
        || ngx_http_live_api_number(r, "limit", &list->limit) != NGX_OK
        || list->limit == 0
        || list->limit > NGX_HTTP_LIVE_API_LIMIT)
    {
        return NGX_ERROR;
    }

    if (ngx_http_arg(r, (u_char *) "state", 5, &value) != NGX_OK) {
        return NGX_OK;
    }

    for (i = 0; i < 4; i++) {

        if (ngx_strlen(ngx_http_live_api_states[i]) == value.len
            && ngx_memcmp(ngx_http_live_api_states[i], value.data, value.len)
               == 0)
        {
            list->state = i;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


/* *value stays where the query does not have it. */

static ngx_int_t
ngx_http_live_api_number(ngx_http_request_t *r, const char *name,
    ngx_uint_t *value)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &text) != NGX_OK) {
        return NGX_OK;
    }

    n = ngx_atoi(text.data, text.len);
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    *value = n;

    return NGX_OK;
}


/* Streams stay in order from page to page, as long as they are there; lock
 * held. */

static void
ngx_http_live_api_bucket(ngx_live_zone_t *zone, ngx_uint_t i,
    ngx_http_live_api_list_t *list)
{
    ngx_str_t                    name, *app;
    ngx_live_entry_sh_t         *e;
    ngx_live_stream_sh_t        *st;
    ngx_http_live_api_stream_t  *s;

    app = &list->application;

    for (st = zone->sh->buckets[i]; st; st = st->next) {

        if (st->state == NGX_LIVE_STREAM_FREE
            || st->app_len != app->len
            || ngx_memcmp(st->app, app->data, app->len) != 0)
        {
            continue;
        }

        s = ngx_http_live_api_next(list, ngx_http_live_api_state(st));

        if (s) {
            ngx_http_live_api_copy(s, st);
        }
    }

    for (e = zone->sh->entries[i]; e; e = e->next) {
        name.data = e->name;
        name.len = e->name_len;

        if (!e->created
            || e->app_len != app->len
            || ngx_memcmp(e->app, app->data, app->len) != 0
            || ngx_live_stream_find_locked(zone, app, &name, NULL))
        {
            continue;
        }

        s = ngx_http_live_api_next(list, 0);

        if (s) {
            ngx_memzero(s, sizeof(ngx_http_live_api_stream_t));
            s->stream.data = s->name;
            s->stream.len = name.len;
            ngx_memcpy(s->name, name.data, name.len);
        }
    }
}


/* Counts one more; NULL where it is not of this page. */

static ngx_http_live_api_stream_t *
ngx_http_live_api_next(ngx_http_live_api_list_t *list, ngx_int_t state)
{
    if (list->state != -1 && list->state != state) {
        return NULL;
    }

    if (list->total++ < list->offset || list->n == list->limit) {
        return NULL;
    }

    return &list->streams[list->n++];
}


static void
ngx_http_live_api_copy(ngx_http_live_api_stream_t *s,
    ngx_live_stream_sh_t *st)
{
    ngx_uint_t            i;
    ngx_live_track_sh_t  *t;

    ngx_memzero(s, sizeof(ngx_http_live_api_stream_t));

    s->stream.data = s->name;
    s->stream.len = st->name_len;
    ngx_memcpy(s->name, st->name, st->name_len);

    s->published = 1;
    s->state = ngx_http_live_api_state(st);
    s->slate = (s->state != st->state);
    s->started = st->started;
    s->bytes = st->bytes_in;
    s->options = st->options;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (!t->rung) {
            s->has[t->info.media] = 1;
            ngx_http_live_api_copy_track(&s->source[t->info.media], t);
        }
    }
}


/* A slate does not make it live. */

static uint32_t
ngx_http_live_api_state(ngx_live_stream_sh_t *st)
{
    return st->state == NGX_LIVE_STREAM_LIVE && st->slate
           ? NGX_LIVE_STREAM_AWAY : st->state;
}


static void
ngx_http_live_api_copy_track(ngx_http_live_api_track_t *to,
    ngx_live_track_sh_t *t)
{
    ngx_memcpy(to->name, t->name, sizeof(to->name));

    to->info = t->info;
    to->fps = t->fps;
    to->bandwidth = t->bandwidth;
    to->average = t->average;
    to->first = t->listed;
    to->next = t->segments.head;
    to->bytes = t->bytes;
    to->mode = t->mode;
    to->rung = t->rung;
    to->hidden = t->hidden;
    to->paused = (t->paused != 0);
    to->stat = t->stat;
}


static json_t *
ngx_http_live_api_stream(ngx_http_live_api_stream_t *s,
    ngx_str_t *application)
{
    json_t    *json;
    uint64_t   ms;

    ms = s->state == NGX_LIVE_STREAM_LIVE ? ngx_live_since(s->started) : 0;

    json = json_pack("{s:s%,s:s%,s:s,s:s%,s:f,s:I}",
                     "application", application->data, application->len,
                     "name", s->stream.data, s->stream.len,
                     "state", ngx_http_live_api_states[s->state & 3],
                     "stream_id", s->stream.data, s->stream.len,
                     "duration", ms / 1000.0,
                     "bitrate", (json_int_t) (ms ? s->bytes * 8000 / ms : 0));

    if (s->slate) {
        (void) json_object_set_new(json, "slate", json_true());
    }

    if (s->has[LIVE_MEDIA_VIDEO]) {
        (void) json_object_set_new(json, "video",
                      ngx_http_live_api_media(&s->source[LIVE_MEDIA_VIDEO]));
    }

    if (s->has[LIVE_MEDIA_AUDIO]) {
        (void) json_object_set_new(json, "audio",
                      ngx_http_live_api_media(&s->source[LIVE_MEDIA_AUDIO]));
    }

    return json;
}


static json_t *
ngx_http_live_api_media(ngx_http_live_api_track_t *t)
{
    if (t->info.media == LIVE_MEDIA_AUDIO) {
        return json_pack("{s:s,s:i,s:i}", "codec", t->info.codecs,
                         "sample_rate", (int) t->info.sample_rate,
                         "channels", (int) t->info.channels);
    }

    return json_pack("{s:s,s:i,s:i,s:f}", "codec", t->info.codecs,
                     "width", (int) t->info.width,
                     "height", (int) t->info.height, "fps", t->fps);
}


ngx_int_t
ngx_http_live_api_show(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    json_t                      *json;
    ngx_http_live_api_detail_t  *d;

    d = ngx_pcalloc(r->pool, sizeof(ngx_http_live_api_detail_t));
    if (d == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_live_api_find(ctx, d)) {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "there is no such stream");
    }

    json = ngx_http_live_api_stream(&d->stream, &ctx->application);

    if (json && ngx_http_live_api_detail(r, ctx, d, json) != NGX_OK) {
        json_decref(json);
        json = NULL;
    }

    return ngx_http_live_api_send(r, NGX_HTTP_OK, json);
}


/* 0: there is neither a stream of that name nor was one created. */

static ngx_uint_t
ngx_http_live_api_find(ngx_http_live_api_ctx_t *ctx,
    ngx_http_live_api_detail_t *d)
{
    ngx_uint_t             i;
    ngx_live_zone_t       *zone;
    ngx_live_stream_sh_t  *st;

    zone = ngx_live_zone();

    if (ngx_live_registry_find(zone, &ctx->application, &ctx->stream,
                               &d->entry)
        == NGX_OK)
    {
        d->stream.stream = ctx->stream;
        d->stream.options = d->entry.options;
        d->stream.created = 1;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    st = ngx_live_stream_find_locked(zone, &ctx->application, &ctx->stream,
                                     NULL);
    if (st) {
        ngx_http_live_api_copy(&d->stream, st);
        d->stream.created = d->entry.created;

        ngx_memcpy(d->epoch, st->epoch, sizeof(d->epoch));
        d->msn = st->msn;
        d->dsn = st->dsn;
        d->target_duration = st->target_duration;
        d->part_target = st->part_target;
        d->transcoded = st->transcoded;
        d->shed = st->shed;
        d->lag = st->lag;
        d->queued = st->queued;
        d->skipped = st->skipped;
        d->stat = st->stat;

        for (i = 0; i < st->ntracks; i++) {
            ngx_http_live_api_copy_track(&d->tracks[i], &st->tracks[i]);
        }

        d->ntracks = st->ntracks;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return d->stream.published || d->stream.created;
}


static ngx_int_t
ngx_http_live_api_detail(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx,
    ngx_http_live_api_detail_t *d, json_t *json)
{
    json_t      *renditions;
    uint64_t     dropped;
    ngx_uint_t   i;

    dropped = d->stat.dropped[LIVE_MEDIA_VIDEO]
              + d->stat.dropped[LIVE_MEDIA_AUDIO];

    (void) json_object_set_new(json, "created",
                               json_boolean(d->stream.created));

    if (d->stream.created && d->entry.stale) {
        (void) json_object_set_new(json, "heartbeat",
               json_pack("{s:I,s:I}",
                         "stale", (json_int_t) (d->entry.stale / 1000),
                         "left", (json_int_t) (d->entry.heard + d->entry.stale
                                               - ngx_live_now()) / 1000));
    }

    if (d->stream.created) {
        (void) json_object_set_new(json, "stopped",
                                   json_boolean(d->entry.stopped));
        (void) ngx_http_live_api_source(ctx, json, &ctx->stream);
    }

    if (d->stream.published) {
        (void) json_object_set_new(json, "bytes",
                                  json_integer((json_int_t) d->stream.bytes));
        (void) json_object_set_new(json, "viewers",
                             json_integer((json_int_t) d->stat.viewers));

        (void) json_object_set_new(json, "timeline",
               json_pack("{s:s,s:I,s:I,s:i,s:f,s:I}", "epoch", d->epoch,
                         "media_sequence", (json_int_t) d->msn,
                         "discontinuities", (json_int_t) d->dsn,
                         "target_duration", (int) d->target_duration,
                         "part_target", d->part_target / 1000.0,
                         "dropped_frames", (json_int_t) dropped));

        if (d->stream.state == NGX_LIVE_STREAM_LIVE) {
            (void) json_object_set_new(json, "publisher",
                   json_pack("{s:s,s:f,s:I}", "address", d->stat.peer,
                             "round_trip", d->stat.rtt / 1000000.0,
                             "bitrate", (json_int_t) d->stat.in.rate10));
        }

        renditions = json_array();

        for (i = 0; i < d->ntracks; i++) {
            if (d->tracks[i].mode != NGX_LIVE_TRACK_OFF) {
                (void) json_array_append_new(renditions,
                               ngx_http_live_api_rendition(&d->tracks[i]));
            }
        }

        (void) json_object_set_new(json, "renditions", renditions);
    }

    if (d->transcoded) {
        (void) json_object_set_new(json, "transcoder",
               json_pack("{s:i,s:f,s:I,s:I}", "shed", (int) d->shed,
                         "lag", d->lag / 1000.0,
                         "queued", (json_int_t) d->queued,
                         "skipped", (json_int_t) d->skipped));
    }

    if (json_object_get(json, "source") == NULL
        && ngx_http_live_api_publish_urls(r, ctx, json, &ctx->stream, NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_live_api_play_urls(r, ctx, json, &ctx->stream,
                                       d->stream.options);
}


ngx_int_t
ngx_http_live_api_source(ngx_http_live_api_ctx_t *ctx, json_t *json,
    ngx_str_t *name)
{
    char                   scheme[LIVE_URL_SCHEME], shown[NGX_LIVE_MAX_URL];
    json_t                *told;
    uint64_t               now;
    ngx_live_source_sh_t   source;

    if (ngx_live_source_find(ngx_live_zone(), &ctx->application, name,
                             &source)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    (void) live_url_read((char *) source.url, scheme, shown, sizeof(shown));
    ngx_explicit_memzero(source.url, sizeof(source.url));

    told = json_pack("{s:s,s:s,s:I}", "url", shown,
                     "state", ngx_http_live_api_sources[source.state & 3],
                     "failed", (json_int_t) source.tries);

    if (source.error[0]) {
        (void) json_object_set_new(told, "error", json_string(source.error));
    }

    now = ngx_live_now();

    if (source.state == NGX_LIVE_SOURCE_WAITING && source.next > now) {
        (void) json_object_set_new(told, "next_try",
                              json_real((source.next - now) / 1000.0));
    }

    return json_object_set_new(json, "source", told) == 0 ? NGX_OK
                                                          : NGX_ERROR;
}


static json_t *
ngx_http_live_api_rendition(ngx_http_live_api_track_t *t)
{
    json_t      *json;
    const char  *state;

    state = t->mode == NGX_LIVE_TRACK_DORMANT ? "dormant"
            : t->paused ? "paused" : "on";

    json = json_pack("{s:s,s:s,s:b,s:b,s:s,s:I,s:I,s:I,s:I,s:I}",
                     "name", t->name,
                     "type", t->info.media == LIVE_MEDIA_AUDIO ? "audio"
                                                               : "video",
                     "source", t->rung == 0,
                     "listed", t->hidden == 0,
                     "state", state,
                     "bandwidth", (json_int_t) t->bandwidth,
                     "average_bandwidth", (json_int_t) t->average,
                     "first_segment", (json_int_t) t->first,
                     "segments", (json_int_t) (t->next - t->first),
                     "bytes", (json_int_t) t->bytes);

    if (json) {
        (void) json_object_update_new(json, ngx_http_live_api_media(t));
        (void) json_object_update_new(json, ngx_http_live_api_figures(t));
    }

    return json;
}


static json_t *
ngx_http_live_api_figures(ngx_http_live_api_track_t *t)
{
    ngx_live_track_stat_t  *s;

    s = &t->stat;

    return json_pack("{s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:f}",
                     "frames", (json_int_t) s->frames,
                     "gaps", (json_int_t) s->gaps,
                     "bitrate", (json_int_t) s->rate.rate10,
                     "frame_rate", s->rate.mhz / 1000.0,
                     "key_frame_interval", s->key / 1000000.0,
                     "key_frame_interval_max", s->key_max / 1000000.0,
                     "segment_duration", s->segment / 1000000.0,
                     "part_duration", s->part / 1000000.0,
                     "lateness", s->late / 1000000.0);
}


ngx_int_t
ngx_http_live_api_viewers(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    ngx_http_live_api_detail_t  *d;

    d = ngx_pcalloc(r->pool, sizeof(ngx_http_live_api_detail_t));
    if (d == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_live_api_find(ctx, d)) {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "there is no such stream");
    }

    return ngx_http_live_api_send(r, NGX_HTTP_OK,
               json_pack("{s:s%,s:I}",
                         "stream_id", ctx->stream.data, ctx->stream.len,
                         "viewers", (json_int_t) d->stat.viewers));
}
