import Kernels

/// Where the parameters of one layer of NGCF lie among the dense ones.
struct NeuralGraphLayer {
  /// From 1.
  let number: Int
  private let factors: Int
  private let offset: Int

  init(number: Int, factors: Int, offset: Int) {
    self.number = number
    self.factors = factors
    self.offset = offset
  }

  /// Floats of a layer, each tensor in whole blocks.
  static func floatCount(factors: Int) -> Int {
    2 * (RowLayout.wholeBlocks(factors * factors) + RowLayout.wholeBlocks(factors))
  }

  /// The two affine maps of a layer.
  enum Map: Int, CaseIterable {
    /// Of the neighbours' mean.
    case neighbours
    /// Of its product with the row.
    case interaction

    fileprivate var name: String {
      switch self {
      case .neighbours: "neighbours"
      case .interaction: "interaction"
      }
    }
  }

  private func weightOffset(_ map: Map) -> Int {
    offset + map.rawValue * Self.floatCount(factors: factors) / 2
  }

  private func biasOffset(_ map: Map) -> Int {
    weightOffset(map) + RowLayout.wholeBlocks(factors * factors)
  }

  /// As they stand in model files.
  var tensors: [DenseTensor] {
    Map.allCases.flatMap { map in
      let name = "layers.\(number).\(map.name)"
      return [
        DenseTensor(
          name: "\(name).weight", shape: [factors, factors], offset: weightOffset(map)),
        DenseTensor(name: "\(name).bias", shape: [factors], offset: biasOffset(map)),
      ]
    }
  }

  /// The map's weights, without the bias, which the activation adds.
  func layer(_ map: Map, _ dense: UnsafePointer<Float>) -> Linear.Layer {
    unsafe Linear.Layer(
      inputs: factors, outputs: factors,
      weight: Matrix(dense + weightOffset(map), stride: factors))
  }

  func bias(_ map: Map, _ dense: UnsafePointer<Float>) -> UnsafePointer<Float> {
    unsafe dense + biasOffset(map)
  }

  /// Where the map's gradients are added to.
  func gradients(_ map: Map, _ leaf: UnsafeMutablePointer<Float>) -> Linear.Gradients {
    unsafe Linear.Gradients(
      weight: MutableMatrix(leaf + weightOffset(map), stride: factors),
      bias: leaf + biasOffset(map), accumulates: true)
  }
}
