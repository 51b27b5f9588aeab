/* The cards that this process sees: CUDA_VISIBLE_DEVICES, properties, contexts and what is left of their memory. */
#define _GNU_SOURCE
#include "emulated.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__thread int current_device;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A process asks for its devices once, as CUDA does; a forked child asks again. */
typedef struct { Gpu card; int index, has_context, has_cublas, has_cudnn; } Device;
static Device devices[MAX_GPUS];
static int count, is_ready;

static int index_of(const World *world, const char *name, size_t length) {
    char *end;
    long number = strtol(name, &end, 10);
    if (end == name + length && length) return number >= 0 && number < world->gpu_count ? (int)number : -1;
    for (int i = 0; i < world->gpu_count; i++)
        if (length > 4 && !strncmp(world->gpus[i].uuid, name, length)) return i;
    return -1;
}

static int is_seen(int index) {
    for (int i = 0; i < count; i++)
        if (devices[i].index == index) return 1;
    return 0;
}

static void see(const World *world, int index) {
    devices[count++] = (Device){.card = world->gpus[index], .index = index};
}

/* CUDA ends the list at the first name that it does not know, and sees nothing where one comes twice. */
static void see_named(const World *world, const char *names) {
    while (*names && count < MAX_GPUS) {
        size_t length = strcspn(names, ",");
        int index = index_of(world, names, length);
        if (index < 0) return;
        if (is_seen(index)) { count = 0; return; }
        see(world, index);
        names += length + (names[length] == ',');
    }
}

static void look(void) {
    if (is_ready) return;
    const World *world = world_now();
    const char *names = getenv("CUDA_VISIBLE_DEVICES");
    count = 0;
    if (world && names) see_named(world, names);
    else
        for (int i = 0; world && i < world->gpu_count; i++) see(world, i);
    is_ready = 1;
}

static Device *device_at(int device) {
    look();
    return device >= 0 && device < count ? &devices[device] : NULL;
}

static uint64_t limit_of(const Gpu *card) {
    int64_t limit = card->total - card->reserved - card->base_used;
    for (int i = 0; i < card->process_count; i++)
        if (card->processes[i].bytes != BYTES_NOT_AVAILABLE) limit -= (int64_t)card->processes[i].bytes;
    return limit > 0 ? (uint64_t)limit : 0;
}

/* What others take of a card may change while a program runs; the rest of it does not. */
static uint64_t limit_now(const Device *device) {
    const World *world = world_now();
    return limit_of(world && device->index < world->gpu_count ? &world->gpus[device->index] : &device->card);
}

/* Called with the lock held. */
static int take(Device *device, uint64_t bytes) {
    return registry_take(device->index, bytes, limit_now(device));
}

static int fault_of(const Device *device) {
    const World *world = world_now();
    return world && device->index < world->gpu_count ? (int)world->gpus[device->index].lost : 0;
}

static int enter(Device *device) {
    if (!device) return count ? INVALID_DEVICE : NO_DEVICE;
    int fault = fault_of(device);
    if (fault || device->has_context) return fault;
    device->has_context = take(device, (uint64_t)device->card.context_bytes);
    return device->has_context ? SUCCESS : OUT_OF_MEMORY;
}

int device_enter(int device) {
    pthread_mutex_lock(&lock);
    int result = enter(device_at(device));
    pthread_mutex_unlock(&lock);
    return failed(result);
}

int device_take(int device, size_t bytes) {
    pthread_mutex_lock(&lock);
    int fits = take(device_at(device), bytes);
    pthread_mutex_unlock(&lock);
    return fits;
}

void device_give_back(int device, size_t bytes) {
    pthread_mutex_lock(&lock);
    registry_give_back(device_at(device)->index, bytes);
    pthread_mutex_unlock(&lock);
}

static void load_once(int *is_loaded, Device *device, int64_t bytes) {
    if (!*is_loaded) *is_loaded = take(device, (uint64_t)bytes);
}

void device_load_cublas(void) {
    if (device_enter(current_device)) return;
    pthread_mutex_lock(&lock);
    Device *device = device_at(current_device);
    load_once(&device->has_cublas, device, device->card.cublas_bytes);
    pthread_mutex_unlock(&lock);
}

void device_load_cudnn(void) {
    if (device_enter(current_device)) return;
    pthread_mutex_lock(&lock);
    Device *device = device_at(current_device);
    load_once(&device->has_cudnn, device, device->card.cudnn_bytes);
    pthread_mutex_unlock(&lock);
}

void device_memory(int device, size_t *free_bytes, size_t *total_bytes) {
    pthread_mutex_lock(&lock);
    Device *found = device_at(device);
    uint64_t used = registry_in_use(found->index), limit = limit_now(found);
    *free_bytes = used > limit ? 0 : limit - used;
    *total_bytes = (size_t)(found->card.total - found->card.reserved);
    pthread_mutex_unlock(&lock);
}

int device_count(void) {
    pthread_mutex_lock(&lock);
    look();
    pthread_mutex_unlock(&lock);
    return count;
}

const Gpu *device_card(int device) {
    pthread_mutex_lock(&lock);
    Device *found = device_at(device);
    pthread_mutex_unlock(&lock);
    return found ? &found->card : NULL;
}

static void forget(void) {
    pthread_mutex_init(&lock, NULL);
    memset(devices, 0, sizeof devices);
    count = is_ready = 0;
    registry_after_fork();
    addresses_after_fork();
    memory_after_fork();
    cudnn_after_fork();
}

/* On Hopper, torch prefers cuDNN's attention, whose engines are compiled while the program runs and want a driver. It
 * takes its own flash attention instead. */
static void prefer_flash_attention(void) {
    setenv("TORCH_CUDNN_SDPA_DEPRIORITIZED", "1", 0);
}

__attribute__((constructor)) static void prepare(void) {
    pthread_atfork(NULL, NULL, forget);
    prefer_flash_attention();
}

API int cudaGetDeviceCount(int *out) {
    *out = device_count();
    return failed(*out ? SUCCESS : NO_DEVICE);
}

API int cudaGetDevice(int *out) {
    *out = current_device;
    return SUCCESS;
}

API int cudaSetDevice(int device) {
    if (!device_card(device)) return failed(INVALID_DEVICE);
    current_device = device;
    return device_enter(device);
}

API int cudaDeviceSynchronize(void) {
    return device_enter(current_device);
}

API int cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    int result = device_enter(current_device);
    if (!result) device_memory(current_device, free_bytes, total_bytes);
    return result;
}

API int cudaDeviceCanAccessPeer(int *out, int device UNUSED, int peer UNUSED) {
    *out = 0;
    return SUCCESS;
}

API int cudaDeviceGetPCIBusId(char *out, int size, int device) {
    if (!device_card(device)) return failed(INVALID_DEVICE);
    snprintf(out, (size_t)size, "0000:%02X:00.0", devices[device].index + 1);
    return SUCCESS;
}

API int cuInit(unsigned flags UNUSED) {
    return SUCCESS;
}

API int cuDeviceGet(int *out, int device) {
    *out = device;
    return device_card(device) ? SUCCESS : INVALID_DEVICE;
}

API int cuDeviceGetCount(int *out) {
    *out = device_count();
    return SUCCESS;
}

API int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    *flags = 0;
    pthread_mutex_lock(&lock);
    Device *found = device_at(device);
    *active = found && found->has_context;
    pthread_mutex_unlock(&lock);
    return found ? SUCCESS : INVALID_DEVICE;
}

API int cuCtxGetCurrent(Token *out) {
    *out = &devices[current_device];
    return device_enter(current_device);
}

API int cuDevicePrimaryCtxRetain(Token *out, int device) {
    *out = &devices[device];
    return device_enter(device);
}

API int cuCtxSetCurrent(Token context) {
    if (context) current_device = (int)((Device *)context - devices);
    return SUCCESS;
}

API int cuCtxGetDevice(int *out) {
    *out = current_device;
    return device_enter(current_device);
}

API int cuCtxGetLimit(size_t *out, int limit UNUSED) {
    *out = 0;
    return SUCCESS;
}

API int cuCtxSetLimit(int limit UNUSED, size_t value UNUSED) {
    return SUCCESS;
}
