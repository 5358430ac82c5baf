
/* Metrics in Prometheus' text format, version 0.0.4. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_out.h"
#include "ngx_http_live_play.h"
#include "ngx_http_live_metrics.h"
#include "ngx_live_stat.h"


#define NGX_HTTP_LIVE_METRICS_STREAMS  100

/* of a stream or a track: names in which each byte may be escaped */
#define NGX_HTTP_LIVE_METRICS_LABELS   512


typedef enum {
    ngx_http_live_metric_zone = 0,
    ngx_http_live_metric_stream,
    ngx_http_live_metric_objects,
    ngx_http_live_metric_classes,
    ngx_http_live_metric_track,
    ngx_http_live_metric_hist
} ngx_http_live_metric_scope_e;


typedef struct {
    ngx_http_live_metric_scope_e   scope;
    const char                    *name;
    const char                    *type;
    const char                    *help;
    size_t                         offset;      /* of the field */
    uint64_t                       unit;
} ngx_http_live_metric_t;


/* A stream with its labels as they are printed. */
typedef struct {
    ngx_live_stat_stream_t         stat;
    u_char                         labels[NGX_HTTP_LIVE_METRICS_LABELS];
    u_char                         track[NGX_LIVE_MAX_TRACKS]
                                        [NGX_HTTP_LIVE_METRICS_LABELS + 128];
} ngx_http_live_metrics_stream_t;


typedef struct {
    ngx_http_live_out_t              out;
    ngx_live_stat_zone_t             zone;
    ngx_http_live_metrics_stream_t **streams;
    ngx_uint_t                       n;
} ngx_http_live_metrics_t;


typedef struct {
    ngx_uint_t                       streams;   /* at most; 0: not set */
} ngx_http_live_metrics_loc_conf_t;


static ngx_int_t ngx_http_live_metrics_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_live_metrics_collect(ngx_http_request_t *r,
    ngx_http_live_metrics_t *m, ngx_uint_t most);
static void ngx_http_live_metrics_labels(ngx_http_live_metrics_stream_t *s);
static u_char *ngx_http_live_metrics_escape(u_char *p, u_char *last,
    u_char *data, size_t len);
static void ngx_http_live_metrics_family(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric);
static void ngx_http_live_metrics_stream(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, ngx_http_live_metrics_stream_t *s);
static void ngx_http_live_metrics_value(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, u_char *labels, void *of);
static void ngx_http_live_metrics_named(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, ngx_http_live_metrics_stream_t *s);
static void ngx_http_live_metrics_histogram(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, u_char *labels,
    ngx_live_histogram_t *h);
static void ngx_http_live_metrics_info(ngx_http_live_metrics_t *m);
static void *ngx_http_live_metrics_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_live_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_live_metrics_commands[] = {

    { ngx_string("live_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_live_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_live_metrics_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_live_metrics_create_loc_conf, /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_live_metrics_module = {
    NGX_MODULE_V1,
    &ngx_http_live_metrics_module_ctx,     /* module context */
    ngx_http_live_metrics_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


#define ngx_http_live_metric_zone_s     ngx_live_stat_zone_t
#define ngx_http_live_metric_stream_s   ngx_live_stat_stream_t
#define ngx_http_live_metric_objects_s  ngx_live_stat_stream_t
#define ngx_http_live_metric_classes_s  ngx_live_stat_stream_t
#define ngx_http_live_metric_track_s    ngx_live_stat_track_t
#define ngx_http_live_metric_hist_s     ngx_live_stat_track_t

#define NGX_HTTP_LIVE_METRIC(scope, name, type, field, unit, help)            \
    { ngx_http_live_metric_ ## scope, #name, #type, help,                     \
      offsetof(ngx_http_live_metric_ ## scope ## _s, field), unit },

static const ngx_http_live_metric_t  ngx_http_live_metric_list[] = {
    NGX_HTTP_LIVE_METRICS(NGX_HTTP_LIVE_METRIC)
};


static ngx_str_t  ngx_http_live_metrics_type =
                         ngx_string("text/plain; version=0.0.4; charset=utf-8");


static ngx_int_t
ngx_http_live_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_uint_t                         i, n;
    ngx_http_live_metrics_t            m;
    ngx_http_live_metrics_loc_conf_t  *mlcf;

    rc = ngx_http_live_out_begin(r);
    if (rc != NGX_OK || r->method == NGX_HTTP_OPTIONS) {
        return rc;
    }

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_live_metrics_module);

    if (ngx_http_live_metrics_collect(r, &m, mlcf->streams) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_live_out_init(&m.out, r->pool);

    n = sizeof(ngx_http_live_metric_list) / sizeof(ngx_http_live_metric_t);

    for (i = 0; i < n; i++) {
        ngx_http_live_metrics_family(&m, &ngx_http_live_metric_list[i]);
    }

    ngx_http_live_metrics_info(&m);

    return ngx_http_live_out_send(r, &m.out, &ngx_http_live_metrics_type);
}


/* The figures of all families are of one moment. */

static ngx_int_t
ngx_http_live_metrics_collect(ngx_http_request_t *r,
    ngx_http_live_metrics_t *m, ngx_uint_t most)
{
    ngx_uint_t                       i;
    ngx_array_t                     *list;
    ngx_live_zone_t                 *zone;
    ngx_live_stat_ref_t             *refs;
    ngx_http_live_metrics_stream_t  *s;

    zone = ngx_live_zone();
    s = NULL;

    ngx_live_stat_zone(zone, &m->zone);

    list = ngx_live_stat_list(zone, NULL, r->pool);
    if (list == NULL) {
        return NGX_ERROR;
    }

    refs = list->elts;
    m->n = 0;

    m->streams = ngx_palloc(r->pool, ngx_max(ngx_min(list->nelts, most), 1)
                                     * sizeof(void *));
    if (m->streams == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < list->nelts && m->n < most; i++) {

        if (s == NULL) {
            s = ngx_palloc(r->pool, sizeof(ngx_http_live_metrics_stream_t));
            if (s == NULL) {
                return NGX_ERROR;
            }
        }

        if (ngx_live_stat_stream(&refs[i], &s->stat) != NGX_OK) {
            continue;
        }

        ngx_http_live_metrics_labels(s);

        m->streams[m->n++] = s;
        s = NULL;
    }

    m->zone.omitted = list->nelts - i;

    return NGX_OK;
}


static void
ngx_http_live_metrics_labels(ngx_http_live_metrics_stream_t *s)
{
    u_char                 *p, *last;
    ngx_uint_t              i;
    ngx_live_stat_track_t  *t;

    p = s->labels;
    last = p + NGX_HTTP_LIVE_METRICS_LABELS;

    p = ngx_slprintf(p, last, "application=\"");
    p = ngx_http_live_metrics_escape(p, last, s->stat.app.data,
                                     s->stat.app.len);

    /* the characters of a stream's name need no escaping */

    ngx_slprintf(p, last, "\",stream=\"%V\"%Z", &s->stat.name);

    for (i = 0; i < s->stat.ntracks; i++) {
        t = &s->stat.tracks[i];
        p = s->track[i];
        last = p + sizeof(s->track[i]);

        p = ngx_slprintf(p, last, "%s,rendition=\"", s->labels);
        p = ngx_http_live_metrics_escape(p, last, t->name,
                                         ngx_strlen(t->name));

        ngx_slprintf(p, last, "\",media=\"%s\"%Z",
                     t->info.media == LIVE_MEDIA_AUDIO ? "audio" : "video");
    }
}


/* Values of labels are UTF-8; what is not becomes a question mark. */

static u_char *
ngx_http_live_metrics_escape(u_char *p, u_char *last, u_char *data,
    size_t len)
{
    u_char  *start, *end;

    end = data + len;

    while (data < end && last - p > 8) {

        start = data;

        if (*data == '\\' || *data == '"') {
            *p++ = '\\';
            *p++ = *data++;

        } else if (*data == '\n') {
            *p++ = '\\';
            *p++ = 'n';
            data++;

        } else if (*data < 0x80) {
            *p++ = *data++;

        } else if (ngx_utf8_decode(&data, end - data) > 0x10ffff) {
            *p++ = '?';
            data = start + 1;

        } else {
            p = ngx_cpymem(p, start, data - start);
        }
    }

    return p;
}


static void
ngx_http_live_metrics_family(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric)
{
    ngx_uint_t  i;

    ngx_http_live_out(&m->out, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
                      metric->help, metric->name, metric->type);

    if (metric->scope == ngx_http_live_metric_zone) {
        ngx_http_live_metrics_value(m, metric, NULL, &m->zone);
        return;
    }

    for (i = 0; i < m->n; i++) {
        ngx_http_live_metrics_stream(m, metric, m->streams[i]);
    }
}


static void
ngx_http_live_metrics_stream(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, ngx_http_live_metrics_stream_t *s)
{
    ngx_uint_t              i;
    ngx_live_stat_track_t  *t;

    switch (metric->scope) {

    case ngx_http_live_metric_stream:
        ngx_http_live_metrics_value(m, metric, s->labels, &s->stat);
        return;

    case ngx_http_live_metric_objects:
    case ngx_http_live_metric_classes:
        ngx_http_live_metrics_named(m, metric, s);
        return;

    default:
        break;
    }

    for (i = 0; i < s->stat.ntracks; i++) {
        t = &s->stat.tracks[i];

        if (metric->scope == ngx_http_live_metric_track) {
            ngx_http_live_metrics_value(m, metric, s->track[i], t);
            continue;
        }

        ngx_http_live_metrics_histogram(m, metric, s->track[i],
                   (ngx_live_histogram_t *) ((u_char *) t + metric->offset));
    }
}


static void
ngx_http_live_metrics_value(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, u_char *labels, void *of)
{
    if (labels) {
        ngx_http_live_out(&m->out, "%s{%s} ", metric->name, labels);

    } else {
        ngx_http_live_out(&m->out, "%s ", metric->name);
    }

    ngx_http_live_out_decimal(&m->out,
                              *(uint64_t *) ((u_char *) of + metric->offset),
                              metric->unit);
    ngx_http_live_out(&m->out, "\n");
}


static void
ngx_http_live_metrics_named(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, ngx_http_live_metrics_stream_t *s)
{
    uint64_t    *counts;
    ngx_str_t   *name;
    ngx_uint_t   i, n, objects;

    objects = (metric->scope == ngx_http_live_metric_objects);
    counts = (uint64_t *) ((u_char *) &s->stat + metric->offset);

    /* what a stream is not found for is of no stream */

    n = objects ? ngx_http_live_time : NGX_HTTP_LIVE_CACHE_CLASSES;

    for (i = 0; i < n; i++) {
        name = objects ? ngx_http_live_kind_name(i)
                       : ngx_http_live_cache_name(i);

        ngx_http_live_out(&m->out, "%s{%s,%s=\"%V\"} %uL\n", metric->name,
                          s->labels, objects ? "object" : "class", name,
                          counts[i]);
    }
}


static void
ngx_http_live_metrics_histogram(ngx_http_live_metrics_t *m,
    const ngx_http_live_metric_t *metric, u_char *labels,
    ngx_live_histogram_t *h)
{
    uint64_t    count;
    ngx_uint_t  i;

    count = 0;

    for (i = 0; i < NGX_LIVE_STAT_BOUNDS; i++) {
        count += h->count[i];

        ngx_http_live_out(&m->out, "%s_bucket{%s,le=\"%uL.%03uL\"} %uL\n",
                          metric->name, labels,
                          ngx_live_stat_bounds[i] / 1000000,
                          ngx_live_stat_bounds[i] / 1000 % 1000, count);
    }

    count += h->count[i];

    ngx_http_live_out(&m->out, "%s_bucket{%s,le=\"+Inf\"} %uL\n"
                      "%s_sum{%s} %uL.%06uL\n", metric->name, labels, count,
                      metric->name, labels, h->sum / 1000000,
                      h->sum % 1000000);
    ngx_http_live_out(&m->out, "%s_count{%s} %uL\n", metric->name, labels,
                      count);
}


/* What changes seldom is in labels, to be joined with the others. */

static void
ngx_http_live_metrics_info(ngx_http_live_metrics_t *m)
{
    ngx_uint_t                       i, n;
    ngx_live_stat_track_t           *t;
    ngx_http_live_metrics_stream_t  *s;

    ngx_http_live_out(&m->out,
                      "# HELP live_track_info Codec and size, always 1.\n"
                      "# TYPE live_track_info gauge\n");

    for (i = 0; i < m->n; i++) {
        s = m->streams[i];

        for (n = 0; n < s->stat.ntracks; n++) {
            t = &s->stat.tracks[n];

            ngx_http_live_out(&m->out, "live_track_info{%s,codec=\"%s\","
                              "width=\"%uD\",height=\"%uD\","
                              "sample_rate=\"%uD\",channels=\"%uD\"} 1\n",
                              s->track[n], t->info.codecs, t->info.width,
                              t->info.height, t->info.sample_rate,
                              t->info.channels);
        }
    }
}


static void *
ngx_http_live_metrics_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_live_metrics_loc_conf_t));
}


static char *
ngx_http_live_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_metrics_loc_conf_t *mlcf = conf;

    ngx_int_t                  n;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (mlcf->streams) {
        return "is duplicate";
    }

    value = cf->args->elts;
    mlcf->streams = NGX_HTTP_LIVE_METRICS_STREAMS;

    if (cf->args->nelts == 2) {

        n = ngx_strncmp(value[1].data, "streams=", 8) == 0
            ? ngx_atoi(value[1].data + 8, value[1].len - 8) : NGX_ERROR;

        if (n < 1 || n > 10000) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"live_metrics\", "
                               "it has streams=1 to streams=10000",
                               &value[1]);
            return NGX_CONF_ERROR;
        }

        mlcf->streams = n;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_live_metrics_handler;

    return ngx_live_add_reference(cf, NULL) == NGX_OK ? NGX_CONF_OK
                                                      : NGX_CONF_ERROR;
}
