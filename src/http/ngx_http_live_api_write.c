
/* What live_api lets do with streams. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_api.h"
#include "ngx_live_variant.h"


#define NGX_HTTP_LIVE_API_MAX_STALE  86400
#define NGX_HTTP_LIVE_API_MAX_BAN    (366 * 86400)


/* One field of a request: text tells what is wrong with it, NULL: nothing. */
typedef struct {
    const char   *name;
    const char *(*read)(ngx_http_live_api_ctx_t *ctx, json_t *value,
                        ngx_live_entry_sh_t *entry);
} ngx_http_live_api_field_t;


static json_t *ngx_http_live_api_fields(ngx_http_live_api_ctx_t *ctx,
    json_t *request, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_stream_id(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_source_url(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_qualities(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_hls(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_dash(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_parts(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_flag(json_t *value, uint32_t bit,
    ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_beats(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static const char *ngx_http_live_api_stale(ngx_http_live_api_ctx_t *ctx,
    json_t *value, ngx_live_entry_sh_t *entry);
static ngx_int_t ngx_http_live_api_created(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, ngx_live_entry_sh_t *entry);
static ngx_int_t ngx_http_live_api_input(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, json_t *json, ngx_str_t *name,
    ngx_live_entry_sh_t *entry);
static ngx_int_t ngx_http_live_api_url(json_t *json, const char *name,
    ngx_str_t *base, const char *format, ngx_str_t *stream,
    const char *key);


static ngx_http_live_api_field_t  ngx_http_live_api_known[] = {
    { "stream_id", ngx_http_live_api_stream_id },
    { "source_url", ngx_http_live_api_source_url },
    { "qualities", ngx_http_live_api_qualities },
    { "enable_hls", ngx_http_live_api_hls },
    { "enable_dash", ngx_http_live_api_dash },
    { "low_latency", ngx_http_live_api_parts },
    { "heartbeat", ngx_http_live_api_beats },
    { "stale", ngx_http_live_api_stale },
    { NULL, NULL }
};


ngx_int_t
ngx_http_live_api_create(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx,
    u_char *body, size_t len)
{
    json_t               *request, *wrong;
    ngx_str_t             url;
    ngx_int_t             rc;
    ngx_live_entry_sh_t   entry;

    if (ngx_live_application(&ctx->application) == NULL) {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "there is no such application");
    }

    request = json_loadb((char *) body, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(request)) {
        json_decref(request);
        return ngx_http_live_api_error(r, NGX_HTTP_BAD_REQUEST,
                                       "the body is no JSON object");
    }

    ngx_memzero(&entry, sizeof(ngx_live_entry_sh_t));

    entry.app_len = ctx->application.len;
    ngx_memcpy(entry.app, ctx->application.data, entry.app_len);

    wrong = ngx_http_live_api_fields(ctx, request, &entry);

    if (json_object_size(wrong)) {
        json_decref(request);
        return ngx_http_live_api_send(r, NGX_HTTP_BAD_REQUEST,
                                      json_pack("{s:s,s:o}", "error",
                                                "the request is not valid",
                                                "fields", wrong));
    }

    json_decref(wrong);

    url.data = (u_char *) json_string_value(json_object_get(request,
                                                            "source_url"));
    url.len = url.data ? ngx_strlen(url.data) : 0;

    rc = ngx_live_registry_create(ngx_live_zone(), &entry,
                                  url.data ? &url : NULL);

    json_decref(request);

    switch (rc) {

    case NGX_OK:
        return ngx_http_live_api_created(r, ctx, &entry);

    case NGX_BUSY:
        return ngx_http_live_api_error(r, NGX_HTTP_CONFLICT,
                                       "the stream exists already");

    case NGX_DECLINED:
        return ngx_http_live_api_error(r, NGX_HTTP_CONFLICT,
                                       "the stream was ended and is banned "
                                       "for now");

    default:
        return ngx_http_live_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                       "the index of the live zone is full");
    }
}


/* Reads all of them; the result tells by name what is wrong. */

static json_t *
ngx_http_live_api_fields(ngx_http_live_api_ctx_t *ctx, json_t *request,
    ngx_live_entry_sh_t *entry)
{
    json_t                     *value, *wrong;
    const char                 *name, *reason;
    ngx_http_live_api_field_t  *field;

    wrong = json_object();

    json_object_foreach(request, name, value) {

        for (field = ngx_http_live_api_known; field->name; field++) {
            if (ngx_strcmp(field->name, name) == 0) {
                break;
            }
        }

        reason = field->name ? field->read(ctx, value, entry)
                             : "is not known";
        if (reason) {
            (void) json_object_set_new(wrong, name, json_string(reason));
        }
    }

    if (json_object_get(request, "stream_id") == NULL) {
        (void) json_object_set_new(wrong, "stream_id",
                                   json_string("is missing"));
    }

    /* only who promises heartbeats is missed */

    if (!json_is_true(json_object_get(request, "heartbeat"))) {
        entry->stale = 0;

    } else if (entry->stale == 0) {
        entry->stale = ctx->conf->stale * 1000;
    }

    entry->cleanup = ctx->conf->cleanup * 1000;

    return wrong;
}


static const char *
ngx_http_live_api_stream_id(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    if (!json_is_string(value)
        || !ngx_http_live_api_name((u_char *) json_string_value(value),
                                   json_string_length(value)))
    {
        return "is a string of 1 to 128 of A-Z a-z 0-9 . _ - that does not "
               "begin with a dot";
    }

    entry->name_len = json_string_length(value);
    ngx_memcpy(entry->name, json_string_value(value), entry->name_len);

    return NULL;
}


static const char *
ngx_http_live_api_source_url(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    char  shown[NGX_LIVE_MAX_URL];

    if (!json_is_string(value)
        || json_string_length(value) >= NGX_LIVE_MAX_URL
        || ngx_strlen(json_string_value(value)) != json_string_length(value))
    {
        return "is a string of at most 1023 characters";
    }

    return ngx_live_source_check(ngx_live_application(&ctx->application),
                               json_string_value(value), shown,
                               sizeof(shown));
}


static const char *
ngx_http_live_api_qualities(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    json_t                *item;
    size_t                 i;
    ngx_str_t              name;
    ngx_live_app_conf_t   *app;
    static const char      wrong[] = "is an array of names of renditions, as "
                                     "the application has them, or \"source\"";

    if (!json_is_array(value)
        || json_array_size(value) == 0
        || json_array_size(value) > NGX_LIVE_MAX_QUALITIES)
    {
        return wrong;
    }

    app = ngx_live_application(&ctx->application);

    json_array_foreach(value, i, item) {

        if (!json_is_string(item)) {
            return wrong;
        }

        name.data = (u_char *) json_string_value(item);
        name.len = json_string_length(item);

        if (name.len >= sizeof(entry->qualities[0])
            || ngx_live_variant_bit(app, &name) == 0)
        {
            return wrong;
        }

        ngx_memcpy(entry->qualities[i], name.data, name.len + 1);
    }

    entry->nqualities = json_array_size(value);

    return NULL;
}


static const char *
ngx_http_live_api_hls(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    return ngx_http_live_api_flag(value, NGX_LIVE_NO_HLS, entry);
}


static const char *
ngx_http_live_api_dash(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    return ngx_http_live_api_flag(value, NGX_LIVE_NO_DASH, entry);
}


static const char *
ngx_http_live_api_parts(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    if (json_is_true(value)
        && ngx_live_application(&ctx->application)->part == 0)
    {
        return "is off for the application (\"part 0\")";
    }

    return ngx_http_live_api_flag(value, NGX_LIVE_NO_PARTS, entry);
}


/* bit stands for what is not there. */

static const char *
ngx_http_live_api_flag(json_t *value, uint32_t bit,
    ngx_live_entry_sh_t *entry)
{
    if (!json_is_boolean(value)) {
        return "is true or false";
    }

    if (json_is_false(value)) {
        entry->options |= bit;
    }

    return NULL;
}


static const char *
ngx_http_live_api_beats(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    return json_is_boolean(value) ? NULL : "is true or false";
}


static const char *
ngx_http_live_api_stale(ngx_http_live_api_ctx_t *ctx, json_t *value,
    ngx_live_entry_sh_t *entry)
{
    json_int_t  s;

    s = json_is_integer(value) ? json_integer_value(value) : 0;

    if (s < 1 || s > NGX_HTTP_LIVE_API_MAX_STALE) {
        return "is a number of seconds, 1 to 86400";
    }

    entry->stale = (uint64_t) s * 1000;

    return NULL;
}


static ngx_int_t
ngx_http_live_api_created(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx,
    ngx_live_entry_sh_t *entry)
{
    json_t     *json;
    ngx_str_t   name;

    name.data = entry->name;
    name.len = entry->name_len;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "stream \"%V/%V\" is created", &ctx->application, &name);

    json = json_pack("{s:s%,s:s}", "stream_id", name.data, name.len,
                     "state", "created");

    if (json
        && (ngx_http_live_api_input(r, ctx, json, &name, entry) != NGX_OK
            || ngx_http_live_api_play_urls(r, ctx, json, &name,
                                           entry->options)
               != NGX_OK))
    {
        json_decref(json);
        json = NULL;
    }

    if (json && entry->stale) {
        (void) json_object_set_new(json, "stale",
                          json_integer((json_int_t) (entry->stale / 1000)));
    }

    return ngx_http_live_api_send(r, NGX_HTTP_CREATED, json);
}


/* Where it comes from: what it is pulled from, or who has the key. */

static ngx_int_t
ngx_http_live_api_input(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx,
    json_t *json, ngx_str_t *name, ngx_live_entry_sh_t *entry)
{
    ngx_int_t  rc;

    rc = ngx_http_live_api_source(ctx, json, name);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    (void) json_object_set_new(json, "key",
                               json_stringn((char *) entry->key,
                                            NGX_LIVE_KEY));

    return ngx_http_live_api_publish_urls(r, ctx, json, name, entry);
}


ngx_int_t
ngx_http_live_api_delete(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    uint64_t   until;
    ngx_int_t  ban;
    ngx_str_t  text;

    until = 0;

    if (ngx_http_arg(r, (u_char *) "ban", 3, &text) == NGX_OK) {

        ban = ngx_parse_time(&text, 1);

        if (ban == NGX_ERROR || ban > NGX_HTTP_LIVE_API_MAX_BAN) {
            return ngx_http_live_api_error(r, NGX_HTTP_BAD_REQUEST,
                                           "ban is a time as \"60s\" or "
                                           "\"2h\", of a year at most");
        }

        until = ban ? ngx_live_now() + (uint64_t) ban * 1000 : 0;
    }

    switch (ngx_live_registry_delete(ngx_live_zone(), &ctx->application,
                                     &ctx->stream, until))
    {
    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "there is no such stream");

    default:
        return ngx_http_live_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                       "the index of the live zone is full");
    }

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "stream \"%V/%V\" is ended by the control API",
                  &ctx->application, &ctx->stream);

    return ngx_http_live_api_nothing(r);
}


ngx_int_t
ngx_http_live_api_heartbeat(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx)
{
    ngx_live_entry_sh_t  entry;

    if (ngx_live_registry_heard(ngx_live_zone(), &ctx->application,
                                &ctx->stream, &entry)
        != NGX_OK)
    {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "no such stream was created");
    }

    return ngx_http_live_api_send(r, NGX_HTTP_OK,
               json_pack("{s:s%,s:I}",
                         "stream_id", ctx->stream.data, ctx->stream.len,
                         "stale", (json_int_t) (entry.stale / 1000)));
}


ngx_int_t
ngx_http_live_api_rotate(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    json_t                *json;
    ngx_live_entry_sh_t    entry;
    ngx_live_source_sh_t   source;

    if (ngx_live_source_find(ngx_live_zone(), &ctx->application, &ctx->stream,
                             &source)
        == NGX_OK)
    {
        return ngx_http_live_api_error(r, NGX_HTTP_CONFLICT,
                                       "the stream is pulled, and nobody "
                                       "publishes it");
    }

    switch (ngx_live_registry_rotate(ngx_live_zone(), &ctx->application,
                                     &ctx->stream, &entry))
    {
    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "no such stream was created");

    default:
        return ngx_http_live_api_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                       "there are no random bytes");
    }

    json = json_pack("{s:s%,s:s%}",
                     "stream_id", ctx->stream.data, ctx->stream.len,
                     "key", entry.key, (size_t) NGX_LIVE_KEY);

    if (json && ngx_http_live_api_publish_urls(r, ctx, json, &ctx->stream,
                                               &entry)
                != NGX_OK)
    {
        json_decref(json);
        json = NULL;
    }

    return ngx_http_live_api_send(r, NGX_HTTP_OK, json);
}


ngx_int_t
ngx_http_live_api_stop(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx,
    ngx_uint_t stopped)
{
    if (ngx_live_registry_stop(ngx_live_zone(), &ctx->application,
                               &ctx->stream, stopped)
        != NGX_OK)
    {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "no such stream was created");
    }

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "stream \"%V/%V\" is %s by the control API",
                  &ctx->application, &ctx->stream,
                  stopped ? "stopped" : "started");

    return ngx_http_live_api_send(r, NGX_HTTP_OK,
               json_pack("{s:s%,s:b}",
                         "stream_id", ctx->stream.data, ctx->stream.len,
                         "stopped", (int) stopped));
}


ngx_int_t
ngx_http_live_api_publish_urls(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, json_t *json, ngx_str_t *name,
    ngx_live_entry_sh_t *entry)
{
    json_t     *urls;
    ngx_str_t   base;

    if (ctx->conf->publish == NULL || ctx->conf->read_only) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, ctx->conf->publish, &base) != NGX_OK) {
        return NGX_ERROR;
    }

    urls = json_object();

    (void) ngx_http_live_api_url(urls, "rtmp", &base,
                                 entry ? "%V/%V?key=%*s" : "%V/%V", name,
                                 entry ? (char *) entry->key : NULL);

    return json_object_set_new(json, "publish", urls) == 0 ? NGX_OK
                                                           : NGX_ERROR;
}


ngx_int_t
ngx_http_live_api_play_urls(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, json_t *json, ngx_str_t *name,
    ngx_uint_t options)
{
    json_t     *urls;
    ngx_str_t   base;

    if (ctx->conf->play == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, ctx->conf->play, &base) != NGX_OK) {
        return NGX_ERROR;
    }

    urls = json_object();

    if (!(options & NGX_LIVE_NO_HLS)) {
        (void) ngx_http_live_api_url(urls, "hls", &base,
                                     "%V/%V/playlist.m3u8", name, NULL);
        (void) ngx_http_live_api_url(urls, "ts", &base,
                                     "%V/%V/ts/playlist.m3u8", name, NULL);
    }

    if (!(options & NGX_LIVE_NO_DASH)) {
        (void) ngx_http_live_api_url(urls, "dash", &base,
                                     "%V/%V/manifest.mpd", name, NULL);
    }

    (void) ngx_http_live_api_url(urls, "thumbnail", &base,
                                 "%V/%V/thumbnail.jpg", name, NULL);

    return json_object_set_new(json, "playback", urls) == 0 ? NGX_OK
                                                            : NGX_ERROR;
}


/* format: of base, stream, and the length of the key and the key. */

static ngx_int_t
ngx_http_live_api_url(json_t *json, const char *name, ngx_str_t *base,
    const char *format, ngx_str_t *stream, const char *key)
{
    u_char  *p;
    u_char   url[2048];

    p = ngx_snprintf(url, sizeof(url), format, base, stream,
                     (size_t) NGX_LIVE_KEY, key);

    return json_object_set_new(json, name,
                               json_stringn((char *) url, p - url)) == 0
           ? NGX_OK : NGX_ERROR;
}
