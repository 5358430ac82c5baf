
/*
 * A publication: one publisher's time on a stream, in the worker that holds
 * its connection.  Ingest hands in configurations and frames; this cuts them
 * into parts and segments and publishes these in the zone.  Event loop only.
 */

#ifndef _NGX_LIVE_PUBLISH_H_INCLUDED_
#define _NGX_LIVE_PUBLISH_H_INCLUDED_


#include "ngx_live_zone.h"
#include "live_types.h"


/* ms of media that an ingest may let gather before it reads */
#define NGX_LIVE_PUBLISH_LAG  30


typedef struct ngx_live_publication_s  ngx_live_publication_t;


/* Why a publication cannot begin. */
typedef enum {
    NGX_LIVE_PUBLISH_OK = 0,
    NGX_LIVE_PUBLISH_BUSY,          /* another publisher is there */
    NGX_LIVE_PUBLISH_FULL           /* the zone has no room */
} ngx_live_publish_e;


typedef struct {
    live_media_e    media;
    uint32_t        timestamp;      /* ms, of decoding, modulo 2^32 */
    int32_t         cts;            /* ms */
    uint32_t        size;           /* bytes */
    unsigned        key:1;
} ngx_live_frame_t;


/*
 * Begins a publication; log must live as long as it does.  lost(data) is
 * called when another publisher has taken the stream: the caller closes its
 * connection then.
 */
ngx_live_publish_e ngx_live_publish_open(ngx_live_app_conf_t *app,
    ngx_str_t *name, ngx_log_t *log, void (*lost)(void *data), void *data,
    ngx_live_publication_t **pub);

/*
 * Ends it: what is complete is published, then the publisher may come back
 * within "resume".
 */
void ngx_live_publish_close(ngx_live_publication_t *pub);

/* A codec record; one that differs from the one in use takes effect at the
 * next key frame, with a discontinuity (RTMP-74, RTMP-75). */
ngx_int_t ngx_live_publish_config(ngx_live_publication_t *pub,
    live_codec_info_t *info, u_char *data, size_t len);

/* What the metadata say: a frame rate or 0, and that there is no video. */
void ngx_live_publish_metadata(ngx_live_publication_t *pub, double fps,
    ngx_uint_t audio_only);

/*
 * A frame begins.  NGX_OK: its bytes follow.  NGX_DECLINED: it is not wanted.
 * NGX_ERROR: the publication must end, the reason is logged.
 */
ngx_int_t ngx_live_publish_begin(ngx_live_publication_t *pub,
    ngx_live_frame_t *frame);

/* Bytes of the frame; they must stay until ngx_live_publish_flush(). */
ngx_int_t ngx_live_publish_data(ngx_live_publication_t *pub,
    live_media_e media, u_char *data, size_t len);

/* The frame is complete, or, when it is not valid, forgotten. */
ngx_int_t ngx_live_publish_end(ngx_live_publication_t *pub,
    live_media_e media, ngx_uint_t valid);

/* Writes what was handed in by reference; bytes counts what the publisher
 * has sent since the last call. */
ngx_int_t ngx_live_publish_flush(ngx_live_publication_t *pub, size_t bytes);

/*
 * Puts a stream in order that its writer has left: completes the segments
 * that were being made with what was published of them, and gives all tracks
 * the same number of segments; owner only.
 */
void ngx_live_publish_align(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st);

/* 1 when the next frame is likely to complete a part: it should be read as
 * soon as it has arrived. */
ngx_uint_t ngx_live_publish_eager(ngx_live_publication_t *pub);

/* Tells publications of this worker that have lost their stream; timer. */
void ngx_live_publish_check(void);

/* 1 while this worker is the writer of the stream. */
ngx_uint_t ngx_live_publish_owns(ngx_live_publication_t *pub);

/* Unix time in ms of the beginning. */
uint64_t ngx_live_publish_started(ngx_live_publication_t *pub);


#endif /* _NGX_LIVE_PUBLISH_H_INCLUDED_ */
