
/* Connections of HTTP/1.1: requests, and responses with a Content-Length. */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hls_load.h"


#define HEAD_SIZE         1024      /* of the first read of media */
#define PLAYLIST_SIZE     16384     /* of the first read of a playlist */
#define PORTS_OF_ADDRESS  8000


static bool conn_grow(conn_t *c, size_t size);
static bool conn_read(conn_t *c);
static bool conn_skip(conn_t *c);
static bool conn_failed(conn_t *c, ssize_t n);
static bool read_head(conn_t *c);
static void response_done(conn_t *c);


/* There are more connections than ports of one address. */

bool
conn_open(conn_t *c, unsigned source)
{
    int                 one;
    struct linger       linger;
    struct sockaddr_in  from;

    one = 1;
    memset(&from, 0, sizeof(from));
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source / PORTS_OF_ADDRESS);

    /* nothing is left of a connection that ends, or ports would run out */

    linger.l_onoff = 1;
    linger.l_linger = 0;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (c->fd < 0) {
        return false;
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));

    return bind(c->fd, (struct sockaddr *) &from, sizeof(from)) == 0
           && connect(c->fd, (struct sockaddr *) &opt.addr, sizeof(opt.addr))
              == 0
           && fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0
           && loop_add(c);
}


void
conn_close(conn_t *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }

    free(c->buf);
    c->buf = NULL;
    c->allocated = 0;
}


void
conn_ask(conn_t *c, const char *path)
{
    int      len;
    char     text[URI_SIZE + 256];
    ssize_t  n;

    len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n"
                   "User-Agent: hls_load\r\nAccept: */*\r\n\r\n",
                   path, opt.host);

    snprintf(c->path, sizeof(c->path), "%s", path);
    c->busy = true;
    c->head = false;
    c->len = 0;

    n = send(c->fd, text, (size_t) len, MSG_NOSIGNAL);

    if (n != len) {
        player_failed(c->player, "send: %s", strerror(errno));
    }
}


/* Reads all that there is: the loop tells of new bytes only. */

void
conn_readable(conn_t *c)
{
    while (!c->player->dead) {

        if (c->head && !c->scan && c->media ? !conn_skip(c) : !conn_read(c)) {
            return;
        }

        if (c->busy && !c->head && !read_head(c)) {
            continue;
        }

        if (c->busy && c->head && c->left == 0) {
            response_done(c);
        }
    }
}


static bool
conn_grow(conn_t *c, size_t size)
{
    char  *p;

    if (c->allocated >= size) {
        return true;
    }

    p = realloc(c->buf, size);

    if (p == NULL) {
        player_failed(c->player, "no memory");
        return false;
    }

    c->buf = p;
    c->allocated = size;

    return true;
}


/* Bytes that are looked at. */

static bool
conn_read(conn_t *c)
{
    size_t   want;
    ssize_t  n;

    want = c->head ? c->left : c->media && !c->scan ? HEAD_SIZE
                                                    : PLAYLIST_SIZE;

    if (!conn_grow(c, c->len + want + 1)) {
        return false;
    }

    n = recv(c->fd, c->buf + c->len, want, 0);

    if (n <= 0) {
        return conn_failed(c, n);
    }

    if (!c->busy) {
        player_failed(c->player, "a response that nobody asked for");
        return false;
    }

    c->len += (size_t) n;

    if (c->head) {
        c->left -= (size_t) n;
        totals.bytes += (size_t) n;
    }

    return true;
}


/* Bytes that the kernel may throw away. */

static bool
conn_skip(conn_t *c)
{
    ssize_t  n;

    n = recv(c->fd, NULL, c->left, MSG_TRUNC);

    if (n <= 0) {
        return conn_failed(c, n);
    }

    c->left -= (size_t) n;
    totals.bytes += (size_t) n;

    return true;
}


static bool
conn_failed(conn_t *c, ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }

    player_failed(c->player, "%s", n == 0 ? "closed by the server"
                                          : strerror(errno));
    return false;
}


/* Leaves what came of the body at the beginning of the buffer. */

static bool
read_head(conn_t *c)
{
    char    *end, *line;
    size_t   rest;
    unsigned  status;

    c->buf[c->len] = '\0';
    end = strstr(c->buf, "\r\n\r\n");

    if (end == NULL) {
        return false;
    }

    end[2] = '\0';
    line = strcasestr(c->buf, "\r\nContent-Length:");

    if (sscanf(c->buf, "HTTP/1.1 %u", &status) != 1 || status != 200
        || line == NULL)
    {
        player_failed(c->player, "%s: %.20s", c->path, c->buf);
        return false;
    }

    end += 4;
    rest = c->len - (size_t) (end - c->buf);
    c->left = strtoul(line + sizeof("\r\nContent-Length:") - 1, NULL, 10);

    if (rest > c->left) {
        player_failed(c->player, "more than a response");
        return false;
    }

    memmove(c->buf, end, rest);
    c->len = rest;
    c->left -= rest;
    c->head = true;
    totals.bytes += rest;

    return true;
}


static void
response_done(conn_t *c)
{
    c->busy = false;
    c->head = false;
    totals.requests++;

    if (c->media) {
        player_media(c->player);

    } else {
        c->buf[c->len] = '\0';
        player_playlist(c->player, c->buf, c->len);
    }
}
