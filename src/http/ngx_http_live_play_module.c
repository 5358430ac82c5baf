
/*
 * Serves streams: playlists as they were rendered, init segments, and
 * segments by sendfile from the media zone.  Any worker serves any stream.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live.h"
#include "ngx_live_pin.h"
#include "live_m3u8.h"


typedef struct {
    ngx_http_complex_value_t  *application;
    ngx_str_t                  prefix;      /* of URIs, by its location */
    ngx_flag_t                 enable;
    ngx_str_t                  file;        /* of live_play, for messages */
    ngx_uint_t                 line;
} ngx_http_live_play_loc_conf_t;


typedef enum {
    ngx_http_live_multivariant = 0,
    ngx_http_live_media,
    ngx_http_live_init,
    ngx_http_live_segment
} ngx_http_live_kind_e;


/* What a URI asks for. */
typedef struct {
    ngx_http_live_kind_e       kind;
    ngx_str_t                  application;
    ngx_str_t                  stream;
    ngx_str_t                  rendition;
    ngx_str_t                  epoch;
    uint64_t                   number;
} ngx_http_live_uri_t;


static ngx_int_t ngx_http_live_play_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_live_play_uri(ngx_http_request_t *r,
    ngx_http_live_play_loc_conf_t *llcf, ngx_http_live_uri_t *uri);
static ngx_int_t ngx_http_live_play_file(ngx_str_t *file,
    ngx_http_live_uri_t *uri);
static ngx_uint_t ngx_http_live_play_name(ngx_str_t *name);
static ngx_int_t ngx_http_live_play_text(ngx_http_request_t *r,
    ngx_http_live_uri_t *uri, ngx_live_stream_sh_t *st, uint64_t id);
static ngx_int_t ngx_http_live_play_init(ngx_http_request_t *r,
    ngx_http_live_uri_t *uri, ngx_live_stream_sh_t *st, uint64_t id);
static ngx_int_t ngx_http_live_play_segment(ngx_http_request_t *r,
    ngx_http_live_uri_t *uri, ngx_live_stream_sh_t *st, uint64_t id);
static ngx_int_t ngx_http_live_play_send(ngx_http_request_t *r,
    ngx_live_segment_sh_t *seg);
static ngx_int_t ngx_http_live_play_immutable(ngx_http_request_t *r,
    ngx_http_live_uri_t *uri, ngx_live_track_sh_t *t, const char *kind);
static void ngx_http_live_play_retired(ngx_live_pin_t *pin);
static void ngx_http_live_play_unpin(void *data);

static void *ngx_http_live_play_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_live_play_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_live_play(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_live_play_commands[] = {

    { ngx_string("live_play"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_live_play,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_live_play_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_live_play_create_loc_conf,    /* create location configuration */
    ngx_http_live_play_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_live_play_module = {
    NGX_MODULE_V1,
    &ngx_http_live_play_module_ctx,        /* module context */
    ngx_http_live_play_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_str_t  ngx_http_live_m3u8_type =
                                  ngx_string("application/vnd.apple.mpegurl");
static ngx_str_t  ngx_http_live_video_type = ngx_string("video/mp4");
static ngx_str_t  ngx_http_live_audio_type = ngx_string("audio/mp4");


static ngx_int_t
ngx_http_live_play_handler(ngx_http_request_t *r)
{
    uint64_t                        id;
    ngx_int_t                       rc;
    ngx_live_zone_t                *zone;
    ngx_http_live_uri_t             uri;
    ngx_live_stream_sh_t           *st;
    ngx_http_live_play_loc_conf_t  *llcf;

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_live_preflight(r);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_live_error(r, NGX_HTTP_NOT_ALLOWED);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_live_play_module);
    zone = ngx_live_zone();

    rc = ngx_http_live_play_uri(r, llcf, &uri);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_live_error(r, NGX_HTTP_NOT_FOUND);
    }

    st = ngx_live_stream_find(zone, &uri.application, &uri.stream,
                              uri.epoch.len ? &uri.epoch : NULL, &id);
    if (st == NULL) {
        return ngx_http_live_error(r, NGX_HTTP_NOT_FOUND);
    }

    switch (uri.kind) {

    case ngx_http_live_segment:
        rc = ngx_http_live_play_segment(r, &uri, st, id);
        break;

    case ngx_http_live_init:
        rc = ngx_http_live_play_init(r, &uri, st, id);
        break;

    default:
        rc = ngx_http_live_play_text(r, &uri, st, id);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_live_error(r, NGX_HTTP_NOT_FOUND);
    }

    return rc;
}


/* NGX_DECLINED: nothing has such a name. */

static ngx_int_t
ngx_http_live_play_uri(ngx_http_request_t *r,
    ngx_http_live_play_loc_conf_t *llcf, ngx_http_live_uri_t *uri)
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

    /* one spelling only of what is cached (HTTP-80) */

    if (llcf->prefix.data[llcf->prefix.len - 1] != '/'
        && (p == last || *p++ != '/'))
    {
        return NGX_DECLINED;
    }

    uri->stream.data = p;
    while (p < last && *p != '/') { p++; }
    uri->stream.len = p - uri->stream.data;

    if (p == last || !ngx_http_live_play_name(&uri->stream)) {
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

    return ngx_http_live_play_file(&file, uri);
}


static ngx_uint_t
ngx_http_live_play_name(ngx_str_t *name)
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
ngx_http_live_play_is(ngx_str_t *s, const char *text)
{
    return s->len == ngx_strlen(text)
           && ngx_memcmp(s->data, text, s->len) == 0;
}


/* KIND-EPOCH-NUMBER.EXT; a number has one spelling only (HTTP-80). */

static ngx_int_t
ngx_http_live_play_file(ngx_str_t *file, ngx_http_live_uri_t *uri)
{
    size_t   ext;
    u_char  *p, *last;

    if (ngx_http_live_play_is(file, "playlist.m3u8")) {
        uri->kind = uri->rendition.len ? ngx_http_live_media
                                       : ngx_http_live_multivariant;
        return NGX_OK;
    }

    if (uri->rendition.len == 0) {
        return ngx_http_live_play_is(file, "master.m3u8")
               || ngx_http_live_play_is(file, "index.m3u8")
               ? NGX_OK : NGX_DECLINED;
    }

    if (file->len > 64) {
        return NGX_DECLINED;
    }

    p = file->data;
    last = p + file->len;
    ext = sizeof(".m4s") - 1;

    if (file->len > 9 && ngx_memcmp(p, "seg-", 4) == 0
        && ngx_memcmp(last - ext, ".m4s", ext) == 0)
    {
        uri->kind = ngx_http_live_segment;
        p += 4;

    } else if (file->len > 10 && ngx_memcmp(p, "init-", 5) == 0
               && ngx_memcmp(last - ext, ".mp4", ext) == 0)
    {
        uri->kind = ngx_http_live_init;
        p += 5;

    } else {
        return NGX_DECLINED;
    }

    last -= ext;

    uri->epoch.data = p;
    while (p < last && *p != '-') { p++; }
    uri->epoch.len = p - uri->epoch.data;

    if (p++ == last || uri->epoch.len == 0 || p == last || *p == '0'
        || last - p > 18)
    {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        uri->number = uri->number * 10 + (*p - '0');
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_play_text(ngx_http_request_t *r, ngx_http_live_uri_t *uri,
    ngx_live_stream_sh_t *st, uint64_t id)
{
    u_char               *p;
    ngx_int_t             rc;
    ngx_str_t             value;
    ngx_uint_t            doc;
    ngx_live_text_t       text;
    ngx_live_track_sh_t  *t;
    static ngx_str_t      gzip = ngx_string("gzip");
    static ngx_str_t      vary = ngx_string("Accept-Encoding");

    doc = NGX_LIVE_DOC_MULTIVARIANT;

    if (uri->kind == ngx_http_live_media) {
        t = ngx_live_track_find(st, &uri->rendition);
        if (t == NULL) {
            return NGX_DECLINED;
        }

        doc = ngx_live_doc_media(t - st->tracks);
    }

    rc = ngx_live_read_text(st, id, doc, ngx_http_live_gzip_ok(r), r->pool,
                            &text);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? rc : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_pnalloc(r->pool, sizeof("public, max-age=") + 2 * NGX_INT64_LEN
                             + sizeof("\"\"-gz"));
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /*
     * Half a segment, at least a second: shorter would switch the collapsing
     * of requests in caches off (HTTP-2, HTTP-20).
     */
    value.data = p;
    p = ngx_sprintf(p, "public, max-age=%uD",
                    (uint32_t) ngx_max(st->segment / 2000, 1));
    value.len = p - value.data;

    if (ngx_http_live_cache_control(r, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    value.data = p;
    p = ngx_sprintf(p, "\"%xD%s\"", text.etag, text.gzip ? "-gz" : "");
    value.len = p - value.data;

    if (ngx_http_live_etag(r, &value) != NGX_OK
        || ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_header(r, "Vary", &vary) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (text.gzip) {

        if (ngx_http_live_header(r, "Content-Encoding", &gzip) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        /* or nginx's own gzip filter would do it again */
        r->headers_out.content_encoding = (ngx_table_elt_t *)
                                     r->headers_out.headers.last->elts
                                     + r->headers_out.headers.last->nelts - 1;
    }

    r->headers_out.content_type = ngx_http_live_m3u8_type;
    r->headers_out.content_type_len = ngx_http_live_m3u8_type.len;
    r->headers_out.last_modified_time = text.modified;
    r->allow_ranges = 1;

    return ngx_http_live_send(r, &text.body);
}


static ngx_int_t
ngx_http_live_play_immutable(ngx_http_request_t *r, ngx_http_live_uri_t *uri,
    ngx_live_track_sh_t *t, const char *kind)
{
    u_char            *p;
    ngx_str_t          etag, *type;
    static ngx_str_t   year = ngx_string("public, max-age=31536000, "
                                         "immutable");

    p = ngx_pnalloc(r->pool, uri->epoch.len + 2 * NGX_INT64_LEN + 16);
    if (p == NULL) {
        return NGX_ERROR;
    }

    /* names never come back, so that they say it all (invariant 3) */

    etag.data = p;
    etag.len = ngx_sprintf(p, "\"%V-%s%uL\"", &uri->epoch, kind,
                           uri->number)
               - p;

    type = (t->info.media == LIVE_MEDIA_VIDEO) ? &ngx_http_live_video_type
                                               : &ngx_http_live_audio_type;

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->allow_ranges = 1;

    if (ngx_http_live_cache_control(r, &year) != NGX_OK
        || ngx_http_live_etag(r, &etag) != NGX_OK
        || ngx_http_live_cors(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_play_init(ngx_http_request_t *r, ngx_http_live_uri_t *uri,
    ngx_live_stream_sh_t *st, uint64_t id)
{
    ngx_int_t             rc;
    ngx_str_t             data;
    ngx_live_track_sh_t  *t;

    t = ngx_live_track_find(st, &uri->rendition);

    if (t == NULL || uri->number > NGX_MAX_UINT32_VALUE) {
        return NGX_DECLINED;
    }

    rc = ngx_live_read_init(st, id, t, uri->number, r->pool, &data);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? rc : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.last_modified_time = st->created / 1000;

    if (ngx_http_live_play_immutable(r, uri, t, "i") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_live_send(r, &data);
}


static ngx_int_t
ngx_http_live_play_segment(ngx_http_request_t *r, ngx_http_live_uri_t *uri,
    ngx_live_stream_sh_t *st, uint64_t id)
{
    ngx_int_t               rc;
    ngx_live_pin_t         *pin;
    ngx_live_track_sh_t    *t;
    ngx_http_cleanup_t     *cln;
    ngx_live_segment_sh_t   seg;

    t = ngx_live_track_find(st, &uri->rendition);
    if (t == NULL) {
        return NGX_DECLINED;
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_live_pin_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pin = cln->data;
    pin->st = st;
    pin->id = id;
    pin->track = t;
    pin->msn = uri->number;
    pin->handler = ngx_http_live_play_retired;
    pin->data = r;

    rc = ngx_live_pin(ngx_live_zone(), pin, &seg);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? rc : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_live_play_unpin;

    if (seg.flags & LIVE_SEGMENT_GAP) {
        return NGX_DECLINED;
    }

    r->headers_out.last_modified_time = seg.published / 1000;

    if (ngx_http_live_play_immutable(r, uri, t, "") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_live_play_send(r, &seg);
}


static ngx_int_t
ngx_http_live_play_send(ngx_http_request_t *r, ngx_live_segment_sh_t *seg)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = seg->size;

    /* also where the site has "sendfile off" */

    if (ngx_io.flags & NGX_IO_SENDFILE) {
        r->connection->sendfile = 1;
    }

    rc = ngx_http_live_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->file = ngx_palloc(r->pool, sizeof(ngx_file_t));
    if (b->file == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *b->file = ngx_live_zone()->file;
    b->file->log = r->connection->log;

    b->in_file = 1;
    b->file_pos = seg->offset;
    b->file_last = seg->offset + seg->size;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/*
 * The response cannot be completed: the connection, or the stream of HTTP/2,
 * ends abnormally, so that no cache keeps a part of it (HTTP-79).
 */

static void
ngx_http_live_play_retired(ngx_live_pin_t *pin)
{
    ngx_event_t         *wev;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = pin->data;
    c = r->connection;

    if (c->error) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "segment %uL left the zone while it was being sent, "
                  "the client is too slow", pin->msn);

    c->error = 1;

    wev = c->write;
    wev->delayed = 0;

    ngx_post_event(wev, &ngx_posted_events);
}


static void
ngx_http_live_play_unpin(void *data)
{
    ngx_live_unpin(ngx_live_zone(), data);
}


static void *
ngx_http_live_play_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_live_play_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_live_play_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->application = NULL;
     *     conf->prefix = { 0, NULL };
     */

    conf->enable = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_live_play_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_live_play_loc_conf_t *prev = parent;
    ngx_http_live_play_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->enable == NGX_CONF_UNSET) {

        /* nested locations go on serving, unless they do something else */

        if (prev->enable == 1 && clcf->handler == NULL) {
            *conf = *prev;
            clcf->handler = ngx_http_live_play_handler;
        }

        return NGX_CONF_OK;
    }

    if (conf->enable == 1 && conf->prefix.data == NULL) {

        /* the URIs of a regular expression or an "if" begin as around it */

        if (prev->prefix.data == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"live_play\" in a location without a prefix needs "
                          "an enclosing one with \"live_play\" and a prefix "
                          "in %V:%ui", &conf->file, conf->line);
            return NGX_CONF_ERROR;
        }

        conf->prefix = prev->prefix;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_live_play(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_play_loc_conf_t *llcf = conf;

    ngx_str_t                         *value;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_compile_complex_value_t   ccv;

    if (llcf->enable != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        llcf->enable = 0;
        return NGX_CONF_OK;
    }

    llcf->enable = 1;
    llcf->file = cf->conf_file->file.name;
    llcf->line = cf->conf_file->line;

    llcf->application = ngx_palloc(cf->pool,
                                   sizeof(ngx_http_complex_value_t));
    if (llcf->application == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = llcf->application;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_live_add_reference(cf, llcf->application->lengths ? NULL
                                                              : &value[1])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_live_play_handler;

#if (NGX_PCRE)
    if (clcf->regex) {
        return NGX_CONF_OK;
    }
#endif

    if (!clcf->noname && !clcf->named) {
        llcf->prefix = clcf->name;
    }

    return NGX_CONF_OK;
}
