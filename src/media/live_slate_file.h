
/*
 * Reads pictures and sound of a file.  Pure, with libav; for live_slate*.c
 * alone, one thread at a time.
 */

#ifndef _LIVE_SLATE_FILE_H_INCLUDED_
#define _LIVE_SLATE_FILE_H_INCLUDED_


#include "live_slate.h"
#include "live_transcode.h"

#include <libavutil/frame.h>


typedef struct live_slate_file_s  live_slate_file_t;


/* NULL with *reason, static text.  Only a regular file is opened, and nothing
 * that it refers to. */
live_slate_file_t *live_slate_file_open(const char *path,
    live_slate_stop_pt stop, const char **reason);

/*
 * The next frame, the caller's; *media is what it is, and its pts are us from
 * the begin of the file.  LIVE_AGAIN: that was all.  LIVE_ERROR with *reason,
 * static text: none was decoded at all, or it was stopped.
 */
int live_slate_file_read(live_slate_file_t *f, AVFrame **frame,
    live_media_e *media, const char **reason);

/* 1 when the file has such a track. */
int live_slate_file_has(const live_slate_file_t *f, live_media_e media);

/* 1: it is not wanted any more. */
int live_slate_file_stopped(const live_slate_file_t *f);

void live_slate_file_close(live_slate_file_t *f);


/* Adds a sample, takes over a codec record.  LIVE_ERROR: no memory, or more
 * than a slate may take. */
int live_slate_add(live_slate_track_t *t, const live_packet_t *p);
int live_slate_config(live_slate_track_t *t, const live_encoder_t *e);

/* How many frames of sound a turn of the loop needs. */
int64_t live_slate_turn_frames(const live_slate_t *slate);


#endif /* _LIVE_SLATE_FILE_H_INCLUDED_ */
