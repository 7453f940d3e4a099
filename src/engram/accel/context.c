/* The forward pass of the contextual encoder, a small BERT, compiled. meaning/context_plain.py is the reference: change
 * that one first; tests/meaning compares the two. Knows nothing of Python, and no tokenizer.
 *
 * Nearly all of the time goes into products of small integers (product.c); the processor's form of them is chosen at each
 * call. Sums of floats keep one order in all forms, and a text's vector does not depend on the texts beside it.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "floats.h"
#include "product.h"

/* As in product.c: sums stay in registers. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-pre")
#endif

enum {
    WIDTH = 384,
    HEADS = 12,
    HEAD = WIDTH / HEADS,
    ATTENTION = 3 * WIDTH, /* queries, keys and values */
    INNER = 1536,
    OUT = 512,
    MOST_PIECES = 128, /* of a text */
    TOGETHER = 96,     /* pieces of the texts that are computed together: their states stay in the processor's cache */
    TILE = 64,         /* outputs that are computed together */
    KEYS = 4,          /* of a text, which are computed together; as many queries are */
};

/* log2(e) / sqrt(HEAD): powers of 2 are taken of the scores. */
#define SHARPNESS 0.255034869f

/* The matrices of a layer. */
enum { ATTEND = 0, MIX, UP, DOWN, MATRICES };

/* Some texts that are computed together. */
typedef struct {
    const Context *model;
    Multiply *multiply;
    int64_t texts;
    const int64_t *starts; /* (texts + 1,): where the pieces of a text begin */
    const int32_t *pieces; /* of all texts */
    const float *steps;    /* of all pieces: the size of a step in a word's row */
    float *states;         /* (pieces, WIDTH) */
    float *inner;          /* (pieces, INNER): also (pieces, ATTENTION) and, behind it, (pieces, WIDTH) */
    float *tile;           /* (pieces, TILE) */
    float *scales;         /* (pieces,) */
    float *rest_scales;    /* (pieces,) */
    uint8_t *integers;     /* (pieces, INNER) */
    uint8_t *rest;         /* (pieces, INNER): of the second rounding */
} Batch;

/* What is done with the product of a matrix. */
typedef enum { STORE, ADD, ACTIVATE } After;

/* 2 to the power of x, within 3e-7 of it, for -100 <= x <= 0; lesser numbers give that of -100. */
INLINE float power_of_2(float x) {
    x = x > -100.0f ? x : -100.0f;
    float whole = x + 12582912.0f - 12582912.0f; /* rounds to the nearest integer */
    float part = x - whole, square = part * part, scale;
    float value = 1.34004322e-3f * part + 9.6760371e-3f;
    value = value * square + (5.55032721e-2f * part + 2.40221074e-1f);
    value = value * square + (6.93147207e-1f * part + 1.00000008f);
    int32_t bits = ((int32_t)whole + 127) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return value * scale;
}

/* x * (1 + erf(x / sqrt(2))) / 2, within 2e-6: x or 0, less |x| * (1 - erf(|x| / sqrt(2))) / 2, which is a polynomial for
 * |x| up to 5, and nearly 0 beyond. */
INLINE float gelu(float x) {
    float size = fabsf(x), y = (size < 5.0f ? size : 5.0f) * 0.4f - 1.0f, y2 = y * y, y4 = y2 * y2;
    float highest = (6.15185173e-3f * y + 8.85351840e-3f) * y2 + (-4.85138185e-2f * y - 2.37546638e-2f);
    float high = (1.66194320e-1f * y - 4.99099307e-2f) * y2 + (-2.77842283e-1f * y + 3.16230774e-1f);
    float low = (8.80781412e-2f * y - 4.80645180e-1f) * y2 + (4.16718215e-1f * y - 1.90705862e-2f);
    float lowest = (-2.56757915e-1f * y + 2.32772589e-1f) * y2 + (-9.40277874e-2f * y + 1.55243557e-2f);
    float value = ((highest * y4 + high) * y4 + low) * y4 + lowest;
    return (x > 0 ? x : 0) - value;
}

/* `rounded`: writes integers, with ZERO added, and returns the size of a step. If `rest`, writes what rounding has taken
 * away there. Multiplies where floats.h divides, which takes a tenth of the time. */
INLINE float round_values(const float *values, int count, uint8_t *integers, float *rest) {
    float scale = largest_of(values, count) / LEVELS, inverse = 1 / scale;
    for (int i = 0; i < count; i++) {
        float integer = values[i] * inverse + 12582912.0f - 12582912.0f;
        integers[i] = (uint8_t)((int32_t)integer + ZERO);
        if (rest)
            rest[i] = values[i] - integer * scale;
    }
    return scale;
}

/* Rounds rows of inputs to integers, once or twice. */
INLINE void round_rows(const Batch *b, const ContextMatrix *matrix, const float *values, int64_t rows, int inputs) {
    for (int64_t row = 0; row < rows; row++) {
        float left[INNER];
        uint8_t *integers = b->integers + row * inputs;
        if (matrix->roundings == 1) {
            b->scales[row] = round_values(values + row * inputs, inputs, integers, NULL);
        } else {
            b->scales[row] = round_values(values + row * inputs, inputs, integers, left);
            b->rest_scales[row] = round_values(left, inputs, b->rest + row * inputs, NULL);
        }
    }
}

/* The product of rows of inputs and a matrix, plus its bias: (rows, outputs). */
INLINE void dense(const Batch *b, const ContextMatrix *matrix, const float *values, int64_t rows, int inputs,
                  int outputs, After after, float *result) {
    round_rows(b, matrix, values, rows, inputs);
    for (int first = 0; first < outputs; first += TILE) {
        const int8_t *weights = matrix->weights + (int64_t)first * inputs;
        const float *sums = matrix->sums + first, *scales = matrix->scales + first, *bias = matrix->bias + first;
        memset(b->tile, 0, (size_t)rows * TILE * sizeof(float));
        b->multiply(b->integers, b->scales, rows, inputs, ZERO, weights, sums, TILE, b->tile, TILE);
        if (matrix->roundings == 2)
            b->multiply(b->rest, b->rest_scales, rows, inputs, ZERO, weights, sums, TILE, b->tile, TILE);
        for (int64_t row = 0; row < rows; row++) {
            const float *tile = b->tile + row * TILE;
            float *out = result + row * outputs + first;
            for (int o = 0; o < TILE; o++) {
                float value = tile[o] * scales[o] + bias[o];
                out[o] = after == ACTIVATE ? gelu(value) : after == ADD ? out[o] + value : value;
            }
        }
    }
}

/* The words of all pieces and their places, normed. */
INLINE void embed(const Batch *b) {
    for (int64_t text = 0; text < b->texts; text++)
        for (int64_t piece = b->starts[text]; piece < b->starts[text + 1]; piece++) {
            float *states = b->states + (piece - b->starts[0]) * WIDTH, step = b->steps[piece];
            const int8_t *word = b->model->words + (int64_t)b->pieces[piece] * WIDTH;
            const float *place = b->model->places + (piece - b->starts[text]) * WIDTH;
            for (int i = 0; i < WIDTH; i++)
                states[i] = (float)word[i] * step + place[i];
            norm(states, WIDTH, b->model->gains, b->model->shifts);
        }
}

/* The products of LANES queries, (HEAD, LANES), and the keys, one in each row of `attention`: (count, LANES). */
INLINE void compare(float (*queries)[LANES], const float *attention, int64_t count, float (*scores)[LANES]) {
    for (int64_t first = 0; first < count; first += KEYS) {
        float a[LANES] = {0}, b[LANES] = {0}, c[LANES] = {0}, d[LANES] = {0};
        const float *keys[KEYS];
        for (int k = 0; k < KEYS; k++) /* The last key takes the places of those that the text lacks. */
            keys[k] = attention + (first + k < count ? first + k : count - 1) * ATTENTION;
        for (int i = 0; i < HEAD; i++)
            for (int lane = 0; lane < LANES; lane++) {
                float query = queries[i][lane];
                a[lane] += keys[0][i] * query;
                b[lane] += keys[1][i] * query;
                c[lane] += keys[2][i] * query;
                d[lane] += keys[3][i] * query;
            }
        memcpy(scores[first], a, sizeof a);
        memcpy(scores[first + 1], b, sizeof b);
        memcpy(scores[first + 2], c, sizeof c);
        memcpy(scores[first + 3], d, sizeof d);
    }
}

/* Makes 2 to the power of each score, as far below the highest of its query. sums (LANES,): of them, for each query. */
INLINE void soften(float (*scores)[LANES], int64_t count, float *sums) {
    float highest[LANES], lanes[LANES] = {0};
    memcpy(highest, scores[0], sizeof highest);
    for (int64_t i = 1; i < count; i++)
        for (int lane = 0; lane < LANES; lane++)
            highest[lane] = scores[i][lane] > highest[lane] ? scores[i][lane] : highest[lane];
    for (int64_t i = 0; i < count; i++)
        for (int lane = 0; lane < LANES; lane++) {
            scores[i][lane] = power_of_2(scores[i][lane] - highest[lane]);
            lanes[lane] += scores[i][lane];
        }
    memcpy(sums, lanes, sizeof lanes);
}

/* What KEYS queries attend to among the values of a text, from the shares of each: (HEAD,) for each query. */
INLINE void gather(float (*shares)[LANES], int first, const float *sums, float (*values)[HEAD], int64_t count,
                   float *const results[KEYS]) {
    for (int half = 0; half < HEAD; half += LANES) {
        float a[LANES] = {0}, b[LANES] = {0}, c[LANES] = {0}, d[LANES] = {0};
        for (int64_t i = 0; i < count; i++)
            for (int lane = 0; lane < LANES; lane++) {
                float value = values[i][half + lane];
                a[lane] += shares[i][first] * value;
                b[lane] += shares[i][first + 1] * value;
                c[lane] += shares[i][first + 2] * value;
                d[lane] += shares[i][first + 3] * value;
            }
        for (int lane = 0; lane < LANES; lane++) {
            results[0][half + lane] = a[lane] / sums[first];
            results[1][half + lane] = b[lane] / sums[first + 1];
            results[2][half + lane] = c[lane] / sums[first + 2];
            results[3][half + lane] = d[lane] / sums[first + 3];
        }
    }
}

/* All heads of a text of `count` pieces. attention (count, ATTENTION); mixed (count, WIDTH), out. */
INLINE void attend(const float *attention, int64_t count, float *mixed) {
    float queries[HEAD][LANES], values[MOST_PIECES][HEAD], scores[MOST_PIECES][LANES], sums[LANES];
    for (int head = 0; head < WIDTH; head += HEAD) {
        for (int64_t i = 0; i < count; i++)
            memcpy(values[i], attention + i * ATTENTION + 2 * WIDTH + head, sizeof values[i]);
        for (int64_t first = 0; first < count; first += LANES) {
            for (int q = 0; q < LANES; q++) {
                /* Likewise the last query. */
                const float *query = attention + (first + q < count ? first + q : count - 1) * ATTENTION + head;
                for (int i = 0; i < HEAD; i++)
                    queries[i][q] = query[i] * SHARPNESS;
            }
            compare(queries, attention + WIDTH + head, count, scores);
            soften(scores, count, sums);
            for (int q = 0; q < LANES && first + q < count; q += KEYS) {
                float *results[KEYS];
                for (int k = 0; k < KEYS; k++)
                    results[k] = mixed + (first + q + k < count ? first + q + k : count - 1) * WIDTH + head;
                gather(scores, q, sums, values, count, results);
            }
        }
    }
}

INLINE void norm_rows(const Batch *b, int64_t rows, int64_t number) {
    const float *gain = b->model->gains + number * WIDTH, *shift = b->model->shifts + number * WIDTH;
    for (int64_t row = 0; row < rows; row++)
        norm(b->states + row * WIDTH, WIDTH, gain, shift);
}

INLINE void one_layer(const Batch *b, int64_t layer) {
    const ContextMatrix *matrices = b->model->matrices + MATRICES * layer;
    int64_t rows = b->starts[b->texts] - b->starts[0];
    float *attention = b->inner, *mixed = b->inner + rows * ATTENTION;
    dense(b, &matrices[ATTEND], b->states, rows, WIDTH, ATTENTION, STORE, attention);
    for (int64_t text = 0; text < b->texts; text++) {
        int64_t first = b->starts[text] - b->starts[0];
        attend(attention + first * ATTENTION, b->starts[text + 1] - b->starts[text], mixed + first * WIDTH);
    }
    dense(b, &matrices[MIX], mixed, rows, WIDTH, WIDTH, ADD, b->states);
    norm_rows(b, rows, 2 * layer + 1);
    dense(b, &matrices[UP], b->states, rows, WIDTH, INNER, ACTIVATE, b->inner);
    dense(b, &matrices[DOWN], b->inner, rows, INNER, WIDTH, ADD, b->states);
    norm_rows(b, rows, 2 * layer + 2);
}

/* The vectors of the texts from the means of their states, whose place is taken. */
INLINE void vectors_of(const Batch *b, float *vectors) {
    for (int64_t text = 0; text < b->texts; text++) {
        float sums[WIDTH] = {0};
        for (int64_t piece = b->starts[text]; piece < b->starts[text + 1]; piece++)
            for (int i = 0; i < WIDTH; i++)
                sums[i] += b->states[(piece - b->starts[0]) * WIDTH + i];
        for (int i = 0; i < WIDTH; i++)
            b->inner[text * WIDTH + i] = sums[i] / (float)(b->starts[text + 1] - b->starts[text]);
    }
    dense(b, &b->model->matrices[MATRICES * b->model->layers], b->inner, b->texts, WIDTH, OUT, STORE, vectors);
    for (int64_t text = 0; text < b->texts; text++) {
        float lanes[LANES] = {0}, *vector = vectors + text * OUT;
        for (int i = 0; i < OUT; i += LANES)
            for (int lane = 0; lane < LANES; lane++)
                lanes[lane] += vector[i + lane] * vector[i + lane];
        float length = sqrtf(sum_of(lanes));
        for (int i = 0; i < OUT; i++)
            vector[i] /= length > 1e-6f ? length : 1e-6f;
    }
}

INLINE void encode_batch(const Batch *b, float *vectors) {
    embed(b);
    for (int64_t layer = 0; layer < b->model->layers; layer++)
        one_layer(b, layer);
    vectors_of(b, vectors);
}

#include "forms.h"

/* `PlainContext.encode`: the vectors of texts. Returns -1 if there is no memory, else 0.
 * starts (texts + 1,): where the pieces of a text begin, from 0; each has 1 to MOST_PIECES. pieces, steps: of each piece,
 * its row in `words` and the size of a step there. limit: 2, or less to exclude the fastest forms of the product.
 * vectors: out, (texts, OUT). */
int32_t engram_encode_context(const Context *model, int64_t texts, const int64_t *starts, const int32_t *pieces,
                              const float *steps, int64_t limit, float *vectors) {
    Encode *encode = form_of(limit);
    const size_t room = MOST_PIECES, floats = WIDTH + INNER + TILE + 2;
    float *scratch = malloc(room * (floats * sizeof(float) + 2 * INNER));
    if (!scratch)
        return -1;
    for (int64_t text = 0; text < texts;) {
        Batch b = {.model = model, .starts = starts + text, .pieces = pieces, .steps = steps};
        do
            b.texts++;
        while (text + b.texts < texts && starts[text + b.texts + 1] - starts[text] <= TOGETHER);
        b.states = scratch;
        b.inner = b.states + room * WIDTH;
        b.tile = b.inner + room * INNER;
        b.scales = b.tile + room * TILE;
        b.rest_scales = b.scales + room;
        b.integers = (uint8_t *)(b.rest_scales + room);
        b.rest = b.integers + room * INNER;
        encode(&b, vectors + text * OUT);
        text += b.texts;
    }
    free(scratch);
    return 0;
}
