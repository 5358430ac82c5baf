
/*
 * The directive "rendition".  While the configuration is read.
 */

#ifndef _NGX_LIVE_CORE_RUNG_H_INCLUDED_
#define _NGX_LIVE_CORE_RUNG_H_INCLUDED_


#include "ngx_live.h"
#include "live_rung.h"


/* without "source copy" */
#define NGX_LIVE_MAX_RUNGS   8

/* audio tracks that are made for them */
#define NGX_LIVE_MAX_SOUNDS  4


/* Handler of the directive: adds a rung to the renditions of conf, which is an
 * ngx_live_app_conf_t; all that is wrong is logged. */
char *ngx_live_core_rendition(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* 1 when the source is served as it is: "source copy" is among the rungs, or
 * there are none (NULL). */
ngx_uint_t ngx_live_core_copy(ngx_array_t *rungs);

/*
 * Creates the encoders of a finished rung and frees them, so that what they
 * refuse is known before anybody publishes; of hardware, which may not be here
 * or not for this process, only that libavcodec has the encoder.  NGX_ERROR
 * was logged.  libav's log callback is its default one afterwards.
 */
ngx_int_t ngx_live_core_rung_try(ngx_conf_t *cf, const live_rung_t *r);


#endif /* _NGX_LIVE_CORE_RUNG_H_INCLUDED_ */
