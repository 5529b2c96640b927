#ifndef CMAPPEDFILES_H
#define CMAPPEDFILES_H
#include <stddef.h>
// A handler of a signal may call and touch next to nothing, which Swift cannot promise.

/// Notes that `length` bytes at `start` show the file `path`, which is copied.
///
/// Safe to call from several threads at once. Returns 0, or -1 without memory: then the file is not
/// named.
int inverse_mapping_add(const void *start, size_t length, const char *path);

/// Forgets the mapping at `start`.
void inverse_mapping_remove(const void *start);

/// From now on a mapped file that cannot be read any more, because it was cut short or its disk does
/// not answer, ends the process with `code` after one line on the standard error stream that names
/// it: `before`, the path, `after`. Both stay as they are for good.
void inverse_mapping_report(const char *before, const char *after, int code);
#endif
