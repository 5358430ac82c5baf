
/*
 * gzip (RFC 1952) of a whole text.  Pure; any thread.
 */

#ifndef _LIVE_GZIP_H_INCLUDED_
#define _LIVE_GZIP_H_INCLUDED_


#include "live_types.h"
#include "live_buf.h"


/*
 * Appends one gzip member with the len bytes of src.  The same text gives
 * the same bytes, so that a strong ETag may be made of them.  LIVE_OVERFLOW
 * when it does not fit, LIVE_ERROR when memory is short or the text is larger
 * than 1 GiB; nothing has been appended then.
 */
int live_gzip(live_writer_t *w, const void *src, size_t len);

/* Bytes that are enough for live_gzip() of len bytes, however random. */
size_t live_gzip_size(size_t len);


#endif /* _LIVE_GZIP_H_INCLUDED_ */
