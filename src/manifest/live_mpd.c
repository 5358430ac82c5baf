
#include "live_mpd_write.h"


#define LIVE_MPD_PROFILES                                                     \
    "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"
#define LIVE_MPD_PROFILE_LL                                                   \
    ",http://www.dashif.org/guidelines/low-latency-live-v5"
#define LIVE_MPD_XSDATE  "urn:mpeg:dash:utc:http-xsdate:2014"

/* upper bounds without names and numbers of segments, see the unit test */
#define LIVE_MPD_HEAD_SIZE       1536
#define LIVE_MPD_PERIOD_SIZE     512
#define LIVE_MPD_SET_SIZE        1024       /* with a template */
#define LIVE_MPD_TRACK_SIZE      1024       /* with a template of its own */
#define LIVE_MPD_SWITCH_SIZE     16         /* an id in a list of sets */
#define LIVE_MPD_SEGMENT_SIZE    96
#define LIVE_MPD_ESCAPE          6          /* "&quot;" */


#define LIVE_MPD_MIN_LATENCY     1000       /* ms, of a target */


static int live_mpd_plan(live_mpd_plan_t *plan, const live_mpd_t *mpd);
static int live_mpd_check(const live_mpd_period_t *period);
static void live_mpd_head(live_writer_t *w, const live_mpd_plan_t *plan);
static void live_mpd_dynamic(live_writer_t *w, const live_mpd_plan_t *plan);
static uint64_t live_mpd_delay(const live_mpd_t *mpd);
static uint64_t live_mpd_max_segment(const live_mpd_t *mpd);
static int64_t live_mpd_longest_us(const live_mpd_track_t *track,
    int64_t grid_us);
static void live_mpd_service(live_writer_t *w, const live_mpd_plan_t *plan);
static void live_mpd_period(live_writer_t *w, const live_mpd_plan_t *plan,
    const live_mpd_period_t *period);
static void live_mpd_length(live_writer_t *w, const live_mpd_set_t *set);
static int64_t live_mpd_period_start(const live_mpd_plan_t *plan,
    const live_mpd_period_t *period);
static uint64_t live_mpd_time(int64_t us, const live_mpd_period_t *period);


int
live_mpd(live_writer_t *w, const live_mpd_t *mpd)
{
    uint32_t         i;
    live_mpd_plan_t  plan;

    if (live_mpd_plan(&plan, mpd) != LIVE_OK) {
        return LIVE_ERROR;
    }

    live_mpd_head(w, &plan);

    if (plan.latency) {
        live_mpd_service(w, &plan);
    }

    for (i = 0; i < mpd->nperiods && !w->error; i++) {
        live_mpd_period(w, &plan, &mpd->periods[i]);
    }

    if (!mpd->ended) {
        live_mpd_utc(w, mpd);
    }

    live_write_str(w, "</MPD>\n");

    return w->error ? LIVE_OVERFLOW : LIVE_OK;
}


size_t
live_mpd_size(const live_mpd_t *mpd)
{
    size_t                    size, epoch, time;
    uint32_t                  i, j;
    const live_mpd_track_t   *track;
    const live_mpd_period_t  *period;

    epoch = 2 * strlen(mpd->epoch);
    time = mpd->time ? LIVE_MPD_ESCAPE * strlen(mpd->time) : 0;
    size = LIVE_MPD_HEAD_SIZE + time;

    for (i = 0; i < mpd->nperiods; i++) {
        period = &mpd->periods[i];
        size += LIVE_MPD_PERIOD_SIZE;

        /* each may be a set of its own */

        for (j = 0; j < period->ntracks; j++) {
            track = &period->tracks[j];
            size += LIVE_MPD_SET_SIZE + epoch + time
                    + (size_t) period->ntracks * LIVE_MPD_SWITCH_SIZE
                    + LIVE_MPD_TRACK_SIZE + epoch + strlen(track->name)
                    + (size_t) track->nsegments * LIVE_MPD_SEGMENT_SIZE;
        }
    }

    return size;
}


static int
live_mpd_plan(live_mpd_plan_t *plan, const live_mpd_t *mpd)
{
    uint32_t                  i;
    const live_mpd_period_t  *period;

    memset(plan, 0, sizeof(live_mpd_plan_t));
    plan->mpd = mpd;

    for (i = 0; i < mpd->nperiods; i++) {
        period = &mpd->periods[i];

        if (live_mpd_check(period) != LIVE_OK) {
            return LIVE_ERROR;
        }

        if (live_mpd_next(period, LIVE_MEDIA_VIDEO, NULL) == NULL
            && live_mpd_next(period, LIVE_MEDIA_AUDIO, NULL) == NULL)
        {
            continue;
        }

        plan->last = period;

        if (plan->first == NULL) {
            plan->first = period;
        }
    }

    if (plan->last == NULL) {
        return LIVE_ERROR;
    }

    plan->ahead_us = plan->last->grid_us - (int64_t) mpd->part_target * 1000;

    if (mpd->part_target && plan->ahead_us > 0 && !mpd->ended) {
        plan->latency = mpd->part_target + mpd->part_target * 3 / 2;

        if (plan->latency < LIVE_MPD_MIN_LATENCY) {
            plan->latency = LIVE_MPD_MIN_LATENCY;
        }
    }

    return LIVE_OK;
}


static int
live_mpd_check(const live_mpd_period_t *period)
{
    uint32_t                 i;
    const live_mpd_track_t  *track;

    for (i = 0; i < period->ntracks; i++) {
        track = &period->tracks[i];

        if (track->nsegments
            && (track->bandwidth == 0 || live_mpd_timescale(track) == 0))
        {
            return LIVE_ERROR;
        }
    }

    return LIVE_OK;
}


static void
live_mpd_head(live_writer_t *w, const live_mpd_plan_t *plan)
{
    uint64_t           buffer;
    const live_mpd_t  *mpd;

    mpd = plan->mpd;
    buffer = mpd->segment_ms;

    if (plan->latency) {
        buffer = 2 * (uint64_t) mpd->part_target;

        if (buffer > LIVE_MPD_MIN_LATENCY) {
            buffer = LIVE_MPD_MIN_LATENCY;
        }
    }

    live_write_str(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"");
    live_write_str(w, mpd->ended ? "static" : "dynamic");
    live_write_str(w, "\" profiles=\"" LIVE_MPD_PROFILES);

    if (plan->latency) {
        live_write_str(w, LIVE_MPD_PROFILE_LL);
    }

    live_write_u8(w, '"');

    if (!mpd->ended) {
        live_mpd_dynamic(w, plan);
    }

    live_mpd_date(w, "publishTime", mpd->publish_ms);

    if (mpd->ended || mpd->closing) {
        live_mpd_duration(w, "mediaPresentationDuration",
                          live_mpd_time(mpd->end_us, plan->last), 6);
    }

    live_mpd_duration(w, "minBufferTime", buffer, 3);
    live_mpd_duration(w, "maxSegmentDuration", live_mpd_max_segment(mpd), 3);
    live_write_str(w, ">\n");
}


/* DASH-8; a closing manifest never changes, so it is not asked for again */
static void
live_mpd_dynamic(live_writer_t *w, const live_mpd_plan_t *plan)
{
    const live_mpd_t  *mpd;

    mpd = plan->mpd;

    live_mpd_date(w, "availabilityStartTime", mpd->anchor_ms);

    if (!mpd->closing) {
        live_mpd_duration(w, "minimumUpdatePeriod",
                          mpd->segment_ms > 1000 ? mpd->segment_ms : 1000, 3);
    }

    live_mpd_duration(w, "timeShiftBufferDepth", mpd->window_ms, 3);

    /* of the two delays each player reads the one it likes (DASH-11) */
    live_mpd_duration(w, "suggestedPresentationDelay",
                      plan->latency ? plan->latency : live_mpd_delay(mpd), 3);
}


/* Three segments, but the oldest ones are about to leave (DASH-11). */
static uint64_t
live_mpd_delay(const live_mpd_t *mpd)
{
    uint64_t  d;

    d = mpd->segment_ms;

    if (4 * d < mpd->window_ms) {
        return 3 * d;
    }

    return mpd->window_ms > 3 * d ? mpd->window_ms - 2 * d : d;
}


/*
 * As tight as is known: a player may stay that far behind the live edge
 * (shaka-player subtracts it from the time of day).
 */
static uint64_t
live_mpd_max_segment(const live_mpd_t *mpd)
{
    int64_t                   us, max, limit;
    uint32_t                  i, j;
    const live_mpd_period_t  *period;

    max = 0;
    limit = (int64_t) mpd->target_duration * LIVE_MPD_SECOND_US
            + LIVE_MPD_SECOND_US / 2;

    for (i = 0; i < mpd->nperiods; i++) {
        period = &mpd->periods[i];

        for (j = 0; j < period->ntracks; j++) {
            us = live_mpd_longest_us(&period->tracks[j],
                                     mpd->ended ? 0 : period->grid_us);

            if (us > max) {
                max = us;
            }
        }
    }

    if (max > limit) {
        max = limit;
    }

    return (uint64_t) (max + 999) / 1000;
}


static int64_t
live_mpd_longest_us(const live_mpd_track_t *track, int64_t grid_us)
{
    int64_t   max;
    uint32_t  i, timescale, frame;

    timescale = live_mpd_timescale(track);

    if (timescale == 0) {
        return 0;
    }

    if (grid_us) {
        /* a boundary is the frame's next to the line of the grid */
        frame = track->info->media == LIVE_MEDIA_AUDIO
                ? track->info->frame_samples : 0;

        return grid_us + live_m3u8_scale(frame, timescale, LIVE_MPD_SECOND_US);
    }

    max = 0;

    for (i = 0; i < track->nsegments; i++) {
        if (track->segments[i].duration > max) {
            max = track->segments[i].duration;
        }
    }

    return live_m3u8_scale(max, timescale, LIVE_MPD_SECOND_US);
}


/* DASH-42; the reference is the one of the last period's first set */
static void
live_mpd_service(live_writer_t *w, const live_mpd_plan_t *plan)
{
    unsigned  video;

    video = live_mpd_next(plan->last, LIVE_MEDIA_VIDEO, NULL) != NULL;

    live_write_str(w, "<ServiceDescription id=\"1\"><Latency");

    if (plan->mpd->time) {
        live_mpd_number(w, "referenceId", video ? 1 : 2);
    }

    live_mpd_number(w, "target", plan->latency);
    live_mpd_number(w, "max", 2 * (uint64_t) plan->latency);
    live_mpd_number(w, "min", plan->latency - plan->latency / 4);
    live_write_str(w, "/><PlaybackRate max=\"1.04\" min=\"0.96\"/>"
                      "</ServiceDescription>\n");
}


static void
live_mpd_period(live_writer_t *w, const live_mpd_plan_t *plan,
    const live_mpd_period_t *period)
{
    live_mpd_set_t  set;

    set.plan = plan;
    set.period = period;
    set.grid = period->grid_us > 0 && !plan->mpd->ended;
    set.start_us = live_mpd_period_start(plan, period);

    if (live_mpd_next(period, LIVE_MEDIA_VIDEO, NULL) == NULL
        && live_mpd_next(period, LIVE_MEDIA_AUDIO, NULL) == NULL)
    {
        return;
    }

    live_write_str(w, "<Period id=\"p");
    live_write_decimal(w, period->id);
    live_write_u8(w, '"');
    live_mpd_duration(w, "start", live_mpd_time(set.start_us, period), 6);

    if (period->grid_us > 0) {
        live_mpd_length(w, &set);
    }

    live_write_str(w, ">\n");

    set.media = LIVE_MEDIA_VIDEO;
    live_mpd_sets(w, &set);

    set.media = LIVE_MEDIA_AUDIO;
    live_mpd_sets(w, &set);

    live_write_str(w, "</Period>\n");
}


/*
 * A grid goes on until the next period starts: where that is later than media
 * end, as when a publisher was away, players would ask for segments that there
 * are none of (DASH-30, DASH-39).
 */
static void
live_mpd_length(live_writer_t *w, const live_mpd_set_t *set)
{
    int64_t                     end, us, hole;
    uint32_t                    i;
    const live_mpd_track_t     *track;
    const live_mpd_period_t    *period, *next;
    const live_m3u8_segment_t  *last;

    period = set->period;

    if (period == set->plan->last) {
        return;
    }

    /* the last one is not empty */

    for (next = period + 1;
         live_mpd_next(next, LIVE_MEDIA_VIDEO, NULL) == NULL
         && live_mpd_next(next, LIVE_MEDIA_AUDIO, NULL) == NULL;
         next++)
    {
        /* void */
    }

    end = 0;

    for (i = 0; i < period->ntracks; i++) {
        track = &period->tracks[i];

        if (track->nsegments == 0) {
            continue;
        }

        last = &track->segments[track->nsegments - 1];

        /* it is not known yet */

        if (last->msn + 1 != next->msn) {
            return;
        }

        us = live_m3u8_scale(last->start + last->duration,
                             live_mpd_timescale(track), LIVE_MPD_SECOND_US);

        if (us > end) {
            end = us;
        }
    }

    hole = live_mpd_period_start(set->plan, next) + next->shift
           - end - period->shift;

    if (end > set->start_us && hole > period->grid_us / 4) {
        live_mpd_duration(w, "duration", (uint64_t) (end - set->start_us), 6);
    }
}


/*
 * MPD time is the time of the timeline, but for the shift of the period, so
 * start and presentationTimeOffset are one instant, whichever it is.  A player
 * of a static manifest begins at the start of its first period: there must be
 * media.
 */
static int64_t
live_mpd_period_start(const live_mpd_plan_t *plan,
    const live_mpd_period_t *period)
{
    int64_t                  start, us;
    const live_mpd_track_t  *track;

    start = period->start_us > 0 ? period->start_us : 0;

    if (!plan->mpd->ended || period != plan->first) {
        return start;
    }

    track = live_mpd_next(period, LIVE_MEDIA_VIDEO, NULL);

    if (track == NULL) {
        track = live_mpd_next(period, LIVE_MEDIA_AUDIO, NULL);
    }

    us = live_m3u8_scale(track->segments[0].start, live_mpd_timescale(track),
                        LIVE_MPD_SECOND_US);

    return us > start ? us : start;
}


static uint64_t
live_mpd_time(int64_t us, const live_mpd_period_t *period)
{
    us += period->shift;

    return us > 0 ? (uint64_t) us : 0;
}


void
live_mpd_utc(live_writer_t *w, const live_mpd_t *mpd)
{
    if (mpd->time == NULL) {
        return;
    }

    live_write_str(w, "<UTCTiming schemeIdUri=\"" LIVE_MPD_XSDATE
                      "\" value=\"");
    live_mpd_text(w, mpd->time);
    live_write_str(w, "\"/>\n");
}


void
live_mpd_number(live_writer_t *w, const char *name, uint64_t v)
{
    live_write_u8(w, ' ');
    live_write_str(w, name);
    live_write_str(w, "=\"");
    live_write_decimal(w, v);
    live_write_u8(w, '"');
}


void
live_mpd_duration(live_writer_t *w, const char *name, uint64_t v,
    unsigned digits)
{
    live_write_u8(w, ' ');
    live_write_str(w, name);
    live_write_str(w, "=\"PT");
    live_write_fixed(w, v, digits);
    live_write_str(w, "S\"");
}


void
live_mpd_date(live_writer_t *w, const char *name, int64_t ms)
{
    live_write_u8(w, ' ');
    live_write_str(w, name);
    live_write_str(w, "=\"");
    live_write_date(w, ms);
    live_write_u8(w, '"');
}


void
live_mpd_text(live_writer_t *w, const char *s)
{
    for (/* void */; *s; s++) {
        switch (*s) {

        case '&':
            live_write_str(w, "&amp;");
            break;

        case '<':
            live_write_str(w, "&lt;");
            break;

        case '"':
            live_write_str(w, "&quot;");
            break;

        default:
            live_write_u8(w, (uint8_t) *s);
        }
    }
}
