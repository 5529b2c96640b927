/// Copies rows of a table, by index, into a block of columns of a dense matrix.
///
/// Two calls concatenate a user and an item row:
///
///     RowGather.gather(users, index: userIndex, rows: B, columns: F, into: x)
///     RowGather.gather(items, index: itemIndex, rows: B, columns: F, into: x.columns(from: F))
package enum RowGather {
  /// `target[b] ← table[index[b]]`.
  ///
  /// - Parameters:
  ///   - table: From the first column that is copied on.
  ///   - index: `(rows)`: a row of the table for each row.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks: 8 are copied at a time.
  ///   - target: `(rows, columns)`, overwritten; other columns of its rows stay.
  /// - Complexity: O(rows · columns); no allocation.
  package static func gather(
    _ table: Matrix, index: UnsafePointer<UInt32>, rows: Int, columns: Int,
    into target: MutableMatrix
  ) {
    for row in 0..<rows {
      let next = unsafe Int(index[min(row &+ prefetchDistance, rows &- 1)])
      unsafe prefetch(table.row(next), width: columns)
      let (source, copy) = unsafe (table.row(Int(index[row])), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(load8(source + column), copy + column)
      }
    }
  }

  /// `table[index[b]] ← source[b]`.
  ///
  /// - Parameters:
  ///   - source: `(rows, columns)`.
  ///   - index: `(rows)`: a row of the table for each row, each once.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks: 8 are copied at a time.
  ///   - table: Overwritten in those rows and columns.
  /// - Complexity: O(rows · columns); no allocation.
  package static func scatter(
    _ source: Matrix, index: UnsafePointer<UInt32>, rows: Int, columns: Int,
    into table: MutableMatrix
  ) {
    for row in 0..<rows {
      let (values, target) = unsafe (source.row(row), table.row(Int(index[row])))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(load8(values + column), target + column)
      }
    }
  }
}
