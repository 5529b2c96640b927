/// A fully connected layer and its gradients.
///
///     output = input · weightᵀ + bias
///
/// `B` rows; `weight` is `(outputs, inputs)` as in PyTorch, so files of weights can be compared.
/// A layer of one output, whose output may be a plain list of scores, runs without the matrix
/// library.
package enum Linear {
  /// The parameters of a layer.
  @safe
  package struct Layer {
    package let inputs: Int
    package let outputs: Int
    /// `(outputs, inputs)`.
    package let weight: Matrix
    /// `(outputs)`, padded to whole blocks; nil adds nothing.
    package let bias: UnsafePointer<Float>?

    package init(
      inputs: Int, outputs: Int, weight: Matrix, bias: UnsafePointer<Float>? = nil
    ) {
      self.inputs = inputs
      self.outputs = outputs
      self.weight = weight
      unsafe self.bias = unsafe bias
    }
  }

  /// Where the gradients of the parameters go.
  @safe
  package struct Gradients {
    /// `(outputs, inputs)`.
    package let weight: MutableMatrix
    /// `(outputs)`, padded to whole blocks; nil computes none.
    package let bias: UnsafeMutablePointer<Float>?
    /// Whether they are added to what is there; otherwise it is overwritten.
    package let accumulates: Bool

    package init(
      weight: MutableMatrix, bias: UnsafeMutablePointer<Float>? = nil, accumulates: Bool = false
    ) {
      self.weight = weight
      unsafe self.bias = unsafe bias
      self.accumulates = accumulates
    }
  }

  /// Writes the outputs of a batch.
  ///
  /// - Parameters:
  ///   - layer: The parameters. Leave out the bias when an activation adds it; see
  ///     ``RectifiedLinear``.
  ///   - rows: `B`.
  ///   - input: `(B, inputs)`.
  ///   - output: `(B, outputs)`, overwritten; with one output any stride will do.
  /// - Complexity: O(B · inputs · outputs); no allocation of ours.
  package static func forward(
    _ layer: Layer, rows: Int, input: Matrix, output: MutableMatrix
  ) {
    guard layer.outputs > 1 else {
      single(layer, rows: rows, input: input, output: output)
      return
    }
    MatrixProduct.multiply(
      rows: rows, columns: layer.outputs, inner: layer.inputs, input, layer.weight, into: output,
      transposeB: true)
    guard let bias = unsafe layer.bias else { return }
    let width = RowLayout.wholeBlocks(layer.outputs)
    for row in 0..<rows { unsafe PartialSums.add(bias, to: output.row(row), count: width) }
  }

  /// Writes the gradients of a batch.
  ///
  ///     ∂input = ∂output · weight      ∂weight = ∂outputᵀ · input      ∂bias = Σ ∂output
  ///
  /// Without rows the parameters' gradients are zero, or stay when they accumulate.
  ///
  /// - Parameters:
  ///   - layer: The parameters.
  ///   - rows: `B`.
  ///   - input: `(B, inputs)`: of the forward pass.
  ///   - outputGradient: `(B, outputs)`; with one output any stride will do.
  ///   - inputGradient: `(B, inputs)`, overwritten; nil when nobody asks for it.
  ///   - gradients: Those of the parameters.
  /// - Complexity: O(B · inputs · outputs); no allocation of ours.
  package static func backward(
    _ layer: Layer, rows: Int, input: Matrix, outputGradient: Matrix,
    inputGradient: MutableMatrix?, gradients: Gradients
  ) {
    guard layer.outputs > 1 else {
      singleBackward(
        layer, rows: rows, input: input, outputGradient: outputGradient,
        inputGradient: inputGradient, gradients: gradients)
      return
    }
    if let inputGradient {
      MatrixProduct.multiply(
        rows: rows, columns: layer.inputs, inner: layer.outputs, outputGradient, layer.weight,
        into: inputGradient)
    }
    MatrixProduct.multiply(
      rows: layer.outputs, columns: layer.inputs, inner: rows, outputGradient, input,
      into: gradients.weight, scale: gradients.accumulates ? 1 : 0, transposeA: true)
    if let bias = unsafe gradients.bias {
      let sums = unsafe ColumnSums(
        source: outputGradient, rows: rows, target: bias, accumulates: gradients.accumulates)
      sums.run(blocks: RowLayout.wholeBlocks(layer.outputs) / RowLayout.lanes)
    }
  }
}

/// The sum of all rows of a matrix, in row order.
@safe
struct ColumnSums: ColumnKernel {
  let source: Matrix
  let rows: Int
  let target: UnsafeMutablePointer<Float>
  let accumulates: Bool

  @inline(__always)
  func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
    var sum = Lanes()
    for row in 0..<rows { unsafe sum.add(source.row(row) + column) }
    if accumulates { unsafe sum.add(target + column) }
    unsafe sum.store(to: target + column)
  }
}
