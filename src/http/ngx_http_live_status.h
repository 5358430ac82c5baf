
/* The two forms of live_status: shared by its files only.  Event loop only. */

#ifndef _NGX_HTTP_LIVE_STATUS_H_INCLUDED_
#define _NGX_HTTP_LIVE_STATUS_H_INCLUDED_


#include "ngx_http_live_out.h"
#include "ngx_live_stat.h"


/* What one response is made with; s is for one stream after the other. */
typedef struct {
    ngx_pool_t               *pool;
    ngx_http_live_out_t       out;
    const char               *line;         /* what begins a line of JSON */
    ngx_live_stat_zone_t      zone;
    ngx_live_stat_stream_t    s;
} ngx_http_live_status_t;


/* NGX_ERROR: no memory. */
ngx_int_t ngx_http_live_status_json(ngx_http_live_status_t *status);

/* In the shape of nginx-rtmp's stat. */
ngx_int_t ngx_http_live_status_xml(ngx_http_live_status_t *status);


#endif /* _NGX_HTTP_LIVE_STATUS_H_INCLUDED_ */
