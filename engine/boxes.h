/* Lower bounds of the distance to 64 bounding boxes at once.
 *
 * A bound is a squared chord, never negative, and non-negative doubles sort like their bit
 * patterns. So each bound is kept as an int64 *key* whose lowest six bits are replaced by the box's
 * number: the smallest key then says both how near and which. Clearing the six bits only lowers a
 * bound, by less than 2e-14 of itself, so it stays a lower bound.
 *
 * The loops are plain C that a compiler vectorises; where the loader can choose a function by
 * processor (glibc on x86-64), AVX2 and AVX-512 versions of the same loops stand beside it. All
  * versions give the same bits: no operation is reordered or fused (-ffp-contract=off).
 */
#ifndef FENDAN_BOXES_H
#define FENDAN_BOXES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FENDAN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FENDAN_CLONES
#endif

#define FENDAN_BOXES 64
#define FENDAN_BOX_MASK ((int64_t)(FENDAN_BOXES - 1))

static inline double fendan_outside(double low, double high, double at) {
    double below = low - at;
    double above = at - high;
    double farther = below > above ? below : above;
    return farther > 0.0 ? farther : 0.0;
}

/* boxes: low_x[64] high_x[64] low_y[64] high_y[64] low_z[64] high_z[64]; count: a multiple of 8 */
FENDAN_CLONES
static void fendan_box_keys(const double *restrict boxes, double x, double y, double z, ptrdiff_t count,
                            int64_t *restrict keys) {
    for (ptrdiff_t box = 0; box < count; box++) {
        double dx = fendan_outside(boxes[box], boxes[box + 64], x);
        double dy = fendan_outside(boxes[box + 128], boxes[box + 192], y);
        double dz = fendan_outside(boxes[box + 256], boxes[box + 320], z);
        double bound = dx * dx + dy * dy + dz * dz;
        int64_t bits;
        memcpy(&bits, &bound, sizeof bits);
        keys[box] = (bits & ~FENDAN_BOX_MASK) | box;
    }
}

FENDAN_CLONES
static int64_t fendan_least_key(const int64_t *keys, ptrdiff_t count) {
    int64_t least = INT64_MAX;
    for (ptrdiff_t box = 0; box < count; box++) least = keys[box] < least ? keys[box] : least;
    return least;
}

/* bit = 1: that box may hold something as near as `limit` */
FENDAN_CLONES
static uint64_t fendan_keys_within(const int64_t *keys, ptrdiff_t count, int64_t limit) {
    uint64_t within = 0;
    for (ptrdiff_t box = 0; box < count; box++) within |= (uint64_t)(keys[box] <= limit) << box;
    return within;
}

/* The largest key of a box whose bound is at most `squared`. */
static inline int64_t fendan_key_of(double squared) {
    int64_t bits;
    memcpy(&bits, &squared, sizeof bits);
    return bits | FENDAN_BOX_MASK;
}

#endif
