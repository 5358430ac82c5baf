
/*
 * Work for the thread pool: reads media of the zone and makes something of
 * it.  Shared by the files of ngx_live_make.h only; event loop only, but for
 * the handler that runs in the thread.
 */

#ifndef _NGX_LIVE_MAKE_JOB_H_INCLUDED_
#define _NGX_LIVE_MAKE_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>
#include "ngx_live_make.h"
#include "ngx_live_pin.h"


typedef struct ngx_live_job_s  ngx_live_job_t;

typedef void (*ngx_live_job_pt)(ngx_live_job_t *job);


/* A range of the media file, with the init segment that it needs. */
typedef struct {
    ngx_live_pin_t            pin;
    ngx_str_t                 init;         /* of the job's pool */
    uint64_t                  offset;
    size_t                    size;

    u_char                   *data;         /* malloc()ed by the thread */
} ngx_live_source_t;


struct ngx_live_job_s {
    ngx_queue_t               queue;
    ngx_thread_task_t         task;
    ngx_pool_t               *pool;         /* the loop's, no thread's */

    ngx_live_zone_t          *zone;
    ngx_live_stream_sh_t     *st;
    uint64_t                  id;
    uint64_t                  msn;          /* of what is made of */

    ngx_live_source_t         sources[2];
    ngx_uint_t                nsources;

    ngx_live_job_pt           work;         /* in the thread */
    ngx_live_job_pt           done;         /* in the loop, see below */
    ngx_live_job_pt           abandon;      /* the worker exits */

    int                       rc;           /* of the work, LIVE_OK */
    const char               *reason;       /* static text */
    uint8_t                  *out;          /* malloc()ed, freed with it */
    size_t                    len;

    uint64_t                  offset;       /* TS: room in the file, 0: none */
    size_t                    room;
    unsigned                  discontinuity:1;

    ngx_uint_t                thumb;        /* of st->thumbs */
    uint32_t                  width;

    unsigned                  active:1;     /* a thread has it, or will */
};


/* NULL: no memory, or this worker has too much to make. */
ngx_live_job_t *ngx_live_job_create(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, uint64_t id, uint64_t msn);

/*
 * Adds a range that is pinned until the job ends, and a copy of its init
 * segment.  NGX_DECLINED: it is gone.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_live_job_source(ngx_live_job_t *job, ngx_live_track_sh_t *t,
    uint32_t init, uint64_t offset, size_t size);

/*
 * Has job->work run in the thread pool, then job->done in the loop, which
 * either starts the job again with other work, or ends it.
 */
void ngx_live_job_start(ngx_live_job_t *job);

/* Unpins and frees all of it; not while a thread has it. */
void ngx_live_job_end(ngx_live_job_t *job);

/* The thread's: reads the sources.  Sets rc and reason. */
ngx_int_t ngx_live_job_read(ngx_live_job_t *job);

/* Is there a job of this worker for that segment in MPEG-TS? */
ngx_uint_t ngx_live_job_find(ngx_live_stream_sh_t *st, uint64_t id,
    uint64_t msn);

/* "the zone is full", once in a while. */
void ngx_live_job_log_full(ngx_live_stream_sh_t *st, const char *what);


#endif /* _NGX_LIVE_MAKE_JOB_H_INCLUDED_ */
