/* cuDNN's sizes: of recurrent layers, dropout, CTC and batch norm. Its own functions compute them, from a handle.
 *
 * A handle needs a device. But it begins with the properties of that device, and the sizes depend on nothing else of
 * it. So the functions get zeros that begin with the properties which cuDNN has read from the card's description.
 */
#define _GNU_SOURCE
#include "emulated.h"

#include <dlfcn.h>
#include <string.h>

enum {
    HANDLE_BYTES = 4096, PROPERTIES_BYTES = 112, SEARCHED_BYTES = 256,
    NOT_SUPPORTED_CUDNN = 3000, NO_RUNTIME = 5003
};
#define NOT_STORED SIZE_MAX
typedef int Function();
typedef int Dropout(Token, void *, float, void *, size_t, unsigned long long);

/* Where a description holds the properties, found by what they begin with; NULL where cuDNN no longer keeps them so. */
static const char *properties_in(const char *description, const Gpu *card) {
    const int beginning[] = {INT32_MAX, 65535, 65535, 1024, 1024, 64, 65536, (int)card->multiprocessors};
    for (size_t at = 0; at < SEARCHED_BYTES; at += sizeof *beginning)
        if (!memcmp(description + at, beginning, sizeof beginning)) return description + at;
    return NULL;
}

/* For the current device; NULL where there is none. Two threads may make it at the same time: both write the same. */
static void *described_handle(void) {
    static _Alignas(16) char handles[MAX_GPUS][HANDLE_BYTES];
    const Gpu *card = device_card(current_device);
    const char *description = cudnn_description();
    const char *properties = card && description ? properties_in(description, card) : NULL;
    return properties ? memcpy(handles[current_device], properties, PROPERTIES_BYTES) : NULL;
}

static void *real(const char *name) {
    void *library = dlopen("libcudnn.so.9", RTLD_LAZY | RTLD_NOLOAD);
    return library ? dlsym(library, name) : NULL;
}

/* What the real function answers to these arguments and the described handle. */
#define ANSWER(name, ...) ({ \
    Function *function = real(#name); \
    void *described = described_handle(); \
    function && described ? function(described, __VA_ARGS__) : refused(#name, NOT_SUPPORTED_CUDNN); \
})

/* ---- recurrent layers */

API int cudnnGetRNNWeightSpaceSize(Token handle UNUSED, Token layer, size_t *out) {
    return ANSWER(cudnnGetRNNWeightSpaceSize, layer, out);
}

/* Addresses within the weights: computed, and not read. */
API int cudnnGetRNNWeightParams(Token handle UNUSED, Token layer, int index, size_t bytes, const void *space, int gate,
                                Token matrix, void **matrix_start, Token bias, void **bias_start) {
    return ANSWER(cudnnGetRNNWeightParams, layer, index, bytes, space, gate, matrix, matrix_start, bias, bias_start);
}

/* cuDNN stores both sizes. Last, it asks CUDA's runtime for the current device, which fails here: that error alone is
 * left out. */
API int cudnnGetRNNTempSpaceSizes(Token handle UNUSED, Token layer, int is_training, Token x, size_t *workspace,
                                  size_t *reserve) {
    size_t found[2] = {NOT_STORED, NOT_STORED};
    int result = ANSWER(cudnnGetRNNTempSpaceSizes, layer, is_training, x, &found[0], &found[1]);
    int are_stored = found[0] != NOT_STORED && found[1] != NOT_STORED;
    if (result && !(result == NO_RUNTIME && are_stored)) return result;
    if (workspace) *workspace = found[0];
    if (reserve) *reserve = found[1];
    return SUCCESS;
}

/* ---- dropout */

API int cudnnDropoutGetStatesSize(Token handle UNUSED, size_t *out) {
    void *described = described_handle();
    Function *function = real("cudnnDropoutGetStatesSize");
    return function && described ? function(described, out) : refused("cudnnDropoutGetStatesSize", NOT_SUPPORTED_CUDNN);
}

static int set_dropout(const char *name, Token dropout, float probability, void *states, size_t bytes,
                       unsigned long long seed) {
    void *described = described_handle();
    Dropout *function = real(name);
    return function && described ? function(dropout, described, probability, states, bytes, seed)
                                 : refused(name, NOT_SUPPORTED_CUDNN);
}

API int cudnnRestoreDropoutDescriptor(Token dropout, Token handle UNUSED, float probability, void *states, size_t bytes,
                                      unsigned long long seed) {
    return set_dropout("cudnnRestoreDropoutDescriptor", dropout, probability, states, bytes, seed);
}

/* States would be set by a kernel: to restore them does the same without one. */
API int cudnnSetDropoutDescriptor(Token dropout, Token handle UNUSED, float probability, void *states, size_t bytes,
                                  unsigned long long seed) {
    const char *name = states ? "cudnnRestoreDropoutDescriptor" : "cudnnSetDropoutDescriptor";
    return set_dropout(name, dropout, probability, states, bytes, seed);
}

/* ---- CTC */

API int cudnnGetCTCLossWorkspaceSize(Token handle UNUSED, Token scores, Token gradients, const int *labels,
                                     const int *label_lengths, const int *input_lengths, int algorithm, Token loss,
                                     size_t *out) {
    return ANSWER(cudnnGetCTCLossWorkspaceSize, scores, gradients, labels, label_lengths, input_lengths, algorithm, loss,
                  out);
}

API int cudnnGetCTCLossWorkspaceSize_v8(Token handle UNUSED, int algorithm, Token loss, Token scores, Token gradients,
                                        size_t *out) {
    return ANSWER(cudnnGetCTCLossWorkspaceSize_v8, algorithm, loss, scores, gradients, out);
}

/* ---- batch norm */

API int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(Token handle UNUSED, int mode, int operations, Token x,
        Token z, Token y, Token scale, Token activation, size_t *out) {
    return ANSWER(cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize, mode, operations, x, z, y, scale, activation,
                  out);
}

API int cudnnGetBatchNormalizationBackwardExWorkspaceSize(Token handle UNUSED, int mode, int operations, Token x, Token y,
        Token dy, Token dz, Token dx, Token scale, Token activation, size_t *out) {
    return ANSWER(cudnnGetBatchNormalizationBackwardExWorkspaceSize, mode, operations, x, y, dy, dz, dx, scale, activation,
                  out);
}

API int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(Token handle UNUSED, int mode, int operations,
        Token activation, Token x, size_t *out) {
    return ANSWER(cudnnGetBatchNormalizationTrainingExReserveSpaceSize, mode, operations, activation, x, out);
}
