// CUDA's words in C++, so that a GCC runs nms_kernel.cu: cuda_emulator.py puts this before the source.
//
// The threads of a block are fibers: each runs until it waits for others or ends, then comes the next one. Blocks run
// one after the other, forward or backward, or three together, a round of each at a time. Shared memory is poisoned
// before each block. A launch fails when all threads wait for one another, or only poll for many rounds.
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __global__ static
#define __device__ static inline
#define __shared__ static __attribute__((section("shared_memory")))
struct float4 { float x, y, z, w; };
struct dim3 { unsigned x, y, z; };
static dim3 gridDim, blockDim, blockIdx, threadIdx;
extern "C" { int mutant = 0; }  // which fault of mutants.py is there; 0: none

template <class T, class S> static T bits_as(S value) { T bits; memcpy(&bits, &value, sizeof bits); return bits; }
static unsigned __float_as_uint(float value) { return bits_as<unsigned>(value); }
static double __longlong_as_double(long long value) { return bits_as<double>(value); }
static double __dadd_rn(double a, double b) { return a + b; }
static double __dsub_rn(double a, double b) { return a - b; }
static double __dmul_rn(double a, double b) { return a * b; }
static double __ddiv_rn(double a, double b) { return a / b; }
static int min(int a, int b) { return a < b ? a : b; }
static int atomicAdd(int* at, int value) { int old = *at; *at += value; return old; }
static int atomicOr(int* at, int value) { int old = *at; *at |= value; return old; }
static unsigned atomicOr(unsigned* at, unsigned value) { unsigned old = *at; *at |= value; return old; }

enum { WARP = 32, MOST_THREADS = 1024, STACK = 32768, PATIENCE = 5000, TOGETHER = 3 };
enum Order { FORWARD, BACKWARD, INTERLEAVED };
enum State { READY, AT_BARRIER, AT_VOTE, DONE };
struct Fiber { jmp_buf here; ucontext_t start; char* stack; bool begun; State state; bool says, said; };
struct Block {
    Fiber fibers[MOST_THREADS];
    bool running;
    dim3 index;
    char* shared;
    int count, votes[MOST_THREADS / WARP];
};
static Block blocks[TOGETHER], *block;
static Fiber* now;
static jmp_buf scheduler;
static void (*kernel)(void**);
static void** arguments;

static void leave(State state, bool says) {
    now->state = state, now->says = says;
    if (!_setjmp(now->here)) _longjmp(scheduler, 1);
}
static void __syncthreads() { leave(AT_BARRIER, false); }
static int __syncthreads_count(bool says) { leave(AT_BARRIER, says); return block->count; }
static int __any_sync(unsigned, bool says) { leave(AT_VOTE, says); return block->votes[threadIdx.x / WARP]; }
static void run_fiber() { for (;;) { kernel(arguments); leave(DONE, false); } }

static void resume(Fiber* fiber) {
    now = fiber, threadIdx = {(unsigned)(fiber - block->fibers), 0, 0};
    if (_setjmp(scheduler)) return;
    if (fiber->begun) _longjmp(fiber->here, 1);
    fiber->begun = true;
    getcontext(&fiber->start);
    if (!fiber->stack) fiber->stack = (char*)malloc(STACK);
    fiber->start.uc_stack.ss_sp = fiber->stack, fiber->start.uc_stack.ss_size = STACK;
    makecontext(&fiber->start, run_fiber, 0);
    setcontext(&fiber->start);
}

// Lanes that have all come to a vote leave it; all threads that are not done leave a barrier. Whether anything changed:
// a vote in which every lane says what it said the time before is none.
static bool release() {
    Fiber* fibers = block->fibers;
    bool changed = false;
    unsigned done = 0, at_barrier = 0;
    for (unsigned first = 0; first < blockDim.x; first += WARP) {
        unsigned waiting = 0, yes = 0;
        for (unsigned lane = first; lane < first + WARP; lane++) {
            waiting += fibers[lane].state == AT_VOTE, yes += fibers[lane].says;
            done += fibers[lane].state == DONE, at_barrier += fibers[lane].state == AT_BARRIER;
        }
        if (waiting < WARP) continue;
        block->votes[first / WARP] = yes > 0;
        for (unsigned lane = first; lane < first + WARP; lane++) {
            changed |= fibers[lane].said != fibers[lane].says, fibers[lane].said = fibers[lane].says;
            fibers[lane].state = READY;
        }
    }
    block->running = done < blockDim.x;
    if (at_barrier && done + at_barrier == blockDim.x) {
        changed = true, block->count = 0;
        for (unsigned t = 0; t < blockDim.x; t++) if (fibers[t].state == AT_BARRIER) {
            block->count += fibers[t].says, fibers[t].state = READY;
        }
    }
    return changed;
}

extern char __start_shared_memory[], __stop_shared_memory[];  // of the linker, for the section of __shared__

static void begin(Block* one, dim3 index) {
    const unsigned long size = __stop_shared_memory - __start_shared_memory;
    if (!one->shared) one->shared = (char*)malloc(size);
    for (unsigned long word = 0; word + 4 <= size; word += 4) {
        const unsigned poison = 0x00ABCDEF;
        memcpy(one->shared + word, &poison, 4);
    }
    one->index = index, one->running = true;
    for (unsigned t = 0; t < blockDim.x; t++) one->fibers[t].state = READY;
}

// Run each thread of a block that can run, once. Whether anything changed but for polling.
static bool round_of(Block* one, bool backward) {
    const unsigned long size = __stop_shared_memory - __start_shared_memory;
    bool changed = false;
    block = one, blockIdx = one->index;
    memcpy(__start_shared_memory, one->shared, size);
    for (unsigned k = 0; k < blockDim.x; k++) {
        Fiber* fiber = &one->fibers[backward ? blockDim.x - 1 - k : k];
        if (fiber->state != READY) continue;
        resume(fiber);
        changed |= fiber->state == DONE;
    }
    memcpy(one->shared, __start_shared_memory, size);
    return release() || changed;
}

// 0: every thread came to its end; 1: threads wait for ever; 2: a size that is none.
static int run_grid(void (*what)(void**), void** with, unsigned columns, unsigned rows, unsigned threads, int order) {
    if (threads % WARP || !threads || threads > MOST_THREADS || !columns || !rows || rows > 65535) return 2;
    kernel = what, arguments = with;
    gridDim = {columns, rows, 1}, blockDim = {threads, 1, 1};
    const unsigned long all = (unsigned long)columns * rows;
    const int together = order == INTERLEAVED ? TOGETHER : 1;
    unsigned long next = 0;
    for (int polls = 0; polls < PATIENCE; polls++) {
        bool running = false;
        for (int k = 0; k < together && next < all; k++) if (!blocks[k].running) {
            const unsigned long number = order == BACKWARD ? all - 1 - next : next;
            begin(&blocks[k], {(unsigned)(number % columns), (unsigned)(number / columns), 0}), next++;
        }
        for (int k = together - 1; k >= 0; k--) if (blocks[k].running) {
            if (round_of(&blocks[k], order == BACKWARD)) polls = 0;
            running = true;
        }
        if (!running) return 0;
    }
    for (Block& one : blocks) {  // what they were doing is given up
        one.running = false;
        for (Fiber& fiber : one.fibers) fiber.begun = false;
    }
    return 1;
}
