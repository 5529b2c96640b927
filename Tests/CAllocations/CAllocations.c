#include "CAllocations.h"
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Of the calling thread. In the program itself, as opposed to a library, such a variable needs no
// memory of its own, which would be asked for from here.
static _Thread_local long allocationCount;
static _Thread_local bool isTracing;

long inverse_allocation_count(void) { return allocationCount; }
void inverse_trace_allocations(bool on) { isTracing = on; }

// A sanitizer has an allocator of its own, without which it sees nothing.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INVERSE_IS_SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(INVERSE_IS_SANITIZED)
#include <execinfo.h>
#include <unistd.h>

bool inverse_counts_allocations(void) { return true; }

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static inline void count(void) {
  allocationCount++;
  if (__builtin_expect(isTracing, 0)) {
    // What writes the backtrace may allocate too.
    isTracing = false;
    long before = allocationCount;
    void *frames[24];
    int depth = backtrace(frames, 24);
    backtrace_symbols_fd(frames + 1, depth - 1, STDERR_FILENO);
    if (write(STDERR_FILENO, "\n", 1) != 1) abort();
    allocationCount = before;
    isTracing = true;
  }
}

void *malloc(size_t size) {
  count();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count();
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  count();
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
  count();
  void *memory = __libc_memalign(alignment, size);
  if (memory == NULL) return ENOMEM;
  *result = memory;
  return 0;
}
#else
bool inverse_counts_allocations(void) { return false; }
#endif
