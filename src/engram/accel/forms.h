/* The forms in which texts are encoded. To be included by a source that has declared `Batch`, with a member `multiply`,
 * and `encode_batch`, which is compiled here once for each form: so it has no guard. */

#include "product.h"

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

#if defined(HAS_DOT)
DOT static void encode_dot(Batch *b, float *vectors) {
    b->multiply = multiply_dot;
    encode_batch(b, vectors);
}
#endif

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
