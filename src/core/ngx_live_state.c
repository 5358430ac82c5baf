
/* What is kept on disk, see ngx_live_state.h. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>
#include "ngx_live_state.h"
#include "live_state.h"


#define NGX_LIVE_STATE_FILE  "live.state"
#define NGX_LIVE_STATE_BOOT  "/proc/sys/kernel/random/boot_id"
#define NGX_LIVE_STATE_QUIET 60000      /* ms between two lines of one cause */

#define ngx_live_state_at(slot)                                               \
    (LIVE_STATE_HEADER + (off_t) (slot) * LIVE_STATE_RECORD)


static ngx_int_t ngx_live_state_make(ngx_live_zone_t *zone, ngx_str_t *name,
    ngx_log_t *log);
static void ngx_live_state_boot(ngx_live_zone_t *zone, ngx_log_t *log);
static void ngx_live_state_close(void *data);
static void ngx_live_state_key(ngx_live_stream_sh_t *st, u_char *key);
static ngx_int_t ngx_live_state_find(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, u_char *key, live_state_t *s);
static ngx_int_t ngx_live_state_read(ngx_live_zone_t *zone, ngx_uint_t slot,
    u_char *key, live_state_t *s);
static void ngx_live_state_failed(ngx_err_t err, const char *what);


ngx_int_t
ngx_live_state_open(ngx_live_zone_t *zone, ngx_pool_t *pool, ngx_log_t *log)
{
    size_t               len;
    ssize_t              n;
    u_char              *p, buf[LIVE_STATE_HEADER];
    ngx_fd_t             fd;
    ngx_str_t            name;
    ngx_pool_cleanup_t  *cln;

    zone->state_fd = NGX_INVALID_FILE;

    if (zone->state_path.len == 0) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_fd_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    len = zone->state_path.len + sizeof("/" NGX_LIVE_STATE_FILE);

    name.data = ngx_pnalloc(pool, len);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(name.data, "%V/" NGX_LIVE_STATE_FILE "%Z",
                    &zone->state_path);
    name.len = p - name.data - 1;

    /* workers inherit it, so that nobody else needs to be able to write */

    if (ngx_create_dir(zone->state_path.data, 0700) == NGX_FILE_ERROR
        && ngx_errno != NGX_EEXIST)
    {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"state_path\": " ngx_create_dir_n " \"%V\" failed",
                      &zone->state_path);
        return NGX_ERROR;
    }

    fd = open((char *) name.data, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"state_path\": open() \"%V\" failed", &name);
        return NGX_ERROR;
    }

    *(ngx_fd_t *) cln->data = fd;
    cln->handler = ngx_live_state_close;

    zone->state_fd = fd;

    ngx_live_state_boot(zone, log);

    n = pread(fd, buf, LIVE_STATE_HEADER, 0);

    if (n == 0) {
        return ngx_live_state_make(zone, &name, log);
    }

    if (n == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"state_path\": pread() \"%V\" failed", &name);
        return NGX_ERROR;
    }

    if (live_state_read_header(buf, n) != LIVE_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"state_path\": \"%V\" is not a file of this module, "
                      "or broken: remove it, streams begin anew then",
                      &name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* All of it is taken at once, lest the disk is full when it is needed. */

static ngx_int_t
ngx_live_state_make(ngx_live_zone_t *zone, ngx_str_t *name, ngx_log_t *log)
{
    int     err;
    u_char  buf[LIVE_STATE_HEADER];

    live_state_write_header(buf);

    err = posix_fallocate(zone->state_fd, 0,
                          LIVE_STATE_HEADER
                          + LIVE_STATE_RECORDS * LIVE_STATE_RECORD);

    if (err == 0
        && pwrite(zone->state_fd, buf, LIVE_STATE_HEADER, 0)
           != LIVE_STATE_HEADER)
    {
        err = ngx_errno;
    }

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, log, err,
                      "\"state_path\": \"%V\" cannot be written, it needs "
                      "2 MB", name);

        /* what is there of it must not be taken for somebody else's */

        if (ftruncate(zone->state_fd, 0) == -1) {
            ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                          "ftruncate() \"%V\" failed", name);
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Where the system does not tell, every start is one of the machine. */

static void
ngx_live_state_boot(ngx_live_zone_t *zone, ngx_log_t *log)
{
    int      fd;
    u_char   buf[64];
    ssize_t  n;

    n = 0;
    fd = open(NGX_LIVE_STATE_BOOT, O_RDONLY|O_CLOEXEC);

    if (fd != -1) {
        n = read(fd, buf, sizeof(buf));
        (void) close(fd);
    }

    if (n <= 0) {
        zone->boot = (uint32_t) ngx_random();
        return;
    }

    zone->boot = ngx_crc32_long(buf, n);
}


static void
ngx_live_state_close(void *data)
{
    ngx_fd_t  *fd = data;

    if (ngx_close_file(*fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      ngx_close_file_n " of \"state_path\" failed");
    }
}


void
ngx_live_state_load(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    u_char        key[LIVE_STATE_KEY];
    live_state_t  s;

    if (zone->state_fd == NGX_INVALID_FILE) {
        return;
    }

    ngx_live_state_key(st, key);

    if (ngx_live_state_find(zone, st, key, &s) != NGX_OK) {
        return;
    }

    live_state_resume(&s, ngx_live_now(), zone->boot, st->segment);

    st->msn = s.msn;
    st->dsn = s.dsn;
    st->first_msn = s.msn;
    st->first_dsn = s.dsn;

    if (s.anchor) {
        st->anchor = s.anchor;
        st->anchored = 1;
    }
}


void
ngx_live_state_save(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    off_t         at;
    u_char        key[LIVE_STATE_KEY], record[LIVE_STATE_RECORD];
    size_t        place;
    ngx_int_t     rc;
    live_state_t  s;

    if (zone->state_fd == NGX_INVALID_FILE) {
        return;
    }

    ngx_live_state_key(st, key);

    rc = ngx_live_state_find(zone, st, key, &s);

    if (rc == NGX_ERROR) {
        return;
    }

    at = ngx_live_state_at(st->state_slot - 1);

    s.count = (rc == NGX_OK) ? s.count + 1 : 1;

    /* another nginx may have the stream as well, while it takes over */

    s.msn = (rc == NGX_OK) ? ngx_max(s.msn, st->msn) : st->msn;
    s.dsn = (rc == NGX_OK) ? ngx_max(s.dsn, st->dsn) : st->dsn;
    s.anchor = st->anchor;
    s.used = ngx_live_now();
    s.boot = zone->boot;

    live_state_write_key(record, key);
    place = live_state_write(record + LIVE_STATE_KEY, key, &s);

    if (rc == NGX_OK) {

        if (pwrite(zone->state_fd, record + LIVE_STATE_KEY, LIVE_STATE_COPY,
                   at + place)
            != LIVE_STATE_COPY)
        {
            ngx_live_state_failed(ngx_errno, "pwrite()");
        }

        return;
    }

    /* the first copy of a new record, all else of it is zero */

    ngx_memmove(record + place, record + LIVE_STATE_KEY, LIVE_STATE_COPY);

    if (place != LIVE_STATE_KEY) {
        ngx_memzero(record + LIVE_STATE_KEY, LIVE_STATE_COPY);
    }

    if (pwrite(zone->state_fd, record, LIVE_STATE_RECORD, at)
        != LIVE_STATE_RECORD)
    {
        ngx_live_state_failed(ngx_errno, "pwrite()");
    }
}


static void
ngx_live_state_key(ngx_live_stream_sh_t *st, u_char *key)
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, st->app, st->app_len);
    ngx_md5_update(&md5, "/", 1);
    ngx_md5_update(&md5, st->name, st->name_len);
    ngx_md5_final(key, &md5);
}


/*
 * NGX_OK: the record of that key.  NGX_DECLINED: there is none, slot is where
 * one may be made: the first that is free, or the one that was used least of
 * late.  st->state_slot says where it was the last time.
 */

static ngx_int_t
ngx_live_state_find(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    u_char *key, live_state_t *s)
{
    uint64_t    oldest;
    ngx_int_t   rc;
    ngx_uint_t  i, n, slot;

    if (st->state_slot) {
        rc = ngx_live_state_read(zone, st->state_slot - 1, key, s);

        if (rc == LIVE_OK) {
            return NGX_OK;
        }
    }

    oldest = UINT64_MAX;
    slot = 0;

    for (i = 0; i < LIVE_STATE_PROBES; i++) {

        n = (live_state_slot(key) + i) % LIVE_STATE_RECORDS;
        rc = ngx_live_state_read(zone, n, key, s);

        if (rc == NGX_ABORT) {
            return NGX_ERROR;
        }

        if (rc == LIVE_OK) {
            st->state_slot = n + 1;
            return NGX_OK;
        }

        if (rc == LIVE_AGAIN) {
            s->used = 0;
        }

        if (s->used < oldest) {
            oldest = s->used;
            slot = n;
        }
    }

    st->state_slot = slot + 1;

    return NGX_DECLINED;
}


/* As live_state_read(), or NGX_ABORT. */

static ngx_int_t
ngx_live_state_read(ngx_live_zone_t *zone, ngx_uint_t slot, u_char *key,
    live_state_t *s)
{
    u_char  record[LIVE_STATE_RECORD];

    if (pread(zone->state_fd, record, LIVE_STATE_RECORD,
              ngx_live_state_at(slot))
        != LIVE_STATE_RECORD)
    {
        ngx_live_state_failed(ngx_errno, "pread()");
        return NGX_ABORT;
    }

    return live_state_read(record, key, s);
}


static void
ngx_live_state_failed(ngx_err_t err, const char *what)
{
    static ngx_msec_t  quiet;

    if (quiet && (ngx_msec_int_t) (ngx_current_msec - quiet) < 0) {
        return;
    }

    quiet = ngx_current_msec + NGX_LIVE_STATE_QUIET;

    ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, err,
                  "%s of the file in \"state_path\" failed, after a restart "
                  "streams may begin with numbers of before", what);
}
