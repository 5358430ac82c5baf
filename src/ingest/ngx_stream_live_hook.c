
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_auth.h"
#include "ngx_stream_live_hook.h"
#include "ngx_live_registry.h"
#include "live_query.h"
#include "live_rung.h"


/* of on_publish_done: at once, then after 1, 2, 4, 8 and 16 s */
#define NGX_STREAM_LIVE_HOOK_TRIES  6

#define NGX_STREAM_LIVE_HOOK_SPARE  2000    /* ms on top of callback_timeout */


struct ngx_stream_live_hook_s {
    ngx_stream_live_rtmp_ctx_t   *ctx;
    ngx_stream_live_hook_conf_t  *conf;
    ngx_live_callback_t          *callback;     /* that is under way */
    ngx_event_t                   update;

    ngx_msec_t                    began;        /* of publishing */
    off_t                         received;     /* until then */

    char                         *args;         /* behind it */
    char                         *tc_url;
    const char                   *flash_ver;    /* of the session */
    const char                   *swf_url;
    const char                   *page_url;

    unsigned                      told:1;       /* it is owed the end */
    unsigned                      warned:1;
};


static ngx_stream_live_hook_t *ngx_stream_live_hook_create(
    ngx_stream_live_rtmp_ctx_t *ctx, const live_rtmp_publish_t *p);
static void ngx_stream_live_hook_hide(ngx_stream_live_rtmp_ctx_t *ctx,
    char *query);
static ngx_live_callback_t *ngx_stream_live_hook_send(
    ngx_stream_live_hook_t *hook, live_hook_call_e call,
    ngx_live_callback_pt handler);
static void ngx_stream_live_hook_published(void *data,
    ngx_live_callback_result_t *result);
static void ngx_stream_live_hook_goes_on(ngx_stream_live_hook_t *hook,
    live_hook_result_t *r);
static uint32_t ngx_stream_live_hook_left_out(ngx_live_app_conf_t *app,
    live_hook_result_t *r);
static void ngx_stream_live_hook_update(ngx_event_t *ev);
static void ngx_stream_live_hook_updated(void *data,
    ngx_live_callback_result_t *result);
static void ngx_stream_live_hook_read(ngx_stream_live_hook_t *hook,
    live_hook_call_e call, ngx_live_callback_result_t *result,
    live_hook_result_t *r);


ngx_int_t
ngx_stream_live_hook_open(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p)
{
    ngx_msec_t                    timeout;
    ngx_stream_live_hook_conf_t  *conf;

    conf = ngx_stream_live_hook_conf(ctx->app);

    if (conf->publish == NULL && conf->done == NULL && conf->update == NULL) {
        return NGX_OK;
    }

    ctx->hook = ngx_stream_live_hook_create(ctx, p);
    if (ctx->hook == NULL) {
        return NGX_ERROR;
    }

    if (conf->publish == NULL) {
        return NGX_OK;
    }

    ctx->hook->callback = ngx_stream_live_hook_send(ctx->hook,
                                          LIVE_HOOK_PUBLISH,
                                          ngx_stream_live_hook_published);
    if (ctx->hook->callback == NULL) {
        return NGX_ERROR;
    }

    ctx->state = "asking";

    timeout = ngx_live_callback_conf(ctx->app)->timeout
              + NGX_STREAM_LIVE_HOOK_SPARE;

    ngx_add_timer(ctx->session->connection->read, timeout);

    return NGX_AGAIN;
}


static ngx_stream_live_hook_t *
ngx_stream_live_hook_create(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p)
{
    char                    *query;
    size_t                   args, more, url;
    ngx_connection_t        *c;
    ngx_stream_live_hook_t  *hook;

    c = ctx->session->connection;

    args = ngx_strlen(p->args);
    more = ngx_strlen(p->app_args);
    url = ngx_strlen(p->tc_url);

    hook = ngx_calloc(sizeof(ngx_stream_live_hook_t) + args + 1 + more + 1
                      + url + 1, c->log);
    if (hook == NULL) {
        return NULL;
    }

    hook->ctx = ctx;
    hook->conf = ngx_stream_live_hook_conf(ctx->app);
    hook->flash_ver = p->flash_ver;
    hook->swf_url = p->swf_url;
    hook->page_url = p->page_url;

    hook->args = (char *) hook + sizeof(ngx_stream_live_hook_t);
    ngx_memcpy(hook->args, p->args, args + 1);

    if (more) {
        hook->args[args] = '&';
        ngx_memcpy(hook->args + args + (args != 0), p->app_args, more + 1);
    }

    hook->tc_url = hook->args + args + 1 + more + 1;
    ngx_memcpy(hook->tc_url, p->tc_url, url + 1);

    ngx_stream_live_hook_hide(ctx, hook->args);

    query = strchr(hook->tc_url, '?');

    if (query) {
        ngx_stream_live_hook_hide(ctx, query + 1);

        if (query[1] == '\0') {
            *query = '\0';
        }
    }

    hook->update.handler = ngx_stream_live_hook_update;
    hook->update.data = c;
    hook->update.log = c->log;
    hook->update.cancelable = 1;

    return hook;
}


/* What was checked here is nobody else's to know. */

static void
ngx_stream_live_hook_hide(ngx_stream_live_rtmp_ctx_t *ctx, char *query)
{
    ngx_live_entry_sh_t           entry;
    ngx_stream_live_auth_conf_t  *conf;

    conf = ngx_stream_live_auth_conf(ctx->app);

    if (conf->keys
        || ngx_live_registry_find(ngx_live_zone(), &ctx->app->name,
                                  &ctx->name, &entry)
           == NGX_OK)
    {
        live_query_remove(query, "key");
        ngx_explicit_memzero(&entry, sizeof(ngx_live_entry_sh_t));
    }

    if (conf->secrets) {
        live_query_remove(query, "sig");
    }
}


static ngx_live_callback_t *
ngx_stream_live_hook_send(ngx_stream_live_hook_t *hook, live_hook_call_e call,
    ngx_live_callback_pt handler)
{
    char                        *body;
    u_char                       addr[NGX_SOCKADDR_STRLEN + 1];
    u_char                       what[NGX_LIVE_MAX_NAME + 512];
    live_hook_t                  h;
    ngx_connection_t            *c;
    ngx_live_callback_t         *cb;
    ngx_stream_live_rtmp_ctx_t  *ctx;
    ngx_live_callback_params_t   params;

    ctx = hook->ctx;
    c = ctx->session->connection;

    *ngx_cpymem(addr, c->addr_text.data,
                ngx_min(c->addr_text.len, NGX_SOCKADDR_STRLEN)) = '\0';

    h.call = call;
    h.client = c->number;
    h.app = (char *) ctx->app->name.data;
    h.name = (char *) ctx->name_buf;
    h.args = hook->args;
    h.addr = (char *) addr;
    h.flash_ver = hook->flash_ver;
    h.swf_url = hook->swf_url;
    h.tc_url = hook->tc_url;
    h.page_url = hook->page_url;

    /* the timers' clock: an interval of 1 s is never told as 0 */

    h.time = hook->began ? (ngx_current_msec - hook->began) / 1000 : 0;
    h.bytes = hook->began ? ctx->session->received - hook->received : 0;

    params.conf = ngx_live_callback_conf(ctx->app);
    params.type = live_hook_type(hook->conf->format);
    params.tries = 1;
    params.handler = handler;
    params.data = hook;

    switch (call) {

    case LIVE_HOOK_PUBLISH:
        params.url = hook->conf->publish;
        break;

    case LIVE_HOOK_UPDATE:
        params.url = hook->conf->update;
        break;

    default:
        params.url = hook->conf->done;
        params.tries = NGX_STREAM_LIVE_HOOK_TRIES;
    }

    *ngx_snprintf(what, sizeof(what) - 1, "%s of \"%V/%V\"",
                  call == LIVE_HOOK_PUBLISH ? "on_publish"
                  : call == LIVE_HOOK_UPDATE ? "on_update"
                  : "on_publish_done", &ctx->app->name, &ctx->name) = '\0';

    params.what = (char *) what;

    body = live_hook_body(&h, hook->conf->format, &params.len);
    if (body == NULL) {
        return NULL;
    }

    params.body = body;
    cb = ngx_live_callback(&params);

    free(body);

    return cb;
}


static void
ngx_stream_live_hook_published(void *data, ngx_live_callback_result_t *result)
{
    ngx_stream_live_hook_t *hook = data;

    ngx_connection_t            *c;
    live_hook_result_t           r;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    ctx = hook->ctx;
    c = ctx->session->connection;
    hook->callback = NULL;

    ngx_stream_live_hook_read(hook, LIVE_HOOK_PUBLISH, result, &r);

    if (r.verdict == LIVE_HOOK_REFUSE) {
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.Denied",
                                    (char *) ctx->name_buf, r.reason);
    } else {
        ngx_stream_live_hook_goes_on(hook, &r);
    }

    /* whatever it is, the answer; and what came meanwhile */

    if (ctx->pending) {
        ngx_add_timer(c->read, ctx->limits->connect_timeout);
        return;
    }

    if (ctx->pub) {
        ngx_add_timer(c->read, ctx->app->publish_timeout);
    }

    (void) ngx_stream_live_rtmp_input(ctx, NULL, 0);
}


static void
ngx_stream_live_hook_goes_on(ngx_stream_live_hook_t *hook,
    live_hook_result_t *r)
{
    ngx_stream_live_rtmp_ctx_t  *ctx;

    ctx = hook->ctx;
    hook->told = 1;

    if (r->verdict == LIVE_HOOK_RENAME) {
        ngx_log_error(NGX_LOG_INFO, ctx->session->connection->log, 0,
                      "the callback renames the stream to \"%s\"", r->name);

        ctx->name.len = ngx_strlen(r->name);
        ngx_memcpy(ctx->name_buf, r->name, ctx->name.len + 1);
        ctx->publisher.name = ctx->name;
    }

    ctx->publisher.max_bitrate = r->max_bitrate;
    ctx->publisher.left_out = ngx_stream_live_hook_left_out(ctx->app, r);

    ngx_stream_live_rtmp_claim(ctx);
}


/* The bits of renditions that the answer does not name. */

static uint32_t
ngx_stream_live_hook_left_out(ngx_live_app_conf_t *app, live_hook_result_t *r)
{
    uint32_t      left_out;
    ngx_uint_t    i, n;
    live_rung_t  *conf;

    if (!r->chosen || app->renditions == NULL) {
        return 0;
    }

    left_out = 0;
    conf = app->renditions->elts;

    for (i = 0; i < app->renditions->nelts; i++) {

        for (n = 0; n < r->nrungs; n++) {
            if (ngx_strcmp(conf[i].name, r->rungs[n]) == 0) {
                break;
            }
        }

        if (n == r->nrungs && !conf[i].copy) {
            left_out |= (uint32_t) 1 << i;
        }
    }

    return left_out;
}


void
ngx_stream_live_hook_begun(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_stream_live_hook_t  *hook;

    hook = ctx->hook;

    if (hook == NULL) {
        return;
    }

    hook->told = 1;
    hook->began = ngx_current_msec;
    hook->received = ctx->session->received;

    if (hook->conf->update) {
        ngx_add_timer(&hook->update, hook->conf->interval);
    }
}


static void
ngx_stream_live_hook_update(ngx_event_t *ev)
{
    ngx_connection_t            *c;
    ngx_stream_live_hook_t      *hook;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    c = ev->data;
    ctx = ngx_stream_get_module_ctx((ngx_stream_session_t *) c->data,
                                    ngx_stream_live_rtmp_module);
    hook = ctx->hook;

    ngx_add_timer(ev, hook->conf->interval);

    /* one that takes longer than the interval is waited for */

    if (hook->callback == NULL) {
        hook->callback = ngx_stream_live_hook_send(hook, LIVE_HOOK_UPDATE,
                                              ngx_stream_live_hook_updated);
    }
}


/* A server that cannot be reached ends nobody's stream. */

static void
ngx_stream_live_hook_updated(void *data, ngx_live_callback_result_t *result)
{
    ngx_stream_live_hook_t *hook = data;

    live_hook_result_t           r;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    ctx = hook->ctx;
    hook->callback = NULL;

    if (ctx->pub == NULL || ctx->closing) {
        return;
    }

    ngx_stream_live_hook_read(hook, LIVE_HOOK_UPDATE, result, &r);

    if (result->status == 0) {
        return;
    }

    if (r.verdict == LIVE_HOOK_REFUSE) {
        ngx_log_error(NGX_LOG_ERR, ctx->session->connection->log, 0,
                      "publishing ends: %s", r.reason);
        ngx_stream_live_rtmp_end(ctx, "revoked", r.reason);
        return;
    }

    if (r.max_bitrate) {
        ngx_live_publish_max_bitrate(ctx->pub, r.max_bitrate);
    }
}


static void
ngx_stream_live_hook_read(ngx_stream_live_hook_t *hook, live_hook_call_e call,
    ngx_live_callback_result_t *result, live_hook_result_t *r)
{
    live_hook_answer_t           answer;
    ngx_live_callback_url_t     *url;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    ctx = hook->ctx;

    if (result->status == 0) {
        url = (call == LIVE_HOOK_PUBLISH) ? hook->conf->publish
                                          : hook->conf->update;

        ngx_log_error(NGX_LOG_ERR, ctx->session->connection->log, 0,
                      "%s: %V: %s", call == LIVE_HOOK_PUBLISH ? "on_publish"
                                                              : "on_update",
                      &url->shown, result->error);

        ngx_memzero(r, sizeof(live_hook_result_t));
        r->verdict = LIVE_HOOK_REFUSE;
        ngx_memcpy(r->reason, "the callback did not answer",
                   sizeof("the callback did not answer"));
        return;
    }

    answer.call = call;
    answer.format = hook->conf->format;
    answer.status = result->status;
    answer.body = result->body ? result->body : "";
    answer.len = result->len;
    answer.location = result->location;

    live_hook_read(&answer, r);

    if (r->record && !hook->warned) {
        hook->warned = 1;
        ngx_log_error(NGX_LOG_WARN, ctx->session->connection->log, 0,
                      "the callback's \"record\" is ignored, nothing is "
                      "recorded");
    }
}


void
ngx_stream_live_hook_close(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_stream_live_hook_t  *hook;

    hook = ctx->hook;

    if (hook == NULL) {
        return;
    }

    ctx->hook = NULL;

    if (hook->callback) {
        ngx_live_callback_cancel(hook->callback);
    }

    if (hook->update.timer_set) {
        ngx_del_timer(&hook->update);
    }

    if (hook->told && hook->conf->done) {
        (void) ngx_stream_live_hook_send(hook, LIVE_HOOK_PUBLISH_DONE, NULL);
    }

    ngx_free(hook);
}
