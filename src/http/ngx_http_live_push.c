
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_push.h"


/*
 * With TCP_CORK, or waiting for an acknowledgement, the end of a part would
 * stay here until the next one comes (HTTP-75).  HTTP/2 sees to it itself.
 */

ngx_int_t
ngx_http_live_push_tcp(ngx_http_request_t *r, ngx_uint_t *nopush)
{
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;

    if (r->http_version != NGX_HTTP_VERSION_11) {
        return NGX_OK;
    }

    if (c->tcp_nopush == NGX_TCP_NOPUSH_SET) {

        if (ngx_tcp_push(c->fd) == -1) {
            ngx_connection_error(c, ngx_socket_errno,
                                 ngx_tcp_push_n " failed");
            return NGX_ERROR;
        }

        c->tcp_nopush = NGX_TCP_NOPUSH_UNSET;
    }

    if (c->tcp_nopush == NGX_TCP_NOPUSH_UNSET) {
        c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
        *nopush = 1;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return clcf->tcp_nodelay ? ngx_tcp_nodelay(c) : NGX_OK;
}


void
ngx_http_live_push_end(ngx_http_request_t *r, ngx_uint_t *nopush)
{
    if (*nopush) {
        r->connection->tcp_nopush = NGX_TCP_NOPUSH_UNSET;
        *nopush = 0;
    }
}


/* A client that takes nothing is waited for as nginx does. */

ngx_int_t
ngx_http_live_push_pending(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;

    if (!r->buffered && !r->connection->buffered) {

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        return NGX_DONE;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed && !wev->timer_set) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_DONE;
}


/* What nginx could not send at once, in the manner of ngx_http_writer(). */

void
ngx_http_live_push_writer(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;
    wev = c->write;

    if (c->error) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (wev->delayed || r->aio) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    /* the client has taken something, and the time begins anew */

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    if ((r->buffered || c->buffered)
        && ngx_http_output_filter(r, NULL) == NGX_ERROR)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (ngx_http_live_push_pending(r) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}
