
#include "live_m3u8_write.h"


#define LIVE_M3U8_MAX_FPS  1000         /* above: not a rate */


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
    live_write_str(w, "#EXTM3U\n#EXT-X-VERSION:6\n");

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
