
/*
 * The thread that requests are made in: shared by the files of callbacks only.
 * A request belongs to the loop, then to the thread, then to the loop again;
 * the lists between them have a lock.
 */

#ifndef _NGX_LIVE_CALLBACK_THREAD_H_INCLUDED_
#define _NGX_LIVE_CALLBACK_THREAD_H_INCLUDED_


#include "ngx_live_callback.h"
#include <ngx_event.h>
#include <curl/curl.h>


typedef struct ngx_live_callback_thread_s  ngx_live_callback_thread_t;


struct ngx_live_callback_s {
    /* where debug logging of timers looks for a connection's fd */
    void                       *dummy[3];
    ngx_socket_t                fd;

    ngx_queue_t                 queue;      /* of who has it */

    /* what is asked: does not change */
    char                       *url;
    const char                 *shown;
    const char                 *ca;         /* or NULL */
    const char                 *secret;
    size_t                      secret_len;
    ngx_msec_t                  timeout;
    const char                 *type;
    char                       *body;
    size_t                      len;
    unsigned                    verify:1;

    /* of the loop */
    ngx_live_callback_pt        handler;
    void                       *data;
    const char                 *what;       /* does not change either */
    ngx_uint_t                  tries;      /* that are left */
    ngx_uint_t                  failed;     /* so many have */
    ngx_event_t                 retry;

    /* of either: the loop sets it */
    ngx_uint_t                  cancelled;

    /* of the thread */
    uint64_t                    deadline;   /* ms of its clock */
    CURL                       *easy;
    struct curl_slist          *headers;

    ngx_live_callback_result_t  result;
};


/* The worker's thread, whose end of a request is told by writing to that
 * eventfd.  NULL: see *error. */
ngx_live_callback_thread_t *ngx_live_callback_thread_start(int fd,
    const char **error);

/* Gives a request to it; it is in hand until it is among those done. */
void ngx_live_callback_thread_add(ngx_live_callback_thread_t *t,
    ngx_live_callback_t *cb);

/* Requests were cancelled. */
void ngx_live_callback_thread_look(ngx_live_callback_thread_t *t);

/* Those that are done come to the end of the list. */
void ngx_live_callback_thread_done(ngx_live_callback_thread_t *t,
    ngx_queue_t *list);

/* Ends it; what it had comes to the end of the list. */
void ngx_live_callback_thread_stop(ngx_live_callback_thread_t *t,
    ngx_queue_t *list);


#endif /* _NGX_LIVE_CALLBACK_THREAD_H_INCLUDED_ */
