/// A sparse matrix by rows: the items each user of a rank has met, or the neighbours of each node.
///
/// `R` rows, `C` columns, `E` entries. Entries of a row keep the order they were given in, which is
/// the order in which they are added.
@safe
package final class SparseRows {
  package let rowCount: Int
  package let columnCount: Int
  /// `(R + 1)`: entries of row `r` are `starts[r] ..< starts[r + 1]`.
  package let starts: AlignedBuffer<Int>
  /// `(E + prefetchDistance)`: the column of each entry; the rest is zero, so that looking ahead
  /// needs no bound.
  package let columns: AlignedBuffer<UInt32>
  /// `(E)`: the value of each entry; nil when all are 1.
  package let values: AlignedBuffer<Float>?

  /// Copies a matrix.
  ///
  /// - Parameters:
  ///   - rowCount: `R`.
  ///   - columnCount: `C`, at least 1 if there are entries.
  ///   - starts: `(R + 1)`, ascending from 0.
  ///   - columns: `(E)`, each below `C`.
  ///   - values: `(E)`; nil when all are 1.
  /// - Complexity: O(R + E); 4 bytes for each entry, 8 with values.
  package init(
    rowCount: Int, columnCount: Int, starts: UnsafePointer<Int>, columns: UnsafePointer<UInt32>,
    values: UnsafePointer<Float>? = nil
  ) {
    self.rowCount = rowCount
    self.columnCount = columnCount
    let entryCount = unsafe starts[rowCount]
    self.starts = AlignedBuffer(count: rowCount + 1)
    self.columns = AlignedBuffer(count: entryCount + prefetchDistance)
    unsafe self.starts.pointer.update(from: starts, count: rowCount + 1)
    unsafe self.columns.pointer.update(from: columns, count: entryCount)
    self.values = unsafe values.map {
      let copy = AlignedBuffer<Float>(count: entryCount)
      unsafe copy.pointer.update(from: $0, count: entryCount)
      return copy
    }
    for entry in 0..<entryCount {
      unsafe precondition(columns[entry] < columnCount, "a column lies outside the matrix")
    }
  }

  /// The same entries with values of their own, without a copy of where they are.
  ///
  /// - Parameters:
  ///   - pattern: The entries.
  ///   - values: `(E)`.
  package init(_ pattern: SparseRows, values: AlignedBuffer<Float>) {
    precondition(values.count == pattern.entryCount, "there is a value for each entry")
    (rowCount, columnCount) = (pattern.rowCount, pattern.columnCount)
    (starts, columns) = (pattern.starts, pattern.columns)
    self.values = values
  }

  package var entryCount: Int { columns.count - prefetchDistance }
}
