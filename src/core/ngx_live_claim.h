
/*
 * Whose a stream is: what ngx_live_publish.c needs of ngx_live_claim.c for
 * publications that wait for theirs.  Event loop only.
 */

#ifndef _NGX_LIVE_CLAIM_H_INCLUDED_
#define _NGX_LIVE_CLAIM_H_INCLUDED_


#include "ngx_live_writer.h"


/*
 * A frame of a publication that waits.  NGX_OK: with this one it has taken
 * the stream, and waits no more.  NGX_DECLINED: it waits on, the frame is
 * forgotten.  NGX_ERROR: it has nothing to wait for any more.
 */
ngx_int_t ngx_live_claim_frame(ngx_live_publication_t *pub,
    ngx_live_frame_t *frame);

/* Something came for a publication that waits.  NGX_ERROR: as above. */
ngx_int_t ngx_live_claim_heard(ngx_live_publication_t *pub);

/* It does not wait any longer: others may. */
void ngx_live_claim_leave(ngx_live_publication_t *pub);


#endif /* _NGX_LIVE_CLAIM_H_INCLUDED_ */
