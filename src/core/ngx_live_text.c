
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_text.h"
#include "ngx_live_crash.h"
#include "live_gzip.h"


#define NGX_LIVE_TEXT_BUCKETS  256
#define NGX_LIVE_TEXT_IDLE     5        /* s */


typedef struct {
    ngx_queue_t               queue;        /* of its bucket */
    uint64_t                  id;           /* of the stream */
    ngx_uint_t                doc;
    time_t                    used;
    ngx_live_text_t          *text;
} ngx_live_text_entry_t;


static ngx_live_text_entry_t *ngx_live_text_entry(uint64_t id,
    ngx_uint_t doc);
static ngx_live_text_t *ngx_live_text_copy(ngx_live_stream_sh_t *st,
    uint64_t id, ngx_live_doc_sh_t *doc, ngx_int_t *rc);
static ngx_int_t ngx_live_text_delta(ngx_live_text_t *text);
static ngx_int_t ngx_live_text_gzip(ngx_str_t *plain, ngx_str_t *gzipped);


/* of this worker; threads never see it */
static ngx_queue_t  ngx_live_text_buckets[NGX_LIVE_TEXT_BUCKETS];


void
ngx_live_text_init(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_LIVE_TEXT_BUCKETS; i++) {
        ngx_queue_init(&ngx_live_text_buckets[i]);
    }
}


ngx_int_t
ngx_live_text_get(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_uint_t doc, ngx_live_text_t **text)
{
    uint64_t                version;
    ngx_int_t               rc;
    ngx_live_text_t        *copy;
    ngx_live_text_entry_t  *e;

    version = ngx_live_load(&st->docs[doc].version);

    if (ngx_live_load(&st->id) != id || version == 0) {
        return NGX_DECLINED;
    }

    e = ngx_live_text_entry(id, doc);
    if (e == NULL) {
        return NGX_ERROR;
    }

    if (e->text == NULL || e->text->version != version) {

        copy = ngx_live_text_copy(st, id, &st->docs[doc], &rc);
        if (copy == NULL) {
            return rc;
        }

        if (e->text) {
            ngx_live_text_release(e->text);
        }

        e->text = copy;
    }

    e->used = ngx_time();
    e->text->refs++;
    *text = e->text;

    return NGX_OK;
}


static ngx_live_text_entry_t *
ngx_live_text_entry(uint64_t id, ngx_uint_t doc)
{
    ngx_queue_t            *q, *bucket;
    ngx_live_text_entry_t  *e;

    bucket = &ngx_live_text_buckets[(id * NGX_LIVE_MAX_DOCS + doc)
                                    % NGX_LIVE_TEXT_BUCKETS];

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        e = ngx_queue_data(q, ngx_live_text_entry_t, queue);

        if (e->id == id && e->doc == doc) {
            return e;
        }
    }

    e = ngx_alloc(sizeof(ngx_live_text_entry_t), ngx_cycle->log);
    if (e == NULL) {
        return NULL;
    }

    e->id = id;
    e->doc = doc;
    e->used = ngx_time();
    e->text = NULL;

    ngx_queue_insert_head(bucket, &e->queue);

    return e;
}


static ngx_live_text_t *
ngx_live_text_copy(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_doc_sh_t *doc, ngx_int_t *rc)
{
    uint64_t             version;
    ngx_uint_t           tries;
    ngx_live_text_t     *text;
    ngx_live_text_sh_t   sh;

    *rc = NGX_ERROR;

    for (tries = 0; tries < 8; tries++) {

        version = ngx_live_load(&doc->version);
        sh = doc->text[version & 1];

        ngx_live_fence();

        if (ngx_live_load(&st->id) != id) {
            *rc = NGX_DECLINED;
            return NULL;
        }

        if (ngx_live_load(&doc->version) != version) {
            continue;
        }

        text = ngx_alloc(sizeof(ngx_live_text_t) + sh.len, ngx_cycle->log);
        if (text == NULL) {
            return NULL;
        }

        ngx_memzero(text, sizeof(ngx_live_text_t));

        text->version = version;
        text->refs = 1;
        text->etag = sh.etag;
        text->modified = sh.modified;
        text->edge = sh.edge;
        text->delta = sh.delta;
        text->body[0][0].data = (u_char *) (text + 1);
        text->body[0][0].len = sh.len;

        ngx_memcpy(text->body[0][0].data, sh.data, sh.len);

        ngx_live_fence();

        if (ngx_live_load(&st->id) == id
            && ngx_live_load(&doc->version) == version)
        {
            return text;
        }

        ngx_free(text);
    }

    return NULL;
}


void
ngx_live_text_release(ngx_live_text_t *text)
{
    if (--text->refs) {
        return;
    }

    ngx_free(text->body[0][1].data);
    ngx_free(text->body[1][0].data);
    ngx_free(text->body[1][1].data);
    ngx_free(text);
}


ngx_str_t *
ngx_live_text_body(ngx_live_text_t *text, ngx_uint_t *delta,
    ngx_uint_t *gzip)
{
    ngx_str_t  *body;

    if (text->delta.skipped == 0) {
        *delta = 0;
    }

    if (*delta && text->body[1][0].data == NULL
        && ngx_live_text_delta(text) != NGX_OK)
    {
        return NULL;
    }

    body = text->body[*delta];

    if (*gzip && body[1].data == NULL
        && ngx_live_text_gzip(&body[0], &body[1]) != NGX_OK)
    {
        *gzip = 0;
    }

    return &body[*gzip];
}


static ngx_int_t
ngx_live_text_delta(ngx_live_text_t *text)
{
    size_t         size;
    u_char        *data;
    ngx_str_t     *plain;
    live_writer_t  w;

    plain = &text->body[0][0];

    if (text->delta.head > text->delta.tail
        || text->delta.tail > plain->len
        || text->delta.map > text->delta.tail
        || text->delta.map_len > text->delta.tail - text->delta.map)
    {
        return NGX_ERROR;
    }

    size = plain->len + LIVE_M3U8_SKIP_SIZE;

    data = ngx_alloc(size, ngx_cycle->log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    live_writer_init(&w, data, size);

    live_write(&w, plain->data, text->delta.head);
    (void) live_m3u8_skip(&w, text->delta.skipped);
    live_write(&w, plain->data + text->delta.map, text->delta.map_len);
    live_write(&w, plain->data + text->delta.tail,
                     plain->len - text->delta.tail);

    text->body[1][0].data = data;
    text->body[1][0].len = live_writer_len(&w);

    return NGX_OK;
}


/* NGX_ERROR: it stays as it is. */

static ngx_int_t
ngx_live_text_gzip(ngx_str_t *plain, ngx_str_t *gzipped)
{
    size_t         size;
    u_char        *data;
    live_writer_t  w;

    size = plain->len / 2 + 256;

    data = ngx_alloc(size, ngx_cycle->log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    live_writer_init(&w, data, size);

    if (live_gzip(&w, plain->data, plain->len) != LIVE_OK) {
        ngx_free(data);
        return NGX_ERROR;
    }

    gzipped->data = data;
    gzipped->len = live_writer_len(&w);

    return NGX_OK;
}


void
ngx_live_text_expire(void)
{
    ngx_uint_t              i;
    ngx_queue_t            *q, *next, *bucket;
    ngx_live_text_entry_t  *e;

    for (i = 0; i < NGX_LIVE_TEXT_BUCKETS; i++) {
        bucket = &ngx_live_text_buckets[i];

        for (q = ngx_queue_head(bucket);
             q != ngx_queue_sentinel(bucket);
             q = next)
        {
            next = ngx_queue_next(q);
            e = ngx_queue_data(q, ngx_live_text_entry_t, queue);

            if (ngx_time() - e->used <= NGX_LIVE_TEXT_IDLE) {
                continue;
            }

            ngx_queue_remove(q);

            if (e->text) {
                ngx_live_text_release(e->text);
            }

            ngx_free(e);
        }
    }
}


ngx_int_t
ngx_live_write_text(ngx_live_zone_t *zone, ngx_live_doc_sh_t *doc,
    ngx_str_t *text, ngx_live_edge_t *edge, live_m3u8_delta_t *delta)
{
    size_t               size;
    u_char              *p, *old;
    uint32_t             etag;
    ngx_live_text_sh_t  *next, *last;

    last = &doc->text[doc->version & 1];
    next = &doc->text[(doc->version + 1) & 1];
    etag = ngx_crc32_long(text->data, text->len);

    if (doc->version && last->len == text->len && last->etag == etag
        && ngx_memcmp(last->data, text->data, text->len) == 0)
    {
        return NGX_DECLINED;
    }

    /* who still reads the version before this one sees that it is too late */
    ngx_live_fence();

    if (next->size < text->len) {
        size = ngx_align(text->len + text->len / 4, 512);

        p = ngx_slab_alloc(zone->shpool, size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        old = next->data;

        /* who dies between frees nothing twice */
        ngx_live_store(&next->data, p);
        next->size = size;

        if (old) {
            ngx_slab_free(zone->shpool, old);
        }
    }

    ngx_memcpy(next->data, text->data, text->len);

    ngx_live_crash_point("text");

    next->len = text->len;
    next->etag = etag;
    next->modified = ngx_time();

    ngx_memzero(&next->edge, sizeof(ngx_live_edge_t));
    ngx_memzero(&next->delta, sizeof(live_m3u8_delta_t));

    if (edge) {
        next->edge = *edge;
    }

    if (delta) {
        next->delta = *delta;
    }

    ngx_live_store(&doc->version, doc->version + 1);

    return NGX_OK;
}
