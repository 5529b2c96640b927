internal import CMPI

/// The name and version of the MPI library, such as `Open MPI v4.1.4`, or `unknown`.
///
/// May be asked before MPI is initialised.
package func libraryVersion() -> String {
  var text = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING))
  var length: CInt = 0
  guard unsafe MPI_Get_library_version(&text, &length) == MPI_SUCCESS else { return "unknown" }
  let bytes = text.prefix(Int(length)).map { UInt8(bitPattern: $0) }
  // Open MPI adds package, identity and date, separated by commas.
  return String(decoding: bytes.prefix { $0 != UInt8(ascii: ",") && $0 != 0 }, as: UTF8.self)
}
