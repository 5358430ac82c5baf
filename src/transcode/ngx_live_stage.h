
/*
 * A stage of the transcoder: a queue, and work on it in the thread pool, one
 * task at a time, so that a decoder, a scaler or an encoder is never used by
 * two threads.  Stages of one stream run beside one another; a task takes a
 * few items only, so that streams share the threads fairly.
 */

#ifndef _NGX_LIVE_STAGE_H_INCLUDED_
#define _NGX_LIVE_STAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>
#include "live_transcode.h"


#define NGX_LIVE_STAGE_BATCH  8         /* items of one task */


typedef enum {
    NGX_LIVE_ITEM_UNIT = 0,     /* an access unit to decode */
    NGX_LIVE_ITEM_CONFIG,       /* a codec record for what follows */
    NGX_LIVE_ITEM_FRAME,
    NGX_LIVE_ITEM_PACKET,       /* a list of them */
    NGX_LIVE_ITEM_END           /* give what is left; the objects are freed */
} ngx_live_item_e;


typedef struct ngx_live_item_s  ngx_live_item_t;

struct ngx_live_item_s {
    ngx_live_item_t      *next;
    ngx_live_item_e       kind;
    size_t                bytes;        /* of memory that it stands for */

    u_char               *data;         /* of a unit or a record; owned */
    size_t                len;
    live_sample_t         sample;       /* of a unit */
    live_codec_info_t    *info;         /* of a record; owned */
    int64_t               mark;         /* ticks; a segment begins there ... */
    unsigned              marked:1;     /* ... with this unit */

    live_frame_t         *frame;        /* owned */
    live_packet_t        *packets;      /* owned */
};


typedef struct {
    ngx_live_item_t      *first;
    ngx_live_item_t     **last;
    ngx_uint_t            n;
    size_t                bytes;
} ngx_live_items_t;


typedef struct ngx_live_stage_s  ngx_live_stage_t;

typedef void (*ngx_live_stage_pt)(ngx_live_stage_t *s);

struct ngx_live_stage_s {
    ngx_thread_task_t     task;

    ngx_live_items_t      in;           /* the event loop's */
    ngx_live_items_t      work;         /* the thread's while busy */
    ngx_live_items_t      out;

    ngx_uint_t            least;        /* items to begin with, or an END */

    ngx_live_stage_pt     run;          /* in a thread; takes from work */
    ngx_live_stage_pt     done;         /* in the loop; takes from out */
    void                 *data;

    const char           *reason;       /* what went wrong, static text */
    unsigned              busy:1;
    unsigned              ending:1;     /* an END is among the items */
};


void ngx_live_items_init(ngx_live_items_t *items);

/* NULL: no memory.  Any thread. */
ngx_live_item_t *ngx_live_item(ngx_live_item_e kind);
void ngx_live_item_free(ngx_live_item_t *item);

void ngx_live_items_add(ngx_live_items_t *items, ngx_live_item_t *item);

/* Takes a frame over, as an item; where there is no memory it is lost. */
void ngx_live_items_frame(ngx_live_items_t *items, live_frame_t *frame);

ngx_live_item_t *ngx_live_items_take(ngx_live_items_t *items);
void ngx_live_items_free(ngx_live_items_t *items);

/* Event loop. */
void ngx_live_stage_init(ngx_live_stage_t *s, ngx_live_stage_pt run,
    ngx_live_stage_pt done, void *data, ngx_log_t *log);

/* Adds an item to its queue. */
void ngx_live_stage_push(ngx_live_stage_t *s, ngx_live_item_t *item);

/* Frees its items; no thread has it. */
void ngx_live_stage_clear(ngx_live_stage_t *s);

/* Gives work to the pool, when there is some and none is there; done() is
 * called behind it.  NGX_ERROR: the pool takes no more. */
ngx_int_t ngx_live_stage_start(ngx_live_stage_t *s);


#endif /* _NGX_LIVE_STAGE_H_INCLUDED_ */
