extension CausalAttention {
  /// Where the gradients of the inputs go: each `(B · T, d)`, overwritten.
  @safe
  package struct Gradients {
    package let queries: MutableMatrix
    package let keys: MutableMatrix
    package let values: MutableMatrix

    package init(queries: MutableMatrix, keys: MutableMatrix, values: MutableMatrix) {
      self.queries = queries
      self.keys = keys
      self.values = values
    }
  }

  /// Writes the gradients of a batch.
  ///
  ///     ∂V = P̃ᵀ ∂O      ∂P = dropout(∂O Vᵀ)      ∂S = P ⊙ (∂P − Σ_columns P ⊙ ∂P)
  ///     ∂Q = ∂S K / √(d / H)                       ∂K = ∂Sᵀ Q / √(d / H)
  ///
  /// - Parameters:
  ///   - input: That of the forward pass.
  ///   - probabilities: `(B · H · T, probabilityStride)`: of the forward pass.
  ///   - outputGradient: `(B · T, d)`; what is there for empty places does not count.
  ///   - scratch: `(shape.scratchCount)`, overwritten.
  ///   - gradients: Overwritten.
  /// - Complexity: O(B · T² · d); no allocation of ours.
  package static func backward(
    _ input: Input, probabilities: UnsafePointer<Float>, outputGradient: Matrix,
    scratch: UnsafeMutablePointer<Float>, into gradients: Gradients
  ) {
    let shape = input.shape
    let stride = shape.probabilityStride
    let dropped = unsafe MutableMatrix(scratch, stride: stride)
    let logits = unsafe MutableMatrix(scratch + shape.length &* stride, stride: stride)
    for sequence in 0..<input.sequences {
      let span = unsafe AttentionSpan(shape, sequence, padding: input.padding[sequence])
      span.clearPadding(of: gradients.queries)
      span.clearPadding(of: gradients.keys)
      span.clearPadding(of: gradients.values)
      for head in 0..<shape.heads {
        let offset = (sequence &* shape.heads &+ head) &* shape.length
        let all = unsafe Matrix(probabilities + offset &* stride, stride: stride)
        let (count, width) = (span.count, shape.width)
        let upstream = span.part(outputGradient, head)
        let kept = drop(input, all, offset: offset, into: dropped)
        MatrixProduct.multiply(
          rows: count, columns: width, inner: count, span.square(kept), upstream,
          into: span.part(gradients.values, head), transposeA: true)
        MatrixProduct.multiply(
          rows: count, columns: count, inner: width, upstream, span.part(input.values, head),
          into: span.square(logits), transposeB: true)
        _ = drop(input, logits.reading, offset: offset, into: logits)
        softmaxBackward(all, logits, span)
        MatrixProduct.multiply(
          rows: count, columns: width, inner: count, span.square(logits.reading),
          span.part(input.keys, head), into: span.part(gradients.queries, head),
          factor: shape.scale)
        MatrixProduct.multiply(
          rows: count, columns: width, inner: count, span.square(logits.reading),
          span.part(input.queries, head), into: span.part(gradients.keys, head),
          factor: shape.scale, transposeA: true)
      }
    }
  }

  /// Turns gradients by the probabilities into those by the logits, in place.
  private static func softmaxBackward(
    _ probabilities: Matrix, _ gradients: MutableMatrix, _ span: AttentionSpan
  ) {
    let width = span.shape.probabilityStride
    for row in span.padding..<span.shape.length {
      let (p, g) = unsafe (probabilities.row(row), gradients.row(row))
      var sums = SIMD8<Float>.zero
      for column in Swift.stride(from: 0, to: width, by: 8) {
        let value = unsafe load8(p + column)
        // Where nothing is attended to lies what an earlier sequence left.
        let known = unsafe load8(g + column).replacing(with: 0, where: value .== 0)
        sums.addProduct(value, known)
        unsafe store8(known, g + column)
      }
      let sum = SIMD8(repeating: horizontalSum(sums))
      for column in Swift.stride(from: 0, to: width, by: 8) {
        unsafe store8(load8(p + column) * (load8(g + column) - sum), g + column)
      }
    }
  }
}
