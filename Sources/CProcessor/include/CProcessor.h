#ifndef CPROCESSOR_H
#define CPROCESSOR_H
#include <stddef.h>
#include <stdint.h>
// `__builtin_cpu_supports` is a compiler builtin that Swift cannot call, and a function of Swift
// cannot be compiled for other instructions than the rest of its module.

/// The names of the processor features the vectorised modules need and this machine lacks,
/// separated by blanks; empty when nothing is missing.
const char *inverse_missing_processor_features(void);

/// Whether `inverse_sha256_compress` may be called on this machine.
int inverse_has_sha256(void);

/// Takes `blocks` blocks of 64 bytes into the eight words of a SHA-256 digest, by the processor's
/// own instructions for it.
void inverse_sha256_compress(uint32_t *state, const uint8_t *bytes, size_t blocks);
#endif
