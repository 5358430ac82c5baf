
/*
 * Who publishes a stream: the first one, one that takes it over, one that
 * stands by, one that moves here from a worker that shuts down.
 *
 * The last two wait: they are publications without a stream, of which codec
 * records are kept and frames are forgotten.  Each looks at its key frames
 * whether the stream has become free, and goes on with it from that frame on,
 * so that there is no more of a hole than the first one has left.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_claim.h"
#include "ngx_live_state.h"
#include "ngx_live_crash.h"
#include "ngx_live_variant.h"


/* from here on, percent of the zone, nobody may begin to publish */
#define NGX_LIVE_CLAIM_PERCENT   95

/* ms that a publisher is kept waiting for an answer at most */
#define NGX_LIVE_CLAIM_PATIENCE  5000

/* ms for an encoder that was asked to come to another connection */
#define NGX_LIVE_CLAIM_MOVE      30000

/* ms: who waits for its key frame keeps a stream from ending for so long */
#define NGX_LIVE_CLAIM_KEY       30000

/* ms for video to announce itself where audio alone would do */
#define NGX_LIVE_CLAIM_VIDEO     1000


static void ngx_live_claim_peer(ngx_live_publication_t *pub,
    ngx_live_publisher_t *p);
static ngx_live_publish_e ngx_live_claim(ngx_live_publication_t *pub,
    ngx_uint_t full);
static ngx_live_publish_e ngx_live_claim_judge(ngx_live_publication_t *pub,
    ngx_live_stream_sh_t *st, uint64_t now);
static ngx_uint_t ngx_live_claim_stand(ngx_live_publication_t *pub,
    ngx_live_stream_sh_t *st, uint64_t now);
static void ngx_live_claim_take(ngx_live_publication_t *pub,
    ngx_live_stream_sh_t *st, uint64_t now);
static ngx_uint_t ngx_live_claim_stands(ngx_live_publication_t *pub);
static ngx_int_t ngx_live_claim_attach(ngx_live_publication_t *pub);


ngx_live_publish_e
ngx_live_publish_open(ngx_live_publisher_t *p,
    ngx_live_publication_t **result)
{
    ngx_uint_t               full;
    ngx_live_publish_e       rc;
    ngx_live_publication_t  *pub;

    pub = ngx_calloc(sizeof(ngx_live_publication_t), p->log);
    if (pub == NULL) {
        return NGX_LIVE_PUBLISH_FULL;
    }

    pub->zone = ngx_live_zone();
    pub->app = p->app;
    pub->whole = p->app;
    pub->name = p->name;
    pub->client = p->client;
    ngx_live_address(p->sockaddr, &pub->address);
    pub->socket = p->socket;
    ngx_live_claim_peer(pub, p);
    pub->limit.msec = ngx_current_msec;
    pub->limit.rate = p->max_bitrate;
    pub->left_out = p->left_out;
    pub->log = p->log;
    pub->lost = p->lost;
    pub->data = p->data;
    pub->builtin = p->slate;
    pub->started = ngx_live_now();

    if (p->asked == 0) {
        p->asked = pub->started;
    }

    pub->asked = p->asked;

    full = ngx_live_zone_percent(pub->zone) >= NGX_LIVE_CLAIM_PERCENT;

    rc = ngx_live_claim(pub, full);

    if (rc == NGX_LIVE_PUBLISH_WAITS) {
        pub->waits = 1;

    } else if (rc != NGX_LIVE_PUBLISH_OK) {
        ngx_free(pub);
        return rc;
    }

    ngx_live_publish_add(pub);

    if (rc == NGX_LIVE_PUBLISH_OK) {
        /* without codec records it cannot fail */
        (void) ngx_live_claim_attach(pub);
    }

    *result = pub;

    return rc;
}


/* Its address as a text, for those who look at statistics. */

static void
ngx_live_claim_peer(ngx_live_publication_t *pub, ngx_live_publisher_t *p)
{
    size_t  len;
    u_char  text[NGX_SOCKADDR_STRLEN];

    len = ngx_sock_ntop(p->sockaddr, p->socklen, text, sizeof(text), 0);
    len = ngx_min(len, sizeof(pub->peer) - 1);

    ngx_memcpy(pub->peer, text, len);
    pub->peer[len] = '\0';
}


/* The stream of that name, made if need be, is owned by this worker then. */

static ngx_live_publish_e
ngx_live_claim(ngx_live_publication_t *pub, ngx_uint_t full)
{
    uint64_t               now;
    ngx_live_zone_t       *zone;
    live_state_t           kept;
    ngx_live_publish_e     rc;
    ngx_live_entry_sh_t   *entry;
    ngx_live_stream_sh_t  *st;

    zone = pub->zone;
    now = ngx_live_now();
    rc = NGX_LIVE_PUBLISH_OK;

    ngx_live_state_load(zone, pub->app, &pub->name, &kept);

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (ngx_live_registry_admit_locked(zone, &pub->app->name, &pub->name,
                                       &entry)
        != NGX_OK)
    {
        rc = NGX_LIVE_PUBLISH_BANNED;
        goto done;
    }

    pub->app = ngx_live_variant(pub->whole, entry);
    pub->options = entry ? entry->options : 0;

    st = ngx_live_stream_find_locked(zone, &pub->app->name, &pub->name, NULL);

    if (pub->builtin) {

        /* it asks for its own worker's, and gives way to everybody */

        if (st == NULL || st->state != NGX_LIVE_STREAM_AWAY
            || st->owner != ngx_pid)
        {
            rc = NGX_LIVE_PUBLISH_BUSY;
        }

    } else if (st && st->state == NGX_LIVE_STREAM_LIVE
               && !st->closing
               && !st->slate
               && ngx_live_worker_alive(st->owner))
    {
        rc = ngx_live_claim_judge(pub, st, now);
    }

    if (rc == NGX_LIVE_PUBLISH_OK && full) {
        rc = NGX_LIVE_PUBLISH_FULL;
    }

    if (rc == NGX_LIVE_PUBLISH_OK
        && !pub->builtin
        && ngx_live_limit_publications_locked(zone, pub->app, st,
                                              &pub->address)
           != NGX_OK)
    {
        rc = NGX_LIVE_PUBLISH_LIMIT;
    }

    if (rc != NGX_LIVE_PUBLISH_OK) {
        goto done;
    }

    /* players have seen the end of an ended timeline */

    if (st == NULL || st->state == NGX_LIVE_STREAM_ENDED) {

        st = ngx_live_stream_create_locked(zone, pub->app, &pub->name,
                                           &kept);

        if (st == NULL) {
            rc = NGX_LIVE_PUBLISH_FULL;
            goto done;
        }
    }

    ngx_live_crash_point("claim");

    ngx_live_claim_take(pub, st, now);

    ngx_live_crash_point("claimed");

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


/* The stream has a publisher: may another one have it?  Lock held. */

static ngx_live_publish_e
ngx_live_claim_judge(ngx_live_publication_t *pub, ngx_live_stream_sh_t *st,
    uint64_t now)
{
    uint64_t    stalled;
    ngx_uint_t  silent, moves, conflict;

    conflict = pub->app->publish_conflict;
    stalled = st->heard + pub->app->publish_stall;
    silent = now >= stalled;
    moves = now < st->moves && st->client == pub->client;

    if (pub->waits) {

        if (silent || moves) {
            return NGX_LIVE_PUBLISH_OK;
        }

    } else {

        if (silent && conflict != NGX_LIVE_CONFLICT_REFUSE) {
            return NGX_LIVE_PUBLISH_OK;
        }

        /* until its first key frame the old connection may still send */

        if (moves) {
            pub->st = st;
            pub->id = st->id;
            return NGX_LIVE_PUBLISH_WAITS;
        }

        if (conflict == NGX_LIVE_CONFLICT_TAKEOVER) {
            return NGX_LIVE_PUBLISH_OK;
        }
    }

    if (pub->app->backup && ngx_live_claim_stand(pub, st, now)) {
        return NGX_LIVE_PUBLISH_WAITS;
    }

    /* a publisher that is there is heard in a moment */

    if (!pub->waits && conflict == NGX_LIVE_CONFLICT_STALLED
        && st->heard <= pub->asked
        && stalled <= pub->asked + NGX_LIVE_CLAIM_PATIENCE)
    {
        return NGX_LIVE_PUBLISH_AGAIN;
    }

    return NGX_LIVE_PUBLISH_BUSY;
}


/* The place of the one that stands by; 0: another one has it.  Lock held. */

static ngx_uint_t
ngx_live_claim_stand(ngx_live_publication_t *pub, ngx_live_stream_sh_t *st,
    uint64_t now)
{
    ngx_live_standby_sh_t  *by;

    by = &st->standby;

    if (pub->st != st || !ngx_live_claim_stands(pub)) {

        if (by->number
            && ngx_live_worker_alive(by->pid)
            && now < by->heard + pub->app->publish_stall
            && !(now < by->moves && by->client == pub->client))
        {
            return 0;
        }

        pub->st = st;
        pub->id = st->id;
        pub->place = ++by->count;

        by->moves = 0;
        by->client = pub->client;
        by->pid = ngx_pid;
        by->number = pub->place;
    }

    ngx_live_store(&by->heard, now);

    return 1;
}


static void
ngx_live_claim_take(ngx_live_publication_t *pub, ngx_live_stream_sh_t *st,
    uint64_t now)
{
    if (pub->st == st && ngx_live_claim_stands(pub)) {
        st->standby.number = 0;
    }

    pub->settled = ngx_live_stream_settle_locked(st, pub->app);

    st->owner = ngx_pid;
    st->publication++;

    ngx_live_crash_point("take");

    st->client = pub->client;
    st->moves = 0;
    st->heard = now;
    st->started = now;
    st->bytes_in = 0;
    st->expect = 0;
    st->dirty = 0;
    st->closing = 0;
    st->slate = pub->builtin;
    st->transcoded = 0;
    st->options = pub->options;
    st->ends = 0;
    st->cycle = 0;
    st->removed = 0;
    st->address_len = pub->address.len;
    ngx_memcpy(st->address, pub->address.data, pub->address.len);

    ngx_live_store(&st->state, NGX_LIVE_STREAM_LIVE);

    pub->st = st;
    pub->id = st->id;
    pub->number = st->publication;

    ngx_live_stat_taken(pub);
}


/* Has this publication the place of the one that stands by? */

static ngx_uint_t
ngx_live_claim_stands(ngx_live_publication_t *pub)
{
    return pub->place
           && ngx_live_load(&pub->st->id) == pub->id
           && ngx_live_load(&pub->st->standby.number) == pub->place;
}


/* The stream is this one's now: goes on with its tracks. */

static ngx_int_t
ngx_live_claim_attach(ngx_live_publication_t *pub)
{
    ngx_uint_t            i, n;
    ngx_live_zone_t      *zone;
    ngx_live_writer_t    *w;
    ngx_live_track_sh_t  *t;

    zone = pub->zone;

    if (!pub->builtin) {
        ngx_live_slate_back(pub);
    }

    pub->waits = 0;
    pub->discontinuity = 1;
    pub->segment_us = (int64_t) pub->st->segment * 1000;

    /* 100 ms less than what rounds to the next second (HLS-8) */
    pub->max_us = (int64_t) pub->st->target_duration * 1000000 + 400000;

    if (!pub->settled) {
        ngx_log_error(NGX_LOG_NOTICE, pub->log, 0,
                      "the timeline goes on with segments of %uDms, %uDs at "
                      "most: what \"segment\" is now is for the next one",
                      pub->st->segment, pub->st->target_duration);
    }

    ngx_live_publish_align(zone, pub->st);

    pub->writers[LIVE_MEDIA_AUDIO].stage = ngx_alloc(NGX_LIVE_STAGE,
                                                     pub->log);

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];
        w->pub = pub;
        w->media = i;
        w->need_key = (i == LIVE_MEDIA_VIDEO);

        for (n = 0; n < pub->st->ntracks; n++) {
            t = &pub->st->tracks[n];

            if (t->rung || t->info.media != w->media) {
                continue;
            }

            (void) ngx_live_track_trim(zone, t);
            t->range = ngx_live_zone_range(zone);

            ngx_live_crash_point("attach");

            w->info = t->info;
            live_track_clock_init(&w->clock, &w->info, t->fps);
            ngx_live_writer_attach(w, t, n);
            break;
        }
    }

    if (ngx_live_tap) {
        pub->tap = ngx_live_tap->open(pub, pub->app);
    }

    /* without rungs the source is better than nothing */
    pub->copy = pub->app->copy || pub->tap == NULL;

    /* rungs of before that the application has no more */

    for (n = 0; pub->tap == NULL && n < pub->st->ntracks; n++) {
        t = &pub->st->tracks[n];

        if (t->rung) {
            ngx_live_store(&t->mode, NGX_LIVE_TRACK_OFF);
            ngx_live_track_retire(zone, t, t->segments.head);
        }
    }

    /* what came while it waited */

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        if (w->next_config
            && ngx_live_publish_config(pub, &w->next_info, w->next_config,
                                       w->next_len)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_live_claim_frame(ngx_live_publication_t *pub, ngx_live_frame_t *frame)
{
    ngx_uint_t  stood;

    if (pub->writers[frame->media].next_config == NULL) {
        return NGX_DECLINED;
    }

    if (frame->media == LIVE_MEDIA_VIDEO) {

        if (!frame->key
            && (!frame->recovery
                || ngx_live_now() < pub->started + NGX_LIVE_CLAIM_VIDEO))
        {
            return NGX_DECLINED;
        }

    } else if (pub->writers[LIVE_MEDIA_VIDEO].next_config
               || (!pub->audio_only
                   && ngx_live_now() < pub->started + NGX_LIVE_CLAIM_VIDEO))
    {
        return NGX_DECLINED;
    }

    stood = (pub->place != 0);

    switch (ngx_live_claim(pub, 0)) {

    case NGX_LIVE_PUBLISH_OK:
        break;

    case NGX_LIVE_PUBLISH_WAITS:
        return NGX_DECLINED;

    default:
        pub->refused = 1;
        return NGX_ERROR;
    }

    if (stood) {
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "the publisher is gone or silent, the one that stood "
                      "by goes on");
    } else {
        ngx_log_error(NGX_LOG_INFO, pub->log, 0,
                      "the publisher has moved to this connection");
    }

    return ngx_live_claim_attach(pub);
}


ngx_int_t
ngx_live_claim_heard(ngx_live_publication_t *pub)
{
    if (pub->refused) {
        return NGX_ERROR;
    }

    if (ngx_live_claim_stands(pub)) {
        ngx_live_store(&pub->st->standby.heard, ngx_live_now());
    }

    return NGX_OK;
}


void
ngx_live_claim_leave(ngx_live_publication_t *pub)
{
    ngx_shmtx_lock(&pub->zone->shpool->mutex);

    if (ngx_live_claim_stands(pub)) {
        pub->st->standby.number = 0;
    }

    ngx_shmtx_unlock(&pub->zone->shpool->mutex);
}


void
ngx_live_publish_moves(ngx_live_publication_t *pub)
{
    uint64_t  until;

    until = ngx_live_now() + NGX_LIVE_CLAIM_MOVE;

    ngx_shmtx_lock(&pub->zone->shpool->mutex);

    if (pub->waits) {

        if (ngx_live_claim_stands(pub)) {
            pub->st->standby.moves = until;
        }

    } else if (ngx_live_publish_owns(pub)) {
        pub->st->moves = until;
    }

    ngx_shmtx_unlock(&pub->zone->shpool->mutex);
}


ngx_uint_t
ngx_live_publish_waits(ngx_live_publication_t *pub)
{
    return pub->waits;
}


ngx_uint_t
ngx_live_publish_awaited(ngx_live_stream_sh_t *st, uint64_t now)
{
    return st->standby.number
           && ngx_live_worker_alive(st->standby.pid)
           && now < st->deadline + NGX_LIVE_CLAIM_KEY;
}
