
/* Publications: those of this worker, and how they end. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_claim.h"
#include "ngx_live_render.h"
#include "ngx_live_stat.h"
#include "ngx_live_crash.h"


static void ngx_live_publish_totals(ngx_live_publication_t *pub);
static int64_t ngx_live_publish_stop(ngx_live_publication_t *pub);
static void ngx_live_publish_finish(ngx_live_publication_t *pub);
static void ngx_live_publish_free(ngx_live_publication_t *pub);


/* of this worker; threads never see it */
static ngx_queue_t  ngx_live_publications;


void
ngx_live_publish_add(ngx_live_publication_t *pub)
{
    if (ngx_live_publications.next == NULL) {
        ngx_queue_init(&ngx_live_publications);
    }

    ngx_queue_insert_tail(&ngx_live_publications, &pub->queue);
}


void
ngx_live_publish_close(ngx_live_publication_t *pub)
{
    int64_t  end;

    if (pub->waits) {
        ngx_live_claim_leave(pub);
        ngx_live_publish_free(pub);
        return;
    }

    if (!pub->builtin) {
        ngx_live_publish_totals(pub);
    }

    if (!ngx_live_publish_owns(pub)) {
        ngx_live_publish_free(pub);
        return;
    }

    end = ngx_live_publish_stop(pub);

    pub->socket = 0;
    pub->log = ngx_cycle->log;
    pub->lost = NULL;

    /* who comes back at once does not wait for what is still being made */

    if (pub->tap && ngx_live_tap->finish(pub->tap, end) == NGX_AGAIN) {
        pub->closing = 1;
        ngx_live_store(&pub->st->closing, 1);
        return;
    }

    ngx_live_publish_drained(pub);
}


static void
ngx_live_publish_totals(ngx_live_publication_t *pub)
{
    uint64_t  ms;

    ms = ngx_live_since(pub->started);

    ngx_log_error(NGX_LOG_INFO, pub->log, 0,
                  "published for %uL.%03uLs: %uL bytes, %uL frames of video, "
                  "%uL of audio, %uL dropped, %uL discontinuities",
                  ms / 1000, ms % 1000, pub->bytes,
                  pub->frames[LIVE_MEDIA_VIDEO], pub->frames[LIVE_MEDIA_AUDIO],
                  pub->lost_frames, pub->discontinuities);
}


void
ngx_live_publish_drained(ngx_live_publication_t *pub)
{
    if (ngx_live_publish_owns(pub)) {

        if (pub->tap) {
            ngx_live_tap->close(pub->tap, 1);
            pub->tap = NULL;
        }

        ngx_live_publish_finish(pub);
    }

    ngx_live_publish_free(pub);
}


/* Ends what the source has open; the result is where, in us. */

static int64_t
ngx_live_publish_stop(ngx_live_publication_t *pub)
{
    int64_t             end;
    ngx_uint_t          i;
    ngx_live_writer_t  *w;

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        if (w->arriving) {
            w->arriving = 0;
            (void) ngx_live_writer_flush(w);
            w->pos = w->frame.offset;
        }
    }

    (void) ngx_live_cut_laggards(pub, INT64_MAX);

    end = ngx_min(ngx_live_cut_end(pub), pub->begin_us + pub->max_us);

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        if (w->open && end) {
            (void) ngx_live_cut_interrupt(w, end);
        }

        if (w->sh) {
            (void) ngx_live_track_trim(pub->zone, w->sh);
        }
    }

    return end;
}


static void
ngx_live_publish_finish(ngx_live_publication_t *pub)
{
    ngx_live_stream_sh_t  *st;

    st = pub->st;

    /* also takes back the number of a segment that never came to be */
    ngx_live_publish_align(pub->zone, st);

    ngx_live_crash_point("finish");

    if (ngx_live_publish_ended(pub)) {
        st->deadline = 0;

    } else if (!pub->builtin) {
        st->deadline = ngx_live_now() + st->resume;
    }

    st->publication++;

    ngx_live_store(&st->state, NGX_LIVE_STREAM_AWAY);

    ngx_live_crash_point("away");

    /* its writers have trimmed their logs */
    pub->writers[0].sh = NULL;
    pub->writers[1].sh = NULL;

    if (!pub->builtin) {
        ngx_live_slate_away(pub);
    }

    /* who waits for more is told that nothing comes, unless a slate does */
    ngx_live_render_now(pub->zone, st, NGX_LIVE_RENDER_ALL);
}


void
ngx_live_publish_yield(ngx_live_publication_t *pub,
    ngx_live_publication_t *to)
{
    uint64_t  number;

    number = pub->number;
    pub->number = to->number;

    (void) ngx_live_publish_stop(pub);

    pub->number = number;
    pub->writers[0].sh = NULL;
    pub->writers[1].sh = NULL;

    ngx_live_publish_close(pub);
}


/*
 * Where another publisher has the stream, nothing of the zone is touched but
 * the memory behind what this one has published, which only it knows.
 */

static void
ngx_live_publish_free(ngx_live_publication_t *pub)
{
    ngx_uint_t  i;

    ngx_queue_remove(&pub->queue);

    ngx_live_slate_release(pub->slate);

    if (pub->tap) {
        ngx_live_tap->close(pub->tap, 0);
    }

    for (i = 0; i < 2; i++) {

        if (pub->writers[i].sh) {
            ngx_live_publish_release(&pub->writers[i]);
        }

        ngx_free(pub->writers[i].config);
        ngx_free(pub->writers[i].next_config);
        ngx_free(pub->writers[i].stage);
        free(pub->writers[i].samples);
        free(pub->writers[i].arrived);
    }

    ngx_free(pub);
}


void
ngx_live_publish_release(ngx_live_writer_t *w)
{
    uint64_t  from;

    /* its parts were published, and belong to the stream */

    from = w->open && w->seg.parts == 0 ? w->seg.offset
                                        : w->open ? w->part : w->pos;
    from = ngx_align(from, NGX_LIVE_PAGE);

    if (fallocate(w->pub->zone->fd, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
                  from, w->base + NGX_LIVE_RANGE - from)
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, w->pub->log, ngx_errno,
                      "fallocate() of the live zone failed");
    }
}


void
ngx_live_publish_check(void)
{
    ngx_queue_t             *q, *next;
    ngx_live_publication_t  *pub;

    if (ngx_live_publications.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&ngx_live_publications);
         q != ngx_queue_sentinel(&ngx_live_publications);
         q = next)
    {
        next = ngx_queue_next(q);
        pub = ngx_queue_data(q, ngx_live_publication_t, queue);

        if (ngx_live_publish_owns(pub)) {

            ngx_live_stat_publisher(pub);

            if (!pub->closing && (ngx_live_publish_removed(pub)
                                  || ngx_live_publish_ended(pub)))
            {
                pub->lost(pub->data);
            }

            continue;
        }

        if (pub->closing) {
            ngx_live_publish_free(pub);

        } else {
            pub->lost(pub->data);
        }
    }
}
