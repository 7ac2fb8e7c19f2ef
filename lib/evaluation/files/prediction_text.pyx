"""The faces in a prediction file, compiled, for files in which nothing is unusual.

The twin in reference.py states the rule. Other files are left to the line-by-line reader of predictions.py.
"""

import numpy as np

from ..reference import check_bytes

cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass
    double PyOS_string_to_double(const char* text, char** end, PyObject* overflow) except? -1.0

# Up to here a whole number and a power of ten are exact in float64, and one division of the two is rounded correctly.
cdef unsigned long long EXACT = 1 << 53
cdef int TENS = 22
cdef double[23] POWERS
for _power in range(TENS + 1):
    POWERS[_power] = 10.0 ** _power


def parse_faces(data):
    """(N, 5) float64 faces of a whole file, or None: see reference.parse_faces."""
    cdef bytes content = check_bytes(data)
    cdef const char* at = content
    cdef const char* end = at + len(content)
    cdef Py_ssize_t count = 0, row, column
    cdef int fields = 0
    while at < end and not is_newline(at[0]):  # the name
        if is_space(at[0]):
            at += 1
            continue
        fields += 1
        while at < end and not is_space(at[0]) and not is_newline(at[0]):
            at += 1
    if fields == 5:  # perhaps a face: the line-by-line reader decides
        return None
    at = spaces(line_end(at, end), end)
    if at == end or not is_digit(at[0]):
        return None
    while at < end and is_digit(at[0]):
        count = 10 * count + (at[0] - 48)
        at += 1
        if count > end - at:  # a face takes more than a byte
            return None
    at = spaces(at, end)
    if at < end and not is_newline(at[0]):
        return None
    at = line_end(at, end)
    faces = np.empty((count, 5))
    cdef double[:, ::1] rows = faces
    for row in range(count):
        for column in range(5):
            at = number(spaces(at, end), end, &rows[row, column])
            if at == NULL or at < end and not is_space(at[0]) and not is_newline(at[0]):
                return None
        at = spaces(at, end)
        if at < end and not is_newline(at[0]):
            return None
        at = line_end(at, end)
    while at < end and (is_space(at[0]) or is_newline(at[0])):
        at += 1
    return faces if at == end else None


cdef inline bint is_newline(char c) noexcept nogil:
    return c == 10 or c == 13


cdef inline bint is_space(char c) noexcept nogil:
    return c == 32 or c == 9 or c == 11 or c == 12


cdef inline bint is_digit(char c) noexcept nogil:
    return 48 <= c <= 57


cdef inline const char* spaces(const char* at, const char* end) noexcept nogil:
    while at < end and is_space(at[0]):
        at += 1
    return at


cdef inline const char* line_end(const char* at, const char* end) noexcept nogil:
    """Past one LF, CR or CRLF."""
    if at < end and at[0] == 13:
        at += 1
        return at + 1 if at < end and at[0] == 10 else at
    return at + 1 if at < end else at


cdef const char* number(const char* start, const char* end, double* value) except? NULL:
    """Read one finite decimal number, rounded as by Python's float; returns past its last character, or NULL."""
    cdef const char* at = start
    cdef const char* first
    cdef char* stop
    cdef unsigned long long digits = 0
    cdef int exponent = 0, written = 0
    cdef bint negative = False, below = False, exact = True
    if at < end and (at[0] == 45 or at[0] == 43):
        negative = at[0] == 45
        at += 1
    first = at
    while at < end and is_digit(at[0]):
        exact = exact and digits < EXACT
        digits = 10 * digits + (at[0] - 48)
        at += 1
    written = at > first
    if at < end and at[0] == 46:
        at += 1
        first = at
        while at < end and is_digit(at[0]):
            exact = exact and digits < EXACT
            digits = 10 * digits + (at[0] - 48)
            at += 1
        exponent = -<int>(at - first)
        exact = exact and at - first <= TENS
        written |= at > first
    if not written:
        return NULL
    if at < end and (at[0] == 101 or at[0] == 69):  # e or E
        at += 1
        if at < end and (at[0] == 45 or at[0] == 43):
            below = at[0] == 45
            at += 1
        first, written = at, 0
        while at < end and is_digit(at[0]):
            if written < 1000:
                written = 10 * written + (at[0] - 48)
            at += 1
        if at == first:
            return NULL
        exponent += -written if below else written
    if exact and digits <= EXACT and -TENS <= exponent <= TENS:
        value[0] = digits / POWERS[-exponent] if exponent < 0 else digits * POWERS[exponent]
        if negative:
            value[0] = -value[0]
        return at
    value[0] = PyOS_string_to_double(start, &stop, NULL)
    return at if stop == at and value[0] - value[0] == 0 else NULL  # infinity less itself is no number
