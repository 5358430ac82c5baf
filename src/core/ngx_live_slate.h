
/*
 * What fills the time in which the publisher of a stream is away: a publisher
 * of this worker's own, that everybody else may take the stream from.  Slates
 * are made in the thread pool, and shared by the streams of a worker that are
 * alike.  Event loop only.
 */

#ifndef _NGX_LIVE_SLATE_H_INCLUDED_
#define _NGX_LIVE_SLATE_H_INCLUDED_


#include "ngx_live_publish.h"
#include "live_slate.h"


typedef struct ngx_live_slate_s  ngx_live_slate_t;


/* The directive; its place holds the path, empty with "off". */
char *ngx_live_slate_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_live_slate_merge(ngx_str_t *conf, ngx_str_t *prev);

void ngx_live_slate_init_process(void);
void ngx_live_slate_exit_process(void);

/*
 * A segment of the source was made, so that it is known what the source is
 * like: sees to it that pub->slate is one for it.
 */
void ngx_live_slate_prepare(ngx_live_publication_t *pub);

/* The publication has ended, its stream is AWAY: a slate goes on with it. */
void ngx_live_slate_away(ngx_live_publication_t *pub);

/* A publisher has the stream; a slate that this worker played ends. */
void ngx_live_slate_back(ngx_live_publication_t *pub);

/* One user less; may be NULL. */
void ngx_live_slate_release(ngx_live_slate_t *s);


/* --- for ngx_live_slate_play.c --- */

/* One user more. */
void ngx_live_slate_use(ngx_live_slate_t *s);

/* NULL: there is none, or not yet.  *failed: there will be none. */
live_slate_t *ngx_live_slate_media(ngx_live_slate_t *s, ngx_uint_t *failed);

/* 1 when the worker ends for good: a reload is none. */
ngx_uint_t ngx_live_slate_quit(void);


#endif /* _NGX_LIVE_SLATE_H_INCLUDED_ */
