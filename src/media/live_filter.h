
/*
 * A chain of libavfilter's filters from pictures to pictures.  Pure, with
 * libav; an object is used by one thread at a time.
 */

#ifndef _LIVE_FILTER_H_INCLUDED_
#define _LIVE_FILTER_H_INCLUDED_


#include <libavutil/frame.h>


typedef struct live_filter_s  live_filter_t;


/* chain in the words of libavfilter, for pictures such as this one, with times
 * in ticks of video.  NULL: it has no such filters, or no memory. */
live_filter_t *live_filter_create(const AVFrame *like, const char *chain);

/* 1 when the picture is as those that it was made for. */
int live_filter_fits(const live_filter_t *f, const AVFrame *frame);

/*
 * Takes a reference to in, NULL: the end; *out is the next picture, or NULL
 * when there is none yet.  One picture in gives at most one out.
 */
int live_filter_run(live_filter_t *f, AVFrame *in, AVFrame **out);

void live_filter_free(live_filter_t *f);


#endif /* _LIVE_FILTER_H_INCLUDED_ */
