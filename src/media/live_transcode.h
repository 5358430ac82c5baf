
/*
 * Decoding, scaling and encoding through libav.  Pure; each object is used by
 * one thread at a time, in turn by any (pool threads), and shares nothing
 * with another; a frame may be read by several threads at once, each with a
 * reference of its own.  Times are ticks of the stream's timeline: 90000 a
 * second for video, for audio what the codec info says.
 *
 * Where a segment begins is said by a mark on a frame: it goes with the frame
 * through all scalers, which keep what is marked, and makes each encoder begin
 * a closed GOP there.  So the rungs are cut at the same times, however many
 * frames each of them holds back.
 */

#ifndef _LIVE_TRANSCODE_H_INCLUDED_
#define _LIVE_TRANSCODE_H_INCLUDED_


#include "live_types.h"
#include "live_rung.h"


typedef struct live_decoder_s  live_decoder_t;
typedef struct live_scaler_s   live_scaler_t;
typedef struct live_encoder_s  live_encoder_t;

/* A decoded picture or piece of sound: an AVFrame, reference-counted.  pts is
 * in ticks. */
typedef struct AVFrame         live_frame_t;

/* Takes a frame over. */
typedef void (*live_frame_pt)(void *ctx, live_frame_t *frame);


/* What an encoder gives; one block of memory with its data, until
 * live_packet_free(). */
typedef struct live_packet_s   live_packet_t;

struct live_packet_s {
    live_packet_t  *next;
    const uint8_t  *data;           /* a sample, as ISO media files have it */
    uint32_t        size;
    int64_t         dts;            /* ticks */
    int64_t         pts;
    uint32_t        duration;       /* 0: follows from the next one's dts */
    unsigned        key:1;          /* decoding can begin; any of audio */
};


/* --- frames --- */

void live_frame_free(live_frame_t *frame);

/* Another reference to the same picture; NULL: no memory. */
live_frame_t *live_frame_ref(live_frame_t *frame);

int64_t live_frame_pts(const live_frame_t *frame);

/* 1 when it was a key frame of the source. */
int live_frame_key(const live_frame_t *frame);

/* Bytes of its buffers, which its references share. */
size_t live_frame_bytes(const live_frame_t *frame);

/* How it is to be turned to be upright: degrees clockwise, in quarters. */
int live_frame_rotation(const live_frame_t *frame);

/* A segment begins with it.  To be set before references are made. */
void live_frame_mark(live_frame_t *frame);
int live_frame_marked(const live_frame_t *frame);


/* --- decoding --- */

/*
 * config is the codec record (avcC, AudioSpecificConfig), which is copied.
 * threads: of libav, 1 at least; each one more holds one more frame back.  A
 * new record needs a new decoder, after the old one was drained; pictures of
 * more than twice the pixels of the record's (and of more than HD) are broken
 * ones.  NULL with *reason, static text.
 */
live_decoder_t *live_decoder_create(const live_codec_info_t *info,
    const uint8_t *config, size_t config_len, uint32_t threads,
    const char **reason);

/* Frames that are not referenced are not decoded: the first thing to leave
 * out under overload. */
void live_decoder_skip(live_decoder_t *d, int nonref);

/*
 * Decodes the access unit at data that s describes (its offset is not looked
 * at); NULL data ends the stream and gives what is left, after which the
 * decoder goes on with a key frame.  Frames go to emit() in order of
 * presentation, unmarked, each with the pts of its access unit.
 *
 * LIVE_ERROR with *reason, static text: the unit, or one shortly before it
 * that was held back, was broken; whole pictures from before it were emitted,
 * it was not.  Until the next key frame the answer then is LIVE_AGAIN and
 * nothing is emitted.
 */
int live_decoder_decode(live_decoder_t *d, const uint8_t *data,
    const live_sample_t *s, live_frame_pt emit, void *ctx,
    const char **reason);

/* What the last decoded picture was like, for live_rung_size() and the others.
 * LIVE_AGAIN: there was none yet.  fps is what the bit stream says, where that
 * is sane; from the ninth picture in a row on, what their times say overrules
 * what is more than a tenth off; 0 where neither is known. */
int live_decoder_source(const live_decoder_t *d, live_rung_source_t *source);

void live_decoder_free(live_decoder_t *d);


/* --- scaling --- */

/*
 * From the frames of the source, or of the rung above in the cascade, to those
 * of a rung: scaled (bicubic), deinterlaced from the first interlaced frame
 * on, 8 bits, the matrix kept, limited range, rotated upright, thinned to
 * every divisor-th frame.  It adapts itself when what comes in changes: a
 * picture of another shape gets black bars.  HDR (PQ, HLG) is refused unless
 * the rung has tonemap.  NULL with *reason, static text.
 *
 * A scaler that follows another in the cascade gets as source what
 * live_scaler_target() says of that other one.
 */
live_scaler_t *live_scaler_create(const live_rung_t *rung,
    const live_rung_source_t *source, uint32_t width, uint32_t height,
    uint32_t divisor, const char **reason);

/* What its frames are like: source with the changes that it makes. */
void live_scaler_target(const live_scaler_t *s, live_rung_source_t *target);

/*
 * *out is the frame to encode, the caller's; NULL when the frame is left out
 * (a marked one never is) or held back: the deinterlacer gives each frame one
 * call later.  in stays the caller's; NULL ends the stream and gives the one
 * that is held back, if any.  *out may be a reference to the picture of in.
 * LIVE_ERROR with *reason, static text.
 */
int live_scaler_scale(live_scaler_t *s, live_frame_t *in, live_frame_t **out,
    const char **reason);

void live_scaler_free(live_scaler_t *s);


/* --- encoding --- */

/*
 * Video of the frames that live_scaler_target() describes.  Closed GOPs, no
 * scene cuts; key frames where a frame is marked, and at most gop seconds from
 * one another where the rung says so.  Only encoders of H.264, HEVC, AV1 and
 * VP9 that take pictures of the main memory (yuv420p or nv12).  Samples are
 * those of avc1, hvc1, av01 and vp09: parameter sets of NAL units and temporal
 * delimiters are not in them.  Without lookahead (zerolatency) picture->fps is
 * what rate control counts with: where it is too low, rates are exceeded in
 * proportion.  NULL with *reason, static text.
 */
live_encoder_t *live_encoder_create_video(const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason);

/*
 * Encodes a few pictures with a new encoder of video and ends its stream: what
 * an encoder cannot do it does not always refuse.  LIVE_ERROR with *reason,
 * static text: it fails, or does not begin with a key frame where it should.
 */
int live_encoder_try(live_encoder_t *e, const char **reason);

/*
 * Audio as decoded (rate and layout of the source, which may change),
 * resampled as the rung asks; its first sample is presented where the first of
 * the source is: the encoder's delay is taken off the timestamps, and what
 * would then come before the source is left out (CMAF-21).  Gaps of up to a
 * second are filled with silence, overlaps are cut, so that picture and sound
 * never are further apart than they came, by 4 ms.  NULL with *reason, static
 * text.
 */
live_encoder_t *live_encoder_create_audio(const live_rung_t *rung,
    const live_codec_info_t *source, const char **reason);

/*
 * Encodes one frame, which stays the caller's; NULL ends the stream and gives
 * what is left.  Packets are linked at the end of *packets, in order of
 * decoding; pts are those of the frames, and a key frame's dts is its pts
 * (CMAF-17), so that other pictures may have a pts before their dts.  Frames
 * must come with growing pts.  LIVE_ERROR with *reason, static text; what was
 * linked before is good.
 */
int live_encoder_encode(live_encoder_t *e, live_frame_t *frame,
    live_packet_t **packets, const char **reason);

/* The codec record, the encoder's, and what it says; known from the creation
 * on.  Packets of audio count in ticks of info->timescale. */
int live_encoder_config(const live_encoder_t *e, live_codec_info_t *info,
    const uint8_t **config, size_t *len);

void live_encoder_free(live_encoder_t *e);

void live_packet_free(live_packet_t *packets);


#endif /* _LIVE_TRANSCODE_H_INCLUDED_ */
