/* CUDA's structures, declared by ourselves: only what is used of them, in the layout of CUDA 13.
 * tests/unit/emulator checks them against the headers that come with torch. */
#ifndef STRUCTURES_H
#define STRUCTURES_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char name[256], uuid[16], luid[8];
    unsigned luid_device_node_mask;
    size_t total_bytes, shared_bytes_per_block;
    int registers_per_block, warp_size;
    size_t memory_pitch;
    int threads_per_block, block_dim[3], grid_dim[3];
    size_t constant_bytes;
    int major, minor;
    size_t texture_alignment, texture_pitch_alignment;
    int multiprocessors, integrated, can_map_host_memory;
    int textures[39]; /* texture and surface limits, one after the other */
    size_t surface_alignment;
    int concurrent_kernels, ecc, pci_bus, pci_device, pci_domain, tcc_driver, async_engines, unified_addressing;
    int bus_bits, l2_bytes, persisting_l2_bytes, threads_per_multiprocessor, stream_priorities, global_l1, local_l1;
    size_t shared_bytes_per_multiprocessor;
    int registers_per_multiprocessor, managed_memory, multi_gpu_board, multi_gpu_board_group, host_atomics;
    int pageable_access, concurrent_managed_access, compute_preemption, registered_host_pointer, cooperative_launch;
    size_t shared_bytes_per_block_optin;
    int pageable_page_tables, direct_managed_access, blocks_per_multiprocessor, access_policy_window;
    size_t reserved_shared_bytes_per_block;
    int host_register, sparse_arrays, host_register_read_only, timeline_semaphores, memory_pools, rdma;
    unsigned rdma_flush;
    int rdma_ordering;
    unsigned pool_handle_types;
    int deferred_mapping, ipc_events, cluster_launch, unified_function_pointers, numa_config, numa_id, mps;
    int host_numa_id;
    unsigned pci_device_id, pci_subsystem_id;
    int host_numa_multinode_ipc, unused[56];
} DeviceProperties; /* cudaDeviceProp */

typedef struct { int type, device; void *device_pointer, *host_pointer; long unused[8]; } PointerAttributes;

typedef struct {
    size_t shared_bytes, constant_bytes, local_bytes;
    int threads_per_block, registers, ptx_version, binary_version, cache_mode, dynamic_shared_bytes;
    int carveout, cluster_must_be_set, cluster_dim[3], cluster_policy, non_portable_cluster, unused[16];
} FunctionAttributes;

typedef struct { int type, id; } MemoryLocation;
typedef struct {
    int type, handle_types;
    MemoryLocation location;
    void *win32;
    unsigned char flags[8];
} AllocationProperties; /* CUmemAllocationProp */

typedef struct {
    uint64_t algorithm[8];
    size_t workspace_bytes;
    int state;
    float waves;
    int unused[4];
} MatmulHeuristic; /* cublasLtMatmulHeuristicResult_t */

#endif
