
/* Multivariant playlists: exact texts. */

#include "test_m3u8.h"


static void test_multivariant(void);
static void test_multivariant_others(void);
static void test_multivariant_groups(void);
static void test_multivariant_alone(void);


static const live_codec_info_t  test_avc = {
    .codec = LIVE_CODEC_H264, .media = LIVE_MEDIA_VIDEO,
    .timescale = 90000, .width = 1280, .height = 720,
    .codecs = "avc1.64001f"
};

static const live_codec_info_t  test_tiny = {
    .codec = LIVE_CODEC_H264, .media = LIVE_MEDIA_VIDEO,
    .timescale = 90000, .width = 426, .height = 240,
    .codecs = "avc1.4d4015"
};

static const live_codec_info_t  test_lc = {
    .codec = LIVE_CODEC_AAC, .media = LIVE_MEDIA_AUDIO,
    .timescale = 48000, .channels = 2, .codecs = "mp4a.40.2"
};

static const live_codec_info_t  test_he = {
    .codec = LIVE_CODEC_AAC, .media = LIVE_MEDIA_AUDIO,
    .timescale = 48000, .channels = 1, .codecs = "mp4a.40.5"
};


int
main(void)
{
    test_multivariant();
    test_multivariant_others();
    test_multivariant_groups();
    test_multivariant_alone();

    return tap_done();
}


static void
test_multivariant(void)
{
    char           text[2048];
    size_t         size, need;
    int            ok;
    live_writer_t  w;

    static const live_codec_info_t  avc = {
        .codec = LIVE_CODEC_H264, .media = LIVE_MEDIA_VIDEO,
        .timescale = 90000, .width = 1280, .height = 720,
        .codecs = "avc1.64001f"
    };
    static const live_codec_info_t  aac = {
        .codec = LIVE_CODEC_AAC, .media = LIVE_MEDIA_AUDIO,
        .timescale = 48000, .channels = 2, .codecs = "mp4a.40.2"
    };

    live_m3u8_rendition_t  video[] = {
        { "video", "audio", &avc, 30000.0 / 1001, 2500000, 2000000, 0 }
    };
    live_m3u8_rendition_t  audio[] = {
        { "audio", "audio", &aac, 0, 140000, 128000, 0 }
    };

    static const char  expected[] =
        "#EXTM3U\n"
        "#EXT-X-VERSION:6\n"
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\","
        "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\","
        "URI=\"audio/playlist.m3u8\"\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=2640000,AVERAGE-BANDWIDTH=2128000,"
        "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,"
        "FRAME-RATE=29.970,CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"\n"
        "video/playlist.m3u8\n";

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 1, audio, 1) == LIVE_OK;
    *w.pos = '\0';
    test_is(ok ? text : "", expected, "video with audio, HLS-34 to HLS-44");

    need = live_writer_len(&w);

    for (size = 0; size < need; size++) {
        live_writer_init(&w, text, size);
        ok &= live_m3u8_multivariant(&w, video, 1, audio, 1)
              == LIVE_OVERFLOW;
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer");

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 1, NULL, 0) == LIVE_OK;
    *w.pos = '\0';
    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2000000,"
            "CODECS=\"avc1.64001f\",RESOLUTION=1280x720,FRAME-RATE=29.970,"
            "CLOSED-CAPTIONS=NONE\n"
            "video/playlist.m3u8\n", "video only");

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, NULL, 0, audio, 1) == LIVE_OK;
    *w.pos = '\0';
    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=140000,AVERAGE-BANDWIDTH=128000,"
            "CODECS=\"mp4a.40.2\"\n"
            "audio/playlist.m3u8\n", "audio only, HLS-79");

    live_writer_init(&w, text, sizeof(text));
    video[0].bandwidth = 0;
    tap_ok(live_m3u8_multivariant(&w, video, 1, audio, 1) == LIVE_ERROR,
           "no bandwidth is never published, HLS-36");
    tap_ok(live_m3u8_multivariant(&w, NULL, 0, NULL, 0) == LIVE_ERROR,
           "no rendition is no playlist");
}


static void
test_multivariant_others(void)
{
    int            ok;
    char           text[2048];
    live_writer_t  w;

    static const live_codec_info_t  dv = {
        .media = LIVE_MEDIA_VIDEO, .width = 720, .height = 576,
        .sar_num = 64, .sar_den = 45, .codecs = "avc1.4d401e"
    };
    static const live_codec_info_t  bare = {
        .media = LIVE_MEDIA_VIDEO, .codecs = "avc1.42c00d"
    };
    static const live_codec_info_t  lc = {
        .media = LIVE_MEDIA_AUDIO, .channels = 6, .codecs = "mp4a.40.2"
    };
    static const live_codec_info_t  he = {
        .media = LIVE_MEDIA_AUDIO, .channels = 0, .codecs = "mp4a.40.5"
    };

    static const live_m3u8_rendition_t  video[] = {
        { "source", "audio", &dv, 25, 1000000, 0, 0 },
        { "tiny", "audio", &bare, 0, 300000, 250000, 0 }
    };
    static const live_m3u8_rendition_t  audio[] = {
        { "a1", "audio", &lc, 0, 100000, 90000, 0 },
        { "a2", "audio", &he, 0, 48000, 40000, 0 },
        { "a3", "audio", &lc, 0, 200000, 80000, 0 }
    };

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 2, audio, 3) == LIVE_OK;
    *w.pos = '\0';

    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\","
            "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"6\","
            "URI=\"a1/playlist.m3u8\"\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio 2\","
            "DEFAULT=NO,AUTOSELECT=NO,URI=\"a2/playlist.m3u8\"\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio 3\","
            "DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"6\","
            "URI=\"a3/playlist.m3u8\"\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=1200000,"
            "CODECS=\"avc1.4d401e,mp4a.40.2,mp4a.40.5\","
            "RESOLUTION=1024x576,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE,"
            "AUDIO=\"audio\"\n"
            "source/playlist.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=500000,AVERAGE-BANDWIDTH=340000,"
            "CODECS=\"avc1.42c00d,mp4a.40.2,mp4a.40.5\","
            "CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"\n"
            "tiny/playlist.m3u8\n",
            "several of each, HLS-35 HLS-37 HLS-44");
}


/* a ladder: the source with its own audio, rungs that share another */
static void
test_multivariant_groups(void)
{
    int            ok;
    char           text[4096];
    live_writer_t  w;

    live_m3u8_rendition_t  video[] = {
        { "source", "audio", &test_avc, 30, 4000000, 3500000, 0 },
        { "480p", "audio-96k", &test_avc, 30, 1500000, 1200000, 0 },
        { "240p", "audio-32k", &test_tiny, 15, 300000, 250000, 0 },
        { "mute", NULL, &test_tiny, 15, 200000, 0, 0 },
        { "lost", "gone", &test_tiny, 15, 100000, 90000, 0 }
    };
    static const live_m3u8_rendition_t  audio[] = {
        { "audio", "audio", &test_lc, 0, 200000, 192000, 0 },
        { "audio-96k", "audio-96k", &test_lc, 0, 110000, 96000, 0 },
        { "audio-32k", "audio-32k", &test_he, 0, 40000, 32000, 0 },
        { "audio-64k", "audio-64k", &test_lc, 0, 70000, 64000, 0 }
    };

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 5, audio, 4) == LIVE_OK;
    *w.pos = '\0';

    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\","
            "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\","
            "URI=\"audio/playlist.m3u8\"\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-96k\",NAME=\"Audio\","
            "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\","
            "URI=\"audio-96k/playlist.m3u8\"\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-32k\",NAME=\"Audio\","
            "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"1\","
            "URI=\"audio-32k/playlist.m3u8\"\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=4200000,AVERAGE-BANDWIDTH=3692000,"
            "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,"
            "FRAME-RATE=30.000,CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"\n"
            "source/playlist.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=1610000,AVERAGE-BANDWIDTH=1296000,"
            "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,"
            "FRAME-RATE=30.000,CLOSED-CAPTIONS=NONE,AUDIO=\"audio-96k\"\n"
            "480p/playlist.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=340000,AVERAGE-BANDWIDTH=282000,"
            "CODECS=\"avc1.4d4015,mp4a.40.5\",RESOLUTION=426x240,"
            "FRAME-RATE=15.000,CLOSED-CAPTIONS=NONE,AUDIO=\"audio-32k\"\n"
            "240p/playlist.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.4d4015\","
            "RESOLUTION=426x240,FRAME-RATE=15.000,CLOSED-CAPTIONS=NONE\n"
            "mute/playlist.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=100000,AVERAGE-BANDWIDTH=90000,"
            "CODECS=\"avc1.4d4015\",RESOLUTION=426x240,FRAME-RATE=15.000,"
            "CLOSED-CAPTIONS=NONE\n"
            "lost/playlist.m3u8\n",
            "a group for each kind of audio, counted by its own variants; "
            "one that nobody plays with is not named, HLS-35 HLS-37 HLS-44");
}


/* audio that is a variant of its own, with and without pictures */
static void
test_multivariant_alone(void)
{
    int            ok;
    char           text[2048];
    live_writer_t  w;

    live_m3u8_rendition_t  video[] = {
        { "source", "audio", &test_avc, 30, 4000000, 3500000, 0 }
    };
    live_m3u8_rendition_t  audio[] = {
        { "audio", "audio", &test_lc, 0, 200000, 192000, 0 },
        { "audio-64k", "audio-64k", &test_he, 0, 70000, 64000, 1 }
    };

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 1, audio, 2) == LIVE_OK;
    *w.pos = '\0';

    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\","
            "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\","
            "URI=\"audio/playlist.m3u8\"\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=4200000,AVERAGE-BANDWIDTH=3692000,"
            "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,"
            "FRAME-RATE=30.000,CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"\n"
            "source/playlist.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=70000,AVERAGE-BANDWIDTH=64000,"
            "CODECS=\"mp4a.40.5\"\n"
            "audio-64k/playlist.m3u8\n", "an audio-only rung is the last");

    audio[1].group = "audio";

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 1, audio, 2) == LIVE_OK;
    *w.pos = '\0';

    tap_ok(ok && strstr(text, "GROUP-ID=\"audio\",NAME=\"Audio 2\"")
           && strstr(text, "BANDWIDTH=70000") && test_count(text, "INF:") == 2,
           "one that video plays with as well is both");

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, NULL, 0, audio, 2) == LIVE_OK;
    *w.pos = '\0';

    tap_ok(ok && test_count(text, "INF:") == 2
           && test_count(text, "MEDIA:") == 0
           && strstr(text, "\naudio/") < strstr(text, "\naudio-64k/"),
           "without video each is a variant once, in order");

    audio[1].bandwidth = 0;
    live_writer_init(&w, text, sizeof(text) - 1);
    tap_ok(live_m3u8_multivariant(&w, video, 1, audio, 2) == LIVE_ERROR,
           "nor is audio without a bandwidth published, HLS-36");
}
