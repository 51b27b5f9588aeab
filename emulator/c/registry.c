/* What every process holds of every GPU, in a file beside the world's that all of them map.
 *
 * A slot belongs to one process. A process that ended without giving back (SIGKILL, _exit) is recognised by its pid and
 * the time at which it started, so its memory is free again as on a real card, and a pid that is used again inherits
 * nothing. Taking is serialised by a lock on the file, which the kernel releases when its holder dies.
 */
#define _GNU_SOURCE
#include "emulated.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOT_COUNT = 256, MAX_PATH = 4096 };
typedef struct { long pid; unsigned long long started; uint64_t bytes[MAX_GPUS]; } Slot;

static Slot *slots, *mine;
static int file = -1;

/* A world without a name belongs to one process, so that its registry needs no file either. */
static int is_private(void) {
    return !strncmp(world_path(), "/proc/self/fd/", 14);
}

static int open_registry(void) {
    char path[MAX_PATH];
    if (snprintf(path, sizeof path, "%s.registry", world_path()) >= MAX_PATH) return 0;
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return file >= 0 && !ftruncate(file, SLOT_COUNT * sizeof(Slot));
}

static int map_registry(void) {
    if (slots) return 1;
    if (!world_path() || !(is_private() || open_registry())) return 0;
    int sharing = is_private() ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *found = mmap(NULL, SLOT_COUNT * sizeof(Slot), PROT_READ | PROT_WRITE, sharing, file, 0);
    if (found == MAP_FAILED) return 0;
    slots = found;
    return 1;
}

/* Clock ticks since boot at which a process started; 0 for one that is gone or waits to be reaped. */
static unsigned long long start_of(long pid) {
    char path[64], text[1024], state;
    unsigned long long started = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    int stat = open(path, O_RDONLY | O_CLOEXEC);
    if (stat < 0) return 0;
    ssize_t length = read(stat, text, sizeof text - 1);
    close(stat);
    text[length > 0 ? length : 0] = 0;
    const char *end = strrchr(text, ')');
    const char *format = " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu";
    if (!end || sscanf(end + 1, format, &state, &started) != 2) return 0;
    return state == 'Z' || state == 'X' ? 0 : started;
}

static int is_alive(const Slot *slot) {
    return slot->pid && start_of(slot->pid) == slot->started;
}

/* Called with the lock held. */
static Slot *my_slot(void) {
    for (int i = 0; !mine && i < SLOT_COUNT; i++) {
        if (is_alive(&slots[i])) continue;
        memset(&slots[i], 0, sizeof(Slot));
        slots[i] = (Slot){.pid = getpid(), .started = start_of(getpid())};
        mine = &slots[i];
    }
    return mine;
}

static uint64_t in_use(int gpu) {
    uint64_t sum = 0;
    for (int i = 0; i < SLOT_COUNT; i++)
        if (slots[i].bytes[gpu] && (&slots[i] == mine || is_alive(&slots[i]))) sum += slots[i].bytes[gpu];
    return sum;
}

int registry_take(int gpu, uint64_t bytes, uint64_t limit) {
    if (!map_registry()) return 0;
    flock(file, LOCK_EX);
    Slot *slot = my_slot();
    int fits = slot && in_use(gpu) + bytes <= limit;
    if (fits) slot->bytes[gpu] += bytes;
    flock(file, LOCK_UN);
    return fits;
}

uint64_t registry_in_use(int gpu) {
    return map_registry() ? in_use(gpu) : 0;
}

void registry_give_back(int gpu, uint64_t bytes) {
    if (mine) mine->bytes[gpu] -= bytes < mine->bytes[gpu] ? bytes : mine->bytes[gpu];
}

int registry_list(int gpu, Process *out, int room) {
    int count = 0;
    if (!map_registry()) return 0;
    for (int i = 0; i < SLOT_COUNT && count < room; i++)
        if (slots[i].bytes[gpu] && is_alive(&slots[i])) out[count++] = (Process){slots[i].pid, slots[i].bytes[gpu]};
    return count;
}

void registry_after_fork(void) {
    /* The lock is of the open file, which parent and child share: the child opens its own. */
    if (slots) munmap(slots, SLOT_COUNT * sizeof(Slot));
    if (file >= 0) close(file);
    slots = mine = NULL;
    file = -1;
}

__attribute__((destructor)) static void give_everything_back(void) {
    if (mine && mine->pid == getpid()) memset(mine, 0, sizeof *mine);
}
