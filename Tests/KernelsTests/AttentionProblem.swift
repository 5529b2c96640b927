import Foundation
import Kernels

/// Sequences to attend to, and what two passes make of them.
struct AttentionProblem {
  let shape: CausalAttention.Shape
  let padding: [UInt32]
  var (queries, keys, values): (Rows, Rows, Rows)
  var delta: Rows
  let rate: Float
  /// `(B · H · T · T)`: whether each probability is kept.
  let keep: [Bool]

  init(
    _ shape: CausalAttention.Shape, padding: [UInt32], rate: Float, seed: UInt64
  ) {
    var draws = Draws(seed: seed)
    let count = padding.count * shape.length * shape.columns
    func rows() -> Rows { Rows(draws.floats(count), columns: shape.columns) }
    self.init(
      shape, padding: padding, queries: rows(), keys: rows(), values: rows(), delta: rows(),
      rate: rate,
      keep: (0..<padding.count * shape.heads * shape.length * shape.length).map { _ in
        Float(draws.integer(below: 1000)) >= 1000 * rate
      })
  }

  init(
    _ shape: CausalAttention.Shape, padding: [UInt32], queries: Rows, keys: Rows, values: Rows,
    delta: Rows, rate: Float, keep: [Bool]
  ) {
    (self.shape, self.padding, self.rate, self.keep) = (shape, padding, rate, keep)
    (self.queries, self.keys, self.values, self.delta) = (queries, keys, values, delta)
  }

  struct Result {
    let output: Rows
    let probabilities: [Float]
    let (queries, keys, values): (Rows, Rows, Rows)
  }

  func run() -> Result {
    let stride = shape.probabilityStride
    let bits = AlignedBuffer<UInt8>(count: padding.count * shape.probabilityCount / 8)
    for (place, isKept) in keep.enumerated() where isKept {
      let column = place % shape.length
      unsafe bits.pointer[place / shape.length * stride / 8 + column / 8] |= 1 << UInt8(column % 8)
    }
    let paddingBuffer = AlignedBuffer(padding)
    let input = unsafe CausalAttention.Input(
      shape: shape, sequences: padding.count, padding: paddingBuffer.pointer,
      queries: queries.matrix, keys: keys.matrix, values: values.matrix,
      dropout: rate > 0 ? Dropout.Mask(bits: bits.pointer, rate: rate) : nil)
    // Not zero: the kernel must overwrite, and must not read what it did not write.
    let scratch = AlignedBuffer([Float](repeating: .nan, count: shape.scratchCount))
    let probabilities = AlignedBuffer(
      [Float](repeating: .nan, count: padding.count * shape.probabilityCount))
    func fresh() -> Rows { Rows(filled: .nan, count: queries.count, columns: shape.columns) }
    let (output, dQueries, dKeys, dValues) = (fresh(), fresh(), fresh(), fresh())
    unsafe CausalAttention.forward(
      input, probabilities: probabilities.pointer, scratch: scratch.pointer, into: output.mutable)
    unsafe CausalAttention.backward(
      input, probabilities: probabilities.pointer, outputGradient: delta.matrix,
      scratch: scratch.pointer,
      into: CausalAttention.Gradients(
        queries: dQueries.mutable, keys: dKeys.mutable, values: dValues.mutable))
    return withExtendedLifetime((self, bits, paddingBuffer)) {
      Result(
        output: output, probabilities: probabilities.values, queries: dQueries, keys: dKeys,
        values: dValues)
    }
  }

  /// The outputs in `Double`, with some of the inputs replaced.
  func reference(
    queries: [Double]? = nil, keys: [Double]? = nil, values: [Double]? = nil
  ) -> [Double] {
    let (q, k) = (queries ?? self.queries.doubles, keys ?? self.keys.doubles)
    let v = values ?? self.values.doubles
    let (length, d, part) = (shape.length, shape.columns, shape.columns / shape.heads)
    var output = [Double](repeating: 0, count: q.count)
    for (sequence, padding) in padding.enumerated() {
      for head in 0..<shape.heads {
        for row in Int(padding)..<max(Int(padding), length) {
          func place(_ row: Int, _ column: Int) -> Int {
            (sequence * length + row) * d + head * part + column
          }
          let powers = (Int(padding)...row).map { other in
            exp(
              (0..<part).reduce(0) { $0 + q[place(row, $1)] * k[place(other, $1)] }
                / Double(part).squareRoot())
          }
          let sum = powers.reduce(0, +)
          for (index, power) in powers.enumerated() {
            let other = Int(padding) + index
            let isKept = keep[((sequence * shape.heads + head) * length + row) * length + other]
            guard rate == 0 || isKept else { continue }
            for column in 0..<part {
              output[place(row, column)] +=
                power / sum / (1 - Double(rate)) * v[place(other, column)]
            }
          }
        }
      }
    }
    return output
  }
}
