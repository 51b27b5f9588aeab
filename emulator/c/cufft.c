/* cuFFT: without a device it does not say how large the work area of a plan is. NVIDIA documents the most that it takes:
 * eight copies of the signal in complex numbers. A plan asks for that here, which no real card exceeds, and says so. */
#include "emulated.h"

#include <stdio.h>

enum { DOCUMENTED_COPIES = 8, NOT_SUPPORTED_FFT = 16 };

API int cufftCreate(int *out) {
    static int last;
    *out = __sync_add_and_fetch(&last, 1);
    return SUCCESS;
}

static void say_so(void) {
    static int is_said;
    if (!__sync_lock_test_and_set(&is_said, 1))
        fputs("gpulab: each cuFFT plan takes eight copies of its signal, the most that NVIDIA documents\n", stderr);
}

/* A complex number of half, single or double precision, by CUDA's numbers of types; 0 for no such number. */
static size_t complex_bytes(int type) {
    enum { HALF = 6, BFLOAT = 15, SINGLE = 4, DOUBLE = 5 };
    return type == HALF || type == BFLOAT ? 4 : type == SINGLE ? 8 : type == DOUBLE ? 16 : 0;
}

API int cufftXtMakePlanMany(int plan UNUSED, int rank, const long long *lengths, const long long *in UNUSED,
                            long long in_stride UNUSED, long long in_distance UNUSED, int in_type UNUSED,
                            const long long *out UNUSED, long long out_stride UNUSED, long long out_distance UNUSED,
                            int out_type UNUSED, long long batch, size_t *work_bytes, int type) {
    size_t bytes = complex_bytes(type) * DOCUMENTED_COPIES * (size_t)batch;
    if (!bytes) return refused("this type of cufftXtMakePlanMany", NOT_SUPPORTED_FFT);
    for (int i = 0; i < rank; i++) bytes *= (size_t)lengths[i];
    *work_bytes = bytes;
    say_so();
    return SUCCESS;
}
