/* Recall's arithmetic, compiled: what some hundred small numpy calls do, in four.
 *
 * Each function does what the numpy functions named above it do, which are the reference: a change is made there
 * first, and tests/kernel holds the two together. Nothing here knows of Python. Arrays are dense, in C's order; their
 * types and sizes were checked by engram/kernel/__init__.py. Sums of floats are in another order than numpy's, so
 * results agree to about 1e-6, not to the last bit.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* index/columns.py, ROW */
typedef struct __attribute__((packed)) {
    int64_t start;
    int32_t length, namespace_, session, speaker, previous, next;
    int64_t at;
    uint8_t role, marks;
    uint16_t kind;
    int32_t upto;
    int8_t centroid[32];
    uint32_t check;
} Row;

enum { ROW_WORDS = 21, CENTROID = 32 };
_Static_assert(sizeof(Row) == 4 * ROW_WORDS, "a row is as index/columns.py has it");

enum { GONE = -1 };

/* encode/encoder.py */
enum { QUESTION = 1, ASKS = 2, TIME = 4 };

/* recall/weights.py, every field in its order */
typedef struct {
    double prior, typical_length, rarity_shift, rarity_power, name;
    double saturation, length, longest, near, least_similarity, near_power, total_power;
    double next, next_but_one, previous, answered, previous_but_one, monologue;
    double best_of_session, session, session_saturation, session_length, typical_session;
    double likeness, speaker, role, question, asks_when, date;
    double beside, held, time_mass, slope, offset;
} Weights;

/* How many turns ahead memory is asked for: what is gathered lies scattered over files of many megabytes. */
enum { AHEAD = 8 };

/* What this was compiled from, so that a library left over from another source is not used. */
uint32_t engram_source(void) { return ENGRAM_SOURCE; }

/* How many there are, so that a weight that is new in Python is not taken for another. */
int64_t engram_weights(void) { return sizeof(Weights) / sizeof(double); }

static void ask_for(const void *base, uint64_t offset) {
    /* As a number: where it leads out of the array nothing is read, but a pointer must not even be made. */
    __builtin_prefetch((const void *)((uintptr_t)base + offset));
    __builtin_prefetch((const void *)((uintptr_t)base + offset + 63));
}

/* index/columns.py, gathered, its first half: the rows of some seqs, without those that are not there. Returns how many
 * are, or -1 if one of them leads out of the tokens.
 * seqs (n,), rows (count,); seqs_out, rows_out, lengths_out: room for n. token_count: tokens there are; *total: those of
 * the rows. */
int64_t engram_held(const Row *rows, int64_t count, const int64_t *seqs, int64_t n, int64_t first, int64_t token_count,
                    int64_t *seqs_out, Row *rows_out, int64_t *lengths_out, int64_t *total) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        /* Without a sign, what is too low is too high as well. */
        uint64_t place = (uint64_t)seqs[i] - (uint64_t)first;
        if (i + AHEAD < n)
            ask_for(rows, ((uint64_t)seqs[i + AHEAD] - (uint64_t)first) * sizeof(Row));
        if (place >= (uint64_t)count)
            continue;
        rows_out[kept] = rows[place];
        seqs_out[kept++] = seqs[i];
    }
    /* Only the copies are looked at: another process may be writing to the rows themselves. */
    int64_t here = 0, sum = 0, fit = 1;
    for (int64_t i = 0; i < kept; i++) {
        int64_t length = rows_out[i].length, start = rows_out[i].start;
        if (length == GONE)
            continue;
        fit &= length >= 0 && start >= 0 && start <= token_count - length;
        if (here < i) {
            rows_out[here] = rows_out[i];
            seqs_out[here] = seqs_out[i];
        }
        lengths_out[here++] = length;
        sum += length;
    }
    *total = sum;
    return fit ? here : -1;
}

/* index/columns.py, gathered, its second half: copies the tokens of n rows as from engram_held, end to end.
 * width: bytes of a token, 2 or 4. Returns whether all is as it was written; stops at the first that is not. */
int32_t engram_gathered(const unsigned char *tokens, int32_t width, const Row *rows, int64_t n,
                        const uint64_t *factors, uint64_t token_factor, unsigned char *out) {
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            ask_for(tokens, (uint64_t)rows[i + AHEAD].start * (uint64_t)width);
        int64_t length = rows[i].length;
        memcpy(out, tokens + rows[i].start * width, (size_t)(length * width));
        uint64_t sum = 0, total = 0;
        if (width == 2)
            for (int64_t j = 0; j < length; j++)
                sum += ((const uint16_t *)out)[j];
        else
            for (int64_t j = 0; j < length; j++)
                sum += ((const uint32_t *)out)[j];
        out += length * width;
        uint32_t words[ROW_WORDS];
        memcpy(words, rows + i, sizeof words);
        for (int w = 0; w < ROW_WORDS; w++)
            total += words[w] * factors[w];
        total += sum * token_factor;
        if ((uint32_t)(total ^ total >> 32) != rows[i].check)
            return 0;
    }
    return 1;
}

/* Sorts n numbers; `other` has room for as many. Each holds a key above and a place below, so that equal keys keep
 * their order. */
static void sort(uint64_t *values, uint64_t *other, int64_t n) {
    uint64_t *from = values, *to = other;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * width) {
            int64_t middle = begin + width < n ? begin + width : n;
            int64_t end = middle + width < n ? middle + width : n;
            int64_t left = begin, right = middle, k = begin;
            /* Much is in order as it is: sessions are, mostly. */
            if (right < end && from[middle - 1] > from[middle])
                while (left < middle && right < end) {
                    uint64_t a = from[left], b = from[right];
                    int second = b < a;
                    to[k++] = second ? b : a;
                    left += !second;
                    right += second;
                }
            memcpy(to + k, from + left, (size_t)(middle - left) * sizeof *to);
            memcpy(to + k + (middle - left), from + right, (size_t)(end - right) * sizeof *to);
        }
        uint64_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != values)
        memcpy(values, from, (size_t)n * sizeof *values);
}

/* One recall: what it is given and what comes out, for n turns and q tokens of a cue. */
typedef struct {
    int64_t n, q;
    const Row *rows;
    const int64_t *seqs, *lengths;
    const void *tokens;
    int64_t token_width;  /* bytes */
    const int64_t *ids;   /* (q,): the cue's tokens */
    const uint8_t *known; /* (q,): whether what is near it counts */
    /* encode/table.py and Encoder: what is near each stem, and the stems' vectors; the last of these is all zeros. */
    const void *near;
    int64_t near_width, near_count;
    const uint8_t *similarity;
    const float *vectors;
    int64_t stems;
    int64_t longest_pause;
    /* recall/pool.py: Pool and Surroundings; counts and nearness (q, n). */
    float *counts, *likeness;
    uint8_t *nearness, *after_own, *before_own;
    int64_t *previous, *previous_but_one, *next, *next_but_one, *by_session, *starts, *session, *sessions;
    int64_t s; /* sessions */
    /* For engram_scored. */
    const int64_t *session_tokens;
    const float *when;
    const double *weight;  /* (q,) */
    const uint8_t *names;  /* (q,) */
    const int64_t *wanted; /* who is asked about: speakers, or else roles */
    int64_t wanteds, by_speaker, asks_when, asks_time, head;
    const Weights *weights;
    const float *near_worth; /* (256,) */
    /* recall/score.py: parts (PARTS, n), in the order of its own; matched (q, n). recall/confidence.py. */
    float *parts, *total, *confidence, *matched;
} Task;

static uint32_t number(const void *numbers, int64_t width, int64_t place) {
    return width == 2 ? ((const uint16_t *)numbers)[place] : ((const uint32_t *)numbers)[place];
}

/* The slot of each token id that a cue looks for, 0 for all others, in pages of 64 ids, made where there are any: small
 * enough to stay in a processor's nearest cache. */
typedef struct {
    uint16_t *page_of; /* by id / PAGE: a place in pages; 0: that without a slot */
    uint16_t *pages;
    uint32_t top; /* pages there could be; beyond, no id has a slot */
    uint16_t pages_made, slots_given;
} Slots;

enum { PAGE = 64, LANES = 16, BATCH = 256 };

/* What a processor compares at once: the similarities of a slot to 16 tokens of the cue. */
typedef uint8_t Lanes __attribute__((vector_size(LANES)));

static uint16_t *slot_of(const Slots *slots, uint32_t id) {
    uint32_t page = id / PAGE < slots->top ? id / PAGE : slots->top;
    return slots->pages + slots->page_of[page] * PAGE + id % PAGE;
}

static uint16_t give_slot(Slots *slots, uint32_t id) {
    if (id / PAGE >= slots->top)
        return 0; /* no table has such a stem; what is written for slot 0 is never read */
    uint16_t *page = slots->page_of + id / PAGE;
    if (!*page) {
        *page = ++slots->pages_made;
        memset(slots->pages + *page * PAGE, 0, PAGE * sizeof *slots->pages);
    }
    uint16_t *slot = slot_of(slots, id);
    if (!*slot)
        *slot = ++slots->slots_given;
    return *slot;
}

/* Encoder.centroid: a cue's own */
static void centroid(const Task *t, float *direction) {
    float square = 0;
    memset(direction, 0, CENTROID * sizeof *direction);
    for (int64_t p = 0; p < t->q; p++)
        for (int d = 0; d < CENTROID; d++)
            direction[d] += t->vectors[(t->ids[p] < t->stems ? t->ids[p] : t->stems) * CENTROID + d];
    for (int d = 0; d < CENTROID; d++)
        square += direction[d] * direction[d];
    double length = sqrt(square);
    for (int d = 0; d < CENTROID; d++)
        direction[d] = (float)(direction[d] / (length > 1e-9 ? length : 1e-9));
}

static float cosine(const Row *row, const float *direction) {
    float sums[4] = {0}, values[CENTROID];
    for (int d = 0; d < CENTROID; d++)
        values[d] = row->centroid[d];
    for (int d = 0; d < CENTROID; d += 4)
        for (int k = 0; k < 4; k++)
            sums[k] += values[d + k] * direction[d + k];
    float product = (sums[0] + sums[1] + sums[2] + sums[3]) * (float)(1.0 / 127);
    return product > 0 ? product : 0;
}

/* recall/pool.py, make_pool; `similarity`: Probe's, a row of `stride` Lanes for each slot. */
static void look(const Task *t, const Slots *slots, const Lanes *similarity, int64_t stride) {
    int64_t n = t->n, q = t->q, width = t->token_width, token = 0;
    uint16_t found[BATCH], own[BATCH];
    float direction[CENTROID];
    centroid(t, direction);
    memset(t->counts, 0, (size_t)(q * n) * sizeof *t->counts);
    memset(t->nearness, 0, (size_t)(q * n));
    for (int64_t i = 0; i < n; i++) {
        t->likeness[i] = cosine(t->rows + i, direction);
        for (int64_t end = token + t->lengths[i]; token < end;) {
            /* A batch at a time, and no branch on what a token is: a processor could not foretell it. */
            int64_t stop = end - token < BATCH ? end : token + BATCH;
            int many = 0, owns = 0;
            for (; token < stop; token++) {
                found[many] = *slot_of(slots, number(t->tokens, width, token));
                many += found[many] != 0;
            }
            for (int j = 0; j < many; j++) {
                own[owns] = found[j];
                owns += found[j] <= q;
            }
            for (int j = 0; j < owns; j++)
                t->counts[(own[j] - 1) * n + i]++;
            for (int64_t p = 0; many && p < stride; p++) {
                Lanes best = {0};
                for (int j = 0; j < many; j++) {
                    Lanes near = similarity[found[j] * stride + p], greater = (Lanes)(near > best);
                    best = (near & greater) | (best & ~greater);
                }
                uint8_t *nearness = t->nearness + p * LANES * n + i;
                for (int k = 0; k < LANES && p * LANES + k < q; k++)
                    nearness[k * n] = best[k] > nearness[k * n] ? best[k] : nearness[k * n];
            }
        }
    }
}

/* recall/pool.py, Probe.of; then make_pool. Returns whether there was memory for it. */
static int pool(const Task *t) {
    int64_t q = t->q, k = t->near_count, stride = (q + LANES - 1) / LANES, most = q * (1 + k);
    Slots slots = {.top = 0};
    for (int64_t p = 0; p < q; p++) {
        uint32_t last = (uint32_t)(t->ids[p] > t->stems ? t->ids[p] : t->stems) / PAGE;
        slots.top = last >= slots.top ? last + 1 : slots.top;
    }
    if (most >= UINT16_MAX)
        return 0;
    slots.page_of = calloc(slots.top + 1, sizeof *slots.page_of);
    slots.pages = malloc((size_t)((most < slots.top ? most : slots.top) + 1) * PAGE * sizeof *slots.pages);
    Lanes *similarity = aligned_alloc(sizeof *similarity, (size_t)((most + 1) * stride + 1) * sizeof *similarity);
    int done = slots.page_of && slots.pages && similarity;
    if (done) {
        memset(slots.pages, 0, PAGE * sizeof *slots.pages);
        memset(similarity, 0, (size_t)((most + 1) * stride) * sizeof *similarity);
        uint8_t *bytes = (uint8_t *)similarity;
        for (int64_t p = 0; p < q; p++)
            give_slot(&slots, (uint32_t)t->ids[p]);
        for (int64_t p = 0; p < q; p++) {
            for (int64_t j = t->ids[p] * k, end = t->known[p] ? j + k : j; j < end; j++)
                bytes[give_slot(&slots, number(t->near, t->near_width, j)) * stride * LANES + p] = t->similarity[j];
            bytes[(p + 1) * stride * LANES + p] = 0;
        }
        look(t, &slots, similarity, stride);
    }
    free(slots.page_of);
    free(slots.pages);
    free(similarity);
    return done;
}

/* recall/pool.py, places_of */
static int64_t place_of(int64_t wanted, const int64_t *seqs, int64_t n) {
    const int64_t *base = seqs;
    for (int64_t left = n; left > 1; left -= left / 2)
        base += base[left / 2] <= wanted ? left / 2 : 0;
    return *base == wanted ? base - seqs : -1;
}

static int64_t who(const Row *row) { return (int64_t)row->speaker * 256 | row->role; }

/* recall/pool.py, surroundings. Returns whether there was memory for it. */
static int surroundings(Task *t) {
    int64_t n = t->n;
    uint64_t *keys = malloc((size_t)(2 * n + 1) * sizeof *keys);
    if (!keys)
        return 0;
    for (int64_t i = 0; i < n; i++) {
        t->next[i] = -1;
        t->after_own[i] = 0;
        keys[i] = (uint64_t)((uint32_t)t->rows[i].session ^ 0x80000000u) << 32 | (uint64_t)i;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t before = place_of(t->rows[i].previous, t->seqs, n);
        if (before >= 0) {
            uint64_t a = (uint64_t)t->rows[i].at, b = (uint64_t)t->rows[before].at;
            int64_t pause = (int64_t)(a - b);
            if (pause > t->longest_pause || pause < -t->longest_pause)
                before = -1;
        }
        t->previous[i] = before;
        if (before >= 0) {
            t->next[before] = i;
            t->after_own[i] = who(t->rows + i) == who(t->rows + before);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t before = t->previous[i], after = t->next[i];
        t->previous_but_one[i] = before < 0 ? -1 : t->previous[before];
        t->next_but_one[i] = after < 0 ? -1 : t->next[after];
        t->before_own[i] = after < 0 ? 0 : t->after_own[after];
    }
    sort(keys, keys + n, n);
    t->s = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t i = t->by_session[j] = (int64_t)(keys[j] & 0xFFFFFFFFu);
        if (!j || t->sessions[t->s - 1] != t->rows[i].session) {
            t->starts[t->s] = j;
            t->sessions[t->s++] = t->rows[i].session;
        }
        t->session[i] = t->s - 1;
    }
    free(keys);
    return 1;
}

/* The Pool and the Surroundings of a task, and how many sessions there are. Returns 0, or -1 if there is no memory. */
int32_t engram_pooled(Task *t) { return pool(t) && surroundings(t) ? 0 : -1; }

static float at(const float *values, int64_t place) { return place < 0 ? 0 : values[place]; }

/* numpy's order of floats, the greatest first, as the order of whole numbers. */
static uint32_t descending(float value) {
    uint32_t bits;
    value += 0.0f; /* so that there is but one zero */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7FFFFFFFu;
}

enum { WORDS, LIKENESS, NEXT, PREVIOUS, SESSION, SPEAKER, QUESTION_PART, TIME_PART, PARTS };

/* recall/score.py, match; `saturation`: room for 2 n. */
static void match(const Task *t, float *restrict saturation) {
    const Weights *w = t->weights;
    float k1 = (float)w->saturation, b = (float)w->length, longest = (float)w->longest;
    float *restrict share = saturation + t->n;
    for (int64_t i = 0; i < t->n; i++) {
        float length = (float)t->lengths[i] * (float)(1 / w->typical_length);
        saturation[i] = k1 * (1 - b + b * (length < longest ? length : longest));
        share[i] = (1 + k1) / (1 + saturation[i]);
    }
    for (int64_t p = 0; p < t->q; p++) {
        const float *restrict counts = t->counts + p * t->n, *restrict worth = t->near_worth;
        const uint8_t *restrict nearness = t->nearness + p * t->n;
        float *restrict matched = t->matched + p * t->n;
        for (int64_t i = 0; i < t->n; i++) {
            matched[i] = worth[nearness[i]] * share[i];
            if (counts[i] > 0) { /* seldom */
                float exact = counts[i] / (counts[i] + saturation[i]) * (1 + k1);
                matched[i] = exact > matched[i] ? exact : matched[i];
            }
        }
    }
}

/* recall/score.py, said_in_sessions, summed over the tokens; `said`: (s,), `counted`: (q,). */
static void say(const Task *t, const float *counted, float *said) {
    const Weights *w = t->weights;
    float k = (float)w->session_saturation, b = (float)w->session_length, rest = (float)(1 - w->session_length);
    for (int64_t s = 0; s < t->s; s++) {
        int64_t end = s + 1 < t->s ? t->starts[s + 1] : t->n;
        float length = (float)t->session_tokens[s] * (float)(1 / w->typical_session);
        said[s] = 0;
        for (int64_t p = 0; p < t->q; p++) {
            const float *matched = t->matched + p * t->n;
            float best = matched[t->by_session[t->starts[s]]];
            for (int64_t j = t->starts[s] + 1; j < end; j++) {
                float value = matched[t->by_session[j]];
                best = value > best ? value : best;
            }
            said[s] += counted[p] * (best * (float)(1 + w->session_saturation) / (best + k * (rest + b * length)));
        }
    }
}

/* recall/score.py, said_by_asked: whether a turn was said by one of those. */
static int by_asked(const Task *t, const Row *row) {
    for (int64_t j = 0; j < t->wanteds; j++)
        if (t->wanted[j] == (t->by_speaker ? row->speaker : row->role))
            return 1;
    return 0;
}

/* recall/score.py, score; `room`: 2 n + q + s, at least. */
static void score(const Task *t, double whole, float *room) {
    const Weights *w = t->weights;
    int64_t n = t->n;
    float *own = t->parts + WORDS * n, *asking = room, *best = room + n, *counted = room + 2 * n, *said = counted + t->q;
    double scale = pow(whole > 0.1 ? whole : 0.1, -w->total_power);
    match(t, asking);
    memset(own, 0, (size_t)n * sizeof *own);
    for (int64_t p = 0; p < t->q; p++) {
        counted[p] = (float)(t->weight[p] * (t->names[p] ? w->name : 1.0) * scale);
        for (int64_t i = 0; i < n; i++)
            own[i] += counted[p] * t->matched[p * n + i];
    }
    say(t, counted, said);
    for (int64_t s = 0; s < t->s; s++)
        best[s] = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        asking[i] = t->rows[i].marks & ASKS ? own[i] : 0;
        best[t->session[i]] = own[i] > best[t->session[i]] ? own[i] : best[t->session[i]];
    }
    double asked = t->by_speaker ? w->speaker : w->role;
    for (int64_t i = 0; i < n; i++) {
        int64_t before = t->previous[i];
        uint8_t marks = t->rows[i].marks;
        float earlier = (float)w->previous * at(own, before) + (float)w->previous_but_one * at(own, t->previous_but_one[i]);
        earlier += (float)w->answered * at(asking, before);
        float later = (float)w->next * at(own, t->next[i]) + (float)w->next_but_one * at(own, t->next_but_one[i]);
        float part[PARTS] = {
            [WORDS] = own[i],
            [LIKENESS] = (float)w->likeness * t->likeness[i],
            [NEXT] = later * (t->before_own[i] ? (float)w->monologue : 1),
            [PREVIOUS] = earlier * (t->after_own[i] ? (float)w->monologue : 1),
            [SESSION] = (float)w->best_of_session * best[t->session[i]] + (float)w->session * said[t->session[i]],
            [SPEAKER] = (float)(by_asked(t, t->rows + i) ? asked : 0),
            [QUESTION_PART] = (float)(-w->question * ((marks & QUESTION) != 0)),
            [TIME_PART] = (float)(w->asks_when * ((marks & TIME) && t->asks_when) + (float)w->date * t->when[i]),
        };
        float total = 0;
        for (int k = 0; k < PARTS; k++) {
            t->parts[k * n + i] = part[k];
            total += part[k];
        }
        t->total[i] = total;
    }
}

/* recall/confidence.py, what of a token a turn holds */
static float holds(const Task *t, int64_t p, int64_t place) {
    float matched = t->matched[p * t->n + place], held = t->counts[p * t->n + place] > 0 ? (float)t->weights->held : 0;
    matched = matched < 1 ? matched : 1;
    return matched > held ? matched : held;
}

/* recall/confidence.py, coverage of the turn at one place */
static double coverage(const Task *t, double whole, int64_t i) {
    const Weights *w = t->weights;
    float worth[2] = {(float)w->beside, (float)(w->beside * w->monologue)};
    int64_t steps[4] = {t->previous[i], t->previous_but_one[i], t->next[i], t->next_but_one[i]};
    float worths[4] = {worth[t->after_own[i]], worth[t->after_own[i]], worth[t->before_own[i]], worth[t->before_own[i]]};
    double sum = 0, time = t->asks_time ? w->time_mass : 0;
    for (int64_t p = 0; p < t->q; p++) {
        float covered = holds(t, p, i);
        for (int k = 0; k < 4; k++) {
            float near = steps[k] < 0 ? 0 : holds(t, p, steps[k]) * worths[k];
            covered = near > covered ? near : covered;
        }
        sum += t->weight[p] * (t->names[p] ? 1 : covered);
    }
    whole += time;
    return (sum + (float)time * t->when[i]) / (whole > 1e-6 ? whole : 1e-6);
}

/* recall/confidence.py, confidence; `keys`: room for 2 n. */
static void be_sure(const Task *t, double whole, uint64_t *keys) {
    const Weights *w = t->weights;
    for (int64_t i = 0; i < t->n; i++)
        keys[i] = (uint64_t)descending(t->total[i]) << 32 | (uint64_t)i;
    sort(keys, keys + t->n, t->n);
    double lowest = 1, first_sure = 1;
    float first = 1;
    for (int64_t j = 0; j < t->n; j++) {
        int64_t i = (int64_t)(keys[j] & 0xFFFFFFFFu);
        float alone = t->total[i] - t->parts[SESSION * t->n + i];
        double sure = j < t->head ? 1 / (1 + exp(w->offset - w->slope * coverage(t, whole, i))) : 1;
        if (!j) {
            first_sure = sure;
            first = alone > 1e-6f ? alone : 1e-6f;
        }
        float behind = alone / first;
        behind = !j || behind > 1 ? 1 : behind > 0 ? behind : 0;
        double falling = behind * first_sure;
        falling = sure < falling ? sure : falling;
        lowest = falling < lowest ? falling : lowest;
        t->confidence[i] = (float)lowest;
    }
}

/* recall/score.py, score, and recall/confidence.py, confidence. Returns 0, or -1 if there is no memory. */
int32_t engram_scored(const Task *t) {
    uint64_t *keys = malloc((size_t)(2 * t->n + 1) * sizeof *keys);
    float *room = malloc((size_t)(2 * t->n + t->q + t->s + 1) * sizeof *room);
    if (keys && room) {
        double whole = 0;
        for (int64_t p = 0; p < t->q; p++)
            whole += t->weight[p];
        score(t, whole, room);
        be_sure(t, whole, keys);
    }
    int32_t result = keys && room ? 0 : -1;
    free(keys);
    free(room);
    return result;
}
