
/*
 * Streams that the control API has created: names with a key, and settings of
 * their publications.  In the zone: every worker sees them, a reload keeps
 * them, a restart does not.  Event loop of any worker; each function takes the
 * zone's lock.
 */

#ifndef _NGX_LIVE_REGISTRY_H_INCLUDED_
#define _NGX_LIVE_REGISTRY_H_INCLUDED_


#include "ngx_live_zone.h"


#define NGX_LIVE_KEY            32      /* characters of a stream key */
#define NGX_LIVE_MAX_URL        1024    /* of a source, with its '\0' */
#define NGX_LIVE_MAX_QUALITIES  16

/* what is not made of a stream, also in ngx_live_stream_sh_t */
#define NGX_LIVE_NO_HLS         0x0001
#define NGX_LIVE_NO_DASH        0x0002
#define NGX_LIVE_NO_PARTS       0x0004


typedef struct ngx_live_source_sh_s  ngx_live_source_sh_t;


/* A created stream.  Times are Unix ms. */
struct ngx_live_entry_sh_s {
    ngx_live_entry_sh_t    *next;           /* of its bucket */
    uint32_t                hash;

    u_char                  app[NGX_LIVE_MAX_APP];
    u_char                  name[NGX_LIVE_MAX_NAME];
    uint32_t                app_len;
    uint32_t                name_len;

    uint32_t                created;        /* 0: the name is only banned */
    uint32_t                stopped;        /* it is not to be published */
    uint32_t                options;        /* NGX_LIVE_NO_* */
    u_char                  key[NGX_LIVE_KEY];

    uint64_t                since;          /* it was created */
    uint64_t                heard;          /* the last heartbeat */
    uint64_t                stale;          /* ms without one; 0: for ever */
    uint64_t                cleanup;        /* ms between looks for that */
    uint64_t                banned;         /* until then */

    /* what it is pulled from, see ngx_live_source.h, or NULL; to be looked at
     * with the lock held only */
    ngx_live_source_sh_t   *source;

    /* renditions that it has, of those of the application; 0: all */
    uint32_t                nqualities;
    char                    qualities[NGX_LIVE_MAX_QUALITIES][32];
};


/*
 * Creates one; entry is copied, and gets a key.  url: what it is pulled from,
 * or NULL.  NGX_BUSY: the name is taken, also by a stream that is published.
 * NGX_DECLINED: it is banned.  NGX_ERROR: no room in the index, or no random
 * bytes.
 */
ngx_int_t ngx_live_registry_create(ngx_live_zone_t *zone,
    ngx_live_entry_sh_t *entry, ngx_str_t *url);

/* The one of that name, NULL: there is none; the lock is held. */
ngx_live_entry_sh_t *ngx_live_registry_find_locked(ngx_live_zone_t *zone,
    ngx_str_t *app, ngx_str_t *name);

/* Copies the one of that name; NGX_DECLINED: there is none. */
ngx_int_t ngx_live_registry_find(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_entry_sh_t *entry);

/* Copies the name, NUL-terminated, that has the key, NGX_LIVE_KEY characters;
 * NGX_DECLINED: none has.  Looks at all of them. */
ngx_int_t ngx_live_registry_keyed(ngx_live_zone_t *zone, ngx_str_t *app,
    u_char *key, char *name);

/* A heartbeat has come; the rest as above. */
ngx_int_t ngx_live_registry_heard(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_entry_sh_t *entry);

/* Gives it a new key; NGX_ERROR: no random bytes, the old one stays. */
ngx_int_t ngx_live_registry_rotate(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_live_entry_sh_t *entry);

/*
 * Says whether it may be published; where it may not, its publication ends as
 * by ngx_live_registry_delete().  What is pulled is pulled anew when it may.
 */
ngx_int_t ngx_live_registry_stop(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, ngx_uint_t stopped);

/*
 * Deletes it, and ends the publication of that name: its worker does that
 * within a second.  Nobody publishes the name until banned.  NGX_DECLINED:
 * there is neither the one nor the other; the ban holds nevertheless.
 */
ngx_int_t ngx_live_registry_delete(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_str_t *name, uint64_t banned);

/*
 * May the name be published?  NGX_OK: yes, and *entry is what was created, if
 * anything (entry->created).  NGX_DECLINED: the name is banned, or stopped.
 * The lock is held.
 */
ngx_int_t ngx_live_registry_admit_locked(ngx_live_zone_t *zone,
    ngx_str_t *app, ngx_str_t *name, ngx_live_entry_sh_t **entry);

/* Deletes what is stale, and ends its publication, or was banned long enough;
 * once a second, any worker. */
void ngx_live_registry_expire(ngx_live_zone_t *zone);


#endif /* _NGX_LIVE_REGISTRY_H_INCLUDED_ */
