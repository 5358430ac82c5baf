
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


typedef enum {
    NGX_LIVE_PUBLISH_OK = 0,
    NGX_LIVE_PUBLISH_WAITS,         /* it has begun, the stream is another's */
    NGX_LIVE_PUBLISH_AGAIN,         /* ask again, in 50 to 200 ms */
    NGX_LIVE_PUBLISH_BUSY,          /* another publisher is there */
    NGX_LIVE_PUBLISH_FULL,          /* the zone has no room */
    NGX_LIVE_PUBLISH_LIMIT,         /* max_publications */
    NGX_LIVE_PUBLISH_BANNED         /* the control API keeps it away */
} ngx_live_publish_e;


/*
 * Who wants to publish.  name and log must live as long as the publication
 * does.  lost(data) is called when another publisher has taken the stream:
 * the caller closes its connection then.
 */
typedef struct {
    ngx_live_app_conf_t    *app;
    ngx_str_t               name;
    struct sockaddr        *sockaddr;   /* of the publisher */
    socklen_t               socklen;
    ngx_socket_t            socket;     /* TCP, for its round trip; 0: none */
    ngx_log_t              *log;
    void                  (*lost)(void *data);
    void                   *data;
    uint32_t                client;     /* a hash: whose connection it is */
    uint64_t                asked;      /* Unix ms; 0 when it asks first */
    uint64_t                max_bitrate;    /* bit/s; 0: as the application */
    uint32_t                left_out;   /* bits of its renditions: not made */
    unsigned                slate:1;    /* it stands in for one that is away */
} ngx_live_publisher_t;


typedef struct {
    live_media_e    media;
    uint32_t        timestamp;      /* ms, of decoding, modulo 2^32 */
    int32_t         cts;            /* ms */
    uint32_t        size;           /* bytes */
    unsigned        key:1;          /* of video: an IDR picture */
    unsigned        recovery:1;     /* none, but a decoder may begin here */
} ngx_live_frame_t;


/* Where one segment ends and the next begins, the same for all tracks. */
typedef struct {
    uint64_t        msn;            /* of the segment that begins */
    uint64_t        dsn;
    int64_t         us;             /* on the timeline */
    int64_t         end_us;         /* of what a discontinuity ends */
    uint32_t        flags;          /* LIVE_SEGMENT_DISCONTINUITY */
    int64_t         shift;          /* us, of the segment's date */
} ngx_live_boundary_t;


/*
 * Follows a publication: the transcoder.  tap is what open() gave, NULL when
 * it has nothing to do with the application; then none of the others is
 * called.  Event loop only.
 */
typedef struct {
    void         *(*open)(ngx_live_publication_t *pub,
                          ngx_live_app_conf_t *app);

    /* the codec record of the source came into use */
    void          (*config)(void *tap, live_media_e media);

    /* a segment begins with the frame of the source that comes next */
    void          (*boundary)(void *tap, ngx_live_boundary_t *b);

    /* a part of the source's video has ended, at us of the timeline */
    void          (*part)(void *tap, int64_t us);

    /* a frame, with its bytes in between; s is NULL when it was forgotten */
    void          (*begin)(void *tap, live_media_e media, size_t size);
    void          (*data)(void *tap, live_media_e media, u_char *data,
                          size_t len);
    void          (*sample)(void *tap, live_media_e media, live_sample_t *s);

    /* What is on its way is wanted still, up to end_us: NGX_AGAIN, and
     * ngx_live_publish_drained() follows; NGX_OK: there is nothing. */
    ngx_int_t     (*finish)(void *tap, int64_t end_us);

    /* It ends, the publication with it: nothing of the zone is touched but
     * memory that was not published when another publisher has the stream. */
    void          (*close)(void *tap, ngx_uint_t owned);
} ngx_live_tap_t;


/*
 * Begins a publication.  After NGX_LIVE_PUBLISH_WAITS it is one that stands
 * by, or that moves here from a worker that shuts down: it is used like any
 * other, and takes the stream with one of its key frames.
 */
ngx_live_publish_e ngx_live_publish_open(ngx_live_publisher_t *p,
    ngx_live_publication_t **pub);

/*
 * Ends it: what is complete is published, then the publisher may come back
 * within "resume".  Neither log nor data are used any more.
 */
void ngx_live_publish_close(ngx_live_publication_t *pub);

/*
 * The same for one of this worker whose stream another one has taken that has
 * not begun with it yet: what is complete is published even so.
 */
void ngx_live_publish_yield(ngx_live_publication_t *pub,
    ngx_live_publication_t *to);

/* A codec record; one that differs from the one in use takes effect at the
 * next key frame, with a discontinuity (RTMP-74, RTMP-75). */
ngx_int_t ngx_live_publish_config(ngx_live_publication_t *pub,
    live_codec_info_t *info, u_char *data, size_t len);

/* What the metadata say: a frame rate, the bit/s of the audio, 0 where they do
 * not, and that there is no video. */
void ngx_live_publish_metadata(ngx_live_publication_t *pub, double fps,
    uint32_t audio_rate, ngx_uint_t audio_only);

/*
 * A frame begins.  NGX_OK: its bytes follow.  NGX_DECLINED: it is not wanted.
 * NGX_ERROR: the publication must end, the reason is logged.
 */
ngx_int_t ngx_live_publish_begin(ngx_live_publication_t *pub,
    ngx_live_frame_t *frame);

/* Bytes of the frame, not more than its size; they must stay until
 * ngx_live_publish_flush(). */
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

/* The tap has nothing more; ends the publication. */
void ngx_live_publish_drained(ngx_live_publication_t *pub);

/* Set once, before any publication, by whoever follows them. */
extern ngx_live_tap_t  *ngx_live_tap;

/* 1 while this worker is the writer of the stream, or may become it. */
ngx_uint_t ngx_live_publish_owns(ngx_live_publication_t *pub);

/* From here on the publisher may send so many bit/s, and not more than the
 * application allows; 0: as many as that. */
void ngx_live_publish_max_bitrate(ngx_live_publication_t *pub, uint64_t rate);

/* 1 while it waits for the stream. */
ngx_uint_t ngx_live_publish_waits(ngx_live_publication_t *pub);

/* 1 when the configuration in effect has no such application any more. */
ngx_uint_t ngx_live_publish_removed(ngx_live_publication_t *pub);

/* 1 when the control API has ended it. */
ngx_uint_t ngx_live_publish_ended(ngx_live_publication_t *pub);

/*
 * The encoder was asked to come to another worker: for half a minute the same
 * client gets the stream, or the place of the one that stands by, at once.
 */
void ngx_live_publish_moves(ngx_live_publication_t *pub);

/* 1: a stream without publisher is about to be taken by one that stands by,
 * and does not end yet.  now: Unix ms; the zone's lock is held. */
ngx_uint_t ngx_live_publish_awaited(ngx_live_stream_sh_t *st, uint64_t now);

/* Unix time in ms of the beginning. */
uint64_t ngx_live_publish_started(ngx_live_publication_t *pub);


#endif /* _NGX_LIVE_PUBLISH_H_INCLUDED_ */
