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
    IS_ENUM = 1, IS_INT = 3, IS_FLOAT = 4, IS_MODE = 7, IS_HEURISTICS_MODE = 8, IS_DESCRIPTOR = 15, IS_CHAR = 24,
    NO_LIBRARY = 3000, NO_DEVICE_MEMORY = 1002
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

const void *cudnn_description(void) {
    const Library *cudnn = open_library();
    return cudnn ? description(cudnn) : NULL;
}

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

/* ---- Tables: cuDNN builds those of its engines for the first plan of a process. A process that is forked for many
 * cards builds them once, with a plan that nobody uses. No later plan depends on it. */

typedef struct { int name, type; int64_t count; const void *values; } Attribute;
enum { CONVOLUTION = 1, CONFIGURATION = 3, GRAPH = 15, TENSOR = 17, FORWARD = 10, BACKWARD_FILTER = 11, BACKWARD_DATA = 12 };

static Descriptor made(const Library *cudnn, int kind, int count, const Attribute *attributes) {
    Descriptor out = NULL;
    int result = cudnn->create(kind, &out);
    for (int i = 0; !result && i < count; i++)
        result = cudnn->set(out, attributes[i].name, attributes[i].type, attributes[i].count, attributes[i].values);
    if (!result) result = cudnn->finalize(out);
    return result ? NULL : out;
}

static Descriptor make_tensor(const Library *cudnn, int64_t id, int64_t count, int64_t channels, int64_t side) {
    int type = 0;
    int64_t alignment = 16, sizes[] = {count, channels, side, side};
    int64_t strides[] = {channels * side * side, side * side, side, 1};
    return made(cudnn, TENSOR, 5, (Attribute[]){{900, IS_INT, 1, &alignment}, {901, IS_ENUM, 1, &type},
        {902, IS_INT, 4, sizes}, {903, IS_INT, 4, strides}, {906, IS_INT, 1, &id}});
}

static Descriptor make_convolution(const Library *cudnn) {
    int type = 0, mode = 1;
    int64_t ones[] = {1, 1}, dimensions = 2;
    return made(cudnn, CONVOLUTION, 7, (Attribute[]){{100, IS_ENUM, 1, &type}, {101, IS_MODE, 1, &mode},
        {102, IS_INT, 2, ones}, {103, IS_INT, 2, ones}, {104, IS_INT, 2, ones}, {105, IS_INT, 2, ones},
        {106, IS_INT, 1, &dimensions}});
}

/* `first` is the number of the operation's first attribute. */
static Descriptor make_graph(const Library *cudnn, int operation, int first) {
    float factors[] = {1, 0};
    Descriptor convolution = make_convolution(cudnn), weights = make_tensor(cudnn, 1, 64, 64, 3);
    Descriptor x = make_tensor(cudnn, 2, 8, 64, 56), y = make_tensor(cudnn, 3, 8, 64, 56);
    Descriptor node = made(cudnn, operation, 6, (Attribute[]){
        {first, IS_FLOAT, 1, &factors[0]}, {first + 1, IS_FLOAT, 1, &factors[1]},
        {first + 2, IS_DESCRIPTOR, 1, &convolution}, {first + 3, IS_DESCRIPTOR, 1, &weights},
        {first + 4, IS_DESCRIPTOR, 1, &x}, {first + 5, IS_DESCRIPTOR, 1, &y}});
    return made(cudnn, GRAPH, 1, (Attribute[]){{801, IS_DESCRIPTOR, 1, &node}});
}

static int plan(const Library *cudnn, Descriptor device, Descriptor graph) {
    int instant = 0;
    int64_t count = 0;
    Descriptor best = NULL, heuristics = made(cudnn, ENGINE_HEURISTICS, 3, (Attribute[]){
        {200, IS_HEURISTICS_MODE, 1, &instant}, {201, IS_DESCRIPTOR, 1, &graph},
        {HEURISTICS_DEVICE, IS_DESCRIPTOR, 1, &device}});
    if (!heuristics || cudnn->create(CONFIGURATION, &best)) return 0;
    if (cudnn->get(heuristics, 202, IS_DESCRIPTOR, 1, &count, &best) || !count) return 0;
    return made(cudnn, PLAN, 2, (Attribute[]){{401, IS_DESCRIPTOR, 1, &best}, {PLAN_DEVICE, IS_DESCRIPTOR, 1, &device}})
        != NULL;
}

/* Whether cuDNN planned a convolution and both of its gradients. */
API int gpulab_build_cudnn_tables(void) {
    static const Gpu some = {.real_name = "Tesla T4", .major = 7, .minor = 5, .multiprocessors = 40, .l2_bytes = 4 * MIB,
        .clock_khz = 1590000, .memory_clock_khz = 5001000, .threads_per_multiprocessor = 1024,
        .blocks_per_multiprocessor = 16, .shared_bytes_per_block = 65536, .total = 15360ll * MIB};
    const Library *cudnn = open_library();
    Descriptor device = cudnn ? make_description(cudnn, &some) : NULL;
    return device && plan(cudnn, device, make_graph(cudnn, FORWARD, 700))
        && plan(cudnn, device, make_graph(cudnn, BACKWARD_DATA, 706))
        && plan(cudnn, device, make_graph(cudnn, BACKWARD_FILTER, 712));
}
