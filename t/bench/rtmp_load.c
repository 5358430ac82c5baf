
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
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "rtmp_load.h"


#define EVENTS        256
#define SHOWN_ERRORS  5


static void run(void);
static void start_publisher(publisher_t *p);
static void readable(publisher_t *p);
static void pump(publisher_t *p, uint64_t now);
static bool flush_out(publisher_t *p);
static bool send_message(publisher_t *p, const pass_t *pass, uint64_t late);
static void put_stamp(uint8_t *digits);
static void send_failed(publisher_t *p);
static void report(uint64_t began);
static bool parse_options(int argc, char **argv);
static bool parse_url(const char *url);


options_t                     opt = { .count = 1, .stagger = 2000,
                                      .chunk = 4096 };
material_t                    material;
totals_t                      totals;

static int                    epoll_fd;
static publisher_t           *publishers;
static volatile sig_atomic_t  stop;


static void
on_signal(int signo)
{
    (void) signo;
    stop = 1;
}


int
main(int argc, char **argv)
{
    struct rlimit     rl;
    struct sigaction  sa;

    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: rtmp_load [-n publishers] [-t seconds] "
                "[-p stagger_ms] [-c chunk_size] [-s] [-v] -f FILE.flv "
                "rtmp://IPV4:PORT/APP/PREFIX\n"
                "       rtmp_load -i -f FILE.flv\n");
        return 2;
    }

    if (!load_material(&material, opt.file)) {
        return 2;
    }

    if (opt.info) {
        printf("%.0f\n", payload_rate(&material));
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
    struct epoll_event  ee;

    one = 1;
    p->state = ST_HANDSHAKE;
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

    start_session(p);
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
            used = parse_input(p);
            at = p->in_len - used;
            memmove(p->in, p->in + used, at);
            p->in_len = at;

        } while (used != 0 && p->state != ST_DEAD);

        if (p->in_len == IN_SIZE) {
            publisher_failed(p, "a chunk is too big");
        }
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
        send_failed(p);
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

    if (m->stamp != 0 && p->sent == 0) {
        put_stamp(pass->wire + m->stamp);
    }

    n = send(p->fd, pass->wire + m->start + p->sent, len - p->sent, 0);

    if (n < 0) {
        send_failed(p);
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


/*
 * All publishers send from the same bytes: a send that stops within the first
 * few of a message, before the digits, would lose them, but takes more.
 */

static void
put_stamp(uint8_t *digits)
{
    int       i;
    uint64_t  now;

    now = now_us();

    for (i = STAMP_DIGITS - 1; i >= 0; i--) {
        digits[i] = (uint8_t) "0123456789abcdef"[now & 15];
        now >>= 4;
    }
}


static void
send_failed(publisher_t *p)
{
    if (errno == EAGAIN) {
        p->writable = false;
        return;
    }

    publisher_failed(p, "send: %s", strerror(errno));
}


void
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
           unacked, payload_rate(&material));
}


static bool
parse_options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "in:t:p:c:f:sv")) != -1) {

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

        case 's':
            opt.stamp = true;
            break;

        case 'v':
            opt.silent = true;
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
