
/*
 * The live{} block as a module of nginx's core, and the checks that need the
 * whole configuration.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live.h"
#include "ngx_live_zone.h"
#include "ngx_live_upkeep.h"
#include "ngx_live_notify.h"
#include "ngx_live_make.h"
#include "ngx_live_slate.h"
#include "ngx_live_stat.h"
#include "ngx_live_callback.h"


static void *ngx_live_create_conf(ngx_cycle_t *cycle);
static char *ngx_live_init_conf(ngx_cycle_t *cycle, void *conf);
static ngx_int_t ngx_live_check_workers(ngx_cycle_t *cycle,
    ngx_live_conf_t *old);
static ngx_int_t ngx_live_check_references(ngx_cycle_t *cycle,
    ngx_live_conf_t *lcf);
static char *ngx_live_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static void **ngx_live_create_app_confs(ngx_conf_t *cf);
static ngx_int_t ngx_live_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_live_init_process(ngx_cycle_t *cycle);
static void ngx_live_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_live_commands[] = {

    { ngx_string("live"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_BLOCK|NGX_CONF_NOARGS,
      ngx_live_block,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_live_module_ctx = {
    ngx_string("live"),
    ngx_live_create_conf,
    ngx_live_init_conf
};


ngx_module_t  ngx_live_module = {
    NGX_MODULE_V1,
    &ngx_live_module_ctx,                  /* module context */
    ngx_live_commands,                     /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_live_init_module,                  /* init module */
    ngx_live_init_process,                 /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_live_exit_process,                 /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_live_create_conf(ngx_cycle_t *cycle)
{
    ngx_live_conf_t  *lcf;

    lcf = ngx_pcalloc(cycle->pool, sizeof(ngx_live_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&lcf->applications, cycle->pool, 4,
                       sizeof(ngx_live_app_conf_t *))
        != NGX_OK
        || ngx_array_init(&lcf->references, cycle->pool, 4,
                          sizeof(ngx_live_reference_t))
           != NGX_OK
        || ngx_array_init(&lcf->checks, cycle->pool, 4,
                          sizeof(ngx_live_check_t))
           != NGX_OK)
    {
        return NULL;
    }

    return lcf;
}


static char *
ngx_live_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_live_conf_t *lcf = conf;

    ngx_uint_t         i;
    ngx_live_conf_t   *old;
    ngx_live_check_t  *check;

    if (ngx_live_check_references(cycle, lcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    check = lcf->checks.elts;

    for (i = 0; i < lcf->checks.nelts; i++) {
        if (check[i].handler(cycle, check[i].data) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (!lcf->block) {
        return NGX_CONF_OK;
    }

    old = ngx_is_init_cycle(cycle->old_cycle)
          ? NULL
          : (ngx_live_conf_t *) ngx_get_conf(cycle->old_cycle->conf_ctx,
                                             ngx_live_module);

    if (ngx_live_check_workers(cycle, old) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* nginx would make a new zone, and all streams would be gone from it */

    if (old && old->block && old->zone->size != lcf->zone->size) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"zone\" cannot change from %uz to %uz bytes while "
                      "nginx runs, restart it instead",
                      old->zone->size, lcf->zone->size);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * A worker that finds no place ends, and nginx does not try again: better no
 * new configuration than one without workers.
 */

static ngx_int_t
ngx_live_check_workers(ngx_cycle_t *cycle, ngx_live_conf_t *old)
{
    ngx_uint_t        running;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    running = (old && old->block) ? ngx_live_zone_workers(old->zone) : 0;

    if (running + ccf->worker_processes <= NGX_LIVE_MAX_WORKERS) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "\"worker_processes\" cannot be %i: a live zone has places "
                  "for %d workers, of which %ui are taken",
                  ccf->worker_processes, NGX_LIVE_MAX_WORKERS, running);

    return NGX_ERROR;
}


static ngx_int_t
ngx_live_check_references(ngx_cycle_t *cycle, ngx_live_conf_t *lcf)
{
    ngx_uint_t             i, n;
    ngx_live_app_conf_t  **app;
    ngx_live_reference_t  *ref;

    ref = lcf->references.elts;
    app = lcf->applications.elts;

    for (i = 0; i < lcf->references.nelts; i++) {

        if (!lcf->block) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"%V\" needs a \"live\" block in %V:%ui",
                          &ref[i].directive, &ref[i].file, ref[i].line);
            return NGX_ERROR;
        }

        if (ref[i].application.data == NULL) {
            continue;
        }

        for (n = 0; n < lcf->applications.nelts; n++) {
            if (app[n]->name.len == ref[i].application.len
                && ngx_strncmp(app[n]->name.data, ref[i].application.data,
                               app[n]->name.len)
                   == 0)
            {
                break;
            }
        }

        if (n == lcf->applications.nelts) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"%V\" names the unknown application \"%V\" "
                          "in %V:%ui", &ref[i].directive,
                          &ref[i].application, &ref[i].file, ref[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static char *
ngx_live_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_conf_t *lcf = conf;

    char        *rv;
    void       **ctx[2];
    ngx_conf_t   pcf;

    if (lcf->block) {
        return "is duplicate";
    }

    lcf->block = 1;

    (void) ngx_count_modules(cf->cycle, NGX_LIVE_MODULE);

    lcf->zone = ngx_pcalloc(cf->pool, sizeof(ngx_live_zone_t));
    if (lcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    lcf->app_conf = ngx_live_create_app_confs(cf);
    if (lcf->app_conf == NULL) {
        return NGX_CONF_ERROR;
    }

    lcf->defaults = lcf->app_conf[ngx_live_core_module.ctx_index];

    /* directives of live{} find their settings at offset 0 of the context */
    ctx[0] = lcf->app_conf;
    ctx[1] = NULL;

    pcf = *cf;
    cf->ctx = ctx;
    cf->module_type = NGX_LIVE_MODULE;
    cf->cmd_type = NGX_LIVE_MAIN_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = pcf;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (lcf->zone->size == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"zone\" is set in the \"live\" block");
        return NGX_CONF_ERROR;
    }

    if (ngx_live_make_init_conf(cf, lcf->app_conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void **
ngx_live_create_app_confs(ngx_conf_t *cf)
{
    void               **confs;
    ngx_uint_t           i, n;
    ngx_module_t       **modules;
    ngx_live_module_t   *module;

    modules = cf->cycle->modules;

    for (n = 0, i = 0; modules[i]; i++) {
        if (modules[i]->type == NGX_LIVE_MODULE) {
            n++;
        }
    }

    confs = ngx_pcalloc(cf->pool, n * sizeof(void *));
    if (confs == NULL) {
        return NULL;
    }

    for (i = 0; modules[i]; i++) {

        if (modules[i]->type != NGX_LIVE_MODULE) {
            continue;
        }

        module = modules[i]->ctx;

        confs[modules[i]->ctx_index] = module->create_app_conf(cf);
        if (confs[modules[i]->ctx_index] == NULL) {
            return NULL;
        }
    }

    return confs;
}


char *
ngx_live_application_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                  *rv;
    void                 **ctx[2];
    ngx_str_t             *value;
    ngx_uint_t             i;
    ngx_conf_t             pcf;
    ngx_live_conf_t       *lcf;
    ngx_live_module_t     *module;
    ngx_live_app_conf_t   *acf, **app;

    value = cf->args->elts;

    lcf = (ngx_live_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_live_module);

    if (value[1].len == 0 || value[1].len > NGX_LIVE_MAX_APP) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the name of an application has 1 to %d "
                           "characters", NGX_LIVE_MAX_APP);
        return NGX_CONF_ERROR;
    }

    app = lcf->applications.elts;

    for (i = 0; i < lcf->applications.nelts; i++) {
        if (app[i]->name.len == value[1].len
            && ngx_strncmp(app[i]->name.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate application \"%V\", the first is "
                               "in %s:%ui", &value[1], app[i]->file,
                               app[i]->line);
            return NGX_CONF_ERROR;
        }
    }

    ctx[0] = ngx_live_create_app_confs(cf);
    if (ctx[0] == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx[1] = NULL;

    acf = ctx[0][ngx_live_core_module.ctx_index];
    acf->name = value[1];
    acf->file = cf->conf_file->file.name.data;
    acf->line = cf->conf_file->line;
    acf->confs = ctx[0];

    app = ngx_array_push(&lcf->applications);
    if (app == NULL) {
        return NGX_CONF_ERROR;
    }

    *app = acf;

    pcf = *cf;
    cf->ctx = ctx;
    cf->cmd_type = NGX_LIVE_APP_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = pcf;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 0; cf->cycle->modules[i]; i++) {

        if (cf->cycle->modules[i]->type != NGX_LIVE_MODULE) {
            continue;
        }

        module = cf->cycle->modules[i]->ctx;

        rv = module->merge_app_conf(cf,
                          lcf->app_conf[cf->cycle->modules[i]->ctx_index],
                          ctx[0][cf->cycle->modules[i]->ctx_index]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_live_add_reference(ngx_conf_t *cf, ngx_str_t *application)
{
    ngx_str_t             *value;
    ngx_live_conf_t       *lcf;
    ngx_live_reference_t  *ref;

    lcf = (ngx_live_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_live_module);

    ref = ngx_array_push(&lcf->references);
    if (ref == NULL) {
        return NGX_ERROR;
    }

    value = cf->args->elts;

    ref->directive = value[0];
    ref->file = cf->conf_file->file.name;
    ref->line = cf->conf_file->line;

    if (application) {
        ref->application = *application;

    } else {
        ngx_str_null(&ref->application);
    }

    return NGX_OK;
}


ngx_int_t
ngx_live_add_check(ngx_conf_t *cf, ngx_live_check_pt handler, void *data)
{
    ngx_live_conf_t   *lcf;
    ngx_live_check_t  *check;

    lcf = (ngx_live_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_live_module);

    check = ngx_array_push(&lcf->checks);
    if (check == NULL) {
        return NGX_ERROR;
    }

    check->handler = handler;
    check->data = data;

    return NGX_OK;
}


ngx_live_app_conf_t *
ngx_live_application(ngx_str_t *name)
{
    ngx_uint_t             i;
    ngx_live_conf_t       *lcf;
    ngx_live_app_conf_t  **app;

    lcf = (ngx_live_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_live_module);

    app = lcf->applications.elts;

    for (i = 0; i < lcf->applications.nelts; i++) {
        if (app[i]->name.len == name->len
            && ngx_memcmp(app[i]->name.data, name->data, name->len) == 0)
        {
            return app[i];
        }
    }

    return NULL;
}


ngx_live_zone_t *
ngx_live_zone(void)
{
    ngx_live_conf_t  *lcf;

    lcf = (ngx_live_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_live_module);

    return lcf->zone;
}


/* The configuration is in effect from here on. */

static ngx_int_t
ngx_live_init_module(ngx_cycle_t *cycle)
{
    ngx_live_conf_t  *lcf, *old;

    lcf = (ngx_live_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_live_module);

    if (lcf->block) {
        ngx_live_zone_commit(lcf->zone);
        return NGX_OK;
    }

    if (ngx_process != NGX_PROCESS_MASTER
        || ngx_is_init_cycle(cycle->old_cycle))
    {
        return NGX_OK;
    }

    old = (ngx_live_conf_t *) ngx_get_conf(cycle->old_cycle->conf_ctx,
                                           ngx_live_module);

    if (old && old->block) {
        ngx_live_zone_abandon(old->zone, cycle->log);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_live_init_process(ngx_cycle_t *cycle)
{
    ngx_live_conf_t  *lcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    lcf = (ngx_live_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_live_module);

    if (!lcf->block) {
        return NGX_OK;
    }

    if (ngx_live_zone_init_process(lcf->zone, cycle->log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_live_notify_init_process(lcf->zone, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_make_init_process();
    ngx_live_slate_init_process();

    return ngx_live_upkeep_init(lcf->zone, cycle);
}


static void
ngx_live_exit_process(ngx_cycle_t *cycle)
{
    ngx_live_conf_t  *lcf;

    lcf = (ngx_live_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_live_module);

    if (lcf->block && (ngx_process == NGX_PROCESS_WORKER
                       || ngx_process == NGX_PROCESS_SINGLE))
    {
        ngx_live_callback_exit_process();
        ngx_live_slate_exit_process();
        ngx_live_make_exit_process();
        ngx_live_stat_flush(lcf->zone);
        ngx_live_notify_exit_process(lcf->zone);
        ngx_live_zone_exit_process(lcf->zone);
    }
}
