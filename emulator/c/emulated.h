/* What the files of the emulated GPU share. */
#ifndef EMULATED_H
#define EMULATED_H

#include "structures.h"

#include <stddef.h>
#include <stdint.h>

#define API __attribute__((visibility("default")))
#define UNUSED __attribute__((unused))

enum { MAX_GPUS = 64, MAX_MIG = 8, MAX_PROCESSES = 64, MAX_FAILS = 16, MAX_XIDS = 32, MAX_TEXT = 96 };
#define BYTES_NOT_AVAILABLE UINT64_MAX
#define UNSET INT64_MIN
#define MIB (1ull << 20)

/* ---- world.c: the machine that is emulated, read from a text file */

typedef struct { char key[MAX_TEXT]; int code; } Fail;
typedef struct { long pid; uint64_t bytes; } Process;

typedef struct Gpu {
    char uuid[MAX_TEXT], name[MAX_TEXT], real_name[MAX_TEXT]; /* the last is what cuDNN is told */
    /* What NVML says. A field that no line gives is UNSET, which NVML answers with "not supported". */
    int64_t total, reserved, used, base_used, utilization, memory_utilization, power, temperature, energy, mig, swapped;
    /* What CUDA says. */
    int64_t major, minor, multiprocessors, clock_khz, memory_clock_khz, bus_bits, l2_bytes, ecc;
    int64_t threads_per_multiprocessor, blocks_per_multiprocessor, shared_bytes, shared_bytes_per_block;
    /* What a process holds besides its tensors: the context, and what cuBLAS and cuDNN add when they are loaded. */
    int64_t context_bytes, cublas_bytes, cudnn_bytes;
    int64_t lost; /* an error code of CUDA that every call gives from now on */
    Fail fails[MAX_FAILS];
    int fail_count;
    Process processes[MAX_PROCESSES]; /* written by hand, besides those of the registry */
    int process_count;
    int mig_count;
    unsigned xids[MAX_XIDS]; /* every fault so far, in order */
    int xid_count;
} Gpu;

typedef struct {
    Gpu gpus[MAX_GPUS], instances[MAX_GPUS][MAX_MIG];
    int gpu_count, cuda_version, init_error;
    char driver_version[MAX_TEXT];
} World;

#define ANY_JOB (-1L) /* a pid of the file: every session leader below the process that asks */

/* The newest world, or NULL where the file cannot be read. Not safe for threads: the caller holds a lock. */
World *world_now(void);
const char *world_path(void);

/* ---- registry.c: what every process holds, in memory that all of them share */

/* Take `bytes` of GPU `gpu` for this process, if no more than `limit` is then in use by all; whether it worked. */
int registry_take(int gpu, uint64_t bytes, uint64_t limit);
void registry_give_back(int gpu, uint64_t bytes);
/* The processes that hold something of a GPU; those that are gone are not listed. */
int registry_list(int gpu, Process *out, int room);
/* A forked child holds no memory, and no lock: the thread that held one stayed in the parent. */
void registry_after_fork(void);

/* What all processes hold of a GPU. */
uint64_t registry_in_use(int gpu);

/* ---- device.c: the cards that this process sees */

extern __thread int current_device;
int device_count(void);
/* The card behind a CUDA device number of this process, or NULL. */
const Gpu *device_card(int device);
/* Make the context of the device where there is none; 0, or the error that every call on it gives. */
int device_enter(int device);
/* What a library adds to the context when it is first used. */
void device_load_cublas(void);
void device_load_cudnn(void);
/* Memory of a device, for this process; whether there was enough. */
int device_take(int device, size_t bytes);
void device_give_back(int device, size_t bytes);
int cuCtxGetCurrent(void **out);
void device_memory(int device, size_t *free_bytes, size_t *total_bytes);

/* ---- errors.c */

/* Remember the error for cudaGetLastError and return it. */
int failed(int code);
int cudaPeekAtLastError(void);
/* Name on stderr what is not emulated, remember it for the libraries' messages, and return `code`. */
int refused(const char *name, int code);
/* The last name that was refused to this thread, as a message; or NULL. */
const char *last_refusal(void);

/* ---- addresses.c: device memory is reserved address space */

typedef struct { char *start; size_t bytes; int device; } Block;

Block address_take(size_t bytes, size_t alignment, int device); /* start is NULL where there is no room */
Block address_give_back(void *start);
Block address_block(const void *pointer); /* the block that holds it */
int address_is_device(const void *pointer);
size_t whole_pages(size_t bytes);
void addresses_after_fork(void);

/* ---- memory.c and cudnn.c */

void memory_after_fork(void);
void cudnn_after_fork(void);
/* The description of the current device in the form that cuDNN keeps; NULL without one. */
const void *cudnn_description(void);

/* ---- errors of the CUDA runtime that the emulator gives */

enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
    NOT_SUPPORTED = 801
};
#define DEVICE_PAGE (2 * MIB) /* what cudaMalloc and cuMemCreate round to */

typedef struct { unsigned x, y, z; } Dim3;
typedef void *Token; /* a stream, an event, a graph, a kernel: nothing looks behind it */
Token new_token(void);

#endif
