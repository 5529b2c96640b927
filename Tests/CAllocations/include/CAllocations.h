#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H
// Counts of the calls that ask for memory. A program that links this has its malloc, calloc,
// realloc, memalign, aligned_alloc and posix_memalign replaced by versions that count and pass on,
// for itself and for all its libraries.
#include <stdbool.h>

/// Whether this platform counts: only where the C library offers its allocator by other names.
bool inverse_counts_allocations(void);

/// How often the calling thread has asked for memory since it started.
long inverse_allocation_count(void);

/// From now on the calling thread writes a backtrace to the standard error stream for each
/// allocation, or no longer.
void inverse_trace_allocations(bool on);
#endif
