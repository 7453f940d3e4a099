/* The forward pass of the sentence encoder, compiled. meaning/plain.py is the reference: change that one first;
 * tests/meaning compares the two. Knows nothing of Python, and no tokenizer.
 *
 * Nearly all of the time goes into products of small integers (product.c); the processor's form of them is chosen at each
 * call. Sums of floats keep one order in all forms, which is also numpy's in plain.py.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "floats.h"
#include "product.h"
#include "sentences.h"

enum {
    WIDTH = 512,
    BRANCH = 256,
    BRANCHES = 3,
    PROJECTED = BRANCH * BRANCHES,
    FEATURES = WIDTH + PROJECTED,
    HIDDEN = 320,
    WIDEST = 1280, /* inputs or outputs of a matrix, at most */
    TOGETHER = 96, /* pieces of the texts that are computed together: their states stay in the processor's cache */
    GRAMS = 10,    /* places of a piece in the n-grams of all branches */
    ROW = PROJECTED + GRAMS * BRANCH, /* what is computed of a piece alone: its states, and what it adds at each place */
    WAYS = 4,
    GROUP = 12,    /* texts whose vectors are computed together */
};

/* In the order of MATRICES in meaning/weights.py. */
enum { PROJECT = 0, FIRST = 1, SECOND = 4, JOIN = 7, ENTER, INNER, LEAVE, LAST };

static const int NGRAM[BRANCHES] = {2, 3, 5}, BEFORE[BRANCHES] = {0, 1, 2}, FIRST_GRAM[BRANCHES] = {0, 2, 5};

/* The integers of a piece, 0 to 31, and the order of their bits: see `Weights` in meaning/weights.py. */
INLINE void unpack(const Sentences *model, int64_t place, uint8_t *codes) {
    const uint8_t *bytes, *top = NULL;
    int low = 4, width = WIDTH / 2;
    if (place < model->narrow_rows) {
        bytes = model->narrow + place * (WIDTH * 3 / 8);
        low = 2, width = WIDTH / 4, top = bytes + width;
    } else if (place < model->narrow_rows + model->middle_rows) {
        bytes = model->middle + (place - model->narrow_rows) * (WIDTH / 2);
    } else {
        bytes = model->wide + (place - model->narrow_rows - model->middle_rows) * (WIDTH * 5 / 8);
        top = bytes + width;
    }
    for (int part = 0; part * width < WIDTH; part++)
        for (int i = 0; i < width; i++)
            codes[part * width + i] = (uint8_t)(bytes[i] >> low * part & ((1 << low) - 1));
    for (int bit = 0; top && bit < 8; bit++)
        for (int i = 0; i < WIDTH / 8; i++)
            codes[bit * (WIDTH / 8) + i] |= (uint8_t)((top[i] >> bit & 1) << low);
}

/* ---- the forward pass ---- */

/* What is between the layers behind the sums, for each of some texts. */
typedef struct {
    float features[GROUP * FEATURES], joined[GROUP * WIDTH], entered[GROUP * 2 * HIDDEN], middle[GROUP * HIDDEN];
    float left[GROUP * 2 * WIDTH], last[GROUP * WIDTH];
    float rest[WIDEST], scales[2 * GROUP], both[2 * GROUP * WIDEST];
    uint8_t integers[2 * GROUP * WIDEST];
} Head;

/* Some texts that are computed together. */
typedef struct {
    const Sentences *model;
    Multiply *multiply;
    int64_t texts, pieces;
    const int64_t *starts; /* (texts + 1,): where the pieces of a text begin, from 0 */
    const int32_t *place;  /* (pieces,) */
    const float *step, *offset;
    const SentenceCache *cache; /* or NULL */
    uint8_t *codes;     /* (pieces, WIDTH) */
    uint8_t *integers;  /* (pieces, BRANCH) */
    float *scales;      /* (pieces,) */
    float *states;      /* (pieces, PROJECTED) */
    float *between;     /* (pieces, BRANCH) */
    float *total;       /* (pieces, BRANCH) */
    Head *head;
    const float **rows; /* (pieces,) */
    float *fresh;       /* (pieces, ROW): rows of the pieces that the cache does not hold, in the order of `missing` */
    struct {
        uint8_t *codes;       /* (pieces, WIDTH) */
        float *step, *offset; /* (pieces,) */
        int64_t *slot;        /* (pieces,): where the cache shall hold the row, or -1 */
    } missing;
} Batch;

/* Returns the slot of a piece, or -1 if this batch uses all of its set. *found: whether it holds the piece. */
INLINE int64_t slot_of(const SentenceCache *cache, int32_t place, int *found) {
    int64_t begin = (int64_t)((uint32_t)place * 2654435761u >> 8) % cache->sets * WAYS, oldest = begin;
    *found = 0;
    for (int64_t slot = begin; slot < begin + WAYS; slot++) {
        if (cache->held[slot] == place + 1) {
            *found = 1;
            oldest = slot;
            break;
        }
        oldest = cache->used[slot] < cache->used[oldest] ? slot : oldest;
    }
    if (!*found && cache->used[oldest] == *cache->batches)
        return -1;
    cache->used[oldest] = *cache->batches;
    return oldest;
}

/* Computes the rows of the `count` missing pieces. */
INLINE void fill(const Batch *b, int64_t count) {
    const Sentences *model = b->model;
    float *rows = b->fresh;
    const SentenceLayer *layer = &model->layers[PROJECT];
    memset(rows, 0, (size_t)count * ROW * sizeof(float));
    b->multiply(b->missing.codes, b->missing.step, count, WIDTH, 0, layer->weights, layer->sums, PROJECTED, rows, ROW);
    for (int64_t row = 0; row < count; row++) {
        float *states = rows + row * ROW, offset = b->missing.offset[row];
        for (int i = 0; i < PROJECTED; i++)
            states[i] = (states[i] + offset * layer->sums[i]) * layer->scales[i] + model->project_bias[i];
        for (int i = 0; i < PROJECTED; i += BRANCH)
            norm(states + i, BRANCH, model->project_gain + i, model->project_shift + i);
    }
    for (int branch = 0; branch < BRANCHES; branch++) {
        const SentenceLayer *first = &model->layers[FIRST + branch];
        for (int64_t row = 0; row < count; row++)
            b->scales[row] = round_row(rows + row * ROW + branch * BRANCH, BRANCH, b->integers + row * BRANCH, NULL);
        for (int k = 0; k < NGRAM[branch]; k++)
            b->multiply(b->integers, b->scales, count, BRANCH, ZERO, first->weights + k * BRANCH * BRANCH,
                        first->sums + k * BRANCH, BRANCH, rows + PROJECTED + (FIRST_GRAM[branch] + k) * BRANCH, ROW);
    }
}

/* Finds or computes the rows of all pieces, and their codes. */
INLINE void find_rows(Batch *b) {
    int64_t count = 0;
    if (b->cache)
        ++*b->cache->batches;
    for (int64_t piece = 0; piece < b->pieces; piece++) {
        int found = 0;
        int64_t slot = b->cache ? slot_of(b->cache, b->place[piece], &found) : -1;
        unpack(b->model, b->place[piece], b->codes + piece * WIDTH);
        b->rows[piece] = slot >= 0 ? b->cache->rows + slot * ROW : b->fresh + count * ROW;
        if (found)
            continue;
        /* The slot holds the piece from now on: it is filled before a row is read. */
        if (slot >= 0)
            b->cache->held[slot] = b->place[piece] + 1;
        memcpy(b->missing.codes + count * WIDTH, b->codes + piece * WIDTH, WIDTH);
        b->missing.step[count] = b->step[piece];
        b->missing.offset[count] = b->offset[piece];
        b->missing.slot[count++] = slot;
    }
    if (count)
        fill(b, count);
    for (int64_t row = 0; row < count; row++)
        if (b->missing.slot[row] >= 0)
            memcpy(b->cache->rows + b->missing.slot[row] * ROW, b->fresh + row * ROW, ROW * sizeof(float));
}

/* `_ngrams` for the first layer of a branch, whose products are in the rows. */
INLINE void first_ngrams(const Batch *b, int branch, const float *bias) {
    const float *scales = b->model->layers[FIRST + branch].scales;
    for (int64_t text = 0; text < b->texts; text++)
        for (int64_t begin = b->starts[text], end = b->starts[text + 1], piece = begin; piece < end; piece++) {
            float total[BRANCH] = {0};
            for (int k = 0; k < NGRAM[branch]; k++) {
                int64_t other = piece + k - BEFORE[branch];
                if (other < begin || other >= end)
                    continue;
                const float *added = b->rows[other] + PROJECTED + (FIRST_GRAM[branch] + k) * BRANCH;
                for (int i = 0; i < BRANCH; i++)
                    total[i] += added[i];
            }
            const float *states = b->rows[piece] + branch * BRANCH;
            for (int i = 0; i < BRANCH; i++) {
                float value = total[i] * scales[i] + bias[i];
                b->between[piece * BRANCH + i] = (value > 0 ? value : 0) + states[i];
            }
        }
}

/* `_ngrams` for the second layer of a branch, from what the first one left between them to the states. */
INLINE void second_ngrams(const Batch *b, int branch, const float *bias) {
    const SentenceLayer *layer = &b->model->layers[SECOND + branch];
    for (int64_t piece = 0; piece < b->pieces; piece++)
        b->scales[piece] = round_row(b->between + piece * BRANCH, BRANCH, b->integers + piece * BRANCH, NULL);
    memset(b->total, 0, (size_t)b->pieces * BRANCH * sizeof(float));
    for (int k = 0; k < NGRAM[branch]; k++)
        for (int64_t text = 0; text < b->texts; text++) {
            /* The k-th piece of the n-gram of piece i is i + k - BEFORE, if the text has one. */
            int64_t begin = b->starts[text], end = b->starts[text + 1], move = k - BEFORE[branch];
            int64_t first = move < 0 ? begin - move : begin, last = move > 0 ? end - move : end;
            if (first < last)
                b->multiply(b->integers + (first + move) * BRANCH, b->scales + first + move, last - first, BRANCH, ZERO,
                            layer->weights + k * BRANCH * BRANCH, layer->sums + k * BRANCH, BRANCH,
                            b->total + first * BRANCH, BRANCH);
        }
    for (int64_t piece = 0; piece < b->pieces; piece++)
        for (int i = 0; i < BRANCH; i++) {
            float value = b->total[piece * BRANCH + i] * layer->scales[i] + bias[i];
            b->states[piece * PROJECTED + branch * BRANCH + i] =
                (value > 0 ? value : 0) + b->between[piece * BRANCH + i];
        }
}

/* The normed features of a text's pieces, added up: (FEATURES,). */
INLINE void add_up(const Batch *b, int64_t text, float *sum) {
    memset(sum, 0, FEATURES * sizeof(float));
    for (int64_t piece = b->starts[text]; piece < b->starts[text + 1]; piece++) {
        float features[FEATURES], step = b->step[piece], offset = b->offset[piece];
        const uint8_t *codes = b->codes + piece * WIDTH;
        for (int i = 0; i < WIDTH; i++)
            features[i] = offset + step * (float)codes[i];
        memcpy(features + WIDTH, b->states + piece * PROJECTED, PROJECTED * sizeof(float));
        norm(features, FEATURES, b->model->gain, b->model->shift);
        for (int i = 0; i < FEATURES; i++)
            sum[i] += features[i];
    }
}

/* `_dense`: the products of some rows of inputs, `stride` apart, and a layer. Each row is rounded twice, to 14 bits. */
INLINE void dense(const Batch *b, int number, int64_t texts, const float *values, int stride, int inputs, int outputs,
                  float *result) {
    const SentenceLayer *layer = &b->model->layers[number];
    Head *head = b->head;
    for (int64_t text = 0; text < texts; text++) {
        uint8_t *integers = head->integers + 2 * text * inputs;
        head->scales[2 * text] = round_row(values + text * stride, inputs, integers, head->rest);
        head->scales[2 * text + 1] = round_row(head->rest, inputs, integers + inputs, NULL);
    }
    memset(head->both, 0, 2 * (size_t)(texts * outputs) * sizeof(float));
    b->multiply(head->integers, head->scales, 2 * texts, inputs, ZERO, layer->weights, layer->sums, outputs, head->both,
                outputs);
    for (int64_t text = 0; text < texts; text++) {
        const float *both = head->both + 2 * text * outputs;
        for (int o = 0; o < outputs; o++)
            result[text * outputs + o] = (both[o] + both[outputs + o]) * layer->scales[o];
    }
}

INLINE void cut_negative(float *values, int count) {
    for (int i = 0; i < count; i++)
        values[i] = values[i] > 0 ? values[i] : 0;
}

/* `_head`: the vectors of some texts, at most GROUP, from the sums of their features. Layer by layer, because the layers
 * are larger than the processor's cache. */
INLINE void vectors_of(const Batch *b, int64_t first, int64_t texts, float *vectors) {
    Head *h = b->head;
    dense(b, JOIN, texts, h->features, FEATURES, FEATURES, WIDTH, h->joined);
    for (int64_t text = 0; text < texts; text++) {
        float *joined = h->joined + text * WIDTH, pieces = (float)(b->starts[first + text + 1] - b->starts[first + text]);
        for (int i = 0; i < WIDTH; i++)
            joined[i] = (joined[i] + pieces * b->model->join_bias[i]) / sqrtf(pieces);
    }
    dense(b, ENTER, texts, h->joined, WIDTH, WIDTH, 2 * HIDDEN, h->entered);
    for (int64_t text = 0; text < texts; text++)
        cut_negative(h->entered + text * 2 * HIDDEN, HIDDEN);
    dense(b, INNER, texts, h->entered, 2 * HIDDEN, HIDDEN, HIDDEN, h->middle);
    for (int64_t text = 0; text < texts; text++) {
        for (int i = 0; i < HIDDEN; i++)
            h->middle[text * HIDDEN + i] += h->entered[text * 2 * HIDDEN + HIDDEN + i];
        cut_negative(h->middle + text * HIDDEN, HIDDEN);
    }
    dense(b, LEAVE, texts, h->middle, HIDDEN, HIDDEN, 2 * WIDTH, h->left);
    for (int64_t text = 0; text < texts; text++)
        cut_negative(h->left + text * 2 * WIDTH, WIDTH);
    dense(b, LAST, texts, h->left, 2 * WIDTH, WIDTH, WIDTH, h->last);
    for (int64_t text = 0; text < texts; text++) {
        float lanes[LANES] = {0}, *vector = vectors + (first + text) * WIDTH;
        for (int i = 0; i < WIDTH; i++) {
            vector[i] = tanhf(h->left[text * 2 * WIDTH + WIDTH + i] + h->last[text * WIDTH + i]);
            lanes[i % LANES] += vector[i] * vector[i];
        }
        float length = sqrtf(sum_of(lanes));
        for (int i = 0; i < WIDTH; i++)
            vector[i] /= length > 1e-6f ? length : 1e-6f;
    }
}

INLINE void encode_batch(Batch *b, float *vectors) {
    const Sentences *model = b->model;
    find_rows(b);
    for (int branch = 0; branch < BRANCHES; branch++) {
        first_ngrams(b, branch, model->first_bias + branch * BRANCH);
        second_ngrams(b, branch, model->second_bias + branch * BRANCH);
    }
    for (int64_t first = 0; first < b->texts; first += GROUP) {
        int64_t texts = b->texts - first < GROUP ? b->texts - first : GROUP;
        for (int64_t text = 0; text < texts; text++)
            add_up(b, first + text, b->head->features + text * FEATURES);
        vectors_of(b, first, texts, vectors);
    }
}

#include "forms.h"

/* Returns a cache that no other call uses, or NULL. The call must set it free. */
static const SentenceCache *take_cache(const Sentences *model) {
    for (int64_t i = 0; i < model->number_of_caches; i++)
        if (!__atomic_exchange_n(model->caches[i].busy, 1, __ATOMIC_ACQUIRE))
            return &model->caches[i];
    return NULL;
}

/* `PlainEncoder.encode`: the vectors of texts. Returns -1 if there is no memory, else 0.
 * starts (texts + 1,): where the pieces of a text begin; each has one at least. place, step, offset: of each piece.
 * limit: 2, or less to exclude the fastest forms of the product. vectors: out, (texts, WIDTH). */
int32_t engram_encode(const Sentences *model, int64_t texts, const int64_t *starts, const int32_t *place,
                      const float *step, const float *offset, int64_t limit, float *vectors) {
    Encode *encode = form_of(limit);
    int64_t room = texts && starts[texts] < TOGETHER ? starts[texts] : TOGETHER;
    for (int64_t text = 0; text < texts; text++)
        room = starts[text + 1] - starts[text] > room ? starts[text + 1] - starts[text] : room;
    const size_t wide = sizeof(int64_t) + sizeof(float *);
    const size_t floats = 3 + PROJECTED + 2 * BRANCH + ROW, bytes = 2 * WIDTH + BRANCH;
    int64_t *own_starts = malloc((size_t)(TOGETHER + 1) * sizeof(int64_t));
    void *scratch = malloc((size_t)room * (wide + floats * sizeof(float) + bytes));
    Head *head = malloc(sizeof(Head));
    int32_t result = own_starts && scratch && head ? 0 : -1;
    const SentenceCache *cache = result ? NULL : take_cache(model);
    for (int64_t text = 0; !result && text < texts;) {
        Batch b = {.model = model, .starts = own_starts, .cache = cache, .head = head};
        int64_t begin = starts[text];
        own_starts[0] = 0;
        do {
            b.pieces = starts[text + b.texts + 1] - begin;
            own_starts[++b.texts] = b.pieces;
        } while (text + b.texts < texts && starts[text + b.texts + 1] - begin <= TOGETHER);
        b.place = place + begin, b.step = step + begin, b.offset = offset + begin;
        b.rows = scratch;
        b.missing.slot = (int64_t *)(b.rows + room);
        b.missing.step = (float *)(b.missing.slot + room);
        b.missing.offset = b.missing.step + room;
        b.scales = b.missing.offset + room;
        b.states = b.scales + room;
        b.between = b.states + room * PROJECTED;
        b.total = b.between + room * BRANCH;
        b.fresh = b.total + room * BRANCH;
        b.codes = (uint8_t *)(b.fresh + room * ROW);
        b.missing.codes = b.codes + room * WIDTH;
        b.integers = b.missing.codes + room * WIDTH;
        encode(&b, vectors + text * WIDTH);
        text += b.texts;
    }
    if (cache)
        __atomic_store_n(cache->busy, 0, __ATOMIC_RELEASE);
    free(own_starts);
    free(scratch);
    free(head);
    return result;
}
