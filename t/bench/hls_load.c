
/*
 * HLS player load: N viewers of one stream, or of many, in one thread.
 *
 * With low latency a viewer follows the playlist by blocking reload over one
 * keep-alive connection, and over another it fetches each part that is new, or
 * the one that is hinted.  Otherwise it polls the playlist and fetches
 * segments.  A delay is the time from when the last frame of a part was sent,
 * which is written into the frame (bench_stamp.h), to a player's last byte.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "hls_load.h"


#define EVENTS  512


static bool make_players(void);
static void run(void);
static int due_players(uint64_t now);
static void start_recording(void);
static void report(void);
static void print_spread(const char *name, samples_t *s);
static uint64_t cpu_us(void);
static bool parse_options(int argc, char **argv);
static bool parse_url(const char *url);


options_t  opt = { .viewers = 1, .streams = 1, .late = 1000 };
totals_t   totals;

static int                    epoll_fd;
static feed_t                *feeds;
static unsigned               nfeeds;
static player_t              *players;
static unsigned               nplayers;
static unsigned               nstarted;
static unsigned               next_poll;
static uint64_t               cpu_began;
static volatile sig_atomic_t  stop, record;


static void
on_signal(int signo)
{
    if (signo == SIGUSR1) {
        record = 1;

    } else {
        stop = 1;
    }
}


int
main(int argc, char **argv)
{
    struct rlimit     rl;
    struct sigaction  sa;

    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: hls_load [-n viewers] [-s streams] "
                "[-P poll_ms | -p | -H] [-l late_ms]\n"
                "                http://IPV4:PORT/PATH [AUDIO_URL]\n"
                "PATH is that of a media playlist, with %%u for the stream's "
                "number; -p: requests only wait; -H: hinted parts are "
                "asked for.\nFigures are those from SIGUSR1 to SIGTERM.\n");
        return 2;
    }

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (epoll_fd < 0 || !make_players()) {
        perror("hls_load");
        return 2;
    }

    run();
    report();

    return totals.errors != 0;
}


static bool
make_players(void)
{
    char      *slash;
    feed_t    *feed;
    unsigned   i, k;
    player_t  *p;

    nfeeds = opt.streams * opt.nurls;
    nplayers = opt.viewers * opt.nurls;
    feeds = calloc(nfeeds, sizeof(feed_t));
    players = calloc(nplayers, sizeof(player_t));

    if (feeds == NULL || players == NULL) {
        return false;
    }

    for (i = 0; i < nfeeds; i++) {
        feed = &feeds[i];
        k = i % opt.nurls;

        /* the only conversion in it has been looked for */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(feed->path, URI_SIZE, opt.urls[k], i / opt.nurls);
#pragma GCC diagnostic pop

        slash = strrchr(feed->path, '/');
        feed->dir = (size_t) (slash - feed->path) + 1;
        feed->stamped = (k == 0);
    }

    for (i = 0; i < nplayers; i++) {
        p = &players[i];
        p->feed = &feeds[i % nfeeds];
        p->feed->players++;
        p->conns[0].fd = p->conns[1].fd = -1;
        p->conns[0].player = p->conns[1].player = p;
        p->conns[1].media = true;
    }

    return true;
}


static void
run(void)
{
    int                 i, n, wait;
    bool                announced;
    uint64_t            began;
    struct epoll_event  events[EVENTS];

    announced = false;
    began = now_us() / 1000;

    /* polls are spread evenly, starts come one a ms but no slower than that */

    for (i = 0; i < (int) nplayers; i++) {
        players[i].due = began + (uint64_t) i
                         * (opt.mode == MODE_POLL ? opt.poll : nplayers / 2)
                         / nplayers;
    }

    while (!stop) {

        if (record && totals.began == 0) {
            start_recording();
        }

        wait = due_players(now_us() / 1000);

        if (!announced && totals.settled == nplayers) {
            fprintf(stderr, "ready\n");
            announced = true;
        }

        n = epoll_wait(epoll_fd, events, EVENTS, wait);

        for (i = 0; i < n; i++) {
            conn_readable(events[i].data.ptr);
        }
    }
}


/* Starts and polls come in the order of the players; the result is the ms until
 * the next of them. */

static int
due_players(uint64_t now)
{
    player_t  *p;

    for ( /* void */ ; nstarted < nplayers; nstarted++) {

        if (players[nstarted].due > now) {
            return 1;
        }

        players[nstarted].due += opt.poll;
        player_start(&players[nstarted]);
    }

    if (opt.mode != MODE_POLL) {
        return 100;
    }

    for ( ;; ) {
        p = &players[next_poll];

        if (p->due > now) {
            return (int) (p->due - now);
        }

        p->due += opt.poll;
        player_poll(p);
        next_poll = (next_poll + 1) % nplayers;
    }
}


bool
loop_add(conn_t *c)
{
    struct epoll_event  ee;

    ee.events = EPOLLIN | EPOLLET;
    ee.data.ptr = c;

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ee) == 0;
}


static void
start_recording(void)
{
    totals.requests = 0;
    totals.bytes = 0;
    totals.parts = 0;
    cpu_began = cpu_us();
    totals.began = now_us();
}


static uint64_t
cpu_us(void)
{
    struct rusage  ru;

    getrusage(RUSAGE_SELF, &ru);

    return (uint64_t) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000
           + (uint64_t) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}


static void
report(void)
{
    double    seconds, cpu;
    unsigned  i, k;

    seconds = (double) (now_us() - totals.began) / 1e6;
    cpu = (double) (cpu_us() - cpu_began) / 1e6;

    if (totals.began == 0) {
        seconds = cpu = 0;
    }

    for (i = 0; i < nfeeds; i++) {
        for (k = 0; k < UNITS; k++) {
            unit_close(&feeds[i], &feeds[i].units[k]);
        }
    }

    printf("{\"viewers\": %u, \"errors\": %u, \"seconds\": %.3f, "
           "\"requests\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"parts\": %" PRIu64 ", \"stalls\": %" PRIu64
           ", \"missed\": %" PRIu64 ", \"load_percent\": %.1f",
           opt.viewers, totals.errors, seconds, totals.requests, totals.bytes,
           totals.parts, totals.stalls, totals.missed,
           seconds > 0 ? 100 * cpu / seconds : 0);

    print_spread("delay", &totals.delay);
    print_spread("last", &totals.last);
    print_spread("playlist", &totals.playlist);
    printf("}\n");
}


static int
compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}


/* ms */

static void
print_spread(const char *name, samples_t *s)
{
    if (s->n == 0) {
        return;
    }

    qsort(s->us, s->n, sizeof(uint32_t), compare);

    printf(", \"%s_samples\": %zu, \"%s_p50\": %.3f, \"%s_p99\": %.3f, "
           "\"%s_max\": %.3f", name, s->n,
           name, s->us[(s->n - 1) / 2] / 1e3,
           name, s->us[(s->n - 1) * 99 / 100] / 1e3,
           name, s->us[s->n - 1] / 1e3);
}


static bool
parse_options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "n:s:P:pHl:")) != -1) {

        switch (c) {

        case 'n':
            opt.viewers = (unsigned) atoi(optarg);
            break;

        case 's':
            opt.streams = (unsigned) atoi(optarg);
            break;

        case 'P':
            opt.poll = (unsigned) atoi(optarg);
            opt.mode = MODE_POLL;
            break;

        case 'p':
            opt.mode = MODE_PARK;
            break;

        case 'H':
            opt.hints = true;
            break;

        case 'l':
            opt.late = (unsigned) atoi(optarg);
            break;

        default:
            return false;
        }
    }

    for ( /* void */ ; optind < argc; optind++) {
        if (!parse_url(argv[optind])) {
            return false;
        }
    }

    return opt.nurls > 0 && opt.viewers > 0 && opt.streams > 0
           && (opt.mode != MODE_POLL || opt.poll > 0);
}


static bool
parse_url(const char *url)
{
    char         address[32];
    size_t       len;
    unsigned     port;
    const char  *path, *percent;

    if (opt.nurls == MAX_PLAYLISTS
        || sscanf(url, "http://%31[0-9.]:%u/", address, &port) != 2
        || port > 65535
        || inet_pton(AF_INET, address, &opt.addr.sin_addr) != 1)
    {
        return false;
    }

    len = sizeof("http://") - 1;
    path = strchr(url + len, '/');
    percent = strchr(path, '%');

    if (percent && (percent[1] != 'u' || strchr(percent + 1, '%'))) {
        return false;
    }

    opt.addr.sin_family = AF_INET;
    opt.addr.sin_port = htons((uint16_t) port);
    snprintf(opt.host, sizeof(opt.host), "%s:%u", address, port);
    opt.urls[opt.nurls++] = path;

    return true;
}
