
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_live_stage.h"
#include "ngx_live_make.h"
#include "ngx_live_crash.h"


static void ngx_live_stage_thread(void *data, ngx_log_t *log);
static void ngx_live_stage_handler(ngx_event_t *ev);


void
ngx_live_items_init(ngx_live_items_t *items)
{
    items->first = NULL;
    items->last = &items->first;
    items->n = 0;
    items->bytes = 0;
}


ngx_live_item_t *
ngx_live_item(ngx_live_item_e kind)
{
    ngx_live_item_t  *item;

    item = calloc(1, sizeof(ngx_live_item_t));

    if (item) {
        item->kind = kind;
    }

    return item;
}


void
ngx_live_item_free(ngx_live_item_t *item)
{
    free(item->data);
    free(item->info);
    live_frame_free(item->frame);
    live_packet_free(item->packets);
    free(item);
}


void
ngx_live_items_add(ngx_live_items_t *items, ngx_live_item_t *item)
{
    item->next = NULL;
    *items->last = item;
    items->last = &item->next;
    items->n++;
    items->bytes += item->bytes;
}


void
ngx_live_items_frame(ngx_live_items_t *items, live_frame_t *frame)
{
    ngx_live_item_t  *item;

    item = ngx_live_item(NGX_LIVE_ITEM_FRAME);

    if (item == NULL) {
        live_frame_free(frame);
        return;
    }

    item->frame = frame;
    item->bytes = live_frame_bytes(frame);

    ngx_live_items_add(items, item);
}


ngx_live_item_t *
ngx_live_items_take(ngx_live_items_t *items)
{
    ngx_live_item_t  *item;

    item = items->first;

    if (item) {
        items->first = item->next;
        items->n--;
        items->bytes -= item->bytes;

        if (items->first == NULL) {
            items->last = &items->first;
        }
    }

    return item;
}


void
ngx_live_items_free(ngx_live_items_t *items)
{
    ngx_live_item_t  *item;

    while ((item = ngx_live_items_take(items)) != NULL) {
        ngx_live_item_free(item);
    }
}


void
ngx_live_stage_init(ngx_live_stage_t *s, ngx_live_stage_pt run,
    ngx_live_stage_pt done, void *data, ngx_log_t *log)
{
    ngx_live_items_init(&s->in);
    ngx_live_items_init(&s->work);
    ngx_live_items_init(&s->out);

    s->run = run;
    s->done = done;
    s->data = data;

    s->task.ctx = s;
    s->task.handler = ngx_live_stage_thread;
    s->task.event.handler = ngx_live_stage_handler;
    s->task.event.data = s;
    s->task.event.log = log;
}


void
ngx_live_stage_push(ngx_live_stage_t *s, ngx_live_item_t *item)
{
    if (item->kind == NGX_LIVE_ITEM_END) {
        s->ending = 1;
    }

    ngx_live_items_add(&s->in, item);
}


ngx_int_t
ngx_live_stage_start(ngx_live_stage_t *s)
{
    if (s->busy || s->in.n == 0 || (s->in.n < s->least && !s->ending)) {
        return NGX_OK;
    }

    while (s->in.n && s->work.n < ngx_max(NGX_LIVE_STAGE_BATCH, s->least)) {
        ngx_live_items_add(&s->work, ngx_live_items_take(&s->in));
    }

    s->least = 0;
    s->reason = NULL;
    s->busy = 1;

    if (ngx_thread_task_post(ngx_live_make_pool(), &s->task) != NGX_OK) {
        s->busy = 0;
        ngx_live_items_free(&s->work);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_live_stage_clear(ngx_live_stage_t *s)
{
    ngx_live_items_free(&s->in);
    ngx_live_items_free(&s->work);
    ngx_live_items_free(&s->out);
}


static void
ngx_live_stage_thread(void *data, ngx_log_t *log)
{
    ngx_live_stage_t *s = data;

    ngx_live_crash_point("stage-run");

    s->run(s);
}


static void
ngx_live_stage_handler(ngx_event_t *ev)
{
    ngx_live_stage_t *s = ev->data;

    ngx_live_crash_point("stage-done");

    s->busy = 0;

    ngx_live_items_free(&s->work);

    s->done(s);
}
