import Backbones
import Fabric
import Interactions
import Kernels
import Sharding
import Storage

/// Finds the first number that is not finite, over all ranks, and names its place: for messages of
/// runs that are about to end.
final class NonfiniteSearch {
  /// What may hold such numbers beside parameters and moments.
  enum Suspect {
    /// Scores of the rows of a pass.
    case scores(BatchPass, AlignedBuffer<Float>)
    /// The reduced gradients of a pass.
    case gradients(BatchPass)
  }

  private let model: Model
  private let dataset: Dataset?
  private let group: any ProcessGroup

  init(model: Model, dataset: Dataset?, group: any ProcessGroup) {
    self.model = model
    self.dataset = dataset
    self.group = group
  }

  /// The first place, by kind (weight, moment, score, gradient), tensor and row: the same on every
  /// rank, for every number of ranks. A collective.
  ///
  /// - Parameter suspects: Where to look after parameters and moments.
  /// - Returns: `nil` when all is finite.
  /// - Throws: What the group throws.
  /// - Complexity: O(parameters and moments of the rank).
  func find(_ suspects: [Suspect] = []) throws -> Place? {
    try model.sharedItems?.settle()
    let first = try smallest(of: ownPlace(suspects).map(\.code) ?? Code.none)
    return first == Code.none ? nil : Place(first, self)
  }

  // MARK: Models that were read

  /// Refuses the model that two runs were joined into. A collective.
  ///
  /// - Throws: `Failure` of kind data naming the place; what the group throws.
  func requireFiniteInitialModel(_ configuration: TrainingConfiguration) throws {
    guard let place = try find() else { return }
    let runs = (configuration.initializeFrom ?? []).joined(separator: ",")
    throw Failure.data(
      "--initialize-from \(runs): \(place), which nothing can be learned from; train these runs "
        + "again with a smaller --rate")
  }

  /// Refuses a checkpoint to go on from. A collective.
  ///
  /// - Throws: As ``requireFiniteInitialModel(_:)``.
  func requireFiniteCheckpoint(_ path: String) throws {
    guard let place = try find() else { return }
    throw Failure.data(
      "\(path): \(place), which nothing can be learned from; remove this checkpoint to go on from "
        + "the one before")
  }

  /// Refuses a model to evaluate. A collective.
  ///
  /// - Throws: As ``requireFiniteInitialModel(_:)``.
  func requireFiniteModel(_ path: String) throws {
    guard let place = try find() else { return }
    throw Failure.data(
      "\(path): \(place), so the model has no figures; train it again with a smaller --rate")
  }

  // MARK: This rank

  private func ownPlace(_ suspects: [Suspect]) -> Finding? {
    let weights = model.ownedParameterParts
    if let found = first(in: weights, .weight) { return found }
    if let found = first(in: model.ownedStateParts, .moment) { return found }
    // The smallest of all, since another rank may have found only one of them.
    let found = suspects.compactMap { suspect in
      switch suspect {
      case .scores(let pass, let scores): score(pass, scores)
      case .gradients(let pass): gradient(pass)
      }
    }
    return found.min { $0.code.precedes($1.code) }
  }

  private func first(in parts: [TensorPart<Float>], _ kind: Code.Kind) -> Finding? {
    for (tensor, part) in parts.enumerated() {
      let width = part.shape.dropFirst().reduce(1, *)
      for (place, row) in part.rows.enumerated() {
        for column in 0..<width {
          let value = unsafe part.base[place * part.stride + column]
          guard !value.isFinite else { continue }
          return Finding(kind, tensor, row, column, value)
        }
      }
    }
    return nil
  }

  /// The smallest pair of user and item, so that it does not depend on which rank has it.
  private func score(_ pass: BatchPass, _ scores: AlignedBuffer<Float>) -> Finding? {
    let batch = pass.batch
    var found: Finding?
    for row in 0..<batch.count {
      let value = unsafe scores.pointer[row]
      guard !value.isFinite else { continue }
      let user = unsafe model.firstUser + Int(batch.users.pointer[row])
      let finding = unsafe Finding(.score, 0, user, Int(batch.items.pointer[row]), value)
      if found.map({ finding.code.precedes($0.code) }) ?? true { found = finding }
    }
    return found
  }

  private func gradient(_ pass: BatchPass) -> Finding? {
    let names = model.ownedParameterParts.map(\.name)
    let sides = [
      ("user", model.users, pass.userSums, model.firstUser),
      ("item", model.items, pass.itemSums, 0),
    ]
    for (side, table, sums, firstRow) in sides where table.stride > 0 {
      for place in 0..<sums.count {
        for column in 0..<table.stride {
          let value = unsafe sums.rows[place * table.stride + column]
          guard !value.isFinite else { continue }
          let isBias = table.layout.hasBias && column == table.layout.biasColumn
          let name = side + (isBias ? ".bias" : ".factors")
          return unsafe Finding(
            .gradient, names.firstIndex(of: name) ?? 0, firstRow + Int(sums.keys[place]),
            isBias ? 0 : column, value)
        }
      }
    }
    for tensor in model.backbone.denseTensors {
      let width = tensor.shape.dropFirst().reduce(1, *)
      for index in 0..<tensor.shape.reduce(1, *) {
        let value = unsafe pass.reduction.sum[tensor.offset + index]
        guard !value.isFinite else { continue }
        return Finding(
          .gradient, names.firstIndex(of: tensor.name) ?? 0, index / width, index % width, value)
      }
    }
    return nil
  }

  // MARK: All ranks

  private func smallest(of own: Code) throws -> Code {
    guard group.size > 1 else { return own }
    var all = [Int64](repeating: 0, count: group.size * Code.count)
    let parts = Partition(parts: group.size, of: 8 * Code.count)
    unsafe try own.values.withUnsafeBytes { own in
      unsafe try all.withUnsafeMutableBytes { unsafe try group.gather(own, into: $0, parts) }
    }
    let codes = (0..<group.size).map {
      Code(values: Array(all[$0 * Code.count..<($0 + 1) * Code.count]))
    }
    return codes.dropFirst().reduce(codes[0]) { $1.precedes($0) ? $1 : $0 }
  }

  /// A place in words.
  struct Place: CustomStringConvertible {
    let description: String

    fileprivate init(_ code: Code, _ search: NonfiniteSearch) {
      let value = ["nan", "inf", "-inf"][code.value]
      switch code.kind {
      case .weight:
        description = "\(search.name(search.model.ownedParameterParts, code)) is \(value)"
      case .moment:
        description = "\(search.name(search.model.ownedStateParts, code)) is \(value)"
      case .gradient:
        description =
          "the gradient of \(search.name(search.model.ownedParameterParts, code)) is \(value)"
      case .score:
        description =
          "the score of \(search.user(code.row)) and \(search.item(code.column)) is \(value)"
      }
    }
  }

  /// `item.factors of item 'x'`, `output.weight[3]`.
  private func name(_ parts: [TensorPart<Float>], _ code: Code) -> String {
    guard parts.indices.contains(code.tensor) else { return "a tensor" }
    let part = parts[code.tensor]
    if part.name.hasPrefix("user.") { return "\(part.name) of \(user(code.row))" }
    if part.name.hasPrefix("item.") { return "\(part.name) of \(item(code.row))" }
    let isVector = part.shape.count == 1
    return "\(part.name)[\(code.row)\(isVector ? "" : ", \(code.column)")]"
  }

  func user(_ row: Int) -> String {
    (try? dataset?.userIdentifiers()).map { "user '\($0.externalIdentifier(of: row))'" }
      ?? "the user with dense id \(row)"
  }

  func item(_ row: Int) -> String {
    (try? dataset?.itemIdentifiers()).map { "item '\($0.externalIdentifier(of: row))'" }
      ?? "the item with dense id \(row)"
  }
}

/// A place as numbers that ranks can compare.
private struct Code: Equatable {
  enum Kind: Int64 { case weight, moment, score, gradient }

  static let count = 5
  /// Behind all places.
  static let none = Code(values: [Int64](repeating: .max, count: count))

  /// Kind, tensor, row, column, value.
  let values: [Int64]

  var kind: Kind { Kind(rawValue: values[0]) ?? .weight }
  var tensor: Int { Int(values[1]) }
  var row: Int { Int(values[2]) }
  var column: Int { Int(values[3]) }
  /// 0 for not a number, 1 for infinity, 2 for minus infinity.
  var value: Int { Int(values[4]) }

  func precedes(_ other: Code) -> Bool { values.lexicographicallyPrecedes(other.values) }
}

private struct Finding {
  let code: Code

  init(_ kind: Code.Kind, _ tensor: Int, _ row: Int, _ column: Int, _ value: Float) {
    code = Code(
      values: [
        kind.rawValue, Int64(tensor), Int64(row), Int64(column),
        value.isNaN ? 0 : value > 0 ? 1 : 2,
      ])
  }
}
