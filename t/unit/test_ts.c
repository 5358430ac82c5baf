/* MPEG-TS: HLS-83 to HLS-87, CMAF-54 to CMAF-59. */

#include "live_ts.h"
#include "live_clock.h"
#include "live_cmaf_read.h"
#include "test_media.h"
#include "tap.h"

#include <libavformat/avformat.h>
#include <libavutil/log.h>


#define SEGMENTS   3
#define VIDEO_PID  0x100
#define AUDIO_PID  0x101
#define WRAP       ((int64_t) 1 << 33)


/* What a reader of packets finds. */
typedef struct {
    const char  *error;
    unsigned     first[2];          /* CC by PID - VIDEO_PID */
    unsigned     last[2];
    unsigned     n[2];              /* packets with payload */
    unsigned     discontinuity;     /* packets */
    int64_t      pcr_first;
    int64_t      pcr_last;
    int64_t      pcr_step;          /* largest */
    unsigned     npcr;
    int64_t      least;             /* of sound, PTS behind the PCR */
    int64_t      most;
} packets_t;


typedef struct {
    uint8_t  *data;
    size_t    len;
    size_t    pos;
} memory_t;


static uint8_t   buf[2][SEGMENTS][1024 * 1024];
static size_t    len[2][SEGMENTS];
static unsigned  logged;
static unsigned  watching;       /* libav in what is tested */


static void
count_log(void *ctx, int level, const char *fmt, va_list args)
{
    (void) ctx;
    (void) fmt;
    (void) args;

    if (watching && level <= AV_LOG_WARNING) {
        logged++;
    }
}


static void
read_pcr(packets_t *found, const uint8_t *p)
{
    int64_t  pcr;

    pcr = (int64_t) p[6] << 25 | (int64_t) p[7] << 17 | (int64_t) p[8] << 9
          | (int64_t) p[9] << 1 | p[10] >> 7;

    if (found->npcr++ == 0) {
        found->pcr_first = pcr;

    } else if (((pcr - found->pcr_last) & (WRAP - 1)) > found->pcr_step) {
        found->pcr_step = (pcr - found->pcr_last) & (WRAP - 1);
    }

    found->pcr_last = pcr;
}


static void
read_sound(packets_t *found, const uint8_t *p)
{
    int64_t  pts, lead;

    p += 4 + ((p[3] & 0x20) ? 1 + p[4] : 0);

    pts = (int64_t) (p[9] >> 1 & 7) << 30 | (int64_t) p[10] << 22
          | (int64_t) (p[11] >> 1) << 15 | (int64_t) p[12] << 7 | p[13] >> 1;

    lead = (pts - found->pcr_last) & (WRAP - 1);
    lead = lead > WRAP / 2 ? lead - WRAP : lead;

    found->least = lead < found->least ? lead : found->least;
    found->most = lead > found->most ? lead : found->most;
}


static packets_t
read_packets(const uint8_t *data, size_t size)
{
    size_t          i;
    unsigned        pid, cc, m;
    packets_t       found;
    const uint8_t  *p;

    memset(&found, 0, sizeof(packets_t));
    found.least = WRAP;

    for (i = 0; i < size; i += LIVE_TS_PACKET) {
        p = data + i;
        pid = (p[1] & 0x1fu) << 8 | p[2];
        cc = p[3] & 15;

        if (size - i < LIVE_TS_PACKET || p[0] != 0x47) {
            found.error = "no packet";
            break;
        }

        if (i <= LIVE_TS_PACKET && pid != (i ? 0x1000 : 0)) {
            found.error = "PAT and PMT are not first (CMAF-55)";
        }

        if (pid != VIDEO_PID && pid != AUDIO_PID) {

            if (pid != 0 && pid != 0x1000) {
                found.error = "another PID (CMAF-59)";
            }

            continue;
        }

        m = pid - VIDEO_PID;

        if ((p[3] & 0x20) && p[4]) {

            if (p[5] & 0x80) {
                found.discontinuity++;
            }

            if (p[5] & 0x10) {
                read_pcr(&found, p);
            }
        }

        if (!(p[3] & 0x10)) {
            continue;
        }

        if (found.n[m]++ == 0) {
            found.first[m] = cc;

        } else if (cc != (found.last[m] + 1) % 16) {
            found.error = "continuity counter (CMAF-54)";
        }

        found.last[m] = cc;

        if (pid == AUDIO_PID && (p[1] & 0x40)) {
            read_sound(&found, p);
        }
    }

    return found;
}


static int
read_memory(void *opaque, uint8_t *out, int size)
{
    size_t     n;
    memory_t  *m = opaque;

    n = m->len - m->pos;
    n = n < (size_t) size ? n : (size_t) size;

    memcpy(out, m->data + m->pos, n);
    m->pos += n;

    return n ? (int) n : AVERROR_EOF;
}


static int64_t
timeline(const media_t *m, const live_sample_t *s)
{
    return av_rescale(s->dts + s->cts, 90000, m->info.timescale);
}


/*
 * All that a demuxer finds, against the samples: presentation times are those
 * of the timeline, modulo 2^33, and decoding times go on.
 */
static void
compare(memory_t *memory, media_t *v, media_t *a)
{
    int               rc, wrong, order, untimed;
    int64_t           last, pts;
    uint32_t          n[2];
    media_t          *m;
    AVPacket         *pkt;
    AVIOContext      *pb;
    AVFormatContext  *ctx;

    pb = avio_alloc_context(av_malloc(4096), 4096, 0, memory, read_memory,
                            NULL, NULL);
    ctx = avformat_alloc_context();
    ctx->pb = pb;
    ctx->correct_ts_overflow = 0;

    rc = avformat_open_input(&ctx, NULL, av_find_input_format("mpegts"),
                             NULL);
    pkt = av_packet_alloc();
    n[0] = n[1] = 0;
    wrong = order = untimed = 0;
    last = -1;

    while (rc >= 0 && av_read_frame(ctx, pkt) >= 0) {
        m = ctx->streams[pkt->stream_index]->id == VIDEO_PID ? v : a;

        if (m == v) {
            pts = timeline(v, &v->samples[n[0]]);

            if ((pkt->pts - pts) % WRAP) {
                wrong++;
            }

            if (last >= 0 && ((pkt->dts - last) & (WRAP - 1)) > WRAP / 2) {
                order++;
            }

            if (((pkt->pts - pkt->dts) & (WRAP - 1)) > 10 * 90000) {
                order++;
            }

            last = pkt->dts;
            n[0]++;

        } else {
            pts = timeline(a, &a->samples[n[1]]);

            /* within a PES packet only the first frame has a time */

            if (pkt->pts == AV_NOPTS_VALUE) {
                untimed++;

            } else if (((pkt->pts - pts + 90) & (WRAP - 1)) > 180) {
                wrong++;
            }

            n[1]++;
        }

        av_packet_unref(pkt);
    }

    tap_ok((v == NULL || n[0] == v->n) && (a == NULL || n[1] == a->n),
           "a demuxer finds %u pictures and %u frames of audio", n[0], n[1]);
    tap_ok(wrong == 0 && order == 0 && (a == NULL || untimed < (int) n[1]),
           "at the times of the timeline, in order: %d wrong, %d back",
           wrong, order);

    av_packet_free(&pkt);
    avformat_close_input(&ctx);
    av_free(pb->buffer);
    avio_context_free(&pb);
}


/* The audio of before the time where the video of a segment ends. */
static uint32_t
audio_until(const media_t *a, const media_t *v, uint32_t n)
{
    uint32_t  i;
    int64_t   end;

    if (v == NULL) {
        return a->n * n / (SEGMENTS * MEDIA_GOP);
    }

    if (n >= v->n) {
        return a->n;
    }

    end = v->samples[n].dts;

    for (i = 0; i < a->n && timeline(a, &a->samples[i]) < end; i++) {
        /* void */
    }

    return i;
}


static void
cut(media_t *v, media_t *a)
{
    uint32_t  i, from, to;

    from = 0;

    for (i = 0; i < SEGMENTS; i++) {
        len[0][i] = v ? media_segment(v, i * MEDIA_GOP, (i + 1) * MEDIA_GOP, 7,
                                      buf[0][i])
                      : 0;
        len[1][i] = 0;

        if (a) {
            to = audio_until(a, v, (i + 1) * MEDIA_GOP);
            len[1][i] = media_segment(a, from, to, 11, buf[1][i]);
            from = to;
        }
    }
}


static int
mux(media_t *v, media_t *a, int i, int discontinuity, uint8_t **out,
    size_t *size)
{
    int              rc;
    unsigned         n;
    const char      *reason;
    live_ts_track_t  tracks[2];

    n = 0;

    if (v) {
        tracks[n].init = v->init;
        tracks[n].init_len = v->init_len;
        tracks[n].segment = buf[0][i];
        tracks[n++].segment_len = len[0][i];
    }

    if (a) {
        tracks[n].init = a->init;
        tracks[n].init_len = a->init_len;
        tracks[n].segment = buf[1][i];
        tracks[n++].segment_len = len[1][i];
    }

    watching = 1;
    rc = live_ts_mux(tracks, n, discontinuity, out, size, &reason);
    watching = 0;

    return rc;
}


/* Segments made alone, the last one first, are one stream. */
static void
check(media_t *v, media_t *a, const char *what)
{
    int        i, m;
    size_t     size, again;
    uint8_t   *out, *twice;
    int64_t    pcr;
    memory_t   all;
    packets_t  found[SEGMENTS];

    cut(v, a);

    all.data = malloc(8 * 1024 * 1024);
    all.len = 0;
    all.pos = 0;
    pcr = 0;

    for (i = SEGMENTS; i-- > 0; /* void */ ) {

        if (!tap_ok(mux(v, a, i, 0, &out, &size) == LIVE_OK
                    && mux(v, a, i, 0, &twice, &again) == LIVE_OK
                    && size == again && memcmp(out, twice, size) == 0,
                    "%s: segment %d is made, twice the same", what, i))
        {
            free(all.data);
            return;
        }

        found[i] = read_packets(out, size);

        memmove(all.data + size, all.data, all.len);
        memcpy(all.data, out, size);
        all.len += size;

        free(out);
        free(twice);

        tap_ok(found[i].error == NULL, "its packets: %s",
               found[i].error ? found[i].error : "right");

        for (m = 0; m < 2; m++) {
            tap_ok(found[i].n[m] % 16 == 0
                   && (found[i].n[m] != 0) == ((m ? a : v) != NULL)
                   && (found[i].n[m] == 0
                       || (found[i].first[m] == 0 && found[i].last[m] == 15)),
                   "PID %x has %u packets", VIDEO_PID + m, found[i].n[m]);
        }

        if (i + 1 < SEGMENTS) {
            pcr = (found[i + 1].pcr_first - found[i].pcr_last) & (WRAP - 1);
        }

        tap_ok(found[i].npcr && found[i].pcr_step <= 9000 && pcr <= 9000
               && found[i].discontinuity == 0,
               "PCRs are %d ms apart, %d to the next segment (CMAF-56)",
               (int) found[i].pcr_step / 90, (int) pcr / 90);
    }

    compare(&all, v, a);
    free(all.data);
}


static void
test_kinds(void)
{
    media_t        v, a;
    media_video_t  fast = { 160, 96, 30, 3, 0, 0 };
    media_video_t  slow = { 160, 96, 5, 2, 0, 0 };
    int64_t        at;

    tap_ok(media_video(&v, &fast, 90000, SEGMENTS * MEDIA_GOP) == LIVE_OK
           && media_audio(&a, 48000, 48000, 47 * SEGMENTS) == LIVE_OK,
           "H.264 with B-frames and AAC");
    check(&v, &a, "both");
    check(&v, NULL, "video");
    check(NULL, &a, "audio");
    media_free(&v);
    media_free(&a);

    tap_ok(media_video(&v, &slow, 90000, SEGMENTS * MEDIA_GOP) == LIVE_OK,
           "H.264 of 5 frames a second");
    check(&v, NULL, "slow");
    media_free(&v);

    at = WRAP - 45000;

    tap_ok(media_video(&v, &fast, at, SEGMENTS * MEDIA_GOP) == LIVE_OK
           && media_audio(&a, 44100, av_rescale(at, 44100, 90000),
                          43 * SEGMENTS) == LIVE_OK,
           "H.264 and AAC where 33 bits end");
    check(&v, &a, "wrap");
    media_free(&v);
    media_free(&a);
}


static void
test_discontinuity(void)
{
    size_t         size;
    uint8_t       *out;
    media_t        v, a;
    packets_t      found;
    media_video_t  fast = { 160, 96, 30, 0, 0, 0 };

    tap_ok(media_video(&v, &fast, 90000, SEGMENTS * MEDIA_GOP) == LIVE_OK
           && media_audio(&a, 48000, 48000, 47 * SEGMENTS) == LIVE_OK,
           "H.264 and AAC");
    cut(&v, &a);

    tap_ok(mux(&v, &a, 1, 1, &out, &size) == LIVE_OK, "a discontinuity");
    found = read_packets(out, size);
    free(out);

    tap_ok(found.error == NULL && found.discontinuity == 2
           && found.n[0] % 16 == 0 && found.n[1] % 16 == 0,
           "it is in one packet of each PID");

    /* a gap of one track, and of both */

    len[0][1] = 0;
    tap_ok(mux(&v, &a, 1, 0, &out, &size) == LIVE_OK, "a gap of video");
    found = read_packets(out, size);
    free(out);

    tap_ok(found.error == NULL && found.n[0] == 0 && found.n[1] % 16 == 0
           && found.npcr, "the audio has its PID and the PCR");

    len[1][1] = 0;
    tap_ok(mux(&v, &a, 1, 0, &out, &size) == LIVE_ERROR, "a gap of both");

    /* three frames of audio make a turn of 16 packets too */

    len[1][2] = media_segment(&a, 0, 1, 1, buf[1][2]);
    len[0][2] = 0;
    tap_ok(mux(&v, &a, 2, 1, &out, &size) == LIVE_OK, "one frame of audio");
    found = read_packets(out, size);
    free(out);

    tap_ok(found.error == NULL && found.n[1] == 16 && found.first[1] == 0,
           "it is in 16 packets");

    media_free(&v);
    media_free(&a);
}


/* The frames of before a time last until what is so much later. */
static void
lose(media_t *m, uint32_t first, int64_t ticks)
{
    uint32_t  i;

    m->samples[first - 1].duration += (uint32_t) ticks;

    for (i = first; i < m->n; i++) {
        m->samples[i].dts += ticks;
    }
}


/* Where something was lost: the PCR is ahead of what there is (HLS-84). */
static void
test_hole(void)
{
    int            i, lost;
    size_t         size;
    uint8_t       *out;
    media_t        v, a;
    packets_t      found;
    media_video_t  slow = { 160, 96, 15, 0, 0, 0 };

    for (lost = 1; lost <= 3; lost++) {

        tap_ok(media_video(&v, &slow, 90000, SEGMENTS * MEDIA_GOP) == LIVE_OK
               && media_audio(&a, 48000, 48000, 94 * SEGMENTS) == LIVE_OK,
               "H.264 and AAC");

        if (lost & 1) {
            lose(&v, 10, 1300 * 90);
        }

        if (lost & 2) {
            lose(&a, 25, 1300 * 48);
        }

        /* it ends with the picture */

        while (timeline(&a, &a.samples[a.n - 1])
               >= timeline(&v, &v.samples[v.n - 1]))
        {
            free(a.data[--a.n]);
        }

        check(&v, &a, lost == 1 ? "no picture" : lost == 2 ? "no sound"
                                                           : "a hole");

        for (i = 0; i < SEGMENTS; i++) {
            tap_ok(mux(&v, &a, i, 0, &out, &size) == LIVE_OK, "segment %d", i);

            found = read_packets(out, size);
            free(out);

            tap_ok(found.least >= 9000 && found.most <= 90000,
                   "sound is presented %d to %d ms behind its PCR",
                   (int) (found.least / 90), (int) (found.most / 90));
        }

        media_free(&v);
        media_free(&a);
    }
}


/* More is reordered than is usual: each is decoded before it is presented. */
static void
test_reorder(void)
{
    uint32_t       i;
    media_t        v;
    media_video_t  fast = { 160, 96, 30, 3, 0, 0 };

    tap_ok(media_video(&v, &fast, 900000, SEGMENTS * MEDIA_GOP) == LIVE_OK,
           "H.264 with B-frames");

    for (i = 0; i < v.n; i++) {
        v.samples[i].dts = 900000 + (v.samples[i].dts - 900000) * 10;
        v.samples[i].cts *= 10;
        v.samples[i].duration *= 10;
    }

    check(&v, NULL, "3 frames a second");
    media_free(&v);
}


static void
test_errors(void)
{
    size_t         i, size, whole;
    uint8_t       *out;
    media_t        v;
    unsigned       made;
    media_video_t  fast = { 160, 96, 30, 0, 0, 0 };

    tap_ok(media_video(&v, &fast, 90000, SEGMENTS * MEDIA_GOP) == LIVE_OK,
           "H.264");
    cut(&v, NULL);

    whole = len[0][0];
    made = 0;

    for (i = 1; i < whole; i += 97) {
        len[0][0] = i;

        if (mux(&v, NULL, 0, 0, &out, &size) == LIVE_OK) {
            made++;
            free(out);
        }
    }

    tap_ok(made <= 5, "what breaks off is refused, but at a chunk's end");

    /* frames that are no H.264 are left out, and nothing else is there */

    len[0][0] = media_segment(&v, 0, 1, 1, buf[0][0]);
    memset(buf[0][0] + live_cmaf_header_room(LIVE_MEDIA_VIDEO, 1), 0xff,
           v.samples[0].size);
    tap_ok(mux(&v, NULL, 0, 0, &out, &size) == LIVE_ERROR, "no H.264 in it");

    v.init_len = 30;
    tap_ok(mux(&v, NULL, 1, 0, &out, &size) == LIVE_ERROR,
           "no init segment");

    media_free(&v);
}


int
main(void)
{
    av_log_set_callback(count_log);

    test_kinds();
    test_discontinuity();
    test_hole();
    test_reorder();

    tap_ok(logged == 0, "libav has nothing to warn of: %u", logged);

    test_errors();

    return tap_done();
}
