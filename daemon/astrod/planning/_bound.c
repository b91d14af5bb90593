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
    double *share;                /* [visits] what it gets of its group's bonus, and owes to its neighbours there */
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

/* What a visit's group has it wait after another of the group; -1 where it cannot come later at all. */
static int32_t apart_ms(const Night *n, int32_t u, int32_t v)
{
    int32_t g = n->group[v], before = -1;
    if (g < 0 || n->group[u] != g || n->together[g] >= 0 || n->least[g] <= 0) return 0;
    for (int32_t m = n->member_at[g]; m < n->member_at[g + 1] && n->member[m] != v; m++)
        if (n->member[m] == u) before = u;
    return before < 0 ? -1 : n->least[g];
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
                int32_t apart = apart_ms(n, u, v);
                if (apart < 0) continue;
                for (int32_t side = 0; side < 2; side++)
                    for (int32_t was = 0; was < 2; was++) {
                        int32_t *cell = least + side * x->kinds + n->beam[u] * 2 + was;
                        int32_t wait = pause[side != was] > apart ? pause[side != was] : apart, bins = wait / x->bin;
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

/* What moves the bound: the prices; how each group's bonus is shared among its members, each of which it needs; and what
   a member owes to the one before it, without which it cannot be (of a group that is all or nothing, to the one after, too). */
typedef struct {
    double *price, *part, *debt;  /* [visits] */
} Multipliers;

static int make_multipliers(Multipliers *m, size_t visits)
{
    m->price = calloc(visits + 1, sizeof(double));
    m->part = calloc(visits + 1, sizeof(double));
    m->debt = calloc(visits + 1, sizeof(double));
    return m->price && m->part && m->debt;
}

static void copy_multipliers(Multipliers *to, const Multipliers *from, size_t visits)
{
    memcpy(to->price, from->price, visits * sizeof(double));
    memcpy(to->part, from->part, visits * sizeof(double));
    memcpy(to->debt, from->debt, visits * sizeof(double));
}

static void clear_multipliers(Multipliers *m, size_t visits)
{
    memset(m->price, 0, visits * sizeof(double));
    memset(m->part, 0, visits * sizeof(double));
    memset(m->debt, 0, visits * sizeof(double));
}

static void free_multipliers(Multipliers *m) { free(m->price); free(m->part); free(m->debt); }

/* What the groups' multipliers add to each member's worth. A member's debt is to the one before it in its group. */
static void share_out(const Night *n, const Multipliers *at, double *share)
{
    for (int32_t g = 0; g < n->groups; g++)
        for (int32_t m = n->member_at[g]; m < n->member_at[g + 1]; m++) {
            int32_t v = n->member[m];
            share[v] = at->part[v] - at->debt[v];
            if (m + 1 < n->member_at[g + 1]) share[v] += at->debt[n->member[m + 1]];
        }
}

/* Turn towards where the bound falls: what the paths took too often becomes dearer. Returns the length, squared. */
static double turn(const Night *n, const int32_t *count, const Multipliers *at, Multipliers *drift)
{
    double norm = 0.0;
    for (int32_t v = 0; v < n->visits; v++) {
        double slope = (double)count[v] - 1.0;
        if (slope < 0.0 && at->price[v] <= 0.0) slope = 0.0;
        drift->price[v] = slope + 0.6 * drift->price[v];
        norm += drift->price[v] * drift->price[v];
    }
    for (int32_t g = 0; g < n->groups; g++) {
        int32_t from = n->member_at[g], to = n->member_at[g + 1];
        double mean = 0.0;
        for (int32_t m = from; m < to; m++) mean += (double)count[n->member[m]] / (double)(to - from);
        for (int32_t m = from; m < to; m++) {
            int32_t v = n->member[m];
            drift->part[v] = mean - (double)count[v] + 0.6 * drift->part[v];
            norm += drift->part[v] * drift->part[v];
            if (m == from) continue;
            double owed = (double)count[v] - (double)count[n->member[m - 1]];
            if (owed < 0.0 && at->debt[v] <= 0.0 && !n->whole[g]) owed = 0.0;
            drift->debt[v] = owed + 0.6 * drift->debt[v];
            norm += drift->debt[v] * drift->debt[v];
        }
    }
    return norm;
}

static void go(const Night *n, Multipliers *at, const Multipliers *drift, double step)
{
    for (int32_t v = 0; v < n->visits; v++) {
        at->price[v] += step * drift->price[v];
        if (at->price[v] < 0.0) at->price[v] = 0.0;
    }
    for (int32_t g = 0; g < n->groups; g++) {
        double sum = 0.0;
        for (int32_t m = n->member_at[g]; m < n->member_at[g + 1]; m++) {
            int32_t v = n->member[m];
            at->part[v] += step * drift->part[v];
            if (at->part[v] < 0.0) at->part[v] = 0.0;
            sum += at->part[v];
            at->debt[v] += step * drift->debt[v];
            if (at->debt[v] < 0.0 && !n->whole[g]) at->debt[v] = 0.0;
        }
        int32_t size = n->member_at[g + 1] - n->member_at[g];
        for (int32_t m = n->member_at[g]; m < n->member_at[g + 1]; m++) {
            double *part = at->part + n->member[m];
            *part = sum > 0.0 ? *part * (n->bonus[g] / sum) : n->bonus[g] / (double)size;
        }
    }
}

/* Bring the bound down from the given prices in so many rounds; 0, or -1 without memory. `known` is a plan's worth:
   it sets the step. Bins must divide the samples' step and be no longer than any visit. */
int astrod_bound(const Night *night, int32_t bin, int32_t bins, int32_t rounds, double known, double *price,
                 double *part, double *debt, double *bound, double guard_s)
{
    Relaxed relaxed = {0}, *x = &relaxed;
    Multipliers at = {price, part, debt}, good = {0}, drift = {0};
    size_t visits = (size_t)night->visits, chances = (size_t)night->chance_at[(int64_t)night->rigs * night->visits] + 1;
    size_t kinds = (size_t)night->beams * 2, cells = ((size_t)bins + 1) * kinds;
    double until_s = astrod_used_s() + guard_s, lambda = 1.0, lowest = 1e300;
    int32_t *count = malloc((visits + 1) * sizeof(int32_t)), stale = 0;
    int done = -1;
    x->night = night; x->bin = bin; x->bins = bins; x->kinds = (int32_t)kinds;
    x->share = calloc(visits + 1, sizeof(double));
    x->least = malloc((size_t)night->rigs * visits * 2 * kinds * sizeof(int32_t) + 1);
    x->length = malloc((visits + 1) * sizeof(int32_t)); x->chances = malloc(chances * sizeof(int32_t));
    x->owner = malloc(chances * sizeof(int32_t)); x->live = malloc(chances * sizeof(int32_t));
    x->best = malloc(cells * sizeof(double));
    x->last = malloc(cells * sizeof(int32_t)); x->begun = malloc(cells * sizeof(int32_t));
    int ready = make_multipliers(&good, visits) & make_multipliers(&drift, visits);
    if (!ready || !count || !x->share || !x->least || !x->length || !x->chances || !x->owner || !x->live || !x->best ||
        !x->last || !x->begun)
        goto out;
    set_up(x);
    copy_multipliers(&good, &at, visits);
    for (int32_t round = 0; round < rounds && (round == 0 || astrod_used_s() < until_s); round++) {
        double value = 0.0;
        memset(count, 0, visits * sizeof(int32_t));
        share_out(night, &at, x->share);
        for (size_t v = 0; v < visits; v++) value += price[v];
        for (int32_t rig = 0; rig < night->rigs; rig++) value += longest_path(x, rig, price, count);
        if (value < lowest - 1e-9 * known) {
            lowest = value; stale = 0;
            copy_multipliers(&good, &at, visits);
        } else if (++stale >= 8) {
            stale = 0; lambda *= 0.6;
            copy_multipliers(&at, &good, visits);
            clear_multipliers(&drift, visits);
        }
        double norm = turn(night, count, &at, &drift);
        if (norm <= 0.0 || value <= known) break;
        go(night, &at, &drift, lambda * (value - known) / norm);
    }
    copy_multipliers(&at, &good, visits);
    *bound = lowest;
    done = 0;
out:
    free_multipliers(&good); free_multipliers(&drift);
    free(count); free(x->share); free(x->least); free(x->length); free(x->chances); free(x->owner);
    free(x->live); free(x->best); free(x->last); free(x->begun);
    return done;
}
