
/*
 * Plays slates: a publisher without a connection, whose frames come by a
 * timer.  It begins with a stream that has just become AWAY, in the worker of
 * the publisher that has gone, and lasts until the stream's time is over or
 * another publisher has the stream, on whatever worker.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_live_slate.h"
#include "ngx_live_writer.h"


/* ms of media that are published at a time */
#define NGX_LIVE_SLATE_TICK     NGX_LIVE_PUBLISH_LAG

/* ms between two looks whether it can begin */
#define NGX_LIVE_SLATE_POLL     50

/* ms that it waits for a publisher that is about to have the stream */
#define NGX_LIVE_SLATE_AWAITED  5000

/* us: who is behind by more, a worker that was stopped, leaves it out */
#define NGX_LIVE_SLATE_BEHIND   12000000


typedef struct {
    ngx_queue_t              queue;     /* all of this worker */
    ngx_live_zone_t         *zone;
    ngx_live_slate_t        *slate;
    live_slate_t            *media;     /* of it */
    ngx_live_app_conf_t     *app;

    ngx_live_stream_sh_t    *st;
    uint64_t                 id;        /* of the stream */
    uint64_t                 number;    /* of its publication when it went */
    uint64_t                 since;     /* Unix ms */

    ngx_live_publication_t  *pub;       /* NULL: it has not begun */
    live_slate_cursor_t      cursor;
    ngx_msec_t               began;
    int64_t                  frame;     /* us that a picture lasts */
    int64_t                  shown;     /* us until which the last one does */

    ngx_event_t              timer;
    ngx_log_t                log;
    ngx_str_t                name;
    u_char                   buf[NGX_LIVE_MAX_NAME];

    unsigned                 begun:1;
    unsigned                 lost:1;    /* another one has the stream */
} ngx_live_player_t;


static void ngx_live_player_tick(ngx_event_t *ev);
static ngx_int_t ngx_live_player_wait(ngx_live_player_t *p);
static ngx_int_t ngx_live_player_begin(ngx_live_player_t *p);
static ngx_int_t ngx_live_player_feed(ngx_live_player_t *p);
static ngx_int_t ngx_live_player_frame(ngx_live_player_t *p,
    const live_sample_t *s, live_media_e media, int64_t us);
static void ngx_live_player_lost(void *data);
static void ngx_live_player_end(ngx_live_player_t *p);
static u_char *ngx_live_player_log(ngx_log_t *log, u_char *buf, size_t len);


/* of this worker */
static ngx_queue_t  ngx_live_players;


void
ngx_live_slate_away(ngx_live_publication_t *pub)
{
    ngx_live_player_t  *p;

    if (pub->slate == NULL || pub->st->removed || ngx_live_slate_quit()) {
        return;
    }

    p = ngx_calloc(sizeof(ngx_live_player_t), ngx_cycle->log);
    if (p == NULL) {
        return;
    }

    if (ngx_live_players.next == NULL) {
        ngx_queue_init(&ngx_live_players);
    }

    p->zone = pub->zone;
    p->slate = pub->slate;
    p->app = pub->whole;
    p->st = pub->st;
    p->id = pub->id;
    p->number = pub->st->publication;
    p->since = ngx_live_now();

    p->name.data = p->buf;
    p->name.len = pub->st->name_len;
    ngx_memcpy(p->buf, pub->st->name, p->name.len);

    p->log = *ngx_cycle->log;
    p->log.handler = ngx_live_player_log;
    p->log.data = p;
    p->log.action = NULL;

    p->timer.handler = ngx_live_player_tick;
    p->timer.data = p;
    p->timer.log = ngx_cycle->log;

    ngx_live_slate_use(p->slate);
    ngx_queue_insert_tail(&ngx_live_players, &p->queue);

    /* at once, so that nobody finds that there is none; the timer keeps a
     * worker that shuts down */

    ngx_live_player_tick(&p->timer);
}


void
ngx_live_slate_back(ngx_live_publication_t *pub)
{
    ngx_queue_t        *q;
    ngx_live_player_t  *p;

    if (ngx_live_players.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&ngx_live_players);
         q != ngx_queue_sentinel(&ngx_live_players);
         q = ngx_queue_next(q))
    {
        p = ngx_queue_data(q, ngx_live_player_t, queue);

        if (p->st != pub->st || p->id != pub->id) {
            continue;
        }

        /* for a publisher that goes before its first segment is made */

        if (pub->slate == NULL
            && ngx_strcmp(p->app->slate.data, pub->app->slate.data) == 0)
        {
            ngx_live_slate_use(p->slate);
            pub->slate = p->slate;
        }

        /* its last segment is as long in all tracks */

        if (p->pub) {
            ngx_live_publish_yield(p->pub, pub);
            p->pub = NULL;
        }

        ngx_live_player_end(p);
        return;
    }
}


static void
ngx_live_player_tick(ngx_event_t *ev)
{
    uint64_t            now;
    ngx_int_t           rc;
    ngx_live_player_t  *p = ev->data;

    now = ngx_live_now();

    if (p->lost || ngx_live_slate_quit()) {
        ngx_live_player_end(p);
        return;
    }

    if (p->pub == NULL) {
        rc = ngx_live_player_wait(p);

    } else if (!ngx_live_publish_owns(p->pub)) {
        rc = NGX_DECLINED;

    } else if (now >= p->st->deadline
               && !ngx_live_publish_awaited(p->st, now))
    {
        rc = NGX_DECLINED;

    } else {
        rc = NGX_OK;
    }

    if (rc == NGX_OK) {
        rc = ngx_live_player_feed(p);
    }

    if (rc == NGX_OK || rc == NGX_AGAIN) {
        ngx_add_timer(ev, rc == NGX_OK ? NGX_LIVE_SLATE_TICK
                                       : NGX_LIVE_SLATE_POLL);
        return;
    }

    ngx_live_player_end(p);
}


/* NGX_OK: it has begun.  NGX_AGAIN: not yet.  NGX_DECLINED: it will not. */

static ngx_int_t
ngx_live_player_wait(ngx_live_player_t *p)
{
    uint64_t               now;
    ngx_uint_t             failed;
    ngx_live_stream_sh_t  *st;

    st = p->st;
    now = ngx_live_now();

    if (ngx_live_load(&st->id) != p->id
        || ngx_live_load(&st->publication) != p->number
        || ngx_live_load(&st->state) != NGX_LIVE_STREAM_AWAY
        || now >= st->deadline)
    {
        return NGX_DECLINED;
    }

    p->media = ngx_live_slate_media(p->slate, &failed);

    if (failed) {
        return NGX_DECLINED;
    }

    if (p->media == NULL) {
        return NGX_AGAIN;
    }

    /* viewers are better off with the other one, if it comes soon */

    if (now < p->since + NGX_LIVE_SLATE_AWAITED
        && (now < st->moves || ngx_live_publish_awaited(st, now)))
    {
        return NGX_AGAIN;
    }

    return ngx_live_player_begin(p);
}


static ngx_int_t
ngx_live_player_begin(ngx_live_player_t *p)
{
    double                 fps;
    ngx_uint_t             i;
    live_codec_info_t      info;
    live_slate_track_t    *t;
    ngx_live_publisher_t   publisher;
    struct sockaddr        none;

    ngx_memzero(&publisher, sizeof(ngx_live_publisher_t));
    ngx_memzero(&none, sizeof(struct sockaddr));

    publisher.app = p->app;
    publisher.name = p->name;
    publisher.sockaddr = &none;
    publisher.log = &p->log;
    publisher.lost = ngx_live_player_lost;
    publisher.data = p;
    publisher.slate = 1;

    switch (ngx_live_publish_open(&publisher, &p->pub)) {

    case NGX_LIVE_PUBLISH_OK:
        break;

    case NGX_LIVE_PUBLISH_FULL:
        p->pub = NULL;
        return NGX_AGAIN;

    default:
        p->pub = NULL;
        return NGX_DECLINED;
    }

    t = p->media->tracks;
    fps = 0;

    if (t[LIVE_MEDIA_VIDEO].n) {
        info = t[LIVE_MEDIA_VIDEO].info;
        fps = (double) info.fps_num / info.fps_den;
        p->frame = (int64_t) (1000000 / fps);
    }

    ngx_live_publish_metadata(p->pub, fps, 0, t[LIVE_MEDIA_VIDEO].n == 0);

    for (i = 0; i < 2; i++) {

        if (t[i].n == 0) {
            continue;
        }

        info = t[i].info;

        if (ngx_live_publish_config(p->pub, &info, t[i].config,
                                    t[i].config_len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    p->began = ngx_current_msec;
    p->begun = 1;

    ngx_log_error(NGX_LOG_NOTICE, &p->log, 0,
                  "the publisher is away, its slate begins");

    return NGX_OK;
}


/*
 * What is due by now, and the sound of the last picture: it may have begun a
 * segment, which may be the last one.
 */

static ngx_int_t
ngx_live_player_feed(ngx_live_player_t *p)
{
    size_t                bytes;
    int64_t               now, us;
    live_media_e          media;
    const live_sample_t  *s;

    bytes = 0;
    now = (int64_t) (ngx_current_msec - p->began) * 1000;

    s = live_slate_next(p->media, &p->cursor, &media, &us);

    if (now - us > NGX_LIVE_SLATE_BEHIND) {
        live_slate_seek(p->media, &p->cursor, now);
        s = live_slate_next(p->media, &p->cursor, &media, &us);
    }

    while (us <= now || (media == LIVE_MEDIA_AUDIO && us < p->shown)) {

        if (ngx_live_player_frame(p, s, media, us) != NGX_OK) {
            return NGX_ERROR;
        }

        bytes += s->size;

        if (media == LIVE_MEDIA_VIDEO) {
            p->shown = us + p->frame;
        }

        live_slate_step(&p->cursor, media);
        s = live_slate_next(p->media, &p->cursor, &media, &us);
    }

    return ngx_live_publish_flush(p->pub, bytes);
}


static ngx_int_t
ngx_live_player_frame(ngx_live_player_t *p, const live_sample_t *s,
    live_media_e media, int64_t us)
{
    ngx_int_t         rc;
    ngx_live_frame_t  frame;

    ngx_memzero(&frame, sizeof(ngx_live_frame_t));

    frame.media = media;
    frame.timestamp = (uint32_t) ((us + 500) / 1000);
    frame.size = s->size;
    frame.key = (s->flags & LIVE_SAMPLE_KEY) ? 1 : 0;

    rc = ngx_live_publish_begin(p->pub, &frame);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    /* its bytes stay where they are as long as it is played */

    rc = ngx_live_publish_data(p->pub, media,
                               p->media->tracks[media].data + s->offset,
                               s->size);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_live_publish_end(p->pub, media, 1);
}


/* Called for all publications in a row: the rest is the timer's. */

static void
ngx_live_player_lost(void *data)
{
    ngx_live_player_t *p = data;

    p->lost = 1;
}


static void
ngx_live_player_end(ngx_live_player_t *p)
{
    if (p->pub) {
        ngx_live_publish_close(p->pub);
    }

    if (p->begun) {
        ngx_log_error(NGX_LOG_NOTICE, &p->log, 0, "the slate ends");
    }

    if (p->timer.timer_set) {
        ngx_del_timer(&p->timer);
    }

    ngx_live_slate_release(p->slate);
    ngx_queue_remove(&p->queue);
    ngx_free(p);
}


static u_char *
ngx_live_player_log(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_live_player_t *p = log->data;

    return ngx_snprintf(buf, len, ", stream \"%V/%V\"", &p->app->name,
                        &p->name);
}
