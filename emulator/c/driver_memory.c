/* Memory in the driver's two halves, addresses and pages, as expandable segments use them. */
#include "emulated.h"

#include <stdlib.h>
#include <string.h>

typedef struct { size_t bytes; int device; } Pages;

API int cuMemGetAllocationGranularity(size_t *out, const AllocationProperties *wanted UNUSED, int kind UNUSED) {
    *out = DEVICE_PAGE;
    return SUCCESS;
}

API int cuMemAddressReserve(void **out, size_t bytes, size_t alignment, void *wanted UNUSED, uint64_t flags UNUSED) {
    *out = address_take(whole_pages(bytes), alignment, current_device).start;
    return *out ? SUCCESS : OUT_OF_MEMORY;
}

API int cuMemAddressFree(void *start, size_t bytes UNUSED) {
    return address_give_back(start).start ? SUCCESS : INVALID_VALUE;
}

API int cuMemCreate(Pages **out, size_t bytes, const AllocationProperties *wanted, uint64_t flags UNUSED) {
    int device = wanted->location.id;
    int result = device_enter(device);
    if (result) return result;
    Pages *pages = malloc(sizeof *pages);
    if (!pages || !device_take(device, bytes)) {
        free(pages);
        return OUT_OF_MEMORY;
    }
    *pages = (Pages){bytes, device};
    *out = pages;
    return SUCCESS;
}

API int cuMemRelease(Pages *pages) {
    device_give_back(pages->device, pages->bytes);
    free(pages);
    return SUCCESS;
}

API int cuMemGetAddressRange(void **start, size_t *bytes, void *pointer) {
    Block block = address_block(pointer);
    if (!block.start) return INVALID_VALUE;
    *start = block.start;
    *bytes = block.bytes;
    return SUCCESS;
}

API int cuPointerGetAttribute(void *out, int attribute, const void *pointer) {
    enum { CONTEXT = 1, MEMORY_TYPE = 2, IS_DEVICE = 2, DEVICE_POINTER = 3, DEVICE_ORDINAL = 9 };
    Block block = address_block(pointer);
    if (!block.start) return INVALID_VALUE;
    if (attribute == CONTEXT) return cuCtxGetCurrent(out);
    if (attribute == MEMORY_TYPE) *(unsigned *)out = IS_DEVICE;
    else if (attribute == DEVICE_POINTER) *(const void **)out = pointer;
    else if (attribute == DEVICE_ORDINAL) *(int *)out = block.device;
    else return refused("this attribute of cuPointerGetAttribute", NOT_SUPPORTED);
    return SUCCESS;
}
