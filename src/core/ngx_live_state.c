
/* What is kept on disk, see ngx_live_state.h. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>
#include "ngx_live_state.h"
#include "live_state.h"


#define NGX_LIVE_STATE_FILE  "live.state"
#define NGX_LIVE_STATE_BOOT  "/proc/sys/kernel/random/boot_id"
#define NGX_LIVE_STATE_QUIET 60000      /* ms between two lines of one cause */


static ngx_int_t ngx_live_state_make(ngx_live_zone_t *zone, ngx_str_t *name,
    ngx_log_t *log);
static void ngx_live_state_boot(ngx_live_zone_t *zone, ngx_log_t *log);
static void ngx_live_state_close(void *data);
static void ngx_live_state_key(ngx_str_t *app, ngx_str_t *name,
    u_char *key);
static int ngx_live_state_find(ngx_live_zone_t *zone, u_char *key, off_t *at,
    live_state_t *s);
static void ngx_live_state_write(ngx_live_zone_t *zone, u_char *data,
    size_t len, off_t at);
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

    err = posix_fallocate(zone->state_fd, 0, LIVE_STATE_SIZE);

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
ngx_live_state_load(ngx_live_zone_t *zone, ngx_live_app_conf_t *app,
    ngx_str_t *name, live_state_t *kept)
{
    off_t   at;
    u_char  key[LIVE_STATE_KEY];

    ngx_memzero(kept, sizeof(live_state_t));

    if (zone->state_fd == NGX_INVALID_FILE) {
        return;
    }

    ngx_live_state_key(&app->name, name, key);

    if (ngx_live_state_find(zone, key, &at, kept) != LIVE_OK) {
        kept->count = 0;
        return;
    }

    live_state_resume(kept, ngx_live_now(), zone->boot, app->segment);
}


void
ngx_live_state_save(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    int           rc;
    off_t         at;
    u_char        key[LIVE_STATE_KEY], record[LIVE_STATE_RECORD];
    u_char        copy[LIVE_STATE_COPY];
    size_t        place;
    ngx_str_t     app, name;
    live_state_t  s;

    if (zone->state_fd == NGX_INVALID_FILE) {
        return;
    }

    app.data = st->app;
    app.len = st->app_len;
    name.data = st->name;
    name.len = st->name_len;

    ngx_live_state_key(&app, &name, key);

    rc = ngx_live_state_find(zone, key, &at, &s);

    if (rc == LIVE_ERROR) {
        return;
    }

    if (rc == LIVE_AGAIN) {
        ngx_memzero(&s, sizeof(live_state_t));
    }

    s.count++;

    /* another nginx may have the stream as well, while it takes over */

    s.msn = ngx_max(s.msn, st->msn);
    s.dsn = ngx_max(s.dsn, st->dsn);
    s.anchor = st->anchor;
    s.used = ngx_live_now();
    s.boot = zone->boot;

    place = live_state_write(copy, key, &s);

    if (rc == LIVE_OK) {
        ngx_live_state_write(zone, copy, LIVE_STATE_COPY, at + place);
        return;
    }

    live_state_write_key(record, key);
    ngx_memcpy(record + place, copy, LIVE_STATE_COPY);

    ngx_live_state_write(zone, record, LIVE_STATE_RECORD, at);
}


static void
ngx_live_state_key(ngx_str_t *app, ngx_str_t *name, u_char *key)
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, app->data, app->len);
    ngx_md5_update(&md5, "/", 1);
    ngx_md5_update(&md5, name->data, name->len);
    ngx_md5_final(key, &md5);
}


/* As live_state_find(), at: of the record in the file; or LIVE_ERROR. */

static int
ngx_live_state_find(ngx_live_zone_t *zone, u_char *key, off_t *at,
    live_state_t *s)
{
    int       rc;
    u_char    records[LIVE_STATE_PROBES * LIVE_STATE_RECORD];
    uint32_t  index;

    *at = LIVE_STATE_HEADER
          + (off_t) live_state_slot(key) * LIVE_STATE_RECORD;

    if (pread(zone->state_fd, records, sizeof(records), *at)
        != (ssize_t) sizeof(records))
    {
        ngx_live_state_failed(ngx_errno, "pread()");
        return LIVE_ERROR;
    }

    rc = live_state_find(records, key, &index, s);
    *at += (off_t) index * LIVE_STATE_RECORD;

    return rc;
}


static void
ngx_live_state_write(ngx_live_zone_t *zone, u_char *data, size_t len,
    off_t at)
{
    if (pwrite(zone->state_fd, data, len, at) != (ssize_t) len) {
        ngx_live_state_failed(ngx_errno, "pwrite()");
    }
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
