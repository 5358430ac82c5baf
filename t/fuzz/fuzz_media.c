/*
 * Audio and video messages: FLV tags and those of Enhanced RTMP, codec
 * records, frames.  The input is a list of messages: a byte of flags, two
 * bytes of length, and so many bytes, at most what is left.
 *
 * Flags: 0x01 video; 0x02 the message is given up before its end; 0x04 the
 * publication does not want the frame.
 *
 * Each input is read whole and in pieces; the publication must be told the
 * same, in the order that ngx_live_publish.h asks for.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_tags.h"


#define VIDEO     0x01
#define ABORT     0x02
#define UNWANTED  0x04


/* What a publication was told; a pointer to it is passed as one. */
typedef struct {
    uint64_t  hash;
    int       open[2];
    uint32_t  size[2];
    uint32_t  got[2];
    int       unwanted;
    int       closed;
} told_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


static told_t  *now;                    /* for what has no other way */


static void
must(int cond)
{
    if (!cond) {
        abort();
    }
}


static void
add(told_t *told, const void *data, size_t len)
{
    const uint8_t  *p = data;

    while (len--) {
        told->hash = (told->hash ^ *p++) * 0x100000001b3;
    }
}


static void
add_number(told_t *told, uint64_t n)
{
    add(told, &n, sizeof(n));
}


/* --- what the parser calls ----------------------------------------------- */


ngx_int_t
ngx_live_publish_begin(ngx_live_publication_t *pub, ngx_live_frame_t *frame)
{
    told_t  *told = (told_t *) pub;

    must(!told->open[frame->media] && !told->closed);
    must(frame->cts >= -(1 << 23) && frame->cts < 1 << 23);

    if (told->unwanted) {
        return NGX_DECLINED;
    }

    told->open[frame->media] = 1;
    told->size[frame->media] = frame->size;
    told->got[frame->media] = 0;

    add_number(told, frame->media);
    add_number(told, frame->timestamp);
    add_number(told, (uint64_t) frame->cts);
    add_number(told, frame->size);

    return NGX_OK;
}


ngx_int_t
ngx_live_publish_data(ngx_live_publication_t *pub, live_media_e media,
    u_char *data, size_t len)
{
    told_t  *told = (told_t *) pub;

    must(told->open[media] && len);

    told->got[media] += (uint32_t) len;
    must(told->got[media] <= told->size[media]);

    add(told, data, len);

    return NGX_OK;
}


/* It keeps nothing by reference. */
ngx_int_t
ngx_live_publish_flush(ngx_live_publication_t *pub, size_t bytes)
{
    told_t  *told = (told_t *) pub;

    must(!told->closed && bytes == 0);

    return NGX_OK;
}


ngx_int_t
ngx_live_publish_end(ngx_live_publication_t *pub, live_media_e media,
    ngx_uint_t valid)
{
    told_t  *told = (told_t *) pub;

    must(told->open[media]);

    /* empty NAL units are left out */
    must(!valid || (told->got[media]
                    && told->got[media] <= told->size[media]));

    told->open[media] = 0;
    add_number(told, valid);

    return NGX_OK;
}


ngx_int_t
ngx_live_publish_config(ngx_live_publication_t *pub, live_codec_info_t *info,
    u_char *data, size_t len)
{
    told_t  *told = (told_t *) pub;

    must(len && len <= NGX_LIVE_MAX_CONFIG);
    must(memchr(info->codecs, '\0', sizeof(info->codecs)) != NULL);

    add_number(told, info->codec);
    add(told, data, len);

    return NGX_OK;
}


/* What its owner is told. */
static void
refuse(void *data, const char *text)
{
    size_t   i;
    told_t  *told = data;

    for (i = 0; text[i]; i++) {
        must(text[i] >= 0x20 && text[i] <= 0x7e);
    }

    must(i > 10);

    told->closed = 1;
    add(told, text, i);
}


static void
fail(void *data, const char *text)
{
    add(data, text, strlen(text));
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    (void) pool;

    return malloc(size);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    (void) log;
    (void) err;

    must(level >= NGX_LOG_ERR);
    add(now, fmt, strlen(fmt));
}


/* The formats that are used. */
u_char * ngx_cdecl
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    int      n;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf((char *) buf, max, fmt, args);
    va_end(args);

    must(n >= 0);

    return buf + ((size_t) n < max ? (size_t) n : max - 1);
}


/* --- the input ----------------------------------------------------------- */


/* One message, in pieces of step bytes; 0 when the session is over. */
static int
message(ngx_live_tags_t *tags, live_rtmp_message_t *m,
    const uint8_t *data, size_t len, size_t step)
{
    int       rc;
    size_t    n;
    uint8_t  *piece;

    do {
        n = len < step ? len : step;

        /* nothing may look outside of a piece */
        piece = malloc(n ? n : 1);
        must(piece != NULL);
        memcpy(piece, data, n);

        rc = ngx_live_tags_media(tags, m, piece, n);
        free(piece);

        m->received += (uint32_t) n;
        data += n;
        len -= n;

    } while (rc == LIVE_OK && len);

    return rc == LIVE_OK;
}


static uint64_t
run(const uint8_t *data, size_t len, size_t step)
{
    int                   more;
    told_t                told;
    size_t                n;
    uint8_t               flags;
    uint32_t              timestamp;
    ngx_log_t             log;
    ngx_live_tags_t       tags;
    live_rtmp_message_t   m;

    memset(&told, 0, sizeof(told));
    memset(&log, 0, sizeof(log));
    memset(&tags, 0, sizeof(tags));

    log.log_level = NGX_LOG_INFO;

    tags.pub = (ngx_live_publication_t *) &told;
    tags.log = &log;
    tags.fail = fail;
    tags.refuse = refuse;
    tags.data = &told;
    now = &told;

    timestamp = 0;
    more = 1;

    while (more && len >= 3) {
        flags = data[0];
        n = (size_t) data[1] << 8 | data[2];
        data += 3;
        len -= 3;
        n = n < len ? n : len;

        memset(&m, 0, sizeof(m));
        m.type = flags & VIDEO ? LIVE_RTMP_VIDEO : LIVE_RTMP_AUDIO;
        m.timestamp = timestamp;
        m.length = (uint32_t) n + (flags & ABORT ? 1 : 0);
        told.unwanted = flags & UNWANTED;

        more = message(&tags, &m, data, n, step);

        /* a session that was closed hands on nothing more */
        if (told.closed) {
            break;
        }

        if (flags & ABORT) {
            ngx_live_tags_abort(&tags, &m);
        }

        must(!told.open[0] && !told.open[1]);

        timestamp += 20;
        data += n;
        len -= n;
    }

    free(tags.media[0].config);
    free(tags.media[1].config);

    return told.hash;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint64_t  whole;

    if (len < 4) {
        return 0;
    }

    whole = run(data + 1, len - 1, len);
    must(run(data + 1, len - 1, (data[0] & 0x0f) + 1) == whole);

    return 0;
}
