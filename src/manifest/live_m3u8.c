
#include "live_m3u8.h"
#include "live_decimal.h"


/* 6 is what EXT-X-MAP asks for outside I-frame playlists (HLS-4). */
#define LIVE_M3U8_HEAD            "#EXTM3U\n#EXT-X-VERSION:6\n"
#define LIVE_M3U8_INDEPENDENT     "#EXT-X-INDEPENDENT-SEGMENTS\n"

/* upper bounds: all tags and the widest numbers, see the unit test */
#define LIVE_M3U8_HEAD_SIZE       256
#define LIVE_M3U8_SEGMENT_SIZE    (192 + 2 * LIVE_M3U8_EPOCH_MAX)

/* EXTINF counts 10 us, HLS-10 */
#define LIVE_M3U8_EXTINF_DIGITS   5
#define LIVE_M3U8_EXTINF_SCALE    100000

#define LIVE_M3U8_DAY_MS          86400000
#define LIVE_M3U8_LAST_DAY        2932896       /* 9999-12-31 */

#define LIVE_M3U8_MAX_FPS         1000          /* above: not a rate */


/* The date of a day; kept from one segment to the next. */
typedef struct {
    int64_t               day;      /* since 1970-01-01 */
    uint32_t              year;
    uint32_t              month;    /* 0 to 11 */
    uint32_t              mday;     /* 0 to 30 */
} live_m3u8_date_t;


static void live_m3u8_media_head(live_writer_t *w,
    const live_m3u8_media_t *p);
static int live_m3u8_independent(const live_m3u8_media_t *p);
static void live_m3u8_segment(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, live_m3u8_date_t *date);
static int live_m3u8_needs_map(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg);
static uint64_t live_m3u8_extinf(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg);
static int live_m3u8_fits(uint32_t target, uint32_t timescale,
    int64_t duration);
static uint32_t live_m3u8_timescale(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg);
static int64_t live_m3u8_scale(int64_t ticks, uint32_t timescale,
    uint32_t units);
static void live_m3u8_date_time(live_writer_t *w, live_m3u8_date_t *date,
    int64_t ms);
static void live_m3u8_date_set(live_m3u8_date_t *date, int64_t day);
static uint32_t live_m3u8_leap_year(uint32_t year);

static void live_m3u8_audio_group(live_writer_t *w,
    const live_m3u8_rendition_t *audio, uint32_t naudio);
static int live_m3u8_variant(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_rendition_t *audio, uint32_t naudio);
static void live_m3u8_bandwidth(live_writer_t *w,
    const live_m3u8_rendition_t *v, const live_m3u8_rendition_t *audio,
    uint32_t naudio);
static void live_m3u8_codecs(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_rendition_t *audio, uint32_t naudio);
static int live_m3u8_codec_is_new(const char *codecs, const char *first,
    const live_m3u8_rendition_t *audio, uint32_t naudio);
static void live_m3u8_picture(live_writer_t *w,
    const live_m3u8_rendition_t *v);


int
live_m3u8_media(live_writer_t *w, const live_m3u8_media_t *p)
{
    uint32_t          i;
    live_m3u8_date_t  date;

    if (p->timescale == 0) {
        return LIVE_ERROR;
    }

    live_m3u8_date_set(&date, 0);

    live_m3u8_media_head(w, p);

    for (i = 0; i < p->nsegments && !w->error; i++) {
        live_m3u8_segment(w, p, &p->segments[i], &date);
    }

    if (p->ended) {
        live_write_str(w, "#EXT-X-ENDLIST\n");
    }

    return w->error ? LIVE_OVERFLOW : LIVE_OK;
}


size_t
live_m3u8_media_size(uint32_t n)
{
    return LIVE_M3U8_HEAD_SIZE + (size_t) n * LIVE_M3U8_SEGMENT_SIZE;
}


static void
live_m3u8_media_head(live_writer_t *w, const live_m3u8_media_t *p)
{
    live_write_str(w, LIVE_M3U8_HEAD "#EXT-X-TARGETDURATION:");
    live_write_decimal(w, p->target_duration);

    live_write_str(w, "\n#EXT-X-MEDIA-SEQUENCE:");
    live_write_decimal(w, p->nsegments ? p->segments[0].msn : p->next_msn);

    /* always: a discontinuity may leave the window at any time, HLS-20 */
    live_write_str(w, "\n#EXT-X-DISCONTINUITY-SEQUENCE:");
    live_write_decimal(w, p->discontinuity_sequence);
    live_write_u8(w, '\n');

    if (live_m3u8_independent(p)) {
        live_write_str(w, LIVE_M3U8_INDEPENDENT);
    }
}


static int
live_m3u8_independent(const live_m3u8_media_t *p)
{
    uint32_t  i, flags;

    for (i = 0; i < p->nsegments; i++) {
        flags = p->segments[i].flags;

        if (!(flags & (LIVE_SEGMENT_INDEPENDENT|LIVE_SEGMENT_GAP))) {
            return 0;
        }
    }

    return 1;
}


static void
live_m3u8_segment(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, live_m3u8_date_t *date)
{
    if (seg->flags & LIVE_SEGMENT_DISCONTINUITY) {
        live_write_str(w, "#EXT-X-DISCONTINUITY\n");
    }

    if (live_m3u8_needs_map(p, seg)) {
        live_write_str(w, "#EXT-X-MAP:URI=\"init-");
        live_write_str(w, p->epoch);
        live_write_u8(w, '-');
        live_write_decimal(w, seg->init);
        live_write_str(w, ".mp4\"\n");
    }

    live_m3u8_date_time(w, date, p->anchor_ms
                                 + live_m3u8_scale(seg->start,
                                             live_m3u8_timescale(p, seg),
                                             1000));

    if (seg->flags & LIVE_SEGMENT_GAP) {
        live_write_str(w, "#EXT-X-GAP\n");
    }

    live_write_str(w, "#EXTINF:");
    live_write_fixed(w, live_m3u8_extinf(p, seg), LIVE_M3U8_EXTINF_DIGITS);

    live_write_str(w, ",\nseg-");
    live_write_str(w, p->epoch);
    live_write_u8(w, '-');
    live_write_decimal(w, seg->msn);
    live_write_str(w, ".m4s\n");
}


/* HLS-19, HLS-24 */
static int
live_m3u8_needs_map(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg)
{
    return seg == p->segments
           || seg->flags & LIVE_SEGMENT_DISCONTINUITY
           || seg->init != seg[-1].init;
}


/*
 * The difference of two rounded times and not the rounded difference: where
 * segments follow each other the sum is exact at any length (HLS-10).
 */
static uint64_t
live_m3u8_extinf(const live_m3u8_media_t *p, const live_m3u8_segment_t *seg)
{
    int64_t   value, limit, start, end;
    uint32_t  timescale;

    timescale = live_m3u8_timescale(p, seg);

    start = live_m3u8_scale(seg->start, timescale, LIVE_M3U8_EXTINF_SCALE);
    end = live_m3u8_scale(seg->start + seg->duration, timescale,
                          LIVE_M3U8_EXTINF_SCALE);
    value = end - start;

    /*
     * Rounding adds less than one unit; it must not be the one that lifts
     * the value to the target duration + 0.5 s (HLS-8).
     */
    limit = (int64_t) p->target_duration * LIVE_M3U8_EXTINF_SCALE
            + LIVE_M3U8_EXTINF_SCALE / 2;

    if (value == limit
        && live_m3u8_fits(p->target_duration, timescale, seg->duration))
    {
        value--;
    }

    return value > 0 ? (uint64_t) value : 0;
}


static int
live_m3u8_fits(uint32_t target, uint32_t timescale, int64_t duration)
{
    int64_t  sec, rest;

    sec = duration / timescale;
    rest = duration % timescale;

    return sec < target || (sec == target && 2 * rest < timescale);
}


/* A change of the codec may change the timescale of a track. */
static uint32_t
live_m3u8_timescale(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg)
{
    return seg->timescale ? seg->timescale : p->timescale;
}


/* Rounds to nearest; the split keeps long timelines from overflowing. */
static int64_t
live_m3u8_scale(int64_t ticks, uint32_t timescale, uint32_t units)
{
    int64_t  sec, rest;

    sec = ticks / timescale;
    rest = ticks % timescale;

    if (rest < 0) {
        sec--;
        rest += timescale;
    }

    return sec * units + (rest * units + timescale / 2) / timescale;
}


static void
live_m3u8_date_time(live_writer_t *w, live_m3u8_date_t *date, int64_t ms)
{
    int64_t   day;
    uint32_t  sec;

    if (ms < 0) {
        ms = 0;
    }

    day = ms / LIVE_M3U8_DAY_MS;

    if (day > LIVE_M3U8_LAST_DAY) {
        day = LIVE_M3U8_LAST_DAY;
    }

    if (day != date->day) {
        live_m3u8_date_set(date, day);
    }

    ms %= LIVE_M3U8_DAY_MS;
    sec = (uint32_t) (ms / 1000);

    live_write_str(w, "#EXT-X-PROGRAM-DATE-TIME:");
    live_write_digits(w, date->year, 4);
    live_write_u8(w, '-');
    live_write_digits(w, date->month + 1, 2);
    live_write_u8(w, '-');
    live_write_digits(w, date->mday + 1, 2);
    live_write_u8(w, 'T');
    live_write_digits(w, sec / 3600, 2);
    live_write_u8(w, ':');
    live_write_digits(w, sec / 60 % 60, 2);
    live_write_u8(w, ':');
    live_write_digits(w, sec % 60, 2);
    live_write_u8(w, '.');
    live_write_digits(w, (uint64_t) ms % 1000, 3);
    live_write_str(w, "Z\n");
}


/* Once per playlist and at midnight, so plain counting is good enough. */
static void
live_m3u8_date_set(live_m3u8_date_t *date, int64_t day)
{
    int64_t   left;
    uint32_t  n;

    static const uint8_t  days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    left = day;
    date->day = day;
    date->year = 1970;
    date->month = 0;

    for ( ;; ) {
        n = 365 + live_m3u8_leap_year(date->year);

        if (left < n) {
            break;
        }

        left -= n;
        date->year++;
    }

    for ( ;; ) {
        n = days[date->month];

        if (date->month == 1) {
            n += live_m3u8_leap_year(date->year);
        }

        if (left < n) {
            break;
        }

        left -= n;
        date->month++;
    }

    date->mday = (uint32_t) left;
}


static uint32_t
live_m3u8_leap_year(uint32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}


int
live_m3u8_multivariant(live_writer_t *w,
    const live_m3u8_rendition_t *video, uint32_t nvideo,
    const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    int       rc;
    uint32_t  i;

    if (nvideo + naudio == 0) {
        return LIVE_ERROR;
    }

    /* that segments are independent is for each media playlist to say: there
     * it can become untrue and true again (HLS-23) */
    live_write_str(w, LIVE_M3U8_HEAD);

    if (nvideo) {
        live_m3u8_audio_group(w, audio, naudio);
    }

    rc = LIVE_OK;

    for (i = 0; i < nvideo && rc == LIVE_OK; i++) {
        rc = live_m3u8_variant(w, &video[i], audio, naudio);
    }

    for (i = 0; nvideo == 0 && i < naudio && rc == LIVE_OK; i++) {
        rc = live_m3u8_variant(w, &audio[i], NULL, 0);
    }

    if (rc != LIVE_OK) {
        return rc;
    }

    return w->error ? LIVE_OVERFLOW : LIVE_OK;
}


/*
 * HLS-44.  The others differ from the default in nothing that a player could
 * select by, so only the user may select them.
 */
static void
live_m3u8_audio_group(live_writer_t *w, const live_m3u8_rendition_t *audio,
    uint32_t naudio)
{
    uint32_t  i;

    for (i = 0; i < naudio; i++) {
        live_write_str(w, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\","
                          "NAME=\"Audio");

        if (i == 0) {
            live_write_str(w, "\",DEFAULT=YES,AUTOSELECT=YES");

        } else {
            live_write_u8(w, ' ');
            live_write_decimal(w, i + 1);
            live_write_str(w, "\",DEFAULT=NO,AUTOSELECT=NO");
        }

        if (audio[i].info->channels) {
            live_write_str(w, ",CHANNELS=\"");
            live_write_decimal(w, audio[i].info->channels);
            live_write_u8(w, '"');
        }

        live_write_str(w, ",URI=\"");
        live_write_str(w, audio[i].name);
        live_write_str(w, "/playlist.m3u8\"\n");
    }
}


static int
live_m3u8_variant(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    if (v->bandwidth == 0) {
        return LIVE_ERROR;
    }

    live_m3u8_bandwidth(w, v, audio, naudio);
    live_m3u8_codecs(w, v, audio, naudio);

    if (v->info->media == LIVE_MEDIA_VIDEO) {
        live_m3u8_picture(w, v);
    }

    if (naudio) {
        live_write_str(w, ",AUDIO=\"audio\"");
    }

    live_write_u8(w, '\n');
    live_write_str(w, v->name);
    live_write_str(w, "/playlist.m3u8\n");

    return LIVE_OK;
}


/* HLS-35: of the largest combination that can be played */
static void
live_m3u8_bandwidth(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    uint32_t  i;
    uint64_t  peak, average;

    peak = 0;
    average = 0;

    for (i = 0; i < naudio; i++) {
        if (audio[i].bandwidth > peak) {
            peak = audio[i].bandwidth;
        }

        if (audio[i].average_bandwidth > average) {
            average = audio[i].average_bandwidth;
        }
    }

    live_write_str(w, "#EXT-X-STREAM-INF:BANDWIDTH=");
    live_write_decimal(w, v->bandwidth + peak);

    if (v->average_bandwidth) {
        live_write_str(w, ",AVERAGE-BANDWIDTH=");
        live_write_decimal(w, v->average_bandwidth + average);
    }
}


/* HLS-37: each format once */
static void
live_m3u8_codecs(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    uint32_t     i;
    const char  *codecs, *first;

    first = v->info->codecs;

    if (*first == '\0') {
        return;
    }

    live_write_str(w, ",CODECS=\"");
    live_write_str(w, first);

    for (i = 0; i < naudio; i++) {
        codecs = audio[i].info->codecs;

        if (live_m3u8_codec_is_new(codecs, first, audio, i)) {
            live_write_u8(w, ',');
            live_write_str(w, codecs);
        }
    }

    live_write_u8(w, '"');
}


static int
live_m3u8_codec_is_new(const char *codecs, const char *first,
    const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    uint32_t  i;

    if (*codecs == '\0' || strcmp(codecs, first) == 0) {
        return 0;
    }

    for (i = 0; i < naudio; i++) {
        if (strcmp(codecs, audio[i].info->codecs) == 0) {
            return 0;
        }
    }

    return 1;
}


/* The resolution is the one to display at: with square pixels (HLS-34). */
static void
live_m3u8_picture(live_writer_t *w, const live_m3u8_rendition_t *v)
{
    uint64_t                  width;
    const live_codec_info_t  *info;

    info = v->info;
    width = info->width;

    if (info->sar_num && info->sar_den) {
        width = (width * info->sar_num + info->sar_den / 2) / info->sar_den;
    }

    if (width && info->height) {
        live_write_str(w, ",RESOLUTION=");
        live_write_decimal(w, width);
        live_write_u8(w, 'x');
        live_write_decimal(w, info->height);
    }

    if (v->fps > 0 && v->fps < LIVE_M3U8_MAX_FPS) {
        live_write_str(w, ",FRAME-RATE=");
        live_write_fixed(w, (uint64_t) (v->fps * 1000 + 0.5), 3);
    }

    live_write_str(w, ",CLOSED-CAPTIONS=NONE");
}
