/* CRC32C (Castagnoli): with the processor's instruction where there is one, else eight bytes at a
 * time by tables. Both work on the register, which is inverted before and after.
 *
 * One instruction takes three cycles to answer but another may begin in each, so long data is read
 * as three neighbouring streams at once. A stream's register is then moved past the streams after
 * it, as if it had read so many zeros: that is linear, hence four lookups, one a byte.
 */
#ifndef FENDAN_CRC32C_H
#define FENDAN_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the journal is read and written by little-endian processors only"
#endif

#if defined(FENDAN_CRC_PORTABLE) /* a test chose the tables */
#elif defined(__x86_64__)
#include <nmmintrin.h>
#define FENDAN_CRC_INSTRUCTION __attribute__((target("sse4.2")))
#define FENDAN_CRC_WORD(crc, word) ((uint32_t)_mm_crc32_u64((crc), (word)))
#define FENDAN_CRC_BYTE(crc, byte) _mm_crc32_u8((crc), (byte))
#define FENDAN_CRC_THERE __builtin_cpu_supports("sse4.2")
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define FENDAN_CRC_INSTRUCTION
#define FENDAN_CRC_WORD(crc, word) __crc32cd((crc), (word))
#define FENDAN_CRC_BYTE(crc, byte) __crc32cb((crc), (byte))
#define FENDAN_CRC_THERE 1
#endif

#define FENDAN_CRC_POLYNOMIAL 0x82F63B78u /* its lowest power is the highest bit */
#define FENDAN_CRC_STREAM 512             /* bytes of each of the three streams */

static uint32_t fendan_crc_tables[8][256];
static uint32_t fendan_crc_skips[4][256]; /* FENDAN_CRC_STREAM zeros, by each byte of a register */
static int fendan_crc_is_fast;

static inline uint64_t fendan_crc_word_at(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint32_t fendan_crc_by_tables(uint32_t crc, const uint8_t *at, size_t size) {
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word = fendan_crc_word_at(at) ^ crc;
        crc = 0;
        for (int byte = 0; byte < 8; byte++)
            crc ^= fendan_crc_tables[7 - byte][word >> 8 * byte & 255];
    }
    for (; size; at++, size--) crc = crc >> 8 ^ fendan_crc_tables[0][(crc ^ *at) & 255];
    return crc;
}

static inline uint32_t fendan_crc_skip(uint32_t crc) {
    return fendan_crc_skips[0][crc & 255] ^ fendan_crc_skips[1][crc >> 8 & 255] ^
           fendan_crc_skips[2][crc >> 16 & 255] ^ fendan_crc_skips[3][crc >> 24];
}

#ifdef FENDAN_CRC_INSTRUCTION
FENDAN_CRC_INSTRUCTION
static uint32_t fendan_crc_by_instruction(uint32_t crc, const uint8_t *at, size_t size) {
    for (; size >= 3 * FENDAN_CRC_STREAM; size -= 3 * FENDAN_CRC_STREAM) {
        uint32_t second = 0, third = 0;
        for (const uint8_t *end = at + FENDAN_CRC_STREAM; at < end; at += 8) {
            crc = FENDAN_CRC_WORD(crc, fendan_crc_word_at(at));
            second = FENDAN_CRC_WORD(second, fendan_crc_word_at(at + FENDAN_CRC_STREAM));
            third = FENDAN_CRC_WORD(third, fendan_crc_word_at(at + 2 * FENDAN_CRC_STREAM));
        }
        crc = fendan_crc_skip(fendan_crc_skip(crc) ^ second) ^ third;
        at += 2 * FENDAN_CRC_STREAM;
    }
    for (; size >= 8; at += 8, size -= 8) crc = FENDAN_CRC_WORD(crc, fendan_crc_word_at(at));
    for (; size; at++, size--) crc = FENDAN_CRC_BYTE(crc, *at);
    return crc;
}
#endif

/* Fill in the tables; once, before anything else. */
static void fendan_crc_prepare(void) {
    static const uint8_t zeros[FENDAN_CRC_STREAM];
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? FENDAN_CRC_POLYNOMIAL : 0);
        fendan_crc_tables[0][byte] = crc;
    }
    for (int table = 1; table < 8; table++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = fendan_crc_tables[table - 1][byte];
            fendan_crc_tables[table][byte] = crc >> 8 ^ fendan_crc_tables[0][crc & 255];
        }
    for (int place = 0; place < 4; place++)
        for (uint32_t byte = 1; byte < 256; byte++) {
            uint32_t lowest = byte & -byte, *skips = fendan_crc_skips[place];
            skips[byte] = byte == lowest
                              ? fendan_crc_by_tables(byte << 8 * place, zeros, sizeof zeros)
                              : skips[lowest] ^ skips[byte ^ lowest];
        }
#ifdef FENDAN_CRC_INSTRUCTION
    fendan_crc_is_fast = FENDAN_CRC_THERE;
#endif
}

static uint32_t fendan_crc32c(const void *data, size_t size, uint32_t crc) {
#ifdef FENDAN_CRC_INSTRUCTION
    if (fendan_crc_is_fast) return ~fendan_crc_by_instruction(~crc, (const uint8_t *)data, size);
#endif
    return ~fendan_crc_by_tables(~crc, (const uint8_t *)data, size);
}

#endif
