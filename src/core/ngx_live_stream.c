
/* Streams and tracks in the zone: finding, making, reading, freeing. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live.h"
#include "ngx_live_zone.h"
#include "ngx_live_crash.h"
#include "live_m3u8.h"


/* the longest CMAF chunk that a track is cut into without low latency */
#define NGX_LIVE_PART  500

#define NGX_LIVE_SAMPLES  1024

/* init segments and texts of a stream that do not grow with the window */
#define NGX_LIVE_TEXTS  (48 * 1024)


static uint64_t ngx_live_ring_slots(uint64_t n);
static uint64_t ngx_live_track_segments(uint64_t window, uint64_t segment);
static uint64_t ngx_live_track_parts(uint64_t window, uint64_t part,
    uint64_t segments);
static ngx_uint_t ngx_live_stream_fits(ngx_live_zone_t *zone,
    ngx_live_app_conf_t *app);
static void ngx_live_ring_free(ngx_live_zone_t *zone,
    ngx_live_ring_sh_t *ring);
static void ngx_live_track_free(ngx_live_zone_t *zone,
    ngx_live_track_sh_t *t);
static void ngx_live_epoch(ngx_live_stream_sh_t *st, uint64_t now);


uint32_t
ngx_live_stream_hash(ngx_str_t *app, ngx_str_t *name)
{
    uint32_t  hash;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, app->data, app->len);
    ngx_crc32_update(&hash, (u_char *) "/", 1);
    ngx_crc32_update(&hash, name->data, name->len);
    ngx_crc32_final(hash);

    return hash;
}


ngx_live_stream_sh_t *
ngx_live_stream_find_locked(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_str_t *epoch)
{
    uint32_t               hash;
    ngx_live_stream_sh_t  *st, *ended;

    hash = ngx_live_stream_hash(app, name);
    ended = NULL;

    for (st = zone->sh->buckets[hash % NGX_LIVE_BUCKETS]; st; st = st->next) {

        if (st->hash != hash
            || st->state == NGX_LIVE_STREAM_FREE
            || st->name_len != name->len
            || st->app_len != app->len
            || ngx_memcmp(st->name, name->data, name->len) != 0
            || ngx_memcmp(st->app, app->data, app->len) != 0)
        {
            continue;
        }

        if (epoch) {
            if (ngx_strlen(st->epoch) == epoch->len
                && ngx_memcmp(st->epoch, epoch->data, epoch->len) == 0)
            {
                return st;
            }

            continue;
        }

        if (st->state != NGX_LIVE_STREAM_ENDED) {
            return st;
        }

        if (ended == NULL || st->id > ended->id) {
            ended = st;
        }
    }

    return ended;
}


ngx_live_stream_sh_t *
ngx_live_stream_find(ngx_live_zone_t *zone, ngx_str_t *app, ngx_str_t *name,
    ngx_str_t *epoch, uint64_t *id)
{
    ngx_live_stream_sh_t  *st;

    ngx_shmtx_lock(&zone->shpool->mutex);

    st = ngx_live_stream_find_locked(zone, app, name, epoch);

    ngx_live_crash_point("find");

    /* behind the lock it may be another one already */
    *id = st ? st->id : 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return st;
}


ngx_live_stream_sh_t *
ngx_live_stream_create_locked(ngx_live_zone_t *zone, ngx_live_app_conf_t *app,
    ngx_str_t *name, live_state_t *kept)
{
    uint64_t               now;
    ngx_live_stream_sh_t  *st, **bucket;

    if (!ngx_live_stream_fits(zone, app)) {
        return NULL;
    }

    ngx_live_stream_settle(zone);

    st = zone->sh->free;

    if (st) {
        ngx_live_store(&zone->sh->moving, st);
        zone->sh->free = st->next;

    } else {
        st = ngx_slab_alloc_locked(zone->shpool,
                                   sizeof(ngx_live_stream_sh_t));
        if (st == NULL) {
            return NULL;
        }

        ngx_live_store(&zone->sh->moving, st);
    }

    ngx_memzero(st, sizeof(ngx_live_stream_sh_t));

    ngx_live_crash_point("create");

    now = ngx_live_now();

    st->hash = ngx_live_stream_hash(&app->name, name);
    st->name_len = name->len;
    st->app_len = app->name.len;
    ngx_memcpy(st->name, name->data, name->len);
    ngx_memcpy(st->app, app->name.data, app->name.len);

    st->owner = ngx_pid;
    st->created = now;
    st->anchor = now;
    st->window = app->window;
    st->resume = app->resume;
    st->target_duration = app->segment_max / 1000;
    st->segment = app->segment;
    st->part = app->part ? app->part : NGX_LIVE_PART;
    st->part_target = app->part;
    st->msn = 1;
    st->first_msn = 1;

    if (kept->count) {
        st->msn = kept->msn;
        st->dsn = kept->dsn;
        st->first_msn = kept->msn;
        st->first_dsn = kept->dsn;

        st->anchored = (kept->anchor != 0);
        st->anchor = kept->anchor ? kept->anchor : now;
    }

    st->judged = st->first_msn;

    ngx_live_epoch(st, now);

    zone->sh->nstreams++;

    bucket = &zone->sh->buckets[st->hash % NGX_LIVE_BUCKETS];
    st->next = *bucket;

    ngx_live_store(&st->id, zone->sh->next_id++);

    ngx_live_crash_point("link");

    ngx_live_store(bucket, st);
    ngx_live_store(&zone->sh->moving, NULL);

    return st;
}


void
ngx_live_stream_settle(ngx_live_zone_t *zone)
{
    ngx_uint_t             i, found;
    ngx_live_stream_sh_t  *st, *moving;

    moving = zone->sh->moving;

    if (moving == NULL) {
        return;
    }

    zone->sh->nstreams = 0;
    found = 0;

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        for (st = zone->sh->buckets[i]; st; st = st->next) {
            zone->sh->nstreams++;
            found |= (st == moving);
        }
    }

    for (st = zone->sh->free; st; st = st->next) {
        found |= (st == moving);
    }

    if (!found) {
        moving->next = zone->sh->free;
        ngx_live_store(&zone->sh->free, moving);
    }

    ngx_live_store(&zone->sh->moving, NULL);
}


/*
 * The token names the life of the timeline: unique over restarts of nginx and
 * of the machine (invariant 3) as long as its clock does not go back by the
 * same microsecond.
 */

static void
ngx_live_epoch(ngx_live_stream_sh_t *st, uint64_t now)
{
    u_char           *p;
    struct timespec   ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    p = ngx_sprintf((u_char *) st->epoch, "%xL%04xd",
                    (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000,
                    (int) (ngx_random() & 0xffff));
    *p = '\0';
}


ngx_live_track_sh_t *
ngx_live_track_create(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    const char *name)
{
    uint64_t              segments, parts;
    ngx_live_track_sh_t  *t;

    if (st->ntracks == NGX_LIVE_MAX_TRACKS) {
        return NULL;
    }

    segments = ngx_live_track_segments(st->window, st->segment);
    parts = ngx_live_track_parts(st->window, st->part, segments);

    t = &st->tracks[st->ntracks];

    /* whatever one has left that died in here */
    ngx_live_track_free(zone, t);

    ngx_cpystrn((u_char *) t->name, (u_char *) name, sizeof(t->name));

    if (ngx_live_ring_create(zone, &t->segments, segments,
                             sizeof(ngx_live_segment_sh_t))
        != NGX_OK
        || ngx_live_ring_create(zone, &t->parts, parts,
                                sizeof(ngx_live_part_sh_t))
           != NGX_OK
        || ngx_live_ring_create(zone, &t->samples, NGX_LIVE_SAMPLES,
                                sizeof(live_sample_t))
           != NGX_OK)
    {
        ngx_live_track_free(zone, t);
        return NULL;
    }

    ngx_live_crash_point("track");

    t->segments.head = st->msn;
    t->segments.tail = st->msn;
    t->listed = st->msn;
    t->retired = st->msn;
    t->range = ngx_live_zone_range(zone);

    ngx_live_store(&st->ntracks, st->ntracks + 1);

    return t;
}


static uint64_t
ngx_live_ring_slots(uint64_t n)
{
    uint64_t  slots;

    for (slots = 16; slots < n; slots *= 2) { /* void */ }

    return slots;
}


/* Listed, then kept for another window (HLS-17), and some in passing. */

static uint64_t
ngx_live_track_segments(uint64_t window, uint64_t segment)
{
    return 2 * window / segment + 16;
}


static uint64_t
ngx_live_track_parts(uint64_t window, uint64_t part, uint64_t segments)
{
    return 2 * window / part + 2 * segments;
}


ngx_uint_t
ngx_live_stream_settle_locked(ngx_live_stream_sh_t *st,
    ngx_live_app_conf_t *app)
{
    uint64_t              segment, segments, parts;
    ngx_uint_t            i;
    ngx_live_track_sh_t  *t;

    st->resume = app->resume;

    segment = ngx_min(app->segment, (uint64_t) st->target_duration * 1000);
    segments = ngx_live_track_segments(st->window, segment);
    parts = ngx_live_track_parts(st->window, st->part, segments);

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (segments > t->segments.mask + 1 || parts > t->parts.mask + 1) {
            return app->segment == st->segment;
        }
    }

    st->segment = segment;

    return app->segment == segment
           && app->segment_max / 1000 == st->target_duration;
}


/*
 * Is there room in the index for one more stream with video and audio?  So a
 * publisher is refused at once and not at its first frame.
 */

static ngx_uint_t
ngx_live_stream_fits(ngx_live_zone_t *zone, ngx_live_app_conf_t *app)
{
    size_t    track, text, need;
    uint64_t  segments, parts, part, listed;

    part = app->part ? app->part : NGX_LIVE_PART;
    segments = ngx_live_track_segments(app->window, app->segment);
    parts = ngx_live_track_parts(app->window, part, segments);

    track = ngx_live_ring_slots(segments) * sizeof(ngx_live_segment_sh_t)
            + ngx_live_ring_slots(parts) * sizeof(ngx_live_part_sh_t)
            + ngx_live_ring_slots(NGX_LIVE_SAMPLES) * sizeof(live_sample_t);

    /* about 150 characters of a segment and 90 of a part, in two versions */

    listed = app->part ? 3 * app->segment_max / part : 0;
    text = 2 * (segments / 2 * 150 + listed * 90);

    need = 2 * (track + text)
           + ngx_live_ring_slots(segments) * sizeof(ngx_live_segment_sh_t)
           + NGX_LIVE_TEXTS;

    /* structures of streams are never given back, but used again */

    if (zone->sh->free == NULL) {
        need += sizeof(ngx_live_stream_sh_t);
    }

    return zone->shpool->pfree * ngx_pagesize >= need;
}


ngx_int_t
ngx_live_ring_create(ngx_live_zone_t *zone, ngx_live_ring_sh_t *ring,
    uint64_t n, size_t size)
{
    uint64_t  slots;

    slots = ngx_live_ring_slots(n);

    ring->slots = ngx_slab_alloc(zone->shpool, slots * size);
    if (ring->slots == NULL) {
        return NGX_ERROR;
    }

    ring->mask = slots - 1;
    ring->head = 0;
    ring->tail = 0;

    return NGX_OK;
}


static void
ngx_live_ring_free(ngx_live_zone_t *zone, ngx_live_ring_sh_t *ring)
{
    void  *slots;

    slots = ring->slots;

    /* who dies between leaves them behind, and nobody frees them twice */

    if (slots) {
        ngx_live_store(&ring->slots, NULL);
        ngx_slab_free(zone->shpool, slots);
    }
}


static void
ngx_live_track_free(ngx_live_zone_t *zone, ngx_live_track_sh_t *t)
{
    u_char      *data;
    ngx_uint_t   i;

    ngx_live_ring_free(zone, &t->segments);
    ngx_live_crash_point("free-ring");
    ngx_live_ring_free(zone, &t->parts);
    ngx_live_ring_free(zone, &t->samples);

    for (i = 0; i < NGX_LIVE_MAX_INITS; i++) {
        data = t->inits[i].data;

        if (data) {
            ngx_live_store(&t->inits[i].data, NULL);
            ngx_slab_free(zone->shpool, data);
        }
    }
}


ngx_int_t
ngx_live_stream_free(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    u_char                *data;
    ngx_uint_t             i, held;
    ngx_live_text_sh_t    *text;
    ngx_live_track_sh_t   *t;
    ngx_live_stream_sh_t **p;

    ngx_live_store(&st->state, NGX_LIVE_STREAM_FREE);

    held = 0;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        ngx_live_track_retire(zone, t, t->segments.head);
        ngx_live_track_release(zone, t);

        held += t->nheld;
    }

    ngx_live_ts_retire(zone, st, st->ts.segments.head);

    if (held || st->ts.nheld) {
        return NGX_AGAIN;
    }

    for (i = 0; i < st->ntracks; i++) {
        if (ngx_live_track_trim(zone, &st->tracks[i]) != NGX_OK) {
            return NGX_AGAIN;
        }
    }

    if (st->ts.segments.slots
        && ngx_live_track_trim(zone, &st->ts) != NGX_OK)
    {
        return NGX_AGAIN;
    }

    /*
     * From here on, readers that still hold st find that it is another.  It
     * stays in its bucket, where the next one finds it if this one dies.
     */

    ngx_live_store(&st->id, 0);
    ngx_live_fence();

    ngx_live_crash_point("free");

    /* one more may have been begun by a worker that died */

    for (i = 0; i < NGX_LIVE_MAX_TRACKS; i++) {
        ngx_live_track_free(zone, &st->tracks[i]);
    }

    ngx_live_track_free(zone, &st->ts);

    for (i = 0; i < 2 * NGX_LIVE_MAX_DOCS; i++) {
        text = &st->docs[i / 2].text[i % 2];

        data = text->data;

        if (data) {
            ngx_live_store(&text->data, NULL);
            ngx_slab_free(zone->shpool, data);
        }
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_live_stream_settle(zone);
    ngx_live_store(&zone->sh->moving, st);

    p = &zone->sh->buckets[st->hash % NGX_LIVE_BUCKETS];

    while (*p && *p != st) {
        p = &(*p)->next;
    }

    if (*p) {
        ngx_live_crash_point("unlink");
        ngx_live_store(p, st->next);
        ngx_live_crash_point("unlinked");

        st->next = zone->sh->free;
        ngx_live_store(&zone->sh->free, st);
        zone->sh->nstreams--;
    }

    ngx_live_store(&zone->sh->moving, NULL);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


ngx_int_t
ngx_live_init_add(ngx_live_zone_t *zone, ngx_live_track_sh_t *t, u_char *data,
    size_t len)
{
    u_char                 *copy, *old;
    uint64_t                i;
    uint32_t                number;
    ngx_live_init_sh_t     *init;
    ngx_live_segment_sh_t  *seg;

    copy = ngx_slab_alloc(zone->shpool, len);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, data, len);

    number = t->init + 1;
    init = &t->inits[number % NGX_LIVE_MAX_INITS];

    if (init->number) {

        /* segments leave with the init segment that they need (HLS-17) */

        for (i = t->segments.tail; i < t->segments.head; i++) {
            seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, i);

            if (seg->init > init->number) {
                break;
            }
        }

        ngx_live_track_retire(zone, t, i);

        ngx_live_store(&init->number, 0);
        ngx_live_fence();
    }

    old = init->data;

    ngx_live_store(&init->data, copy);
    init->len = len;

    if (old) {
        ngx_slab_free(zone->shpool, old);
    }

    ngx_live_crash_point("init");

    ngx_live_store(&init->number, number);
    ngx_live_store(&t->init, number);

    return NGX_OK;
}
