/* The product of small integers, in the forms of several processors, and which of them this processor has. sentences.c
 * and context.c spend most of their time in it, and compile their loops of floats for the same processors. */

#ifndef ENGRAM_PRODUCT_H
#define ENGRAM_PRODUCT_H

#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* out[row][o] += scales[row] * sum over i of (inputs[row][i] - zero) * weight[i][o].
 * inputs (rows, count), 0 to 127; count is a multiple of 16. weights (count / 4, outputs, 4); outputs is a multiple of
 * 64. sums (outputs,): of the weights of an output. */
typedef void Multiply(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
                      const int8_t *weights, const float *sums, int64_t outputs, float *out, int64_t out_stride);

/* All forms give the same results. */
Multiply multiply_plain;

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

AVX2 Multiply multiply_avx2;
VNNI Multiply multiply_vnni;
#endif

#if defined(__aarch64__) && (defined(__ARM_FEATURE_DOTPROD) || __GNUC__ >= 10 || __clang_major__ >= 16)
#define HAS_DOT
#if defined(__ARM_FEATURE_DOTPROD)
#define DOT
#elif defined(__clang__)
#define DOT __attribute__((target("dotprod")))
#else
#define DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

DOT Multiply multiply_dot;

/* Whether the processor has products of four int8 (an option of arm64 since 8.2). */
int has_dot(void);
#endif

/* 2 if the processor and the system have AVX512 F, BW, VL and VNNI, 1 if they have AVX2, else 0. */
int processor_level(void);

#endif
