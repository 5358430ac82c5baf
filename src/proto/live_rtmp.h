
/*
 * RTMP server session without I/O (specs: RTMP 1.0, sections 5 to 7).
 *
 * The owner feeds received bytes in any split and sends what the session has
 * written for the peer.  Media payloads are handed out as slices of the input
 * while it arrives: the session neither allocates nor copies for them.  Only
 * commands, data and control messages are collected, in a buffer that grows
 * with what has really arrived and is bounded.
 *
 * Pure: no nginx header.  A session belongs to one thread.
 */

#ifndef _LIVE_RTMP_H_INCLUDED_
#define _LIVE_RTMP_H_INCLUDED_


#include "live_types.h"


#define LIVE_RTMP_AUDIO     8
#define LIVE_RTMP_VIDEO     9

#define LIVE_RTMP_MAX_NAME  512     /* bytes of app and of name */
#define LIVE_RTMP_MAX_ARGS  2048    /* bytes of the query of each */


typedef enum {
    LIVE_RTMP_HANDSHAKE = 0,
    LIVE_RTMP_CONNECT,              /* handshake done, no connect command yet */
    LIVE_RTMP_IDLE,                 /* connected, nothing published */
    LIVE_RTMP_PENDING,              /* publish asked for, not answered yet */
    LIVE_RTMP_PUBLISHING,
    LIVE_RTMP_CLOSING               /* refused: send the output, then close */
} live_rtmp_state_e;


typedef struct live_rtmp_session_s  live_rtmp_session_t;


typedef struct {
    uint32_t        max_message;    /* bytes of one media message */
    uint32_t        chunk_size;     /* we announce and send with; not 0 */
    uint32_t        ack_window;     /* bytes, announced to the peer */

    /* what ends the connection when it is exceeded; none is 0 */
    uint32_t        max_csids;      /* with state, 64 at most (RTMP-29) */
    uint32_t        max_amf;        /* bytes: of a command, data or control
                                     * message, and of all unfinished ones */
    uint32_t        amf_depth;      /* of its objects (RTMP-50) */

    /* before a publish is accepted, without the handshake (RTMP-120) */
    uint32_t        setup_bytes;
    uint32_t        setup_messages;
} live_rtmp_conf_t;


/* The strings live until the callback returns, those of connect (app, app_args
 * and the last four) as long as the session; app and name are decoded from
 * AMF and neither percent-decoded nor checked beyond control characters. */
typedef struct {
    const char     *app;            /* RTMP-57 normalised, without its query */
    const char     *app_args;       /* after '?', or "" */
    const char     *name;           /* without its query */
    const char     *args;           /* after '?', or "" */
    const char     *tc_url;
    const char     *flash_ver;      /* names the encoder */
    const char     *swf_url;
    const char     *page_url;
} live_rtmp_publish_t;


/* One media message; received counts the bytes before the current slice. */
typedef struct {
    uint8_t         type;           /* LIVE_RTMP_AUDIO or LIVE_RTMP_VIDEO */
    uint32_t        timestamp;      /* ms modulo 2^32 (RTMP-24) */
    uint32_t        length;
    uint32_t        received;
} live_rtmp_message_t;


/* From onMetaData; advisory (RTMP-77); 0 or "" when absent or nonsense. */
typedef struct {
    double          width;
    double          height;
    double          framerate;
    double          video_kbps;
    double          audio_kbps;
    unsigned        has_video:1;    /* a video codec id is named */
    unsigned        has_audio:1;
    char            encoder[64];    /* printable ASCII only */
} live_rtmp_metadata_t;


/*
 * Called from live_rtmp_input().  A callback that returns LIVE_ERROR ends the
 * session; it names the reason with live_rtmp_fail() first.
 */
typedef struct {

    /* The peer asks to publish.  Answer with live_rtmp_accept() or
     * live_rtmp_refuse(), at once or later.  Input is held until then, at
     * most setup_bytes of it (RTMP-69, RTMP-120). */
    int  (*publish)(void *ctx, const live_rtmp_publish_t *p);

    /* FCUnpublish, deleteStream, closeStream or a new publish: once for each
     * accepted publish; not called for a connection that just ends. */
    void (*unpublish)(void *ctx);

    /* Next slice of a message; complete when received + len == length.  An
     * empty message is delivered once with len 0.  Slices of one audio and
     * one video message may alternate; two open messages of the same type
     * end the session. */
    int  (*media)(void *ctx, const live_rtmp_message_t *m,
                  const uint8_t *data, size_t len);

    /* The rest of a message will not come (RTMP-33 Abort); also before
     * unpublish() when it comes in the middle of a message. */
    void (*media_abort)(void *ctx, const live_rtmp_message_t *m);

    void (*metadata)(void *ctx, const live_rtmp_metadata_t *md);

} live_rtmp_handler_t;


/* Returns NULL when memory is short.  conf and handler must outlive it. */
live_rtmp_session_t *live_rtmp_create(const live_rtmp_conf_t *conf,
    const live_rtmp_handler_t *handler, void *ctx);

void live_rtmp_destroy(live_rtmp_session_t *s);

/* Takes all of data.  LIVE_ERROR: the connection must end, after the output
 * has been sent; live_rtmp_error() says why.  LIVE_OK in LIVE_RTMP_CLOSING
 * too: what was refused or closed by the owner ignores its input. */
int live_rtmp_input(live_rtmp_session_t *s, const uint8_t *data, size_t len);

/* What waits to be sent; valid until the next call on the session. */
const uint8_t *live_rtmp_output(live_rtmp_session_t *s, size_t *len);

/* The first n bytes of the output were sent. */
void live_rtmp_sent(live_rtmp_session_t *s, size_t n);

/* When it is called outside of the callback, a call of live_rtmp_input() with
 * len 0 takes what was held meanwhile; otherwise the next input does. */
void live_rtmp_accept(live_rtmp_session_t *s);

/* code: "NetStream.Publish.BadName" and the like (RTMP-70); the session is
 * LIVE_RTMP_CLOSING afterwards and ignores further input. */
void live_rtmp_refuse(live_rtmp_session_t *s, const char *code,
    const char *description);

/* Tells a publisher that it is over, for a reason of the server; a code of
 * NetConnection is said of the connection, others of the stream. */
void live_rtmp_close(live_rtmp_session_t *s, const char *code,
    const char *description);

/*
 * Asks the peer to connect anew to the same URL, and to stay until it has
 * (RTMP-99, RTMP-100).  Returns 0, and says nothing, when the peer has not
 * announced in connect that it can do that.
 */
int live_rtmp_reconnect(live_rtmp_session_t *s, const char *description);

/* Records why the session fails; static or copied text, printable. */
void live_rtmp_fail(live_rtmp_session_t *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

const char *live_rtmp_error(const live_rtmp_session_t *s);
live_rtmp_state_e live_rtmp_state(const live_rtmp_session_t *s);

/* app as in connect, "" before it. */
const char *live_rtmp_app(const live_rtmp_session_t *s);


#endif /* _LIVE_RTMP_H_INCLUDED_ */
