import Kernels

/// Where the dense parameters of ``SelfAttentiveRecommendation`` lie.
///
/// Vectors are padded with zeros to whole blocks; matrices are `(outputs, inputs)` as in PyTorch.
struct AttentionLayout {
  /// γ and β of a normalisation.
  struct Normalization {
    let gammaOffset: Int
    let betaOffset: Int
  }

  /// One `W`, `(d, d)`, and `b`.
  struct Layer {
    let weightOffset: Int
    let biasOffset: Int
  }

  /// One block.
  struct Block {
    let attentionNorm: Normalization
    let query: Layer
    let key: Layer
    let value: Layer
    let feedForwardNorm: Normalization
    /// The first is followed by the rectifier.
    let first: Layer
    let second: Layer
  }

  /// `d`.
  let factors: Int
  /// `n`: rows of the position table, which starts at 0.
  let length: Int
  let blocks: [Block]
  let lastNorm: Normalization
  let tensors: [DenseTensor]
  let denseCount: Int

  init(factors: Int, length: Int, blocks: Int) {
    self.factors = factors
    self.length = length
    var builder = Builder(factors: factors)
    builder.add("positions.weight", [length, factors])
    self.blocks = (0..<blocks).map { index in
      let name = "blocks.\(index)"
      return Block(
        attentionNorm: builder.normalization("\(name).attention_norm"),
        query: builder.layer("\(name).attention.query"),
        key: builder.layer("\(name).attention.key"),
        value: builder.layer("\(name).attention.value"),
        feedForwardNorm: builder.normalization("\(name).feedforward_norm"),
        first: builder.layer("\(name).feedforward.0"),
        second: builder.layer("\(name).feedforward.1"))
    }
    lastNorm = builder.normalization("norm")
    tensors = builder.tensors
    denseCount = builder.end
  }

  /// All normalisations.
  var normalizations: [Normalization] {
    blocks.flatMap { [$0.attentionNorm, $0.feedForwardNorm] } + [lastNorm]
  }

  /// All matrices.
  var layers: [Layer] { blocks.flatMap { [$0.query, $0.key, $0.value, $0.first, $0.second] } }

  private struct Builder {
    let factors: Int
    var tensors: [DenseTensor] = []
    var end = 0

    @discardableResult
    mutating func add(_ name: String, _ shape: [Int]) -> Int {
      tensors.append(DenseTensor(name: name, shape: shape, offset: end))
      end += RowLayout.wholeBlocks(shape.reduce(1, *))
      return tensors[tensors.count - 1].offset
    }

    mutating func normalization(_ name: String) -> Normalization {
      Normalization(
        gammaOffset: add("\(name).weight", [factors]), betaOffset: add("\(name).bias", [factors]))
    }

    mutating func layer(_ name: String) -> Layer {
      Layer(
        weightOffset: add("\(name).weight", [factors, factors]),
        biasOffset: add("\(name).bias", [factors]))
    }
  }
}

extension AttentionLayout {
  /// A layer in some dense parameters; without the bias where the rectifier adds it.
  func linear(
    _ layer: Layer, _ dense: UnsafePointer<Float>, hasBias: Bool = true
  ) -> Linear.Layer {
    unsafe Linear.Layer(
      inputs: factors, outputs: factors,
      weight: Matrix(dense + layer.weightOffset, stride: factors),
      bias: hasBias ? dense + layer.biasOffset : nil)
  }

  /// Where the gradients of a layer go in one leaf of dense gradients.
  func gradients(_ layer: Layer, _ leaf: UnsafeMutablePointer<Float>) -> Linear.Gradients {
    unsafe Linear.Gradients(
      weight: MutableMatrix(leaf + layer.weightOffset, stride: factors),
      bias: leaf + layer.biasOffset)
  }

  /// Where the gradients of a normalisation go in one leaf of dense gradients.
  func gradients(
    _ norm: Normalization, _ leaf: UnsafeMutablePointer<Float>
  ) -> LayerNormalization.Gradients {
    unsafe LayerNormalization.Gradients(
      gamma: leaf + norm.gammaOffset, beta: leaf + norm.betaOffset)
  }
}
