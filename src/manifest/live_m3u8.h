
/*
 * HLS playlists from a snapshot (specs: hls.md; RFC 8216bis).  Pure; any
 * thread.  Rendered by the writer of a stream, once per change.
 */

#ifndef _LIVE_M3U8_H_INCLUDED_
#define _LIVE_M3U8_H_INCLUDED_


#include "live_types.h"
#include "live_buf.h"


/* live_m3u8_segment_t.flags */
#define LIVE_SEGMENT_DISCONTINUITY  0x0001  /* EXT-X-DISCONTINUITY before it */
#define LIVE_SEGMENT_INDEPENDENT    0x0002  /* begins with a key frame */
#define LIVE_SEGMENT_GAP            0x0004  /* its media is missing */

/* what live_m3u8_media_size() counts with */
#define LIVE_M3U8_EPOCH_MAX  32


typedef struct {
    uint64_t        msn;
    int64_t         start;          /* presentation time, ticks */
    int64_t         duration;       /* ticks */
    uint32_t        init;           /* number of its init segment */
    uint32_t        flags;
    uint32_t        timescale;      /* 0: that of the playlist */
    int64_t         shift;          /* us, of its date: see live_drift.h */
} live_m3u8_segment_t;


/* A partial segment, EXT-X-PART; ticks of the segment that it belongs to. */
typedef struct {
    uint64_t        msn;            /* of its segment */
    uint32_t        index;          /* within it, from 0 */
    uint32_t        flags;          /* LIVE_SEGMENT_INDEPENDENT, _GAP */
    int64_t         start;
    int64_t         duration;
} live_m3u8_part_t;


/* EXT-X-RENDITION-REPORT: the newest of another media playlist (HLS-54). */
typedef struct {
    const char     *name;           /* folder of that playlist */
    uint64_t        msn;            /* of its last part, or segment */
    uint32_t        part;           /* index of its last part */
    unsigned        parts:1;        /* there is such a part */
} live_m3u8_report_t;


/*
 * How a delta update (EXT-X-SKIP, HLS-55) is made of the text: its first
 * "head" bytes, the tag with "skipped", the "map_len" bytes at "map", then all
 * from "tail" on.  The EXT-X-MAP in use is repeated: players look for it in
 * what they get.  skipped is 0 when nothing can be left out: then the full
 * playlist is the answer.
 */
typedef struct {
    uint32_t        head;
    uint32_t        tail;
    uint32_t        skipped;
    uint32_t        map;
    uint32_t        map_len;        /* 0: one follows at tail */
} live_m3u8_delta_t;


typedef struct {
    const char           *epoch;    /* token of the timeline, in every name */
    uint32_t              timescale;
    uint32_t              target_duration;          /* s, HLS-8 */

    /* DSN before the first listed segment, its own tag not counted, HLS-20 */
    uint64_t              discontinuity_sequence;
    uint64_t              next_msn; /* read when nothing is listed, HLS-11 */
    int64_t               anchor_ms;    /* Unix time of timeline 0 */
    unsigned              ended:1;

    const live_m3u8_segment_t  *segments;   /* ascending by one in msn */
    uint32_t              nsegments;

    /*
     * Low latency; all of it is ignored while part_target is 0.  A playlist
     * that has ended lists no parts, hint or reports (HLS-29).
     */
    uint32_t              part_target;      /* ms, HLS-50 */
    const live_m3u8_part_t     *parts;      /* ascending by msn and index */
    uint32_t              nparts;           /* may be older than is listed */

    /* the segment that the last parts belong to and that is not complete;
     * its duration is not read.  NULL: no part of it exists */
    const live_m3u8_segment_t  *open;

    uint64_t              hint_msn;         /* EXT-X-PRELOAD-HINT, HLS-53 */
    uint32_t              hint_part;
    unsigned              hint:1;

    const live_m3u8_report_t   *reports;
    uint32_t              nreports;
} live_m3u8_media_t;


/*
 * Media playlist.  Names, relative to the playlist: init-EPOCH-N.mp4,
 * seg-EPOCH-MSN.m4s, and seg-EPOCH-MSN.PART.m4s.  The caller keeps every
 * duration below the target duration + 0.5 s (HLS-8); a longer one is printed
 * as it is.  The duration of a part is never printed longer than the part
 * target (HLS-50).  Parts are listed of segments that end within three target
 * durations of the live edge (HLS-18).  delta may be NULL.  LIVE_OVERFLOW when
 * it does not fit, LIVE_ERROR without a timescale.
 */
int live_m3u8_media(live_writer_t *w, const live_m3u8_media_t *p,
    live_m3u8_delta_t *delta);

/* Bytes that are enough for live_m3u8_media() of n segments, parts and
 * reports, with an epoch and names of up to LIVE_M3U8_EPOCH_MAX characters. */
size_t live_m3u8_media_size(uint32_t nsegments, uint32_t nparts,
    uint32_t nreports);

/* The line "#EXT-X-SKIP:SKIPPED-SEGMENTS=n" with its line feed. */
#define LIVE_M3U8_SKIP_SIZE  64
int live_m3u8_skip(live_writer_t *w, uint32_t skipped);

/*
 * The playlist of the same segments as muxed MPEG-TS, for players that know
 * nothing newer: seg-EPOCH-MSN.ts, no init segment, no low latency.
 */
int live_m3u8_ts(live_writer_t *w, const live_m3u8_media_t *p);


typedef struct {
    const char               *name;     /* folder of the media playlist */

    /* of audio: its GROUP-ID; of video: the group that it plays with, NULL
     * when it has no sound */
    const char               *group;

    const live_codec_info_t  *info;
    double                    fps;      /* 0 when unknown */
    uint64_t                  bandwidth;        /* bit/s, peak; not 0 */
    uint64_t                  average_bandwidth;    /* 0 when unknown */
    unsigned                  alone:1;  /* audio: a variant of its own, too */
} live_m3u8_rendition_t;


/*
 * Multivariant playlist: every video rendition as a variant, in this order,
 * with the audio renditions of its group (the first of each group is the
 * default); then audio that is a variant alone.  Without video every audio
 * rendition is a variant.  A group that no video plays with is left out.  A
 * variant's figures include the largest audio of its group (HLS-35).  A name,
 * also of a group, is made of A-Z a-z 0-9 . _ - only.  LIVE_OVERFLOW when it
 * does not fit, LIVE_ERROR when there is no variant or one has no bandwidth
 * (HLS-36).
 */
int live_m3u8_multivariant(live_writer_t *w,
    const live_m3u8_rendition_t *video, uint32_t nvideo,
    const live_m3u8_rendition_t *audio, uint32_t naudio);


#endif /* _LIVE_M3U8_H_INCLUDED_ */
