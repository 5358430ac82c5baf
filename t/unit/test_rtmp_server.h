
/*
 * A session whose callbacks write down what they are told, for the tests.
 * The result of an input is a text.
 */

#ifndef _TEST_RTMP_SERVER_H_INCLUDED_
#define _TEST_RTMP_SERVER_H_INCLUDED_


#include <stdarg.h>
#include <stdlib.h>

#include "live_rtmp_session.h"
#include "tap.h"
#include "test_rtmp_client.h"


#define ACCEPT  0
#define REFUSE  1
#define LATER   2
#define FAIL    3


static live_rtmp_conf_t  conf = {
    100000, 4096, 2500000, 64, 262144, 16, 65536, 100
};


/* What the callbacks said, as text; payload as a sum for each message. */
typedef struct {
    char                  text[16384];
    size_t                len;
    uint32_t              sums[2];
    int                   answer;       /* to publish */
    int                   fail_media;
    int                   slices;
    const uint8_t        *slice;        /* the first one, where it is */
    size_t                slice_len;
    live_rtmp_session_t  *s;

    uint8_t              *out;          /* all that the session wrote */
    size_t                out_len;
} record_t;


__attribute__((format(printf, 2, 3)))
static inline void
note(record_t *rec, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    rec->len += vsnprintf(rec->text + rec->len, sizeof(rec->text) - rec->len,
                          fmt, args);
    va_end(args);

    if (rec->len >= sizeof(rec->text)) {
        rec->len = sizeof(rec->text) - 1;
    }
}


static inline int
on_publish(void *ctx, const live_rtmp_publish_t *p)
{
    record_t  *rec = ctx;

    note(rec, "publish %s|%s|%s|%s|%s;", p->app, p->app_args, p->name,
         p->args, p->flash_ver);

    switch (rec->answer) {

    case ACCEPT:
        live_rtmp_accept(rec->s);
        break;

    case REFUSE:
        live_rtmp_refuse(rec->s, "NetStream.Publish.Denied", "go\naway");
        break;

    case FAIL:
        live_rtmp_fail(rec->s, "no %s", "room\x01");
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static inline void
on_unpublish(void *ctx)
{
    note(ctx, "unpublish;");
}


static inline int
on_media(void *ctx, const live_rtmp_message_t *m, const uint8_t *data,
    size_t len)
{
    size_t      i;
    record_t   *rec = ctx;
    uint32_t   *sum = &rec->sums[m->type - LIVE_RTMP_AUDIO];

    if (rec->fail_media) {
        return LIVE_ERROR;
    }

    if (rec->slices++ == 0) {
        rec->slice = data;
        rec->slice_len = len;
    }

    if (m->received == 0) {
        *sum = 0;
    }

    for (i = 0; i < len; i++) {
        *sum = *sum * 31 + data[i];
    }

    if (m->received + len == m->length) {
        note(rec, "media %u %u %u/%u;", m->type, m->timestamp, m->length,
             *sum);
    }

    return LIVE_OK;
}


static inline void
on_media_abort(void *ctx, const live_rtmp_message_t *m)
{
    note(ctx, "abort %u %u %u;", m->type, m->timestamp, m->length);
}


static inline void
on_metadata(void *ctx, const live_rtmp_metadata_t *md)
{
    note(ctx, "metadata %gx%g %g %g %g %d%d %s;", md->width, md->height,
         md->framerate, md->video_kbps, md->audio_kbps, md->has_video,
         md->has_audio, md->encoder);
}


static const live_rtmp_handler_t  handler = {
    on_publish, on_unpublish, on_media, on_media_abort, on_metadata
};


static inline void
drain(record_t *rec)
{
    size_t          n;
    const uint8_t  *p;

    p = live_rtmp_output(rec->s, &n);

    if (n) {
        rec->out = realloc(rec->out, rec->out_len + n);
        memcpy(rec->out + rec->out_len, p, n);
        rec->out_len += n;

        /* in two steps: the peer may be slow */

        live_rtmp_sent(rec->s, n / 2);
        live_rtmp_output(rec->s, &n);
        live_rtmp_sent(rec->s, n);
    }
}


static inline int
feed(record_t *rec, const uint8_t *data, size_t len, size_t step)
{
    int        rc;
    size_t     i, n;
    uint8_t   *copy;

    rc = LIVE_OK;

    for (i = 0; i < len && rc == LIVE_OK; i += n) {
        n = len - i < step ? len - i : step;

        copy = malloc(n);
        memcpy(copy, data + i, n);

        rc = live_rtmp_input(rec->s, copy, n);

        free(copy);
        drain(rec);
    }

    return rc;
}


static inline record_t *
begin(int answer)
{
    record_t  *rec;

    rec = calloc(1, sizeof(record_t));
    rec->answer = answer;
    rec->s = live_rtmp_create(&conf, &handler, rec);

    return rec;
}


static inline void
end(record_t *rec)
{
    live_rtmp_destroy(rec->s);
    free(rec->out);
    free(rec);
}


/* Runs the whole input; notes the end of it. */

static inline record_t *
run(const client_t *c, int answer, size_t step)
{
    int        rc;
    record_t  *rec;

    rec = begin(answer);
    rc = feed(rec, c->data, c->len, step);

    note(rec, rc == LIVE_OK ? "ok" : "error: %s", live_rtmp_error(rec->s));

    return rec;
}


/* The result is the expected one, whole and in several splits. */

static inline void
check(client_t *c, int answer, const char *expected, const char *name)
{
    int            same;
    size_t         i;
    record_t      *rec;
    const size_t   steps[] = { 1, 2, 3, 7, 100, 1460 };

    rec = run(c, answer, c->len);
    tap_ok(strcmp(rec->text, expected) == 0, "%s: %.300s", name, rec->text);
    end(rec);

    same = 1;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        rec = run(c, answer, steps[i]);
        same &= strcmp(rec->text, expected) == 0;
        end(rec);
    }

    tap_ok(same, "%s: the same in any split", name);
    client_free(c);
}


static inline int
output_has(const record_t *rec, const void *data, size_t len)
{
    size_t  i;

    for (i = 0; i + len <= rec->out_len; i++) {
        if (memcmp(rec->out + i, data, len) == 0) {
            return 1;
        }
    }

    return 0;
}


static inline int
output_says(const record_t *rec, const char *text)
{
    return output_has(rec, text, strlen(text));
}


static uint8_t  payload[70000];


static inline uint32_t
sum(const void *data, size_t len)
{
    uint32_t        v = 0;
    const uint8_t  *p = data;

    while (len--) {
        v = v * 31 + *p++;
    }

    return v;
}


#define PUBLISH  "publish live||key|token=abc|FMLE/3.0 (test);"


static inline void
publishing(client_t *c)
{
    client_init(c);
    client_publish(c, "live", "key?token=abc");
}


static inline void
fill_payload(void)
{
    size_t  i;

    for (i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t) (i * 7 + i / 256);
    }
}


#endif /* _TEST_RTMP_SERVER_H_INCLUDED_ */
