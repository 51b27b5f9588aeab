/* libnvidia-ml.so.1 of the emulated machine: the same world and the same registry as CUDA's side. */
#define _GNU_SOURCE
#include "emulated.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED_NVML = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, TIMEOUT = 10, VERSION_MISMATCH = 25
};
enum { XID_EVENT = 8, NO_INSTANCE = -1 };

typedef struct { uint64_t total, free, used; } Memory;
typedef struct { unsigned version; uint64_t total, reserved, free, used; } MemoryV2;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { int listens[MAX_GPUS], told[MAX_GPUS]; } EventSet;
typedef struct { Gpu *gpu; unsigned long long type, data; unsigned gpu_instance, compute_instance; } EventData;
typedef struct { unsigned pid; uint64_t used; } ProcessInfoV1;
typedef struct { unsigned pid; uint64_t used; unsigned gpu_instance, compute_instance; } ProcessInfo;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static World *world;
static int initialised;

static int failure(const Gpu *gpu, const char *key) {
    for (int i = 0; i < gpu->fail_count; i++)
        if (!strcmp(gpu->fails[i].key, key) || !strcmp(gpu->fails[i].key, "all")) return gpu->fails[i].code;
    return SUCCESS;
}

static int is_whole(const Gpu *gpu) {
    return gpu >= world->gpus && gpu < world->gpus + MAX_GPUS;
}

static int index_of(const Gpu *gpu) {
    return (int)(is_whole(gpu) ? gpu - world->gpus : (gpu - &world->instances[0][0]) / MAX_MIG);
}

/* Every call on a GPU: locked, against the newest world, refused when the world says so. */
static int enter(const Gpu *gpu, const char *key) {
    pthread_mutex_lock(&lock);
    if (!initialised) return UNINITIALIZED;
    world = world_now();
    if (!world) return DRIVER_NOT_LOADED;
    if (!gpu) return SUCCESS;
    return index_of(gpu) < world->gpu_count ? failure(gpu, key) : NOT_FOUND;
}

static int leave(int result) {
    pthread_mutex_unlock(&lock);
    return result;
}

static int number(int64_t field, unsigned *out) {
    if (field == UNSET) return NOT_SUPPORTED_NVML;
    *out = (unsigned)field;
    return SUCCESS;
}

/* ---- processes: those of the registry, and those that the world's file names */

static long parent_of(long pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[length] = 0;
    char *end = strrchr(text, ')');
    return end && sscanf(end + 1, " %*c %ld", &pid) == 1 ? pid : 0;
}

/* Session leader below the calling process: what ANY_JOB stands for, since a job leads its session. */
static int is_job(long pid) {
    if (pid == getpid() || getsid((pid_t)pid) != pid) return 0;
    for (int depth = 0; depth < 64 && pid > 1; depth++)
        if ((pid = parent_of(pid)) == getpid()) return 1;
    return 0;
}

static int add_jobs(Process *out, int count, uint64_t bytes) {
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder && (entry = readdir(folder)) && count < MAX_PROCESSES;) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 0 && is_job(pid)) out[count++] = (Process){pid, bytes};
    }
    if (folder) closedir(folder);
    return count;
}

static int processes_of(const Gpu *gpu, Process *out) {
    int count = is_whole(gpu) ? registry_list(index_of(gpu), out, MAX_PROCESSES) : 0;
    for (int i = 0; i < gpu->process_count && count < MAX_PROCESSES; i++) {
        const Process *process = &gpu->processes[i];
        if (process->pid != ANY_JOB) out[count++] = *process;
        else count = add_jobs(out, count, process->bytes);
    }
    return count;
}

static int64_t used_bytes(const Gpu *gpu) {
    if (gpu->used != UNSET) return gpu->used;
    Process processes[MAX_PROCESSES];
    int64_t used = gpu->base_used;
    int count = processes_of(gpu, processes);
    for (int i = 0; i < count; i++)
        if (processes[i].bytes != BYTES_NOT_AVAILABLE) used += (int64_t)processes[i].bytes;
    return used;
}

static void after_fork(void) {
    pthread_mutex_init(&lock, NULL);
    registry_after_fork();
}

__attribute__((constructor)) static void prepare(void) {
    pthread_atfork(NULL, NULL, after_fork);
}

/* ---- the library itself */

API int nvmlInitWithFlags(unsigned flags UNUSED) {
    pthread_mutex_lock(&lock);
    world = world_now();
    int result = world ? world->init_error : DRIVER_NOT_LOADED;
    if (!result) initialised++;
    return leave(result);
}

API int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

API int nvmlShutdown(void) {
    int result = enter(NULL, "");
    if (initialised) initialised--;
    return leave(result);
}

API const char *nvmlErrorString(int code) {
    static __thread char text[32];
    snprintf(text, sizeof text, "fake error %d", code);
    return text;
}

API int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    int result = enter(NULL, "");
    if (!result) snprintf(out, size, "%s", world->driver_version);
    return leave(result);
}

API int nvmlSystemGetCudaDriverVersion_v2(int *out) {
    int result = enter(NULL, "");
    if (!result) *out = world->cuda_version;
    return leave(result);
}

API int nvmlSystemGetCudaDriverVersion(int *out) { return nvmlSystemGetCudaDriverVersion_v2(out); }

/* ---- GPUs */

API int nvmlDeviceGetCount_v2(unsigned *out) {
    int result = enter(NULL, "");
    if (!result) *out = (unsigned)world->gpu_count;
    return leave(result);
}

API int nvmlDeviceGetHandleByIndex_v2(unsigned index, Gpu **out) {
    int result = enter(NULL, "");
    if (!result) result = index < (unsigned)world->gpu_count ? failure(&world->gpus[index], "handle") : INVALID_ARGUMENT;
    if (!result) *out = &world->gpus[index];
    return leave(result);
}

/* Called with the lock held. */
static Gpu *named(const char *uuid) {
    for (int i = 0; i < world->gpu_count; i++) {
        if (!strcmp(world->gpus[i].uuid, uuid)) return &world->gpus[i];
        for (int j = 0; j < world->gpus[i].mig_count; j++)
            if (!strcmp(world->instances[i][j].uuid, uuid)) return &world->instances[i][j];
    }
    return NULL;
}

API int nvmlDeviceGetHandleByUUID(const char *uuid, Gpu **out) {
    int result = enter(NULL, "");
    Gpu *found = result ? NULL : named(uuid);
    if (!result) result = found ? failure(found, "handle") : NOT_FOUND;
    if (!result) *out = found;
    return leave(result);
}

API int nvmlDeviceGetHandleByPciBusId_v2(const char *address, Gpu **out) {
    unsigned bus = 0;
    if (sscanf(address, "%*x:%x", &bus) != 1 || !bus) return NOT_FOUND;
    return nvmlDeviceGetHandleByIndex_v2(bus - 1, out);
}

API int nvmlDeviceGetUUID(Gpu *gpu, char *out, unsigned size) {
    int result = enter(gpu, "uuid");
    if (!result) snprintf(out, size, "%s", gpu->uuid);
    return leave(result);
}

API int nvmlDeviceGetName(Gpu *gpu, char *out, unsigned size) {
    int result = enter(gpu, "name");
    if (!result) snprintf(out, size, "%s", gpu->name);
    return leave(result);
}

API int nvmlDeviceGetMemoryInfo(Gpu *gpu, Memory *out) {
    int result = enter(gpu, "memory");
    if (!result && gpu->total == UNSET) result = NOT_SUPPORTED_NVML;
    if (!result) {
        out->total = (uint64_t)gpu->total;
        out->used = (uint64_t)(used_bytes(gpu) + gpu->reserved);
        out->free = out->total - out->used;
    }
    return leave(result);
}

API int nvmlDeviceGetMemoryInfo_v2(Gpu *gpu, MemoryV2 *out) {
    int result = enter(gpu, "memory");
    if (!result && out->version != (sizeof(MemoryV2) | 2 << 24)) result = VERSION_MISMATCH;
    if (!result && gpu->total == UNSET) result = NOT_SUPPORTED_NVML;
    if (!result) {
        out->total = (uint64_t)gpu->total;
        out->reserved = (uint64_t)gpu->reserved;
        out->used = (uint64_t)used_bytes(gpu);
        out->free = out->total - out->reserved - out->used;
    }
    return leave(result);
}

API int nvmlDeviceGetUtilizationRates(Gpu *gpu, Utilization *out) {
    int result = enter(gpu, "utilization");
    if (!result) result = number(gpu->utilization, &out->gpu);
    if (!result) result = number(gpu->memory_utilization, &out->memory);
    return leave(result);
}

API int nvmlDeviceGetPowerUsage(Gpu *gpu, unsigned *out) {
    int result = enter(gpu, "power");
    return leave(result ? result : number(gpu->power, out));
}

API int nvmlDeviceGetTemperature(Gpu *gpu, int sensor UNUSED, unsigned *out) {
    int result = enter(gpu, "temperature");
    return leave(result ? result : number(gpu->temperature, out));
}

API int nvmlDeviceGetTotalEnergyConsumption(Gpu *gpu, uint64_t *out) {
    int result = enter(gpu, "energy");
    if (!result && gpu->energy == UNSET) result = NOT_SUPPORTED_NVML;
    if (!result) *out = (uint64_t)gpu->energy;
    return leave(result);
}

API int nvmlDeviceGetMigMode(Gpu *gpu, unsigned *current, unsigned *pending) {
    int result = enter(gpu, "mig");
    if (!result) result = number(gpu->mig, current);
    if (!result) *pending = *current;
    return leave(result);
}

API int nvmlDeviceGetMaxMigDeviceCount(Gpu *gpu, unsigned *out) {
    int result = enter(gpu, "mig");
    *out = MAX_MIG;
    return leave(result);
}

API int nvmlDeviceGetMigDeviceHandleByIndex(Gpu *gpu, unsigned index, Gpu **out) {
    int result = enter(gpu, "mig");
    if (!result && index >= (unsigned)gpu->mig_count) result = NOT_FOUND;
    if (!result) *out = &world->instances[index_of(gpu)][index];
    return leave(result);
}

API int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Gpu *instance, Gpu **out) {
    int result = enter(instance, "mig");
    if (!result && is_whole(instance)) result = INVALID_ARGUMENT;
    if (!result) *out = &world->gpus[index_of(instance)];
    return leave(result);
}

/* The driver begins to count GPU instances at 1 where none takes the whole GPU, and compute instances at 0. */
API int nvmlDeviceGetGpuInstanceId(Gpu *instance, unsigned *out) {
    int result = enter(instance, "mig");
    if (!result && is_whole(instance)) result = INVALID_ARGUMENT;
    if (!result) *out = (unsigned)((instance - &world->instances[0][0]) % MAX_MIG + 1);
    return leave(result);
}

API int nvmlDeviceGetComputeInstanceId(Gpu *instance, unsigned *out) {
    int result = enter(instance, "mig");
    if (!result && is_whole(instance)) result = INVALID_ARGUMENT;
    if (!result) *out = 0;
    return leave(result);
}

/* The processes of a GPU, where the caller has room for all of them. */
static int running(Gpu *gpu, unsigned *count, Process *found, int has_room) {
    int result = enter(gpu, "processes");
    if (result) return leave(result);
    unsigned there = (unsigned)processes_of(gpu, found), room = has_room ? *count : 0;
    *count = there;
    return leave(there > room ? INSUFFICIENT_SIZE : SUCCESS);
}

API int nvmlDeviceGetComputeRunningProcesses_v3(Gpu *gpu, unsigned *count, ProcessInfo *out) {
    Process found[MAX_PROCESSES];
    int result = running(gpu, count, found, out != NULL);
    for (unsigned i = 0; !result && i < *count; i++) {
        out[i] = (ProcessInfo){(unsigned)found[i].pid, found[i].bytes, (unsigned)NO_INSTANCE, (unsigned)NO_INSTANCE};
        if (gpu->swapped) out[i].pid = (unsigned)found[i].bytes, out[i].used = (uint64_t)found[i].pid;
    }
    return result;
}

API int nvmlDeviceGetComputeRunningProcesses_v2(Gpu *gpu, unsigned *count, ProcessInfo *out) {
    return nvmlDeviceGetComputeRunningProcesses_v3(gpu, count, out);
}

API int nvmlDeviceGetComputeRunningProcesses(Gpu *gpu, unsigned *count, ProcessInfoV1 *out) {
    Process found[MAX_PROCESSES];
    int result = running(gpu, count, found, out != NULL);
    for (unsigned i = 0; !result && i < *count; i++) out[i] = (ProcessInfoV1){(unsigned)found[i].pid, found[i].bytes};
    return result;
}

/* torch asks for these where memory runs out; no emulated card has a link. */
API int nvmlDeviceGetNvLinkRemoteDeviceType(void) { return NOT_SUPPORTED_NVML; }
API int nvmlDeviceGetNvLinkRemotePciInfo_v2(void) { return NOT_SUPPORTED_NVML; }
API int nvmlDeviceGetGpuFabricInfoV(void) { return NOT_SUPPORTED_NVML; }
API int nvmlDeviceGetP2PStatus(void) { return NOT_SUPPORTED_NVML; }

/* ---- faults */

API int nvmlEventSetCreate(EventSet **out) {
    int result = enter(NULL, "");
    if (!result) *out = calloc(1, sizeof **out);
    return leave(result);
}

API int nvmlDeviceRegisterEvents(Gpu *gpu, unsigned long long types UNUSED, EventSet *set) {
    int result = enter(gpu, "events");
    if (!result) {
        set->listens[index_of(gpu)] = 1;
        set->told[index_of(gpu)] = gpu->xid_count;
    }
    return leave(result);
}

API int nvmlEventSetWait_v2(EventSet *set, EventData *out, unsigned timeout_ms UNUSED) {
    int result = enter(NULL, "");
    if (result) return leave(result);
    for (int i = 0; i < world->gpu_count; i++) {
        Gpu *gpu = &world->gpus[i];
        if (!set->listens[i] || set->told[i] >= gpu->xid_count) continue;
        *out = (EventData){gpu, XID_EVENT, gpu->xids[set->told[i]++], (unsigned)NO_INSTANCE, (unsigned)NO_INSTANCE};
        return leave(SUCCESS);
    }
    return leave(TIMEOUT);
}
