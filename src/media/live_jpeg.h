
/*
 * A picture from a key frame, as JPEG.  Pure, with libav; for pool threads.
 */

#ifndef _LIVE_JPEG_H_INCLUDED_
#define _LIVE_JPEG_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_JPEG_MIN_WIDTH  32
#define LIVE_JPEG_MAX_WIDTH  1920


/* The bytes of a CMAF chunk, or segment, and of its init segment. */
typedef struct {
    const uint8_t  *init;
    size_t          init_len;
    const uint8_t  *chunk;
    size_t          chunk_len;
} live_jpeg_source_t;


/*
 * Decodes the first key frame, scales it to width (0: as it is, at most
 * LIVE_JPEG_MAX_WIDTH; never larger than it is; square pixels; even height)
 * and encodes it into *out, which the caller frees with free().  LIVE_ERROR
 * with *reason.
 */
int live_jpeg_make(const live_jpeg_source_t *source, uint32_t width,
    uint8_t **out, size_t *len, const char **reason);


#endif /* _LIVE_JPEG_H_INCLUDED_ */
