
#include "live_m3u8_write.h"


#define LIVE_M3U8_MAX_FPS  1000         /* above: not a rate */


/* The audio that a variant plays with. */
typedef struct {
    const char                   *name;     /* NULL: there is none */
    const live_m3u8_rendition_t  *audio;    /* of all groups */
    uint32_t                      naudio;
} live_m3u8_group_t;


static void live_m3u8_audio(live_writer_t *w,
    const live_m3u8_rendition_t *video, uint32_t nvideo,
    const live_m3u8_rendition_t *audio, uint32_t naudio);
static uint32_t live_m3u8_position(const live_m3u8_rendition_t *audio,
    uint32_t n);
static void live_m3u8_group(live_m3u8_group_t *g,
    const live_m3u8_rendition_t *v, const live_m3u8_rendition_t *audio,
    uint32_t naudio);
static int live_m3u8_is_of(const live_m3u8_rendition_t *a, const char *group);
static int live_m3u8_variant(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_group_t *g);
static void live_m3u8_bandwidth(live_writer_t *w,
    const live_m3u8_rendition_t *v, const live_m3u8_group_t *g);
static void live_m3u8_codecs(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_group_t *g);
static int live_m3u8_codec_is_new(const char *first,
    const live_m3u8_group_t *g, uint32_t n);
static void live_m3u8_picture(live_writer_t *w,
    const live_m3u8_rendition_t *v);


int
live_m3u8_multivariant(live_writer_t *w,
    const live_m3u8_rendition_t *video, uint32_t nvideo,
    const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    int                rc;
    uint32_t           i;
    live_m3u8_group_t  g;

    if (nvideo + naudio == 0) {
        return LIVE_ERROR;
    }

    /* that segments are independent is for each media playlist to say: there
     * it can become untrue and true again (HLS-23) */
    live_write_str(w, "#EXTM3U\n#EXT-X-VERSION:6\n");

    live_m3u8_audio(w, video, nvideo, audio, naudio);

    rc = LIVE_OK;

    for (i = 0; i < nvideo && rc == LIVE_OK; i++) {
        live_m3u8_group(&g, &video[i], audio, naudio);
        rc = live_m3u8_variant(w, &video[i], &g);
    }

    memset(&g, 0, sizeof(live_m3u8_group_t));

    for (i = 0; i < naudio && rc == LIVE_OK; i++) {
        if (nvideo == 0 || audio[i].alone) {
            rc = live_m3u8_variant(w, &audio[i], &g);
        }
    }

    if (rc != LIVE_OK) {
        return rc;
    }

    return w->error ? LIVE_OVERFLOW : LIVE_OK;
}


/*
 * HLS-44.  The same sound has the same name in each group, so that a player
 * that changes the variant finds it there.  Within a group the others differ
 * from the default in nothing that a player could select by, so only the user
 * may select them.
 */
static void
live_m3u8_audio(live_writer_t *w, const live_m3u8_rendition_t *video,
    uint32_t nvideo, const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    uint32_t  i, j, n;

    for (i = 0; i < naudio; i++) {

        for (j = 0; j < nvideo; j++) {
            if (live_m3u8_is_of(&audio[i], video[j].group)) {
                break;
            }
        }

        if (j == nvideo) {
            continue;
        }

        live_write_str(w, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"");
        live_write_str(w, audio[i].group);
        live_write_str(w, "\",NAME=\"Audio");

        n = live_m3u8_position(audio, i);

        if (n == 0) {
            live_write_str(w, "\",DEFAULT=YES,AUTOSELECT=YES");

        } else {
            live_write_u8(w, ' ');
            live_write_decimal(w, n + 1);
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


/* of a rendition within its group */
static uint32_t
live_m3u8_position(const live_m3u8_rendition_t *audio, uint32_t n)
{
    uint32_t  i, before;

    before = 0;

    for (i = 0; i < n; i++) {
        before += live_m3u8_is_of(&audio[i], audio[n].group);
    }

    return before;
}


static void
live_m3u8_group(live_m3u8_group_t *g, const live_m3u8_rendition_t *v,
    const live_m3u8_rendition_t *audio, uint32_t naudio)
{
    uint32_t  i;

    memset(g, 0, sizeof(live_m3u8_group_t));

    for (i = 0; i < naudio; i++) {
        if (live_m3u8_is_of(&audio[i], v->group)) {
            g->name = v->group;
            g->audio = audio;
            g->naudio = naudio;
            return;
        }
    }
}


static int
live_m3u8_is_of(const live_m3u8_rendition_t *a, const char *group)
{
    return a->group && group && strcmp(a->group, group) == 0;
}


static int
live_m3u8_variant(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_group_t *g)
{
    if (v->bandwidth == 0) {
        return LIVE_ERROR;
    }

    live_m3u8_bandwidth(w, v, g);
    live_m3u8_codecs(w, v, g);

    if (v->info->media == LIVE_MEDIA_VIDEO) {
        live_m3u8_picture(w, v);
    }

    if (g->name) {
        live_write_str(w, ",AUDIO=\"");
        live_write_str(w, g->name);
        live_write_u8(w, '"');
    }

    live_write_u8(w, '\n');
    live_write_str(w, v->name);
    live_write_str(w, "/playlist.m3u8\n");

    return LIVE_OK;
}


/* HLS-35: of the largest combination that can be played */
static void
live_m3u8_bandwidth(live_writer_t *w, const live_m3u8_rendition_t *v,
    const live_m3u8_group_t *g)
{
    uint32_t                      i;
    uint64_t                      peak, average;
    const live_m3u8_rendition_t  *a;

    peak = 0;
    average = 0;

    for (i = 0; i < g->naudio; i++) {
        a = &g->audio[i];

        if (!live_m3u8_is_of(a, g->name)) {
            continue;
        }

        if (a->bandwidth > peak) {
            peak = a->bandwidth;
        }

        if (a->average_bandwidth > average) {
            average = a->average_bandwidth;
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
    const live_m3u8_group_t *g)
{
    uint32_t     i;
    const char  *first;

    first = v->info->codecs;

    if (*first == '\0') {
        return;
    }

    live_write_str(w, ",CODECS=\"");
    live_write_str(w, first);

    for (i = 0; i < g->naudio; i++) {
        if (live_m3u8_codec_is_new(first, g, i)) {
            live_write_u8(w, ',');
            live_write_str(w, g->audio[i].info->codecs);
        }
    }

    live_write_u8(w, '"');
}


static int
live_m3u8_codec_is_new(const char *first, const live_m3u8_group_t *g,
    uint32_t n)
{
    uint32_t     i;
    const char  *codecs;

    codecs = g->audio[n].info->codecs;

    if (!live_m3u8_is_of(&g->audio[n], g->name)
        || *codecs == '\0' || strcmp(codecs, first) == 0)
    {
        return 0;
    }

    for (i = 0; i < n; i++) {
        if (live_m3u8_is_of(&g->audio[i], g->name)
            && strcmp(codecs, g->audio[i].info->codecs) == 0)
        {
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
