
/*
 * How many requests may be held at a time, in this worker and of one address.
 * Addresses are in a tree while they have a request that is held, and only
 * where a limit for them is set.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"
#include "ngx_live_stat.h"


#define NGX_HTTP_LIVE_LIMIT_LOG  60     /* s between lines about one limit */


struct ngx_http_live_holder_s {
    ngx_rbtree_node_t          node;        /* key: crc32 of the address */
    ngx_live_address_t         address;
    ngx_uint_t                 held;
};


static ngx_http_live_holder_t *ngx_http_live_holder(
    ngx_live_address_t *address, ngx_log_t *log);
static void ngx_http_live_holder_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_live_holder_cmp(ngx_live_address_t *one,
    ngx_live_address_t *two);
static void ngx_http_live_limit_log(ngx_http_request_t *r, time_t *next,
    ngx_uint_t n, const char *what);


/* of this worker */
static ngx_uint_t         ngx_http_live_held;
static ngx_rbtree_t       ngx_http_live_holders;
static ngx_rbtree_node_t  ngx_http_live_holders_sentinel;


ngx_int_t
ngx_http_live_limit_take(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    static time_t                   all_logged, address_logged;
    ngx_live_address_t              address;
    ngx_http_live_holder_t         *holder;
    ngx_http_live_play_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_live_play_module);

    if (llcf->max_parked && ngx_http_live_held >= llcf->max_parked) {
        ngx_http_live_limit_log(r, &all_logged, llcf->max_parked, "worker");
        return NGX_BUSY;
    }

    if (llcf->max_parked_address) {
        ngx_live_address(r->connection->sockaddr, &address);

        if (address.len) {
            holder = ngx_http_live_holder(&address, r->connection->log);
            if (holder == NULL) {
                return NGX_ERROR;
            }

            if (holder->held >= llcf->max_parked_address) {
                ngx_http_live_limit_log(r, &address_logged,
                                        llcf->max_parked_address, "address");
                return NGX_BUSY;
            }

            holder->held++;
            ctx->holder = holder;
        }
    }

    ngx_http_live_held++;
    ngx_live_stat_held(ngx_live_zone(), 1);

    return NGX_OK;
}


void
ngx_http_live_limit_give(ngx_http_live_ctx_t *ctx)
{
    ngx_http_live_holder_t  *holder;

    ngx_http_live_held--;
    ngx_live_stat_held(ngx_live_zone(), -1);

    holder = ctx->holder;

    if (holder == NULL) {
        return;
    }

    ctx->holder = NULL;

    if (--holder->held == 0) {
        ngx_rbtree_delete(&ngx_http_live_holders, &holder->node);
        ngx_free(holder);
    }
}


/* The one of that address, a new one where there is none. */

static ngx_http_live_holder_t *
ngx_http_live_holder(ngx_live_address_t *address, ngx_log_t *log)
{
    uint32_t                 hash;
    ngx_int_t                rc;
    ngx_rbtree_node_t       *node, *sentinel;
    ngx_http_live_holder_t  *holder;

    if (ngx_http_live_holders.root == NULL) {
        ngx_rbtree_init(&ngx_http_live_holders,
                        &ngx_http_live_holders_sentinel,
                        ngx_http_live_holder_insert);
    }

    hash = ngx_crc32_short(address->data, address->len);
    node = ngx_http_live_holders.root;
    sentinel = ngx_http_live_holders.sentinel;

    while (node != sentinel) {

        if (hash != node->key) {
            node = hash < node->key ? node->left : node->right;
            continue;
        }

        holder = (ngx_http_live_holder_t *) node;
        rc = ngx_http_live_holder_cmp(address, &holder->address);

        if (rc == 0) {
            return holder;
        }

        node = rc < 0 ? node->left : node->right;
    }

    holder = ngx_calloc(sizeof(ngx_http_live_holder_t), log);

    if (holder) {
        holder->node.key = hash;
        holder->address = *address;
        ngx_rbtree_insert(&ngx_http_live_holders, &holder->node);
    }

    return holder;
}


static void
ngx_http_live_holder_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t       **p;
    ngx_http_live_holder_t   *one, *two;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = node->key < temp->key ? &temp->left : &temp->right;

        } else {
            one = (ngx_http_live_holder_t *) node;
            two = (ngx_http_live_holder_t *) temp;

            p = ngx_http_live_holder_cmp(&one->address, &two->address) < 0
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_int_t
ngx_http_live_holder_cmp(ngx_live_address_t *one, ngx_live_address_t *two)
{
    return ngx_memn2cmp(one->data, two->data, one->len, two->len);
}


/* A client can cause it with every request: one line in a minute. */

static void
ngx_http_live_limit_log(ngx_http_request_t *r, time_t *next, ngx_uint_t n,
    const char *what)
{
    if (ngx_time() < *next) {
        return;
    }

    *next = ngx_time() + NGX_HTTP_LIVE_LIMIT_LOG;

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "%ui requests are held, as many as \"live_max_parked\" "
                  "allows for one %s, more of them are answered with 503",
                  n, what);
}
