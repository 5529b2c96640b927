internal import CMPI

/// A call into the MPI library failed.
package struct MPIError: RawRepresentable, Error, Hashable, CustomStringConvertible {
  /// The error code of the library; its class, not its value, is portable.
  package let rawValue: Int32
  /// The function that failed, such as `MPI_Bcast`.
  package let operation: String
  /// What the library says about the code.
  package let text: String

  /// The error of an unnamed call.
  package init(rawValue: Int32) {
    self.init(rawValue, in: "MPI")
  }

  init(_ code: CInt, in operation: String) {
    rawValue = code
    self.operation = operation
    text = Self.text(of: code)
  }

  package var description: String { "\(operation): \(text)" }

  static func text(of code: CInt) -> String {
    var buffer = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING) + 1)
    var length: CInt = 0
    guard unsafe MPI_Error_string(code, &buffer, &length) == MPI_SUCCESS else {
      return "unknown error \(code)"
    }
    return String(
      decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// Lets the result of every call into the library pass here.
///
/// - Throws: `MPIError` unless the call succeeded.
@inline(__always)
func check(_ operation: String, _ code: CInt) throws(MPIError) {
  guard code == MPI_SUCCESS else { throw MPIError(code, in: operation) }
}
