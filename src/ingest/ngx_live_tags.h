
/*
 * Audio and video messages as RTMP and FLV have them: a tag, then a codec
 * record or a frame.  Takes them in slices of any length and hands the frames
 * of H.264 and AAC on to a publication, without a copy.  Event loop only.
 */

#ifndef _NGX_LIVE_TAGS_H_INCLUDED_
#define _NGX_LIVE_TAGS_H_INCLUDED_


#include "ngx_live_publish.h"
#include "live_codec.h"
#include "live_rtmp.h"


/* the longest header before a payload: an extended video tag with its CTS */
#define NGX_LIVE_MAX_TAG   8

/* lengths of NAL units that wait to be written */
#define NGX_LIVE_PREFIXES  16


typedef enum {
    ngx_live_tag_header = 0,        /* collecting the tag */
    ngx_live_tag_payload,           /* the first byte of a frame comes next */
    ngx_live_tag_frame,
    ngx_live_tag_config,
    ngx_live_tag_skip
} ngx_live_tag_state_e;


/* The message of one type that is arriving. */
typedef struct {
    ngx_live_tag_state_e      state;
    u_char                    tag[NGX_LIVE_MAX_TAG];
    ngx_uint_t                tag_len;
    ngx_live_frame_t          frame;
    live_nal_walk_t           walk;
    u_char                    prefixes[NGX_LIVE_PREFIXES][4];
    ngx_uint_t                nprefixes;
    u_char                   *config;       /* collected record */
    size_t                    config_len;
} ngx_live_tag_t;


/* The owner sets all but media and nal_length_size, which begin as zeros. */
typedef struct {
    ngx_live_publication_t   *pub;
    ngx_log_t                *log;
    ngx_pool_t               *pool;         /* for codec records */

    /* text, which is the caller's, says why the input has to end ... */
    void                    (*fail)(void *data, const char *text);

    /* ... or which codec is not supported; nothing more is wanted then */
    void                    (*refuse)(void *data, const char *text);
    void                     *data;

    ngx_live_tag_t            media[2];     /* by live_media_e */
    uint32_t                  nal_length_size;
} ngx_live_tags_t;


/*
 * The next slice of a message (RTMP-82..86, RTMP-101..107).  LIVE_ERROR: the
 * input has to end; if the publication has failed, the reason is logged, else
 * fail() was told it.  The slice stays until ngx_live_publish_flush().
 */
int ngx_live_tags_media(ngx_live_tags_t *tags, const live_rtmp_message_t *m,
    const uint8_t *buf, size_t len);

/* The rest of the message will not come. */
void ngx_live_tags_abort(ngx_live_tags_t *tags, const live_rtmp_message_t *m);


#endif /* _NGX_LIVE_TAGS_H_INCLUDED_ */
