/* Streams, events and graphs: everything is finished as soon as it is asked for. */
#include "emulated.h"

#include <stddef.h>

Token new_token(void) {
    static long last = 0x1000;
    return (Token)__sync_add_and_fetch(&last, 16);
}

static int create(Token *out) {
    int result = device_enter(current_device);
    if (!result) *out = new_token();
    return result;
}

API int cudaStreamCreate(Token *out) { return create(out); }
API int cudaStreamCreateWithFlags(Token *out, unsigned flags UNUSED) { return create(out); }
API int cudaStreamCreateWithPriority(Token *out, unsigned flags UNUSED, int priority UNUSED) { return create(out); }
API int cudaStreamQuery(Token stream UNUSED) { return device_enter(current_device); }
API int cudaStreamSynchronize(Token stream UNUSED) { return device_enter(current_device); }

API int cudaStreamGetPriority(Token stream UNUSED, int *out) {
    *out = 0;
    return SUCCESS;
}

API int cudaStreamAddCallback(Token stream, void (*call)(Token, int, void *), void *data, unsigned flags UNUSED) {
    call(stream, SUCCESS, data);
    return SUCCESS;
}

API int cudaLaunchHostFunc(Token stream UNUSED, void (*call)(void *), void *data) {
    call(data);
    return SUCCESS;
}

/* ---- events: nothing is known of a card's time. Any two lie one millisecond apart, so that what chooses by time, as
 * cudnn.benchmark does, chooses the same thing each time: the first. */

API int cudaEventCreateWithFlags(Token *out, unsigned flags UNUSED) { return create(out); }
API int cudaEventCreate(Token *out) { return create(out); }
API int cudaEventRecord(Token event UNUSED, Token stream UNUSED) { return device_enter(current_device); }
API int cudaEventRecordWithFlags(Token event, Token stream, unsigned flags UNUSED) {
    return cudaEventRecord(event, stream);
}
API int cudaEventQuery(Token event UNUSED) { return device_enter(current_device); }
API int cudaEventSynchronize(Token event UNUSED) { return device_enter(current_device); }

API int cudaEventElapsedTime(float *out, Token from UNUSED, Token to UNUSED) {
    *out = 1.0f;
    return SUCCESS;
}

/* ---- graphs: captured so that the allocator's pools for them are used, and replayed as nothing */

static Token captured_stream, graph;
static int is_capturing;
static unsigned long long capture_id;

API int cudaStreamBeginCapture(Token stream, int mode UNUSED) {
    captured_stream = stream;
    graph = new_token();
    is_capturing = 1;
    capture_id++;
    return SUCCESS;
}

API int cudaStreamEndCapture(Token stream UNUSED, Token *out) {
    is_capturing = 0;
    *out = graph;
    return SUCCESS;
}

API int cudaStreamIsCapturing(Token stream, int *out) {
    *out = is_capturing && stream == captured_stream;
    return SUCCESS;
}

API int cudaStreamGetCaptureInfo(Token stream, int *status, unsigned long long *id, Token *of, const Token **nodes,
                                 const void **edges, size_t *count) {
    if (id) *id = capture_id;
    if (of) *of = graph;
    if (nodes) *nodes = NULL;
    if (edges) *edges = NULL;
    if (count) *count = 0;
    return cudaStreamIsCapturing(stream, status);
}

API int cudaGraphInstantiateWithFlags(Token *out, Token of UNUSED, unsigned long long flags UNUSED) {
    return create(out);
}

API int cudaGraphGetNodes(Token of UNUSED, Token *nodes UNUSED, size_t *count) {
    *count = 1; /* torch warns of a graph without any */
    return SUCCESS;
}

API int cudaThreadExchangeStreamCaptureMode(int *mode) {
    *mode = 0;
    return SUCCESS;
}

API int cudaUserObjectCreate(Token *out, void *data UNUSED, void (*destroy)(void *) UNUSED, unsigned count UNUSED,
                             unsigned flags UNUSED) {
    *out = new_token();
    return SUCCESS;
}
