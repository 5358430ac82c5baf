
#include "live_mpd_write.h"


#define LIVE_MPD_MAX_FPS  1000      /* above: not a rate */

/* by so much the last segment may go over the line of a grid */
#define LIVE_MPD_OVERHANG_US  50000


static void live_mpd_set(live_writer_t *w, const live_mpd_set_t *set);
static int live_mpd_same_set(const live_mpd_track_t *a,
    const live_mpd_track_t *b);
static const live_mpd_track_t *live_mpd_next_set(const live_mpd_set_t *set,
    const live_mpd_track_t *after);
static const live_mpd_track_t *live_mpd_next_of(const live_mpd_set_t *set,
    const live_mpd_track_t *after);
static void live_mpd_limits(live_writer_t *w, const live_mpd_set_t *set);
static void live_mpd_switching(live_writer_t *w, const live_mpd_set_t *set);
static int live_mpd_shared(const live_mpd_set_t *set);
static int live_mpd_same_template(const live_mpd_track_t *a,
    const live_mpd_track_t *b, unsigned grid);
static void live_mpd_reference(live_writer_t *w, const live_mpd_set_t *set,
    const live_mpd_track_t *track);
static void live_mpd_template(live_writer_t *w, const live_mpd_set_t *set,
    const live_mpd_track_t *track);
static void live_mpd_end_number(live_writer_t *w, const live_mpd_set_t *set,
    const live_mpd_track_t *track);
static void live_mpd_timeline(live_writer_t *w, const live_mpd_track_t *track);
static void live_mpd_representation(live_writer_t *w,
    const live_mpd_set_t *set, const live_mpd_track_t *track,
    unsigned with_template);
static void live_mpd_picture(live_writer_t *w, const live_mpd_track_t *track);
static void live_mpd_frame_rate(live_writer_t *w, const char *name,
    double fps);
static uint32_t live_mpd_channels(uint32_t channels);
static uint64_t live_mpd_grid(const live_mpd_set_t *set,
    uint32_t timescale);


/* Of video 1, 3, 5 and so on, of audio 2, 4, 6: they stay (DASH-16). */
void
live_mpd_sets(live_writer_t *w, live_mpd_set_t *set)
{
    set->id = set->media == LIVE_MEDIA_AUDIO ? 2 : 1;
    set->first = live_mpd_next_set(set, NULL);

    while (set->first && !w->error) {
        live_mpd_set(w, set);

        set->id += 2;
        set->first = live_mpd_next_set(set, set->first);
    }
}


static void
live_mpd_set(live_writer_t *w, const live_mpd_set_t *set)
{
    unsigned                 audio, shared;
    const live_mpd_track_t  *track;

    audio = set->media == LIVE_MEDIA_AUDIO;

    live_write_str(w, "<AdaptationSet");
    live_mpd_number(w, "id", set->id);
    live_write_str(w, audio
                      ? " contentType=\"audio\" mimeType=\"audio/mp4\""
                        " lang=\"und\""
                      : " contentType=\"video\" mimeType=\"video/mp4\"");
    live_write_str(w, " segmentAlignment=\"true\" startWithSAP=\"1\"");

    if (!audio) {
        live_mpd_limits(w, set);
    }

    live_write_str(w, ">\n");

    if (!audio) {
        live_mpd_switching(w, set);
    }

    live_mpd_reference(w, set, set->first);

    live_write_str(w, "<Role schemeIdUri=\"urn:mpeg:dash:role:2011\""
                      " value=\"main\"/>\n");

    shared = live_mpd_shared(set);

    if (shared) {
        live_mpd_template(w, set, set->first);
    }

    for (track = set->first;
         track && !w->error;
         track = live_mpd_next_of(set, track))
    {
        live_mpd_representation(w, set, track, !shared);
    }

    live_write_str(w, "</AdaptationSet>\n");
}


/*
 * DASH-19: a player changes between the Representations of a set without
 * making its decoder anew; and the reference time of a set is in ticks.
 */
static int
live_mpd_same_set(const live_mpd_track_t *a, const live_mpd_track_t *b)
{
    return a->info->codec == b->info->codec
           && a->info->channels == b->info->channels
           && live_mpd_timescale(a) == live_mpd_timescale(b);
}


/* The first track of the next set of that kind. */
static const live_mpd_track_t *
live_mpd_next_set(const live_mpd_set_t *set, const live_mpd_track_t *after)
{
    const live_mpd_track_t  *track, *t;

    track = after;

    while ((track = live_mpd_next(set->period, set->media, track)) != NULL) {

        t = live_mpd_next(set->period, set->media, NULL);

        while (!live_mpd_same_set(t, track)) {
            t = live_mpd_next(set->period, set->media, t);
        }

        if (t == track) {
            break;
        }
    }

    return track;
}


/* The next track of this set. */
static const live_mpd_track_t *
live_mpd_next_of(const live_mpd_set_t *set, const live_mpd_track_t *after)
{
    const live_mpd_track_t  *track;

    track = after;

    while ((track = live_mpd_next(set->period, set->media, track)) != NULL) {
        if (live_mpd_same_set(set->first, track)) {
            break;
        }
    }

    return track;
}


/* The largest picture of a ladder: what a player makes its decoder for. */
static void
live_mpd_limits(live_writer_t *w, const live_mpd_set_t *set)
{
    double                   fps;
    uint32_t                 width, height;
    const live_mpd_track_t  *track;

    if (live_mpd_next_of(set, set->first) == NULL) {
        return;
    }

    fps = 0;
    width = 0;
    height = 0;

    for (track = set->first; track; track = live_mpd_next_of(set, track)) {
        fps = track->fps > fps ? track->fps : fps;
        width = track->info->width > width ? track->info->width : width;
        height = track->info->height > height ? track->info->height : height;
    }

    if (width && height) {
        live_mpd_number(w, "maxWidth", width);
        live_mpd_number(w, "maxHeight", height);
    }

    live_mpd_frame_rate(w, "maxFrameRate", fps);
}


/* Sets of the same pictures in other codecs: a player that has several of
 * them may change over. */
static void
live_mpd_switching(live_writer_t *w, const live_mpd_set_t *set)
{
    uint32_t                 id, n;
    const live_mpd_track_t  *track;

    id = 1;
    n = 0;

    for (track = live_mpd_next_set(set, NULL);
         track;
         track = live_mpd_next_set(set, track))
    {
        if (track != set->first) {
            live_write_str(w, n++ ? ","
                              : "<SupplementalProperty schemeIdUri=\"urn:mpeg:"
                                "dash:adaptation-set-switching:2016\""
                                " value=\"");
            live_write_decimal(w, id);
        }

        id += 2;
    }

    if (n) {
        live_write_str(w, "\"/>\n");
    }
}


/* One SegmentTemplate says it for all tracks of the set. */
static int
live_mpd_shared(const live_mpd_set_t *set)
{
    const live_mpd_track_t  *track;

    track = set->first;

    while ((track = live_mpd_next_of(set, track)) != NULL) {
        if (!live_mpd_same_template(set->first, track, set->grid)) {
            return 0;
        }
    }

    return 1;
}


static int
live_mpd_same_template(const live_mpd_track_t *a, const live_mpd_track_t *b,
    unsigned grid)
{
    uint32_t                    i;
    const live_m3u8_segment_t  *x, *y;

    if (live_mpd_timescale(a) != live_mpd_timescale(b)
        || a->segments[0].init != b->segments[0].init)
    {
        return 0;
    }

    if (grid) {
        return 1;
    }

    if (a->nsegments != b->nsegments
        || a->segments[0].msn != b->segments[0].msn)
    {
        return 0;
    }

    for (i = 0; i < a->nsegments; i++) {
        x = &a->segments[i];
        y = &b->segments[i];

        if (x->start != y->start || x->duration != y->duration) {
            return 0;
        }
    }

    return 1;
}


/*
 * DASH-43: availabilityStartTime already is the time of day of timeline 0, so
 * that this says nothing new, but conforming low latency has to have it.
 */
static void
live_mpd_reference(live_writer_t *w, const live_mpd_set_t *set,
    const live_mpd_track_t *track)
{
    const live_mpd_t  *mpd;

    mpd = set->plan->mpd;

    if (!set->plan->latency || !set->grid || mpd->time == NULL) {
        return;
    }

    live_write_str(w, "<ProducerReferenceTime");
    live_mpd_number(w, "id", set->id);
    live_write_str(w, " type=\"captured\" inband=\"false\"");
    live_mpd_date(w, "wallClockTime",
                  mpd->anchor_ms
                  + (set->start_us + set->period->shift + 500) / 1000);
    live_mpd_number(w, "presentationTime",
                    (uint64_t) live_m3u8_scale(set->start_us,
                                              LIVE_MPD_SECOND_US,
                                              live_mpd_timescale(track)));
    live_write_u8(w, '>');
    live_mpd_utc(w, mpd);
    live_write_str(w, "</ProducerReferenceTime>\n");
}


static void
live_mpd_template(live_writer_t *w, const live_mpd_set_t *set,
    const live_mpd_track_t *track)
{
    int64_t                     ahead;
    uint32_t                    units;
    const live_mpd_plan_t      *plan;
    const live_m3u8_segment_t  *last;

    plan = set->plan;
    last = &track->segments[track->nsegments - 1];
    units = live_mpd_timescale(track);

    live_write_str(w, "<SegmentTemplate");
    live_mpd_number(w, "timescale", units);
    live_mpd_number(w, "presentationTimeOffset",
                    (uint64_t) live_m3u8_scale(set->start_us,
                                              LIVE_MPD_SECOND_US, units));
    live_mpd_number(w, "startNumber", set->grid ? set->period->msn
                                                : track->segments[0].msn);

    if (plan->mpd->closing) {
        live_mpd_end_number(w, set, track);
    }

    if (set->grid) {
        live_mpd_number(w, "duration", live_mpd_grid(set, units));
    }

    if (plan->latency) {
        /*
         * What a timeline lists is complete, and the offset means nothing
         * there; but shaka-player takes the least of all (DASH-40).
         */
        ahead = set->grid ? set->period->grid_us
                            - (int64_t) plan->mpd->part_target * 1000
                          : plan->ahead_us;

        live_write_str(w, " availabilityTimeOffset=\"");
        live_write_fixed(w, ahead > 0 ? (uint64_t) ahead : 0, 6);
        live_write_u8(w, '"');

        if (set->grid) {
            live_write_str(w, " availabilityTimeComplete=\"false\"");
        }
    }

    live_write_str(w, " initialization=\"$RepresentationID$/init-");
    live_write_str(w, plan->mpd->epoch);
    live_write_u8(w, '-');
    live_write_decimal(w, last->init);
    live_write_str(w, ".mp4\" media=\"$RepresentationID$/seg-");
    live_write_str(w, plan->mpd->epoch);
    live_write_str(w, "-$Number$.m4s\"");

    if (set->grid) {
        live_write_str(w, "/>\n");
        return;
    }

    live_write_str(w, ">\n");
    live_mpd_timeline(w, track);
    live_write_str(w, "</SegmentTemplate>\n");
}


/*
 * Without it dash.js waits for more at the end of a timeline.  The period
 * before another one has ended on its own, and where it was on a grid its last
 * segment is not known.
 */
static void
live_mpd_end_number(live_writer_t *w, const live_mpd_set_t *set,
    const live_mpd_track_t *track)
{
    int64_t  length, grid;

    if (!set->grid) {
        live_mpd_number(w, "endNumber",
                        track->segments[track->nsegments - 1].msn);
        return;
    }

    grid = set->period->grid_us;
    length = set->plan->mpd->end_us - set->start_us - LIVE_MPD_OVERHANG_US;

    if (set->period == set->plan->last && length > 0) {
        live_mpd_number(w, "endNumber",
                        set->period->msn + (uint64_t) ((length - 1) / grid));
    }
}


/*
 * DASH-24.  A GAP segment is listed as any other: leaving it out would renumber
 * all that follow, and players get over a segment that is not found.
 */
static void
live_mpd_timeline(live_writer_t *w, const live_mpd_track_t *track)
{
    int64_t                     end;
    uint32_t                    i, r;
    const live_m3u8_segment_t  *s;

    end = 0;
    live_write_str(w, "<SegmentTimeline>\n");

    for (i = 0; i < track->nsegments && !w->error; i += r + 1) {
        s = &track->segments[i];
        live_write_str(w, "<S");

        if (i == 0 || s->start != end) {
            live_mpd_number(w, "t", s->start > 0 ? (uint64_t) s->start : 0);
        }

        live_mpd_number(w, "d", s->duration > 0 ? (uint64_t) s->duration : 0);
        end = s->start + s->duration;

        for (r = 0; i + r + 1 < track->nsegments; r++) {
            if (s[r + 1].start != end || s[r + 1].duration != s->duration) {
                break;
            }

            end += s->duration;
        }

        if (r) {
            live_mpd_number(w, "r", r);
        }

        live_write_str(w, "/>\n");
    }

    live_write_str(w, "</SegmentTimeline>\n");
}


static void
live_mpd_representation(live_writer_t *w, const live_mpd_set_t *set,
    const live_mpd_track_t *track, unsigned with_template)
{
    uint32_t                  layout;
    const live_codec_info_t  *info;

    info = track->info;
    layout = 0;

    live_write_str(w, "<Representation id=\"");
    live_mpd_text(w, track->name);
    live_write_u8(w, '"');
    live_mpd_number(w, "bandwidth", track->bandwidth);

    if (info->codecs[0]) {
        live_write_str(w, " codecs=\"");
        live_mpd_text(w, info->codecs);
        live_write_u8(w, '"');
    }

    if (set->media == LIVE_MEDIA_VIDEO) {
        live_mpd_picture(w, track);

    } else {
        layout = live_mpd_channels(info->channels);

        if (info->sample_rate) {
            live_mpd_number(w, "audioSamplingRate", info->sample_rate);
        }
    }

    live_write_str(w, layout || with_template ? ">\n" : "/>\n");

    if (layout) {
        live_write_str(w, "<AudioChannelConfiguration schemeIdUri=\""
                          "urn:mpeg:mpegB:cicp:ChannelConfiguration\"");
        live_mpd_number(w, "value", layout);
        live_write_str(w, "/>\n");
    }

    if (with_template) {
        live_mpd_template(w, set, track);
    }

    if (layout || with_template) {
        live_write_str(w, "</Representation>\n");
    }
}


static void
live_mpd_picture(live_writer_t *w, const live_mpd_track_t *track)
{
    const live_codec_info_t  *info;

    info = track->info;

    if (info->width && info->height) {
        live_mpd_number(w, "width", info->width);
        live_mpd_number(w, "height", info->height);
    }

    live_mpd_frame_rate(w, "frameRate", track->fps);

    if (info->sar_num && info->sar_den) {
        live_write_str(w, " sar=\"");
        live_write_decimal(w, info->sar_num);
        live_write_u8(w, ':');
        live_write_decimal(w, info->sar_den);
        live_write_u8(w, '"');
    }
}


/*
 * The rate is measured and jitters: it is taken for the usual one next to it,
 * n or n * 1000/1001, and not printed when there is none.
 */
static void
live_mpd_frame_rate(live_writer_t *w, const char *name, double fps)
{
    double    ntsc, off;
    uint32_t  n;

    if (!(fps > 0.5 && fps < LIVE_MPD_MAX_FPS)) {
        return;
    }

    n = (uint32_t) (fps + 0.5);
    ntsc = n * 1000.0 / 1001.0;

    /* a quarter of the distance between the two, or what ms stamps leave */
    off = n / 1001.0 / 4;

    if (fps > n - off && fps < n + off) {
        live_mpd_number(w, name, n);

    } else if (n >= 24 && fps > ntsc - off && fps < ntsc + off) {
        live_write_u8(w, ' ');
        live_write_str(w, name);
        live_write_str(w, "=\"");
        live_write_decimal(w, n * 1000);
        live_write_str(w, "/1001\"");
    }
}


/* ISO/IEC 23091-3; as AAC counts them */
static uint32_t
live_mpd_channels(uint32_t channels)
{
    if (channels <= 6) {
        return channels;
    }

    return channels == 7 ? 11 : channels == 8 ? 7 : 0;
}


/*
 * The duration of segments on a grid, in ticks of the track (DASH-20): where it
 * is no whole number of them less than half a tick is lost with each segment,
 * and the period must end before that adds up (DASH-26).
 */
static uint64_t
live_mpd_grid(const live_mpd_set_t *set, uint32_t timescale)
{
    uint64_t  rest;

    rest = (uint64_t) (set->period->grid_us % LIVE_MPD_SECOND_US) * timescale;

    return (uint64_t) (set->period->grid_us / LIVE_MPD_SECOND_US) * timescale
           + (rest + LIVE_MPD_SECOND_US / 2) / LIVE_MPD_SECOND_US;
}
