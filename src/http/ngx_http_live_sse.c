
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_sse.h"
#include "ngx_http_live_push.h"


/* responses of a worker at a time */
#define NGX_HTTP_LIVE_SSE_MOST   256

/* ms: so that nobody in between takes the connection for dead */
#define NGX_HTTP_LIVE_SSE_ALIVE  15000

/* ms: a worker that shuts down is left, and found again elsewhere */
#define NGX_HTTP_LIVE_SSE_RETRY  "retry: 1000\n\n"


typedef struct {
    ngx_http_request_t    *request;
    ngx_http_live_sse_pt   tell;
    void                  *data;

    ngx_msec_t             interval;
    ngx_msec_t             sent;        /* when something was, the last time */
    ngx_event_t            timer;
    ngx_uint_t             nopush;

    /* of what was sent last, until the client has it */
    ngx_pool_t            *pool;
} ngx_http_live_sse_t;


static ngx_int_t ngx_http_live_sse_add(ngx_http_live_sse_t *sse,
    const char *text);
static ngx_int_t ngx_http_live_sse_output(ngx_http_live_sse_t *sse,
    ngx_http_live_out_t *out, ngx_uint_t last);
static void ngx_http_live_sse_handler(ngx_event_t *ev);
static void ngx_http_live_sse_cleanup(void *data);


static ngx_uint_t  ngx_http_live_sse_count;


ngx_int_t
ngx_http_live_sse(ngx_http_request_t *r, ngx_msec_t interval,
    ngx_http_live_sse_pt tell, void *data)
{
    ngx_int_t             rc;
    ngx_http_cleanup_t   *cln;
    ngx_http_live_sse_t  *sse;
    static ngx_str_t      type = ngx_string("text/event-stream");
    static ngx_str_t      none = ngx_string("no-store");
    static ngx_str_t      no = ngx_string("no");

    if (r != r->main || ngx_http_live_sse_count == NGX_HTTP_LIVE_SSE_MOST) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_live_sse_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sse = cln->data;

    ngx_memzero(sse, sizeof(ngx_http_live_sse_t));

    sse->request = r;
    sse->tell = tell;
    sse->data = data;
    sse->interval = interval;
    sse->timer.handler = ngx_http_live_sse_handler;
    sse->timer.data = sse;
    sse->timer.log = r->connection->log;

    if (ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_cache_control(r, &none) != NGX_OK
        || ngx_http_live_header(r, "X-Accel-Buffering", &no) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    r->headers_out.content_type = type;
    r->headers_out.content_type_len = type.len;

    rc = ngx_http_live_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (ngx_http_live_push_tcp(r, &sse->nopush) != NGX_OK) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_live_sse_cleanup;
    ngx_http_live_sse_count++;

    rc = ngx_http_live_sse_add(sse, NGX_HTTP_LIVE_SSE_RETRY);

    if (rc != NGX_DONE) {
        return rc;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_live_push_writer;

    ngx_add_timer(&sse->timer, sse->interval);

    r->main->count++;

    return NGX_DONE;
}


/* text goes before what there is to tell.  NGX_DONE: the response goes on. */

static ngx_int_t
ngx_http_live_sse_add(ngx_http_live_sse_t *sse, const char *text)
{
    ngx_int_t             rc;
    ngx_http_live_out_t   out;

    sse->pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE,
                                sse->request->connection->log);
    if (sse->pool == NULL) {
        return NGX_ERROR;
    }

    ngx_http_live_out_init(&out, sse->pool);

    if (text) {
        ngx_http_live_out(&out, "%s", text);
    }

    rc = sse->tell(&out, sse->data);

    if (rc == NGX_ERROR || out.failed) {
        return NGX_ERROR;
    }

    if (out.size == 0 && rc == NGX_OK) {

        if (ngx_current_msec - sse->sent < NGX_HTTP_LIVE_SSE_ALIVE) {
            ngx_destroy_pool(sse->pool);
            sse->pool = NULL;
            return NGX_DONE;
        }

        ngx_http_live_out(&out, ":\n\n");
    }

    return ngx_http_live_sse_output(sse, &out, rc == NGX_DONE);
}


static ngx_int_t
ngx_http_live_sse_output(ngx_http_live_sse_t *sse, ngx_http_live_out_t *out,
    ngx_uint_t last)
{
    ngx_int_t            rc;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = sse->request;
    sse->sent = ngx_current_msec;

    for (cl = out->first; cl && cl->next; cl = cl->next) { /* void */ }

    if (cl) {
        cl->buf->flush = !last;
        cl->buf->last_buf = last;
        cl->buf->last_in_chain = 1;
    }

    rc = cl ? ngx_http_output_filter(r, out->first)
            : ngx_http_send_special(r, NGX_HTTP_LAST);

    if (rc == NGX_ERROR || last) {
        return rc;
    }

    return ngx_http_live_push_pending(r);
}


static void
ngx_http_live_sse_handler(ngx_event_t *ev)
{
    ngx_int_t             rc;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_live_sse_t  *sse;

    sse = ev->data;
    r = sse->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (r->out || r->buffered || c->buffered) {
        ngx_add_timer(ev, sse->interval);
        return;
    }

    if (sse->pool) {
        ngx_destroy_pool(sse->pool);
        sse->pool = NULL;
    }

    rc = ngx_exiting ? ngx_http_send_special(r, NGX_HTTP_LAST)
                     : ngx_http_live_sse_add(sse, NULL);

    if (rc == NGX_DONE) {
        ngx_add_timer(ev, sse->interval);
        return;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_live_sse_cleanup(void *data)
{
    ngx_http_live_sse_t *sse = data;

    ngx_http_live_sse_count--;
    ngx_http_live_push_end(sse->request, &sse->nopush);

    if (sse->timer.timer_set) {
        ngx_del_timer(&sse->timer);
    }

    /* filters are done with it: requests are cleaned up when all is sent, or
     * will never be */

    if (sse->pool) {
        ngx_destroy_pool(sse->pool);
    }
}
