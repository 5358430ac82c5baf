
#include <ngx_config.h>
#include <ngx_core.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include "ngx_live_source.h"


/* about what a megabyte of the index has room for */
#define NGX_LIVE_MAX_ENTRIES  100000


static ngx_live_entry_sh_t **ngx_live_registry_at(ngx_live_zone_t *zone,
    ngx_str_t *app, ngx_str_t *name);
static ngx_live_entry_sh_t *ngx_live_registry_add(ngx_live_zone_t *zone,
    ngx_str_t *app, ngx_str_t *name);
static void ngx_live_registry_drop(ngx_live_zone_t *zone,
    ngx_live_entry_sh_t **at);
static void ngx_live_registry_forget(ngx_live_zone_t *zone,
    ngx_live_entry_sh_t *e);
static ngx_uint_t ngx_live_registry_end(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name);
static ngx_uint_t ngx_live_registry_stale(ngx_live_entry_sh_t *e,
    uint64_t now);
static ngx_int_t ngx_live_registry_key(u_char *key);


ngx_int_t
ngx_live_registry_create(ngx_live_zone_t *zone, ngx_live_entry_sh_t *entry,
    ngx_str_t *url)
{
    ngx_int_t              rc;
    ngx_str_t              app, name;
    ngx_live_entry_sh_t   *e, *next;
    ngx_live_source_sh_t  *source;
    ngx_live_stream_sh_t  *st;

    if (ngx_live_registry_key(entry->key) != NGX_OK) {
        return NGX_ERROR;
    }

    app.data = entry->app;
    app.len = entry->app_len;
    name.data = entry->name;
    name.len = entry->name_len;

    entry->created = 1;
    entry->since = ngx_live_now();
    entry->heard = entry->since;
    entry->banned = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = *ngx_live_registry_at(zone, &app, &name);
    st = ngx_live_stream_find_locked(zone, &app, &name, NULL);

    if (e && e->banned > entry->since) {
        rc = NGX_DECLINED;

    } else if ((e && e->created)
               || (st && st->state != NGX_LIVE_STREAM_ENDED))
    {
        rc = NGX_BUSY;

    } else {
        source = ngx_live_source_create_locked(zone, url);

        if (source || url == NULL) {
            e = e ? e : ngx_live_registry_add(zone, &app, &name);

        } else {
            e = NULL;
        }

        rc = NGX_ERROR;

        if (e) {
            next = e->next;
            entry->hash = e->hash;
            entry->source = source;

            *e = *entry;
            e->next = next;

            rc = NGX_OK;

        } else {
            ngx_live_source_free_locked(zone, source);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


/* The pointer to the entry of that name, or to NULL at the end of its list. */

static ngx_live_entry_sh_t **
ngx_live_registry_at(ngx_live_zone_t *zone, ngx_str_t *app, ngx_str_t *name)
{
    uint32_t               hash;
    ngx_live_entry_sh_t   *e, **at;

    hash = ngx_live_stream_hash(app, name);

    for (at = &zone->sh->entries[hash % NGX_LIVE_BUCKETS]; *at;
         at = &(*at)->next)
    {
        e = *at;

        if (e->hash == hash
            && e->app_len == app->len
            && e->name_len == name->len
            && ngx_memcmp(e->app, app->data, app->len) == 0
            && ngx_memcmp(e->name, name->data, name->len) == 0)
        {
            break;
        }
    }

    return at;
}


/* Whoever dies in here has lost the memory of one entry. */

static ngx_live_entry_sh_t *
ngx_live_registry_add(ngx_live_zone_t *zone, ngx_str_t *app, ngx_str_t *name)
{
    ngx_live_entry_sh_t  *e, **bucket;

    if (zone->sh->nentries >= NGX_LIVE_MAX_ENTRIES) {
        return NULL;
    }

    e = ngx_slab_calloc_locked(zone->shpool, sizeof(ngx_live_entry_sh_t));
    if (e == NULL) {
        return NULL;
    }

    e->hash = ngx_live_stream_hash(app, name);
    e->app_len = app->len;
    e->name_len = name->len;
    ngx_memcpy(e->app, app->data, app->len);
    ngx_memcpy(e->name, name->data, name->len);

    bucket = &zone->sh->entries[e->hash % NGX_LIVE_BUCKETS];
    e->next = *bucket;

    ngx_live_store(bucket, e);
    zone->sh->nentries++;

    return e;
}


static void
ngx_live_registry_drop(ngx_live_zone_t *zone, ngx_live_entry_sh_t **at)
{
    ngx_live_entry_sh_t  *e;

    e = *at;

    ngx_live_store(at, e->next);
    zone->sh->nentries--;

    ngx_live_registry_forget(zone, e);
    ngx_slab_free_locked(zone->shpool, e);
}


/* It is not created any more; what it is banned for stays. */

static void
ngx_live_registry_forget(ngx_live_zone_t *zone, ngx_live_entry_sh_t *e)
{
    ngx_live_source_sh_t  *source;

    source = e->source;

    e->created = 0;
    e->source = NULL;
    ngx_explicit_memzero(e->key, NGX_LIVE_KEY);

    ngx_live_source_free_locked(zone, source);
}


ngx_live_entry_sh_t *
ngx_live_registry_find_locked(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name)
{
    ngx_live_entry_sh_t  *e;

    e = *ngx_live_registry_at(zone, app, name);

    return e && e->created ? e : NULL;
}


ngx_int_t
ngx_live_registry_find(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_entry_sh_t *entry)
{
    ngx_int_t             rc;
    ngx_live_entry_sh_t  *e;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_live_registry_find_locked(zone, app, name);

    if (e) {
        *entry = *e;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_live_registry_keyed(ngx_live_zone_t *zone, ngx_str_t *app, u_char *key,
    char *name)
{
    ngx_int_t             rc;
    ngx_uint_t            i;
    ngx_live_entry_sh_t  *e;

    if (zone->sh->nentries == 0) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; rc != NGX_OK && i < NGX_LIVE_BUCKETS; i++) {
        for (e = zone->sh->entries[i]; e; e = e->next) {

            if (e->created
                && e->app_len == app->len
                && ngx_memcmp(e->app, app->data, app->len) == 0
                && CRYPTO_memcmp(e->key, key, NGX_LIVE_KEY) == 0)
            {
                ngx_memcpy(name, e->name, e->name_len);
                name[e->name_len] = '\0';
                rc = NGX_OK;
                break;
            }
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_live_registry_heard(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_entry_sh_t *entry)
{
    ngx_int_t             rc;
    ngx_live_entry_sh_t  *e;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_live_registry_find_locked(zone, app, name);

    if (e) {
        e->heard = ngx_live_now();
        *entry = *e;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_live_registry_rotate(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_entry_sh_t *entry)
{
    u_char                key[NGX_LIVE_KEY];
    ngx_int_t             rc;
    ngx_live_entry_sh_t  *e;

    if (ngx_live_registry_key(key) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_live_registry_find_locked(zone, app, name);

    if (e) {
        ngx_memcpy(e->key, key, NGX_LIVE_KEY);
        *entry = *e;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_live_registry_stop(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_uint_t stopped)
{
    ngx_int_t             rc;
    ngx_live_entry_sh_t  *e;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_live_registry_find_locked(zone, app, name);

    if (e) {
        e->stopped = stopped;
        e->heard = ngx_live_now();
        rc = NGX_OK;

        if (stopped) {
            (void) ngx_live_registry_end(zone, app, name);

        } else if (e->source) {
            ngx_live_source_again_locked(e->source);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_live_registry_delete(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, uint64_t banned)
{
    ngx_int_t             rc;
    ngx_live_entry_sh_t  *e, **at;

    ngx_shmtx_lock(&zone->shpool->mutex);

    rc = ngx_live_registry_end(zone, app, name) ? NGX_OK : NGX_DECLINED;

    at = ngx_live_registry_at(zone, app, name);
    e = *at;

    if (e && e->created) {
        rc = NGX_OK;
        ngx_live_registry_forget(zone, e);
    }

    if (e) {
        e->banned = ngx_max(e->banned, banned);

        if (e->banned == 0) {
            ngx_live_registry_drop(zone, at);
        }

    } else if (banned) {
        e = ngx_live_registry_add(zone, app, name);

        if (e) {
            e->banned = banned;

        } else {
            rc = NGX_ERROR;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


/* 1: there is a stream that had not ended. */

static ngx_uint_t
ngx_live_registry_end(ngx_live_zone_t *zone, ngx_str_t *app, ngx_str_t *name)
{
    ngx_live_stream_sh_t  *st;

    st = ngx_live_stream_find_locked(zone, app, name, NULL);

    if (st == NULL || st->state == NGX_LIVE_STREAM_ENDED) {
        return 0;
    }

    ngx_live_store(&st->ends, st->publication);

    /* its owner looks once a second */

    if (st->state == NGX_LIVE_STREAM_AWAY) {
        st->deadline = 0;
    }

    return 1;
}


ngx_int_t
ngx_live_registry_admit_locked(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_entry_sh_t **entry)
{
    *entry = *ngx_live_registry_at(zone, app, name);

    if (*entry == NULL) {
        return NGX_OK;
    }

    if ((*entry)->banned > ngx_live_now()
        || ((*entry)->created && (*entry)->stopped))
    {
        return NGX_DECLINED;
    }

    if (!(*entry)->created) {
        *entry = NULL;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_live_registry_stale(ngx_live_entry_sh_t *e, uint64_t now)
{
    uint64_t  due;

    if (e->stale == 0) {
        return 0;
    }

    due = e->heard + e->stale;

    if (e->cleanup) {
        due = e->since + (due - e->since + e->cleanup - 1) / e->cleanup
                         * e->cleanup;
    }

    return now >= due;
}


void
ngx_live_registry_expire(ngx_live_zone_t *zone)
{
    uint64_t              now;
    ngx_str_t             app, name;
    ngx_uint_t            i, newest;
    ngx_live_entry_sh_t  *e, **at;

    if (zone->sh->nentries == 0) {
        return;
    }

    now = ngx_live_now();
    newest = (zone->cycle == ngx_live_load(&zone->sh->cycle));

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {

        for (at = &zone->sh->entries[i]; *at; /* void */ ) {
            e = *at;

            app.data = e->app;
            app.len = e->app_len;
            name.data = e->name;
            name.len = e->name_len;

            /* publications of an application that is no more end by that */

            if (newest && ngx_live_application(&app) == NULL) {
                ngx_live_registry_drop(zone, at);
                continue;
            }

            if (e->created && ngx_live_registry_stale(e, now)) {
                ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                              "created stream \"%V/%V\" is deleted: no "
                              "heartbeat for %uLs", &app, &name,
                              e->stale / 1000);

                (void) ngx_live_registry_end(zone, &app, &name);
                ngx_live_registry_forget(zone, e);
            }

            if (!e->created && now >= e->banned) {
                ngx_live_registry_drop(zone, at);

            } else {
                at = &e->next;
            }
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static ngx_int_t
ngx_live_registry_key(u_char *key)
{
    u_char  bytes[NGX_LIVE_KEY / 2];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(key, bytes, sizeof(bytes));

    return NGX_OK;
}
