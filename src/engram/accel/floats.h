/* Loops of floats that the forward passes of sentences.c and context.c share: layer norm, and rounding to small integers.
 * meaning/plain.py has them in numpy. Sums keep one order, whatever the processor. */

#ifndef ENGRAM_FLOATS_H
#define ENGRAM_FLOATS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "product.h"

enum {
    LANES = 16,
    LEVELS = 63, /* inputs of products are rounded to -LEVELS to LEVELS, */
    ZERO = 64,   /* and this is added, so that none is negative */
};

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

/* The greatest magnitude, 1e-20 at least. count is a multiple of LANES. Floats without a sign are in the order of their
 * bits as integers, of which compilers find the greater one in one step. */
INLINE float largest_of(const float *values, int count) {
    int32_t lanes[LANES] = {0}, bits, most = 0;
    float largest;
    for (int i = 0; i < count; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            memcpy(&bits, values + i + lane, sizeof bits);
            bits &= INT32_MAX;
            lanes[lane] = bits > lanes[lane] ? bits : lanes[lane];
        }
    for (int lane = 0; lane < LANES; lane++)
        most = lanes[lane] > most ? lanes[lane] : most;
    memcpy(&largest, &most, sizeof largest);
    return largest > 1e-20f ? largest : 1e-20f;
}

/* `rounded`: writes integers, with ZERO added, and returns the size of a step. count is a multiple of LANES. If `rest`,
 * writes what rounding has taken away there. */
INLINE float round_row(const float *values, int count, uint8_t *integers, float *rest) {
    float scale = largest_of(values, count) / LEVELS;
    for (int i = 0; i < count; i++) {
        /* Adding 1.5 * 2^23 rounds to the nearest integer, to even in the middle, as rint does. */
        float integer = values[i] / scale + 12582912.0f - 12582912.0f;
        integers[i] = (uint8_t)((int32_t)integer + ZERO);
        if (rest)
            rest[i] = values[i] - integer * scale;
    }
    return scale;
}

#endif
