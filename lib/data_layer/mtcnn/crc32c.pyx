"""The checksum of TFRecord files; see reference.masked_crc32c, to which it is equal."""

import numpy as np

from ..reference import CRC_MASK, check_rows, crc_tables

cdef unsigned int[:, ::1] TABLES = crc_tables(8)


def masked_crc32c(rows):
    """(N,) uint32 of (N, L) uint8: see reference.masked_crc32c."""
    cdef const unsigned char[:, ::1] data = check_rows(rows)
    result = np.empty(data.shape[0], dtype=np.uint32)
    cdef unsigned int[::1] sums = result
    cdef Py_ssize_t row, length = data.shape[1]
    cdef unsigned int crc, mask = CRC_MASK
    with nogil:
        for row in range(data.shape[0]):
            crc = checksum(&data[row, 0] if length else NULL, length)
            sums[row] = (crc >> 15 | crc << 17) + mask
    return result


cdef unsigned int checksum(const unsigned char* data, Py_ssize_t length) noexcept nogil:
    """Eight bytes at a time, each by the table that stands for its distance from the end of the eight."""
    cdef unsigned int crc = 0xFFFFFFFF
    cdef Py_ssize_t at, whole = length & ~<Py_ssize_t>7
    for at in range(0, whole, 8):
        crc = (TABLES[7, (crc ^ data[at]) & 255] ^ TABLES[6, (crc >> 8 ^ data[at + 1]) & 255]
               ^ TABLES[5, (crc >> 16 ^ data[at + 2]) & 255] ^ TABLES[4, crc >> 24 ^ data[at + 3]]
               ^ TABLES[3, data[at + 4]] ^ TABLES[2, data[at + 5]] ^ TABLES[1, data[at + 6]] ^ TABLES[0, data[at + 7]])
    for at in range(whole, length):
        crc = TABLES[0, (crc ^ data[at]) & 255] ^ crc >> 8
    return ~crc
