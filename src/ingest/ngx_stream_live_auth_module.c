
/*
 * Directives of live{} that say who may publish.  Values may hold variables of
 * stream{}, which may stand before live{} or behind it: their names are kept
 * as they are and looked up when a publisher comes.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_auth.h"


static void *ngx_stream_live_auth_create_app_conf(ngx_conf_t *cf);
static char *ngx_stream_live_auth_merge_app_conf(ngx_conf_t *cf, void *prev,
    void *conf);
static char *ngx_stream_live_auth_publish_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_stream_live_auth_push(ngx_conf_t *cf, ngx_array_t **list,
    size_t size, void **place);
static char *ngx_stream_live_auth_publish_secret(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_array_t *ngx_stream_live_auth_pieces(ngx_conf_t *cf,
    ngx_str_t *value, ngx_uint_t *variables);
static ngx_uint_t ngx_stream_live_auth_variable(ngx_str_t *text,
    ngx_stream_live_piece_t *piece);
static ngx_int_t ngx_stream_live_auth_check(ngx_cycle_t *cycle, void *data);
static ngx_uint_t ngx_stream_live_auth_known(ngx_stream_core_main_conf_t *cmcf,
    ngx_stream_live_piece_t *piece);


static ngx_command_t  ngx_stream_live_auth_commands[] = {

    { ngx_string("publish_key"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE12,
      ngx_stream_live_auth_publish_key,
      0,
      0,
      NULL },

    { ngx_string("publish_secret"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_stream_live_auth_publish_secret,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_live_module_t  ngx_stream_live_auth_module_ctx = {
    ngx_stream_live_auth_create_app_conf,
    ngx_stream_live_auth_merge_app_conf
};


ngx_module_t  ngx_stream_live_auth_module = {
    NGX_MODULE_V1,
    &ngx_stream_live_auth_module_ctx,      /* module context */
    ngx_stream_live_auth_commands,         /* module directives */
    NGX_LIVE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_stream_live_auth_create_app_conf(ngx_conf_t *cf)
{
    ngx_stream_live_auth_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_stream_live_auth_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->named = 0;
     *     conf->variables = 0;
     */

    conf->keys = NGX_CONF_UNSET_PTR;
    conf->secrets = NGX_CONF_UNSET_PTR;

    return conf;
}


static char *
ngx_stream_live_auth_merge_app_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_stream_live_auth_conf_t *prev = parent;
    ngx_stream_live_auth_conf_t *conf = child;

    if (conf->keys == NGX_CONF_UNSET_PTR) {
        conf->named = prev->named;
        conf->variables = prev->variables;
    }

    ngx_conf_merge_ptr_value(conf->keys, prev->keys, NULL);
    ngx_conf_merge_ptr_value(conf->secrets, prev->secrets, NULL);

    return NGX_CONF_OK;
}


ngx_stream_live_auth_conf_t *
ngx_stream_live_auth_conf(ngx_live_app_conf_t *app)
{
    return app->confs[ngx_stream_live_auth_module.ctx_index];
}


ngx_uint_t
ngx_stream_live_auth_named(void)
{
    ngx_uint_t             i;
    ngx_live_conf_t       *lcf;
    ngx_live_app_conf_t  **app;

    lcf = (ngx_live_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_live_module);

    app = lcf->applications.elts;

    for (i = 0; i < lcf->applications.nelts; i++) {
        if (ngx_stream_live_auth_conf(app[i])->named) {
            return 1;
        }
    }

    return 0;
}


/* What is wrong with a key is said without it. */

static char *
ngx_stream_live_auth_publish_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_stream_live_auth_conf_t *acf = conf;

    char                   *rv;
    void                   *place;
    ngx_str_t              *value, path;
    ngx_uint_t              named;
    ngx_stream_live_key_t  *key;

    value = cf->args->elts;
    named = (cf->args->nelts == 3);

    if (named && ngx_strcmp(value[2].data, "as=name") != 0) {
        return "has a second parameter that is not \"as=name\"";
    }

    rv = ngx_stream_live_auth_push(cf, &acf->keys,
                                   sizeof(ngx_stream_live_key_t), &place);

    if (rv != NGX_CONF_OK || place == NULL) {
        return rv;
    }

    key = place;
    ngx_memzero(key, sizeof(ngx_stream_live_key_t));

    if (ngx_strncmp(value[1].data, "file=", 5) == 0) {

        path.data = value[1].data + 5;
        path.len = value[1].len - 5;

        if (path.len == 0) {
            return "has an empty path";
        }

        acf->named |= named;
        key->file = ngx_stream_live_keys_open(cf, &path, named);

        return key->file ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (named) {
        return "needs a file that says what \"as=name\" stands for";
    }

    key->pieces = ngx_stream_live_auth_pieces(cf, &value[1],
                                              &acf->variables);

    return key->pieces ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* One more: *place is where, NULL after "off". */

static char *
ngx_stream_live_auth_push(ngx_conf_t *cf, ngx_array_t **list, size_t size,
    void **place)
{
    ngx_str_t  *value;

    *place = NULL;
    value = cf->args->elts;

    if (*list == NULL) {
        return "is \"off\" already";
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {

        if (*list != NGX_CONF_UNSET_PTR) {
            return "cannot be \"off\" next to another one";
        }

        *list = NULL;

        return NGX_CONF_OK;
    }

    if (value[1].len == 0) {
        return "is empty";
    }

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, 2, size);
    }

    if (*list == NULL) {
        return NGX_CONF_ERROR;
    }

    *place = ngx_array_push(*list);

    return *place ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_stream_live_auth_publish_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_stream_live_auth_conf_t *acf = conf;

    char       *rv;
    void       *place;
    ngx_str_t  *value, *secret;

    rv = ngx_stream_live_auth_push(cf, &acf->secrets, sizeof(ngx_str_t),
                                   &place);

    if (rv != NGX_CONF_OK || place == NULL) {
        return rv;
    }

    value = cf->args->elts;
    secret = place;
    *secret = value[1];

    return NGX_CONF_OK;
}


/* Splits a value into text and variables, "$name" or "${name}". */

static ngx_array_t *
ngx_stream_live_auth_pieces(ngx_conf_t *cf, ngx_str_t *value,
    ngx_uint_t *variables)
{
    ngx_str_t                 rest;
    ngx_array_t              *pieces;
    ngx_stream_live_piece_t  *piece;

    pieces = ngx_array_create(cf->pool, 1, sizeof(ngx_stream_live_piece_t));
    if (pieces == NULL) {
        return NULL;
    }

    rest = *value;

    while (rest.len) {

        piece = ngx_array_push(pieces);
        if (piece == NULL) {
            return NULL;
        }

        ngx_memzero(piece, sizeof(ngx_stream_live_piece_t));

        if (rest.data[0] != '$') {

            piece->text.data = rest.data;

            while (rest.len && rest.data[0] != '$') {
                piece->text.len++;
                rest.data++;
                rest.len--;
            }

            continue;
        }

        if (!ngx_stream_live_auth_variable(&rest, piece)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid variable name in \"publish_key\"");
            return NULL;
        }

        *variables = 1;
    }

    if (pieces->nelts > NGX_STREAM_LIVE_MAX_PIECES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many variables in \"publish_key\"");
        return NULL;
    }

    if (ngx_live_add_check(cf, ngx_stream_live_auth_check, pieces) != NGX_OK)
    {
        return NULL;
    }

    return pieces;
}


static ngx_uint_t
ngx_stream_live_auth_variable(ngx_str_t *text, ngx_stream_live_piece_t *piece)
{
    u_char      c;
    ngx_uint_t  brace;

    text->data++;
    text->len--;

    brace = text->len && text->data[0] == '{';

    if (brace) {
        text->data++;
        text->len--;
    }

    piece->variable = 1;
    piece->text.data = text->data;

    while (text->len) {
        c = text->data[0];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_'))
        {
            break;
        }

        piece->text.len++;
        text->data++;
        text->len--;
    }

    if (piece->text.len == 0
        || (brace && (text->len == 0 || text->data[0] != '}')))
    {
        return 0;
    }

    if (brace) {
        text->data++;
        text->len--;
    }

    piece->hash = ngx_hash_strlow(piece->text.data, piece->text.data,
                                  piece->text.len);

    return 1;
}


/* The whole configuration was read. */

static ngx_int_t
ngx_stream_live_auth_check(ngx_cycle_t *cycle, void *data)
{
    ngx_array_t *pieces = data;

    ngx_uint_t                i;
    ngx_stream_conf_ctx_t    *ctx;
    ngx_stream_live_piece_t  *piece;

    piece = pieces->elts;
    ctx = (ngx_stream_conf_ctx_t *) ngx_get_conf(cycle->conf_ctx,
                                                 ngx_stream_module);

    for (i = 0; i < pieces->nelts; i++) {

        if (piece[i].variable
            && (ctx == NULL
                || !ngx_stream_live_auth_known(
                        ctx->main_conf[ngx_stream_core_module.ctx_index],
                        &piece[i])))
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"publish_key\" names the unknown variable "
                          "\"%V\" of stream", &piece[i].text);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_stream_live_auth_known(ngx_stream_core_main_conf_t *cmcf,
    ngx_stream_live_piece_t *piece)
{
    ngx_uint_t              i;
    ngx_stream_variable_t  *v;

    if (ngx_hash_find(&cmcf->variables_hash, piece->hash, piece->text.data,
                      piece->text.len))
    {
        return 1;
    }

    v = cmcf->prefix_variables.elts;

    for (i = 0; i < cmcf->prefix_variables.nelts; i++) {
        if (piece->text.len >= v[i].name.len
            && ngx_strncmp(piece->text.data, v[i].name.data, v[i].name.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}
