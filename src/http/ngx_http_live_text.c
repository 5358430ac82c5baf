
/*
 * Rendered texts: playlists, the manifest, thumbnails, and the clock.  All
 * requests for one version share its bytes (HTTP-73).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"
#include "ngx_live_make.h"
#include "ngx_live_text.h"
#include "live_date.h"


#define NGX_HTTP_LIVE_MIN_WIDTH  32
#define NGX_HTTP_LIVE_MAX_WIDTH  1920


static ngx_int_t ngx_http_live_text_get(ngx_http_live_ctx_t *ctx,
    ngx_live_text_t **text);
static ngx_int_t ngx_http_live_text_doc(ngx_http_live_ctx_t *ctx,
    ngx_uint_t *doc, ngx_live_track_sh_t **track);
static ngx_int_t ngx_http_live_text_manifest(ngx_http_live_ctx_t *ctx);
static ngx_uint_t ngx_http_live_text_current(ngx_live_track_sh_t *t,
    ngx_live_edge_t *edge);
static ngx_int_t ngx_http_live_text_rung(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
static ngx_int_t ngx_http_live_text_ready(ngx_http_live_ctx_t *ctx,
    ngx_live_edge_t *edge, ngx_http_live_cache_e *cache);
static ngx_uint_t ngx_http_live_text_age(ngx_http_live_ctx_t *ctx,
    ngx_live_edge_t *edge, ngx_http_live_cache_e cache);
static ngx_int_t ngx_http_live_text_send(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx, ngx_live_text_t *text);
static ngx_int_t ngx_http_live_text_headers(ngx_http_request_t *r,
    ngx_live_text_t *text, ngx_uint_t delta, ngx_uint_t gzip);
static void ngx_http_live_text_cleanup(void *data);


static ngx_str_t  ngx_http_live_m3u8_type =
                                  ngx_string("application/vnd.apple.mpegurl");
static ngx_str_t  ngx_http_live_mpd_type =
                                  ngx_string("application/dash+xml");
static ngx_str_t  ngx_http_live_jpeg_type = ngx_string("image/jpeg");
static ngx_str_t  ngx_http_live_plain_type = ngx_string("text/plain");


ngx_int_t
ngx_http_live_serve_text(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_uint_t              live;
    ngx_live_text_t        *text;
    ngx_http_live_cache_e   cache;

    /* before the text: one that is not there then does come */

    live = ngx_http_live_is_live(ctx->st);
    text = NULL;

    rc = ngx_http_live_text_get(ctx, &text);

    if (rc == NGX_BUSY) {
        return ngx_http_live_text_rung(r, ctx);
    }

    if (rc == NGX_DECLINED && live) {
        return ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD, NGX_HTTP_NOT_FOUND,
                                  ngx_http_live_cache_error);
    }

    if (rc == NGX_DECLINED || rc == NGX_ABORT) {
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_error);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_live_text_ready(ctx, &text->edge, &cache);

    if (rc == NGX_OK) {
        ctx->cache = cache;
        return ngx_http_live_text_send(r, ctx, text);
    }

    ngx_live_text_release(text);

    if (rc == NGX_HTTP_BAD_REQUEST) {
        return ngx_http_live_refuse(r, rc, ngx_http_live_cache_error);
    }

    return ngx_http_live_hold(ctx,
                  ngx_min((ngx_msec_t) ctx->st->target_duration * 3000,
                          NGX_HTTP_LIVE_HOLD),
                  NGX_HTTP_SERVICE_UNAVAILABLE, ngx_http_live_cache_error);
}


/*
 * The text of a URI as it is now.  NGX_DECLINED: it is not known yet, or there
 * is none; NGX_ABORT: there is no such rendition; NGX_BUSY: a rung is about to
 * begin, as it was asked for.
 */

static ngx_int_t
ngx_http_live_text_get(ngx_http_live_ctx_t *ctx, ngx_live_text_t **text)
{
    ngx_int_t             rc;
    ngx_uint_t            doc;
    ngx_live_track_sh_t  *t;

    t = NULL;

    rc = ngx_http_live_text_doc(ctx, &doc, &t);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_live_text_get(ngx_live_zone(), ctx->st, ctx->id, doc, text);

    if (t == NULL || !ngx_live_load(&t->rung)) {
        return rc;
    }

    /* what is left of an earlier run has no media any more */

    if (rc == NGX_OK && !ngx_http_live_text_current(t, &(*text)->edge)) {
        ngx_live_text_release(*text);
        rc = NGX_DECLINED;
    }

    return (rc == NGX_DECLINED) ? NGX_BUSY : rc;
}


static ngx_int_t
ngx_http_live_text_doc(ngx_http_live_ctx_t *ctx, ngx_uint_t *doc,
    ngx_live_track_sh_t **track)
{
    ngx_live_doc_sh_t    *multivariant;
    ngx_live_track_sh_t  *t;

    switch (ctx->uri.kind) {

    case ngx_http_live_manifest:
        *doc = NGX_LIVE_DOC_MPD;
        return ngx_http_live_text_manifest(ctx);

    case ngx_http_live_ts_media:
        *doc = NGX_LIVE_DOC_TS;
        return NGX_OK;

    case ngx_http_live_media:
        break;

    default:
        *doc = NGX_LIVE_DOC_MULTIVARIANT;
        return NGX_OK;
    }

    /* asked first, for renditions come before it */

    multivariant = &ctx->st->docs[NGX_LIVE_DOC_MULTIVARIANT];

    if (ngx_live_load(&multivariant->version) == 0) {
        return NGX_DECLINED;
    }

    t = ngx_http_live_rendition(ctx);

    if (t == NULL) {
        return NGX_ABORT;
    }

    *doc = ngx_live_doc_media(t - ctx->st->tracks);
    *track = t;

    return (ngx_live_load(&t->mode) == NGX_LIVE_TRACK_ON) ? NGX_OK : NGX_BUSY;
}


/*
 * A manifest lists what there is, and its player chooses of that alone: all
 * rungs are wanted.  Where the source is hidden, one is waited for.
 */

static ngx_int_t
ngx_http_live_text_manifest(ngx_http_live_ctx_t *ctx)
{
    uint32_t               listed, has[2], runs[2];
    ngx_uint_t             i, n, rungs;
    live_media_e           media;
    ngx_live_track_sh_t   *t;
    ngx_live_stream_sh_t  *st;

    st = ctx->st;
    n = ngx_min(ngx_live_load(&st->ntracks), NGX_LIVE_MAX_TRACKS);
    listed = ngx_live_load(&st->mpd_tracks);
    rungs = 0;

    ngx_memzero(has, sizeof(has));
    ngx_memzero(runs, sizeof(runs));

    for (i = 0; i < n; i++) {
        t = &st->tracks[i];

        if (!ngx_live_track_shown(st, t)) {
            continue;
        }

        if (ngx_live_load(&t->rung)) {
            ngx_live_track_want(st, t);
            rungs = 1;
        }

        media = t->info.media;
        has[media] = 1;

        if (ngx_live_load(&t->mode) == NGX_LIVE_TRACK_ON) {
            runs[media] |= listed & (uint32_t) 1 << i;
        }
    }

    if (!rungs || !ngx_http_live_is_live(st)) {
        return NGX_OK;
    }

    /* nobody begins to watch what has no pictures yet */

    media = has[LIVE_MEDIA_VIDEO] ? LIVE_MEDIA_VIDEO : LIVE_MEDIA_AUDIO;

    return runs[media] ? NGX_OK : NGX_BUSY;
}


/* A stopped track has retired all that its last playlist lists. */

static ngx_uint_t
ngx_http_live_text_current(ngx_live_track_sh_t *t, ngx_live_edge_t *edge)
{
    uint64_t  tail;

    tail = ngx_live_load(&t->segments.tail);

    return edge->msn > tail
           || (edge->msn == tail && edge->parts
               && ngx_live_load(&t->open_msn) == tail);
}


/* It begins with the next segment; its first part wakes who waits for it. */

static ngx_int_t
ngx_http_live_text_rung(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    switch (ngx_live_load(&ctx->st->state)) {

    case NGX_LIVE_STREAM_LIVE:
        return ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD,
                                  NGX_HTTP_SERVICE_UNAVAILABLE,
                                  ngx_http_live_cache_error);

    case NGX_LIVE_STREAM_AWAY:
        return ngx_http_live_refuse(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    ngx_http_live_cache_error);

    default:
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_error);
    }
}


/*
 * NGX_OK: the text is what was asked for, of that class; NGX_AGAIN: wait;
 * NGX_HTTP_BAD_REQUEST.
 */

static ngx_int_t
ngx_http_live_text_ready(ngx_http_live_ctx_t *ctx, ngx_live_edge_t *edge,
    ngx_http_live_cache_e *cache)
{
    ngx_int_t               rc;
    ngx_http_live_query_t  *query;

    query = &ctx->query;

    switch (ctx->uri.kind) {

    case ngx_http_live_manifest:
        *cache = ngx_http_live_cache_manifest;
        return NGX_OK;

    case ngx_http_live_media:
        *cache = edge->ended ? ngx_http_live_cache_ended
                             : ngx_http_live_cache_playlist;
        break;

    case ngx_http_live_ts_media:
        *cache = edge->ended ? ngx_http_live_cache_ended
                             : ngx_http_live_cache_playlist;
        return NGX_OK;

    default:
        *cache = ngx_http_live_cache_multivariant;
        return NGX_OK;
    }

    /* HLS-58 */

    if (edge->part_target == 0 || edge->ended) {
        return NGX_OK;
    }

    rc = ngx_http_live_query_ready(query, edge);

    /*
     * Nothing comes while the publisher is away: players get what there is
     * and ask again, as they do for a playlist that does not change.  One that
     * promises more is about to be replaced.
     */
    if (rc == NGX_AGAIN && !edge->hint && !ngx_http_live_is_live(ctx->st)) {
        return NGX_OK;
    }

    /* what is asked for at the live edge is asked for once (HTTP-3) */

    if (rc == NGX_OK && query->msn.set
        && (ctx->was_parked || query->msn.value + 1 >= edge->msn))
    {
        *cache = ngx_http_live_cache_blocking;
    }

    return rc;
}


/* Seconds.  Below one, caches would not collapse requests (HTTP-20). */

static ngx_uint_t
ngx_http_live_text_age(ngx_http_live_ctx_t *ctx, ngx_live_edge_t *edge,
    ngx_http_live_cache_e cache)
{
    ngx_live_stream_sh_t  *st;

    st = ctx->st;

    if (cache == ngx_http_live_cache_blocking) {

        /* an epoch that ended is asked for by the same numbers again */

        return ngx_min(3 * st->target_duration,
                       ngx_max(st->resume / 1000, 1));
    }

    if (cache == ngx_http_live_cache_playlist && edge->part_target) {
        return 1;
    }

    return ngx_max(st->segment / 2000, 1);
}


/* Takes the reference to text. */

static ngx_int_t
ngx_http_live_text_send(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_text_t *text)
{
    ngx_str_t           *body;
    ngx_uint_t           delta, gzip;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        ngx_live_text_release(text);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_live_text_cleanup;
    cln->data = text;

    delta = (ctx->uri.kind == ngx_http_live_media
             && ctx->query.skip.value && text->edge.part_target
             && !text->edge.ended);

    gzip = (ctx->uri.kind != ngx_http_live_thumbnail
            && ngx_http_live_gzip_ok(r));

    body = ngx_live_text_body(text, &delta, &gzip);

    if (body == NULL
        || ngx_http_live_cache(r, ctx->cache,
               ngx_http_live_text_age(ctx, &text->edge, ctx->cache))
           != NGX_OK
        || ngx_http_live_text_headers(r, text, delta, gzip) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ctx->uri.kind) {

    case ngx_http_live_manifest:
        r->headers_out.content_type = ngx_http_live_mpd_type;
        break;

    case ngx_http_live_thumbnail:
        r->headers_out.content_type = ngx_http_live_jpeg_type;
        break;

    default:
        r->headers_out.content_type = ngx_http_live_m3u8_type;
    }

    r->headers_out.content_type_len = r->headers_out.content_type.len;

    return ngx_http_live_send(r, body);
}


static ngx_int_t
ngx_http_live_text_headers(ngx_http_request_t *r, ngx_live_text_t *text,
    ngx_uint_t delta, ngx_uint_t gzip)
{
    ngx_str_t             etag;
    ngx_http_live_ctx_t  *ctx;
    static ngx_str_t      coding = ngx_string("gzip");
    static ngx_str_t      vary = ngx_string("Accept-Encoding");

    ctx = ngx_http_get_module_ctx(r, ngx_http_live_play_module);

    etag.data = ngx_pnalloc(r->pool, NGX_INT32_LEN + sizeof("\"-d-gz\""));
    if (etag.data == NULL) {
        return NGX_ERROR;
    }

    etag.len = ngx_sprintf(etag.data, "\"%xD%s%s\"", text->etag,
                           delta ? "-d" : "", gzip ? "-gz" : "")
               - etag.data;

    if (ngx_http_live_etag(r, &etag) != NGX_OK
        || ngx_http_live_cors(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_out.last_modified_time = text->modified;
    r->allow_ranges = 1;

    if (ctx->uri.kind == ngx_http_live_thumbnail) {
        return NGX_OK;
    }

    if (ngx_http_live_header(r, "Vary", &vary) != NGX_OK) {
        return NGX_ERROR;
    }

    if (gzip) {

        if (ngx_http_live_header(r, "Content-Encoding", &coding) != NGX_OK) {
            return NGX_ERROR;
        }

        /* or nginx's own gzip filter would do it again */
        r->headers_out.content_encoding = (ngx_table_elt_t *)
                                     r->headers_out.headers.last->elts
                                     + r->headers_out.headers.last->nelts - 1;
    }

    return NGX_OK;
}


static void
ngx_http_live_text_cleanup(void *data)
{
    ngx_live_text_release(data);
}


ngx_int_t
ngx_http_live_serve_thumbnail(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_uint_t            doc;
    ngx_live_text_t      *text;
    ngx_http_live_arg_t  *width;

    width = &ctx->query.width;
    text = NULL;

    if (width->set
        && (width->bad || width->value < NGX_HTTP_LIVE_MIN_WIDTH
            || width->value > NGX_HTTP_LIVE_MAX_WIDTH))
    {
        return ngx_http_live_refuse(r, NGX_HTTP_BAD_REQUEST,
                                    ngx_http_live_cache_error);
    }

    rc = ngx_live_make_thumbnail(ngx_live_zone(), ctx->st, ctx->id,
                                 width->value, &doc);

    switch (rc) {

    case NGX_OK:
        rc = ngx_live_text_get(ngx_live_zone(), ctx->st, ctx->id, doc, &text);
        break;

    case NGX_AGAIN:
        return ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD,
                                  NGX_HTTP_SERVICE_UNAVAILABLE,
                                  ngx_http_live_cache_error);

    case NGX_BUSY:
        return ngx_http_live_refuse(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    ngx_http_live_cache_error);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_error);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->cache = ngx_http_live_cache_thumbnail;

    return ngx_http_live_text_send(r, ctx, text);
}


ngx_int_t
ngx_http_live_serve_time(ngx_http_request_t *r)
{
    ngx_str_t       body;
    live_writer_t   w;
    struct timeval  tv;

    body.len = LIVE_DATE_SIZE;
    body.data = ngx_pnalloc(r->pool, LIVE_DATE_SIZE);
    if (body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* not of the event loop's clock, which is as old as its last pass */

    ngx_gettimeofday(&tv);

    live_writer_init(&w, body.data, body.len);
    live_write_date(&w, (int64_t) tv.tv_sec * 1000 + tv.tv_usec / 1000);

    if (ngx_http_live_cache(r, ngx_http_live_cache_time, 0) != NGX_OK
        || ngx_http_live_cors(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_type = ngx_http_live_plain_type;
    r->headers_out.content_type_len = ngx_http_live_plain_type.len;

    return ngx_http_live_send(r, &body);
}
