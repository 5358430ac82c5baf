/* CMAF boxes: CMAF-2 to CMAF-16, CMAF-76. */

#include "live_cmaf.h"
#include "live_codec.h"
#include "tap.h"

#include <string.h>

#include <libavutil/log.h>


#define MAX_SAMPLES  1500
#define MAX_ROOM     (64 * 1024)


/* What a strict reader of one part's header finds. */
typedef struct {
    const char  *error;
    uint32_t     sequence;
    uint64_t     tfdt;
    uint64_t     duration;          /* sum */
    uint64_t     size;              /* sum */
    uint32_t     n;
    size_t       padding;
    int          steady;            /* default-sample-duration form */
} part_t;


static live_sample_t  samples[MAX_SAMPLES];
static uint8_t        buf[MAX_ROOM + 16];
static unsigned       logged;


/* A box of that type at the reader; its content goes to sub. */
static int
box(live_reader_t *r, const char *type, live_reader_t *sub)
{
    uint32_t        size;
    const uint8_t  *p;

    size = live_read_u32(r);
    p = live_read(r, 4);

    if (p == NULL || size < 8 || memcmp(p, type, 4) != 0) {
        return 0;
    }

    p = live_read(r, size - 8);

    if (p == NULL) {
        return 0;
    }

    live_reader_init(sub, p, size - 8);

    return 1;
}


static const char *
read_trun(live_reader_t *r, live_media_e media, size_t room, part_t *part,
    uint32_t duration, const live_sample_t *s)
{
    uint32_t  i, flags, sync;

    flags = live_read_u32(r);
    part->n = live_read_u32(r);

    if (live_read_u32(r) != room) {
        return "data offset is not moof + 8 (CMAF-11)";
    }

    if (flags != (media == LIVE_MEDIA_VIDEO ? 0x01000f01u
                  : part->steady ? 0x201u : 0x301u))
    {
        return "trun flags (CMAF-11)";
    }

    for (i = 0; i < part->n; i++, s++) {

        if (flags & 0x100) {
            duration = live_read_u32(r);
        }

        part->duration += duration;

        if (duration != s->duration || live_read_u32(r) != s->size) {
            return "duration or size";
        }

        part->size += s->size;

        if (!(flags & 0x400)) {
            continue;
        }

        sync = live_read_u32(r);

        if (sync != (s->flags & LIVE_SAMPLE_KEY ? 0x02000000 : 0x01010000)) {
            return "sample flags (CMAF-12)";
        }

        if (live_read_u32(r) != (uint32_t) s->cts) {
            return "composition offset";
        }
    }

    return r->error || live_reader_left(r) ? "trun length" : NULL;
}


static const char *
read_traf(live_reader_t *r, live_media_e media, size_t room, part_t *part,
    const live_sample_t *s)
{
    uint32_t       flags, duration;
    live_reader_t  b;

    if (!box(r, "tfhd", &b)) {
        return "no tfhd";
    }

    flags = live_read_u32(&b);
    part->steady = (flags & 8) != 0;
    duration = 0;

    if (live_read_u32(&b) != 1) {
        return "track_ID (CMAF-49)";
    }

    if (flags != (media == LIVE_MEDIA_VIDEO ? 0x020000u
                  : part->steady ? 0x020028u : 0x020020u))
    {
        return "tfhd flags (CMAF-9)";
    }

    if (part->steady) {
        duration = live_read_u32(&b);
    }

    if (flags & 0x20 && live_read_u32(&b) != 0x02000000) {
        return "default flags (CMAF-12)";
    }

    if (b.error || live_reader_left(&b)) {
        return "tfhd length";
    }

    if (!box(r, "tfdt", &b) || live_read_u32(&b) != 0x01000000) {
        return "no tfdt of version 1 (CMAF-10)";
    }

    part->tfdt = live_read_u64(&b);

    if (b.error || live_reader_left(&b) || !box(r, "trun", &b)) {
        return "no trun behind the tfdt (CMAF-7)";
    }

    if (live_reader_left(r)) {
        return "more than one trun (CMAF-7)";
    }

    return read_trun(&b, media, room, part, duration, s);
}


static const char *
read_moof(live_reader_t *r, live_media_e media, size_t room, part_t *part,
    const live_sample_t *s)
{
    const char     *error;
    live_reader_t   b;

    if (!box(r, "mfhd", &b) || live_read_u32(&b) != 0) {
        return "no mfhd";
    }

    part->sequence = live_read_u32(&b);

    if (b.error || live_reader_left(&b) || !box(r, "traf", &b)) {
        return "no traf behind the mfhd";
    }

    error = read_traf(&b, media, room, part, s);

    if (error || live_reader_left(r) == 0) {
        return error;
    }

    part->padding = live_reader_left(r);

    return !box(r, "free", &b) || live_reader_left(r)
           ? "more than a free box behind the traf" : NULL;
}


/* CMAF-76: order, one traf and trun, offsets, lengths, sums. */
static part_t
read_part(live_media_e media, size_t room, const live_sample_t *s)
{
    part_t         part;
    live_reader_t  r, moof;

    memset(&part, 0, sizeof(part));

    live_reader_init(&r, buf, room);

    part.error = box(&r, "moof", &moof) ? NULL : "no moof";

    if (part.error == NULL) {
        part.error = read_moof(&moof, media, room, &part, s);
    }

    if (part.error == NULL
        && (live_read_u32(&r) != part.size + 8
            || memcmp(r.pos, "mdat", 4) != 0 || live_reader_left(&r) != 4))
    {
        part.error = "mdat";
    }

    return part;
}


static void
make_samples(live_media_e media, int steady)
{
    int64_t   dts;
    uint32_t  i;

    dts = 0x123456789ab;

    for (i = 0; i < MAX_SAMPLES; i++) {
        samples[i] = (live_sample_t) {
            .dts = dts,
            .cts = media == LIVE_MEDIA_VIDEO ? (int32_t) (i % 4) * 3003 - 3003
                                             : 0,
            .duration = steady ? 1024 : 3003 + (i & 1),
            .size = i * 7919 % 60000,
            .flags = i % 30 == 0 ? LIVE_SAMPLE_KEY : 0
        };

        dts += samples[i].duration;
    }
}


/* A part of n samples in room bytes: NULL or what is wrong with it. */
static const char *
check_part(live_media_e media, size_t room, uint32_t first, uint32_t n)
{
    int     rc;
    part_t  part;

    memset(buf, 0xa5, sizeof(buf));

    rc = live_cmaf_write_header(buf, room, media, first + 1, samples + first,
                                n);

    if (rc != LIVE_OK) {
        return "refused";
    }

    if (buf[room] != 0xa5) {
        return "written past the room";
    }

    part = read_part(media, room, samples + first);

    if (part.error) {
        return part.error;
    }

    if (part.n != n || part.sequence != first + 1) {
        return "number of samples or sequence";
    }

    return part.tfdt == (uint64_t) samples[first].dts
           && part.tfdt + part.duration == (uint64_t) samples[first + n].dts
           ? NULL : "tfdt + durations is not the next tfdt (CMAF-14)";
}


static void
test_golden(void)
{
    size_t                      room;
    live_sample_t               s[2];
    static const unsigned char  video[] =
        "\0\0\0\x68" "moof"
        "\0\0\0\x10" "mfhd" "\0\0\0\0" "\0\0\0\7"
        "\0\0\0\x50" "traf"
        "\0\0\0\x10" "tfhd" "\0\2\0\0" "\0\0\0\1"
        "\0\0\0\x14" "tfdt" "\1\0\0\0" "\0\0\0\1\0\0\0\2"
        "\0\0\0\x24" "trun" "\1\0\x0f\1" "\0\0\0\1" "\0\0\0\x70"
        "\0\0\x0b\xbb" "\0\0\0\5" "\2\0\0\0" "\xff\xff\xff\xfe"
        "\0\0\0\x0d" "mdat";
    static const unsigned char  audio[] =
        "\0\0\0\x74" "moof"
        "\0\0\0\x10" "mfhd" "\0\0\0\0" "\0\0\0\1"
        "\0\0\0\x54" "traf"
        "\0\0\0\x18" "tfhd" "\0\2\0\x28" "\0\0\0\1" "\0\0\4\0" "\2\0\0\0"
        "\0\0\0\x14" "tfdt" "\1\0\0\0" "\0\0\0\0\0\0\0\0"
        "\0\0\0\x20" "trun" "\0\0\2\1" "\0\0\0\3" "\0\0\0\x7c"
        "\0\0\0\1" "\0\0\0\2" "\0\0\0\3"
        "\0\0\0\x08" "free"
        "\0\0\0\x0e" "mdat";

    s[0] = (live_sample_t) {
        .dts = 0x100000002, .cts = -2, .duration = 3003, .size = 5,
        .flags = LIVE_SAMPLE_KEY
    };

    room = live_cmaf_header_size(LIVE_MEDIA_VIDEO, 1);

    tap_ok(room == 88 + 16 + 8, "one video sample needs 112 bytes (CMAF-16)");
    tap_ok(live_cmaf_write_header(buf, room, LIVE_MEDIA_VIDEO, 7, s, 1)
           == LIVE_OK && room == sizeof(video) - 1
           && memcmp(buf, video, room) == 0, "golden video part");

    memset(samples, 0, sizeof(samples));
    samples[0].size = 1;
    samples[1].size = 2;
    samples[2].size = 3;
    samples[0].duration = samples[1].duration = samples[2].duration = 1024;

    room = live_cmaf_header_room(LIVE_MEDIA_AUDIO, 3);

    tap_ok(room == 124
           && live_cmaf_write_header(buf, room, LIVE_MEDIA_AUDIO, 1, samples,
                                     3) == LIVE_OK
           && memcmp(buf, audio, room) == 0, "golden audio part, padded");
}


static void
test_rooms(live_media_e media, int steady, const char *name)
{
    size_t       room;
    uint32_t     n, k;
    const char  *error;

    make_samples(media, steady);

    error = NULL;

    for (n = 1; n <= 130 && !error; n++) {
        room = live_cmaf_header_room(media, n);

        if (live_cmaf_header_capacity(media, room) < n) {
            error = "capacity of the room";
        }

        for (k = 1; k <= n && !error; k++) {
            error = check_part(media, room, k * 11 % 97, k);
        }
    }

    tap_ok(!error, "%s: a room for n fits 1 to n: %s", name,
           error ? error : "yes");
}


/* Any room: what its capacity promises fits, one more does not. */
static void
test_capacity(live_media_e media, int steady, const char *name)
{
    size_t       room;
    uint32_t     n, k;
    const char  *error;

    make_samples(media, steady);

    error = NULL;

    for (room = 0; room < 900 && !error; room++) {
        n = live_cmaf_header_capacity(media, room);

        for (k = 1; k <= n && !error; k++) {
            error = check_part(media, room, 3, k);
        }

        if (!error && !steady
            && live_cmaf_write_header(buf, room, media, 1, samples, n + 1)
               != LIVE_OVERFLOW)
        {
            error = "one more fits";
        }
    }

    tap_ok(!error, "%s: capacity of any room: %s", name,
           error ? error : "exact");
}


static void
test_chain(live_media_e media, int steady, const char *name)
{
    size_t       room;
    uint32_t     at, n;
    const char  *error;

    make_samples(media, steady);

    room = live_cmaf_header_room(media, 12);
    error = NULL;

    for (at = 0, n = 1; at + n < MAX_SAMPLES && !error; at += n) {
        n = (at * 31 + 7) % 12 + 1;

        if (at + n < MAX_SAMPLES) {
            error = check_part(media, room, at, n);
        }
    }

    tap_ok(!error, "%s: tfdt of each part is the sum before it (CMAF-14): %s",
           name, error ? error : "yes");
}


static void
test_refused(void)
{
    size_t  room, pad;
    int     ok;

    make_samples(LIVE_MEDIA_VIDEO, 0);
    room = live_cmaf_header_size(LIVE_MEDIA_VIDEO, 3);

    for (pad = 1, ok = 1; pad < 8; pad++) {
        ok &= live_cmaf_write_header(buf, room + pad, LIVE_MEDIA_VIDEO, 1,
                                     samples, 3) == LIVE_OVERFLOW;
    }

    tap_ok(ok, "padding of 1 to 7 bytes is impossible");
    tap_ok(check_part(LIVE_MEDIA_VIDEO, room + 8, 0, 3) == NULL,
           "padding of 8 bytes");
    tap_ok(live_cmaf_write_header(buf, room - 1, LIVE_MEDIA_VIDEO, 1, samples,
                                  3) == LIVE_OVERFLOW, "a byte too few");
    tap_ok(live_cmaf_write_header(buf, room, LIVE_MEDIA_VIDEO, 1, samples, 0)
           == LIVE_ERROR, "no empty parts (CMAF-15)");

    samples[0].dts = -1;
    tap_ok(live_cmaf_write_header(buf, room, LIVE_MEDIA_VIDEO, 1, samples, 3)
           == LIVE_ERROR, "no time before 0 (CMAF-19)");

    samples[0].dts = 0;
    samples[0].size = samples[1].size = UINT32_MAX / 2;
    tap_ok(live_cmaf_write_header(buf, room, LIVE_MEDIA_VIDEO, 1, samples, 3)
           == LIVE_OVERFLOW, "no mdat of 4 GiB (CMAF-15)");

    tap_ok(live_cmaf_header_capacity(LIVE_MEDIA_AUDIO, 0) == 0
           && live_cmaf_header_capacity(LIVE_MEDIA_VIDEO, 111) == 0,
           "no capacity in no room");
}


/* The content of the first box found on a path of types. */
static int
find(const uint8_t *data, size_t len, const char *path, live_reader_t *out)
{
    uint32_t       size;
    const uint8_t  *type;
    live_reader_t  r;

    live_reader_init(&r, data, len);

    while (live_reader_left(&r) >= 8) {
        size = live_read_u32(&r);
        type = live_read(&r, 4);

        if (size < 8 || live_read(&r, size - 8) == NULL) {
            return 0;
        }

        if (memcmp(type, path, 4) != 0) {
            continue;
        }

        if (path[4] == '\0') {
            live_reader_init(out, type + 4, size - 8);
            return 1;
        }

        return find(type + 4, size - 8, path + 5, out);
    }

    return 0;
}


static uint32_t
field(const uint8_t *data, size_t len, const char *path, size_t at)
{
    live_reader_t  r;

    if (!find(data, len, path, &r) || live_read(&r, at) == NULL) {
        return 0xdeadbeef;
    }

    return live_read_u32(&r);
}


static int
contains(const uint8_t *data, size_t len, const void *what, size_t n)
{
    size_t  i;

    for (i = 0; i + n <= len; i++) {
        if (memcmp(data + i, what, n) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
count_log(void *avcl, int level, const char *fmt, va_list args)
{
    (void) avcl;
    (void) fmt;
    (void) args;

    if (level <= AV_LOG_WARNING) {
        logged++;
    }
}


static size_t
init_segment(live_media_e media, const uint8_t *config, size_t len)
{
    int                 rc;
    const char         *reason;
    live_writer_t       w;
    live_codec_info_t   info;

    reason = NULL;
    rc = media == LIVE_MEDIA_VIDEO
         ? live_avc_parse_config(&info, config, len, &reason)
         : live_aac_parse_config(&info, config, len, &reason);

    live_writer_init(&w, buf, MAX_ROOM);

    if (rc == LIVE_OK) {
        rc = live_cmaf_init_segment(&w, &info, config, len, &reason);
    }

    if (!tap_ok(rc == LIVE_OK, "init segment")) {
        printf("# %s\n", reason);
    }

    return live_writer_len(&w);
}


#define TRAK  "moov.trak."


static void
check_init(size_t len)
{
    tap_ok(field(buf, len, "ftyp", 0) == 0x69736f36
           && contains(buf, 64, "cmfc", 4), "brands iso6 and cmfc (CMAF-3)");
    tap_ok(!contains(buf, len, "elst", 4), "no edit list (CMAF-20)");
    tap_ok(!contains(buf, len, "moof", 4) && !contains(buf, len, "mdat", 4),
           "ftyp and moov only (CMAF-2)");
    tap_ok(!contains(buf, len, "Lavf", 4), "no version of a writer");
    tap_ok(field(buf, len, TRAK "tkhd", 12) == 1
           && field(buf, len, "moov.mvex.trex", 4) == 1
           && field(buf, len, "moov.mvex.trex", 8) == 1,
           "track_ID and description 1 (CMAF-4)");
    tap_ok(field(buf, len, "moov.mvhd", 16) == 0
           && field(buf, len, TRAK "tkhd", 20) == 0
           && field(buf, len, TRAK "mdia.mdhd", 16) == 0,
           "durations 0 (CMAF-2)");
    tap_ok(field(buf, len, TRAK "tkhd", 0) >> 24 == 0
           && (field(buf, len, TRAK "tkhd", 0) & 3) == 3,
           "track enabled (CMAF-6)");
    tap_ok(field(buf, len, TRAK "mdia.mdhd", 20) >> 16 == 0x55c4,
           "language und (CMAF-5)");
    tap_ok(logged == 0, "libavformat has nothing to warn of");
}


static void
test_init_video(void)
{
    size_t                 len, small;
    uint8_t                tiny[100];
    const char            *reason;
    live_writer_t          w;
    live_codec_info_t      info;
    static const uint8_t   avcc[] = {
        0x01, 0x64, 0x00, 0x1e, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00,
        0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0xe1, 0x00, 0x00,
        0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2d,
        0x96, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd,
        0xf8, 0xf8, 0x00
    };

    len = init_segment(LIVE_MEDIA_VIDEO, avcc, sizeof(avcc));
    check_init(len);

    tap_ok(field(buf, len, TRAK "mdia.mdhd", 12) == 90000,
           "video timescale 90000 (CMAF-5)");
    tap_ok(field(buf, len, TRAK "tkhd", 76) >> 16 == 853
           && field(buf, len, TRAK "tkhd", 80) == 360u << 16,
           "display size 853x360 with SAR 4:3 (CMAF-6)");
    tap_ok(contains(buf, len, "\x02\x80\x01\x68\0\x48\0\0", 8),
           "coded size 640x360 (CMAF-32)");
    tap_ok(contains(buf, len, avcc, sizeof(avcc)), "avcC as it came");
    tap_ok(contains(buf, len, "pasp\0\0\0\4\0\0\0\3", 12), "pasp 4:3");

    live_writer_init(&w, tiny, sizeof(tiny));
    (void) live_avc_parse_config(&info, avcc, sizeof(avcc), &reason);
    small = live_cmaf_init_segment(&w, &info, avcc, sizeof(avcc), &reason)
            == LIVE_OVERFLOW;
    tap_ok(small, "an init segment that does not fit");
}


/* Sample entries of 640x360 with square pixels, and the records in them. */
static void
test_init_codec(live_codec_e codec, const char *entry, const char *box,
    const uint8_t *config, size_t len)
{
    size_t              size;
    uint8_t             head[8];
    const char         *reason;
    live_writer_t       w;
    live_codec_info_t   info;

    info = (live_codec_info_t) {
        .codec = codec,
        .media = LIVE_MEDIA_VIDEO,
        .timescale = LIVE_VIDEO_TIMESCALE,
        .width = 640,
        .height = 360,
        .sar_num = 1,
        .sar_den = 1
    };

    live_writer_init(&w, buf, MAX_ROOM);
    tap_ok(live_cmaf_init_segment(&w, &info, config, len, &reason) == LIVE_OK,
           "init segment of %s", entry);

    size = live_writer_len(&w);
    check_init(size);

    /* VP9's record is a full box, of version 1 */

    live_writer_init(&w, head, sizeof(head));
    live_write(&w, box, 4);

    if (codec == LIVE_CODEC_VP9) {
        live_write_u32(&w, 1 << 24);
    }

    tap_ok(contains(buf, size, entry, 4)
           && contains(buf, size, head, live_writer_len(&w))
           && contains(buf, size, config, len),
           "%s with the record as it came", box);
    tap_ok(contains(buf, size, "\x02\x80\x01\x68\0\x48\0\0", 8)
           && contains(buf, size, "pasp\0\0\0\1\0\0\0\1", 12),
           "%s: size and square pixels", entry);
}


static void
test_init_codecs(void)
{
    static const uint8_t  hvcc[] = {
        1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 63, 0xf0, 0, 0xfc, 0xfd,
        0xf8, 0xf8, 0, 0, 0x0f, 3, 0xa0, 0, 1, 0, 2, 0x40, 0x01, 0xa1, 0, 1,
        0, 2, 0x42, 0x01, 0xa2, 0, 1, 0, 2, 0x44, 0x01
    };
    static const uint8_t  av1c[] = {
        0x81, 0x01, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe,
        0xcc, 0xda, 0xf9, 0x00, 0x40
    };
    static const uint8_t  vpcc[] = { 0, 21, 0x80, 1, 1, 1, 0, 0 };

    test_init_codec(LIVE_CODEC_HEVC, "hvc1", "hvcC", hvcc, sizeof(hvcc));
    test_init_codec(LIVE_CODEC_AV1, "av01", "av1C", av1c, sizeof(av1c));
    test_init_codec(LIVE_CODEC_VP9, "vp09", "vpcC", vpcc, sizeof(vpcc));
}


static void
test_init_audio(void)
{
    size_t                len;
    static const uint8_t  lc[] = { 0x11, 0x90, 0x56, 0xe5, 0x00 };
    static const uint8_t  mono[] = { 0x12, 0x08 };
    static const uint8_t  he[] = { 0x2b, 0x92, 0x08, 0x00 };
    static const uint8_t  pce[] = {
        0x11, 0x80, 0x04, 0xc8, 0x05, 0x23, 0x04, 0x00, 0x30, 0x00, 0x00,
        0x02, 'h', 'i'
    };

    len = init_segment(LIVE_MEDIA_AUDIO, lc, sizeof(lc));
    check_init(len);

    tap_ok(field(buf, len, TRAK "mdia.mdhd", 12) == 48000,
           "audio timescale is the rate (CMAF-5)");
    tap_ok(contains(buf, len, lc, sizeof(lc)), "the whole record (CMAF-37)");
    tap_ok(field(buf, len, TRAK "tkhd", 36) >> 16 == 0x0100,
           "audio volume (CMAF-6)");

    len = init_segment(LIVE_MEDIA_AUDIO, mono, sizeof(mono));
    tap_ok(field(buf, len, TRAK "mdia.mdhd", 12) == 44100, "44.1 kHz mono");

    len = init_segment(LIVE_MEDIA_AUDIO, he, sizeof(he));
    tap_ok(field(buf, len, TRAK "mdia.mdhd", 12) == 22050
           && contains(buf, len, he, sizeof(he)),
           "HE-AAC counts in samples of the core");

    len = init_segment(LIVE_MEDIA_AUDIO, pce, sizeof(pce));
    tap_ok(contains(buf, len, pce, sizeof(pce)), "channels from a PCE");
    tap_ok(logged == 0, "no warnings");
}


int
main(void)
{
    av_log_set_callback(count_log);

    test_golden();

    test_rooms(LIVE_MEDIA_VIDEO, 0, "video");
    test_rooms(LIVE_MEDIA_AUDIO, 0, "audio");
    test_rooms(LIVE_MEDIA_AUDIO, 1, "steady audio");

    test_capacity(LIVE_MEDIA_VIDEO, 0, "video");
    test_capacity(LIVE_MEDIA_AUDIO, 0, "audio");
    test_capacity(LIVE_MEDIA_AUDIO, 1, "steady audio");

    test_chain(LIVE_MEDIA_VIDEO, 0, "video");
    test_chain(LIVE_MEDIA_AUDIO, 0, "audio");
    test_chain(LIVE_MEDIA_AUDIO, 1, "steady audio");

    test_refused();
    test_init_video();
    test_init_codecs();
    test_init_audio();

    return tap_done();
}
