import Kernels
package import Sharding

/// `user = [w ⊙ p_u, b]` and `item = [q_i, 1]`, or with biases `[w ⊙ p_u, b_u + b, 1]` and
/// `[q_i, 1, b_i]`.
extension GeneralizedMatrixFactorization: FactorizedScoring {
  package var vectorWidth: Int { userLayout.factors + (userLayout.hasBias ? 2 : 1) }

  package func writeItemVectors(
    into vectors: UnsafeMutablePointer<Float>, rows: Range<Int>, of table: RowTable,
    dense: UnsafePointer<Float>
  ) {
    let (layout, width) = (itemLayout, vectorWidth)
    for row in rows {
      let (values, vector) = unsafe (table.row(row), vectors + (row - rows.lowerBound) * width)
      unsafe vector.update(from: values, count: layout.factors)
      unsafe vector[layout.factors] = 1
      if layout.hasBias { unsafe vector[layout.factors + 1] = unsafe values[layout.biasColumn] }
    }
  }

  package func writeUserVectors(
    into vectors: UnsafeMutablePointer<Float>, rows: UnsafePointer<UInt32>, count: Int,
    of table: RowTable, dense: UnsafePointer<Float>
  ) {
    let (layout, width) = (userLayout, vectorWidth)
    let bias = unsafe dense[layout.stride]
    for position in 0..<count {
      let (values, vector) = unsafe (table.row(Int(rows[position])), vectors + position * width)
      for factor in 0..<layout.factors {
        unsafe vector[factor] = unsafe dense[factor] * values[factor]
      }
      unsafe vector[layout.factors] =
        unsafe layout.hasBias ? values[layout.biasColumn] + bias : bias
      if layout.hasBias { unsafe vector[layout.factors + 1] = 1 }
    }
  }
}
