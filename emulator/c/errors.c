/* The errors of the CUDA runtime, and the honest refusal of what is not emulated. */
#include "emulated.h"

#include <stdio.h>
#include <string.h>

static __thread int last_error;
static __thread char refusal[160];

static const struct { int code; const char *name, *text; } ERRORS[] = {
    {SUCCESS, "cudaSuccess", "no error"},
    {INVALID_VALUE, "cudaErrorInvalidValue", "invalid argument"},
    {OUT_OF_MEMORY, "cudaErrorMemoryAllocation", "out of memory"},
    {NOT_INITIALIZED, "cudaErrorInitializationError", "initialization error"},
    {46, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable"},
    {NO_DEVICE, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {214, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {700, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {719, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {NOT_SUPPORTED, "cudaErrorNotSupported", "operation not supported"},
    {999, "cudaErrorUnknown", "unknown error"},
};
enum { ERROR_COUNT = sizeof ERRORS / sizeof *ERRORS };

int failed(int code) {
    if (code) last_error = code;
    return code;
}

int refused(const char *name, int code) {
    snprintf(refusal, sizeof refusal, "the emulated GPU does not have %s", name);
    fprintf(stderr, "gpulab: %s\n", refusal);
    return code;
}

const char *last_refusal(void) {
    return refusal[0] ? refusal : NULL;
}

static int find(int code) {
    int at = 0;
    while (at < ERROR_COUNT - 1 && ERRORS[at].code != code) at++;
    return at;
}

API int cudaGetLastError(void) {
    int code = last_error;
    last_error = SUCCESS;
    return code;
}

API int cudaPeekAtLastError(void) {
    return last_error;
}

API const char *cudaGetErrorString(int code) {
    return code == NOT_SUPPORTED && last_refusal() ? last_refusal() : ERRORS[find(code)].text;
}

API const char *cudaGetErrorName(int code) {
    return ERRORS[find(code)].name;
}

API int cuGetErrorString(int code, const char **text) {
    *text = cudaGetErrorString(code);
    return SUCCESS;
}

API int cuGetErrorName(int code, const char **text) {
    *text = cudaGetErrorName(code);
    return SUCCESS;
}
