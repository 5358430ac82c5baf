
/* DASH manifests: attributes by a small XML reader, which checks nesting. */

#include <stdlib.h>
#include <time.h>

#include "live_mpd.h"
#include "tap.h"


#define TEST_TEXT     (256 * 1024)
#define TEST_ANCHOR   1769860800250LL   /* 2026-01-31T12:00:00.250Z */
#define TEST_MANY     1000

#define TEST_I        LIVE_SEGMENT_INDEPENDENT


static void test_low_latency(void);
static void test_timeline(void);
static void test_gaps(void);
static void test_periods(void);
static void test_audio(void);
static void test_ladder(void);
static void test_sets(void);
static void test_units(void);
static void test_rates(void);
static void test_delays(void);
static void test_end(void);
static void test_late(void);
static void test_shift(void);
static void test_bounds(void);
static void test_broken(void);
static void test_time(void);

static live_mpd_t test_mpd(const live_mpd_period_t *periods, uint32_t n);
static void test_render(const live_mpd_t *mpd, const char *name);
static const char *test_xml(const char *text);
static const char *test_element(const char *path);
static void test_is(const char *path, const char *attr, const char *expected,
    const char *name);
static void test_count(const char *tag, int expected, const char *name);


static char  test_text[TEST_TEXT];

static const live_codec_info_t  test_video = {
    .codec = LIVE_CODEC_H264, .media = LIVE_MEDIA_VIDEO, .timescale = 90000,
    .width = 1280, .height = 720, .sar_num = 1, .sar_den = 1,
    .codecs = "avc1.64001f"
};

static const live_codec_info_t  test_aac = {
    .codec = LIVE_CODEC_AAC, .media = LIVE_MEDIA_AUDIO, .timescale = 48000,
    .sample_rate = 48000, .channels = 2, .frame_samples = 1024,
    .codecs = "mp4a.40.2"
};

/* from 4 s of the timeline on, 2 s each */
static const live_m3u8_segment_t  test_v[] = {
    { 7, 360000, 180000, 3, TEST_I, 0, 0 },
    { 8, 540000, 180000, 3, TEST_I, 0, 0 },
    { 9, 720000, 90000, 3, TEST_I, 0, 0 },
};

static const live_m3u8_segment_t  test_a[] = {
    { 7, 192000, 96256, 2, TEST_I, 0, 0 },
    { 8, 288256, 95232, 2, TEST_I, 0, 0 },
    { 9, 383488, 48128, 2, TEST_I, 0, 0 },
};

static const live_mpd_track_t  test_tracks[] = {
    { "source", &test_video, 29.97, 3200000, test_v, 3 },
    { "audio", &test_aac, 0, 130000, test_a, 3 },
};


int
main(void)
{
    test_low_latency();
    test_timeline();
    test_gaps();
    test_periods();
    test_audio();
    test_ladder();
    test_sets();
    test_units();
    test_rates();
    test_delays();
    test_end();
    test_late();
    test_shift();
    test_bounds();
    test_broken();
    test_time();

    return tap_done();
}


static void
test_low_latency(void)
{
    live_mpd_t         mpd;
    live_mpd_period_t  p = { 4, 5, 0, 2000000, test_tracks, 2, 0 };

    mpd = test_mpd(&p, 1);
    mpd.part_target = 500;
    test_render(&mpd, "low latency");

    test_is("MPD", "type", "dynamic", "DASH-8");
    test_is("MPD", "profiles", "urn:mpeg:dash:profile:isoff-live:2011,"
            "urn:mpeg:dash:profile:cmaf:2019,"
            "http://www.dashif.org/guidelines/low-latency-live-v5", "DASH-8");
    test_is("MPD", "availabilityStartTime", "2026-01-31T12:00:00.250Z",
            "the anchor, DASH-2 DASH-56");
    test_is("MPD", "publishTime", "2026-01-31T12:01:00.123Z", "DASH-9");
    test_is("MPD", "minimumUpdatePeriod", "PT2.000S", "DASH-10");
    test_is("MPD", "timeShiftBufferDepth", "PT60.000S", "DASH-8");
    test_is("MPD", "suggestedPresentationDelay", "PT1.250S",
            "the latency, DASH-11");
    test_is("MPD", "minBufferTime", "PT1.000S", "DASH-12");
    test_is("MPD", "maxSegmentDuration", "PT2.022S", "DASH-8 DASH-40");
    test_is("MPD", "mediaPresentationDuration", NULL, "DASH-8");

    test_is("ServiceDescription/Latency", "target", "1250", "DASH-42");
    test_is("ServiceDescription/Latency", "min", "938", "DASH-42");
    test_is("ServiceDescription/Latency", "max", "2500", "DASH-42");
    test_is("ServiceDescription/Latency", "referenceId", "1", "DASH-43");
    test_is("ServiceDescription/PlaybackRate", "min", "0.96", "DASH-42");
    test_is("ServiceDescription/PlaybackRate", "max", "1.04", "DASH-42");

    test_is("Period", "id", "p4", "DASH-30");
    test_is("Period", "start", "PT0.000000S", "DASH-30");

    test_is("AdaptationSet", "id", "1", "DASH-16");
    test_is("AdaptationSet", "contentType", "video", "DASH-16");
    test_is("AdaptationSet", "mimeType", "video/mp4", "DASH-16");
    test_is("AdaptationSet", "segmentAlignment", "true", "DASH-16");
    test_is("AdaptationSet", "startWithSAP", "1", "DASH-16");
    test_is("AdaptationSet/Role", "value", "main", "DASH-16");
    test_is("AdaptationSet/ProducerReferenceTime", "id", "1", "DASH-43");
    test_is("AdaptationSet/ProducerReferenceTime", "type", "captured",
            "DASH-43");
    test_is("AdaptationSet/ProducerReferenceTime", "wallClockTime",
            "2026-01-31T12:00:00.250Z", "DASH-43");
    test_is("AdaptationSet/ProducerReferenceTime/UTCTiming", "value", "time",
            "as that of the manifest, DASH-43");

    test_is("SegmentTemplate", "timescale", "90000", "DASH-20");
    test_is("SegmentTemplate", "presentationTimeOffset", "0", "DASH-31");
    test_is("SegmentTemplate", "duration", "180000", "DASH-26");
    test_is("SegmentTemplate", "startNumber", "5", "DASH-55");
    test_is("SegmentTemplate", "endNumber", NULL, "it goes on");
    test_is("SegmentTemplate", "availabilityTimeOffset", "1.500000",
            "DASH-40");
    test_is("SegmentTemplate", "availabilityTimeComplete", "false", "DASH-40");
    test_is("SegmentTemplate", "initialization",
            "$RepresentationID$/init-k3f9-3.mp4", "DASH-23");
    test_is("SegmentTemplate", "media",
            "$RepresentationID$/seg-k3f9-$Number$.m4s", "DASH-23");

    test_is("Representation", "id", "source", "DASH-17");
    test_is("Representation", "bandwidth", "3200000", "DASH-12");
    test_is("Representation", "codecs", "avc1.64001f", "DASH-17");
    test_is("Representation", "width", "1280", "DASH-17");
    test_is("Representation", "height", "720", "DASH-17");
    test_is("Representation", "frameRate", "30000/1001", "DASH-17");
    test_is("Representation", "sar", "1:1", "DASH-17");

    test_is("AdaptationSet:2", "id", "2", "DASH-16");
    test_is("AdaptationSet:2", "lang", "und", "DASH-16");
    test_is("AdaptationSet:2", "mimeType", "audio/mp4", "DASH-16");
    test_is("AdaptationSet:2/ProducerReferenceTime", "id", "2", "DASH-43");
    test_is("AdaptationSet:2/SegmentTemplate", "timescale", "48000",
            "DASH-20");
    test_is("AdaptationSet:2/SegmentTemplate", "duration", "96000",
            "DASH-26");
    test_is("AdaptationSet:2/SegmentTemplate", "availabilityTimeOffset",
            "1.500000", "on every set, DASH-40");
    test_is("AdaptationSet:2/Representation", "audioSamplingRate", "48000",
            "DASH-17");
    test_is("AdaptationSet:2/Representation/AudioChannelConfiguration",
            "value", "2", "DASH-17");

    test_count("SegmentTimeline", 0, "no timeline on a grid, DASH-52");
    test_count("UTCTiming", 3, "one of the manifest, DASH-6 DASH-47");

    /* the part is the segment: nothing is early */
    mpd.part_target = 2000;
    test_render(&mpd, "a part as long as a segment");
    test_count("ServiceDescription", 0, "no low latency, DASH-40");
    test_is("SegmentTemplate", "availabilityTimeOffset", NULL, "DASH-40");
}


static void
test_timeline(void)
{
    live_mpd_t         mpd;
    live_mpd_period_t  p = { 1, 5, 0, 0, test_tracks, 2, 0 };

    mpd = test_mpd(&p, 1);
    mpd.part_target = 500;
    test_render(&mpd, "timeline");

    test_count("ServiceDescription", 0, "no low latency off a grid, DASH-52");
    test_count("ProducerReferenceTime", 0, "nor a reference time");
    test_is("MPD", "suggestedPresentationDelay", "PT6.000S", "DASH-11");
    test_is("MPD", "minBufferTime", "PT2.000S", "DASH-12");
    test_is("MPD", "maxSegmentDuration", "PT2.006S", "DASH-8");
    test_is("SegmentTemplate", "startNumber", "7",
            "of the first that is listed, DASH-25");
    test_is("SegmentTemplate", "duration", NULL, "DASH-23");
    test_is("SegmentTemplate", "presentationTimeOffset", "0", "DASH-2");
    test_is("S", "t", "360000", "the first has its time, DASH-25");
    test_is("S", "d", "180000", "DASH-24");
    test_is("S", "r", "1", "equal ones are one, DASH-24");
    test_is("S:2", "t", NULL, "follows, DASH-24");
    test_is("S:2", "d", "90000", "DASH-24");
    test_is("AdaptationSet:2/SegmentTemplate/SegmentTimeline/S", "t",
            "192000", "audio, DASH-21");
    test_is("AdaptationSet:2/SegmentTemplate/SegmentTimeline/S:2", "d",
            "95232", "audio, DASH-21");
    test_count("S", 5, "no more than these");
}


static void
test_gaps(void)
{
    static const live_m3u8_segment_t  segs[] = {
        { 1, 0, 180000, 1, TEST_I, 0, 0 },
        { 2, 180000, 180000, 1, LIVE_SEGMENT_GAP, 0, 0 },
        { 3, 360000, 180000, 1, TEST_I, 0, 0 },
        { 4, 540100, 180000, 1, TEST_I, 0, 0 },
        { 5, 720100, 180000, 1, TEST_I, 0, 0 },
    };

    live_mpd_t         mpd;
    live_mpd_track_t   t = { "source", &test_video, 30, 1, segs, 5 };
    live_mpd_period_t  p = { 1, 1, 0, 0, &t, 1, 0 };

    mpd = test_mpd(&p, 1);
    test_render(&mpd, "gaps");

    test_is("S", "r", "2", "a GAP segment keeps its number");
    test_is("S:2", "t", "540100", "a hole is said, DASH-24");
    test_is("S:2", "r", "1", "and the next ones follow");
}


/* DASH-30, DASH-31: a new init segment, another timescale of the audio */
static void
test_periods(void)
{
    static const live_codec_info_t  aac44 = {
        .media = LIVE_MEDIA_AUDIO, .timescale = 44100, .sample_rate = 44100,
        .channels = 6, .frame_samples = 1024, .codecs = "mp4a.40.2"
    };

    static const live_m3u8_segment_t  v[] = {
        { 10, 903000, 180000, 4, TEST_I, 0, 0 },
    };

    static const live_m3u8_segment_t  a[] = {
        { 10, 442470, 88200, 3, TEST_I, 0, 0 },
    };

    static const live_mpd_track_t  tracks[] = {
        { "source", &test_video, 30, 3200000, v, 1 },
        { "audio", &aac44, 0, 130000, a, 1 },
    };

    live_mpd_t         mpd;
    live_mpd_period_t  p[] = {
        { 1, 5, 0, 0, test_tracks, 2, 0 },
        { 2, 10, 10033333, 2000000, tracks, 2, 0 },
    };

    mpd = test_mpd(p, 2);
    mpd.part_target = 200;
    test_render(&mpd, "two periods");

    test_is("Period", "start", "PT0.000000S", "DASH-2");
    test_is("Period:2", "id", "p2", "DASH-30");
    test_is("Period:2", "start", "PT10.033333S", "DASH-30");
    test_is("Period:2/AdaptationSet/SegmentTemplate",
            "presentationTimeOffset", "903000", "one instant, DASH-31");
    test_is("Period:2/AdaptationSet:2/SegmentTemplate",
            "presentationTimeOffset", "442470", "one instant, DASH-31");
    test_is("Period:2/AdaptationSet/SegmentTemplate", "initialization",
            "$RepresentationID$/init-k3f9-4.mp4", "DASH-30");
    test_is("Period:2/AdaptationSet/SegmentTemplate", "startNumber", "10",
            "DASH-55");
    test_is("Period:2/AdaptationSet/ProducerReferenceTime", "wallClockTime",
            "2026-01-31T12:00:10.283Z", "DASH-43");
    test_is("Period:2/AdaptationSet:2/ProducerReferenceTime",
            "presentationTime", "442470", "DASH-43");
    test_is("Period:2/AdaptationSet:2/Representation/"
            "AudioChannelConfiguration", "value", "6", "DASH-17");
    test_is("Period/AdaptationSet/SegmentTemplate", "availabilityTimeOffset",
            "1.800000", "on the complete period too, DASH-40");
    test_is("Period/AdaptationSet/SegmentTemplate",
            "availabilityTimeComplete", NULL, "which is complete");
    test_is("ServiceDescription/Latency", "target", "1000", "at least 1 s");

    /* the grid was lost: no low latency, but the old grid is one still */
    p[0].grid_us = 2000000;
    p[1].grid_us = 0;
    p[1].start_us = 9033333;
    test_render(&mpd, "a grid before");
    test_count("ServiceDescription", 0, "no low latency off a grid");
    test_is("Period/AdaptationSet/SegmentTemplate", "duration", "180000",
            "a published period stays as it is, DASH-2");
    test_is("Period/AdaptationSet/SegmentTemplate", "availabilityTimeOffset",
            NULL, "DASH-40");
    test_is("Period", "duration", NULL, "it lasts until the next one");

    /* the publisher was away */
    p[1].start_us = 12533333;
    test_render(&mpd, "a hole between two periods");
    test_is("Period", "duration", "PT9.000000S",
            "no segment of the grid is where there is no media, DASH-39");
    test_is("Period:2", "duration", NULL, "the last one goes on");

    p[1].shift = -3500000;
    test_render(&mpd, "no hole in the time of the manifest");
    test_is("Period", "duration", NULL, "dates that move are no hole");

    p[1].shift = 0;
    p[1].msn = 12;
    test_render(&mpd, "the last segment is not known yet");
    test_is("Period", "duration", NULL, "nor is the length then");
}


static void
test_audio(void)
{
    live_mpd_t         mpd;
    live_mpd_track_t   none = { "source", &test_video, 30, 1, NULL, 0 };
    live_mpd_period_t  p = { 1, 5, 0, 2000000, &test_tracks[1], 1, 0 };

    mpd = test_mpd(&p, 1);
    mpd.part_target = 500;
    mpd.time = "time?a=1&b=\"<2>\"";
    test_render(&mpd, "audio only");

    test_count("AdaptationSet", 1, "audio alone");
    test_is("AdaptationSet", "id", "2", "its id is the same, DASH-16");
    test_is("ServiceDescription/Latency", "referenceId", "2", "DASH-43");
    test_is("MPD/UTCTiming", "value",
            "time?a=1&amp;b=&quot;&lt;2>&quot;", "escaped, DASH-13");

    mpd.time = NULL;
    test_render(&mpd, "no clock");
    test_count("UTCTiming", 0, "no clock service");
    test_count("ProducerReferenceTime", 0, "and no time that names it");
    test_is("ServiceDescription/Latency", "referenceId", NULL, "DASH-43");

    /* a track that has nothing yet is not there */
    p.tracks = &none;
    tap_ok(live_mpd(&(live_writer_t) { 0 }, &mpd) == LIVE_ERROR,
           "nothing to list is an error");
}


static void
test_ladder(void)
{
    live_mpd_t           mpd;
    live_m3u8_segment_t  other[3];
    live_mpd_track_t     t[] = { test_tracks[0], test_tracks[0] };
    live_mpd_period_t    p = { 1, 5, 0, 0, t, 2, 0 };

    static const live_codec_info_t  small = {
        .codec = LIVE_CODEC_H264, .media = LIVE_MEDIA_VIDEO,
        .timescale = 90000, .width = 854, .height = 480,
        .codecs = "avc1.4d401e"
    };

    t[1].name = "480p";
    t[1].info = &small;
    t[1].fps = 30;
    mpd = test_mpd(&p, 1);
    test_render(&mpd, "ladder");

    test_count("AdaptationSet", 1, "one set, DASH-19");
    test_is("AdaptationSet", "segmentAlignment", "true", "DASH-16");
    test_is("AdaptationSet", "maxWidth", "1280", "of the largest");
    test_is("AdaptationSet", "maxHeight", "720", "of the largest");
    test_is("AdaptationSet", "maxFrameRate", "30", "of the fastest");
    test_is("AdaptationSet", "bitstreamSwitching", NULL,
            "each has its init segment");
    test_is("Representation:2", "width", "854", "DASH-17");
    test_count("Representation", 2, "of two");
    test_count("SegmentTemplate", 1, "that share what is the same, DASH-40");
    test_is("Representation:2", "id", "480p", "DASH-17");

    memcpy(other, test_v, sizeof(other));
    other[0].init = other[1].init = other[2].init = 1;
    t[1].segments = other;
    test_render(&mpd, "ladder with other init segments");

    test_is("Representation/SegmentTemplate", "initialization",
            "$RepresentationID$/init-k3f9-3.mp4", "each its own");
    test_is("Representation:2/SegmentTemplate", "initialization",
            "$RepresentationID$/init-k3f9-1.mp4", "each its own");
    test_count("SegmentTemplate", 2, "no third one");
}


/* what is of another kind is a set of its own, wherever it stands */
static void
test_sets(void)
{
    static const live_codec_info_t  other = {
        .codec = LIVE_CODEC_NONE, .media = LIVE_MEDIA_VIDEO,
        .timescale = 90000, .width = 1280, .height = 720,
        .codecs = "xvid"
    };
    static const live_codec_info_t  mono = {
        .codec = LIVE_CODEC_AAC, .media = LIVE_MEDIA_AUDIO,
        .timescale = 48000, .sample_rate = 48000, .channels = 1,
        .frame_samples = 1024, .codecs = "mp4a.40.2"
    };
    static const live_m3u8_segment_t  slow[] = {
        { 7, 96000, 48128, 1, TEST_I, 24000, 0 },
    };

    live_mpd_t         mpd;
    live_mpd_track_t   t[] = {
        { "source", &test_video, 30, 3200000, test_v, 3 },
        { "audio", &test_aac, 0, 130000, test_a, 3 },
        { "480p", &other, 30, 900000, test_v, 3 },
        { "audio-32k", &mono, 0, 40000, test_a, 3 },
        { "240p", &test_video, 15, 300000, test_v, 3 },
        { "audio-16k", &mono, 0, 20000, slow, 1 },
        { "audio-96k", &test_aac, 0, 100000, test_a, 3 },
        { "none", &test_video, 15, 1, NULL, 0 },
    };
    live_mpd_period_t  p = { 1, 7, 4000000, 2000000, t, 8, 0 };

    mpd = test_mpd(&p, 1);
    mpd.part_target = 500;
    test_render(&mpd, "several sets");

    test_count("AdaptationSet", 5, "two of video, three of audio, DASH-19");
    test_count("Representation", 7, "none without a segment");
    test_count("SegmentTemplate", 5, "one of each set, DASH-40");
    test_count("ProducerReferenceTime", 5, "one of each set, DASH-43");
    test_is("AdaptationSet/Representation", "id", "source", "as given");
    test_is("AdaptationSet/Representation:2", "id", "240p", "its own kind");
    test_is("AdaptationSet/SupplementalProperty", "value", "3",
            "another codec of the same pictures");
    test_is("AdaptationSet:2", "id", "3", "DASH-16");
    test_is("AdaptationSet:2", "maxWidth", NULL, "one alone needs none");
    test_is("AdaptationSet:2/SupplementalProperty", "value", "1",
            "and back");
    test_is("AdaptationSet:2/Representation", "id", "480p", "another codec");
    test_is("AdaptationSet:3", "id", "2", "DASH-16");
    test_is("AdaptationSet:3/SupplementalProperty", "value", NULL,
            "not of audio: the user hears it");
    test_is("AdaptationSet:3/Representation", "id", "audio", "as given");
    test_is("AdaptationSet:3/Representation:2", "id", "audio-96k",
            "its own kind");
    test_is("AdaptationSet:4", "id", "4", "DASH-16");
    test_is("AdaptationSet:4/Representation", "id", "audio-32k",
            "other channels");
    test_is("AdaptationSet:4/ProducerReferenceTime", "presentationTime",
            "192000", "in its units");
    test_is("AdaptationSet:5", "id", "6", "DASH-16");
    test_is("AdaptationSet:5/Representation", "id", "audio-16k",
            "another timescale");
    test_is("AdaptationSet:5/ProducerReferenceTime", "presentationTime",
            "96000", "in its units");
}


/* 2.002 s are no whole number of ticks at 44100 */
static void
test_units(void)
{
    static const live_m3u8_segment_t  a[] = {
        { 1, 44100, 88288, 1, TEST_I, 44100, 0 },
    };

    live_mpd_t         mpd;
    live_mpd_track_t   t[] = {
        { "source", &test_video, 29.97, 1, test_v, 1 },
        { "audio", &test_aac, 0, 1, a, 1 },
    };
    live_mpd_period_t  p = { 1, 1, 1000000, 2002000, t, 2, 0 };

    mpd = test_mpd(&p, 1);
    test_render(&mpd, "grid of 2.002 s");

    test_is("SegmentTemplate", "duration", "180180", "DASH-26");
    test_is("SegmentTemplate", "timescale", "90000", "DASH-20");
    test_is("AdaptationSet:2/SegmentTemplate", "duration", "88288",
            "the nearest, DASH-26");
    test_is("AdaptationSet:2/SegmentTemplate", "timescale", "44100",
            "DASH-20");
    test_is("AdaptationSet:2/SegmentTemplate", "presentationTimeOffset",
            "44100", "in the same units, DASH-31");
}


static void
test_rates(void)
{
    static const struct {
        double       fps;
        const char  *rate;
    } rates[] = {
        { 30, "30" }, { 29.97, "30000/1001" }, { 59.94, "60000/1001" },
        { 23.976, "24000/1001" }, { 25, "25" }, { 24.999, "25" },
        { 60.003, "60" }, { 27.5, NULL }, { 0, NULL }, { -1, NULL },
        { 1e9, NULL },
    };

    size_t             i;
    live_mpd_t         mpd;
    live_mpd_track_t   t = test_tracks[0];
    live_mpd_period_t  p = { 1, 5, 0, 0, &t, 1, 0 };

    mpd = test_mpd(&p, 1);

    for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        t.fps = rates[i].fps;
        test_render(&mpd, "frame rate");
        test_is("Representation", "frameRate", rates[i].rate, "DASH-17");
    }
}


static void
test_delays(void)
{
    live_mpd_t         mpd;
    live_mpd_period_t  p = { 1, 5, 0, 0, test_tracks, 2, 0 };

    mpd = test_mpd(&p, 1);

    mpd.window_ms = 8000;
    test_render(&mpd, "window of 4 segments");
    test_is("MPD", "suggestedPresentationDelay", "PT4.000S",
            "less than the window - d, DASH-11");

    mpd.segment_ms = 500;
    test_render(&mpd, "short segments");
    test_is("MPD", "minimumUpdatePeriod", "PT1.000S", "1 s at least");

    mpd.target_duration = 1;
    test_render(&mpd, "longer than was promised");
    test_is("MPD", "maxSegmentDuration", "PT1.500S", "HLS-8");
}


/* DASH-37, for those who watch */
static void
test_end(void)
{
    live_mpd_t         mpd;
    live_mpd_period_t  p = { 4, 5, 0, 2000000, test_tracks, 2, 0 };

    mpd = test_mpd(&p, 1);
    mpd.part_target = 500;
    mpd.closing = 1;
    mpd.end_us = 9000000;
    test_render(&mpd, "closing");

    test_is("MPD", "type", "dynamic", "as it was, DASH-37");
    test_is("MPD", "minimumUpdatePeriod", NULL, "DASH-37");
    test_is("MPD", "mediaPresentationDuration", "PT9.000000S", "DASH-37");
    test_is("MPD", "timeShiftBufferDepth", "PT60.000S", "as it was");
    test_is("SegmentTemplate", "duration", "180000", "as it was");
    test_is("SegmentTemplate", "endNumber", "9", "5 to 9 are 9 s, DASH-38");

    /* the audio goes over by a frame */
    mpd.end_us = 8021333;
    test_render(&mpd, "closing on the grid");
    test_is("SegmentTemplate", "endNumber", "8", "no fifth segment, DASH-38");

    p.grid_us = 0;
    test_render(&mpd, "closing timeline");
    test_is("SegmentTemplate", "endNumber", "9", "DASH-38");
}


/* DASH-1: media time goes on, what is presented when has moved */
static void
test_shift(void)
{
    live_mpd_t         mpd;
    live_mpd_period_t  p = { 4, 7, 4000000, 2000000, test_tracks, 2, 41600 };

    mpd = test_mpd(&p, 1);
    mpd.part_target = 500;
    mpd.closing = 1;
    mpd.end_us = 9000000;
    test_render(&mpd, "shifted");

    test_is("Period", "start", "PT4.041600S", "later, DASH-1");
    test_is("SegmentTemplate", "presentationTimeOffset", "360000",
            "the time of the media, DASH-1");
    test_is("AdaptationSet/ProducerReferenceTime", "presentationTime",
            "360000", "DASH-43");
    test_is("AdaptationSet/ProducerReferenceTime", "wallClockTime",
            "2026-01-31T12:00:04.292Z", "when it was taken, DASH-43");
    test_is("MPD", "mediaPresentationDuration", "PT9.041600S", "DASH-37");
    test_is("SegmentTemplate", "endNumber", "9", "DASH-38");

    p.shift = -30000;
    test_render(&mpd, "shifted back");
    test_is("Period", "start", "PT3.970000S", "sooner, DASH-1");
    test_is("SegmentTemplate", "presentationTimeOffset", "360000",
            "the same media, DASH-1");
}


/* DASH-37, for those who come later */
static void
test_late(void)
{
    static const char  *none[] = {
        "availabilityStartTime", "minimumUpdatePeriod",
        "timeShiftBufferDepth", "suggestedPresentationDelay",
    };

    size_t             i;
    live_mpd_t         mpd;
    live_mpd_period_t  p[] = {
        { 4, 5, 0, 2000000, test_tracks, 2, 0 },
        { 5, 10, 9000000, 0, test_tracks, 2, 0 },
    };

    mpd = test_mpd(p, 1);
    mpd.part_target = 500;
    mpd.ended = 1;
    mpd.end_us = 9000000;
    test_render(&mpd, "ended");

    test_is("MPD", "type", "static", "DASH-37");
    test_is("MPD", "mediaPresentationDuration", "PT9.000000S",
            "the end on the timeline, DASH-37");

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        test_is("MPD", none[i], NULL, "not of a static one");
    }

    test_count("UTCTiming", 0, "nor a clock");
    test_count("ServiceDescription", 0, "nor a latency");
    test_count("SegmentTimeline", 2, "the grid is a list");
    test_is("SegmentTemplate", "startNumber", "7", "what is left, DASH-37");
    test_is("SegmentTemplate", "availabilityTimeOffset", NULL, "all is there");
    test_is("Period", "start", "PT4.000000S", "begins where there is media");
    test_is("SegmentTemplate", "presentationTimeOffset", "360000",
            "moved by the same, DASH-31");
    test_is("AdaptationSet:2/SegmentTemplate", "presentationTimeOffset",
            "192000", "moved by the same, DASH-31");

    mpd.nperiods = 2;
    test_render(&mpd, "ended with two periods");
    test_is("Period:2", "start", "PT9.000000S", "only the first one moves");
}


static void
test_bounds(void)
{
    int                   rc, i;
    char                 *buf;
    size_t                size, full;
    live_mpd_t            mpd;
    live_writer_t         w;
    live_mpd_track_t      t[4];
    live_mpd_period_t     p[4];
    live_codec_info_t     video, audio, others[2];
    live_m3u8_segment_t  *segs;

    segs = calloc(TEST_MANY, sizeof(live_m3u8_segment_t));

    if (segs == NULL) {
        tap_ok(0, "memory for the bounds");
        return;
    }

    for (i = 0; i < TEST_MANY; i++) {
        segs[i].msn = UINT64_MAX - TEST_MANY + (uint64_t) i;
        segs[i].start = INT64_MAX / 2 + i * 10LL * INT32_MAX;
        segs[i].duration = INT64_MAX / 4 + i;
        segs[i].init = UINT32_MAX;
        segs[i].timescale = UINT32_MAX;
    }

    video = test_video;
    video.width = video.height = UINT32_MAX;
    video.sar_num = video.sar_den = UINT32_MAX;
    memset(video.codecs, '"', sizeof(video.codecs) - 1);

    audio = test_aac;
    audio.sample_rate = UINT32_MAX;
    memset(audio.codecs, '&', sizeof(audio.codecs) - 1);

    others[0] = video;
    others[0].codec = LIVE_CODEC_NONE;
    others[1] = audio;
    others[1].channels = 8;

    for (i = 0; i < 4; i++) {
        t[i] = (live_mpd_track_t) {
            "a-name.of-some-length", i < 2 ? &video : &audio, 999.0 * 1000
            / 1001, UINT64_MAX, segs, i & 1 ? TEST_MANY : TEST_MANY - 1
        };

        p[i] = (live_mpd_period_t) {
            UINT64_MAX, UINT64_MAX, 1LL << 50, 0, t, 4, 0
        };
    }

    p[3].grid_us = 3600LL * 1000000 + 1;

    mpd = test_mpd(p, 4);
    mpd.epoch = "0123456789abcdef0123456789abcdef";
    mpd.time = "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"";
    mpd.window_ms = UINT64_MAX;
    mpd.segment_ms = mpd.target_duration = UINT32_MAX;
    mpd.part_target = 1000;
    mpd.closing = 1;
    mpd.end_us = INT64_MAX;

    size = live_mpd_size(&mpd);
    buf = malloc(size);

    if (buf == NULL) {
        free(segs);
        tap_ok(0, "memory for the bounds");
        return;
    }

    live_writer_init(&w, buf, size);
    rc = live_mpd(&w, &mpd);
    full = live_writer_len(&w);
    tap_ok(rc == LIVE_OK, "the widest fits: %zu of %zu", full, size);
    free(buf);

    t[1].info = &others[0];
    t[3].info = &others[1];
    size = live_mpd_size(&mpd);
    buf = malloc(size);
    live_writer_init(&w, buf, buf ? size : 0);
    rc = live_mpd(&w, &mpd);
    full = live_writer_len(&w);
    tap_ok(rc == LIVE_OK, "so does a set for each: %zu of %zu", full, size);
    free(buf);

    mpd = test_mpd(p, 1);
    p[0] = (live_mpd_period_t) { 4, 5, 0, 2000000, test_tracks, 2, 0 };
    mpd.part_target = 500;
    test_render(&mpd, "to cut");
    full = strlen(test_text);
    tap_ok(full <= live_mpd_size(&mpd), "a small one fits as well");

    for (rc = LIVE_OVERFLOW, size = 0; size < full; size++) {
        buf = malloc(size + 1);
        live_writer_init(&w, buf, size);
        rc = buf ? live_mpd(&w, &mpd) : LIVE_ERROR;
        free(buf);

        if (rc != LIVE_OVERFLOW) {
            break;
        }
    }

    tap_ok(size == full && rc == LIVE_OVERFLOW,
           "a smaller buffer overflows, at any size");

    free(segs);
}


static void
test_broken(void)
{
    live_mpd_t         mpd;
    live_writer_t      w;
    live_mpd_track_t   t = test_tracks[0];
    live_codec_info_t  info = test_video;
    live_mpd_period_t  p = { 1, 5, -40000, 2000000, &t, 1, 0 };

    mpd = test_mpd(&p, 0);
    live_writer_init(&w, test_text, sizeof(test_text));
    tap_ok(live_mpd(&w, &mpd) == LIVE_ERROR, "no period is an error");

    mpd.nperiods = 1;
    t.bandwidth = 0;
    tap_ok(live_mpd(&w, &mpd) == LIVE_ERROR, "no bandwidth is an error");

    t.bandwidth = 1;
    t.info = &info;
    info.timescale = 0;
    tap_ok(live_mpd(&w, &mpd) == LIVE_ERROR, "no timescale is an error");

    t.info = &test_video;
    test_render(&mpd, "a start before 0");
    test_is("Period", "start", "PT0.000000S", "is 0");
    test_is("SegmentTemplate", "presentationTimeOffset", "0", "for both");
}


static void
test_time(void)
{
    int            bad;
    char           got[LIVE_DATE_SIZE + 1], want[64];
    time_t         sec;
    int64_t        day;
    struct tm      tm;
    live_writer_t  w;

    static const struct {
        int64_t      ms;
        const char  *text;
    } times[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1970-01-01T00:00:00.000Z" },
        { TEST_ANCHOR, "2026-01-31T12:00:00.250Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
    };

    for (bad = 0; bad < 5; bad++) {
        live_writer_init(&w, got, sizeof(got));
        live_write_date(&w, times[bad].ms);
        got[LIVE_DATE_SIZE] = '\0';

        tap_ok(live_writer_len(&w) == LIVE_DATE_SIZE
               && strcmp(got, times[bad].text) == 0, "%s", times[bad].text);
    }

    bad = 0;

    for (day = 0; day < 2932896; day++) {
        sec = (time_t) (day * 86400 + day % 86400);
        gmtime_r(&sec, &tm);
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.007Z", &tm);

        live_writer_init(&w, got, sizeof(got));
        live_write_date(&w, (int64_t) sec * 1000 + 7);
        got[LIVE_DATE_SIZE] = '\0';
        bad += strcmp(got, want) != 0;
    }

    tap_ok(bad == 0, "every day until the year 9999, %d differ", bad);
}


static live_mpd_t
test_mpd(const live_mpd_period_t *periods, uint32_t n)
{
    live_mpd_t  mpd = {
        .epoch = "k3f9", .anchor_ms = TEST_ANCHOR,
        .publish_ms = TEST_ANCHOR + 59873, .window_ms = 60000,
        .segment_ms = 2000, .target_duration = 4, .time = "time",
        .periods = periods, .nperiods = n
    };

    return mpd;
}


static void
test_render(const live_mpd_t *mpd, const char *name)
{
    int            rc;
    const char    *error;
    live_writer_t  w;

    live_writer_init(&w, test_text, sizeof(test_text) - 1);
    rc = live_mpd(&w, mpd);
    test_text[live_writer_len(&w)] = '\0';
    error = rc == LIVE_OK ? test_xml(test_text) : "not rendered";

    if (rc == LIVE_OK && live_writer_len(&w) > live_mpd_size(mpd)) {
        error = "longer than was said";
    }

    tap_ok(error == NULL, "%s: %s", name, error ? error : "well-formed");

    if (getenv("TEST_MPD")) {
        fprintf(stderr, "%s\n", test_text);
    }
}


/* NULL when the tags nest, else what is wrong. */
static const char *
test_xml(const char *text)
{
    int          depth, n;
    char         open[16][64], name[64];
    const char  *p, *q;

    depth = 0;
    p = strchr(text, '\n');

    while (p && (p = strchr(p, '<')) != NULL) {
        q = strchr(p, '>');

        if (q == NULL || sscanf(p, "<%63[/A-Za-z]%n", name, &n) != 1) {
            return "a bad tag";
        }

        if (name[0] == '/') {
            if (depth == 0 || strcmp(open[--depth], name + 1) != 0) {
                return "tags do not nest";
            }

            if (depth == 0) {
                return strcmp(q, ">\n") ? "text after the end" : NULL;
            }

            p = q;

        } else {
            for (p += n; *p == ' '; p += n) {
                n = 0;
                sscanf(p, " %*[A-Za-z]=\"%*[^\"<]\"%n", &n);

                if (n == 0) {
                    return "a bad attribute";
                }
            }

            if (*p == '/') {
                p++;

            } else if (depth == 16) {
                return "too deep";

            } else {
                strcpy(open[depth++], name);
            }

            if (*p != '>') {
                return "a bad end of a tag";
            }
        }
    }

    return "no end";
}


/* Where the tag of "A/B:2" begins: the second B below the first A. */
static const char *
test_element(const char *path)
{
    int          n, nth, depth;
    char         name[64];
    size_t       len;
    const char  *p, *q;

    p = strchr(test_text, '\n');

    for ( ;; ) {
        n = 0;
        nth = 1;

        if (sscanf(path, "%63[A-Za-z]%n:%d%n", name, &n, &nth, &n) < 1) {
            return NULL;
        }

        len = strlen(name);
        depth = 0;

        for ( ;; ) {
            p = strchr(p, '<');

            if (p == NULL) {
                return NULL;
            }

            q = strchr(p++, '>');

            if (depth < 0) {
                return NULL;
            }

            if (strncmp(p, name, len) == 0 && strchr(" >", p[len])
                && --nth == 0)
            {
                break;
            }

            depth += *p == '/' ? -1 : q[-1] == '/' ? 0 : 1;
        }

        path += n;

        if (*path != '/') {
            return p;
        }

        path++;
        p = q;
    }
}


/* expected is NULL when there must be no such attribute. */
static void
test_is(const char *path, const char *attr, const char *expected,
    const char *name)
{
    char         key[64], got[256];
    const char  *p, *end;

    got[0] = '\0';
    p = test_element(path);
    snprintf(key, sizeof(key), " %s=\"", attr);

    if (p) {
        end = strchr(p, '>');
        p = strstr(p, key);

        if (p && p < end) {
            p += strlen(key);
            snprintf(got, sizeof(got), "%.*s", (int) strcspn(p, "\""), p);

        } else {
            p = NULL;
        }
    }

    tap_ok(expected ? p && strcmp(got, expected) == 0 : p == NULL,
           "%s@%s is %s: %s (%s)", path, attr, expected ? expected : "absent",
           name, got);
}


static void
test_count(const char *tag, int expected, const char *name)
{
    int          n;
    size_t       len;
    const char  *p;

    n = 0;
    len = strlen(tag);

    for (p = test_text; (p = strchr(p, '<')) != NULL; p++) {
        n += strncmp(p + 1, tag, len) == 0 && strchr(" >", p[1 + len]);
    }

    tap_ok(n == expected, "%d %s: %s (%d)", expected, tag, name, n);
}
