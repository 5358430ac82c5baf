
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_auth.h"
#include "live_query.h"


static const char *ngx_stream_live_auth_key(ngx_stream_live_rtmp_ctx_t *ctx,
    ngx_stream_live_auth_conf_t *conf, const live_rtmp_publish_t *p);
static const char *ngx_stream_live_auth_signed(
    ngx_stream_live_rtmp_ctx_t *ctx, ngx_stream_live_auth_conf_t *conf,
    const live_rtmp_publish_t *p);
static ngx_uint_t ngx_stream_live_auth_static(ngx_stream_live_rtmp_ctx_t *ctx,
    ngx_array_t *pieces, const char *key);
static ngx_int_t ngx_stream_live_auth_value(ngx_stream_session_t *s,
    ngx_stream_live_piece_t *piece, live_key_piece_t *value);


const char *
ngx_stream_live_auth_name(ngx_stream_live_auth_conf_t *conf, const char *name,
    ngx_log_t *log)
{
    ngx_uint_t              i;
    const char             *public;
    ngx_stream_live_key_t  *key;

    if (!conf->named) {
        return name;
    }

    key = conf->keys->elts;

    for (i = 0; i < conf->keys->nelts; i++) {

        if (key[i].file == NULL || !key[i].file->named) {
            continue;
        }

        public = live_keys_name(ngx_stream_live_keys(key[i].file, log), name);

        if (public) {
            return public;
        }
    }

    return name;
}


const char *
ngx_stream_live_auth(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p, ngx_uint_t keyed)
{
    const char                   *reason;
    ngx_stream_live_auth_conf_t  *conf;

    conf = ngx_stream_live_auth_conf(ctx->app);
    reason = NULL;

    if (!keyed
        && ngx_stream_live_created(ctx, p, &reason) == NGX_DECLINED
        && conf->keys)
    {
        reason = ngx_stream_live_auth_key(ctx, conf, p);
    }

    if (reason == NULL && conf->secrets) {
        reason = ngx_stream_live_auth_signed(ctx, conf, p);
    }

    return reason;
}


static const char *
ngx_stream_live_auth_key(ngx_stream_live_rtmp_ctx_t *ctx,
    ngx_stream_live_auth_conf_t *conf, const live_rtmp_publish_t *p)
{
    char                    given[LIVE_RTMP_MAX_ARGS + 1];
    ngx_log_t              *log;
    ngx_uint_t              i, allowed;
    ngx_stream_live_key_t  *key;

    log = ctx->session->connection->log;

    if (ngx_stream_live_auth_argument(p, "key", given, sizeof(given))
        != LIVE_OK
        || given[0] == '\0')
    {
        return conf->named ? "the key is not valid"
                           : "a key is wanted, NAME?key=KEY";
    }

    /* nginx keeps values of variables for as long as the connection is */

    if (conf->variables && ctx->renamed) {
        return "another stream wants another connection";
    }

    allowed = 0;
    key = conf->keys->elts;

    for (i = 0; i < conf->keys->nelts; i++) {

        if (key[i].pieces) {
            allowed |= ngx_stream_live_auth_static(ctx, key[i].pieces, given);

        } else if (!key[i].file->named) {
            allowed |= live_keys_allow(ngx_stream_live_keys(key[i].file, log),
                                       given, (char *) ctx->name_buf);
        }
    }

    ngx_explicit_memzero(given, sizeof(given));

    ctx->keyed = conf->variables;

    return allowed ? NULL : "the key is not valid for this stream";
}


/* The name's own query, that of the application, that of tcUrl. */

int
ngx_stream_live_auth_argument(const live_rtmp_publish_t *p, const char *name,
    char *buf, size_t size)
{
    int  rc;

    rc = live_query_find(p->args, name, buf, size);

    if (rc == LIVE_AGAIN) {
        rc = live_query_find(p->app_args, name, buf, size);
    }

    if (rc == LIVE_AGAIN) {
        rc = live_query_find(live_query_of(p->tc_url), name, buf, size);
    }

    return rc;
}


/* An empty one, of a variable that has no value, is no key. */

static ngx_uint_t
ngx_stream_live_auth_static(ngx_stream_live_rtmp_ctx_t *ctx,
    ngx_array_t *pieces, const char *key)
{
    size_t                    len;
    uint8_t                   one[LIVE_KEY_DIGEST], two[LIVE_KEY_DIGEST];
    uint8_t                   salt[LIVE_KEY_SALT];
    ngx_uint_t                i, level;
    ngx_log_t                *log;
    live_key_piece_t          given, value[NGX_STREAM_LIVE_MAX_PIECES];
    ngx_stream_live_piece_t  *piece;

    if (pieces->nelts > NGX_STREAM_LIVE_MAX_PIECES
        || live_key_salt(salt) != LIVE_OK)
    {
        return 0;
    }

    len = 0;
    piece = pieces->elts;
    log = ctx->session->connection->log;

    /* the debug log of a map would show the key */

    level = log->log_level;
    log->log_level = ngx_min(level, NGX_LOG_INFO);

    for (i = 0; i < pieces->nelts; i++) {

        if (ngx_stream_live_auth_value(ctx->session, &piece[i], &value[i])
            != NGX_OK)
        {
            break;
        }

        len += value[i].len;
    }

    log->log_level = level;

    given.data = key;
    given.len = ngx_strlen(key);

    return i == pieces->nelts
           && len != 0
           && live_key_digest(salt, value, i, one) == LIVE_OK
           && live_key_digest(salt, &given, 1, two) == LIVE_OK
           && live_key_equal(one, two, LIVE_KEY_DIGEST);
}


static ngx_int_t
ngx_stream_live_auth_value(ngx_stream_session_t *s,
    ngx_stream_live_piece_t *piece, live_key_piece_t *value)
{
    ngx_stream_variable_value_t  *v;

    if (!piece->variable) {
        value->data = piece->text.data;
        value->len = piece->text.len;
        return NGX_OK;
    }

    v = ngx_stream_get_variable(s, &piece->text, piece->hash);

    if (v == NULL) {
        return NGX_ERROR;
    }

    value->data = v->data;
    value->len = v->not_found ? 0 : v->len;

    return NGX_OK;
}


static const char *
ngx_stream_live_auth_signed(ngx_stream_live_rtmp_ctx_t *ctx,
    ngx_stream_live_auth_conf_t *conf, const live_rtmp_publish_t *p)
{
    char         expires[16], sig[LIVE_KEY_HEX + 1];
    int64_t      until;
    ngx_str_t   *secret;
    ngx_uint_t   i, allowed;

    if (ngx_stream_live_auth_argument(p, "expires", expires, sizeof(expires))
        != LIVE_OK
        || ngx_stream_live_auth_argument(p, "sig", sig, sizeof(sig))
           != LIVE_OK)
    {
        return "a signed name is wanted, NAME?expires=TIME&sig=SIGNATURE";
    }

    until = live_key_time(expires);
    secret = conf->secrets->elts;
    allowed = 0;

    for (i = 0; i < conf->secrets->nelts; i++) {
        allowed |= live_key_verify(secret[i].data, secret[i].len, p->app,
                                   (char *) ctx->name_buf, expires, sig);
    }

    if (!allowed || until < 0) {
        return "the signature is not valid for this stream";
    }

    return until <= (int64_t) ngx_time() ? "the signed name has expired"
                                         : NULL;
}


/* A key that stands in the place of the name by mistake is still one. */

ngx_uint_t
ngx_stream_live_auth_secret(ngx_stream_live_rtmp_ctx_t *ctx, const char *name)
{
    ngx_uint_t                    i;
    ngx_log_t                    *log;
    ngx_stream_live_key_t        *key;
    ngx_stream_live_auth_conf_t  *conf;

    conf = ngx_stream_live_auth_conf(ctx->app);

    if (conf->named) {
        return 1;
    }

    if (conf->keys == NULL) {
        return 0;
    }

    log = ctx->session->connection->log;
    key = conf->keys->elts;

    for (i = 0; i < conf->keys->nelts; i++) {

        if (key[i].pieces
            ? ngx_stream_live_auth_static(ctx, key[i].pieces, name)
            : (ngx_uint_t) live_keys_has(ngx_stream_live_keys(key[i].file,
                                                              log), name))
        {
            return 1;
        }
    }

    return 0;
}
