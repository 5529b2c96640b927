import Backbones
import Checkpoints
package import Fabric
package import Interactions
import Kernels
import Sharding
import Storage

/// The best models of two trained runs, GMF and MLP, that a NeuMF model starts from.
///
/// He et al., *Neural Collaborative Filtering*, WWW 2017, section 3.4.1: embeddings and tower are
/// copied, the output is `[½ h ; ½ v]` with bias `½ b + ½ c`.
package struct InitialModels {
  private let product: Checkpoint
  private let tower: Checkpoint

  /// Opens and checks both runs; a collective.
  ///
  /// - Parameters:
  ///   - configuration: Of the run that starts; names the runs, GMF first.
  ///   - dataset: What both must have been trained on.
  ///   - group: The ranks.
  ///   - warn: Called on rank 0 with lines about damaged files.
  /// - Returns: `nil` when the configuration names no runs.
  /// - Throws: `Failure`: usage for runs of other sizes or families, data for runs on other data,
  ///   without a best model, or none at all; what the group throws.
  package static func open(
    _ configuration: TrainingConfiguration, dataset: Dataset, group: any ProcessGroup,
    warn: (String) -> Void
  ) throws -> InitialModels? {
    guard let paths = configuration.initializeFrom, paths.count == 2 else { return nil }
    func open(_ path: String, _ backbone: BackboneName) throws -> Checkpoint {
      let run = RunDirectory(path)
      try require(try run.setup(), run.path, backbone, configuration, dataset)
      guard
        let best = try CheckpointStore(directory: run.checkpointsPath).openBest(
          group: group, warn: warn)
      else {
        throw Failure.data(
          "--initialize-from: \(run.path) has no best model: no epoch is finished, or it is "
            + "damaged")
      }
      return best
    }
    return try InitialModels(product: open(paths[0], .gmf), tower: open(paths[1], .mlp))
  }

  /// The SHA-256 of both model files.
  package var digests: [String] { [product.modelSHA256, tower.modelSHA256] }

  private static func require(
    _ setup: RunDirectory.Setup, _ path: String, _ backbone: BackboneName,
    _ configuration: TrainingConfiguration, _ dataset: Dataset
  ) throws(Failure) {
    guard setup.datasetFingerprint == dataset.fingerprint else {
      throw .data(
        "--initialize-from: \(path) was trained on \(setup.dataset), whose content differs from "
          + "\(dataset.directory)")
    }
    let training = setup.training
    func refuse(_ has: String, _ wanted: String) -> Failure {
      .usage("--initialize-from: \(path) has \(has); needed is \(wanted)")
    }
    guard training.backbone == backbone else {
      throw refuse(
        "the backbone \(training.backbone.rawValue)",
        "\(backbone.rawValue): name the run of gmf, then that of mlp")
    }
    guard training.factors == configuration.factors else {
      throw refuse("--factors \(training.factors)", "\(configuration.factors)")
    }
    guard !training.biases else { throw refuse("--biases", "a run without: neumf has none") }
    if backbone == .mlp, training.resolvedLayers != configuration.resolvedLayers {
      throw refuse(
        "--layers \(training.resolvedLayers ?? 0)", "\(configuration.resolvedLayers ?? 0)")
    }
  }

  /// Overwrites the parameters of a model; a collective when ranks share the item rows.
  ///
  /// - Parameter model: NeuMF of the sizes that were checked.
  /// - Throws: `Failure` of kind data, naming the tensor; what the group throws.
  package func join(into model: Model) throws {
    guard let backbone = model.backbone as? NeuralMatrixFactorization else {
      preconditionFailure("only NeuMF is joined of two models")
    }
    let parts = backbone.parts
    try model.rewrite {
      let users = unsafe (base: model.users.weights.pointer, rows: model.userRows)
      let items = unsafe (
        base: model.items.row(model.items.written.lowerBound), rows: model.items.written
      )
      unsafe try read(
        "user.factors", of: model.userCount, rows: users.rows, stride: model.users.spacing,
        into: users.base, parts)
      unsafe try read(
        "item.factors", of: model.itemCount, rows: items.rows, stride: model.items.spacing,
        into: items.base, parts)
    }
    unsafe try readDense(into: model.dense.weights.pointer, parts)
    model.noteChange()
  }

  /// Reads the embeddings of both models into one table.
  private func read(
    _ name: String, of total: Int, rows: Range<Int>, stride: Int,
    into base: UnsafeMutablePointer<Float>, _ parts: NeuralMatrixFactorization.Parts
  ) throws {
    unsafe try TensorPart(
      name: name, shape: [total, parts.productFactors], rows: rows, stride: stride, base: base
    ).read(from: product.model)
    unsafe try TensorPart(
      name: name, shape: [total, parts.towerFactors], rows: rows, stride: stride,
      base: base + parts.productFactors
    ).read(from: tower.model)
  }

  private func readDense(
    into dense: UnsafeMutablePointer<Float>, _ parts: NeuralMatrixFactorization.Parts
  ) throws {
    for tensor in parts.tower {
      unsafe try TensorPart(
        name: tensor.name, shape: tensor.shape, rows: 0..<tensor.shape[0],
        stride: tensor.shape.dropFirst().reduce(1, *), base: dense + tensor.offset
      ).read(from: tower.model)
    }
    let factors = parts.productFactors
    let output = unsafe dense + parts.outputOffset
    unsafe try TensorPart(
      name: "output.weight", shape: [factors], rows: 0..<factors, stride: 1, base: output
    ).read(from: product.model)
    unsafe try TensorPart(
      name: "output.weight", shape: [1, factors], rows: 0..<1, stride: factors,
      base: output + factors
    ).read(from: tower.model)
    let share = NeuralMatrixFactorization.share
    for place in 0..<factors {
      unsafe output[place] *= share
      unsafe output[factors + place] *= 1 - share
    }
    let biases = AlignedBuffer<Float>(count: 2)
    for (place, model) in [product.model, tower.model].enumerated() {
      unsafe try TensorPart(
        name: "output.bias", shape: [1], rows: 0..<1, stride: 1, base: biases.pointer + place
      ).read(from: model)
    }
    unsafe dense[parts.outputBiasOffset] =
      share * biases.pointer[0] + (1 - share) * biases.pointer[1]
  }
}
