
/* Test Anything Protocol for the unit tests: one program, one plan. */

#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <stdarg.h>
#include <stdio.h>


static int  tap_count;
static int  tap_failed;
static int  tap_cond;


/*
 * The condition comes first: the order in which arguments are evaluated is
 * the compiler's, and the text often shows what the condition has set.
 */
#define tap_ok(cond, ...)  (tap_cond = (cond) != 0, tap_line(__VA_ARGS__))


__attribute__((format(printf, 1, 2)))
static inline int
tap_line(const char *fmt, ...)
{
    int      cond = tap_cond;
    va_list  args;

    printf("%sok %d - ", cond ? "" : "not ", ++tap_count);

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");

    if (!cond) {
        tap_failed++;
    }

    return cond;
}


/* Prints the plan; the result is for main() to return. */
static inline int
tap_done(void)
{
    printf("1..%d\n", tap_count);

    return tap_failed ? 1 : 0;
}


#endif /* _TAP_H_INCLUDED_ */
