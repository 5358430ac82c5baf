
/*
 * Directives of live{} that limit publishers, and a check that directives of
 * other blocks use as well.  While the configuration is read.
 */

#ifndef _NGX_LIVE_CORE_LIMIT_H_INCLUDED_
#define _NGX_LIVE_CORE_LIMIT_H_INCLUDED_


#include "ngx_live.h"


/* The post of a number, a size or a time, which are words of one size:
 * ngx_live_core_bounds, the least and the most, and the same as a text. */
typedef struct {
    ngx_conf_post_handler_pt  handler;
    ngx_uint_t                low;
    ngx_uint_t                high;
    const char               *text;
} ngx_live_core_bounds_t;


char *ngx_live_core_bounds(ngx_conf_t *cf, void *post, void *data);

/*
 * Takes "NAME number|off [PARAMETER=number|off]" into two numbers that were
 * NGX_CONF_UNSET_UINT; off is 0, and what a parameter is that is not there.
 * Returns as a directive's handler does.
 */
char *ngx_live_core_two(ngx_conf_t *cf, ngx_uint_t *number,
    const char *parameter, ngx_uint_t *second);

/* Handlers of max_publications, max_bitrate, max_gop and max_transcodes; conf
 * is an ngx_live_app_conf_t. */
char *ngx_live_core_max_publications(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_live_core_max_bitrate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_live_core_max_gop(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_live_core_max_transcodes(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* What was just allocated, and what stands around it. */
void ngx_live_core_limit_create(ngx_live_app_conf_t *conf);
void ngx_live_core_limit_merge(ngx_live_app_conf_t *conf,
    ngx_live_app_conf_t *prev);


#endif /* _NGX_LIVE_CORE_LIMIT_H_INCLUDED_ */
