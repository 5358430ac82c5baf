
/*
 * The transcoder of a publication: one source in, the rungs of a ladder out.
 * Shared by the files of this folder only.
 *
 * Units of the source go to a decoder; its frames to a scaler for each rung,
 * which are in a cascade where sizes allow; those to an encoder each, and the
 * packets to the tracks (ngx_live_follow_packet()).  Each of these is a stage
 * (ngx_live_stage.h).  All else runs in the event loop.
 */

#ifndef _NGX_LIVE_TRANSCODE_H_INCLUDED_
#define _NGX_LIVE_TRANSCODE_H_INCLUDED_


#include "ngx_live_core_rung.h"
#include "ngx_live_writer.h"
#include "ngx_live_stage.h"


/* frames that may wait for a scaler and for an encoder; a decoder waits where
 * one of its rungs has so many */
#define NGX_LIVE_RUNG_SCALE     12
#define NGX_LIVE_RUNG_ENCODE    24

/* frames whose times tell the frame rate */
#define NGX_LIVE_RUNG_MEASURE   10

/* units that wait for the tracks to be made, and for an encoder of audio */
#define NGX_LIVE_RUNG_EARLY     600
#define NGX_LIVE_RUNG_SOUND     600

/* segments, with the open one, that a rung may begin with: players that are
 * on a slow line are behind, and need what they did not get */
#define NGX_LIVE_RECENT         12

/* us after which the clock of the source knows it */
#define NGX_LIVE_RUNG_TRUST     1000000


typedef struct ngx_live_transcoder_s  ngx_live_transcoder_t;


typedef enum {
    NGX_LIVE_RUNG_IDLE = 0,     /* nobody wants it */
    NGX_LIVE_RUNG_WAITING,      /* for the first frame of a segment */
    NGX_LIVE_RUNG_RUNNING,
    NGX_LIVE_RUNG_DRAINING      /* its encoder gives what it has */
} ngx_live_rung_e;


/* An encoder with its track: what rungs of video and sounds share. */
typedef struct {
    ngx_live_transcoder_t  *tc;
    live_rung_t            *conf;
    live_media_e            media;
    ngx_live_writer_t       w;
    ngx_live_rung_e         state;

    ngx_live_stage_t        encode;
    live_encoder_t         *encoder;    /* the thread's while busy */
    live_rung_source_t      picture;    /* that it encodes; as above */
    live_codec_info_t       sound;      /* of audio, the same */
    ngx_live_items_t        pending;    /* of audio: before their time */

    /* what the encoder says, or would say: of the probe */
    live_codec_info_t       info;
    u_char                  config[NGX_LIVE_MAX_CONFIG];
    size_t                  config_len;
    unsigned                configured:1;   /* the above is set */

    int64_t                 last;       /* pts of the newest frame it got */

    unsigned                failed:1;   /* it is left out, was logged */
    unsigned                heard:1;    /* last is set, of audio */
    unsigned                fresh:1;    /* has begun, ngx_live_replay() next */
    unsigned                discard:1;  /* of what drains */
    unsigned                paused:1;   /* shed: its segments are GAPs */
} ngx_live_output_t;


typedef struct ngx_live_rung_s  ngx_live_rung_t;

struct ngx_live_rung_s {
    ngx_live_output_t       out;        /* first: a rung is an output */

    uint32_t                width;      /* of its picture */
    uint32_t                height;
    uint32_t                divisor;
    ngx_uint_t              sound;      /* of tc->sounds + 1; 0: the source's */

    ngx_live_stage_t        scale;
    live_scaler_t          *scaler;     /* the thread's while busy */
    live_rung_source_t      source;     /* that it scales */
    live_rung_source_t      target;     /* what it gives */

    ngx_live_rung_t        *above;      /* whose frames it scales */
    ngx_uint_t              users;      /* rungs that scale its frames */
    ngx_uint_t              odd;        /* counts frames while it is halved */

    unsigned                scaling:1;  /* its scaler gets frames ... */
    unsigned                fed:1;      /* ... and has one */
    unsigned                halved:1;   /* shed: every other frame */
};


struct ngx_live_transcoder_s {
    ngx_queue_t             queue;      /* all of this worker */
    ngx_live_publication_t *pub;        /* NULL: it ended */
    ngx_live_app_conf_t    *app;
    ngx_log_t              *log;        /* the cycle's */

    /* the unit that is arriving, by live_media_e */
    ngx_live_item_t        *arriving[2];
    ngx_uint_t              filled[2];

    /* video */
    ngx_live_stage_t        decode;
    live_decoder_t         *decoder;    /* the thread's while busy */
    live_rung_source_t      decoded;    /* what it last gave; as above */
    int64_t                 marks[NGX_LIVE_BOUNDARIES];     /* as above */
    ngx_uint_t              nmarks;
    live_rung_source_t      source;     /* the loop's copy of decoded */
    int64_t                 mark;       /* for the next unit */
    ngx_live_rung_t         rungs[NGX_LIVE_MAX_RUNGS];  /* from high to low */
    ngx_uint_t              nrungs;

    /* audio */
    ngx_live_stage_t        listen;
    live_decoder_t         *listener;   /* the thread's while busy */
    ngx_live_output_t       sounds[NGX_LIVE_MAX_SOUNDS];
    ngx_uint_t              nsounds;

    ngx_live_stage_t        probe;
    live_codec_info_t       probed[2];  /* of what: the source's */

    /* how the source was cut, of late: ngx_live_transcode_replay.c */
    ngx_live_boundary_t     recent[NGX_LIVE_RECENT];
    ngx_uint_t              nrecent;
    int64_t                 ends[NGX_LIVE_ENDS];
    ngx_uint_t              nends;

    int64_t                 end_us;     /* of the publication, while it ends */
    ngx_event_t             timer;      /* bounds that */

    /* shedding, ngx_live_transcode_shed.c */
    ngx_uint_t              level;
    ngx_msec_t              checked;
    ngx_msec_t              changed;    /* the level */
    ngx_msec_t              calm;       /* since when nothing is late */
    ngx_msec_t              patience;   /* ms of calm before it recovers */
    ngx_msec_t              grace;      /* until then it makes up for units */
    size_t                  queued;     /* counted in the stream */
    uint64_t                skipped;

    unsigned                marked:1;   /* mark is set */
    unsigned                decoding:1;
    unsigned                listening:1;
    unsigned                dropping:1; /* units, up to a key frame */
    unsigned                prepared:1; /* what rungs there are is known */
    unsigned                tracked:1;  /* and they have tracks */
    unsigned                finishing:1;
    unsigned                recovered:1;    /* the last change was one down */

    /* of the loop, read by threads */
    ngx_uint_t              skip;       /* pictures that nothing refers to */
    ngx_uint_t              gone;       /* the publication: encode no more */
};


/* --- ngx_live_transcode_probe.c --- */

/* Finds out in a thread what the rungs will be for the source; then their
 * tracks are made. */
void ngx_live_transcode_prepare(ngx_live_transcoder_t *tc);
void ngx_live_transcode_probe_run(ngx_live_stage_t *s);
void ngx_live_transcode_probe_done(ngx_live_stage_t *s);

/* Makes the tracks, once the source has its own and the probe is done. */
void ngx_live_transcode_tracks(ngx_live_transcoder_t *tc);


/* --- ngx_live_transcode_demand.c --- */

/* Starts and stops rungs and sounds as they are wanted; with each frame of
 * the source, while none has arrived in part. */
void ngx_live_transcode_demand(ngx_live_transcoder_t *tc);

/* The decoder goes on with the codec record that is in use now. */
void ngx_live_transcode_record(ngx_live_transcoder_t *tc,
    live_media_e media);

/* Frames a second of the source, as they have come; 0: not known yet. */
double ngx_live_transcode_fps(ngx_live_transcoder_t *tc);

/* A rung begins with the next segment, or with ngx_live_replay(); it is
 * idle. */
void ngx_live_rung_start(ngx_live_rung_t *r);

/* Its encoder ends; what it still gives is published when keep is 1. */
void ngx_live_rung_stop(ngx_live_rung_t *r, ngx_uint_t keep);

void ngx_live_sound_start(ngx_live_output_t *o);
void ngx_live_sound_stop(ngx_live_output_t *o, ngx_uint_t keep);

/* Rungs that run always begin with the segment that is being made: what came
 * of it while they were prepared has been kept. */
void ngx_live_transcode_early(ngx_live_transcoder_t *tc);

/* 1 when somebody has asked for its track lately, or it runs always. */
ngx_uint_t ngx_live_output_wanted(ngx_live_output_t *o);

/* The encoder has ended, and given all. */
void ngx_live_output_drained(ngx_live_output_t *o);

/* It cannot go on: logged, and left out from here on. */
void ngx_live_output_fail(ngx_live_output_t *o, const char *reason);

/* Tells the publication when all that was on its way is published. */
void ngx_live_transcode_drained(ngx_live_transcoder_t *tc);

/* Frees it when it has ended and no thread has any of it. */
void ngx_live_transcode_release(ngx_live_transcoder_t *tc);


/* --- ngx_live_transcode_replay.c --- */

/* Notes how the source is cut: the boundary of a segment, us where a part
 * ends. */
void ngx_live_replay_boundary(ngx_live_transcoder_t *tc,
    ngx_live_boundary_t *b);
void ngx_live_replay_part(ngx_live_transcoder_t *tc, int64_t us);

/* Which of tc->recent so many rungs of video may begin with; tc->nrecent:
 * they wait for the next segment. */
ngx_uint_t ngx_live_replay_first(ngx_live_transcoder_t *tc,
    ngx_uint_t rungs);

/* What has just begun gets the units of the segment that it begins with. */
void ngx_live_replay(ngx_live_transcoder_t *tc);


/* --- ngx_live_transcode_video.c --- */

void ngx_live_decode_run(ngx_live_stage_t *s);
void ngx_live_decode_done(ngx_live_stage_t *s);
void ngx_live_scale_run(ngx_live_stage_t *s);
void ngx_live_scale_done(ngx_live_stage_t *s);
void ngx_live_encode_run(ngx_live_stage_t *s);
void ngx_live_encode_done(ngx_live_stage_t *s);

/* Writes a packet, or takes a codec record over. */
void ngx_live_output_write(ngx_live_output_t *o, ngx_live_item_t *item);

/* Has the decoder work, unless a rung has more than it can take. */
void ngx_live_decode_start(ngx_live_transcoder_t *tc);

/* An END for a stage, and has it work. */
void ngx_live_stage_end(ngx_live_stage_t *s);


/* --- ngx_live_transcode_audio.c --- */

void ngx_live_listen_run(ngx_live_stage_t *s);
void ngx_live_listen_done(ngx_live_stage_t *s);
void ngx_live_sound_done(ngx_live_stage_t *s);

/* Writes packets of audio that video has come up to. */
void ngx_live_sound_write(ngx_live_output_t *o);


/* --- ngx_live_transcode_shed.c --- */

/* Looks whether the stages keep up, about four times a second. */
void ngx_live_transcode_shed(ngx_live_transcoder_t *tc);

/* Puts a level in force, also for rungs that have just begun. */
void ngx_live_transcode_level(ngx_live_transcoder_t *tc);


#endif /* _NGX_LIVE_TRANSCODE_H_INCLUDED_ */
