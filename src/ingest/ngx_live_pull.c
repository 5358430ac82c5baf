
/*
 * Pulls: created streams that a worker fetches itself, by libav in a thread of
 * each, which hands FLV through a pair of sockets to the event loop.  This is
 * the event loop's side.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <libavformat/avformat.h>
#include "ngx_live_limit.h"
#include "ngx_live_pull_thread.h"
#include "ngx_live_slate.h"
#include "ngx_live_source.h"
#include "ngx_live_tags.h"
#include "live_flv.h"
#include "live_url.h"


#define NGX_LIVE_PULL_TICK     500          /* ms between looks */
#define NGX_LIVE_PULL_CLAIM    50           /* ms until it asks again */
#define NGX_LIVE_PULL_BUFFER   (64 * 1024)  /* of this worker */
#define NGX_LIVE_PULL_READS    8            /* of them without a pause */
#define NGX_LIVE_PULL_MAX      512          /* of this worker */
#define NGX_LIVE_PULL_EMPTY    2            /* bytes of a tag of AAC alone */
#define NGX_LIVE_PULL_LOG      60000        /* ms between lines of that */
#define NGX_LIVE_PULL_END      5000         /* ms, when the worker ends */


typedef struct {
    ngx_queue_t               queue;        /* all of this worker */
    ngx_live_source_t         source;
    ngx_live_app_conf_t      *app;
    ngx_str_t                 name;
    char                      shown[NGX_LIVE_MAX_URL];

    ngx_live_pull_thread_t   *thread;
    ngx_connection_t         *connection;
    ngx_event_t               timer;
    ngx_pool_t               *pool;
    ngx_log_t                 log;

    live_flv_t                flv;
    ngx_live_tags_t           tags;
    ngx_live_publication_t   *pub;

    char                      reason[NGX_LIVE_SOURCE_ERROR];    /* it ends */

    unsigned                  finite:1;
    unsigned                  stopping:1;   /* the thread was told to */
    unsigned                  failed:1;     /* that is why it stops */
} ngx_live_pull_t;


/* debug logging of timers reads a connection's fd behind data */
typedef struct {
    void          *dummy[3];
    ngx_socket_t   fd;
} ngx_live_pull_ident_t;


static ngx_int_t ngx_live_pull_init_process(ngx_cycle_t *cycle);
static void ngx_live_pull_exit_process(ngx_cycle_t *cycle);
static void ngx_live_pull_look(ngx_event_t *ev);
static void ngx_live_pull_full(void);
static ngx_live_pull_t *ngx_live_pull_create(ngx_live_source_t *source);
static const char *ngx_live_pull_start(ngx_live_pull_t *pull);
static ngx_connection_t *ngx_live_pull_connection(ngx_live_pull_t *pull,
    int fd);
static void ngx_live_pull_tick(ngx_event_t *ev);
static void ngx_live_pull_read(ngx_event_t *rev);
static ngx_int_t ngx_live_pull_claim(ngx_live_pull_t *pull);
static void ngx_live_pull_begin(ngx_live_pull_t *pull,
    const live_remux_info_t *info);
static void ngx_live_pull_input(ngx_live_pull_t *pull, u_char *buf,
    size_t len);
static int ngx_live_pull_media(void *ctx, const live_rtmp_message_t *m,
    const uint8_t *buf, size_t len);
static void ngx_live_pull_fail(void *data, const char *text);
static void ngx_live_pull_lost(void *data);
static void ngx_live_pull_broken(ngx_live_pull_t *pull, const char *reason);
static void ngx_live_pull_stop(ngx_live_pull_t *pull, const char *reason);
static void ngx_live_pull_done(ngx_live_pull_t *pull);
static void ngx_live_pull_failed(ngx_live_pull_t *pull);
static void ngx_live_pull_free(ngx_live_pull_t *pull);
static u_char *ngx_live_pull_log(ngx_log_t *log, u_char *buf, size_t len);


static ngx_core_module_t  ngx_live_pull_module_ctx = {
    ngx_string("live_pull"),
    NULL,
    NULL
};


ngx_module_t  ngx_live_pull_module = {
    NGX_MODULE_V1,
    &ngx_live_pull_module_ctx,             /* module context */
    NULL,                                  /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_live_pull_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_live_pull_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* of this worker */
static ngx_queue_t             ngx_live_pulls;
static ngx_uint_t              ngx_live_npulls;
static ngx_event_t             ngx_live_pull_event;
static ngx_live_pull_ident_t   ngx_live_pull_ident;
static u_char                 *ngx_live_pull_buffer;

/* whoever writes FLV to us, "unix:" where publishers are told */
static struct sockaddr_un      ngx_live_pull_address = {
    .sun_family = AF_UNIX
};


static ngx_int_t
ngx_live_pull_init_process(ngx_cycle_t *cycle)
{
    if (ngx_live_zone() == NULL || (ngx_process != NGX_PROCESS_WORKER
                                    && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    ngx_queue_init(&ngx_live_pulls);

    ngx_live_pull_ident.fd = (ngx_socket_t) -1;

    ngx_live_pull_event.handler = ngx_live_pull_look;
    ngx_live_pull_event.data = &ngx_live_pull_ident;
    ngx_live_pull_event.log = cycle->log;
    ngx_live_pull_event.cancelable = 1;

    ngx_add_timer(&ngx_live_pull_event, NGX_LIVE_PULL_TICK);

    return NGX_OK;
}


/* Their streams are without a worker then, and others take them. */

static void
ngx_live_pull_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t      *q;
    ngx_msec_t        end, now;
    ngx_live_pull_t  *pull;

    if (ngx_live_pulls.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&ngx_live_pulls);
         q != ngx_queue_sentinel(&ngx_live_pulls);
         q = ngx_queue_next(q))
    {
        pull = ngx_queue_data(q, ngx_live_pull_t, queue);

        ngx_live_pull_thread_stop(pull->thread);
        (void) ngx_shutdown_socket(pull->connection->fd, SHUT_RDWR);
    }

    ngx_time_update();
    end = ngx_current_msec + NGX_LIVE_PULL_END;

    for (q = ngx_queue_head(&ngx_live_pulls);
         q != ngx_queue_sentinel(&ngx_live_pulls);
         q = ngx_queue_next(q))
    {
        pull = ngx_queue_data(q, ngx_live_pull_t, queue);

        ngx_time_update();
        now = ngx_current_msec;

        ngx_live_pull_thread_abandon(pull->thread, now < end ? end - now : 0);
    }
}


/* Takes what there is to pull. */

static void
ngx_live_pull_look(ngx_event_t *ev)
{
    const char         *error;
    ngx_live_zone_t    *zone;
    ngx_live_pull_t    *pull;
    ngx_live_source_t   source;

    zone = ngx_live_zone();

    if (ngx_live_npulls == NGX_LIVE_PULL_MAX) {
        ngx_live_pull_full();
    }

    while (ngx_live_npulls < NGX_LIVE_PULL_MAX
           && ngx_live_source_take(zone, &source) == NGX_OK)
    {
        pull = ngx_live_pull_create(&source);

        if (pull == NULL) {
            (void) ngx_live_source_left(zone, &source,
                                        NGX_LIVE_SOURCE_WAITING, "no memory");
            continue;
        }

        error = ngx_live_pull_start(pull);

        if (error) {
            ngx_cpystrn((u_char *) pull->reason, (u_char *) error,
                        sizeof(pull->reason));
            ngx_live_pull_failed(pull);
            ngx_live_pull_free(pull);
        }
    }

    ngx_add_timer(ev, NGX_LIVE_PULL_TICK);
}


static void
ngx_live_pull_full(void)
{
    static ngx_msec_t  logged;

    if (logged == 0 || ngx_current_msec - logged > NGX_LIVE_PULL_LOG) {
        logged = ngx_current_msec;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "this worker pulls %d streams, and takes no more: "
                      "others have to wait, or \"worker_processes\" to grow",
                      NGX_LIVE_PULL_MAX);
    }
}


static ngx_live_pull_t *
ngx_live_pull_create(ngx_live_source_t *source)
{
    ngx_str_t         app;
    ngx_pool_t       *pool;
    ngx_live_pull_t  *pull;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    pull = ngx_pcalloc(pool, sizeof(ngx_live_pull_t));
    if (pull == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    pull->pool = pool;
    pull->source = *source;

    app.data = pull->source.app;
    app.len = pull->source.app_len;
    pull->app = ngx_live_application(&app);

    pull->name.data = pull->source.name;
    pull->name.len = pull->source.name_len;

    pull->log = *ngx_cycle->log;
    pull->log.handler = ngx_live_pull_log;
    pull->log.data = pull;
    pull->log.action = NULL;

    pull->timer.handler = ngx_live_pull_tick;
    pull->timer.data = pull;
    pull->timer.log = &pull->log;

    pull->flv.media = ngx_live_pull_media;
    pull->flv.ctx = pull;

    pull->tags.log = &pull->log;
    pull->tags.pool = pool;
    pull->tags.fail = ngx_live_pull_fail;
    pull->tags.refuse = ngx_live_pull_fail;
    pull->tags.data = pull;

    ngx_queue_insert_tail(&ngx_live_pulls, &pull->queue);
    ngx_live_npulls++;

    return pull;
}


/* NULL, or why it cannot. */

static const char *
ngx_live_pull_start(ngx_live_pull_t *pull)
{
    int          fds[2];
    char         scheme[LIVE_URL_SCHEME];
    u_char      *url;
    const char  *protocols;

    url = pull->source.url;

    if (pull->app == NULL
        || live_url_read((char *) url, scheme, pull->shown,
                         sizeof(pull->shown))
           != LIVE_OK)
    {
        return "the configuration has changed";
    }

    protocols = ngx_live_source_protocols(pull->app, scheme);
    if (protocols == NULL) {
        return "\"pull_protocols\" does not allow its protocol any more";
    }

    if (ngx_live_pull_buffer == NULL) {
        ngx_live_pull_buffer = ngx_alloc(NGX_LIVE_PULL_BUFFER, &pull->log);
        if (ngx_live_pull_buffer == NULL) {
            return "no memory";
        }

        (void) avformat_network_init();
    }

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0, fds) == -1) {
        ngx_log_error(NGX_LOG_ALERT, &pull->log, ngx_errno,
                      "socketpair() failed");
        return "a socket cannot be made";
    }

    pull->connection = ngx_live_pull_connection(pull, fds[0]);

    if (pull->connection == NULL) {
        (void) close(fds[1]);
        return "there is no free connection";
    }

    pull->thread = ngx_live_pull_thread_start(fds[1], (char *) url, protocols,
                                              pull->app->publish_timeout);
    if (pull->thread == NULL) {
        ngx_log_error(NGX_LOG_ALERT, &pull->log, ngx_errno,
                      "a thread cannot be started");
        (void) close(fds[1]);
        return "a thread cannot be started";
    }

    ngx_explicit_memzero(url, NGX_LIVE_MAX_URL);

    ngx_log_error(NGX_LOG_INFO, &pull->log, 0, "pulling begins");

    ngx_add_timer(&pull->timer, NGX_LIVE_PULL_TICK);

    return NULL;
}


/* It has the fd, also where it fails. */

static ngx_connection_t *
ngx_live_pull_connection(ngx_live_pull_t *pull, int fd)
{
    ngx_connection_t  *c;

    c = ngx_nonblocking(fd) == -1 ? NULL : ngx_get_connection(fd, &pull->log);

    if (c == NULL) {
        (void) close(fd);
        return NULL;
    }

    c->data = pull;
    c->log = &pull->log;
    c->recv = ngx_recv;
    c->read->handler = ngx_live_pull_read;
    c->read->log = &pull->log;
    c->write->log = &pull->log;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_close_connection(c);
        return NULL;
    }

    return c;
}


/* Also what keeps a worker after a reload: viewers shall not notice. */

static void
ngx_live_pull_tick(ngx_event_t *ev)
{
    ngx_live_pull_t  *pull = ev->data;

    if (!pull->stopping
        && !ngx_live_source_wanted(ngx_live_zone(), &pull->source))
    {
        ngx_live_pull_stop(pull, "the control API has ended it");

    } else if (!pull->stopping && ngx_live_slate_quit()) {
        ngx_live_pull_stop(pull, "nginx ends");

    } else if (!pull->stopping && pull->pub == NULL && ngx_exiting) {

        ngx_live_pull_stop(pull, "the worker shuts down, and leaves it to "
                           "another one");
    }

    /* its end comes by the connection */

    ngx_add_timer(ev, NGX_LIVE_PULL_TICK);

    if (pull->pub == NULL && !pull->stopping) {
        ngx_live_pull_read(pull->connection->read);
    }
}


static void
ngx_live_pull_read(ngx_event_t *rev)
{
    ssize_t            n;
    ngx_uint_t         i;
    ngx_connection_t  *c;
    ngx_live_pull_t   *pull;

    c = rev->data;
    pull = c->data;

    if (c->close) {

        /* "worker_shutdown_timeout" */

        c->close = 0;
        ngx_live_pull_stop(pull, "the worker shuts down, and leaves it to "
                           "another one");
    }

    for (i = 0; rev->ready; i++) {

        if (i == NGX_LIVE_PULL_READS) {
            ngx_post_event(rev, &ngx_posted_events);
            return;
        }

        if (!pull->stopping
            && pull->pub == NULL
            && ngx_live_pull_claim(pull) == NGX_AGAIN)
        {
            ngx_add_timer(&pull->timer, NGX_LIVE_PULL_CLAIM);
            return;
        }

        n = c->recv(c, ngx_live_pull_buffer, NGX_LIVE_PULL_BUFFER);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_live_pull_done(pull);
            return;
        }

        if (!pull->stopping) {
            ngx_live_pull_input(pull, ngx_live_pull_buffer, n);
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_live_pull_broken(pull, "an event cannot be added");
    }
}


/* NGX_AGAIN: the stream is not to be had yet.  NGX_OK: see pub, which is NULL
 * when the source was not opened, or when it is not to be had at all. */

static ngx_int_t
ngx_live_pull_claim(ngx_live_pull_t *pull)
{
    ngx_live_publisher_t      publisher;
    const live_remux_info_t  *info;

    info = ngx_live_pull_thread_info(pull->thread);

    if (info == NULL) {
        return NGX_OK;
    }

    ngx_memzero(&publisher, sizeof(ngx_live_publisher_t));

    publisher.app = pull->app;
    publisher.name = pull->name;
    publisher.sockaddr = (struct sockaddr *) &ngx_live_pull_address;
    publisher.socklen = offsetof(struct sockaddr_un, sun_path);
    publisher.log = &pull->log;
    publisher.lost = ngx_live_pull_lost;
    publisher.data = pull;

    /* the same one when it comes again */
    publisher.client = ngx_crc32_short((u_char *) pull->shown,
                                       ngx_strlen(pull->shown));

    switch (ngx_live_publish_open(&publisher, &pull->pub)) {

    case NGX_LIVE_PUBLISH_OK:
    case NGX_LIVE_PUBLISH_WAITS:
        ngx_live_pull_begin(pull, info);
        return NGX_OK;

    case NGX_LIVE_PUBLISH_AGAIN:
        return NGX_AGAIN;

    case NGX_LIVE_PUBLISH_BUSY:
        ngx_live_pull_broken(pull, "the stream is being published already");
        break;

    case NGX_LIVE_PUBLISH_FULL:
        ngx_live_pull_broken(pull, "the live zone is full");
        break;

    case NGX_LIVE_PUBLISH_LIMIT:
        ngx_live_pull_broken(pull, "there are as many publications as "
                           "\"max_publications\" allows");
        break;

    default:
        ngx_live_pull_broken(pull, "the stream is stopped, or banned for now");
    }

    return NGX_OK;
}


static void
ngx_live_pull_begin(ngx_live_pull_t *pull, const live_remux_info_t *info)
{
    pull->tags.pub = pull->pub;
    pull->finite = info->finite;

    ngx_live_source_running(ngx_live_zone(), &pull->source);

    ngx_log_error(NGX_LOG_INFO, &pull->log, 0, "publishing begins");

    if (info->note[0]) {
        ngx_log_error(NGX_LOG_WARN, &pull->log, 0, "%s", info->note);
    }

    ngx_live_publish_metadata(pull->pub, info->fps, info->audio_rate,
                              info->audio_only);
}


static void
ngx_live_pull_input(ngx_live_pull_t *pull, u_char *buf, size_t len)
{
    const char  *reason;

    reason = live_flv_input(&pull->flv, buf, len);

    if (ngx_live_publish_flush(pull->pub, len) != NGX_OK) {

        if (!ngx_live_publish_owns(pull->pub)) {
            ngx_live_pull_lost(pull);
            return;
        }

        reason = reason ? reason : "the stream cannot go on";

    } else if (reason == NULL) {
        reason = ngx_live_limit_check(pull->pub, len);
    }

    if (reason == NULL || pull->stopping) {
        return;
    }

    /* of the tags, which may have said why */

    if (*reason == '\0') {
        reason = pull->reason[0] ? pull->reason : "the stream cannot go on";
    }

    ngx_live_pull_broken(pull, reason);
}


static int
ngx_live_pull_media(void *ctx, const live_rtmp_message_t *m,
    const uint8_t *buf, size_t len)
{
    ngx_live_pull_t *pull = ctx;

    /* libav writes an empty record first where each frame of AAC has one */

    if (m->type == LIVE_RTMP_AUDIO && m->length == NGX_LIVE_PULL_EMPTY) {
        return LIVE_OK;
    }

    return ngx_live_tags_media(&pull->tags, m, buf, len);
}


static void
ngx_live_pull_fail(void *data, const char *text)
{
    ngx_live_pull_t *pull = data;

    ngx_cpystrn((u_char *) pull->reason, (u_char *) text,
                sizeof(pull->reason));
}


/* Also called by the upkeep timer. */

static void
ngx_live_pull_lost(void *data)
{
    ngx_live_pull_t *pull = data;

    if (pull->stopping) {
        return;
    }

    if (ngx_live_publish_removed(pull->pub)) {
        ngx_live_pull_stop(pull, "the new configuration has no such "
                           "application");

    } else if (ngx_live_publish_ended(pull->pub)) {
        ngx_live_pull_stop(pull, "the control API has ended it");

    } else {
        ngx_live_pull_broken(pull, "the stream was taken over by another "
                           "publisher");
    }
}


static void
ngx_live_pull_broken(ngx_live_pull_t *pull, const char *reason)
{
    pull->failed = !pull->stopping;

    ngx_live_pull_stop(pull, reason);
}


static void
ngx_live_pull_stop(ngx_live_pull_t *pull, const char *reason)
{
    if (pull->stopping) {
        return;
    }

    pull->stopping = 1;

    if (reason != pull->reason) {
        ngx_cpystrn((u_char *) pull->reason, (u_char *) reason,
                    sizeof(pull->reason));
    }

    if (pull->pub) {
        ngx_live_publish_close(pull->pub);
        pull->pub = NULL;
    }

    ngx_live_pull_thread_stop(pull->thread);

    /* what it still writes is read, until it closes its end */

    ngx_post_event(pull->connection->read, &ngx_posted_events);
}


static void
ngx_live_pull_done(ngx_live_pull_t *pull)
{
    const char               *error;
    ngx_live_source_state_e   state;

    error = ngx_live_pull_thread_join(pull->thread);

    if (pull->pub) {
        ngx_live_publish_close(pull->pub);
        pull->pub = NULL;
    }

    if (!pull->stopping) {
        pull->failed = (error || !pull->finite);
        error = error ? error : "the source has ended";

        ngx_cpystrn((u_char *) pull->reason, (u_char *) error,
                    sizeof(pull->reason));
    }

    if (pull->failed) {
        ngx_live_pull_failed(pull);

    } else {
        state = pull->stopping ? NGX_LIVE_SOURCE_WAITING
                               : NGX_LIVE_SOURCE_ENDED;

        (void) ngx_live_source_left(ngx_live_zone(), &pull->source, state,
                                    NULL);

        ngx_log_error(NGX_LOG_NOTICE, &pull->log, 0, "pulling ends: %s",
                      pull->reason);
    }

    ngx_live_pull_free(pull);
}


static void
ngx_live_pull_failed(ngx_live_pull_t *pull)
{
    ngx_msec_t  wait;

    wait = ngx_live_source_left(ngx_live_zone(), &pull->source,
                                NGX_LIVE_SOURCE_WAITING, pull->reason);

    ngx_log_error(NGX_LOG_ERR, &pull->log, 0,
                  "pulling ends: %s; next try in %Ms", pull->reason,
                  wait / 1000);
}


static void
ngx_live_pull_free(ngx_live_pull_t *pull)
{
    if (pull->timer.timer_set) {
        ngx_del_timer(&pull->timer);
    }

    if (pull->connection) {
        ngx_close_connection(pull->connection);
    }

    if (pull->thread) {
        ngx_live_pull_thread_free(pull->thread);
    }

    ngx_queue_remove(&pull->queue);
    ngx_live_npulls--;

    ngx_destroy_pool(pull->pool);
}


static u_char *
ngx_live_pull_log(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_live_pull_t  *pull;

    pull = log->data;

    return ngx_snprintf(buf, len, ", stream: \"%*s/%V\", pulled from \"%s\"",
                        (size_t) pull->source.app_len, pull->source.app,
                        &pull->name, pull->shown);
}
