/*
 * URIs and query strings of live_play: the input is a request's target as
 * nginx hands it on, without escapes, at most one '?' before the query.
 *
 * What is accepted has one spelling (HTTP-80): put together again from what
 * was read it must be the input.  A playlist request that can be answered can
 * be answered ever after (HLS-59).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"


#define MAX_URI  4096


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


static ngx_str_t  application = ngx_string("live");

static ngx_str_t  prefixes[] = {
    ngx_string("/live/"), ngx_string("/live"), ngx_string("/")
};

static const char  *multivariant[] = {
    "playlist.m3u8", "master.m3u8", "index.m3u8", NULL
};

static const char  *manifest[] = { "manifest.mpd", NULL };
static const char  *thumbnail[] = { "thumbnail.jpg", NULL };
static const char  *time_file[] = { "time", NULL };


/* What these call of nginx. */

ngx_int_t
ngx_http_complex_value(ngx_http_request_t *r, ngx_http_complex_value_t *val,
    ngx_str_t *value)
{
    (void) r;
    (void) val;

    *value = application;

    return NGX_OK;
}


ngx_int_t
ngx_hextoi(u_char *line, size_t n)
{
    u_char     c, ch;
    ngx_int_t  value;

    if (n == 0) {
        return NGX_ERROR;
    }

    for (value = 0; n--; line++) {
        ch = *line;
        c = (u_char) (ch | 0x20);

        if (ch >= '0' && ch <= '9') {
            value = value * 16 + (ch - '0');

        } else if (c >= 'a' && c <= 'f') {
            value = value * 16 + (c - 'a' + 10);

        } else {
            return NGX_ERROR;
        }
    }

    return value;
}


static void
must(int cond)
{
    if (!cond) {
        abort();
    }
}


static void
must_be_within(ngx_str_t *part, ngx_str_t *whole)
{
    must(part->data >= whole->data
         && part->data + part->len <= whole->data + whole->len);
}


/* --- URIs ---------------------------------------------------------------- */


static int
is_one_of(const char *file, size_t len, const char **names)
{
    for ( /* void */ ; *names; names++) {

        if (strlen(*names) == len && memcmp(file, *names, len) == 0) {
            return 1;
        }
    }

    return 0;
}


/* The name of a file of a rendition. */
static int
file_name(char *buf, size_t size, ngx_http_live_uri_t *uri)
{
    int                 epoch = (int) uri->epoch.len;
    char               *e = (char *) uri->epoch.data;
    unsigned long long  n = uri->number;

    switch (uri->kind) {

    case ngx_http_live_media:
    case ngx_http_live_ts_media:
        return snprintf(buf, size, "playlist.m3u8");

    case ngx_http_live_init:
        return snprintf(buf, size, "init-%.*s-%llu.mp4", epoch, e, n);

    case ngx_http_live_segment:
        return snprintf(buf, size, "seg-%.*s-%llu.m4s", epoch, e, n);

    case ngx_http_live_ts_segment:
        return snprintf(buf, size, "seg-%.*s-%llu.ts", epoch, e, n);

    case ngx_http_live_part:
        return snprintf(buf, size, "seg-%.*s-%llu.%u.m4s", epoch, e, n,
                        (unsigned) uri->part);
    default:
        abort();
    }
}


static void
check_name(ngx_str_t *name)
{
    size_t  i;

    must(name->len >= 1 && name->len <= NGX_LIVE_MAX_NAME);
    must(name->data[0] != '.');

    for (i = 0; i < name->len; i++) {
        must(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789._-", name->data[i]) != NULL);
    }
}


static void
check_uri(ngx_str_t *text, ngx_http_live_uri_t *uri)
{
    int          n;
    char         file[MAX_URI], *rest;
    size_t       left;
    const char **names;

    must_be_within(&uri->stream, text);
    check_name(&uri->stream);

    rest = (char *) uri->stream.data + uri->stream.len;
    left = text->data + text->len - (u_char *) rest;

    must(left > 0 && *rest++ == '/');
    left--;

    if (uri->rendition.len == 0) {
        names = uri->kind == ngx_http_live_multivariant ? multivariant
                : uri->kind == ngx_http_live_manifest ? manifest
                : uri->kind == ngx_http_live_thumbnail ? thumbnail
                : uri->kind == ngx_http_live_time ? time_file : NULL;

        must(names && is_one_of(rest, left, names));
        return;
    }

    must_be_within(&uri->rendition, text);
    must((char *) uri->rendition.data == rest);
    must(left > uri->rendition.len && rest[uri->rendition.len] == '/');

    rest += uri->rendition.len + 1;
    left -= uri->rendition.len + 1;

    if (uri->epoch.len) {
        must_be_within(&uri->epoch, text);
        must(uri->number != 0);
    }

    must(memchr(rest, '\0', left) == NULL || uri->epoch.len);

    if (memchr(rest, '\0', left) == NULL) {
        n = file_name(file, sizeof(file), uri);
        must(n > 0 && (size_t) n == left && memcmp(file, rest, left) == 0);
    }
}


static void
fuzz_uri(u_char *data, size_t len)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    ngx_http_request_t             r;
    ngx_http_live_uri_t            uri;
    ngx_http_live_play_loc_conf_t  conf;

    memset(&r, 0, sizeof(r));
    memset(&conf, 0, sizeof(conf));

    r.uri.data = data;
    r.uri.len = len;

    for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        conf.prefix = prefixes[i];

        rc = ngx_http_live_uri(&r, &conf, &uri);

        must(rc == NGX_OK || rc == NGX_DECLINED);

        if (rc == NGX_OK) {
            must(len >= conf.prefix.len
                 && memcmp(data, conf.prefix.data, conf.prefix.len) == 0);
            check_uri(&r.uri, &uri);
        }
    }
}


/* --- queries ------------------------------------------------------------- */


static void
check_arg(ngx_http_live_arg_t *arg)
{
    must(arg->set || (!arg->bad && arg->value == 0));
    must(arg->bad || arg->value <= (uint64_t) 1 << 53);
}


/* A playlist that gets four parts a segment, around what is asked for. */
static void
check_ready(ngx_http_live_query_t *query)
{
    uint32_t         part;
    uint64_t         msn;
    ngx_int_t        rc, before;
    ngx_live_edge_t  edge;

    memset(&edge, 0, sizeof(edge));

    edge.part_target = 500;
    before = NGX_AGAIN;
    msn = query->msn.bad ? 7 : query->msn.value;

    for (edge.msn = msn > 3 ? msn - 3 : 1; edge.msn < msn + 4; edge.msn++) {

        for (part = 0; part < 4; part++) {
            edge.parts = part;
            rc = ngx_http_live_query_ready(query, &edge);

            must(rc == NGX_OK || rc == NGX_AGAIN
                 || rc == NGX_HTTP_BAD_REQUEST);
            must(before != NGX_OK || rc == NGX_OK);

            before = rc;
        }

        edge.last_parts = 4;
    }

    must(before == NGX_OK || before == NGX_HTTP_BAD_REQUEST);
}


static void
fuzz_query(u_char *data, size_t len)
{
    u_char                 *more;
    ngx_str_t               args;
    ngx_http_live_query_t   query, other;

    args.data = data;
    args.len = len;

    ngx_http_live_query(&args, &query);

    check_arg(&query.msn);
    check_arg(&query.part);
    check_arg(&query.width);
    must(query.skip.bad || query.skip.value <= 1);

    check_ready(&query);

    /* what is not ours changes nothing (HLS-57) */

    more = malloc(len + 4);
    must(more != NULL);
    memcpy(more, "z=1&", 4);
    memcpy(more + 4, data, len);
    args.data = more;
    args.len = len + 4;

    ngx_http_live_query(&args, &other);
    must(memcmp(&query, &other, sizeof(query)) == 0);

    free(more);
}


/* In memory of just that size. */
static u_char *
copy(const uint8_t *data, size_t len)
{
    u_char  *p = malloc(len ? len : 1);

    must(p != NULL);
    memcpy(p, data, len);

    return p;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t          path;
    u_char         *p;
    const uint8_t  *mark;

    if (len > MAX_URI / 2) {
        return 0;
    }

    mark = len ? memchr(data, '?', len) : NULL;
    path = mark ? (size_t) (mark - data) : len;

    p = copy(data, path);
    fuzz_uri(p, path);
    free(p);

    if (mark) {
        p = copy(mark + 1, len - path - 1);
        fuzz_query(p, len - path - 1);
        free(p);
    }

    return 0;
}
