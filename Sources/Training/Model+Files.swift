import Backbones
package import Checkpoints
import Kernels
import Sharding

extension Model {
  /// The parameters of this rank as parts of the tensors of a model file.
  ///
  /// `user.factors` (U, F), `item.factors` (I, F), `user.bias` (U), `item.bias` (I), where rows have
  /// them, and the dense tensors of the backbone.
  package func parameterSlabs(rank: Int) -> [TensorSlab] {
    ownedRowParts.map(\.slab) + denseParameterParts.map { $0.slab(on: rank) }
  }

  /// The parameters of this rank; dense ones are on every rank. The same tensors in the same order
  /// for every rank.
  var ownedParameterParts: [TensorPart<Float>] { ownedRowParts + denseParameterParts }

  /// The moments of the optimizer, likewise.
  var ownedStateParts: [TensorPart<Float>] { rowStateParts() + denseStateParts() }

  private var ownedRowParts: [TensorPart<Float>] {
    unsafe parts("user", users, users.weights.pointer, rows: userRows, of: userCount)
      + parts(
        "item", items, items.row(items.owned.lowerBound), rows: items.owned, of: itemCount)
  }

  private var denseParameterParts: [TensorPart<Float>] {
    unsafe denseParts("", dense.weights.pointer)
  }

  /// The optimizer's state of this rank, named like the parameters with `.moment1` and `.moment2`;
  /// `user.rows.moment1` where a row has one figure. And `user.last_step`, `item.last_step`: the
  /// step that last updated each row.
  package func stateSlabs(rank: Int) -> [TensorSlab] {
    let parts = rowStateParts().map(\.slab) + denseStateParts().map { $0.slab(on: rank) }
    return parts + lastStepParts().map(\.slab)
  }

  /// Overwrites parameters with those of a file; a replicated table takes all rows. A collective
  /// when ranks share the item rows.
  ///
  /// - Parameter reader: A model file of the same shapes.
  /// - Throws: `Failure` of kind data, naming the tensor; what the group throws.
  package func readParameters(from reader: TensorFile.Reader) throws {
    let all =
      unsafe parts("user", users, users.weights.pointer, rows: userRows, of: userCount)
      + parts(
        "item", items, items.row(items.written.lowerBound), rows: items.written, of: itemCount)
      + denseParts("", dense.weights.pointer)
    try rewrite { for part in all { try part.read(from: reader) } }
    noteChange()
  }

  /// Runs `body`, which writes parameters, while no rank reads item rows. A collective when ranks
  /// share them.
  ///
  /// - Throws: What `body` and the group throw.
  package func rewrite(_ body: () throws -> Void) throws {
    if let sharedItems { try sharedItems.rewrite(body) } else { try body() }
  }

  /// Overwrites the optimizer's state with that of a file.
  ///
  /// - Parameter reader: An optimizer file of the same shapes.
  /// - Throws: `Failure` of kind data, naming the tensor.
  package func readState(from reader: TensorFile.Reader) throws {
    for part in rowStateParts() + denseStateParts() { try part.read(from: reader) }
    for part in lastStepParts() { try part.read(from: reader) }
  }

  var userRows: Range<Int> { firstUser..<firstUser + users.owned.count }

  /// The rows of both tables that this rank owns; a table of rows without values is in no file.
  private var ownedRows: [(name: String, table: RowTable, rows: Range<Int>, total: Int)] {
    [("user", users, userRows, userCount), ("item", items, items.owned, itemCount)].filter {
      $0.1.stride > 0
    }
  }

  private func rowStateParts() -> [TensorPart<Float>] {
    ownedRows.flatMap { name, table, rows, total in
      table.state.enumerated().flatMap { index, state in
        let moment = ".moment\(index + 1)"
        guard table.stateCounts[index] > 1 else {
          return unsafe [
            TensorPart(
              name: name + ".rows" + moment, shape: [total], rows: rows,
              stride: table.stateSpacing,
              base: state.pointer)
          ]
        }
        return unsafe parts(
          name, table, state.pointer, spacing: table.stateSpacing, rows: rows, of: total,
          suffix: moment)
      }
    }
  }

  private func lastStepParts() -> [TensorPart<UInt32>] {
    ownedRows.compactMap { name, table, rows, total in
      table.lastSteps.map {
        unsafe TensorPart(
          name: name + ".last_step", shape: [total], rows: rows, stride: table.lastStepSpacing,
          base: $0.pointer)
      }
    }
  }

  private func denseStateParts() -> [TensorPart<Float>] {
    dense.state.enumerated().flatMap { unsafe denseParts(".moment\($0 + 1)", unsafe $1.pointer) }
  }

  /// The tensors of a table: factors and, with biases, one more.
  private func parts(
    _ name: String, _ table: RowTable, _ base: UnsafeMutablePointer<Float>, spacing: Int? = nil,
    rows: Range<Int>, of total: Int, suffix: String = ""
  ) -> [TensorPart<Float>] {
    let layout = table.layout
    guard layout.stride > 0 else { return [] }
    let spacing = spacing ?? table.spacing
    let factors = unsafe TensorPart(
      name: name + ".factors" + suffix, shape: [total, layout.factors], rows: rows,
      stride: spacing, base: base)
    guard layout.hasBias else { return [factors] }
    return unsafe [
      factors,
      TensorPart(
        name: name + ".bias" + suffix, shape: [total], rows: rows, stride: spacing,
        base: base + layout.biasColumn),
    ]
  }

  private func denseParts(
    _ suffix: String, _ base: UnsafeMutablePointer<Float>
  ) -> [TensorPart<Float>] {
    backbone.denseTensors.map {
      unsafe TensorPart(
        name: $0.name + suffix, shape: $0.shape, rows: 0..<$0.shape[0],
        stride: $0.shape.dropFirst().reduce(1, *), base: base + $0.offset)
    }
  }
}

/// Rows of one tensor in this rank's memory, to be written or read.
@safe
struct TensorPart<Scalar: TensorScalar> {
  let name: String
  let shape: [Int]
  let rows: Range<Int>
  let stride: Int
  let base: UnsafeMutablePointer<Scalar>

  var slab: TensorSlab {
    unsafe TensorSlab(
      name: name, shape: shape, rows: rows, stride: stride, base: UnsafePointer(base))
  }

  /// Of a tensor that is the same on all ranks: rank 0 writes it.
  func slab(on rank: Int) -> TensorSlab {
    unsafe TensorSlab(
      name: name, shape: shape, rows: rank == 0 ? rows : 0..<0, stride: stride,
      base: UnsafePointer(base))
  }

  func read(from reader: TensorFile.Reader) throws {
    try reader.require(name, shape: shape, Scalar.tensorElement)
    unsafe try reader.read(name, rows: rows, into: base, stride: stride)
  }
}
