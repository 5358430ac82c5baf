
/* What a URI below live_play asks for; one spelling of each (HTTP-80). */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"


/* the longest name of a file, longer than any of ours */
#define NGX_HTTP_LIVE_MAX_FILE  64


static ngx_uint_t ngx_http_live_uri_name(ngx_str_t *name);
static ngx_uint_t ngx_http_live_uri_is(ngx_str_t *s, const char *text);
static ngx_int_t ngx_http_live_uri_file(ngx_str_t *file,
    ngx_http_live_uri_t *uri);
static ngx_int_t ngx_http_live_uri_media(ngx_str_t *file,
    ngx_http_live_uri_t *uri);
static ngx_int_t ngx_http_live_uri_number(u_char *p, u_char *last,
    uint64_t *number);


typedef struct {
    const char                *name;
    ngx_http_live_kind_e       kind;
} ngx_http_live_uri_file_t;


static ngx_http_live_uri_file_t  ngx_http_live_uri_files[] = {
    { "playlist.m3u8", ngx_http_live_multivariant },
    { "master.m3u8",   ngx_http_live_multivariant },
    { "index.m3u8",    ngx_http_live_multivariant },
    { "manifest.mpd",  ngx_http_live_manifest },
    { "thumbnail.jpg", ngx_http_live_thumbnail },
    { "time",          ngx_http_live_time },
    { NULL,            0 }
};


ngx_int_t
ngx_http_live_uri(ngx_http_request_t *r, ngx_http_live_play_loc_conf_t *llcf,
    ngx_http_live_uri_t *uri)
{
    u_char     *p, *last;
    ngx_str_t   file;

    ngx_memzero(uri, sizeof(ngx_http_live_uri_t));

    if (ngx_http_complex_value(r, llcf->application, &uri->application)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (uri->application.len > NGX_LIVE_MAX_APP
        || r->uri.len < llcf->prefix.len
        || ngx_memcmp(r->uri.data, llcf->prefix.data, llcf->prefix.len) != 0)
    {
        return NGX_DECLINED;
    }

    p = r->uri.data + llcf->prefix.len;
    last = r->uri.data + r->uri.len;

    if (llcf->prefix.data[llcf->prefix.len - 1] != '/'
        && (p == last || *p++ != '/'))
    {
        return NGX_DECLINED;
    }

    uri->stream.data = p;
    while (p < last && *p != '/') { p++; }
    uri->stream.len = p - uri->stream.data;

    if (p == last || !ngx_http_live_uri_name(&uri->stream)) {
        return NGX_DECLINED;
    }

    file.data = ++p;
    while (p < last && *p != '/') { p++; }
    file.len = p - file.data;

    if (p < last) {

        if (file.len == 0) {
            return NGX_DECLINED;
        }

        uri->rendition = file;

        file.data = ++p;
        file.len = last - p;
    }

    return ngx_http_live_uri_file(&file, uri);
}


static ngx_uint_t
ngx_http_live_uri_name(ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_LIVE_MAX_NAME
        || name->data[0] == '.')
    {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.')
        {
            continue;
        }

        return 0;
    }

    return 1;
}


static ngx_uint_t
ngx_http_live_uri_is(ngx_str_t *s, const char *text)
{
    return s->len == ngx_strlen(text)
           && ngx_memcmp(s->data, text, s->len) == 0;
}


static ngx_int_t
ngx_http_live_uri_file(ngx_str_t *file, ngx_http_live_uri_t *uri)
{
    ngx_http_live_uri_file_t  *f;

    if (uri->rendition.len == 0) {

        for (f = ngx_http_live_uri_files; f->name; f++) {

            if (ngx_http_live_uri_is(file, f->name)) {
                uri->kind = f->kind;
                return NGX_OK;
            }
        }

        return NGX_DECLINED;
    }

    if (ngx_http_live_uri_is(file, "playlist.m3u8")) {
        uri->kind = ngx_http_live_uri_is(&uri->rendition, "ts")
                    ? ngx_http_live_ts_media : ngx_http_live_media;
        return NGX_OK;
    }

    if (file->len > NGX_HTTP_LIVE_MAX_FILE) {
        return NGX_DECLINED;
    }

    return ngx_http_live_uri_media(file, uri);
}


/* seg-EPOCH-MSN.m4s, seg-EPOCH-MSN.PART.m4s, seg-EPOCH-MSN.ts and
 * init-EPOCH-N.mp4 */

static ngx_int_t
ngx_http_live_uri_media(ngx_str_t *file, ngx_http_live_uri_t *uri)
{
    u_char      *p, *dot, *last;
    uint64_t     part;
    ngx_str_t    ext;
    ngx_uint_t   init;

    p = file->data;
    last = p + file->len;

    init = (file->len > 5 && ngx_memcmp(p, "init-", 5) == 0);

    if (!init && (file->len <= 4 || ngx_memcmp(p, "seg-", 4) != 0)) {
        return NGX_DECLINED;
    }

    p += init ? 5 : 4;

    uri->epoch.data = p;
    while (p < last && *p != '-') { p++; }
    uri->epoch.len = p - uri->epoch.data;

    if (p == last || uri->epoch.len == 0) {
        return NGX_DECLINED;
    }

    dot = ngx_strlchr(++p, last, '.');

    if (dot == NULL
        || ngx_http_live_uri_number(p, dot, &uri->number) != NGX_OK
        || uri->number == 0)
    {
        return NGX_DECLINED;
    }

    ext.data = dot + 1;
    ext.len = last - ext.data;

    if (ngx_http_live_uri_is(&uri->rendition, "ts")) {
        uri->kind = ngx_http_live_ts_segment;
        return !init && ngx_http_live_uri_is(&ext, "ts") ? NGX_OK
                                                          : NGX_DECLINED;
    }

    if (init) {
        uri->kind = ngx_http_live_init;
        return ngx_http_live_uri_is(&ext, "mp4") ? NGX_OK : NGX_DECLINED;
    }

    uri->kind = ngx_http_live_segment;

    dot = ngx_strlchr(ext.data, last, '.');

    if (dot) {

        if (ngx_http_live_uri_number(ext.data, dot, &part) != NGX_OK
            || part > NGX_MAX_INT32_VALUE)
        {
            return NGX_DECLINED;
        }

        uri->kind = ngx_http_live_part;
        uri->part = part;

        ext.data = dot + 1;
        ext.len = last - ext.data;
    }

    return ngx_http_live_uri_is(&ext, "m4s") ? NGX_OK : NGX_DECLINED;
}


/* No leading zeros, so that a number has one spelling. */

static ngx_int_t
ngx_http_live_uri_number(u_char *p, u_char *last, uint64_t *number)
{
    if (p == last || last - p > 18 || (*p == '0' && last - p > 1)) {
        return NGX_DECLINED;
    }

    for (*number = 0; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        *number = *number * 10 + (*p - '0');
    }

    return NGX_OK;
}
