#include "CSharedMemory.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

bool inverse_round_reached(const void *rounds, long count, uint64_t round, long attempts) {
  for (long index = 0; index < count; index++) {
    const _Atomic uint64_t *other =
        (const _Atomic uint64_t *)((const char *)rounds + index * INVERSE_ROUND_STRIDE);
    for (long attempt = 1; atomic_load_explicit(other, memory_order_acquire) < round; attempt++) {
      if (attempt >= attempts) return false;
      pause_briefly();
    }
  }
  return true;
}

bool inverse_populate(void *start, size_t count) {
#if defined(__linux__)
  // The number of MADV_POPULATE_WRITE; older systems do not know it and say EINVAL.
  enum { populateForWriting = 23 };
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t first = (uintptr_t)start & ~(page - 1);
  uintptr_t end = ((uintptr_t)start + count + page - 1) & ~(page - 1);
  if (count == 0) return true;
  int result;
  do {
    result = madvise((void *)first, end - first, populateForWriting);
  } while (result != 0 && errno == EAGAIN);
  return result == 0 || errno == EINVAL;
#else
  return true;
#endif
}
