// OpenBLAS has no module of its own; everything in use is declared by its `cblas.h`, thread control
// included.
#include <cblas.h>
