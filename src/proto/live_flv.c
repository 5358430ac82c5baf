
#include <string.h>
#include "live_flv.h"


#define LIVE_FLV_FILE_HEADER  9
#define LIVE_FLV_TAG_HEADER   11
#define LIVE_FLV_BACK         4     /* the size of the tag before */


static size_t live_flv_head(live_flv_t *f, const uint8_t *data, size_t len,
    size_t want);
static void live_flv_tag(live_flv_t *f);


const char *
live_flv_input(live_flv_t *f, const uint8_t *data, size_t len)
{
    size_t  n;

    while (len) {

        switch (f->state) {

        case LIVE_FLV_FILE:
            n = live_flv_head(f, data, len,
                              LIVE_FLV_FILE_HEADER + LIVE_FLV_BACK);

            if (f->have == LIVE_FLV_FILE_HEADER + LIVE_FLV_BACK) {

                if (memcmp(f->head, "FLV\1", 4) != 0
                    || memcmp(f->head + 5, "\0\0\0\11", 4) != 0)
                {
                    return "it is no FLV";
                }

                f->have = 0;
                f->state = LIVE_FLV_TAG;
            }

            break;

        case LIVE_FLV_TAG:
            n = live_flv_head(f, data, len, LIVE_FLV_TAG_HEADER);

            if (f->have == LIVE_FLV_TAG_HEADER) {
                live_flv_tag(f);
            }

            break;

        case LIVE_FLV_BODY:
            n = f->m.length - f->m.received;
            n = n < len ? n : len;

            if (f->media(f->ctx, &f->m, data, n) != LIVE_OK) {
                return "";
            }

            f->m.received += (uint32_t) n;

            if (f->m.received == f->m.length) {
                f->left = LIVE_FLV_BACK;
                f->state = LIVE_FLV_SKIP;
            }

            break;

        default: /* LIVE_FLV_SKIP */
            n = f->left < len ? f->left : len;
            f->left -= (uint32_t) n;

            if (f->left == 0) {
                f->state = LIVE_FLV_TAG;
            }
        }

        data += n;
        len -= n;
    }

    return NULL;
}


static size_t
live_flv_head(live_flv_t *f, const uint8_t *data, size_t len, size_t want)
{
    size_t  n;

    n = want - f->have;
    n = n < len ? n : len;

    memcpy(f->head + f->have, data, n);
    f->have += (uint32_t) n;

    return n;
}


/* E.4.1; the type's upper bits are of encryption, and of no use here. */

static void
live_flv_tag(live_flv_t *f)
{
    uint32_t        size;
    const uint8_t  *p;

    p = f->head;
    size = (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];

    f->have = 0;

    if ((p[0] != LIVE_RTMP_AUDIO && p[0] != LIVE_RTMP_VIDEO) || size == 0) {
        f->left = size + LIVE_FLV_BACK;
        f->state = LIVE_FLV_SKIP;
        return;
    }

    f->m.type = p[0];
    f->m.timestamp = (uint32_t) p[7] << 24 | (uint32_t) p[4] << 16
                     | (uint32_t) p[5] << 8 | p[6];
    f->m.length = size;
    f->m.received = 0;

    f->state = LIVE_FLV_BODY;
}
