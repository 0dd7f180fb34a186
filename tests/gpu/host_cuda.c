/* A libcuda.so.1 for tests: its GPU memory is host memory, so that real clients of the driver run where there is no GPU.
 *
 * It is a stand-in for the driver's interface, never evidence about a GPU: nothing here computes. An engine's double
 * enqueues its work with `host_cuda_enqueue`; it runs at once, or when its stream is waited for (HOST_CUDA_DEFERRED), or
 * is recorded while the stream captures and then runs with every launch of the graph.
 *
 * Read when the library is first used:
 *   HOST_CUDA_DEVICES=1            how many GPUs there are
 *   HOST_CUDA_INTEGRATED=0         whether the GPU shares the host's memory
 *   HOST_CUDA_CAPABILITY=8.9       its compute capability
 *   HOST_CUDA_NAME="Host CUDA"     its name
 *   HOST_CUDA_MEMORY=1073741824    its bytes; one more is out of memory
 *   HOST_CUDA_DEFERRED=0           1: a stream's work waits for somebody to wait for it
 *   HOST_CUDA_NO_CAPTURE=0         1: work that is enqueued while its stream captures breaks the capture
 *   HOST_CUDA_FAIL_AFTER=-1        every call after this many launches fails, as after an illegal access; 0: after cuInit
 *   HOST_CUDA_CONTEXTS_FAIL=1      0: those of the stack of contexts go on working
 *
 * Compiled with -DWITHOUT_GRAPH_FLAGS it lacks cuGraphInstantiateWithFlags, as drivers before CUDA 11.4 do.
 */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* CUresult, of cuda.h */
enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400, NOT_READY = 600, ILLEGAL_ADDRESS = 700, NOT_SUPPORTED = 801, CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901
};
enum { MULTIPROCESSORS = 16, INTEGRATED = 18, CAN_MAP_HOST_MEMORY = 19, UNIFIED_ADDRESSING = 41, MAJOR = 75, MINOR = 76 };
enum { DEVICEMAP = 2, STACK = 16 };

/* What tests may ask for with `host_cuda_count`. Of the first row, how many live; of the others, how often. */
#define COUNTS(X) \
    X(device_allocations) X(host_allocations) X(streams) X(events) X(graphs) X(graph_execs) X(primary_references) \
    X(allocations) X(pushes) X(pops) X(launches) X(graph_launches) X(copies) X(pageable_copies) X(synchronisations) \
    X(calls_after_failure)

#define AS_ENUM(name) name,
#define AS_STRING(name) #name,
enum Count { COUNTS(AS_ENUM) HOW_MANY };
static const char *const count_names[] = { COUNTS(AS_STRING) };
static long counts[HOW_MANY];

static void add(enum Count which, long more) { __atomic_add_fetch(&counts[which], more, __ATOMIC_SEQ_CST); }

/* ---- settings ---- */

static struct {
    long devices, integrated, memory, deferred, no_capture, fail_after, contexts_fail, major, minor;
    const char *name;
} settings;

static long number_of(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

__attribute__((constructor)) static void read_settings(void) {
    const char *capability = getenv("HOST_CUDA_CAPABILITY");
    settings.devices = number_of("HOST_CUDA_DEVICES", 1);
    settings.integrated = number_of("HOST_CUDA_INTEGRATED", 0);
    settings.memory = number_of("HOST_CUDA_MEMORY", 1L << 30);
    settings.deferred = number_of("HOST_CUDA_DEFERRED", 0);
    settings.no_capture = number_of("HOST_CUDA_NO_CAPTURE", 0);
    settings.fail_after = number_of("HOST_CUDA_FAIL_AFTER", -1);
    settings.contexts_fail = number_of("HOST_CUDA_CONTEXTS_FAIL", 1);
    settings.name = getenv("HOST_CUDA_NAME") ? getenv("HOST_CUDA_NAME") : "Host CUDA";
    if (sscanf(capability ? capability : "8.9", "%ld.%ld", &settings.major, &settings.minor) != 2)
        settings.major = settings.minor = 0;
}

/* ---- what every call begins with ---- */

static int failed(void) {
    if (settings.fail_after < 0 || counts[launches] < settings.fail_after) return SUCCESS;
    add(calls_after_failure, 1);
    return ILLEGAL_ADDRESS;
}

static __thread void *context_stack[STACK];
static __thread int depth;

static int without_context(void) { return depth ? SUCCESS : INVALID_CONTEXT; }

#define TRY(expression) do { int code_ = (expression); if (code_) return code_; } while (0)
#define WORKING() TRY(failed())
#define IN_CONTEXT() do { TRY(failed()); TRY(without_context()); } while (0)

/* ---- memory: device and pinned blocks, so that a wrong address is told ---- */

struct block { struct block *next; char *start; size_t bytes; int pinned, mapped; };
static struct block *blocks;
static size_t used;
static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;

static struct block *block_of(const void *address, size_t bytes) {
    const char *start = address;
    struct block *block;
    pthread_mutex_lock(&memory_lock);
    for (block = blocks; block; block = block->next)
        if (start >= block->start && start + bytes <= block->start + block->bytes) break;
    pthread_mutex_unlock(&memory_lock);
    return block;
}

static int allocate(void **address, size_t bytes, int pinned, int mapped) {
    int counts_as_device = !pinned || settings.integrated;
    struct block *block;
    if (!bytes) return INVALID_VALUE;
    if (counts_as_device && used + bytes > (size_t)settings.memory) return OUT_OF_MEMORY;
    block = calloc(1, sizeof *block);
    block->start = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(block->start, 0xA5, bytes); /* what nobody wrote is not zero */
    block->bytes = bytes, block->pinned = pinned, block->mapped = mapped;
    pthread_mutex_lock(&memory_lock);
    block->next = blocks, blocks = block;
    if (counts_as_device) used += bytes;
    pthread_mutex_unlock(&memory_lock);
    add(pinned ? host_allocations : device_allocations, 1);
    add(allocations, 1);
    *address = block->start;
    return SUCCESS;
}

static int release(void *address, int pinned) {
    struct block **link, *block;
    pthread_mutex_lock(&memory_lock);
    for (link = &blocks; (block = *link); link = &block->next)
        if (block->start == address && block->pinned == pinned) break;
    if (block) {
        *link = block->next;
        if (!pinned || settings.integrated) used -= block->bytes;
    }
    pthread_mutex_unlock(&memory_lock);
    if (!block) return INVALID_VALUE;
    add(pinned ? host_allocations : device_allocations, -1);
    memset(block->start, 0xDD, block->bytes);
    free(block->start);
    free(block);
    return SUCCESS;
}

/* Whether the GPU reaches all of it: for an engine's double, which should refuse other addresses as a GPU would. */
int host_cuda_reaches(const void *address, size_t bytes) {
    struct block *block = block_of(address, bytes);
    return block && (!block->pinned || block->mapped);
}

/* ---- streams: a list of things to do ---- */

struct event { int64_t at_ns; struct stream *stream; };
struct op {
    enum { COPY, CALL, STAMP } kind;
    void *to; const void *from; size_t bytes;
    void (*callback)(void *); void *user;
    struct event *event;
};
struct ops { struct op *list; int count; };
struct stream { struct ops waiting; struct ops *capture; int broken; struct stream *next; };

static struct stream default_stream;
static struct stream *all_streams = &default_stream;

static struct stream *stream_of(void *handle) { return handle ? handle : &default_stream; }

static void append(struct ops *ops, struct op op) {
    ops->list = realloc(ops->list, (ops->count + 1) * sizeof op);
    ops->list[ops->count++] = op;
}

static struct ops *copy_of(const struct ops *ops) {
    struct ops *copy = calloc(1, sizeof *copy);
    for (int index = 0; index < ops->count; index++) append(copy, ops->list[index]);
    return copy;
}

static void forget(struct ops *ops) { free(ops->list), free(ops); }

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void perform(struct op op) {
    if (op.kind == COPY) memcpy(op.to, op.from, op.bytes);
    if (op.kind == CALL) op.callback(op.user);
    if (op.kind == STAMP) op.event->at_ns = now_ns();
}

static void drain(struct stream *stream) {
    struct ops waiting = stream->waiting;
    memset(&stream->waiting, 0, sizeof waiting);
    for (int index = 0; index < waiting.count; index++) perform(waiting.list[index]);
    free(waiting.list);
}

static void drain_all(void) {
    for (struct stream *stream = all_streams; stream; stream = stream->next) drain(stream);
}

static int submit(struct stream *stream, struct op op) {
    if (stream->capture) {
        stream->broken |= settings.no_capture;
        if (stream->broken) return CAPTURE_UNSUPPORTED;
        append(stream->capture, op);
    } else if (settings.deferred) {
        append(&stream->waiting, op);
    } else {
        perform(op);
    }
    return SUCCESS;
}

/* Whoever waits for a stream that captures breaks the capture. */
static int wait_for(struct stream *stream) {
    if (stream->capture) {
        stream->broken = 1;
        return CAPTURE_UNSUPPORTED;
    }
    add(synchronisations, 1);
    drain(stream);
    return failed();
}

/* ---- for tests ---- */

/* The work of an engine's double, in the order of its stream; 0, or a CUresult. */
int host_cuda_enqueue(void *stream, void (*callback)(void *), void *user) {
    struct op op = { .kind = CALL, .callback = callback, .user = user };
    IN_CONTEXT();
    TRY(submit(stream_of(stream), op));
    if (!stream_of(stream)->capture) add(launches, 1);
    return SUCCESS;
}

/* One of COUNTS, or context_depth: of this thread's stack of contexts. */
long host_cuda_count(const char *name) {
    if (!strcmp(name, "context_depth")) return depth;
    for (int index = 0; index < HOW_MANY; index++)
        if (!strcmp(name, count_names[index])) return counts[index];
    return -1;
}

/* ---- the driver and its devices ---- */

static const struct { int code; const char *name, *text; } errors[] = {
    { SUCCESS, "CUDA_SUCCESS", "no error" },
    { INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument" },
    { OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory" },
    { NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected" },
    { INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal" },
    { INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context" },
    { INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle" },
    { NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready" },
    { ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered" },
    { NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported" },
    { CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing" },
    { CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
      "operation failed due to a previous error during capture" },
};

static int error_text(int code, const char **told, int as_name) {
    for (size_t index = 0; index < sizeof errors / sizeof *errors; index++)
        if (errors[index].code == code) {
            *told = as_name ? errors[index].name : errors[index].text;
            return SUCCESS;
        }
    *told = NULL;
    return INVALID_VALUE;
}

int cuGetErrorName(int code, const char **told) { return error_text(code, told, 1); }
int cuGetErrorString(int code, const char **told) { return error_text(code, told, 0); }

int cuInit(unsigned flags) { (void)flags; return settings.devices ? SUCCESS : NO_DEVICE; }
int cuDriverGetVersion(int *version) { *version = 12060; return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = settings.devices; return SUCCESS; }

int cuDeviceGet(int *device, int ordinal) {
    if (ordinal < 0 || ordinal >= settings.devices) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *name, int room, int device) {
    (void)device;
    snprintf(name, room, "%s", settings.name);
    return SUCCESS;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = settings.memory; return SUCCESS; }

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == INTEGRATED ? (int)settings.integrated
           : attribute == MAJOR ? (int)settings.major
           : attribute == MINOR ? (int)settings.minor
           : attribute == MULTIPROCESSORS ? 8
           : attribute == CAN_MAP_HOST_MEMORY || attribute == UNIFIED_ADDRESSING;
    return SUCCESS;
}

int cuDeviceComputeCapability(int *major, int *minor, int device) {
    (void)device;
    *major = settings.major, *minor = settings.minor;
    return SUCCESS;
}

int cuDeviceGetPCIBusId(char *name, int room, int device) {
    snprintf(name, room, "0000:%02x:00.0", device + 1);
    return SUCCESS;
}

/* ---- contexts: the primary one, and each thread's stack ---- */

static int primary;

#define STACK_WORKING() do { if (settings.contexts_fail) WORKING(); } while (0)

int cuDevicePrimaryCtxRetain(void **context, int device) {
    (void)device;
    WORKING();
    add(primary_references, 1);
    *context = &primary;
    return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    STACK_WORKING();
    if (!counts[primary_references]) return INVALID_CONTEXT;
    add(primary_references, -1);
    return SUCCESS; /* as in CUDA, it is popped from no stack */
}

int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    (void)device;
    *flags = 0, *active = counts[primary_references] > 0;
    return SUCCESS;
}

int cuCtxPushCurrent_v2(void *context) {
    STACK_WORKING();
    if (!counts[primary_references]) return INVALID_CONTEXT;
    if (depth == STACK) return OUT_OF_MEMORY;
    context_stack[depth++] = context;
    add(pushes, 1);
    return SUCCESS;
}

int cuCtxPopCurrent_v2(void **context) {
    void *popped;
    STACK_WORKING();
    TRY(without_context());
    popped = context_stack[--depth];
    if (context) *context = popped;
    add(pops, 1);
    return SUCCESS;
}

int cuCtxGetCurrent(void **context) { *context = depth ? context_stack[depth - 1] : NULL; return SUCCESS; }
int cuCtxGetDevice(int *device) { IN_CONTEXT(); *device = 0; return SUCCESS; }

int cuCtxSynchronize(void) {
    IN_CONTEXT();
    add(synchronisations, 1);
    drain_all();
    return failed();
}

/* ---- memory ---- */

int cuMemAlloc_v2(void **address, size_t bytes) { IN_CONTEXT(); return allocate(address, bytes, 0, 0); }
int cuMemFree_v2(void *address) { IN_CONTEXT(); drain_all(); return release(address, 0); }

int cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    IN_CONTEXT();
    return allocate(address, bytes, 1, (flags & DEVICEMAP) != 0);
}

int cuMemFreeHost(void *address) { IN_CONTEXT(); drain_all(); return release(address, 1); }

int cuMemHostGetDevicePointer_v2(void **device, void *address, unsigned flags) {
    struct block *block = block_of(address, 1);
    (void)flags;
    IN_CONTEXT();
    if (!block || !block->mapped) return INVALID_VALUE;
    *device = address; /* unified addressing: one address for both */
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t *unused, size_t *total) {
    IN_CONTEXT();
    *total = settings.memory, *unused = settings.memory - used;
    return SUCCESS;
}

static int copy(void *to, const void *from, size_t bytes, const void *device_side, struct stream *stream) {
    struct op op = { .kind = COPY, .to = to, .from = from, .bytes = bytes };
    const void *host_side = device_side == to ? from : to;
    IN_CONTEXT();
    if (!host_cuda_reaches(device_side, bytes)) return INVALID_VALUE;
    add(copies, 1);
    if (stream && block_of(host_side, bytes)) return submit(stream, op);
    if (stream) add(pageable_copies, 1); /* not pinned: the driver waits and copies at once */
    drain_all();
    perform(op);
    return SUCCESS;
}

int cuMemcpyHtoD_v2(void *to, const void *from, size_t bytes) { return copy(to, from, bytes, to, NULL); }
int cuMemcpyDtoH_v2(void *to, const void *from, size_t bytes) { return copy(to, from, bytes, from, NULL); }

int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t bytes, void *stream) {
    return copy(to, from, bytes, to, stream_of(stream));
}

int cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t bytes, void *stream) {
    return copy(to, from, bytes, from, stream_of(stream));
}

/* ---- streams and events ---- */

int cuStreamCreate(void **stream, unsigned flags) {
    struct stream *made;
    (void)flags;
    IN_CONTEXT();
    made = calloc(1, sizeof *made);
    made->next = all_streams, all_streams = made;
    add(streams, 1);
    *stream = made;
    return SUCCESS;
}

int cuStreamDestroy_v2(void *handle) {
    struct stream **link = &all_streams;
    IN_CONTEXT();
    while (*link && *link != handle) link = &(*link)->next;
    if (!*link || handle == &default_stream) return INVALID_HANDLE;
    drain(handle);
    *link = (*link)->next;
    free(handle);
    add(streams, -1);
    return SUCCESS;
}

int cuStreamSynchronize(void *stream) { IN_CONTEXT(); return wait_for(stream_of(stream)); }
int cuStreamQuery(void *stream) { IN_CONTEXT(); return stream_of(stream)->waiting.count ? NOT_READY : SUCCESS; }

int cuEventCreate(void **event, unsigned flags) {
    (void)flags;
    IN_CONTEXT();
    *event = calloc(1, sizeof(struct event));
    add(events, 1);
    return SUCCESS;
}

int cuEventDestroy_v2(void *event) { IN_CONTEXT(); free(event); add(events, -1); return SUCCESS; }

int cuEventRecord(void *event, void *stream) {
    struct op op = { .kind = STAMP, .event = event };
    IN_CONTEXT();
    op.event->at_ns = 0, op.event->stream = stream_of(stream);
    return submit(stream_of(stream), op);
}

int cuEventSynchronize(void *event) {
    struct event *waited = event;
    IN_CONTEXT();
    return waited->stream ? wait_for(waited->stream) : SUCCESS;
}

int cuEventElapsedTime(float *ms, void *start, void *end) {
    int64_t from = ((struct event *)start)->at_ns, to = ((struct event *)end)->at_ns;
    IN_CONTEXT();
    if (!from || !to) return NOT_READY;
    *ms = (float)((to - from) / 1e6);
    return SUCCESS;
}

int cuEventElapsedTime_v2(float *ms, void *start, void *end) { return cuEventElapsedTime(ms, start, end); }

/* ---- graphs ---- */

int cuStreamBeginCapture_v2(void *handle, int mode) {
    struct stream *stream = handle;
    (void)mode;
    IN_CONTEXT();
    if (!stream || stream->capture) return CAPTURE_UNSUPPORTED; /* the default stream captures nothing */
    stream->capture = calloc(1, sizeof *stream->capture), stream->broken = 0;
    return SUCCESS;
}

int cuStreamIsCapturing(void *stream, int *status) {
    IN_CONTEXT();
    *status = stream_of(stream)->capture != NULL;
    return SUCCESS;
}

int cuStreamEndCapture(void *handle, void **graph) {
    struct stream *stream = handle;
    struct ops *captured;
    IN_CONTEXT();
    if (!stream || !stream->capture) return INVALID_VALUE;
    captured = stream->capture, stream->capture = NULL, *graph = NULL;
    if (stream->broken) {
        forget(captured);
        return CAPTURE_INVALIDATED;
    }
    add(graphs, 1);
    *graph = captured;
    return SUCCESS;
}

static int instantiate(void **exec, void *graph) {
    IN_CONTEXT();
    add(graph_execs, 1);
    *exec = copy_of(graph);
    return SUCCESS;
}

#ifndef WITHOUT_GRAPH_FLAGS
int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags) {
    (void)flags;
    return instantiate(exec, graph);
}
#endif

int cuGraphInstantiate_v2(void **exec, void *graph, void **node, char *log, size_t room) {
    (void)node, (void)log, (void)room;
    return instantiate(exec, graph);
}

int cuGraphLaunch(void *exec, void *stream) {
    struct ops *ops = exec;
    IN_CONTEXT();
    if (!ops) return INVALID_HANDLE;
    add(launches, 1);
    add(graph_launches, 1);
    for (int index = 0; index < ops->count; index++) TRY(submit(stream_of(stream), ops->list[index]));
    return SUCCESS;
}

int cuGraphExecDestroy(void *exec) { IN_CONTEXT(); forget(exec); add(graph_execs, -1); return SUCCESS; }
int cuGraphDestroy(void *graph) { IN_CONTEXT(); forget(graph); add(graphs, -1); return SUCCESS; }
