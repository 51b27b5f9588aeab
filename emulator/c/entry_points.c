/* How torch finds the driver's functions by name. Only what this library defines is found. */
#define _GNU_SOURCE
#include "emulated.h"

#include <dlfcn.h>
#include <string.h>

static void *own_function(const char *name) {
    static void *self;
    Dl_info info;
    if (!self && dladdr((void *)own_function, &info)) self = dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
    return self ? dlsym(self, name) : NULL;
}

API int cudaGetDriverEntryPointByVersion(const char *name, void **out, unsigned version UNUSED,
                                         unsigned long long flags UNUSED, int *status) {
    enum { FOUND = 0, NOT_FOUND = 1 };
    *out = own_function(name);
    if (status) *status = *out ? FOUND : NOT_FOUND;
    return SUCCESS;
}

/* Private tables of the driver. The compiler of kernels (NVRTC) reads them without asking whether there are any: it gets
 * one that says of itself that it is empty. Everybody else, cuDNN first of all, hears that there are none. */
API int cuGetExportTable(const void **out, const void *id UNUSED) {
    static const size_t empty[8] = {sizeof(size_t)};
    Dl_info caller;
    int is_compiler = dladdr(__builtin_return_address(0), &caller) && strstr(caller.dli_fname, "libnvrtc");
    *out = is_compiler ? empty : NULL;
    return is_compiler ? SUCCESS : NOT_SUPPORTED;
}
