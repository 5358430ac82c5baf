
/*
 * Pictures of any size and format to yuv420p of one size, limited range.
 * Pure, with libav; an object is used by one thread at a time.
 */

#ifndef _LIVE_RESIZE_H_INCLUDED_
#define _LIVE_RESIZE_H_INCLUDED_


#include <libavutil/frame.h>
#include <libswscale/swscale.h>


/* Where in the output the picture is. */
typedef struct {
    int                  x;
    int                  y;
    int                  width;
    int                  height;
} live_resize_area_t;


typedef struct {
    int                  out_width;
    int                  out_height;
    int                  matrix;        /* AVCOL_SPC_*, of what is RGB */
    AVBufferPool        *pool;

    struct SwsContext   *sws;           /* for what follows; NULL: none */
    int                  width;
    int                  height;
    int                  format;
    int                  full;
    AVRational           sar;
    live_resize_area_t   area;
} live_resize_t;


/* Even sizes.  LIVE_ERROR: no memory. */
int live_resize_init(live_resize_t *r, int width, int height, int matrix);

/*
 * The picture in that size, with the properties of in; the caller's.  It is a
 * reference where nothing is to be done; with black bars where the shape is
 * another one.  NULL with *reason, static text.
 */
AVFrame *live_resize_run(live_resize_t *r, AVFrame *in, const char **reason);

/* The largest area of the shape of the picture, turned by so many degrees, in
 * the middle of the output. */
void live_resize_area(const live_resize_t *r, const AVFrame *in,
    int rotation, live_resize_area_t *area);

/* What it gave stays valid. */
void live_resize_free(live_resize_t *r);


#endif /* _LIVE_RESIZE_H_INCLUDED_ */
