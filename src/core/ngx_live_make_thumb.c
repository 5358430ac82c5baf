
/* Thumbnails: the latest key frame of the first video track as JPEG. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_make_job.h"
#include "ngx_live_notify.h"
#include "live_jpeg.h"


#define NGX_LIVE_THUMB_FRESH    2000        /* ms: not made anew */
#define NGX_LIVE_THUMB_STALE    10000       /* ms: waited for a newer one */
#define NGX_LIVE_THUMB_IDLE     2000        /* ms: may give way to another */

/* the width 0, "as it is", where 0 says that there is none */
#define NGX_LIVE_THUMB_NATURAL  ((uint32_t) -1)

/* a thumbnail leaves a fifth of the index free */
#define NGX_LIVE_THUMB_LEAVE    5

/* segments that are searched for one that begins with a key frame */
#define NGX_LIVE_THUMB_SEGMENTS  8


/* Where a key frame is. */
typedef struct {
    ngx_live_track_sh_t      *track;
    uint64_t                  msn;
    uint64_t                  offset;
    size_t                    size;
    uint32_t                  init;
} ngx_live_key_frame_t;


static ngx_int_t ngx_live_thumb_key_frame(ngx_live_stream_sh_t *st,
    uint64_t id, ngx_live_key_frame_t *key);
static ngx_int_t ngx_live_thumb_part(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_key_frame_t *key);
static ngx_int_t ngx_live_thumb_claim(ngx_live_stream_sh_t *st,
    uint32_t width, ngx_live_key_frame_t *key, ngx_uint_t *n);
static ngx_live_thumb_sh_t *ngx_live_thumb_find(ngx_live_stream_sh_t *st,
    uint32_t width, uint64_t now);
static ngx_int_t ngx_live_thumb_start(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, uint64_t id, ngx_live_key_frame_t *key,
    ngx_uint_t n);
static void ngx_live_thumb_work(ngx_live_job_t *job);
static void ngx_live_thumb_done(ngx_live_job_t *job);
static void ngx_live_thumb_abandon(ngx_live_job_t *job);
static void ngx_live_thumb_release(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, uint64_t id, ngx_uint_t n);


ngx_int_t
ngx_live_make_thumbnail(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, uint32_t width, ngx_uint_t *doc)
{
    ngx_int_t             rc;
    ngx_uint_t            n, old;
    ngx_live_key_frame_t  key;

    if (width && (width < LIVE_JPEG_MIN_WIDTH || width > LIVE_JPEG_MAX_WIDTH))
    {
        return NGX_DECLINED;
    }

    if (width == 0) {
        width = NGX_LIVE_THUMB_NATURAL;
    }

    if (ngx_live_thumb_key_frame(st, id, &key) != NGX_OK) {
        ngx_memzero(&key, sizeof(ngx_live_key_frame_t));
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    n = NGX_LIVE_MAX_THUMBS;
    old = 0;
    rc = NGX_DECLINED;

    if (st->id == id) {
        rc = ngx_live_thumb_claim(st, width, &key, &n);
    }

    if (n < NGX_LIVE_MAX_THUMBS) {
        old = st->thumbs[n].made && !st->thumbs[n].failed
              && ngx_live_now() - st->thumbs[n].made < NGX_LIVE_THUMB_STALE;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (rc == NGX_DONE) {
        rc = ngx_live_thumb_start(zone, st, id, &key, n);
    }

    *doc = ngx_live_doc_thumb(n);

    /* what is nearly new does while a newer one is made, or cannot be */

    return old ? NGX_OK : rc;
}


/* The latest one: of the segment that is being made, or of one before. */

static ngx_int_t
ngx_live_thumb_key_frame(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_key_frame_t *key)
{
    uint32_t               parts;
    uint64_t               tail, msn;
    ngx_uint_t             i;
    ngx_live_track_sh_t   *t;

    t = ngx_live_stream_lead(st);

    if (t == NULL || t->info.media != LIVE_MEDIA_VIDEO
        || ngx_live_read_edge(st, id, t, &tail, &msn, &parts) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    key->track = t;

    for (i = 0; i < NGX_LIVE_THUMB_SEGMENTS && msn - i >= tail; i++) {
        key->msn = msn - i;

        if (ngx_live_thumb_part(st, id, key) == NGX_OK) {
            return NGX_OK;
        }

        if (msn == i) {
            break;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_live_thumb_part(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_key_frame_t *key)
{
    ngx_live_part_sh_t     part;
    ngx_live_segment_sh_t  seg;

    /* the open segment uses the newest init segment */

    key->init = ngx_live_load(&key->track->init);

    if (ngx_live_read_segment(st, id, key->track, key->msn, &seg) == NGX_OK) {
        key->init = seg.init;
    }

    if (ngx_live_read_part(st, id, key->track, key->msn, 0, &part) != NGX_OK
        || !(part.flags & LIVE_SEGMENT_INDEPENDENT)
        || part.size == 0)
    {
        return NGX_DECLINED;
    }

    key->offset = part.offset;
    key->size = part.size;

    return NGX_OK;
}


/*
 * The lock is held.  NGX_DONE: this worker has to make it.  *n is set where
 * the width has a place.
 */

static ngx_int_t
ngx_live_thumb_claim(ngx_live_stream_sh_t *st, uint32_t width,
    ngx_live_key_frame_t *key, ngx_uint_t *n)
{
    uint64_t              now;
    ngx_live_thumb_sh_t  *thumb;

    now = ngx_live_now();

    thumb = ngx_live_thumb_find(st, width, now);

    if (thumb == NULL) {

        /* all are in use; nobody asks for so many widths of one stream */
        return key->size ? NGX_BUSY : NGX_DECLINED;
    }

    *n = thumb - st->thumbs;

    if (thumb->made
        && (key->size == 0 || thumb->source == key->offset
            || now - thumb->made < NGX_LIVE_THUMB_FRESH))
    {
        thumb->used = now;
        return thumb->failed ? NGX_DECLINED : NGX_OK;
    }

    if (key->size == 0) {
        return NGX_DECLINED;
    }

    thumb->used = now;

    if (thumb->maker && ngx_live_worker_alive(thumb->maker)) {
        return NGX_AGAIN;
    }

    if (thumb->width != width) {
        thumb->width = width;
        thumb->made = 0;
        thumb->failed = 0;
    }

    thumb->maker = ngx_pid;

    return NGX_DONE;
}


/* That of the width, or one that may become it.  NULL: there is none. */

static ngx_live_thumb_sh_t *
ngx_live_thumb_find(ngx_live_stream_sh_t *st, uint32_t width, uint64_t now)
{
    ngx_uint_t            i;
    ngx_live_thumb_sh_t  *thumb, *found;

    found = NULL;

    for (i = 0; i < NGX_LIVE_MAX_THUMBS; i++) {
        thumb = &st->thumbs[i];

        if (thumb->width == width) {
            return thumb;
        }

        /*
         * Who was told of it a moment ago may still be about to read it; it
         * is another one's from the claim on.
         */

        if (thumb->width
            && (now - thumb->used < NGX_LIVE_THUMB_IDLE
                || (thumb->maker && ngx_live_worker_alive(thumb->maker))))
        {
            continue;
        }

        if (found == NULL || thumb->used < found->used) {
            found = thumb;
        }
    }

    if (found && found->width) {

        /* the least recently used one gives way */
        found->made = 0;
        found->failed = 0;
    }

    return found;
}


static ngx_int_t
ngx_live_thumb_start(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_live_key_frame_t *key, ngx_uint_t n)
{
    ngx_int_t        rc;
    ngx_live_job_t  *job;

    job = ngx_live_job_create(zone, st, id, key->msn);

    if (job == NULL) {
        ngx_live_thumb_release(zone, st, id, n);
        return NGX_BUSY;
    }

    job->work = ngx_live_thumb_work;
    job->done = ngx_live_thumb_done;
    job->abandon = ngx_live_thumb_abandon;
    job->thumb = n;
    job->width = st->thumbs[n].width;

    rc = ngx_live_job_source(job, key->track, key->init, key->offset,
                             key->size);

    if (rc != NGX_OK) {
        ngx_live_job_end(job);
        ngx_live_thumb_release(zone, st, id, n);
        return rc == NGX_ERROR ? NGX_BUSY : rc;
    }

    ngx_live_job_start(job);

    return NGX_AGAIN;
}


/* In the thread. */

static void
ngx_live_thumb_work(ngx_live_job_t *job)
{
    uint32_t             width;
    ngx_live_source_t   *s;
    live_jpeg_source_t   source;

    if (ngx_live_job_read(job) != NGX_OK) {
        return;
    }

    s = &job->sources[0];
    width = job->width == NGX_LIVE_THUMB_NATURAL ? 0 : job->width;

    source.init = s->init.data;
    source.init_len = s->init.len;
    source.chunk = s->data;
    source.chunk_len = s->size;

    job->rc = live_jpeg_make(&source, width, &job->out, &job->len,
                             &job->reason);
}


static void
ngx_live_thumb_done(ngx_live_job_t *job)
{
    ngx_str_t              text;
    ngx_live_thumb_sh_t   *thumb;
    ngx_live_stream_sh_t  *st;

    st = job->st;

    if (job->rc == LIVE_OK) {
        text.data = job->out;
        text.len = job->len;

        /*
         * While its source is pinned the stream is not another one.  A part
         * of the index is left for streams to come.
         */

        if (job->zone->shpool->pfree * ngx_pagesize
            < job->zone->shm_zone->shm.size / NGX_LIVE_THUMB_LEAVE
            || ngx_live_write_text(job->zone,
                                &st->docs[ngx_live_doc_thumb(job->thumb)],
                                &text, NULL, NULL)
               == NGX_ERROR)
        {
            ngx_live_job_log_full(st, "a thumbnail");
            job->rc = LIVE_ERROR;
        }

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "a thumbnail of live stream \"%*s/%*s\" cannot be "
                      "made: %s",
                      (size_t) st->app_len, st->app,
                      (size_t) st->name_len, st->name, job->reason);
    }

    ngx_shmtx_lock(&job->zone->shpool->mutex);

    thumb = &st->thumbs[job->thumb];

    if (st->id == job->id && thumb->maker == ngx_pid) {
        thumb->made = ngx_live_now();
        thumb->source = job->sources[0].offset;
        thumb->failed = (job->rc != LIVE_OK);
        thumb->maker = 0;
    }

    ngx_shmtx_unlock(&job->zone->shpool->mutex);

    ngx_live_notify(job->zone, st);
    ngx_live_job_end(job);
}


static void
ngx_live_thumb_abandon(ngx_live_job_t *job)
{
    ngx_live_thumb_release(job->zone, job->st, job->id, job->thumb);
}


static void
ngx_live_thumb_release(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_uint_t n)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    if (st->id == id && st->thumbs[n].maker == ngx_pid) {
        st->thumbs[n].maker = 0;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}
