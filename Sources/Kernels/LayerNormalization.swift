/// Rows shifted to mean 0 and scaled to variance 1, then by learned factors; and the gradients.
///
///     x̂ = (x − μ) / √(σ² + ε)      y = γ ⊙ x̂ + β
///     ∂x = (g − mean(g) − x̂ mean(g ⊙ x̂)) / √(σ² + ε)     g = γ ⊙ ∂y
///     ∂γ = Σ ∂y ⊙ x̂                ∂β = Σ ∂y
///
/// Ba et al., *Layer Normalization*, 2016, with the ε = 10⁻⁸ of SASRec (Kang and McAuley, ICDM
/// 2018). Means run over the columns there are, not over padding.
package enum LayerNormalization {
  /// The ε of SASRec.
  package static let epsilon: Float = 1e-8

  /// What the backward pass needs of the forward pass.
  @safe
  package struct Statistics {
    /// `(rows)`: μ.
    package let means: UnsafeMutablePointer<Float>
    /// `(rows)`: `1 / √(σ² + ε)`.
    package let scales: UnsafeMutablePointer<Float>

    package init(means: UnsafeMutablePointer<Float>, scales: UnsafeMutablePointer<Float>) {
      unsafe self.means = unsafe means
      unsafe self.scales = unsafe scales
    }
  }

  /// Writes normalised rows.
  ///
  /// - Parameters:
  ///   - input: `(rows, columns)`.
  ///   - rows: `B`.
  ///   - columns: At least 1; padded to whole blocks.
  ///   - gamma: `(columns)`: γ, padding zero.
  ///   - beta: `(columns)`: β, padding zero.
  ///   - statistics: Overwritten.
  ///   - output: `(rows, columns)`, overwritten; may be the input if there is no backward pass.
  /// - Complexity: O(rows · columns); no allocation.
  package static func forward(
    _ input: Matrix, rows: Int, columns: Int, gamma: UnsafePointer<Float>,
    beta: UnsafePointer<Float>, statistics: Statistics, into output: MutableMatrix
  ) {
    let columnCount = Columns(columns)
    for row in 0..<rows {
      let (x, y) = unsafe (input.row(row), output.row(row))
      var sums = SIMD8<Float>.zero
      for column in stride(from: 0, to: columns, by: 8) { sums += unsafe load8(x + column) }
      let mean = horizontalSum(sums) / columnCount.count
      let mean8 = SIMD8(repeating: mean)
      var squares = SIMD8<Float>.zero
      for column in stride(from: 0, to: columns, by: 8) {
        let centred = unsafe columnCount.clear(load8(x + column) - mean8, at: column)
        squares.addProduct(centred, centred)
      }
      let variance = horizontalSum(squares) / columnCount.count
      let scale = 1 / (variance + epsilon).squareRoot()
      unsafe statistics.means[row] = mean
      unsafe statistics.scales[row] = scale
      let scale8 = SIMD8(repeating: scale)
      for column in stride(from: 0, to: columns, by: 8) {
        let normal = unsafe (load8(x + column) - mean8) * scale8
        unsafe store8(load8(beta + column).addingProduct(load8(gamma + column), normal), y + column)
      }
    }
  }

  /// Where the gradients of the parameters go.
  @safe
  package struct Gradients {
    /// `(columns)`, padded to whole blocks.
    package let gamma: UnsafeMutablePointer<Float>
    /// `(columns)`, padded to whole blocks.
    package let beta: UnsafeMutablePointer<Float>
    /// Whether they are added to what is there; otherwise it is overwritten.
    package let accumulates: Bool

    package init(
      gamma: UnsafeMutablePointer<Float>, beta: UnsafeMutablePointer<Float>,
      accumulates: Bool = false
    ) {
      unsafe self.gamma = unsafe gamma
      unsafe self.beta = unsafe beta
      self.accumulates = accumulates
    }
  }

  /// Writes the gradients of a batch; those of the parameters are summed in row order.
  ///
  /// - Parameters:
  ///   - input: `(rows, columns)`: of the forward pass.
  ///   - statistics: Of the forward pass.
  ///   - gamma: `(columns)`: γ, padding zero.
  ///   - outputGradient: `(rows, columns)`.
  ///   - rows: `B`.
  ///   - columns: At least 1; padded to whole blocks.
  ///   - inputGradient: `(rows, columns)`, overwritten; may be `outputGradient`.
  ///   - gradients: Those of the parameters.
  /// - Complexity: O(rows · columns); no allocation.
  package static func backward(
    _ input: Matrix, statistics: Statistics, gamma: UnsafePointer<Float>, outputGradient: Matrix,
    rows: Int, columns: Int, into inputGradient: MutableMatrix, gradients: Gradients
  ) {
    let columnCount = Columns(columns)
    if !gradients.accumulates {
      unsafe gradients.gamma.update(repeating: 0, count: RowLayout.wholeBlocks(columns))
      unsafe gradients.beta.update(repeating: 0, count: RowLayout.wholeBlocks(columns))
    }
    for row in 0..<rows {
      let (x, dy, dx) = unsafe (input.row(row), outputGradient.row(row), inputGradient.row(row))
      let mean8 = unsafe SIMD8(repeating: statistics.means[row])
      let scale8 = unsafe SIMD8(repeating: statistics.scales[row])
      var (sums, products) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
      for column in stride(from: 0, to: columns, by: 8) {
        let normal = unsafe (load8(x + column) - mean8) * scale8
        let upstream = unsafe load8(dy + column)
        let g = unsafe load8(gamma + column) * upstream
        sums += g
        products.addProduct(g, normal)
        let (dGamma, dBeta) = unsafe (gradients.gamma + column, gradients.beta + column)
        unsafe store8(load8(dGamma).addingProduct(upstream, normal), dGamma)
        unsafe store8(load8(dBeta) + upstream, dBeta)
      }
      let meanGradient = SIMD8(repeating: horizontalSum(sums) / columnCount.count)
      let meanProduct = SIMD8(repeating: horizontalSum(products) / columnCount.count)
      for column in stride(from: 0, to: columns, by: 8) {
        let normal = unsafe (load8(x + column) - mean8) * scale8
        let g = unsafe load8(gamma + column) * load8(dy + column)
        let value = scale8 * (g - meanGradient - normal * meanProduct)
        unsafe store8(columnCount.clear(value, at: column), dx + column)
      }
    }
  }

  /// Columns, the last block of which may be padded.
  private struct Columns {
    let count: Float
    private let lastBlock: Int
    private let isPadding: SIMDMask<SIMD8<Int32>>

    init(_ columns: Int) {
      precondition(columns > 0, "a row to be normalised has columns")
      count = Float(columns)
      lastBlock = RowLayout.wholeBlocks(columns) - 8
      isPadding = SIMD8<Int32>(0, 1, 2, 3, 4, 5, 6, 7) .>= Int32(columns - lastBlock)
    }

    /// The values of a block, 0 in padding.
    @inline(__always)
    func clear(_ values: SIMD8<Float>, at column: Int) -> SIMD8<Float> {
      column == lastBlock ? values.replacing(with: 0, where: isPadding) : values
    }
  }
}
