
/*
 * A rung that somebody asks for begins behind the source, with segments whose
 * units the zone still has.  So its first viewer has a picture at once, and a
 * player that switches to it finds the segment that it needs next.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_transcode.h"


/* us of media that are made up for at most: by one rung whose source is not
 * decoded yet, and by others, who have all wait for the decoder */
#define NGX_LIVE_REPLAY_ONE    10000000
#define NGX_LIVE_REPLAY_MORE   6000000


static ngx_uint_t ngx_live_replay_units(ngx_live_transcoder_t *tc,
    live_media_e media, ngx_uint_t first, ngx_live_items_t *units);
static ngx_int_t ngx_live_replay_unit(ngx_live_writer_t *w,
    const live_sample_t *s, ngx_live_items_t *units);
static uint64_t ngx_live_replay_offset(ngx_live_writer_t *w, uint64_t msn);
static void ngx_live_replay_mark(ngx_live_transcoder_t *tc, ngx_uint_t first,
    ngx_live_items_t *units);
static void ngx_live_replay_output(ngx_live_output_t *o, ngx_uint_t first);
static void ngx_live_replay_push(ngx_live_transcoder_t *tc,
    live_media_e media, ngx_live_items_t *units);


void
ngx_live_replay_boundary(ngx_live_transcoder_t *tc, ngx_live_boundary_t *b)
{
    ngx_uint_t  i;

    if (b->flags & LIVE_SEGMENT_DISCONTINUITY) {

        /* what is before it may be of another codec record */
        tc->nrecent = 0;

    } else if (tc->nrecent == NGX_LIVE_RECENT) {
        ngx_memmove(tc->recent, tc->recent + 1,
                    --tc->nrecent * sizeof(ngx_live_boundary_t));
    }

    tc->recent[tc->nrecent++] = *b;

    for (i = 0; i < tc->nends && tc->ends[i] <= tc->recent[0].us; i++) {
        /* void */
    }

    tc->nends -= i;
    ngx_memmove(tc->ends, tc->ends + i, tc->nends * sizeof(int64_t));
}


void
ngx_live_replay_part(ngx_live_transcoder_t *tc, int64_t us)
{
    if (tc->nends == NGX_LIVE_ENDS) {
        ngx_memmove(tc->ends, tc->ends + 1, --tc->nends * sizeof(int64_t));
    }

    tc->ends[tc->nends++] = us;
}


ngx_uint_t
ngx_live_replay_first(ngx_live_transcoder_t *tc, ngx_uint_t rungs)
{
    int64_t     most;
    ngx_uint_t  i;

    most = (rungs <= 1 && !tc->decoding) ? NGX_LIVE_REPLAY_ONE
                                         : NGX_LIVE_REPLAY_MORE;

    /* several have enough to do with the open segment, lest they are late */

    i = (rungs > 1 && tc->nrecent) ? tc->nrecent - 1 : 0;

    while (i < tc->nrecent && tc->pub->newest_us - tc->recent[i].us > most) {
        i++;
    }

    return i;
}


void
ngx_live_replay(ngx_live_transcoder_t *tc)
{
    ngx_uint_t        i, first, video, audio;
    ngx_live_items_t  units[2];

    video = 0;
    audio = 0;

    for (i = 0; i < tc->nrungs; i++) {
        video += tc->rungs[i].out.fresh;
    }

    for (i = 0; i < tc->nsounds; i++) {
        audio += tc->sounds[i].fresh;
    }

    /* what ends is begun once more when it has */

    if ((video == 0 && audio == 0) || tc->decode.ending || tc->listen.ending)
    {
        return;
    }

    ngx_live_items_init(&units[LIVE_MEDIA_VIDEO]);
    ngx_live_items_init(&units[LIVE_MEDIA_AUDIO]);

    for (first = ngx_live_replay_first(tc, video); first < tc->nrecent;
         first++)
    {
        if ((!video || ngx_live_replay_units(tc, LIVE_MEDIA_VIDEO, first,
                                             units))
            && (!audio || ngx_live_replay_units(tc, LIVE_MEDIA_AUDIO, first,
                                                units)))
        {
            break;
        }
    }

    for (i = 0; i < tc->nrungs; i++) {
        ngx_live_replay_output(&tc->rungs[i].out, first);
    }

    for (i = 0; i < tc->nsounds; i++) {
        ngx_live_replay_output(&tc->sounds[i], first);
    }

    if (first == tc->nrecent) {
        ngx_live_items_free(&units[LIVE_MEDIA_VIDEO]);
        ngx_live_items_free(&units[LIVE_MEDIA_AUDIO]);
        return;
    }

    if (video) {
        ngx_live_replay_mark(tc, first, &units[LIVE_MEDIA_VIDEO]);
        ngx_live_replay_push(tc, LIVE_MEDIA_VIDEO, units);

        tc->grace = ngx_current_msec + (ngx_msec_t)
                    ((tc->pub->newest_us - tc->recent[first].us) / 1000);
    }

    if (audio) {
        ngx_live_replay_push(tc, LIVE_MEDIA_AUDIO, units);
    }
}


/* 0: they are not all there any more; nothing is taken then. */

static ngx_uint_t
ngx_live_replay_units(ngx_live_transcoder_t *tc, live_media_e media,
    ngx_uint_t first, ngx_live_items_t *units)
{
    uint64_t              i, offset;
    live_sample_t        *s;
    ngx_live_ring_sh_t   *ring;
    ngx_live_writer_t    *w;

    w = &tc->pub->writers[media];
    units += media;

    ngx_live_items_free(units);

    if (w->sh == NULL || !w->open || ngx_live_writer_flush(w) != NGX_OK) {
        return 0;
    }

    offset = ngx_live_replay_offset(w, tc->recent[first].msn);
    ring = &w->sh->samples;

    /* the oldest record that is there must be of an older segment */

    if (offset == 0
        || (ring->tail > 0
            && ngx_live_slot(ring, live_sample_t, ring->tail)->offset
               >= offset))
    {
        return 0;
    }

    for (i = ring->tail; i < ring->head; i++) {
        s = ngx_live_slot(ring, live_sample_t, i);

        if (s->offset >= offset && s->offset < w->pos
            && ngx_live_replay_unit(w, s, units) != NGX_OK)
        {
            return 0;
        }
    }

    for (i = 0; i < w->nsamples; i++) {
        if (w->samples[i].offset >= offset
            && ngx_live_replay_unit(w, &w->samples[i], units) != NGX_OK)
        {
            return 0;
        }
    }

    return 1;
}


/* Where a segment begins in the log; 0: it is not there. */

static uint64_t
ngx_live_replay_offset(ngx_live_writer_t *w, uint64_t msn)
{
    ngx_live_track_sh_t  *t;

    t = w->sh;

    /* audio may not have come as far as video */

    if (msn >= t->open_msn) {
        return msn == t->open_msn ? w->seg.offset : w->pos;
    }

    if (msn < t->segments.tail || msn >= t->segments.head) {
        return 0;
    }

    return ngx_live_slot(&t->segments, ngx_live_segment_sh_t, msn)->offset;
}


static ngx_int_t
ngx_live_replay_unit(ngx_live_writer_t *w, const live_sample_t *s,
    ngx_live_items_t *units)
{
    ngx_live_item_t  *item;

    item = ngx_live_item(NGX_LIVE_ITEM_UNIT);
    if (item == NULL) {
        return NGX_ERROR;
    }

    item->sample = *s;
    item->len = s->size;
    item->bytes = s->size;
    item->data = malloc(s->size);

    if (item->data == NULL
        || pread(w->pub->zone->fd, item->data, s->size, s->offset)
           != (ssize_t) s->size)
    {
        ngx_live_item_free(item);
        return NGX_ERROR;
    }

    ngx_live_items_add(units, item);

    return NGX_OK;
}


/* Segments begin with the units that began those of the source. */

static void
ngx_live_replay_mark(ngx_live_transcoder_t *tc, ngx_uint_t first,
    ngx_live_items_t *units)
{
    uint64_t            offset;
    ngx_live_item_t    *item;
    ngx_live_writer_t  *w;

    w = &tc->pub->writers[LIVE_MEDIA_VIDEO];

    for ( /* void */ ; first < tc->nrecent; first++) {
        offset = ngx_live_replay_offset(w, tc->recent[first].msn);

        for (item = units->first; item; item = item->next) {

            if (item->sample.offset >= offset) {
                item->mark = live_us_to_ticks(tc->recent[first].us,
                                              LIVE_VIDEO_TIMESCALE);
                item->marked = 1;
                break;
            }
        }
    }
}


static void
ngx_live_replay_output(ngx_live_output_t *o, ngx_uint_t first)
{
    ngx_uint_t              i;
    ngx_live_transcoder_t  *tc = o->tc;

    if (!o->fresh) {
        return;
    }

    o->fresh = 0;

    if (first == tc->nrecent) {
        return;
    }

    o->w.nboundaries = 0;
    o->w.nends = 0;

    /* what it had once is never made again */

    for (i = first; i < tc->nrecent; i++) {
        if (tc->recent[i].msn >= o->w.sh->segments.head) {
            ngx_live_follow_boundary(&o->w, &tc->recent[i]);
        }
    }

    for (i = 0; i < tc->nends; i++) {
        (void) ngx_live_follow_part(&o->w, tc->ends[i]);
    }
}


/* A decoder that runs begins anew: those that it had have these frames. */

static void
ngx_live_replay_push(ngx_live_transcoder_t *tc, live_media_e media,
    ngx_live_items_t *units)
{
    ngx_live_item_t   *item;
    ngx_live_stage_t  *s;

    s = media == LIVE_MEDIA_VIDEO ? &tc->decode : &tc->listen;

    if (media == LIVE_MEDIA_VIDEO) {
        tc->decoding = 1;
        tc->dropping = 0;

    } else {
        tc->listening = 1;
    }

    ngx_live_transcode_record(tc, media);

    while ((item = ngx_live_items_take(&units[media])) != NULL) {
        ngx_live_stage_push(s, item);
    }

    if (media == LIVE_MEDIA_VIDEO) {
        ngx_live_decode_start(tc);

    } else {
        (void) ngx_live_stage_start(s);
    }
}
