/* A bound on what any plan can be worth: Lagrangian relaxation of "each visit at most once".

   With a price on each visit, and the right to take it again, a rig's best night is a longest path over bins of time.
   Where the last visit left the telescope is remembered by filter and pier side only: the set-up from there is the
   least over all visits of that kind. Durations, pauses and starts are rounded down to bins and values up, so every
   plan has a path worth at least as much: paths plus prices bound it, whatever the prices are. They are brought down by
   subgradients (Held & Karp 1971; step after Polyak 1969). */

#include "_night.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    const Night *night;
    int32_t bin, bins, kinds;     /* kinds: filters times pier sides */
    int32_t *least;               /* [rigs][visits][2 sides][kinds] bins */
    int32_t *length, *chances;    /* [visits] bins; chances in order of their start, by rig */
    const double *share;          /* [visits] of its group's bonus */
    double *best;                 /* [bins + 1][kinds] */
    int32_t *last, *begun;        /* [bins + 1][kinds] the visit that ended there, and its start */
    int32_t *live;
    int32_t *owner;               /* [chances] visit */
} Relaxed;

static const double NEVER = -1e300;

static double sample(const Night *n, const double *row, int32_t ms)
{
    int32_t at = ms / n->step;
    if (at >= n->samples - 1) return row[n->samples - 1];
    return row[at] + (row[at + 1] - row[at]) * ((double)(ms - at * n->step) / (double)n->step);
}

/* The most that a visit is worth when it starts in a bin; bins divide the samples' step, so its ends will do. */
static double most_worth(const Relaxed *x, int32_t rig, int32_t v, int32_t bin)
{
    const double *row = x->night->value + ((int64_t)rig * x->night->visits + v) * x->night->samples;
    double a = sample(x->night, row, bin * x->bin), b = sample(x->night, row, (bin + 1) * x->bin);
    return a > b ? a : b;
}

/* A rig's best night under the prices; counts the visits of its path. */
static double longest_path(Relaxed *x, int32_t rig, const double *price, int32_t *count)
{
    const Night *n = x->night;
    int32_t kinds = x->kinds, lives = 0, next = n->chance_at[(int64_t)rig * n->visits];
    int32_t stop = n->chance_at[(int64_t)(rig + 1) * n->visits];
    double top = 0.0;
    int32_t top_bin = -1, top_kind = 0;
    if (next == stop) return 0.0;
    int32_t start = n->chance_from[x->chances[next]] / x->bin;
    for (int32_t t = start; t <= x->bins; t++)
        for (int32_t q = 0; q < kinds; q++) {
            x->best[(int64_t)t * kinds + q] = NEVER;
            x->last[(int64_t)t * kinds + q] = -1;
        }
    for (int32_t t = start; t < x->bins; t++) {
        double *here = x->best + (int64_t)t * kinds;
        if (t > start)
            for (int32_t q = 0; q < kinds; q++)
                if (here[q - kinds] > here[q]) {
                    here[q] = here[q - kinds];
                    x->last[(int64_t)t * kinds + q] = x->last[(int64_t)(t - 1) * kinds + q];
                    x->begun[(int64_t)t * kinds + q] = x->begun[(int64_t)(t - 1) * kinds + q];
                }
        while (next < stop && n->chance_from[x->chances[next]] / x->bin <= t)
            x->live[lives++] = x->chances[next++];
        for (int32_t k = 0; k < lives; k++) {
            int32_t c = x->live[k], v = x->owner[c], side = n->chance_side[c];
            if (n->chance_to[c] / x->bin < t) { x->live[k--] = x->live[--lives]; continue; }
            double gain = most_worth(x, rig, v, t) + x->share[v] - price[v];
            if (gain <= 0.0) continue;
            double before = n->first[(int64_t)rig * n->visits + v] / x->bin <= t ? 0.0 : NEVER;
            const int32_t *least = x->least + (((int64_t)rig * n->visits + v) * 2 + side) * kinds;
            for (int32_t q = 0; q < kinds; q++) {
                int32_t at = t - least[q];
                if (at >= start && x->best[(int64_t)at * kinds + q] > before) before = x->best[(int64_t)at * kinds + q];
            }
            int32_t end = t + x->length[v], kind = n->beam[v] * 2 + side;
            if (end > x->bins) end = x->bins;
            if (before + gain > x->best[(int64_t)end * kinds + kind]) {
                x->best[(int64_t)end * kinds + kind] = before + gain;
                x->last[(int64_t)end * kinds + kind] = v;
                x->begun[(int64_t)end * kinds + kind] = t;
                if (before + gain > top) { top = before + gain; top_bin = end; top_kind = kind; }
            }
        }
    }
    while (top_bin >= 0) {
        int64_t cell = (int64_t)top_bin * kinds + top_kind;
        int32_t v = x->last[cell], t = x->begun[cell], side = top_kind & 1;
        if (v < 0) break;
        count[v]++;
        const int32_t *least = x->least + (((int64_t)rig * n->visits + v) * 2 + side) * kinds;
        double before = n->first[(int64_t)rig * n->visits + v] / x->bin <= t ? 0.0 : NEVER;
        top_bin = -1;
        for (int32_t q = 0; q < kinds; q++) {
            int32_t at = t - least[q];
            if (at >= start && x->best[(int64_t)at * kinds + q] > before) {
                before = x->best[(int64_t)at * kinds + q];
                top_bin = at; top_kind = q;
            }
        }
    }
    return top;
}

static void set_up(Relaxed *x)
{
    const Night *n = x->night;
    for (int32_t rig = 0; rig < n->rigs; rig++)
        for (int32_t v = 0; v < n->visits; v++) {
            int32_t *least = x->least + ((int64_t)rig * n->visits + v) * 2 * x->kinds;
            for (int32_t k = 0; k < 2 * x->kinds; k++) least[k] = INT32_MAX / 4;
            for (int32_t u = 0; u < n->visits; u++) {
                if (u == v) continue;
                const int32_t *pause = n->pause + (((int64_t)rig * n->visits + u) * n->visits + v) * 2;
                for (int32_t side = 0; side < 2; side++)
                    for (int32_t was = 0; was < 2; was++) {
                        int32_t *cell = least + side * x->kinds + n->beam[u] * 2 + was;
                        int32_t bins = pause[side != was] / x->bin;
                        if (bins < *cell) *cell = bins;
                    }
            }
        }
    for (int32_t v = 0; v < n->visits; v++) x->length[v] = n->duration[v] / x->bin;
    for (int32_t rig = 0; rig < n->rigs; rig++) {
        int32_t from = n->chance_at[(int64_t)rig * n->visits], to = n->chance_at[(int64_t)(rig + 1) * n->visits];
        for (int32_t k = from; k < to; k++) {
            int32_t at = k;
            while (at > from && n->chance_from[x->chances[at - 1]] > n->chance_from[k]) {
                x->chances[at] = x->chances[at - 1];
                at--;
            }
            x->chances[at] = k;
        }
        for (int32_t v = 0; v < n->visits; v++)
            for (int32_t c = n->chance_at[(int64_t)rig * n->visits + v]; c < n->chance_at[(int64_t)rig * n->visits + v + 1]; c++)
                x->owner[c] = v;
    }
}

/* Bring the bound down from the given prices in so many rounds; 0, or -1 without memory. `known` is a plan's worth:
   it sets the step. Bins must divide the samples' step and be no longer than any visit. */
int astrod_bound(const Night *night, int32_t bin, int32_t bins, int32_t rounds, double known, const double *share,
                 double *price, double *bound, double guard_s)
{
    Relaxed relaxed = {0}, *x = &relaxed;
    size_t visits = (size_t)night->visits, chances = (size_t)night->chance_at[(int64_t)night->rigs * night->visits] + 1;
    size_t kinds = (size_t)night->beams * 2, cells = ((size_t)bins + 1) * kinds;
    double until_s = astrod_used_s() + guard_s, lambda = 1.0, lowest = 1e300;
    int32_t *count = malloc((visits + 1) * sizeof(int32_t)), stale = 0;
    double *drift = calloc(visits + 1, sizeof(double)), *good = malloc((visits + 1) * sizeof(double));
    int done = -1;
    x->night = night; x->bin = bin; x->bins = bins; x->kinds = (int32_t)kinds; x->share = share;
    x->least = malloc((size_t)night->rigs * visits * 2 * kinds * sizeof(int32_t) + 1);
    x->length = malloc((visits + 1) * sizeof(int32_t)); x->chances = malloc(chances * sizeof(int32_t));
    x->owner = malloc(chances * sizeof(int32_t)); x->live = malloc(chances * sizeof(int32_t));
    x->best = malloc(cells * sizeof(double));
    x->last = malloc(cells * sizeof(int32_t)); x->begun = malloc(cells * sizeof(int32_t));
    if (!count || !drift || !good || !x->least || !x->length || !x->chances || !x->owner || !x->live || !x->best || !x->last || !x->begun)
        goto out;
    set_up(x);
    memcpy(good, price, visits * sizeof(double));
    for (int32_t round = 0; round < rounds && (round == 0 || astrod_used_s() < until_s); round++) {
        double value = 0.0, norm = 0.0;
        memset(count, 0, visits * sizeof(int32_t));
        for (size_t v = 0; v < visits; v++) value += price[v];
        for (int32_t rig = 0; rig < night->rigs; rig++) value += longest_path(x, rig, price, count);
        if (value < lowest - 1e-9 * known) {
            lowest = value; stale = 0;
            memcpy(good, price, visits * sizeof(double));
        } else if (++stale >= 8) {
            stale = 0; lambda *= 0.6;
            memcpy(price, good, visits * sizeof(double));
            memset(drift, 0, visits * sizeof(double));
        }
        for (size_t v = 0; v < visits; v++) {
            double slope = (double)count[v] - 1.0;
            if (slope < 0.0 && price[v] <= 0.0) slope = 0.0;
            drift[v] = slope + 0.6 * drift[v];
            norm += drift[v] * drift[v];
        }
        if (norm <= 0.0 || value <= known) break;
        double step = lambda * (value - known) / norm;
        for (size_t v = 0; v < visits; v++) {
            price[v] += step * drift[v];
            if (price[v] < 0.0) price[v] = 0.0;
        }
    }
    memcpy(price, good, visits * sizeof(double));
    *bound = lowest;
    done = 0;
out:
    free(count); free(drift); free(good); free(x->least); free(x->length); free(x->chances); free(x->owner);
    free(x->live); free(x->best); free(x->last); free(x->begun);
    return done;
}
