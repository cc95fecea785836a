"""CRC32C, the checksum of the journal."""
from libc.stdint cimport uint32_t


cdef uint32_t checksum(const void* data, size_t size, uint32_t crc) noexcept nogil
