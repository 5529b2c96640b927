#ifndef CSHAREDMEMORY_H
#define CSHAREDMEMORY_H
// Atomic access to memory that several processes map, which Swift's own atomics do not offer: they
// are values with a fixed owner, not views of raw memory.
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The bytes between the round counters of two neighbours: two cache lines, because processors
/// fetch lines in pairs.
enum { INVERSE_ROUND_STRIDE = 128 };

/// Announces that neighbour `index` has reached `round`. What this thread wrote before, anywhere,
/// is seen by whoever sees the round.
static inline void inverse_round_reach(void *rounds, long index, uint64_t round) {
  _Atomic uint64_t *own = (_Atomic uint64_t *)((char *)rounds + index * INVERSE_ROUND_STRIDE);
  atomic_store_explicit(own, round, memory_order_release);
}

/// Whether all of `count` neighbours have reached `round`, asking each at most `attempts` times.
/// After `true` this thread sees what they wrote before they reached it.
bool inverse_round_reached(const void *rounds, long count, uint64_t round, long attempts);

/// Makes the pages of `count` bytes at `start` exist, as the processor that calls would by writing.
/// Returns false when there is no memory for them, where a write would kill the process instead;
/// true also when the operating system cannot tell.
bool inverse_populate(void *start, size_t count);
#endif
