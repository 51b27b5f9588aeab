/* What CUDA says about a card: properties, attributes and versions. */
#include "emulated.h"

#include <stdio.h>
#include <string.h>

enum { WARP = 32, THREADS_PER_BLOCK = 1024, REGISTERS = 65536, STATIC_SHARED_BYTES = 49152, RESERVED_SHARED_BYTES = 1024 };
enum { CUDA_VERSION = 13000, LARGEST_GRID = 2147483647 };

static int hex(char digit) {
    return digit >= 'a' ? digit - 'a' + 10 : digit >= 'A' ? digit - 'A' + 10 : digit - '0';
}

/* The sixteen bytes of GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx. */
static void set_uuid(char *out, const char *text) {
    const char *digit = strchr(text, '-');
    for (int i = 0; digit && i < 16; i++) {
        while (*digit == '-') digit++;
        if (!digit[0] || !digit[1]) return;
        out[i] = (char)(hex(digit[0]) << 4 | hex(digit[1]));
        digit += 2;
    }
}

static void set_limits(DeviceProperties *out) {
    out->shared_bytes_per_block = STATIC_SHARED_BYTES;
    out->registers_per_block = out->registers_per_multiprocessor = REGISTERS;
    out->warp_size = WARP;
    out->memory_pitch = LARGEST_GRID;
    out->threads_per_block = out->block_dim[0] = out->block_dim[1] = THREADS_PER_BLOCK;
    out->block_dim[2] = 64;
    out->grid_dim[0] = LARGEST_GRID;
    out->grid_dim[1] = out->grid_dim[2] = 65535;
    out->constant_bytes = 65536;
    out->texture_alignment = out->surface_alignment = 512;
    out->texture_pitch_alignment = 32;
}

static void set_abilities(DeviceProperties *out) {
    out->can_map_host_memory = out->concurrent_kernels = out->unified_addressing = 1;
    out->stream_priorities = out->global_l1 = out->local_l1 = out->managed_memory = 1;
    out->concurrent_managed_access = out->compute_preemption = out->registered_host_pointer = 1;
    out->cooperative_launch = out->host_register = out->memory_pools = 1;
    out->async_engines = 3;
}

static void set_card(DeviceProperties *out, const Gpu *card) {
    snprintf(out->name, sizeof out->name, "%s", card->name);
    set_uuid(out->uuid, card->uuid);
    out->total_bytes = (size_t)(card->total - card->reserved);
    out->major = (int)card->major;
    out->minor = (int)card->minor;
    out->multiprocessors = (int)card->multiprocessors;
    out->ecc = (int)card->ecc;
    out->bus_bits = (int)card->bus_bits;
    out->l2_bytes = (int)card->l2_bytes;
    out->threads_per_multiprocessor = (int)card->threads_per_multiprocessor;
    out->blocks_per_multiprocessor = (int)card->blocks_per_multiprocessor;
    out->shared_bytes_per_multiprocessor = (size_t)card->shared_bytes;
    out->shared_bytes_per_block_optin = (size_t)card->shared_bytes_per_block;
    out->reserved_shared_bytes_per_block = card->major >= 8 ? RESERVED_SHARED_BYTES : 0;
    out->cluster_launch = card->major >= 9;
}

API int cudaGetDeviceProperties(DeviceProperties *out, int device) {
    const Gpu *card = device_card(device);
    if (!card) return failed(INVALID_DEVICE);
    memset(out, 0, sizeof *out);
    set_limits(out);
    set_abilities(out);
    set_card(out, card);
    out->pci_bus = device + 1;
    return SUCCESS;
}

/* By CUDA's numbers of attributes; 0 for the abilities that the emulator does not have. */
static int attribute(const Gpu *card, int number) {
    switch (number) {
    case 1: case 2: case 3: return THREADS_PER_BLOCK;
    case 4: return 64;
    case 5: case 11: return LARGEST_GRID;
    case 6: case 7: return 65535;
    case 8: return STATIC_SHARED_BYTES;
    case 9: case 12: case 82: return REGISTERS;
    case 10: return WARP;
    case 13: return (int)card->clock_khz;
    case 14: return 512;
    case 16: return (int)card->multiprocessors;
    case 32: return (int)card->ecc;
    case 36: return (int)card->memory_clock_khz;
    case 37: return (int)card->bus_bits;
    case 38: return (int)card->l2_bytes;
    case 39: return (int)card->threads_per_multiprocessor;
    case 40: return 3; /* copy engines */
    case 75: return (int)card->major;
    case 76: return (int)card->minor;
    case 81: return (int)card->shared_bytes;
    case 97: return (int)card->shared_bytes_per_block;
    case 106: return (int)card->blocks_per_multiprocessor;
    case 111: return card->major >= 8 ? RESERVED_SHARED_BYTES : 0;
    case 120: return card->major >= 9; /* clusters */
    /* overlap, mapped host memory, concurrent kernels, unified addresses, priorities, caches, managed memory,
     * preemption, cooperative launches, host registration, virtual memory, memory pools */
    case 15: case 19: case 31: case 41: case 78: case 79: case 80: case 83: case 89: case 90: case 91: case 95:
    case 99: case 102: case 115: return 1;
    default: return 0;
    }
}

API int cudaDeviceGetAttribute(int *out, int number, int device) {
    const Gpu *card = device_card(device);
    if (!card) return failed(INVALID_DEVICE);
    *out = attribute(card, number);
    return SUCCESS;
}

API int cuDeviceGetAttribute(int *out, int number, int device) {
    return cudaDeviceGetAttribute(out, number, device);
}

API int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return SUCCESS;
}

API int cudaDriverGetVersion(int *out) {
    *out = CUDA_VERSION;
    return SUCCESS;
}

API int cudaRuntimeGetVersion(int *out) {
    return cudaDriverGetVersion(out);
}

API int cuDriverGetVersion(int *out) {
    return cudaDriverGetVersion(out);
}
