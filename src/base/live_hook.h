
/*
 * What a site's own server is asked and told of a publisher, and what its
 * answers mean.  The form is that of nginx-rtmp's notify module, the JSON that
 * of SRS's HTTP hooks.  Pure: no I/O; any thread.
 */

#ifndef _LIVE_HOOK_H_INCLUDED_
#define _LIVE_HOOK_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_HOOK_MAX_NAME    128       /* of a stream */
#define LIVE_HOOK_MAX_RUNGS   16
#define LIVE_HOOK_RUNG        32        /* bytes of a name, with its NUL */
#define LIVE_HOOK_MAX_REASON  128


typedef enum {
    LIVE_HOOK_PUBLISH = 0,
    LIVE_HOOK_PUBLISH_DONE,
    LIVE_HOOK_UPDATE
} live_hook_call_e;


typedef enum {
    LIVE_HOOK_FORM = 0,
    LIVE_HOOK_JSON
} live_hook_format_e;


/* No string is NULL; none but args and app can have bytes above 0x7e. */
typedef struct {
    live_hook_call_e   call;
    uint64_t           client;          /* the connection's number */
    const char        *app;
    const char        *name;
    const char        *args;            /* the query of the publisher */
    const char        *addr;
    const char        *flash_ver;
    const char        *swf_url;
    const char        *tc_url;
    const char        *page_url;
    uint64_t           time;            /* s, since it was accepted */
    uint64_t           bytes;           /* received since then */
} live_hook_t;


typedef enum {
    LIVE_HOOK_ALLOW = 0,
    LIVE_HOOK_RENAME,                   /* the same, by another name */
    LIVE_HOOK_REFUSE
} live_hook_verdict_e;


/* What it is about; body of len bytes, and location, "" where there is none,
 * are those of the answer. */
typedef struct {
    live_hook_call_e   call;
    live_hook_format_e format;
    unsigned           status;
    const char        *body;
    size_t             len;
    const char        *location;
} live_hook_answer_t;


typedef struct {
    live_hook_verdict_e  verdict;
    char                 name[LIVE_HOOK_MAX_NAME + 1];  /* after RENAME */
    uint64_t             max_bitrate;   /* bit/s; 0: it says nothing of it */
    unsigned             chosen;        /* 1: it says which rungs there are */
    unsigned             nrungs;
    char                 rungs[LIVE_HOOK_MAX_RUNGS][LIVE_HOOK_RUNG];
    unsigned             record;        /* 1: it asks for a recording */
    char                 reason[LIVE_HOOK_MAX_REASON];  /* after REFUSE */
} live_hook_result_t;


/* The body of a request, of *len bytes and a NUL, for free(); NULL: no
 * memory. */
char *live_hook_body(const live_hook_t *hook, live_hook_format_e format,
    size_t *len);

/* "application/..." */
const char *live_hook_type(live_hook_format_e format);

/* What an answer means; whatever it is, the result is complete, and its texts
 * are printable ASCII. */
void live_hook_read(const live_hook_answer_t *answer,
    live_hook_result_t *result);


#endif /* _LIVE_HOOK_H_INCLUDED_ */
