
/*
 * Requests to a site's own server: POST by HTTP or HTTPS, with libcurl, in one
 * thread of the worker, which is started with the first of them.  What a
 * server takes its time for holds up neither the event loop nor requests to
 * others; how many there are at once is bounded, and so is what is read.
 * Event loop only.
 */

#ifndef _NGX_LIVE_CALLBACK_H_INCLUDED_
#define _NGX_LIVE_CALLBACK_H_INCLUDED_


#include "ngx_live.h"


#define NGX_LIVE_CALLBACK_ANSWER    16384   /* bytes of a body that is read */
#define NGX_LIVE_CALLBACK_LOCATION  512
#define NGX_LIVE_CALLBACK_ERROR     256


typedef struct ngx_live_callback_s  ngx_live_callback_t;


/* Settings of an application. */
typedef struct {
    ngx_msec_t               timeout;
    ngx_flag_t               verify;
    ngx_str_t                ca;        /* file, with a NUL, or empty */
    ngx_str_t                secret;    /* or empty: not signed */
} ngx_live_callback_conf_t;


/* A server, as a directive names it. */
typedef struct {
    ngx_str_t                url;       /* with a NUL */
    ngx_str_t                shown;     /* without user, password and query */
} ngx_live_callback_url_t;


/* What came of it.  status is 0 where there was no answer, and error says why,
 * in printable ASCII; body and location are what a server wrote. */
typedef struct {
    ngx_uint_t               status;
    char                    *body;      /* with a NUL behind len bytes */
    size_t                   len;
    char                     location[NGX_LIVE_CALLBACK_LOCATION + 1];
    char                     error[NGX_LIVE_CALLBACK_ERROR];
} ngx_live_callback_result_t;


typedef void (*ngx_live_callback_pt)(void *data,
    ngx_live_callback_result_t *result);


typedef struct {
    ngx_live_callback_conf_t  *conf;
    ngx_live_callback_url_t   *url;
    const char                *type;    /* of the body */
    const char                *body;    /* is copied */
    size_t                     len;
    ngx_uint_t                 tries;   /* until there is an answer of 2xx */
    ngx_live_callback_pt       handler; /* NULL: nobody wants to know */
    void                      *data;
    const char                *what;    /* for the log; is copied */
} ngx_live_callback_params_t;


/*
 * Sends it.  The handler is called later, once, unless it is cancelled; without
 * one the log says when it has failed.  NULL: too many are under way, or there
 * is no memory, which is logged.
 */
ngx_live_callback_t *ngx_live_callback(ngx_live_callback_params_t *params);

/* The handler is not called; the connection is closed. */
void ngx_live_callback_cancel(ngx_live_callback_t *cb);

/* Takes "http://..." or "https://..."; an error is logged. */
ngx_live_callback_url_t *ngx_live_callback_url(ngx_conf_t *cf,
    ngx_str_t *value);

/* Of an application. */
ngx_live_callback_conf_t *ngx_live_callback_conf(ngx_live_app_conf_t *app);

/* The worker ends. */
void ngx_live_callback_exit_process(void);


extern ngx_module_t  ngx_live_callback_module;


#endif /* _NGX_LIVE_CALLBACK_H_INCLUDED_ */
