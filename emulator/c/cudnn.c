/* cuDNN: the real library chooses the engines and says what workspace they need; nothing is executed.
 *
 * From version 9.8 on it works without a device, given a description of one as JSON. Graphs and plans are made by the
 * real library; the two attributes that would give it a handle are dropped, and the description takes their place.
 * Calls that concern only descriptors are not here at all: they fall through to the real library.
 */
#define _GNU_SOURCE
#include "emulated.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

enum { /* cuDNN's numbers */
    ENGINE = 2, ENGINE_HEURISTICS = 4, PLAN = 5, DEVICE = 38,
    PLAN_HANDLE = 400, GRAPH_HANDLE = 800,
    HEURISTICS_DEVICE = 204, PLAN_DEVICE = 407, ENGINE_DEVICE = 1307, DEVICE_JSON = 2702,
    IS_CHAR = 24, IS_DESCRIPTOR = 15, NO_LIBRARY = 3000, NO_DEVICE_MEMORY = 1002
};

typedef void *Descriptor;
typedef struct {
    int (*create)(int, Descriptor *);
    int (*destroy)(Descriptor);
    int (*finalize)(Descriptor);
    int (*set)(Descriptor, int, int, int64_t, const void *);
    int (*get)(Descriptor, int, int, int64_t, int64_t *, void *);
    const char *(*error)(int);
} Library;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Library real;
static Descriptor descriptions[MAX_GPUS];

static const Library *open_library(void) {
    if (real.get) return &real;
    void *library = dlopen("libcudnn.so.9", RTLD_LAZY | RTLD_NOLOAD);
    if (!library) return NULL;
    *(void **)&real.create = dlsym(library, "cudnnBackendCreateDescriptor");
    *(void **)&real.destroy = dlsym(library, "cudnnBackendDestroyDescriptor");
    *(void **)&real.finalize = dlsym(library, "cudnnBackendFinalize");
    *(void **)&real.set = dlsym(library, "cudnnBackendSetAttribute");
    *(void **)&real.error = dlsym(library, "cudnnGetErrorString");
    *(void **)&real.get = dlsym(library, "cudnnBackendGetAttribute");
    return real.get ? &real : NULL;
}

static int describe(const Gpu *card, char *out, size_t size) {
    return snprintf(
        out, size,
        "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
        "\"multiProcessorCount\":%d,\"smCountOrigin\":0,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"
        "\"maxSharedMemoryPerBlockOptin\":%d,\"reservedSharedMemoryPerBlock\":%d,\"maxRegistersPerSM\":65536,"
        "\"maxCtasPerSM\":%d,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":%d,\"pciDeviceId\":0,\"isTccDriver\":0,"
        "\"supportCoopLaunch\":1,\"smClockRateKHz\":%d,\"memClockRateKHz\":%d,\"l2CacheSize\":%d,"
        "\"deviceName\":\"%s\",\"deviceVer\":%d,\"driverVer\":13000,\"cudaDeviceId\":0,\"totalGlobalMem\":%lld}",
        (int)card->multiprocessors, (int)card->shared_bytes_per_block, card->major >= 8 ? 1024 : 0,
        (int)card->blocks_per_multiprocessor, (int)card->threads_per_multiprocessor, (int)card->clock_khz,
        (int)card->memory_clock_khz, (int)card->l2_bytes, card->real_name, (int)(card->major * 100 + card->minor * 10),
        (long long)(card->total - card->reserved));
}

static Descriptor make_description(const Library *cudnn, const Gpu *card) {
    char text[2048];
    Descriptor made = NULL;
    int length = describe(card, text, sizeof text);
    int result = cudnn->create(DEVICE, &made);
    if (!result) result = cudnn->set(made, DEVICE_JSON, IS_CHAR, length + 1, text);
    if (!result) result = cudnn->finalize(made);
    if (result) fprintf(stderr, "gpulab: cuDNN refused the description of the emulated %s (%d)\n", card->name, result);
    return result ? NULL : made;
}

/* The current device, described for cuDNN; NULL where that failed. */
static Descriptor description(const Library *cudnn) {
    const Gpu *card = device_card(current_device);
    if (!card) return NULL;
    pthread_mutex_lock(&lock);
    Descriptor *found = &descriptions[current_device];
    if (!*found) *found = make_description(cudnn, card);
    pthread_mutex_unlock(&lock);
    return *found;
}

void cudnn_after_fork(void) {
    pthread_mutex_init(&lock, NULL);
}

static int device_attribute(int type) {
    return type == ENGINE ? ENGINE_DEVICE : type == ENGINE_HEURISTICS ? HEURISTICS_DEVICE : type == PLAN ? PLAN_DEVICE : 0;
}

API int cudnnBackendCreateDescriptor(int type, Descriptor *out) {
    const Library *cudnn = open_library();
    if (!cudnn) return refused("cuDNN: the real library is not loaded", NO_LIBRARY);
    int result = cudnn->create(type, out);
    int attribute = device_attribute(type);
    if (result || !attribute) return result;
    Descriptor device = description(cudnn);
    return device ? cudnn->set(*out, attribute, IS_DESCRIPTOR, 1, &device) : NO_LIBRARY;
}

API int cudnnBackendSetAttribute(Descriptor descriptor, int name, int type, int64_t count, const void *values) {
    if (name == PLAN_HANDLE || name == GRAPH_HANDLE) return SUCCESS;
    return open_library()->set(descriptor, name, type, count, values);
}

API int cudnnBackendGetAttribute(Descriptor descriptor, int name, int type, int64_t room, int64_t *count, void *out) {
    return open_library()->get(descriptor, name, type, room, count, out);
}

API int cudnnBackendDestroyDescriptor(Descriptor descriptor) { return open_library()->destroy(descriptor); }
API int cudnnBackendFinalize(Descriptor descriptor) { return open_library()->finalize(descriptor); }

API const char *cudnnGetErrorString(int code) {
    if (code == NO_LIBRARY && last_refusal()) return last_refusal();
    const Library *cudnn = open_library();
    return cudnn && cudnn->error ? cudnn->error(code) : "cuDNN is not loaded";
}

API int cudnnCreate(Token *out) {
    device_load_cudnn();
    *out = new_token();
    return cudaPeekAtLastError() ? NO_DEVICE_MEMORY : SUCCESS;
}

API int cudnnGetStream(Token handle UNUSED, Token *out) {
    *out = NULL;
    return SUCCESS;
}

/* Batch norm's workspaces are not known without a device; torch's own kernels, used for most shapes, need none. */
static int no_bytes(size_t *out) {
    *out = 0;
    return SUCCESS;
}

API int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(Token handle UNUSED, int mode UNUSED, int ops UNUSED,
        Token x UNUSED, Token z UNUSED, Token y UNUSED, Token scale UNUSED, Token activation UNUSED, size_t *out) {
    return no_bytes(out);
}

API int cudnnGetBatchNormalizationBackwardExWorkspaceSize(Token handle UNUSED, int mode UNUSED, int ops UNUSED,
        Token x UNUSED, Token y UNUSED, Token dy UNUSED, Token dz UNUSED, Token dx UNUSED, Token scale UNUSED,
        Token activation UNUSED, size_t *out) {
    return no_bytes(out);
}

API int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(Token handle UNUSED, int mode UNUSED, int ops UNUSED,
        Token activation UNUSED, Token x UNUSED, size_t *out) {
    return no_bytes(out);
}
