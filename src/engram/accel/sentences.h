/* The structs of sentences.c, as lists of fields: see kernel.c. accel/compiled.py has them as LayerOfSentences and
 * Sentences. */

#ifndef ENGRAM_SENTENCES_H
#define ENGRAM_SENTENCES_H

#include <stdint.h>

/* A matrix of int8: (blocks, inputs of a block / 4, outputs, 4). Four inputs of an output are beside each other. */
#define SENTENCE_LAYER_FIELDS(FIELD) \
    FIELD(const int8_t *, weights) \
    FIELD(const float *, sums)      /* (blocks, outputs): of the weights of an output */ \
    FIELD(const float *, scales)    /* (outputs,) */

/* What was computed for the pieces of the last calls; all is 0 at first. A piece stands in one of the WAYS slots of its
 * set. One call at a time may use it. */
#define SENTENCE_CACHE_FIELDS(FIELD) \
    FIELD(int64_t, sets) \
    FIELD(int32_t *, busy)   /* (1,): 1 while a call uses it */ \
    FIELD(int32_t *, held)   /* (sets, WAYS): the place of the piece in a slot, and 1; 0 for none */ \
    FIELD(int64_t *, used)   /* (sets, WAYS): the number of the batch that used it last */ \
    FIELD(int64_t *, batches) /* (1,): the number of the last batch */ \
    FIELD(float *, rows)     /* (sets, WAYS, ROW) */

/* Tables and layers of meaning/weights.py, whose `Weights` tells how a row lies in its bytes. */
#define SENTENCES_FIELDS(FIELD) \
    FIELD(const uint8_t *, narrow) \
    FIELD(const uint8_t *, middle) \
    FIELD(const uint8_t *, wide) \
    FIELD(int64_t, narrow_rows) \
    FIELD(int64_t, middle_rows) \
    FIELD(const SentenceLayer *, layers) /* in the order of MATRICES in weights.py */ \
    FIELD(const float *, project_bias) \
    FIELD(const float *, project_gain) \
    FIELD(const float *, project_shift) \
    FIELD(const float *, first_bias) \
    FIELD(const float *, second_bias) \
    FIELD(const float *, gain) \
    FIELD(const float *, shift) \
    FIELD(const float *, join_bias) \
    FIELD(const SentenceCache *, caches) \
    FIELD(int64_t, number_of_caches)

#define DECLARE_FIELD(type, name) type name;
typedef struct {
    SENTENCE_LAYER_FIELDS(DECLARE_FIELD)
} SentenceLayer;

typedef struct {
    SENTENCE_CACHE_FIELDS(DECLARE_FIELD)
} SentenceCache;

typedef struct {
    SENTENCES_FIELDS(DECLARE_FIELD)
} Sentences;

#endif
