
/*
 * live_status in the shape of nginx-rtmp's stat, whose elements and units
 * scripts rely on: bits per second, milliseconds.  What it has no word for is
 * left out.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_status.h"


static ngx_int_t ngx_http_live_status_app(ngx_http_live_status_t *status,
    ngx_str_t *name);
static void ngx_http_live_status_xml_stream(ngx_http_live_status_t *status);
static void ngx_http_live_status_client(ngx_http_live_status_t *status);
static void ngx_http_live_status_meta(ngx_http_live_out_t *out,
    ngx_live_stat_track_t *video, ngx_live_stat_track_t *audio);
static void ngx_http_live_status_video(ngx_http_live_out_t *out,
    ngx_live_stat_track_t *t);
static void ngx_http_live_status_audio(ngx_http_live_out_t *out,
    ngx_live_stat_track_t *t);
static const char *ngx_http_live_status_profile(ngx_uint_t idc);


ngx_int_t
ngx_http_live_status_xml(ngx_http_live_status_t *status)
{
    ngx_uint_t             i;
    ngx_live_conf_t       *lcf;
    ngx_http_live_out_t   *out;
    ngx_live_app_conf_t  **app;
    ngx_live_stat_zone_t  *z;

    out = &status->out;
    z = &status->zone;

    ngx_http_live_out(out, "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"
                      "<rtmp>\n<nginx_version>%s</nginx_version>\n"
                      "<pid>%P</pid>\n<uptime>%uL</uptime>\n"
                      "<naccepted>%uL</naccepted>\n", NGINX_VERSION, ngx_pid,
                      z->uptime / 1000, z->total.publications);

    ngx_http_live_out(out, "<bytes_in>%uL</bytes_in>\n"
                      "<bytes_out>%uL</bytes_out>\n<server>\n",
                      z->total.received, z->total.requests.sent);

    lcf = (ngx_live_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_live_module);
    app = lcf->applications.elts;

    for (i = 0; i < lcf->applications.nelts; i++) {
        if (ngx_http_live_status_app(status, &app[i]->name) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_http_live_out(out, "</server>\n</rtmp>\n");

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_status_app(ngx_http_live_status_t *status, ngx_str_t *name)
{
    ngx_uint_t            i, clients;
    ngx_array_t          *list;
    ngx_live_stat_ref_t  *refs;
    ngx_http_live_out_t  *out;

    out = &status->out;
    clients = 0;

    list = ngx_live_stat_list(ngx_live_zone(), name, status->pool);
    if (list == NULL) {
        return NGX_ERROR;
    }

    refs = list->elts;

    ngx_http_live_out(out, "<application>\n<name>");
    ngx_http_live_out_xml(out, name);
    ngx_http_live_out(out, "</name>\n<live>\n");

    for (i = 0; i < list->nelts && !refs[i].ended; i++) {

        if (ngx_live_stat_stream(&refs[i], &status->s) == NGX_OK) {
            ngx_http_live_status_xml_stream(status);
            clients += status->s.live + status->s.stat.viewers;
        }
    }

    ngx_http_live_out(out, "<nclients>%ui</nclients>\n</live>\n"
                      "</application>\n", clients);

    return NGX_OK;
}


static void
ngx_http_live_status_xml_stream(ngx_http_live_status_t *status)
{
    ngx_uint_t               i;
    ngx_http_live_out_t     *out;
    ngx_live_stat_track_t   *t, *tracks[2];
    ngx_live_stat_stream_t  *s;

    s = &status->s;
    out = &status->out;

    tracks[0] = NULL;
    tracks[1] = NULL;

    /* what the publisher sends */

    for (i = 0; i < s->ntracks; i++) {
        t = &s->tracks[i];

        if (!t->rung && tracks[t->info.media] == NULL) {
            tracks[t->info.media] = t;
        }
    }

    ngx_http_live_out(out, "<stream>\n<name>%V</name>\n<time>%uL</time>"
                      "<bw_in>%uL</bw_in>\n<bytes_in>%uL</bytes_in>\n"
                      "<bw_out>%uL</bw_out>\n<bytes_out>%uL</bytes_out>\n",
                      &s->name, s->uptime, s->stat.in.rate10, s->bytes_in,
                      s->stat.out.rate10, s->requests.sent);

    ngx_http_live_out(out, "<bw_audio>%uL</bw_audio>\n"
                      "<bw_video>%uL</bw_video>\n",
                      tracks[LIVE_MEDIA_AUDIO]
                      ? tracks[LIVE_MEDIA_AUDIO]->stat.rate.rate10 : 0,
                      tracks[LIVE_MEDIA_VIDEO]
                      ? tracks[LIVE_MEDIA_VIDEO]->stat.rate.rate10 : 0);

    if (s->live) {
        ngx_http_live_status_client(status);
    }

    if (tracks[LIVE_MEDIA_VIDEO] || tracks[LIVE_MEDIA_AUDIO]) {
        ngx_http_live_status_meta(out, tracks[LIVE_MEDIA_VIDEO],
                                  tracks[LIVE_MEDIA_AUDIO]);
    }

    ngx_http_live_out(out, "<nclients>%uL</nclients>\n%s</stream>\n",
                      s->live + s->stat.viewers,
                      s->live ? "<publishing/>\n<active/>\n" : "");
}


static void
ngx_http_live_status_client(ngx_http_live_status_t *status)
{
    ngx_str_t                text;
    ngx_http_live_out_t     *out;
    ngx_live_stat_stream_t  *s;

    s = &status->s;
    out = &status->out;

    text.data = (u_char *) s->stat.peer;
    text.len = ngx_strlen(s->stat.peer);

    ngx_http_live_out(out, "<client><id>%uL</id><address>", s->id);
    ngx_http_live_out_xml(out, &text);
    ngx_http_live_out(out, "</address><time>%uL</time>"
                      "<dropped>%uL</dropped>"
                      "<publishing/><active/></client>\n",
                      s->uptime, s->dropped);
}


static void
ngx_http_live_status_meta(ngx_http_live_out_t *out,
    ngx_live_stat_track_t *video, ngx_live_stat_track_t *audio)
{
    ngx_http_live_out(out, "<meta>");

    if (video) {
        ngx_http_live_status_video(out, video);
    }

    if (audio) {
        ngx_http_live_status_audio(out, audio);
    }

    ngx_http_live_out(out, "</meta>\n");
}


/* "avc1.64001f": profile, its constraints, ten times the level. */

static void
ngx_http_live_status_video(ngx_http_live_out_t *out, ngx_live_stat_track_t *t)
{
    uint64_t    fps;
    u_char     *p;
    ngx_int_t   profile, compat, level;

    fps = t->mhz ? t->mhz : t->stat.rate.mhz;
    p = (u_char *) t->info.codecs;

    ngx_http_live_out(out, "<video><width>%uD</width><height>%uD</height>"
                      "<frame_rate>", t->info.width, t->info.height);

    /* a whole number where it is one, as there */
    ngx_http_live_out_decimal(out, fps % 1000 ? fps : fps / 1000,
                              fps % 1000 ? 1000 : 1);
    ngx_http_live_out(out, "</frame_rate>");

    if (t->info.codec == LIVE_CODEC_H264 && ngx_strlen(p) == 11) {
        profile = ngx_hextoi(p + 5, 2);
        compat = ngx_hextoi(p + 7, 2);
        level = ngx_hextoi(p + 9, 2);

        ngx_http_live_out(out, "<codec>H264</codec><profile>%s</profile>"
                          "<compat>%i</compat><level>%i.%i</level>",
                          ngx_http_live_status_profile(profile), compat,
                          level / 10, level % 10);

    } else {
        ngx_http_live_out(out, "<codec>%s</codec>", p);
    }

    ngx_http_live_out(out, "</video>");
}


static const char *
ngx_http_live_status_profile(ngx_uint_t idc)
{
    switch (idc) {

    case 66:
        return "Baseline";

    case 77:
        return "Main";

    case 88:
        return "Extended";

    case 100:
        return "High";

    case 110:
        return "High 10";

    case 122:
        return "High 4:2:2";

    default:
        return "High 4:4:4 Predictive";
    }
}


static void
ngx_http_live_status_audio(ngx_http_live_out_t *out, ngx_live_stat_track_t *t)
{
    ngx_int_t           type;
    u_char             *p;
    static const char  *profiles[] = { "", "Main", "LC", "SSR", "LTP", "SBR" };

    p = (u_char *) t->info.codecs;
    type = 0;

    /* "mp4a.40.2" */

    if (t->info.codec == LIVE_CODEC_AAC && ngx_strncmp(p, "mp4a.40.", 8) == 0)
    {
        type = ngx_atoi(p + 8, ngx_strlen(p + 8));
        p = (u_char *) "AAC";
    }

    ngx_http_live_out(out, "<audio><codec>%s</codec>", p);

    if (type >= 1 && type <= 5) {
        ngx_http_live_out(out, "<profile>%s</profile>", profiles[type]);
    }

    ngx_http_live_out(out, "<channels>%uD</channels>"
                      "<sample_rate>%uD</sample_rate></audio>",
                      t->info.channels, t->info.sample_rate);
}
