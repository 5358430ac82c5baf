
/*
 * The thread of a worker that makes requests.  It calls neither nginx, but for
 * macros, nor looks at anything but the requests that it was given.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include "ngx_live_callback_thread.h"
#include "live_key.h"


#define NGX_LIVE_CALLBACK_ACTIVE   128      /* requests at once */
#define NGX_LIVE_CALLBACK_SERVER   64       /* of them, to one URL */
#define NGX_LIVE_CALLBACK_KEEP     16       /* connections without one */
#define NGX_LIVE_CALLBACK_POLL     60000    /* ms */
#define NGX_LIVE_CALLBACK_HEADER   128      /* bytes of one of ours */


/* libcurl writes as much */
_Static_assert(NGX_LIVE_CALLBACK_ERROR >= CURL_ERROR_SIZE, "error");


struct ngx_live_callback_thread_s {
    pthread_t         tid;
    int               fd;
    CURLM            *multi;

    pthread_mutex_t   mutex;
    ngx_queue_t       added;        /* these have the lock */
    ngx_queue_t       done;
    ngx_uint_t        stop;

    ngx_queue_t       waiting;      /* these are the thread's */
    ngx_queue_t       active;
    ngx_uint_t        nactive;
};


static void *ngx_live_callback_thread(void *data);
static ngx_uint_t ngx_live_callback_take(ngx_live_callback_thread_t *t);
static ngx_uint_t ngx_live_callback_cancelled(ngx_live_callback_thread_t *t,
    ngx_queue_t *list);
static ngx_uint_t ngx_live_callback_begin(ngx_live_callback_thread_t *t);
static ngx_uint_t ngx_live_callback_room(ngx_live_callback_thread_t *t,
    ngx_live_callback_t *cb);
static ngx_uint_t ngx_live_callback_start(ngx_live_callback_thread_t *t,
    ngx_live_callback_t *cb);
static ngx_uint_t ngx_live_callback_setup(ngx_live_callback_t *cb,
    uint64_t rest);
static ngx_uint_t ngx_live_callback_headers(ngx_live_callback_t *cb);
static ngx_uint_t ngx_live_callback_header(ngx_live_callback_t *cb,
    const char *text);
static size_t ngx_live_callback_read_body(char *data, size_t size, size_t n,
    void *user);
static size_t ngx_live_callback_read_header(char *data, size_t size, size_t n,
    void *user);
static ngx_uint_t ngx_live_callback_ended(ngx_live_callback_thread_t *t);
static void ngx_live_callback_finish(ngx_live_callback_thread_t *t,
    ngx_live_callback_t *cb, const char *error);
static uint64_t ngx_live_callback_clock(void);


ngx_live_callback_thread_t *
ngx_live_callback_thread_start(int fd, const char **error)
{
    int                          err;
    sigset_t                     all, old;
    ngx_live_callback_thread_t  *t;

    *error = "no memory";

    t = calloc(1, sizeof(ngx_live_callback_thread_t));
    if (t == NULL) {
        return NULL;
    }

    t->fd = fd;
    ngx_queue_init(&t->added);
    ngx_queue_init(&t->done);
    ngx_queue_init(&t->waiting);
    ngx_queue_init(&t->active);

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        *error = "curl_global_init() failed";
        free(t);
        return NULL;
    }

    t->multi = curl_multi_init();
    if (t->multi == NULL) {
        *error = "curl_multi_init() failed";
        free(t);
        return NULL;
    }

    (void) curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS,
                             (long) NGX_LIVE_CALLBACK_KEEP);

    (void) pthread_mutex_init(&t->mutex, NULL);

    /* signals are for the event loop */

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = pthread_create(&t->tid, NULL, ngx_live_callback_thread, t);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        *error = "pthread_create() failed";
        curl_multi_cleanup(t->multi);
        (void) pthread_mutex_destroy(&t->mutex);
        free(t);
        return NULL;
    }

    return t;
}


void
ngx_live_callback_thread_add(ngx_live_callback_thread_t *t,
    ngx_live_callback_t *cb)
{
    cb->deadline = ngx_live_callback_clock() + cb->timeout;

    (void) pthread_mutex_lock(&t->mutex);
    ngx_queue_insert_tail(&t->added, &cb->queue);
    (void) pthread_mutex_unlock(&t->mutex);

    (void) curl_multi_wakeup(t->multi);
}


void
ngx_live_callback_thread_look(ngx_live_callback_thread_t *t)
{
    (void) curl_multi_wakeup(t->multi);
}


void
ngx_live_callback_thread_done(ngx_live_callback_thread_t *t,
    ngx_queue_t *list)
{
    (void) pthread_mutex_lock(&t->mutex);

    if (!ngx_queue_empty(&t->done)) {
        ngx_queue_add(list, &t->done);
        ngx_queue_init(&t->done);
    }

    (void) pthread_mutex_unlock(&t->mutex);
}


void
ngx_live_callback_thread_stop(ngx_live_callback_thread_t *t,
    ngx_queue_t *list)
{
    (void) pthread_mutex_lock(&t->mutex);
    t->stop = 1;
    (void) pthread_mutex_unlock(&t->mutex);

    (void) curl_multi_wakeup(t->multi);
    (void) pthread_join(t->tid, NULL);

    ngx_live_callback_thread_done(t, list);

    curl_multi_cleanup(t->multi);
    (void) pthread_mutex_destroy(&t->mutex);
    free(t);
}


static void *
ngx_live_callback_thread(void *data)
{
    ngx_live_callback_thread_t *t = data;

    int           running;
    ngx_queue_t  *q;

    while (!ngx_live_callback_take(t)) {

        (void) ngx_live_callback_cancelled(t, &t->waiting);
        t->nactive -= ngx_live_callback_cancelled(t, &t->active);

        /* what has ended leaves room for others */

        do {
            while (ngx_live_callback_begin(t)) { /* void */ }

            (void) curl_multi_perform(t->multi, &running);

        } while (ngx_live_callback_ended(t));

        (void) curl_multi_poll(t->multi, NULL, 0, NGX_LIVE_CALLBACK_POLL,
                               NULL);
    }

    while (!ngx_queue_empty(&t->active)) {
        q = ngx_queue_head(&t->active);
        ngx_live_callback_finish(t, ngx_queue_data(q, ngx_live_callback_t,
                                                   queue),
                                 "the worker ends");
    }

    while (!ngx_queue_empty(&t->waiting)) {
        q = ngx_queue_head(&t->waiting);
        ngx_live_callback_finish(t, ngx_queue_data(q, ngx_live_callback_t,
                                                   queue),
                                 "the worker ends");
    }

    return NULL;
}


/* 1: the thread ends. */

static ngx_uint_t
ngx_live_callback_take(ngx_live_callback_thread_t *t)
{
    ngx_uint_t  stop;

    (void) pthread_mutex_lock(&t->mutex);

    if (!ngx_queue_empty(&t->added)) {
        ngx_queue_add(&t->waiting, &t->added);
        ngx_queue_init(&t->added);
    }

    stop = t->stop;

    (void) pthread_mutex_unlock(&t->mutex);

    return stop;
}


/* How many were. */

static ngx_uint_t
ngx_live_callback_cancelled(ngx_live_callback_thread_t *t, ngx_queue_t *list)
{
    ngx_uint_t            n;
    ngx_queue_t          *q, *next;
    ngx_live_callback_t  *cb;

    n = 0;

    for (q = ngx_queue_head(list); q != ngx_queue_sentinel(list); q = next) {

        next = ngx_queue_next(q);
        cb = ngx_queue_data(q, ngx_live_callback_t, queue);

        if (__atomic_load_n(&cb->cancelled, __ATOMIC_ACQUIRE)) {
            ngx_live_callback_finish(t, cb, "cancelled");
            n++;
        }
    }

    return n;
}


/* Starts the first one that there is room for: 1; 0: there is none. */

static ngx_uint_t
ngx_live_callback_begin(ngx_live_callback_thread_t *t)
{
    ngx_queue_t          *q;
    ngx_live_callback_t  *cb;

    if (t->nactive == NGX_LIVE_CALLBACK_ACTIVE) {
        return 0;
    }

    for (q = ngx_queue_head(&t->waiting);
         q != ngx_queue_sentinel(&t->waiting);
         q = ngx_queue_next(q))
    {
        cb = ngx_queue_data(q, ngx_live_callback_t, queue);

        if (!ngx_live_callback_room(t, cb)) {
            continue;
        }

        if (ngx_live_callback_start(t, cb)) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&t->active, q);
            t->nactive++;
        }

        return 1;
    }

    return 0;
}


/* One server that does not answer leaves room for others. */

static ngx_uint_t
ngx_live_callback_room(ngx_live_callback_thread_t *t, ngx_live_callback_t *cb)
{
    ngx_uint_t            n;
    ngx_queue_t          *q;
    ngx_live_callback_t  *other;

    if (t->nactive < NGX_LIVE_CALLBACK_SERVER) {
        return 1;
    }

    n = 0;

    for (q = ngx_queue_head(&t->active);
         q != ngx_queue_sentinel(&t->active);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_live_callback_t, queue);
        n += (strcmp(other->shown, cb->shown) == 0);
    }

    return n < NGX_LIVE_CALLBACK_SERVER;
}


/* 0: it has failed, and is done. */

static ngx_uint_t
ngx_live_callback_start(ngx_live_callback_thread_t *t,
    ngx_live_callback_t *cb)
{
    uint64_t  now;

    now = ngx_live_callback_clock();

    if (now >= cb->deadline) {
        ngx_live_callback_finish(t, cb, "too many others are under way");
        return 0;
    }

    cb->easy = curl_easy_init();

    if (cb->easy == NULL
        || !ngx_live_callback_headers(cb)
        || !ngx_live_callback_setup(cb, cb->deadline - now)
        || curl_multi_add_handle(t->multi, cb->easy) != CURLM_OK)
    {
        ngx_live_callback_finish(t, cb, "no memory");
        return 0;
    }

    return 1;
}


static ngx_uint_t
ngx_live_callback_setup(ngx_live_callback_t *cb, uint64_t rest)
{
    int    rc;
    CURL  *e;

    e = cb->easy;

    rc = curl_easy_setopt(e, CURLOPT_URL, cb->url)
         | curl_easy_setopt(e, CURLOPT_PRIVATE, cb)
         | curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L)
         | curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long) rest)
         | curl_easy_setopt(e, CURLOPT_ERRORBUFFER, cb->result.error)
         | curl_easy_setopt(e, CURLOPT_HTTPHEADER, cb->headers)
         | curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) cb->len)
         | curl_easy_setopt(e, CURLOPT_POSTFIELDS, cb->body)
         | curl_easy_setopt(e, CURLOPT_USERAGENT, "ngx_live_module")
         | curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L)
         | curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
                            (long) CURL_HTTP_VERSION_1_1)
         | curl_easy_setopt(e, CURLOPT_PROXY, "")
         | curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, (long) cb->verify)
         | curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, cb->verify ? 2L : 0L)
         | curl_easy_setopt(e, CURLOPT_WRITEFUNCTION,
                            ngx_live_callback_read_body)
         | curl_easy_setopt(e, CURLOPT_WRITEDATA, cb)
         | curl_easy_setopt(e, CURLOPT_HEADERFUNCTION,
                            ngx_live_callback_read_header)
         | curl_easy_setopt(e, CURLOPT_HEADERDATA, cb);

    if (cb->ca) {
        rc |= curl_easy_setopt(e, CURLOPT_CAINFO, cb->ca);
    }

#if (LIBCURL_VERSION_NUM >= 0x075500)
    rc |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    rc |= curl_easy_setopt(e, CURLOPT_PROTOCOLS,
                           (long) (CURLPROTO_HTTP|CURLPROTO_HTTPS));
#endif

#if (LIBCURL_VERSION_NUM >= 0x075700)
    /* who looks up a name for long does not hold up the worker's end */
    (void) curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
#endif

    return rc == CURLE_OK;
}


/* The body is signed with the time, so that it cannot be sent again later. */

static ngx_uint_t
ngx_live_callback_headers(ngx_live_callback_t *cb)
{
    char              text[NGX_LIVE_CALLBACK_HEADER], stamp[24];
    char              hex[LIVE_KEY_HEX + 1];
    live_key_piece_t  pieces[3];

    (void) snprintf(text, sizeof(text), "Content-Type: %s", cb->type);

    if (!ngx_live_callback_header(cb, text)
        || !ngx_live_callback_header(cb, "Expect:")
        || !ngx_live_callback_header(cb, "Accept: */*"))
    {
        return 0;
    }

    if (cb->secret == NULL) {
        return 1;
    }

    (void) snprintf(stamp, sizeof(stamp), "%lld", (long long) time(NULL));

    pieces[0].data = stamp;
    pieces[0].len = strlen(stamp);
    pieces[1].data = ".";
    pieces[1].len = 1;
    pieces[2].data = cb->body;
    pieces[2].len = cb->len;

    if (live_key_sign(cb->secret, cb->secret_len, pieces, 3, hex) != 0) {
        return 0;
    }

    (void) snprintf(text, sizeof(text), "X-Live-Timestamp: %s", stamp);

    if (!ngx_live_callback_header(cb, text)) {
        return 0;
    }

    (void) snprintf(text, sizeof(text), "X-Live-Signature: sha256=%s", hex);

    return ngx_live_callback_header(cb, text);
}


static ngx_uint_t
ngx_live_callback_header(ngx_live_callback_t *cb, const char *text)
{
    struct curl_slist  *list;

    list = curl_slist_append(cb->headers, text);

    if (list == NULL) {
        return 0;
    }

    cb->headers = list;

    return 1;
}


static size_t
ngx_live_callback_read_body(char *data, size_t size, size_t n, void *user)
{
    ngx_live_callback_t *cb = user;

    char                        *body;
    size_t                       len;
    ngx_live_callback_result_t  *result;

    len = size * n;
    result = &cb->result;

    if (len > NGX_LIVE_CALLBACK_ANSWER - result->len) {
        return 0;
    }

    body = realloc(result->body, result->len + len + 1);
    if (body == NULL) {
        return 0;
    }

    memcpy(body + result->len, data, len);

    result->body = body;
    result->len += len;
    body[result->len] = '\0';

    return len;
}


static size_t
ngx_live_callback_read_header(char *data, size_t size, size_t n, void *user)
{
    ngx_live_callback_t *cb = user;

    char               *location;
    size_t              len;
    static const char   name[] = "location:";

    len = size * n;
    location = cb->result.location;

    if (len < sizeof(name) - 1
        || strncasecmp(data, name, sizeof(name) - 1) != 0)
    {
        return len;
    }

    data += sizeof(name) - 1;
    n = len - (sizeof(name) - 1);

    while (n && (*data == ' ' || *data == '\t')) {
        data++;
        n--;
    }

    while (n && strchr(" \t\r\n", data[n - 1])) {
        n--;
    }

    /* one that does not fit is none that anybody means */

    if (n > NGX_LIVE_CALLBACK_LOCATION || memchr(data, '\0', n)) {
        n = 0;
    }

    memcpy(location, data, n);
    location[n] = '\0';

    return len;
}


/* Those that curl has finished: how many. */

static ngx_uint_t
ngx_live_callback_ended(ngx_live_callback_thread_t *t)
{
    int                   left;
    long                  status;
    CURLMsg              *msg;
    CURLcode              rc;
    ngx_uint_t            n;
    const char           *error;
    ngx_live_callback_t  *cb;

    n = 0;

    while ((msg = curl_multi_info_read(t->multi, &left)) != NULL) {

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        rc = msg->data.result;

        (void) curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &cb);

        status = 0;
        error = NULL;

        if (rc == CURLE_OK) {
            (void) curl_easy_getinfo(cb->easy, CURLINFO_RESPONSE_CODE,
                                     &status);
            cb->result.status = (ngx_uint_t) status;

        } else if (rc == CURLE_WRITE_ERROR) {
            error = "the answer is longer than 16k";

        } else if (cb->result.error[0] == '\0') {
            error = curl_easy_strerror(rc);
        }

        t->nactive--;
        n++;

        ngx_live_callback_finish(t, cb, error);
    }

    return n;
}


/* Gives it back to the loop. */

static void
ngx_live_callback_finish(ngx_live_callback_thread_t *t,
    ngx_live_callback_t *cb, const char *error)
{
    char        *p;
    ngx_uint_t   first;

    ngx_queue_remove(&cb->queue);

    if (cb->easy) {
        (void) curl_multi_remove_handle(t->multi, cb->easy);
        curl_easy_cleanup(cb->easy);
        cb->easy = NULL;
    }

    curl_slist_free_all(cb->headers);
    cb->headers = NULL;

    if (error) {
        (void) snprintf(cb->result.error, sizeof(cb->result.error), "%s",
                        error);
    }

    for (p = cb->result.error; *p; p++) {
        if (*p < 0x20 || *p > 0x7e) {
            *p = '?';
        }
    }

    (void) pthread_mutex_lock(&t->mutex);

    first = ngx_queue_empty(&t->done);
    ngx_queue_insert_tail(&t->done, &cb->queue);

    (void) pthread_mutex_unlock(&t->mutex);

    if (first) {
        (void) eventfd_write(t->fd, 1);
    }
}


static uint64_t
ngx_live_callback_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}
