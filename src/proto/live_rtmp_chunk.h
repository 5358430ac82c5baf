
/*
 * Chunk layer of RTMP, receiving side (RTMP-16 to RTMP-29).
 *
 * The reader takes bytes in any split and hands out payload as slices of the
 * input, nothing is allocated or copied.  Between two inputs it keeps what it
 * has of one header.
 *
 * Pure: no nginx header; any thread.
 */

#ifndef _LIVE_RTMP_CHUNK_H_INCLUDED_
#define _LIVE_RTMP_CHUNK_H_INCLUDED_


#include "live_buf.h"
#include "live_types.h"


#define LIVE_RTMP_SET_CHUNK_SIZE   1
#define LIVE_RTMP_ABORT            2
#define LIVE_RTMP_ACK              3
#define LIVE_RTMP_USER_CONTROL     4
#define LIVE_RTMP_WINDOW_ACK       5
#define LIVE_RTMP_PEER_BANDWIDTH   6
#define LIVE_RTMP_DATA_AMF3        15
#define LIVE_RTMP_COMMAND_AMF3     17
#define LIVE_RTMP_DATA             18
#define LIVE_RTMP_COMMAND          20
#define LIVE_RTMP_AGGREGATE        22

#define LIVE_RTMP_DEFAULT_CHUNK    128
#define LIVE_RTMP_MAX_CHUNK        0xffffff
#define LIVE_RTMP_MAX_COLLECTED    (256 * 1024)

#define LIVE_RTMP_MAX_CSIDS        64   /* with state (RTMP-29) */
#define LIVE_RTMP_SHORT_CSIDS      64   /* have a basic header of one byte */

/* basic header 3, message header 11, extended timestamp 4 */
#define LIVE_RTMP_MAX_HEADER       18


/* What the last header of a chunk stream said. */
typedef struct {
    uint32_t                 csid;
    uint32_t                 timestamp;     /* of the message, absolute */

    /* The wire field of the last fmt 0, 1 or 2, extended or not: what a
     * message without a timestamp adds (RTMP-19), and what a continuation
     * may repeat (RTMP-22). */
    uint32_t                 field;

    uint32_t                 length;
    uint32_t                 received;      /* payload handed out */
    uint32_t                 msid;
    uint8_t                  type;
    unsigned                 open:1;        /* the message is not complete */
    unsigned                 extended:1;
    void                    *part;          /* the owner's; NULL at first */
} live_rtmp_cs_t;


typedef struct {
    uint32_t                 chunk_size;
    uint32_t                 max_message;   /* of media and unknown types */
    uint32_t                 max_collected; /* of AMF and control */
    uint32_t                 max_csids;     /* LIVE_RTMP_MAX_CSIDS at most */

    live_rtmp_cs_t          *current;       /* its chunk is being read */
    uint32_t                 left;          /* payload left of the chunk */

    uint32_t                 carried;
    uint8_t                  carry[LIVE_RTMP_MAX_HEADER];
    uint8_t                  spill[4];      /* payload that was carried */

    uint32_t                 ncs;
    uint8_t                  index[LIVE_RTMP_SHORT_CSIDS];  /* in cs, or 0 */
    live_rtmp_cs_t           cs[LIVE_RTMP_MAX_CSIDS + 1];   /* 0 is unused */

    char                     error[80];
} live_rtmp_chunk_reader_t;


/* Payload of the message that cs describes.  An empty message is one slice
 * with len 0, no other slice is empty. */
typedef struct {
    live_rtmp_cs_t          *cs;
    const uint8_t           *data;
    uint32_t                 len;
    uint32_t                 offset;        /* in the message */
} live_rtmp_slice_t;


/* The other limits are LIVE_RTMP_MAX_COLLECTED and LIVE_RTMP_MAX_CSIDS then;
 * the owner may set lower ones before the first input. */
void live_rtmp_chunk_init(live_rtmp_chunk_reader_t *r, uint32_t max_message);

/* LIVE_OK: a slice, valid until the next call; LIVE_AGAIN: all input is
 * taken; LIVE_ERROR: r->error says why. */
int live_rtmp_chunk_next(live_rtmp_chunk_reader_t *r, live_reader_t *in,
    live_rtmp_slice_t *slice);

/* Forgets the unfinished message; NULL when there is none (RTMP-33). */
live_rtmp_cs_t *live_rtmp_chunk_abort(live_rtmp_chunk_reader_t *r,
    uint32_t csid);

/* Is the payload AMF or control, rather than media or of unknown type? */
int live_rtmp_is_collected(uint32_t type);


static inline int
live_rtmp_slice_is_last(const live_rtmp_slice_t *slice)
{
    return slice->offset + slice->len == slice->cs->length;
}


#endif /* _LIVE_RTMP_CHUNK_H_INCLUDED_ */
