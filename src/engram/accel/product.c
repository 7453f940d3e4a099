/* The product of small integers: inputs of 0 to 127 and weights of -127 to 127, so that two products fit into int16.
 * `multiply_*` are forms of one product with the same results. Knows no model.
 */

#include <stdint.h>
#include <string.h>

#include "product.h"

/* GCC's elimination of partial redundancies moves loads into the iteration before, and so writes the totals of a tile
 * to memory in each step: half as fast. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-pre")
#endif

void multiply_plain(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
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

AVX2 void multiply_avx2(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
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

VNNI void multiply_vnni(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
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

#if defined(HAS_DOT)
#include <arm_neon.h>

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

DOT void multiply_dot(const uint8_t *inputs, const float *scales, int64_t rows, int64_t count, int zero,
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

int has_dot(void) {
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
