
/* live_status as JSON. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_status.h"
#include "ngx_http_live_play.h"


/* A number: field / unit, a power of ten. */
typedef struct {
    const char  *key;
    size_t       offset;
    uint64_t     unit;
} ngx_http_live_status_field_t;


static void ngx_http_live_status_fields(ngx_http_live_out_t *out,
    const ngx_http_live_status_field_t *f, void *of);
static void ngx_http_live_status_stream(ngx_http_live_status_t *status);
static void ngx_http_live_status_requests(ngx_http_live_status_t *status);
static void ngx_http_live_status_track(ngx_http_live_out_t *out,
    ngx_live_stat_track_t *t);
static void ngx_http_live_status_string(ngx_http_live_out_t *out,
    const char *key, u_char *data, size_t len);


#define ngx_http_live_zone_field(key, field, unit)                            \
    { key, offsetof(ngx_live_stat_zone_t, field), unit }

static const ngx_http_live_status_field_t  ngx_http_live_status_zone[] = {
    ngx_http_live_zone_field("uptime", uptime, 1000),
    ngx_http_live_zone_field("streams", streams, 1),
    ngx_http_live_zone_field("active_streams", live, 1),
    ngx_http_live_zone_field("transcoding", rungs, 1),
    ngx_http_live_zone_field("workers", workers, 1),
    ngx_http_live_zone_field("cpu_percent", busy, 100),
    ngx_http_live_zone_field("memory_bytes", memory, 1),
    ngx_http_live_zone_field("held_requests", held, 1),
    ngx_http_live_zone_field("media_bytes", media, 1),
    ngx_http_live_zone_field("media_free_bytes", media_free, 1),
    ngx_http_live_zone_field("index_bytes", index, 1),
    ngx_http_live_zone_field("index_free_bytes", index_free, 1),
    ngx_http_live_zone_field("evicted_bytes", total.evicted, 1),
    ngx_http_live_zone_field("publications", total.publications, 1),
    ngx_http_live_zone_field("received_bytes", total.received, 1),
    ngx_http_live_zone_field("sent_bytes", total.requests.sent, 1),
    { NULL, 0, 0 }
};


#define ngx_http_live_stream_field(key, field, unit)                          \
    { key, offsetof(ngx_live_stat_stream_t, field), unit }

static const ngx_http_live_status_field_t  ngx_http_live_status_numbers[] = {
    ngx_http_live_stream_field("uptime", uptime, 1000),
    ngx_http_live_stream_field("idle", idle, 1000),
    ngx_http_live_stream_field("publications", stat.publications, 1),
    ngx_http_live_stream_field("received_bytes", stat.received, 1),
    ngx_http_live_stream_field("publication_bytes", bytes_in, 1),
    ngx_http_live_stream_field("bitrate", stat.in.rate, 1),
    ngx_http_live_stream_field("average_bitrate", stat.in.rate10, 1),
    ngx_http_live_stream_field("sent_bytes", requests.sent, 1),
    ngx_http_live_stream_field("sent_bitrate", stat.out.rate10, 1),
    ngx_http_live_stream_field("dropped_frames", dropped, 1),
    ngx_http_live_stream_field("discontinuities", stat.discontinuities, 1),
    ngx_http_live_stream_field("viewers", stat.viewers, 1),
    ngx_http_live_stream_field("memory_bytes", memory, 1),
    ngx_http_live_stream_field("segment", segment, 1000),
    ngx_http_live_stream_field("part_target", part_target, 1000),
    ngx_http_live_stream_field("target_duration", target_duration, 1000),
    { NULL, 0, 0 }
};

static const ngx_http_live_status_field_t  ngx_http_live_status_coder[] = {
    ngx_http_live_stream_field("renditions", rungs, 1),
    ngx_http_live_stream_field("shed_level", shed, 1),
    ngx_http_live_stream_field("lag", lag, 1000),
    ngx_http_live_stream_field("queue_bytes", queued, 1),
    ngx_http_live_stream_field("skipped_frames", skipped, 1),
    { NULL, 0, 0 }
};


#define ngx_http_live_track_field(key, field, unit)                           \
    { key, offsetof(ngx_live_stat_track_t, field), unit }

static const ngx_http_live_status_field_t  ngx_http_live_status_track_f[] = {
    ngx_http_live_track_field("frames", stat.frames, 1),
    ngx_http_live_track_field("key_frames", stat.keys, 1),
    ngx_http_live_track_field("bytes", stat.octets, 1),
    ngx_http_live_track_field("parts", stat.parts, 1),
    ngx_http_live_track_field("segments", stat.segments, 1),
    ngx_http_live_track_field("gaps", stat.gaps, 1),
    ngx_http_live_track_field("sequence", msn, 1),
    ngx_http_live_track_field("bitrate", stat.rate.rate, 1),
    ngx_http_live_track_field("average_bitrate", stat.rate.rate10, 1),
    ngx_http_live_track_field("peak_bitrate", bandwidth, 1),
    ngx_http_live_track_field("frame_rate", stat.rate.mhz, 1000),
    ngx_http_live_track_field("nominal_frame_rate", mhz, 1000),
    ngx_http_live_track_field("key_frame_interval", stat.key, 1000000),
    ngx_http_live_track_field("key_frame_interval_max", stat.key_max,
                              1000000),
    ngx_http_live_track_field("segment_duration", stat.segment, 1000000),
    ngx_http_live_track_field("segment_duration_max", stat.segment_max,
                              1000000),
    ngx_http_live_track_field("part_duration", stat.part, 1000000),
    ngx_http_live_track_field("part_duration_max", stat.part_max, 1000000),
    ngx_http_live_track_field("lateness", stat.late, 1000000),
    ngx_http_live_track_field("memory_bytes", memory, 1),
    { NULL, 0, 0 }
};


ngx_int_t
ngx_http_live_status_json(ngx_http_live_status_t *status)
{
    ngx_uint_t            i, n;
    ngx_array_t          *list;
    ngx_live_zone_t      *zone;
    ngx_live_stat_ref_t  *refs;
    ngx_http_live_out_t  *out;

    zone = ngx_live_zone();
    out = &status->out;

    list = ngx_live_stat_list(zone, NULL, status->pool);
    if (list == NULL) {
        return NGX_ERROR;
    }

    refs = list->elts;

    ngx_http_live_out(out, "{\"server\":{\"nginx_version\":\"%s\",\"pid\":%P",
                      NGINX_VERSION, ngx_pid);
    ngx_http_live_status_fields(out, ngx_http_live_status_zone,
                                &status->zone);
    ngx_http_live_out(out, "},%s\"streams\":[", status->line);

    for (i = 0, n = 0; i < list->nelts; i++) {

        if (ngx_live_stat_stream(&refs[i], &status->s) != NGX_OK) {
            continue;
        }

        ngx_http_live_out(out, "%s%s", n++ ? "," : "", status->line);
        ngx_http_live_status_stream(status);
    }

    ngx_http_live_out(out, "]}\n");

    return NGX_OK;
}


static void
ngx_http_live_status_fields(ngx_http_live_out_t *out,
    const ngx_http_live_status_field_t *f, void *of)
{
    for ( /* void */ ; f->key; f++) {
        ngx_http_live_out(out, ",\"%s\":", f->key);
        ngx_http_live_out_decimal(out,
                                  *(uint64_t *) ((u_char *) of + f->offset),
                                  f->unit);
    }
}


static void
ngx_http_live_status_stream(ngx_http_live_status_t *status)
{
    u_char                  *peer;
    ngx_uint_t               i;
    ngx_http_live_out_t     *out;
    ngx_live_stat_stream_t  *s;
    static const char       *states[] = { "free", "live", "away", "ended" };

    s = &status->s;
    out = &status->out;

    ngx_http_live_out(out, "{");
    ngx_http_live_status_string(out, "application", s->app.data, s->app.len);
    ngx_http_live_out(out, ",");
    ngx_http_live_status_string(out, "name", s->name.data, s->name.len);
    ngx_http_live_out(out, ",\"state\":\"%s\",\"epoch\":\"%s\"",
                      states[s->state & 3], s->epoch);

    ngx_http_live_status_fields(out, ngx_http_live_status_numbers, s);

    if (s->live) {
        peer = (u_char *) s->stat.peer;

        ngx_http_live_out(out, ",\"publisher\":{");
        ngx_http_live_status_string(out, "address", peer, ngx_strlen(peer));
        ngx_http_live_out(out, ",\"rtt\":");
        ngx_http_live_out_decimal(out, s->stat.rtt, 1000000);
        ngx_http_live_out(out, ",\"standby\":%s}",
                          s->standby ? "true" : "false");
    }

    ngx_http_live_out(out, ",\"slate\":%s", s->slate ? "true" : "false");

    ngx_http_live_out(out, ",\"transcoder\":{\"active\":%s",
                      s->rungs ? "true" : "false");
    ngx_http_live_status_fields(out, ngx_http_live_status_coder, s);
    ngx_http_live_out(out, "}");

    ngx_http_live_status_requests(status);

    ngx_http_live_out(out, ",\"tracks\":[");

    for (i = 0; i < s->ntracks; i++) {
        ngx_http_live_out(out, "%s%s ", i ? "," : "", status->line);
        ngx_http_live_status_track(out, &s->tracks[i]);
    }

    ngx_http_live_out(out, "]}");
}


static void
ngx_http_live_status_requests(ngx_http_live_status_t *status)
{
    ngx_uint_t                i;
    ngx_http_live_out_t      *out;
    ngx_live_request_stat_t  *rs;

    out = &status->out;
    rs = &status->s.requests;

    ngx_http_live_out(out, ",\"blocked\":{\"requests\":%uL,\"seconds\":",
                      rs->blocked);
    ngx_http_live_out_decimal(out, rs->blocked_ms, 1000);
    ngx_http_live_out(out, "},\"requests\":{");

    for (i = 0; i < ngx_http_live_time; i++) {
        ngx_http_live_out(out, "%s\"%V\":%uL", i ? "," : "",
                          ngx_http_live_kind_name(i), rs->objects[i]);
    }

    ngx_http_live_out(out, "},\"responses\":{");

    for (i = 0; i < NGX_HTTP_LIVE_CACHE_CLASSES; i++) {
        ngx_http_live_out(out, "%s\"%V\":%uL", i ? "," : "",
                          ngx_http_live_cache_name(i), rs->classes[i]);
    }

    ngx_http_live_out(out, "}");
}


static void
ngx_http_live_status_track(ngx_http_live_out_t *out, ngx_live_stat_track_t *t)
{
    ngx_http_live_out(out, "{");
    ngx_http_live_status_string(out, "rendition", t->name,
                                ngx_strlen(t->name));

    ngx_http_live_out(out, ",\"codec\":\"%s\",\"running\":%s,"
                      "\"transcoded\":%s,\"listed\":%s,\"paused\":%s",
                      t->info.codecs, t->running ? "true" : "false",
                      t->rung ? "true" : "false",
                      t->shown ? "true" : "false",
                      t->paused ? "true" : "false");

    if (t->info.media == LIVE_MEDIA_AUDIO) {
        ngx_http_live_out(out, ",\"media\":\"audio\",\"sample_rate\":%uD,"
                          "\"channels\":%uD", t->info.sample_rate,
                          t->info.channels);

    } else {
        ngx_http_live_out(out, ",\"media\":\"video\",\"width\":%uD,"
                          "\"height\":%uD", t->info.width, t->info.height);
    }

    ngx_http_live_status_fields(out, ngx_http_live_status_track_f, t);
    ngx_http_live_out(out, "}");
}


static void
ngx_http_live_status_string(ngx_http_live_out_t *out, const char *key,
    u_char *data, size_t len)
{
    ngx_str_t  text;

    text.data = data;
    text.len = len;

    ngx_http_live_out(out, "\"%s\":\"", key);
    ngx_http_live_out_json(out, &text);
    ngx_http_live_out(out, "\"");
}
