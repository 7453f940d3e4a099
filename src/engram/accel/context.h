/* The structs of context.c, as lists of fields: see kernel.c. accel/compiled.py has them as ContextMatrix and Context. */

#ifndef ENGRAM_CONTEXT_H
#define ENGRAM_CONTEXT_H

#include <stdint.h>

/* A matrix of int8: (outputs / 64, inputs / 4, 64, 4). What a tile of 64 outputs reads lies together. */
#define CONTEXT_MATRIX_FIELDS(FIELD) \
    FIELD(const int8_t *, weights) \
    FIELD(const float *, sums)      /* (outputs,): of the weights of an output */ \
    FIELD(const float *, scales)    /* (outputs,) */ \
    FIELD(const float *, bias)      /* (outputs,) */ \
    FIELD(int64_t, roundings)       /* of its inputs: 1, to 7 bits, or 2, to 14 bits */

/* Four matrices of each layer (from the states to queries, keys and values; to what is attended; up; down), and the last
 * one. A layer norm of the embeddings, and two of each layer. */
#define CONTEXT_FIELDS(FIELD) \
    FIELD(int64_t, layers) \
    FIELD(const int8_t *, words)    /* (pieces of the vocabulary, WIDTH) */ \
    FIELD(const float *, places)    /* (MOST_PIECES, WIDTH) */ \
    FIELD(const ContextMatrix *, matrices) /* (4 * layers + 1,) */ \
    FIELD(const float *, gains)     /* (2 * layers + 1, WIDTH) */ \
    FIELD(const float *, shifts)    /* (2 * layers + 1, WIDTH) */

#define DECLARE_CONTEXT_FIELD(type, name) type name;
typedef struct {
    CONTEXT_MATRIX_FIELDS(DECLARE_CONTEXT_FIELD)
} ContextMatrix;

typedef struct {
    CONTEXT_FIELDS(DECLARE_CONTEXT_FIELD)
} Context;

#endif
