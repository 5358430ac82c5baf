
/*
 * FLV as a stream of messages like those of RTMP (Adobe Flash Video File
 * Format Specification 10.1, annex E.2 to E.4.1).  Pure; no memory of its own;
 * one thread.
 */

#ifndef _LIVE_FLV_H_INCLUDED_
#define _LIVE_FLV_H_INCLUDED_


#include "live_rtmp.h"


/* the header of a file with the size behind it, or that of a tag */
#define LIVE_FLV_HEAD  13


typedef enum {
    LIVE_FLV_FILE = 0,
    LIVE_FLV_TAG,
    LIVE_FLV_BODY,
    LIVE_FLV_SKIP                   /* what is neither audio nor video */
} live_flv_state_e;


/* As in live_rtmp_handler_t: the next slice of a message. */
typedef int (*live_flv_media_pt)(void *ctx, const live_rtmp_message_t *m,
    const uint8_t *data, size_t len);


/* The owner zeroes it, and sets media and ctx. */
typedef struct {
    live_flv_media_pt     media;
    void                 *ctx;

    live_flv_state_e      state;
    uint8_t               head[LIVE_FLV_HEAD];
    uint32_t              have;     /* bytes of it */
    uint32_t              left;     /* bytes to skip */
    live_rtmp_message_t   m;
} live_flv_t;


/*
 * Takes all of data, cut anywhere.  NULL, or why it is over: a static text
 * where it is no FLV, "" where media() has returned LIVE_ERROR.
 */
const char *live_flv_input(live_flv_t *f, const uint8_t *data, size_t len);


#endif /* _LIVE_FLV_H_INCLUDED_ */
