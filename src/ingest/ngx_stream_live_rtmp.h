
/* An RTMP connection of stream{}: shared by the files of the module only. */

#ifndef _NGX_STREAM_LIVE_RTMP_H_INCLUDED_
#define _NGX_STREAM_LIVE_RTMP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>
#include "ngx_live.h"
#include "ngx_live_publish.h"
#include "live_codec.h"
#include "live_rtmp.h"


/* the longest header before a payload: an extended video tag with its CTS */
#define NGX_STREAM_LIVE_MAX_TAG  8


typedef enum {
    ngx_stream_live_tag = 0,        /* collecting the header */
    ngx_stream_live_payload,        /* the first byte of a frame comes next */
    ngx_stream_live_frame,
    ngx_stream_live_config,
    ngx_stream_live_skip
} ngx_stream_live_state_e;


/* The message of one type that is arriving. */
typedef struct {
    ngx_stream_live_state_e   state;
    u_char                    tag[NGX_STREAM_LIVE_MAX_TAG];
    ngx_uint_t                tag_len;
    ngx_live_frame_t          frame;
    live_nal_walk_t           walk;
    u_char                   *config;       /* collected record */
    size_t                    config_len;
} ngx_stream_live_media_t;


typedef struct {
    ngx_stream_session_t     *session;
    live_rtmp_session_t      *rtmp;
    live_rtmp_conf_t          conf;

    ngx_live_app_conf_t      *app;
    ngx_live_publication_t   *pub;
    ngx_str_t                 name;
    u_char                    name_buf[NGX_LIVE_MAX_NAME];
    const char               *state;        /* of $live_state */
    ngx_msec_t                duration;     /* of the last publication */

    ngx_stream_live_media_t   media[2];     /* by live_media_e */
    uint32_t                  nal_length_size;

    ngx_msec_t                paced;        /* when pace was set */
    off_t                     paced_bytes;  /* received until then */
    int                       pace;         /* bytes that wake us */
    int                          lowat;         /* in effect */
    ngx_event_t               poll;         /* for what does not */
    ngx_msec_t                read;         /* when something was read */

    unsigned                  closing:1;    /* waits for the peer to read */
    unsigned                  lingering:1;
} ngx_stream_live_rtmp_ctx_t;


/* The callbacks for media and metadata of live_rtmp.h. */
int ngx_stream_live_rtmp_media(void *data, const live_rtmp_message_t *m,
    const uint8_t *buf, size_t len);
void ngx_stream_live_rtmp_abort(void *data, const live_rtmp_message_t *m);
void ngx_stream_live_rtmp_metadata(void *data,
    const live_rtmp_metadata_t *md);


extern ngx_module_t  ngx_stream_live_rtmp_module;


#endif /* _NGX_STREAM_LIVE_RTMP_H_INCLUDED_ */
