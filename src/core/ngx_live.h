
/*
 * The live{} block: settings of applications, and what the protocol modules
 * need of them.  Event loop only.
 */

#ifndef _NGX_LIVE_H_INCLUDED_
#define _NGX_LIVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_LIVE_MODULE      0x4556494c      /* "LIVE" */

#define NGX_LIVE_MAIN_CONF   0x02000000
#define NGX_LIVE_APP_CONF    0x04000000


#define NGX_LIVE_TRANSCODE_ON_DEMAND  0
#define NGX_LIVE_TRANSCODE_ALWAYS     1

/* what becomes of the publisher of a stream when another one comes */
#define NGX_LIVE_CONFLICT_REFUSE    0       /* it stays */
#define NGX_LIVE_CONFLICT_TAKEOVER  1       /* it goes */
#define NGX_LIVE_CONFLICT_STALLED   2       /* it goes when it is silent */


typedef struct ngx_live_zone_s  ngx_live_zone_t;


/* Settings of an application; those of live{} are the defaults of all. */
typedef struct {
    ngx_str_t               name;

    ngx_msec_t              segment;
    ngx_msec_t              segment_max;    /* multiple of a second */
    ngx_msec_t              part;           /* 0: no low latency */
    ngx_msec_t              window;
    ngx_uint_t              window_segments;    /* it is made of; or 0 */
    ngx_msec_t              resume;
    ngx_msec_t              publish_timeout;
    ngx_msec_t              publish_stall;
    ngx_uint_t              publish_conflict;   /* NGX_LIVE_CONFLICT_* */
    ngx_flag_t              backup;
    size_t                  max_message;
    ngx_str_t               slate;          /* a file; empty: none */

    ngx_array_t            *renditions;     /* of live_rung_t, or NULL */
    ngx_uint_t              copy;           /* "source copy", or no rungs */
    ngx_uint_t              transcode;      /* NGX_LIVE_TRANSCODE_* */
    ngx_msec_t              transcode_idle;
    ngx_uint_t              transcode_threads;      /* of a decoder */

    /* 0: no limit */
    ngx_uint_t              max_publications;
    ngx_uint_t              max_per_address;        /* of those */
    uint64_t                max_bitrate;            /* bit/s */
    ngx_msec_t              max_bitrate_window;     /* never 0 */
    ngx_msec_t              max_gop;
    ngx_uint_t              max_transcodes;
    ngx_uint_t              max_transcodes_worker;  /* of all applications */

    u_char                 *file;           /* of the application block */
    ngx_uint_t              line;

    void                  **confs;          /* of all modules of live{} */
} ngx_live_app_conf_t;


typedef struct {
    ngx_array_t             applications;   /* of ngx_live_app_conf_t * */
    ngx_array_t             references;     /* of ngx_live_reference_t */
    ngx_array_t             checks;         /* of ngx_live_check_t */
    ngx_live_app_conf_t    *defaults;
    ngx_live_zone_t        *zone;
    void                  **app_conf;       /* of live{} while it is read */
    unsigned                block:1;        /* there is a live{} */
} ngx_live_conf_t;


/* A directive outside live{} that needs it; checked when all was read. */
typedef struct {
    ngx_str_t               directive;
    ngx_str_t               application;    /* null: none is named */
    ngx_str_t               file;
    ngx_uint_t              line;
} ngx_live_reference_t;


/* What is called, with data, when all was read. */
typedef ngx_int_t (*ngx_live_check_pt)(ngx_cycle_t *cycle, void *data);

typedef struct {
    ngx_live_check_pt       handler;
    void                   *data;
} ngx_live_check_t;


typedef struct {
    void                 *(*create_app_conf)(ngx_conf_t *cf);
    char                 *(*merge_app_conf)(ngx_conf_t *cf, void *prev,
                                            void *conf);
} ngx_live_module_t;


/*
 * Remembers that the directive being read needs live{}, and the application
 * when one is named; blocks may come in any order, so that a wrong name is
 * reported, with file and line, after the whole configuration was read.
 */
ngx_int_t ngx_live_add_reference(ngx_conf_t *cf, ngx_str_t *application);

/* The handler is called when the whole configuration was read; it logs its
 * errors. */
ngx_int_t ngx_live_add_check(ngx_conf_t *cf, ngx_live_check_pt handler,
    void *data);

/* The application of the running configuration, NULL when there is none. */
ngx_live_app_conf_t *ngx_live_application(ngx_str_t *name);

/* The zone of the running configuration; NULL without live{}. */
ngx_live_zone_t *ngx_live_zone(void);


extern ngx_module_t  ngx_live_module;
extern ngx_module_t  ngx_live_core_module;


#endif /* _NGX_LIVE_H_INCLUDED_ */
