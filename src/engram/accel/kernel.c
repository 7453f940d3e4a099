/* Gathering, matching and scanning for recall, compiled: about fifty small numpy calls, in seven.
 *
 * Each function does what a numpy function does, which its comment names and which is the reference: change that one
 * first; tests/accel compares the two. No weight and no formula is in this file. It knows nothing of Python. Arrays are
 * dense and in C order; engram/accel/compiled.py checks their types and sizes. Floats are summed in another order than
 * numpy does, so results agree to about 1e-6, not to the last bit.
 *
 * Each struct is written once, as a list of fields. The list gives the declaration and the layout that Python compares
 * with its own, name by name, when it loads the library.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "product.h"
#include "sentences.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { CENTROID = 32, GONE = -1 };
typedef int8_t Centroid[CENTROID];

/* search/base.py, ROW */
#define ROW_FIELDS(FIELD) \
    FIELD(int64_t, start) \
    FIELD(int32_t, length) \
    FIELD(int32_t, namespace) \
    FIELD(int32_t, session) \
    FIELD(int32_t, speaker) \
    FIELD(int32_t, previous) \
    FIELD(int32_t, next) \
    FIELD(int64_t, at) \
    FIELD(uint8_t, role) \
    FIELD(uint8_t, marks) \
    FIELD(uint16_t, kind) \
    FIELD(int32_t, origin) \
    FIELD(int32_t, session_tokens_through) \
    FIELD(Centroid, centroid) \
    FIELD(int32_t, seq) \
    FIELD(int32_t, passage) \
    FIELD(int32_t, passages) \
    FIELD(uint32_t, check)

#define DECLARE(type, name) type name;
typedef struct __attribute__((packed)) {
    ROW_FIELDS(DECLARE)
} Row;

/* search/local/directory.py, PASSAGE; search/local/forward.py, PASSAGE_FACTOR */
typedef struct {
    int32_t row, namespace, length;
} Passage;
enum { PASSAGE_FACTOR = 0x10001 };

/* accel/compiled.py, MOST_WORDS: of the signs of a passage, 64 in each. */
enum { MOST_WORDS = 16 };

/* accel/compiled.py, Match: n turns, q tokens of a query. */
#define MATCH_FIELDS(FIELD) \
    FIELD(int64_t, n) \
    FIELD(int64_t, q) \
    FIELD(const Row *, columns) \
    FIELD(const int64_t *, lengths) \
    FIELD(const void *, tokens) \
    FIELD(int64_t, token_count)     /* the sum of lengths, or engram_match refuses */ \
    FIELD(int64_t, token_width)     /* bytes of a token: 2 or 4 */ \
    FIELD(const int64_t *, ids)     /* (q,): the query's tokens */ \
    FIELD(const uint8_t *, has_near) /* (q,): whether near tokens count */ \
    FIELD(const void *, near)       /* (stems, near_count): the nearest tokens of each stem */ \
    FIELD(int64_t, near_width)      /* bytes of one: 2 or 4 */ \
    FIELD(int64_t, near_count) \
    FIELD(const uint8_t *, similarity) /* (stems, near_count): how near they are */ \
    FIELD(const float *, vectors)   /* (stems + 1, CENTROID); the last row is all zeros */ \
    FIELD(int64_t, stems) \
    FIELD(float *, counts)          /* out: (q, n) */ \
    FIELD(uint8_t *, nearness)      /* out: (q, n) */ \
    FIELD(float *, cosines)         /* out: (n,) */

typedef struct {
    MATCH_FIELDS(DECLARE)
} Match;

/* accel/compiled.py, Links: n turns. */
#define LINKS_FIELDS(FIELD) \
    FIELD(int64_t, n) \
    FIELD(const int64_t *, rows)    /* (n,): sorted */ \
    FIELD(const Row *, columns) \
    FIELD(int64_t, longest_pause)   /* microseconds */ \
    FIELD(int64_t *, around)        /* out: (4, n) */ \
    FIELD(uint8_t *, same_speaker)  /* out: (2, n) */ \
    FIELD(int64_t *, by_session)    /* out: (n,) */ \
    FIELD(int64_t *, starts)        /* out: room for n, the first s are used */ \
    FIELD(int64_t *, session)       /* out: (n,) */ \
    FIELD(int64_t *, sessions)      /* out: room for n, the first s are used */ \
    FIELD(int64_t, s)               /* out: number of sessions */

typedef struct {
    LINKS_FIELDS(DECLARE)
} Links;

/* Appends "name:offset:size;" and returns the new length. */
static int64_t describe(char *text, int64_t room, int64_t used, const char *name, size_t offset, size_t size) {
    if (used >= room)
        return used;
    return used + snprintf(text + used, (size_t)(room - used), "%s:%zu:%zu;", name, offset, size);
}

/* The layout of Row, Match, Links and the structs of sentences.h and context.h, a line each, into `text`. Returns its
 * length, or -1 if `room` is too small. */
int64_t engram_layout(char *text, int64_t room) {
    int64_t used = 0;
#define DESCRIBE_ROW(type, name) used = describe(text, room, used, #name, offsetof(Row, name), sizeof(type));
#define DESCRIBE_MATCH(type, name) used = describe(text, room, used, #name, offsetof(Match, name), sizeof(type));
#define DESCRIBE_LINKS(type, name) used = describe(text, room, used, #name, offsetof(Links, name), sizeof(type));
#define DESCRIBE_LAYER(type, name) \
    used = describe(text, room, used, #name, offsetof(SentenceLayer, name), sizeof(type));
#define DESCRIBE_CACHE(type, name) \
    used = describe(text, room, used, #name, offsetof(SentenceCache, name), sizeof(type));
#define DESCRIBE_SENTENCES(type, name) \
    used = describe(text, room, used, #name, offsetof(Sentences, name), sizeof(type));
#define DESCRIBE_MATRIX(type, name) \
    used = describe(text, room, used, #name, offsetof(ContextMatrix, name), sizeof(type));
#define DESCRIBE_CONTEXT(type, name) \
    used = describe(text, room, used, #name, offsetof(Context, name), sizeof(type));
    ROW_FIELDS(DESCRIBE_ROW)
    if (used < room)
        text[used++] = '\n';
    MATCH_FIELDS(DESCRIBE_MATCH)
    if (used < room)
        text[used++] = '\n';
    LINKS_FIELDS(DESCRIBE_LINKS)
    if (used < room)
        text[used++] = '\n';
    SENTENCE_LAYER_FIELDS(DESCRIBE_LAYER)
    if (used < room)
        text[used++] = '\n';
    SENTENCE_CACHE_FIELDS(DESCRIBE_CACHE)
    if (used < room)
        text[used++] = '\n';
    SENTENCES_FIELDS(DESCRIBE_SENTENCES)
    if (used < room)
        text[used++] = '\n';
    CONTEXT_MATRIX_FIELDS(DESCRIBE_MATRIX)
    if (used < room)
        text[used++] = '\n';
    CONTEXT_FIELDS(DESCRIBE_CONTEXT)
    return used < room ? used : -1;
}

/* The checksum of the sources that this was compiled from. */
uint32_t engram_source(void) { return ENGRAM_SOURCE; }

/* How many turns ahead memory is prefetched: turns lie scattered over files of many megabytes. */
enum { AHEAD = 8, ROW_WORDS = sizeof(Row) / 4 };

static void prefetch(const void *base, uint64_t offset) {
    /* As a number: a pointer outside of the array must not even be made, though nothing would be read from it. */
    __builtin_prefetch((const void *)((uintptr_t)base + offset));
    __builtin_prefetch((const void *)((uintptr_t)base + offset + 63));
}

/* `gathered`, first half: copies the columns of some rows, without those that name no engram. Returns how many there
 * are, or -1 if one of them has tokens or passages outside of their arrays.
 * wanted (n,), columns (count,), the first of which belongs to the row `first`; rows_out, columns_out, lengths_out,
 * counts_out: room for n. token_count, passage_count: sizes of the arrays; totals (2,): numbers of tokens and of
 * passages of the copied rows. */
int64_t engram_find_rows(const Row *columns, int64_t count, const int64_t *wanted, int64_t n, int64_t first,
                         int64_t token_count, int64_t passage_count, int64_t *rows_out, Row *columns_out,
                         int64_t *lengths_out, int64_t *counts_out, int64_t *totals) {
    int64_t copied = 0;
    for (int64_t i = 0; i < n; i++) {
        /* Unsigned: a row that is too low is too high as well. */
        uint64_t index = (uint64_t)wanted[i] - (uint64_t)first;
        if (i + AHEAD < n)
            prefetch(columns, ((uint64_t)wanted[i + AHEAD] - (uint64_t)first) * sizeof(Row));
        if (index >= (uint64_t)count)
            continue;
        columns_out[copied] = columns[index];
        rows_out[copied++] = wanted[i];
    }
    /* Only the copies are examined: another process may be writing to the originals. */
    int64_t present = 0, sum = 0, parts = 0, fit = 1;
    for (int64_t i = 0; i < copied; i++) {
        int64_t length = columns_out[i].length, start = columns_out[i].start;
        int64_t count = columns_out[i].passages, passage = columns_out[i].passage;
        if (length == GONE)
            continue;
        fit &= length >= 0 && start >= 0 && start <= token_count - length;
        fit &= count >= 0 && passage >= 0 && passage <= passage_count - count;
        if (present < i) {
            columns_out[present] = columns_out[i];
            rows_out[present] = rows_out[i];
        }
        counts_out[present] = count;
        lengths_out[present++] = length;
        sum += length;
        parts += count;
    }
    totals[0] = sum;
    totals[1] = parts;
    return fit ? present : -1;
}

/* `gathered`, second half: copies the tokens and the lengths of the passages of n rows from engram_find_rows, end to end,
 * and verifies checksums. width: bytes of a token, 2 or 4. Returns 1 if every checksum is right and the passages have as
 * many tokens as the row; returns 0 at the first row where not. */
int32_t engram_copy_tokens(const unsigned char *tokens, int32_t width, const Passage *passages, const Row *columns,
                           int64_t n, const uint64_t *factors, uint64_t token_factor, unsigned char *out,
                           int64_t *lengths_out) {
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            prefetch(tokens, (uint64_t)columns[i + AHEAD].start * (uint64_t)width);
            prefetch(passages, (uint64_t)columns[i + AHEAD].passage * sizeof *passages);
        }
        int64_t length = columns[i].length;
        memcpy(out, tokens + columns[i].start * width, (size_t)(length * width));
        uint64_t sum = 0, total = 0;
        if (width == 2)
            for (int64_t j = 0; j < length; j++)
                sum += ((const uint16_t *)out)[j];
        else
            for (int64_t j = 0; j < length; j++)
                sum += ((const uint32_t *)out)[j];
        out += length * width;
        uint64_t ordered = 0;
        int64_t left = length;
        for (int64_t j = 0; j < columns[i].passages; j++) {
            int64_t part = passages[columns[i].passage + j].length;
            ordered += (uint64_t)part * (uint64_t)(j + 1);
            left -= part;
            *lengths_out++ = part;
        }
        uint32_t words[ROW_WORDS];
        memcpy(words, columns + i, sizeof words);
        for (int w = 0; w < ROW_WORDS; w++)
            total += words[w] * factors[w];
        total += (sum + ordered * PASSAGE_FACTOR) * token_factor;
        if (left || (uint32_t)(total ^ total >> 32) != columns[i].check)
            return 0;
    }
    return 1;
}

static uint32_t number(const void *numbers, int64_t width, int64_t index) {
    return width == 2 ? ((const uint16_t *)numbers)[index] : ((const uint32_t *)numbers)[index];
}

/* The slot of each token id that a query matches, 0 for all others. Ids are grouped in pages of 64, and a page is made
 * only where it has a slot, so that the table stays in the processor's first cache. */
typedef struct {
    uint16_t *page_of; /* by id / PAGE: number of the page; 0: the page without a slot */
    uint16_t *pages;
    uint32_t top; /* number of entries of page_of; no id beyond has a slot */
    uint16_t page_count, slot_count;
} Slots;

enum { PAGE = 64, LANES = 16, BATCH = 256 };

/* What a processor compares at once: the similarities of a slot to 16 tokens of the query. */
typedef uint8_t Lanes __attribute__((vector_size(LANES)));

static uint16_t *slot_of(const Slots *slots, uint32_t id) {
    uint32_t page = id / PAGE < slots->top ? id / PAGE : slots->top;
    return slots->pages + slots->page_of[page] * PAGE + id % PAGE;
}

static uint16_t add_slot(Slots *slots, uint32_t id) {
    if (id / PAGE >= slots->top)
        return 0; /* no table has such a stem; what is written for slot 0 is never read */
    uint16_t *page = slots->page_of + id / PAGE;
    if (!*page) {
        *page = ++slots->page_count;
        memset(slots->pages + *page * PAGE, 0, PAGE * sizeof *slots->pages);
    }
    uint16_t *slot = slot_of(slots, id);
    if (!*slot)
        *slot = ++slots->slot_count;
    return *slot;
}

/* plain.py, centroid_of */
static void centroid(const Match *m, float *direction) {
    float square = 0;
    memset(direction, 0, CENTROID * sizeof *direction);
    for (int64_t p = 0; p < m->q; p++)
        for (int d = 0; d < CENTROID; d++)
            direction[d] += m->vectors[(m->ids[p] < m->stems ? m->ids[p] : m->stems) * CENTROID + d];
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

/* plain.py, match_tokens, its loop over turns; `similarity`: a row of `stride` Lanes for each slot. */
static void match(const Match *m, const Slots *slots, const Lanes *similarity, int64_t stride) {
    int64_t n = m->n, q = m->q, width = m->token_width, token = 0;
    uint16_t matching[BATCH], exact[BATCH];
    float direction[CENTROID];
    centroid(m, direction);
    memset(m->counts, 0, (size_t)(q * n) * sizeof *m->counts);
    memset(m->nearness, 0, (size_t)(q * n));
    for (int64_t i = 0; i < n; i++) {
        m->cosines[i] = cosine(m->columns + i, direction);
        for (int64_t end = token + m->lengths[i]; token < end;) {
            /* A batch at a time, without a branch on what a token is, which a processor could not predict. */
            int64_t stop = end - token < BATCH ? end : token + BATCH;
            int matches = 0, exacts = 0;
            for (; token < stop; token++) {
                matching[matches] = *slot_of(slots, number(m->tokens, width, token));
                matches += matching[matches] != 0;
            }
            for (int j = 0; j < matches; j++) {
                exact[exacts] = matching[j];
                exacts += matching[j] <= q;
            }
            for (int j = 0; j < exacts; j++)
                m->counts[(exact[j] - 1) * n + i]++;
            for (int64_t p = 0; matches && p < stride; p++) {
                Lanes best = {0};
                for (int j = 0; j < matches; j++) {
                    Lanes near = similarity[matching[j] * stride + p], greater = (Lanes)(near > best);
                    best = (near & greater) | (best & ~greater);
                }
                uint8_t *nearness = m->nearness + p * LANES * n + i;
                for (int k = 0; k < LANES && p * LANES + k < q; k++)
                    nearness[k * n] = best[k] > nearness[k * n] ? best[k] : nearness[k * n];
            }
        }
    }
}

/* plain.py, match_tokens. Returns 0, or -1 if there is not enough memory, or -2 if the lengths do not fit the tokens. */
int32_t engram_match(const Match *m) {
    int64_t q = m->q, k = m->near_count, stride = (q + LANES - 1) / LANES, most = q * (1 + k);
    Slots slots = {.top = 0};
    int64_t token_count = 0;
    for (int64_t i = 0; i < m->n; i++) {
        if (m->lengths[i] < 0 || m->lengths[i] > m->token_count - token_count)
            return -2;
        token_count += m->lengths[i];
    }
    if (token_count != m->token_count)
        return -2;
    for (int64_t p = 0; p < q; p++) {
        uint32_t last = (uint32_t)(m->ids[p] > m->stems ? m->ids[p] : m->stems) / PAGE;
        slots.top = last >= slots.top ? last + 1 : slots.top;
    }
    if (most >= UINT16_MAX)
        return -1;
    slots.page_of = calloc(slots.top + 1, sizeof *slots.page_of);
    slots.pages = malloc((size_t)((most < slots.top ? most : slots.top) + 1) * PAGE * sizeof *slots.pages);
    Lanes *similarity = aligned_alloc(sizeof *similarity, (size_t)((most + 1) * stride + 1) * sizeof *similarity);
    int enough = slots.page_of && slots.pages && similarity;
    if (enough) {
        memset(slots.pages, 0, PAGE * sizeof *slots.pages);
        memset(similarity, 0, (size_t)((most + 1) * stride) * sizeof *similarity);
        uint8_t *bytes = (uint8_t *)similarity;
        for (int64_t p = 0; p < q; p++)
            add_slot(&slots, (uint32_t)m->ids[p]);
        for (int64_t p = 0; p < q; p++) {
            for (int64_t j = m->ids[p] * k, end = m->has_near[p] ? j + k : j; j < end; j++)
                bytes[add_slot(&slots, number(m->near, m->near_width, j)) * stride * LANES + p] = m->similarity[j];
            bytes[(p + 1) * stride * LANES + p] = 0;
        }
        match(m, &slots, similarity, stride);
    }
    free(slots.page_of);
    free(slots.pages);
    free(similarity);
    return enough ? 0 : -1;
}

/* plain.py, indices_of */
static int64_t index_of(int64_t row, const int64_t *rows, int64_t n) {
    const int64_t *base = rows;
    for (int64_t left = n; left > 1; left -= left / 2)
        base += base[left / 2] <= row ? left / 2 : 0;
    return *base == row ? base - rows : -1;
}

/* Sorts n numbers; `other` has room for as many. Each holds a key above and an index below, so equal keys keep their
 * order. Merge sort, which is fast where much is in order: sessions mostly are. */
static void sort(uint64_t *values, uint64_t *other, int64_t n) {
    uint64_t *from = values, *to = other;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * width) {
            int64_t middle = begin + width < n ? begin + width : n;
            int64_t end = middle + width < n ? middle + width : n;
            int64_t left = begin, right = middle, k = begin;
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

static int64_t who(const Row *row) { return (int64_t)row->speaker * 256 | row->role; }

/* plain.py, find_neighbours. Returns 0, or -1 if there is not enough memory. */
int32_t engram_link(Links *l) {
    int64_t n = l->n, *previous = l->around, *next = l->around + 2 * n;
    uint8_t *after_same = l->same_speaker, *before_same = l->same_speaker + n;
    uint64_t *keys = malloc((size_t)(2 * n + 1) * sizeof *keys);
    if (!keys)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        next[i] = -1;
        after_same[i] = 0;
        keys[i] = (uint64_t)((uint32_t)l->columns[i].session ^ 0x80000000u) << 32 | (uint64_t)i;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t before = index_of(l->columns[i].previous, l->rows, n);
        if (before >= 0) {
            uint64_t a = (uint64_t)l->columns[i].at, b = (uint64_t)l->columns[before].at;
            int64_t pause = (int64_t)(a - b);
            if (pause > l->longest_pause || pause < -l->longest_pause)
                before = -1;
        }
        previous[i] = before;
        if (before >= 0) {
            next[before] = i;
            after_same[i] = who(l->columns + i) == who(l->columns + before);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t before = previous[i], after = next[i];
        previous[n + i] = before < 0 ? -1 : previous[before];
        next[n + i] = after < 0 ? -1 : next[after];
        before_same[i] = after < 0 ? 0 : after_same[after];
    }
    sort(keys, keys + n, n);
    l->s = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t i = l->by_session[j] = (int64_t)(keys[j] & 0xFFFFFFFFu);
        if (!j || l->sessions[l->s - 1] != l->columns[i].session) {
            l->starts[l->s] = j;
            l->sessions[l->s++] = l->columns[i].session;
        }
        l->session[i] = l->s - 1;
    }
    free(keys);
    return 0;
}

/* plain.py, best_in_sessions: values (q, n), of rows that lie `stride` floats apart; out (q, s). */
void engram_best_in_sessions(const float *values, int64_t stride, int64_t q, const int64_t *by_session, int64_t n,
                             const int64_t *starts, int64_t s, float *out) {
    for (int64_t p = 0; p < q; p++, values += stride)
        for (int64_t k = 0; k < s; k++) {
            int64_t end = k + 1 < s ? starts[k + 1] : n;
            float best = values[by_session[starts[k]]];
            for (int64_t j = starts[k] + 1; j < end; j++) {
                float value = values[by_session[j]];
                best = value > best ? value : best;
            }
            *out++ = best;
        }
}

/* The passages that a scan has kept: entries of `places` and `distances`, in the order of the scan. Of these, `within`
 * are at most `worst` away; the others were overtaken, and are dropped when there is no room for more. */
typedef struct {
    int64_t *places, *distances;
    int64_t room, kept, limit, within, worst;
    int64_t count_of[64 * MOST_WORDS + 1]; /* by distance: how many were kept */
} Nearest;

static int64_t dropped_overtaken(Nearest *near) {
    int64_t kept = 0;
    for (int64_t i = 0; i < near->kept; i++)
        if (near->distances[i] <= near->worst) {
            near->places[kept] = near->places[i];
            near->distances[kept++] = near->distances[i];
        }
    return kept;
}

static void keep(Nearest *near, int64_t place, int64_t distance) {
    if (near->kept == near->room)
        near->kept = dropped_overtaken(near);
    near->places[near->kept] = place;
    near->distances[near->kept++] = distance;
    near->count_of[distance]++;
    near->within++;
    while (near->within - near->count_of[near->worst] >= near->limit)
        near->within -= near->count_of[near->worst--];
}

/* The loop of engram_nearest_signs, for a number of words that the compiler knows where it matters. */
static inline __attribute__((always_inline)) void scan(const uint64_t *signs, int64_t words, int64_t start, int64_t n,
                                                       const uint32_t *chosen, const uint64_t *query, Nearest *near) {
    for (int64_t i = 0; i < n; i++) {
        int64_t place = chosen ? (int64_t)chosen[i] : start + i, distance = 0;
        if (chosen && i + AHEAD < n)
            prefetch(signs, (uint64_t)chosen[i + AHEAD] * (uint64_t)words * sizeof *signs);
        for (int64_t w = 0; w < words; w++)
            distance += __builtin_popcountll(signs[place * words + w] ^ query[w]);
        /* Of passages at the same distance, the first ones are kept. */
        if (distance < near->worst || (distance == near->worst && near->within < near->limit))
            keep(near, place, distance);
    }
}

#define SCAN(name, attributes) \
    static attributes void name(const uint64_t *signs, int64_t words, int64_t start, int64_t n, \
                                const uint32_t *chosen, const uint64_t *query, Nearest *near) { \
        if (words == 4 && !chosen) \
            scan(signs, 4, start, n, NULL, query, near); \
        else if (words == 4) \
            scan(signs, 4, start, n, chosen, query, near); \
        else \
            scan(signs, words, start, n, chosen, query, near); \
    }

SCAN(scan_anywhere, )
#if defined(__x86_64__)
SCAN(scan_with_popcnt, __attribute__((target("popcnt"))))

/* Not all compilers' libraries have a working __builtin_cpu_supports. */
static int has_popcnt(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 23) != 0;
}
#endif

/* plain.py, nearest_signs: signs (.., words), of which the passages `chosen` (n,) are compared, or n from `start` on if
 * that is NULL; places and distances: out, room for `room`, which is 2 * limit at least. Returns how many there are, at
 * most `limit`; -1 if `words` is too great. */
int64_t engram_nearest_signs(const uint64_t *signs, int64_t words, int64_t start, int64_t n, const uint32_t *chosen,
                             const uint64_t *query, int64_t limit, int64_t *places, int64_t *distances, int64_t room) {
    Nearest near = {.places = places, .distances = distances, .room = room, .limit = limit, .worst = 64 * words};
    if (words > MOST_WORDS || limit < 1 || room < 2 * limit)
        return -1;
#if defined(__x86_64__)
    static _Atomic int known = -1; /* Asking the processor takes long on virtual machines. */
    if (known < 0)
        known = has_popcnt();
    if (known)
        scan_with_popcnt(signs, words, start, n, chosen, query, &near);
    else
#endif
        scan_anywhere(signs, words, start, n, chosen, query, &near);
    near.kept = dropped_overtaken(&near);
    /* Of those at the worst distance, only as many as there is room for, the first ones. */
    int64_t surplus = near.kept > limit ? near.kept - limit : 0, kept = 0;
    for (int64_t i = near.kept - 1; surplus && i >= 0; i--)
        if (distances[i] == near.worst) {
            distances[i] = -1;
            surplus--;
        }
    for (int64_t i = 0; i < near.kept; i++)
        if (distances[i] >= 0) {
            places[kept] = places[i];
            distances[kept++] = distances[i];
        }
    return kept;
}

/* The codes of some passages: search/local/vectors.py, VectorIndex._read. signs (count, signs_width) and rest (count,
 * rest_width + 4 for the checksum), both in bytes, multiples of 4; places (n,), each from 0 to before count; factors
 * (words of a code + 1,); out (n, signs_width + rest_width), 0 where the signs are. Returns how many codes are not as
 * they were written. */
int64_t engram_copy_codes(const uint8_t *signs, int64_t signs_width, const uint8_t *rest, int64_t rest_width,
                          const int64_t *places, int64_t n, const uint64_t *factors, uint8_t *out) {
    int64_t wrong = 0, width = signs_width + rest_width;
    for (int64_t i = 0; i < n; i++, out += width) {
        if (i + AHEAD < n) {
            prefetch(signs, (uint64_t)(places[i + AHEAD] * signs_width));
            prefetch(rest, (uint64_t)(places[i + AHEAD] * (rest_width + 4)));
        }
        const uint8_t *source = rest + places[i] * (rest_width + 4);
        memcpy(out, signs + places[i] * signs_width, (size_t)signs_width);
        memcpy(out + signs_width, source, (size_t)rest_width);
        uint64_t total = (uint64_t)(places[i] + 1) * factors[0];
        uint32_t check, word, any = 0;
        memcpy(&check, source + rest_width, sizeof check);
        for (int64_t w = 0; 4 * w < width; w++) {
            memcpy(&word, out + 4 * w, sizeof word);
            any |= 4 * w < signs_width ? word : 0;
            total += word * factors[w + 1];
        }
        if (!any)
            memset(out, 0, (size_t)width);
        else
            wrong += (uint32_t)(total ^ total >> 32) != check;
    }
    return wrong;
}

#if defined(__x86_64__)
#define AVX512 __attribute__((target("avx512f,popcnt")))

/* What 16 values of a query add to a product; the bits of a code are the masks. */
AVX512 static inline __m512 added(__m512 sum, unsigned sign, unsigned is_large, __m512 values, __m512 small,
                                  __m512 large) {
    __m512 size = _mm512_mask_blend_ps((__mmask16)is_large, small, large);
    __m512 level = _mm512_mask_sub_ps(size, (__mmask16)~sign, _mm512_setzero_ps(), size);
    return _mm512_add_ps(sum, _mm512_mul_ps(values, level));
}

/* engram_compare_codes for processors that add 16 values at once; half is a multiple of 4. */
AVX512 static void compare_codes_avx512(const uint8_t *codes, int64_t n, int64_t half, const float *query, float small,
                                        float large, float *out) {
    __m512 smalls = _mm512_set1_ps(small), larges = _mm512_set1_ps(large);
    for (int64_t i = 0; i < n; i++, codes += 2 * half) {
        /* Two sums: each addition waits for the one before it in its sum. */
        __m512 first = _mm512_setzero_ps(), second = _mm512_setzero_ps();
        int64_t count = 0;
        uint32_t any = 0;
        for (int64_t j = 0; j < half; j += 4) {
            uint32_t sign, is_large;
            memcpy(&sign, codes + j, sizeof sign);
            memcpy(&is_large, codes + half + j, sizeof is_large);
            first = added(first, sign, is_large, _mm512_loadu_ps(query + 8 * j), smalls, larges);
            second = added(second, sign >> 16, is_large >> 16, _mm512_loadu_ps(query + 8 * j + 16), smalls, larges);
            count += __builtin_popcount(is_large);
            any |= sign | is_large;
        }
        float square = (float)count * large * large + (float)(8 * half - count) * small * small;
        out[i] = any ? _mm512_reduce_add_ps(_mm512_add_ps(first, second)) / sqrtf(square) : 0;
    }
}
#endif

/* plain.py, compare_codes: codes (n, width), query (4 * width,), out (n,). Returns 0, or -1 without enough memory.
 * A sum over the query's values is looked up for 8 of them at once. With such sums over the positive values of a code
 * (p), its large ones (l) and those that are both (b), the product is small * (2p - all) + (large - small) * (2b - l). */
int32_t engram_compare_codes(const uint8_t *codes, int64_t n, int64_t width, const float *query, float small,
                             float large, float *out) {
    int64_t half = width / 2;
#if defined(__x86_64__)
    if (processor_level() == 2 && half % 4 == 0) {
        compare_codes_avx512(codes, n, half, query, small, large, out);
        return 0;
    }
#endif
    float *sums = malloc((size_t)(half * 256) * sizeof *sums), all = 0;
    if (!sums)
        return -1;
    for (int64_t j = 0; j < half; j++) {
        float *sum = sums + j * 256;
        sum[0] = 0;
        for (int bit = 0; bit < 8; bit++)
            for (int i = 0; i < 1 << bit; i++)
                sum[(1 << bit) + i] = sum[i] + query[8 * j + bit];
        all += sum[255];
    }
    for (int64_t i = 0; i < n; i++, codes += width) {
        float positive = 0, big = 0, both = 0;
        int64_t count = 0;
        uint8_t any = 0;
        for (int64_t j = 0; j < half; j++) {
            const float *sum = sums + j * 256;
            uint8_t sign = codes[j], is_large = codes[half + j];
            positive += sum[sign];
            big += sum[is_large];
            both += sum[sign & is_large];
            count += __builtin_popcount(is_large);
            any |= sign | is_large;
        }
        float square = (float)count * large * large + (float)(8 * half - count) * small * small;
        out[i] = any ? (small * (2 * positive - all) + (large - small) * (2 * both - big)) / sqrtf(square) : 0;
    }
    free(sums);
    return 0;
}
