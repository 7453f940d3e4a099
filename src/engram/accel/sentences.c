/* The forward pass of the sentence encoder, compiled. meaning/plain.py is the reference: change that one first;
 * tests/meaning compares the two. Knows nothing of Python, and no tokenizer.
 *
 * Nearly all of the time goes into products of small integers: inputs of 0 to 127 and weights of -127 to 127, so that
 * two products fit into int16. `multiply_*` are forms of one product with the same results; the processor's is chosen
 * at each call. Sums of floats keep one order in all of them, which is also numpy's in plain.py.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sentences.h"

/* GCC's elimination of partial redundancies moves loads into the iteration before, and so writes the totals of a tile
 * to memory in each step: half as fast. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-pre")
#endif

enum {
    WIDTH = 512,
    BRANCH = 256,
    BRANCHES = 3,
    PROJECTED = BRANCH * BRANCHES,
    FEATURES = WIDTH + PROJECTED,
    HIDDEN = 320,
    WIDEST = 1280, /* inputs or outputs of a matrix, at most */
    LANES = 16,
    LEVELS = 63, /* inputs are rounded to -LEVELS to LEVELS, */
    ZERO = 64,   /* and this is added, so that none is negative */
    TOGETHER = 96, /* pieces of the texts that are computed together: their states stay in the processor's cache */
    GRAMS = 10,    /* places of a piece in the n-grams of all branches */
    ROW = PROJECTED + GRAMS * BRANCH, /* what is computed of a piece alone: its states, and what it adds at each place */
    WAYS = 4,
    GROUP = 12,    /* texts whose vectors are computed together */
};

/* In the order of MATRICES in meaning/weights.py. */
enum { PROJECT = 0, FIRST = 1, SECOND = 4, JOIN = 7, ENTER, INNER, LEAVE, LAST };

static const int NGRAM[BRANCHES] = {2, 3, 5}, BEFORE[BRANCHES] = {0, 1, 2}, FIRST_GRAM[BRANCHES] = {0, 2, 5};

/* out[row][o] += scales[row] * sum over i of (inputs[row][i] - zero) * weight[i][o].
 * inputs (rows, count), 0 to 127; count is a multiple of 16. weights (count / 4, outputs, 4); outputs is a multiple of
 * 64. sums (outputs,): of the weights of an output. */
typedef void Multiply(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
                      const int8_t *weights, const float *sums, int64_t outputs, float *out, int64_t out_stride);

static void multiply_plain(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
                           const int8_t *weights, const float *sums, int64_t outputs, float *out, int64_t out_stride) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < outputs; column += 64) {
            int32_t total[64];
            for (int o = 0; o < 64; o++)
                total[o] = -zero * (int32_t)sums[column + o];
            for (int64_t i = 0; i < count; i += 4) {
                const uint8_t *a = inputs + row * count + i;
                const int8_t *w = weights + i * outputs + 4 * column;
                for (int o = 0; o < 64; o++)
                    total[o] += a[0] * w[4 * o] + a[1] * w[4 * o + 1] + a[2] * w[4 * o + 2] + a[3] * w[4 * o + 3];
            }
            for (int o = 0; o < 64; o++)
                out[row * out_stride + column + o] += scales[row] * (float)total[o];
        }
}

#define INLINE static inline __attribute__((always_inline))

/* One tile of a constant number of rows. */
#define TILE(tile, rows) \
    case rows: \
        tile(rows, inputs + row * count, scales + row, count, zero, weights + 4 * column, sums + column, outputs, \
             out + row * out_stride + column, out_stride); \
        break;

/* The totals of a tile are variables of their own, because compilers write those in an array to memory in each step.
 * `rows` is a constant wherever a tile is inlined, so the rest of its rows vanishes. */

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

INLINE int32_t four(const uint8_t *inputs) {
    int32_t value;
    memcpy(&value, inputs, 4);
    return value;
}

AVX2 INLINE __m256i start_avx2(int zero, const float *sums) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_set1_ps((float)-zero), _mm256_loadu_ps(sums)));
}

AVX2 INLINE __m256i step_avx2(__m256i total, __m256i inputs, __m256i weights) {
    __m256i products = _mm256_madd_epi16(_mm256_maddubs_epi16(inputs, weights), _mm256_set1_epi16(1));
    return _mm256_add_epi32(total, products);
}

AVX2 INLINE void end_avx2(float *out, float scale, __m256i total) {
    __m256 product = _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(total));
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_loadu_ps(out), product));
}

/* `rows` rows and 16 outputs. */
AVX2 INLINE void tile_avx2(int rows, const uint8_t *inputs, const float *scales, int64_t count, int zero,
                           const int8_t *weights, const float *sums, int64_t outputs, float *out, int64_t out_stride) {
#define START(r) __m256i a##r = start_avx2(zero, sums), b##r = start_avx2(zero, sums + 8);
#define STEP(r) \
    if (rows > r) { \
        __m256i input = _mm256_set1_epi32(four(inputs + r * count + i)); \
        a##r = step_avx2(a##r, input, wa); \
        b##r = step_avx2(b##r, input, wb); \
    }
#define END(r) \
    if (rows > r) { \
        end_avx2(out + r * out_stride, scales[r], a##r); \
        end_avx2(out + r * out_stride + 8, scales[r], b##r); \
    }
    START(0) START(1) START(2) START(3)
    for (int64_t i = 0; i < count; i += 4) {
        const __m256i *w = (const __m256i *)(weights + i * outputs);
        __m256i wa = _mm256_loadu_si256(w), wb = _mm256_loadu_si256(w + 1);
        STEP(0) STEP(1) STEP(2) STEP(3)
    }
    END(0) END(1) END(2) END(3)
#undef START
#undef STEP
#undef END
}

VNNI INLINE __m512i start_vnni(int zero, const float *sums) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_set1_ps((float)-zero), _mm512_loadu_ps(sums)));
}

VNNI INLINE void end_vnni(float *out, float scale, __m512i total) {
    __m512 product = _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_cvtepi32_ps(total));
    _mm512_storeu_ps(out, _mm512_add_ps(_mm512_loadu_ps(out), product));
}

/* `rows` rows and 64 outputs. */
VNNI INLINE void tile_vnni(int rows, const uint8_t *inputs, const float *scales, int64_t count, int zero,
                           const int8_t *weights, const float *sums, int64_t outputs, float *out, int64_t out_stride) {
#define START(r) \
    __m512i a##r = start_vnni(zero, sums), b##r = start_vnni(zero, sums + 16), c##r = start_vnni(zero, sums + 32), \
            d##r = start_vnni(zero, sums + 48);
#define STEP(r) \
    if (rows > r) { \
        __m512i input = _mm512_set1_epi32(four(inputs + r * count + i)); \
        a##r = _mm512_dpbusd_epi32(a##r, input, wa); \
        b##r = _mm512_dpbusd_epi32(b##r, input, wb); \
        c##r = _mm512_dpbusd_epi32(c##r, input, wc); \
        d##r = _mm512_dpbusd_epi32(d##r, input, wd); \
    }
#define END(r) \
    if (rows > r) { \
        end_vnni(out + r * out_stride, scales[r], a##r); \
        end_vnni(out + r * out_stride + 16, scales[r], b##r); \
        end_vnni(out + r * out_stride + 32, scales[r], c##r); \
        end_vnni(out + r * out_stride + 48, scales[r], d##r); \
    }
    START(0) START(1) START(2) START(3) START(4) START(5)
    for (int64_t i = 0; i < count; i += 4) {
        const int8_t *w = weights + i * outputs;
        __m512i wa = _mm512_loadu_si512(w), wb = _mm512_loadu_si512(w + 64), wc = _mm512_loadu_si512(w + 128),
                wd = _mm512_loadu_si512(w + 192);
        STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5)
    }
    END(0) END(1) END(2) END(3) END(4) END(5)
#undef START
#undef STEP
#undef END
}

AVX2 static void multiply_avx2(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
                               const int8_t *weights, const float *sums, int64_t outputs, float *out,
                               int64_t out_stride) {
    for (int64_t column = 0; column < outputs; column += 16)
        for (int64_t row = 0; row < rows; row += 4)
            switch (rows - row) {
            default:
                TILE(tile_avx2, 4)
                TILE(tile_avx2, 3)
                TILE(tile_avx2, 2)
                TILE(tile_avx2, 1)
            }
}

VNNI static void multiply_vnni(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
                               const int8_t *weights, const float *sums, int64_t outputs, float *out,
                               int64_t out_stride) {
    for (int64_t column = 0; column < outputs; column += 64)
        for (int64_t row = 0; row < rows; row += 6)
            switch (rows - row) {
            default:
                TILE(tile_vnni, 6)
                TILE(tile_vnni, 5)
                TILE(tile_vnni, 4)
                TILE(tile_vnni, 3)
                TILE(tile_vnni, 2)
                TILE(tile_vnni, 1)
            }
}
#endif

#if defined(__aarch64__) && (defined(__ARM_FEATURE_DOTPROD) || __GNUC__ >= 10 || __clang_major__ >= 16)
#define HAS_DOT
#include <arm_neon.h>
#if defined(__ARM_FEATURE_DOTPROD)
#define DOT
#elif defined(__clang__)
#define DOT __attribute__((target("dotprod")))
#else
#define DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

DOT INLINE int32x4_t start_dot(int zero, const float *sums) {
    return vcvtq_s32_f32(vmulq_n_f32(vld1q_f32(sums), (float)-zero));
}

DOT INLINE void end_dot(float *out, float scale, int32x4_t total) {
    vst1q_f32(out, vaddq_f32(vld1q_f32(out), vmulq_n_f32(vcvtq_f32_s32(total), scale)));
}

/* `rows` rows and 16 outputs. Inputs of up to 127 are the same as int8. */
DOT INLINE void tile_dot(int rows, const uint8_t *inputs, const float *scales, int64_t count, int zero,
                         const int8_t *weights, const float *sums, int64_t outputs, float *out, int64_t out_stride) {
#define START(r) \
    int32x4_t a##r = start_dot(zero, sums), b##r = start_dot(zero, sums + 4), c##r = start_dot(zero, sums + 8), \
              d##r = start_dot(zero, sums + 12);
#define STEP(r, lane) \
    if (rows > r) { \
        a##r = vdotq_laneq_s32(a##r, wa, input##r, lane); \
        b##r = vdotq_laneq_s32(b##r, wb, input##r, lane); \
        c##r = vdotq_laneq_s32(c##r, wc, input##r, lane); \
        d##r = vdotq_laneq_s32(d##r, wd, input##r, lane); \
    }
#define STEPS(lane) \
    { \
        const int8_t *w = weights + (i + 4 * lane) * outputs; \
        int8x16_t wa = vld1q_s8(w), wb = vld1q_s8(w + 16), wc = vld1q_s8(w + 32), wd = vld1q_s8(w + 48); \
        STEP(0, lane) STEP(1, lane) STEP(2, lane) STEP(3, lane) \
    }
#define INPUT(r) int8x16_t input##r = vreinterpretq_s8_u8(vld1q_u8(inputs + (rows > r ? r : 0) * count + i));
#define END(r) \
    if (rows > r) { \
        end_dot(out + r * out_stride, scales[r], a##r); \
        end_dot(out + r * out_stride + 4, scales[r], b##r); \
        end_dot(out + r * out_stride + 8, scales[r], c##r); \
        end_dot(out + r * out_stride + 12, scales[r], d##r); \
    }
    START(0) START(1) START(2) START(3)
    for (int64_t i = 0; i < count; i += 16) {
        INPUT(0) INPUT(1) INPUT(2) INPUT(3)
        STEPS(0) STEPS(1) STEPS(2) STEPS(3)
    }
    END(0) END(1) END(2) END(3)
#undef START
#undef STEP
#undef STEPS
#undef INPUT
#undef END
}

DOT static void multiply_dot(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
                             const int8_t *weights, const float *sums, int64_t outputs, float *out,
                             int64_t out_stride) {
    for (int64_t column = 0; column < outputs; column += 16)
        for (int64_t row = 0; row < rows; row += 4)
            switch (rows - row) {
            default:
                TILE(tile_dot, 4)
                TILE(tile_dot, 3)
                TILE(tile_dot, 2)
                TILE(tile_dot, 1)
            }
}
#endif

/* ---- floats ---- */

/* `row_sums`: adds the lanes up in halves, in place. */
INLINE float sum_of(float *lanes) {
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++)
            lanes[lane] += lanes[lane + half];
    return lanes[0];
}

/* `normed`: mean 0 and variance 1, times `gain` plus `shift`, in place. count is a multiple of LANES. */
INLINE void norm(float *values, int count, const float *gain, const float *shift) {
    float lanes[LANES] = {0};
    for (int i = 0; i < count; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += values[i + lane];
    float mean = sum_of(lanes) / (float)count;
    memset(lanes, 0, sizeof lanes);
    for (int i = 0; i < count; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            float centred = values[i + lane] - mean;
            lanes[lane] += centred * centred;
        }
    float inverse = 1 / sqrtf(sum_of(lanes) / (float)count + 1e-12f);
    for (int i = 0; i < count; i++)
        values[i] = (values[i] - mean) * inverse * gain[i] + shift[i];
}

/* `rounded`: writes integers, with ZERO added, and returns the size of a step. count is a multiple of LANES. If `rest`,
 * writes what rounding has taken away there. */
INLINE float round_row(const float *values, int count, uint8_t *integers, float *rest) {
    float lanes[LANES] = {0}, largest = 1e-20f;
    for (int i = 0; i < count; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            float magnitude = fabsf(values[i + lane]);
            lanes[lane] = magnitude > lanes[lane] ? magnitude : lanes[lane];
        }
    for (int lane = 0; lane < LANES; lane++)
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    float scale = largest / LEVELS;
    for (int i = 0; i < count; i++) {
        /* Adding 1.5 * 2^23 rounds to the nearest integer, to even in the middle, as rint does. */
        float integer = values[i] / scale + 12582912.0f - 12582912.0f;
        integers[i] = (uint8_t)((int32_t)integer + ZERO);
        if (rest)
            rest[i] = values[i] - integer * scale;
    }
    return scale;
}

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

/* Computes a batch with one form of the product; the float loops are compiled for the same processors. */
typedef void Encode(Batch *b, float *vectors);

static void encode_plain(Batch *b, float *vectors) {
    b->multiply = multiply_plain;
    encode_batch(b, vectors);
}

#if defined(__x86_64__)
AVX2 static void encode_avx2(Batch *b, float *vectors) {
    b->multiply = multiply_avx2;
    encode_batch(b, vectors);
}

VNNI static void encode_vnni(Batch *b, float *vectors) {
    b->multiply = multiply_vnni;
    encode_batch(b, vectors);
}
#endif

#if defined(__x86_64__)
#include <cpuid.h>

/* `processor_level`. Not all compilers' libraries have a working __builtin_cpu_supports. */
static int level_of_processor(void) {
    enum { XSAVE = 1 << 27, AVX2_BIT = 1 << 5, VNNI_BIT = 1 << 11, YMM = 0x6, ZMM = 0xe6 };
    const unsigned avx512 = 1u << 16 | 1u << 30 | 1u << 31; /* F, BW and VL */
    unsigned a, b, c, d, states, rest;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & XSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(states), "=d"(rest) : "c"(0));
    if ((states & YMM) != YMM || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2_BIT))
        return 0;
    return (states & ZMM) == ZMM && (b & avx512) == avx512 && (c & VNNI_BIT) ? 2 : 1;
}
#endif

#if defined(HAS_DOT)
#if defined(__linux__)
#include <sys/auxv.h>
#endif

DOT static void encode_dot(Batch *b, float *vectors) {
    b->multiply = multiply_dot;
    encode_batch(b, vectors);
}

/* Whether the processor has products of four int8 (an option of arm64 since 8.2). */
static int has_dot(void) {
#if defined(__ARM_FEATURE_DOTPROD)
    return 1;
#elif defined(__linux__)
    return getauxval(AT_HWCAP) >> 20 & 1;
#else
    return 0;
#endif
}
#endif

int processor_level(void) {
#if defined(__x86_64__)
    static _Atomic int known = -1; /* Asking the processor takes long on virtual machines. */
    if (known < 0)
        known = level_of_processor();
    return known;
#else
    return 0;
#endif
}

/* The form for this processor; with `limit` below 2, not the fastest, so that tests run each form. */
static Encode *form_of(int64_t limit) {
#if defined(__x86_64__)
    if (limit >= 2 && processor_level() >= 2)
        return encode_vnni;
    if (limit >= 1 && processor_level() >= 1)
        return encode_avx2;
#endif
#if defined(HAS_DOT)
    if (limit >= 1 && has_dot())
        return encode_dot;
#endif
    (void)limit;
    return encode_plain;
}

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
