
/*
 * RTMP publish load: N publishers replay one FLV file (H.264 and AAC) in real
 * time.
 *
 * The file is turned into RTMP chunks once, so that the load costs little
 * beside one send() a message; all publishers send from the same bytes.  The
 * first pass carries the metadata and the sequence headers, every later one
 * only media, with timestamps (as deltas) that go on without a step.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define HANDSHAKE_SIZE   1536
#define IN_SIZE          16384
#define OUT_SIZE         4096
#define MESSAGE_SIZE     4096
#define CSIDS            64
#define EVENTS           256
#define SHOWN_ERRORS     5

#define CSID_CONTROL     2
#define CSID_COMMAND     3
#define CSID_AUDIO       4
#define CSID_DATA        5
#define CSID_VIDEO       6

#define TYPE_CHUNK_SIZE  1
#define TYPE_USER        4
#define TYPE_AUDIO       8
#define TYPE_VIDEO       9
#define TYPE_DATA        18
#define TYPE_COMMAND     20

#define USER_PING        6
#define USER_PONG        7

#define TXN_CONNECT      1
#define TXN_CREATE       4
#define TXN_PUBLISH      5

#define MEDIA_STREAM_ID  1


typedef enum {
    ST_WAITING = 0,                 /* its start phase has not come yet */
    ST_HANDSHAKE,
    ST_COMMANDS,
    ST_PUBLISHING,
    ST_DEAD
} state_e;


typedef struct {
    uint32_t        ms;
    uint32_t        payload;
    size_t          start;          /* in the wire bytes of the pass */
    size_t          end;
} message_t;


typedef struct {
    uint8_t        *wire;
    size_t          size;
    size_t          allocated;
    message_t      *messages;
    size_t          count;
} pass_t;


typedef struct {
    uint8_t        *data;
    size_t          size;
    uint32_t        period;         /* ms after which the file starts again */
    uint8_t         leader;         /* type of the track that decides it */
    int64_t         last[CSIDS];    /* timestamp, while a pass is built */
    pass_t          passes[2];      /* the first, and every later one */
} material_t;


typedef struct {
    const uint8_t  *data;
    uint32_t        size;
    uint32_t        ms;
    uint8_t         type;
    bool            header;         /* metadata or a sequence header */
    bool            end;            /* end of sequence: never sent */
} tag_t;


typedef struct {
    uint32_t        length;
    uint8_t         type;
    bool            extended;
} chunk_state_t;


typedef struct {
    int             fd;
    state_e         state;
    unsigned        index;
    bool            writable;

    uint64_t        start;          /* when to connect; then when media began */
    uint32_t        loops;
    size_t          next;           /* message */
    size_t          sent;           /* of that message */

    uint8_t         in[IN_SIZE];
    size_t          in_len;
    uint32_t        in_chunk;
    chunk_state_t   csids[CSIDS];
    uint8_t         message[MESSAGE_SIZE];
    size_t          message_len;    /* what passes MESSAGE_SIZE is lost */

    uint8_t         out[OUT_SIZE];
    size_t          out_len;
} publisher_t;


typedef struct {
    struct sockaddr_in  addr;
    char            app[128];
    char            prefix[128];
    const char     *file;
    const char     *tc_url;
    unsigned        count;
    bool            info;           /* only say what the file's rate is */
    unsigned        seconds;        /* 0: until a signal */
    unsigned        stagger;        /* ms over which the starts are spread */
    uint32_t        chunk;
} options_t;


typedef struct {
    uint64_t        bytes;
    uint64_t        payload;
    uint64_t        messages;
    uint64_t        late;           /* messages sent 100 ms or more late */
    uint64_t        late_max;
    unsigned        errors;
    unsigned        publishing;
} totals_t;


static void run(void);
static void start_publisher(publisher_t *p);
static void readable(publisher_t *p);
static size_t parse_handshake(publisher_t *p);
static size_t parse_chunk(publisher_t *p);
static size_t chunk_header(publisher_t *p, unsigned csid, size_t at);
static void handle_message(publisher_t *p, uint8_t type);
static void handle_command(publisher_t *p);
static void handle_result(publisher_t *p, double txn);
static void handle_status(publisher_t *p);
static void pump(publisher_t *p, uint64_t now);
static bool flush_out(publisher_t *p);
static bool send_message(publisher_t *p, const pass_t *pass, uint64_t now);
static void publisher_failed(publisher_t *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void report(uint64_t began);
static double payload_rate(void);

static void queue_message(publisher_t *p, unsigned csid, unsigned type,
    uint32_t stream, const uint8_t *body, size_t len);
static void queue_connect(publisher_t *p);
static void queue_simple(publisher_t *p, const char *name, double txn,
    const char *arg);
static void queue_publish(publisher_t *p);

static bool load_material(material_t *m, const char *file);
static size_t read_tag(const material_t *m, size_t at, tag_t *tag);
static void find_period(material_t *m);
static void build_pass(material_t *m, bool first);
static void add_message(pass_t *pass, const tag_t *tag, const uint8_t *header,
    size_t header_len);
static void append(pass_t *pass, const void *data, size_t len);

static bool parse_options(int argc, char **argv);
static bool parse_url(const char *url);


static options_t              opt = { .count = 1, .stagger = 2000,
                                      .chunk = 4096 };
static material_t             material;
static totals_t               totals;
static publisher_t           *publishers;
static int                    epoll_fd;
static volatile sig_atomic_t  stop;

static const uint8_t          set_data_frame[] = "\x02\x00\x0d@setDataFrame";


static void
on_signal(int signo)
{
    (void) signo;
    stop = 1;
}


static uint64_t
now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


static uint32_t
get24(const uint8_t *p)
{
    return (uint32_t) p[0] << 16 | (uint32_t) p[1] << 8 | p[2];
}


static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | get24(p + 1);
}


static uint8_t *
put24(uint8_t *p, uint32_t n)
{
    *p++ = (uint8_t) (n >> 16);
    *p++ = (uint8_t) (n >> 8);
    *p++ = (uint8_t) n;

    return p;
}


int
main(int argc, char **argv)
{
    struct rlimit     rl;
    struct sigaction  sa;

    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: rtmp_load [-n publishers] [-t seconds] "
                "[-p stagger_ms] [-c chunk_size] -f FILE.flv "
                "rtmp://IPV4:PORT/APP/PREFIX\n"
                "       rtmp_load -i -f FILE.flv\n");
        return 2;
    }

    if (!load_material(&material, opt.file)) {
        return 2;
    }

    if (opt.info) {
        printf("%.0f\n", payload_rate());
        return 0;
    }

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);

    publishers = calloc(opt.count, sizeof(publisher_t));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (publishers == NULL || epoll_fd < 0) {
        perror("rtmp_load");
        return 2;
    }

    run();

    return totals.errors != 0;
}


static void
run(void)
{
    int                 i, n;
    bool                announced;
    uint64_t            began, now;
    unsigned            k;
    publisher_t        *p;
    struct epoll_event  events[EVENTS];

    announced = false;
    began = now_ms();

    for (k = 0; k < opt.count; k++) {
        publishers[k].index = k;
        publishers[k].fd = -1;
        publishers[k].start = began + (uint64_t) opt.stagger * k / opt.count;
    }

    while (!stop) {
        now = now_ms();

        if (opt.seconds != 0 && now - began >= opt.seconds * 1000ULL) {
            break;
        }

        for (k = 0; k < opt.count; k++) {
            pump(&publishers[k], now);
        }

        if (!announced && totals.publishing == opt.count) {
            fprintf(stderr, "ready\n");
            announced = true;
        }

        n = epoll_wait(epoll_fd, events, EVENTS, 1);

        for (i = 0; i < n; i++) {
            p = events[i].data.ptr;

            if (events[i].events & EPOLLOUT) {
                p->writable = true;
            }

            if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
                readable(p);
            }
        }
    }

    report(began);
}


static void
start_publisher(publisher_t *p)
{
    int                 one;
    size_t              i;
    struct epoll_event  ee;

    one = 1;
    p->state = ST_HANDSHAKE;
    p->in_chunk = 128;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (p->fd < 0) {
        publisher_failed(p, "socket: %s", strerror(errno));
        return;
    }

    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    ee.events = EPOLLIN | EPOLLOUT | EPOLLET;
    ee.data.ptr = p;

    if ((connect(p->fd, (struct sockaddr *) &opt.addr, sizeof(opt.addr)) < 0
         && errno != EINPROGRESS)
        || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fd, &ee) < 0)
    {
        publisher_failed(p, "connect: %s", strerror(errno));
        return;
    }

    /* C0 and C1: version 3, time 0, zero, then bytes of no meaning */

    memset(p->out, 0, 9);
    p->out[0] = 3;

    for (i = 9; i < 1 + HANDSHAKE_SIZE; i++) {
        p->out[i] = (uint8_t) (i * 31 + p->index);
    }

    p->out_len = 1 + HANDSHAKE_SIZE;
}


static void
readable(publisher_t *p)
{
    size_t   used, at;
    ssize_t  n;

    while (p->state != ST_DEAD) {
        n = recv(p->fd, p->in + p->in_len, IN_SIZE - p->in_len, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }

        if (n <= 0) {
            publisher_failed(p, "%s", n == 0 ? "closed by the server"
                                             : strerror(errno));
            return;
        }

        p->in_len += (size_t) n;

        do {
            used = (p->state == ST_HANDSHAKE) ? parse_handshake(p)
                                              : parse_chunk(p);
            at = p->in_len - used;
            memmove(p->in, p->in + used, at);
            p->in_len = at;

        } while (used != 0 && p->state != ST_DEAD);

        if (p->in_len == IN_SIZE) {
            publisher_failed(p, "a chunk is too big");
        }
    }
}


static size_t
parse_handshake(publisher_t *p)
{
    size_t    len;
    uint8_t   body[4];

    len = 1 + 2 * HANDSHAKE_SIZE;

    if (p->in_len < len) {
        return 0;
    }

    /* C0 and C1 have been answered, so they have left the buffer */

    memcpy(p->out + p->out_len, p->in + 1, HANDSHAKE_SIZE);
    p->out_len += HANDSHAKE_SIZE;

    body[0] = 0;
    put24(body + 1, opt.chunk);
    queue_message(p, CSID_CONTROL, TYPE_CHUNK_SIZE, 0, body, sizeof(body));
    queue_connect(p);

    p->state = ST_COMMANDS;

    return len;
}


/* Takes one chunk; the result is 0 while it is not there as a whole. */

static size_t
parse_chunk(publisher_t *p)
{
    size_t          at, len;
    unsigned        csid;
    chunk_state_t  *cs;

    if (p->in_len == 0) {
        return 0;
    }

    csid = p->in[0] & 0x3f;

    if (csid < 2) {
        publisher_failed(p, "chunk stream ids over 63 are not supported");
        return 0;
    }

    at = chunk_header(p, csid, 1);
    if (at == 0) {
        return 0;
    }

    cs = &p->csids[csid];
    len = cs->length - p->message_len;

    if (len > p->in_chunk) {
        len = p->in_chunk;
    }

    if (p->in_len < at + len) {
        return 0;
    }

    if (p->message_len + len <= MESSAGE_SIZE) {
        memcpy(p->message + p->message_len, p->in + at, len);
    }

    p->message_len += len;

    if (p->message_len >= cs->length) {
        handle_message(p, cs->type);
        p->message_len = 0;
    }

    return at + len;
}


static size_t
chunk_header(publisher_t *p, unsigned csid, size_t at)
{
    size_t                len;
    unsigned              fmt;
    chunk_state_t        *cs;
    static const uint8_t  sizes[] = { 11, 7, 3, 0 };

    fmt = p->in[0] >> 6;
    len = sizes[fmt];
    cs = &p->csids[csid];

    if (p->in_len < at + len) {
        return 0;
    }

    if (fmt < 3) {
        cs->extended = (get24(p->in + at) == 0xffffff);
    }

    if (fmt < 2) {
        cs->length = get24(p->in + at + 3);
        cs->type = p->in[at + 6];
    }

    at += len + (cs->extended ? 4 : 0);

    return p->in_len < at ? 0 : at;
}


static void
handle_message(publisher_t *p, uint8_t type)
{
    uint8_t  pong[6];

    if (p->message_len > MESSAGE_SIZE) {
        return;
    }

    if (type == TYPE_CHUNK_SIZE && p->message_len >= 4) {
        p->in_chunk = get32(p->message) & 0x7fffffff;
        return;
    }

    if (type == TYPE_USER && p->message_len >= 6
        && p->message[1] == USER_PING)
    {
        memcpy(pong, p->message, sizeof(pong));
        pong[1] = USER_PONG;
        queue_message(p, CSID_CONTROL, TYPE_USER, 0, pong, sizeof(pong));
        return;
    }

    if (type == TYPE_COMMAND) {
        handle_command(p);
    }
}


static void
handle_command(publisher_t *p)
{
    double     txn;
    size_t     len, at;
    uint64_t   bits;
    uint8_t   *m;

    m = p->message;

    if (p->message_len < 3 || m[0] != 2) {
        return;
    }

    len = (size_t) m[1] << 8 | m[2];
    at = 3 + len;

    if (p->message_len < at + 9 || m[at] != 0) {
        return;
    }

    bits = (uint64_t) get32(m + at + 1) << 32 | get32(m + at + 5);
    memcpy(&txn, &bits, sizeof(txn));

    if (len == 7 && memcmp(m + 3, "_result", 7) == 0) {
        handle_result(p, txn);

    } else if (len == 6 && memcmp(m + 3, "_error", 6) == 0) {

        /* nobody has to know releaseStream and FCPublish */

        if (txn == TXN_CONNECT || txn >= TXN_CREATE) {
            publisher_failed(p, "the server answered _error");
        }

    } else if (len == 8 && memcmp(m + 3, "onStatus", 8) == 0) {
        handle_status(p);
    }
}


static void
handle_result(publisher_t *p, double txn)
{
    char      name[160];
    double    id;
    uint64_t  bits;
    uint8_t  *m;

    snprintf(name, sizeof(name), "%s%u", opt.prefix, p->index);

    if (txn == TXN_CONNECT) {
        queue_simple(p, "releaseStream", TXN_CONNECT + 1, name);
        queue_simple(p, "FCPublish", TXN_CONNECT + 2, name);
        queue_simple(p, "createStream", TXN_CREATE, NULL);
        return;
    }

    if (txn != TXN_CREATE) {
        return;
    }

    /* "_result", the number 4, null, the stream id */

    m = p->message + 3 + 7 + 9 + 1;

    if (p->message_len < 3 + 7 + 9 + 1 + 9) {
        publisher_failed(p, "createStream without a stream id");
        return;
    }

    bits = (uint64_t) get32(m + 1) << 32 | get32(m + 5);
    memcpy(&id, &bits, sizeof(id));

    /* the shared wire bytes name it */

    if (id != MEDIA_STREAM_ID) {
        publisher_failed(p, "stream id %.0f, only 1 is supported", id);
        return;
    }

    queue_publish(p);
}


static void
handle_status(publisher_t *p)
{
    static const char  started[] = "NetStream.Publish.Start";
    static const char  code[] = "NetStream.";

    uint8_t  *m;

    if (memmem(p->message, p->message_len, started, sizeof(started) - 1)) {

        if (p->state == ST_COMMANDS) {
            p->state = ST_PUBLISHING;
            p->start = now_ms();
            totals.publishing++;
        }

        return;
    }

    m = memmem(p->message, p->message_len, code, sizeof(code) - 1);

    if (memmem(p->message, p->message_len, "error", 5) != NULL) {
        publisher_failed(p, "onStatus %.40s", m ? (char *) m : "error");
    }
}


static void
pump(publisher_t *p, uint64_t now)
{
    uint64_t       due;
    const pass_t  *pass;

    if (p->state == ST_WAITING && now >= p->start) {
        start_publisher(p);
    }

    if (p->state == ST_WAITING || p->state == ST_DEAD || !p->writable) {
        return;
    }

    while (p->sent != 0 || flush_out(p)) {

        if (p->state != ST_PUBLISHING) {
            return;
        }

        pass = &material.passes[p->loops > 0];

        if (p->next == pass->count) {
            p->next = 0;
            p->loops++;
            continue;
        }

        due = p->start + pass->messages[p->next].ms
              + (uint64_t) p->loops * material.period;

        if (now < due) {
            return;
        }

        if (!send_message(p, pass, now - due)) {
            return;
        }
    }
}


/* Commands leave between messages only; true if nothing is left of them. */

static bool
flush_out(publisher_t *p)
{
    ssize_t  n;

    if (p->out_len == 0) {
        return true;
    }

    n = send(p->fd, p->out, p->out_len, 0);

    if (n < 0) {
        if (errno == EAGAIN) {
            p->writable = false;

        } else {
            publisher_failed(p, "send: %s", strerror(errno));
        }

        return false;
    }

    p->out_len -= (size_t) n;
    memmove(p->out, p->out + n, p->out_len);

    return p->out_len == 0;
}


static bool
send_message(publisher_t *p, const pass_t *pass, uint64_t late)
{
    size_t            len;
    ssize_t           n;
    const message_t  *m;

    m = &pass->messages[p->next];
    len = m->end - m->start;

    n = send(p->fd, pass->wire + m->start + p->sent, len - p->sent, 0);

    if (n < 0) {
        if (errno == EAGAIN) {
            p->writable = false;

        } else {
            publisher_failed(p, "send: %s", strerror(errno));
        }

        return false;
    }

    p->sent += (size_t) n;
    totals.bytes += (uint64_t) n;

    if (p->sent < len) {
        return true;
    }

    p->sent = 0;
    p->next++;
    totals.messages++;
    totals.payload += m->payload;
    totals.late += (late >= 100);

    if (late > totals.late_max) {
        totals.late_max = late;
    }

    return true;
}


static void
publisher_failed(publisher_t *p, const char *format, ...)
{
    va_list  args;

    if (totals.errors++ < SHOWN_ERRORS) {
        fprintf(stderr, "%s%u: ", opt.prefix, p->index);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fprintf(stderr, "\n");
    }

    if (p->state == ST_PUBLISHING) {
        totals.publishing--;
    }

    if (p->fd >= 0) {
        close(p->fd);
        p->fd = -1;
    }

    p->state = ST_DEAD;
}


static void
report(uint64_t began)
{
    int        queued;
    double     seconds;
    unsigned   i;
    uint64_t   unacked;

    unacked = 0;
    seconds = (double) (now_ms() - began) / 1000;

    for (i = 0; i < opt.count; i++) {
        if (publishers[i].fd < 0) {
            continue;
        }

        if (ioctl(publishers[i].fd, SIOCOUTQ, &queued) == 0) {
            unacked += (uint64_t) queued;
        }

        close(publishers[i].fd);
    }

    printf("{\"publishers\": %u, \"publishing\": %u, \"errors\": %u, "
           "\"seconds\": %.3f, \"bytes\": %" PRIu64 ", \"payload\": %" PRIu64
           ", \"messages\": %" PRIu64 ", \"late\": %" PRIu64
           ", \"late_max_ms\": %" PRIu64 ", \"unacked\": %" PRIu64
           ", \"stream_bytes_per_second\": %.0f}\n",
           opt.count, totals.publishing, totals.errors, seconds, totals.bytes,
           totals.payload, totals.messages, totals.late, totals.late_max,
           unacked, payload_rate());
}


/* What one publisher sends a second, without the bytes of any container. */

static double
payload_rate(void)
{
    size_t         i;
    uint64_t       payload;
    const pass_t  *pass;

    payload = 0;
    pass = &material.passes[1];

    for (i = 0; i < pass->count; i++) {
        payload += pass->messages[i].payload;
    }

    return (double) payload * 1000 / material.period;
}


/* One chunk: whatever is sent this way is shorter than our chunk size. */

static void
queue_message(publisher_t *p, unsigned csid, unsigned type, uint32_t stream,
    const uint8_t *body, size_t len)
{
    uint8_t  *out;

    if (p->state == ST_DEAD || p->out_len + 12 + len > OUT_SIZE) {
        return;
    }

    out = p->out + p->out_len;

    *out++ = (uint8_t) csid;
    out = put24(out, 0);
    out = put24(out, (uint32_t) len);
    *out++ = (uint8_t) type;
    *out++ = (uint8_t) stream;
    out = put24(out, 0);
    memcpy(out, body, len);

    p->out_len += 12 + len;
}


static uint8_t *
amf_text(uint8_t *out, const char *s)
{
    size_t  len;

    len = strlen(s);
    *out++ = (uint8_t) (len >> 8);
    *out++ = (uint8_t) len;
    memcpy(out, s, len);

    return out + len;
}


static uint8_t *
amf_string(uint8_t *out, const char *s)
{
    *out++ = 2;

    return amf_text(out, s);
}


static uint8_t *
amf_number(uint8_t *out, double number)
{
    int       shift;
    uint64_t  bits;

    memcpy(&bits, &number, sizeof(bits));
    *out++ = 0;

    for (shift = 56; shift >= 0; shift -= 8) {
        *out++ = (uint8_t) (bits >> shift);
    }

    return out;
}


static void
queue_connect(publisher_t *p)
{
    uint8_t   body[1024];
    uint8_t  *out;

    out = amf_string(body, "connect");
    out = amf_number(out, TXN_CONNECT);
    *out++ = 3;
    out = amf_text(out, "app");
    out = amf_string(out, opt.app);
    out = amf_text(out, "type");
    out = amf_string(out, "nonprivate");
    out = amf_text(out, "flashVer");
    out = amf_string(out, "FMLE/3.0 (compatible; rtmp_load)");
    out = amf_text(out, "tcUrl");
    out = amf_string(out, opt.tc_url);
    out = amf_text(out, "");
    *out++ = 9;

    queue_message(p, CSID_COMMAND, TYPE_COMMAND, 0, body,
                  (size_t) (out - body));
}


static void
queue_simple(publisher_t *p, const char *name, double txn, const char *arg)
{
    uint8_t   body[512];
    uint8_t  *out;

    out = amf_string(body, name);
    out = amf_number(out, txn);
    *out++ = 5;

    if (arg != NULL) {
        out = amf_string(out, arg);
    }

    queue_message(p, CSID_COMMAND, TYPE_COMMAND, 0, body,
                  (size_t) (out - body));
}


static void
queue_publish(publisher_t *p)
{
    char      name[160];
    uint8_t   body[512];
    uint8_t  *out;

    snprintf(name, sizeof(name), "%s%u", opt.prefix, p->index);

    out = amf_string(body, "publish");
    out = amf_number(out, TXN_PUBLISH);
    *out++ = 5;
    out = amf_string(out, name);
    out = amf_string(out, "live");

    queue_message(p, CSID_COMMAND, TYPE_COMMAND, MEDIA_STREAM_ID, body,
                  (size_t) (out - body));
}


static bool
load_material(material_t *m, const char *file)
{
    long   size;
    FILE  *f;

    f = fopen(file, "rb");

    if (f == NULL) {
        perror(file);
        return false;
    }

    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);

    m->size = size > 0 ? (size_t) size : 0;
    m->data = malloc(m->size + 1);

    if (m->data == NULL || fread(m->data, 1, m->size, f) != m->size
        || m->size < 13 || memcmp(m->data, "FLV", 3) != 0)
    {
        fprintf(stderr, "%s: not an FLV file\n", file);
        fclose(f);
        return false;
    }

    fclose(f);
    find_period(m);

    if (m->period == 0) {
        fprintf(stderr, "%s: too short\n", file);
        return false;
    }

    build_pass(m, true);
    build_pass(m, false);

    return true;
}


/* The offset of the next tag, or 0 at the end of the file. */

static size_t
read_tag(const material_t *m, size_t at, tag_t *tag)
{
    uint8_t         kind;
    const uint8_t  *p;

    if (at + 11 > m->size) {
        return 0;
    }

    p = m->data + at;
    tag->type = p[0] & 0x1f;
    tag->size = get24(p + 1);
    tag->ms = get24(p + 4) | (uint32_t) p[7] << 24;
    tag->data = p + 11;
    tag->header = false;
    tag->end = false;

    if (at + 11 + tag->size + 4 > m->size) {
        return 0;
    }

    kind = tag->size >= 2 ? tag->data[1] : 0;

    switch (tag->type) {

    case TYPE_VIDEO:
        tag->header = (kind == 0);
        tag->end = (kind == 2);
        break;

    case TYPE_AUDIO:
        tag->header = (kind == 0);
        break;

    case TYPE_DATA:
        tag->header = true;
        break;

    default:
        tag->end = true;
    }

    return at + 11 + tag->size + 4;
}


/* The video decides, or the audio where there is none. */

static void
find_period(material_t *m)
{
    size_t     at, next;
    tag_t      tag;
    uint32_t   first[2], last[2], step[2];
    unsigned   video;

    memset(first, 0xff, sizeof(first));
    memset(last, 0, sizeof(last));
    memset(step, 0, sizeof(step));

    for (at = 13; (next = read_tag(m, at, &tag)) != 0; at = next) {
        if (tag.header || tag.end) {
            continue;
        }

        video = (tag.type == TYPE_VIDEO);
        step[video] = tag.ms - last[video];
        last[video] = tag.ms;

        if (first[video] > tag.ms) {
            first[video] = tag.ms;
        }
    }

    video = (last[1] != 0);

    if (last[video] != 0) {
        m->period = last[video] + step[video] - first[video];
        m->leader = video ? TYPE_VIDEO : TYPE_AUDIO;
    }
}


static void
build_pass(material_t *m, bool first)
{
    bool       seen[CSIDS];
    size_t     at, next;
    tag_t      tag;
    int64_t    delta;
    uint8_t    header[12], *out;
    pass_t    *pass;
    int64_t   *last;
    unsigned   csid;

    last = m->last;
    pass = &m->passes[first ? 0 : 1];
    memset(seen, 0, sizeof(seen));

    for (csid = 0; csid < CSIDS; csid++) {
        last[csid] -= first ? 0 : m->period;
    }

    for (at = 13; (next = read_tag(m, at, &tag)) != 0; at = next) {

        if (tag.end || (tag.header && !first)
            || (!tag.header && tag.type != m->leader && tag.ms >= m->period))
        {
            continue;
        }

        csid = tag.type == TYPE_VIDEO ? CSID_VIDEO
               : tag.type == TYPE_AUDIO ? CSID_AUDIO : CSID_DATA;

        delta = (first && !seen[csid]) ? tag.ms : tag.ms - last[csid];
        out = header;

        *out++ = (uint8_t) ((first && !seen[csid] ? 0x00 : 0x40) | csid);
        out = put24(out, (uint32_t) delta);
        out = put24(out, tag.size + (tag.type == TYPE_DATA
                                     ? sizeof(set_data_frame) - 1 : 0));
        *out++ = tag.type;

        if (first && !seen[csid]) {
            *out++ = MEDIA_STREAM_ID;
            out = put24(out, 0);
        }

        seen[csid] = true;
        last[csid] = tag.ms;
        add_message(pass, &tag, header, (size_t) (out - header));
    }
}


static void
add_message(pass_t *pass, const tag_t *tag, const uint8_t *header,
    size_t header_len)
{
    size_t      at, len, room;
    uint8_t     more;
    message_t  *m;

    if ((pass->count & 1023) == 0) {
        pass->messages = realloc(pass->messages,
                                 (pass->count + 1024) * sizeof(message_t));
        if (pass->messages == NULL) {
            abort();
        }
    }

    m = &pass->messages[pass->count++];
    m->ms = tag->ms;
    m->payload = tag->type == TYPE_DATA ? 0 : tag->size;
    m->start = pass->size;

    append(pass, header, header_len);

    room = opt.chunk;
    more = 0xc0 | (header[0] & 0x3f);

    if (tag->type == TYPE_DATA) {
        append(pass, set_data_frame, sizeof(set_data_frame) - 1);
        room -= sizeof(set_data_frame) - 1;
    }

    for (at = 0; at < tag->size; at += len) {
        if (room == 0) {
            append(pass, &more, 1);
            room = opt.chunk;
        }

        len = tag->size - at < room ? tag->size - at : room;
        append(pass, tag->data + at, len);
        room -= len;
    }

    m->end = pass->size;
}


static void
append(pass_t *pass, const void *data, size_t len)
{
    if (pass->size + len > pass->allocated) {
        pass->allocated = (pass->size + len) * 2;
        pass->wire = realloc(pass->wire, pass->allocated);

        if (pass->wire == NULL) {
            abort();
        }
    }

    memcpy(pass->wire + pass->size, data, len);
    pass->size += len;
}


static bool
parse_options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "in:t:p:c:f:")) != -1) {

        switch (c) {

        case 'i':
            opt.info = true;
            break;

        case 'n':
            opt.count = (unsigned) atoi(optarg);
            break;

        case 't':
            opt.seconds = (unsigned) atoi(optarg);
            break;

        case 'p':
            opt.stagger = (unsigned) atoi(optarg);
            break;

        case 'c':
            opt.chunk = (uint32_t) atoi(optarg);
            break;

        case 'f':
            opt.file = optarg;
            break;

        default:
            return false;
        }
    }

    if (opt.info) {
        return optind == argc && opt.file != NULL;
    }

    return optind + 1 == argc && opt.file != NULL && opt.count > 0
           && opt.chunk >= 128 && opt.chunk <= 0xffffff
           && parse_url(argv[optind]);
}


static bool
parse_url(const char *url)
{
    char         host[64], tc_url[256];
    unsigned     port;

    if (sscanf(url, "rtmp://%63[0-9.]:%u/%127[^/]/%127[^/]", host, &port,
               opt.app, opt.prefix)
        != 4)
    {
        return false;
    }

    snprintf(tc_url, sizeof(tc_url), "rtmp://%s:%u/%s", host, port, opt.app);

    opt.tc_url = strdup(tc_url);
    opt.addr.sin_family = AF_INET;
    opt.addr.sin_port = htons((uint16_t) port);

    return opt.tc_url != NULL && port <= 65535
           && inet_pton(AF_INET, host, &opt.addr.sin_addr) == 1;
}
