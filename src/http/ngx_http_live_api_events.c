
/* What happens to a stream, as server-sent events. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_api.h"
#include "ngx_http_live_sse.h"


/* ms between two looks */
#define NGX_HTTP_LIVE_API_LOOK  250


/* A stream at one look; all 0: there is none. */
typedef struct {
    uint64_t                 id;
    uint64_t                 publication;
    uint64_t                 dsn;
    uint64_t                 parts;         /* of all tracks, ever */
    uint32_t                 state;         /* ngx_live_state_e */
    uint32_t                 slate;
    uint32_t                 shed;
} ngx_http_live_api_look_t;


typedef struct {
    ngx_http_live_api_ctx_t  *ctx;
    ngx_http_live_api_look_t  seen;
    ngx_uint_t                began;        /* the first event was sent */
    ngx_uint_t                waits;        /* for the first part */
} ngx_http_live_api_events_t;


static ngx_int_t ngx_http_live_api_tell(ngx_http_live_out_t *out,
    void *data);
static void ngx_http_live_api_look(ngx_http_live_api_ctx_t *ctx,
    ngx_http_live_api_look_t *look);
static void ngx_http_live_api_changes(ngx_http_live_out_t *out,
    ngx_http_live_api_events_t *ev, ngx_http_live_api_look_t *now);
static void ngx_http_live_api_event(ngx_http_live_out_t *out,
    ngx_http_live_api_events_t *ev, const char *event, const char *key,
    uint64_t value);


ngx_int_t
ngx_http_live_api_events(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    ngx_live_entry_sh_t          entry;
    ngx_http_live_api_events_t  *ev;

    ev = ngx_pcalloc(r->pool, sizeof(ngx_http_live_api_events_t));
    if (ev == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ev->ctx = ctx;

    ngx_http_live_api_look(ctx, &ev->seen);

    if (ev->seen.id == 0
        && ngx_live_registry_find(ngx_live_zone(), &ctx->application,
                                  &ctx->stream, &entry)
           != NGX_OK)
    {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "there is no such stream");
    }

    return ngx_http_live_sse(r, NGX_HTTP_LIVE_API_LOOK,
                             ngx_http_live_api_tell, ev);
}


/* It goes on over the end of a stream: the name may be published again. */

static ngx_int_t
ngx_http_live_api_tell(ngx_http_live_out_t *out, void *data)
{
    ngx_http_live_api_events_t *ev = data;

    uint64_t                  ms;
    ngx_http_live_api_look_t  now;
    static const char        *states[] = { "created", "live", "away",
                                           "ended" };

    ngx_http_live_api_look(ev->ctx, &now);

    if (!ev->began) {
        ev->began = 1;
        ev->seen = now;
        ms = ngx_live_now();

        ngx_http_live_out(out, "event: state\ndata: {\"stream_id\":\"%V\","
                          "\"state\":\"%s\",\"time\":%uL.%03uL}\n\n",
                          &ev->ctx->stream,
                          states[now.slate ? NGX_LIVE_STREAM_AWAY
                                           : now.state & 3],
                          ms / 1000, ms % 1000);
        return NGX_OK;
    }

    ngx_http_live_api_changes(out, ev, &now);

    ev->seen = now;

    return NGX_OK;
}


static void
ngx_http_live_api_look(ngx_http_live_api_ctx_t *ctx,
    ngx_http_live_api_look_t *look)
{
    ngx_uint_t             i;
    ngx_live_zone_t       *zone;
    ngx_live_stream_sh_t  *st;

    ngx_memzero(look, sizeof(ngx_http_live_api_look_t));

    zone = ngx_live_zone();

    ngx_shmtx_lock(&zone->shpool->mutex);

    st = ngx_live_stream_find_locked(zone, &ctx->application, &ctx->stream,
                                     NULL);
    if (st) {
        look->id = st->id;
        look->publication = st->stat.publications;
        look->dsn = st->dsn;
        look->state = st->state;
        look->slate = (st->state == NGX_LIVE_STREAM_LIVE && st->slate);
        look->shed = st->shed;

        for (i = 0; i < st->ntracks; i++) {
            look->parts += st->tracks[i].stat.parts;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static void
ngx_http_live_api_changes(ngx_http_live_out_t *out,
    ngx_http_live_api_events_t *ev, ngx_http_live_api_look_t *now)
{
    ngx_uint_t                 lives, lived;
    ngx_http_live_api_look_t  *seen;

    seen = &ev->seen;

    lives = (now->state == NGX_LIVE_STREAM_LIVE && !now->slate);
    lived = (seen->state == NGX_LIVE_STREAM_LIVE && !seen->slate);

    if (now->id != seen->id) {

        /* another timeline: the one before has ended meanwhile */

        if (seen->id && seen->state != NGX_LIVE_STREAM_ENDED) {
            ngx_http_live_api_event(out, ev, "end", NULL, 0);
        }

        ngx_memzero(seen, sizeof(ngx_http_live_api_look_t));
        seen->dsn = now->dsn;
        lived = 0;
    }

    if (lives && (!lived || now->publication != seen->publication)) {
        ngx_http_live_api_event(out, ev, "publish", "publication",
                                now->publication);
        ev->waits = 1;
    }

    if (ev->waits && now->parts > seen->parts) {
        ngx_http_live_api_event(out, ev, "part", NULL, 0);
        ev->waits = 0;
    }

    if (now->dsn > seen->dsn) {
        ngx_http_live_api_event(out, ev, "discontinuity", "discontinuities",
                                now->dsn);
    }

    if (now->shed != seen->shed) {
        ngx_http_live_api_event(out, ev, "shed", "level", now->shed);
    }

    if (lived && !lives && now->id && now->state != NGX_LIVE_STREAM_ENDED) {
        ngx_http_live_api_event(out, ev, "away", "slate", now->slate);
    }

    if (now->state == NGX_LIVE_STREAM_ENDED
        && seen->state != NGX_LIVE_STREAM_ENDED && seen->id)
    {
        ngx_http_live_api_event(out, ev, "end", NULL, 0);
    }
}


static void
ngx_http_live_api_event(ngx_http_live_out_t *out,
    ngx_http_live_api_events_t *ev, const char *event, const char *key,
    uint64_t value)
{
    uint64_t  now;

    now = ngx_live_now();

    ngx_http_live_out(out, "event: %s\ndata: {\"stream_id\":\"%V\","
                      "\"time\":%uL.%03uL", event, &ev->ctx->stream,
                      now / 1000, now % 1000);

    if (key) {
        ngx_http_live_out(out, ",\"%s\":%uL", key, value);
    }

    ngx_http_live_out(out, "}\n\n");
}
