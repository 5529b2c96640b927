import Kernels
import Randomness

/// The shape of a tower of layers, each half as wide as its input, with one output behind it.
///
///     x₀ = [p_u ; q_i]      xₗ = max(0, Wₗ xₗ₋₁ + bₗ), l = 1 … L      score = vᵀ [z ; x_L] + c
///
/// With `F` factors `x₀` has `F · 2ᴸ` values and `x_L` has `F`; `z`, of `G` values, comes from beside
/// the tower and may be missing. Weights are `(outputs, inputs)` as in PyTorch.
struct Tower {
  /// One `W` and `b`.
  struct Layer {
    let inputs: Int
    let outputs: Int
    /// Where the weights start in the dense parameters.
    let weightOffset: Int
    /// Where the biases start there.
    var biasOffset: Int { weightOffset + inputs * outputs }
    var end: Int { biasOffset + outputs }
  }

  let layers: [Layer]
  /// `G + F`: what the output reads.
  let featureCount: Int
  /// Where `v` starts in the dense parameters; `c` follows it.
  let outputOffset: Int

  /// - Parameters:
  ///   - factors: `F`, a multiple of 8, so that no width needs padding.
  ///   - depth: `L`, at least 1.
  ///   - featuresBeside: `G`, a multiple of 8.
  init(factors: Int, depth: Int, featuresBeside: Int) {
    precondition(factors % RowLayout.lanes == 0, "factors of a tower are a multiple of 8")
    precondition(depth >= 1, "a tower has at least one layer")
    var layers: [Layer] = []
    for layer in 0..<depth {
      let inputs = factors << (depth - layer)
      layers.append(
        Layer(inputs: inputs, outputs: inputs / 2, weightOffset: layers.last?.end ?? 0))
    }
    self.layers = layers
    featureCount = featuresBeside + factors
    outputOffset = layers[depth - 1].end
  }

  /// `F · 2ᴸ`.
  var inputCount: Int { layers[0].inputs }
  /// Where `c` is.
  var outputBiasOffset: Int { outputOffset + featureCount }
  /// Floats of all parameters with their padding.
  var denseCount: Int { outputBiasOffset + RowLayout.lanes }

  var tensors: [DenseTensor] {
    layers.enumerated().flatMap { index, layer in
      [
        DenseTensor(
          name: "tower.\(index).weight", shape: [layer.outputs, layer.inputs],
          offset: layer.weightOffset),
        DenseTensor(
          name: "tower.\(index).bias", shape: [layer.outputs], offset: layer.biasOffset),
      ]
    } + [
      DenseTensor(name: "output.weight", shape: [1, featureCount], offset: outputOffset),
      DenseTensor(name: "output.bias", shape: [1], offset: outputBiasOffset),
    ]
  }

  /// Writes initial weights, uniform in ±√(6 / (inputs + outputs)); biases stay zero.
  ///
  /// Glorot, Bengio, *Understanding the difficulty of training deep feedforward neural networks*,
  /// AISTATS 2010. Every weight is drawn by its layer and its place in the layer.
  func initialize(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    let random = Philox(seed: seed, purpose: .initialDense)
    let matrices =
      layers.map { ($0.inputs, $0.outputs, $0.weightOffset) } + [(featureCount, 1, outputOffset)]
    for (number, (inputs, outputs, offset)) in matrices.enumerated() {
      let bound = (6 / Double(inputs + outputs)).squareRoot()
      for place in 0..<inputs * outputs {
        let draw = random.uniform(row: place, draw: number)
        unsafe dense[offset + place] = Float(bound * (2 * draw - 1))
      }
    }
  }
}

extension Tower.Layer {
  /// The layer in some dense parameters, for products; the rectifier adds the bias.
  func linear(_ dense: UnsafePointer<Float>) -> Linear.Layer {
    unsafe Linear.Layer(
      inputs: inputs, outputs: outputs, weight: Matrix(dense + weightOffset, stride: inputs))
  }

  /// Where its gradients go in one leaf of dense gradients.
  func gradients(_ leaf: UnsafeMutablePointer<Float>) -> Linear.Gradients {
    unsafe Linear.Gradients(
      weight: MutableMatrix(leaf + weightOffset, stride: inputs), bias: leaf + biasOffset)
  }
}
