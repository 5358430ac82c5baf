
/*
 * Renders the texts of a stream into the zone: by its owner, once per change
 * and once per pass of the event loop; readers get ready bytes.
 */

#ifndef _NGX_LIVE_RENDER_H_INCLUDED_
#define _NGX_LIVE_RENDER_H_INCLUDED_


#include "ngx_live_zone.h"


/* how long a first version waits for a track that is announced, ms */
#define NGX_LIVE_RENDER_WAIT  2000

/* bits of docs */
#define NGX_LIVE_RENDER_MULTIVARIANT  (1 << NGX_LIVE_DOC_MULTIVARIANT)
#define NGX_LIVE_RENDER_MEDIA                                                 \
    (((1 << NGX_LIVE_MAX_TRACKS) - 1) << ngx_live_doc_media(0))
#define NGX_LIVE_RENDER_MPD           (1 << NGX_LIVE_DOC_MPD)
#define NGX_LIVE_RENDER_TS            (1 << NGX_LIVE_DOC_TS)
#define NGX_LIVE_RENDER_ALL                                                   \
    (NGX_LIVE_RENDER_MULTIVARIANT|NGX_LIVE_RENDER_MEDIA                       \
     |NGX_LIVE_RENDER_MPD|NGX_LIVE_RENDER_TS)


/*
 * Renders these docs when the events of this pass are done, and wakes those
 * who wait for the stream; owner only.
 */
void ngx_live_render_later(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint32_t docs);

/* The same at once, with all that was asked for before. */
void ngx_live_render_now(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint32_t docs);

/* Takes the segments of a doc from the zone; used by the files of this only:
 * n of them from msn on. */
void ngx_live_render_segments(ngx_live_track_sh_t *t, uint64_t msn,
    uint64_t n, live_m3u8_segment_t *segments);

/* 1 when the track has, or is about to have, media that players are told of;
 * owner only. */
ngx_uint_t ngx_live_render_playing(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t);

/* Publishes what was rendered; 0: it is what it was. */
ngx_uint_t ngx_live_render_publish(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, ngx_uint_t doc, live_writer_t *w,
    ngx_live_edge_t *edge, live_m3u8_delta_t *delta);

/* The DASH manifest. */
void ngx_live_render_mpd(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st);

/*
 * Decides of each segment of the source that is complete and was not looked at
 * yet whether a DASH period begins with it (DASH-30, DASH-35).  In the owner of
 * the stream, whenever segments were published, by whatever way.
 */
void ngx_live_period_advance(ngx_live_stream_sh_t *st);


#endif /* _NGX_LIVE_RENDER_H_INCLUDED_ */
