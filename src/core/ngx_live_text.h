
/*
 * Rendered texts as this worker serves them: one copy of the newest version,
 * shared by all requests for it; a delta update and the gzipped forms are made
 * when somebody asks for them first.  Event loop only.
 */

#ifndef _NGX_LIVE_TEXT_H_INCLUDED_
#define _NGX_LIVE_TEXT_H_INCLUDED_


#include "ngx_live_zone.h"


typedef struct {
    uint64_t                version;
    uint32_t                refs;
    uint32_t                etag;           /* of the plain text */
    uint64_t                modified;       /* Unix time, s */

    ngx_live_edge_t         edge;           /* of a media playlist */
    live_m3u8_delta_t       delta;

    /* by delta, then by gzip; those not made yet are empty */
    ngx_str_t               body[2][2];
} ngx_live_text_t;


/*
 * The newest version of a text; the caller gives it back with
 * ngx_live_text_release().  NGX_DECLINED: there is none (any more).
 */
ngx_int_t ngx_live_text_get(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_uint_t doc, ngx_live_text_t **text);

void ngx_live_text_release(ngx_live_text_t *text);

/*
 * The bytes to send, which live as long as the text.  *delta and *gzip are
 * cleared where the text has no such form.  NULL: no memory.
 */
ngx_str_t *ngx_live_text_body(ngx_live_text_t *text, ngx_uint_t *delta,
    ngx_uint_t *gzip);

/* Forgets texts that nobody asked for lately; by the timer. */
void ngx_live_text_expire(void);

void ngx_live_text_init(void);


#endif /* _NGX_LIVE_TEXT_H_INCLUDED_ */
