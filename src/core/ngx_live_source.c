
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_source.h"


/* ms between two tries: the first, and the longest time */
#define NGX_LIVE_SOURCE_RETRY  1000
#define NGX_LIVE_SOURCE_SLOW   30000

/* ms that it must have run for to begin with the first again */
#define NGX_LIVE_SOURCE_GOOD   10000

/* ms that other workers leave it to the one whose turn it is */
#define NGX_LIVE_SOURCE_TURN   2000


static ngx_live_source_sh_t *ngx_live_source_due(ngx_live_entry_sh_t *e,
    uint64_t now);
static ngx_live_source_sh_t *ngx_live_source_mine(ngx_live_zone_t *zone,
    ngx_live_source_t *s, ngx_uint_t *stopped);


ngx_live_source_sh_t *
ngx_live_source_create_locked(ngx_live_zone_t *zone, ngx_str_t *url)
{
    ngx_live_source_sh_t  *source;

    if (url == NULL || url->len >= NGX_LIVE_MAX_URL) {
        return NULL;
    }

    source = ngx_slab_calloc_locked(zone->shpool,
                                    sizeof(ngx_live_source_sh_t));
    if (source) {
        ngx_memcpy(source->url, url->data, url->len);
        source->since = ngx_live_now();
        zone->sh->nsources++;
    }

    return source;
}


/* URLs may hold what lets one in. */

void
ngx_live_source_free_locked(ngx_live_zone_t *zone,
    ngx_live_source_sh_t *source)
{
    if (source == NULL) {
        return;
    }

    ngx_explicit_memzero(source->url, NGX_LIVE_MAX_URL);
    ngx_slab_free_locked(zone->shpool, source);
    zone->sh->nsources--;
}


void
ngx_live_source_again_locked(ngx_live_source_sh_t *source)
{
    source->next = 0;
    source->tries = 0;

    if (source->state == NGX_LIVE_SOURCE_ENDED) {
        source->state = NGX_LIVE_SOURCE_WAITING;
        source->since = ngx_live_now();
        source->error[0] = '\0';
    }
}


ngx_int_t
ngx_live_source_take(ngx_live_zone_t *zone, ngx_live_source_t *s)
{
    uint64_t               now;
    ngx_uint_t             i;
    ngx_live_entry_sh_t   *e;
    ngx_live_source_sh_t  *source;

    if (ngx_exiting
        || zone->sh->nsources == 0
        || zone->cycle != ngx_live_load(&zone->sh->cycle))
    {
        return NGX_DECLINED;
    }

    now = ngx_live_now();
    source = NULL;
    e = NULL;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; source == NULL && i < NGX_LIVE_BUCKETS; i++) {
        for (e = zone->sh->entries[i]; e; e = e->next) {

            source = ngx_live_source_due(e, now);
            if (source) {
                break;
            }
        }
    }

    if (source) {
        source->owner = ngx_pid;
        source->state = NGX_LIVE_SOURCE_CONNECTING;
        source->since = now;

        s->claim = ++source->claim;
        s->app_len = e->app_len;
        s->name_len = e->name_len;
        ngx_memcpy(s->app, e->app, e->app_len);
        ngx_memcpy(s->name, e->name, e->name_len);
        ngx_memcpy(s->url, source->url, NGX_LIVE_MAX_URL);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return source ? NGX_OK : NGX_DECLINED;
}


/* A worker's own ones come at once, so that all of them have some. */

static ngx_live_source_sh_t *
ngx_live_source_due(ngx_live_entry_sh_t *e, uint64_t now)
{
    uint64_t               next;
    ngx_core_conf_t       *ccf;
    ngx_live_source_sh_t  *source;

    source = e->source;

    if (source == NULL
        || e->stopped
        || source->state == NGX_LIVE_SOURCE_ENDED
        || (source->owner && ngx_live_worker_alive(source->owner)))
    {
        return NULL;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    next = ngx_max(source->next, source->since);

    if (ccf->worker_processes > 1
        && e->hash % (ngx_uint_t) ccf->worker_processes != ngx_worker)
    {
        next += NGX_LIVE_SOURCE_TURN;
    }

    return now >= next ? source : NULL;
}


/* With the lock held; NULL: it is another's, or is no more. */

static ngx_live_source_sh_t *
ngx_live_source_mine(ngx_live_zone_t *zone, ngx_live_source_t *s,
    ngx_uint_t *stopped)
{
    ngx_str_t             app, name;
    ngx_live_entry_sh_t  *e;

    app.data = s->app;
    app.len = s->app_len;
    name.data = s->name;
    name.len = s->name_len;

    e = ngx_live_registry_find_locked(zone, &app, &name);

    if (e == NULL
        || e->source == NULL
        || e->source->owner != ngx_pid
        || e->source->claim != s->claim)
    {
        return NULL;
    }

    *stopped = e->stopped;

    return e->source;
}


ngx_uint_t
ngx_live_source_wanted(ngx_live_zone_t *zone, ngx_live_source_t *s)
{
    ngx_uint_t  wanted, stopped;

    ngx_shmtx_lock(&zone->shpool->mutex);

    wanted = (ngx_live_source_mine(zone, s, &stopped) && !stopped);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return wanted;
}


void
ngx_live_source_running(ngx_live_zone_t *zone, ngx_live_source_t *s)
{
    ngx_uint_t             stopped;
    ngx_live_source_sh_t  *source;

    ngx_shmtx_lock(&zone->shpool->mutex);

    source = ngx_live_source_mine(zone, s, &stopped);

    if (source) {
        source->state = NGX_LIVE_SOURCE_RUNNING;
        source->since = ngx_live_now();
        source->error[0] = '\0';
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_msec_t
ngx_live_source_left(ngx_live_zone_t *zone, ngx_live_source_t *s,
    ngx_live_source_state_e state, const char *error)
{
    uint64_t               now;
    ngx_msec_t             wait;
    ngx_uint_t             stopped;
    ngx_live_source_sh_t  *source;

    wait = 0;
    now = ngx_live_now();

    ngx_shmtx_lock(&zone->shpool->mutex);

    source = ngx_live_source_mine(zone, s, &stopped);

    if (source) {

        if (source->state == NGX_LIVE_SOURCE_RUNNING
            && now - source->since >= NGX_LIVE_SOURCE_GOOD)
        {
            source->tries = 0;
        }

        if (error) {
            wait = (ngx_msec_t) NGX_LIVE_SOURCE_RETRY
                   << ngx_min(source->tries, 8);
            wait = ngx_min(wait, NGX_LIVE_SOURCE_SLOW);

            source->tries++;
            ngx_cpystrn((u_char *) source->error, (u_char *) error,
                        NGX_LIVE_SOURCE_ERROR);
        }

        source->owner = 0;
        source->state = state;
        source->since = now;
        source->next = now + wait;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return wait;
}


ngx_int_t
ngx_live_source_find(ngx_live_zone_t *zone, ngx_str_t *app, ngx_str_t *name,
    ngx_live_source_sh_t *source)
{
    ngx_int_t             rc;
    ngx_live_entry_sh_t  *e;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_live_registry_find_locked(zone, app, name);

    if (e && e->source) {
        *source = *e->source;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}
