import Kernels

/// Where one affine map of PinSage lies among the dense parameters.
struct PinSageMap {
  private let name: String
  private let inputs: Int
  private let outputs: Int
  private let hasBias: Bool
  private let offset: Int

  private init(_ name: String, inputs: Int, outputs: Int, hasBias: Bool = true, offset: Int) {
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.hasBias = hasBias
    self.offset = offset
  }

  /// The maps of a model, one behind the other.
  struct Model {
    /// `Q` and `q` of each layer.
    private(set) var neighbours: [PinSageMap] = []
    /// `W` and `w` of each layer.
    private(set) var outputs: [PinSageMap] = []
    /// `G₁` and `g`.
    let headHidden: PinSageMap
    /// `G₂`.
    let headOutput: PinSageMap
    /// Floats of all.
    let floatCount: Int

    /// - Parameters:
    ///   - factors: `F`, a multiple of 8, so that no tensor needs padding.
    ///   - layers: `K`.
    init(factors: Int, layers: Int) {
      var end = 0
      func map(
        _ name: String, inputs: Int, hasBias: Bool = true
      ) -> PinSageMap {
        defer { end += inputs * factors + (hasBias ? factors : 0) }
        return PinSageMap(
          name, inputs: inputs, outputs: factors, hasBias: hasBias, offset: end)
      }
      for layer in 1...layers {
        neighbours.append(map("layers.\(layer).neighbours", inputs: factors))
        outputs.append(map("layers.\(layer).output", inputs: 2 * factors))
      }
      headHidden = map("head.hidden", inputs: factors)
      headOutput = map("head.output", inputs: factors, hasBias: false)
      floatCount = end
    }

    /// As they stand in model files.
    var tensors: [DenseTensor] {
      (zip(neighbours, outputs).flatMap { [$0, $1] } + [headHidden, headOutput]).flatMap(\.tensors)
    }
  }

  private var biasOffset: Int { offset + inputs * outputs }

  private var tensors: [DenseTensor] {
    let weight = DenseTensor(name: "\(name).weight", shape: [outputs, inputs], offset: offset)
    guard hasBias else { return [weight] }
    return [weight, DenseTensor(name: "\(name).bias", shape: [outputs], offset: biasOffset)]
  }

  /// The weights; the activation adds the bias.
  func layer(_ dense: UnsafePointer<Float>) -> Linear.Layer {
    unsafe Linear.Layer(
      inputs: inputs, outputs: outputs, weight: Matrix(dense + offset, stride: inputs))
  }

  func bias(_ dense: UnsafePointer<Float>) -> UnsafePointer<Float>? {
    unsafe hasBias ? dense + biasOffset : nil
  }

  /// Where the gradients are added to.
  func gradients(_ leaf: UnsafeMutablePointer<Float>) -> Linear.Gradients {
    unsafe Linear.Gradients(
      weight: MutableMatrix(leaf + offset, stride: inputs),
      bias: hasBias ? leaf + biasOffset : nil, accumulates: true)
  }
}
