
/*
 * Renders the playlists of a stream into the zone: by its owner, once per
 * change; readers get ready bytes.
 */

#ifndef _NGX_LIVE_RENDER_H_INCLUDED_
#define _NGX_LIVE_RENDER_H_INCLUDED_


#include "ngx_live_zone.h"


/* The media playlist of a track. */
void ngx_live_render_media(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_uint_t track);

/* The multivariant playlist, when every track that it names has one. */
void ngx_live_render_multivariant(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);

/* All of them. */
void ngx_live_render_stream(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st);


#endif /* _NGX_LIVE_RENDER_H_INCLUDED_ */
