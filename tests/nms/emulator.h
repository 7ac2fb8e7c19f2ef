// CUDA's words in C++, so that a GCC runs nms_kernel.cu: cuda_emulator.py puts this before the source.
//
// Blocks run one after the other. A block's threads are fibers: each runs until it waits for others or ends, then comes
// the next one, in forward or backward order. Shared memory is poisoned before each block. A launch fails when all
// threads wait for one another, or only poll for many rounds.
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

extern "C" { int mutant = 0; }  // which fault of mutants.py is there; 0: none

enum { WARP = 32, MOST_THREADS = 1024, STACK = 32768, PATIENCE = 5000 };
enum State { READY, AT_BARRIER, AT_VOTE, DONE };
struct Fiber { jmp_buf here; ucontext_t start; char* stack; bool begun; State state; bool says; };
static Fiber fibers[MOST_THREADS], *now;
static jmp_buf scheduler;
static void (*kernel)(void**);
static void** arguments;
static int barrier_count, votes[MOST_THREADS / WARP];

static void leave(State state, bool says) {
    now->state = state, now->says = says;
    if (!_setjmp(now->here)) _longjmp(scheduler, 1);
}
static void __syncthreads() { leave(AT_BARRIER, false); }
static int __syncthreads_count(bool says) { leave(AT_BARRIER, says); return barrier_count; }
static int __any_sync(unsigned, bool says) { leave(AT_VOTE, says); return votes[threadIdx.x / WARP]; }
static void run_fiber() { for (;;) { kernel(arguments); leave(DONE, false); } }

static void resume(Fiber* fiber) {
    now = fiber, threadIdx = {(unsigned)(fiber - fibers), 0, 0};
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
static bool release(unsigned threads) {
    static bool said[MOST_THREADS];
    bool changed = false;
    unsigned done = 0, at_barrier = 0;
    for (unsigned first = 0; first < threads; first += WARP) {
        unsigned waiting = 0, yes = 0;
        for (unsigned lane = first; lane < first + WARP; lane++) {
            waiting += fibers[lane].state == AT_VOTE, yes += fibers[lane].says;
            done += fibers[lane].state == DONE, at_barrier += fibers[lane].state == AT_BARRIER;
        }
        if (waiting < WARP) continue;
        votes[first / WARP] = yes > 0;
        for (unsigned lane = first; lane < first + WARP; lane++) {
            changed |= said[lane] != fibers[lane].says, said[lane] = fibers[lane].says;
            fibers[lane].state = READY;
        }
    }
    if (at_barrier && done + at_barrier == threads) {
        changed = true, barrier_count = 0;
        for (unsigned t = 0; t < threads; t++) if (fibers[t].state == AT_BARRIER) {
            barrier_count += fibers[t].says, fibers[t].state = READY;
        }
    }
    return changed;
}

static bool run_block(unsigned threads, bool backwards) {
    extern unsigned __start_shared_memory[], __stop_shared_memory[];
    for (unsigned* word = __start_shared_memory; word < __stop_shared_memory; word++) *word = 0x00ABCDEF;
    for (unsigned t = 0; t < threads; t++) fibers[t].state = READY;
    for (int polls = 0; polls < PATIENCE; polls++) {
        bool ran = false;
        for (unsigned k = 0; k < threads; k++) {
            Fiber* fiber = &fibers[backwards ? threads - 1 - k : k];
            if (fiber->state != READY) continue;
            resume(fiber);
            ran = true;
            if (fiber->state == DONE) polls = 0;
        }
        if (release(threads)) polls = 0;
        else if (!ran) break;
    }
    bool all = true;
    for (unsigned t = 0; t < threads; t++) all &= fibers[t].state == DONE;
    for (unsigned t = 0; !all && t < threads; t++) fibers[t].begun = false;  // what they were doing is given up
    return all;
}

// 0: every thread came to its end; 1: threads wait for ever; 2: a size that is none.
static int run_grid(void (*what)(void**), void** with, unsigned columns, unsigned rows, unsigned threads,
                    bool backwards) {
    if (threads % WARP || !threads || threads > MOST_THREADS || !columns || !rows || rows > 65535) return 2;
    kernel = what, arguments = with;
    gridDim = {columns, rows, 1}, blockDim = {threads, 1, 1};
    for (unsigned long block = 0, all = (unsigned long)columns * rows; block < all; block++) {
        const unsigned long number = backwards ? all - 1 - block : block;
        blockIdx = {(unsigned)(number % columns), (unsigned)(number / columns), 0};
        if (!run_block(threads, backwards)) return 1;
    }
    return 0;
}
