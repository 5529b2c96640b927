package import Kernels

/// Where the weights and moments of a row lie.
package enum RowPlacement: Sendable {
  /// In arrays of their own.
  case apart
  /// In one place.
  case sideBySide
  /// In one place for tables far larger than caches, whose updates wait for memory. Smaller ones are
  /// read more often than they are updated, and denser apart.
  case bySize

  /// Bytes of weights from which a table is large.
  private static let largeTable = 64 << 20

  /// Whether the rows of a table lie in one place: never those of an optimizer that keeps less than a
  /// moment of each weight, which would be spread over more memory.
  package func isSideBySide(_ layout: RowLayout, rows: Int, _ optimizer: RowOptimizer) -> Bool {
    let hasMoments = optimizer == .adam || optimizer == .adagrad
    guard hasMoments, layout.stride > 0 else { return false }
    return switch self {
    case .apart: false
    case .sideBySide: true
    case .bySize: rows * layout.stride * MemoryLayout<Float>.stride >= Self.largeTable
    }
  }
}
