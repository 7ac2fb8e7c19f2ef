# Buckets of boxes, included by the compiled suppressions.
#
# A box is in one bucket: that of its size class (the octave of its longer side) and of the cell that holds its centre.
# A cell is CELL times as wide as the longest side of the class. Two boxes with an IoU > t have sides that differ by at
# most the factor 1 / t. Each shared side is at least t times either box's side, so their centres differ, on each axis,
# by at most (w1 + w2) / 2 - t * max(w1, w2). So all boxes with such an IoU are in a few cells of a few classes. Buckets
# are chains in a hash table without keys: two cells in one chain cost extra comparisons, and cause no error.

from libc.math cimport fabs, floor
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef enum:
    CLASSES = 256  # every exponent of a float32
    CELL = 2

cdef double LOOSE = 1 + 1e-9  # factor on bounds, so that their rounding never loses a box


cdef struct Box:
    float x1, y1, x2, y2
    double area
    int32_t next   # in the chain of its bucket, -1 at the end
    int32_t index  # in the caller's arrays


cdef struct Buckets:
    Box* boxes
    int32_t* heads
    uint64_t mask
    int64_t count
    int64_t inside[CLASSES]  # boxes in each class


cdef struct Query:
    double wide, high, x, y, threshold
    int64_t own, lowest, highest  # classes
    int64_t step                  # classes searched; 0 at the start


cdef struct Range:
    int64_t size_class, first_col, last_col, first_row, last_row  # the last ones are included
    double count  # of cells; a float, since a very large box may cover any number of them


cdef bint open_buckets(Buckets* buckets, int64_t most) noexcept nogil:
    """Reserve memory for `most` boxes; False when there is none."""
    cdef uint64_t slots = 16
    while slots < <uint64_t>most:
        slots *= 2
    memset(buckets, 0, sizeof(Buckets))
    buckets.mask = slots - 1
    buckets.boxes = <Box*>malloc((most + 1) * sizeof(Box))
    buckets.heads = <int32_t*>malloc(slots * sizeof(int32_t))
    if buckets.boxes == NULL or buckets.heads == NULL:
        return False
    memset(buckets.heads, 0xFF, slots * sizeof(int32_t))  # -1 each
    return True


cdef void close_buckets(Buckets* buckets) noexcept nogil:
    free(buckets.boxes)
    free(buckets.heads)


cdef bint read_box(Box* box, const float* corners, int32_t index) noexcept nogil:
    """Read a box; False when it has no area, as its IoU with anything is 0."""
    box.x1, box.y1, box.x2, box.y2 = corners[0], corners[1], corners[2], corners[3]
    box.area = (<double>box.x2 - box.x1) * (<double>box.y2 - box.y1)
    box.index = index
    return box.x2 > box.x1 and box.y2 > box.y1


cdef inline int64_t class_of(double side) noexcept nogil:
    """The biased exponent of a side > 0 as float32."""
    cdef float value = <float>side
    cdef uint32_t bits
    memcpy(&bits, &value, sizeof(bits))
    return bits >> 23


cdef inline double top_of(int64_t size_class) noexcept nogil:
    """Upper limit of the longer sides of a class: 2 ** (class - 126)."""
    cdef uint64_t bits = <uint64_t>(size_class - 126 + 1023) << 52
    cdef double top
    memcpy(&top, &bits, sizeof(top))
    return top


cdef inline double longer_side(Box* box) noexcept nogil:
    cdef double wide = <double>box.x2 - box.x1, high = <double>box.y2 - box.y1
    return wide if wide > high else high


cdef inline int64_t cell_of(double centre, double inverse) noexcept nogil:
    cdef double number = floor(centre * inverse)  # exact: cells are powers of two
    # Very far out, all cells are one: slower there, but still correct.
    return <int64_t>(-1e15 if number < -1e15 else (1e15 if number > 1e15 else number))


cdef inline uint64_t row_hash(int64_t size_class, int64_t row) noexcept nogil:
    cdef uint64_t mixed = <uint64_t>row * <uint64_t>0x9E3779B97F4A7C15
    mixed += <uint64_t>size_class * <uint64_t>0xC2B2AE3D27D4EB4F
    return mixed >> 24  # so a row's cells are neighbours in the table, and in the cache


cdef void insert(Buckets* buckets, Box* box) noexcept nogil:
    cdef int64_t size_class = class_of(longer_side(box))
    cdef double inverse = 1 / (CELL * top_of(size_class))
    cdef int64_t col = cell_of((<double>box.x1 + box.x2) / 2, inverse)
    cdef int64_t row = cell_of((<double>box.y1 + box.y2) / 2, inverse)
    cdef uint64_t slot = (row_hash(size_class, row) + <uint64_t>col) & buckets.mask
    cdef Box* kept = &buckets.boxes[buckets.count]
    kept[0] = box[0]
    kept.next = buckets.heads[slot]
    buckets.heads[slot] = <int32_t>buckets.count
    buckets.count += 1
    buckets.inside[size_class] += 1


cdef inline double reach(double side, double other_top, double threshold) noexcept nogil:
    """Largest distance of two centres on an axis at this IoU; the sides are `side` and anything up to other_top."""
    cdef double most = side / threshold if threshold > 0 else other_top
    if other_top < most:
        most = other_top
    if most <= side:
        return ((side + most) / 2 - threshold * side) * LOOSE
    if threshold >= 0.5:
        return side * (1 - threshold) * LOOSE
    return (side / 2 + most * (0.5 - threshold)) * LOOSE


cdef void open_query(Query* query, Box* box, double threshold) noexcept nogil:
    """Prepare the search for the boxes whose IoU with this one may be > threshold."""
    query.wide, query.high = <double>box.x2 - box.x1, <double>box.y2 - box.y1
    query.x, query.y = (<double>box.x1 + box.x2) / 2, (<double>box.y1 + box.y2) / 2
    query.threshold = threshold
    query.step = 0
    cdef double side = query.wide if query.wide > query.high else query.high
    cdef double far = side / threshold * LOOSE if threshold > 0 else 3e38
    query.own = class_of(side)
    query.lowest = class_of(side * threshold / LOOSE)
    query.highest = class_of(far) if far < 3e38 else CLASSES - 1


cdef inline bint next_range(Buckets* buckets, Query* query, Range* cells) noexcept nogil:
    """Set the next class that may hold such boxes, and its cells; False when there is none.

    One class at a time, the box's own first, since most suppressed boxes are suppressed by one of their own class.
    """
    cdef double top, inverse, far
    while True:
        cells.size_class = query.own if query.step == 0 else query.lowest + query.step - 1
        if cells.size_class > query.highest:
            return False
        query.step += 1
        if buckets.inside[cells.size_class] > 0 and (query.step == 1 or cells.size_class != query.own):
            break
    top = top_of(cells.size_class)
    inverse = 1 / (CELL * top)
    far = reach(query.wide, top, query.threshold) + 1e-15 * fabs(query.x)
    cells.first_col = cell_of(query.x - far, inverse)
    cells.last_col = cell_of(query.x + far, inverse)
    far = reach(query.high, top, query.threshold) + 1e-15 * fabs(query.y)
    cells.first_row = cell_of(query.y - far, inverse)
    cells.last_row = cell_of(query.y + far, inverse)
    cells.count = (<double>(cells.last_col - cells.first_col + 1)) * (cells.last_row - cells.first_row + 1)
    return True


cdef inline double overlap_of(Box* box, Box* other) noexcept nogil:
    """IoU in float64: the operations of the twin in the same order."""
    cdef float left = box.x1 if box.x1 > other.x1 else other.x1
    cdef float right = box.x2 if box.x2 < other.x2 else other.x2
    cdef float top = box.y1 if box.y1 > other.y1 else other.y1
    cdef float bottom = box.y2 if box.y2 < other.y2 else other.y2
    cdef double common
    if right <= left or bottom <= top:
        return 0
    common = (<double>right - left) * (<double>bottom - top)
    return common / (box.area + other.area - common)
