"""CRC32C, the checksum of the journal: crc32c.h, with its tables filled in."""
from libc.stdint cimport uint8_t, uint32_t

cdef extern from "crc32c.h":
    void prepare "fendan_crc_prepare"() noexcept nogil
    uint32_t crc_of "fendan_crc32c"(const void* data, size_t size, uint32_t crc) noexcept nogil

prepare()


cdef uint32_t checksum(const void* data, size_t size, uint32_t crc) noexcept nogil:
    """The checksum of what had checksum `crc` (0: nothing) followed by `size` bytes."""
    return crc_of(data, size, crc)


def crc32c(const uint8_t[::1] data not None, uint32_t crc=0):
    """The checksum of bytes that follow others with checksum `crc`; the GIL is not held."""
    if data.shape[0]:
        with nogil:
            crc = crc_of(&data[0], data.shape[0], crc)
    return crc
