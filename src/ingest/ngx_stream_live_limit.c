
/* What one connection may cost before it publishes. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_rtmp.h"


ngx_live_core_bounds_t  ngx_stream_live_timeout_bounds = {
    ngx_live_core_bounds, 100, 600000, "100ms to 10m"
};

/* 64: LIVE_RTMP_MAX_CSIDS of the session */
ngx_live_core_bounds_t  ngx_stream_live_chunk_streams_bounds = {
    ngx_live_core_bounds, 8, 64, "8 to 64"
};

/* each level is a call on the stack */
ngx_live_core_bounds_t  ngx_stream_live_amf_depth_bounds = {
    ngx_live_core_bounds, 4, 64, "4 to 64"
};

ngx_live_core_bounds_t  ngx_stream_live_size_bounds = {
    ngx_live_core_bounds, 4096, 1024 * 1024, "4k to 1m"
};

ngx_live_core_bounds_t  ngx_stream_live_setup_messages_bounds = {
    ngx_live_core_bounds, 10, 10000, "10 to 10000"
};


void
ngx_stream_live_limits_create(ngx_stream_live_limits_t *conf)
{
    conf->handshake_timeout = NGX_CONF_UNSET_MSEC;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->chunk_streams = NGX_CONF_UNSET_UINT;
    conf->amf_size = NGX_CONF_UNSET_SIZE;
    conf->amf_depth = NGX_CONF_UNSET_UINT;
    conf->setup_size = NGX_CONF_UNSET_SIZE;
    conf->setup_messages = NGX_CONF_UNSET_UINT;
}


/* The defaults are those of RTMP-14, RTMP-29, RTMP-50 and RTMP-120. */

void
ngx_stream_live_limits_merge(ngx_stream_live_limits_t *conf,
    ngx_stream_live_limits_t *prev)
{
    ngx_conf_merge_msec_value(conf->handshake_timeout,
                              prev->handshake_timeout, 5000);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              10000);
    ngx_conf_merge_uint_value(conf->chunk_streams, prev->chunk_streams, 64);
    ngx_conf_merge_size_value(conf->amf_size, prev->amf_size, 256 * 1024);
    ngx_conf_merge_uint_value(conf->amf_depth, prev->amf_depth, 16);
    ngx_conf_merge_size_value(conf->setup_size, prev->setup_size, 64 * 1024);
    ngx_conf_merge_uint_value(conf->setup_messages, prev->setup_messages,
                              100);
}


void
ngx_stream_live_limits_set(live_rtmp_conf_t *conf,
    ngx_stream_live_limits_t *limits)
{
    conf->max_csids = limits->chunk_streams;
    conf->max_amf = limits->amf_size;
    conf->amf_depth = limits->amf_depth;
    conf->setup_bytes = limits->setup_size;
    conf->setup_messages = limits->setup_messages;
}
