/* The search for a night's best plan: ruin and recreate under a falling threshold.

   A plan is taken apart in one place: a stretch of a route, some visits here and there, or what stands in the way of one
   that the plan leaves out. What then fits is put back, the densest first, more or less. The result is gone on with
   unless it is worse by more than a threshold that falls with the work done. All times are milliseconds from the
   work's zero, values doubles. No libm: what machines round differently must not change a plan. Compile with
   -ffp-contract=off. */

#define _POSIX_C_SOURCE 200809L
#include "_night.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef SOURCE_DIGEST
#define SOURCE_DIGEST ""
#endif
#define RUIN_MOST 16
#define TRIALS 4
#define MEMBERS_MOST 64 /* of a group; search.py refuses larger ones */

typedef struct {
    double value;
    int32_t *rig, *chance, *start; /* [visits]; rig -1: not in the plan */
    int32_t *least, *most;         /* [visits]: how far a member of a group may move without minding the others */
    int32_t *length;               /* [rigs] */
    int32_t *route, *early, *late; /* [rigs][visits], along the routes */
} State;

typedef struct {
    const Night *night;
    State now, trial, best;
    int32_t *open, *opens;        /* [rigs][visits + 1] places with room, [rigs] how many */
    int32_t *heap;
    double *key;
    int32_t shortest;
    int32_t *opening, *closing;   /* [rigs] first start and last end of anything */
    uint64_t random;
    int64_t spent;
    double price;                 /* of a millisecond */
} Search;

typedef struct {
    int32_t rig, place, chance, from, to;
    double score;
} Spot;

static uint64_t draw(Search *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return s->random * UINT64_C(2685821657736338717);
}

static int32_t below(Search *s, int32_t most) { return (int32_t)((draw(s) >> 33) % (uint64_t)most); }

static double part(Search *s) { return (double)(draw(s) >> 11) * (1.0 / 9007199254740992.0); }

static double worth(const Night *n, int32_t rig, int32_t visit, int32_t start)
{
    const double *row = n->value + ((int64_t)rig * n->visits + visit) * n->samples;
    int32_t at = start / n->step;
    if (at >= n->samples - 1)
        return row[n->samples - 1];
    double share = (double)(start - at * n->step) / (double)n->step;
    return row[at] + (row[at + 1] - row[at]) * share;
}

/* What must pass between the end of one visit and the start of the next. */
static int32_t pause(const Night *n, int32_t rig, int32_t a, int32_t side_a, int32_t b, int32_t side_b)
{
    return n->pause[(((int64_t)rig * n->visits + a) * n->visits + b) * 2 + (side_a != side_b)];
}

static int32_t follow(const Night *n, const State *st, int32_t rig, int32_t a, int32_t b)
{
    return pause(n, rig, a, n->chance_side[st->chance[a]], b, n->chance_side[st->chance[b]]);
}

static int32_t lowest(const Night *n, const State *st, int32_t v)
{
    int32_t from = n->chance_from[st->chance[v]];
    return st->least[v] > from ? st->least[v] : from;
}

static int32_t highest(const Night *n, const State *st, int32_t v)
{
    int32_t to = n->chance_to[st->chance[v]];
    return st->most[v] < to ? st->most[v] : to;
}

/* Renew the earliest starts of a route from one place on, as far as they change; all of them when `all`. */
static void renew_early(Search *s, State *st, int32_t rig, int32_t from, int all)
{
    const Night *n = s->night;
    int64_t row = (int64_t)rig * n->visits;
    int32_t *route = st->route + row, *early = st->early + row, length = st->length[rig], k = from;
    for (; k < length; k++) {
        int32_t v = route[k], reach = n->first[row + v];
        if (k) reach = early[k - 1] + n->duration[route[k - 1]] + follow(n, st, rig, route[k - 1], v);
        if (reach < lowest(n, st, v)) reach = lowest(n, st, v);
        if (!all && k > from && early[k] == reach) break;
        early[k] = reach;
    }
    s->spent += k - from + 1;
}

/* Renew the latest starts of a route from one place back. */
static void renew_late(Search *s, State *st, int32_t rig, int32_t from, int all)
{
    const Night *n = s->night;
    int64_t row = (int64_t)rig * n->visits;
    int32_t *route = st->route + row, *late = st->late + row, length = st->length[rig], k = from;
    for (; k >= 0; k--) {
        int32_t v = route[k], bound = highest(n, st, v);
        if (k + 1 < length) {
            int32_t next = late[k + 1] - n->duration[v] - follow(n, st, rig, v, route[k + 1]);
            if (next < bound) bound = next;
        }
        if (!all && k < from && late[k] == bound) break;
        late[k] = bound;
    }
    s->spent += from - k + 1;
}

/* List the places of a route with room for another visit. */
static void list_open(Search *s, const State *st, int32_t rig)
{
    const Night *n = s->night;
    int64_t row = (int64_t)rig * n->visits;
    const int32_t *route = st->route + row, *early = st->early + row, *late = st->late + row;
    int32_t *open = s->open + row + rig, opens = 0, length = st->length[rig], since = s->opening[rig];
    for (int32_t k = 0; k <= length; k++) {
        if ((k < length ? late[k] : s->closing[rig]) - since >= s->shortest)
            open[opens++] = k;
        if (k < length) since = early[k] + n->duration[route[k]] + n->readout[rig];
    }
    s->opens[rig] = opens;
    s->spent += (length >> 2) + 1;
}

static int32_t clamp(int32_t wanted, int32_t from, int32_t to) { return wanted < from ? from : wanted > to ? to : wanted; }

/* One place of a route for a visit: when it could start there, and what that is worth; from > to when it does not fit. */
static void consider(Search *s, const State *st, int32_t v, int32_t rig, int32_t place, int32_t chance, int32_t least,
                     int32_t most, Spot *spot)
{
    const Night *n = s->night;
    const int32_t *route = st->route + (int64_t)rig * n->visits;
    const int32_t *early = st->early + (int64_t)rig * n->visits, *late = st->late + (int64_t)rig * n->visits;
    int32_t side = n->chance_side[chance], used = n->duration[v], whole = 0;
    int32_t from = n->chance_from[chance], to = n->chance_to[chance];
    if (least > from) from = least;
    if (most < to) to = most;
    s->spent++;
    spot->from = 1; spot->to = 0;
    int32_t before = place ? early[place - 1] + n->duration[route[place - 1]] : n->first[(int64_t)rig * n->visits + v];
    if (before > from) from = before;
    if (place < st->length[rig] && late[place] - n->duration[v] - n->readout[rig] < to)
        to = late[place] - n->duration[v] - n->readout[rig];
    if (from > to) return;
    if (place) {
        int32_t a = route[place - 1], set = pause(n, rig, a, n->chance_side[st->chance[a]], v, side);
        if (before + set > from) from = before + set;
        if (from > to) return;
        used += set;
    }
    if (place < st->length[rig]) {
        int32_t b = route[place], set = pause(n, rig, v, side, b, n->chance_side[st->chance[b]]);
        if (late[place] - n->duration[v] - set < to) to = late[place] - n->duration[v] - set;
        if (from > to) return;
        used += set;
        if (place) whole = follow(n, st, rig, route[place - 1], b);
    }
    spot->rig = rig; spot->place = place; spot->chance = chance; spot->from = from; spot->to = to;
    spot->score = worth(n, rig, v, clamp(n->chance_peak[chance], from, to)) - s->price * (double)(used - whole);
}

/* The best place for a visit that starts between two instants, on a rig that the rule allows (-1: on any). */
static Spot best_spot(Search *s, const State *st, int32_t v, int32_t only, int32_t but, int32_t least, int32_t most)
{
    const Night *n = s->night;
    Spot best = {-1, 0, 0, 1, 0, 0.0}, spot;
    for (int32_t rig = 0; rig < n->rigs; rig++) {
        if ((only >= 0 && rig != only) || rig == but)
            continue;
        int64_t row = (int64_t)rig * n->visits + v;
        for (int32_t c = n->chance_at[row]; c < n->chance_at[row + 1]; c++) {
            if (n->chance_to[c] < least || n->chance_from[c] > most)
                continue;
            for (int32_t k = 0; k < s->opens[rig]; k++) {
                consider(s, st, v, rig, s->open[(int64_t)rig * (n->visits + 1) + k], c, least, most, &spot);
                if (spot.from <= spot.to && (best.rig < 0 || spot.score > best.score) && (draw(s) >> 58))
                    best = spot;
            }
        }
    }
    return best;
}

/* Put a visit in its place; those before give way to the left, those after to the right. */
static void place_visit(Search *s, State *st, int32_t v, const Spot *spot, int32_t start)
{
    const Night *n = s->night;
    int32_t rig = spot->rig, length = st->length[rig];
    int32_t *route = st->route + (int64_t)rig * n->visits;
    size_t moved = (size_t)(length - spot->place) * sizeof *route;
    int32_t *early = st->early + (int64_t)rig * n->visits + spot->place;
    int32_t *late = st->late + (int64_t)rig * n->visits + spot->place;
    memmove(route + spot->place + 1, route + spot->place, moved);
    memmove(early + 1, early, moved);
    memmove(late + 1, late, moved);
    route[spot->place] = v;
    st->length[rig] = ++length;
    st->rig[v] = rig; st->chance[v] = spot->chance; st->start[v] = start;
    st->least[v] = n->group[v] < 0 ? INT32_MIN : start; /* a group's members stay until all are placed */
    st->most[v] = n->group[v] < 0 ? INT32_MAX : start;
    for (int32_t k = spot->place - 1; k >= 0; k--) {
        int32_t a = route[k], b = route[k + 1];
        int32_t bound = st->start[b] - n->duration[a] - follow(n, st, rig, a, b);
        if (st->start[a] <= bound) break;
        st->start[a] = bound;
    }
    for (int32_t k = spot->place + 1; k < length; k++) {
        int32_t a = route[k - 1], b = route[k];
        int32_t bound = st->start[a] + n->duration[a] + follow(n, st, rig, a, b);
        if (st->start[b] >= bound) break;
        st->start[b] = bound;
    }
    renew_early(s, st, rig, spot->place, 0);
    renew_late(s, st, rig, spot->place, 0);
    list_open(s, st, rig);
}

static void drop_visit(Search *s, State *st, int32_t v)
{
    const Night *n = s->night;
    int32_t rig = st->rig[v], length = st->length[rig], k = 0;
    int64_t row = (int64_t)rig * n->visits;
    int32_t *route = st->route + row;
    while (route[k] != v) k++;
    size_t moved = (size_t)(length - k - 1) * sizeof *route;
    memmove(route + k, route + k + 1, moved);
    memmove(st->early + row + k, st->early + row + k + 1, moved);
    memmove(st->late + row + k, st->late + row + k + 1, moved);
    st->length[rig] = length - 1;
    st->rig[v] = -1;
    s->spent += k >> 2;
    renew_early(s, st, rig, k, 0);
    renew_late(s, st, rig, k - 1, 0);
}

/* Take a visit out of the plan, and with it all of its group. */
static void ruin_visit(Search *s, State *st, int32_t v)
{
    const Night *n = s->night;
    int32_t g = n->group[v];
    if (g < 0) { drop_visit(s, st, v); return; }
    for (int32_t m = n->member_at[g]; m < n->member_at[g + 1]; m++)
        if (st->rig[n->member[m]] >= 0)
            drop_visit(s, st, n->member[m]);
}

static void copy_state(const Night *n, State *to, const State *from)
{
    to->value = from->value;
    memcpy(to->rig, from->rig, (size_t)n->visits * sizeof(int32_t));
    memcpy(to->chance, from->chance, (size_t)n->visits * sizeof(int32_t));
    memcpy(to->start, from->start, (size_t)n->visits * sizeof(int32_t));
    memcpy(to->least, from->least, (size_t)n->visits * sizeof(int32_t));
    memcpy(to->most, from->most, (size_t)n->visits * sizeof(int32_t));
    memcpy(to->length, from->length, (size_t)n->rigs * sizeof(int32_t));
    for (int32_t rig = 0; rig < n->rigs; rig++) {
        int64_t row = (int64_t)rig * n->visits;
        size_t size = (size_t)from->length[rig] * sizeof(int32_t);
        memcpy(to->route + row, from->route + row, size);
        memcpy(to->early + row, from->early + row, size);
        memcpy(to->late + row, from->late + row, size);
    }
}

static void renew_all(Search *s, State *st)
{
    for (int32_t rig = 0; rig < s->night->rigs; rig++) {
        renew_early(s, st, rig, 0, 1);
        renew_late(s, st, rig, st->length[rig] - 1, 1);
    }
}

/* Give the members of a group the room that they leave one another: half of what each pair has to spare. */
static void widen(const Night *n, State *st, int32_t g)
{
    int32_t from = n->member_at[g], to = n->member_at[g + 1];
    for (int32_t m = from; m < to; m++) {
        st->least[n->member[m]] = INT32_MIN;
        st->most[n->member[m]] = INT32_MAX;
    }
    for (int32_t m = from + 1; m < to; m++) {
        int32_t a = n->member[m - 1], b = n->member[m], nearer, wider;
        if (st->rig[a] < 0 || st->rig[b] < 0) continue;
        if (n->together[g] >= 0) {
            nearer = n->together[g] + st->start[b] - st->start[a];
            wider = n->together[g] + st->start[a] - st->start[b];
        } else {
            int32_t gap = st->start[b] - st->start[a] - n->duration[a];
            nearer = gap - n->least[g];
            wider = n->most[g] - gap;
        }
        nearer /= 2; wider /= 2;
        if (st->start[a] + nearer < st->most[a]) st->most[a] = st->start[a] + nearer;
        if (st->start[a] - wider > st->least[a]) st->least[a] = st->start[a] - wider;
        if (st->start[b] - nearer > st->least[b]) st->least[b] = st->start[b] - nearer;
        if (st->start[b] + wider < st->most[b]) st->most[b] = st->start[b] + wider;
    }
}

static void list_opens(Search *s, const State *st)
{
    for (int32_t rig = 0; rig < s->night->rigs; rig++)
        list_open(s, st, rig);
}

static int insert_single(Search *s, State *st, int32_t v)
{
    Spot spot = best_spot(s, st, v, -1, -1, INT32_MIN, INT32_MAX);
    if (spot.rig < 0 || spot.score <= 0.0)
        return 0;
    place_visit(s, st, v, &spot, clamp(s->night->chance_peak[spot.chance], spot.from, spot.to));
    return 1;
}

/* When a member of a group may start, after the one before it. */
static void after(const Night *n, const State *st, int32_t g, int32_t before, int32_t *least, int32_t *most)
{
    int32_t start = st->start[before];
    if (n->together[g] >= 0) {
        *least = start - n->together[g];
        *most = start + n->together[g];
    } else {
        *least = start + n->duration[before] + n->least[g];
        *most = start + n->duration[before] + n->most[g];
    }
}

/* Any place for a group's first member, each as likely as the others. */
static Spot any_spot(Search *s, const State *st, int32_t v)
{
    const Night *n = s->night;
    Spot chosen = {-1, 0, 0, 1, 0, 0.0}, spot;
    int32_t seen = 0;
    for (int32_t rig = 0; rig < n->rigs; rig++) {
        int64_t row = (int64_t)rig * n->visits + v;
        for (int32_t c = n->chance_at[row]; c < n->chance_at[row + 1]; c++)
            for (int32_t k = 0; k < s->opens[rig]; k++) {
                consider(s, st, v, rig, s->open[(int64_t)rig * (n->visits + 1) + k], c, INT32_MIN, INT32_MAX, &spot);
                if (spot.from <= spot.to && below(s, ++seen) == 0)
                    chosen = spot;
            }
    }
    return chosen;
}

static int32_t moment(Search *s, const Spot *spot, int32_t mode)
{
    if (mode == 0) return spot->from;
    if (mode == 1) return spot->to;
    if (mode == 2) return clamp(s->night->chance_peak[spot->chance], spot->from, spot->to);
    return spot->from + below(s, spot->to - spot->from + 1);
}

/* Place a group's members one after the other, as far as they fit; how many, and what they bring. */
static int32_t try_group(Search *s, State *st, int32_t g, int32_t mode, Spot *spots, double *gain)
{
    const Night *n = s->night;
    int32_t first = n->member_at[g], size = n->member_at[g + 1] - first, count = 0;
    *gain = 0.0;
    for (; count < size; count++) {
        int32_t v = n->member[first + count], least = INT32_MIN, most = INT32_MAX, only = -1, but = -1;
        Spot *spot = spots + count;
        if (count == 0)
            *spot = mode == 2 ? best_spot(s, st, v, only, but, least, most) : any_spot(s, st, v);
        else {
            int32_t before = n->member[first + count - 1];
            after(n, st, g, before, &least, &most);
            if (n->rule[g] == 1) only = st->rig[before];
            if (n->rule[g] == 2) but = st->rig[before];
            *spot = best_spot(s, st, v, only, but, least, most);
        }
        if (spot->rig < 0)
            break;
        int32_t start = moment(s, spot, count == 0 ? mode : (int32_t)(draw(s) >> 63) * 2);
        spot->from = spot->to = start;
        place_visit(s, st, v, spot, start);
        *gain += spot->score;
    }
    if (count == size) *gain += n->bonus[g];
    return count;
}

/* A whole group, or the first of its members; some beginnings are tried and the best is kept. */
static int insert_group(Search *s, State *st, int32_t g)
{
    const Night *n = s->night;
    int32_t first = n->member_at[g], size = n->member_at[g + 1] - first, best_count = 0;
    static const int32_t modes[TRIALS] = {2, 0, 1, 3};
    Spot spots[MEMBERS_MOST], best[MEMBERS_MOST];
    double best_gain = 0.0;
    for (int32_t trial = 0; trial < TRIALS; trial++) {
        double gain;
        int32_t count = try_group(s, st, g, modes[trial], spots, &gain);
        int good = count == size || (count && !n->whole[g]);
        if (good && (!best_count || gain > best_gain)) {
            best_gain = gain; best_count = count;
            memcpy(best, spots, (size_t)count * sizeof *spots);
        }
        for (int32_t k = count - 1; k >= 0; k--) {
            drop_visit(s, st, n->member[first + k]);
            list_open(s, st, spots[k].rig);
        }
        if (!count) break;
    }
    for (int32_t k = 0; k < best_count; k++)
        place_visit(s, st, n->member[first + k], best + k, best[k].from);
    if (best_count) {
        widen(n, st, g);
        for (int32_t k = 0; k < best_count; k++) {
            int32_t rig = best[k].rig, at = 0;
            while (st->route[(int64_t)rig * n->visits + at] != n->member[first + k]) at++;
            renew_early(s, st, rig, at, 0);
            renew_late(s, st, rig, at, 0);
        }
        list_opens(s, st);
    }
    return best_count > 0;
}

/* Whether a visit could stand in one of the places with room, set-ups left out. */
static int may_fit(const Search *s, const State *st, int32_t v)
{
    const Night *n = s->night;
    for (int32_t rig = 0; rig < n->rigs; rig++) {
        int64_t row = (int64_t)rig * n->visits;
        for (int32_t c = n->chance_at[row + v]; c < n->chance_at[row + v + 1]; c++)
            for (int32_t k = 0; k < s->opens[rig]; k++) {
                int32_t place = s->open[(int64_t)rig * (n->visits + 1) + k];
                int32_t from = n->chance_from[c], to = n->chance_to[c];
                if (place) {
                    int32_t reach = st->early[row + place - 1] + n->duration[st->route[row + place - 1]];
                    if (reach > from) from = reach;
                }
                if (place < st->length[rig] && st->late[row + place] - n->duration[v] < to)
                    to = st->late[row + place] - n->duration[v];
                if (from <= to) return 1;
            }
    }
    return 0;
}

static int group_may_fit(const Search *s, const State *st, int32_t g)
{
    for (int32_t m = s->night->member_at[g]; m < s->night->member_at[g + 1]; m++)
        if (!may_fit(s, st, s->night->member[m])) return 0;
    return 1;
}

static void sift(Search *s, int32_t at, int32_t count)
{
    int32_t *heap = s->heap, moved = heap[at];
    double key = s->key[moved];
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && s->key[heap[child + 1]] > s->key[heap[child]]) child++;
        if (s->key[heap[child]] <= key) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* Fill the plan's holes: the densest first, more or less. `wanted` (or -1) goes before all others. */
static void recreate(Search *s, State *st, int32_t wanted)
{
    const Night *n = s->night;
    int32_t count = 0, mode = below(s, 8);
    double noise = mode == 0 ? 1.0 : mode < 4 ? 0.6 : 0.25;
    for (int32_t v = 0; v < n->visits; v++) {
        int32_t g = n->group[v];
        if (st->rig[v] >= 0 || (g >= 0 && n->member[n->member_at[g]] != v))
            continue;
        if (v != wanted && !(g >= 0 && n->whole[g] ? group_may_fit(s, st, g) : may_fit(s, st, v)))
            continue;
        double key = n->density[v] * (1.0 - noise * part(s));
        if (mode == 1) key *= (double)n->duration[v];
        s->key[v] = v == wanted ? 1e300 : key;
        s->heap[count++] = v;
    }
    s->spent += n->visits;
    for (int32_t at = count / 2 - 1; at >= 0; at--)
        sift(s, at, count);
    while (count) {
        int32_t v = s->heap[0];
        s->heap[0] = s->heap[--count];
        if (count) sift(s, 0, count);
        if (v != wanted && !(draw(s) >> 58)) continue;
        if (n->group[v] >= 0) insert_group(s, st, n->group[v]);
        else insert_single(s, st, v);
    }
}

/* Let a route's visits drift towards their best hours, alone and in runs without a break. */
static void drift(Search *s, State *st, int32_t rig)
{
    const Night *n = s->night;
    int32_t *route = st->route + (int64_t)rig * n->visits, length = st->length[rig];
    int32_t head = 0;
    for (int32_t k = length - 1; k >= 0; k--) {
        int32_t v = route[k];
        int32_t from = lowest(n, st, v), to = highest(n, st, v);
        int32_t reach = k ? st->start[route[k - 1]] + n->duration[route[k - 1]] + follow(n, st, rig, route[k - 1], v)
                          : n->first[(int64_t)rig * n->visits + v];
        if (reach > from) from = reach;
        if (k + 1 < length) {
            int32_t bound = st->start[route[k + 1]] - n->duration[v] - follow(n, st, rig, v, route[k + 1]);
            if (bound < to) to = bound;
        }
        st->start[v] = clamp(n->chance_peak[st->chance[v]], from, to);
    }
    for (int32_t k = 0; k < length; k++) {
        int32_t v = route[k], room = INT32_MAX;
        if (k + 1 < length)
            room = st->start[route[k + 1]] - st->start[v] - n->duration[v] - follow(n, st, rig, v, route[k + 1]);
        if (room == 0) continue;
        int32_t left, right = room, first = route[head];
        left = head ? st->start[first] - st->start[route[head - 1]] - n->duration[route[head - 1]]
                          - follow(n, st, rig, route[head - 1], first)
                    : st->start[first] - n->first[(int64_t)rig * n->visits + first];
        double here = 0.0, sooner = 0.0, later = 0.0;
        for (int32_t j = head; j <= k; j++) {
            int32_t u = route[j], from = st->start[u] - lowest(n, st, u), to = highest(n, st, u) - st->start[u];
            if (from < left) left = from;
            if (to < right) right = to;
        }
        if (left > 240000) left = 240000;
        if (right > 240000) right = 240000;
        if (left > 0 || right > 0) {
            for (int32_t j = head; j <= k; j++) {
                int32_t u = route[j];
                here += worth(n, rig, u, st->start[u]);
                sooner += worth(n, rig, u, st->start[u] - left);
                later += worth(n, rig, u, st->start[u] + right);
            }
            int32_t shift = sooner > here && sooner >= later ? -left : later > here ? right : 0;
            for (int32_t j = head; shift && j <= k; j++)
                st->start[route[j]] += shift;
            s->spent += 3 * (k - head + 1);
        }
        head = k + 1;
    }
    s->spent += 2 * length;
}

static double total(Search *s, const State *st)
{
    const Night *n = s->night;
    double sum = 0.0;
    for (int32_t v = 0; v < n->visits; v++)
        if (st->rig[v] >= 0)
            sum += worth(n, st->rig[v], v, st->start[v]);
    for (int32_t g = 0; g < n->groups; g++)
        if (st->rig[n->member[n->member_at[g + 1] - 1]] >= 0 && st->rig[n->member[n->member_at[g]]] >= 0)
            sum += n->bonus[g];
    s->spent += n->visits;
    return sum;
}

/* A stretch of a rig's route. */
static void ruin_stretch(Search *s, State *st)
{
    const Night *n = s->night;
    int32_t rig = below(s, n->rigs), taken[RUIN_MOST];
    if (!st->length[rig]) return;
    int32_t most = st->length[rig] < RUIN_MOST ? st->length[rig] : RUIN_MOST;
    int32_t one = below(s, most), other = below(s, most), count = 1 + (one < other ? one : other);
    int32_t at = below(s, st->length[rig] - count + 1);
    memcpy(taken, st->route + (int64_t)rig * n->visits + at, (size_t)count * sizeof *taken);
    for (int32_t k = 0; k < count; k++)
        if (st->rig[taken[k]] >= 0)
            ruin_visit(s, st, taken[k]);
}

static void ruin_scattered(Search *s, State *st)
{
    const Night *n = s->night;
    int32_t count = 1 + below(s, 4);
    for (int32_t k = 0; k < count; k++) {
        int32_t rig = below(s, n->rigs);
        if (st->length[rig])
            ruin_visit(s, st, st->route[(int64_t)rig * n->visits + below(s, st->length[rig])]);
    }
}

/* Clear the way for a visit at a time near its best; on a rig that the rule allows. */
static int32_t clear_way(Search *s, State *st, int32_t v, int32_t only, int32_t but, int32_t least, int32_t most,
                         int32_t *start)
{
    const Night *n = s->night;
    int32_t seen = 0, rig = -1, chosen = 0;
    for (int32_t r = 0; r < n->rigs; r++) {
        if ((only >= 0 && r != only) || r == but) continue;
        int64_t row = (int64_t)r * n->visits + v;
        for (int32_t c = n->chance_at[row]; c < n->chance_at[row + 1]; c++)
            if (n->chance_to[c] >= least && n->chance_from[c] <= most && below(s, ++seen) == 0) {
                rig = r; chosen = c;
            }
    }
    if (rig < 0) return -1;
    int32_t from = n->chance_from[chosen] > least ? n->chance_from[chosen] : least;
    int32_t to = n->chance_to[chosen] < most ? n->chance_to[chosen] : most;
    *start = from + below(s, to - from + 1);
    if (draw(s) >> 63) *start = clamp((*start + n->chance_peak[chosen]) / 2, from, to);
    const int32_t *route = st->route + (int64_t)rig * n->visits;
    int32_t gap = n->readout[rig], k = 0;
    while (k < st->length[rig] && st->start[route[k]] + n->duration[route[k]] + gap <= *start) k++;
    while (k < st->length[rig] && st->start[route[k]] < *start + n->duration[v] + gap) {
        ruin_visit(s, st, route[k]);
        k = 0;
        while (k < st->length[rig] && st->start[route[k]] + n->duration[route[k]] + gap <= *start) k++;
    }
    return rig;
}

/* Make room for a visit, or a group, that the plan leaves out; which one, or -1. */
static int32_t ruin_for(Search *s, State *st)
{
    const Night *n = s->night;
    int32_t v = -1;
    for (int32_t k = 0, drawn = 0; k < 12 && drawn < 2; k++) {
        int32_t u = below(s, n->visits), g = n->group[u];
        if (g >= 0) u = n->member[n->member_at[g]];
        if (st->rig[u] >= 0) continue;
        drawn++;
        if (v < 0 || n->density[u] > n->density[v]) v = u;
    }
    if (v < 0) return -1;
    int32_t g = n->group[v], start = 0;
    int32_t rig = clear_way(s, st, v, -1, -1, INT32_MIN, INT32_MAX, &start);
    if (g < 0) return v;
    for (int32_t m = n->member_at[g] + 1; m < n->member_at[g + 1] && rig >= 0; m++) {
        int32_t before = n->member[m - 1], least, most;
        if (n->together[g] >= 0) {
            least = start - n->together[g]; most = start + n->together[g];
        } else {
            least = start + n->duration[before] + n->least[g]; most = start + n->duration[before] + n->most[g];
        }
        rig = clear_way(s, st, n->member[m], n->rule[g] == 1 ? rig : -1, n->rule[g] == 2 ? rig : -1, least, most, &start);
    }
    return v;
}

static int make_state(const Night *n, State *st)
{
    size_t visits = (size_t)n->visits + 1, rigs = (size_t)n->rigs;
    st->value = 0.0;
    st->rig = malloc(visits * sizeof(int32_t));
    st->chance = calloc(visits, sizeof(int32_t));
    st->start = calloc(visits, sizeof(int32_t));
    st->least = malloc(visits * sizeof(int32_t));
    st->most = malloc(visits * sizeof(int32_t));
    st->length = calloc(rigs, sizeof(int32_t));
    st->route = malloc(rigs * visits * sizeof(int32_t));
    st->early = malloc(rigs * visits * sizeof(int32_t));
    st->late = malloc(rigs * visits * sizeof(int32_t));
    if (!st->least || !st->most || !st->early || !st->late || !st->rig || !st->chance || !st->start || !st->length || !st->route)
        return 0;
    for (int32_t v = 0; v < n->visits; v++) {
        st->rig[v] = -1;
        st->least[v] = INT32_MIN; st->most[v] = INT32_MAX;
    }
    return 1;
}

static void free_state(State *st)
{
    free(st->rig); free(st->least); free(st->most); free(st->chance); free(st->start); free(st->length); free(st->route); free(st->early); free(st->late);
}

/* -ln of a number drawn from 0..1, by straight lines between the powers of two. */
static double patience(Search *s)
{
    double u = part(s), e = 0.0;
    if (u < 1e-12) u = 1e-12;
    while (u < 0.5) { u *= 2.0; e += 1.0; }
    return (e + 2.0 * (1.0 - u)) * 0.6931471805599453;
}

static void warm_start(Search *s, const int32_t *rigs, const int32_t *chances, const int32_t *starts)
{
    const Night *n = s->night;
    State *st = &s->now;
    for (int32_t v = 0; v < n->visits; v++) {
        if (rigs[v] < 0) continue;
        int32_t rig = rigs[v], k = st->length[rig]++;
        int32_t *route = st->route + (int64_t)rig * n->visits;
        while (k && starts[route[k - 1]] > starts[v]) { route[k] = route[k - 1]; k--; }
        route[k] = v;
        st->rig[v] = rig; st->chance[v] = chances[v]; st->start[v] = starts[v];
    }
}

/* CPU seconds that the process has used. */
double astrod_used_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Which source this was made of: a library that is older than its source is not used. */
const char *astrod_source(void) { return SOURCE_DIGEST; }

/* Improve a plan (rigs, chances, starts by visit; rig -1 for none) until `work` steps are spent; 0, or -1 without memory.
   When that takes more than `guard_s` of CPU the search ends early, and says so in `capped`. */
int astrod_search(const Night *night, uint64_t seed, int64_t work, double guard_s, double hot, double cold,
                  int32_t *rigs, int32_t *chances, int32_t *starts, double *value, int64_t *spent, int64_t *rounds,
                  int32_t *capped)
{
    double until_s = astrod_used_s() + guard_s;
    *capped = 0;
    Search search = {0}, *s = &search;
    size_t visits = (size_t)night->visits, cells = (size_t)night->rigs * (visits + 1);
    int done = -1;
    s->night = night;
    s->random = seed * UINT64_C(0x9E3779B97F4A7C15) + UINT64_C(0x2545F4914F6CDD1D);
    if (!s->random) s->random = 1;
    s->open = malloc(cells * sizeof(int32_t)); s->opens = malloc((size_t)night->rigs * sizeof(int32_t));
    s->opening = malloc((size_t)night->rigs * sizeof(int32_t)); s->closing = malloc((size_t)night->rigs * sizeof(int32_t));
    s->heap = malloc((visits + 1) * sizeof(int32_t)); s->key = malloc((visits + 1) * sizeof(double));
    int ready = make_state(night, &s->now) & make_state(night, &s->trial) & make_state(night, &s->best);
    if (!ready || !s->open || !s->opens || !s->opening || !s->closing || !s->heap || !s->key)
        goto out;
    s->shortest = INT32_MAX;
    double span = 0.0;
    for (int32_t v = 0; v < night->visits; v++)
        if (night->duration[v] < s->shortest) s->shortest = night->duration[v];
    for (int32_t rig = 0; rig < night->rigs; rig++) {
        s->opening[rig] = INT32_MAX; s->closing[rig] = INT32_MIN;
        for (int32_t v = 0; v < night->visits; v++)
            for (int32_t c = night->chance_at[rig * night->visits + v]; c < night->chance_at[rig * night->visits + v + 1]; c++) {
                if (night->chance_from[c] < s->opening[rig]) s->opening[rig] = night->chance_from[c];
                if (night->chance_to[c] + night->duration[v] > s->closing[rig])
                    s->closing[rig] = night->chance_to[c] + night->duration[v];
            }
    }
    warm_start(s, rigs, chances, starts);
    for (int32_t g = 0; g < night->groups; g++)
        widen(night, &s->now, g);
    renew_all(s, &s->now);
    list_opens(s, &s->now);
    recreate(s, &s->now, -1);
    s->now.value = total(s, &s->now);
    copy_state(night, &s->best, &s->now);
    for (int32_t v = 0; v < night->visits; v++)
        if (s->now.rig[v] >= 0) span += (double)night->duration[v];
    double scale = s->now.value, heat = hot, ratio = cold / hot;
    int32_t served = 0;
    for (int32_t v = 0; v < night->visits; v++)
        served += s->now.rig[v] >= 0;
    scale = served ? scale / (double)served : 0.0;
    for (*rounds = 0; s->spent < work; ++*rounds) {
        if ((*rounds & 63) == 0) {
            if (astrod_used_s() > until_s) { *capped = 1; break; }
            double age = (double)s->spent / (double)work, cooled = 1.0;
            /* a power of the ratio would need libm; this falls much alike */
            cooled = (1.0 - age) / (1.0 + age * (1.0 / ratio - 1.0) * 0.2);
            heat = hot * (cooled > ratio ? cooled : ratio) * scale;
        }
        copy_state(night, &s->trial, &s->now);
        State *st = &s->trial;
        s->price = span > 0.0 ? part(s) * s->best.value / span : 0.0;
        int32_t wanted = -1, kind = below(s, 10);
        if (kind < 5) ruin_stretch(s, st);
        else if (kind < 9) wanted = ruin_for(s, st);
        else ruin_scattered(s, st);
        list_opens(s, st);
        recreate(s, st, wanted);
        for (int32_t rig = 0; rig < night->rigs; rig++)
            drift(s, st, rig);
        st->value = total(s, st);
        if (st->value > s->now.value - heat * patience(s)) {
            State swap = s->now;
            s->now = s->trial;
            s->trial = swap;
            for (int32_t g = 0; g < night->groups; g++)
                widen(night, &s->now, g);
            if (night->groups) renew_all(s, &s->now);
            if (s->now.value > s->best.value)
                copy_state(night, &s->best, &s->now);
        }
    }
    for (int pass = 0; pass < 50; pass++)
        for (int32_t rig = 0; rig < night->rigs; rig++)
            drift(s, &s->best, rig);
    *value = total(s, &s->best);
    memcpy(rigs, s->best.rig, visits * sizeof(int32_t));
    memcpy(chances, s->best.chance, visits * sizeof(int32_t));
    memcpy(starts, s->best.start, visits * sizeof(int32_t));
    *spent = s->spent;
    done = 0;
out:
    free_state(&s->now); free_state(&s->trial); free_state(&s->best);
    free(s->open); free(s->opens); free(s->opening); free(s->closing); free(s->heap); free(s->key);
    return done;
}
