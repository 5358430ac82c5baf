/*
 * Linked into the ThreadSanitizer build of the module, around nginx's
 * ngx_thread_task_post() (ld --wrap): nginx itself is not instrumented, and
 * hands finished tasks back to its event loop under a lock of its own, which
 * ThreadSanitizer does not know.  This says what that means: what came before
 * the post happens before what the thread does, and that before the handler of
 * the task's event.  With TASKS_RACE in the environment there is a race, to
 * see that it would be seen.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>


void __tsan_acquire(void *addr);
void __tsan_release(void *addr);

ngx_int_t __real_ngx_thread_task_post(ngx_thread_pool_t *tp,
    ngx_thread_task_t *task);
ngx_int_t __wrap_ngx_thread_task_post(ngx_thread_pool_t *tp,
    ngx_thread_task_t *task);


typedef struct {
    ngx_thread_task_t    *task;
    void                 *ctx;
    void                (*handler)(void *data, ngx_log_t *log);
    void                 *data;
    ngx_event_handler_pt  done;
} tasks_call_t;


static ngx_uint_t  tasks_race;
static ngx_uint_t  tasks_raced;


/* nginx takes the environment away later */

__attribute__((constructor)) static void
tasks_init(void)
{
    tasks_race = (getenv("TASKS_RACE") != NULL);
}


static void
tasks_run(void *data, ngx_log_t *log)
{
    tasks_call_t  *call = data;

    if (tasks_race) {
        tasks_raced++;
    }

    __tsan_acquire(call);

    call->handler(call->ctx, log);

    __tsan_release(call);
}


static void
tasks_done(ngx_event_t *ev)
{
    tasks_call_t  *call = ev->data;
    tasks_call_t   copy;

    __tsan_acquire(call);

    copy = *call;
    free(call);

    ev->data = copy.data;
    ev->handler = copy.done;
    copy.task->ctx = copy.ctx;
    copy.task->handler = copy.handler;

    ev->handler(ev);
}


ngx_int_t
__wrap_ngx_thread_task_post(ngx_thread_pool_t *tp, ngx_thread_task_t *task)
{
    ngx_int_t      rc;
    tasks_call_t  *call;

    call = malloc(sizeof(tasks_call_t));
    if (call == NULL) {
        return NGX_ERROR;
    }

    call->task = task;
    call->ctx = task->ctx;
    call->handler = task->handler;
    call->data = task->event.data;
    call->done = task->event.handler;

    task->ctx = call;
    task->handler = tasks_run;
    task->event.data = call;
    task->event.handler = tasks_done;

    __tsan_release(call);

    if (tasks_race) {
        tasks_raced++;
    }

    rc = __real_ngx_thread_task_post(tp, task);

    if (rc != NGX_OK) {
        task->ctx = call->ctx;
        task->handler = call->handler;
        task->event.data = call->data;
        task->event.handler = call->done;
        free(call);
    }

    return rc;
}
