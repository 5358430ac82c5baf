
/* The FLV file, and the two passes of RTMP chunks made from it. */

#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rtmp_load.h"


#define CSID_AUDIO  4
#define CSID_DATA   5
#define CSID_VIDEO  6

#define TYPE_AUDIO  8
#define TYPE_VIDEO  9
#define TYPE_DATA   18


typedef struct {
    const uint8_t  *data;
    uint32_t        size;
    uint32_t        ms;
    uint8_t         type;
    bool            header;         /* metadata or a sequence header */
    bool            stamp;          /* a frame that is to carry the time */
    bool            end;            /* never sent */
} tag_t;


static size_t read_tag(const material_t *m, size_t at, tag_t *tag);
static void find_period(material_t *m);
static void build_pass(material_t *m, bool first);
static unsigned tag_csid(const tag_t *tag);
static size_t message_header(const tag_t *tag, int64_t last, bool first,
    uint8_t *header);
static void add_message(pass_t *pass, const tag_t *tag, const uint8_t *header,
    size_t header_len);
static size_t add_part(pass_t *pass, const void *data, size_t len, size_t room,
    uint8_t more);
static void append(pass_t *pass, const void *data, size_t len);


static const uint8_t  set_data_frame[] = "\x02\x00\x0d@setDataFrame";

/* a NAL unit with its length, an SEI message of the digits to come */
static const uint8_t  stamp_sei[] = "\0\0\0\x24\x06\x05\x20" STAMP_UUID
                                    "0000000000000000\x80";

#define STAMP_SIZE    (sizeof(stamp_sei) - 1)
#define STAMP_OFFSET  (STAMP_SIZE - 1 - STAMP_DIGITS)

/* what comes before the NAL units in an FLV tag of H.264 */
#define VIDEO_HEADER  5


bool
load_material(material_t *m, const char *file)
{
    long   size;
    FILE  *f;

    f = fopen(file, "rb");

    if (f == NULL) {
        perror(file);
        return false;
    }

    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);

    m->size = size > 0 ? (size_t) size : 0;
    m->data = malloc(m->size + 1);

    if (m->data == NULL || fread(m->data, 1, m->size, f) != m->size
        || m->size < 13 || memcmp(m->data, "FLV", 3) != 0)
    {
        fprintf(stderr, "%s: not an FLV file\n", file);
        fclose(f);
        return false;
    }

    fclose(f);
    find_period(m);

    if (m->period == 0) {
        fprintf(stderr, "%s: too short\n", file);
        return false;
    }

    build_pass(m, true);
    build_pass(m, false);

    return true;
}


double
payload_rate(const material_t *m)
{
    size_t         i;
    uint64_t       payload;
    const pass_t  *pass;

    payload = 0;
    pass = &m->passes[1];

    for (i = 0; i < pass->count; i++) {
        payload += pass->messages[i].payload;
    }

    return (double) payload * 1000 / m->period;
}


/* The offset of the next tag, or 0 at the end of the file. */

static size_t
read_tag(const material_t *m, size_t at, tag_t *tag)
{
    uint8_t         kind;
    const uint8_t  *p;

    if (at + 11 > m->size) {
        return 0;
    }

    p = m->data + at;
    tag->type = p[0] & 0x1f;
    tag->size = get24(p + 1);
    tag->ms = get24(p + 4) | (uint32_t) p[7] << 24;
    tag->data = p + 11;
    tag->header = false;
    tag->stamp = false;
    tag->end = false;

    if (at + 11 + tag->size + 4 > m->size) {
        return 0;
    }

    kind = tag->size >= 2 ? tag->data[1] : 0;

    switch (tag->type) {

    case TYPE_VIDEO:
        tag->header = (kind == 0);
        tag->stamp = (opt.stamp && kind == 1 && tag->size > VIDEO_HEADER);
        tag->end = (kind == 2);
        break;

    case TYPE_AUDIO:
        tag->header = (kind == 0);
        tag->end = opt.silent;
        break;

    case TYPE_DATA:
        tag->header = true;
        break;

    default:
        tag->end = true;
    }

    return at + 11 + tag->size + 4;
}


/* The video decides, or the audio where there is none. */

static void
find_period(material_t *m)
{
    size_t     at, next;
    tag_t      tag;
    uint32_t   first[2], last[2], step[2];
    unsigned   video;

    memset(first, 0xff, sizeof(first));
    memset(last, 0, sizeof(last));
    memset(step, 0, sizeof(step));

    for (at = 13; (next = read_tag(m, at, &tag)) != 0; at = next) {
        if (tag.header || tag.end) {
            continue;
        }

        video = (tag.type == TYPE_VIDEO);
        step[video] = tag.ms - last[video];
        last[video] = tag.ms;

        if (first[video] > tag.ms) {
            first[video] = tag.ms;
        }
    }

    video = (last[1] != 0);

    if (last[video] != 0) {
        m->period = last[video] + step[video] - first[video];
        m->leader = video ? TYPE_VIDEO : TYPE_AUDIO;
    }
}


static void
build_pass(material_t *m, bool first)
{
    bool       seen[CSIDS];
    size_t     at, next, len;
    tag_t      tag;
    pass_t    *pass;
    uint8_t    header[12];
    unsigned   csid;

    pass = &m->passes[first ? 0 : 1];
    memset(seen, !first, sizeof(seen));

    for (csid = 0; csid < CSIDS; csid++) {
        m->last[csid] -= first ? 0 : m->period;
    }

    for (at = 13; (next = read_tag(m, at, &tag)) != 0; at = next) {

        if (tag.end || (tag.header && !first)
            || (!tag.header && tag.type != m->leader && tag.ms >= m->period))
        {
            continue;
        }

        csid = tag_csid(&tag);
        len = message_header(&tag, m->last[csid], !seen[csid], header);
        add_message(pass, &tag, header, len);

        seen[csid] = true;
        m->last[csid] = tag.ms;
    }
}


static unsigned
tag_csid(const tag_t *tag)
{
    switch (tag->type) {

    case TYPE_VIDEO:
        return CSID_VIDEO;

    case TYPE_AUDIO:
        return CSID_AUDIO;

    default:
        return CSID_DATA;
    }
}


/* Type 0 opens a chunk stream, type 1 with a delta goes on with it. */

static size_t
message_header(const tag_t *tag, int64_t last, bool first, uint8_t *header)
{
    uint8_t   *out;
    uint32_t   length;

    length = tag->size;

    if (tag->type == TYPE_DATA) {
        length += sizeof(set_data_frame) - 1;
    }

    if (tag->stamp) {
        length += STAMP_SIZE;
    }

    out = header;
    *out++ = (uint8_t) ((first ? 0x00 : 0x40) | tag_csid(tag));
    out = put24(out, (uint32_t) (first ? tag->ms : tag->ms - last));
    out = put24(out, length);
    *out++ = tag->type;

    if (first) {
        *out++ = MEDIA_STREAM_ID;
        out = put24(out, 0);
    }

    return (size_t) (out - header);
}


static void
add_message(pass_t *pass, const tag_t *tag, const uint8_t *header,
    size_t header_len)
{
    size_t      at, room;
    uint8_t     more;
    message_t  *m;

    if ((pass->count & 1023) == 0) {
        pass->messages = realloc(pass->messages,
                                 (pass->count + 1024) * sizeof(message_t));
        if (pass->messages == NULL) {
            abort();
        }
    }

    m = &pass->messages[pass->count++];
    m->ms = tag->ms;
    m->payload = tag->type == TYPE_DATA ? 0 : tag->size;
    m->start = pass->size;
    m->stamp = 0;

    append(pass, header, header_len);

    at = 0;
    room = opt.chunk;
    more = 0xc0 | (header[0] & 0x3f);

    if (tag->type == TYPE_DATA) {
        room = add_part(pass, set_data_frame, sizeof(set_data_frame) - 1,
                        room, more);
    }

    if (tag->stamp) {
        at = VIDEO_HEADER;
        room = add_part(pass, tag->data, at, room, more);

        /* a chunk of at least 128 bytes has all of it */
        m->stamp = pass->size + STAMP_OFFSET;
        m->payload += STAMP_SIZE;
        room = add_part(pass, stamp_sei, STAMP_SIZE, room, more);
    }

    add_part(pass, tag->data + at, tag->size - at, room, more);

    m->end = pass->size;
}


/* More bytes of a message, in chunks; the result is what the last one still
 * has room for. */

static size_t
add_part(pass_t *pass, const void *data, size_t len, size_t room, uint8_t more)
{
    size_t          n;
    const uint8_t  *p;

    for (p = data; len != 0; p += n, len -= n) {

        if (room == 0) {
            append(pass, &more, 1);
            room = opt.chunk;
        }

        n = len < room ? len : room;
        append(pass, p, n);
        room -= n;
    }

    return room;
}


static void
append(pass_t *pass, const void *data, size_t len)
{
    if (pass->size + len > pass->allocated) {
        pass->allocated = (pass->size + len) * 2;
        pass->wire = realloc(pass->wire, pass->allocated);

        if (pass->wire == NULL) {
            abort();
        }
    }

    memcpy(pass->wire + pass->size, data, len);
    pass->size += len;
}
