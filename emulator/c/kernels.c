/* Kernels: registered, asked how well they would fill the card, launched, and never run. */
#include "emulated.h"

#include <string.h>

enum { REGISTERS_PER_THREAD = 32, STATIC_SHARED_BYTES = 49152 };
typedef struct { Dim3 grid, block; size_t shared_bytes; Token stream; } Launch;
static __thread Launch pending;

API void **__cudaRegisterFatBinary(void *binary UNUSED) {
    static void *handle[4];
    return handle;
}

API void __cudaRegisterFatBinaryEnd(void **handle UNUSED) {}
API void __cudaUnregisterFatBinary(void **handle UNUSED) {}
API void __cudaRegisterVar(void) {}
API void __cudaRegisterFunction(void) {}
API char __cudaInitModule(void **handle UNUSED) { return 1; }

API unsigned __cudaPushCallConfiguration(Dim3 grid, Dim3 block, size_t shared_bytes, Token stream) {
    pending = (Launch){grid, block, shared_bytes, stream};
    return 0;
}

API int __cudaPopCallConfiguration(Dim3 *grid, Dim3 *block, size_t *shared_bytes, Token *stream) {
    *grid = pending.grid;
    *block = pending.block;
    *shared_bytes = pending.shared_bytes;
    *stream = pending.stream;
    return SUCCESS;
}

API int __cudaGetKernel(const void **out, const void *function) {
    *out = function;
    return SUCCESS;
}

API int cudaFuncGetAttributes(FunctionAttributes *out, const void *function UNUSED) {
    const Gpu *card = device_card(current_device);
    if (!card) return failed(INVALID_DEVICE);
    int version = (int)(card->major * 10 + card->minor);
    *out = (FunctionAttributes){.threads_per_block = 1024, .registers = REGISTERS_PER_THREAD, .ptx_version = version,
                                .binary_version = version, .dynamic_shared_bytes = STATIC_SHARED_BYTES};
    return SUCCESS;
}

static int smaller(int64_t left, int64_t right) {
    return (int)(left < right ? left : right);
}

API int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *out, const void *function UNUSED, int threads,
                                                               size_t shared_bytes, unsigned flags UNUSED) {
    const Gpu *card = device_card(current_device);
    if (!card || threads < 1) return failed(INVALID_VALUE);
    int blocks = smaller(card->threads_per_multiprocessor / threads, card->blocks_per_multiprocessor);
    if (shared_bytes) blocks = smaller(blocks, card->shared_bytes / (int64_t)shared_bytes);
    *out = blocks;
    return SUCCESS;
}

API int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *out, const void *function, int threads, size_t shared_bytes) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(out, function, threads, shared_bytes, 0);
}

/* Kernels that are compiled while the program runs (torch's jiterator, torch.compile): loaded as nothing. */
API int cuModuleLoad(Token *out, const char *path UNUSED) {
    *out = new_token();
    return SUCCESS;
}

API int cuModuleLoadData(Token *out, const void *image UNUSED) {
    *out = new_token();
    return SUCCESS;
}

API int cuModuleGetFunction(Token *out, Token module UNUSED, const char *name UNUSED) {
    *out = new_token();
    return SUCCESS;
}

/* What Triton reads of a kernel that it has compiled. */
API int cuFuncGetAttribute(int *out, int attribute, Token function UNUSED) {
    enum { THREADS_PER_BLOCK = 0, REGISTERS = 4 };
    *out = attribute == THREADS_PER_BLOCK ? 1024 : attribute == REGISTERS ? REGISTERS_PER_THREAD : 0;
    return SUCCESS;
}

API int cuLaunchKernelEx(const void *launch UNUSED, Token function UNUSED, void **arguments UNUSED, void **more UNUSED) {
    return SUCCESS;
}

API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *out, Token function, int threads, size_t shared_bytes) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(out, function, threads, shared_bytes);
}
