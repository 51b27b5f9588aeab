/* Memory of the device and of the host, and copies between them. What is copied to the device is dropped; what is
 * copied from it is zeros. */
#define _GNU_SOURCE
#include "emulated.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { TYPE_UNREGISTERED = 0, TYPE_HOST = 1, TYPE_DEVICE = 2 };

static int allocate(void **out, size_t bytes) {
    int result = device_enter(current_device);
    if (result) return result;
    size_t whole = whole_pages(bytes ? bytes : 1);
    if (!device_take(current_device, whole)) return failed(OUT_OF_MEMORY);
    Block block = address_take(whole, DEVICE_PAGE, current_device);
    if (!block.start) device_give_back(current_device, whole);
    *out = block.start;
    return failed(block.start ? SUCCESS : OUT_OF_MEMORY);
}

static int release(void *start) {
    if (!start) return device_enter(current_device);
    Block block = address_give_back(start);
    if (!block.start) return failed(INVALID_VALUE);
    device_give_back(block.device, block.bytes);
    return SUCCESS;
}

API int cudaMalloc(void **out, size_t bytes) { return allocate(out, bytes); }
API int cudaMallocAsync(void **out, size_t bytes, Token stream UNUSED) { return allocate(out, bytes); }
API int cudaFree(void *start) { return release(start); }
API int cudaFreeAsync(void *start, Token stream UNUSED) { return release(start); }

/* ---- memory pools (cudaMallocAsync): one, which gives back at once */

API int cudaDeviceGetDefaultMemPool(Token *out, int device UNUSED) {
    *out = new_token();
    return SUCCESS;
}

API int cudaMemPoolGetAttribute(Token pool UNUSED, int name UNUSED, uint64_t *out) {
    *out = 0;
    return SUCCESS;
}

API int cudaDeviceGetGraphMemAttribute(int device UNUSED, int name UNUSED, uint64_t *out) {
    *out = 0;
    return SUCCESS;
}

/* ---- host memory that is pinned: remembered, so that a tensor knows that it is */

typedef struct { char *start; size_t bytes; } Pinned;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Pinned *pinned;
static size_t pinned_count, pinned_room;

static int remember(void *start, size_t bytes) {
    pthread_mutex_lock(&lock);
    if (pinned_count == pinned_room) {
        size_t more = pinned_room ? 2 * pinned_room : 256;
        Pinned *larger = realloc(pinned, more * sizeof *pinned);
        if (larger) pinned = larger, pinned_room = more;
    }
    int kept = pinned_count < pinned_room;
    if (kept) pinned[pinned_count++] = (Pinned){start, bytes};
    pthread_mutex_unlock(&lock);
    return kept;
}

static Pinned forget(void *start) {
    Pinned found = {0};
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < pinned_count; i++)
        if (pinned[i].start == start) {
            found = pinned[i];
            pinned[i] = pinned[--pinned_count];
            break;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

static int is_pinned(const char *pointer) {
    int found = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < pinned_count && !found; i++)
        found = pointer >= pinned[i].start && pointer < pinned[i].start + pinned[i].bytes;
    pthread_mutex_unlock(&lock);
    return found;
}

void memory_after_fork(void) {
    pthread_mutex_init(&lock, NULL);
}

API int cudaHostAlloc(void **out, size_t bytes, unsigned flags UNUSED) {
    size_t room = bytes ? bytes : 1;
    *out = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return failed(*out != MAP_FAILED && remember(*out, room) ? SUCCESS : OUT_OF_MEMORY);
}

API int cudaFreeHost(void *start) {
    Pinned found = forget(start);
    if (found.start) munmap(found.start, found.bytes);
    return failed(found.start || !start ? SUCCESS : INVALID_VALUE);
}

API int cudaHostRegister(void *start, size_t bytes, unsigned flags UNUSED) {
    return failed(remember(start, bytes) ? SUCCESS : OUT_OF_MEMORY);
}

API int cudaHostUnregister(void *start) {
    return failed(forget(start).start ? SUCCESS : INVALID_VALUE);
}

API int cudaPointerGetAttributes(PointerAttributes *out, const void *pointer) {
    void *address = (void *)pointer;
    *out = (PointerAttributes){.type = TYPE_UNREGISTERED, .device = -2, .host_pointer = address};
    if (address_is_device(pointer)) {
        Block block = address_block(pointer);
        *out = (PointerAttributes){TYPE_DEVICE, block.start ? block.device : current_device, address, NULL, {0}};
    } else if (is_pinned(pointer)) *out = (PointerAttributes){TYPE_HOST, current_device, address, address, {0}};
    return SUCCESS;
}

/* ---- copies */

static void copy(void *to, const void *from, size_t bytes) {
    if (address_is_device(to)) return;
    if (address_is_device(from)) memset(to, 0, bytes);
    else memcpy(to, from, bytes);
}

static int checked_copy(void *to, const void *from, size_t bytes) {
    int result = device_enter(current_device);
    if (!result) copy(to, from, bytes);
    return result;
}

API int cudaMemcpy(void *to, const void *from, size_t bytes, int kind UNUSED) { return checked_copy(to, from, bytes); }

API int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind UNUSED, Token stream UNUSED) {
    return checked_copy(to, from, bytes);
}

API int cudaMemcpyPeerAsync(void *to, int to_device UNUSED, const void *from, int device UNUSED, size_t bytes,
                            Token stream UNUSED) {
    return checked_copy(to, from, bytes);
}

API int cudaMemcpy2DAsync(char *to, size_t to_pitch, const char *from, size_t pitch, size_t width, size_t height,
                          int kind UNUSED, Token stream UNUSED) {
    for (size_t row = 0; row < height; row++) copy(to + row * to_pitch, from + row * pitch, width);
    return device_enter(current_device);
}

API int cudaMemset(void *to, int value, size_t bytes) {
    if (!address_is_device(to)) memset(to, value, bytes);
    return SUCCESS;
}

API int cudaMemsetAsync(void *to, int value, size_t bytes, Token stream UNUSED) { return cudaMemset(to, value, bytes); }

/* A variable of the device has an address of its own, which nothing is behind. */
API int cudaGetSymbolAddress(void **out, const void *symbol UNUSED) {
    static Block block;
    if (!block.start) block = address_take(DEVICE_PAGE, DEVICE_PAGE, 0);
    *out = block.start;
    return SUCCESS;
}
