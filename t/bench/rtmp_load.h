
/* The parts of rtmp_load: the loop, the session, the FLV file. */

#ifndef _RTMP_LOAD_H_INCLUDED_
#define _RTMP_LOAD_H_INCLUDED_


#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "bench_stamp.h"


#define HANDSHAKE_SIZE   1536
#define IN_SIZE          16384
#define OUT_SIZE         4096
#define MESSAGE_SIZE     4096
#define CSIDS            64
#define MEDIA_STREAM_ID  1


typedef enum {
    ST_WAITING = 0,                 /* its start phase has not come yet */
    ST_HANDSHAKE,
    ST_COMMANDS,
    ST_PUBLISHING,
    ST_DEAD
} state_e;


typedef struct {
    uint32_t        ms;
    uint32_t        payload;
    size_t          start;          /* in the wire bytes of the pass */
    size_t          end;
    size_t          stamp;          /* likewise, its digits; 0: it has none */
} message_t;


typedef struct {
    uint8_t        *wire;
    size_t          size;
    size_t          allocated;
    message_t      *messages;
    size_t          count;
} pass_t;


typedef struct {
    uint8_t        *data;
    size_t          size;
    uint32_t        period;         /* ms after which the file starts again */
    uint8_t         leader;         /* type of the track that decides it */
    int64_t         last[CSIDS];    /* timestamp, while a pass is built */
    pass_t          passes[2];      /* the first, and every later one */
} material_t;


typedef struct {
    uint32_t        length;
    uint8_t         type;
    bool            extended;
} chunk_state_t;


typedef struct {
    int             fd;
    state_e         state;
    unsigned        index;
    bool            writable;

    uint64_t        start;          /* when to connect; then when media began */
    uint32_t        loops;
    size_t          next;           /* message */
    size_t          sent;           /* of that message */

    uint8_t         in[IN_SIZE];
    size_t          in_len;
    uint32_t        in_chunk;
    chunk_state_t   csids[CSIDS];
    uint8_t         message[MESSAGE_SIZE];
    size_t          message_len;    /* what passes MESSAGE_SIZE is lost */

    uint8_t         out[OUT_SIZE];
    size_t          out_len;
} publisher_t;


typedef struct {
    struct sockaddr_in  addr;
    char            app[128];
    char            prefix[128];
    const char     *file;
    const char     *tc_url;
    unsigned        count;
    bool            info;           /* only say what the file's rate is */
    bool            silent;         /* no audio */
    bool            stamp;          /* the time goes with each frame */
    unsigned        seconds;        /* 0: until a signal */
    unsigned        stagger;        /* ms over which the starts are spread */
    uint32_t        chunk;
} options_t;


typedef struct {
    uint64_t        bytes;
    uint64_t        payload;
    uint64_t        messages;
    uint64_t        late;           /* messages sent 100 ms or more late */
    uint64_t        late_max;
    unsigned        errors;
    unsigned        publishing;
} totals_t;


extern options_t   opt;
extern material_t  material;
extern totals_t    totals;


/* Reads the file and builds both passes; says itself what is wrong. */
bool load_material(material_t *m, const char *file);

/* What one publisher sends a second, without the bytes of any container. */
double payload_rate(const material_t *m);

/* Queues C0 and C1. */
void start_session(publisher_t *p);

/* Takes what is whole in p->in; the result is the bytes used, or 0. */
size_t parse_input(publisher_t *p);

/* Closes the connection, counts the error, shows the first few. */
void publisher_failed(publisher_t *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));


static inline uint64_t
now_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}


static inline uint64_t
now_ms(void)
{
    return now_us() / 1000;
}


static inline uint32_t
get24(const uint8_t *p)
{
    return (uint32_t) p[0] << 16 | (uint32_t) p[1] << 8 | p[2];
}


static inline uint32_t
get32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | get24(p + 1);
}


static inline uint8_t *
put24(uint8_t *p, uint32_t n)
{
    *p++ = (uint8_t) (n >> 16);
    *p++ = (uint8_t) (n >> 8);
    *p++ = (uint8_t) n;

    return p;
}


#endif /* _RTMP_LOAD_H_INCLUDED_ */
