
/* The parts of hls_load: the loop, connections, players, figures. */

#ifndef _HLS_LOAD_H_INCLUDED_
#define _HLS_LOAD_H_INCLUDED_


#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>


#define URI_SIZE      128
#define UNITS         64            /* remembered of a playlist */
#define QUEUE         16            /* that a player may have to fetch */
#define WHOLE         0xffff        /* the number of no part: a segment */
#define MAX_PLAYLISTS 2             /* of a stream: video, then audio */


typedef enum {
    MODE_LOW_LATENCY = 0,           /* blocking reload, parts */
    MODE_POLL,                      /* every opt.poll ms, segments */
    MODE_PARK                       /* requests that wait, nothing else */
} hls_mode_e;


typedef struct player_s  player_t;


/* A keep-alive connection with one request at a time. */
typedef struct {
    player_t       *player;
    int             fd;
    bool            media;
    bool            busy;
    bool            head;           /* it has been read */
    bool            scan;           /* the body is kept and looked through */
    size_t          left;           /* of the body */
    char            path[URI_SIZE + 64];    /* that was asked for */
    char           *buf;            /* a response, or its beginning */
    size_t          len;
    size_t          allocated;
} conn_t;


/* When a player had something, kept until it is known when it was sent. */
typedef struct {
    uint64_t        time;
    bool            playlist;
} arrival_t;


/* A part or segment, which all players of a playlist fetch. */
typedef struct {
    uint64_t        key;            /* MSN << 16 | part, or WHOLE; 0: none */
    char            uri[URI_SIZE];
    bool            scanned;        /* or somebody is about it */
    uint64_t        stamp;          /* when its last frame was sent; or 0 */
    uint64_t        latest;         /* us from there to a last byte */
    unsigned        got;
    arrival_t      *arrivals;
    size_t          narrivals;
    size_t          allocated;
} unit_t;


/* A media playlist of a stream. */
typedef struct {
    char            path[URI_SIZE];
    size_t          dir;            /* length of the path's directory */
    bool            stamped;        /* its frames carry the time */
    unsigned        players;
    unit_t          units[UNITS];
} feed_t;


/* What follows one playlist of one viewer. */
struct player_s {
    feed_t         *feed;
    conn_t          conns[2];       /* the playlist, the media */
    bool            started;
    bool            settled;        /* has what it is to have at first */
    bool            dead;
    uint64_t        msn;            /* to come next */
    unsigned        part;
    uint64_t        taken;          /* key of the last to be fetched */
    uint64_t        due;            /* ms, of the next poll */
    uint64_t        queue[QUEUE];   /* keys */
    unsigned        first;
    unsigned        queued;
};


typedef struct {
    struct sockaddr_in  addr;
    char            host[64];
    const char     *urls[MAX_PLAYLISTS];
    unsigned        nurls;
    hls_mode_e      mode;
    bool            hints;          /* ask for parts before they are listed */
    unsigned        viewers;
    unsigned        streams;
    unsigned        poll;           /* ms */
    unsigned        late;           /* ms, after which a viewer stalls */
} options_t;


typedef struct {
    uint32_t       *us;
    size_t          n;
    size_t          allocated;
} samples_t;


typedef struct {
    uint64_t        began;          /* us; 0: nothing is recorded yet */
    uint64_t        requests;
    uint64_t        bytes;          /* of bodies */
    uint64_t        parts;
    uint64_t        stalls;
    uint64_t        missed;         /* that a player never got, or a GAP */
    unsigned        errors;         /* from the beginning */
    unsigned        settled;
    samples_t       delay;          /* to each player's last byte */
    samples_t       last;           /* to the last player's, of each part */
    samples_t       playlist;       /* to the playlist that has the part */
} totals_t;


extern options_t  opt;
extern totals_t   totals;


/* Connects, and asks for the playlist. */
void player_start(player_t *p);

/* Asks for the playlist as it is now. */
void player_poll(player_t *p);

/* A whole playlist, or all that was fetched of a part or segment, is here. */
void player_playlist(player_t *p, char *text, size_t len);
void player_media(player_t *p);

/* Ends the player, counts the error, shows the first few. */
void player_failed(player_t *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds what is known of a unit to the figures, and forgets it. */
void unit_close(feed_t *feed, unit_t *unit);


/* Opens, and registers with the loop; source spreads the addresses. */
bool conn_open(conn_t *c, unsigned source);

/* Sends a request for a path. */
void conn_ask(conn_t *c, const char *path);

void conn_readable(conn_t *c);
void conn_close(conn_t *c);

/* Adds a connection to the loop. */
bool loop_add(conn_t *c);


static inline uint64_t
now_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}


#endif /* _HLS_LOAD_H_INCLUDED_ */
