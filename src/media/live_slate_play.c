#include "live_slate_file.h"

#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>


static int64_t live_slate_turn_begin(const live_slate_t *slate, int64_t turn);
static int64_t live_slate_place(const live_slate_t *slate, live_media_e media,
    uint64_t number, uint32_t *index);


size_t
live_slate_bytes(const live_slate_t *slate)
{
    int                        i;
    size_t                     bytes;
    const live_slate_track_t  *t;

    bytes = sizeof(live_slate_t);

    for (i = 0; i < 2; i++) {
        t = &slate->tracks[i];
        bytes += t->room + t->allocated * sizeof(live_sample_t)
                 + t->config_len;
    }

    return bytes;
}


void
live_slate_free(live_slate_t *slate)
{
    int  i;

    if (slate == NULL) {
        return;
    }

    for (i = 0; i < 2; i++) {
        free(slate->tracks[i].config);
        free(slate->tracks[i].data);
        free(slate->tracks[i].samples);
    }

    free(slate);
}


int
live_slate_add(live_slate_track_t *t, const live_packet_t *p)
{
    void           *grown;
    size_t          room;
    uint32_t        n;
    live_sample_t  *s;

    if (t->len + p->size > LIVE_SLATE_BYTES) {
        return LIVE_ERROR;
    }

    if (t->len + p->size > t->room) {
        room = (t->len + p->size) * 3 / 2;

        grown = realloc(t->data, room);
        if (grown == NULL) {
            return LIVE_ERROR;
        }

        t->data = grown;
        t->room = room;
    }

    if (t->n == t->allocated) {
        n = t->n ? t->n * 2 : 64;

        grown = realloc(t->samples, n * sizeof(live_sample_t));
        if (grown == NULL) {
            return LIVE_ERROR;
        }

        t->samples = grown;
        t->allocated = n;
    }

    s = &t->samples[t->n++];
    memset(s, 0, sizeof(live_sample_t));

    s->offset = t->len;
    s->size = p->size;
    s->dts = p->dts;
    s->flags = p->key ? LIVE_SAMPLE_KEY : 0;

    memcpy(t->data + t->len, p->data, p->size);
    t->len += p->size;

    return LIVE_OK;
}


int
live_slate_config(live_slate_track_t *t, const live_encoder_t *e)
{
    const uint8_t  *config;

    if (live_encoder_config(e, &t->info, &config, &t->config_len)
        != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    t->config = malloc(t->config_len);

    if (t->config == NULL) {
        return LIVE_ERROR;
    }

    memcpy(t->config, config, t->config_len);

    return LIVE_OK;
}


/* The first frame of sound that begins at or behind the begin of a turn. */
static int64_t
live_slate_turn_begin(const live_slate_t *slate, int64_t turn)
{
    const live_codec_info_t  *info;

    info = &slate->tracks[LIVE_MEDIA_AUDIO].info;

    return av_rescale_rnd(turn * slate->ticks, info->timescale,
                          (int64_t) LIVE_VIDEO_TIMESCALE
                          * info->frame_samples, AV_ROUND_UP);
}


int64_t
live_slate_turn_frames(const live_slate_t *slate)
{
    return live_slate_turn_begin(slate, 1);
}


/* us where the sample with that number is, and its place among those that are
 * repeated. */
static int64_t
live_slate_place(const live_slate_t *slate, live_media_e media,
    uint64_t number, uint32_t *index)
{
    int64_t                    turn, n;
    const live_slate_track_t  *t;

    n = (int64_t) number;
    t = &slate->tracks[media];

    if (media == LIVE_MEDIA_VIDEO) {
        *index = (uint32_t) (n % t->n);

        return av_rescale(n / t->n * slate->ticks + t->samples[*index].dts,
                          1000000, LIVE_VIDEO_TIMESCALE);
    }

    turn = av_rescale_rnd(n * t->info.frame_samples, LIVE_VIDEO_TIMESCALE,
                          slate->ticks * t->info.timescale, AV_ROUND_DOWN);

    *index = (uint32_t) (n - live_slate_turn_begin(slate, turn));

    return av_rescale(n * t->info.frame_samples, 1000000, t->info.timescale);
}


const live_sample_t *
live_slate_next(const live_slate_t *slate, const live_slate_cursor_t *c,
    live_media_e *media, int64_t *us)
{
    int                  i;
    int64_t              at;
    uint32_t             index;
    const live_sample_t *s;

    s = NULL;

    for (i = 0; i < 2; i++) {

        if (slate->tracks[i].n == 0) {
            continue;
        }

        at = live_slate_place(slate, i, c->next[i], &index);

        if (s == NULL || at < *us) {
            s = &slate->tracks[i].samples[index];
            *media = i;
            *us = at;
        }
    }

    return s;
}


void
live_slate_step(live_slate_cursor_t *c, live_media_e media)
{
    c->next[media]++;
}


void
live_slate_seek(const live_slate_t *slate, live_slate_cursor_t *c,
    int64_t us)
{
    int64_t                    ticks;
    const live_slate_track_t  *t;

    t = &slate->tracks[LIVE_MEDIA_VIDEO];
    ticks = av_rescale(us, LIVE_VIDEO_TIMESCALE, 1000000);

    if (t->n) {
        c->next[LIVE_MEDIA_VIDEO] = (uint64_t) av_rescale(ticks, t->n,
                                                          slate->ticks);
    }

    t = &slate->tracks[LIVE_MEDIA_AUDIO];

    if (t->n) {
        c->next[LIVE_MEDIA_AUDIO] =
                         (uint64_t) av_rescale(us, t->info.timescale,
                                               (int64_t) 1000000
                                               * t->info.frame_samples);
    }
}
