
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_crash.h"


#if (NGX_LIVE_CRASH_POINTS)

#include <sys/mman.h>


/* The file; the test sets "hits" last. */
typedef struct {
    char                      name[32];     /* of the point */
    int32_t                   pid;          /* of the process, 0: any */
    int32_t                   hits;         /* comes to 0: it happens */
    int32_t                   died;         /* the process that did */
    int32_t                   signo;        /* 0: SIGKILL */

    /* of the zone, once a second */
    uint64_t                  reports;
    uint64_t                  pages;        /* that the index has left */
    uint64_t                  used;         /* bytes of the budget */
    uint64_t                  streams;
} ngx_live_crash_t;


static ngx_live_crash_t *ngx_live_crash_map(void);


/* of this process; all threads find the same */
static ngx_live_crash_t  *ngx_live_crash;


void
ngx_live_crash_point(const char *name)
{
    ngx_live_crash_t  *crash;

    crash = ngx_live_crash_map();

    if (crash == NULL
        || ngx_live_load(&crash->hits) <= 0
        || ngx_strcmp(crash->name, name) != 0
        || (crash->pid && crash->pid != ngx_pid)
        || __atomic_sub_fetch(&crash->hits, 1, __ATOMIC_SEQ_CST) != 0)
    {
        return;
    }

    ngx_live_store(&crash->died, ngx_pid);

    (void) raise(crash->signo ? crash->signo : SIGKILL);
}


void
ngx_live_crash_report(ngx_live_zone_t *zone)
{
    ngx_live_crash_t  *crash;

    crash = ngx_live_crash_map();

    if (crash == NULL) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    crash->pages = zone->shpool->pfree;
    crash->used = zone->sh->used;
    crash->streams = zone->sh->nstreams;
    ngx_live_store(&crash->reports, crash->reports + 1);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static ngx_live_crash_t *
ngx_live_crash_map(void)
{
    int                fd;
    char              *name;
    ngx_live_crash_t  *crash;

    crash = ngx_live_load(&ngx_live_crash);

    if (crash) {
        return crash;
    }

    name = getenv("NGX_LIVE_CRASH");

    if (name == NULL) {
        return NULL;
    }

    fd = open(name, O_RDWR|O_CLOEXEC);

    if (fd == -1) {
        return NULL;
    }

    crash = mmap(NULL, sizeof(ngx_live_crash_t), PROT_READ|PROT_WRITE,
                 MAP_SHARED, fd, 0);

    (void) close(fd);

    if (crash == MAP_FAILED) {
        return NULL;
    }

    ngx_live_store(&ngx_live_crash, crash);

    return crash;
}

#endif
