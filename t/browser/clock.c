
/*
 * clock WIDTH HEIGHT FPS: raw pictures (yuv420p) on stdout for ever, in real
 * time.  Each shows the time at which it was drawn, for latency.js to read
 * from the screen.  The latency of a stream is then measured from the camera
 * to the glass, encoder and player included.
 *
 * The code is 48 blocks, 16 in each of 3 rows, the first at the top left: 40
 * bits of Unix time in ms, most significant first, then 8 bits of checksum.
 * A block is a sixteenth of the width wide and a twelfth of the height high;
 * white is 1.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


#define COLUMNS    16
#define ROWS       3
#define ROW_SHARE  12

#define BLACK      16
#define WHITE      235

#define NS         1000000000ll


typedef struct {
    int       width;
    int       height;
    int       fps;
    size_t    size;
    uint8_t  *data;
} picture_t;


static int64_t
now(clockid_t id)
{
    struct timespec  ts;

    (void) clock_gettime(id, &ts);

    return ts.tv_sec * NS + ts.tv_nsec;
}


static uint64_t
code(void)
{
    int       i;
    uint64_t  ms;
    uint8_t   sum;

    ms = (uint64_t) (now(CLOCK_REALTIME) / 1000000);
    ms &= (1ull << 40) - 1;
    sum = 0x5a;

    for (i = 0; i < 5; i++) {
        sum = (uint8_t) (sum * 31 + ((ms >> (32 - i * 8)) & 0xff));
    }

    return ms << 8 | sum;
}


/* Something that moves, so that there is something to encode. */
static void
draw_background(picture_t *p, uint64_t number)
{
    int  x, y, top, shift;

    top = p->height / ROW_SHARE * ROWS;
    shift = (int) (number * 2 % 256);

    for (y = top; y < p->height; y++) {
        for (x = 0; x < p->width; x++) {
            p->data[y * p->width + x] = (uint8_t)
                (64 + ((((x + shift) >> 3) ^ (y >> 3)) & 15) * 8);
        }
    }

    memset(p->data + p->width * p->height, 128,
           p->size - (size_t) (p->width * p->height));
}


static void
draw_code(picture_t *p)
{
    int       i, y, width, height;
    uint8_t   luma;
    uint64_t  bits;

    width = p->width / COLUMNS;
    height = p->height / ROW_SHARE;
    bits = code();

    for (i = 0; i < COLUMNS * ROWS; i++) {
        luma = bits >> (COLUMNS * ROWS - 1 - i) & 1 ? WHITE : BLACK;

        for (y = i / COLUMNS * height; y < (i / COLUMNS + 1) * height; y++) {
            memset(p->data + y * p->width + i % COLUMNS * width, luma,
                   (size_t) width);
        }
    }
}


static int
output(picture_t *p)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < p->size; done += (size_t) n) {
        n = write(STDOUT_FILENO, p->data + done, p->size - done);

        if (n < 0 && errno == EINTR) {
            n = 0;

        } else if (n <= 0) {
            return -1;
        }
    }

    return 0;
}


static void
wait_until(int64_t time)
{
    struct timespec  ts;

    ts.tv_sec = time / NS;
    ts.tv_nsec = time % NS;

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL)
           == EINTR)
    {
        /* once more */
    }
}


/* The reader opens its own output before it reads: time begins after that. */
static int
run(picture_t *p)
{
    int64_t   start;
    uint64_t  number;

    start = 0;

    for (number = 0; /* void */ ; number++) {

        if (number > 0) {
            wait_until(start + (int64_t) number * NS / p->fps);
        }

        draw_background(p, number);
        draw_code(p);

        if (output(p) != 0) {
            return 0;
        }

        if (number == 0) {
            start = now(CLOCK_MONOTONIC);
        }
    }
}


int
main(int argc, char **argv)
{
    picture_t  p;

    if (argc != 4) {
        fprintf(stderr, "usage: clock WIDTH HEIGHT FPS\n");
        return 2;
    }

    p.width = atoi(argv[1]);
    p.height = atoi(argv[2]);
    p.fps = atoi(argv[3]);

    if (p.width < COLUMNS || p.width > 4096 || p.width % COLUMNS
        || p.height < ROW_SHARE || p.height > 4096 || p.height % ROW_SHARE
        || p.fps < 1 || p.fps > 240)
    {
        fprintf(stderr, "clock: width of n * 16, height of n * 12\n");
        return 2;
    }

    p.size = (size_t) (p.width * p.height) * 3 / 2;
    p.data = malloc(p.size);

    return p.data == NULL ? 1 : run(&p);
}
