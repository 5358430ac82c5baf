
/*
 * The writer of one track: appends samples to the track's log and publishes
 * parts and segments.  Shared by the files of a publication only.
 */

#ifndef _NGX_LIVE_WRITER_H_INCLUDED_
#define _NGX_LIVE_WRITER_H_INCLUDED_


#include <sys/uio.h>
#include "ngx_live_publish.h"
#include "ngx_live_limit.h"
#include "ngx_live_slate.h"
#include "live_clock.h"
#include "live_drift.h"
#include "live_m3u8.h"


#define NGX_LIVE_IOVS        64
#define NGX_LIVE_BOUNDARIES  16
#define NGX_LIVE_ENDS        128
#define NGX_LIVE_STAGE       (16 * 1024)


#define NGX_LIVE_CUT_WAIT    2000000    /* us, for a track that stalls */
#define NGX_LIVE_CUT_NEAR    20000      /* us, a key frame is on time */
#define NGX_LIVE_CUT_EXACT   2000       /* us, what rounding makes */
#define NGX_LIVE_CUT_DRIFT   1          /* ms, by which parts may be longer */


typedef struct {
    ngx_live_publication_t  *pub;
    ngx_live_track_sh_t     *sh;        /* NULL until its first sample */
    ngx_uint_t               index;     /* of the track in the stream */
    live_media_e             media;

    live_codec_info_t        info;
    live_codec_info_t        next_info;
    u_char                  *config;
    u_char                  *next_config;
    size_t                   config_len;
    size_t                   next_len;

    live_track_clock_t       clock;
    int64_t                  shift;     /* ticks: dts to first pts */
    int64_t                  end;       /* ticks: behind the last sample */
    int64_t                  shown;     /* ticks: the same, as presented */
    ngx_uint_t               broken;    /* it closes at an interruption */

    /* the log */
    uint64_t                 base;
    uint64_t                 pos;       /* where the next byte goes */
    uint64_t                 reserved;  /* behind what the budget covers */
    uint64_t                 pending;   /* where iov goes */
    struct iovec             iov[NGX_LIVE_IOVS];
    ngx_uint_t               niov;
    u_char                  *stage;     /* collects small frames, or NULL */
    size_t                   staged;

    /* the open segment */
    ngx_live_segment_sh_t    seg;
    ngx_live_boundary_t      at;        /* where it began */

    /* the open part */
    uint64_t                 part;      /* its offset */
    size_t                   room;      /* for its header */
    uint32_t                 sequence;
    live_sample_t           *samples;
    uint64_t                *arrived;   /* Unix us, of each */
    uint32_t                 nsamples;
    uint32_t                 allocated;
    uint32_t                 capacity;  /* what the header has room for */

    /* the frame that is arriving */
    live_sample_t            frame;

    ngx_live_boundary_t      boundaries[NGX_LIVE_BOUNDARIES];
    ngx_uint_t               nboundaries;

    /* us where parts of video have ended: those of audio end there as well */
    int64_t                  ends[NGX_LIVE_ENDS];
    ngx_uint_t               nends;

    unsigned                 configured:1;
    unsigned                 changed:1;     /* next_config waits for a key */
    unsigned                 open:1;        /* a segment is */
    unsigned                 arriving:1;    /* a frame is */
    unsigned                 need_key:1;
    unsigned                 follows:1;     /* is cut where others are */
} ngx_live_writer_t;


struct ngx_live_publication_s {
    ngx_queue_t              queue;     /* all of this worker */
    ngx_live_zone_t         *zone;
    ngx_live_stream_sh_t    *st;
    uint64_t                 id;        /* of the stream */
    uint64_t                 number;    /* st->publication when it began */
    ngx_log_t               *log;
    void                   (*lost)(void *data);
    void                    *data;
    ngx_live_app_conf_t     *app;
    ngx_live_app_conf_t     *whole;     /* app is a variant of it, or it */
    uint32_t                 options;   /* NGX_LIVE_NO_* */
    ngx_str_t                name;
    uint32_t                 client;    /* a hash */
    uint64_t                 asked;     /* Unix ms */
    uint64_t                 place;     /* of the one that stands by, or 0 */
    void                    *tap;       /* of ngx_live_tap, or NULL */
    ngx_uint_t               rungs;     /* tracks that the tap announces */
    uint32_t                 left_out;  /* of the application's renditions */

    live_clock_t             clock;
    live_drift_t             drift;
    double                   fps;       /* from metadata */
    uint32_t                 audio_rate;    /* bit/s, the same */
    int64_t                  segment_us;
    int64_t                  max_us;
    int64_t                  begin_us;  /* of the segment of the lead */
    int64_t                  length_us; /* of the one before it; 0 unknown */
    int64_t                  video_us;  /* the newest video frame */
    int64_t                  first_us;  /* the first frame of any kind */
    int64_t                  newest_us;
    int64_t                  idr_us;    /* the newest IDR picture */
    uint64_t                 started;

    /* of this publication, for its log */
    uint64_t                 bytes;
    uint64_t                 frames[2]; /* by live_media_e */
    uint64_t                 lost_frames;
    uint64_t                 discontinuities;

    ngx_live_boundary_t      last;      /* the newest boundary */
    ngx_live_writer_t       *lead;      /* whose it was */
    ngx_live_writer_t        writers[2];    /* by live_media_e */
    ngx_live_limit_t         limit;
    ngx_live_address_t       address;   /* of the publisher */
    ngx_live_slate_t        *slate;     /* for when it is gone, or NULL */
    ngx_socket_t             socket;    /* its connection's, 0: none */
    char                     peer[NGX_LIVE_STAT_PEER];

    unsigned                 copy:1;        /* playlists name the source */
    unsigned                 timed:1;       /* the clock was started */
    unsigned                 cut:1;         /* there was a boundary */
    unsigned                 audio_only:1;  /* the metadata says so */
    unsigned                 discontinuity:1;
    unsigned                 warned:1;      /* about key frames */
    unsigned                 dropped:1;     /* a frame was bad, logged */
    unsigned                 idr:1;         /* an IDR picture has come */
    unsigned                 recovery:1;    /* they are rare, logged */
    unsigned                 waits:1;       /* st is another's still */
    unsigned                 refused:1;     /* it waits for nothing */
    unsigned                 settled:1;     /* all settings apply */
    unsigned                 closing:1;     /* the tap still has something */
    unsigned                 builtin:1;     /* it is a slate */
};


/* us of the timeline that is now. */
int64_t ngx_live_publish_now(ngx_live_publication_t *pub);

/* us where what the open segments present ends.  0: they have no sample. */
int64_t ngx_live_cut_end(ngx_live_publication_t *pub);

/*
 * Closes the open segment of a track where the timeline is interrupted: it
 * lasts until end_us like those of the other tracks, or players find a hole.
 */
ngx_int_t ngx_live_cut_interrupt(ngx_live_writer_t *w, int64_t end_us);


/* Adds it to those of this worker; ngx_live_publish_free() takes it away. */
void ngx_live_publish_add(ngx_live_publication_t *pub);

/* A GAP for the next segment of a track, as long as that of another track. */
void ngx_live_publish_gap(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t);

/* Gives back what a writer has reserved, or not published, of a stream that
 * another publisher has. */
void ngx_live_publish_release(ngx_live_writer_t *w);

/* Gives the writer a log of its own in its track. */
void ngx_live_writer_attach(ngx_live_writer_t *w, ngx_live_track_sh_t *t,
    ngx_uint_t index);

/*
 * ngx_live_stat_count.c: the first n samples have been published, as a part of
 * that many ticks, and the open segment.
 */
void ngx_live_stat_samples(ngx_live_writer_t *w, uint32_t n);
void ngx_live_stat_part(ngx_live_writer_t *w, int64_t duration);
void ngx_live_stat_segment(ngx_live_writer_t *w);

/* It has taken its stream; the zone's lock is held. */
void ngx_live_stat_taken(ngx_live_publication_t *pub);

/* The round trip of its connection; timer. */
void ngx_live_stat_publisher(ngx_live_publication_t *pub);

/* Opens a segment at a boundary; there is none open. */
ngx_int_t ngx_live_writer_open(ngx_live_writer_t *w, ngx_live_boundary_t *b);

/*
 * Closes the open segment with its first n samples and publishes it; what is
 * behind them in the log is kept for the caller to move.  end: ticks, where
 * the next one begins.
 */
ngx_int_t ngx_live_writer_close(ngx_live_writer_t *w, uint32_t n,
    int64_t end);

/* Closes the open part with its first n samples; end as above. */
ngx_int_t ngx_live_writer_part(ngx_live_writer_t *w, uint32_t n,
    int64_t end);

/* Begins a part at the end of the log, for samples to come. */
ngx_int_t ngx_live_writer_begin_part(ngx_live_writer_t *w);

ngx_int_t ngx_live_writer_append(ngx_live_writer_t *w, u_char *data,
    size_t len);
ngx_int_t ngx_live_writer_flush(ngx_live_writer_t *w);

/* The arrived frame becomes a sample of the open part. */
ngx_int_t ngx_live_writer_sample(ngx_live_writer_t *w);

/*
 * Closes the open segment with its first n samples and opens the next one at
 * a boundary with the rest, which is moved there: audio that had arrived
 * before the video which decides where segments end.
 */
ngx_int_t ngx_live_writer_split(ngx_live_writer_t *w, uint32_t n,
    ngx_live_boundary_t *b);


/* Closes the open part with its first n samples, n > 0, and begins the next
 * one with the rest, which is moved there. */
ngx_int_t ngx_live_writer_cut(ngx_live_writer_t *w, uint32_t n);


/* Puts the codec record of a writer in use: a new init segment. */
ngx_int_t ngx_live_publish_activate(ngx_live_writer_t *w);

/* Opens the segments that other tracks have opened already, for a track that
 * nothing comes for. */
ngx_int_t ngx_live_cut_laggards(ngx_live_publication_t *pub, int64_t us);

/* Takes the boundaries that the time of the track has reached; dts is where
 * the frame behind them is, in ticks. */
ngx_int_t ngx_live_cut_queued(ngx_live_writer_t *w, int64_t us, int64_t dts);

/*
 * Where a segment ends, in ticks: at dts, where its next frame is.  Where
 * frames were lost across the boundary, at that, so that segments of the same
 * number line up (HLS-46); the next frame of sound is placed there.
 */
int64_t ngx_live_cut_joint(ngx_live_writer_t *w, ngx_live_boundary_t *b,
    int64_t dts);

/* Closes the part when a frame at dts, one more, would make it too long. */
ngx_int_t ngx_live_cut_part(ngx_live_writer_t *w, int64_t dts);

/*
 * The first *n samples turn out to belong to the segment: closes parts until
 * they are no more than one.  Audio gathers while it waits for video.
 */
ngx_int_t ngx_live_cut_whole(ngx_live_writer_t *w, uint32_t *n);

/* Decides how long parts are in this timeline (HLS-50, HLS-51). */
void ngx_live_cut_target(ngx_live_publication_t *pub);

/*
 * A frame has arrived whole: closes what cannot take another one, without
 * waiting for the next frame where the rate is steady.
 */
ngx_int_t ngx_live_cut_arrived(ngx_live_publication_t *pub);

/*
 * A track that follows the source: ngx_live_follow.c.  Its boundaries and the
 * ends of its parts are those of the source, which come first; they are
 * forgotten by ngx_live_follow_begin(), after which the track begins with the
 * next boundary.
 */
ngx_int_t ngx_live_follow_init(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, ngx_live_track_sh_t *t, ngx_uint_t index);
void ngx_live_follow_begin(ngx_live_writer_t *w);
void ngx_live_follow_boundary(ngx_live_writer_t *w, ngx_live_boundary_t *b);

/* A part of the source's video ends at us; so does one of the track that has
 * all its samples.  NGX_ERROR: logged, the track cannot go on. */
ngx_int_t ngx_live_follow_part(ngx_live_writer_t *w, int64_t us);

/* A codec record, which takes effect at the next boundary. */
ngx_int_t ngx_live_follow_config(ngx_live_writer_t *w,
    const live_codec_info_t *info, const u_char *config, size_t len);

/* A packet; times are ticks of the track.  NGX_ERROR: logged, the track can
 * not go on.  NGX_DECLINED: it is before the first boundary. */
ngx_int_t ngx_live_follow_packet(ngx_live_writer_t *w,
    const live_sample_t *s, const u_char *data);

/* Nothing comes any more for the segments that end up to us: they become
 * GAPs. */
ngx_int_t ngx_live_follow_gap(ngx_live_writer_t *w, int64_t us);

/* Ends the open segment, at end_us, 0: where its samples do. */
void ngx_live_follow_end(ngx_live_writer_t *w, int64_t end_us);

/* Ends, and gives back all media of the track. */
void ngx_live_follow_clear(ngx_live_writer_t *w);

/* Frees what the writer has, nothing of the zone.  owned is 0 when another
 * publisher has the stream: then memory that was reserved is given back. */
void ngx_live_follow_free(ngx_live_writer_t *w, ngx_uint_t owned);


/* The frame is placed: boundaries, parts.  As ngx_live_publish_begin(). */
ngx_int_t ngx_live_cut_frame(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us, ngx_live_frame_t *frame);


#endif /* _NGX_LIVE_WRITER_H_INCLUDED_ */
