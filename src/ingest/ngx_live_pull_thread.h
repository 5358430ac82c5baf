
/*
 * The thread of a pull.  It calls neither nginx nor looks at anything but what
 * it was given; what comes of it is read from a socket.
 */

#ifndef _NGX_LIVE_PULL_THREAD_H_INCLUDED_
#define _NGX_LIVE_PULL_THREAD_H_INCLUDED_


#include "live_remux.h"


typedef struct ngx_live_pull_thread_s  ngx_live_pull_thread_t;


/*
 * Starts one; url and protocols are copied, see live_remux.h.  fd: a socket to
 * write FLV to, which the thread has from here on and closes last of all.
 * NULL: see errno, and fd stays the caller's.
 */
ngx_live_pull_thread_t *ngx_live_pull_thread_start(int fd, const char *url,
    const char *protocols, uint32_t timeout);

/* What is in the source; NULL: not known yet. */
const live_remux_info_t *ngx_live_pull_thread_info(ngx_live_pull_thread_t *t);

/* It is to end soon; the socket has to be read until then. */
void ngx_live_pull_thread_stop(ngx_live_pull_thread_t *t);

/*
 * Once the other end of the socket is at its end: waits for the thread, which
 * is about to end.  NULL: the source has ended; else why it broke off, valid
 * until it is freed.
 */
const char *ngx_live_pull_thread_join(ngx_live_pull_thread_t *t);

/* A thread that was told to stop and that nobody reads from any more: waits
 * for ms at most, and leaves it alone then.  Frees it, unless it lives on. */
void ngx_live_pull_thread_abandon(ngx_live_pull_thread_t *t, uint32_t ms);

/* After it was joined. */
void ngx_live_pull_thread_free(ngx_live_pull_thread_t *t);


#endif /* _NGX_LIVE_PULL_THREAD_H_INCLUDED_ */
