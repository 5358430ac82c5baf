
/* Variables of requests for live_play, made when somebody asks for them. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"
#include "live_clock.h"


typedef enum {
    ngx_http_live_var_app = 0,
    ngx_http_live_var_name,
    ngx_http_live_var_rendition,
    ngx_http_live_var_object,
    ngx_http_live_var_msn,
    ngx_http_live_var_part,
    ngx_http_live_var_hold,
    ngx_http_live_var_blocked,
    ngx_http_live_var_sid,
    ngx_http_live_var_latency
} ngx_http_live_var_e;


static ngx_int_t ngx_http_live_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_live_variable_text(ngx_http_live_ctx_t *ctx,
    ngx_http_live_var_e var, ngx_str_t *text);
static ngx_int_t ngx_http_live_variable_number(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx, ngx_http_live_var_e var, ngx_str_t *text);
static ngx_int_t ngx_http_live_variable_msn(ngx_http_live_ctx_t *ctx,
    ngx_uint_t part, uint64_t *number);
static ngx_int_t ngx_http_live_latency(ngx_http_live_ctx_t *ctx,
    int64_t *ms);
static ngx_int_t ngx_http_live_sid(ngx_http_request_t *r, ngx_str_t *text);
static ngx_int_t ngx_http_live_cmcd(ngx_str_t *value, ngx_str_t *sid);


static ngx_http_variable_t  ngx_http_live_vars[] = {

    { ngx_string("live_app"), NULL, ngx_http_live_variable,
      ngx_http_live_var_app, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_name"), NULL, ngx_http_live_variable,
      ngx_http_live_var_name, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_rendition"), NULL, ngx_http_live_variable,
      ngx_http_live_var_rendition, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_object"), NULL, ngx_http_live_variable,
      ngx_http_live_var_object, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_msn"), NULL, ngx_http_live_variable,
      ngx_http_live_var_msn, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_part"), NULL, ngx_http_live_variable,
      ngx_http_live_var_part, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_hold"), NULL, ngx_http_live_variable,
      ngx_http_live_var_hold, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_blocked_time"), NULL, ngx_http_live_variable,
      ngx_http_live_var_blocked, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_cmcd_sid"), NULL, ngx_http_live_variable,
      ngx_http_live_var_sid, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_latency"), NULL, ngx_http_live_variable,
      ngx_http_live_var_latency, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_live_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *v, *var;

    for (v = ngx_http_live_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_int_t             rc;
    ngx_str_t             text;
    ngx_http_live_ctx_t  *ctx;

    rc = NGX_DECLINED;
    ctx = ngx_http_live_asked(r->main);

    if (ctx) {
        rc = ngx_http_live_variable_text(ctx, data, &text);

        if (rc == NGX_AGAIN) {
            rc = ngx_http_live_variable_number(r, ctx, data, &text);
        }
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = text.len;
    v->data = text.data;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


/* What the URI says.  NGX_AGAIN: the variable is none of these. */

static ngx_int_t
ngx_http_live_variable_text(ngx_http_live_ctx_t *ctx, ngx_http_live_var_e var,
    ngx_str_t *text)
{
    switch (var) {

    case ngx_http_live_var_app:
        *text = ctx->uri.application;
        break;

    case ngx_http_live_var_name:
        *text = ctx->uri.stream;
        break;

    case ngx_http_live_var_rendition:
        *text = ctx->uri.rendition;
        break;

    case ngx_http_live_var_object:
        *text = *ngx_http_live_kind_name(ctx->uri.kind);
        return NGX_OK;

    default:
        return NGX_AGAIN;
    }

    /* what is no URI of ours has no parts */

    return text->len && ctx->uri.kind != ngx_http_live_unknown_kind
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_live_variable_number(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_http_live_var_e var, ngx_str_t *text)
{
    int64_t    ms;
    uint64_t   number;
    ngx_int_t  rc;

    ms = ctx->held;
    number = ctx->held;

    switch (var) {

    case ngx_http_live_var_sid:
        return ngx_http_live_sid(r->main, text);

    case ngx_http_live_var_msn:
    case ngx_http_live_var_part:
        rc = ngx_http_live_variable_msn(ctx, var == ngx_http_live_var_part,
                                        &number);
        break;

    case ngx_http_live_var_latency:
        rc = ngx_http_live_latency(ctx, &ms);
        break;

    default:
        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    text->data = ngx_pnalloc(r->pool, NGX_INT64_LEN + 5);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    if (var == ngx_http_live_var_blocked || var == ngx_http_live_var_latency) {
        text->len = ngx_sprintf(text->data, "%s%L.%03L", ms < 0 ? "-" : "",
                                ngx_abs(ms) / 1000, ngx_abs(ms) % 1000)
                    - text->data;

    } else {
        text->len = ngx_sprintf(text->data, "%uL", number) - text->data;
    }

    return NGX_OK;
}


/* The segment, or its part, that the URI or the query of a playlist names. */

static ngx_int_t
ngx_http_live_variable_msn(ngx_http_live_ctx_t *ctx, ngx_uint_t part,
    uint64_t *number)
{
    ngx_http_live_arg_t  *arg;

    switch (ctx->uri.kind) {

    case ngx_http_live_part:
        *number = part ? ctx->uri.part : ctx->uri.number;
        return NGX_OK;

    case ngx_http_live_segment:
    case ngx_http_live_ts_segment:
        *number = ctx->uri.number;
        return part ? NGX_DECLINED : NGX_OK;

    case ngx_http_live_media:
        arg = part ? &ctx->query.part : &ctx->query.msn;
        *number = arg->value;
        return arg->set && !arg->bad ? NGX_OK : NGX_DECLINED;

    default:
        return NGX_DECLINED;
    }
}


/*
 * How far the end of the media that was asked for is behind now, ms: at the
 * live edge of a segment it is small, and more for a player that is behind.
 */

static ngx_int_t
ngx_http_live_latency(ngx_http_live_ctx_t *ctx, int64_t *ms)
{
    int64_t                 end;
    ngx_live_part_sh_t      part;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t   seg;

    if (ctx->st == NULL || ngx_live_load(&ctx->st->id) != ctx->id
        || (ctx->uri.kind != ngx_http_live_part
            && ctx->uri.kind != ngx_http_live_segment
            && ctx->uri.kind != ngx_http_live_ts_segment))
    {
        return NGX_DECLINED;
    }

    t = (ctx->uri.kind == ngx_http_live_ts_segment)
        ? &ctx->st->ts : ngx_live_track_find(ctx->st, &ctx->uri.rendition);

    if (t == NULL) {
        return NGX_DECLINED;
    }

    if (ctx->uri.kind == ngx_http_live_part) {

        if (ngx_live_read_part(ctx->st, ctx->id, t, ctx->uri.number,
                               ctx->uri.part, &part)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        end = ngx_live_load(&ctx->st->shift)
              + live_ticks_to_us(part.start + (int64_t) part.duration,
                                 t->info.timescale);

    } else {

        if (ngx_live_read_segment(ctx->st, ctx->id, t, ctx->uri.number, &seg)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        end = seg.shift + live_ticks_to_us(seg.start + seg.duration,
                                           seg.timescale);
    }

    *ms = (int64_t) (ngx_live_now() - ctx->st->anchor) - end / 1000;

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_sid(ngx_http_request_t *r, ngx_str_t *text)
{
    text->data = ngx_pnalloc(r->pool, NGX_HTTP_LIVE_MAX_SID);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_live_cmcd_sid(r, text);
}


ngx_int_t
ngx_http_live_cmcd_sid(ngx_http_request_t *r, ngx_str_t *sid)
{
    u_char           *dst, *src, buf[1024];
    ngx_str_t         value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (ngx_http_arg(r, (u_char *) "CMCD", 4, &value) == NGX_OK) {

        dst = buf;
        src = value.data;
        ngx_unescape_uri(&dst, &src, ngx_min(value.len, sizeof(buf)), 0);

        value.data = buf;
        value.len = dst - buf;

        return ngx_http_live_cmcd(&value, sid);
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("cmcd-session") - 1
                && ngx_strncmp(h[i].lowcase_key, "cmcd-session",
                               sizeof("cmcd-session") - 1)
                   == 0)
            {
                return ngx_http_live_cmcd(&h[i].value, sid);
            }
        }
    }

    return NGX_DECLINED;
}


/* Finds sid="..." in a list of keys (CTA-5004, 3.1). */

static ngx_int_t
ngx_http_live_cmcd(ngx_str_t *value, ngx_str_t *sid)
{
    u_char      *p, *last;
    ngx_uint_t   quoted;

    p = value->data;
    last = p + value->len;

    while (last - p >= 5) {

        if (ngx_strncmp(p, "sid=\"", 5) == 0) {

            sid->len = 0;

            for (p += 5; p < last && *p != '"'; p++) {

                /* it goes to logs, and needs no other characters */

                if (sid->len == NGX_HTTP_LIVE_MAX_SID || *p <= 0x20
                    || *p >= 0x7f || *p == '\\')
                {
                    return NGX_DECLINED;
                }

                sid->data[sid->len++] = *p;
            }

            return p < last && sid->len ? NGX_OK : NGX_DECLINED;
        }

        /* the next key, behind a comma that is in no string */

        for (quoted = 0; p < last && (quoted || *p != ','); p++) {

            if (*p == '"') {
                quoted = !quoted;

            } else if (quoted && *p == '\\') {
                p++;
            }
        }

        for (p++; p < last && *p == ' '; p++) { /* void */ }
    }

    return NGX_DECLINED;
}
