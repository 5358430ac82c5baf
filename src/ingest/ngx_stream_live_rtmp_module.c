
/*
 * The RTMP listener: a content handler of stream{}, so that TLS, the PROXY
 * protocol, access rules, limits and logs are nginx's own.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_limit.h"
#include "ngx_stream_live_hook.h"


/* read at once; media is written on from here, so one buffer serves all */
#define NGX_STREAM_LIVE_BUFFER    (256 * 1024)

/* reads of one connection before the others have their turn */
#define NGX_STREAM_LIVE_READS     4

#define NGX_STREAM_LIVE_LINGER    2000      /* ms for the peer to read why */

#define NGX_STREAM_LIVE_CHUNK     65536
#define NGX_STREAM_LIVE_WINDOW    5000000


#define ngx_stream_live_limit(field)                                          \
    offsetof(ngx_stream_live_rtmp_srv_conf_t, limits.field)


static void *ngx_stream_live_rtmp_create_srv_conf(ngx_conf_t *cf);
static char *ngx_stream_live_rtmp_merge_srv_conf(ngx_conf_t *cf, void *prev,
    void *conf);
static char *ngx_stream_live_rtmp(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_stream_live_rtmp_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_stream_live_rtmp_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);

static void ngx_stream_live_rtmp_handler(ngx_stream_session_t *s);
static void ngx_stream_live_rtmp_cleanup(void *data);
static u_char *ngx_stream_live_rtmp_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_stream_live_rtmp_read(ngx_event_t *rev);
static void ngx_stream_live_rtmp_close(ngx_stream_live_rtmp_ctx_t *ctx);
static void ngx_stream_live_rtmp_greeted(ngx_stream_live_rtmp_ctx_t *ctx);
static void ngx_stream_live_rtmp_check(ngx_stream_live_rtmp_ctx_t *ctx,
    size_t len);
static void ngx_stream_live_rtmp_write(ngx_event_t *wev);
static void ngx_stream_live_rtmp_timeout(ngx_stream_live_rtmp_ctx_t *ctx);
static void ngx_stream_live_rtmp_linger(ngx_stream_live_rtmp_ctx_t *ctx);


static ngx_command_t  ngx_stream_live_rtmp_commands[] = {

    { ngx_string("live_rtmp"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS,
      ngx_stream_live_rtmp,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("live_handshake_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      ngx_stream_live_limit(handshake_timeout),
      &ngx_stream_live_timeout_bounds },

    { ngx_string("live_connect_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      ngx_stream_live_limit(connect_timeout),
      &ngx_stream_live_timeout_bounds },

    { ngx_string("live_max_chunk_streams"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      ngx_stream_live_limit(chunk_streams),
      &ngx_stream_live_chunk_streams_bounds },

    { ngx_string("live_max_amf_size"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      ngx_stream_live_limit(amf_size),
      &ngx_stream_live_size_bounds },

    { ngx_string("live_max_amf_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      ngx_stream_live_limit(amf_depth),
      &ngx_stream_live_amf_depth_bounds },

    { ngx_string("live_max_setup_size"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      ngx_stream_live_limit(setup_size),
      &ngx_stream_live_size_bounds },

    { ngx_string("live_max_setup_messages"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      ngx_stream_live_limit(setup_messages),
      &ngx_stream_live_setup_messages_bounds },

      ngx_null_command
};


static ngx_stream_module_t  ngx_stream_live_rtmp_module_ctx = {
    ngx_stream_live_rtmp_add_variables,    /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_stream_live_rtmp_create_srv_conf,  /* create server configuration */
    ngx_stream_live_rtmp_merge_srv_conf    /* merge server configuration */
};


ngx_module_t  ngx_stream_live_rtmp_module = {
    NGX_MODULE_V1,
    &ngx_stream_live_rtmp_module_ctx,      /* module context */
    ngx_stream_live_rtmp_commands,         /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


typedef enum {
    ngx_stream_live_var_app = 0,
    ngx_stream_live_var_name,
    ngx_stream_live_var_state,
    ngx_stream_live_var_duration
} ngx_stream_live_var_e;


static ngx_stream_variable_t  ngx_stream_live_rtmp_vars[] = {

    { ngx_string("live_app"), NULL, ngx_stream_live_rtmp_variable,
      ngx_stream_live_var_app, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_name"), NULL, ngx_stream_live_rtmp_variable,
      ngx_stream_live_var_name, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_state"), NULL, ngx_stream_live_rtmp_variable,
      ngx_stream_live_var_state, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("live_duration"), NULL, ngx_stream_live_rtmp_variable,
      ngx_stream_live_var_duration, NGX_STREAM_VAR_NOCACHEABLE, 0 },

      ngx_stream_null_variable
};


static const live_rtmp_handler_t  ngx_stream_live_rtmp_callbacks = {
    ngx_stream_live_rtmp_publish,
    ngx_stream_live_rtmp_unpublish,
    ngx_stream_live_rtmp_media,
    ngx_stream_live_rtmp_abort,
    ngx_stream_live_rtmp_metadata
};


/* of this worker: what was read is used before the next read */
static u_char  *ngx_stream_live_buffer;


static void *
ngx_stream_live_rtmp_create_srv_conf(ngx_conf_t *cf)
{
    ngx_stream_live_rtmp_srv_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_stream_live_rtmp_srv_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    ngx_stream_live_limits_create(&conf->limits);

    return conf;
}


/* Directives after live_rtmp may have set another handler. */

static char *
ngx_stream_live_rtmp_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_stream_live_rtmp_srv_conf_t *prev = parent;
    ngx_stream_live_rtmp_srv_conf_t *conf = child;

    ngx_stream_core_srv_conf_t  *cscf;

    ngx_stream_live_limits_merge(&conf->limits, &prev->limits);

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    if (conf->line && cscf->handler != ngx_stream_live_rtmp_handler) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"live_rtmp\" cannot be used together with another "
                      "handler of the server in %V:%ui",
                      &conf->file, conf->line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_stream_live_rtmp(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_live_rtmp_srv_conf_t *rscf = conf;

    ngx_stream_core_srv_conf_t  *cscf;

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    if (cscf->handler) {
        return cscf->handler == ngx_stream_live_rtmp_handler
               ? "is duplicate" : "cannot be used here, the server has "
                                  "another handler already";
    }

    cscf->handler = ngx_stream_live_rtmp_handler;
    rscf->file = cf->conf_file->file.name;
    rscf->line = cf->conf_file->line;

    if (ngx_live_add_reference(cf, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_stream_live_rtmp_add_variables(ngx_conf_t *cf)
{
    ngx_stream_variable_t  *var, *v;

    for (v = ngx_stream_live_rtmp_vars; v->name.len; v++) {
        var = ngx_stream_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_stream_live_rtmp_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    u_char                      *p;
    ngx_msec_t                   ms;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    ctx = ngx_stream_get_module_ctx(s, ngx_stream_live_rtmp_module);

    if (ctx == NULL || (ctx->app == NULL && data != ngx_stream_live_var_state))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    switch (data) {

    case ngx_stream_live_var_app:
        v->data = ctx->app->name.data;
        v->len = ctx->app->name.len;
        break;

    case ngx_stream_live_var_name:
        v->data = ctx->name.data;
        v->len = ctx->name.len;
        break;

    case ngx_stream_live_var_state:
        v->data = (u_char *) ctx->state;
        v->len = ngx_strlen(ctx->state);
        break;

    default: /* ngx_stream_live_var_duration */
        p = ngx_pnalloc(s->connection->pool, NGX_TIME_T_LEN + 4);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ms = ctx->pub ? ngx_live_since(ngx_live_publish_started(ctx->pub))
                      : ctx->duration;

        v->data = p;
        v->len = ngx_sprintf(p, "%M.%03M", ms / 1000, ms % 1000) - p;
    }

    return NGX_OK;
}


static void
ngx_stream_live_rtmp_handler(ngx_stream_session_t *s)
{
    ngx_connection_t                 *c;
    ngx_pool_cleanup_t               *cln;
    ngx_stream_live_rtmp_ctx_t       *ctx;
    ngx_stream_live_rtmp_srv_conf_t  *rscf;

    c = s->connection;
    rscf = ngx_stream_get_module_srv_conf(s, ngx_stream_live_rtmp_module);

    if (ngx_stream_live_buffer == NULL) {
        ngx_stream_live_buffer = ngx_alloc(NGX_STREAM_LIVE_BUFFER, c->log);
        if (ngx_stream_live_buffer == NULL) {
            ngx_stream_finalize_session(s,
                                        NGX_STREAM_INTERNAL_SERVER_ERROR);
            return;
        }
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_stream_live_rtmp_ctx_t));
    if (cln == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_stream_live_rtmp_ctx_t));

    ctx->session = s;
    ctx->state = "connected";
    ctx->conf.max_message = 16 * 1024 * 1024;
    ctx->conf.chunk_size = NGX_STREAM_LIVE_CHUNK;
    ctx->conf.ack_window = NGX_STREAM_LIVE_WINDOW;
    ctx->limits = &rscf->limits;
    ctx->began = ngx_current_msec;

    ngx_stream_live_limits_set(&ctx->conf, ctx->limits);
    ngx_stream_live_rtmp_tags(ctx);

    ctx->rtmp = live_rtmp_create(&ctx->conf, &ngx_stream_live_rtmp_callbacks,
                                 ctx);
    if (ctx->rtmp == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_stream_live_rtmp_cleanup;

    ngx_stream_set_ctx(s, ctx, ngx_stream_live_rtmp_module);

    s->log_handler = ngx_stream_live_rtmp_log;
    c->log->action = "reading RTMP";

    /* a delayed acknowledgement costs 40 ms of every set-up otherwise */
    if (c->type == SOCK_STREAM && ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    c->read->handler = ngx_stream_live_rtmp_read;
    c->write->handler = ngx_stream_live_rtmp_write;

    ctx->poll.handler = ngx_stream_live_rtmp_poll;
    ctx->poll.data = c;
    ctx->poll.log = c->log;

    ngx_add_timer(c->read, ngx_min(ctx->limits->handshake_timeout,
                                   ctx->limits->connect_timeout));

    if (c->buffer && c->buffer->pos < c->buffer->last) {

        /* what the preread phase has read */

        s->received = 0;

        if (ngx_stream_live_rtmp_input(ctx, c->buffer->pos,
                                       c->buffer->last - c->buffer->pos)
            != NGX_OK)
        {
            return;
        }

        c->buffer->pos = c->buffer->last;
    }

    ngx_stream_live_rtmp_read(c->read);
}


static void
ngx_stream_live_rtmp_cleanup(void *data)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    if (ctx->poll.timer_set) {
        ngx_del_timer(&ctx->poll);
    }

    if (ctx->pub) {
        ngx_live_publish_close(ctx->pub);
        ctx->pub = NULL;
    }

    ngx_stream_live_hook_close(ctx);

    live_rtmp_destroy(ctx->rtmp);
}


static u_char *
ngx_stream_live_rtmp_log(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_stream_session_t        *s;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    s = log->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_live_rtmp_module);

    if (ctx == NULL || ctx->app == NULL) {
        return buf;
    }

    return ngx_snprintf(buf, len, ", stream: \"%V/%V\"", &ctx->app->name,
                        &ctx->name);
}


static void
ngx_stream_live_rtmp_read(ngx_event_t *rev)
{
    ssize_t                      n;
    ngx_uint_t                   i, received;
    ngx_connection_t            *c;
    ngx_stream_session_t        *s;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    c = rev->data;
    s = c->data;
    received = 0;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_live_rtmp_module);

    if (c->close) {
        ngx_stream_live_rtmp_close(ctx);
        return;
    }

    if (rev->timedout) {
        ngx_stream_live_rtmp_timeout(ctx);
        return;
    }

    for (i = 0; rev->ready; i++) {

        if (i == NGX_STREAM_LIVE_READS) {
            ngx_post_event(rev, &ngx_posted_events);
            break;
        }

        n = c->recv(c, ngx_stream_live_buffer, NGX_STREAM_LIVE_BUFFER);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {

            if (!ctx->closing) {
                ngx_log_error(NGX_LOG_INFO, c->log, 0,
                              "the publisher closed the connection");
                ctx->state = ctx->pub ? "lost" : ctx->state;
            }

            ngx_stream_finalize_session(s, NGX_STREAM_OK);
            return;
        }

        received = 1;

        if (ngx_stream_live_rtmp_input(ctx, ngx_stream_live_buffer, n)
            != NGX_OK)
        {
            return;
        }
    }

    if (received && ctx->pub && !ctx->closing) {
        ngx_add_timer(rev, ctx->app->publish_timeout);
        ngx_stream_live_rtmp_pace(ctx);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
    }
}


/*
 * nginx shuts the worker down.  First it calls what it believes to be idle,
 * and that is when a publisher can be told; with an error set, it closes what
 * is left at "worker_shutdown_timeout".
 */

static void
ngx_stream_live_rtmp_close(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;

    if (ctx->pub && !ctx->closing && !c->error) {
        c->close = 0;
        ngx_stream_live_rtmp_exiting(ctx);

        if (ngx_stream_live_rtmp_send(ctx) != NGX_ERROR) {
            return;
        }

    } else if (!ctx->closing) {
        live_rtmp_close(ctx->rtmp, "NetConnection.Connect.Closed",
                        "the server shuts down");
        (void) ngx_stream_live_rtmp_send(ctx);
    }

    ctx->state = "closed";
    ngx_stream_finalize_session(ctx->session, NGX_STREAM_OK);
}


ngx_int_t
ngx_stream_live_rtmp_input(ngx_stream_live_rtmp_ctx_t *ctx, u_char *buf,
    size_t len)
{
    int                rc;
    ngx_connection_t  *c;

    c = ctx->session->connection;
    ctx->session->received += len;

    if (ctx->closing) {
        return NGX_OK;
    }

    rc = live_rtmp_input(ctx->rtmp, buf, len);

    if (!ctx->greeted && live_rtmp_state(ctx->rtmp) != LIVE_RTMP_HANDSHAKE) {
        ngx_stream_live_rtmp_greeted(ctx);
    }

    if (ctx->pub && ngx_live_publish_flush(ctx->pub, len) != NGX_OK) {

        if (!ngx_live_publish_owns(ctx->pub)) {
            ngx_stream_live_rtmp_lost(ctx);

        } else if (rc == LIVE_OK) {
            live_rtmp_fail(ctx->rtmp, "the stream cannot go on");
            rc = LIVE_ERROR;
        }

    } else if (ctx->pub && rc == LIVE_OK && !ctx->closing) {
        ngx_stream_live_rtmp_check(ctx, len);
    }

    if (rc != LIVE_OK && !ctx->closing) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0, "RTMP ends: %s",
                      live_rtmp_error(ctx->rtmp));
        ctx->state = "failed";
        ctx->closing = 1;
    }

    if (live_rtmp_state(ctx->rtmp) == LIVE_RTMP_CLOSING) {
        ctx->closing = 1;
    }

    if (ngx_stream_live_rtmp_send(ctx) == NGX_ERROR) {
        ngx_stream_finalize_session(ctx->session, NGX_STREAM_OK);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* From here on it is the publish that is waited for. */

static void
ngx_stream_live_rtmp_greeted(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_msec_t  elapsed;

    ctx->greeted = 1;
    elapsed = ngx_current_msec - ctx->began;

    ngx_add_timer(ctx->session->connection->read,
                  ctx->limits->connect_timeout
                  - ngx_min(elapsed, ctx->limits->connect_timeout));
}


/* What the application allows of bit rate and key frame interval. */

static void
ngx_stream_live_rtmp_check(ngx_stream_live_rtmp_ctx_t *ctx, size_t len)
{
    const char  *reason;

    reason = ngx_live_limit_check(ctx->pub, len);

    if (reason == NULL) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ctx->session->connection->log, 0,
                  "publishing ends: %s", reason);

    ctx->state = "limited";
    ctx->closing = 1;

    live_rtmp_close(ctx->rtmp, "NetStream.Publish.Denied", reason);
}


ngx_int_t
ngx_stream_live_rtmp_send(ngx_stream_live_rtmp_ctx_t *ctx)
{
    size_t             len;
    ssize_t            n;
    const uint8_t     *out;
    ngx_connection_t  *c;

    c = ctx->session->connection;

    for ( ;; ) {
        out = live_rtmp_output(ctx->rtmp, &len);

        if (len == 0) {
            break;
        }

        n = c->send(c, (u_char *) out, len);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN) {
            return ngx_handle_write_event(c->write, 0);
        }

        live_rtmp_sent(ctx->rtmp, n);
    }

    if (ctx->closing) {
        ngx_stream_live_rtmp_linger(ctx);
    }

    return NGX_OK;
}


/*
 * A reset would take the message away that tells the peer why (RTMP-59): the
 * connection is half closed and what still comes is read for a moment.
 */

static void
ngx_stream_live_rtmp_linger(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;

    if (ctx->pub) {
        ctx->duration = ngx_live_since(ngx_live_publish_started(ctx->pub));
        ngx_live_publish_close(ctx->pub);
        ctx->pub = NULL;
    }

    ngx_stream_live_hook_close(ctx);

    if (ctx->lingering) {
        return;
    }

    ctx->lingering = 1;

#if (NGX_STREAM_SSL)
    if (c->ssl) {
        ngx_add_timer(c->read, NGX_STREAM_LIVE_LINGER / 4);
        return;
    }
#endif

    (void) ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN);
    ngx_add_timer(c->read, NGX_STREAM_LIVE_LINGER);
}


static void
ngx_stream_live_rtmp_write(ngx_event_t *wev)
{
    ngx_connection_t            *c;
    ngx_stream_session_t        *s;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    c = wev->data;
    s = c->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_live_rtmp_module);

    if (ngx_stream_live_rtmp_send(ctx) == NGX_ERROR) {
        ngx_stream_finalize_session(s, NGX_STREAM_OK);
    }
}


static void
ngx_stream_live_rtmp_timeout(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;
    c->timedout = 1;

    if (ctx->closing) {
        /* the reason was logged */

    } else if (ctx->pub) {
        ngx_log_error(NGX_LOG_ERR, c->log, NGX_ETIMEDOUT,
                      "nothing came from the publisher for %Mms",
                      ctx->app->publish_timeout);
        ctx->state = "timeout";

    } else if (!ctx->greeted) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "the client did not complete the handshake within %Mms",
                      ngx_min(ctx->limits->handshake_timeout,
                              ctx->limits->connect_timeout));
        ctx->state = "timeout";

    } else {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "the client did not publish within %Mms",
                      ctx->limits->connect_timeout);
        ctx->state = "timeout";
    }

    ngx_stream_finalize_session(ctx->session, NGX_STREAM_OK);
}
