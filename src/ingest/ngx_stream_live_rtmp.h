
/* An RTMP connection of stream{}: shared by the files of the module only. */

#ifndef _NGX_STREAM_LIVE_RTMP_H_INCLUDED_
#define _NGX_STREAM_LIVE_RTMP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>
#include "ngx_live.h"
#include "ngx_live_tags.h"
#include "ngx_live_core_limit.h"


#define NGX_STREAM_LIVE_RETRY    50         /* ms until it asks again */


/* What a connection may cost; see docs/security.md. */
typedef struct {
    ngx_msec_t                handshake_timeout;    /* behind that of TLS */
    ngx_msec_t                connect_timeout;      /* the same, to publish */
    ngx_uint_t                chunk_streams;
    size_t                    amf_size;
    ngx_uint_t                amf_depth;
    size_t                    setup_size;           /* before publish */
    ngx_uint_t                setup_messages;
} ngx_stream_live_limits_t;


typedef struct {
    ngx_str_t                 file;     /* of live_rtmp, for messages */
    ngx_uint_t                line;     /* 0: there is none */
    ngx_stream_live_limits_t  limits;
} ngx_stream_live_rtmp_srv_conf_t;


/* What a site's own server is asked and told of a publisher. */
typedef struct ngx_stream_live_hook_s  ngx_stream_live_hook_t;


typedef struct {
    ngx_stream_session_t     *session;
    live_rtmp_session_t      *rtmp;
    live_rtmp_conf_t          conf;
    ngx_stream_live_limits_t *limits;
    ngx_msec_t                began;        /* when it came to us */

    ngx_live_app_conf_t      *app;
    ngx_live_publication_t   *pub;
    ngx_live_publisher_t      publisher;
    ngx_stream_live_hook_t   *hook;         /* or NULL */
    ngx_str_t                 name;
    u_char                    name_buf[NGX_LIVE_MAX_NAME + 1];
    const char               *state;        /* of $live_state */
    ngx_msec_t                duration;     /* of the last publication */

    ngx_live_tags_t           tags;

    ngx_msec_t                paced;        /* when pace was set */
    off_t                     paced_bytes;  /* received until then */
    int                       pace;         /* bytes that wake us */
    int                          lowat;         /* in effect */
    ngx_event_t               poll;         /* for what does not */
    ngx_msec_t                read;         /* when something was read */

    unsigned                  greeted:1;    /* the handshake is complete */
    unsigned                  closing:1;    /* waits for the peer to read */
    unsigned                  lingering:1;
    unsigned                  pending:1;    /* publish is not answered yet */
    unsigned                  moves:1;      /* was asked to reconnect */
    unsigned                  keyed:1;      /* variables were looked at ... */
    unsigned                  renamed:1;    /* ... for another name */
} ngx_stream_live_rtmp_ctx_t;


/* ngx_stream_live_rtmp_module.c */

/* Takes what was read, of len 0: what was held.  NGX_ERROR: the session is
 * over. */
ngx_int_t ngx_stream_live_rtmp_input(ngx_stream_live_rtmp_ctx_t *ctx,
    u_char *buf, size_t len);

/* Sends what waits.  NGX_ERROR: the peer is gone. */
ngx_int_t ngx_stream_live_rtmp_send(ngx_stream_live_rtmp_ctx_t *ctx);

/* ngx_stream_live_rtmp_publish.c */

/* The callbacks for publish and its end of live_rtmp.h. */
int ngx_stream_live_rtmp_publish(void *data, const live_rtmp_publish_t *p);
void ngx_stream_live_rtmp_unpublish(void *data);

/* Answers a publish that was not answered yet, or asks again later. */
void ngx_stream_live_rtmp_claim(ngx_stream_live_rtmp_ctx_t *ctx);

/* Refuses it, and logs why; name is the peer's, or NULL: it is not shown. */
void ngx_stream_live_rtmp_refuse(ngx_stream_live_rtmp_ctx_t *ctx,
    const char *code, const char *name, const char *reason);

/* Ends a publication for a reason of the server, which is told the publisher;
 * state: of $live_state. */
void ngx_stream_live_rtmp_end(ngx_stream_live_rtmp_ctx_t *ctx,
    const char *state, const char *reason);

/* Another publisher has the stream: tells this one, and ends. */
void ngx_stream_live_rtmp_lost(void *data);

/* The worker shuts down: an encoder that can is asked to reconnect, others
 * stay (RTMP-99, RTMP-100). */
void ngx_stream_live_rtmp_exiting(ngx_stream_live_rtmp_ctx_t *ctx);


/* ngx_stream_live_pace.c */

/* Bytes of a publisher were read. */
void ngx_stream_live_rtmp_pace(ngx_stream_live_rtmp_ctx_t *ctx);

/* Handler of ctx->poll, whose data is the connection. */
void ngx_stream_live_rtmp_poll(ngx_event_t *ev);

/* Commands are read as they come. */
void ngx_stream_live_rtmp_unpace(ngx_stream_live_rtmp_ctx_t *ctx);


/* ngx_stream_live_media.c */

/* Prepares ctx->tags; once, with the session. */
void ngx_stream_live_rtmp_tags(ngx_stream_live_rtmp_ctx_t *ctx);

/* The callbacks for media and metadata of live_rtmp.h. */
int ngx_stream_live_rtmp_media(void *data, const live_rtmp_message_t *m,
    const uint8_t *buf, size_t len);
void ngx_stream_live_rtmp_abort(void *data, const live_rtmp_message_t *m);
void ngx_stream_live_rtmp_metadata(void *data,
    const live_rtmp_metadata_t *md);


/* ngx_stream_live_limit.c: what was just allocated, what stands around it, and
 * what a session is told of it. */
void ngx_stream_live_limits_create(ngx_stream_live_limits_t *conf);
void ngx_stream_live_limits_merge(ngx_stream_live_limits_t *conf,
    ngx_stream_live_limits_t *prev);
void ngx_stream_live_limits_set(live_rtmp_conf_t *conf,
    ngx_stream_live_limits_t *limits);


/* What the directives accept. */
extern ngx_live_core_bounds_t  ngx_stream_live_timeout_bounds;
extern ngx_live_core_bounds_t  ngx_stream_live_chunk_streams_bounds;
extern ngx_live_core_bounds_t  ngx_stream_live_amf_depth_bounds;
extern ngx_live_core_bounds_t  ngx_stream_live_size_bounds;
extern ngx_live_core_bounds_t  ngx_stream_live_setup_messages_bounds;

extern ngx_module_t  ngx_stream_live_rtmp_module;


#endif /* _NGX_STREAM_LIVE_RTMP_H_INCLUDED_ */
