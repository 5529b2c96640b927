/// A layer of one output: a dot product per row.
///
/// Written out, because a library's product of a matrix and a vector may add in another order when
/// the rows start elsewhere.
extension Linear {
  static func single(_ layer: Layer, rows: Int, input: Matrix, output: MutableMatrix) {
    let width = RowLayout.wholeBlocks(layer.inputs)
    let (weight, bias) = unsafe (layer.weight.base, layer.bias?[0] ?? 0)
    for row in 0..<rows {
      let values = unsafe input.row(row)
      var sums = SIMD8<Float>.zero
      for column in Swift.stride(from: 0, to: width, by: 8) {
        sums = unsafe sums.addingProduct(load8(weight + column), load8(values + column))
      }
      unsafe output.row(row)[0] = horizontalSum(sums) + bias
    }
  }

  static func singleBackward(
    _ layer: Layer, rows: Int, input: Matrix, outputGradient: Matrix,
    inputGradient: MutableMatrix?, gradients: Gradients
  ) {
    let width = RowLayout.wholeBlocks(layer.inputs)
    let weight = unsafe layer.weight.base
    if let inputGradient {
      for row in 0..<rows {
        let scale = unsafe SIMD8(repeating: outputGradient.row(row)[0])
        let target = unsafe inputGradient.row(row)
        for column in Swift.stride(from: 0, to: width, by: 8) {
          unsafe store8(scale * load8(weight + column), target + column)
        }
      }
    }
    let sums = unsafe ScaledColumnSums(
      scales: outputGradient, source: input, rows: rows, target: gradients.weight.base,
      accumulates: gradients.accumulates)
    sums.run(blocks: width / RowLayout.lanes)
    guard let bias = unsafe gradients.bias else { return }
    var sum: Float = 0
    for row in 0..<rows { unsafe sum += outputGradient.row(row)[0] }
    unsafe bias[0] = gradients.accumulates ? bias[0] + sum : sum
  }

  /// The sum of all rows, each times the first column of `scales`, in row order.
  @safe
  private struct ScaledColumnSums: ColumnKernel {
    let scales: Matrix
    let source: Matrix
    let rows: Int
    let target: UnsafeMutablePointer<Float>
    let accumulates: Bool

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      var sum = Lanes()
      for row in 0..<rows {
        unsafe sum.add(SIMD8(repeating: scales.row(row)[0]), times: source.row(row) + column)
      }
      if accumulates { unsafe sum.add(target + column) }
      unsafe sum.store(to: target + column)
    }
  }
}
