
/*
 * What a worker counts of the requests that it has served, and of itself.
 * Requests for one stream come from all workers at once: each gathers its own
 * figures, so that nobody waits for anybody's cache lines, and adds them to
 * the zone once a second.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <sys/resource.h>
#include "ngx_live_stat.h"


/* streams that a worker gathers for; a power of two */
#define NGX_LIVE_STAT_LOCAL  128


/* viewers that it gathers of one stream before it adds them */
#define NGX_LIVE_STAT_VIEWERS  32


/* st is NULL for requests of no stream */
typedef struct {
    ngx_live_stream_sh_t     *st;
    uint64_t                  id;
    ngx_uint_t                used;
    ngx_live_request_stat_t   stat;
    ngx_uint_t                nviewers;
    uint64_t                  viewers[NGX_LIVE_STAT_VIEWERS];
} ngx_live_stat_local_t;


static void ngx_live_stat_add(ngx_live_zone_t *zone,
    ngx_live_stat_local_t *l);
static void ngx_live_stat_sum(ngx_live_request_stat_t *to,
    ngx_live_request_stat_t *from);
static uint64_t ngx_live_stat_private(void);


/* of this worker; threads never see it */
static ngx_live_stat_local_t  ngx_live_stat_local[NGX_LIVE_STAT_LOCAL];
static ngx_uint_t             ngx_live_stat_gathered;


void
ngx_live_stat_request(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_live_stat_request_t *req)
{
    ngx_live_stat_local_t  *l;

    l = &ngx_live_stat_local[id % NGX_LIVE_STAT_LOCAL];

    if (l->used && (l->st != st || l->id != id
                    || l->nviewers == NGX_LIVE_STAT_VIEWERS))
    {
        ngx_shmtx_lock(&zone->shpool->mutex);
        ngx_live_stat_add(zone, l);
        ngx_shmtx_unlock(&zone->shpool->mutex);
    }

    l->used = 1;
    l->st = st;
    l->id = id;
    ngx_live_stat_gathered = 1;

    l->stat.sent += req->sent;
    l->stat.blocked += req->blocked;
    l->stat.blocked_ms += req->blocked_ms;
    l->stat.objects[req->object]++;
    l->stat.classes[req->cache]++;

    if (req->viewer) {
        l->viewers[l->nviewers++] = req->viewer;
    }
}


void
ngx_live_stat_flush(ngx_live_zone_t *zone)
{
    ngx_uint_t  i;

    if (!ngx_live_stat_gathered) {
        return;
    }

    ngx_live_stat_gathered = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_STAT_LOCAL; i++) {
        if (ngx_live_stat_local[i].used) {
            ngx_live_stat_add(zone, &ngx_live_stat_local[i]);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* The lock is held, so that the stream cannot become another one. */

static void
ngx_live_stat_add(ngx_live_zone_t *zone, ngx_live_stat_local_t *l)
{
    ngx_uint_t              i;
    ngx_live_viewers_sh_t  *v;

    if (l->st && l->st->id == l->id) {
        ngx_live_stat_sum(&l->st->requests, &l->stat);

        v = &l->st->viewers;

        for (i = 0; i < l->nviewers; i++) {
            live_viewers_add(&v->windows[ngx_live_load(&v->now) & 1],
                             l->viewers[i]);
        }
    }

    ngx_live_stat_sum(&zone->sh->stat.requests, &l->stat);

    ngx_memzero(l, sizeof(ngx_live_stat_local_t));
}


static void
ngx_live_stat_sum(ngx_live_request_stat_t *to, ngx_live_request_stat_t *from)
{
    ngx_uint_t  i;

    to->sent += from->sent;
    to->blocked += from->blocked;
    to->blocked_ms += from->blocked_ms;

    for (i = 0; i < NGX_LIVE_STAT_OBJECTS; i++) {
        to->objects[i] += from->objects[i];
    }

    for (i = 0; i < NGX_LIVE_STAT_CLASSES; i++) {
        to->classes[i] += from->classes[i];
    }
}


void
ngx_live_stat_worker(ngx_live_zone_t *zone)
{
    uint64_t                 cpu, ms;
    struct rusage            ru;
    ngx_live_worker_stat_t  *ws;
    static ngx_msec_t        last;

    ngx_live_stat_flush(zone);

    ws = &zone->sh->workers[zone->slot].stat;
    ms = ngx_current_msec - last;

    if (getrusage(RUSAGE_SELF, &ru) == 0) {
        cpu = (uint64_t) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000
              + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;

        if (last && ms) {
            ws->busy = (cpu - ws->cpu) * 10 / ms;
        }

        ws->cpu = cpu;
    }

    ws->memory = ngx_live_stat_private();

    last = ngx_current_msec;
}


/*
 * Bytes of memory that no other process has: what is resident and not of a
 * file, less the zone.  The file is opened once, when the worker begins.
 */

static uint64_t
ngx_live_stat_private(void)
{
    char           buf[128], *p;
    ssize_t        n;
    static int     fd = -1;
    unsigned long  resident, shared;

    if (fd == -1) {
        fd = open("/proc/self/statm", O_RDONLY|O_CLOEXEC);
    }

    n = pread(fd, buf, sizeof(buf) - 1, 0);

    if (n <= 0) {
        return 0;
    }

    buf[n] = '\0';

    (void) strtoul(buf, &p, 10);
    resident = strtoul(p, &p, 10);
    shared = strtoul(p, &p, 10);

    return resident > shared ? (uint64_t) (resident - shared) * ngx_pagesize
                             : 0;
}


void
ngx_live_stat_held(ngx_live_zone_t *zone, ngx_int_t n)
{
    zone->sh->workers[zone->slot].stat.held += n;
}
