
/*
 * Reads whatever libavformat can open, and hands it on as FLV, that is in the
 * form in which RTMP has it: H.264 with its record, AAC with its own.  Nothing
 * is encoded anew.  Blocks: for a thread of its own.
 */

#ifndef _LIVE_REMUX_H_INCLUDED_
#define _LIVE_REMUX_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_REMUX_TEXT  160


/* What is in it, once it is open. */
typedef struct {
    char       note[LIVE_REMUX_TEXT];   /* what is left out; or empty */
    double     fps;             /* 0: not known */
    uint32_t   audio_rate;      /* bit/s; 0: not known */
    unsigned   audio_only:1;
    unsigned   finite:1;        /* it has an end: a file */
} live_remux_info_t;


typedef struct {
    const char    *url;
    const char    *protocols;   /* of libav, by commas, that may be used */
    uint32_t       timeout;     /* ms that nothing may come, or go on with
                                 * opening it */
    void          *data;

    /* Once, before any bytes. */
    void         (*open)(void *data, const live_remux_info_t *info);

    /* Bytes of FLV, cut anywhere.  LIVE_ERROR: nobody wants more. */
    int          (*write)(void *data, const uint8_t *buf, size_t len);

    /* Waits for so many ms, or until it is not wanted any more. */
    void         (*wait)(void *data, uint32_t ms);

    /* 1: it is not wanted any more.  Also from threads of libav. */
    int          (*stop)(void *data);
} live_remux_t;


/*
 * Goes on until the source ends, which is LIVE_OK, or cannot go on: LIVE_ERROR
 * with what is wrong in error, LIVE_REMUX_TEXT bytes, without the URL.  What
 * can be read at once, a file or segments, is handed on at the speed at which
 * it plays.
 */
int live_remux(const live_remux_t *r, char *error);


#endif /* _LIVE_REMUX_H_INCLUDED_ */
