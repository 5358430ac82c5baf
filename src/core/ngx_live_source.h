
/*
 * Where created streams are pulled from, and which worker does that: in the
 * zone, behind their entries.  One worker has a source at a time; when it
 * goes, or dies, another one takes it.  Event loop of any worker; each
 * function takes the zone's lock, unless its name says that it is held.
 */

#ifndef _NGX_LIVE_SOURCE_H_INCLUDED_
#define _NGX_LIVE_SOURCE_H_INCLUDED_


#include "ngx_live_registry.h"


#define NGX_LIVE_SOURCE_ERROR  192      /* bytes, with the '\0' */


typedef enum {
    NGX_LIVE_SOURCE_WAITING = 0,        /* for its next try, or a worker */
    NGX_LIVE_SOURCE_CONNECTING,
    NGX_LIVE_SOURCE_RUNNING,
    NGX_LIVE_SOURCE_ENDED               /* it is not tried any more */
} ngx_live_source_state_e;


struct ngx_live_source_sh_s {
    uint32_t                state;      /* ngx_live_source_state_e */
    ngx_pid_t               owner;      /* the worker that pulls it; 0: none */
    uint64_t                claim;      /* counts workers that had it */
    uint32_t                tries;      /* that failed, one behind another */
    uint64_t                since;      /* Unix ms: it has that state */
    uint64_t                next;       /* the same: when it is tried */
    char                    error[NGX_LIVE_SOURCE_ERROR];   /* the last one */
    u_char                  url[NGX_LIVE_MAX_URL];
};


/* One that this worker has taken. */
typedef struct {
    uint64_t                claim;
    uint32_t                app_len;
    uint32_t                name_len;
    u_char                  app[NGX_LIVE_MAX_APP];
    u_char                  name[NGX_LIVE_MAX_NAME];
    u_char                  url[NGX_LIVE_MAX_URL];
} ngx_live_source_t;


/* NULL: url is NULL, or there is no room. */
ngx_live_source_sh_t *ngx_live_source_create_locked(ngx_live_zone_t *zone,
    ngx_str_t *url);
void ngx_live_source_free_locked(ngx_live_zone_t *zone,
    ngx_live_source_sh_t *source);

/* It is tried at once, whatever was before. */
void ngx_live_source_again_locked(ngx_live_source_sh_t *source);

/* Takes one whose time has come; NGX_DECLINED: there is none.  Workers of the
 * last configuration only, until they shut down. */
ngx_int_t ngx_live_source_take(ngx_live_zone_t *zone, ngx_live_source_t *s);

/* 1 while this worker is to pull it. */
ngx_uint_t ngx_live_source_wanted(ngx_live_zone_t *zone,
    ngx_live_source_t *s);

/* Media come. */
void ngx_live_source_running(ngx_live_zone_t *zone, ngx_live_source_t *s);

/*
 * The worker has done with it.  WAITING with an error: it is tried later, the
 * result is in how many ms; without: another worker takes it at once.  ENDED:
 * it is not tried any more.
 */
ngx_msec_t ngx_live_source_left(ngx_live_zone_t *zone, ngx_live_source_t *s,
    ngx_live_source_state_e state, const char *error);

/* Copies that of a created stream; NGX_DECLINED: it is not pulled. */
ngx_int_t ngx_live_source_find(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_source_sh_t *source);

/*
 * NULL: the application may pull that URL; else why not, static text.  shown,
 * size bytes: what of it may be told.  These two take no lock.
 */
const char *ngx_live_source_check(ngx_live_app_conf_t *app, const char *url,
    char *shown, size_t size);

/* The protocols that libav may use for it, by commas; lives as long as the
 * configuration.  NULL: that one is not allowed. */
const char *ngx_live_source_protocols(ngx_live_app_conf_t *app,
    const char *scheme);


#endif /* _NGX_LIVE_SOURCE_H_INCLUDED_ */
