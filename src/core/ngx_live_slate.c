
/*
 * Slates: the directive, what they are made for, and the ones that there are.
 *
 * Making one reads, decodes and encodes a file, which takes a thread some
 * seconds.  One is made at a time, so that a worker's memory for it is
 * bounded, and the threads are there for others.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <math.h>
#include <libavutil/log.h>
#include "ngx_live_make.h"
#include "ngx_live_slate.h"
#include "ngx_live_writer.h"


/* bytes of the slates of a worker, and how many */
#define NGX_LIVE_SLATE_BYTES   (64 * 1024 * 1024)
#define NGX_LIVE_SLATE_MOST    64

/* ms from key frame to key frame at most */
#define NGX_LIVE_SLATE_GOP     2000

#define NGX_LIVE_SLATE_MIN_FPS 1
#define NGX_LIVE_SLATE_MAX_FPS 60

/* by which frame rates differ that are the same */
#define NGX_LIVE_SLATE_FPS     0.02

/* ms between two lines about too little memory */
#define NGX_LIVE_SLATE_LOG     60000


typedef enum {
    NGX_LIVE_SLATE_WAITING = 0,
    NGX_LIVE_SLATE_MAKING,
    NGX_LIVE_SLATE_MADE,
    NGX_LIVE_SLATE_FAILED
} ngx_live_slate_e;


struct ngx_live_slate_s {
    ngx_queue_t           queue;        /* the one used last comes first */
    ngx_thread_task_t     task;
    ngx_live_slate_e      state;
    ngx_uint_t            refs;

    u_char               *file;         /* a copy, behind it */
    live_slate_conf_t     conf;

    live_slate_t         *made;         /* these are the thread's until it is */
    const char           *reason;       /* done; reason is static text */

    live_slate_t         *media;
};


static void ngx_live_slate_conf(ngx_live_publication_t *pub,
    live_slate_conf_t *conf);
static double ngx_live_slate_fps(ngx_live_writer_t *w);
static void ngx_live_slate_profile(live_slate_conf_t *conf,
    live_codec_info_t *info);
static ngx_uint_t ngx_live_slate_fits(ngx_live_slate_t *s, u_char *file,
    live_slate_conf_t *conf);
static ngx_live_slate_t *ngx_live_slate_create(u_char *file,
    live_slate_conf_t *conf, ngx_log_t *log);
static ngx_uint_t ngx_live_slate_room(size_t bytes, ngx_uint_t n);
static void ngx_live_slate_free(ngx_live_slate_t *s);
static void ngx_live_slate_start(void);
static void ngx_live_slate_thread(void *data, ngx_log_t *log);
static int ngx_live_slate_stop(void);
static void ngx_live_slate_done(ngx_event_t *ev);
static void ngx_live_slate_failed(ngx_live_slate_t *s);


/* of this worker */
static ngx_queue_t  ngx_live_slates;
static ngx_uint_t   ngx_live_slate_making;


char *
ngx_live_slate_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    int          level, usable;
    ngx_str_t   *value, *file;
    const char  *reason;

    file = (ngx_str_t *) (p + cmd->offset);

    if (file->data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    *file = value[1];

    if (ngx_strcmp(value[1].data, "off") == 0) {
        file->len = 0;
        return NGX_CONF_OK;
    }

    if (file->len == 0) {
        return "has an empty path";
    }

    if (ngx_conf_full_name(cf->cycle, file, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* what libav has to say is no more than that it cannot */

    level = av_log_get_level();
    av_log_set_level(AV_LOG_QUIET);

    usable = live_slate_probe((char *) file->data, &reason);

    av_log_set_level(level);

    if (!usable) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"slate\" cannot use the file \"%V\": %s", file,
                           reason);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void
ngx_live_slate_merge(ngx_str_t *conf, ngx_str_t *prev)
{
    if (conf->data == NULL) {
        *conf = *prev;
    }
}


void
ngx_live_slate_init_process(void)
{
    ngx_queue_init(&ngx_live_slates);
}


/* Workers of a reload before do not learn otherwise that nginx ends. */

void
ngx_live_slate_exit_process(void)
{
    ngx_live_zone_t  *zone;

    zone = ngx_live_zone();

    if (ngx_exiting && zone->cycle == ngx_live_load(&zone->sh->cycle)) {
        ngx_live_store(&zone->sh->quit, zone->cycle);
    }
}


ngx_uint_t
ngx_live_slate_quit(void)
{
    uint32_t          cycle;
    ngx_live_zone_t  *zone;

    zone = ngx_live_zone();
    cycle = ngx_live_load(&zone->sh->cycle);

    return ngx_terminate
           || (ngx_exiting && (zone->cycle == cycle
                               || ngx_live_load(&zone->sh->quit) == cycle));
}


void
ngx_live_slate_prepare(ngx_live_publication_t *pub)
{
    u_char             *file;
    ngx_queue_t        *q;
    ngx_live_slate_t   *s;
    live_slate_conf_t   conf;

    file = pub->app->slate.data;

    ngx_live_slate_conf(pub, &conf);

    if (pub->slate && ngx_live_slate_fits(pub->slate, file, &conf)) {
        ngx_live_slate_start();
        return;
    }

    for (q = ngx_queue_head(&ngx_live_slates);
         q != ngx_queue_sentinel(&ngx_live_slates);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_live_slate_t, queue);

        if (ngx_live_slate_fits(s, file, &conf)) {
            goto found;
        }
    }

    s = ngx_live_slate_create(file, &conf, pub->log);
    if (s == NULL) {
        return;
    }

found:

    ngx_live_slate_use(s);
    ngx_live_slate_release(pub->slate);

    pub->slate = s;

    ngx_live_slate_start();
}


static void
ngx_live_slate_conf(ngx_live_publication_t *pub, live_slate_conf_t *conf)
{
    ngx_live_writer_t  *w;

    ngx_memzero(conf, sizeof(live_slate_conf_t));

    w = &pub->writers[LIVE_MEDIA_VIDEO];

    if (w->configured && w->sh) {
        conf->width = w->info.width;
        conf->height = w->info.height;
        conf->fps = ngx_live_slate_fps(w);
        ngx_live_slate_profile(conf, &w->info);
    }

    w = &pub->writers[LIVE_MEDIA_AUDIO];

    if (w->configured && w->sh) {
        conf->sample_rate = w->info.sample_rate;
        conf->channels = w->info.channels;
    }

    /* a segment is a whole number of groups */

    conf->segment = pub->st->segment;
    conf->longest = pub->st->target_duration * 1000;

    conf->gop = pub->st->segment
                / ((pub->st->segment + NGX_LIVE_SLATE_GOP - 1)
                   / NGX_LIVE_SLATE_GOP);
}


/* 0: not known, or such that nobody misses it. */

static double
ngx_live_slate_fps(ngx_live_writer_t *w)
{
    double              fps, frame;
    live_track_clock_t  *clock;

    clock = &w->clock;
    frame = clock->frame;

    if (clock->frame_den) {
        frame += (double) clock->frame_rem / clock->frame_den;
    }

    if (frame <= 0) {
        return 0;
    }

    fps = w->info.timescale / frame;

    if (fps < NGX_LIVE_SLATE_MIN_FPS) {
        return 0;
    }

    /* of every so many frames one is enough */

    return fps / ceil(fps / (NGX_LIVE_SLATE_MAX_FPS + 1));
}


/* What decodes the source decodes the slate. */

static void
ngx_live_slate_profile(live_slate_conf_t *conf, live_codec_info_t *info)
{
    const char  *profile;

    profile = "high";

    if (info->codec == LIVE_CODEC_H264) {

        if (ngx_strncasecmp((u_char *) info->codecs, (u_char *) "avc1.42", 7)
            == 0)
        {
            profile = "baseline";

        } else if (ngx_strncasecmp((u_char *) info->codecs,
                                   (u_char *) "avc1.4d", 7)
                   == 0)
        {
            profile = "main";
        }
    }

    ngx_cpystrn((u_char *) conf->profile, (u_char *) profile,
                sizeof(conf->profile));
}


/* Measured frame rates are never quite the same. */

static ngx_uint_t
ngx_live_slate_fits(ngx_live_slate_t *s, u_char *file,
    live_slate_conf_t *conf)
{
    double             off;
    live_slate_conf_t  same;

    same = s->conf;
    off = fabs(same.fps - conf->fps);

    return off <= conf->fps * NGX_LIVE_SLATE_FPS
           && same.width == conf->width
           && same.height == conf->height
           && same.gop == conf->gop
           && same.segment == conf->segment
           && same.longest == conf->longest
           && same.sample_rate == conf->sample_rate
           && same.channels == conf->channels
           && ngx_strcmp(same.profile, conf->profile) == 0
           && ngx_strcmp(s->file, file) == 0;
}


static ngx_live_slate_t *
ngx_live_slate_create(u_char *file, live_slate_conf_t *conf, ngx_log_t *log)
{
    size_t             len;
    ngx_live_slate_t  *s;

    if (!ngx_live_slate_room(0, 1)) {
        return NULL;
    }

    len = ngx_strlen(file) + 1;

    s = ngx_calloc(sizeof(ngx_live_slate_t) + len, log);
    if (s == NULL) {
        return NULL;
    }

    s->file = (u_char *) (s + 1);
    ngx_memcpy(s->file, file, len);
    s->conf = *conf;

    s->task.ctx = s;
    s->task.handler = ngx_live_slate_thread;
    s->task.event.handler = ngx_live_slate_done;
    s->task.event.data = s;
    s->task.event.log = ngx_cycle->log;

    ngx_queue_insert_head(&ngx_live_slates, &s->queue);

    return s;
}


/* For n more that take so many bytes; those that nobody uses go first. */

static ngx_uint_t
ngx_live_slate_room(size_t bytes, ngx_uint_t n)
{
    size_t              sum;
    ngx_uint_t          count;
    ngx_queue_t        *q;
    ngx_live_slate_t   *s, *idle;
    static ngx_msec_t   logged;

    for ( ;; ) {
        sum = bytes;
        count = n;
        idle = NULL;

        for (q = ngx_queue_head(&ngx_live_slates);
             q != ngx_queue_sentinel(&ngx_live_slates);
             q = ngx_queue_next(q))
        {
            s = ngx_queue_data(q, ngx_live_slate_t, queue);

            count++;
            sum += s->media ? live_slate_bytes(s->media) : 0;

            if (s->refs == 0 && s->state != NGX_LIVE_SLATE_MAKING) {
                idle = s;
            }
        }

        if (sum <= NGX_LIVE_SLATE_BYTES && count <= NGX_LIVE_SLATE_MOST) {
            return 1;
        }

        if (idle == NULL) {
            break;
        }

        ngx_live_slate_free(idle);
    }

    if (logged == 0 || ngx_current_msec - logged > NGX_LIVE_SLATE_LOG) {
        logged = ngx_current_msec;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "a stream is without a slate: this worker has %ui, %d "
                      "may be, of %d MiB: use shorter clips, or have "
                      "encoders send fewer sizes and rates", count - n,
                      NGX_LIVE_SLATE_MOST,
                      NGX_LIVE_SLATE_BYTES / 1024 / 1024);
    }

    return 0;
}


static void
ngx_live_slate_free(ngx_live_slate_t *s)
{
    ngx_queue_remove(&s->queue);
    live_slate_free(s->media);
    ngx_free(s);
}


void
ngx_live_slate_use(ngx_live_slate_t *s)
{
    s->refs++;

    ngx_queue_remove(&s->queue);
    ngx_queue_insert_head(&ngx_live_slates, &s->queue);
}


/* It stays for the next one, as long as its memory is not needed. */

void
ngx_live_slate_release(ngx_live_slate_t *s)
{
    if (s) {
        s->refs--;
    }
}


live_slate_t *
ngx_live_slate_media(ngx_live_slate_t *s, ngx_uint_t *failed)
{
    *failed = (s->state == NGX_LIVE_SLATE_FAILED);

    return s->media;
}


/* The one that was asked for first, unless one is being made. */

static void
ngx_live_slate_start(void)
{
    ngx_queue_t       *q;
    ngx_live_slate_t  *s;

    for (q = ngx_queue_last(&ngx_live_slates);
         !ngx_live_slate_making && q != ngx_queue_sentinel(&ngx_live_slates);
         q = ngx_queue_prev(q))
    {
        s = ngx_queue_data(q, ngx_live_slate_t, queue);

        if (s->state != NGX_LIVE_SLATE_WAITING || s->refs == 0) {
            continue;
        }

        /* the next segment tries again */

        if (!ngx_live_slate_room(LIVE_SLATE_BYTES, 0)
            || ngx_thread_task_post(ngx_live_make_pool(), &s->task) != NGX_OK)
        {
            return;
        }

        s->state = NGX_LIVE_SLATE_MAKING;
        ngx_live_slate_making = 1;
    }
}


static void
ngx_live_slate_thread(void *data, ngx_log_t *log)
{
    ngx_live_slate_t *s = data;

    s->made = live_slate_make((char *) s->file, &s->conf, ngx_live_slate_stop,
                              &s->reason);
}


/* In the thread: nobody should wait for it when the worker is to end. */

static int
ngx_live_slate_stop(void)
{
    return ngx_live_slate_quit();
}


static void
ngx_live_slate_done(ngx_event_t *ev)
{
    ngx_live_slate_t *s = ev->data;

    ngx_live_slate_making = 0;

    s->media = s->made;
    s->state = s->media ? NGX_LIVE_SLATE_MADE : NGX_LIVE_SLATE_FAILED;

    if (s->media) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "a slate was made of \"%s\" for %uDx%uD, %uDHz: "
                      "%uz bytes, %L.%03Ls", s->file, s->conf.width,
                      s->conf.height, s->conf.sample_rate,
                      live_slate_bytes(s->media),
                      s->media->ticks / 90000, s->media->ticks % 90000 / 90);

    } else if (!ngx_live_slate_quit()) {
        ngx_live_slate_failed(s);
    }

    ngx_live_slate_start();
}


static void
ngx_live_slate_failed(ngx_live_slate_t *s)
{
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "no slate can be made of \"%s\" for %uDx%uD, %uDHz: %s; "
                  "streams like this are without: see that workers may read "
                  "the file and that ffmpeg plays it, then reload",
                  s->file, s->conf.width, s->conf.height,
                  s->conf.sample_rate, s->reason);
}
