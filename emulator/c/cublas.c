/* cuBLAS and cuBLASLt: products take the workspace that torch gives them, and nothing else. The calls that only return
 * "done" are listed in names.txt. */
#include "emulated.h"

#include <stdlib.h>
#include <string.h>

enum { LT_VERSION = 130100, DESCRIPTOR_BYTES = 64, NOT_INITIALIZED_BLAS = 1 };

API int cublasCreate_v2(Token *out) {
    device_load_cublas();
    *out = new_token();
    return cudaPeekAtLastError() ? NOT_INITIALIZED_BLAS : SUCCESS;
}

API int cublasGetMathMode(Token handle UNUSED, int *out) {
    *out = 0;
    return SUCCESS;
}

API int cublasGetPointerMode_v2(Token handle UNUSED, int *out) {
    *out = 0;
    return SUCCESS;
}

API size_t cublasLtGetVersion(void) { return LT_VERSION; }

static int create(void **out) {
    *out = calloc(1, DESCRIPTOR_BYTES);
    return *out ? SUCCESS : OUT_OF_MEMORY;
}

static int destroy(void *descriptor) {
    free(descriptor);
    return SUCCESS;
}

API int cublasLtMatmulDescCreate(void **out, int compute UNUSED, int scale UNUSED) { return create(out); }
API int cublasLtMatmulDescDestroy(void *descriptor) { return destroy(descriptor); }
API int cublasLtMatmulPreferenceCreate(void **out) { return create(out); }
API int cublasLtMatmulPreferenceDestroy(void *descriptor) { return destroy(descriptor); }
API int cublasLtMatrixLayoutDestroy(void *descriptor) { return destroy(descriptor); }

API int cublasLtMatrixLayoutCreate(void **out, int type UNUSED, uint64_t rows UNUSED, uint64_t columns UNUSED,
                                   int64_t stride UNUSED) {
    return create(out);
}

API int cublasLtMatmulAlgoGetHeuristic(Token handle UNUSED, void *operation UNUSED, void *a UNUSED, void *b UNUSED,
                                       void *c UNUSED, void *d UNUSED, void *preference UNUSED, int wanted UNUSED,
                                       MatmulHeuristic *out, int *count) {
    memset(out, 0, sizeof *out);
    *count = 1;
    return SUCCESS;
}

/* ---- batched factorizations: `info` is in the host's memory, and says that no argument is wrong */

static int factorized(int *info) {
    *info = 0;
    return SUCCESS;
}

#define BATCHED(TYPE) \
    API int cublas##TYPE##geqrfBatched(Token handle UNUSED, int rows UNUSED, int columns UNUSED, void *a UNUSED, \
                                       int a_stride UNUSED, void *tau UNUSED, int *info, int count UNUSED) { \
        return factorized(info); \
    } \
    API int cublas##TYPE##gelsBatched(Token handle UNUSED, int operation UNUSED, int rows UNUSED, int columns UNUSED, \
                                      int sides UNUSED, void *a UNUSED, int a_stride UNUSED, void *c UNUSED, \
                                      int c_stride UNUSED, int *info, int *infos UNUSED, int count UNUSED) { \
        return factorized(info); \
    } \
    API int cublas##TYPE##getrsBatched(Token handle UNUSED, int operation UNUSED, int order UNUSED, int sides UNUSED, \
                                       const void *a UNUSED, int a_stride UNUSED, const int *pivots UNUSED, \
                                       void *b UNUSED, int b_stride UNUSED, int *info, int count UNUSED) { \
        return factorized(info); \
    }
BATCHED(S)
BATCHED(D)
BATCHED(C)
BATCHED(Z)
