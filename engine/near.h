/* Distances to the boxes of 64 leaves or branches, or to the 64 stores of a leaf, at once.
 *
 * All are squared chords in float32, never negative, and non-negative floats sort like their bit
 * patterns. So each is kept as an int32 *key* whose lowest six bits are replaced by its number from
 * 0 to 63: the smallest key then says both how near and which. Clearing the six bits lowers a
 * distance by less than 8e-6 of itself: a lower bound stays one, and geo.chord_margin allows for it.
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
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(FENDAN_CLONES) /* a test chose one version */
#elif defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FENDAN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FENDAN_CLONES
#endif

#define FENDAN_NUMBER 63

/* How far `at` is from the nearest point of [low, high], with a sign. */
static inline float fendan_outside(float low, float high, float at) {
    float nearest = at > low ? at : low;
    nearest = nearest < high ? nearest : high;
    return at - nearest;
}

static inline int32_t fendan_key(float squared, size_t number) {
    int32_t bits;
    memcpy(&bits, &squared, sizeof bits);
    return (bits & ~FENDAN_NUMBER) | (int32_t)number;
}

/* The largest key of anything as near as `squared`. */
static inline int32_t fendan_key_of(float squared) { return fendan_key(squared, FENDAN_NUMBER); }

/* The distance in a key, without its number. */
static inline float fendan_squared_in(int32_t key) {
    float squared;
    key &= ~FENDAN_NUMBER;
    memcpy(&squared, &key, sizeof squared);
    return squared;
}

/* boxes: low_x[64] high_x[64] low_y[64] high_y[64] low_z[64] high_z[64] */
static inline __attribute__((always_inline)) int32_t
fendan_some_box_keys(const float *restrict boxes, size_t count, float x, float y, float z,
                     int32_t *restrict keys) {
    int32_t least = INT32_MAX;
    for (size_t box = 0; box < count; box++) {
        float dx = fendan_outside(boxes[box], boxes[box + 64], x);
        float dy = fendan_outside(boxes[box + 128], boxes[box + 192], y);
        float dz = fendan_outside(boxes[box + 256], boxes[box + 320], z);
        keys[box] = fendan_key(dx * dx + dy * dy + dz * dz, box);
        least = keys[box] < least ? keys[box] : least;
    }
    return least;
}

/* Fills in the first `count` keys, 16, 32 or 64 of them, and returns the least. A compiler that knows
 * how many there are has no loop left. */
FENDAN_CLONES
__attribute__((unused)) static int32_t fendan_box_keys(const float *restrict boxes, size_t count,
                                                       float x, float y, float z,
                                                       int32_t *restrict keys) {
    if (count == 64)
        return fendan_some_box_keys(boxes, 64, x, y, z, keys);
    if (count == 32)
        return fendan_some_box_keys(boxes, 32, x, y, z, keys);
    return fendan_some_box_keys(boxes, 16, x, y, z, keys);
}

/* sketches: x[64] y[64] z[64] */
FENDAN_CLONES
__attribute__((unused)) static void fendan_store_keys(const float *restrict sketches, float x, float y, float z,
                              int32_t *restrict keys) {
    for (size_t slot = 0; slot < 64; slot++) {
        float dx = sketches[slot] - x;
        float dy = sketches[slot + 64] - y;
        float dz = sketches[slot + 128] - z;
        keys[slot] = fendan_key(dx * dx + dy * dy + dz * dz, slot);
    }
}

/* bit = 1 of each slot of half a leaf. */
static const int32_t fendan_slot_bit[32] = {
    1 << 0,  1 << 1,  1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
    1 << 8,  1 << 9,  1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15,
    1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 23,
    1 << 24, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30, INT32_MIN};

/* The keys of half a leaf; INT32_MAX for those whose bits are not set. */
static inline __attribute__((always_inline)) void
fendan_half_keys(const float *restrict sketches, float x, float y, float z, uint32_t candidates,
                 size_t first, int32_t *restrict keys) {
    for (size_t slot = 0; slot < 32; slot++) {
        float dx = sketches[slot] - x;
        float dy = sketches[slot + 64] - y;
        float dz = sketches[slot + 128] - z;
        int32_t key = fendan_key(dx * dx + dy * dy + dz * dz, first + slot);
        int32_t absent = -(int32_t)((candidates & fendan_slot_bit[slot]) == 0);
        keys[slot] = key | (absent & INT32_MAX);
    }
}

/* The least key of those stores of a leaf whose bits are set; INT32_MAX: there are none. By halves,
 * since a compiler vectorises a choice by bits only where lanes are as wide as the bits' word. */
FENDAN_CLONES
__attribute__((unused)) static int32_t fendan_least_key(const float *restrict sketches, float x,
                                                        float y, float z, uint64_t candidates) {
    int32_t low[32], high[32], least = INT32_MAX;
    fendan_half_keys(sketches, x, y, z, (uint32_t)candidates, 0, low);
    fendan_half_keys(sketches + 32, x, y, z, (uint32_t)(candidates >> 32), 32, high);
    for (size_t slot = 0; slot < 32; slot++) {
        int32_t key = low[slot] < high[slot] ? low[slot] : high[slot];
        least = key < least ? key : least;
    }
    return least;
}

/* bit = 1: that key, of the first `count`, a multiple of 16, is at most `limit`. Compilers find no short
 * way to gather bits, so where every processor has one it is spelled out. */
__attribute__((unused)) static inline uint64_t fendan_keys_within(const int32_t *keys, size_t count,
                                                                  int32_t limit) {
    uint64_t within = 0;
#if defined(__SSE2__)
    const __m128i limits = _mm_set1_epi32(limit);
    for (size_t first = 0; first < count; first += 16) {
        const __m128i *four = (const __m128i *)(keys + first);
        __m128i low = _mm_packs_epi32(_mm_cmpgt_epi32(_mm_loadu_si128(four), limits),
                                      _mm_cmpgt_epi32(_mm_loadu_si128(four + 1), limits));
        __m128i high = _mm_packs_epi32(_mm_cmpgt_epi32(_mm_loadu_si128(four + 2), limits),
                                       _mm_cmpgt_epi32(_mm_loadu_si128(four + 3), limits));
        uint64_t beyond = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
        within |= (beyond ^ 0xffff) << first;
    }
#else
    for (size_t number = 0; number < count; number++)
        within |= (uint64_t)(keys[number] <= limit) << number;
#endif
    return within;
}

#endif
