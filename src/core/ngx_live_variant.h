
/*
 * An application as a created stream has it: less of its renditions, no low
 * latency.  Event loop only.
 */

#ifndef _NGX_LIVE_VARIANT_H_INCLUDED_
#define _NGX_LIVE_VARIANT_H_INCLUDED_


#include "ngx_live_registry.h"


/*
 * The settings for a created stream; app itself where entry (may be NULL)
 * changes none of them, or where this worker has too many kinds already, which
 * is logged.  They stay as long as app does.
 */
ngx_live_app_conf_t *ngx_live_variant(ngx_live_app_conf_t *app,
    ngx_live_entry_sh_t *entry);

/* The rendition of an application, "source" among them, as a bit of what
 * entries choose from; 0: it has none of that name. */
uint64_t ngx_live_variant_bit(ngx_live_app_conf_t *app, ngx_str_t *name);


#endif /* _NGX_LIVE_VARIANT_H_INCLUDED_ */
