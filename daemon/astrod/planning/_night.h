/* A night's work as search.py packs it. All times are milliseconds from the work's zero, values doubles. */

#ifndef ASTROD_NIGHT_H
#define ASTROD_NIGHT_H

#include <stdint.h>

typedef struct {
    int32_t visits, rigs, samples, groups, step, beams;
    const int32_t *duration;  /* [visits] */
    const int32_t *group;     /* [visits] or -1 */
    const int32_t *beam;      /* [visits]: the filter's number */
    const int32_t *readout;   /* [rigs], the least pause */
    const int32_t *first;     /* [rigs][visits]: when the rig could start it, coming from where it stands */
    const int32_t *pause;     /* [rigs][visits][visits][2]: between two visits, on one side of the pier or on both */
    const int32_t *chance_at; /* [rigs * visits + 1] */
    const int32_t *chance_from, *chance_to, *chance_side, *chance_peak;
    const double *value;      /* [rigs][visits][samples], by the start */
    const double *density;    /* [visits] */
    const int32_t *member_at; /* [groups + 1] */
    const int32_t *member;
    const int32_t *least, *most; /* [groups]: the gap from one member's end to the next one's start */
    const int32_t *together;     /* [groups]: how far apart starts may lie, or -1 for gaps */
    const int32_t *rule;         /* [groups]: 0 any rig, 1 the same, 2 another than the one before */
    const int32_t *whole;        /* [groups]: all members or none */
    const double *bonus;         /* [groups] */
} Night;

/* CPU seconds that the process has used. */
double astrod_used_s(void);

#endif
