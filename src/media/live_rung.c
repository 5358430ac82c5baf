#include "live_rung.h"

#include <math.h>
#include <stdio.h>
#include <string.h>


/* in percent of the video rate */
#define LIVE_RUNG_MAXRATE    107
#define LIVE_RUNG_BUFSIZE    150

/* bit/s of a rung of sound alone that says nothing of it */
#define LIVE_RUNG_AUDIO      128000

#define LIVE_RUNG_FPS_SLACK  1.02

/* missing lines or columns that do not make a source a smaller one */
#define LIVE_RUNG_SIZE_SLACK  2

/* what is further from square than this is a mistake */
#define LIVE_RUNG_MAX_ASPECT  4


typedef struct {
    const char  *name;
    int32_t      height;
    double       fps;
    uint32_t     video;         /* kbit/s */
    uint32_t     audio;
    const char  *profile;
} live_rung_builtin_t;


static const live_rung_builtin_t *live_rung_builtin(const char *name);
static int live_rung_is_h264(const live_rung_t *r);
static void live_rung_upright(const live_rung_source_t *source, double *width,
    double *height);
static uint32_t live_rung_even(double side, double most);


static const live_rung_builtin_t  live_rung_builtins[] = {
    { "1080p60", 1080, 60, 6000, 192, "high" },
    { "1080p",   1080, 30, 4500, 128, "high" },
    { "720p60",   720, 60, 4500, 128, "high" },
    { "720p",     720, 30, 3000, 128, "main" },
    { "480p",     480, 30, 1500,  96, "main" },
    { "360p",     360, 30,  800,  96, "baseline" },
    { "240p",     240, 30,  400,  64, "baseline" },
};


void
live_rung_init(live_rung_t *r, const char *name)
{
    const live_rung_builtin_t  *b;

    memset(r, 0, sizeof(live_rung_t));

    (void) snprintf(r->name, sizeof(r->name), "%s", name);
    r->crf = -1;

    b = live_rung_builtin(name);

    if (b) {
        r->width = -2;
        r->height = b->height;
        r->fps = b->fps;
        r->video_rate = b->video * 1000;
        r->audio_rate = b->audio * 1000;
        (void) snprintf(r->profile, sizeof(r->profile), "%s", b->profile);
    }
}


static const live_rung_builtin_t *
live_rung_builtin(const char *name)
{
    size_t  i, n;

    n = sizeof(live_rung_builtins) / sizeof(live_rung_builtins[0]);

    for (i = 0; i < n; i++) {
        if (strcmp(live_rung_builtins[i].name, name) == 0) {
            return &live_rung_builtins[i];
        }
    }

    return NULL;
}


int
live_rung_finish(live_rung_t *r, const char **reason)
{
    int                         video;
    const live_rung_builtin_t  *b;

    video = r->width || r->height || r->video_rate || r->crf >= 0;

    if (r->copy && (video || r->audio_only)) {
        *reason = "copy allows no size, rate or audio_only";
        return LIVE_ERROR;
    }

    /* a rung of sound alone is one that is made, or it would be the source's */

    if (r->audio_only && r->audio_rate == 0 && r->audio_codec[0] == '\0') {
        r->audio_rate = LIVE_RUNG_AUDIO;
    }

    if (r->audio_codec[0] == '\0') {
        (void) snprintf(r->audio_codec, sizeof(r->audio_codec), "%s",
                        r->audio_rate || r->sample_rate || r->channels
                        ? "aac" : "copy");
    }

    if (r->audio_only && strcmp(r->audio_codec, "copy") == 0) {
        *reason = "audio_only is not for the audio of the source as it is";
        return LIVE_ERROR;
    }

    if (r->copy || r->audio_only) {
        return LIVE_OK;
    }

    if (r->width == 0 && r->height == 0) {
        *reason = "neither a size nor a rung of the built-in ladder";
        return LIVE_ERROR;
    }

    if (r->video_rate == 0 && r->crf < 0) {
        *reason = "neither video nor crf is set";
        return LIVE_ERROR;
    }

    if (r->maxrate == 0) {
        r->maxrate = (uint32_t) ((uint64_t) r->video_rate
                                 * LIVE_RUNG_MAXRATE / 100);

    } else if (r->maxrate < r->video_rate) {
        *reason = "maxrate is less than video";
        return LIVE_ERROR;
    }

    if (r->bufsize == 0) {
        r->bufsize = (uint32_t) ((uint64_t) (r->video_rate ? r->video_rate
                                                           : r->maxrate)
                                 * LIVE_RUNG_BUFSIZE / 100);
    }

    if (r->codec[0] == '\0') {
        strcpy(r->codec, "libx264");
    }

    if (r->preset[0] == '\0' && strcmp(r->codec, "libx264") == 0) {
        strcpy(r->preset, "veryfast");
    }

    /* the profiles of the built-in ladder are those of H.264 */

    b = live_rung_builtin(r->name);

    if (b && !live_rung_is_h264(r) && strcmp(r->profile, b->profile) == 0) {
        r->profile[0] = '\0';
    }

    return LIVE_OK;
}


/* By its name, as libavcodec is not asked here. */
static int
live_rung_is_h264(const live_rung_t *r)
{
    return strstr(r->codec, "264") != NULL;
}


int
live_rung_size(const live_rung_t *r, const live_rung_source_t *source,
    uint32_t *width, uint32_t *height)
{
    double  w, h, scale;

    live_rung_upright(source, &w, &h);

    if (w < 2 || h < 2) {
        return LIVE_ERROR;
    }

    /* the smaller of the two where both sides are given */

    scale = INFINITY;

    if (r->height > 0) {
        scale = r->height / h;
    }

    if (r->width > 0 && r->width / w < scale) {
        scale = r->width / w;
    }

    if (!isfinite(scale)) {
        return LIVE_ERROR;
    }

    if (scale > 1) {

        if (h * (scale - 1) > LIVE_RUNG_SIZE_SLACK
            && w * (scale - 1) > LIVE_RUNG_SIZE_SLACK)
        {
            return LIVE_ERROR;
        }

        scale = 1;
    }

    *width = live_rung_even(w * scale, w);
    *height = live_rung_even(h * scale, h);

    return LIVE_OK;
}


/* The size in square pixels as it is looked at. */
static void
live_rung_upright(const live_rung_source_t *source, double *width,
    double *height)
{
    double  w, h, sar;

    w = source->width;
    h = source->height;

    if (source->sar_num && source->sar_den) {
        sar = (double) source->sar_num / source->sar_den;

        /* the longer side is kept: no pixel is made up */

        if (sar > 1 && sar < LIVE_RUNG_MAX_ASPECT) {
            w *= sar;

        } else if (sar < 1 && sar > 1.0 / LIVE_RUNG_MAX_ASPECT) {
            h /= sar;
        }
    }

    if (source->rotation % 180) {
        *width = h;
        *height = w;

    } else {
        *width = w;
        *height = h;
    }
}


static uint32_t
live_rung_even(double side, double most)
{
    uint32_t  n;

    n = (uint32_t) lround(side / 2) * 2;

    if (n > most) {
        n -= 2;
    }

    return n < 2 ? 2 : n;
}


uint32_t
live_rung_divisor(const live_rung_t *r, const live_rung_source_t *source)
{
    double  n;

    if (r->fps <= 0 || !(source->fps > 0)) {
        return 1;
    }

    n = ceil(source->fps / (r->fps * LIVE_RUNG_FPS_SLACK));

    return n < 1 ? 1 : n > 1000 ? 1000 : (uint32_t) n;
}


int
live_rung_same_audio(const live_rung_t *a, const live_rung_t *b)
{
    return strcmp(a->audio_codec, b->audio_codec) == 0
           && (strcmp(a->audio_codec, "copy") == 0
               || (a->audio_rate == b->audio_rate
                   && a->sample_rate == b->sample_rate
                   && a->channels == b->channels));
}


int
live_rung_passes_audio(const live_rung_t *r, const live_codec_info_t *source,
    uint32_t source_rate)
{
    if (r->copy || strcmp(r->audio_codec, "copy") == 0) {
        return 1;
    }

    if (source->codec != LIVE_CODEC_AAC || strcmp(r->audio_codec, "aac") != 0
        || (r->sample_rate && r->sample_rate != source->sample_rate))
    {
        return 0;
    }

    if (r->channels ? r->channels != source->channels : source->channels > 2) {
        return 0;
    }

    return r->audio_rate == 0
           || (source_rate && source_rate <= r->audio_rate);
}
