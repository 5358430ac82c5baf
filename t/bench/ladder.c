
/*
 * The ladder without nginx: a file is decoded, scaled and encoded as fast as
 * it goes, by the same code and in the same stages as in the module, whose
 * threads would otherwise wait for the publisher.
 *
 *   ladder [-t threads] [-s] [-o DIR] FILE [RUNG[,PARAMETER...]]...
 *
 * With -s a frame goes through all stages before the next one is decoded, as
 * it does in the module when there is time enough; otherwise stages take a few
 * at a time.  Each rung goes to DIR/NAME.h264.  Prints one line of JSON:
 * frames, seconds of media, of wall and of CPU time, also of each stage, KiB
 * of memory, and the most frames that an encoder held back.
 */

#define _GNU_SOURCE

#include <libavformat/avformat.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "live_codec.h"
#include "live_transcode.h"


/* as in src/transcode */
#define BATCH         8
#define ROOM_SCALE    12
#define ROOM_ENCODE   24

#define RUNGS         8
#define THREADS       64
#define STAGES        (1 + 2 * RUNGS)
#define QUEUE         256


typedef struct stage_s  stage_t;
typedef struct rung_s   rung_t;

struct stage_s {
    void         (*run)(stage_t *s, live_frame_t *frame);
    rung_t        *rung;

    live_frame_t  *in[QUEUE];           /* a ring; NULL: the end */
    unsigned       first;
    unsigned       n;
    int            ending;              /* nothing more comes in */
    int            busy;                /* in the list, or with a thread */
    int            over;

    double         cpu;
};


struct rung_s {
    live_rung_t         conf;
    rung_t             *above;
    uint32_t            width;
    uint32_t            height;

    stage_t             scale;
    live_scaler_t      *scaler;
    stage_t             encode;
    live_encoder_t     *encoder;
    live_rung_source_t  target;

    FILE               *out;
    uint64_t            bytes;
    unsigned            taken;
    unsigned            frames;
    unsigned            held;           /* most frames behind */
    unsigned            keys;
};


static void *thread(void *data);
static void perform(stage_t *s);
static void ready(stage_t *s);
static int has_room(void);
static void decode(stage_t *s, live_frame_t *frame);
static void decoded(void *data, live_frame_t *frame);
static void feed(stage_t *s, live_frame_t *frame);
static void feed_below(rung_t *above, live_frame_t *frame);
static void scale(stage_t *s, live_frame_t *frame);
static void encode(stage_t *s, live_frame_t *frame);
static void take(rung_t *r, live_packet_t *packets);
static void open_file(const char *name);
static void open_rung(const char *text, const char *dir);
static void write_record(rung_t *r);
static void write_unit(rung_t *r, const uint8_t *data, size_t len);
static void report(double wall);
static double seconds(clockid_t clock);
static unsigned anonymous_kib(void);
static void fail(const char *what, const char *why);


static pthread_mutex_t   lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t    changed = PTHREAD_COND_INITIALIZER;

static stage_t          *list[STAGES];  /* that have work, oldest first */
static unsigned          nlist;
static unsigned          alive;         /* stages that have not ended */

static AVFormatContext  *file;
static int               track;
static live_decoder_t   *decoder;
static stage_t           source;        /* the decoder's */
static live_rung_source_t  picture;
static unsigned          frames;
static int64_t           ticks;
static int               single;        /* one frame at a time */

static rung_t            rungs[RUNGS];
static unsigned          nrungs;


int
main(int argc, char **argv)
{
    int          c, i, nthreads;
    double       began;
    pthread_t    threads[THREADS];
    const char  *dir;

    nthreads = 2;
    dir = NULL;

    while ((c = getopt(argc, argv, "t:so:")) != -1) {
        switch (c) {

        case 't':
            nthreads = atoi(optarg);
            break;

        case 's':
            single = 1;
            break;

        case 'o':
            dir = optarg;
            break;

        default:
            nthreads = 0;
        }
    }

    if (optind >= argc || nthreads < 1 || nthreads > THREADS) {
        fprintf(stderr, "usage: ladder [-t threads] [-s] [-o DIR] FILE "
                "[RUNG[,PARAMETER...]]...\n");
        return 2;
    }

    open_file(argv[optind++]);

    while (optind < argc) {
        open_rung(argv[optind++], dir);
    }

    source.run = decode;
    alive = 1 + 2 * nrungs;
    began = seconds(CLOCK_MONOTONIC);

    for (i = 0; i < nthreads; i++) {
        if (pthread_create(&threads[i], NULL, thread, NULL) != 0) {
            fail("thread", "it cannot be made");
        }
    }

    for (i = 0; i < nthreads; i++) {
        pthread_join(threads[i], NULL);
    }

    report(seconds(CLOCK_MONOTONIC) - began);

    return 0;
}


/* --- stages and threads; as ngx_live_stage.c, with a lock --- */

static void *
thread(void *data)
{
    stage_t  *s;

    (void) data;

    pthread_mutex_lock(&lock);
    ready(&source);

    while (alive) {

        if (nlist == 0) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }

        s = list[0];
        memmove(list, list + 1, --nlist * sizeof(stage_t *));

        perform(s);

        ready(s);
        ready(&source);
        pthread_cond_broadcast(&changed);
    }

    pthread_mutex_unlock(&lock);

    return NULL;
}


/* A few frames, without the lock. */

static void
perform(stage_t *s)
{
    double        cpu;
    unsigned      i, n;
    live_frame_t  *frame[BATCH];

    n = s == &source && single ? 1
        : s == &source || s->n > BATCH ? BATCH : s->n;

    for (i = 0; s != &source && i < n; i++) {
        frame[i] = s->in[s->first];
        s->first = (s->first + 1) % QUEUE;
        s->n--;
    }

    pthread_mutex_unlock(&lock);
    cpu = seconds(CLOCK_THREAD_CPUTIME_ID);

    for (i = 0; i < n && !s->over; i++) {
        s->run(s, s == &source ? NULL : frame[i]);
    }

    cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    pthread_mutex_lock(&lock);

    s->cpu += cpu;
    s->busy = 0;
    alive -= s->over;
}


static void
ready(stage_t *s)
{
    if (s->busy || s->over || (s == &source ? !has_room() : s->n == 0)) {
        return;
    }

    s->busy = 1;
    list[nlist++] = s;
    pthread_cond_signal(&changed);
}


static int
has_room(void)
{
    unsigned  i;

    for (i = 0; i < nrungs; i++) {
        if (rungs[i].scale.n > ROOM_SCALE
            || rungs[i].encode.n > ROOM_ENCODE
            || (single && (rungs[i].scale.busy || rungs[i].encode.busy)))
        {
            return 0;
        }
    }

    return 1;
}


/* Takes the frame over; NULL: the end. */

static void
feed(stage_t *s, live_frame_t *frame)
{
    pthread_mutex_lock(&lock);

    if (s->n == QUEUE) {
        fail("queue", "it is full");
    }

    s->in[(s->first + s->n++) % QUEUE] = frame;
    ready(s);

    pthread_mutex_unlock(&lock);
}


/* --- what stages do --- */

static void
decode(stage_t *s, live_frame_t *frame)
{
    AVPacket       *pkt;
    const char     *reason;
    live_sample_t   sample;

    (void) frame;

    pkt = av_packet_alloc();

    do {
        av_packet_unref(pkt);

        if (av_read_frame(file, pkt) < 0) {
            (void) live_decoder_decode(decoder, NULL, NULL, decoded, NULL,
                                       &reason);
            feed_below(NULL, NULL);
            av_packet_free(&pkt);
            s->over = 1;
            return;
        }
    } while (pkt->stream_index != track);

    av_packet_rescale_ts(pkt, file->streams[track]->time_base,
                         (AVRational) { 1, LIVE_VIDEO_TIMESCALE });

    memset(&sample, 0, sizeof(sample));
    sample.dts = pkt->dts;
    sample.cts = (int32_t) (pkt->pts - pkt->dts);
    sample.size = (uint32_t) pkt->size;
    sample.flags = pkt->flags & AV_PKT_FLAG_KEY ? LIVE_SAMPLE_KEY : 0;

    if (live_decoder_decode(decoder, pkt->data, &sample, decoded, NULL,
                            &reason)
        != LIVE_OK)
    {
        fail("decoder", reason);
    }

    av_packet_free(&pkt);
}


/* Segments are as long as the source's groups of pictures. */

static void
decoded(void *data, live_frame_t *frame)
{
    (void) data;

    if (live_frame_key(frame)) {
        live_frame_mark(frame);
    }

    (void) live_decoder_source(decoder, &picture);

    frames++;
    ticks = live_frame_pts(frame);

    feed_below(NULL, frame);
    live_frame_free(frame);
}


static void
feed_below(rung_t *above, live_frame_t *frame)
{
    unsigned  i;

    for (i = 0; i < nrungs; i++) {
        if (rungs[i].above == above) {
            feed(&rungs[i].scale, frame ? live_frame_ref(frame) : NULL);
        }
    }
}


static void
scale(stage_t *s, live_frame_t *frame)
{
    rung_t              *r = s->rung;
    const char          *reason;
    live_frame_t        *out;
    live_rung_source_t  *from;

    if (r->scaler == NULL) {
        from = r->above ? &r->above->target : &picture;
        r->scaler = live_scaler_create(&r->conf, from, r->width, r->height,
                                       live_rung_divisor(&r->conf, from),
                                       &reason);
        if (r->scaler == NULL) {
            fail(r->conf.name, reason);
        }

        live_scaler_target(r->scaler, &r->target);
    }

    out = NULL;

    if (live_scaler_scale(r->scaler, frame, &out, &reason) != LIVE_OK) {
        fail(r->conf.name, reason);
    }

    if (out) {
        feed_below(r, out);
        feed(&r->encode, out);
    }

    if (frame == NULL) {
        feed_below(r, NULL);
        feed(&r->encode, NULL);
        s->over = 1;
    }

    live_frame_free(frame);
}


static void
encode(stage_t *s, live_frame_t *frame)
{
    rung_t         *r = s->rung;
    const char     *reason;
    live_packet_t  *packets;

    if (r->encoder == NULL) {
        r->encoder = live_encoder_create_video(&r->conf, &r->target,
                                               &reason);
        if (r->encoder == NULL) {
            fail(r->conf.name, reason);
        }

        write_record(r);
    }

    packets = NULL;

    if (live_encoder_encode(r->encoder, frame, &packets, &reason)
        != LIVE_OK)
    {
        fail(r->conf.name, reason);
    }

    take(r, packets);

    if (frame == NULL) {
        s->over = 1;

    } else if (++r->taken - r->frames > r->held) {
        r->held = r->taken - r->frames;
    }

    live_frame_free(frame);
}


static void
take(rung_t *r, live_packet_t *packets)
{
    size_t          len, at;
    live_packet_t  *p;

    for (p = packets; p; p = p->next) {
        r->frames++;
        r->keys += p->key;
        r->bytes += p->size;

        for (at = 0; at + 4 <= p->size; at += 4 + len) {
            len = (size_t) p->data[at] << 24 | (size_t) p->data[at + 1] << 16
                  | (size_t) p->data[at + 2] << 8 | p->data[at + 3];
            write_unit(r, p->data + at + 4, len);
        }
    }

    live_packet_free(packets);
}


/* --- files --- */

static void
open_file(const char *name)
{
    const char         *reason;
    AVCodecParameters  *par;
    live_codec_info_t   info;

    file = NULL;

    if (avformat_open_input(&file, name, NULL, NULL) < 0
        || avformat_find_stream_info(file, NULL) < 0)
    {
        fail(name, "it cannot be read");
    }

    track = av_find_best_stream(file, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);

    if (track < 0) {
        fail(name, "it has no video");
    }

    par = file->streams[track]->codecpar;

    memset(&info, 0, sizeof(info));

    if (live_avc_parse_config(&info, par->extradata,
                              (size_t) par->extradata_size, &reason)
        != LIVE_OK)
    {
        fail(name, reason);
    }

    info.timescale = LIVE_VIDEO_TIMESCALE;

    decoder = live_decoder_create(&info, par->extradata,
                                  (size_t) par->extradata_size, 1, &reason);
    if (decoder == NULL) {
        fail(name, reason);
    }

    /* for the sizes of the rungs; what is decoded says the rest */

    picture.width = info.width;
    picture.height = info.height;
}


static void
open_rung(const char *text, const char *dir)
{
    char         path[4096], *copy, *word, *rest;
    rung_t      *r, *above;
    const char  *reason;

    if (nrungs == RUNGS) {
        fail(text, "there are too many");
    }

    r = &rungs[nrungs];
    copy = strdup(text);
    word = strtok_r(copy, ",", &rest);
    live_rung_init(&r->conf, word ? word : "");

    while ((word = strtok_r(NULL, ",", &rest)) != NULL) {
        if (live_rung_parameter(&r->conf, word, strlen(word), &reason)
            != LIVE_OK)
        {
            fail(word, reason);
        }
    }

    if (live_rung_finish(&r->conf, &reason) != LIVE_OK) {
        fail(text, reason);
    }

    if (live_rung_size(&r->conf, &picture, &r->width, &r->height) != LIVE_OK) {
        fail(text, "the source is too small");
    }

    free(copy);

    /* they come from high to low */

    above = nrungs ? r - 1 : NULL;

    if (above && above->conf.fps == r->conf.fps && above->width >= r->width
        && above->height >= r->height)
    {
        r->above = above;
    }

    r->scale.run = scale;
    r->scale.rung = r;
    r->encode.run = encode;
    r->encode.rung = r;

    if (dir) {
        snprintf(path, sizeof(path), "%s/%s.h264", dir, r->conf.name);
        r->out = fopen(path, "w");

        if (r->out == NULL) {
            fail(path, "it cannot be written");
        }
    }

    nrungs++;
}


/* The parameter sets of the avcC (ISO 14496-15 5.3.3.1): one of each. */

static void
write_record(rung_t *r)
{
    size_t              len, at;
    const uint8_t      *c;
    live_codec_info_t   info;

    (void) live_encoder_config(r->encoder, &info, &c, &len);

    at = 6;
    write_unit(r, c + at + 2, (size_t) c[at] << 8 | c[at + 1]);
    at += 2 + ((size_t) c[at] << 8 | c[at + 1]) + 1;
    write_unit(r, c + at + 2, (size_t) c[at] << 8 | c[at + 1]);
}


static void
write_unit(rung_t *r, const uint8_t *data, size_t len)
{
    if (r->out
        && (fwrite("\0\0\0\1", 1, 4, r->out) != 4
            || fwrite(data, 1, len, r->out) != len))
    {
        fail(r->conf.name, "its file cannot be written");
    }
}


static void
report(double wall)
{
    double    media;
    rung_t   *r;

    media = frames > 1 ? (double) ticks / LIVE_VIDEO_TIMESCALE * frames
                         / (frames - 1)
                       : 0;

    printf("{\"frames\": %u, \"media\": %.3f, \"wall\": %.3f, "
           "\"cpu\": %.3f, \"decode\": %.3f, \"kib\": %u", frames, media, wall,
           seconds(CLOCK_PROCESS_CPUTIME_ID), source.cpu, anonymous_kib());

    for (r = rungs; r < rungs + nrungs; r++) {
        if (r->out && fclose(r->out) != 0) {
            fail(r->conf.name, "its file cannot be written");
        }

        printf(", \"%s_scale\": %.3f, \"%s_encode\": %.3f, "
               "\"%s_frames\": %u, \"%s_held\": %u, \"%s_keys\": %u, "
               "\"%s_bytes\": %llu",
               r->conf.name, r->scale.cpu, r->conf.name, r->encode.cpu,
               r->conf.name, r->frames, r->conf.name, r->held,
               r->conf.name, r->keys, r->conf.name,
               (unsigned long long) r->bytes);
    }

    printf("}\n");
}


static double
seconds(clockid_t clock)
{
    struct timespec  ts;

    clock_gettime(clock, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static unsigned
anonymous_kib(void)
{
    FILE      *f;
    char       line[256];
    unsigned   kib;

    kib = 0;
    f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof(line), f)
           && sscanf(line, "RssAnon: %u", &kib) != 1)
    {
        /* void */
    }

    if (f) {
        fclose(f);
    }

    return kib;
}


static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "ladder: %s: %s\n", what, why);
    exit(1);
}
