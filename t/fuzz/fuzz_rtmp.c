
/*
 * A session gets the input twice, whole and in pieces: the callbacks must
 * say the same and keep the contract of live_rtmp.h.
 *
 * The first byte: bits 0-4 the size of a piece, less one; bit 5 the input
 * begins with a handshake; bit 6 publish is answered after the input.
 */

#include <stdlib.h>
#include <string.h>

#include "live_rtmp.h"


#define HANDSHAKE  0x20
#define LATER      0x40


typedef struct {
    uint64_t              hash;
    live_rtmp_message_t   m[2];
    uint32_t              sum[2];       /* of the payload so far */
    int                   open[2];
    int                   publishing;
    int                   later;
    live_rtmp_session_t  *s;
} run_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


static const live_rtmp_conf_t  conf = {
    100000, 4096, 2500000, 64, 262144, 16, 65536, 100
};


static void
must(int cond)
{
    if (!cond) {
        abort();
    }
}


static void
add(run_t *r, const void *data, size_t len)
{
    const uint8_t  *p = data;

    while (len--) {
        r->hash = (r->hash ^ *p++) * 0x100000001b3;
    }
}


static void
add_str(run_t *r, const char *s)
{
    add(r, s, strlen(s) + 1);
}


static int
on_publish(void *ctx, const live_rtmp_publish_t *p)
{
    run_t  *r = ctx;

    must(!r->publishing);
    must(p->name[0] && strlen(p->name) <= LIVE_RTMP_MAX_NAME);
    must(strlen(p->args) <= LIVE_RTMP_MAX_ARGS);
    must(live_rtmp_state(r->s) == LIVE_RTMP_PENDING);

    add_str(r, p->app);
    add_str(r, p->app_args);
    add_str(r, p->name);
    add_str(r, p->args);
    add_str(r, p->tc_url);
    add_str(r, p->flash_ver);

    if (!r->later) {
        live_rtmp_accept(r->s);
        r->publishing = 1;
    }

    return LIVE_OK;
}


static void
on_unpublish(void *ctx)
{
    run_t  *r = ctx;

    must(r->publishing && !r->open[0] && !r->open[1]);

    r->publishing = 0;
    add_str(r, "unpublish");
}


static int
on_media(void *ctx, const live_rtmp_message_t *m, const uint8_t *data,
    size_t len)
{
    int     i;
    run_t  *r = ctx;

    must(m->type == LIVE_RTMP_AUDIO || m->type == LIVE_RTMP_VIDEO);

    i = m->type - LIVE_RTMP_AUDIO;

    must(r->publishing);
    must(len || m->length == 0);
    must(m->length <= conf.max_message);
    must(m->received + len <= m->length);
    must(r->open[i] == (m->received != 0));

    if (m->received == 0) {
        r->m[i].type = m->type;
        r->m[i].timestamp = m->timestamp;
        r->m[i].length = m->length;
        r->m[i].received = 0;
        r->sum[i] = 0;
    }

    must(r->m[i].received == m->received);
    must(r->m[i].length == m->length);
    must(r->m[i].timestamp == m->timestamp);

    r->m[i].received += (uint32_t) len;
    r->open[i] = r->m[i].received < m->length;

    while (len--) {
        r->sum[i] = r->sum[i] * 31 + *data++;
    }

    if (!r->open[i]) {
        add(r, &r->m[i], sizeof(live_rtmp_message_t));
        add(r, &r->sum[i], sizeof(r->sum[i]));
    }

    return LIVE_OK;
}


static void
on_media_abort(void *ctx, const live_rtmp_message_t *m)
{
    int     i;
    run_t  *r = ctx;

    i = m->type - LIVE_RTMP_AUDIO;

    must(r->open[i] && r->m[i].received == m->received);

    r->open[i] = 0;
    add_str(r, "abort");
}


static void
on_metadata(void *ctx, const live_rtmp_metadata_t *md)
{
    run_t  *r = ctx;

    must(r->publishing);
    must(md->width >= 0 && md->height >= 0 && md->framerate >= 0);
    must(md->video_kbps >= 0 && md->audio_kbps >= 0);

    add(r, &md->width, sizeof(md->width));
    add_str(r, md->encoder);
}


static const live_rtmp_handler_t  handler = {
    on_publish, on_unpublish, on_media, on_media_abort, on_metadata
};


static int
input(run_t *r, const uint8_t *data, size_t len)
{
    int             rc;
    size_t          n;
    uint8_t        *copy;
    const uint8_t  *out;

    copy = malloc(len + 1);
    memcpy(copy + 1, data, len);

    rc = live_rtmp_input(r->s, copy + 1, len);

    free(copy);

    while (rc == LIVE_OK && live_rtmp_state(r->s) == LIVE_RTMP_PENDING) {
        live_rtmp_accept(r->s);
        r->publishing = 1;
        rc = live_rtmp_input(r->s, NULL, 0);
    }

    out = live_rtmp_output(r->s, &n);
    must(n <= 65536 && (n == 0 || out != NULL));

    live_rtmp_sent(r->s, n);

    return rc;
}


/* Returns 0 when the result may depend on the split. */

static int
run(run_t *r, const uint8_t *data, size_t len, size_t step, int flags)
{
    int             rc, same;
    size_t          n;
    static uint8_t  handshake[3073] = { 3 };

    memset(r, 0, sizeof(run_t));
    r->later = flags & LATER;
    r->s = live_rtmp_create(&conf, &handler, r);

    if (!(flags & HANDSHAKE)) {
        input(r, handshake, sizeof(handshake));
    }

    for (rc = LIVE_OK; len && rc == LIVE_OK; len -= n) {
        n = len < step ? len : step;
        rc = input(r, data, n);
        data += n;
    }

    must((rc == LIVE_ERROR) == (live_rtmp_error(r->s)[0] != '\0'));

    same = strcmp(live_rtmp_error(r->s), "peer does not read") != 0;
    add_str(r, live_rtmp_error(r->s));

    live_rtmp_destroy(r->s);

    return same;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    run_t   whole, pieces;
    size_t  step;

    if (len < 2) {
        return 0;
    }

    step = (data[0] & 0x1f) + 1;

    if (run(&whole, data + 1, len - 1, len, data[0])
        && run(&pieces, data + 1, len - 1, step, data[0]))
    {
        must(whole.hash == pieces.hash);
    }

    return 0;
}
