// Hard non-maximum suppression on an NVIDIA GPU. The result is that of reference.nms, to the bit.
//
// gpu_nms.py launches these kernels in the order in which they stand here. Boxes are x1 y1 x2 y2 in px. The rank of a
// box is its place among all boxes: best score first, equal scores by index. The tests compile this file as C++ and run
// it on a CPU (tests/nms/emulator.h), so it includes nothing.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

enum { CELL = 2, WORD = 64 };  // CELL as in buckets.pxi
enum { UNDECIDED, KEPT, SUPPRESSED };
enum { NAN_SCORE = 1, INFINITE_BOX = 2 };

struct Work {       // all zero at the start; gpu_nms.py knows this order
    int wrong;      // NAN_SCORE, INFINITE_BOX
    int kept;       // boxes, also those beyond the limit
    int ticket;     // blocks of `suppress` that have begun
    u32 classes[8]; // a bit per size class that has a box
};

__device__ float4 box_at(const float* corners, u32 index) {  // not as float4: a caller's array may begin anywhere
    const float* box = corners + 4 * (u64)index;
    return {box[0], box[1], box[2], box[3]};
}

// --------------------------------------------------------------------------- IoU

// Whether the IoU is > threshold, as the twin finds it in float64.
__device__ bool overlaps(const float4 a, const float4 b, double threshold) {
    const float left = fmaxf(a.x, b.x), right = fminf(a.z, b.z), top = fmaxf(a.y, b.y), bottom = fminf(a.w, b.w);
    if (right <= left || bottom <= top) return false;
    // A GPU has few units for float64, so float32 decides where its rounding cannot matter. The error
    // of `above` is below 18 roundings of 2^-24 of the union, 1.1e-6. Very small products lose
    // digits. Where one overflows, no comparison is true.
    const float common = (right - left) * (bottom - top);
    const float together = (a.z - a.x) * (a.w - a.y) + (b.z - b.x) * (b.w - b.y) - common;
    const float above = common - (float)threshold * together, unsure = 4e-6f * together;
    if (together > 1e-30f && fabsf(above) > unsure) return above > 0;
    // The twin's operations, each rounded once.
    const double first = __dmul_rn(__dsub_rn(a.z, a.x), __dsub_rn(a.w, a.y));
    const double second = __dmul_rn(__dsub_rn(b.z, b.x), __dsub_rn(b.w, b.y));
    const double both = __dmul_rn(__dsub_rn(right, left), __dsub_rn(bottom, top));
    const double iou = __ddiv_rn(both, __dsub_rn(__dadd_rn(first, second), both));
    return iou > threshold;
}

// --------------------------------------------------------------------------- buckets, as in buckets.pxi

__device__ int class_of(double side) { return (int)(__float_as_uint((float)side) >> 23); }

__device__ double top_of(int size_class) { return __longlong_as_double((i64)(size_class - 126 + 1023) << 52); }

__device__ i64 cell_of(double centre, double inverse) {
    const double number = floor(centre * inverse);
    return (i64)(number < -1e15 ? -1e15 : number > 1e15 ? 1e15 : number);
}

__device__ u64 row_hash(i64 size_class, i64 row) {
    return ((u64)row * 0x9E3779B97F4A7C15ull + (u64)size_class * 0xC2B2AE3D27D4EB4Full) >> 24;
}

__device__ double reach(double side, double other_top, double threshold) {
    const double loose = 1 + 1e-9;
    double most = threshold > 0 ? side / threshold : other_top;
    if (other_top < most) most = other_top;
    if (most <= side) return ((side + most) / 2 - threshold * side) * loose;
    return threshold >= 0.5 ? side * (1 - threshold) * loose : (side / 2 + most * (0.5 - threshold)) * loose;
}

// --------------------------------------------------------------------------- sorting

__device__ bool is_finite(float value) { return value - value == 0; }

// A key per box. Ascending keys are ranks: descending scores, then ascending indices.
extern "C" __global__ void score_keys(const float* corners, const float* scores, int count, u64* keys, Work* work) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    const float4 box = box_at(corners, index);
    if (!is_finite(box.x) || !is_finite(box.y) || !is_finite(box.z) || !is_finite(box.w))
        atomicOr(&work->wrong, INFINITE_BOX);
    if (scores[index] != scores[index]) atomicOr(&work->wrong, NAN_SCORE);
    const u32 bits = __float_as_uint(scores[index] + 0.0f);  // -0 becomes 0, since they are equal
    keys[index] = (u64)(bits & 0x80000000u ? bits : ~(bits | 0x80000000u)) << 32 | (u32)index;
}

// The boxes by rank, their verdicts, and the bucket of each: cells[rank] = slot << 32 | rank. A box without area is
// kept, and is in no bucket: its slot is `slots`.
extern "C" __global__ void place(const float* corners, const u64* keys, int count, u32 slots, float4* boxes, u64* cells,
                                 int* verdicts, Work* work) {
    const int rank = blockIdx.x * blockDim.x + threadIdx.x;
    if (rank >= count || work->wrong) return;
    const float4 box = box_at(corners, (u32)keys[rank]);
    u64 slot = slots;
    const bool has_area = box.z > box.x && box.w > box.y;
    if (has_area) {
        const int size_class = class_of(fmax((double)box.z - box.x, (double)box.w - box.y));
        const double inverse = 1 / (CELL * top_of(size_class));
        const i64 col = cell_of(((double)box.x + box.z) / 2, inverse);
        const i64 row = cell_of(((double)box.y + box.w) / 2, inverse);
        slot = (row_hash(size_class, row) + (u64)col) & (slots - 1);
        const u32 bit = 1u << (size_class & 31);
        u32* classes = &work->classes[size_class >> 5];
        if (!(*classes & bit)) atomicOr(classes, bit);  // a million atomics on one word would take longer than the rest
    }
    boxes[rank] = box;
    cells[rank] = slot << 32 | (u32)rank;
    verdicts[rank] = has_area ? UNDECIDED : KEPT;
}

// Where each of the slots + 1 buckets begins in the sorted cells.
extern "C" __global__ void find_starts(const u64* cells, int count, u32 slots, int* starts) {
    const u32 slot = blockIdx.x * blockDim.x + threadIdx.x;
    if (slot > slots) return;
    int low = 0, high = count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (cells[middle] < (u64)slot << 32) low = middle + 1;
        else high = middle;
    }
    starts[slot] = low;
}

// --------------------------------------------------------------------------- suppression

struct Grid {
    const float4* boxes;
    const u64* cells;
    const int* starts;
    const u32* classes;
    u32 slots;
    double threshold;
};

struct Search {  // for the better boxes that overlap a box; Query and Range of buckets.pxi
    float4 box;
    int rank, own, lowest, highest, step, size_class;
    double wide, high, x, y;
    i64 first_col, last_col, col, last_row, row;
    u64 row_start;
    int at, end;  // in the cells, or in the boxes where they are searched one by one
    bool one_by_one;
};

__device__ Search open_search(const Grid& grid, int rank) {
    Search search;
    const float4 box = search.box = grid.boxes[rank];
    search.rank = rank;
    search.wide = (double)box.z - box.x, search.high = (double)box.w - box.y;
    search.x = ((double)box.x + box.z) / 2, search.y = ((double)box.y + box.w) / 2;
    const double side = fmax(search.wide, search.high), loose = 1 + 1e-9;
    const double far = grid.threshold > 0 ? side / grid.threshold * loose : 3e38;
    search.own = class_of(side);
    search.lowest = class_of(side * grid.threshold / loose);
    search.highest = far < 3e38 ? class_of(far) : 255;
    search.step = 0;
    search.col = search.last_col = search.row = search.last_row = 0;
    search.at = search.end = 0;
    search.one_by_one = false;
    return search;
}

// The cells of the next class that may hold such boxes; its own class first. False when there is none.
__device__ bool next_class(Search& search, const Grid& grid) {
    for (;;) {
        const int size_class = search.step == 0 ? search.own : search.lowest + search.step - 1;
        if (size_class > search.highest) return false;
        search.step++;
        if (search.step > 1 && size_class == search.own) continue;
        if (grid.classes[size_class >> 5] >> (size_class & 31) & 1) {
            search.size_class = size_class;
            break;
        }
    }
    const double top = top_of(search.size_class), inverse = 1 / (CELL * top);
    double far = reach(search.wide, top, grid.threshold) + 1e-15 * fabs(search.x);
    search.first_col = cell_of(search.x - far, inverse), search.last_col = cell_of(search.x + far, inverse);
    far = reach(search.high, top, grid.threshold) + 1e-15 * fabs(search.y);
    search.row = cell_of(search.y - far, inverse), search.last_row = cell_of(search.y + far, inverse);
    const double cells = (double)(search.last_col - search.first_col + 1) * (search.last_row - search.row + 1);
    search.one_by_one = cells >= search.rank;  // few boxes, or one far larger than the others
    return true;
}

// The next cells, or boxes, to search: [at, end). False when there are no more.
__device__ bool next_bucket(Search& search, const Grid& grid) {
    if (search.one_by_one) return false;  // that was all of them
    if (search.col < search.last_col) search.col++;
    else {
        if (search.row < search.last_row) search.row++;
        else {
            if (!next_class(search, grid)) return false;
            if (search.one_by_one) {
                search.at = 0, search.end = search.rank;
                return true;
            }
        }
        search.col = search.first_col;
        search.row_start = row_hash(search.size_class, search.row);
    }
    const u32 slot = (u32)((search.row_start + (u64)search.col) & (grid.slots - 1));
    search.at = grid.starts[slot], search.end = grid.starts[slot + 1];
    return true;
}

// Rank of the next better box whose IoU with this one is > threshold; -1 when there are no more.
__device__ int next_overlapping(Search& search, const Grid& grid) {
    do {
        while (search.at < search.end) {
            const int rank = search.one_by_one ? search.at : (int)(u32)grid.cells[search.at];
            search.at++;
            if (rank >= search.rank) search.at = search.end;  // so are the others in this bucket
            else if (overlaps(search.box, grid.boxes[rank], grid.threshold)) return rank;
        }
    } while (next_bucket(search, grid));
    return -1;
}

// Each box waits for the verdicts of the better ones that it overlaps, until one of them is kept.
//
// No thread waits for ever. A block takes its part by a ticket, so all better parts were begun earlier. The lanes of a
// warp take their steps together, and a lane stores its verdict in the step in which it finds it. So the best box
// without a verdict waits for nobody.
extern "C" __global__ void suppress(const float4* boxes, const u64* cells, const int* starts, int count, u32 slots,
                                    double threshold, int* verdicts, Work* work) {
    __shared__ int part;
    if (threadIdx.x == 0) part = atomicAdd(&work->ticket, 1);
    __syncthreads();
    if (work->wrong) return;
    const int rank = part * blockDim.x + threadIdx.x;
    const Grid grid = {boxes, cells, starts, work->classes, slots, threshold};
    volatile int* told = verdicts;
    int verdict = KEPT, other = -1;
    Search search;
    if (rank < count && told[rank] == UNDECIDED) {
        verdict = UNDECIDED;
        search = open_search(grid, rank);
        other = next_overlapping(search, grid);
    }
    while (__any_sync(0xFFFFFFFFu, verdict == UNDECIDED)) {
        if (verdict != UNDECIDED) continue;
        const int theirs = other < 0 ? SUPPRESSED : told[other];
        if (other < 0) verdict = KEPT;
        else if (theirs == KEPT) verdict = SUPPRESSED;
        else if (theirs == SUPPRESSED) other = next_overlapping(search, grid);
        if (verdict != UNDECIDED) told[rank] = verdict;
    }
}

// --------------------------------------------------------------------------- result

// How many boxes each block of ranks keeps.
extern "C" __global__ void count_kept(const int* verdicts, int count, int* kept_in) {
    const int rank = blockIdx.x * blockDim.x + threadIdx.x;
    const int kept = __syncthreads_count(rank < count && verdicts[rank] == KEPT);
    if (threadIdx.x == 0) kept_in[blockIdx.x] = kept;
}

// The indices of the kept boxes, best first; as many as there is room for.
extern "C" __global__ void gather(const u64* keys, const int* verdicts, const int* kept_in, int count, int room,
                                  i64* indices, Work* work) {
    __shared__ int before;        // kept by better blocks
    __shared__ int kept_by[128];  // per thread; gpu_nms.py launches that many
    const int rank = blockIdx.x * blockDim.x + threadIdx.x;
    const bool kept = rank < count && verdicts[rank] == KEPT;
    kept_by[threadIdx.x] = kept;
    if (threadIdx.x == 0) before = 0;
    __syncthreads();
    int sum = 0;
    for (u32 block = threadIdx.x; block < blockIdx.x; block += blockDim.x) sum += kept_in[block];
    if (sum) atomicAdd(&before, sum);
    __syncthreads();
    int position = before;
    for (u32 thread = 0; thread < threadIdx.x; thread++) position += kept_by[thread];
    if (kept && position < room) indices[position] = (i64)(u32)keys[rank];
    if (rank == count - 1) work->kept = position + kept;
}

// --------------------------------------------------------------------------- the textbook's way, to compare with

// Bits of the worse boxes that each box overlaps, count * words of them; a block compares 64 boxes with 64.
extern "C" __global__ void pair_mask(const float4* boxes, int count, int words, double threshold, u64* mask) {
    const int row = blockIdx.y, col = blockIdx.x;
    if (col < row) return;
    __shared__ float4 others[WORD];
    const int first = col * WORD, here = min(count - first, (int)WORD), rank = row * WORD + threadIdx.x;
    if ((int)threadIdx.x < here) others[threadIdx.x] = boxes[first + threadIdx.x];
    __syncthreads();
    if (rank >= count) return;
    u64 bits = 0;
    for (int k = row == col ? threadIdx.x + 1 : 0; k < here; k++)
        if (overlaps(boxes[rank], others[k], threshold)) bits |= 1ull << k;
    mask[(u64)rank * words + col] = bits;
}

// One block goes through the mask, 64 ranks at a time. `removed` holds a bit per rank, all zero at the start.
extern "C" __global__ void sweep(const u64* mask, int count, int words, u64* removed, int* verdicts) {
    __shared__ u64 kept;
    for (int word = 0; word < words; word++) {
        const int first = word * WORD, here = min(count - first, (int)WORD);
        if (threadIdx.x == 0) {
            u64 out = removed[word], stay = 0;
            for (int k = 0; k < here; k++)
                if (!(out >> k & 1)) {
                    stay |= 1ull << k;
                    out |= mask[(u64)(first + k) * words + word];
                }
            kept = stay;
        }
        __syncthreads();
        const u64 stay = kept;
        if ((int)threadIdx.x < here) verdicts[first + threadIdx.x] = stay >> threadIdx.x & 1 ? KEPT : SUPPRESSED;
        for (int later = word + 1 + threadIdx.x; later < words; later += blockDim.x) {
            u64 out = removed[later];
            for (int k = 0; k < here; k++)
                if (stay >> k & 1) out |= mask[(u64)(first + k) * words + later];
            removed[later] = out;
        }
        __syncthreads();
    }
}
