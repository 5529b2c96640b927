package import Fabric

/// The rows of one tensor that one rank holds in memory, to be written to a ``TensorFile``.
///
/// A tensor has a global shape `(rows, …)`, row-major; a row is everything below the first
/// dimension. The ranks' row ranges together are `0 ..< shape[0]`, each row once; a rank without
/// rows passes an empty range. Rows may lie apart in memory by a stride larger than a row.
///
/// Safe because nothing of its public face reads the memory it points to but a save, during which
/// the caller keeps that memory alive and unchanged.
@safe
package struct TensorSlab {
  /// The tensor's name: not empty, unique in its file, not `__metadata__`.
  package let name: String
  package let element: TensorElement
  /// The global shape, the same on all ranks; at least one dimension.
  package let shape: [Int]
  /// The global rows that this rank holds.
  package let rows: Range<Int>
  /// Elements between the starts of two consecutive rows in memory, at least ``columns``.
  package private(set) var stride: Int
  /// The first element of row `rows.lowerBound`; `nil` is fine when there are no rows.
  private(set) var base: UnsafeRawPointer?

  /// A slab of a tensor whose rows are spread over the ranks.
  ///
  /// - Parameters:
  ///   - name: The tensor's name, the same on all ranks.
  ///   - shape: The global shape, the same on all ranks.
  ///   - rows: The global rows this rank holds; may be empty.
  ///   - stride: Elements between row starts in memory; one row's length when left out.
  ///   - base: The first element of row `rows.lowerBound`; read during the save.
  package init<Scalar: TensorScalar>(
    name: String, shape: [Int], rows: Range<Int>, stride: Int? = nil,
    base: UnsafePointer<Scalar>?
  ) {
    precondition(!shape.isEmpty, "a tensor must have at least one dimension")
    precondition(shape.allSatisfy { $0 >= 0 }, "a shape must not be negative")
    precondition(
      rows.lowerBound >= 0 && rows.upperBound <= shape[0], "rows must lie inside the shape")
    unsafe precondition(rows.isEmpty || base != nil, "a slab with rows must point to them")
    self.name = name
    element = Scalar.tensorElement
    self.shape = shape
    self.rows = rows
    unsafe self.base = unsafe UnsafeRawPointer(base)
    let columns = shape.dropFirst().reduce(1, *)
    self.stride = stride ?? columns
    precondition(self.stride >= columns, "rows must not overlap in memory")
  }

  /// A tensor of which every rank holds a full copy: rank 0 writes it.
  ///
  /// - Parameters:
  ///   - name: The tensor's name.
  ///   - shape: The shape.
  ///   - group: The ranks that save together.
  ///   - base: The first element of this rank's copy, rows packed; read during the save.
  package init<Scalar: TensorScalar>(
    replicated name: String, shape: [Int], on group: any ProcessGroup,
    base: UnsafePointer<Scalar>?
  ) {
    precondition(!shape.isEmpty, "a tensor must have at least one dimension")
    unsafe self.init(
      name: name, shape: shape, rows: 0..<(group.rank == 0 ? shape[0] : 0), base: base)
  }

  /// The same rows in memory of their own, without gaps.
  ///
  /// - Parameter target: Room for them.
  /// - Returns: The copy; valid as long as its memory.
  func copied(to target: UnsafeMutableRawPointer) -> TensorSlab {
    var copy = self
    copy.stride = columns
    unsafe copy.base = UnsafeRawPointer(target)
    copyRows(to: copy)
    return copy
  }

  /// Overwrites what ``copied(to:)`` returned with the rows as they are now.
  func copyRows(to copy: TensorSlab) {
    guard let base = unsafe base, let target = unsafe UnsafeMutableRawPointer(mutating: copy.base)
    else { return }
    if stride == columns {
      unsafe target.copyMemory(from: base, byteCount: rows.count * rowSize)
    } else {
      for row in 0..<rows.count {
        unsafe (target + row * rowSize).copyMemory(
          from: base + row * stride * element.size, byteCount: rowSize)
      }
    }
  }

  /// Elements of one row: the product of all dimensions but the first.
  package var columns: Int { shape.dropFirst().reduce(1, *) }
  /// Bytes of one row in the file.
  var rowSize: Int { columns * element.size }
}
