
/*
 * Reads back the samples of CMAF chunks as live_cmaf.h writes them: one traf
 * with one tfdt and one trun in each moof.  Pure; any thread.
 */

#ifndef _LIVE_CMAF_READ_H_INCLUDED_
#define _LIVE_CMAF_READ_H_INCLUDED_


#include "live_types.h"
#include "live_buf.h"


typedef struct {
    const uint8_t  *data;           /* the caller's, as long as it is read */
    size_t          len;
    size_t          pos;            /* of the next box */

    live_reader_t   trun;           /* samples of the current chunk ... */
    uint32_t        left;           /* ... and how many are to come */
    uint32_t        flags;          /* which fields they have */
    uint32_t        duration;       /* defaults */
    uint32_t        size;
    uint32_t        sync;
    uint32_t        first;          /* the same of the next sample */
    int64_t         dts;
    uint64_t        offset;         /* of the next sample */
} live_cmaf_reader_t;


/* data: any number of whole chunks, or of bytes up to where they break off. */
void live_cmaf_reader_init(live_cmaf_reader_t *r, const uint8_t *data,
    size_t len);

/*
 * The next sample in decoding order; s->offset is relative to data, where all
 * of its s->size bytes are.  LIVE_AGAIN: there is no further one.  LIVE_ERROR:
 * what comes is no chunk, or not all of it is there.
 */
int live_cmaf_read_sample(live_cmaf_reader_t *r, live_sample_t *s);


#endif /* _LIVE_CMAF_READ_H_INCLUDED_ */
