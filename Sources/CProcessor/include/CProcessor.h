#ifndef CPROCESSOR_H
#define CPROCESSOR_H
// `__builtin_cpu_supports` is a compiler builtin that Swift cannot call.

/// The names of the processor features the vectorised modules need and this machine lacks,
/// separated by blanks; empty when nothing is missing.
const char *inverse_missing_processor_features(void);
#endif
