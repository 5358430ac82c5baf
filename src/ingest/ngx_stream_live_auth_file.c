
/*
 * Files of keys.  They are read with the configuration, so that nginx -t finds
 * what is wrong with them, and by a worker when a publisher comes and the file
 * is another one than before: at most once a second, and nothing is done while
 * nobody publishes.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_auth.h"


/* of a file: it is read in the event loop */
#define NGX_STREAM_LIVE_KEYS_SIZE  (1024 * 1024)


static void ngx_stream_live_keys_cleanup(void *data);
static ngx_uint_t ngx_stream_live_keys_same(ngx_file_info_t *a,
    ngx_file_info_t *b);
static ngx_int_t ngx_stream_live_keys_load(ngx_stream_live_keys_t *file,
    ngx_uint_t level, ngx_log_t *log);
static live_keys_t *ngx_stream_live_keys_read(ngx_stream_live_keys_t *file,
    ngx_fd_t fd, ngx_uint_t level, ngx_log_t *log);


ngx_stream_live_keys_t *
ngx_stream_live_keys_open(ngx_conf_t *cf, ngx_str_t *path, ngx_uint_t named)
{
    ngx_pool_cleanup_t      *cln;
    ngx_stream_live_keys_t  *file;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_stream_live_keys_t));
    if (cln == NULL) {
        return NULL;
    }

    file = cln->data;
    ngx_memzero(file, sizeof(ngx_stream_live_keys_t));

    cln->handler = ngx_stream_live_keys_cleanup;

    file->path = *path;
    file->named = named;

    if (ngx_conf_full_name(cf->cycle, &file->path, 1) != NGX_OK
        || ngx_stream_live_keys_load(file, NGX_LOG_EMERG, cf->log) != NGX_OK)
    {
        return NULL;
    }

    return file;
}


static void
ngx_stream_live_keys_cleanup(void *data)
{
    ngx_stream_live_keys_t *file = data;

    live_keys_free(file->keys);
}


live_keys_t *
ngx_stream_live_keys(ngx_stream_live_keys_t *file, ngx_log_t *log)
{
    ngx_file_info_t  info;

    if (file->checked == ngx_time()) {
        return file->keys;
    }

    file->checked = ngx_time();

    if (ngx_file_info(file->path.data, &info) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      ngx_file_info_n " \"%V\" failed, the keys that were "
                      "read last stay in force", &file->path);
        return file->keys;
    }

    if (ngx_stream_live_keys_same(&info, &file->info)) {
        return file->keys;
    }

    if (ngx_stream_live_keys_load(file, NGX_LOG_ERR, log) == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "keys were read from \"%V\": %uD",
                      &file->path, file->keys->nkeys);

    } else {
        ngx_log_error(NGX_LOG_ERR, log, 0, "the keys that were read last from "
                      "\"%V\" stay in force", &file->path);
    }

    return file->keys;
}


static ngx_uint_t
ngx_stream_live_keys_same(ngx_file_info_t *a, ngx_file_info_t *b)
{
    return a->st_ino == b->st_ino
           && a->st_dev == b->st_dev
           && a->st_size == b->st_size
           && a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}


static ngx_int_t
ngx_stream_live_keys_load(ngx_stream_live_keys_t *file, ngx_uint_t level,
    ngx_log_t *log)
{
    ngx_fd_t      fd;
    live_keys_t  *keys;

    fd = ngx_open_file(file->path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(level, log, ngx_errno, ngx_open_file_n " \"%V\" failed",
                      &file->path);
        return NGX_ERROR;
    }

    keys = ngx_stream_live_keys_read(file, fd, level, log);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &file->path);
    }

    if (keys == NULL) {
        return NGX_ERROR;
    }

    live_keys_free(file->keys);
    file->keys = keys;

    return NGX_OK;
}


/* file->info is that of before: what is written meanwhile is read again. */

static live_keys_t *
ngx_stream_live_keys_read(ngx_stream_live_keys_t *file, ngx_fd_t fd,
    ngx_uint_t level, ngx_log_t *log)
{
    char         *buf;
    size_t        len;
    ssize_t       n;
    uint32_t      line;
    const char   *error;
    live_keys_t  *keys;

    if (ngx_fd_info(fd, &file->info) == NGX_FILE_ERROR) {
        ngx_log_error(level, log, ngx_errno, ngx_fd_info_n " \"%V\" failed",
                      &file->path);
        return NULL;
    }

    if (!ngx_is_file(&file->info)) {
        ngx_log_error(level, log, 0, "\"publish_key\": \"%V\" is no file",
                      &file->path);
        return NULL;
    }

    if (ngx_file_size(&file->info) > NGX_STREAM_LIVE_KEYS_SIZE) {
        ngx_log_error(level, log, 0,
                      "\"publish_key\": \"%V\" has more than 1m",
                      &file->path);
        return NULL;
    }

    len = ngx_file_size(&file->info);

    buf = ngx_alloc(len + 1, log);
    if (buf == NULL) {
        return NULL;
    }

    n = ngx_read_fd(fd, buf, len);

    if (n == -1) {
        ngx_log_error(level, log, ngx_errno, ngx_read_fd_n " \"%V\" failed",
                      &file->path);
        ngx_free(buf);
        return NULL;
    }

    keys = live_keys_parse(buf, n, file->named, &error, &line);

    ngx_explicit_memzero(buf, len);
    ngx_free(buf);

    if (keys == NULL && line) {
        ngx_log_error(level, log, 0, "%s in %V:%uD", error, &file->path, line);

    } else if (keys == NULL) {
        ngx_log_error(level, log, 0, "%s in %V", error, &file->path);
    }

    return keys;
}
