
/* What the files of the RTMP session share; the API is live_rtmp.h. */

#ifndef _LIVE_RTMP_SESSION_H_INCLUDED_
#define _LIVE_RTMP_SESSION_H_INCLUDED_


#include "live_amf.h"
#include "live_rtmp.h"
#include "live_rtmp_chunk.h"
#include "live_rtmp_handshake.h"


#define LIVE_RTMP_MAX_OUTPUT     (64 * 1024)    /* unsent */
#define LIVE_RTMP_MAX_STREAMS    8              /* RTMP-61 */

/* of an object or call that we write; descriptions are cut to fit */
#define LIVE_RTMP_MAX_REPLY      1024
#define LIVE_RTMP_MAX_TEXT       512

/* name and args, each with its NUL */
#define LIVE_RTMP_SPLIT_SIZE     (LIVE_RTMP_MAX_NAME + LIVE_RTMP_MAX_ARGS + 2)

/* bits of capsEx (RTMP-110) */
#define LIVE_RTMP_CAPS_RECONNECT  0x01

#define LIVE_RTMP_CSID_CONTROL   2              /* RTMP-31 */
#define LIVE_RTMP_CSID_COMMAND   3
#define LIVE_RTMP_CSID_STATUS    5


/* A growing buffer; what stands before pos is done with. */
typedef struct {
    uint8_t                     *data;
    uint32_t                     pos;
    uint32_t                     len;
    uint32_t                     size;
} live_rtmp_bytes_t;


/* A message whose first slice was handed out and whose last was not. */
typedef struct {
    const live_rtmp_cs_t        *cs;            /* NULL: none */
    live_rtmp_message_t          m;
} live_rtmp_open_t;


/* Where the reading of an aggregate message stands (RTMP-43). */
typedef struct {
    const live_rtmp_cs_t        *cs;            /* NULL: none */
    live_rtmp_open_t            *open;          /* gets the payload, or NULL */
    uint32_t                     base;          /* add to the times inside */
    uint32_t                     rest;          /* bytes to come */
    uint32_t                     left;          /* payload, back pointer */
    uint32_t                     head_len;
    uint8_t                      head[11];
    unsigned                     based:1;
} live_rtmp_aggregate_t;


struct live_rtmp_session_s {
    const live_rtmp_conf_t      *conf;
    const live_rtmp_handler_t   *handler;
    void                        *ctx;

    live_rtmp_state_e            state;
    unsigned                     failed:1;
    unsigned                     accepted:1;    /* at least once */
    unsigned                     enhanced:1;    /* connect names capsEx */
    uint32_t                     caps;          /* capsEx of the peer */
    uint8_t                      streams;       /* bit n: msid n + 1 exists */
    uint32_t                     msid;          /* that is published on */

    uint32_t                     early;         /* bytes before accepted */
    uint32_t                     early_messages;
    uint32_t                     received;      /* after the handshake */
    uint32_t                     acked;
    uint32_t                     peer_window;
    uint32_t                     own_window;    /* last one announced */
    uint32_t                     out_chunk;
    uint32_t                     collected;     /* bytes of all parts */

    live_rtmp_handshake_t       *handshake;     /* NULL when done */
    char                        *strings;       /* what these point into */
    const char                  *app;
    const char                  *app_args;
    const char                  *tc_url;
    const char                  *flash_ver;
    const char                  *swf_url;
    const char                  *page_url;

    live_rtmp_bytes_t            out;
    live_rtmp_bytes_t            held;          /* input while PENDING */
    live_rtmp_bytes_t            spent;         /* of it, read last */

    live_rtmp_open_t             open[2];       /* audio, video */
    live_rtmp_aggregate_t        aggregate;
    live_rtmp_chunk_reader_t     chunks;

    char                         error[160];
};


/* A command message; args stands behind the transaction id. */
typedef struct {
    live_amf_reader_t            args;
    double                       txn;
    uint32_t                     msid;
} live_rtmp_command_t;


static inline int
live_rtmp_has_stream(const live_rtmp_session_t *s, uint32_t msid)
{
    return msid >= 1
           && msid <= LIVE_RTMP_MAX_STREAMS
           && (s->streams >> (msid - 1) & 1);
}


/* live_rtmp_command.c, live_rtmp_connect.c, live_rtmp_data.c */

int live_rtmp_command(live_rtmp_session_t *s, const live_rtmp_cs_t *cs,
    const uint8_t *data, size_t len);
int live_rtmp_connect(live_rtmp_session_t *s, live_rtmp_command_t *cmd);
void live_rtmp_data(live_rtmp_session_t *s, const live_rtmp_cs_t *cs,
    const uint8_t *data, size_t len);

/* Starts to read AMF0, after the format byte of types 15 and 17 if it is
 * there (RTMP-41), with the limits of the session. */
void live_rtmp_amf(const live_rtmp_session_t *s, live_amf_reader_t *a,
    uint32_t type, const uint8_t *data, size_t len);

/* What cannot be read fails the session: LIVE_ERROR. */
int live_rtmp_malformed(live_rtmp_session_t *s, const live_amf_reader_t *a,
    const char *what);

/* Splits "name?args" into two NUL-terminated strings, both in buf.
 * LIVE_ERROR: too long, or there are control characters. */
int live_rtmp_split(const live_amf_str_t *str, char buf[LIVE_RTMP_SPLIT_SIZE],
    const char **args);

/* live_rtmp_media.c */

int live_rtmp_media(live_rtmp_session_t *s, const live_rtmp_slice_t *slice);
int live_rtmp_aggregate(live_rtmp_session_t *s,
    const live_rtmp_slice_t *slice);

/* Ends what is open: of that chunk stream, or everything with NULL. */
void live_rtmp_media_abort(live_rtmp_session_t *s, const live_rtmp_cs_t *cs);

/* live_rtmp_output.c; a failure to write makes the session fail */

void live_rtmp_send(live_rtmp_session_t *s, uint32_t csid, uint32_t type,
    uint32_t msid, const live_writer_t *payload);
void live_rtmp_send_u32(live_rtmp_session_t *s, uint32_t type, uint32_t v);
void live_rtmp_send_peer_bandwidth(live_rtmp_session_t *s, uint32_t v);
void live_rtmp_send_event(live_rtmp_session_t *s, uint32_t event, uint32_t v);

/* onStatus, onFCPublish and the like: name, 0, null, information. */
void live_rtmp_send_status(live_rtmp_session_t *s, const char *call,
    uint32_t msid, const char *code, const char *description);

/* level, code and description, in an object that stays open */
void live_rtmp_write_info(live_writer_t *w, const char *code,
    const char *description);

/* LIVE_OVERFLOW: more than max would wait; LIVE_ERROR: no memory */
int live_rtmp_bytes_add(live_rtmp_bytes_t *b, const uint8_t *data, size_t len,
    size_t max);
void live_rtmp_bytes_free(live_rtmp_bytes_t *b);


#endif /* _LIVE_RTMP_SESSION_H_INCLUDED_ */
