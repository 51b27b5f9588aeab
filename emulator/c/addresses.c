/* Device memory: address space that is reserved and cannot be touched.
 *
 * Nothing is kept in it, so it costs no memory; a program that reads it without a copy faults, as it would on a real
 * card. Blocks are given out at the lowest free address, so that the same program sees them in the same order.
 */
#define _GNU_SOURCE
#include "emulated.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t SPAN = 1ull << 43;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *first, *end;
static Block *blocks; /* by address */
static size_t count, room;

static char *aligned(char *pointer, size_t alignment) {
    return (char *)(((uintptr_t)pointer + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

size_t whole_pages(size_t bytes) {
    return (bytes + DEVICE_PAGE - 1) & ~(size_t)(DEVICE_PAGE - 1);
}

static int reserve(void) {
    if (first) return 1;
    void *found = mmap(NULL, SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) return 0;
    first = aligned(found, DEVICE_PAGE);
    end = (char *)found + SPAN;
    return 1;
}

static int make_room(void) {
    if (count < room) return 1;
    size_t more = room ? 2 * room : 1024;
    Block *larger = realloc(blocks, more * sizeof(Block));
    if (!larger) return 0;
    blocks = larger;
    room = more;
    return 1;
}

static Block place(size_t bytes, size_t alignment, int device) {
    if (!reserve() || !make_room()) return (Block){0};
    size_t at = 0;
    char *start = aligned(first, alignment);
    while (at < count && start + bytes > blocks[at].start) {
        start = aligned(blocks[at].start + blocks[at].bytes, alignment);
        at++;
    }
    if (start + bytes > end) return (Block){0};
    memmove(&blocks[at + 1], &blocks[at], (count - at) * sizeof(Block));
    count++;
    return blocks[at] = (Block){start, bytes, device};
}

/* The block that holds a pointer, or -1. */
static long find(const void *pointer) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((char *)pointer < blocks[middle].start) high = middle;
        else low = middle + 1;
    }
    int held = low > 0 && (char *)pointer < blocks[low - 1].start + blocks[low - 1].bytes;
    return held ? (long)low - 1 : -1;
}

Block address_take(size_t bytes, size_t alignment, int device) {
    pthread_mutex_lock(&lock);
    Block block = place(bytes, alignment > DEVICE_PAGE ? alignment : DEVICE_PAGE, device);
    pthread_mutex_unlock(&lock);
    return block;
}

Block address_give_back(void *start) {
    Block block = {0};
    pthread_mutex_lock(&lock);
    long at = find(start);
    if (at >= 0 && blocks[at].start == start) {
        block = blocks[at];
        memmove(&blocks[at], &blocks[at + 1], (count - (size_t)at - 1) * sizeof(Block));
        count--;
    }
    pthread_mutex_unlock(&lock);
    return block;
}

Block address_block(const void *pointer) {
    pthread_mutex_lock(&lock);
    long at = find(pointer);
    Block block = at < 0 ? (Block){0} : blocks[at];
    pthread_mutex_unlock(&lock);
    return block;
}

void addresses_after_fork(void) {
    pthread_mutex_init(&lock, NULL);
}

int address_is_device(const void *pointer) {
    return first && (char *)pointer >= first && (char *)pointer < end;
}
