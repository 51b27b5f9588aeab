/* The emulated machine, read from a text file.
 *
 * GPULAB_EMULATED_WORLD names the file. It is read again whenever it changes, so that a test can change the world
 * while processes run; replace it by rename, never write it in place. One `key value` a line; the lines after
 * `gpu UUID` describe that GPU, the lines after `mig_device UUID` that instance. emulator/world.py writes these files
 * and says what the keys mean.
 */
#define _GNU_SOURCE
#include "emulated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static World world;
static struct stat seen;

static const struct { const char *key; size_t offset; int64_t otherwise; } FIELDS[] = {
#define FIELD(name, otherwise) {#name, offsetof(Gpu, name), otherwise}
    FIELD(total, UNSET), FIELD(used, UNSET), FIELD(utilization, UNSET), FIELD(memory_utilization, UNSET),
    FIELD(power, UNSET), FIELD(temperature, UNSET), FIELD(energy, UNSET), FIELD(mig, UNSET),
    FIELD(reserved, 0), FIELD(base_used, 0), FIELD(swapped, 0), FIELD(lost, 0),
    FIELD(major, 8), FIELD(minor, 0), FIELD(multiprocessors, 1), FIELD(clock_khz, 1000000),
    FIELD(memory_clock_khz, 1000000), FIELD(bus_bits, 256), FIELD(l2_bytes, 4 << 20), FIELD(ecc, 0),
    FIELD(threads_per_multiprocessor, 1024), FIELD(blocks_per_multiprocessor, 16), FIELD(shared_bytes, 65536),
    FIELD(shared_bytes_per_block, 65536), FIELD(context_bytes, 0), FIELD(cublas_bytes, 0), FIELD(cudnn_bytes, 0),
#undef FIELD
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

static int64_t *field_of(Gpu *gpu, int index) {
    return (int64_t *)((char *)gpu + FIELDS[index].offset);
}

static Gpu *fresh(Gpu *gpu, const char *uuid) {
    memset(gpu, 0, sizeof *gpu);
    snprintf(gpu->uuid, MAX_TEXT, "%s", uuid);
    for (int i = 0; i < FIELD_COUNT; i++) *field_of(gpu, i) = FIELDS[i].otherwise;
    return gpu;
}

static void add_process(Gpu *gpu, const char *value) {
    char pid[MAX_TEXT], bytes[MAX_TEXT];
    if (gpu->process_count == MAX_PROCESSES || sscanf(value, "%95s %95s", pid, bytes) != 2) return;
    Process *process = &gpu->processes[gpu->process_count++];
    process->pid = strcmp(pid, "*") ? strtol(pid, NULL, 10) : ANY_JOB;
    process->bytes = strcmp(bytes, "na") ? strtoull(bytes, NULL, 10) : BYTES_NOT_AVAILABLE;
}

static void add_fail(Gpu *gpu, const char *value) {
    if (gpu->fail_count == MAX_FAILS) return;
    Fail *fail = &gpu->fails[gpu->fail_count];
    if (sscanf(value, "%95s %d", fail->key, &fail->code) == 2) gpu->fail_count++;
}

static void describe(Gpu *gpu, const char *key, const char *value) {
    if (!strcmp(key, "name")) snprintf(gpu->name, MAX_TEXT, "%s", value);
    else if (!strcmp(key, "real_name")) snprintf(gpu->real_name, MAX_TEXT, "%s", value);
    else if (!strcmp(key, "process")) add_process(gpu, value);
    else if (!strcmp(key, "fail")) add_fail(gpu, value);
    else if (!strcmp(key, "xid") && gpu->xid_count < MAX_XIDS) gpu->xids[gpu->xid_count++] = (unsigned)atoi(value);
    else
        for (int i = 0; i < FIELD_COUNT; i++)
            if (!strcmp(key, FIELDS[i].key)) *field_of(gpu, i) = strtoll(value, NULL, 10);
}

static Gpu *next_instance(const char *uuid) {
    if (!world.gpu_count) return NULL;
    Gpu *parent = &world.gpus[world.gpu_count - 1];
    if (parent->mig_count == MAX_MIG) return NULL;
    return fresh(&world.instances[world.gpu_count - 1][parent->mig_count++], uuid);
}

static Gpu *read_line(Gpu *gpu, const char *key, const char *value) {
    if (!strcmp(key, "driver")) snprintf(world.driver_version, MAX_TEXT, "%.90s", value);
    else if (!strcmp(key, "cuda")) world.cuda_version = atoi(value);
    else if (!strcmp(key, "init")) world.init_error = atoi(value);
    else if (!strcmp(key, "gpu") && world.gpu_count < MAX_GPUS) return fresh(&world.gpus[world.gpu_count++], value);
    else if (!strcmp(key, "mig_device")) return next_instance(value);
    else if (gpu) describe(gpu, key, value);
    return gpu;
}

static void read_all(FILE *file) {
    char line[512];
    Gpu *gpu = NULL;
    world.gpu_count = world.init_error = world.cuda_version = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *value = strchr(line, ' ');
        if (!value) continue;
        *value++ = 0;
        gpu = read_line(gpu, line, value);
    }
}

const char *world_path(void) {
    return getenv("GPULAB_EMULATED_WORLD");
}

static int unchanged(const struct stat *now) {
    return now->st_ino == seen.st_ino && now->st_dev == seen.st_dev && now->st_size == seen.st_size
        && now->st_mtim.tv_sec == seen.st_mtim.tv_sec && now->st_mtim.tv_nsec == seen.st_mtim.tv_nsec;
}

World *world_now(void) {
    struct stat now;
    const char *path = world_path();
    if (!path || stat(path, &now)) return NULL;
    if (unchanged(&now)) return &world;
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    read_all(file);
    fclose(file);
    seen = now;
    return &world;
}
