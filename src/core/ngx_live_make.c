
/*
 * The thread pool, and the jobs of this worker for it.  Few are with the
 * threads at a time, so that the memory for what they read and make is
 * bounded; the others wait here with no more than their pins.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <libavutil/log.h>
#include "ngx_live_make_job.h"


#if !(NGX_THREADS)
#error ngx_live_module needs an nginx that is configured --with-threads
#endif


#define NGX_LIVE_JOBS         256
#define NGX_LIVE_JOBS_ACTIVE  8

#define NGX_LIVE_FULL_LOG     10            /* s */


typedef struct {
    ngx_thread_pool_t        *thread_pool;
} ngx_live_make_conf_t;


static void *ngx_live_make_create_conf(ngx_conf_t *cf);
static char *ngx_live_make_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_live_make_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static void ngx_live_job_next(void);
static ngx_int_t ngx_live_job_post(ngx_live_job_t *job);
static void ngx_live_job_thread(void *data, ngx_log_t *log);
static void ngx_live_job_handler(ngx_event_t *ev);
static void ngx_live_job_retired(ngx_live_pin_t *pin);


static ngx_command_t  ngx_live_make_commands[] = {

    { ngx_string("thread_pool"),
      NGX_LIVE_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_live_make_thread_pool,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_live_module_t  ngx_live_make_module_ctx = {
    ngx_live_make_create_conf,
    ngx_live_make_merge_conf
};


ngx_module_t  ngx_live_make_module = {
    NGX_MODULE_V1,
    &ngx_live_make_module_ctx,             /* module context */
    ngx_live_make_commands,                /* module directives */
    NGX_LIVE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* of this worker: those to start, and those that threads have */
static ngx_queue_t  ngx_live_jobs_waiting;
static ngx_queue_t  ngx_live_jobs_active;
static ngx_uint_t   ngx_live_jobs_n;
static ngx_uint_t   ngx_live_jobs_active_n;


static void *
ngx_live_make_create_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_live_make_conf_t));
}


/* There is one pool for all applications. */

static char *
ngx_live_make_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    return NGX_CONF_OK;
}


static char *
ngx_live_make_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_make_conf_t *mcf = conf;

    ngx_str_t  *value;

    if (mcf->thread_pool) {
        return "is duplicate";
    }

    value = cf->args->elts;

    /* nginx says, with file and line, when no pool of that name comes */

    mcf->thread_pool = ngx_thread_pool_add(cf, &value[1]);

    return mcf->thread_pool ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_int_t
ngx_live_make_init_conf(ngx_conf_t *cf, void **confs)
{
    ngx_live_make_conf_t  *mcf;

    mcf = confs[ngx_live_make_module.ctx_index];

    if (mcf->thread_pool == NULL) {
        mcf->thread_pool = ngx_thread_pool_add(cf, NULL);
    }

    return mcf->thread_pool ? NGX_OK : NGX_ERROR;
}


void
ngx_live_make_init_process(void)
{
    ngx_queue_init(&ngx_live_jobs_waiting);
    ngx_queue_init(&ngx_live_jobs_active);

    /* libav would write to stderr; what matters is in its results */

    av_log_set_level(AV_LOG_QUIET);
}


void
ngx_live_make_exit_process(void)
{
    ngx_queue_t     *q;
    ngx_live_job_t  *job;

    /* the threads have ended; what they have made is of no use any more */

    if (ngx_live_jobs_waiting.next == NULL) {
        return;
    }

    while (!ngx_queue_empty(&ngx_live_jobs_active)) {
        q = ngx_queue_head(&ngx_live_jobs_active);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_live_jobs_waiting, q);
    }

    while (!ngx_queue_empty(&ngx_live_jobs_waiting)) {
        q = ngx_queue_head(&ngx_live_jobs_waiting);
        job = ngx_queue_data(q, ngx_live_job_t, queue);

        job->active = 0;
        job->abandon(job);
        ngx_live_job_end(job);
    }
}


ngx_live_job_t *
ngx_live_job_create(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, uint64_t msn)
{
    ngx_pool_t      *pool;
    ngx_live_job_t  *job;

    if (ngx_live_jobs_n == NGX_LIVE_JOBS) {
        return NULL;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_live_job_t));
    if (job == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->pool = pool;
    job->zone = zone;
    job->st = st;
    job->id = id;
    job->msn = msn;

    job->task.ctx = job;
    job->task.handler = ngx_live_job_thread;
    job->task.event.data = job;
    job->task.event.handler = ngx_live_job_handler;
    job->task.event.log = ngx_cycle->log;

    ngx_queue_init(&job->queue);
    ngx_live_jobs_n++;

    return job;
}


ngx_int_t
ngx_live_job_source(ngx_live_job_t *job, ngx_live_track_sh_t *t,
    uint32_t init, uint64_t offset, size_t size)
{
    ngx_int_t           rc;
    ngx_live_source_t  *source;

    source = &job->sources[job->nsources];

    rc = ngx_live_read_init(job->st, job->id, t, init, job->pool,
                            &source->init);
    if (rc != NGX_OK) {
        return rc;
    }

    source->offset = offset;
    source->size = size;

    source->pin.st = job->st;
    source->pin.track = t;
    source->pin.id = job->id;
    source->pin.msn = job->msn;
    source->pin.handler = ngx_live_job_retired;
    source->pin.data = job;

    rc = ngx_live_pin_range(job->zone, &source->pin, offset, size);

    if (rc == NGX_OK) {
        job->nsources++;
    }

    return rc;
}


/* A thread cannot be told: the pin is kept until it has read. */

static void
ngx_live_job_retired(ngx_live_pin_t *pin)
{
}


void
ngx_live_job_start(ngx_live_job_t *job)
{
    ngx_queue_remove(&job->queue);

    if (job->active) {

        /* it goes on with what it has made, before others begin */

        if (ngx_live_job_post(job) == NGX_OK) {
            return;
        }

        job->active = 0;
        ngx_live_jobs_active_n--;
    }

    ngx_queue_insert_tail(&ngx_live_jobs_waiting, &job->queue);

    ngx_live_job_next();
}


static void
ngx_live_job_next(void)
{
    ngx_queue_t     *q;
    ngx_live_job_t  *job;

    while (ngx_live_jobs_active_n < NGX_LIVE_JOBS_ACTIVE
           && !ngx_queue_empty(&ngx_live_jobs_waiting))
    {
        q = ngx_queue_head(&ngx_live_jobs_waiting);
        job = ngx_queue_data(q, ngx_live_job_t, queue);

        ngx_queue_remove(q);

        if (ngx_live_job_post(job) == NGX_OK) {
            job->active = 1;
            ngx_live_jobs_active_n++;
            continue;
        }

        /* the pool takes no more; another job's end tries again */

        ngx_queue_insert_head(&ngx_live_jobs_waiting, q);

        if (ngx_live_jobs_active_n) {
            return;
        }

        job->abandon(job);
        ngx_live_job_end(job);
    }
}


ngx_thread_pool_t *
ngx_live_make_pool(void)
{
    ngx_live_conf_t       *lcf;
    ngx_live_make_conf_t  *mcf;

    lcf = (ngx_live_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_live_module);
    mcf = lcf->app_conf[ngx_live_make_module.ctx_index];

    return mcf->thread_pool;
}


static ngx_int_t
ngx_live_job_post(ngx_live_job_t *job)
{
    if (ngx_thread_task_post(ngx_live_make_pool(), &job->task) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&ngx_live_jobs_active, &job->queue);

    return NGX_OK;
}


static void
ngx_live_job_thread(void *data, ngx_log_t *log)
{
    ngx_live_job_t *job = data;

    job->work(job);
}


static void
ngx_live_job_handler(ngx_event_t *ev)
{
    ngx_live_job_t *job = ev->data;

    job->done(job);
}


void
ngx_live_job_end(ngx_live_job_t *job)
{
    ngx_uint_t  i, active;

    for (i = 0; i < 2; i++) {
        ngx_live_unpin(job->zone, &job->sources[i].pin);
        free(job->sources[i].data);
    }

    free(job->out);

    ngx_queue_remove(&job->queue);

    ngx_live_jobs_n--;
    active = job->active;

    ngx_destroy_pool(job->pool);

    if (active) {
        ngx_live_jobs_active_n--;
        ngx_live_job_next();
    }
}


ngx_int_t
ngx_live_job_read(ngx_live_job_t *job)
{
    size_t              done;
    ssize_t             n;
    ngx_uint_t          i;
    ngx_live_source_t  *s;

    for (i = 0; i < job->nsources; i++) {
        s = &job->sources[i];

        s->data = malloc(s->size);
        if (s->data == NULL) {
            job->rc = LIVE_ERROR;
            job->reason = "no memory";
            return NGX_ERROR;
        }

        for (done = 0; done < s->size; done += n) {

            n = pread(job->zone->fd, s->data + done, s->size - done,
                      s->offset + done);

            if (n == -1 && ngx_errno == NGX_EINTR) {
                n = 0;
                continue;
            }

            if (n <= 0) {
                job->rc = LIVE_ERROR;
                job->reason = "reading the live zone failed";
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_live_job_find(ngx_live_stream_sh_t *st, uint64_t id, uint64_t msn)
{
    ngx_uint_t       i;
    ngx_queue_t     *q, *queues[2];
    ngx_live_job_t  *job;

    queues[0] = &ngx_live_jobs_waiting;
    queues[1] = &ngx_live_jobs_active;

    for (i = 0; i < 2; i++) {
        for (q = ngx_queue_head(queues[i]);
             q != ngx_queue_sentinel(queues[i]);
             q = ngx_queue_next(q))
        {
            job = ngx_queue_data(q, ngx_live_job_t, queue);

            if (job->st == st && job->id == id && job->msn == msn
                && job->width == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


void
ngx_live_job_log_full(ngx_live_stream_sh_t *st, const char *what)
{
    static time_t  logged;

    if (ngx_time() - logged < NGX_LIVE_FULL_LOG) {
        return;
    }

    logged = ngx_time();

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "the live zone has no room for %s of stream "
                  "\"%*s/%*s\": make \"zone\" larger or \"window\" shorter",
                  what, (size_t) st->app_len, st->app,
                  (size_t) st->name_len, st->name);
}
