/* A scripted libnvidia-ml.so.1: the few NVML calls that worker/nvml.py makes, answered from a text file.
 *
 * FAKE_NVML_SCRIPT names the file. It is read again whenever it changes, so that a test can change the world while
 * processes run; replace it by rename, never write it in place. One `key value` a line; the lines after `gpu UUID`
 * describe that GPU, the lines after `mig_device UUID` that instance. A field that no line gives is answered with
 * NVML_ERROR_NOT_SUPPORTED. __init__.py writes these files and says what the keys mean.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, TIMEOUT = 10, VERSION_MISMATCH = 25
};
enum { MAX_GPUS = 64, MAX_MIG = 8, MAX_PROCESSES = 64, MAX_FAILS = 16, MAX_XIDS = 32, TEXT = 96 };
#define NOT_AVAILABLE UINT64_MAX
#define UNSET INT64_MIN
#define WILDCARD (-1L)

typedef struct { char key[TEXT]; int code; } Fail;
typedef struct { long pid; uint64_t bytes; } Process; /* pid WILDCARD: the jobs */

typedef struct Device {
    char uuid[TEXT], name[TEXT];
    int64_t total, reserved, used, base_used, utilization, memory_utilization, power, temperature, energy, mig, swapped;
    Fail fails[MAX_FAILS];
    int fail_count;
    Process processes[MAX_PROCESSES];
    int process_count;
    int mig_count;
    unsigned xids[MAX_XIDS]; /* every fault so far, in order */
    int xid_count;
} Device;

typedef struct { uint64_t total, free, used; } Memory;
typedef struct { unsigned version; uint64_t total, reserved, free, used; } MemoryV2;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { int listens[MAX_GPUS], told[MAX_GPUS]; } EventSet;
typedef struct { Device *device; unsigned long long type, data; unsigned gpu_instance, compute_instance; } EventData;
typedef struct { unsigned pid; uint64_t used; unsigned gpu_instance, compute_instance; } ProcessInfo;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Device gpus[MAX_GPUS], instances[MAX_GPUS][MAX_MIG];
static char driver_version[TEXT];
static int gpu_count, cuda_version, init_error, initialised;
static struct stat seen;

static void clear(Device *device, const char *uuid) {
    memset(device, 0, sizeof *device);
    snprintf(device->uuid, TEXT, "%s", uuid);
    device->total = device->used = device->utilization = device->memory_utilization = UNSET;
    device->power = device->temperature = device->energy = device->mig = UNSET;
}

static void add_process(Device *device, const char *value) {
    char pid[TEXT], bytes[TEXT];
    if (device->process_count == MAX_PROCESSES || sscanf(value, "%95s %95s", pid, bytes) != 2) return;
    Process *process = &device->processes[device->process_count++];
    process->pid = strcmp(pid, "*") ? strtol(pid, NULL, 10) : WILDCARD;
    process->bytes = strcmp(bytes, "na") ? strtoull(bytes, NULL, 10) : NOT_AVAILABLE;
}

static void add_fail(Device *device, const char *value) {
    if (device->fail_count == MAX_FAILS) return;
    Fail *fail = &device->fails[device->fail_count];
    if (sscanf(value, "%95s %d", fail->key, &fail->code) == 2) device->fail_count++;
}

static void set_field(Device *device, const char *key, const char *value) {
    struct { const char *key; int64_t *field; } fields[] = {
        {"total", &device->total}, {"reserved", &device->reserved}, {"used", &device->used}, {"base_used", &device->base_used},
        {"utilization", &device->utilization}, {"memory_utilization", &device->memory_utilization},
        {"power", &device->power}, {"temperature", &device->temperature}, {"energy", &device->energy},
        {"mig", &device->mig}, {"swapped", &device->swapped},
    };
    if (!strcmp(key, "name")) snprintf(device->name, TEXT, "%s", value);
    else if (!strcmp(key, "process")) add_process(device, value);
    else if (!strcmp(key, "fail")) add_fail(device, value);
    else if (!strcmp(key, "xid") && device->xid_count < MAX_XIDS) device->xids[device->xid_count++] = (unsigned)atoi(value);
    else
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (!strcmp(key, fields[i].key)) *fields[i].field = strtoll(value, NULL, 10);
}

static void parse(FILE *file) {
    char line[512];
    Device *device = NULL;
    gpu_count = init_error = cuda_version = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *value = strchr(line, ' ');
        if (!value) continue;
        *value++ = 0;
        if (!strcmp(line, "driver")) snprintf(driver_version, TEXT, "%.90s", value);
        else if (!strcmp(line, "cuda")) cuda_version = atoi(value);
        else if (!strcmp(line, "init")) init_error = atoi(value);
        else if (!strcmp(line, "gpu") && gpu_count < MAX_GPUS) clear(device = &gpus[gpu_count++], value);
        else if (!strcmp(line, "mig_device") && gpu_count && gpus[gpu_count - 1].mig_count < MAX_MIG)
            clear(device = &instances[gpu_count - 1][gpus[gpu_count - 1].mig_count++], value);
        else if (device) set_field(device, line, value);
    }
}

/* Called with the lock held. */
static int reload(void) {
    const char *path = getenv("FAKE_NVML_SCRIPT");
    struct stat now;
    if (!path || stat(path, &now)) return DRIVER_NOT_LOADED;
    if (now.st_ino == seen.st_ino && now.st_dev == seen.st_dev && now.st_size == seen.st_size
        && now.st_mtim.tv_sec == seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
        return SUCCESS;
    FILE *file = fopen(path, "r");
    if (!file) return DRIVER_NOT_LOADED;
    parse(file);
    fclose(file);
    seen = now;
    return SUCCESS;
}

static int failure(const Device *device, const char *key) {
    for (int i = 0; i < device->fail_count; i++)
        if (!strcmp(device->fails[i].key, key) || !strcmp(device->fails[i].key, "all")) return device->fails[i].code;
    return SUCCESS;
}

static int gpu_index(const Device *device) {
    if (device >= gpus && device < gpus + MAX_GPUS) return (int)(device - gpus);
    return (int)((device - &instances[0][0]) / MAX_MIG);
}

/* Every device call: locked, against the newest script, refused when the script says so. */
static int enter(const Device *device, const char *key) {
    pthread_mutex_lock(&lock);
    if (!initialised) return UNINITIALIZED;
    int result = reload();
    if (result || !device) return result;
    return gpu_index(device) < gpu_count ? failure(device, key) : NOT_FOUND;
}

static int leave(int result) {
    pthread_mutex_unlock(&lock);
    return result;
}

static int number(int64_t field, unsigned *out) {
    if (field == UNSET) return NOT_SUPPORTED;
    *out = (unsigned)field;
    return SUCCESS;
}

/* Session leader below the calling process: what a wildcard stands for, since a job leads its session. */
static int is_job(long pid) {
    if (pid == getpid() || getsid((pid_t)pid) != pid) return 0;
    for (int depth = 0; depth < 64 && pid > 1; depth++) {
        char path[64], text[512];
        snprintf(path, sizeof path, "/proc/%ld/stat", pid);
        FILE *file = fopen(path, "r");
        size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
        if (file) fclose(file);
        text[length] = 0;
        char *end = strrchr(text, ')');
        if (!end || sscanf(end + 1, " %*c %ld", &pid) != 1) return 0;
        if (pid == getpid()) return 1;
    }
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

static int expand(const Device *device, Process *out) {
    int count = 0;
    for (int i = 0; i < device->process_count && count < MAX_PROCESSES; i++) {
        const Process *process = &device->processes[i];
        if (process->pid != WILDCARD) out[count++] = *process;
        else count = add_jobs(out, count, process->bytes);
    }
    return count;
}

static int64_t used_bytes(const Device *device) {
    if (device->used != UNSET) return device->used;
    Process processes[MAX_PROCESSES];
    int64_t used = device->base_used;
    int count = expand(device, processes);
    for (int i = 0; i < count; i++)
        if (processes[i].bytes != NOT_AVAILABLE) used += (int64_t)processes[i].bytes;
    return used;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    int result = reload();
    if (!result) result = init_error;
    if (!result) initialised++;
    return leave(result);
}

int nvmlShutdown(void) {
    int result = enter(NULL, "");
    if (initialised) initialised--;
    return leave(result);
}

const char *nvmlErrorString(int code) {
    static __thread char text[32];
    snprintf(text, sizeof text, "fake error %d", code);
    return text;
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    int result = enter(NULL, "");
    snprintf(out, size, "%s", driver_version);
    return leave(result);
}

int nvmlSystemGetCudaDriverVersion(int *out) {
    int result = enter(NULL, "");
    *out = cuda_version;
    return leave(result);
}

int nvmlDeviceGetCount_v2(unsigned *out) {
    int result = enter(NULL, "");
    *out = (unsigned)gpu_count;
    return leave(result);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    int result = enter(NULL, "");
    if (!result) result = index < (unsigned)gpu_count ? failure(&gpus[index], "handle") : INVALID_ARGUMENT;
    if (!result) *out = &gpus[index];
    return leave(result);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **out) {
    int result = enter(NULL, "");
    Device *found = NULL;
    for (int i = 0; i < gpu_count; i++) {
        if (!strcmp(gpus[i].uuid, uuid)) found = &gpus[i];
        for (int j = 0; j < gpus[i].mig_count; j++)
            if (!strcmp(instances[i][j].uuid, uuid)) found = &instances[i][j];
    }
    if (!result) result = found ? failure(found, "handle") : NOT_FOUND;
    if (!result) *out = found;
    return leave(result);
}

int nvmlDeviceGetUUID(Device *device, char *out, unsigned size) {
    int result = enter(device, "uuid");
    snprintf(out, size, "%s", device->uuid);
    return leave(result);
}

int nvmlDeviceGetName(Device *device, char *out, unsigned size) {
    int result = enter(device, "name");
    snprintf(out, size, "%s", device->name);
    return leave(result);
}

int nvmlDeviceGetMemoryInfo(Device *device, Memory *out) {
    int result = enter(device, "memory");
    if (!result && device->total == UNSET) result = NOT_SUPPORTED;
    if (!result) {
        out->total = (uint64_t)device->total;
        out->used = (uint64_t)(used_bytes(device) + device->reserved);
        out->free = out->total - out->used;
    }
    return leave(result);
}

int nvmlDeviceGetMemoryInfo_v2(Device *device, MemoryV2 *out) {
    int result = enter(device, "memory");
    if (!result && out->version != (sizeof(MemoryV2) | 2 << 24)) result = VERSION_MISMATCH;
    if (!result && device->total == UNSET) result = NOT_SUPPORTED;
    if (!result) {
        out->total = (uint64_t)device->total;
        out->reserved = (uint64_t)device->reserved;
        out->used = (uint64_t)used_bytes(device);
        out->free = out->total - out->reserved - out->used;
    }
    return leave(result);
}

int nvmlDeviceGetUtilizationRates(Device *device, Utilization *out) {
    int result = enter(device, "utilization");
    if (!result) result = number(device->utilization, &out->gpu);
    if (!result) result = number(device->memory_utilization, &out->memory);
    return leave(result);
}

int nvmlDeviceGetPowerUsage(Device *device, unsigned *out) {
    int result = enter(device, "power");
    return leave(result ? result : number(device->power, out));
}

int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *out) {
    (void)sensor;
    int result = enter(device, "temperature");
    return leave(result ? result : number(device->temperature, out));
}

int nvmlDeviceGetTotalEnergyConsumption(Device *device, uint64_t *out) {
    int result = enter(device, "energy");
    if (!result && device->energy == UNSET) result = NOT_SUPPORTED;
    if (!result) *out = (uint64_t)device->energy;
    return leave(result);
}

int nvmlDeviceGetMigMode(Device *device, unsigned *current, unsigned *pending) {
    int result = enter(device, "mig");
    if (!result) result = number(device->mig, current);
    *pending = *current;
    return leave(result);
}

int nvmlDeviceGetMaxMigDeviceCount(Device *device, unsigned *out) {
    int result = enter(device, "mig");
    *out = MAX_MIG;
    return leave(result);
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device *device, unsigned index, Device **out) {
    int result = enter(device, "mig");
    if (!result && index >= (unsigned)device->mig_count) result = NOT_FOUND;
    if (!result) *out = &instances[gpu_index(device)][index];
    return leave(result);
}

static int running_processes(Device *device, unsigned *count, ProcessInfo *out) {
    Process processes[MAX_PROCESSES];
    int result = enter(device, "processes");
    int found = result ? 0 : expand(device, processes);
    int room = out ? (int)*count : 0;
    if (!result) *count = (unsigned)found;
    if (!result && found > room) result = INSUFFICIENT_SIZE;
    for (int i = 0; !result && i < found; i++) {
        out[i] = (ProcessInfo){(unsigned)processes[i].pid, processes[i].bytes, ~0u, ~0u};
        if (device->swapped) out[i].pid = (unsigned)processes[i].bytes, out[i].used = (uint64_t)processes[i].pid;
    }
    return leave(result);
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, ProcessInfo *out) {
    return running_processes(device, count, out);
}

int nvmlDeviceGetComputeRunningProcesses_v2(Device *device, unsigned *count, ProcessInfo *out) {
    return running_processes(device, count, out);
}

int nvmlEventSetCreate(EventSet **out) {
    int result = enter(NULL, "");
    if (!result) *out = calloc(1, sizeof **out);
    return leave(result);
}

int nvmlDeviceRegisterEvents(Device *device, unsigned long long types, EventSet *set) {
    (void)types;
    int result = enter(device, "events");
    if (!result) {
        set->listens[gpu_index(device)] = 1;
        set->told[gpu_index(device)] = device->xid_count;
    }
    return leave(result);
}

int nvmlEventSetWait_v2(EventSet *set, EventData *out, unsigned timeout_ms) {
    (void)timeout_ms;
    int result = enter(NULL, "");
    if (result) return leave(result);
    for (int i = 0; i < gpu_count; i++) {
        if (!set->listens[i] || set->told[i] >= gpus[i].xid_count) continue;
        *out = (EventData){&gpus[i], 8, gpus[i].xids[set->told[i]++], ~0u, ~0u};
        return leave(SUCCESS);
    }
    return leave(TIMEOUT);
}
