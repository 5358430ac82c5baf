
/* Statistics as any worker reads them, and what is counted of requests. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_stat.h"


/* a slate does not make it live */
#define ngx_live_stat_live(st)                                                \
    (ngx_live_load(&(st)->state) == NGX_LIVE_STREAM_LIVE && !(st)->slate)

#define ngx_live_stat_mhz(fps)  ((uint64_t) ((fps) * 1000 + 0.5))


static void ngx_live_stat_track(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t, ngx_live_stat_track_t *out);
static ngx_uint_t ngx_live_stat_visible(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, ngx_str_t *app);
static int ngx_libc_cdecl ngx_live_stat_cmp(const void *one,
    const void *two);
static ngx_uint_t ngx_live_stat_rungs(ngx_live_stream_sh_t *st);


const uint64_t  ngx_live_stat_bounds[NGX_LIVE_STAT_BOUNDS] = {
    1000, 2000, 5000, 10000, 20000, 50000,
    100000, 200000, 500000, 1000000, 2000000, 5000000
};


ngx_array_t *
ngx_live_stat_list(ngx_live_zone_t *zone, ngx_str_t *app, ngx_pool_t *pool)
{
    ngx_uint_t             i, n;
    ngx_array_t           *list;
    ngx_live_stat_ref_t   *ref;
    ngx_live_stream_sh_t  *st;

    /* memory is not asked for while the lock is held: some more than there are
     * now, for others may begin meanwhile */

    n = ngx_live_load(&zone->sh->nstreams) + 64;

    list = ngx_array_create(pool, n, sizeof(ngx_live_stat_ref_t));
    if (list == NULL) {
        return NULL;
    }

    ngx_live_stat_flush(zone);

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        for (st = zone->sh->buckets[i]; st; st = st->next) {

            if (list->nelts == n || !ngx_live_stat_visible(zone, st, app)) {
                continue;
            }

            ref = ngx_array_push(list);
            ref->st = st;
            ref->id = st->id;
            ref->ended = (st->state == NGX_LIVE_STREAM_ENDED);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    ngx_qsort(list->elts, list->nelts, sizeof(ngx_live_stat_ref_t),
              ngx_live_stat_cmp);

    return list;
}


/* An ended stream is hidden by the one that has its name; the lock is held. */

static ngx_uint_t
ngx_live_stat_visible(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_str_t *app)
{
    ngx_str_t  own, name;

    if (st->state == NGX_LIVE_STREAM_FREE || st->id == 0) {
        return 0;
    }

    own.data = st->app;
    own.len = st->app_len;

    if (app && (own.len != app->len
                || ngx_memcmp(own.data, app->data, own.len) != 0))
    {
        return 0;
    }

    if (st->state != NGX_LIVE_STREAM_ENDED) {
        return 1;
    }

    name.data = st->name;
    name.len = st->name_len;

    return ngx_live_stream_find_locked(zone, &own, &name, NULL) == st;
}


static int ngx_libc_cdecl
ngx_live_stat_cmp(const void *one, const void *two)
{
    const ngx_live_stat_ref_t  *a = one;
    const ngx_live_stat_ref_t  *b = two;

    if (a->ended != b->ended) {
        return a->ended ? 1 : -1;
    }

    return a->id < b->id ? -1 : a->id > b->id;
}


ngx_int_t
ngx_live_stat_stream(ngx_live_stat_ref_t *ref, ngx_live_stat_stream_t *s)
{
    ngx_uint_t             i;
    ngx_live_stream_sh_t  *st;

    st = ref->st;

    if (ngx_live_load(&st->id) != ref->id) {
        return NGX_DECLINED;
    }

    s->id = ref->id;
    s->state = ngx_live_load(&st->state);
    s->live = ngx_live_stat_live(st);
    s->slate = (s->state == NGX_LIVE_STREAM_LIVE && !s->live);

    if (s->slate) {
        s->state = NGX_LIVE_STREAM_AWAY;
    }

    s->app.len = ngx_min(st->app_len, NGX_LIVE_MAX_APP);
    s->app.data = s->app_data;
    ngx_memcpy(s->app_data, st->app, s->app.len);

    s->name.len = ngx_min(st->name_len, NGX_LIVE_MAX_NAME);
    s->name.data = s->name_data;
    ngx_memcpy(s->name_data, st->name, s->name.len);

    ngx_cpystrn(s->epoch, (u_char *) st->epoch, sizeof(s->epoch));

    s->standby = (st->standby.number != 0);
    s->publication = st->publication;
    s->created = st->created;
    s->uptime = s->live ? ngx_live_since(st->started) : 0;
    s->idle = ngx_live_since(s->slate ? st->started : st->heard);
    s->bytes_in = st->bytes_in;
    s->segment = st->segment;
    s->part_target = st->part_target;
    s->target_duration = (uint64_t) st->target_duration * 1000;

    s->shed = st->shed;
    s->lag = st->lag;
    s->queued = st->queued;
    s->skipped = st->skipped;
    s->rungs = ngx_live_stat_rungs(st);

    s->stat = st->stat;
    s->requests = st->requests;
    s->dropped = s->stat.dropped[0] + s->stat.dropped[1];
    s->stat.peer[NGX_LIVE_STAT_PEER - 1] = '\0';

    if (!s->live) {
        s->stat.rtt = 0;
        s->stat.rtt_var = 0;
        s->stat.peer[0] = '\0';
    }

    s->memory = ngx_live_load(&st->ts.bytes);
    s->ntracks = ngx_min(ngx_live_load(&st->ntracks), NGX_LIVE_MAX_TRACKS);

    for (i = 0; i < s->ntracks; i++) {
        ngx_live_stat_track(st, &st->tracks[i], &s->tracks[i]);
        s->memory += s->tracks[i].memory;
    }

    /* was it the same one all the time? */
    ngx_live_fence();

    return ngx_live_load(&st->id) == ref->id ? NGX_OK : NGX_DECLINED;
}


static void
ngx_live_stat_track(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t,
    ngx_live_stat_track_t *out)
{
    uint64_t  head;

    ngx_cpystrn(out->name, (u_char *) t->name, sizeof(out->name));

    out->info = t->info;
    out->info.codecs[sizeof(out->info.codecs) - 1] = '\0';

    head = ngx_live_load(&t->segments.head);

    out->rung = (t->rung != 0);
    out->running = (t->mode == NGX_LIVE_TRACK_ON);
    out->shown = ngx_live_track_shown(st, t);
    out->paused = (t->paused != 0);
    out->mhz = ngx_live_stat_mhz(t->fps);
    out->memory = ngx_live_load(&t->bytes);
    out->bandwidth = t->bandwidth;
    out->msn = head > ngx_live_load(&t->segments.tail) ? head - 1 : 0;
    out->stat = t->stat;
}


static ngx_uint_t
ngx_live_stat_rungs(ngx_live_stream_sh_t *st)
{
    ngx_uint_t            i, n, rungs;
    ngx_live_track_sh_t  *t;

    if (st->state != NGX_LIVE_STREAM_LIVE) {
        return 0;
    }

    rungs = 0;
    n = ngx_min(ngx_live_load(&st->ntracks), NGX_LIVE_MAX_TRACKS);

    for (i = 0; i < n; i++) {
        t = &st->tracks[i];
        rungs += (t->rung && t->mode == NGX_LIVE_TRACK_ON && !t->paused);
    }

    return rungs;
}


void
ngx_live_stat_zone(ngx_live_zone_t *zone, ngx_live_stat_zone_t *z)
{
    ngx_uint_t             i;
    ngx_live_stream_sh_t  *st;
    ngx_live_worker_sh_t  *w;

    ngx_memzero(z, sizeof(ngx_live_stat_zone_t));

    ngx_live_stat_flush(zone);

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        for (st = zone->sh->buckets[i]; st; st = st->next) {
            z->streams += (st->state != NGX_LIVE_STREAM_FREE);
            z->live += ngx_live_stat_live(st);
            z->rungs += ngx_live_stat_rungs(st);
        }
    }

    z->total = zone->sh->stat;
    z->index_free = zone->shpool->pfree * ngx_pagesize;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    z->uptime = ngx_live_since(z->total.started);

    z->media = ngx_min(ngx_live_load(&zone->sh->used), zone->sh->budget);
    z->media_free = zone->sh->budget - z->media;
    z->index = zone->shm_zone->shm.size - z->index_free;
    z->memory = z->media + z->index;

    for (i = 0; i < NGX_LIVE_MAX_WORKERS; i++) {
        w = &zone->sh->workers[i];

        if (w->pid == 0 || !ngx_live_worker_alive(w->pid)) {
            continue;
        }

        z->workers++;
        z->busy += w->stat.busy;
        z->held += w->stat.held;
        z->memory += w->stat.memory;
    }
}
