/* Distances to 64 boxes, or to the 64 stores of a leaf, at once.
 *
 * All are squared chords in float32. A lower bound of the distance to a box is never negative, and
 * non-negative floats sort like their bit patterns. So each bound is kept as an int32 *key* whose
 * lowest six bits are replaced by the box's number: the smallest key then says both how near and
 * which. Clearing the six bits only lowers a bound, so it stays a lower bound.
 *
 * The loops are plain C that a compiler vectorises; where the loader can choose a function by
 * processor (glibc on x86-64), AVX2 and AVX-512 versions of the same loops stand beside it. All
 * versions give the same bits: no operation is reordered or fused (-ffp-contract=off).
 */
#ifndef FENDAN_NEAR_H
#define FENDAN_NEAR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FENDAN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FENDAN_CLONES
#endif

#define FENDAN_BOX_MASK 63

static inline float fendan_outside(float low, float high, float at) {
    float below = low - at;
    float above = at - high;
    float farther = below > above ? below : above;
    return farther > 0.0f ? farther : 0.0f;
}

/* boxes: low_x[64] high_x[64] low_y[64] high_y[64] low_z[64] high_z[64]; returns the least key */
FENDAN_CLONES
static int32_t fendan_box_keys(const float *restrict boxes, float x, float y, float z,
                               int32_t *restrict keys) {
    int32_t least = INT32_MAX;
    for (size_t box = 0; box < 64; box++) {
        float dx = fendan_outside(boxes[box], boxes[box + 64], x);
        float dy = fendan_outside(boxes[box + 128], boxes[box + 192], y);
        float dz = fendan_outside(boxes[box + 256], boxes[box + 320], z);
        float bound = dx * dx + dy * dy + dz * dz;
        int32_t bits;
        memcpy(&bits, &bound, sizeof bits);
        bits = (bits & ~FENDAN_BOX_MASK) | (int32_t)box;
        keys[box] = bits;
        least = bits < least ? bits : least;
    }
    return least;
}

/* bit = 1: that box may hold something as near as `limit` */
FENDAN_CLONES
static uint64_t fendan_keys_within(const int32_t *keys, int32_t limit) {
    uint64_t within = 0;
    for (size_t box = 0; box < 64; box++) within |= (uint64_t)(keys[box] <= limit) << box;
    return within;
}

/* The largest key of a box whose bound is at most `squared`. */
static inline int32_t fendan_key_of(float squared) {
    int32_t bits;
    memcpy(&bits, &squared, sizeof bits);
    return bits | FENDAN_BOX_MASK;
}

/* sketches: x[64] y[64] z[64] */
FENDAN_CLONES
static void fendan_chords(const float *restrict sketches, float x, float y, float z,
                          float *restrict squared) {
    for (size_t slot = 0; slot < 64; slot++) {
        float dx = sketches[slot] - x;
        float dy = sketches[slot + 64] - y;
        float dz = sketches[slot + 128] - z;
        squared[slot] = dx * dx + dy * dy + dz * dz;
    }
}

#endif
