/*
 * burst -n CLIENTS -r ROUNDS -i MS HOST PORT PATH: clients that ask for the
 * same file at the same moment, again and again: what a server and this machine
 * take at the least to send something to all of them.
 *
 * Prints one line of JSON: when each had its last byte, in ms from the moment
 * before the first of them asked, over all rounds.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define EVENTS  512
#define WAIT    10000               /* ms for an answer */


typedef struct {
    int     fd;
    size_t  left;                   /* of the body; 0: the head comes */
    char    head[512];
    size_t  len;
} client_t;


static client_t  *clients;
static unsigned   nclients = 1000;
static char       request[512];
static int        loop;


static void
die(const char *what)
{
    fprintf(stderr, "burst: %s: %s\n", what, strerror(errno));
    exit(1);
}


static double
now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec * 1e3 + (double) ts.tv_nsec / 1e6;
}


static void
connect_all(const char *host, int port)
{
    int                 on;
    unsigned            i;
    struct sockaddr_in  sin;
    struct epoll_event  ev;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);

    if (inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
        die(host);
    }

    for (i = 0; i < nclients; i++) {
        clients[i].fd = socket(AF_INET, SOCK_STREAM, 0);

        if (clients[i].fd == -1
            || connect(clients[i].fd, (struct sockaddr *) &sin, sizeof(sin)))
        {
            die("connect()");
        }

        on = 1;
        (void) setsockopt(clients[i].fd, IPPROTO_TCP, TCP_NODELAY, &on,
                          sizeof(on));

        ev.events = EPOLLIN;
        ev.data.ptr = &clients[i];

        if (epoll_ctl(loop, EPOLL_CTL_ADD, clients[i].fd, &ev)) {
            die("epoll_ctl()");
        }
    }
}


/* The head, and what of the body came with it. */

static int
read_head(client_t *c)
{
    char     *end, *length;
    size_t    body;
    ssize_t   n;

    n = recv(c->fd, c->head + c->len, sizeof(c->head) - 1 - c->len,
             MSG_DONTWAIT);

    if (n <= 0) {
        die("recv()");
    }

    c->len += (size_t) n;
    c->head[c->len] = '\0';

    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }

    length = strstr(c->head, "Content-Length: ");

    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || length == NULL) {
        fprintf(stderr, "burst: %.40s\n", c->head);
        exit(1);
    }

    body = c->len - (size_t) (end + 4 - c->head);
    c->left = strtoul(length + 16, NULL, 10) - body;
    c->len = 0;

    return c->left == 0;
}


/* 1 when the answer is complete. */

static int
read_client(client_t *c)
{
    ssize_t      n;
    static char  buf[256 * 1024];

    if (c->left == 0) {
        return read_head(c);
    }

    n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n <= 0 || (size_t) n > c->left) {
        die("recv()");
    }

    c->left -= (size_t) n;

    return c->left == 0;
}


static void
round_trip(double *delays)
{
    int                 i, n;
    double              began;
    size_t              len;
    unsigned            k, done;
    struct epoll_event  events[EVENTS];

    began = now();
    len = strlen(request);

    for (k = 0; k < nclients; k++) {
        if (send(clients[k].fd, request, len, MSG_NOSIGNAL) != (ssize_t) len) {
            die("send()");
        }
    }

    for (done = 0; done < nclients; /* void */ ) {
        n = epoll_wait(loop, events, EVENTS, WAIT);

        if (n <= 0) {
            die("no answer");
        }

        for (i = 0; i < n; i++) {
            if (read_client(events[i].data.ptr)) {
                delays[done++] = now() - began;
            }
        }
    }
}


static int
compare(const void *a, const void *b)
{
    double  x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}


int
main(int argc, char **argv)
{
    int              opt;
    double          *delays, next;
    size_t           n;
    unsigned         i, rounds = 20, interval = 200;
    struct timespec  pause;

    while ((opt = getopt(argc, argv, "n:r:i:")) != -1) {
        switch (opt) {
        case 'n': nclients = (unsigned) atoi(optarg); break;
        case 'r': rounds = (unsigned) atoi(optarg); break;
        case 'i': interval = (unsigned) atoi(optarg); break;
        default: return 2;
        }
    }

    if (argc - optind != 3 || nclients == 0 || rounds == 0) {
        fprintf(stderr, "burst [-n N] [-r N] [-i MS] HOST PORT PATH\n");
        return 2;
    }

    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[optind + 2],
             argv[optind]);

    n = (size_t) rounds * nclients;
    clients = calloc(nclients, sizeof(client_t));
    delays = calloc(n, sizeof(double));
    loop = epoll_create1(0);

    if (clients == NULL || delays == NULL || loop == -1) {
        die("memory");
    }

    connect_all(argv[optind], atoi(argv[optind + 1]));

    for (i = 0; i < rounds; i++) {
        next = now() + interval;
        round_trip(delays + (size_t) i * nclients);
        next -= now();

        if (next > 0) {
            pause.tv_sec = 0;
            pause.tv_nsec = (long) (next * 1e6) % 1000000000;
            (void) nanosleep(&pause, NULL);
        }
    }

    qsort(delays, n, sizeof(double), compare);

    printf("{\"delay_p50\": %.3f, \"delay_p99\": %.3f, \"delay_max\": %.3f}\n",
           delays[n / 2], delays[n * 99 / 100], delays[n - 1]);

    return 0;
}
