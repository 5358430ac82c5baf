
/*
 * What one application allows: publications, their bit rate and key frame
 * interval, and how many are transcoded.  Publications are counted in the
 * zone when one begins, from the streams themselves, so that no count can be
 * left behind by a worker that died.  Event loop only.
 */

#ifndef _NGX_LIVE_LIMIT_H_INCLUDED_
#define _NGX_LIVE_LIMIT_H_INCLUDED_


#include "ngx_live_publish.h"


/* Who a client is where clients are counted. */
typedef struct {
    uint32_t                 len;       /* 0: nobody, is not counted */
    u_char                   data[NGX_LIVE_ADDRESS];
} ngx_live_address_t;


/* Of a publication: what has come of late. */
typedef struct {
    uint64_t                 excess;    /* bits above the rate */
    ngx_msec_t               msec;      /* of ngx_current_msec, for those */
    uint64_t                 rate;      /* bit/s; 0: as the application */
    int64_t                  key_us;    /* the last key frame of video ... */
    int64_t                  video_us;  /* ... and the last frame */
    unsigned                 video:1;   /* there was one */
} ngx_live_limit_t;


/*
 * The address of a client: 4 bytes of IPv4, also where it is mapped into IPv6,
 * or the network of 64 bits of IPv6, which is what one customer is given.
 * Others, UNIX sockets, have none.
 */
void ngx_live_address(struct sockaddr *sa, ngx_live_address_t *address);

/*
 * NGX_OK: that publication of the application may begin, on top of those that
 * there are.  NGX_BUSY: max_publications forbids it.  st is the stream that it
 * is for, which does not count, or NULL.  The zone's lock is held.
 */
ngx_int_t ngx_live_limit_publications_locked(ngx_live_zone_t *zone,
    ngx_live_app_conf_t *app, ngx_live_stream_sh_t *st,
    ngx_live_address_t *address);

/*
 * Counts bytes that have come from the publisher.  NULL: all is well; else why
 * the publication has to end, for log and publisher, valid until the next
 * call.
 */
const char *ngx_live_limit_check(ngx_live_publication_t *pub, size_t bytes);

/*
 * NGX_OK: the publication may be transcoded, and counts until
 * ngx_live_limit_transcoded().  NGX_BUSY: max_transcodes forbids it, which was
 * logged.
 */
ngx_int_t ngx_live_limit_transcode(ngx_live_publication_t *pub);

/* owned: 0 when another publisher has the stream. */
void ngx_live_limit_transcoded(ngx_live_publication_t *pub,
    ngx_uint_t owned);


/* A frame of video, at us of the timeline. */
static ngx_inline void
ngx_live_limit_frame(ngx_live_limit_t *limit, int64_t us, ngx_uint_t key)
{
    if (key || !limit->video) {
        limit->video = 1;
        limit->key_us = us;
    }

    limit->video_us = us;
}


#endif /* _NGX_LIVE_LIMIT_H_INCLUDED_ */
