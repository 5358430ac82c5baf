
/*
 * The shared zone and its memfd: set-up, reload, worker slots, and the
 * accounting of memory.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <sys/mman.h>
#include <sys/eventfd.h>
#include "ngx_live.h"
#include "ngx_live_zone.h"
#include "ngx_live_state.h"
#include "ngx_live_crash.h"


/* ms between two looks at what is counted */
#define NGX_LIVE_ZONE_AUDIT  500

/* s between two lines in the log about the same failure */
#define NGX_LIVE_ZONE_LOG    10


static ngx_int_t ngx_live_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_live_zone_events(ngx_live_zone_t *zone,
    ngx_log_t *log);
static void ngx_live_zone_clear_slot(ngx_live_zone_t *zone, ngx_uint_t slot);
static ngx_int_t ngx_live_track_free_range(ngx_live_zone_t *zone,
    ngx_live_track_sh_t *t, uint64_t offset, uint64_t len);
static void ngx_live_track_hold(ngx_live_track_sh_t *t, uint64_t offset,
    uint64_t len);


static ngx_str_t  ngx_live_zone_name = ngx_string("ngx_live");


ngx_int_t
ngx_live_zone_add(ngx_conf_t *cf, ngx_live_zone_t *zone)
{
    size_t  index;

    /* an eighth for the index; the slab pool touches only what it needs */
    index = ngx_align(zone->size / 8, ngx_pagesize);

    zone->fd = -1;
    zone->pool = cf->pool;
    zone->shm_zone = ngx_shared_memory_add(cf, &ngx_live_zone_name, index,
                                           &ngx_live_core_module);
    if (zone->shm_zone == NULL) {
        return NGX_ERROR;
    }

    zone->shm_zone->init = ngx_live_zone_init;
    zone->shm_zone->data = zone;

    return NGX_OK;
}


static ngx_int_t
ngx_live_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_live_zone_t  *old = data;
    ngx_live_zone_t  *zone = shm_zone->data;

    zone->file.name = ngx_live_zone_name;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (ngx_live_state_open(zone, zone->pool, shm_zone->shm.log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (old) {
        if (old->sh->layout != NGX_LIVE_LAYOUT) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "the live zone was made by another version of "
                          "the module, restart nginx");
            return NGX_ERROR;
        }

        zone->sh = old->sh;
        zone->fd = old->fd;
        zone->file.fd = zone->fd;
        ngx_memcpy(zone->events, old->events, sizeof(zone->events));

        return NGX_OK;
    }

    zone->sh = ngx_slab_calloc(zone->shpool, sizeof(ngx_live_zone_sh_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->sh;
    zone->shpool->log_nomem = 0;

    zone->sh->layout = NGX_LIVE_LAYOUT;
    zone->sh->budget = zone->size - shm_zone->shm.size;
    zone->sh->next_id = 1;
    zone->sh->stat.started = ngx_live_now();

    zone->fd = memfd_create("ngx_live", MFD_CLOEXEC);
    if (zone->fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, ngx_errno,
                      "memfd_create() of the live zone failed");
        return NGX_ERROR;
    }

    zone->file.fd = zone->fd;

    return ngx_live_zone_events(zone, shm_zone->shm.log);
}


/*
 * One for each worker slot at once: workers inherit what the master has when
 * they begin, and an old one must be able to wake those of a later cycle.
 */

static ngx_int_t
ngx_live_zone_events(ngx_live_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_LIVE_MAX_WORKERS; i++) {

        zone->events[i] = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (zone->events[i] == -1) {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "eventfd() of the live zone failed");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_live_zone_commit(ngx_live_zone_t *zone)
{
    zone->cycle = zone->sh->cycle + 1;
    ngx_live_store(&zone->sh->cycle, zone->cycle);
}


void
ngx_live_zone_abandon(ngx_live_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t  i;

    ngx_live_store(&zone->sh->abandoned, 1);

    /* the media go with the last worker that has it */

    if (close(zone->fd) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "close() of the live zone failed");
    }

    for (i = 0; i < NGX_LIVE_MAX_WORKERS; i++) {
        if (close(zone->events[i]) == -1) {
            ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                          "close() of an eventfd failed");
        }
    }
}


uint64_t
ngx_live_now(void)
{
    ngx_time_t  *tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


uint64_t
ngx_live_since(uint64_t ms)
{
    uint64_t  now;

    now = ngx_live_now();

    return now > ms ? now - ms : 0;
}


ngx_uint_t
ngx_live_worker_alive(ngx_pid_t pid)
{
    if (pid == ngx_pid) {
        return 1;
    }

    return pid > 0 && (kill(pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}


ngx_int_t
ngx_live_zone_init_process(ngx_live_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t             i;
    ngx_live_worker_sh_t  *w;

    zone->file.log = log;

    ngx_live_zone_reap(zone);

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_MAX_WORKERS; i++) {
        w = &zone->sh->workers[i];

        if (w->pid == 0) {
            ngx_live_zone_clear_slot(zone, i);
            ngx_memzero(&w->stat, sizeof(ngx_live_worker_stat_t));
            w->pid = ngx_pid;
            zone->slot = i;
            break;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (i == NGX_LIVE_MAX_WORKERS) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "the live zone has no place for another worker, "
                      "%d are running", NGX_LIVE_MAX_WORKERS);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_live_zone_exit_process(ngx_live_zone_t *zone)
{
    ngx_uint_t             i;
    ngx_live_stream_sh_t  *st;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        for (st = zone->sh->buckets[i]; st; st = st->next) {
            if (st->owner == ngx_pid) {
                st->owner = 0;
            }
        }
    }

    ngx_live_zone_clear_slot(zone, zone->slot);
    zone->sh->workers[zone->slot].pid = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_live_zone_workers(ngx_live_zone_t *zone)
{
    ngx_pid_t   pid;
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < NGX_LIVE_MAX_WORKERS; i++) {
        pid = zone->sh->workers[i].pid;
        n += (pid != 0 && ngx_live_worker_alive(pid));
    }

    return n;
}


void
ngx_live_zone_reap(ngx_live_zone_t *zone)
{
    ngx_uint_t             i;
    ngx_live_worker_sh_t  *w;

    for (i = 0; i < NGX_LIVE_MAX_WORKERS; i++) {
        w = &zone->sh->workers[i];

        if (w->pid == 0 || ngx_live_worker_alive(w->pid)) {
            continue;
        }

        ngx_shmtx_lock(&zone->shpool->mutex);

        if (w->pid && !ngx_live_worker_alive(w->pid)) {
            ngx_live_zone_clear_slot(zone, i);
            w->pid = 0;
            zone->sh->suspect = 1;
            zone->sh->surplus = 0;
        }

        ngx_shmtx_unlock(&zone->shpool->mutex);
    }
}


/* What a worker had pinned is free when it is gone; the lock is held. */

static void
ngx_live_zone_clear_slot(ngx_live_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t             i, n;
    ngx_live_stream_sh_t  *st;

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        for (st = zone->sh->buckets[i]; st; st = st->next) {
            for (n = 0; n < st->ntracks; n++) {
                ngx_live_store(&st->tracks[n].pins[slot].hi, 0);
            }

            ngx_live_store(&st->ts.pins[slot].hi, 0);
        }
    }
}


ngx_int_t
ngx_live_zone_reserve(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    size_t bytes)
{
    uint64_t  used;

    used = __atomic_add_fetch(&zone->sh->used, bytes, __ATOMIC_RELAXED);

    if (used > zone->sh->budget) {
        __atomic_sub_fetch(&zone->sh->used, bytes, __ATOMIC_RELAXED);
        return NGX_ERROR;
    }

    ngx_live_crash_point("reserve");

    t->bytes += bytes;

    return NGX_OK;
}


ngx_uint_t
ngx_live_zone_percent(ngx_live_zone_t *zone)
{
    return ngx_live_load(&zone->sh->used) * 100 / zone->sh->budget;
}


off_t
ngx_live_zone_range(ngx_live_zone_t *zone)
{
    uint64_t  n;

    n = __atomic_fetch_add(&zone->sh->next_range, 1, __ATOMIC_RELAXED);

    return (off_t) (n % NGX_LIVE_MAX_RANGES) << NGX_LIVE_RANGE_BITS;
}


static ngx_int_t
ngx_live_track_free_range(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    uint64_t offset, uint64_t len)
{
    int            rc;
    ngx_err_t      err;
    static time_t  logged;

    /*
     * Pages that sendfile() has queued stay with the sockets; the holes are
     * never written again.
     */

    do {
        rc = fallocate(zone->fd, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
                       offset, len);
        err = ngx_errno;
    } while (rc == -1 && err == NGX_EINTR);

    if (rc == -1) {

        if (ngx_time() - logged >= NGX_LIVE_ZONE_LOG) {
            logged = ngx_time();
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, err,
                          "fallocate() of the live zone failed, its memory "
                          "is given back later: see whether the machine has "
                          "memory left");
        }

        return NGX_ERROR;
    }

    ngx_live_crash_point("punch");

    len = ngx_min(len, t->bytes);

    t->bytes -= len;

    ngx_live_crash_point("punched");

    __atomic_sub_fetch(&zone->sh->used, len, __ATOMIC_RELAXED);

    return NGX_OK;
}


void
ngx_live_track_punch(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    uint64_t offset, uint64_t len)
{
    uint64_t            lo, hi, pin_lo, pin_hi, end;
    ngx_uint_t          i;

    /* the other half of the protocol is in ngx_live_pin() */
    ngx_live_fence();

    for (end = offset + len; offset < end; offset = hi) {

        /* the first pinned byte at or behind offset */

        lo = end;
        hi = end;

        for (i = 0; i < NGX_LIVE_MAX_WORKERS; i++) {
            pin_hi = ngx_live_load(&t->pins[i].hi);
            pin_lo = ngx_live_load(&t->pins[i].lo);

            if (pin_hi <= offset || pin_lo >= lo) {
                continue;
            }

            pin_lo = ngx_max(pin_lo, offset);
            pin_hi = ngx_align(pin_hi, NGX_LIVE_PAGE);

            lo = pin_lo - pin_lo % NGX_LIVE_PAGE;
            hi = ngx_min(pin_hi, end);
        }

        if (lo > offset
            && ngx_live_track_free_range(zone, t, offset, lo - offset)
               != NGX_OK)
        {
            ngx_live_track_hold(t, offset, lo - offset);
        }

        if (hi > lo) {
            ngx_live_track_hold(t, lo, hi - lo);
        }
    }
}


static void
ngx_live_track_hold(ngx_live_track_sh_t *t, uint64_t offset, uint64_t len)
{
    ngx_uint_t            i;
    ngx_live_range_sh_t  *r;

    for (i = 0; i < t->nheld; i++) {
        r = &t->held[i];

        if (r->offset + r->len == offset) {
            r->len += len;
            return;
        }
    }

    if (t->nheld == NGX_LIVE_MAX_HELD) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "%uL bytes of the live zone are lost: too many ranges "
                      "are held by stopped workers", len);
        return;
    }

    r = &t->held[t->nheld];
    r->offset = offset;
    r->len = len;
    t->nheld++;
}


void
ngx_live_track_release(ngx_live_zone_t *zone, ngx_live_track_sh_t *t)
{
    ngx_uint_t            i, n;
    ngx_live_range_sh_t   held[NGX_LIVE_MAX_HELD];

    n = t->nheld;

    if (n == 0) {
        return;
    }

    ngx_memcpy(held, t->held, n * sizeof(ngx_live_range_sh_t));
    t->nheld = 0;

    for (i = 0; i < n; i++) {
        ngx_live_track_punch(zone, t, held[i].offset, held[i].len);
    }
}


void
ngx_live_track_retire(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    uint64_t msn)
{
    uint64_t                i;
    ngx_live_segment_sh_t  *seg;

    msn = ngx_min(msn, t->segments.head);

    if (msn > t->segments.tail) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, msn - 1);

        ngx_live_store(&t->parts.tail, seg->part + seg->parts);

        ngx_live_crash_point("retire");

        ngx_live_store(&t->segments.tail, msn);

        ngx_live_crash_point("retired");
    }

    if (msn <= t->retired) {
        return;
    }

    /* readers see it before their records are written over */
    ngx_live_fence();

    for (i = t->retired; i < msn; i++) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, i);

        if (seg->size) {
            ngx_live_track_punch(zone, t, seg->offset,
                                 ngx_align(seg->size, NGX_LIVE_PAGE));
        }

        ngx_live_store(&t->retired, i + 1);
    }

    if (t->listed < msn) {
        t->listed = msn;
    }
}


ngx_int_t
ngx_live_track_trim(ngx_live_zone_t *zone, ngx_live_track_sh_t *t)
{
    uint64_t                i, bytes, end;
    ngx_live_segment_sh_t  *seg;

    end = t->range;
    bytes = 0;

    for (i = t->segments.tail; i < t->segments.head; i++) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, i);
        bytes += ngx_align(seg->size, NGX_LIVE_PAGE);

        if (seg->size && seg->offset >= t->range
            && seg->offset < t->range + NGX_LIVE_RANGE)
        {
            end = ngx_align(seg->offset + seg->size, NGX_LIVE_PAGE);
        }
    }

    for (i = 0; i < t->nheld; i++) {
        bytes += t->held[i].len;

        if (t->held[i].offset >= end
            && t->held[i].offset < t->range + NGX_LIVE_RANGE)
        {
            end = t->held[i].offset + t->held[i].len;
        }
    }

    if (ngx_live_track_free_range(zone, t, end,
                                  t->range + NGX_LIVE_RANGE - end)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the counter is set right even where a writer died between two steps */

    bytes = t->bytes - bytes;
    t->bytes -= bytes;

    ngx_live_crash_point("trim");

    __atomic_sub_fetch(&zone->sh->used, bytes, __ATOMIC_RELAXED);

    return NGX_OK;
}


void
ngx_live_zone_audit(ngx_live_zone_t *zone)
{
    uint64_t               now, used, bytes;
    ngx_uint_t             i, n;
    ngx_live_zone_sh_t    *sh;
    ngx_live_stream_sh_t  *st;

    sh = zone->sh;
    now = ngx_live_now();

    if (!sh->suspect
        || (now >= sh->audited && now < sh->audited + NGX_LIVE_ZONE_AUDIT))
    {
        return;
    }

    sh->audited = now;

    ngx_live_stream_settle(zone);

    used = ngx_live_load(&sh->used);
    bytes = 0;

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        for (st = sh->buckets[i]; st; st = st->next) {
            for (n = 0; n < st->ntracks; n++) {
                bytes += ngx_live_load(&st->tracks[n].bytes);
            }

            bytes += ngx_live_load(&st->ts.bytes);
        }
    }

    /* others go on meanwhile: only what stays the same is wrong */

    if (used != ngx_live_load(&sh->used)) {
        return;
    }

    if (used == bytes || (used > bytes && used - bytes == sh->surplus)) {
        __atomic_sub_fetch(&sh->used, used - bytes, __ATOMIC_RELAXED);

        sh->suspect = 0;
        sh->surplus = 0;
        return;
    }

    sh->surplus = used - bytes;
}
