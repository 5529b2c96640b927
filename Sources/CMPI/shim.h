// MPI for Swift: mpi.h, and getters for what Swift cannot import from it.

// The C++ bindings are gone from the standard, and Swift could not see them anyway.
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

// Swift imports macros only when they are plain literals. Handles and special addresses are macros
// that cast, so each needs a function; Swift sees it as a constant with the name of the macro.
#define CMPI_NAME(name) __attribute__((swift_name("getter:" name "()")))

// Handles.
static inline MPI_Comm cmpi_world(void) CMPI_NAME("MPI_COMM_WORLD");
static inline MPI_Comm cmpi_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Comm cmpi_no_communicator(void) CMPI_NAME("MPI_COMM_NULL");
static inline MPI_Comm cmpi_no_communicator(void) { return MPI_COMM_NULL; }
static inline MPI_Win cmpi_no_window(void) CMPI_NAME("MPI_WIN_NULL");
static inline MPI_Win cmpi_no_window(void) { return MPI_WIN_NULL; }
static inline MPI_Request cmpi_no_request(void) CMPI_NAME("MPI_REQUEST_NULL");
static inline MPI_Request cmpi_no_request(void) { return MPI_REQUEST_NULL; }
static inline MPI_File cmpi_no_file(void) CMPI_NAME("MPI_FILE_NULL");
static inline MPI_File cmpi_no_file(void) { return MPI_FILE_NULL; }
static inline MPI_Info cmpi_no_info(void) CMPI_NAME("MPI_INFO_NULL");
static inline MPI_Info cmpi_no_info(void) { return MPI_INFO_NULL; }
static inline MPI_Errhandler cmpi_errors_return(void) CMPI_NAME("MPI_ERRORS_RETURN");
static inline MPI_Errhandler cmpi_errors_return(void) { return MPI_ERRORS_RETURN; }

// Element types.
static inline MPI_Datatype cmpi_byte(void) CMPI_NAME("MPI_BYTE");
static inline MPI_Datatype cmpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype cmpi_float(void) CMPI_NAME("MPI_FLOAT");
static inline MPI_Datatype cmpi_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype cmpi_double(void) CMPI_NAME("MPI_DOUBLE");
static inline MPI_Datatype cmpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype cmpi_int64(void) CMPI_NAME("MPI_INT64_T");
static inline MPI_Datatype cmpi_int64(void) { return MPI_INT64_T; }

// Operations of a reduction.
static inline MPI_Op cmpi_sum(void) CMPI_NAME("MPI_SUM");
static inline MPI_Op cmpi_sum(void) { return MPI_SUM; }
static inline MPI_Op cmpi_max(void) CMPI_NAME("MPI_MAX");
static inline MPI_Op cmpi_max(void) { return MPI_MAX; }

// Special addresses.
static inline void *cmpi_in_place(void) CMPI_NAME("MPI_IN_PLACE");
static inline void *cmpi_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *cmpi_no_status(void) CMPI_NAME("MPI_STATUS_IGNORE");
static inline MPI_Status *cmpi_no_status(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Status *cmpi_no_statuses(void) CMPI_NAME("MPI_STATUSES_IGNORE");
static inline MPI_Status *cmpi_no_statuses(void) { return MPI_STATUSES_IGNORE; }
