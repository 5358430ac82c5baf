
/*
 * Segments in MPEG-TS.  A slot of st->ts goes through: empty; maker set;
 * room taken (offset, and its length in part); written, size published.  All
 * but the last is seen with the zone's lock held only.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_make_job.h"
#include "ngx_live_crash.h"
#include "ngx_live_notify.h"
#include "live_ts.h"


static ngx_int_t ngx_live_make_ts_start(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, uint64_t id, ngx_live_segment_sh_t *seg,
    uint64_t msn);
static ngx_int_t ngx_live_make_ts_source(ngx_live_job_t *job,
    live_media_e media);
static ngx_int_t ngx_live_make_ts_claim(ngx_live_job_t *job);
static ngx_live_segment_sh_t *ngx_live_make_ts_slot(ngx_live_stream_sh_t *st,
    uint64_t id, uint64_t msn);
static void ngx_live_make_ts_mux(ngx_live_job_t *job);
static void ngx_live_make_ts_made(ngx_live_job_t *job);
static ngx_int_t ngx_live_make_ts_room(ngx_live_job_t *job);
static void ngx_live_make_ts_write(ngx_live_job_t *job);
static void ngx_live_make_ts_written(ngx_live_job_t *job);
static void ngx_live_make_ts_abandon(ngx_live_job_t *job);
static void ngx_live_make_ts_failed(ngx_live_job_t *job);
static void ngx_live_make_ts_release(ngx_live_job_t *job, ngx_uint_t failed);
static void ngx_live_make_ts_finish(ngx_live_job_t *job);


ngx_int_t
ngx_live_make_ts(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st, uint64_t id,
    uint64_t msn)
{
    ngx_live_segment_sh_t  seg;

    if (ngx_live_read_segment(st, id, &st->ts, msn, &seg) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (seg.size) {

        /* its offset was stored before, and is seen from here on */
        ngx_live_fence();
        return NGX_OK;
    }

    if (seg.flags & LIVE_SEGMENT_GAP) {
        return NGX_DECLINED;
    }

    if (seg.maker != ngx_pid && ngx_live_worker_alive(seg.maker)) {
        return NGX_AGAIN;
    }

    if (seg.maker == ngx_pid && ngx_live_job_find(st, id, msn)) {
        return NGX_AGAIN;
    }

    return ngx_live_make_ts_start(zone, st, id, &seg, msn);
}


static ngx_int_t
ngx_live_make_ts_start(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_live_segment_sh_t *seg, uint64_t msn)
{
    size_t           size;
    ngx_int_t        rc;
    ngx_live_job_t  *job;

    job = ngx_live_job_create(zone, st, id, msn);
    if (job == NULL) {
        return NGX_BUSY;
    }

    job->work = ngx_live_make_ts_mux;
    job->done = ngx_live_make_ts_made;
    job->abandon = ngx_live_make_ts_abandon;
    job->discontinuity = (seg->flags & LIVE_SEGMENT_DISCONTINUITY) ? 1 : 0;

    rc = ngx_live_make_ts_source(job, LIVE_MEDIA_VIDEO);

    if (rc == NGX_OK) {
        rc = ngx_live_make_ts_source(job, LIVE_MEDIA_AUDIO);
    }

    if (rc == NGX_OK && job->nsources == 0) {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {

        /* about what it takes: without room nothing is begun, again and again
         * by all who wait */

        size = job->sources[0].size + job->sources[1].size;

        if (ngx_live_load(&zone->sh->used) + size + size / 16
            > zone->sh->budget)
        {
            ngx_live_job_log_full(st, "MPEG-TS");
            rc = NGX_BUSY;
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_live_make_ts_claim(job);
    }

    if (rc != NGX_DONE) {
        ngx_live_job_end(job);
        return rc == NGX_ERROR ? NGX_BUSY : rc;
    }

    ngx_live_job_start(job);

    return NGX_AGAIN;
}


/* The source's track of a kind, as far as it has something of the segment. */

static ngx_int_t
ngx_live_make_ts_source(ngx_live_job_t *job, live_media_e media)
{
    uint64_t                head, tail;
    ngx_uint_t              i, n;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t   seg;

    n = ngx_min(ngx_live_load(&job->st->ntracks), NGX_LIVE_MAX_TRACKS);

    for (i = 0; i < n; i++) {
        if (job->st->tracks[i].info.media == media
            && !job->st->tracks[i].rung)
        {
            break;
        }
    }

    if (i == n) {
        return NGX_OK;
    }

    t = &job->st->tracks[i];

    if (ngx_live_read_segment(job->st, job->id, t, job->msn, &seg)
        != NGX_OK)
    {
        tail = ngx_live_load(&t->segments.tail);
        head = ngx_live_load(&t->segments.head);

        /* it was there a moment ago, or nothing comes of the track */

        return job->msn < tail && tail < head ? NGX_DECLINED : NGX_OK;
    }

    if (seg.size == 0) {
        return NGX_OK;
    }

    return ngx_live_job_source(job, t, seg.init, seg.offset, seg.size);
}


/* NGX_DONE: this worker is the one that makes it. */

static ngx_int_t
ngx_live_make_ts_claim(ngx_live_job_t *job)
{
    ngx_int_t               rc;
    ngx_live_segment_sh_t  *slot;

    ngx_shmtx_lock(&job->zone->shpool->mutex);

    slot = ngx_live_make_ts_slot(job->st, job->id, job->msn);

    if (slot == NULL || (slot->flags & LIVE_SEGMENT_GAP)) {
        rc = NGX_DECLINED;

    } else if (slot->size) {
        rc = NGX_OK;

    } else if (slot->maker && slot->maker != ngx_pid
               && ngx_live_worker_alive(slot->maker))
    {
        rc = NGX_AGAIN;

    } else {

        if (slot->offset) {

            /* the room that a worker had taken before it died */

            ngx_live_track_punch(job->zone, &job->st->ts, slot->offset,
                                 slot->part);
            slot->offset = 0;
        }

        slot->maker = ngx_pid;
        rc = NGX_DONE;
    }

    ngx_shmtx_unlock(&job->zone->shpool->mutex);

    return rc;
}


/* The lock is held.  NULL: it was retired. */

static ngx_live_segment_sh_t *
ngx_live_make_ts_slot(ngx_live_stream_sh_t *st, uint64_t id, uint64_t msn)
{
    ngx_live_ring_sh_t  *ring;

    ring = &st->ts.segments;

    if (st->id != id || msn < ring->tail || msn >= ring->head) {
        return NULL;
    }

    return ngx_live_slot(ring, ngx_live_segment_sh_t, msn);
}


/* In the thread. */

static void
ngx_live_make_ts_mux(ngx_live_job_t *job)
{
    ngx_uint_t          i;
    live_ts_track_t     tracks[2];
    ngx_live_source_t  *s;

    if (ngx_live_job_read(job) != NGX_OK) {
        return;
    }

    for (i = 0; i < job->nsources; i++) {
        s = &job->sources[i];

        tracks[i].init = s->init.data;
        tracks[i].init_len = s->init.len;
        tracks[i].segment = s->data;
        tracks[i].segment_len = s->size;
    }

    job->rc = live_ts_mux(tracks, job->nsources, job->discontinuity,
                          &job->out, &job->len, &job->reason);

    for (i = 0; i < job->nsources; i++) {
        free(job->sources[i].data);
        job->sources[i].data = NULL;
    }
}


static void
ngx_live_make_ts_made(ngx_live_job_t *job)
{
    if (job->rc != LIVE_OK) {
        ngx_live_make_ts_failed(job);
        return;
    }

    switch (ngx_live_make_ts_room(job)) {

    case NGX_OK:
        job->work = ngx_live_make_ts_write;
        job->done = ngx_live_make_ts_written;

        ngx_live_job_start(job);
        return;

    case NGX_BUSY:
        ngx_live_job_log_full(job->st, "MPEG-TS");
        break;
    }

    ngx_live_make_ts_finish(job);
}


/* NGX_DECLINED: it was retired, nobody needs it. */

static ngx_int_t
ngx_live_make_ts_room(ngx_live_job_t *job)
{
    size_t                  room;
    ngx_int_t               rc;
    ngx_live_stream_sh_t   *st;
    ngx_live_segment_sh_t  *slot;

    st = job->st;
    room = ngx_align(job->len, NGX_LIVE_PAGE);
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&job->zone->shpool->mutex);

    slot = ngx_live_make_ts_slot(st, job->id, job->msn);

    if (slot && job->len <= UINT32_MAX) {

        /* as in ngx_live_writer_open() */

        if (st->ts_pos - st->ts.range > (uint64_t) NGX_LIVE_RANGE / 2) {
            st->ts.range = ngx_live_zone_range(job->zone);
            st->ts_pos = st->ts.range;
        }

        rc = ngx_live_zone_reserve(job->zone, &st->ts, room) == NGX_OK
             ? NGX_OK : NGX_BUSY;
    }

    if (rc == NGX_OK) {
        job->offset = st->ts_pos;
        job->room = room;
        st->ts_pos += room;

        slot->part = room;
        slot->offset = job->offset;

        ngx_live_crash_point("make-room");
    }

    ngx_shmtx_unlock(&job->zone->shpool->mutex);

    return rc;
}


/* In the thread. */

static void
ngx_live_make_ts_write(ngx_live_job_t *job)
{
    size_t   done;
    ssize_t  n;

    ngx_live_crash_point("make-write");

    for (done = 0; done < job->len; done += n) {

        n = pwrite(job->zone->fd, job->out + done, job->len - done,
                   job->offset + done);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            n = 0;
            continue;
        }

        if (n <= 0) {
            job->rc = LIVE_ERROR;
            job->reason = "writing to the live zone failed";
            return;
        }
    }
}


static void
ngx_live_make_ts_written(ngx_live_job_t *job)
{
    ngx_live_segment_sh_t  *slot;

    if (job->rc != LIVE_OK) {
        ngx_live_make_ts_failed(job);
        return;
    }

    ngx_shmtx_lock(&job->zone->shpool->mutex);

    slot = ngx_live_make_ts_slot(job->st, job->id, job->msn);

    if (slot && slot->offset == job->offset) {
        slot->part = 0;
        slot->maker = 0;

        ngx_live_store(&slot->size, (uint32_t) job->len);

        job->room = 0;
    }

    ngx_shmtx_unlock(&job->zone->shpool->mutex);

    ngx_live_make_ts_finish(job);
}


/* It will not be tried again: what is there will not change. */

static void
ngx_live_make_ts_failed(ngx_live_job_t *job)
{
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "segment %uL of live stream \"%*s/%*s\" cannot be made "
                  "MPEG-TS: %s", job->msn,
                  (size_t) job->st->app_len, job->st->app,
                  (size_t) job->st->name_len, job->st->name, job->reason);

    ngx_live_make_ts_release(job, 1);
    ngx_live_notify(job->zone, job->st);
    ngx_live_job_end(job);
}


static void
ngx_live_make_ts_finish(ngx_live_job_t *job)
{
    ngx_live_make_ts_release(job, 0);
    ngx_live_notify(job->zone, job->st);
    ngx_live_job_end(job);
}


static void
ngx_live_make_ts_abandon(ngx_live_job_t *job)
{
    ngx_live_make_ts_release(job, 0);
}


/* Gives back what is not published: the room and the claim. */

static void
ngx_live_make_ts_release(ngx_live_job_t *job, ngx_uint_t failed)
{
    ngx_live_segment_sh_t  *slot;

    ngx_shmtx_lock(&job->zone->shpool->mutex);

    slot = ngx_live_make_ts_slot(job->st, job->id, job->msn);

    if (slot && slot->size == 0 && slot->maker == ngx_pid) {
        slot->maker = 0;
        slot->offset = 0;

        if (failed) {
            slot->flags |= LIVE_SEGMENT_GAP;
        }
    }

    /* while the sources are pinned the stream is not another one */

    if (job->room && job->st->id == job->id) {
        ngx_live_track_punch(job->zone, &job->st->ts, job->offset, job->room);
    }

    job->room = 0;

    ngx_shmtx_unlock(&job->zone->shpool->mutex);
}
