#ifndef CPREFETCH_H
#define CPREFETCH_H
// `__builtin_prefetch` is a compiler builtin that Swift cannot call.

/// Asks for the cache line at `address`; any address is allowed.
static inline __attribute__((always_inline)) void inverse_prefetch(const void *address) {
  __builtin_prefetch(address);
}
#endif
