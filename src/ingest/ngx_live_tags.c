
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_tags.h"


static ngx_int_t ngx_live_tags_done(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const live_rtmp_message_t *m);
static ngx_int_t ngx_live_tags_video(ngx_live_tags_t *tags,
    ngx_live_tag_t *sm);
static ngx_int_t ngx_live_tags_audio(ngx_live_tags_t *tags,
    ngx_live_tag_t *sm);
static ngx_uint_t ngx_live_tags_size(ngx_live_tag_t *sm,
    const live_rtmp_message_t *m);
static ngx_int_t ngx_live_tags_begin(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const uint8_t *buf, size_t len);
static ngx_int_t ngx_live_tags_append(ngx_live_tags_t *tags,
    ngx_live_tag_t *sm, const uint8_t *buf, size_t len);
static ngx_int_t ngx_live_tags_units(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const uint8_t *buf, size_t len);
static ngx_int_t ngx_live_tags_data(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const uint8_t *buf, size_t len);
static ngx_int_t ngx_live_tags_record(ngx_live_tags_t *tags,
    ngx_live_tag_t *sm);
static void ngx_live_tags_fourcc(u_char *dst, u_char *src);
static ngx_int_t ngx_live_tags_refuse(ngx_live_tags_t *tags, const char *kind,
    const char *codec);


static const char  *ngx_live_tags_video_codecs[] = {
    "codec 0", "JPEG", "Sorenson H.263", "Screen Video", "On2 VP6",
    "On2 VP6 with alpha", "Screen Video 2", "H.264", "codec 8", "codec 9",
    "codec 10", "codec 11", "HEVC (codec 12)", "AV1 (codec 13)", "codec 14",
    "codec 15"
};


static const char  *ngx_live_tags_audio_codecs[] = {
    "PCM", "ADPCM", "MP3", "PCM little-endian", "Nellymoser 16 kHz",
    "Nellymoser 8 kHz", "Nellymoser", "G.711 A-law", "G.711 mu-law",
    "codec 9", "AAC", "Speex", "codec 12", "Opus (codec 13)", "MP3 8 kHz",
    "codec 15"
};


int
ngx_live_tags_media(ngx_live_tags_t *tags, const live_rtmp_message_t *m,
    const uint8_t *buf, size_t len)
{
    size_t           n;
    ngx_int_t        rc;
    ngx_uint_t       last;
    ngx_live_tag_t  *sm;

    sm = &tags->media[m->type == LIVE_RTMP_VIDEO ? LIVE_MEDIA_VIDEO
                                                 : LIVE_MEDIA_AUDIO];
    last = (m->received + len == m->length);

    if (m->received == 0) {
        sm->state = ngx_live_tag_header;
        sm->tag_len = 0;
        sm->frame.media = sm - tags->media;
        sm->frame.timestamp = m->timestamp;
    }

    while (sm->state == ngx_live_tag_header && len) {

        sm->tag[sm->tag_len++] = *buf++;
        len--;

        n = ngx_live_tags_size(sm, m);

        if (n && sm->tag_len == n) {
            rc = ngx_live_tags_done(tags, sm, m);

            if (rc != NGX_OK) {
                return rc == NGX_DONE ? LIVE_OK : LIVE_ERROR;
            }
        }
    }

    if (sm->state == ngx_live_tag_payload && len
        && ngx_live_tags_begin(tags, sm, buf, len) != NGX_OK)
    {
        return LIVE_ERROR;
    }

    if (len && ngx_live_tags_append(tags, sm, buf, len) != NGX_OK) {
        return LIVE_ERROR;
    }

    if (!last) {
        return LIVE_OK;
    }

    rc = NGX_OK;

    if (sm->state == ngx_live_tag_frame) {
        rc = ngx_live_publish_end(tags->pub, sm->frame.media,
                                  sm->frame.media == LIVE_MEDIA_AUDIO
                                  || (live_nal_walk_valid(&sm->walk)
                                      && sm->walk.unit));

    } else if (sm->state == ngx_live_tag_config) {
        rc = ngx_live_tags_record(tags, sm);
    }

    return rc == NGX_OK ? LIVE_OK : LIVE_ERROR;
}


/* Bytes of the tag, 0 when the ones that came do not tell yet. */

static ngx_uint_t
ngx_live_tags_size(ngx_live_tag_t *sm,
    const live_rtmp_message_t *m)
{
    u_char  b;

    b = sm->tag[0];

    if (m->type == LIVE_RTMP_AUDIO) {

        if (b >> 4 == 9) {
            return 5;
        }

        return b >> 4 == 10 ? 2 : 1;
    }

    if (b & 0x80) {

        /* only coded frames of avc1 carry a composition time (RTMP-105) */
        return (b & 0x0f) == 1 ? 8 : 5;
    }

    return (b & 0x0f) == 7 && b >> 4 != 5 ? 5 : 1;
}


static ngx_int_t
ngx_live_tags_done(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const live_rtmp_message_t *m)
{
    u_char     *p, text[64];
    ngx_int_t   rc;

    sm->frame.cts = 0;
    sm->frame.key = 0;
    sm->frame.recovery = 0;
    sm->frame.size = m->length - sm->tag_len;

    rc = (m->type == LIVE_RTMP_VIDEO) ? ngx_live_tags_video(tags, sm)
                                      : ngx_live_tags_audio(tags, sm);
    if (rc != NGX_OK) {
        return rc;
    }

    if (sm->state == ngx_live_tag_config) {

        if (sm->frame.size > NGX_LIVE_MAX_CONFIG) {
            p = ngx_snprintf(text, sizeof(text) - 1,
                             "a codec record of %d bytes",
                             (int) sm->frame.size);
            *p = '\0';

            tags->fail(tags->data, (char *) text);
            return NGX_ERROR;
        }

        if (sm->config == NULL) {
            sm->config = ngx_palloc(tags->pool,
                                    NGX_LIVE_MAX_CONFIG);
            if (sm->config == NULL) {
                return NGX_ERROR;
            }
        }

        sm->config_len = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_live_tags_video(ngx_live_tags_t *tags, ngx_live_tag_t *sm)
{
    u_char      *p, fourcc[5];
    ngx_uint_t   type, kind;

    p = sm->tag;
    kind = p[0] >> 4 & 7;

    sm->state = ngx_live_tag_skip;

    if (kind == 5) {
        return NGX_OK;
    }

    sm->frame.key = (kind == 1 || kind == 4);

    if (p[0] & 0x80) {

        type = p[0] & 0x0f;

        if (type > 3 || ngx_memcmp(p + 1, "avc1", 4) != 0) {
            ngx_live_tags_fourcc(fourcc, p + 1);

            return ngx_live_tags_refuse(tags, "video",
                                          type > 4 ? "Enhanced RTMP multitrack"
                                                   : (char *) fourcc);
        }

        p += 4;
        type = (type == 3) ? 1 : type;

    } else if ((p[0] & 0x0f) != 7) {
        return ngx_live_tags_refuse(tags, "video",
                             ngx_live_tags_video_codecs[p[0] & 0x0f]);

    } else {
        type = p[1];
        p += 1;
    }

    if (type == 0) {
        sm->state = ngx_live_tag_config;

    } else if (type == 1) {
        sm->state = ngx_live_tag_payload;

        if (p + 4 == sm->tag + sm->tag_len) {
            sm->frame.cts = p[1] << 16 | p[2] << 8 | p[3];
            sm->frame.cts = (int32_t) ((uint32_t) sm->frame.cts << 8) / 256;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_live_tags_audio(ngx_live_tags_t *tags, ngx_live_tag_t *sm)
{
    u_char      *p, fourcc[5];
    ngx_uint_t   type, format;

    p = sm->tag;
    format = p[0] >> 4;

    sm->state = ngx_live_tag_skip;
    sm->frame.key = 1;

    if (format == 9) {

        type = p[0] & 0x0f;

        if (type == 4) {
            return NGX_OK;
        }

        if (type > 2 || ngx_memcmp(p + 1, "mp4a", 4) != 0) {
            ngx_live_tags_fourcc(fourcc, p + 1);

            return ngx_live_tags_refuse(tags, "audio",
                                          type > 4 ? "Enhanced RTMP multitrack"
                                                   : (char *) fourcc);
        }

    } else if (format != 10) {
        return ngx_live_tags_refuse(tags, "audio",
                                      ngx_live_tags_audio_codecs[format]);

    } else {
        type = p[1];
    }

    if (type == 0) {
        sm->state = ngx_live_tag_config;

    } else if (type == 1) {
        sm->state = ngx_live_tag_payload;
    }

    return NGX_OK;
}


/* A text of four characters, also where some are none. */

static void
ngx_live_tags_fourcc(u_char *dst, u_char *src)
{
    ngx_uint_t  i;

    for (i = 0; i < 4; i++) {
        dst[i] = src[i] ? src[i] : '?';
    }

    dst[4] = '\0';
}


/* The codec's name goes to the log and to the peer, who sees why. */

static ngx_int_t
ngx_live_tags_refuse(ngx_live_tags_t *tags, const char *kind,
    const char *codec)
{
    u_char  *p, text[128], name[40];

    for (p = name; *codec && p < name + sizeof(name) - 1; codec++) {
        *p++ = (*codec < 0x20 || *codec > 0x7e) ? '?' : *codec;
    }

    *p = '\0';

    p = ngx_snprintf(text, sizeof(text) - 1,
                     "%s codec %s is not supported, send %s", kind, name,
                     kind[0] == 'v' ? "H.264" : "AAC");
    *p = '\0';

    tags->refuse(tags->data, (char *) text);

    return NGX_DONE;
}


static ngx_int_t
ngx_live_tags_begin(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const uint8_t *buf, size_t len)
{
    ngx_int_t        rc;
    live_nal_walk_t  peek;

    if (sm->frame.media == LIVE_MEDIA_VIDEO) {

        if (tags->nal_length_size == 0) {
            sm->state = ngx_live_tag_skip;
            return NGX_OK;
        }

        live_nal_walk_init(&sm->walk, sm->frame.size, tags->nal_length_size);

        /* the NAL units decide what a key frame is (RTMP-85) */

        peek = sm->walk;
        live_nal_walk(&peek, buf, len);

        if (peek.vcl) {
            sm->frame.recovery = !peek.idr
                                 && (sm->frame.key || peek.recovery);
            sm->frame.key = peek.idr;
        }
    }

    rc = ngx_live_publish_begin(tags->pub, &sm->frame);

    if (rc == NGX_ERROR) {
        tags->fail(tags->data, "the stream cannot go on");
        return NGX_ERROR;
    }

    sm->state = (rc == NGX_OK) ? ngx_live_tag_frame
                               : ngx_live_tag_skip;

    return NGX_OK;
}


static ngx_int_t
ngx_live_tags_append(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const uint8_t *buf, size_t len)
{
    if (sm->state == ngx_live_tag_config) {
        ngx_memcpy(sm->config + sm->config_len, buf, len);
        sm->config_len += len;
        return NGX_OK;
    }

    if (sm->state != ngx_live_tag_frame) {
        return NGX_OK;
    }

    return sm->frame.media == LIVE_MEDIA_VIDEO
           ? ngx_live_tags_units(tags, sm, buf, len)
           : ngx_live_tags_data(tags, sm, buf, len);
}


/* All but empty NAL units, in runs as long as may be. */

static ngx_int_t
ngx_live_tags_units(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const uint8_t *buf, size_t len)
{
    size_t          n;
    live_nal_run_t  run, next;

    run.data = buf;
    run.len = 0;

    for ( /* void */ ; len; buf += n, len -= n) {

        n = live_nal_take(&sm->walk, buf, len, &next);

        if (next.len && next.data == sm->walk.prefix) {

            /* a length that two slices share has to stay until it is written */

            if (sm->nprefixes == NGX_LIVE_PREFIXES) {
                sm->nprefixes = 0;

                if (ngx_live_publish_flush(tags->pub, 0) != NGX_OK) {
                    return NGX_ERROR;
                }
            }

            ngx_memcpy(sm->prefixes[sm->nprefixes], sm->walk.prefix, next.len);
            next.data = sm->prefixes[sm->nprefixes++];
        }

        if (next.len && next.data != run.data + run.len) {

            if (ngx_live_tags_data(tags, sm, run.data, run.len) != NGX_OK) {
                return NGX_ERROR;
            }

            run.data = next.data;
            run.len = 0;
        }

        run.len += next.len;
    }

    return ngx_live_tags_data(tags, sm, run.data, run.len);
}


static ngx_int_t
ngx_live_tags_data(ngx_live_tags_t *tags, ngx_live_tag_t *sm,
    const uint8_t *buf, size_t len)
{
    if (len == 0
        || ngx_live_publish_data(tags->pub, sm->frame.media, (u_char *) buf,
                                 len)
           == NGX_OK)
    {
        return NGX_OK;
    }

    tags->fail(tags->data, "the live zone cannot take more");

    return NGX_ERROR;
}


static ngx_int_t
ngx_live_tags_record(ngx_live_tags_t *tags, ngx_live_tag_t *sm)
{
    int                 rc;
    const char         *reason;
    live_codec_info_t   info;

    reason = "it is empty";
    ngx_memzero(&info, sizeof(live_codec_info_t));

    if (sm->frame.media == LIVE_MEDIA_VIDEO) {
        rc = live_avc_parse_config(&info, sm->config, sm->config_len,
                                   &reason);
    } else {
        rc = live_aac_parse_config(&info, sm->config, sm->config_len,
                                   &reason);
    }

    if (rc != LIVE_OK) {
        ngx_log_error(NGX_LOG_ERR, tags->log, 0,
                      "a sequence header for %s of %uz bytes is ignored: %s",
                      sm->frame.media == LIVE_MEDIA_VIDEO ? "H.264" : "AAC",
                      sm->config_len, reason);
        return NGX_OK;
    }

    if (sm->frame.media == LIVE_MEDIA_VIDEO) {
        tags->nal_length_size = info.nal_length_size;
    }

    return ngx_live_publish_config(tags->pub, &info, sm->config,
                                   sm->config_len);
}


void
ngx_live_tags_abort(ngx_live_tags_t *tags, const live_rtmp_message_t *m)
{
    ngx_live_tag_t  *sm;

    sm = &tags->media[m->type == LIVE_RTMP_VIDEO ? LIVE_MEDIA_VIDEO
                                                 : LIVE_MEDIA_AUDIO];

    if (tags->pub && sm->state == ngx_live_tag_frame) {
        (void) ngx_live_publish_end(tags->pub, sm->frame.media, 0);
    }

    sm->state = ngx_live_tag_skip;
}
