/// The number type of a tensor in a file, named as the safetensors format does.
package enum TensorElement: String, Sendable, CaseIterable {
  case float32 = "F32"
  case float64 = "F64"
  case int64 = "I64"
  case uint32 = "U32"

  /// Bytes of one element.
  package var size: Int {
    switch self {
    case .float32, .uint32: 4
    case .float64, .int64: 8
    }
  }
}

/// A Swift number that a tensor file can hold, stored little-endian.
package protocol TensorScalar: BitwiseCopyable {
  /// The file's name for this type.
  static var tensorElement: TensorElement { get }
}

extension Float: TensorScalar {
  /// `F32`.
  package static var tensorElement: TensorElement { .float32 }
}
extension Double: TensorScalar {
  /// `F64`.
  package static var tensorElement: TensorElement { .float64 }
}
extension Int64: TensorScalar {
  /// `I64`.
  package static var tensorElement: TensorElement { .int64 }
}
extension UInt32: TensorScalar {
  /// `U32`.
  package static var tensorElement: TensorElement { .uint32 }
}

#if _endian(big)
  #error("tensor files are little-endian and are written from memory as it is")
#endif
